use soloop::{Error, Result, create_task, sleep, wait_for};
use std::time::Duration;

const TICK: Duration = Duration::from_millis(100);

async fn upload() -> Result<()> {
    println!("upload begins");
    let result = sleep(TICK * 10).await;
    println!("upload closes its connection");
    sleep(TICK * 3).await?;
    println!("upload is closed");
    result
}

async fn clock() -> Result<()> {
    for tick in [1, 2, 3] {
        sleep(TICK).await?;
        println!("-- tick {tick}");
    }
    Ok(())
}

async fn start() -> Result<()> {
    create_task(clock()).set_name("clock");
    match wait_for(upload(), TICK * 3 / 2).await {
        Err(Error::Timeout) => println!("too late"),
        other => return other,
    }
    Ok(())
}

fn main() -> Result<()> {
    soloop::run(start())
}
