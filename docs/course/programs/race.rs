use futures::{FutureExt, select_biased};
use soloop::{Lock, Result, create_task, sleep};
use std::time::Duration;

const TICK: Duration = Duration::from_millis(100);

async fn customer(name: &str, ticks: u32, desk: Lock) -> Result<()> {
    select_biased! {
        acquired = desk.acquire().fuse() => acquired?,
        _ = sleep(TICK * ticks).fuse() => {
            println!("{name} leaves");
            return Ok(());
        }
    }
    println!("{name} is served");
    sleep(TICK * 3).await?;
    desk.release()
}

async fn start() -> Result<()> {
    let desk = Lock::new();
    let mut tasks = Vec::new();
    for (name, ticks) in [("ada", 1), ("bob", 2), ("eve", 5)] {
        let task = create_task(customer(name, ticks, desk.clone()));
        task.set_name(name);
        tasks.push(task);
    }
    for task in tasks {
        task.await?;
    }
    println!("{desk:?}");
    Ok(())
}

fn main() -> Result<()> {
    soloop::run(start())
}
