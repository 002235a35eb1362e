//! The timer wheel: deadlines by exact value, ties in the order they were made. Plain data, no future in sight.
//!
//! Time is counted in nanoseconds, read as digits of six bits. A timer lies on the *level* of the highest
//! digit in which its deadline differs from `elapsed`, in the *slot* that this digit names:
//!
//! ```text
//! level 2   | 64 slots of 4.096 µs each |     a slot is a list of timers, oldest first
//! level 1   | 64 slots of 64 ns each    |
//! level 0   | 64 slots of 1 ns each     |     all timers of a slot are due at the same instant
//! ```
//!
//! The lowest occupied level holds the next timers, in its lowest occupied slot. When time gets there, the
//! slot is dealt out over the levels below, so a timer moves at most once per level, and only down. Nothing
//! is rounded: a timer is handed out at its deadline, never before, and in the order of (deadline, number).
//!
//! asyncio keeps a binary heap, `BaseEventLoop._scheduled`, in which equal deadlines come out in any order.

use std::time::Duration;

use super::{arena::Arena, key::TimerKey};

const DIGIT: u32 = 6;
const SLOTS: usize = 1 << DIGIT;
const LEVELS: usize = u64::BITS.div_ceil(DIGIT) as usize;

/// Where a timer stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Slot {
        level: u8,
        slot: u8,
    },
    /// Its handle stands in the ready queue.
    Due,
    /// Cancelled while its handle stood in the ready queue.
    Dead,
}

#[derive(Debug)]
struct Timer<P> {
    deadline: Duration,
    number: u64,
    payload: P,
    place: Place,
    previous: Option<TimerKey>,
    next: Option<TimerKey>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    first: Option<TimerKey>,
    last: Option<TimerKey>,
}

#[derive(Debug)]
struct Level {
    /// Invariant: bit `n` is set if and only if slot `n` is not empty.
    occupied: u64,
    slots: [Slot; SLOTS],
}

#[derive(Debug)]
pub(crate) struct Wheel<P> {
    timers: Arena<Timer<P>>,
    /// Empty until the first timer: a loop that never sleeps never pays for them.
    levels: Vec<Level>,
    /// Invariant: bit `n` is set if and only if level `n` is occupied.
    occupied: u16,
    /// Invariant: no timer in a slot is due before this instant, but those that were late when they came.
    elapsed: u64,
    /// The number of the next timer: ties are broken by it.
    next_number: u64,
    /// The earliest deadline, if it is known.
    earliest: Option<Duration>,
    /// Reused by `expire`, to bring the timers of one slot into order.
    due: Vec<(Duration, u64, TimerKey)>,
}

/// An instant as the wheel's slots count it. Deadlines more than 584 years away share the last one, and are told apart
/// when it comes.
fn instant(time: Duration) -> u64 {
    time.as_secs()
        .checked_mul(1_000_000_000)
        .and_then(|nanos| nanos.checked_add(time.subsec_nanos().into()))
        .unwrap_or(u64::MAX)
}

impl<P: Copy> Wheel<P> {
    pub(crate) fn new() -> Self {
        Self {
            timers: Arena::new(),
            levels: Vec::new(),
            occupied: 0,
            elapsed: 0,
            next_number: 0,
            earliest: None,
            due: Vec::new(),
        }
    }

    /// Whether no timer is set. Those that are due do not count.
    pub(crate) fn is_empty(&self) -> bool {
        self.occupied == 0
    }

    /// How many timers there are, those included that are due.
    pub(crate) fn len(&self) -> usize {
        self.timers.len()
    }

    /// Takes a number, which is the timer's place among equal deadlines.
    pub(crate) fn reserve(&mut self) -> u64 {
        self.next_number += 1;
        self.next_number
    }

