//! The timer wheel: deadlines by exact value, ties in the order they were made. Plain data, no future in sight.
//!
//! Time is counted in nanoseconds, read as digits of eight bits. A timer lies on the *level* of the highest
//! digit in which its deadline differs from `elapsed`, in the *slot* that this digit names:
//!
//! ```text
//! level 2   | 256 slots of 65.536 µs each |     a slot is a list of timers, in no order
//! level 1   | 256 slots of 256 ns each    |
//! level 0   | 256 slots of 1 ns each      |     all timers of a slot are due at the same instant
//! ```
//!
//! The lowest occupied level holds the next timers, in its lowest occupied slot. If these are few, they are brought to the *front*,
//! in order, and leave it one by one. Whatever comes meanwhile and is due before the last of them joins them there. If they are
//! many, the slot is *split*: its timers are dealt out over 256 slots below it, which become the level below when time gets there.
//! So a timer goes down at most once per level, and the earliest is found without looking through a crowd again and again. Nothing
//! is rounded: a timer is handed out at its deadline, never before, and in the order of (deadline, number).
//!
//! A new timer lies apart, as it came. A turn that begins asks only what it cannot be due before. Its deadline is worked out, and it goes
//! to its level, when that has come, or the earliest of all has to be looked for: many are taken back before.
//!
//! asyncio keeps a binary heap, `BaseEventLoop._scheduled`, in which equal deadlines come out in any order.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashMap},
    iter, mem,
    time::Duration,
};

use super::{
    arena::Arena,
    clock::{Deadline, Origin, Reading},
    key::{NodeKey, SlotKey, TimerKey},
};

const DIGIT: u32 = 8;
const SLOTS: usize = 1 << DIGIT;
const LEVELS: usize = u64::BITS.div_ceil(DIGIT) as usize;
/// There is room for so many in front. More than that in a slot are read through once for the earliest, and then split.
const FEW: usize = 32;

/// Two of them fill a line of the cache.
#[derive(Debug)]
struct Timer<P> {
    /// See [`instant`]. Not known before somebody has looked at it: what stands there then is of no meaning.
    deadline: u64,
    number: u64,
    /// What it is for. `None` if it was cancelled when its handle stood in the ready queue.
    payload: Option<P>,
    place: Place,
    /// Its neighbours, if it lies in a slot.
    previous: Option<TimerKey>,
    next: Option<TimerKey>,
}

/// A timer that has no level yet.
// In this order, so that a deadline is written where it is to be, and not moved there in pieces.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
struct New {
    deadline: Deadline,
    key: TimerKey,
}

/// What `<` says, but the seconds come first, and most of the time they decide.
#[inline]
fn is_shorter(one: Duration, other: Duration) -> bool {
    let (secs, others) = (one.as_secs(), other.as_secs());
    secs < others || secs == others && one.subsec_nanos() < other.subsec_nanos()
}

/// Where a timer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place(u32);

impl Place {
    /// In the ready queue: its handle stands there.
    const DUE: Self = Self(0);
    const FAR: Self = Self(Self::NEW - 1);
    /// In front, and never in a slot. One that was brought there from a slot keeps the name of that, and is told by its deadline.
    const FRONT: Self = Self(Self::NEW - 2);
    /// The bit of those that are new.
    const NEW: u32 = 1 << 31;

    #[inline]
    fn new(index: usize) -> Self {
        Self(index as u32 | Self::NEW)
    }

    /// Its index among those that are new, if it is one of them.
    #[inline]
    fn index(self) -> Option<usize> {
        (self.0 & Self::NEW != 0).then_some((self.0 & !Self::NEW) as usize)
    }

    #[inline]
    fn in_slot(slot: usize) -> Self {
        Self(slot as u32 + 1)
    }

    #[inline]
    fn slot(self) -> usize {
        self.0 as usize - 1
    }
}

/// Timers, or if they were many, 256 slots below this one in their place.
#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    first: Option<TimerKey>,
    below: Option<NodeKey>,
}

/// What 256 slots have in common, a level's or those below a slot. Those of node `n` are the ones from `256 * n` on, and the
/// first nodes are the levels.
#[derive(Debug, Clone, Copy)]
struct Node {
    /// Invariant: slot `n` is marked if and only if it is not empty.
    occupied: Marks,
    /// Slot `n` is marked if it was read through, though crowded: the next time it is split.
    read: Marks,
    /// The slot that these are below. `None` for a level's own.
    above: Option<SlotKey>,
}

/// Marks on some of the slots of a node.
#[derive(Debug, Clone, Copy, Default)]
struct Marks([u64; SLOTS / 64]);

impl Marks {
    #[inline]
    fn set(&mut self, slot: usize) {
        self.0[slot / 64] |= 1 << (slot % 64);
    }

    #[inline]
    fn clear(&mut self, slot: usize) {
        self.0[slot / 64] &= !(1 << (slot % 64));
    }

    /// Marks a slot, or takes its mark away. Says whether it is marked now.
    fn flip(&mut self, slot: usize) -> bool {
        let (word, bit) = (&mut self.0[slot / 64], 1 << (slot % 64));
        *word ^= bit;
        *word & bit != 0
    }

    /// The lowest slot that is marked.
    #[inline]
    fn first(&self) -> Option<usize> {
        let word = self.0.iter().position(|&word| word != 0)?;
        Some(word * 64 + self.0[word].trailing_zeros() as usize)
    }
}

#[derive(Debug)]
pub(crate) struct Wheel<P> {
    timers: Arena<Timer<P>>,
    /// The timers that have no level yet.
    new: Vec<New>,
    /// How many of them, the first ones, have been looked at: their deadlines are known.
    known: usize,
    /// That of the clock which the deadlines are by.
    origin: Origin,
    /// Those of all nodes. Empty until the first timer: a loop that never sleeps never pays for them.
    slots: Vec<Slot>,
    nodes: Arena<Node>,
    /// Invariant: bit `n` is set if and only if level `n` is occupied; the highest three, if and only if a timer is new, in front, or far.
    occupied: u16,
    /// Invariant: no timer on a level is due before this instant, but those that were late when they came.
    elapsed: u64,
    /// The earliest deadline of those that are known, or zero if it is not known. Never a far one.
    earliest: u64,
    /// No timer is due before this. Most turns begin before it, and need not look at any.
    bound: Bound,
    /// The few timers that are due next, but for new ones, the earliest of them last. Invariant: what lies in a slot is due after
    /// them.
    front: Vec<InOrder>,
    /// The timers that share the last instant. They lie in no slot.
    far: BTreeMap<(Duration, u64), TimerKey>,
    /// Their deadlines, and of those of them that are due.
    far_deadlines: HashMap<TimerKey, Duration>,
    /// Reused by `hand_out`, to bring the timers of one slot into order.
    due: Vec<InOrder>,
}

