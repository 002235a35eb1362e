use soloop::{Error, Result, create_task, sleep};
use std::time::Duration;

const TICK: Duration = Duration::from_millis(100);

async fn download(name: &str) -> Result<()> {
    println!("{name} begins");
    let result = sleep(TICK * 10).await;
    match result {
        Ok(()) => println!("{name} ends"),
        Err(_) => {
            println!("{name} is told");
            sleep(TICK).await?; // removes its file
            println!("{name} has cleaned up");
        }
    }
    result
}

async fn start() -> Result<()> {
    let task = create_task(download("film"));
    task.set_name("film");
    sleep(TICK).await?;
    println!("main asks it to stop");
    task.cancel();
    println!("main waits for that");
    match task.await {
        Err(Error::Cancelled) => println!("it has stopped"),
        other => return other,
    }
    Ok(())
}

fn main() -> Result<()> {
    soloop::run(start())
}
