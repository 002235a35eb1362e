//! A task as the loop keeps it: its slot, from its creation until the last handle to it is gone.

use std::{any::Any, mem, sync::Arc, task::Waker};

use super::{
    Awaiting, Join,
    body::{Coroutine, Unclaimed},
};
use crate::{
    error::{AWAITS_ITSELF, Error},
    event_loop::{
        Handle, TaskWaker,
        arena::at_index,
        key::{TaskKey, WaiterKey},
        ready::Ready,
        state::State,
    },
    waiter::{Kind, Waiter, Wake},
};

/// What a task is and what happens to it, as bits: most of them are asked together, after every step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Flags(u32);

impl Flags {
    pub(crate) const NONE: Self = Self(0);

    pub(crate) const fn has(self, any: Self) -> bool {
        self.0 & any.0 != 0
    }

    pub(crate) const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(crate) fn set(&mut self, flags: Self) {
        self.0 |= flags.0;
    }

    pub(crate) fn clear(&mut self, flags: Self) {
        self.0 &= !flags.0;
    }

    /// Whether a task's step can be queued: not if it is or the task has ended, and if it is recorded, that takes more.
    #[inline]
    pub(crate) fn can_be_queued(self) -> bool {
        !self.has(QUEUED.or(DONE).or(TRACED))
    }

    /// Marks a task as queued, if it can be. Says whether it did.
    #[inline]
    pub(crate) fn queue(&mut self) -> bool {
        let queues = self.can_be_queued();
        if queues {
            self.set(QUEUED);
        }
        queues
    }
}

/// Its step stands in the ready queue.
pub(crate) const QUEUED: Flags = Flags(1);
/// Its coroutine has been polled.
pub(crate) const STARTED: Flags = Flags(1 << 2);
/// It has ended.
pub(crate) const DONE: Flags = Flags(1 << 3);
/// It has ended cancelled.
pub(crate) const CANCELLED: Flags = Flags(1 << 4);
/// It has ended with an error that nobody has seen.
pub(crate) const UNSEEN: Flags = Flags(1 << 5);
/// Its [`Task`](super::Task) exists, and has not retrieved the result yet.
pub(crate) const OWNED: Flags = Flags(1 << 6);
/// A request to cancel is kept.
pub(crate) const REQUESTED: Flags = Flags(1 << 7);
/// This step began with a request, which is to be raised by what was pending before.
pub(crate) const RAISING: Flags = Flags(1 << 8);
/// A bare yield became pending in a scope when it was last polled.
pub(crate) const YIELDING: Flags = Flags(1 << 9);
/// It has a name of its own.
pub(crate) const NAMED: Flags = Flags(1 << 10);
/// The shutdown has cancelled it, and reports what it raises.
pub(crate) const DOOMED: Flags = Flags(1 << 11);
/// A request to cancel is on its way through it, along a chain of awaits.
pub(crate) const VISITED: Flags = Flags(1 << 12);
/// It is the main task, which the caller of `run` holds.
pub(crate) const MAIN: Flags = Flags(1 << 13);
/// A waker was given out for it.
pub(crate) const ADOPTED: Flags = Flags(1 << 15);
/// A bare yield of it was polled with a combinator's waker, which is to be woken when its next step begins.
pub(crate) const YIELDED_INSIDE: Flags = Flags(1 << 16);
/// Its own waiter was polled in its last step.
pub(crate) const POLLED: Flags = Flags(1 << 1);
/// A recorder looks on.
pub(crate) const TRACED: Flags = Flags(1 << 17);
/// A scope's timer has struck.
pub(crate) const STRUCK: Flags = Flags(1 << 14);
/// Requests to cancel it are counted. In its steps `here` tells how many there are.
pub(crate) const ASKED: Flags = Flags(1 << 18);

/// Its own waiter stands in a `wait_for` that is not drawn, and has a timer.
pub(crate) const LIMITED: Flags = Flags(1 << 19);

/// What a slot is still needed for when its task has ended and a [`Task`](super::Task) is all that refers to it.
const IN_USE: Flags = OWNED.or(UNSEEN).or(QUEUED).or(NAMED);

