use soloop::{Error, Lock, Result, create_task, sleep};
use std::time::Duration;

async fn work(name: &str, lock: Lock) -> Result<()> {
    let _held = lock.enter().await?;
    println!("{name} has the lock");
    Ok(())
}

async fn start() -> Result<()> {
    let lock = Lock::new();
    lock.acquire().await?;
    let bob = create_task(work("bob", lock.clone()));
    bob.set_name("bob");
    let eve = create_task(work("eve", lock.clone()));
    eve.set_name("eve");
    sleep(Duration::ZERO).await?;

    lock.release()?; // wakes bob
    bob.cancel();
    match bob.await {
        Err(Error::Cancelled) => println!("bob never got it"),
        other => return other,
    }
    eve.await
}

fn main() -> Result<()> {
    soloop::run(start())
}