/// What no timer is due before.
#[derive(Debug, Clone, Copy)]
struct Bound {
    then: Then,
    /// Nor is one that is still to come, if it is as long as this and has a higher number: time does not go back. Most timeouts are
    /// as long as the one before.
    delay: Duration,
    number: u64,
}

/// An instant of the wheel's, or what the machine's clock says then, which is compared without working out a time.
#[derive(Debug, Clone, Copy)]
enum Then {
    At(u64),
    Read(Reading),
}

impl Bound {
    const NONE: Self = Self::at(u64::MAX);

    /// This instant: of those that are still to come, nothing is known.
    const fn at(instant: u64) -> Self {
        Self {
            then: Then::At(instant),
            delay: Duration::MAX,
            number: u64::MAX,
        }
    }
}

/// A timer with what it is ordered by: its deadline and its number.
type InOrder = (u64, u64, TimerKey);

/// The bits of `occupied` for what is new, in front, or far.
const NEW: u16 = 1 << (u16::BITS - 1);
const FRONT: u16 = 1 << (u16::BITS - 2);
const FAR: u16 = 1 << (u16::BITS - 3);

/// A deadline and a number as one, to be compared at once.
#[inline]
fn order(deadline: u64, number: u64) -> u128 {
    u128::from(deadline) << 64 | u128::from(number)
}

/// An instant as the wheel counts it. Deadlines more than 584 years away share the last one, and are told apart when it comes.
#[inline]
fn instant(time: Duration) -> u64 {
    time.as_secs()
        .checked_mul(1_000_000_000)
        .and_then(|nanos| nanos.checked_add(time.subsec_nanos().into()))
        .unwrap_or(u64::MAX)
}

/// The place of an instant among the slots of a node on this level.
#[inline]
fn digit(at: u64, level: usize) -> usize {
    (at >> (DIGIT * level as u32)) as usize % SLOTS
}

impl<P> Timer<P> {
    #[inline]
    fn new(place: Place, number: u64, payload: P) -> Self {
        Self {
            deadline: 0,
            number,
            payload: Some(payload),
            place,
            previous: None,
            next: None,
        }
    }
}

