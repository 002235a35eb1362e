// Two tasks take two locks in opposite order. asyncio would hang here for ever; soloop says why.

use soloop::{Error, Lock, Result, create_task, sleep};
use std::time::Duration;

async fn both(first: Lock, second: Lock) -> Result<()> {
    let _one = first.enter().await?;
    sleep(Duration::ZERO).await?;
    let _other = second.enter().await?;
    Ok(())
}

async fn start() -> Result<()> {
    let (fork, knife) = (Lock::new(), Lock::new());
    let left = create_task(both(fork.clone(), knife.clone()));
    let right = create_task(both(knife, fork));
    left.await?;
    right.await
}

fn main() {
    match soloop::run(start()) {
        Err(Error::Deadlock(report)) => {
            for (task, wait) in report.tasks() {
                println!("{task} waits for {wait}");
            }
        }
        other => println!("no deadlock, but {other:?}"),
    }
}
