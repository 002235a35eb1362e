use soloop::{Result, create_task, sleep};
use std::time::Duration;

const TICK: Duration = Duration::from_millis(100);

async fn poll() -> Result<()> {
    for number in [1, 2, 3] {
        match sleep(TICK).await {
            Ok(()) => println!("poll {number}"),
            Err(_) => println!("poll {number} has failed"),
        }
    }
    Ok(())
}

async fn start() -> Result<()> {
    let mut task = create_task(poll());
    task.set_name("poll");
    sleep(TICK * 3 / 2).await?;
    task.cancel();
    (&mut task).await?;
    let end = if task.cancelled() {
        "cancelled"
    } else {
        "done"
    };
    println!("{end}, and asked {} time", task.cancelling());
    Ok(())
}

fn main() -> Result<()> {
    soloop::run(start())
}