/// Moves a body to where none is: nothing has to be dropped there, and so nothing has to be called.
#[inline]
pub(super) fn move_over(from: &mut Unclaimed, to: &mut Unclaimed) {
    debug_assert!(to.is_none(), "a body is moved to where none is");
    mem::forget(mem::replace(to, from.take()));
}

/// The largest body, in bytes, that is kept for the next task when its own has ended.
const LARGEST_KEPT: usize = 1024;

/// Whether a spent body is kept.
#[inline]
fn is_kept(spent: &Unclaimed) -> bool {
    spent
        .as_ref()
        .is_some_and(|body| mem::size_of_val(&**body) <= LARGEST_KEPT)
}

/// A task as the loop keeps it, in a line of the cache to itself: the steps of many tasks wait for little else.
#[repr(align(64))]
pub(crate) struct Slot {
    /// Invariant: none during a step and for main; spent, if there is one, once the result has been retrieved, and where the slot is
    /// free.
    pub(super) body: Unclaimed,
    /// Its place in the order of creation.
    pub(crate) number: u64,
    /// The youngest of its waiters that stand in no scope.
    pub(crate) youngest: Option<WaiterKey>,
    /// The waiter of whoever awaits it.
    pub(crate) joiner: Option<WaiterKey>,
    /// Its last step: what was polled then is what it waits for.
    pub(crate) last_step: u32,
    /// How many handles refer to it.
    pub(super) handles: u32,
    pub(crate) flags: Flags,
    /// Its own waiter, which most tasks have no other beside. There is one while it is the eldest of the list.
    pub(crate) own: Waiter,
}

const _: () = assert!(size_of::<Slot>() == 64, "a slot is one line of the cache");

impl Slot {
    /// A slot for a task to come.
    const FREE: Self = Self {
        body: None,
        number: 0,
        youngest: None,
        joiner: None,
        last_step: 0,
        handles: 0,
        flags: Flags::NONE,
        own: Waiter::NONE,
    };

    /// Whether the task has ended and its result has not been retrieved.
    #[inline]
    fn has_result(&self) -> bool {
        self.flags.has(DONE) && self.flags.has(OWNED) && self.body.is_some()
    }

    /// Begins to wait by the task's own waiter, as the eldest of them all.
    #[inline]
    pub(crate) fn enter(&mut self, key: WaiterKey, kind: Kind) {
        self.own = Waiter::new(kind);
        self.youngest = Some(key);
        self.flags.set(POLLED);
    }

    /// Takes the task's own waiter out, if it was woken and has no other beside it, as most are, and no recorder looks on.
    #[inline]
    pub(crate) fn take_woken(&mut self, key: WaiterKey) -> Option<Waiter> {
        self.is_woken(key).then(|| {
            self.youngest = None;
            self.own
        })
    }

    /// Whether that is so.
    #[inline]
    fn is_woken(&self, key: WaiterKey) -> bool {
        self.own.wake == Wake::Woken
            && self.youngest == Some(key)
            && !self.flags.has(DONE.or(TRACED).or(LIMITED))
    }

    /// Has the task's own waiter, if it could be taken out so, wait again in the same queue, behind another. Says whether it does.
    #[inline]
    pub(crate) fn wait_again(&mut self, key: WaiterKey, behind: Option<WaiterKey>) -> bool {
        let waits = self.is_woken(key) && self.own.wait_again(behind);
        if waits {
            self.flags.set(POLLED);
        }
        waits
    }

    /// Whether this is the task's own waiter and has no other beside it or `wait_for` around it, and the task goes on.
    #[inline]
    pub(crate) fn waits_alone(&self, key: WaiterKey) -> bool {
        self.youngest == Some(key) && !self.flags.has(DONE.or(LIMITED))
    }

    /// Queues the task's step, if nothing else is to be done for that. Says whether it did.
    #[inline]
    pub(crate) fn queue_within_capacity(&mut self, key: TaskKey, ready: &mut Ready) -> bool {
        let queues = self.flags.can_be_queued() && ready.push_within_capacity(Handle::Step(key));
        if queues {
            self.flags.set(QUEUED);
        }
        queues
    }

    /// Hands out the coroutine for a step.
    #[inline]
    pub(super) fn begin_step(&mut self, step: u32, body: &mut Unclaimed) {
        self.last_step = step;
        self.flags.clear(QUEUED.or(POLLED));
        self.flags.set(STARTED);
        move_over(&mut self.body, body);
    }

