//! `Condition`: to wait, under a lock, for the state to change.

use std::{
    borrow::Borrow,
    fmt,
    future::Future,
    mem,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
};

use super::{
    Lock, Truthy,
    gate::{AGAIN, Denied, Entering, Gate, Leads, Place},
    lock::{self, Holding},
    locked_or_not, repr,
};
use crate::{
    error::{Error, NOTIFY_WITHOUT_LOCK, Result, WAIT_WITHOUT_LOCK},
    event_loop::key::WaiterKey,
    waiter::{Named, Queue, Settled},
};

/// Lets tasks that hold a lock wait until another one has changed what the lock guards.
///
/// The counterpart of `asyncio.Condition`. Clones are references to the same condition.
///
/// # Examples
/// ```
/// use {soloop::{Condition, create_task}, std::{cell::RefCell, rc::Rc}};
///
/// soloop::run(async {
///     let (filled, shelf) = (Condition::new(), Rc::new(RefCell::new(Vec::new())));
///     let consumer = create_task({
///         let (filled, shelf) = (filled.clone(), Rc::clone(&shelf));
///         async move { filled.enter().await?.wait_for(|| shelf.borrow_mut().pop()).await }
///     });
///     soloop::sleep(std::time::Duration::ZERO).await?;
///     let held = filled.enter().await?;
///     shelf.borrow_mut().push("bread");
///     held.notify(1)?;
///     drop(held);
///     assert_eq!(consumer.await?, Some("bread"));
///     Ok(())
/// })?;
/// # Ok::<(), soloop::Error>(())
/// ```
#[derive(Clone)]
pub struct Condition(Rc<State>);

struct State {
    lock: Lock,
    waiters: Queue,
}

impl Condition {
    /// Makes a condition with a lock of its own.
    ///
    /// # Examples
    /// ```
    /// # use soloop::Condition;
    /// let restocked = Condition::new();
    /// assert!(restocked.notify(1).is_err()); // its lock has to be held
    /// ```
    #[must_use]
    pub fn new() -> Self {
        Self::with_lock(&Lock::new())
    }

    /// Makes a condition that shares a lock, with others or with whoever uses the lock by itself.
    ///
    /// The counterpart of `asyncio.Condition(lock)`.
    ///
    /// # Examples
    /// ```
    /// # use {soloop::{Condition, Lock, create_task}, std::{cell::Cell, rc::Rc}};
    /// # soloop::run(async {
    /// // A shelf with room for one loaf: one lock, and two things to wait for.
    /// let (lock, shelf) = (Lock::new(), Rc::new(Cell::new(0)));
    /// let (not_empty, not_full) = (Condition::with_lock(&lock), Condition::with_lock(&lock));
    /// # let (stocked, room, s) = (not_empty.clone(), not_full.clone(), Rc::clone(&shelf));
    /// let customer = create_task(async move {
    ///     let mut held = stocked.enter().await?;
    ///     held.wait_for(|| s.take() > 0).await?;
    ///     room.notify(1) // the lock is held: it is the same
    /// });
    /// for _ in 0..2 {
    ///     let mut held = not_full.enter().await?;
    ///     held.wait_for(|| shelf.get() == 0).await?;
    ///     shelf.set(1);
    ///     not_empty.notify(1)?;
    /// }
    /// customer.await
    /// # }).unwrap();
    /// ```
    #[must_use]
    pub fn with_lock(lock: &Lock) -> Self {
        Self(Rc::new(State {
            lock: lock.clone(),
            waiters: Queue::of_pending(),
        }))
    }

    /// Gives the condition a name, for its `repr`, for reports and for pictures. The first one stays. A lock that is the
    /// condition's alone gets the same.
    ///
    /// # Examples
    /// ```
    /// let restocked = soloop::Condition::new().named("restocked");
    /// assert_eq!(format!("{restocked:?}"), "<Condition 'restocked' [unlocked]>");
    /// ```
    #[must_use]
    pub fn named(self, name: impl Into<String>) -> Self {
        let name = name.into();
        self.0.lock.0.name_if_own(&name);
        self.0.waiters.give_name(name);
        self
    }

