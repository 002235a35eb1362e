//! The queue that every primitive keeps: who waits for it, first come first served.

use std::{
    cell::{Cell, OnceCell},
    rc::{Rc, Weak},
    task::{Context, Poll, ready},
};

use super::{Kind, Settled, Wake};
use crate::{
    error::{Error, OTHER_LOOP},
    event_loop::{
        Handle, Loop, journal,
        key::{Lodging, QueueKey, WaiterKey},
        state::State,
    },
    task::TRACED,
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
    /// What the user calls the primitive.
    given_name: OnceCell<Box<str>>,
    /// How many waiters there are, done ones included, in `ONE`s, and the marks of the primitive: in one word, since most of
    /// the time there is none of it, and one question is enough.
    standing: Cell<usize>,
    /// Whether a done waiter keeps its place.
    keeps_place: bool,
}

/// A mark of a primitive that somebody holds.
pub(crate) const TAKEN: usize = 1;
/// A mark of a primitive of which there is more to say when it is given back.
pub(crate) const NOTED: usize = 2;
/// One waiter: the marks are the bits below.
const ONE: usize = 4;

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
    pub(super) cancelled: Cell<usize>,
}

impl List {
    /// Whether there is one that stands in it, or none.
    #[inline]
    fn has_one(&self) -> bool {
        self.first == self.last
    }

    /// The first goes, and with it perhaps some of those behind it.
    #[inline]
    fn begin_with(&self, first: Option<WaiterKey>) {
        self.first.set(first);
        if first.is_none() {
            self.last.set(None);
        }
    }
}

impl Queue {
    /// A queue for `Lock`, in which a done waiter keeps its place.
    pub(crate) const fn keeping_place() -> Self {
        Self {
            home: OnceCell::new(),
            given_name: OnceCell::new(),
            standing: Cell::new(0),
            keeps_place: true,
        }
    }

    /// A queue in which only those stand who are still pending.
    pub(crate) const fn of_pending() -> Self {
        Self {
            home: OnceCell::new(),
            given_name: OnceCell::new(),
            standing: Cell::new(0),
            keeps_place: false,
        }
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
        self.standing.get() / ONE
    }

    #[inline]
    pub(crate) fn has(&self, mark: usize) -> bool {
        self.standing.get() & mark != 0
    }

    #[inline]
    pub(crate) fn mark(&self, mark: usize) {
        self.standing.set(self.standing.get() | mark);
    }

    #[inline]
    pub(crate) fn unmark(&self, mark: usize) {
        self.standing.set(self.standing.get() & !mark);
    }

    /// Whether nobody waits, nothing is marked, and no recorder looks on.
    #[inline]
    pub(crate) fn is_quiet(&self) -> bool {
        self.standing.get() | journal::written() == 0
    }

    /// Whether nobody waits, and nothing but this is marked.
    #[inline]
    pub(crate) fn has_only(&self, mark: usize) -> bool {
        self.standing.get() == mark
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
        let home = self.home.get().map(|known| Rc::clone(&known.home));
        if let Some(home) = home.or_else(Loop::current) {
            home.open(|state| state.write_holding(&primitive, held));
        }
    }

    /// Whether nobody waits, or everybody who does has been cancelled.
    #[inline]
    pub(crate) fn all_cancelled(&self) -> bool {
        self.len() == 0 || self.are_all_cancelled()
    }

    fn are_all_cancelled(&self) -> bool {
        let known = self.home.get();
        known.is_none_or(|known| known.list.cancelled.get() == self.len())
    }

    /// Joins the queue, at its end, on behalf of the task that polls. The primitive belongs to the running loop from now on.
    /// `None` where nobody can wait for it: see [`refusal`](Self::refusal).
    #[inline]
    pub(crate) fn enter(
        &self,
        primitive: &Rc<impl Named + 'static>,
        cx: &mut Context<'_>,
    ) -> Option<WaiterKey> {
        match self.enter_known(cx) {
            None => self.enter_first(primitive, cx),
            entered => entered,
        }
    }

    /// Joins the queue if it is bound to the loop that is running.
    #[inline]
    pub(crate) fn enter_known(&self, cx: &mut Context<'_>) -> Option<WaiterKey> {
        let known = self.home.get()?;
        let waiter = known.enter(self.keeps_place, cx)?;
        self.standing.set(self.standing.get() + ONE);
        Some(waiter)
    }

    /// Joins the queue of a primitive that may be new.
    #[cold]
    fn enter_first(
        &self,
        primitive: &Rc<impl Named + 'static>,
        cx: &mut Context<'_>,
    ) -> Option<WaiterKey> {
        if self.home.get().is_none() {
            let primitive: Weak<dyn Named> = Rc::downgrade(primitive) as _;
            self.bind(primitive)?;
        }
        self.enter_known(cx)
    }