    /// Sets a timer under a number taken before.
    pub(crate) fn insert(&mut self, deadline: Duration, number: u64, payload: P) -> TimerKey {
        if self.levels.is_empty() {
            self.levels.resize_with(LEVELS, || Level {
                occupied: 0,
                slots: [Slot::default(); SLOTS],
            });
        }
        match self.earliest {
            None if self.occupied == 0 => self.earliest = Some(deadline),
            Some(earliest) if deadline < earliest => self.earliest = Some(deadline),
            _ => {}
        }
        let timer = Timer {
            deadline,
            number,
            payload,
            place: Place::Due,
            previous: None,
            next: None,
        };
        let key = TimerKey::new(self.timers.insert(timer));
        self.link(key, instant(deadline));
        key
    }

    /// Makes a timer that is due already: the caller puts its handle into the ready queue.
    pub(crate) fn insert_due(&mut self, payload: P) -> TimerKey {
        let timer = Timer {
            deadline: Duration::ZERO,
            number: 0,
            payload,
            place: Place::Due,
            previous: None,
            next: None,
        };
        TimerKey::new(self.timers.insert(timer))
    }

    /// Cancels a timer. One whose handle stands in the ready queue stays until the handle's turn.
    pub(crate) fn cancel(&mut self, key: TimerKey) {
        let timer = &mut self.timers[key.index()];
        match timer.place {
            Place::Slot { level, slot } => {
                if self.earliest == Some(timer.deadline) {
                    self.earliest = None;
                }
                self.unlink(key, level, slot);
                self.timers.free(key.index());
            }
            Place::Due => timer.place = Place::Dead,
            Place::Dead => debug_assert!(false, "a timer is cancelled once"),
        }
    }

    /// What a due timer is for, unless it was cancelled. The timer stays.
    pub(crate) fn payload(&self, key: TimerKey) -> Option<P> {
        let timer = &self.timers[key.index()];
        (timer.place == Place::Due).then_some(timer.payload)
    }

    /// When a timer is due.
    pub(crate) fn deadline(&self, key: TimerKey) -> Duration {
        self.timers[key.index()].deadline
    }

    /// Says anew what a timer is for.
    pub(crate) fn set_payload(&mut self, key: TimerKey, payload: P) {
        self.timers[key.index()].payload = payload;
    }

    /// Forgets a timer whose handle has run.
    pub(crate) fn remove_due(&mut self, key: TimerKey) {
        debug_assert!(
            !matches!(self.timers[key.index()].place, Place::Slot { .. }),
            "its handle has run"
        );
        self.timers.free(key.index());
    }

    /// What the timers of this deadline are for, which is the earliest, in the order in which they were made.
    pub(crate) fn due_at(&self, earliest: Duration) -> Vec<P> {
        let mut due = Vec::new();
        let (level, slot) = self.lowest();
        let mut next = self.levels[level].slots[slot].first;
        while let Some(key) = next {
            let timer = &self.timers[key.index()];
            if timer.deadline == earliest {
                due.push((timer.number, timer.payload));
            }
            next = timer.next;
        }
        due.sort_unstable_by_key(|&(number, _)| number);
        due.into_iter().map(|(_, payload)| payload).collect()
    }

    /// Begins at zero again, if no timer is left. Says whether it did.
    pub(crate) fn rewind(&mut self) -> bool {
        self.elapsed = 0;
        self.next_number = 0;
        self.earliest = None;
        self.timers.is_empty()
    }

    /// The earliest deadline of all timers that are not due yet.
    pub(crate) fn earliest(&mut self) -> Option<Duration> {
        if self.occupied == 0 {
            return None;
        }
        if self.earliest.is_none() {
            let (level, slot) = self.lowest();
            let mut next = self.levels[level].slots[slot].first;
            while let Some(key) = next {
                let timer = &self.timers[key.index()];
                if self
                    .earliest
                    .is_none_or(|earliest| timer.deadline < earliest)
                {
                    self.earliest = Some(timer.deadline);
                }
                next = timer.next;
            }
        }
        self.earliest
    }

