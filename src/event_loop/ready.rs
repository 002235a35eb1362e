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

#[derive(Debug, Default)]
pub(crate) struct Ready {
    turn: Vec<Handle>,
    /// How many handles of the turn have been taken.
    taken: usize,
    next: Vec<Handle>,
}

impl Ready {
    pub(crate) fn push(&mut self, handle: Handle) {
        self.next.push(handle);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.next.is_empty() && self.taken == self.turn.len()
    }

    /// Puts a handle behind those of this turn, where it would stand if it had come in time.
    pub(crate) fn push_late(&mut self, handle: Handle) {
        self.turn.push(handle);
    }

    /// Begins a turn with what stands in the queue now.
    pub(crate) fn begin_turn(&mut self) {
        debug_assert_eq!(self.taken, self.turn.len(), "a turn runs to its end");
        self.turn.clear();
        self.taken = 0;
        std::mem::swap(&mut self.turn, &mut self.next);
    }

    /// Sets aside a turn that has just begun, in a queue that was empty, for somebody who runs it handle by handle.
    pub(crate) fn set_aside(&mut self, aside: &mut Vec<Handle>) {
        debug_assert!(aside.is_empty() && self.taken == 0);
        std::mem::swap(&mut self.turn, aside);
    }

    /// Puts what is left of that back, since the turn will not be run to its end.
    pub(crate) fn put_back(&mut self, left: &[Handle]) {
        self.turn.extend(left);
    }

    /// What the next turn will begin with.
    pub(crate) fn next_turn(&self) -> &[Handle] {
        &self.next
    }

    /// Takes a handle of the next turn out of its place.
    pub(crate) fn take_of_next_turn(&mut self, place: usize) -> Handle {
        self.next.remove(place)
    }

    /// Makes this handle all that is left of this turn.
    pub(crate) fn only(&mut self, handle: Handle) {
        debug_assert_eq!(self.taken, self.turn.len(), "the rest was set aside");
        self.turn.clear();
        self.taken = 0;
        self.turn.push(handle);
    }

    /// The next handle of this turn.
    #[inline]
    pub(crate) fn first(&self) -> Option<Handle> {
        self.turn.get(self.taken).copied()
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
        left
    }
}
