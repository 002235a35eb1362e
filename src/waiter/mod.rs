//! Waiters: the one place in the crate where a task stands still, and the queue that every primitive keeps.
//!
//! A waiter is a one-shot cell between a suspended task and whoever will let it go on. It leaves `Pending` once, for
//! `Woken` or for `Cancelled`, and queues its task's step as it does. Later wakes and cancels find it done and have
//! no effect.
//!
//! A waiter leaves its queue's *count* when its task runs, not when it is done: until then it is one of the
//! `waiters` that a primitive prints. Whether a done waiter also keeps its *place* is the primitive's choice, as in CPython:
//!
//! - `Lock` looks at the true head, done or not. A done head says that somebody is on the way already, to take the
//!   lock or to pass it on.
//! - All others look for the first that is pending, so there a done waiter is unlinked at once.
//!
//! Several waiters may be pending in one task, in a `join!` or `select!`. The first is the task's *own*, in its slot, unless it stands
//! in a scope or a combinator polls it; the *others* are kept apart, and know their task and scope. A waiter counts as awaited if the task polled
//! it in its last step, or a combinator with wakers of its own keeps it.
//!
//! In asyncio a waiter is the bare `Future` that `locks.py` gets from `create_future()`.
//!
//! Waiters themselves are here; the queues of primitives in `queue.rs`, whose a waiter is in `family.rs`, and how it is told of a
//! cancel in `told.rs`.

mod family;
mod queue;
mod told;

use std::{
    future::Future,
    mem,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, Waker, ready},
};

pub(crate) use self::{
    queue::{Held, NOTED, Named, Queue, TAKEN, WaitList},
    told::Waits,
};

use crate::{
    error::{Error, Result},
    event_loop::{
        Cause, Loop,
        key::{Lodging, QueueKey, TaskKey, TimerKey, WaiterKey, WakerKey},
        now::Stamp,
        state::{Errand, State},
    },
    scope::Scope,
    task::{DONE, LIMITED, POLLED, TRACED},
};

/// A waiter in no queue, and the future of its end: where a future that is not ours is to hear of a cancel. Removed when dropped.
#[must_use]
pub(crate) struct Waiting {
    home: Rc<Loop>,
    waiter: Option<WaiterKey>,
}

impl Waiting {
    pub(crate) fn new(home: Rc<Loop>, waiter: WaiterKey) -> Self {
        Self {
            home,
            waiter: Some(waiter),
        }
    }
}

impl Future for Waiting {
    type Output = Result<()>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let Self { home, waiter } = &mut *self;
        let waiter = waiter.as_mut().expect("polled again after its wake");
        let settled = ready!(home.poll_waiter(waiter, cx));
        if settled.is_gone() {
            self.waiter = None;
        }
        Poll::Ready(settled.result())
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(waiter) = self.waiter {
            self.home.remove_waiter(waiter);
        }
    }
}

impl Loop {
    /// Takes out the waiter of a sleep that is over, if there is no more to see to. Says whether it did.
    #[inline]
    pub(crate) fn wake_up(&self, waiter: WaiterKey) -> bool {
        // Only its timer wakes a sleep, and forgets it then, so there is nothing to leave.
        self.open_quietly(|state| state.take_woken(waiter).is_some())
    }

    /// Takes a waiter out of everything, before its time.
    #[inline(never)]
    pub(crate) fn remove_waiter(&self, waiter: WaiterKey) {
        self.open(|state| state.remove(waiter));
    }

    /// Polls a waiter, and removes it if it is done.
    pub(crate) fn poll_waiter(
        &self,
        waiter: &mut WaiterKey,
        cx: &mut Context<'_>,
    ) -> Poll<Settled> {
        let mut keeps_waker = false;
        let polled = self.open(|state| state.poll_waiter(waiter, cx.waker(), &mut keeps_waker));
        if keeps_waker {
            self.keep_waker(*waiter, cx);
        }
        polled
    }

    /// Polls a bare yield of the loop that is running, if it began there.
    pub(crate) fn poll_yield_here(since: Stamp) -> Poll<Settled> {
        match Self::current_if(|running| running.here.is_home_of(since)) {
            Some(home) => home.poll_yield(since),
            None => Poll::Ready(Settled::NoLoop),
        }
    }

    /// Polls a bare yield, which goes on in the next step, or raises there.
    pub(crate) fn poll_yield(&self, since: Stamp) -> Poll<Settled> {
        match self.look(|state| state.yielded(since)) {
            Some(polled) => polled,
            None => {
                self.open(State::delivered);
                Poll::Ready(Settled::Cancelled)
            }
        }
    }

