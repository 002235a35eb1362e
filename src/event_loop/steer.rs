//! What an explorer may do to a loop between two handles, besides choosing the next one.
//!
//! Each is what somebody could do from outside, or the clock: nothing here can bring about a state that a program could not meet.

use std::{rc::Rc, time::Duration};

use super::{Handle, Loop, Stepping, key::TaskKey, record::Cause, state::State};
use crate::{
    task::{DONE, Ending, MAIN, QUEUED},
    trace::{EventKind, Requester},
};

/// What can be done to a task between two handles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) key: TaskKey,
    pub(crate) number: u64,
    pub(crate) is_main: bool,
    /// Whether its step is queued.
    pub(crate) is_queued: bool,
}

impl Loop {
    /// Drops a task where it stands: it is cancelled to whoever awaits it.
    pub(crate) fn drop_where_it_stands(&self, task: TaskKey, stepping: &mut Stepping<'_, '_>) {
        if self.look(|state| state.slot(task).flags.has(MAIN)) {
            stepping.abandon();
            return self.end_step(task, Some(Ending::Cancelled), stepping);
        }
        self.drop_body(task, false);
    }

    /// Lets the next deadline pass, though others are ready.
    pub(crate) fn pass_deadline(&self) -> Option<Duration> {
        let deadline = self.open(|state| state.wheel.earliest())?;
        self.clock.jump(deadline);
        Some(deadline)
    }

    /// Makes the loop as good as new, if nothing has outlived its last run. Says whether it did.
    pub(crate) fn begin_anew(self: &Rc<Self>) -> bool {
        // Whatever waits has a reference, but for a bare yield: see [`Here::begin_anew`](super::here::Here::begin_anew).
        Rc::strong_count(self) == 1 && self.clock.rewind() && self.open(State::begin_anew)
    }
}

impl State {
    /// Asks a task to stop, as an explorer.
    pub(crate) fn cancel_by_explorer(&mut self, task: TaskKey) {
        self.on_behalf_of(Requester::Explorer, |state| {
            state.cancel(task);
        });
    }

    /// Polls a task that nobody has woken.
    pub(crate) fn poll_spuriously(&mut self, task: TaskKey) {
        self.queue_step(task, Cause::Spurious);
    }

    /// Writes down in what way the run departs from asyncio's.
    pub(crate) fn write_departure(&mut self, task: Option<TaskKey>, text: String) {
        self.write(task, EventKind::Departed { text });
    }

    /// The task that a handle is about. `None` if nothing will come of it.
    pub(crate) fn task_of(&self, handle: Handle) -> Option<TaskKey> {
        match handle {
            Handle::Step(task) => (!self.slot(task).flags.has(DONE)).then_some(task),
            Handle::Timer(timer) => {
                let waiter = self.wheel.payload(timer)?;
                self.waiter_task(waiter)
            }
        }
    }

    /// The tasks whose timers are due next.
    pub(crate) fn tasks_due_next(&mut self) -> Vec<TaskKey> {
        let Some(earliest) = self.wheel.earliest() else {
            return Vec::new();
        };
        let due = self.wheel.due_at(earliest).into_iter();
        due.filter_map(|waiter| self.waiter_task(waiter)).collect()
    }

    /// How the tasks stand that have not ended, in the order of creation.
    pub(crate) fn standings(&self, standings: &mut Vec<Standing>) {
        standings.clear();
        for (index, slot) in self.tasks.places() {
            if !slot.flags.has(DONE) {
                standings.push(Standing {
                    key: TaskKey::new(index),
                    number: slot.number,
                    is_main: slot.flags.has(MAIN),
                    is_queued: slot.flags.has(QUEUED),
                });
            }
        }
        standings.sort_unstable_by_key(|standing| standing.number);
    }

    /// A few numbers that tell one state from another, and are at hand.
    #[inline]
    pub(crate) fn fingerprint(&self) -> [u64; 3] {
        let waiting = (self.others.len() as u64) << 32 | self.wheel.len() as u64;
        [self.created, self.alive as u64, waiting]
    }

    fn begin_anew(&mut self) -> bool {
        self.created = 0;
        self.here.begin_anew();
        self.tasks.is_empty()
            && self.others.is_empty()
            && self.queues.is_empty()
            && self.wheel.rewind()
    }
}
