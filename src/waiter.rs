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

use std::{
    cell::{Cell, OnceCell},
    future::Future,
    mem,
    pin::Pin,
    rc::{Rc, Weak},
    task::{Context, Poll, Waker, ready},
};

use crate::{
    error::{Error, OTHER_LOOP, Result},
    event_loop::{
        Cause, Loop, journal,
        key::{Lodging, QueueKey, TaskKey, TimerKey, WaiterKey, WakerKey},
        state::{Errand, State},
    },
    scope::Scope,
    task::{DONE, Flags, POLLED, RAISING, REQUESTED, STRUCK, YIELDED_INSIDE, YIELDING},
    trace::EventKind,
};

/// What can be waited for, by the names it has in reports. All of it is the crate's own code.
pub(crate) trait Named {
    /// Its `repr`. May look into the state.
    fn name(&self) -> String;

    /// What it is: `Lock`.
    fn kind(&self) -> &'static str;

    /// The name that it was given.
    fn given_name(&self) -> Option<&str>;
}

/// A primitive's queue: the tasks that wait for it, first come first served.
pub(crate) struct Queue {
    /// The loop that the primitive belongs to: the first that made a task wait.
    home: OnceCell<Home>,
    /// Which primitive a report should name: this one, or the one that it is a part of.
    owner: OnceCell<Weak<dyn Named>>,
    /// What the user calls the primitive.
    given_name: OnceCell<Box<str>>,
    /// How many waiters there are, done ones included.
    len: Cell<usize>,
    /// Whether a done waiter keeps its place.
    keeps_place: bool,
}

/// Where a queue is known.
struct Home {
    home: Rc<Loop>,
    queue: QueueKey,
    list: Rc<List>,
}

/// The ends of a queue: its primitive has them at hand, and the state does when a cancel comes. The links between are the
/// waiters'.
///
/// Invariant: the pending waiters stand in the list, and the done ones too if they keep their place.
#[derive(Debug, Default)]
pub(crate) struct List {
    first: Cell<Option<WaiterKey>>,
    last: Cell<Option<WaiterKey>>,
    /// How many of those who have not left the queue were cancelled.
    cancelled: Cell<usize>,
}

impl Queue {
    /// A queue for `Lock`, in which a done waiter keeps its place.
    pub(crate) const fn keeping_place() -> Self {
        Self {
            home: OnceCell::new(),
            owner: OnceCell::new(),
            given_name: OnceCell::new(),
            len: Cell::new(0),
            keeps_place: true,
        }
    }

    /// A queue in which only those stand who are still pending.
    pub(crate) const fn of_pending() -> Self {
        Self {
            home: OnceCell::new(),
            owner: OnceCell::new(),
            given_name: OnceCell::new(),
            len: Cell::new(0),
            keeps_place: false,
        }
    }

    /// Has reports name another primitive, of which this one is a part.
    pub(crate) fn owned_by(&self, owner: Weak<dyn Named>) {
        // Set while the primitive is made, hence once.
        let _ = self.owner.set(owner);
    }

    /// Gives the primitive a name. The first one stays.
    pub(crate) fn give_name(&self, name: String) {
        let _ = self.given_name.set(name.into());
    }

    pub(crate) fn given_name(&self) -> Option<&str> {
        self.given_name.get().map(AsRef::as_ref)
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.len.get()
    }

    /// Whether anybody waits, or a recorder looks on: one question, since most of the time it is neither.
    #[inline]
    pub(crate) fn are_of_interest(&self) -> bool {
        self.len.get() | journal::written() != 0
    }

    /// The running task passes a primitive that can be held, or gives it back: for a recorder, if there is one.
    #[inline]
    pub(crate) fn tell_recorder(&self, primitive: &Rc<impl Named + 'static>, held: Held) {
        if journal::is_written() {
            self.write_down(primitive, held);
        }
    }

    #[cold]
    #[inline(never)]
    fn write_down(&self, primitive: &Rc<impl Named + 'static>, held: Held) {
        let primitive: Weak<dyn Named> = Rc::downgrade(primitive) as _;
        // What is a part of another primitive is nobody's to hold.
        let home = self.home.get().map(|known| Rc::clone(&known.home));
        if let (None, Some(home)) = (self.owner.get(), home.or_else(Loop::current)) {
            home.open(|state| state.write_holding(&primitive, held));
        }
    }