    /// Takes every timer with `deadline <= now` out of its slot, in the order of deadlines, ties as they were made.
    pub(crate) fn expire(&mut self, now: Duration, mut due: impl FnMut(TimerKey)) {
        if self.occupied == 0 {
            self.elapsed = self.elapsed.max(instant(now));
            return;
        }
        if self.earliest.is_some_and(|earliest| earliest > now) {
            return;
        }
        let until = instant(now);
        while self.occupied != 0 {
            let (level, slot) = self.lowest();
            let start = self.start(level, slot);
            if start > until {
                break;
            }
            self.elapsed = start;
            self.earliest = None;
            let list = std::mem::take(&mut self.levels[level].slots[slot]);
            self.mark_empty(level, slot);
            if level > 0 {
                self.deal_out(list, until, &mut due);
            } else if self.hand_out(list, now, &mut due) {
                break;
            }
        }
        self.elapsed = self.elapsed.max(until);
    }

    /// Spreads the timers of a slot that time has reached over the levels below. A lone timer that is due needs no
    /// other level to be found in order.
    fn deal_out(&mut self, list: Slot, until: u64, due: &mut impl FnMut(TimerKey)) {
        if let Some(key) = list.first.filter(|_| list.first == list.last) {
            let timer = &mut self.timers[key.index()];
            let at = instant(timer.deadline);
            if at <= until && at < u64::MAX {
                timer.place = Place::Due;
                self.elapsed = at;
                return due(key);
            }
        }
        let mut next = list.first;
        while let Some(key) = next {
            let timer = &self.timers[key.index()];
            next = timer.next;
            let at = instant(timer.deadline);
            self.link(key, at);
        }
    }

    /// Hands out what is due of a slot of one instant. Says whether something was put back, which happens only to
    /// deadlines that share the last instant.
    fn hand_out(&mut self, list: Slot, now: Duration, due: &mut impl FnMut(TimerKey)) -> bool {
        if let Some(key) = list.first.filter(|_| list.first == list.last) {
            let timer = &mut self.timers[key.index()];
            if timer.deadline <= now {
                timer.place = Place::Due;
                due(key);
                return false;
            }
        }
        let mut batch = std::mem::take(&mut self.due);
        let mut next = list.first;
        while let Some(key) = next {
            let timer = &self.timers[key.index()];
            batch.push((timer.deadline, timer.number, key));
            next = timer.next;
        }
        batch.sort_unstable_by_key(|&(deadline, number, _)| (deadline, number));
        let mut put_back = false;
        for (deadline, _, key) in batch.drain(..) {
            if deadline <= now {
                self.timers[key.index()].place = Place::Due;
                due(key);
            } else {
                put_back = true;
                self.link(key, u64::MAX);
            }
        }
        self.due = batch;
        put_back
    }

    /// The lowest occupied level and its lowest occupied slot: what is due next.
    fn lowest(&self) -> (usize, usize) {
        let level = self.occupied.trailing_zeros() as usize;
        (level, self.levels[level].occupied.trailing_zeros() as usize)
    }

    /// The first instant of a slot.
    fn start(&self, level: usize, slot: usize) -> u64 {
        let shift = DIGIT * level as u32;
        let above = self.elapsed.checked_shr(shift + DIGIT).unwrap_or(0);
        above.checked_shl(shift + DIGIT).unwrap_or(0) | (slot as u64) << shift
    }

    /// Puts a timer where its deadline belongs, behind those that are there.
    #[inline]
    fn link(&mut self, key: TimerKey, at: u64) {
        // One that is late already stands in the slot of the present instant.
        let at = at.max(self.elapsed);
        let level = ((at ^ self.elapsed) | 1).ilog2() / DIGIT;
        let slot = (at >> (DIGIT * level)) as usize % SLOTS;
        let entry = &mut self.levels[level as usize];
        let previous = entry.slots[slot].last.replace(key);
        entry.occupied |= 1 << slot;
        self.occupied |= 1 << level;
        match previous {
            None => entry.slots[slot].first = Some(key),
            Some(previous) => self.timers[previous.index()].next = Some(key),
        }
        let timer = &mut self.timers[key.index()];
        timer.place = Place::Slot {
            level: level as u8,
            slot: slot as u8,
        };
        timer.previous = previous;
        timer.next = None;
    }

