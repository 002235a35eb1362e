use soloop::{Result, create_task, sleep};
use std::time::Duration;

async fn work(name: &str) -> Result<()> {
    println!("{name} begins");
    sleep(Duration::ZERO).await?;
    println!("{name} ends");
    Ok(())
}

async fn start() -> Result<()> {
    let early = create_task(work("early"));
    early.set_name("early");
    early.cancel();

    let ready = create_task(work("ready"));
    ready.set_name("ready");
    sleep(Duration::ZERO).await?; // and it is queued again
    ready.cancel();

    let mut late = create_task(work("late"));
    late.set_name("late");
    (&mut late).await?;
    late.cancel();

    for task in [early, ready, late] {
        let end = if task.cancelled() {
            "cancelled"
        } else {
            "done"
        };
        println!("{}: {end}", task.name());
    }
    Ok(())
}

fn main() -> Result<()> {
    soloop::run(start())
}
