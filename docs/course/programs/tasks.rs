use soloop::{Result, create_task, sleep};
use std::time::Duration;

async fn work(name: &str) -> Result<()> {
    println!("{name} begins");
    sleep(Duration::ZERO).await?;
    println!("{name} ends");
    Ok(())
}

async fn start() -> Result<()> {
    let ada = create_task(work("ada"));
    ada.set_name("ada");
    let bob = create_task(work("bob"));
    bob.set_name("bob");
    println!("two tasks are made");
    bob.await?;
    println!("bob is awaited");
    ada.await?;
    println!("ada is awaited");
    Ok(())
}

fn main() -> Result<()> {
    soloop::run(start())
}
