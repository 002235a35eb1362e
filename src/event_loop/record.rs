//! What the state writes into the [journal](super::journal), if there is one: each event in the words of `trace`.
//!
//! Nothing here changes what the loop does. All of it is out of the way of a loop that nobody looks at.

use std::rc::Weak;

use super::{
    Loop,
    journal::Journal,
    key::{TaskKey, WaiterKey},
    state::State,
};
use crate::{
    error::Error,
    task::{Ending, Flags, QUEUED, TRACED},
    trace::{self, EventKind, Finish, Requester, Timeline},
    waiter::{Held, Kind, Named, Wake},
};

/// Why a step is queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// A waiter of the task was let go.
    Waiter(WaiterKey),
    /// A request to cancel that nothing else can be told of.
    Request,
    /// A waker that somebody has kept.
    Waker,
    /// The task wants a step in the next turn.
    Yield,
    /// An explorer wants to see what comes of it.
    Spurious,
}

impl Loop {
    /// Begins to write down what happens.
    pub(crate) fn begin_journal(&self) {
        let now = self.now();
        self.open(|state| state.begin_journal(Journal::new(now)));
    }

    /// Ends that, and returns what was written.
    pub(crate) fn close_journal(&self) -> Timeline {
        let journal = self.open(State::end_journal);
        journal.map_or_else(Timeline::default, |journal| journal.close())
    }

    /// A handle is about to run.
    pub(crate) fn date_journal(&self) {
        let now = self.now();
        self.open(|state| {
            if let Some(journal) = &mut state.journal {
                journal.now = now;
            }
        });
    }

    /// A task ends. An error's text is user code's to write.
    #[cold]
    pub(super) fn record_end(&self, task: TaskKey, ending: Ending, error: Option<&Error>) {
        if self.look(|state| state.journal.is_some()) {
            let how = match (ending, error) {
                (Ending::Returned, _) => Finish::Returned,
                (Ending::Cancelled, _) => Finish::Cancelled,
                (Ending::Raised, error) => {
                    Finish::Raised(error.map_or_else(String::new, ToString::to_string))
                }
            };
            self.open(|state| state.write_end(task, how));
        }
    }
}

impl State {
    fn begin_journal(&mut self, journal: Journal) {
        self.journal = Some(Box::new(journal));
        self.traced = TRACED;
        for task in self.in_order_of_creation() {
            self.slot_mut(task).flags.set(TRACED);
            self.write_spawn(task);
        }
    }

    fn end_journal(&mut self) -> Option<Box<Journal>> {
        // The tasks that were recorded keep their flag. They have ended with the run; or that was refused, and then the flag costs
        // them no more than the fast path.
        self.traced = Flags::NONE;
        self.journal.take()
    }

    /// Writes down what happens to a task.
    pub(crate) fn write(&mut self, task: Option<TaskKey>, kind: EventKind) {
        let task = task.map(|task| self.slot(task).number);
        if let Some(journal) = &mut self.journal {
            journal.write(task, kind);
        }
    }

    /// Writes down what happens to the task whose step is running.
    pub(crate) fn write_current(&mut self, kind: EventKind) {
        if self.journal.is_some() {
            self.write(self.here.task.get(), kind);
        }
    }

    #[cold]
    pub(crate) fn write_spawn(&mut self, task: TaskKey) {
        let (name, by) = (self.name(task), self.current_number());
        self.write_name(task, &name);
        self.write(Some(task), EventKind::Spawned { by });
    }

    pub(crate) fn write_name(&mut self, task: TaskKey, name: &str) {
        let number = self.slot(task).number;
        if let Some(journal) = &mut self.journal {
            journal.name(number, name);
        }
    }

    #[cold]
    pub(crate) fn write_wake(&mut self, task: TaskKey, cause: Cause) {
        let through = match cause {
            // The step that is about to end says so.
            Cause::Yield => return,
            Cause::Waker => trace::Cause::Waker,
            Cause::Spurious => trace::Cause::Spurious,
            Cause::Request if self.slot(task).flags.has(QUEUED) => return,
            Cause::Request => trace::Cause::Cancel,
            Cause::Waiter(waiter) => match self.cause_of(waiter) {
                Some(cause) => cause,
                None => return,
            },
        };
        let by = self.current_number();
        self.write(Some(task), EventKind::Woken { by, through });
    }

