//! Every order, every cancel, the smallest witness: a search through the runs of a program.
//!
//! asyncio runs what is ready first come, first served. That is one order of many in which the world could have happened: a timer
//! could have come a little earlier, a message a little later, a cancel anywhere. An [`Explorer`] runs a program again and
//! again, in asyncio's order first, then with one *departure* from it, then with two: another handle goes first, a task is cancelled or dropped, a
//! deadline passes, a task is polled without a wake. The first failure found thus has the fewest departures, and where they are is a
//! short string, a [`Schedule`], that brings the failure back.
//!
//! # Examples
//! A counter that forgets to lock. In asyncio's order it counts to two; in another it does not:
//! ```
//! use {soloop::{create_task, sleep, testing::Explorer}, std::{cell::Cell, rc::Rc, time::Duration}};
//!
//! let report = Explorer::new().reorder(1).explore(|_probe| async {
//!     let count = Rc::new(Cell::new(0));
//!     let add = || {
//!         let count = Rc::clone(&count);
//!         create_task(async move {
//!             let before = count.get();
//!             if before > 0 {
//!                 sleep(Duration::ZERO).await?;
//!             }
//!             count.set(before + 1);
//!             Ok(())
//!         })
//!     };
//!     let (first, second, third) = (add(), add(), add());
//!     first.await?;
//!     second.await?;
//!     third.await?;
//!     assert_eq!(count.get(), 3);
//!     Ok(())
//! });
//! let failure = report.failure.expect("a lost count");
//! println!("{failure}"); // the story, and how to run it again
//! ```

mod course;
mod director;
mod explorer;
mod probe;
mod quiet;
mod report;
mod schedule;

pub use self::{
    explorer::Explorer,
    probe::Probe,
    report::{Failure, FailureKind, Outcome, Report},
    schedule::Schedule,
};

/// Which tasks may be deviated on, by their names.
type Only = dyn Fn(&str) -> bool;
