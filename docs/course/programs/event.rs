use soloop::{Event, Result, create_task, sleep};
use std::time::Duration;

async fn run(name: &str, shot: Event) -> Result<()> {
    println!("{name} waits");
    shot.wait().await?;
    println!("{name} runs, {shot:?}");
    Ok(())
}

async fn start() -> Result<()> {
    let shot = Event::new();
    let ada = create_task(run("ada", shot.clone()));
    ada.set_name("ada");
    let bob = create_task(run("bob", shot.clone()));
    bob.set_name("bob");
    sleep(Duration::ZERO).await?;

    shot.set();
    shot.clear();
    let eve = create_task(run("eve", shot.clone()));
    eve.set_name("eve");
    ada.await?;
    bob.await?;

    println!("a second shot");
    shot.set();
    eve.await
}

fn main() -> Result<()> {
    soloop::run(start())
}
