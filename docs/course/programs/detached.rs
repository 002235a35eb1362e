use soloop::{Result, create_task, sleep};
use std::time::Duration;

const TICK: Duration = Duration::from_millis(100);

async fn work() -> Result<()> {
    sleep(TICK).await?;
    println!("the work is done");
    Ok(())
}

async fn start() -> Result<()> {
    let task = create_task(work());
    task.set_name("work");
    drop(task);
    println!("nobody refers to the task");
    sleep(TICK * 2).await?;
    println!("main ends");
    Ok(())
}

fn main() -> Result<()> {
    soloop::run(start())
}
