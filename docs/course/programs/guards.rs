use futures::FutureExt;
use soloop::{Condition, Lock, Result};

async fn start() -> Result<()> {
    let lock = Lock::new();
    let _ = lock.enter().await?; // not a name: dropped at once
    println!("after `let _`: {lock:?}");
    let held = lock.enter().await?;
    println!("after `let held`: {lock:?}");
    drop(held);
    println!("after `drop(held)`: {lock:?}");

    let filled = Condition::new();
    let mut held = filled.enter().await?;
    let woken = held.wait().now_or_never(); // polled and dropped
    println!("woken: {}, {filled:?}", woken.is_some());
    let other = filled.enter().await?; // it is free
    drop(held); // has nothing, and releases nothing
    println!("the other's: {filled:?}");
    drop(other);
    println!("and now: {filled:?}");
    Ok(())
}

fn main() -> Result<()> {
    soloop::run(start())
}
