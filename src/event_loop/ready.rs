//! The ready queue: what is to run, first come first served. Plain data.
//!
//! Two vectors, swapped when a turn begins. "Run exactly what stands there now" is then no count to keep: what a
//! handle queues goes into the other vector. A turn of one handle need not begin: the handle is taken from where it stands.
//!
//! In asyncio this is `BaseEventLoop._ready`, and `ntodo` in `_run_once`.

use super::key::{TaskKey, TimerKey};

/// An entry of the ready queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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

    /// The next turn's one handle, not yet looked at, if it has no other. [`take_lone`](Self::take_lone) is that turn.
    #[inline]
    pub(crate) fn lone_entry(&self) -> Option<Entry> {
        match self.next[..] {
            [lone] => Some(lone),
            _ => None,
        }
    }

    /// Takes the one handle of the next turn, which has been looked at: the turn is over and was never begun.
    #[inline]
    pub(crate) fn take_lone(&mut self) {
        debug_assert_eq!(self.taken, self.turn.len(), "a turn runs to its end");
        self.next.clear();
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
    #[inline]
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

#[cfg(test)]
mod tests {
    use std::mem;

    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone)]
    enum Op {
        Push,
        PushLate,
        Take,
        /// The rest of the turn is taken, and the next begins.
        BeginTurn,
        /// The same, but a turn of one handle is taken without.
        BeginTurnUnlessLone,
        /// The turn is set aside, one handle of it is taken in its stead, and the rest put back.
        SetAside,
        TakeOfNextTurn(usize),
        Drain,
    }

    fn op() -> impl Strategy<Value = Op> {
        prop_oneof![
            4 => Just(Op::Push),
            1 => Just(Op::PushLate),
            3 => Just(Op::Take),
            1 => Just(Op::BeginTurn),
            2 => Just(Op::BeginTurnUnlessLone),
            1 => Just(Op::SetAside),
            1 => any::<usize>().prop_map(Op::TakeOfNextTurn),
            1 => Just(Op::Drain),
        ]
    }

    /// A handle of either sort.
    fn handle(number: u32) -> Handle {
        let step = TaskKey::from_get(number).filter(|_| number % 2 == 0);
        let timer = TimerKey::from_get(number).map(Handle::Timer);
        step.map(Handle::Step).or(timer).expect("not zero")
    }

    fn take(ready: &mut Ready) -> Option<Handle> {
        let first = ready.first();
        if first.is_some() {
            ready.take_first();
        }
        first
    }

    /// Takes what is left of a turn.
    fn take_all(ready: &mut Ready) -> Vec<Handle> {
        std::iter::from_fn(|| take(ready)).collect()
    }

    proptest! {
        #[test]
        fn hands_out_what_two_lists_would(ops in proptest::collection::vec(op(), 1..100)) {
            let mut ready = Ready::default();
            let (mut turn, mut next) = (Vec::new(), Vec::new());
            let mut handles = (1..).map(handle);
            for op in ops {
                match op {
                    Op::Push => {
                        let handle = handles.next().unwrap();
                        if !ready.push_within_capacity(handle) {
                            ready.push(handle);
                        }
                        next.push(handle);
                    }
                    Op::PushLate => {
                        let handle = handles.next().unwrap();
                        ready.push_late(handle);
                        turn.push(handle);
                    }
                    Op::Take if turn.is_empty() => prop_assert_eq!(take(&mut ready), None),
                    Op::Take => prop_assert_eq!(take(&mut ready), Some(turn.remove(0))),
                    Op::BeginTurn => {
                        prop_assert_eq!(take_all(&mut ready), mem::take(&mut turn));
                        ready.begin_turn();
                        mem::swap(&mut turn, &mut next);
                    }
                    Op::BeginTurnUnlessLone => {
                        prop_assert_eq!(take_all(&mut ready), mem::take(&mut turn));
                        mem::swap(&mut turn, &mut next);
                        match ready.lone_entry() {
                            Some(lone) => {
                                prop_assert_eq!(Vec::from_iter(lone.handle()), mem::take(&mut turn));
                                ready.take_lone();
                            }
                            None => {
                                prop_assert_ne!(turn.len(), 1);
                                ready.begin_turn();
                            }
                        }
                    }
                    Op::SetAside => {
                        let mut aside = Vec::new();
                        ready.set_aside(&mut aside);
                        prop_assert_eq!(&aside, &turn);
                        if let Some(last) = aside.pop() {
                            ready.only(last);
                            prop_assert_eq!(take_all(&mut ready), [last]);
                            ready.put_back(&aside);
                            turn = aside;
                        }
                    }
                    Op::TakeOfNextTurn(place) if !next.is_empty() => {
                        let place = place % next.len();
                        prop_assert_eq!(ready.take_of_next_turn(place), Some(next.remove(place)));
                    }
                    Op::TakeOfNextTurn(_) => {}
                    Op::Drain => {
                        turn.append(&mut next);
                        prop_assert_eq!(ready.drain(), mem::take(&mut turn));
                    }
                }
                prop_assert_eq!(ready.first(), turn.first().copied());
                prop_assert_eq!(ready.next_turn().collect::<Vec<_>>(), next.as_slice());
                prop_assert_eq!(ready.next_turn_len(), next.len());
                prop_assert_eq!(ready.is_empty(), turn.is_empty() && next.is_empty());
            }
        }
    }
}