    /// Polls a waiter of this queue, which has left it if this is ready with anything but `NoLoop`. What most polls find, a wake and
    /// nothing else, comes first.
    #[inline(always)]
    pub(crate) fn poll(&self, waiter: &mut WaiterKey, cx: &mut Context<'_>) -> Poll<Settled> {
        let known = self.known();
        if known.take_woken(*waiter) {
            self.standing.set(self.standing.get() - ONE);
            return Poll::Ready(Settled::Woken);
        }
        self.poll_unusual(known, waiter, cx)
    }

    #[inline(never)]
    fn poll_unusual(
        &self,
        known: &Home,
        waiter: &mut WaiterKey,
        cx: &mut Context<'_>,
    ) -> Poll<Settled> {
        let settled = ready!(known.home.poll_waiter(waiter, cx));
        if settled.is_gone() {
            self.standing.set(self.standing.get() - ONE);
        }
        Poll::Ready(settled)
    }

    /// The loop, of a queue that somebody has entered.
    #[inline]
    fn known(&self) -> &Home {
        self.home.get().expect("it was entered")
    }

    /// Takes out a waiter that was woken, in a queue in which only those stand who are pending, if that is all there is to it. Says
    /// whether it did.
    #[inline]
    pub(crate) fn take_woken(&self, waiter: WaiterKey) -> bool {
        debug_assert!(!self.keeps_place, "a woken one has left its place");
        let home = &self.known().home;
        let is_woken = home.open_quietly(|state| state.take_woken(waiter).is_some());
        if is_woken {
            self.standing.set(self.standing.get() - ONE);
        }
        is_woken
    }

    /// Has it wait again instead, at the end of the same queue.
    #[inline]
    pub(crate) fn wait_again(&self, waiter: WaiterKey, cx: &mut Context<'_>) -> bool {
        debug_assert!(!self.keeps_place, "a woken one has left its place");
        let known = self.known();
        let home = &known.home;
        home.here.is_plain(cx.waker()) && home.open_quietly(|state| state.wait_again(known, waiter))
    }

    /// Takes a waiter out of the queue before its time. Says whether it had been woken.
    pub(crate) fn leave(&self, waiter: WaiterKey) -> bool {
        let known = self.home.get().expect("it was entered");
        self.standing.set(self.standing.get() - ONE);
        known.home.open(|state| state.remove(waiter)) == Wake::Woken
    }

    /// Binds the primitive to the running loop, in which a task is about to wait for it.
    fn bind(&self, primitive: Weak<dyn Named>) -> Option<()> {
        let running = Loop::current()?;
        running.here.task.get()?;
        self.home.get_or_init(|| {
            let list = Rc::default();
            let queue = running.open(|state| state.insert_queue(primitive, Rc::clone(&list)));
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

    /// Wakes the first that is pending; in `Lock`'s queue, none behind one that is done. Says whether it did.
    #[inline]
    pub(crate) fn wake_first(&self) -> bool {
        self.anybody().is_some_and(|known| self.wake_one(known))
    }

    /// The same where somebody stands: a function of its own, since most who call that find nobody.
    fn wake_one(&self, known: &Home) -> bool {
        known.wake_usual(self.keeps_place) || known.wake(self.keeps_place, 1)
    }

    /// Wakes all who wait, in a queue in which only those stand who are pending.
    #[inline]
    pub(crate) fn wake_all(&self) {
        if let Some(known) = self.anybody() {
            self.wake_any(known);
        }
    }

    /// The same where somebody stands.
    fn wake_any(&self, known: &Home) {
        debug_assert!(!self.keeps_place, "all who stand there are pending");
        if !known.list.has_one() || !known.wake_usual(false) {
            known.wake_all();
        }
    }

    /// Wakes the first `n` of them.
    #[inline]
    pub(crate) fn wake(&self, n: usize) {
        if n == 1 {
            self.wake_first();
        } else if n >= self.len() {
            self.wake_all();
        } else if let Some(known) = self.anybody() {
            known.wake(false, n);
        }
    }

    /// Most of the time nobody stands there, though some may be on their way.
    #[inline]
    fn anybody(&self) -> Option<&Home> {
        let known = self.home.get();
        known.filter(|known| known.list.first.get().is_some())
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
                .open_quietly(|state| state.enter_by_own(self, keeps_place));
            if own.is_some() {
                return own;
            }
        }
        self.enter_slowly(keeps_place, cx)
    }

    #[inline(never)]
    fn enter_slowly(&self, keeps_place: bool, cx: &mut Context<'_>) -> Option<WaiterKey> {
        if self.home.here.is_inside_one(cx.waker()) {
            let own = self
                .home
                .open_quietly(|state| state.enter_inside_one(self, keeps_place));
            if own.is_some() {
                return own;
            }
        }
        let waiter = self
            .home
            .open(|state| state.enter_by_other(self, keeps_place))?;
        if self.home.here.keeps(cx.waker()) {
            self.home.keep_waker(waiter, cx);
        }
        Some(waiter)
    }

    /// Takes out a waiter that was woken, if that is all there is to it.
    #[inline]
    fn take_woken(&self, waiter: WaiterKey) -> bool {
        self.home
            .open_quietly(|state| state.take_woken_in_queue(&self.list, waiter))
    }

    /// Wakes the waiter at the head, if it is as most are.
    #[inline]
    fn wake_usual(&self, keeps_place: bool) -> bool {
        self.home
            .open_quietly(|state| state.wake_usual(&self.list, keeps_place))
    }

    /// Wakes the first `n`, as far as they are pending. Says whether it were so many. At once: whoever is woken may see to the next.
    #[inline(never)]
    fn wake(&self, keeps_place: bool, n: usize) -> bool {
        self.home
            .open(|state| (0..n).all(|_| state.wake_first(&self.list, keeps_place)))
    }

    #[inline(never)]
    fn wake_all(&self) {
        self.home.open(|state| state.wake_all(&self.list));
    }
}

/// What becomes of a primitive that can be held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Held {
    Begins,
    Ends,
}

/// A queue as the loop knows it.
pub(crate) struct WaitList {
    pub(super) list: Rc<List>,
    pub(crate) owner: Weak<dyn Named>,
}

impl State {
    pub(crate) fn insert_queue(&mut self, owner: Weak<dyn Named>, list: Rc<List>) -> QueueKey {
        QueueKey::new(self.queues.insert(WaitList { list, owner }))
    }

