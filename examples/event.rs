// A task waits for an event; a second later, main sets it.

use soloop::{Event, Result, create_task, sleep};
use std::time::Duration;

async fn waiter(event: Event) -> Result<()> {
    println!("waiting for it ...");
    event.wait().await?;
    println!("... got it!");
    Ok(())
}

async fn start() -> Result<()> {
    let event = Event::new();
    let task = create_task(waiter(event.clone()));

    sleep(Duration::from_secs(1)).await?;
    event.set();

    task.await
}

fn main() -> Result<()> {
    soloop::run(start())
}
