use soloop::{Barrier, Result, create_task, sleep};
use std::time::Duration;

const TICK: Duration = Duration::from_millis(100);

async fn walk(name: &str, ticks: u32, summit: Barrier) -> Result<()> {
    sleep(TICK * ticks).await?;
    println!("{name} arrives");
    let place = summit.wait().await?;
    println!("{name} was number {place}");
    if place == 0 {
        println!("{name} takes the photo");
    }
    Ok(())
}

async fn start() -> Result<()> {
    let summit = Barrier::new(3)?;
    let mut tasks = Vec::new();
    for (name, ticks) in [("ada", 3), ("bob", 1), ("eve", 2)] {
        let task = create_task(walk(name, ticks, summit.clone()));
        task.set_name(name);
        tasks.push(task);
    }
    for task in tasks {
        task.await?;
    }
    println!("{summit:?}");
    Ok(())
}

fn main() -> Result<()> {
    soloop::run(start())
}
