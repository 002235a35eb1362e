//! The timer wheel: deadlines by exact value, ties in the order they were made. Plain data, no future in sight.
//!
//! Time is counted in nanoseconds, read as digits of six bits. A timer lies on the *level* of the highest
//! digit in which its deadline differs from `elapsed`, in the *slot* that this digit names:
//!
//! ```text
//! level 2   | 64 slots of 4.096 µs each |     a slot is a list of timers
//! level 1   | 64 slots of 64 ns each    |
//! level 0   | 64 slots of 1 ns each     |     all timers of a slot are due at the same instant
//! ```
//!
//! The lowest occupied level holds the next timers, in its lowest occupied slot. When time gets there, the
//! slot is dealt out over the levels below, so a timer moves at most once per level, and only down. Nothing
//! is rounded: a timer is handed out at its deadline, never before, and in the order of (deadline, number).
//!
//! A new timer lies in a slot apart, and goes to its level when the wheel has to be looked at. Most timeouts are taken
//! back before that.
//!
//! asyncio keeps a binary heap, `BaseEventLoop._scheduled`, in which equal deadlines come out in any order.

use std::{collections::HashMap, time::Duration};

use super::{arena::Arena, key::TimerKey};

const DIGIT: u32 = 6;
const SLOTS: usize = 1 << DIGIT;
const LEVELS: usize = u64::BITS.div_ceil(DIGIT) as usize;
/// Where new timers lie: the only slot of a level of its own, above all others.
const NEW: usize = LEVELS * SLOTS;

/// Where a timer stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// In this slot, those of all levels counted through.
    Slot(u16),
    /// Its handle stands in the ready queue.
    Due,
    /// Cancelled while its handle stood in the ready queue.
    Dead,
}

/// Two of them fill a line of the cache.
#[derive(Debug)]
struct Timer<P> {
    /// See [`instant`].
    deadline: u64,
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
pub(crate) struct Wheel<P> {
    timers: Arena<Timer<P>>,
    /// Those of all levels, from the lowest on, and `NEW`. Empty until the first timer: a loop that never sleeps never pays
    /// for them.
    slots: Vec<Slot>,
    /// Invariant: bit `n` of a level's is set if and only if its slot `n` is not empty.
    occupied_slots: [u64; LEVELS + 1],
    /// Invariant: bit `n` is set if and only if level `n` is occupied.
    occupied: u16,
    /// Invariant: no timer on a level is due before this instant, but those that were late when they came.
    elapsed: u64,
    /// The earliest deadline, if it is known.
    earliest: Option<u64>,
    /// The deadlines that share the last instant.
    far: HashMap<TimerKey, Duration>,
    /// Reused by `expire`, to bring the timers of one slot into order.
    due: Vec<(Duration, u64, TimerKey)>,
}

/// An instant as the wheel counts it. Deadlines more than 584 years away share the last one, and are told apart when it comes.
#[inline]
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
            slots: Vec::new(),
            occupied_slots: [0; LEVELS + 1],
            occupied: 0,
            elapsed: 0,
            earliest: None,
            far: HashMap::new(),
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

    /// Sets a timer. Its number is its place among equal deadlines.
    #[inline]
    pub(crate) fn insert(&mut self, deadline: Duration, number: u64, payload: P) -> TimerKey {
        if self.slots.is_empty() {
            self.slots.resize(NEW + 1, Slot::default());
        }
        let at = instant(deadline);
        if self.occupied == 0 || self.earliest.is_some_and(|earliest| at < earliest) {
            self.earliest = Some(at);
        }
        let previous = self.slots[NEW].last;
        let timer = Timer {
            deadline: at,
            number,
            payload,
            place: Place::Slot(NEW as u16),
            previous,
            next: None,
        };
        let key = TimerKey::new(self.timers.insert(timer));
        if at == u64::MAX {
            self.far.insert(key, deadline);
        }
        self.append(NEW, previous, key);
        key
    }