    /// Takes the lock: see [`Lock::acquire`].
    ///
    /// # Errors
    /// Those of [`Lock::acquire`].
    ///
    /// # Cancellation
    /// As in [`Lock::acquire`].
    ///
    /// # Dropping
    /// As in [`Lock::acquire`].
    ///
    /// # Examples
    /// ```
    /// # use soloop::Condition;
    /// # soloop::run(async {
    /// # let restocked = Condition::new();
    /// restocked.acquire().await?;
    /// restocked.notify_all()?;
    /// restocked.release()
    /// # }).unwrap();
    /// ```
    pub fn acquire(&self) -> impl Future<Output = Result<()>> + 'static + use<> {
        self.0.lock.acquire()
    }

    /// Gives the lock back: see [`Lock::release`].
    ///
    /// # Errors
    /// [`Error::Runtime`] if nobody holds the lock.
    ///
    /// # Examples
    /// ```
    /// # use soloop::Condition;
    /// # soloop::run(async {
    /// # let restocked = Condition::new();
    /// restocked.acquire().await?;
    /// restocked.release()?;
    /// let again = restocked.release().unwrap_err();
    /// assert_eq!(again.to_string(), "RuntimeError: Lock is not acquired.");
    /// # Ok(()) }).unwrap();
    /// ```
    pub fn release(&self) -> Result<()> {
        self.0.lock.release()
    }

    /// Whether somebody holds the lock: see [`Lock::locked`].
    ///
    /// # Examples
    /// ```
    /// # use soloop::{Condition, Result};
    /// fn restock(restocked: &Condition) -> Result<()> {
    ///     assert!(restocked.locked(), "the caller holds the lock");
    ///     restocked.notify(1)
    /// }
    /// # soloop::run(async {
    /// # let restocked = Condition::new();
    /// let _held = restocked.enter().await?;
    /// restock(&restocked)
    /// # }).unwrap();
    /// ```
    #[must_use]
    pub fn locked(&self) -> bool {
        self.0.lock.locked()
    }

    /// Takes the lock for as long as the guard lives: `async with condition`.
    ///
    /// # Errors
    /// Those of [`Lock::acquire`].
    ///
    /// # Cancellation
    /// As in [`Lock::acquire`].
    ///
    /// # Dropping
    /// As in [`Lock::acquire`].
    ///
    /// # Examples
    /// ```
    /// # use {soloop::{Condition, create_task, sleep}, std::{cell::Cell, rc::Rc, time::Duration}};
    /// # soloop::run(async {
    /// let (restocked, shelf) = (Condition::new(), Rc::new(Cell::new(0)));
    /// let (r, s) = (restocked.clone(), Rc::clone(&shelf));
    /// let customer = create_task(async move {
    ///     let mut held = r.enter().await?;
    ///     held.wait_for(|| s.get() > 0).await?;
    ///     Ok(s.take())
    /// });
    /// sleep(Duration::ZERO).await?;
    /// let held = restocked.enter().await?;
    /// shelf.set(3);
    /// held.notify(1)?;
    /// drop(held); // and now the customer may have the lock
    /// assert_eq!(customer.await?, 3);
    /// # Ok(()) }).unwrap();
    /// ```
    #[inline]
    pub fn enter(&self) -> impl Future<Output = Result<ConditionGuard>> + 'static + use<> {
        Entering::new(self, ConditionGuard::new)
    }

    /// Gives up the lock, waits to be notified, and takes the lock again.
    ///
    /// The counterpart of `asyncio.Condition.wait`. What was notified may have changed back before the task runs, and wakes
    /// without a cause are allowed: call this in a loop, or use [`wait_for`](Self::wait_for).
    ///
    /// # Errors
    /// [`Error::Runtime`] if nobody holds the lock, or if it would have to wait outside any loop or in another one than
    /// the condition's; the lock is as it was then. [`Error::Cancelled`] as below.
    ///
    /// # Cancellation
    /// The lock is held when this returns, with an error too: a request to cancel waits until the lock has been taken
    /// back, and further ones meanwhile only renew it. Another waiter is notified, in case this one's notification would be lost.
    ///
    /// # Dropping
    /// A drop cannot wait, so the lock is *not* taken back. Another waiter is notified. A guard of the holding that was given
    /// up knows, and releases nothing; after a bare [`acquire`](Self::acquire), mind it yourself.
    ///
    /// # Examples
    /// ```
    /// # use {soloop::{Condition, create_task}, std::{cell::Cell, rc::Rc}};
    /// # soloop::run(async {
    /// # let (restocked, shelf) = (Condition::new(), Rc::new(Cell::new(0)));
    /// # let (r, s) = (restocked.clone(), shelf.clone());
    /// # create_task(async move { r.acquire().await?; s.set(3); r.notify(1)?; r.release() });
    /// restocked.acquire().await?;
    /// while shelf.get() == 0 {
    ///     restocked.wait().await?;
    /// }
    /// assert_eq!(shelf.take(), 3);
    /// restocked.release()
    /// # }).unwrap();
    /// ```
    pub fn wait(&self) -> impl Future<Output = Result<()>> + 'static + use<> {
        Waiting::new(self.clone())
    }

    /// Waits until a predicate holds, and returns what it returned.
    ///
    /// The counterpart of `asyncio.Condition.wait_for`: [`wait`](Self::wait) again and again. The predicate is asked with
    /// the lock held, first of all before any wait. It may call anything of the crate.
    ///
    /// # Errors
    /// Those of [`wait`](Self::wait), unless the predicate holds at once.
    ///
    /// # Cancellation
    /// As in [`wait`](Self::wait).
    ///
    /// # Dropping
    /// As in [`wait`](Self::wait).
    ///
    /// # Examples
    /// ```
    /// # use {soloop::{Condition, create_task}, std::{cell::RefCell, rc::Rc}};
    /// # soloop::run(async {
    /// # let (restocked, shelf) = (Condition::new(), Rc::new(RefCell::new(Vec::new())));
    /// # let (r, s) = (restocked.clone(), shelf.clone());
    /// # create_task(async move { r.acquire().await?; s.borrow_mut().push("bread"); r.notify(1)?; r.release() });
    /// restocked.acquire().await?;
    /// let found = restocked.wait_for(move || shelf.borrow_mut().pop()).await?;
    /// assert_eq!(found, Some("bread")); // what the predicate has found
    /// restocked.release()
    /// # }).unwrap();
    /// ```
    pub fn wait_for<R: Truthy, P: FnMut() -> R + 'static>(
        &self,
        predicate: P,
    ) -> impl Future<Output = Result<R>> + 'static + use<R, P> {
        let condition = self.clone();
        async move { condition.wait_until(predicate).await }
    }

    /// Wakes up to `n` of those who wait, in the order in which they came. They go on once they have the lock.
    ///
    /// The counterpart of `asyncio.Condition.notify`.
    ///
    /// # Errors
    /// [`Error::Runtime`] if nobody holds the lock.
    ///
    /// # Examples
    /// ```
    /// # use {soloop::{Condition, create_task, sleep}, std::time::Duration};
    /// # soloop::run(async {
    /// # let restocked = Condition::new();
    /// let customer = || {
    ///     let restocked = restocked.clone();
    ///     create_task(async move { restocked.enter().await?.wait().await })
    /// };
    /// let customers = [customer(), customer(), customer()];
    /// sleep(Duration::ZERO).await?;
    /// restocked.acquire().await?;
    /// restocked.notify(2)?; // two loaves, two customers
    /// restocked.release()?;
    /// sleep(Duration::from_millis(1)).await?;
    /// assert_eq!(customers.map(|customer| customer.done()), [true, true, false]);
    /// # Ok(()) }).unwrap();
    /// ```
    #[inline]
    pub fn notify(&self, n: usize) -> Result<()> {
        self.0.notify(n)
    }

    /// Wakes all who wait. The counterpart of `asyncio.Condition.notify_all`.
    ///
    /// # Errors
    /// [`Error::Runtime`] if nobody holds the lock.
    ///
    /// # Examples
    /// ```
    /// # use {soloop::{Condition, create_task, sleep}, std::{cell::Cell, rc::Rc, time::Duration}};
    /// # soloop::run(async {
    /// # let (changed, closed) = (Condition::new(), Rc::new(Cell::new(false)));
    /// let customer = || {
    ///     let (changed, closed) = (changed.clone(), Rc::clone(&closed));
    ///     create_task(async move { changed.enter().await?.wait_for(|| closed.get()).await })
    /// };
    /// let customers = [customer(), customer()];
    /// sleep(Duration::ZERO).await?;
    /// changed.acquire().await?;
    /// closed.set(true);
    /// changed.notify_all()?; // this concerns everybody
    /// changed.release()?;
    /// for customer in customers {
    ///     customer.await?;
    /// }
    /// # Ok(()) }).unwrap();
    /// ```
    #[inline]
    pub fn notify_all(&self) -> Result<()> {
        self.0.notify(usize::MAX)
    }
}