    /// A combinator's waker is kept by what it polled: cloning it, and dropping the old one, is user code.
    #[cold]
    pub(crate) fn keep_waker(&self, waiter: WaiterKey, cx: &mut Context<'_>) {
        let waker = cx.waker().clone();
        let old = self.open(|state| state.keep_waker(waiter, waker));
        drop(old);
    }
}

/// How a waiter stands. It leaves `Pending` once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wake {
    Pending,
    Woken,
    Cancelled,
}

/// What a waiter stands in or waits for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    /// A primitive's queue, between two others.
    Queue {
        queue: QueueKey,
        /// Whoever stood in front when this one came, or those in between went: of the first in its list, nobody any more.
        previous: Option<WaiterKey>,
        next: Option<WaiterKey>,
        /// Whether it keeps its place when it is done.
        keeps_place: bool,
    },
    /// A timer.
    Sleep { timer: Option<TimerKey> },
    /// So many hops: a callback that queues a callback, in asyncio.
    Relay { timer: Option<TimerKey>, hops: u32 },
    /// The end of a task.
    Join { task: TaskKey },
    /// The task's next step, in a combinator that wants to be woken for it.
    Yield,
    /// A future that is not ours, made able to hear of a cancel.
    Foreign,
    /// No wait itself, but a `wait_for` around others.
    Scope(Scope),
    /// Nothing any more: a task's own waiter that was drawn into a `wait_for`, until whoever polls it learns of its new name.
    Moved { to: WaiterKey },
}

/// What every waiter is. All that a task's own needs, since it is the eldest of its task, and stands in no scope.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Waiter {
    pub(crate) wake: Wake,
    pub(crate) kind: Kind,
}

impl Waiter {
    /// In the slot of a task that waits for nothing.
    pub(crate) const NONE: Self = Self {
        wake: Wake::Woken,
        kind: Kind::Foreign,
    };

    #[inline]
    pub(crate) fn new(kind: Kind) -> Self {
        Self {
            wake: Wake::Pending,
            kind,
        }
    }

    pub(crate) fn is_pending(&self) -> bool {
        self.wake == Wake::Pending
    }

    /// Has it wait again in its queue, from which a wake has taken it, behind another. Says whether it stood in one.
    #[inline]
    pub(crate) fn wait_again(&mut self, behind: Option<WaiterKey>) -> bool {
        let Kind::Queue { previous, next, .. } = &mut self.kind else {
            return false;
        };
        (*previous, *next) = (behind, None);
        self.wake = Wake::Pending;
        true
    }

    /// Wakes it where it stands in a queue, if it is pending. Returns who stands behind it.
    #[inline]
    fn wake(&mut self) -> Option<Option<WaiterKey>> {
        match (self.wake, self.kind) {
            (Wake::Pending, Kind::Queue { next, .. }) => {
                self.wake = Wake::Woken;
                Some(next)
            }
            _ => None,
        }
    }
}

/// A waiter that is not its task's own: the second, one inside a `wait_for`, or polled by a combinator.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Other {
    pub(crate) waiter: Waiter,
    /// Whom to queue. None once the task has ended and the future has survived it.
    pub(crate) task: Option<TaskKey>,
    /// The innermost `wait_for` around it.
    pub(crate) scope: Option<WaiterKey>,
    /// Its neighbours among the waiters of the same task and scope.
    pub(crate) younger: Option<WaiterKey>,
    pub(crate) older: Option<WaiterKey>,
    /// The task's step that polled it last.
    pub(crate) polled: u32,
    /// The waker of a combinator that it was polled with.
    foreign: Option<WakerKey>,
}

/// The end of a wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Settled {
    Woken,
    /// In a primitive's queue, and a recorder is to be told.
    WokenObserved,
    Cancelled,
    /// Woken, and then a request to cancel came, which goes first.
    CancelledAfterWake,
    /// Polled outside its loop. The waiter is still there.
    NoLoop,
}

impl Settled {
    #[inline]
    pub(crate) fn result(self) -> Result<()> {
        match self {
            Self::Woken | Self::WokenObserved => Ok(()),
            otherwise => Err(otherwise.error()),
        }
    }

    /// Why it was not woken.
    #[cold]
    pub(crate) fn error(self) -> Error {
        match self {
            Self::NoLoop => Error::no_running_loop(),
            _ => Error::Cancelled,
        }
    }

    /// Whether the waiter is gone.
    pub(crate) fn is_gone(self) -> bool {
        self != Self::NoLoop
    }
}

