use soloop::{Barrier, Error, Result, create_task, sleep};
use std::time::Duration;

async fn walk(name: &str, summit: Barrier) -> Result<()> {
    match summit.wait().await {
        Ok(_) => println!("{name} is at the top"),
        Err(Error::BrokenBarrier(why)) => {
            println!("{name} turns back: {why}");
        }
        Err(error) => return Err(error),
    }
    Ok(())
}

async fn start() -> Result<()> {
    let summit = Barrier::new(3)?;
    let ada = create_task(walk("ada", summit.clone()));
    ada.set_name("ada");
    let bob = create_task(walk("bob", summit.clone()));
    bob.set_name("bob");
    sleep(Duration::ZERO).await?;
    println!("{} wait, and eve is ill", summit.n_waiting());
    summit.abort().await?;
    ada.await?;
    bob.await?;
    println!("{summit:?}");
    Ok(())
}

fn main() -> Result<()> {
    soloop::run(start())
}
