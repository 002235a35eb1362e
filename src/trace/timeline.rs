//! The timeline: what happened in a run, event by event. Plain data; nothing of the loop lives here.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// What happened in a run of a loop, in order.
///
/// Made by [`record`](super::record), and part of what [`testing`](crate::testing) reports of a failure. Prints as lanes of text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Timeline {
    events: Vec<Event>,
    /// The name that each task had last, by its number.
    names: BTreeMap<u64, Arc<str>>,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Event {
    /// The turn of the loop, from `1` on; `0` before the first.
    pub turn: u64,
    /// The loop's time.
    pub time: Duration,
    /// The task that it happened to, by its number in the order of creation: `Task-2` is `2`. `None` for a note from outside any.
    pub task: Option<u64>,
    /// What happened.
    pub kind: EventKind,
}

/// What can happen to a task.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum EventKind {
    /// It was created, by another task or from outside any, and its first step is queued.
    Spawned {
        /// The task that created it.
        by: Option<u64>,
    },
    /// A step of it begins.
    Stepped,
    /// The step is over, and the task waits: for several things, if it is in a `join!` or `select!`.
    Suspended {
        /// What for.
        on: Vec<Wait>,
    },
    /// The step is over, and the next one is queued already: a bare yield, or a wake that came during the step.
    Yielded,
    /// What it waited for has come, and its next step is queued.
    Woken {
        /// The task whose step did it. `None` for a timer, and from outside.
        by: Option<u64>,
        /// By what means.
        through: Cause,
    },
    /// A timer that it had set has run.
    TimerFired,
    /// It was asked to stop.
    CancelRequested {
        /// By whom.
        by: Requester,
    },
    /// One of its awaits has returned [`Error::Cancelled`](crate::Error::Cancelled).
    CancelDelivered,
    /// It holds a lock from now on, or a permit.
    Acquired {
        /// The primitive's label.
        what: Arc<str>,
    },
    /// It gave the lock or a permit back.
    Released {
        /// The primitive's label.
        what: Arc<str>,
    },
    /// It has ended.
    Finished {
        /// How.
        how: Finish,
    },
    /// Somebody wrote this down: [`Probe::note`](crate::testing::Probe::note).
    Note {
        /// What was written.
        text: String,
    },
    /// An explorer departed here from what asyncio would have done.
    Departed {
        /// In what way.
        text: String,
    },
    /// The run has failed here.
    Failed {
        /// In what way.
        text: String,
    },
}

/// What a suspended task waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Wait {
    /// A primitive, by its label.
    Primitive(Arc<str>),
    /// A time of the loop's clock: a sleep.
    Time(Duration),
    /// The end of a task, by its number.
    Task(u64),
    /// The next turn.
    Turn,
    /// A future that is not ours.
    Foreign,
}

/// By what means a task was woken.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// A primitive, by its label: somebody released it, set it, notified it.
    Primitive(Arc<str>),
    /// The timer of a sleep.
    Timer,
    /// The timer of a `wait_for`.
    Timeout,
    /// The end of a task that it awaits, by its number.
    Task(u64),
    /// A request to cancel.
    Cancel,
    /// A [`Waker`](std::task::Waker) that a future not ours has kept.
    Waker,
    /// The hops that asyncio takes over a timeout of zero.
    Hop,
    /// An explorer polls it without a cause.
    Spurious,
}

/// Who asked a task to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Requester {
    /// A task, by its number: itself perhaps.
    Task(u64),
    /// A `wait_for` of its own, whose time is over.
    Timeout,
    /// The loop, at the end of a run.
    Shutdown,
    /// An explorer.
    Explorer,
    /// Somebody outside any task.
    Outside,
}

/// How a task ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Finish {
    /// It returned.
    Returned,
    /// It raised an error, which prints so.
    Raised(String),
    /// It was cancelled.
    Cancelled,
    /// It was dropped where it stood.
    Dropped,
    /// It panicked.
    Panicked,
}

impl Timeline {
    /// What happened, in order.
    #[must_use]
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// The numbers of the tasks that were there, in the order of creation.
    pub fn tasks(&self) -> impl Iterator<Item = u64> {
        self.names.keys().copied()
    }

    /// The name of a task: the last one that it had.
    ///
    /// # Panics
    /// If there is no such task.
    #[must_use]
    pub fn name(&self, task: u64) -> &str {
        &self.names[&task]
    }

    /// Adds how a run has failed.
    pub(crate) fn fail(&mut self, text: String) {
        let (turn, time) = self
            .events
            .last()
            .map_or((0, Duration::ZERO), |last| (last.turn, last.time));
        self.events.push(Event {
            turn,
            time,
            task: None,
            kind: EventKind::Failed { text },
        });
    }

    pub(crate) fn new(events: Vec<Event>, names: BTreeMap<u64, Arc<str>>) -> Self {
        Self { events, names }
    }
}