    /// Makes a timer that is due already: the caller puts its handle into the ready queue.
    pub(crate) fn insert_due(&mut self, payload: P) -> TimerKey {
        let timer = Timer {
            deadline: 0,
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
            Place::Slot(slot) => {
                let (deadline, previous, next) = (timer.deadline, timer.previous, timer.next);
                if self.earliest == Some(deadline) {
                    self.earliest = None;
                }
                self.unlink(slot.into(), previous, next);
                self.free(key, deadline);
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
        match self.timers[key.index()].deadline {
            u64::MAX => self.far[&key],
            deadline => Duration::from_nanos(deadline),
        }
    }

    /// Says anew what a timer is for.
    pub(crate) fn set_payload(&mut self, key: TimerKey, payload: P) {
        self.timers[key.index()].payload = payload;
    }

    /// Forgets a timer whose handle has run.
    pub(crate) fn remove_due(&mut self, key: TimerKey) {
        let timer = &self.timers[key.index()];
        debug_assert!(!matches!(timer.place, Place::Slot(_)), "its handle has run");
        self.free(key, timer.deadline);
    }

    #[inline]
    fn free(&mut self, key: TimerKey, deadline: u64) {
        if deadline == u64::MAX {
            self.far.remove(&key);
        }
        self.timers.free(key.index());
    }

    /// What the timers of this deadline are for, which is the earliest, in the order in which they were made.
    pub(crate) fn due_at(&mut self, earliest: Duration) -> Vec<P> {
        self.place_new();
        let mut due = Vec::new();
        let mut next = self.slots[self.lowest()].first;
        while let Some(key) = next {
            let timer = &self.timers[key.index()];
            if self.deadline(key) == earliest {
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
        self.earliest = None;
        self.timers.is_empty()
    }

    /// The earliest deadline of all timers that are not due yet.
    #[inline]
    pub(crate) fn earliest(&mut self) -> Option<Duration> {
        if self.occupied == 0 {
            return None;
        }
        match self.earliest.unwrap_or_else(|| self.find_earliest()) {
            u64::MAX => self.earliest_far(),
            earliest => Some(Duration::from_nanos(earliest)),
        }
    }

    fn find_earliest(&mut self) -> u64 {
        self.place_new();
        let mut earliest = u64::MAX;
        let mut next = self.slots[self.lowest()].first;
        while let Some(key) = next {
            let timer = &self.timers[key.index()];
            earliest = earliest.min(timer.deadline);
            next = timer.next;
        }
        self.earliest = Some(earliest);
        earliest
    }

    /// The same if all that are left share the last instant.
    #[cold]
    fn earliest_far(&self) -> Option<Duration> {
        self.far
            .iter()
            .filter(|(key, _)| matches!(self.timers[key.index()].place, Place::Slot(_)))
            .map(|(_, &deadline)| deadline)
            .min()
    }

    /// Takes every timer with `deadline <= now` out of its slot, in the order of deadlines, ties as they were made.
    #[inline]
    pub(crate) fn expire(&mut self, now: Duration, due: impl FnMut(TimerKey)) {
        let until = instant(now);
        if self.earliest.is_none_or(|earliest| earliest <= until) {
            self.hand_out_until(until, now, due);
        }
    }

    fn hand_out_until(&mut self, until: u64, now: Duration, mut due: impl FnMut(TimerKey)) {
        self.place_new();
        self.earliest = None;
        while self.occupied != 0 {
            let slot = self.lowest();
            let list = self.slots[slot];
            // The only timer of its slot needs no other level to be in order.
            if let Some(key) = list.first.filter(|_| list.first == list.last) {
                let timer = &mut self.timers[key.index()];
                if timer.deadline > until {
                    // It stays where it is, and so does the present instant.
                    self.earliest = Some(timer.deadline);
                    return;
                }
                if timer.deadline < u64::MAX {
                    timer.place = Place::Due;
                    self.take(slot);
                    due(key);
                    continue;
                }
            }
            let start = self.start(slot);
            if start > until {
                break;
            }
            self.elapsed = start;
            self.take(slot);
            if slot >= SLOTS {
                self.deal_out(list);
            } else if self.hand_out(list, now, &mut due) {
                break;
            }
        }
        self.elapsed = self.elapsed.max(until);
    }

    /// Puts the new timers where they belong.
    #[inline]
    fn place_new(&mut self) {
        if self.occupied >> LEVELS != 0 {
            let list = self.slots[NEW];
            self.take(NEW);
            self.deal_out(list);
        }
    }

    /// Spreads the timers of a slot over the levels below.
    fn deal_out(&mut self, list: Slot) {
        let mut next = list.first;
        while let Some(key) = next {
            let timer = &self.timers[key.index()];
            next = timer.next;
            self.link(key, timer.deadline);
        }
    }

    /// Hands out what is due of a slot of one instant. Says whether something was put back, which happens only to
    /// deadlines that share the last instant.
    fn hand_out(&mut self, list: Slot, now: Duration, due: &mut impl FnMut(TimerKey)) -> bool {
        let mut batch = std::mem::take(&mut self.due);
        let mut next = list.first;
        while let Some(key) = next {
            let timer = &self.timers[key.index()];
            batch.push((self.deadline(key), timer.number, key));
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

    /// The lowest occupied slot of the lowest occupied level: what is due next, but for new timers.
    #[inline]
    fn lowest(&self) -> usize {
        let level = self.occupied.trailing_zeros() as usize;
        level * SLOTS + self.occupied_slots[level].trailing_zeros() as usize
    }

    /// The first instant of a slot.
    #[inline]
    fn start(&self, slot: usize) -> u64 {
        let shift = DIGIT * (slot / SLOTS) as u32;
        // On the highest level, nothing is above.
        let below = ((SLOTS as u64) << shift).wrapping_sub(1);
        self.elapsed & !below | ((slot % SLOTS) as u64) << shift
    }

    /// Puts a timer where its deadline belongs, behind those that are there.
    #[inline]
    fn link(&mut self, key: TimerKey, at: u64) {
        // One that is late already stands in the slot of the present instant.
        let at = at.max(self.elapsed);
        let level = ((at ^ self.elapsed) | 1).ilog2() / DIGIT;
        let slot = level as usize * SLOTS + (at >> (DIGIT * level)) as usize % SLOTS;
        let previous = self.slots[slot].last;
        let timer = &mut self.timers[key.index()];
        timer.place = Place::Slot(slot as u16);
        timer.previous = previous;
        timer.next = None;
        self.append(slot, previous, key);
    }

    /// Has a slot, and the last one there, know who comes behind.
    #[inline]
    fn append(&mut self, slot: usize, previous: Option<TimerKey>, key: TimerKey) {
        self.slots[slot].last = Some(key);
        match previous {
            Some(previous) => self.timers[previous.index()].next = Some(key),
            None => {
                self.slots[slot].first = Some(key);
                self.occupied_slots[slot / SLOTS] |= 1 << (slot % SLOTS);
                self.occupied |= 1 << (slot / SLOTS);
            }
        }
    }

    #[inline]
    fn unlink(&mut self, slot: usize, previous: Option<TimerKey>, next: Option<TimerKey>) {
        match previous {
            None => self.slots[slot].first = next,
            Some(previous) => self.timers[previous.index()].next = next,
        }
        match next {
            None => self.slots[slot].last = previous,
            Some(next) => self.timers[next.index()].previous = previous,
        }
        if previous.is_none() && next.is_none() {
            self.mark_empty(slot);
        }
    }

    /// Empties a slot.
    #[inline]
    fn take(&mut self, slot: usize) {
        self.slots[slot] = Slot::default();
        self.mark_empty(slot);
    }

    #[inline]
    fn mark_empty(&mut self, slot: usize) {
        let level = slot / SLOTS;
        self.occupied_slots[level] &= !(1 << (slot % SLOTS));
        if self.occupied_slots[level] == 0 {
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
        fn hands_out_what_a_sorted_list_would(ops in proptest::collection::vec((op(), any::<bool>()), 1..200)) {
            let mut wheel = Wheel::new();
            let mut model: Vec<(Duration, u64, usize, TimerKey)> = Vec::new();
            let mut now = Duration::ZERO;
            for (tag, (op, looks)) in ops.into_iter().enumerate() {
                // What is new lies apart until somebody looks.
                let looks = looks || matches!(op, Op::Advance(_) | Op::Jump);
                match op {
                    Op::Insert(delay, late) => {
                        let deadline = now.saturating_add(Duration::from_nanos(delay) * if delay == u64::MAX { 9 } else { 1 });
                        let number = (tag as u64 + 4) * 8 - late * 9;
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
                if !looks {
                    continue;
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
        let key = wheel.insert(Duration::from_nanos(5), 1, ());
        wheel.expire(Duration::from_nanos(5), |_| {});
        wheel.cancel(key);
        assert_eq!(wheel.payload(key), None);
        wheel.remove_due(key);
        assert!(wheel.timers.is_empty());
    }
}
