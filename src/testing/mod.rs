//! Every order, every cancel, the smallest witness: a search through the runs of a program.
//!
//! asyncio runs what is ready first come, first served. That is one order of many in which the world could have happened: a timer
//! could have come a little earlier, a message a little later, a cancel anywhere. An [`Explorer`] runs a program again and
//! again, in asyncio's order first, then with one *departure* from it, then with two: another handle goes first, a task is cancelled or dropped, a
//! deadline passes, a task is polled without a wake. The first failure found thus has the fewest departures, and where they are is a
//! short string, a [`Schedule`], that brings the failure back. asyncio has no counterpart.
//!
//! # Examples
//! Two tasks count, without a lock. In asyncio's order the quick one has finished before the slow one looks:
//! ```
//! use {soloop::{create_task, sleep, testing::Explorer}, std::{cell::Cell, rc::Rc, time::Duration}};
//!
//! let report = Explorer::new().reorder(1).explore(|_probe| async {
//!     let count = Rc::new(Cell::new(0));
//!     let (one, other) = (Rc::clone(&count), Rc::clone(&count));
//!     let quick = create_task(async move { Ok(one.set(one.get() + 1)) });
//!     let slow = create_task(async move {
//!         let before = other.get();
//!         sleep(Duration::ZERO).await?;
//!         Ok(other.set(before + 1))
//!     });
//!     quick.await?;
//!     slow.await?;
//!     assert_eq!(count.get(), 2);
//!     Ok(())
//! });
//! let failure = report.failure.expect("a lost count");
//! assert_eq!(failure.schedule.to_string(), "sl1:1>1"); // the slow one went first
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
