// Ctrl-C as in `asyncio.run`: the first cancels main, which may clean up; the second does not wait for that.

use soloop::{Error, RemoteTask, Result, current_task, sleep};
use std::{process, sync::Mutex, time::Duration};

/// What asyncio's process exits with after a `KeyboardInterrupt`: 128 and the number of the signal.
const INTERRUPTED: i32 = 130;

/// Whom the next Ctrl-C cancels. The signal has a thread of its own, and a `RemoteTask` may go there.
static MAIN: Mutex<Option<RemoteTask>> = Mutex::new(None);

fn on_ctrl_c() {
    match MAIN.lock().expect("nobody panics").take() {
        Some(main) => main.cancel(),
        None => process::exit(INTERRUPTED),
    }
}

async fn work() -> Result<()> {
    println!("working, until Ctrl-C");
    sleep(Duration::from_secs(3600)).await
}

async fn start() -> Result<()> {
    *MAIN.lock().expect("nobody panics") = current_task().map(|main| main.remote());
    let worked = work().await;
    if let Err(Error::Cancelled) = worked {
        println!("cleaning up");
        sleep(Duration::from_secs(1)).await?;
        println!("clean");
    }
    worked
}

fn main() -> Result<()> {
    ctrlc::set_handler(on_ctrl_c).map_err(Error::other)?;
    match soloop::run(start()) {
        Err(Error::Cancelled) => process::exit(INTERRUPTED),
        ended => ended,
    }
}