impl Default for Condition {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.name())
    }
}

/// Holds a [`Condition`]'s lock until dropped: the body of `async with condition`.
///
/// # Dropping
/// As of a [`LockGuard`](crate::LockGuard).
///
/// # Examples
/// ```
/// use {soloop::{Condition, Result, create_task}, std::{cell::Cell, rc::Rc}};
///
/// async fn play(court: Condition, throws: Rc<Cell<usize>>, side: usize) -> Result<()> {
///     let mut held = court.enter().await?;
///     for _ in 0..3 {
///         held.wait_for(|| throws.get() % 2 == side).await?; // until the ball is here
///         throws.set(throws.get() + 1);
///         held.notify(1)?;
///     }
///     Ok(())
/// }
/// soloop::run(async {
///     let (court, throws) = (Condition::new(), Rc::new(Cell::new(0)));
///     let other = create_task(play(court.clone(), Rc::clone(&throws), 1));
///     play(court, Rc::clone(&throws), 0).await?;
///     other.await?;
///     assert_eq!(throws.get(), 6);
///     Ok(())
/// })?;
/// # Ok::<(), soloop::Error>(())
/// ```
#[must_use = "the lock is released when the guard is dropped"]
pub struct ConditionGuard {
    condition: Condition,
    holding: Holding,
}