    /// Joins a queue with the running task's own waiter, if that is free.
    #[inline(always)]
    fn enter_by_own(&mut self, home: &Home, keeps_place: bool) -> Option<WaiterKey> {
        let task = self.here.task.get()?;
        let slot = &mut self.tasks[task.index()];
        if slot.youngest.is_some() {
            return None;
        }
        let key = WaiterKey::own(task);
        let previous = home.list.last.replace(Some(key));
        slot.enter(key, home.kind(previous, keeps_place));
        self.set_next(&home.list, previous, Some(key));
        Some(key)
    }

    /// The same in a `wait_for` that is not drawn.
    #[inline]
    fn enter_inside_one(&mut self, home: &Home, keeps_place: bool) -> Option<WaiterKey> {
        let task = self.here.task.get()?;
        if self.slot(task).flags.has(TRACED) {
            return None;
        }
        let own = self.enter_by_own(home, keeps_place)?;
        self.here.inside.set(true);
        Some(own)
    }

    /// Joins a queue again with the running task's own waiter, if that was woken there and there is no more to it. Says whether it
    /// did.
    #[inline]
    fn wait_again(&mut self, home: &Home, waiter: WaiterKey) -> bool {
        let previous = home.list.last.get();
        let waits = match self.here.task.get() {
            Some(task) if waiter == WaiterKey::own(task) && self.here.is_calm() => {
                self.tasks[task.index()].wait_again(waiter, previous)
            }
            _ => false,
        };
        if waits {
            home.list.last.set(Some(waiter));
            self.set_next(&home.list, previous, Some(waiter));
        }
        waits
    }

    /// Joins a queue with another waiter, unless no task of this loop is running.
    fn enter_by_other(&mut self, home: &Home, keeps_place: bool) -> Option<WaiterKey> {
        self.here.task.get()?;
        self.draw_scopes();
        let key = self.next_other();
        let previous = home.list.last.replace(Some(key));
        self.insert_waiter(key, home.kind(previous, keeps_place));
        self.set_next(&home.list, previous, Some(key));
        Some(key)
    }

    /// The same as [`take_woken`](State::take_woken), where the queue is at hand that it leaves, too. Says whether it did.
    #[inline]
    fn take_woken_in_queue(&mut self, list: &List, key: WaiterKey) -> bool {
        let Some(waiter) = self.take_woken(key) else {
            return false;
        };
        if let Kind::Queue {
            next,
            keeps_place: true,
            ..
        } = waiter.kind
        {
            debug_assert_eq!(list.first.get(), Some(key), "no other is woken there");
            list.begin_with(next);
        }
        true
    }

    /// Wakes the waiter at the head of a queue, if it is a task's own, and nothing but that task's step is to be queued.
    #[inline]
    fn wake_usual(&mut self, list: &List, keeps_place: bool) -> bool {
        let Some(Lodging::Own(task)) = list.first.get().map(WaiterKey::lodging) else {
            return false;
        };
        let slot = &mut self.tasks[task.index()];
        let usual = slot.own.is_pending() && !self.announces;
        if !usual || !slot.queue_within_capacity(task, &mut self.ready) {
            return false;
        }
        if let (Some(next), false) = (slot.own.wake(), keeps_place) {
            list.begin_with(next);
        }
        true
    }

