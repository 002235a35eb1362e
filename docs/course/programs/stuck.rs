use soloop::{Lock, Result, create_task, sleep};
use std::time::Duration;

const TICK: Duration = Duration::from_millis(100);

async fn eat(name: &str, first: Lock, second: Lock) -> Result<()> {
    let _one = first.enter().await?;
    println!("{name} has one");
    sleep(Duration::ZERO).await?;
    let _other = second.enter().await?;
    println!("{name} eats");
    Ok(())
}

async fn start() -> Result<()> {
    let (fork, knife) = (Lock::new(), Lock::new());
    let ada = create_task(eat("ada", fork.clone(), knife.clone()));
    ada.set_name("ada");
    let bob = create_task(eat("bob", knife.clone(), fork.clone()));
    bob.set_name("bob");
    sleep(TICK).await?;
    println!("{fork:?} {knife:?}");
    ada.cancel();
    bob.await
}

fn main() -> Result<()> {
    soloop::run(start())
}
