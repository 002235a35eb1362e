// A task is cancelled, cleans up with further awaits, and then ends; another one returns all the same.

use soloop::{Error, Result, create_task, sleep};
use std::time::Duration;

async fn diver(name: &str, stubborn: bool) -> Result<&'static str> {
    println!("{name} dives");
    if let Err(Error::Cancelled) = sleep(Duration::from_secs(60)).await {
        println!("{name} is called");
        // Not a hurry: what cleans up may wait as well.
        sleep(Duration::from_millis(100)).await?;
        println!("{name} is out of the water");
        if !stubborn {
            return Err(Error::Cancelled);
        }
    }
    Ok("a pearl")
}

async fn start() -> Result<()> {
    for (name, stubborn) in [("Ada", false), ("Bob", true)] {
        let mut task = create_task(diver(name, stubborn));
        sleep(Duration::from_millis(100)).await?;
        task.cancel();
        match (&mut task).await {
            Ok(find) => println!("{name} brings {find}"),
            Err(Error::Cancelled) => println!("{name} brings nothing"),
            Err(error) => return Err(error),
        }
        if !task.cancel() {
            println!("{name} has gone home");
        }
    }
    Ok(())
}

fn main() -> Result<()> {
    soloop::run(start())
}
