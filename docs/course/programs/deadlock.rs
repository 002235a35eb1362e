use soloop::{Error, Lock, Result, create_task, sleep};
use std::time::Duration;

async fn eat(first: Lock, second: Lock) -> Result<()> {
    let _one = first.enter().await?;
    sleep(Duration::ZERO).await?;
    let _other = second.enter().await?;
    Ok(())
}

async fn start() -> Result<()> {
    let (fork, knife) = (Lock::new(), Lock::new());
    let ada = create_task(eat(fork.clone(), knife.clone()));
    ada.set_name("ada");
    let bob = create_task(eat(knife, fork));
    bob.set_name("bob");
    ada.await?;
    bob.await
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
