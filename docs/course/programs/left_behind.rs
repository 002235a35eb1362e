use soloop::{Result, create_task, sleep};
use std::time::Duration;

async fn work(name: &str) -> Result<()> {
    println!("{name} begins");
    sleep(Duration::ZERO).await?;
    println!("{name} ends");
    Ok(())
}

async fn start() -> Result<()> {
    create_task(work("ada")).set_name("ada");
    create_task(work("bob")).set_name("bob");
    println!("two tasks are made");
    Ok(())
}

fn main() -> Result<()> {
    soloop::run(start())
}