    /// Whether nobody waits, or everybody who does has been cancelled.
    #[inline]
    pub(crate) fn all_cancelled(&self) -> bool {
        self.len.get() == 0 || self.are_all_cancelled()
    }

    fn are_all_cancelled(&self) -> bool {
        let known = self.home.get();
        known.is_none_or(|known| known.list.cancelled.get() == self.len.get())
    }

    /// Joins the queue, at its end, on behalf of the task that polls. `None` if the queue is not bound to the loop that is
    /// running, or not yet: see [`enter_first`](Self::enter_first).
    #[inline]
    pub(crate) fn enter(&self, cx: &mut Context<'_>) -> Option<WaiterKey> {
        let known = self.home.get()?;
        let waiter = known.enter(self.keeps_place, cx)?;
        self.len.set(self.len.get() + 1);
        Some(waiter)
    }

    /// Joins the queue of a primitive that may be new: it belongs to the running loop from now on. `None` where nobody can
    /// wait for it: see [`refusal`](Self::refusal).
    #[cold]
    pub(crate) fn enter_first(
        &self,
        primitive: Rc<dyn Named>,
        cx: &mut Context<'_>,
    ) -> Option<WaiterKey> {
        if self.home.get().is_none() {
            self.bind(Rc::downgrade(&primitive))?;
        }
        self.enter(cx)
    }

    /// Polls a waiter of this queue, which has left it if this is ready with anything but `NoLoop`.
    #[inline]
    pub(crate) fn poll(&self, waiter: &mut WaiterKey, cx: &mut Context<'_>) -> Poll<Settled> {
        let known = self.home.get().expect("it was entered");
        let settled = ready!(known.home.poll_waiter(waiter, cx));
        if settled.is_gone() {
            self.len.set(self.len.get() - 1);
        }
        Poll::Ready(settled)
    }

    /// Takes a waiter out of the queue before its time. Says whether it had been woken.
    pub(crate) fn leave(&self, waiter: WaiterKey) -> bool {
        let known = self.home.get().expect("it was entered");
        self.len.set(self.len.get() - 1);
        known.home.open(|state| state.remove(waiter)) == Wake::Woken
    }

    /// Binds the primitive to the running loop, in which a task is about to wait for it.
    fn bind(&self, primitive: Weak<dyn Named>) -> Option<()> {
        let running = Loop::current()?;
        running.here.task.get()?;
        let owner = self.owner.get().cloned().unwrap_or(primitive);
        self.home.get_or_init(|| {
            let list = Rc::default();
            let queue = running.open(|state| state.insert_queue(owner, Rc::clone(&list)));
            Home {
                home: running,
                queue,
                list,
            }
        });
        Some(())
    }

    /// Why nobody can wait here now: outside any loop, or in another loop than the queue's.
    pub(crate) fn refusal(&self, primitive: &dyn Named) -> Error {
        let home = self.home.get().map(|known| &known.home);
        match Loop::current() {
            Some(running) if home.is_some_and(|home| !Rc::ptr_eq(home, &running)) => {
                Error::Runtime(format!("{} {OTHER_LOOP}", primitive.name()).into())
            }
            _ => Error::no_running_loop(),
        }
    }

    /// Wakes the first `n` that are pending. In `Lock`'s queue, none behind one that is done. Returns how many.
    #[inline]
    pub(crate) fn wake(&self, n: usize) -> usize {
        match self.len.get() {
            0 => 0,
            _ => self.wake_waiting(n),
        }
    }

    fn wake_waiting(&self, n: usize) -> usize {
        match self.home.get() {
            Some(known) => known.wake(self.keeps_place, n),
            None => 0,
        }
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        // Nobody is left in it: a place in the queue borrows from it.
        if let Some(Home { home, queue, .. }) = self.home.take() {
            home.open(|state| state.queues.remove(queue.index()));
        }
    }
}

