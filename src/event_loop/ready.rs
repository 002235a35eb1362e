//! The ready queue: what is to run, first come first served. Plain data.
//!
//! Two vectors, swapped when a turn begins. "Run exactly what stands there now" is then no count to keep: what a
//! handle queues goes into the other vector.
//!
//! In asyncio this is `BaseEventLoop._ready`, and `ntodo` in `_run_once`.

use super::key::{TaskKey, TimerKey};

/// An entry of the ready queue.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Handle {
    /// A task's next step.
    Step(TaskKey),
    /// A timer that has come due.
    Timer(TimerKey),
}

/// A handle as a number: the highest bit tells the sort.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry(u32);

const TIMER: u32 = 1 << 31;

impl From<Handle> for Entry {
    #[inline]
    fn from(handle: Handle) -> Self {
        match handle {
            Handle::Step(task) => Self(task.get()),
            Handle::Timer(timer) => Self(timer.get() | TIMER),
        }
    }
}

impl Entry {
    /// The task, if this is a step: what most are.
    #[inline]
    pub(crate) fn step(self) -> Option<TaskKey> {
        match self.0 & TIMER {
            0 => TaskKey::from_get(self.0),
            _ => None,
        }
    }

    /// The handle. Always there, since no key is zero.
    #[inline]
    fn handle(self) -> Option<Handle> {
        match self.0 & TIMER {
            0 => TaskKey::from_get(self.0).map(Handle::Step),
            _ => TimerKey::from_get(self.0 & !TIMER).map(Handle::Timer),
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Ready {
    turn: Vec<Entry>,
    /// How many handles of the turn have been taken.
    taken: usize,
    next: Vec<Entry>,
}

impl Ready {
    #[inline]
    pub(crate) fn push(&mut self, handle: Handle) {
        self.next.push(handle.into());
    }

    /// The same, if there is room. Says whether there was.
    #[inline]
    pub(crate) fn push_within_capacity(&mut self, handle: Handle) -> bool {
        let fits = self.next.len() < self.next.capacity();
        if fits {
            self.next.push(handle.into());
        }
        fits
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.next.is_empty() && self.taken == self.turn.len()
    }

    /// Puts a handle behind those of this turn, where it would stand if it had come in time.
    pub(crate) fn push_late(&mut self, handle: Handle) {
        self.turn.push(handle.into());
    }

    /// Begins a turn with what stands in the queue now.
    pub(crate) fn begin_turn(&mut self) {
        debug_assert_eq!(self.taken, self.turn.len(), "a turn runs to its end");
        self.turn.clear();
        self.taken = 0;
        std::mem::swap(&mut self.turn, &mut self.next);
    }

    /// Sets aside a turn that has just begun, for somebody who runs it handle by handle.
    pub(crate) fn set_aside(&mut self, aside: &mut Vec<Handle>) {
        aside.extend(self.turn.drain(self.taken..).filter_map(Entry::handle));
    }

    /// Puts what is left of that back, since the turn will not be run to its end.
    pub(crate) fn put_back(&mut self, left: &[Handle]) {
        self.turn.extend(left.iter().copied().map(Entry::from));
    }

    /// What the next turn will begin with.
    pub(crate) fn next_turn(&self) -> impl Iterator<Item = Handle> + '_ {
        self.next.iter().filter_map(|entry| entry.handle())
    }

    /// How many handles that is.
    pub(crate) fn next_turn_len(&self) -> usize {
        self.next.len()
    }

    /// Takes a handle of the next turn out of its place.
    pub(crate) fn take_of_next_turn(&mut self, place: usize) -> Option<Handle> {
        self.next.remove(place).handle()
    }

    /// Makes this handle all that is left of this turn.
    pub(crate) fn only(&mut self, handle: Handle) {
        debug_assert_eq!(self.taken, self.turn.len(), "the rest was set aside");
        self.turn.clear();
        self.taken = 0;
        self.turn.push(handle.into());
    }

    /// The next handle of this turn, not yet looked at.
    #[inline]
    pub(crate) fn first_entry(&self) -> Option<Entry> {
        self.turn.get(self.taken).copied()
    }

    /// The next handle of this turn.
    #[inline]
    pub(crate) fn first(&self) -> Option<Handle> {
        self.first_entry()?.handle()
    }

    /// Takes the next handle of this turn, which has been looked at.
    #[inline]
    pub(crate) fn take_first(&mut self) {
        self.taken += 1;
    }

    /// Takes everything, of this turn and the next: the loop has ended.
    pub(crate) fn drain(&mut self) -> Vec<Handle> {
        let mut left = self.turn.split_off(self.taken);
        left.append(&mut self.next);
        self.turn.clear();
        self.taken = 0;
        left.into_iter().filter_map(Entry::handle).collect()
    }
}
