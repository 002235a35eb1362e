// A rate limit: two calls may go out at once, then one with each tick.

use soloop::{Result, Semaphore, create_task, sleep};
use std::time::Duration;

async fn call(name: &str, permits: Semaphore) -> Result<()> {
    permits.acquire().await?;
    println!("{name} goes out: {permits:?}");
    Ok(())
}

async fn metronome(permits: Semaphore) -> Result<()> {
    loop {
        sleep(Duration::from_millis(100)).await?;
        println!("tick");
        permits.release();
    }
}

async fn start() -> Result<()> {
    let permits = Semaphore::new(2);
    create_task(metronome(permits.clone()));

    let calls =
        ["Ada", "Bob", "Cyd", "Dan", "Eve"].map(|name| create_task(call(name, permits.clone())));
    for task in calls {
        task.await?;
    }

    // The metronome is still at it; the end of main cancels it.
    println!("done: {permits:?}");
    Ok(())
}

fn main() -> Result<()> {
    soloop::run(start())
}