impl Home {
    /// A place at the end of the queue.
    #[inline]
    fn kind(&self, previous: Option<WaiterKey>, keeps_place: bool) -> Kind {
        Kind::Queue {
            queue: self.queue,
            previous,
            next: None,
            keeps_place,
        }
    }

    fn enter(&self, keeps_place: bool, cx: &mut Context<'_>) -> Option<WaiterKey> {
        if self.home.here.is_plain(cx.waker()) {
            let own = self
                .home
                .open(|state| state.enter_by_own(self, keeps_place));
            if own.is_some() {
                return own;
            }
        }
        self.enter_by_other(keeps_place, cx)
    }

    #[inline(never)]
    fn enter_by_other(&self, keeps_place: bool, cx: &mut Context<'_>) -> Option<WaiterKey> {
        let waiter = self
            .home
            .open(|state| state.enter_by_other(self, keeps_place))?;
        if self.home.here.keeps(cx.waker()) {
            self.home.keep_waker(waiter, cx);
        }
        Some(waiter)
    }

    fn wake(&self, keeps_place: bool, n: usize) -> usize {
        self.home
            .open(|state| state.wake(&self.list, keeps_place, n))
    }
}

/// What becomes of a primitive that can be held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Held {
    Begins,
    Ends,
}

/// A waiter in no queue, and the future of its wake: a sleep, say. Removed when dropped.
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
            self.home.open(|state| state.remove(waiter));
        }
    }
}

impl Loop {
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

    /// Polls a bare yield, which goes on in the next step, or raises there.
    pub(crate) fn poll_yield(&self, since: u32) -> Poll<Settled> {
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

/// How a waiter stands. In this order: it only ever gets greater.
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

/// A queue as the loop knows it.
pub(crate) struct WaitList {
    list: Rc<List>,
    pub(crate) owner: Weak<dyn Named>,
}

/// The end of a wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Settled {
    Woken,
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
            Self::Woken => Ok(()),
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
    pub(crate) fn insert_queue(&mut self, owner: Weak<dyn Named>, list: Rc<List>) -> QueueKey {
        QueueKey::new(self.queues.insert(WaitList { list, owner }))
    }

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
        if self.here.is_plain(waker) && self.tasks[task.index()].youngest.is_none() {
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
            Lodging::Own(task) => self.slot_mut(task).enter(key, kind),
            Lodging::Other(_) => self.insert_other(key, Waiter::new(kind)),
        }
    }

    /// Makes a waiter in the scope that is being polled.
    fn insert_other(&mut self, key: WaiterKey, waiter: Waiter) {
        let (task, scope) = (self.here.task.get(), self.here.scope.get());
        let older = self.adopt(key, task, scope);
        self.others.insert(Other {
            waiter,
            task,
            scope,
            younger: None,
            older,
            polled: self.here.step.get(),
            foreign: None,
        });
    }

    /// Draws a scope around what is being polled.
    pub(crate) fn insert_scope(&mut self, scope: Scope) -> WaiterKey {
        let key = self.next_other();
        self.insert_other(key, Waiter::new(Kind::Scope(scope)));
        key
    }

    /// Joins a queue with the running task's own waiter, if that is free.
    #[inline]
    fn enter_by_own(&mut self, home: &Home, keeps_place: bool) -> Option<WaiterKey> {
        let task = self.here.task.get()?;
        let slot = &mut self.tasks[task.index()];
        if slot.youngest.is_some() {
            return None;
        }
        let key = WaiterKey::own(task);
        let previous = home.list.last.replace(Some(key));
        slot.enter(key, home.kind(previous, keeps_place));
        self.link(&home.list, previous, key);
        Some(key)
    }

    /// Joins a queue with another waiter, unless no task of this loop is running.
    fn enter_by_other(&mut self, home: &Home, keeps_place: bool) -> Option<WaiterKey> {
        self.here.task.get()?;
        self.draw_scopes();
        let key = self.next_other();
        let previous = home.list.last.replace(Some(key));
        self.insert_waiter(key, home.kind(previous, keeps_place));
        self.link(&home.list, previous, key);
        Some(key)
    }