    /// The task takes another step with the coroutine still out of its slot.
    #[inline]
    pub(super) fn go_on(&mut self, step: u32) {
        self.last_step = step;
        self.flags.clear(POLLED);
    }
}

impl State {
    pub(crate) fn slot(&self, key: TaskKey) -> &Slot {
        &self.tasks[key.index()]
    }

    pub(crate) fn slot_mut(&mut self, key: TaskKey) -> &mut Slot {
        &mut self.tasks[key.index()]
    }

    /// Makes a task and queues its first step.
    #[inline]
    pub(crate) fn spawn(&mut self, coroutine: &mut dyn Coroutine) -> TaskKey {
        let key = self.insert_task(OWNED.or(QUEUED), 1);
        coroutine.settle_in(&mut self.slot_mut(key).body);
        key
    }

    pub(crate) fn spawn_main(&mut self) -> TaskKey {
        self.stop_after = None;
        let key = self.insert_task(MAIN.or(QUEUED), 0);
        self.slot_mut(key).body = None;
        key
    }

    #[inline]
    fn insert_task(&mut self, flags: Flags, handles: u32) -> TaskKey {
        self.created += 1;
        self.alive += 1;
        let key = TaskKey::new(self.tasks.take_place(|| Slot::FREE));
        let slot = &mut self.tasks[key.index()];
        slot.number = self.created;
        slot.youngest = None;
        slot.joiner = None;
        slot.last_step = 0;
        slot.handles = handles;
        slot.flags = flags.or(self.traced);
        if self.traced != Flags::NONE {
            self.write_spawn(key);
        }
        self.ready.push(Handle::Step(key));
        self.announce();
        key
    }

    /// Makes the waker of the step that has just been taken the task's own: a foreign future has cloned it.
    pub(crate) fn adopt_waker(&mut self, key: TaskKey, waker: &Arc<TaskWaker>) {
        waker.adopt();
        self.slot_mut(key).flags.set(ADOPTED);
        *at_index(&mut self.adopted, key.index()) = Arc::downgrade(waker);
    }

    /// The waker that was given out for a task, if a clone is left.
    pub(super) fn adopted(&self, key: TaskKey) -> Option<Arc<TaskWaker>> {
        match self.slot(key).flags.has(ADOPTED) {
            true => self.adopted[key.index()].upgrade(),
            false => None,
        }
    }

    /// The waker that the task has given out, or else this one.
    pub(super) fn give_out_waker(&mut self, key: TaskKey, spare: Arc<TaskWaker>) -> Arc<TaskWaker> {
        if let Some(adopted) = self.adopted(key) {
            return adopted;
        }
        if !self.slot(key).flags.has(DONE) {
            spare.aim(key);
            self.adopt_waker(key, &spare);
        }
        spare
    }

    /// Begins to await a task whose result is not there.
    pub(crate) fn join(&mut self, key: TaskKey, waker: &Waker) -> Join {
        let slot = self.slot(key);
        if slot.flags.has(DONE) {
            // If nobody has retrieved the result, a panic has taken the coroutine along.
            let lost = slot.flags.has(OWNED);
            self.slot_mut(key).flags.clear(OWNED);
            return if lost {
                Join::Refused(Error::Cancelled)
            } else {
                Join::Over
            };
        }
        match self.here.task.get() {
            None => Join::Refused(Error::no_running_loop()),
            Some(current) if current == key => {
                let since = self.yield_now().expect("a task is running");
                let refusal = format!("{AWAITS_ITSELF} {}", self.describe_task(key));
                let refusal = Box::new(Error::Runtime(refusal.into()));
                Join::Waiting(Awaiting::Itself(since, refusal))
            }
            Some(_) => {
                let waiter = self.next_waiter(waker).expect("a task is running");
                self.insert_waiter(waiter, Kind::Join { task: key });
                self.slot_mut(key).joiner = Some(waiter);
                Join::Waiting(Awaiting::Task(waiter))
            }
        }
    }