impl Drop for ConditionGuard {
    #[inline]
    fn drop(&mut self) {
        let lock = self.condition.gate();
        lock.exit(self.holding);
    }
}

impl ConditionGuard {
    #[inline]
    fn new(condition: Condition) -> Self {
        let holding = condition.gate().enter();
        Self { condition, holding }
    }

    /// Gives up the lock, waits to be notified, and takes the lock again: see [`Condition::wait`].
    ///
    /// # Errors
    /// Those of [`Condition::wait`].
    ///
    /// # Cancellation
    /// As in [`Condition::wait`].
    ///
    /// # Dropping
    /// As in [`Condition::wait`]: the guard releases nothing then.
    ///
    /// # Examples
    /// ```
    /// # use {soloop::{Condition, create_task}, std::{cell::Cell, rc::Rc}};
    /// # soloop::run(async {
    /// # let (restocked, shelf) = (Condition::new(), Rc::new(Cell::new(0)));
    /// # let (r, s) = (restocked.clone(), shelf.clone());
    /// # create_task(async move { r.acquire().await?; s.set(3); r.notify(1)?; r.release() });
    /// let mut held = restocked.enter().await?;
    /// while shelf.get() == 0 {
    ///     held.wait().await?;
    /// }
    /// assert_eq!(shelf.take(), 3);
    /// # Ok(()) }).unwrap();
    /// ```
    pub fn wait(&mut self) -> impl Future<Output = Result<()>> {
        Waiting::new(&self.condition)
    }

