use soloop::{Lock, Result, create_task, sleep};
use std::time::Duration;

async fn count(turns: u32) -> Result<()> {
    for turn in 2..=turns {
        println!("-- turn {turn}");
        sleep(Duration::ZERO).await?;
    }
    Ok(())
}

async fn nothing() -> Result<()> {
    Ok(())
}

async fn start() -> Result<()> {
    create_task(count(4)).set_name("count");
    let lock = Lock::new();
    lock.acquire().await?;
    println!("a free lock: at once");
    nothing().await?;
    println!("a coroutine: at once");
    sleep(Duration::ZERO).await?;
    println!("a bare yield: the next turn");
    let task = create_task(nothing());
    task.set_name("a task");
    task.await?;
    println!("a new task: two turns");
    Ok(())
}

fn main() -> Result<()> {
    soloop::run(start())
}
