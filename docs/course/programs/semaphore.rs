use soloop::{Result, Semaphore, create_task, sleep};
use std::time::Duration;

const TICK: Duration = Duration::from_millis(100);

async fn load(name: &str, ticks: u32, gate: Semaphore) -> Result<()> {
    let _held = gate.enter().await?;
    println!("{name} begins");
    sleep(TICK * ticks).await?;
    println!("{name} ends");
    Ok(())
}

async fn start() -> Result<()> {
    let gate = Semaphore::new(2);
    let mut tasks = Vec::new();
    let jobs = [("ada", 3), ("bob", 1), ("eve", 4), ("dan", 1)];
    for (name, ticks) in jobs {
        let task = create_task(load(name, ticks, gate.clone()));
        task.set_name(name);
        tasks.push(task);
    }
    sleep(Duration::ZERO).await?;
    println!("{gate:?}");
    for task in tasks {
        task.await?;
    }
    println!("{gate:?}");
    Ok(())
}

fn main() -> Result<()> {
    soloop::run(start())
}