    /// Waits until a predicate holds, and returns what it returned: see [`Condition::wait_for`]. Here the predicate may borrow.
    ///
    /// # Errors
    /// Those of [`Condition::wait`], unless the predicate holds at once.
    ///
    /// # Cancellation
    /// As in [`Condition::wait`].
    ///
    /// # Dropping
    /// As in [`Condition::wait`]: the guard releases nothing then.
    ///
    /// # Examples
    /// ```
    /// # use {soloop::{Condition, create_task}, std::{cell::Cell, rc::Rc}};
    /// # soloop::run(async {
    /// # let (restocked, shelf) = (Condition::new(), Rc::new(Cell::new(0)));
    /// # let (r, s) = (restocked.clone(), shelf.clone());
    /// # create_task(async move { r.acquire().await?; s.set(3); r.notify(1)?; r.release() });
    /// let (mut held, mut asked) = (restocked.enter().await?, 0);
    /// held.wait_for(|| {
    ///     asked += 1; // borrowed from here
    ///     shelf.get() > 0
    /// }).await?;
    /// assert_eq!(asked, 2);
    /// # Ok(()) }).unwrap();
    /// ```
    pub fn wait_for<R: Truthy, P: FnMut() -> R>(
        &mut self,
        predicate: P,
    ) -> impl Future<Output = Result<R>> {
        self.condition.wait_until(predicate)
    }

    /// Wakes up to `n` of those who wait: see [`Condition::notify`].
    ///
    /// # Errors
    /// [`Error::Runtime`] if the lock was released by hand meanwhile.
    ///
    /// # Examples
    /// ```
    /// # use soloop::Condition;
    /// # soloop::run(async {
    /// # let (restocked, mut shelf) = (Condition::new(), Vec::new());
    /// let held = restocked.enter().await?;
    /// shelf.push("bread");
    /// held.notify(1)?; // cannot fail: the lock is held
    /// # Ok(()) }).unwrap();
    /// ```
    #[inline]
    pub fn notify(&self, n: usize) -> Result<()> {
        self.condition.0.notify(n)
    }

    /// Wakes all who wait: see [`Condition::notify_all`].
    ///
    /// # Errors
    /// [`Error::Runtime`] if the lock was released by hand meanwhile.
    ///
    /// # Examples
    /// ```
    /// # use {soloop::Condition, std::cell::Cell};
    /// # soloop::run(async {
    /// # let (changed, closed) = (Condition::new(), Cell::new(false));
    /// let held = changed.enter().await?;
    /// closed.set(true);
    /// held.notify_all()?; // everybody goes home
    /// # Ok(()) }).unwrap();
    /// ```
    #[inline]
    pub fn notify_all(&self) -> Result<()> {
        self.condition.0.notify(usize::MAX)
    }
}

impl fmt::Debug for ConditionGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ConditionGuard({})", self.condition.0.name())
    }
}

impl Condition {
    async fn wait_until<R: Truthy>(&self, mut predicate: impl FnMut() -> R) -> Result<R> {
        loop {
            let result = predicate();
            if result.is_true() {
                return Ok(result);
            }
            drop(result);
            Waiting::new(self).await?;
        }
    }
}

impl Leads for Condition {
    type To = lock::State;

    #[inline]
    fn gate(&self) -> &Rc<lock::State> {
        &self.0.lock.0
    }
}

/// The future of `wait`.
#[must_use = "futures do nothing unless polled"]
struct Waiting<C: Borrow<Condition>> {
    condition: C,
    wait: Wait,
}

impl<C: Borrow<Condition>> Waiting<C> {
    fn new(condition: C) -> Self {
        Self {
            condition,
            wait: Wait::NEW,
        }
    }
}

impl<C: Borrow<Condition> + Unpin> Future for Waiting<C> {
    type Output = Result<()>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let Self { condition, wait } = &mut *self;
        let condition = (*condition).borrow();
        match wait.stage {
            Stage::Begins => match wait.begin(condition, cx) {
                Ok(()) => Poll::Pending,
                Err(error) => Poll::Ready(Err(error)),
            },
            _ => wait.go_on(condition, cx),
        }
    }
}

impl<C: Borrow<Condition>> Drop for Waiting<C> {
    fn drop(&mut self) {
        self.wait.give_up(self.condition.borrow());
    }
}

/// How far a wait has come. The same for one that owns its condition and one that borrows it, which bring it along.
struct Wait {
    stage: Stage,
    /// What was given up, until the lock is taken back for it.
    holding: Holding,
    /// What it will say once the lock is taken back.
    settled: Settled,
}

enum Stage {
    Begins,
    /// In the condition's queue, without the lock.
    Waits(WaiterKey),
    /// In the lock's queue, to take it back.
    Returns(Place),
    Over,
}

