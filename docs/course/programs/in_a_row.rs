use soloop::{Result, sleep};
use std::time::Duration;

async fn boil(what: &str) -> Result<()> {
    println!("{what} on the fire");
    sleep(Duration::from_millis(100)).await?;
    println!("{what} done");
    Ok(())
}

async fn start() -> Result<()> {
    boil("rice").await?;
    boil("peas").await
}

fn main() -> Result<()> {
    soloop::run(start())
}