impl State {
    pub(crate) fn waiter(&self, key: WaiterKey) -> &Waiter {
        match key.lodging() {
            Lodging::Own(task) => &self.slot(task).own,
            Lodging::Other(index) => &self.others[index].waiter,
        }
    }

    #[inline]
    pub(crate) fn waiter_mut(&mut self, key: WaiterKey) -> &mut Waiter {
        match key.lodging() {
            Lodging::Own(task) => &mut self.slot_mut(task).own,
            Lodging::Other(index) => &mut self.others[index].waiter,
        }
    }

    /// A waiter that is known not to be its task's own: a scope, for one.
    pub(crate) fn other(&self, key: WaiterKey) -> &Other {
        match key.lodging() {
            Lodging::Other(index) => &self.others[index],
            Lodging::Own(_) => unreachable!("it has a record of its own"),
        }
    }

    pub(crate) fn other_mut(&mut self, key: WaiterKey) -> &mut Other {
        match key.lodging() {
            Lodging::Other(index) => &mut self.others[index],
            Lodging::Own(_) => unreachable!("it has a record of its own"),
        }
    }

    /// Whom a waiter queues, unless that task has ended.
    pub(crate) fn waiter_task(&self, key: WaiterKey) -> Option<TaskKey> {
        match key.lodging() {
            Lodging::Own(task) => (!self.slot(task).flags.has(DONE)).then_some(task),
            Lodging::Other(index) => self.others[index].task,
        }
    }

    /// The key of the waiter that the running task makes next, if one is running: its own, if it has no other yet, and none is
    /// needed that knows its scope or a combinator's waker.
    #[inline]
    pub(crate) fn next_waiter(&mut self, waker: &Waker) -> Option<WaiterKey> {
        let task = self.here.task.get()?;
        let slot = &self.tasks[task.index()];
        let by_own =
            self.here.is_plain(waker) || self.here.is_inside_one(waker) && !slot.flags.has(TRACED);
        if by_own && slot.youngest.is_none() {
            return Some(WaiterKey::own(task));
        }
        self.draw_scopes();
        Some(self.next_other())
    }

    fn next_other(&self) -> WaiterKey {
        WaiterKey::other(self.others.next_index())
    }

    /// Makes the waiter whose key was said to be the next.
    #[inline]
    pub(crate) fn insert_waiter(&mut self, key: WaiterKey, kind: Kind) {
        match key.lodging() {
            Lodging::Own(task) => {
                self.here.inside.set(self.here.undrawn.get() > 0);
                self.slot_mut(task).enter(key, kind);
            }
            Lodging::Other(_) => self.insert_other(key, Waiter::new(kind)),
        }
    }

    /// Makes a waiter in the scope that is being polled.
    fn insert_other(&mut self, key: WaiterKey, waiter: Waiter) {
        let (task, scope) = (self.here.task.get(), self.here.scope());
        let older = self.adopt(key, task, scope);
        self.others.insert(Other {
            waiter,
            task,
            scope,
            younger: None,
            older,
            polled: self.here.step(),
            foreign: None,
        });
    }

    /// Draws a scope around what is being polled.
    pub(crate) fn insert_scope(&mut self, scope: Scope) -> WaiterKey {
        let key = self.next_other();
        self.insert_other(key, Waiter::new(Kind::Scope(scope)));
        key
    }

    /// Queues the task of a waiter that is done, and has the combinator woken that polls it, if one does.
    #[inline]
    fn let_go(&mut self, key: WaiterKey) {
        match key.lodging() {
            Lodging::Own(task) => self.queue_step(task, Cause::Waiter(key)),
            Lodging::Other(index) => {
                if let Some(task) = self.others[index].task {
                    self.queue_step(task, Cause::Waiter(key));
                }
                self.wake_foreign(key);
            }
        }
    }

    /// Lets a pending waiter go on, woken or cancelled.
    pub(crate) fn settle(&mut self, key: WaiterKey, wake: Wake) {
        let waiter = self.waiter_mut(key);
        debug_assert!(waiter.is_pending(), "a waiter is settled once");
        waiter.wake = wake;
        if let Kind::Queue {
            queue,
            previous,
            next,
            keeps_place,
        } = waiter.kind
        {
            let list = self.ends_of(queue);
            if wake == Wake::Cancelled {
                list.cancelled.set(list.cancelled.get() + 1);
            }
            if !keeps_place {
                self.unlink(&list, key, previous, next);
            }
        }
        self.let_go(key);
    }