impl Wait {
    const NEW: Self = Self {
        stage: Stage::Begins,
        holding: 0,
        settled: Settled::Woken,
    };

    /// Joins the condition's queue, and gives up the lock.
    #[inline]
    fn begin(&mut self, Condition(condition): &Condition, cx: &mut Context<'_>) -> Result<()> {
        let lock = &condition.lock.0;
        if !lock.locked() {
            return Err(Error::runtime(WAIT_WITHOUT_LOCK));
        }
        let Some(waiter) = condition.waiters.enter(condition, cx) else {
            return Err(condition.waiters.refusal(&**condition));
        };
        self.stage = Stage::Waits(waiter);
        self.holding = lock.give_up();
        Ok(())
    }

    /// Polls a wait that has begun. As most end, notified and with the lock free, comes first.
    #[inline]
    fn go_on(
        &mut self,
        Condition(condition): &Condition,
        cx: &mut Context<'_>,
    ) -> Poll<Result<()>> {
        let lock = &condition.lock.0;
        if let Stage::Waits(waiter) = &mut self.stage {
            let settled = ready!(condition.waiters.poll(waiter, cx));
            if settled == Settled::Woken && lock.pass() {
                lock.resume(self.holding);
                self.stage = Stage::Over;
                return Poll::Ready(Ok(()));
            }
            self.settle(condition, settled);
        }
        self.take_back(condition, cx)
    }

    /// It was notified, or cancelled, and is to take the lock back.
    #[inline(never)]
    fn settle(&mut self, condition: &State, settled: Settled) {
        let stage = mem::replace(&mut self.stage, Stage::Returns(Place::default()));
        if let (Stage::Waits(waiter), Settled::NoLoop) = (stage, settled) {
            condition.waiters.leave(waiter);
        }
        self.settled = settled;
    }

    /// The lock must be taken back even after a cancel, however many more there are.
    #[inline(never)]
    fn take_back(&mut self, condition: &State, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let lock = &condition.lock.0;
        let Stage::Returns(place) = &mut self.stage else {
            panic!("{AGAIN}");
        };
        while let Err(denied) = ready!(place.poll(lock, cx)) {
            if denied != Denied::Cancelled {
                self.give_up_early(condition);
                return Poll::Ready(Err(denied.error(&**lock)));
            }
            self.settled = Settled::Cancelled;
        }
        lock.resume(self.holding);
        self.stage = Stage::Over;
        let outcome = self.settled.result();
        if outcome.is_err() {
            condition.notify_another();
        }
        Poll::Ready(outcome)
    }

    /// Leaves before its time, without the lock.
    #[inline]
    fn give_up(&mut self, Condition(condition): &Condition) {
        if let Stage::Waits(_) | Stage::Returns(_) = self.stage {
            self.give_up_early(condition);
        }
    }

    #[inline(never)]
    fn give_up_early(&mut self, condition: &State) {
        let lock = &condition.lock.0;
        match mem::replace(&mut self.stage, Stage::Over) {
            Stage::Waits(waiter) => {
                condition.waiters.leave(waiter);
            }
            Stage::Returns(mut place) => place.give_up(&**lock),
            Stage::Begins | Stage::Over => unreachable!("it has given up the lock"),
        }
        lock.lose(self.holding);
        condition.notify_another();
    }
}

impl State {
    #[inline]
    fn notify(&self, n: usize) -> Result<()> {
        if !self.lock.locked() {
            return Err(Error::runtime(NOTIFY_WITHOUT_LOCK));
        }
        self.waiters.wake(n);
        Ok(())
    }

    /// Whoever was notified, perhaps, and does not go on: another one is, in its place. At worst for nothing, which is allowed.
    fn notify_another(&self) {
        self.waiters.wake_first();
    }
}

impl Named for State {
    fn name(&self) -> String {
        repr(self, locked_or_not(self.lock.locked()), &self.waiters)
    }

    fn kind(&self) -> &'static str {
        "Condition"
    }

    fn given_name(&self) -> Option<&str> {
        self.waiters.given_name()
    }
}
