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
    #[doc = include_str!("../docs/asyncio.md")]
    pub mod asyncio {}

    #[doc = include_str!("../docs/embedding.md")]
    pub mod embedding {}

    #[doc = include_str!("../docs/course/links/README.md")]
    #[doc = include_str!("../docs/course/README.md")]
    pub mod course {
        #[doc = include_str!("../docs/course/links/coroutines.md")]
        #[doc = include_str!("../docs/course/coroutines.md")]
        pub mod coroutines {}

        #[doc = include_str!("../docs/course/links/tasks.md")]
        #[doc = include_str!("../docs/course/tasks.md")]
        pub mod tasks {}

        #[doc = include_str!("../docs/course/links/turns.md")]
        #[doc = include_str!("../docs/course/turns.md")]
        pub mod turns {}

        #[doc = include_str!("../docs/course/links/lock.md")]
        #[doc = include_str!("../docs/course/lock.md")]
        pub mod lock {}

        #[doc = include_str!("../docs/course/links/event.md")]
        #[doc = include_str!("../docs/course/event.md")]
        pub mod event {}

        #[doc = include_str!("../docs/course/links/condition.md")]
        #[doc = include_str!("../docs/course/condition.md")]
        pub mod condition {}

        #[doc = include_str!("../docs/course/links/semaphore.md")]
        #[doc = include_str!("../docs/course/semaphore.md")]
        pub mod semaphore {}

        #[doc = include_str!("../docs/course/links/barrier.md")]
        #[doc = include_str!("../docs/course/barrier.md")]
        pub mod barrier {}

        #[doc = include_str!("../docs/course/links/fairness.md")]
        #[doc = include_str!("../docs/course/fairness.md")]
        pub mod fairness {}

        #[doc = include_str!("../docs/course/links/cancellation.md")]
        #[doc = include_str!("../docs/course/cancellation.md")]
        pub mod cancellation {}

        #[doc = include_str!("../docs/course/links/dropping.md")]
        #[doc = include_str!("../docs/course/dropping.md")]
        pub mod dropping {}

        #[doc = include_str!("../docs/course/links/timeouts.md")]
        #[doc = include_str!("../docs/course/timeouts.md")]
        pub mod timeouts {}

        #[doc = include_str!("../docs/course/links/deadlock.md")]
        #[doc = include_str!("../docs/course/deadlock.md")]
        pub mod deadlock {}

        #[doc = include_str!("../docs/course/links/testing.md")]
        #[doc = include_str!("../docs/course/testing.md")]
        pub mod testing {}

        #[doc = include_str!("../docs/course/links/embedding.md")]
        #[doc = include_str!("../docs/course/embedding.md")]
        pub mod embedding {}

        #[doc = include_str!("../docs/course/links/programs.md")]
        #[doc = include_str!("../docs/course/programs.md")]
        pub mod programs {}
    }

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
