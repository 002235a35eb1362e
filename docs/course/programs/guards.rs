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
    let woken = held.wait().now_or_never(); // polled once, and dropped
    println!("woken: {}, {filled:?}", woken.is_some());
    let other = filled.enter().await?; // free, since a drop cannot take it back
    drop(held); // this guard has nothing any more, and releases nothing
    println!("the other's: {filled:?}");
    drop(other);
    println!("and now: {filled:?}");
    Ok(())
}

fn main() -> Result<()> {
    soloop::run(start())
}