    fn unlink(&mut self, key: TimerKey, level: u8, slot: u8) {
        let (level, slot) = (usize::from(level), usize::from(slot));
        let timer = &self.timers[key.index()];
        let (previous, next) = (timer.previous, timer.next);
        match previous {
            None => self.levels[level].slots[slot].first = next,
            Some(previous) => self.timers[previous.index()].next = next,
        }
        match next {
            None => self.levels[level].slots[slot].last = previous,
            Some(next) => self.timers[next.index()].previous = previous,
        }
        if previous.is_none() && next.is_none() {
            self.mark_empty(level, slot);
        }
    }

    fn mark_empty(&mut self, level: usize, slot: usize) {
        self.levels[level].occupied &= !(1 << slot);
        if self.levels[level].occupied == 0 {
            self.occupied &= !(1 << level);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Debug, Clone)]
    enum Op {
        /// A timer this far ahead, with a number taken now, or taken earlier by this many others.
        Insert(u64, u64),
        Cancel(usize),
        /// Time goes on by so much.
        Advance(u64),
        /// Time goes on to the earliest deadline.
        Jump,
    }

    fn op() -> impl Strategy<Value = Op> {
        let delay = prop_oneof![
            0..4u64,
            0..200u64,
            0..100_000u64,
            0..10_000_000_000u64,
            Just(u64::MAX)
        ];
        prop_oneof![
            4 => (delay.clone(), 0..3u64).prop_map(|(delay, late)| Op::Insert(delay, late)),
            2 => any::<usize>().prop_map(Op::Cancel),
            1 => delay.prop_map(|delay| Op::Advance(delay / 2)),
            2 => Just(Op::Jump),
        ]
    }

    proptest! {
        #[test]
        fn hands_out_what_a_sorted_list_would(ops in proptest::collection::vec(op(), 1..200)) {
            let mut wheel = Wheel::new();
            let mut model: Vec<(Duration, u64, usize, TimerKey)> = Vec::new();
            let mut now = Duration::ZERO;
            for (tag, op) in ops.into_iter().enumerate() {
                match op {
                    Op::Insert(delay, late) => {
                        let deadline = now.saturating_add(Duration::from_nanos(delay) * if delay == u64::MAX { 9 } else { 1 });
                        let number = (wheel.reserve() + 4) * 8 - late * 9;
                        let key = wheel.insert(deadline, number, tag);
                        model.push((deadline, number, tag, key));
                    }
                    Op::Cancel(which) if !model.is_empty() => {
                        let (.., key) = model.remove(which % model.len());
                        wheel.cancel(key);
                    }
                    Op::Cancel(_) => {}
                    Op::Advance(by) => now += Duration::from_nanos(by),
                    Op::Jump => now = wheel.earliest().unwrap_or(now).max(now),
                }
                let mut due = Vec::new();
                wheel.expire(now, |key| due.push(key));
                let due: Vec<_> = due
                    .into_iter()
                    .map(|key| {
                        let payload = wheel.payload(key).expect("not cancelled");
                        wheel.remove_due(key);
                        payload
                    })
                    .collect();
                model.sort_by_key(|&(deadline, number, ..)| (deadline, number));
                let split = model.partition_point(|&(deadline, ..)| deadline <= now);
                let expected: Vec<_> = model.drain(..split).map(|(_, _, tag, _)| tag).collect();
                prop_assert_eq!(due, expected);
                prop_assert_eq!(wheel.earliest(), model.iter().map(|&(deadline, ..)| deadline).min());
            }
        }
    }

    #[test]
    fn a_timer_cancelled_when_due_has_no_payload() {
        let mut wheel = Wheel::new();
        let number = wheel.reserve();
        let key = wheel.insert(Duration::from_nanos(5), number, ());
        wheel.expire(Duration::from_nanos(5), |_| {});
        wheel.cancel(key);
        assert_eq!(wheel.payload(key), None);
        wheel.remove_due(key);
        assert!(wheel.timers.is_empty());
    }
}
