//! Timelines written down by hand, for the tests of those who draw them.

use super::{Cause, Event, EventKind, EventKind::*, Finish, Requester, Timeline, Wait};
use std::{sync::Arc, time::Duration};

#[derive(Default)]
pub(super) struct ByHand {
    turn: u64,
    time: Duration,
    events: Vec<Event>,
}

impl ByHand {
    /// What follows happens in the next turn.
    pub(super) fn turn(mut self) -> Self {
        self.turn += 1;
        self
    }

    pub(super) fn at(self, millis: u64) -> Self {
        self.at_nanos(millis * 1_000_000)
    }

    pub(super) fn at_nanos(mut self, nanos: u64) -> Self {
        self.time = Duration::from_nanos(nanos);
        self
    }

    pub(super) fn event(mut self, task: impl Into<Option<u64>>, kind: EventKind) -> Self {
        self.events.push(Event {
            turn: self.turn,
            time: self.time,
            task: task.into(),
            kind,
        });
        self
    }

    /// A step of the task, with its own events and, by their numbers, those of others.
    pub(super) fn step(
        self,
        task: u64,
        events: impl IntoIterator<Item = (u64, EventKind)>,
        end: EventKind,
    ) -> Self {
        let begun = self.event(task, Stepped);
        let done = events
            .into_iter()
            .fold(begun, |run, (task, kind)| run.event(task, kind));
        done.event(task, end)
    }

    /// A timer of the task, which wakes it.
    pub(super) fn timer(self, task: u64) -> Self {
        self.event(task, TimerFired).event(
            task,
            Woken {
                by: None,
                through: Cause::Timer,
            },
        )
    }

    pub(super) fn named(self, names: &[&str]) -> Timeline {
        let names = names.iter().map(|name| Arc::from(*name));
        Timeline::new(self.events, (1..).zip(names).collect())
    }

    /// The names are those that tasks have by themselves.
    pub(super) fn tasks(self, count: u64) -> Timeline {
        let names = (1..=count).map(|n| (n, format!("Task-{n}").into()));
        Timeline::new(self.events, names.collect())
    }
}

pub(super) fn spawned(by: u64) -> EventKind {
    Spawned { by: Some(by) }
}

pub(super) fn acquired(what: &str) -> EventKind {
    Acquired { what: what.into() }
}

pub(super) fn released(what: &str) -> EventKind {
    Released { what: what.into() }
}

pub(super) fn woken(by: u64, what: &str) -> EventKind {
    Woken {
        by: Some(by),
        through: Cause::Primitive(what.into()),
    }
}

pub(super) fn joined(by: u64) -> EventKind {
    Woken {
        by: Some(by),
        through: Cause::Task(by),
    }
}

pub(super) fn waits(what: &str) -> EventKind {
    Suspended {
        on: vec![Wait::Primitive(what.into())],
    }
}

pub(super) fn sleeps(until: u64) -> EventKind {
    Suspended {
        on: vec![Wait::Time(Duration::from_millis(until))],
    }
}

pub(super) fn awaits(task: u64) -> EventKind {
    Suspended {
        on: vec![Wait::Task(task)],
    }
}

pub(super) fn asked(by: Requester) -> EventKind {
    CancelRequested { by }
}

pub(super) fn cancelled() -> EventKind {
    Finished {
        how: Finish::Cancelled,
    }
}

pub(super) fn returns() -> EventKind {
    Finished {
        how: Finish::Returned,
    }
}

/// Two clerks, of whom the second has to wait for the lock that the first sleeps under.
pub(super) fn handoff() -> Timeline {
    ByHand::default()
        .event(1, Spawned { by: None })
        .turn()
        .step(1, [(2, spawned(1)), (3, spawned(1))], awaits(2))
        .turn()
        .step(2, [(2, acquired("Lock-1"))], sleeps(100))
        .step(3, [], waits("Lock-1"))
        .turn()
        .at(100)
        .timer(2)
        .turn()
        .event(2, Stepped)
        .event(2, released("Lock-1"))
        .event(3, woken(2, "Lock-1"))
        .event(2, returns())
        .event(1, joined(2))
        .turn()
        .step(3, [(3, acquired("Lock-1"))], sleeps(200))
        .step(1, [], awaits(3))
        .turn()
        .at(200)
        .timer(3)
        .turn()
        .event(3, Stepped)
        .event(3, released("Lock-1"))
        .event(3, returns())
        .event(1, joined(3))
        .turn()
        .step(1, [], returns())
        .tasks(3)
}

/// What can go wrong, all at once: a departure, a cancel, a note, an error, a task that is dropped, a deadlock.
pub(super) fn trouble() -> Timeline {
    ByHand::default()
        .event(1, Spawned { by: None })
        .turn()
        .step(1, [(2, spawned(1)), (3, spawned(1)), (4, spawned(1))], Yielded)
        .turn()
        .event(3, Departed { text: "it goes first".into() })
        .step(3, [(3, acquired("Lock 'db'"))], waits("Event-1"))
        .step(2, [(2, Note { text: "I <want> the \"db\"".into() })], waits("Lock 'db'"))
        .step(4, [], Finished { how: Finish::Raised("ValueError: no & no".into()) })
        .step(1, [(2, asked(Requester::Task(1))), (2, Woken { by: Some(1), through: Cause::Cancel })], awaits(2))
        .turn()
        .step(2, [(2, CancelDelivered)], cancelled())
        .event(1, joined(2))
        .turn()
        .step(1, [], awaits(3))
        .event(None, Failed { text: "deadlock: Task-1 waits for <Task pending name='Task-3'>\nTask-3 waits for <Event [unset, waiters:1]>".into() })
        .event(3, Finished { how: Finish::Dropped })
        .tasks(4)
}

/// So many tasks that each take a step in each turn, and wait for a different thing each time.
pub(super) fn crowd(tasks: u64, turns: u64) -> Timeline {
    let created = (1..=tasks).fold(ByHand::default(), |run, task| {
        run.event(task, Spawned { by: None })
    });
    let ran = (1..=turns).fold(created, |run, turn| {
        (1..=tasks).fold(run.turn(), |run, task| {
            let next = task % tasks + 1;
            let what = format!("Lock-{}", (task + turn) % 5 + 1);
            run.step(
                task,
                [
                    (task, acquired(&what)),
                    (task, released(&what)),
                    (next, woken(task, &what)),
                ],
                waits(&what),
            )
        })
    });
    ran.tasks(tasks)
}
