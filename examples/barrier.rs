// Two tasks wait at a barrier for three; main is the third.

use soloop::{Barrier, Result, create_task, sleep};
use std::time::Duration;

async fn start() -> Result<()> {
    let barrier = Barrier::new(3)?;

    create_task(barrier.wait());
    create_task(barrier.wait());

    // One turn: both tasks begin, and stand at the barrier.
    sleep(Duration::ZERO).await?;
    println!("{barrier:?}");

    // The third to come lets all three go.
    barrier.wait().await?;
    println!("{barrier:?}");
    println!("barrier passed");

    // One more turn: the other two leave, and it fills anew.
    sleep(Duration::ZERO).await?;
    println!("{barrier:?}");
    Ok(())
}

fn main() -> Result<()> {
    soloop::run(start())
}
