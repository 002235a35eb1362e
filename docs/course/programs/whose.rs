use soloop::{Error, Result, create_task, sleep, wait_for};
use std::time::Duration;

const TICK: Duration = Duration::from_millis(100);

async fn step() -> Result<()> {
    match wait_for(sleep(TICK * 10), TICK * 2).await {
        Err(Error::Timeout) => println!("the step is too slow"),
        Err(Error::Cancelled) => {
            println!("the step is called off");
            return Err(Error::Cancelled);
        }
        other => return other,
    }
    Ok(())
}

async fn journey(limit: Duration) -> Result<()> {
    match wait_for(step(), limit).await {
        Ok(()) => println!("the journey is over"),
        Err(Error::Timeout) => println!("the journey is too slow"),
        other => return other,
    }
    Ok(())
}

async fn start() -> Result<()> {
    journey(TICK * 3).await?;
    journey(TICK).await?;
    let task = create_task(journey(TICK * 3));
    task.set_name("journey");
    sleep(TICK).await?;
    task.cancel();
    match task.await {
        Err(Error::Cancelled) => println!("the journey is called off"),
        other => return other,
    }
    Ok(())
}

fn main() -> Result<()> {
    soloop::run(start())
}