    #[inline]
    fn link(&mut self, list: &List, previous: Option<WaiterKey>, key: WaiterKey) {
        match previous {
            None => list.first.set(Some(key)),
            Some(previous) => *self.next_in_queue(previous) = Some(key),
        }
    }

    /// Wakes the first `n` waiters of a queue, as far as they are pending. Returns how many.
    #[inline]
    fn wake(&mut self, list: &List, keeps_place: bool, n: usize) -> usize {
        let mut woken = 0;
        while woken < n && self.wake_head(list, keeps_place) {
            woken += 1;
        }
        woken
    }

    /// Wakes the waiter at the head of a queue, if it is pending.
    #[inline]
    fn wake_head(&mut self, list: &List, keeps_place: bool) -> bool {
        let Some(first) = list.first.get() else {
            return false;
        };
        let (behind, step) = match first.lodging() {
            Lodging::Own(task) => {
                let slot = &mut self.tasks[task.index()];
                let behind = slot.own.wake();
                let queues = behind.is_some() && slot.flags.queue();
                (behind, queues.then_some(task))
            }
            Lodging::Other(index) => (self.others[index].waiter.wake(), None),
        };
        let Some(next) = behind else {
            return false;
        };
        if !keeps_place {
            list.first.set(next);
            match next {
                None => list.last.set(None),
                Some(next) => *self.previous_in_queue(next) = None,
            }
        }
        match step {
            Some(task) => self.push_step(task),
            None => self.let_go(first),
        }
        true
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
            if wake == Wake::Cancelled {
                let cancelled = &self.queues[queue.index()].list.cancelled;
                cancelled.set(cancelled.get() + 1);
            }
            if !keeps_place {
                self.unlink(queue, previous, next);
            }
        }
        self.let_go(key);
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
        let waiter = match key.lodging() {
            Lodging::Own(task) => self.take_out_own(task),
            Lodging::Other(index) => self.take_out_other(index),
        };
        self.leave(waiter);
        waiter.wake
    }

    /// A waiter that was taken out leaves what it waited for.
    #[inline]
    fn leave(&mut self, waiter: Waiter) {
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
            } => self.leave_queue(queue, waiter.wake, keeps_place, previous, next),
            Kind::Sleep { timer: Some(timer) }
            | Kind::Relay {
                timer: Some(timer), ..
            } => self.wheel.cancel(timer),
            Kind::Join { task } => self.slot_mut(task).joiner = None,
            Kind::Yield
            | Kind::Sleep { timer: None }
            | Kind::Relay { timer: None, .. }
            | Kind::Foreign
            | Kind::Scope(_) => {}
        }
    }

    #[inline]
    fn take_out_own(&mut self, task: TaskKey) -> Waiter {
        let key = Some(WaiterKey::own(task));
        let slot = &mut self.tasks[task.index()];
        let waiter = slot.own;
        if slot.youngest == key && !slot.flags.has(DONE) {
            slot.youngest = None;
        } else {
            self.disown_own(task);
        }
        waiter
    }

    /// Takes a task's own waiter from among its waiters, if there are others, or if it has survived the task.
    #[inline(never)]
    fn disown_own(&mut self, task: TaskKey) {
        let key = WaiterKey::own(task);
        match self.second(task) {
            Some(second) => self.other_mut(second).older = None,
            None => self.slot_mut(task).youngest = None,
        }
        debug_assert!(self.slot(task).youngest != Some(key));
        self.free_if_unused(task);
    }

    /// The eldest of a task's waiters after its own.
    fn second(&self, task: TaskKey) -> Option<WaiterKey> {
        let own = WaiterKey::own(task);
        let mut second = self.slot(task).youngest.filter(|&youngest| youngest != own);
        while let Some(older) = second.and_then(|key| self.other(key).older) {
            if older == own {
                break;
            }
            second = Some(older);
        }
        second
    }

    #[inline(never)]
    fn take_out_other(&mut self, index: usize) -> Waiter {
        let other = self.others[index];
        self.others.free(index);
        self.disown(&other);
        if let Kind::Yield = other.waiter.kind {
            let key = WaiterKey::other(index);
            self.yielders.retain(|&(_, yielder)| yielder != key);
            if other.waiter.is_pending() {
                self.here.forget_yield(other.polled);
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

    /// Takes a waiter that has been taken out from its queue, too, and from those who are counted there.
    fn leave_queue(
        &mut self,
        queue: QueueKey,
        wake: Wake,
        keeps_place: bool,
        previous: Option<WaiterKey>,
        next: Option<WaiterKey>,
    ) {
        if wake == Wake::Cancelled {
            let cancelled = &self.queues[queue.index()].list.cancelled;
            cancelled.set(cancelled.get() - 1);
        }
        if keeps_place || wake == Wake::Pending {
            self.unlink(queue, previous, next);
        }
    }

    fn unlink(&mut self, queue: QueueKey, previous: Option<WaiterKey>, next: Option<WaiterKey>) {
        self.set_next(queue, previous, next);
        self.set_previous(queue, next, previous);
    }

    /// Makes a waiter the next after another in a queue, or its first.
    fn set_next(
        &mut self,
        queue: QueueKey,
        previous: Option<WaiterKey>,
        waiter: Option<WaiterKey>,
    ) {
        match previous {
            None => self.queues[queue.index()].list.first.set(waiter),
            Some(previous) => *self.next_in_queue(previous) = waiter,
        }
    }

    /// Makes a waiter the one before another in a queue, or its last.
    fn set_previous(
        &mut self,
        queue: QueueKey,
        next: Option<WaiterKey>,
        waiter: Option<WaiterKey>,
    ) {
        match next {
            None => self.queues[queue.index()].list.last.set(waiter),
            Some(next) => *self.previous_in_queue(next) = waiter,
        }
    }

    fn next_in_queue(&mut self, key: WaiterKey) -> &mut Option<WaiterKey> {
        match &mut self.waiter_mut(key).kind {
            Kind::Queue { next, .. } => next,
            _ => unreachable!("a queue links only those who stand in it"),
        }
    }

    fn previous_in_queue(&mut self, key: WaiterKey) -> &mut Option<WaiterKey> {
        match &mut self.waiter_mut(key).kind {
            Kind::Queue { previous, .. } => previous,
            _ => unreachable!("a queue links only those who stand in it"),
        }
    }

    /// Gives a task's own waiter a record of its own, since it has wandered to another task, into a `wait_for`, or into a
    /// combinator. Whoever knows it is told its new name.
    #[cold]
    fn move_out(&mut self, task: TaskKey) -> WaiterKey {
        let slot = self.slot(task);
        let (waiter, done) = (slot.own, slot.flags.has(DONE));
        let polled = match slot.flags.has(POLLED) {
            true => slot.last_step,
            false => slot.last_step.wrapping_sub(1),
        };
        let key = self.next_other();
        let younger = self.second(task);
        match younger {
            Some(younger) => self.other_mut(younger).older = Some(key),
            None => self.slot_mut(task).youngest = (!done).then_some(key),
        }
        self.others.insert(Other {
            waiter,
            task: (!done).then_some(task),
            scope: None,
            younger,
            older: None,
            polled,
            foreign: None,
        });
        match waiter.kind {
            Kind::Queue {
                queue,
                previous,
                next,
                keeps_place,
            } => {
                if keeps_place || waiter.is_pending() {
                    self.set_next(queue, previous, Some(key));
                    self.set_previous(queue, next, Some(key));
                }
            }
            Kind::Sleep { timer } | Kind::Relay { timer, .. } => {
                if let Some(timer) = timer {
                    self.wheel.set_payload(timer, key);
                }
            }
            Kind::Join { task } => self.slot_mut(task).joiner = Some(key),
            Kind::Foreign => {}
            Kind::Yield | Kind::Scope(_) => unreachable!("these are nobody's own"),
        }
        self.free_if_unused(task);
        key
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
        if let (Lodging::Own(task), true) = (key.lodging(), self.here.calm.get()) {
            if let Some(waiter) = self.tasks[task.index()].take_woken(*key) {
                self.leave(waiter);
                return Poll::Ready(Settled::Woken);
            }
        }
        let polled = self.poll_unusual(key, waker);
        *keeps_waker = polled.is_pending() && self.wants_waker(*key, waker);
        polled
    }

    #[inline(never)]
    fn poll_unusual(&mut self, key: &mut WaiterKey, waker: &Waker) -> Poll<Settled> {
        // Else it is another executor, or a loop that has ended.
        let Some(current) = self.here.task.get() else {
            return Poll::Ready(Settled::NoLoop);
        };
        let wake = self.waiter(*key).wake;
        let was_pending = self.mark_polled(*key);
        let settled = match wake {
            Wake::Pending => {
                self.draw_scopes();
                let (step, scope) = (self.here.step.get(), self.here.scope.get());
                if let Lodging::Own(task) = key.lodging() {
                    if task == current && self.here.is_plain(waker) {
                        return Poll::Pending;
                    }
                    *key = self.move_out(task);
                }
                let other = self.other_mut(*key);
                other.polled = step;
                if other.task != Some(current) || other.scope != scope {
                    self.move_here(*key);
                }
                return Poll::Pending;
            }
            Wake::Woken if self.here.is_raising() && was_pending && self.raises() => {
                Settled::CancelledAfterWake
            }
            Wake::Woken => Settled::Woken,
            Wake::Cancelled => Settled::Cancelled,
        };
        if settled != Settled::Woken {
            self.delivered();
        }
        self.remove(*key);
        Poll::Ready(settled)
    }

    /// A waiter is polled in this step. Says whether it was pending before.
    fn mark_polled(&mut self, key: WaiterKey) -> bool {
        let step = self.here.step.get();
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

    /// A bare yield begins: when this step is over, the task's next one is queued. Returns the step it was in.
    #[inline]
    pub(crate) fn yield_now(&mut self) -> Option<u32> {
        self.here.task.get()?;
        self.mark_yielding();
        Some(self.here.begin_yield())
    }

    /// A bare yield begins that was polled with a combinator's waker, which is woken when the next step begins.
    pub(crate) fn yield_inside(&mut self) -> WaiterKey {
        self.draw_scopes();
        let key = self.next_other();
        self.insert_other(key, Waiter::new(Kind::Yield));
        if let Some(current) = self.here.task.get() {
            self.yielders.push((current, key));
            self.slot_mut(current).flags.set(YIELDED_INSIDE);
        }
        key
    }

    /// Has the scopes around know that something in them yields.
    fn mark_yielding(&mut self) {
        let mut scope = self.here.scope.get();
        while let Some(key) = scope {
            self.scope_flags(key).set(YIELDING);
            scope = self.other(key).scope;
        }
    }

    /// How a bare yield stands that began in an earlier step, or in this one. `None` if there is a request to raise.
    #[inline]
    fn yielded(&self, since: u32) -> Option<Poll<Settled>> {
        match self.here.task.get() {
            // Else it is another executor, or a loop that has ended.
            None => Some(Poll::Ready(Settled::NoLoop)),
            Some(_) if since == self.here.step.get() => Some(Poll::Pending),
            Some(_) if self.here.is_raising() && self.raises() => None,
            Some(_) => Some(Poll::Ready(Settled::Woken)),
        }
    }

    /// Whether a request is to be raised by what is polled here and was pending before.
    fn raises(&self) -> bool {
        self.boundaries().any(|flags| flags.has(RAISING))
    }

    /// A request counts as delivered, to every boundary around the place where it was raised.
    pub(crate) fn delivered(&mut self) {
        if !self.here.is_raising() {
            return;
        }
        self.write_current(EventKind::CancelDelivered);
        let mut scope = self.here.scope.get();
        while let Some(key) = scope {
            settle_request(self.scope_flags(key));
            scope = self.other(key).scope;
        }
        if let Some(current) = self.here.task.get() {
            settle_request(&mut self.slot_mut(current).flags);
        }
    }

    /// The flags of the scopes around what is being polled, innermost first, and of the task.
    fn boundaries(&self) -> impl Iterator<Item = Flags> {
        let mut scope = self.here.scope.get();
        let scopes = std::iter::from_fn(move || {
            let drawn = self.other(scope?);
            scope = drawn.scope;
            match &drawn.waiter.kind {
                Kind::Scope(scope) => Some(scope.flags),
                _ => unreachable!("a scope is a scope"),
            }
        });
        scopes.chain(self.here.task.get().map(|current| self.slot(current).flags))
    }

    /// Tells whatever is awaited of a request to cancel. Waits for tasks are not told: the tasks are to be cancelled in
    /// their place, in the order in which they are listed. Says whether anything was told.
    pub(crate) fn tell(
        &mut self,
        youngest: Option<WaiterKey>,
        step: u32,
        inner: &mut Vec<TaskKey>,
    ) -> bool {
        let mut todo = Vec::new();
        let mut next = self.list(youngest, step, &mut todo);
        let mut told = false;
        while let Some(key) = next {
            let waiter = self.waiter(key);
            match &waiter.kind {
                Kind::Scope(scope) => {
                    next = self.list(scope.youngest, self.other(key).polled, &mut todo);
                    continue;
                }
                _ if !waiter.is_pending() => {}
                Kind::Join { task } => inner.push(*task),
                _ => {
                    self.settle(key, Wake::Cancelled);
                    told = true;
                }
            }
            next = todo.pop();
        }
        told
    }

    /// Lists the awaited waiters of a boundary, the eldest last, and takes that one off the list.
    fn list(
        &self,
        youngest: Option<WaiterKey>,
        step: u32,
        list: &mut Vec<WaiterKey>,
    ) -> Option<WaiterKey> {
        let mut next = youngest;
        while let Some(key) = next {
            next = self.older(key);
            if self.is_awaited(key, step) {
                if next.is_none() {
                    return Some(key);
                }
                list.push(key);
            }
        }
        list.pop()
    }

    /// The next older of the waiters of the same task and scope.
    pub(crate) fn older(&self, key: WaiterKey) -> Option<WaiterKey> {
        match key.lodging() {
            Lodging::Own(_) => None,
            Lodging::Other(index) => self.others[index].older,
        }
    }

    /// Whether the task awaits a waiter, if the boundary around it was last polled in this step.
    fn is_awaited(&self, key: WaiterKey, step: u32) -> bool {
        match key.lodging() {
            Lodging::Own(task) => self.slot(task).flags.has(POLLED),
            Lodging::Other(index) => {
                let other = &self.others[index];
                other.polled == step || other.foreign.is_some()
            }
        }
    }

    /// Makes a waiter the youngest among those of a task and a scope. Returns the one that was it before.
    #[inline]
    fn adopt(
        &mut self,
        key: WaiterKey,
        task: Option<TaskKey>,
        scope: Option<WaiterKey>,
    ) -> Option<WaiterKey> {
        let older = self.youngest(task, scope)?.replace(key)?;
        self.set_younger(older, Some(key));
        Some(older)
    }

    /// Takes a waiter from among those of its task and scope: closes the gap that it leaves in their list.
    #[inline]
    fn disown(&mut self, waiter: &Other) {
        if let Some(older) = waiter.older {
            self.set_younger(older, waiter.younger);
        }
        if let Some(younger) = waiter.younger {
            self.other_mut(younger).older = waiter.older;
        } else if let Some(youngest) = self.youngest(waiter.task, waiter.scope) {
            *youngest = waiter.older;
        }
    }

    fn set_younger(&mut self, key: WaiterKey, younger: Option<WaiterKey>) {
        match key.lodging() {
            // It is the eldest, and found by a walk.
            Lodging::Own(_) => {}
            Lodging::Other(index) => self.others[index].younger = younger,
        }
    }

    /// Where the list of a scope's waiters begins, or that of a task's which stand in no scope.
    #[inline]
    fn youngest(
        &mut self,
        task: Option<TaskKey>,
        scope: Option<WaiterKey>,
    ) -> Option<&mut Option<WaiterKey>> {
        match scope {
            Some(scope) => match &mut self.other_mut(scope).waiter.kind {
                Kind::Scope(scope) => Some(&mut scope.youngest),
                _ => unreachable!("a scope is a scope"),
            },
            None => Some(&mut self.slot_mut(task?).youngest),
        }
    }

    /// Moves a waiter to the task and the scope that poll it now: its future has wandered.
    pub(crate) fn move_here(&mut self, key: WaiterKey) {
        self.move_to(key, self.here.task.get(), self.here.scope.get());
    }

    pub(crate) fn move_to(
        &mut self,
        key: WaiterKey,
        task: Option<TaskKey>,
        scope: Option<WaiterKey>,
    ) {
        let other = *self.other(key);
        self.disown(&other);
        let older = self.adopt(key, task, scope);
        *self.other_mut(key) = Other {
            task,
            scope,
            younger: None,
            older,
            ..other
        };
    }

    /// Cuts the waiters that survive their task from it, but for its own, which goes with the slot.
    pub(crate) fn detach_waiters(&mut self, task: TaskKey) {
        let own = WaiterKey::own(task);
        let mut lists = Vec::new();
        let mut next = self.slot_mut(task).youngest.take();
        let (mut inside, mut struck) = (false, 0);
        while let Some(key) = next {
            if key == own {
                self.slot_mut(task).youngest = Some(own);
                next = None;
            } else {
                let other = self.other_mut(key);
                other.task = None;
                next = other.older;
                if !inside {
                    (other.younger, other.older) = (None, None);
                }
                if let Kind::Scope(scope) = &other.waiter.kind {
                    struck += u32::from(scope.flags.has(STRUCK));
                    lists.extend(scope.youngest);
                }
            }
            if next.is_none() {
                next = lists.pop();
                inside = true;
            }
        }
        // A `wait_for` that is left leaves no request behind, and nobody can take it back later.
        let slot = self.slot_mut(task);
        slot.strikes -= struck;
        slot.cancels = slot.cancels.saturating_sub(struck);
    }

    /// The waiters by which a task waits, the eldest first.
    pub(crate) fn awaited(&self, youngest: Option<WaiterKey>, step: u32) -> Vec<WaiterKey> {
        let mut todo = Vec::new();
        let mut next = self.list(youngest, step, &mut todo);
        let mut awaited = Vec::new();
        while let Some(key) = next {
            if let Kind::Scope(scope) = &self.waiter(key).kind {
                next = self.list(scope.youngest, self.other(key).polled, &mut todo);
            } else {
                awaited.push(key);
                next = todo.pop();
            }
        }
        awaited
    }

    /// What a task waits for, for a report.
    pub(crate) fn waits(&self, youngest: Option<WaiterKey>, step: u32) -> Waits {
        let awaited = self.awaited(youngest, step).into_iter();
        Waits(awaited.map(|waiter| self.wait(waiter)).collect())
    }

    fn wait(&self, waiter: WaiterKey) -> Wait {
        match &self.waiter(waiter).kind {
            Kind::Queue { queue, .. } => {
                Wait::Primitive(Weak::clone(&self.queues[queue.index()].owner))
            }
            Kind::Join { task } => Wait::Words(self.describe_task(*task)),
            Kind::Sleep { timer: Some(timer) } => {
                let deadline = self.wheel.deadline(*timer);
                Wait::Words(format!("a timer due at {deadline:?}"))
            }
            Kind::Sleep { timer: None } | Kind::Relay { .. } | Kind::Yield => {
                Wait::Words("its next turn".into())
            }
            Kind::Foreign | Kind::Scope(_) => Wait::Words("a future from elsewhere".into()),
        }
    }
}

fn settle_request(flags: &mut Flags) {
    if flags.has(RAISING) {
        flags.clear(REQUESTED);
    }
}

/// What a task waits for.
pub(crate) struct Waits(Vec<Wait>);

enum Wait {
    Primitive(Weak<dyn Named>),
    Words(String),
}

impl Waits {
    /// The names of it all. Looks into the primitives, and so into the loop's state.
    pub(crate) fn describe(&self) -> String {
        let names: Vec<_> = self
            .0
            .iter()
            .map(|wait| match wait {
                Wait::Primitive(primitive) => primitive
                    .upgrade()
                    .map_or_else(|| "a primitive that is gone".into(), |p| p.name()),
                Wait::Words(words) => words.clone(),
            })
            .collect();
        if names.is_empty() {
            "a future from elsewhere".into()
        } else {
            names.join(" and ")
        }
    }
}
