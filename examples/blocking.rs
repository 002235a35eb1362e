// Calls that block go to other threads, and the loop goes on meanwhile. A task that waits for one can be cancelled as any other.

use blocking::unblock;
use soloop::{Error, Result, create_task, sleep, wait_for, wrap_future};
use std::{fs, path::Path, sync::mpsc, time::Duration};

/// Reads a file elsewhere. Where a cancel is to be told, a foreign future is wrapped.
async fn lines_of(path: &'static Path) -> Result<usize> {
    let text = wrap_future(unblock(move || fs::read_to_string(path))).await?;
    Ok(text.map_err(Error::other)?.lines().count())
}

/// Waits elsewhere until somebody says something.
async fn listen(orders: mpsc::Receiver<&'static str>) -> Result<()> {
    println!("the thread waits");
    let order = wrap_future(unblock(move || orders.recv())).await?;
    println!("the thread was told to {}", order.map_err(Error::other)?);
    Ok(())
}

fn main() -> Result<()> {
    let here = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/event.rs"));
    soloop::run(async {
        let (captain, orders) = mpsc::channel();
        let slow = create_task(listen(orders));
        for n in 1..=3 {
            sleep(Duration::ZERO).await?;
            println!("turn {n} of the loop");
        }
        captain.send("go").map_err(Error::other)?;
        slow.await?;

        println!(
            "this example is longer than a line: {}",
            lines_of(here).await? > 1
        );
        let missing = lines_of(Path::new("no such file")).await;
        println!("no such file: {}", missing.is_err());

        // The call cannot be stopped; but nobody waits for it any longer.
        let (_go, gone) = mpsc::channel::<()>();
        let call = wrap_future(unblock(move || gone.recv().is_ok()));
        let late = wait_for(call, Duration::from_millis(10)).await;
        println!("a call that never returns: {}", late.unwrap_err());
        Ok(())
    })
}