    /// What let a waiter go.
    fn cause_of(&mut self, waiter: WaiterKey) -> Option<trace::Cause> {
        let waiter = self.waiter(waiter);
        if waiter.wake == Wake::Cancelled {
            let requester = self.journal.as_ref().and_then(|journal| journal.requester);
            return Some(match requester {
                Some(Requester::Timeout) => trace::Cause::Timeout,
                _ => trace::Cause::Cancel,
            });
        }
        Some(match waiter.kind {
            Kind::Queue { queue, .. } => {
                let owner = Weak::clone(&self.queues[queue.index()].owner);
                trace::Cause::Primitive(self.journal.as_mut()?.label(&owner))
            }
            Kind::Sleep { .. } => trace::Cause::Timer,
            Kind::Relay { .. } => trace::Cause::Hop,
            Kind::Join { task } => trace::Cause::Task(self.slot(task).number),
            // Its task has had its wake.
            Kind::Yield | Kind::Foreign | Kind::Scope(_) | Kind::Moved { .. } => return None,
        })
    }

    /// Writes down who asks a task to stop: whoever is known to, or the task that runs, or somebody outside.
    pub(crate) fn write_request(&mut self, task: TaskKey) {
        let Some(journal) = &self.journal else {
            return;
        };
        let by = journal.requester.unwrap_or_else(|| {
            self.current_number()
                .map_or(Requester::Outside, Requester::Task)
        });
        self.write(Some(task), EventKind::CancelRequested { by });
    }

    /// Does something on behalf of somebody whom a journal should name.
    pub(crate) fn on_behalf_of(&mut self, requester: Requester, work: impl FnOnce(&mut Self)) {
        self.set_requester(Some(requester));
        work(self);
        self.set_requester(None);
    }

    fn set_requester(&mut self, requester: Option<Requester>) {
        if let Some(journal) = &mut self.journal {
            journal.requester = requester;
        }
    }

    /// The timer of a waiter runs.
    #[cold]
    pub(super) fn write_timer(&mut self, key: WaiterKey) {
        let waiter = *self.waiter(key);
        let task = self.waiter_task(key);
        if let (Some(task), false) = (task, matches!(waiter.kind, Kind::Relay { .. })) {
            self.write(Some(task), EventKind::TimerFired);
        }
    }

    /// A step has ended, and its task waits, or will have another.
    pub(crate) fn write_suspension(&mut self, task: TaskKey) {
        if self.journal.is_none() {
            return;
        }
        let slot = self.slot(task);
        let kind = if slot.flags.has(QUEUED) {
            EventKind::Yielded
        } else {
            let awaited = self.awaited(slot.youngest, slot.last_step);
            let waits = awaited.into_iter().map(|waiter| self.wait_of(waiter));
            let mut on: Vec<_> = waits.collect();
            if on.is_empty() {
                // It is not ours, and nobody has wrapped it.
                on.push(trace::Wait::Foreign);
            }
            EventKind::Suspended { on }
        };
        self.write(Some(task), kind);
    }

    fn wait_of(&mut self, waiter: WaiterKey) -> trace::Wait {
        let waiter = self.waiter(waiter);
        match waiter.kind {
            Kind::Queue { queue, .. } => {
                let owner = Weak::clone(&self.queues[queue.index()].owner);
                match &mut self.journal {
                    Some(journal) => trace::Wait::Primitive(journal.label(&owner)),
                    None => trace::Wait::Foreign,
                }
            }
            Kind::Sleep { timer: Some(timer) } => trace::Wait::Time(self.wheel.deadline(timer)),
            Kind::Join { task } => trace::Wait::Task(self.slot(task).number),
            Kind::Relay { .. } | Kind::Yield | Kind::Sleep { timer: None } => trace::Wait::Turn,
            Kind::Foreign | Kind::Scope(_) | Kind::Moved { .. } => trace::Wait::Foreign,
        }
    }

    #[cold]
    pub(crate) fn write_holding(&mut self, primitive: &Weak<dyn Named>, held: Held) {
        let Some(journal) = &mut self.journal else {
            return;
        };
        let what = journal.label(primitive);
        let kind = match held {
            Held::Begins => EventKind::Acquired { what },
            Held::Ends => EventKind::Released { what },
        };
        self.write_current(kind);
    }

    /// A task has ended, in one way or another.
    pub(crate) fn write_end(&mut self, task: TaskKey, how: Finish) {
        if self.journal.is_some() {
            self.write(Some(task), EventKind::Finished { how });
        }
    }

    fn current_number(&self) -> Option<u64> {
        self.here.task.get().map(|task| self.slot(task).number)
    }
}
