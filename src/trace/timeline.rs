//! The timeline: what happened in a run, event by event. Plain data; nothing of the loop lives here.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// What happened in a run of a loop, in order.
///
/// Made by [`record`](super::record()), and part of what [`testing`](crate::testing) reports of a failure. Prints as lanes of text.
///
/// # Examples
/// ```
/// use {soloop::{EventLoop, Lock, create_task, sleep, trace}, std::time::Duration};
///
/// let run = || {
///     let (_, timeline) = trace::record(&mut EventLoop::with_virtual_clock(), async {
///         let lock = Lock::new();
///         create_task(lock.acquire());
///         sleep(Duration::from_secs(1)).await?;
///         lock.release()
///     });
///     timeline
/// };
/// assert_eq!(run(), run(), "the same order each time");
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Timeline {
    events: Vec<Event>,
    /// The name that each task had last, by its number.
    names: BTreeMap<u64, Arc<str>>,
}

/// Something that happened.
///
/// # Examples
/// ```
/// use {soloop::{EventLoop, create_task, sleep, trace::{EventKind, record}}, std::time::Duration};
///
/// let (_, timeline) = record(&mut EventLoop::with_virtual_clock(), async {
///     create_task(sleep(Duration::from_secs(60))).await
/// });
/// let mut ends = timeline.events().iter().filter(|event| matches!(event.kind, EventKind::Finished { .. }));
/// let first = ends.next().unwrap();
/// assert_eq!((first.task, first.time, first.turn), (Some(2), Duration::from_secs(60), 4));
/// ```
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
///
/// # Examples
/// ```
/// use soloop::{EventLoop, Lock, create_task, trace::{EventKind, record}};
///
/// let (_, timeline) = record(&mut EventLoop::new(), async {
///     let lock = Lock::new();
///     let first = create_task(lock.acquire());
///     lock.acquire().await?;
///     lock.release()?;
///     first.await
/// });
/// let holders = timeline.events().iter().filter_map(|event| match event.kind {
///     EventKind::Acquired { .. } => event.task,
///     _ => None,
/// });
/// assert_eq!(holders.collect::<Vec<_>>(), [1, 2]);
/// ```
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
///
/// # Examples
/// ```
/// use soloop::{EventLoop, create_task, sleep, trace::{EventKind, Wait, record}};
///
/// let (_, timeline) = record(&mut EventLoop::with_virtual_clock(), async {
///     create_task(sleep(std::time::Duration::from_secs(1))).await
/// });
/// let waits = timeline.events().iter().filter_map(|event| match &event.kind {
///     EventKind::Suspended { on } => Some(&on[..]),
///     _ => None,
/// });
/// assert!(waits.eq([[Wait::Task(2)], [Wait::Time(std::time::Duration::from_secs(1))]]));
/// ```
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
///
/// # Examples
/// ```
/// use {soloop::{Event, EventLoop, wait_for, trace::{Cause, EventKind, record}}, std::time::Duration};
///
/// let (_, timeline) = record(&mut EventLoop::with_virtual_clock(), async {
///     wait_for(Event::new().wait(), Duration::from_secs(1)).await
/// });
/// let timeouts = timeline.events().iter().filter(|event| {
///     matches!(event.kind, EventKind::Woken { through: Cause::Timeout, .. })
/// });
/// assert_eq!(timeouts.count(), 1);
/// ```
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
///
/// # Examples
/// ```
/// use soloop::{Event, EventLoop, create_task, trace::{EventKind, Requester, record}};
///
/// let (_, timeline) = record(&mut EventLoop::new(), async {
///     create_task(Event::new().wait()); // and main ends before it
///     Ok(())
/// });
/// assert!(timeline.events().iter().any(|event| {
///     event.kind == EventKind::CancelRequested { by: Requester::Shutdown }
/// }));
/// ```
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
///
/// # Examples
/// ```
/// use soloop::{Error, EventLoop, create_task, trace::{EventKind, Finish, record}};
///
/// let (_, timeline) = record(&mut EventLoop::new(), async {
///     let _ = create_task(async { Err::<(), _>(Error::other("out of flour")) }).await;
///     Ok(())
/// });
/// let mut raised = timeline.events().iter().filter_map(|event| match &event.kind {
///     EventKind::Finished { how: Finish::Raised(text) } => Some(text.as_str()),
///     _ => None,
/// });
/// assert_eq!(raised.next(), Some("out of flour"));
/// ```
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
    ///
    /// # Examples
    /// ```
    /// # use {soloop::{EventLoop, Result, sleep, trace::{EventKind, record}}, std::time::Duration};
    /// async fn yield_often() -> Result<()> {
    ///     for _ in 0..5 {
    ///         sleep(Duration::ZERO).await?;
    ///     }
    ///     Ok(())
    /// }
    /// let (_, timeline) = record(&mut EventLoop::new(), yield_often());
    /// let steps = timeline.events().iter().filter(|event| event.kind == EventKind::Stepped);
    /// assert_eq!(steps.count(), 6);
    /// ```
    #[must_use]
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// The numbers of the tasks that were there, in the order of creation.
    ///
    /// # Examples
    /// ```
    /// # use {soloop::{EventLoop, create_task, trace::record}};
    /// let (_, timeline) = record(&mut EventLoop::new(), async {
    ///     for _ in 0..3 {
    ///         create_task(async { Ok(()) });
    ///     }
    ///     Ok(())
    /// });
    /// assert_eq!(timeline.tasks().count(), 1 + 3); // main, and three
    /// ```
    pub fn tasks(&self) -> impl Iterator<Item = u64> {
        self.names.keys().copied()
    }

    /// The name of a task: the last one that it had.
    ///
    /// # Panics
    /// If there is no such task.
    ///
    /// # Examples
    /// ```
    /// # use {soloop::{EventLoop, create_task, trace::record}};
    /// let (_, timeline) = record(&mut EventLoop::new(), async {
    ///     create_task(async { Ok(()) }).set_name("baker");
    ///     Ok(())
    /// });
    /// let names: Vec<_> = timeline.tasks().map(|task| timeline.name(task)).collect();
    /// assert_eq!(names, ["Task-1", "baker"]);
    /// ```
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
