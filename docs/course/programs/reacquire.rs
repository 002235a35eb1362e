use soloop::{Condition, Error, Result, create_task, sleep};
use std::time::Duration;

const TICK: Duration = Duration::from_millis(100);

async fn wait(filled: Condition) -> Result<()> {
    let mut held = filled.enter().await?;
    let result = held.wait().await;
    if let Err(Error::Cancelled) = result {
        println!("ada is told, and holds the lock again");
    }
    result
}

async fn start() -> Result<()> {
    let filled = Condition::new();
    let ada = create_task(wait(filled.clone()));
    ada.set_name("ada");
    sleep(Duration::ZERO).await?;

    let held = filled.enter().await?;
    held.notify(1)?;
    sleep(TICK).await?;
    println!("ada is notified, and wants the lock back");
    ada.cancel();
    sleep(TICK).await?;
    ada.cancel();
    sleep(TICK).await?;
    println!("main has asked her twice, and releases");
    drop(held);
    match ada.await {
        Err(Error::Cancelled) => println!("now ada has stopped"),
        other => return other,
    }
    Ok(())
}

fn main() -> Result<()> {
    soloop::run(start())
}
