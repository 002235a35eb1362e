use soloop::{Lock, Result, create_task, sleep};
use std::time::Duration;

async fn work(name: &str, lock: Lock) -> Result<()> {
    for part in [1, 2, 3] {
        {
            let _held = lock.enter().await?;
            println!("{name} does part {part}");
        }
        sleep(Duration::ZERO).await?;
    }
    Ok(())
}

async fn start() -> Result<()> {
    let lock = Lock::new();
    let ada = create_task(work("ada", lock.clone()));
    ada.set_name("ada");
    let bob = create_task(work("bob", lock));
    bob.set_name("bob");
    ada.await?;
    bob.await
}

fn main() -> Result<()> {
    soloop::run(start())
}