    /// Moves the result of an ended task into an `Option<Result<T>>` of the right type, if it is there.
    #[inline]
    pub(super) fn claim(&mut self, key: TaskKey, result: &mut dyn Any) {
        let slot = self.slot_mut(key);
        if slot.has_result() {
            slot.flags.clear(UNSEEN.or(OWNED));
            if let Some(body) = &mut slot.body {
                body.as_mut().take(result);
            }
        }
    }

    /// Gives up the claim to a task's result. Hands out what can then be dropped, and the name if an error in it was
    /// never retrieved.
    pub(super) fn detach(&mut self, key: TaskKey, unclaimed: &mut Unclaimed) -> Option<String> {
        let slot = self.slot_mut(key);
        if slot.has_result() {
            move_over(&mut slot.body, unclaimed);
        }
        slot.flags.clear(OWNED);
        let is_unseen = slot.flags.has(UNSEEN);
        is_unseen.then(|| self.name(key))
    }

    pub(crate) fn take_body(&mut self, key: TaskKey) -> Unclaimed {
        self.slot_mut(key).body.take()
    }

    pub(crate) fn release_handle(&mut self, key: TaskKey) {
        self.slot_mut(key).handles -= 1;
        self.free_if_unused(key);
    }

    /// Leaves a spent body at the place of the next task, unless there is one, or it is so large that it had better be given back.
    pub(crate) fn keep_spent(&mut self, spent: &mut Unclaimed) {
        let place = self.tasks.next_place().map(|slot| &mut slot.body);
        if let Some(empty @ None) = place.filter(|_| is_kept(spent)) {
            move_over(spent, empty);
        }
    }

    /// Frees a slot that a [`Task`](super::Task) alone still holds, with a spent body: how most tasks go. Says whether it was so.
    #[inline]
    pub(super) fn free_if_spent(&mut self, key: TaskKey) -> bool {
        let slot = self.slot(key);
        let is_spent = slot.handles == 1
            && slot.flags.has(DONE)
            && !slot.flags.has(IN_USE)
            && slot.youngest.is_none()
            && is_kept(&slot.body);
        is_spent && self.tasks.free_within_capacity(key.index())
    }

    /// Frees a slot. Its body stays for the next task, if it is not too large.
    fn free(&mut self, key: TaskKey) {
        let slot = self.slot_mut(key);
        if !is_kept(&slot.body) {
            slot.body = None;
        }
        self.tasks.free(key.index());
    }

    pub(crate) fn free_if_unused(&mut self, key: TaskKey) {
        let slot = self.slot(key);
        let is_used = slot.handles > 0 || slot.youngest.is_some();
        if !is_used && slot.flags.has(DONE) && !slot.flags.has(QUEUED) {
            debug_assert!(!slot.flags.has(OWNED), "somebody can retrieve the result");
            if slot.flags.has(NAMED) {
                self.names.remove(&key);
            }
            self.free(key);
        }
    }

    pub(crate) fn name(&self, key: TaskKey) -> String {
        match self.names.get(&key) {
            Some(name) => name.to_string(),
            None => format!("Task-{}", self.slot(key).number),
        }
    }

    pub(crate) fn set_name(&mut self, key: TaskKey, name: String) {
        self.slot_mut(key).flags.set(NAMED);
        self.write_name(key, &name);
        self.names.insert(key, name.into());
    }

    /// asyncio's `repr` of a task, without its coroutine.
    pub(crate) fn describe_task(&self, key: TaskKey) -> String {
        let slot = self.slot(key);
        let status = match slot.flags {
            flags if flags.has(CANCELLED) => "cancelled",
            flags if flags.has(DONE) => "finished",
            _ if self.requests(key).cancels > 0 => "cancelling",
            _ => "pending",
        };
        format!("<Task {status} name='{}'>", self.name(key))
    }

    /// The tasks that have not ended, in the order of their creation.
    pub(crate) fn in_order_of_creation(&self) -> Vec<TaskKey> {
        if self.alive == 0 {
            return Vec::new();
        }
        let mut alive: Vec<_> = self
            .tasks
            .places()
            .filter(|(_, slot)| !slot.flags.has(DONE))
            .collect();
        alive.sort_unstable_by_key(|(_, slot)| slot.number);
        alive
            .into_iter()
            .map(|(index, _)| TaskKey::new(index))
            .collect()
    }
}