    /// Wakes the waiter at the head of a queue, if there is one that is pending. Says whether it did.
    fn wake_first(&mut self, list: &List, keeps_place: bool) -> bool {
        let (first, queued) = (list.first.get(), self.ready.next_turn_len());
        let Some(next) = first.and_then(|first| self.wake_in_queue(first)) else {
            return false;
        };
        if !keeps_place {
            list.begin_with(next);
        }
        self.announce_more_than(queued);
        true
    }

    /// Wakes all waiters of a queue in which only those stand who are pending. They leave it together.
    #[inline]
    fn wake_all(&mut self, list: &List) {
        let (mut first, queued) = (list.first.get(), self.ready.next_turn_len());
        while let Some(waiter) = first {
            first = self.wake_in_queue(waiter).expect("it is pending");
        }
        list.begin_with(None);
        self.announce_more_than(queued);
    }

    /// Tells the host, unless no more handles are queued than before: those who were woken may have no task any more.
    #[inline]
    fn announce_more_than(&mut self, queued: usize) {
        if self.ready.next_turn_len() > queued {
            self.announce();
        }
    }

    /// Wakes a waiter in a queue, if it is pending, and leaves it to the caller to tell the host. Returns who stands behind it.
    #[inline(always)]
    fn wake_in_queue(&mut self, waiter: WaiterKey) -> Option<Option<WaiterKey>> {
        let next = match waiter.lodging() {
            Lodging::Own(task) => {
                let slot = &mut self.tasks[task.index()];
                let next = slot.own.wake()?;
                if slot.flags.queue() {
                    self.ready.push(Handle::Step(task));
                    return Some(next);
                }
                next
            }
            Lodging::Other(index) => self.others[index].waiter.wake()?,
        };
        self.let_go(waiter);
        Some(next)
    }

    /// Takes a waiter that has been taken out from its queue, too, and from those who are counted there.
    pub(super) fn leave_queue(
        &mut self,
        key: WaiterKey,
        queue: QueueKey,
        wake: Wake,
        keeps_place: bool,
        previous: Option<WaiterKey>,
        next: Option<WaiterKey>,
    ) {
        let list = self.ends_of(queue);
        if wake == Wake::Cancelled {
            list.cancelled.set(list.cancelled.get() - 1);
        }
        if keeps_place || wake == Wake::Pending {
            self.unlink(&list, key, previous, next);
        }
    }

    /// The ends of a queue.
    pub(super) fn ends_of(&self, queue: QueueKey) -> Rc<List> {
        Rc::clone(&self.queues[queue.index()].list)
    }

    /// Takes a waiter out of its list, in which it has these neighbours.
    #[inline]
    pub(super) fn unlink(
        &mut self,
        list: &List,
        key: WaiterKey,
        previous: Option<WaiterKey>,
        next: Option<WaiterKey>,
    ) {
        if list.first.get() == Some(key) {
            list.begin_with(next);
        } else {
            self.link(list, previous, next);
        }
    }

    /// Makes two waiters neighbours in a list. Without a first of the two, the second begins the list; without a second, the
    /// first ends it.
    fn link(&mut self, list: &List, previous: Option<WaiterKey>, next: Option<WaiterKey>) {
        self.set_next(list, previous, next);
        match next {
            None => list.last.set(previous),
            Some(next) => *self.previous_in_queue(next) = previous,
        }
    }

    /// Makes a waiter the next after another in a list, or its first.
    #[inline]
    fn set_next(&mut self, list: &List, previous: Option<WaiterKey>, waiter: Option<WaiterKey>) {
        match previous {
            None => list.first.set(waiter),
            Some(previous) => *self.next_in_queue(previous) = waiter,
        }
    }

    /// A waiter in a list has another name now.
    pub(super) fn rename(
        &mut self,
        list: &List,
        old: WaiterKey,
        new: WaiterKey,
        previous: Option<WaiterKey>,
        next: Option<WaiterKey>,
    ) {
        let previous = previous.filter(|_| list.first.get() != Some(old));
        self.link(list, previous, Some(new));
        self.link(list, Some(new), next);
    }

    #[inline]
    fn next_in_queue(&mut self, key: WaiterKey) -> &mut Option<WaiterKey> {
        match &mut self.waiter_mut(key).kind {
            Kind::Queue { next, .. } => next,
            _ => unreachable!("a queue links only those who stand in it"),
        }
    }

    #[inline]
    fn previous_in_queue(&mut self, key: WaiterKey) -> &mut Option<WaiterKey> {
        match &mut self.waiter_mut(key).kind {
            Kind::Queue { previous, .. } => previous,
            _ => unreachable!("a queue links only those who stand in it"),
        }
    }
}