    /// Wakes what sleeps with its task's own waiter, if nothing but that task's step is to be queued. Says whether it did.
    #[inline]
    pub(crate) fn wake_sleeper(&mut self, key: WaiterKey) -> bool {
        let Lodging::Own(task) = key.lodging() else {
            return false;
        };
        let slot = &mut self.tasks[task.index()];
        let sleeps = matches!(slot.own.kind, Kind::Sleep { .. })
            && slot.own.is_pending()
            && !slot.flags.has(LIMITED);
        if !sleeps || self.announces || !slot.queue_within_capacity(task, &mut self.ready) {
            return false;
        }
        slot.own.wake = Wake::Woken;
        slot.own.kind = Kind::Sleep { timer: None };
        true
    }

    /// Wakes the combinator that polls a waiter, if one does.
    pub(crate) fn wake_foreign(&mut self, key: WaiterKey) {
        if let Some(foreign) = self.other_mut(key).foreign.take() {
            self.outbox
                .push(Errand::Wake(self.foreign.remove(foreign.index())));
        }
    }

    /// Takes a waiter out of everything, and says how it stood.
    pub(crate) fn remove(&mut self, key: WaiterKey) -> Wake {
        let key = self.find(key);
        let waiter = match key.lodging() {
            Lodging::Own(task) => self.take_out_own(task),
            Lodging::Other(index) => self.take_out_other(index),
        };
        self.leave(key, waiter);
        waiter.wake
    }

    /// Takes out the waiter of a sleep that has just begun, if it is its task's own. Says whether it did.
    #[inline]
    pub(crate) fn end_new_sleep(&mut self, key: WaiterKey) -> bool {
        let Lodging::Own(task) = key.lodging() else {
            return false;
        };
        let slot = &mut self.tasks[task.index()];
        match slot.own.kind {
            Kind::Sleep { timer: Some(timer) }
                if slot.waits_alone(key) && self.wheel.take_newest(timer) =>
            {
                slot.youngest = None;
                true
            }
            _ => false,
        }
    }

    /// A waiter that was taken out leaves what it waited for.
    #[inline]
    fn leave(&mut self, key: WaiterKey, waiter: Waiter) {
        match waiter.kind {
            // It was unlinked as it was woken.
            Kind::Queue {
                keeps_place: false, ..
            } if waiter.wake == Wake::Woken => {}
            Kind::Queue {
                queue,
                previous,
                next,
                keeps_place,
            } => self.leave_queue(key, queue, waiter.wake, keeps_place, previous, next),
            Kind::Sleep { timer: Some(timer) }
            | Kind::Relay {
                timer: Some(timer), ..
            } => self.wheel.cancel(timer),
            Kind::Join { task } => self.slot_mut(task).joiner = None,
            Kind::Yield
            | Kind::Sleep { timer: None }
            | Kind::Relay { timer: None, .. }
            | Kind::Foreign
            | Kind::Scope(_)
            | Kind::Moved { .. } => {}
        }
    }

    #[inline]
    fn take_out_own(&mut self, task: TaskKey) -> Waiter {
        let slot = &mut self.tasks[task.index()];
        let waiter = slot.own;
        if slot.waits_alone(WaiterKey::own(task)) {
            slot.youngest = None;
        } else {
            self.disown_own(task);
        }
        waiter
    }

    #[inline(never)]
    fn take_out_other(&mut self, index: usize) -> Waiter {
        let other = self.others[index];
        self.others.free(index);
        self.disown(&other);
        if let Kind::Yield = other.waiter.kind {
            let key = WaiterKey::other(index);
            let place = self
                .yielders
                .iter()
                .position(|&(_, yielder)| yielder == key);
            let yielder = place.map(|place| self.yielders.remove(place).0);
            // It began in the step that is running, if that is its task's: the next one would have woken it.
            if other.waiter.is_pending() && yielder.is_some_and(|task| self.here.is(task)) {
                self.here.forget_yield();
            }
        }
        if let Some(foreign) = other.foreign {
            self.drop_foreign(foreign);
        }
        other.waiter
    }

    #[cold]
    fn drop_foreign(&mut self, foreign: WakerKey) {
        self.outbox
            .push(Errand::Drop(self.foreign.remove(foreign.index())));
    }

    /// Takes out a waiter that was woken, if it is its task's own, and there is nothing else to see to.
    #[inline]
    fn take_woken(&mut self, key: WaiterKey) -> Option<Waiter> {
        match key.lodging() {
            Lodging::Own(task) if self.here.is_calm() => self.tasks[task.index()].take_woken(key),
            _ => None,
        }
    }

