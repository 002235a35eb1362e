#![doc = include_str!("../docs/links.md")] // where the pages' links lead in the documentation: the first target counts
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod error;
mod event_loop;
mod scope;
mod sync;
mod task;
pub mod testing;
mod time;
pub mod trace;
mod waiter;

/// Pages to read, whose listings all run.
#[cfg(any(doc, doctest))]
pub mod pages {
    #[doc = include_str!("../docs/links.md")]
    #[doc = include_str!("../docs/asyncio.md")]
    pub mod asyncio {}

    #[doc = include_str!("../docs/links.md")]
    #[doc = include_str!("../docs/embedding.md")]
    pub mod embedding {}

    #[doc = include_str!("../docs/links.md")]
    #[doc = include_str!("../docs/testing.md")]
    pub mod testing {}

    #[doc = include_str!("../docs/course/links/README.md")]
    #[doc = include_str!("../docs/course/README.md")]
    pub mod course {
        /// A page, after the targets that its links have here.
        macro_rules! chapters {
            ($($name:ident)+) => {
                $(
                    #[doc = include_str!(concat!("../docs/course/links/", stringify!($name), ".md"))]
                    #[doc = include_str!(concat!("../docs/course/", stringify!($name), ".md"))]
                    #[doc = concat!("<style>\n", include_str!("../docs/course/columns.css"), "</style>")]
                    pub mod $name {}
                )+
            };
        }

        chapters! {
            coroutines tasks turns
            lock event condition semaphore barrier
            fairness cancellation dropping timeouts deadlock
            testing embedding programs
        }
    }

    #[doc = include_str!("../docs/links.md")]
    #[doc = include_str!("../docs/performance.md")]
    pub mod performance {}

    #[doc = include_str!("../docs/design.md")]
    pub mod design {}
}

pub use crate::{
    error::{Error, Result},
    event_loop::{
        DeadlockReport, EventLoop, RemoteTask, Spawner, TaskTree, Turn, create_task, run, tasks,
        time,
    },
    sync::{
        Barrier, BoundedSemaphore, Condition, ConditionGuard, Event, Lock, LockGuard, Semaphore,
        SemaphoreGuard, Truthy,
    },
    task::{Task, TaskFailure, TaskHandle, current_task},
    time::{sleep, wait_for, wrap_future},
};
