use soloop::{Result, create_task, sleep};
use std::time::Duration;

async fn count(turns: u32) -> Result<()> {
    for turn in 2..=turns {
        println!("-- turn {turn}");
        sleep(Duration::ZERO).await?;
    }
    Ok(())
}

async fn nest(depth: u32) -> Result<()> {
    if depth > 0 {
        let task = create_task(nest(depth - 1));
        task.set_name(format!("depth {depth}"));
        task.await?;
    }
    Ok(())
}

async fn start() -> Result<()> {
    create_task(count(7)).set_name("count");
    nest(3).await?;
    println!("main goes on");
    Ok(())
}

fn main() -> Result<()> {
    soloop::run(start())
}