    /// The same for one that is not its task's own, and alone in its task or its scope.
    #[inline]
    fn take_woken_other(&mut self, key: WaiterKey) -> Option<Waiter> {
        let Lodging::Other(index) = key.lodging() else {
            return None;
        };
        let other = &self.others[index];
        let is_usual = other.waiter.wake == Wake::Woken
            && other.task.is_some()
            && other.younger.is_none()
            && other.older.is_none()
            && other.foreign.is_none()
            && self.journal.is_none()
            && self.here.is_calm();
        let (waiter, task, scope) = (other.waiter, other.task, other.scope);
        if !is_usual || !self.others.free_within_capacity(index) {
            return None;
        }
        *self.youngest(task, scope)? = None;
        Some(waiter)
    }

    /// Polls a waiter. What most polls find, a wake and nothing else, comes first. If it is pending, says whether the waker
    /// is to be kept.
    #[inline]
    fn poll_waiter(
        &mut self,
        key: &mut WaiterKey,
        waker: &Waker,
        keeps_waker: &mut bool,
    ) -> Poll<Settled> {
        let woken = self.take_woken(*key);
        if let Some(waiter) = woken.or_else(|| self.take_woken_other(*key)) {
            self.leave(*key, waiter);
            return Poll::Ready(Settled::Woken);
        }
        let polled = self.poll_unusual(key, waker);
        *keeps_waker = polled.is_pending() && self.wants_waker(*key, waker);
        polled
    }

    /// Whether a recorder wants to know that a primitive is passed.
    fn is_observed(&self, key: WaiterKey) -> bool {
        self.journal.is_some() && matches!(self.waiter(key).kind, Kind::Queue { .. })
    }

    #[inline(never)]
    fn poll_unusual(&mut self, key: &mut WaiterKey, waker: &Waker) -> Poll<Settled> {
        // Else it is another executor, or a loop that has ended.
        let Some(current) = self.here.task.get() else {
            return Poll::Ready(Settled::NoLoop);
        };
        *key = self.find(*key);
        let wake = self.waiter(*key).wake;
        let was_pending = self.mark_polled(*key);
        let settled = match wake {
            Wake::Pending => {
                self.draw_scopes();
                *key = self.find(*key);
                let scope = self.here.scope();
                if let Lodging::Own(task) = key.lodging() {
                    if task == current && self.here.is_plain(waker) {
                        return Poll::Pending;
                    }
                    *key = self.move_out(task);
                }
                let other = self.other(*key);
                if other.task != Some(current) || other.scope != scope {
                    self.move_here(*key);
                }
                return Poll::Pending;
            }
            Wake::Woken if self.here.is_raising() && was_pending && self.raises() => {
                Settled::CancelledAfterWake
            }
            Wake::Woken if self.is_observed(*key) => Settled::WokenObserved,
            Wake::Woken => Settled::Woken,
            Wake::Cancelled => Settled::Cancelled,
        };
        if !matches!(settled, Settled::Woken | Settled::WokenObserved) {
            self.delivered();
        }
        self.remove(*key);
        Poll::Ready(settled)
    }

    /// A waiter is polled in this step. Says whether it was pending before.
    fn mark_polled(&mut self, key: WaiterKey) -> bool {
        let step = self.here.step();
        match key.lodging() {
            Lodging::Own(task) => {
                let is_running = self.here.is(task);
                let flags = &mut self.slot_mut(task).flags;
                let was_polled = is_running && flags.has(POLLED);
                if is_running {
                    flags.set(POLLED);
                }
                !was_polled
            }
            Lodging::Other(index) => mem::replace(&mut self.others[index].polled, step) != step,
        }
    }

    /// Whether a pending waiter was polled with a combinator's waker that it does not keep yet.
    pub(crate) fn wants_waker(&self, key: WaiterKey, waker: &Waker) -> bool {
        match key.lodging() {
            Lodging::Own(_) => false,
            Lodging::Other(index) => match self.others[index].foreign {
                None => self.here.keeps(waker),
                Some(foreign) => !self.foreign[foreign.index()].will_wake(waker),
            },
        }
    }

    /// Keeps a combinator's waker with a waiter, and returns the one that it had before.
    fn keep_waker(&mut self, key: WaiterKey, waker: Waker) -> Option<Waker> {
        match self.other(key).foreign {
            Some(foreign) => Some(mem::replace(&mut self.foreign[foreign.index()], waker)),
            None => {
                let foreign = WakerKey::new(self.foreign.insert(waker));
                self.other_mut(key).foreign = Some(foreign);
                None
            }
        }
    }
}