impl<P: Copy> Wheel<P> {
    pub(crate) fn new(origin: Origin) -> Self {
        Self {
            timers: Arena::new(),
            new: Vec::new(),
            known: 0,
            origin,
            slots: Vec::new(),
            nodes: Arena::new(),
            occupied: 0,
            elapsed: 0,
            earliest: 0,
            bound: Bound::NONE,
            front: Vec::new(),
            far: BTreeMap::new(),
            far_deadlines: HashMap::new(),
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
    pub(crate) fn insert(
        &mut self,
        deadline: impl Into<Deadline>,
        number: u64,
        payload: P,
    ) -> TimerKey {
        let deadline = deadline.into();
        self.new.reserve(1);
        let timer = Timer::new(Place::new(self.new.len()), number, payload);
        let key = TimerKey::new(self.timers.insert(timer));
        self.push_new(key, deadline, number);
        key
    }

    /// The same, if there is room for it.
    // Always, since the deadline need not be put together then.
    #[inline(always)]
    pub(crate) fn insert_within_capacity(
        &mut self,
        deadline: Deadline,
        number: u64,
        payload: P,
    ) -> Option<TimerKey> {
        if self.new.len() >= self.new.capacity() {
            return None;
        }
        let key = TimerKey::new(self.timers.take_free()?);
        let timer = &mut self.timers[key.index()];
        timer.number = number;
        timer.payload = Some(payload);
        timer.place = Place::new(self.new.len());
        self.push_new(key, deadline, number);
        Some(key)
    }

    #[inline(always)]
    fn push_new(&mut self, key: TimerKey, deadline: Deadline, number: u64) {
        self.new.push(New { deadline, key });
        self.occupied |= NEW;
        if is_shorter(deadline.delay(), self.bound.delay) || number < self.bound.number {
            self.tighten(deadline, number);
        }
    }

    /// Lowers the bound to a deadline, if that is before it.
    #[inline(never)]
    fn tighten(&mut self, deadline: Deadline, number: u64) {
        let then = match (self.bound.then, deadline.reading()) {
            (Then::At(bound), Reading::Other(time)) => Then::At(bound.min(instant(time))),
            (Then::At(bound), reading) => Then::Read(self.read(bound).min(reading)),
            (Then::Read(bound), reading) => Then::Read(bound.min(reading)),
        };
        self.bound = Bound {
            then,
            delay: deadline.delay(),
            number,
        };
    }

    #[cold]
    fn make_levels(&mut self) {
        for _ in 0..LEVELS {
            self.insert_node(None);
        }
    }

    #[cold]
    fn place_far(&mut self, key: TimerKey, deadline: Duration) {
        let timer = &mut self.timers[key.index()];
        timer.place = Place::FAR;
        self.far.insert((deadline, timer.number), key);
        self.far_deadlines.insert(key, deadline);
        self.occupied |= FAR;
    }

    /// Makes a timer that is due already: the caller puts its handle into the ready queue.
    pub(crate) fn insert_due(&mut self, payload: P) -> TimerKey {
        let timer = Timer::new(Place::DUE, 0, payload);
        TimerKey::new(self.timers.insert(timer))
    }

    /// Cancels a timer if it is the newest of all, and nobody has looked at it since it came. Says whether it did.
    #[inline]
    pub(crate) fn take_newest(&mut self, key: TimerKey) -> bool {
        let is_newest = self.new.last().is_some_and(|newest| newest.key == key);
        if !is_newest
            || self.known == self.new.len()
            || !self.timers.free_within_capacity(key.index())
        {
            return false;
        }
        self.pop_new();
        true
    }

    /// Cancels a timer. One whose handle stands in the ready queue stays until the handle's turn.
    // Always, since all but what is new is a call.
    #[inline(always)]
    pub(crate) fn cancel(&mut self, key: TimerKey) {
        match self.timers[key.index()].place.index() {
            Some(index) => self.cancel_new(key, index),
            None => self.cancel_placed(key),
        }
    }

    #[inline(always)]
    fn cancel_new(&mut self, key: TimerKey, mut index: usize) {
        // The last of those that are known takes its place, and the last of all the place of that.
        if index < self.known {
            if self.earliest == self.timers[key.index()].deadline {
                self.earliest = 0;
            }
            self.known -= 1;
            self.move_new(self.known, index);
            index = self.known;
        }
        self.move_new(self.new.len() - 1, index);
        self.pop_new();
        self.timers.free(key.index());
    }

    #[inline(never)]
    fn cancel_placed(&mut self, key: TimerKey) {
        let timer = &mut self.timers[key.index()];
        let deadline = timer.deadline;
        match timer.place {
            Place::DUE => {
                debug_assert!(timer.payload.is_some(), "a timer is cancelled once");
                timer.payload = None;
                return;
            }
            Place::FAR => self.take_far(key),
            place => {
                let (number, previous, next) = (timer.number, timer.previous, timer.next);
                if self.is_in_front(deadline) {
                    self.front.remove(self.place_in_front(deadline, number));
                    self.mark_front();
                } else {
                    self.unlink(place.slot(), previous, next);
                }
            }
        }
        if self.earliest == deadline {
            self.earliest = 0;
        }
        self.free(key, deadline);
    }

    #[inline]
    fn pop_new(&mut self) {
        self.new.pop();
        if self.new.is_empty() {
            self.occupied &= !NEW;
        }
    }

    #[inline]
    fn move_new(&mut self, from: usize, to: usize) {
        if from != to {
            self.new[to] = self.new[from];
            self.timers[self.new[to].key.index()].place = Place::new(to);
        }
    }

    /// What a due timer is for, unless it was cancelled. The timer stays.
    pub(crate) fn payload(&self, key: TimerKey) -> Option<P> {
        self.timers[key.index()].payload
    }

    /// When a timer is due.
    pub(crate) fn deadline(&self, key: TimerKey) -> Duration {
        let timer = &self.timers[key.index()];
        match (timer.place.index(), timer.deadline) {
            (Some(index), _) => self.new[index].deadline.time(self.origin),
            (None, u64::MAX) => self.far_deadlines[&key],
            (None, deadline) => Duration::from_nanos(deadline),
        }
    }

    /// Says anew what a timer is for.
    pub(crate) fn set_payload(&mut self, key: TimerKey, payload: P) {
        self.timers[key.index()].payload = Some(payload);
    }

    /// Forgets a timer whose handle has run.
    pub(crate) fn remove_due(&mut self, key: TimerKey) {
        let timer = &self.timers[key.index()];
        debug_assert_eq!(timer.place, Place::DUE, "its handle has run");
        self.free(key, timer.deadline);
    }

    #[inline]
    fn free(&mut self, key: TimerKey, deadline: u64) {
        if deadline == u64::MAX {
            self.far_deadlines.remove(&key);
        }
        self.timers.free(key.index());
    }

    #[cold]
    fn take_far(&mut self, key: TimerKey) {
        let place = (self.far_deadlines[&key], self.timers[key.index()].number);
        self.far.remove(&place);
        if self.far.is_empty() {
            self.occupied &= !FAR;
        }
    }

    /// What the timers of this deadline are for, which is the earliest, in the order in which they were made.
    pub(crate) fn due_at(&mut self, earliest: Duration) -> Vec<P> {
        let mut due = Vec::new();
        let then = instant(earliest);
        if let Some((first, _)) = self.look_ahead() {
            let due_then = self.list(first).filter(|timer| timer.deadline == then);
            due.extend(due_then.map(|timer| (timer.number, timer.payload)));
        } else if !self.front.is_empty() {
            let due_then = self.front.iter().filter(|next| next.0 == then);
            due.extend(due_then.map(|&(_, number, key)| (number, self.payload(key))));
        } else {
            let far = self.far.iter();
            let due_then = far.take_while(|&(&(deadline, _), _)| deadline == earliest);
            due.extend(due_then.map(|(&(_, number), &key)| (number, self.payload(key))));
        }
        due.sort_unstable_by_key(|&(number, _)| number);
        due.into_iter().filter_map(|(_, payload)| payload).collect()
    }

    /// Begins at zero again, if no timer is left. Says whether it did.
    pub(crate) fn rewind(&mut self) -> bool {
        self.elapsed = 0;
        self.earliest = 0;
        self.bound = Bound::NONE;
        self.timers.is_empty()
    }

    /// The earliest deadline of all timers that are not due yet.
    #[inline]
    pub(crate) fn earliest(&mut self) -> Option<Duration> {
        if self.occupied == 0 {
            return None;
        }
        self.look_at_new();
        match self.earliest {
            0 => self.find_earliest(),
            earliest => Some(Duration::from_nanos(earliest)),
        }
    }

    fn find_earliest(&mut self) -> Option<Duration> {
        let crowd = self.look_ahead();
        self.earliest = match (crowd, self.front.last()) {
            (Some((first, is_instant)), _) => {
                let many = if is_instant { 1 } else { usize::MAX };
                let deadlines = self.list(first).take(many).map(|timer| timer.deadline);
                deadlines.min()?
            }
            (None, Some(&(deadline, ..))) => deadline,
            (None, None) => return self.far.keys().next().map(|&(deadline, _)| deadline),
        };
        Some(Duration::from_nanos(self.earliest))
    }

    /// Sees to it that those stand in front that are due next, unless they are a crowd, or far. Returns the first of a crowd's
    /// list, and whether the others of it have the same deadline. A crowd that was asked before is split on the way there.
    fn look_ahead(&mut self) -> Option<(TimerKey, bool)> {
        self.place_new();
        if !self.front.is_empty() {
            return None;
        }
        let (mut slot, mut level) = self.lowest()?;
        loop {
            match self.slots[slot] {
                Slot {
                    below: Some(below), ..
                } => {
                    level -= 1;
                    slot = self.lowest_of(below.index());
                }
                Slot {
                    first: Some(first), ..
                } => {
                    if self.bring_to_front(slot, first) {
                        return None;
                    }
                    if level == 0 || self.is_read_first(slot) {
                        let late_come_here = self.timers[first.index()].deadline <= self.elapsed;
                        return Some((first, level == 0 && !late_come_here));
                    }
                    self.split(slot, level);
                }
                Slot { .. } => unreachable!("it is occupied"),
            }
        }
    }

    /// The loop's time, if a timer may be due now.
    #[inline]
    pub(crate) fn may_be_due(&mut self, now: Reading) -> Option<Duration> {
        match self.bound.then {
            Then::Read(bound) if now < bound => None,
            _ => self.time_if_due(now),
        }
    }

    #[inline(never)]
    fn time_if_due(&mut self, now: Reading) -> Option<Duration> {
        let time = now.time(self.origin);
        match self.bound.then {
            Then::At(bound) if instant(time) < bound => {
                if let Reading::Machine(_) = now {
                    self.bound.then = Then::Read(self.read(bound));
                }
                None
            }
            _ => Some(time),
        }
    }

    fn read(&self, bound: u64) -> Reading {
        self.origin.reading(Duration::from_nanos(bound))
    }

    /// Takes every timer with `deadline <= now` out of its slot, in the order of deadlines, ties as they were made.
    #[inline]
    pub(crate) fn expire(&mut self, now: Duration, mut due: impl FnMut(TimerKey)) {
        let until = instant(now);
        self.look_at_new();
        if self.earliest > until {
            self.bound = Bound::at(self.earliest);
            return;
        }
        self.place_new();
        // While one is left in front, `elapsed` stays behind: that one may have stood below a slot where others still are.
        if !self.hand_out_front(until, &mut due) {
            self.hand_out_until(until, now, due);
        }
    }

    #[inline(never)]
    fn hand_out_until(&mut self, until: u64, now: Duration, mut due: impl FnMut(TimerKey)) {
        self.earliest = 0;
        self.bound = Bound::NONE;
        while !self.hand_out_front(until, &mut due) {
            let Some((slot, level)) = self.lowest() else {
                break;
            };
            let Slot { first, below } = self.slots[slot];
            if first.is_some_and(|first| self.bring_to_front(slot, first)) {
                continue;
            }
            let start = self.start(slot, level);
            if start > until {
                self.bound = Bound::at(start);
                break;
            }
            self.elapsed = start;
            match below {
                Some(below) => self.lower(slot, below, level),
                None => {
                    self.take(slot);
                    self.nodes[level].read.clear(slot % SLOTS);
                    match level {
                        0 => self.hand_out(first, &mut due),
                        _ => self.deal_out(first),
                    }
                }
            }
        }
        self.elapsed = self.elapsed.max(until);
        if until == u64::MAX {
            self.hand_out_far(now, &mut due);
        }
    }

    /// Hands out those in front. Says whether one is left, which is not due yet.
    #[inline]
    fn hand_out_front(&mut self, until: u64, due: &mut impl FnMut(TimerKey)) -> bool {
        while let Some(&(deadline, _, key)) = self.front.last() {
            if deadline > until {
                self.earliest = deadline;
                self.bound = Bound::at(deadline);
                return true;
            }
            self.front.pop();
            self.timers[key.index()].place = Place::DUE;
            due(key);
        }
        self.occupied &= !FRONT;
        false
    }

    /// Hands out the timers of a slot of one instant. Those that were late when they came may be due before it.
    #[inline(never)]
    fn hand_out(&mut self, mut next: Option<TimerKey>, due: &mut impl FnMut(TimerKey)) {
        let mut batch = mem::take(&mut self.due);
        while let Some(key) = next {
            let timer = &mut self.timers[key.index()];
            batch.push((timer.deadline, timer.number, key));
            timer.place = Place::DUE;
            next = timer.next;
        }
        batch.sort_unstable_by_key(|&(deadline, number, _)| order(deadline, number));
        batch.drain(..).for_each(|(.., key)| due(key));
        self.due = batch;
    }

    #[cold]
    fn hand_out_far(&mut self, now: Duration, due: &mut impl FnMut(TimerKey)) {
        while let Some((&(deadline, _), &key)) = self.far.iter().next() {
            if deadline > now {
                break;
            }
            self.take_far(key);
            self.timers[key.index()].place = Place::DUE;
            due(key);
        }
    }

    /// Works out when the new timers are due.
    #[inline]
    fn look_at_new(&mut self) {
        if self.known < self.new.len() {
            self.look_at_all_new();
        }
    }

    #[inline(never)]
    fn look_at_all_new(&mut self) {
        // There is no other.
        if self.occupied == NEW && self.known == 0 {
            self.earliest = u64::MAX;
        }
        for &New { deadline, key } in &self.new[self.known..] {
            let at = instant(deadline.time(self.origin));
            self.timers[key.index()].deadline = at;
            self.earliest = self.earliest.min(at);
        }
        self.known = self.new.len();
        if self.earliest == u64::MAX {
            self.earliest = 0;
        }
    }

    /// Puts the new timers where they belong.
    #[inline]
    fn place_new(&mut self) {
        if self.occupied & NEW != 0 {
            self.place_all_new();
        }
    }

    #[inline(never)]
    fn place_all_new(&mut self) {
        if self.slots.is_empty() {
            self.make_levels();
        }
        self.look_at_new();
        self.occupied &= !NEW;
        self.known = 0;
        let mut new = mem::take(&mut self.new);
        for New { deadline, key } in new.drain(..) {
            match self.timers[key.index()].deadline {
                u64::MAX => self.place_far(key, deadline.time(self.origin)),
                at => self.place_in_order(key, at),
            }
        }
        self.new = new;
    }

    /// Puts the timers of a list where they belong.
    fn deal_out(&mut self, mut next: Option<TimerKey>) {
        while let Some(key) = next {
            let timer = &self.timers[key.index()];
            next = timer.next;
            self.link(key, timer.deadline);
        }
    }

    /// The lowest occupied slot of the lowest occupied level: what is due next, but for new and far timers.
    #[inline]
    fn lowest(&self) -> Option<(usize, usize)> {
        let level = self.occupied.trailing_zeros() as usize;
        (level < LEVELS).then(|| (self.lowest_of(level), level))
    }

    #[inline]
    fn lowest_of(&self, node: usize) -> usize {
        node * SLOTS + self.nodes[node].occupied.first().expect("it is occupied")
    }

    /// The first instant of a slot of a level.
    #[inline]
    fn start(&self, slot: usize, level: usize) -> u64 {
        let shift = DIGIT * level as u32;
        // On the highest level, nothing is above.
        let below = ((SLOTS as u64) << shift).wrapping_sub(1);
        self.elapsed & !below | ((slot % SLOTS) as u64) << shift
    }

    /// Whether a crowd is read through for the first time.
    fn is_read_first(&mut self, slot: usize) -> bool {
        self.nodes[slot / SLOTS].read.flip(slot % SLOTS)
    }

    /// Brings the timers of a slot to the front, in order, if they are few. Says whether it did.
    fn bring_to_front(&mut self, slot: usize, first: TimerKey) -> bool {
        let mut next = Some(first);
        while let Some(key) = next {
            if self.front.len() == FEW {
                self.front.clear();
                return false;
            }
            let timer = &self.timers[key.index()];
            self.front.push((timer.deadline, timer.number, key));
            next = timer.next;
        }
        self.front
            .sort_unstable_by_key(|&(deadline, number, _)| Reverse(order(deadline, number)));
        self.occupied |= FRONT;
        self.take(slot);
        true
    }

    /// Whether a timer of this deadline, if it is not new, stands in front.
    #[inline]
    fn is_in_front(&self, deadline: u64) -> bool {
        self.front
            .first()
            .is_some_and(|&(last, ..)| deadline <= last)
    }

    /// The place in front of a timer, or of one to come.
    fn place_in_front(&self, deadline: u64, number: u64) -> usize {
        let at = order(deadline, number);
        self.front
            .partition_point(|&(deadline, number, _)| order(deadline, number) > at)
    }

    /// Somebody has left the front.
    fn mark_front(&mut self) {
        if self.front.is_empty() {
            self.occupied &= !FRONT;
        }
    }

    /// Puts a timer where it belongs.
    #[inline]
    fn place_in_order(&mut self, key: TimerKey, at: u64) {
        if self.is_in_front(at) {
            self.join_front(key, at);
        } else {
            self.link(key, at);
        }
    }

    #[inline(never)]
    fn join_front(&mut self, key: TimerKey, at: u64) {
        if self.front.len() == FEW {
            self.send_back();
            return self.place_in_order(key, at);
        }
        let timer = &mut self.timers[key.index()];
        timer.place = Place::FRONT;
        let number = timer.number;
        let place = self.place_in_front(at, number);
        self.front.insert(place, (at, number, key));
    }

    /// Puts the later half of those in front back into slots.
    fn send_back(&mut self) {
        let mut front = mem::take(&mut self.front);
        let (middle, ..) = front[FEW / 2];
        let later = front.partition_point(|&(deadline, ..)| deadline >= middle);
        for (deadline, _, key) in front.drain(..later) {
            self.link(key, deadline);
        }
        self.front = front;
        self.mark_front();
    }

    /// The timers of a list, from its first on.
    #[inline]
    fn list(&self, first: TimerKey) -> impl Iterator<Item = &Timer<P>> {
        let mut next = Some(first);
        iter::from_fn(move || {
            let timer = &self.timers[next?.index()];
            next = timer.next;
            Some(timer)
        })
    }

    /// Deals the timers of a slot out over slots below it.
    fn split(&mut self, slot: usize, level: usize) {
        let node = self.insert_node(Some(SlotKey::new(slot)));
        let mut next = self.slots[slot].first.take();
        self.slots[slot].below = Some(node);
        while let Some(key) = next {
            let timer = &self.timers[key.index()];
            next = timer.next;
            self.push(node.index() * SLOTS + digit(timer.deadline, level - 1), key);
        }
    }

    /// Makes what is below a slot of a level the level below, which is empty.
    #[inline(never)]
    fn lower(&mut self, slot: usize, below: NodeKey, level: usize) {
        let mut occupied = self.nodes[below.index()].occupied;
        while let Some(digit) = occupied.first() {
            occupied.clear(digit);
            let to = (level - 1) * SLOTS + digit;
            let from = mem::take(&mut self.slots[below.index() * SLOTS + digit]);
            if let Some(lower) = from.below {
                self.nodes[lower.index()].above = Some(SlotKey::new(to));
                self.slots[to].below = from.below;
                self.mark_occupied(to);
            }
            let mut next = from.first;
            while let Some(key) = next {
                next = self.timers[key.index()].next;
                self.push(to, key);
            }
        }
        self.nodes.free(below.index());
        self.slots[slot].below = None;
        self.mark_empty(slot);
    }

    fn insert_node(&mut self, above: Option<SlotKey>) -> NodeKey {
        let node = self.nodes.insert(Node {
            occupied: Marks::default(),
            read: Marks::default(),
            above,
        });
        let slots = (node + 1) * SLOTS;
        if self.slots.len() < slots {
            self.slots.resize(slots, Slot::default());
        }
        NodeKey::new(node)
    }

    /// Puts a timer where its deadline belongs.
    #[inline(always)]
    fn link(&mut self, key: TimerKey, at: u64) {
        // One that is late already stands in the slot of the present instant.
        let at = at.max(self.elapsed);
        let mut level = (((at ^ self.elapsed) | 1).ilog2() / DIGIT) as usize;
        let mut slot = level * SLOTS + digit(at, level);
        while let Some(below) = self.slots[slot].below {
            level -= 1;
            slot = below.index() * SLOTS + digit(at, level);
        }
        self.push(slot, key);
    }

    /// Puts a timer into a slot.
    #[inline(always)]
    fn push(&mut self, slot: usize, key: TimerKey) {
        let next = self.slots[slot].first.replace(key);
        let timer = &mut self.timers[key.index()];
        timer.place = Place::in_slot(slot);
        timer.previous = None;
        timer.next = next;
        match next {
            Some(next) => self.timers[next.index()].previous = Some(key),
            None => self.mark_occupied(slot),
        }
    }

    #[inline]
    fn mark_occupied(&mut self, slot: usize) {
        let node = slot / SLOTS;
        self.nodes[node].occupied.set(slot % SLOTS);
        if node < LEVELS {
            self.occupied |= 1 << node;
        }
    }

    /// Takes a timer out of its slot, in which it has these neighbours.
    #[inline]
    fn unlink(&mut self, slot: usize, previous: Option<TimerKey>, next: Option<TimerKey>) {
        if let Some(next) = next {
            self.timers[next.index()].previous = previous;
        }
        match previous {
            Some(previous) => self.timers[previous.index()].next = next,
            None => {
                self.slots[slot].first = next;
                if next.is_none() {
                    self.mark_empty(slot);
                }
            }
        }
    }

    /// Empties a slot.
    #[inline]
    fn take(&mut self, slot: usize) {
        self.slots[slot].first = None;
        self.mark_empty(slot);
    }

    /// A slot is empty now, and with it perhaps all of its node.
    #[inline]
    fn mark_empty(&mut self, slot: usize) {
        let node = &mut self.nodes[slot / SLOTS];
        node.occupied.clear(slot % SLOTS);
        if node.occupied.first().is_none() {
            self.mark_empty_node(slot / SLOTS);
        }
    }

    /// The node is a level, or below a slot, which is empty then as well.
    #[inline]
    fn mark_empty_node(&mut self, node: usize) {
        if node < LEVELS {
            self.occupied &= !(1 << node);
        } else {
            self.free_node(node);
        }
    }

    #[inline(never)]
    fn free_node(&mut self, node: usize) {
        let above = self.nodes[node].above.expect("it is below a slot").index();
        self.nodes.free(node);
        self.slots[above].below = None;
        self.mark_empty(above);
    }
}

#[cfg(test)]
mod tests {
    use super::{super::clock::Clock, *};
    use proptest::prelude::*;

    #[derive(Debug, Clone)]
    enum Op {
        /// A timer this far ahead, with a number taken now, or taken earlier by this many others.
        Insert(u64, u64),
        /// So many timers, the first one this far ahead, and as far again from one to the next.
        Crowd(u64, u64),
        Cancel(usize),
        /// Time goes on by so much.
        Advance(u64),
        /// Time goes on to the earliest deadline.
        Jump,
        /// Time goes on to where a slot of this level begins.
        Align(u32),
        /// A timer that is due together with another.
        InsertBeside(usize),
        /// A timer that is late by so much.
        InsertLate(u64),
        /// The next timers are taken back one by one, and somebody asks for the earliest each time.
        CancelNext(usize),
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
            1 => (1..80u64, delay.clone()).prop_map(|(many, apart)| Op::Crowd(many, apart)),
            2 => any::<usize>().prop_map(Op::Cancel),
            1 => (1..40usize).prop_map(Op::CancelNext),
            1 => delay.prop_map(|delay| Op::Advance(delay / 2)),
            2 => Just(Op::Jump),
            1 => (1..6u32).prop_map(Op::Align),
            2 => any::<usize>().prop_map(Op::InsertBeside),
            1 => (0..200u64).prop_map(Op::InsertLate),
        ]
    }

    /// Sets a timer, within capacity or not. Where it counts from some instant on, that is not a later one than this.
    fn set(
        wheel: &mut Wheel<usize>,
        now: Duration,
        deadline: Duration,
        number: u64,
        tag: usize,
    ) -> TimerKey {
        let since = wheel.origin.reading(now.min(deadline));
        let deadline = since.later(deadline.saturating_sub(now));
        let within_capacity = match tag % 3 {
            0 => None,
            _ => wheel.insert_within_capacity(deadline, number, tag),
        };
        within_capacity.unwrap_or_else(|| wheel.insert(deadline, number, tag))
    }

    fn take_back(wheel: &mut Wheel<usize>, key: TimerKey) {
        if !wheel.take_newest(key) {
            wheel.cancel(key);
        }
    }

    proptest! {
        #[test]
        fn hands_out_what_a_sorted_list_would(
            ops in proptest::collection::vec((op(), any::<bool>(), any::<bool>()), 1..100),
            by_machine in any::<bool>(),
        ) {
            let origin = if by_machine { Clock::monotonic().origin() } else { Origin::ZERO };
            let mut wheel = Wheel::new(origin);
            let mut model: Vec<(Duration, u64, usize, TimerKey)> = Vec::new();
            let mut now = Duration::ZERO;
            for (tag, (op, looks, asks)) in ops.into_iter().enumerate() {
                // What is new lies apart until somebody looks.
                let looks = looks || matches!(op, Op::Advance(_) | Op::Jump | Op::Align(_));
                match op {
                    Op::InsertBeside(which) if !model.is_empty() => {
                        let (deadline, ..) = model[which % model.len()];
                        let number = ((tag as u64 + 4) * 8) << 32;
                        let key = set(&mut wheel, now, deadline, number, tag);
                        model.push((deadline, number, tag, key));
                    }
                    Op::InsertBeside(_) => {}
                    Op::InsertLate(by) => {
                        let deadline = now.saturating_sub(Duration::from_nanos(by));
                        let number = ((tag as u64 + 4) * 8) << 32;
                        let key = set(&mut wheel, now, deadline, number, tag);
                        model.push((deadline, number, tag, key));
                    }
                    Op::Align(level) => {
                        let slot = 1 << (DIGIT * level);
                        let begins = instant(now).checked_next_multiple_of(slot);
                        now = begins.map_or(now, |begins| now.max(Duration::from_nanos(begins)));
                    }
                    Op::Insert(delay, late) => {
                        let deadline = now.saturating_add(Duration::from_nanos(delay) * if delay == u64::MAX { 9 } else { 1 });
                        let number = ((tag as u64 + 4) * 8 - late * 9) << 32;
                        let key = set(&mut wheel, now, deadline, number, tag);
                        model.push((deadline, number, tag, key));
                    }
                    Op::Cancel(which) if !model.is_empty() => {
                        let (.., key) = model.remove(which % model.len());
                        take_back(&mut wheel, key);
                    }
                    Op::Cancel(_) => {}
                    Op::Crowd(many, apart) => {
                        for at in 1..=many {
                            let deadline = now.saturating_add(Duration::from_nanos(apart) * at as u32);
                            let number = (tag as u64 + 4) * 8;
                            // Equal ones have numbers in another order than they came.
                            let number = (number << 32) + at * 37 % 83;
                            let key = set(&mut wheel, now, deadline, number, tag);
                            model.push((deadline, number, tag, key));
                        }
                    }
                    Op::CancelNext(many) => {
                        model.sort_by_key(|&(deadline, number, ..)| (deadline, number));
                        for (deadline, .., key) in model.drain(..many.min(model.len())) {
                            prop_assert_eq!(wheel.earliest(), Some(deadline));
                            take_back(&mut wheel, key);
                        }
                    }
                    Op::Advance(by) => now += Duration::from_nanos(by),
                    Op::Jump => now = wheel.earliest().unwrap_or(now).max(now),
                }
                if !looks {
                    continue;
                }
                let mut due = Vec::new();
                if let Some(now) = wheel.may_be_due(origin.reading(now)) {
                    wheel.expire(now, |key| due.push(key));
                }
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
                if asks {
                    prop_assert_eq!(wheel.earliest(), model.iter().map(|&(deadline, ..)| deadline).min());
                }
            }
        }
    }

    /// As a `wait_for` does: its body has begun to sleep before it sets a timer itself.
    #[test]
    fn one_as_long_that_comes_later_but_counts_from_earlier_is_due_first() {
        let at = Duration::from_nanos;
        let origin = Clock::monotonic().origin();
        let mut wheel = Wheel::new(origin);
        for (since, number) in [(10, 2), (5, 1)] {
            wheel.insert(origin.reading(at(since)).later(at(100)), number, ());
        }
        let is_due = [104, 105].map(|now| wheel.may_be_due(origin.reading(at(now))));
        assert_eq!(is_due, [None, Some(at(105))]);
    }

    #[test]
    fn a_timer_cancelled_when_due_has_no_payload() {
        let mut wheel = Wheel::new(Origin::ZERO);
        let key = wheel.insert(Duration::from_nanos(5), 1, ());
        wheel.expire(Duration::from_nanos(5), |_| {});
        wheel.cancel(key);
        assert_eq!(wheel.payload(key), None);
        wheel.remove_due(key);
        assert!(wheel.timers.is_empty());
    }

    /// How many timers are read through for the earliest.
    fn read(wheel: &mut Wheel<()>) -> usize {
        match wheel.look_ahead() {
            Some((first, _)) => wheel.list(first).count(),
            None => wheel.front.len(),
        }
    }

    /// So many timers in a slot of level 3, from `slot` times 16.8 ms on, and no more than a few of them in one below it.
    fn crowd(wheel: &mut Wheel<()>, slot: u64, many: u64) -> Vec<TimerKey> {
        let at = |n| Duration::from_nanos((slot << (3 * DIGIT)) + n * 10_000);
        (0..many).map(|n| wheel.insert(at(n), n, ())).collect()
    }

    #[test]
    fn a_crowd_is_read_through_once_and_then_split() {
        let mut wheel = Wheel::new(Origin::ZERO);
        for slot in 1..=3 {
            let keys = crowd(&mut wheel, slot, 100);
            assert_eq!(read(&mut wheel), 100);
            // Whether or not that happens to one crowd, the next is another.
            if slot != 1 {
                assert!(read(&mut wheel) <= FEW);
            }
            keys.into_iter().for_each(|key| wheel.cancel(key));
        }
    }

    /// A crowd of a hundred that was split, and when the first of it is due.
    fn split_crowd() -> (Wheel<()>, Duration) {
        let mut wheel = Wheel::new(Origin::ZERO);
        let first = crowd(&mut wheel, 1, 100)[0];
        assert_eq!([(); 2].map(|()| read(&mut wheel)), [100, 7]);
        let first = wheel.deadline(first);
        (wheel, first)
    }

    /// How many nanoseconds after the first of a crowd its timers are due until some instant.
    fn due_until(wheel: &mut Wheel<()>, crowd: Duration, until: u64) -> Vec<u128> {
        let mut due = Vec::new();
        wheel.expire(crowd + Duration::from_nanos(until), |key| due.push(key));
        let after = |key| (wheel.deadline(key) - crowd).as_nanos();
        due.into_iter().map(after).collect()
    }

    #[test]
    fn a_few_stand_in_front_once_somebody_asks() {
        let mut wheel = Wheel::new(Origin::ZERO);
        crowd(&mut wheel, 1, FEW as u64);
        assert_eq!([(); 2].map(|()| read(&mut wheel)), [FEW; 2]);
        assert_eq!((wheel.front.len(), wheel.occupied), (FEW, FRONT));
    }

    #[test]
    fn of_a_full_front_the_later_half_is_sent_back() {
        let mut wheel = Wheel::new(Origin::ZERO);
        let first = crowd(&mut wheel, 1, FEW as u64)[0];
        assert_eq!(read(&mut wheel), FEW);
        let first = wheel.deadline(first);
        wheel.insert(first + Duration::from_nanos(15_000), 100, ());
        assert_eq!(read(&mut wheel), FEW / 2);
        let due = due_until(&mut wheel, first, 1_000_000);
        assert!(due.len() == FEW + 1 && due.is_sorted());
    }

    #[test]
    fn a_full_front_of_one_instant_is_sent_back_as_a_whole() {
        let mut wheel = Wheel::new(Origin::ZERO);
        let at = Duration::from_nanos(1_000_000);
        let mut keys: Vec<_> = (0..FEW).map(|n| wheel.insert(at, n as u64, ())).collect();
        assert_eq!(read(&mut wheel), FEW);
        keys.push(wheel.insert(at, FEW as u64, ()));
        let mut due = Vec::new();
        wheel.expire(at, |key| due.push(key));
        assert_eq!(due, keys);
    }

    #[test]
    fn what_is_new_comes_behind_those_that_lay_below_the_same_slot_as_the_front() {
        let (mut wheel, first) = split_crowd();
        assert_eq!(due_until(&mut wheel, first, 0), [0]);
        wheel.insert(first + Duration::from_nanos(85_000), 100, ());
        let due = due_until(&mut wheel, first, 90_000);
        assert_eq!(due.len(), 10);
        assert!(due.is_sorted());
    }

    #[test]
    fn what_is_new_comes_between_those_whose_slots_below_have_become_a_level() {
        let (mut wheel, first) = split_crowd();
        assert_eq!(due_until(&mut wheel, first, 100_000).len(), 11);
        wheel.insert(first + Duration::from_nanos(505_000), 100, ());
        let due = due_until(&mut wheel, first, 990_000);
        assert_eq!(due.len(), 90);
        assert!(due.is_sorted());
    }

    #[test]
    fn a_crowd_in_the_place_of_one_whose_time_has_come_is_read_through_as_well() {
        let mut wheel = Wheel::new(Origin::ZERO);
        for slot in [1, SLOTS as u64 + 1, SLOTS as u64 + 2] {
            // Not before then is it a slot of that level.
            wheel.expire(Duration::from_nanos((slot - 1) << (3 * DIGIT)), |_| {});
            let keys = crowd(&mut wheel, slot, 100);
            assert_eq!(read(&mut wheel), 100);
            let last = wheel.deadline(keys[99]);
            wheel.expire(last, |_| {});
        }
    }

    /// In one slot lie all, in one below it 256, in one below that a single one.
    #[test]
    fn a_crowd_that_is_taken_back_one_by_one_is_read_through_once_on_each_level() {
        let mut wheel = Wheel::new(Origin::ZERO);
        let at = |n| Duration::from_nanos((1 << (4 * DIGIT)) + (n << (2 * DIGIT)));
        let keys: Vec<_> = (0..4096).map(|n| wheel.insert(at(n), n, ())).collect();
        let reads = keys.into_iter().map(|key| {
            let read = read(&mut wheel);
            wheel.cancel(key);
            read
        });
        assert!(reads.sum::<usize>() <= 3 * 4096);
    }

    /// Such a slot begins at the present instant, and what is new lies on a lower level.
    #[test]
    fn the_only_timer_where_a_crowd_that_was_split_begins_comes_before_what_is_later() {
        let at = |n| Duration::from_nanos(SLOTS as u64 * SLOTS as u64 + n);
        let mut wheel = Wheel::new(Origin::ZERO);
        let crowd: Vec<_> = (0..40)
            .map(|n| wheel.insert(at(SLOTS as u64 * n + 50), n, ()))
            .collect();
        for soon in [1, 2, 3] {
            let key = wheel.insert(at(soon), 40, ());
            assert_eq!(wheel.earliest(), Some(at(soon)));
            wheel.cancel(key);
        }
        wheel.expire(at(10), |_| {});
        let later = wheel.insert(at(60), 41, ());
        let mut due = Vec::new();
        wheel.expire(at(63), |key| due.push(key));
        assert_eq!(due, [crowd[0], later]);
    }

    #[test]
    fn of_timers_that_came_late_the_earliest_is_found() {
        let at = Duration::from_nanos;
        let mut wheel = Wheel::new(Origin::ZERO);
        wheel.expire(at(10), |_| {});
        wheel.insert(at(7), 1, ());
        wheel.insert(at(3), 2, ());
        wheel.insert(at(5), 3, ());
        let first = wheel.insert(at(1), 4, ());
        wheel.cancel(first);
        assert_eq!(wheel.earliest(), Some(at(3)));
    }

    #[test]
    fn of_a_crowd_that_came_late_the_earliest_is_found() {
        let at = Duration::from_nanos;
        let mut wheel = Wheel::new(Origin::ZERO);
        wheel.expire(at(100), |_| {});
        let first = wheel.insert(at(1), 1, ());
        for n in 2..=40 {
            wheel.insert(at(n * 7 % 41 + 1), n, ());
        }
        assert_eq!(wheel.earliest(), Some(at(1)));
        wheel.cancel(first);
        assert_eq!(wheel.earliest(), Some(at(2)));
    }

    #[test]
    fn what_of_a_crowd_is_due_first_is_told_apart() {
        let mut wheel = Wheel::new(Origin::ZERO);
        let at = |n| Duration::from_nanos((1 << DIGIT) + n);
        for n in 0..50 {
            wheel.insert(at(n / 2), n, n);
        }
        assert_eq!(wheel.due_at(at(0)), [0, 1]);
    }

    #[test]
    fn that_is_wound_back_is_as_new() {
        let mut wheel = Wheel::new(Origin::ZERO);
        let at = |n| Duration::from_nanos(n);
        let left = wheel.insert(at(9_000), 1, ());
        assert!(!wheel.rewind());
        wheel.expire(at(9_000), |_| {});
        wheel.remove_due(left);
        assert!(wheel.rewind());
        let keys: Vec<_> = (1..=40).map(|n| wheel.insert(at(5), n, ())).collect();
        let mut due = Vec::new();
        wheel.expire(at(5), |key| due.push(key));
        assert_eq!(due, keys);
    }

    #[test]
    fn what_is_due_at_a_far_deadline_is_told_apart_from_what_is_farther() {
        let far = Duration::from_secs(u64::MAX / 2);
        let mut wheel = Wheel::new(Origin::ZERO);
        wheel.insert(far + Duration::from_nanos(1), 1, 'c');
        wheel.insert(far, 3, 'b');
        wheel.insert(far, 2, 'a');
        assert_eq!(wheel.due_at(far), ['a', 'b']);
    }

    #[test]
    fn a_far_timer_leaves_nothing_behind() {
        let far = Duration::MAX;
        let mut wheel = Wheel::new(Origin::ZERO);
        let taken_back = wheel.insert(far, 1, ());
        let due = wheel.insert(far, 2, ());
        wheel.cancel(taken_back);
        wheel.expire(far, |_| {});
        wheel.remove_due(due);
        assert!(wheel.timers.is_empty() && wheel.far_deadlines.is_empty());
    }
}
