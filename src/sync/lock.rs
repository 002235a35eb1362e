//! `Lock`: one holder at a time, first come first served.

use std::{
    cell::{Cell, RefCell},
    fmt,
    future::Future,
    rc::Rc,
};

use super::{
    gate::{Entering, Gate, Passing},
    locked_or_not, repr,
};
use crate::{
    error::{Error, LOCK_NOT_ACQUIRED, Result},
    waiter::{Held, NOTED, Named, Queue, TAKEN},
};

/// A lock for tasks: at most one holds it, and those who wait get it in the order in which they came.
///
/// The counterpart of `asyncio.Lock`. As there, no task owns it: anybody may release it. Clones are references to the same lock.
///
/// # Examples
/// ```
/// use {soloop::{Lock, create_task, sleep}, std::{cell::Cell, rc::Rc, time::Duration}};
///
/// soloop::run(async {
///     let (lock, balance) = (Lock::new(), Rc::new(Cell::new(0)));
///     let deposit = || {
///         let (lock, balance) = (lock.clone(), Rc::clone(&balance));
///         create_task(async move {
///             let _held = lock.enter().await?;
///             let before = balance.get();
///             sleep(Duration::ZERO).await?; // nobody else gets in between
///             balance.set(before + 1);
///             Ok(())
///         })
///     };
///     let (first, second) = (deposit(), deposit());
///     first.await?;
///     second.await?;
///     assert_eq!(balance.get(), 2);
///     Ok(())
/// })?;
/// # Ok::<(), soloop::Error>(())
/// ```
#[derive(Clone)]
pub struct Lock(pub(super) Rc<State>);

/// Numbers an acquire of a lock.
///
/// A guard remembers the number that it was given, since only Rust can drop a `Condition::wait` half-way: the number that
/// was given up for it is then *lost*, and a guard with a lost number releases nothing.
pub(super) type Holding = u64;

pub(super) struct State {
    /// Those who wait; and marked, whether somebody holds the lock, and whether there is more to its release: a recorder has
    /// seen the acquire, or a holding was lost.
    ///
    /// Invariant: without `NOTED`, `lost` is empty.
    waiters: Queue,
    /// The number of the last acquire.
    acquired: Cell<Holding>,
    /// The last acquire that took a holding back for a wait, and the number of that holding.
    resumed: Cell<(Holding, Holding)>,
    /// How many guards there are. With none left, nobody asks for what was lost.
    guards: Cell<usize>,
    lost: RefCell<Vec<Holding>>,
}

impl Lock {
    /// Makes a lock that is free.
    ///
    /// # Examples
    /// ```
    /// use soloop::{Lock, create_task};
    ///
    /// let lock = Lock::new();
    /// let same = lock.clone(); // for a task of its own: a reference to the same lock, as in Python
    /// soloop::run(async move { create_task(same.acquire()).await })?;
    /// assert!(lock.locked());
    /// # Ok::<(), soloop::Error>(())
    /// ```
    #[must_use]
    pub fn new() -> Self {
        Self(Rc::new(State {
            waiters: Queue::keeping_place(),
            acquired: Cell::new(0),
            resumed: Cell::new((0, 0)),
            guards: Cell::new(0),
            lost: RefCell::default(),
        }))
    }

    /// Gives the lock a name, for its `repr`, for reports and for pictures. The first one stays.
    ///
    /// # Examples
    /// ```
    /// let lock = soloop::Lock::new().named("db");
    /// assert_eq!(format!("{lock:?}"), "<Lock 'db' [unlocked]>");
    /// ```
    #[must_use]
    pub fn named(self, name: impl Into<String>) -> Self {
        self.0.waiters.give_name(name.into());
        self
    }

    /// Whether somebody holds the lock. The counterpart of `asyncio.Lock.locked`.
    ///
    /// # Examples
    /// ```
    /// # use soloop::Lock;
    /// # soloop::run(async {
    /// # let printer = Lock::new();
    /// if printer.locked() {
    ///     println!("waiting for the printer");
    /// }
    /// let _held = printer.enter().await?;
    /// assert!(printer.locked());
    /// # Ok(()) }).unwrap();
    /// ```
    #[must_use]
    pub fn locked(&self) -> bool {
        self.0.locked()
    }

    /// Takes the lock, waiting until it is free and everybody who came before has had it.
    ///
    /// The counterpart of `asyncio.Lock.acquire`. Whoever has acquired must [`release`](Self::release);
    /// [`enter`](Self::enter) sees to that by itself.
    ///
    /// # Errors
    /// [`Error::Cancelled`] as below; [`Error::Runtime`] if it would have to wait outside any loop, or in another loop than
    /// the one that the lock belongs to.
    ///
    /// # Cancellation
    /// The lock is not taken. If it was this one's turn already, the next in the queue is woken in its place.
    ///
    /// # Dropping
    /// Likewise.
    ///
    /// # Examples
    /// ```
    /// # use {soloop::{Lock, create_task, sleep}, std::time::Duration};
    /// # soloop::run(async {
    /// let lock = Lock::new();
    /// lock.acquire().await?; // it is free, so this does not wait
    /// let next = create_task(lock.acquire());
    /// sleep(Duration::ZERO).await?;
    /// assert!(!next.done());
    /// lock.release()?;
    /// next.await
    /// # }).unwrap();
    /// ```
    #[inline]
    pub fn acquire(&self) -> impl Future<Output = Result<()>> + 'static + use<> {
        Passing::new(&self.0)
    }

    /// Gives the lock back and wakes the first in the queue.
    ///
    /// The counterpart of `asyncio.Lock.release`. The lock is free until the woken task runs, but anybody who comes
    /// meanwhile queues behind it.
    ///
    /// # Errors
    /// [`Error::Runtime`] if nobody holds the lock.
    ///
    /// # Examples
    /// ```
    /// # use {soloop::{Lock, create_task}, std::time::Duration};
    /// # soloop::run(async {
    /// let gate = Lock::new();
    /// gate.acquire().await?;
    /// let opened = create_task(gate.acquire());
    /// soloop::sleep(Duration::ZERO).await?;
    /// gate.release()?; // any task may: it need not be the one that acquired
    /// opened.await?;
    /// gate.release()?;
    /// assert_eq!(gate.release().unwrap_err().to_string(), "RuntimeError: Lock is not acquired.");
    /// # Ok(()) }).unwrap();
    /// ```
    #[inline]
    pub fn release(&self) -> Result<()> {
        self.0.release()
    }

    /// Takes the lock for as long as the guard lives: `async with lock`.
    ///
    /// # Errors
    /// Those of [`acquire`](Self::acquire).
    ///
    /// # Cancellation
    /// As in [`acquire`](Self::acquire).
    ///
    /// # Dropping
    /// As in [`acquire`](Self::acquire).
    ///
    /// # Examples
    /// ```
    /// # use soloop::{Error, Lock, Result};
    /// async fn withdraw(account: &Lock, coins: i32) -> Result<()> {
    ///     let _held = account.enter().await?;
    ///     if coins > 100 {
    ///         return Err(Error::other("not that much")); // the lock is released here too
    ///     }
    ///     Ok(())
    /// }
    /// # soloop::run(async {
    /// let account = Lock::new();
    /// assert!(withdraw(&account, 200).await.is_err());
    /// assert!(!account.locked());
    /// # Ok(()) }).unwrap();
    /// ```
    #[inline]
    pub fn enter(&self) -> impl Future<Output = Result<LockGuard>> + 'static + use<> {
        Entering::new(&self.0, LockGuard::new)
    }
}

impl Default for Lock {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Lock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.name())
    }
}

/// Holds a [`Lock`] until dropped: the body of `async with lock`.
///
/// # Dropping
/// Releases the lock, also one that was released and acquired again by hand meanwhile. Does nothing if nobody holds it, where
/// Python would raise, and nothing if the holding was given up by a [`Condition::wait`](crate::Condition::wait) that was
/// dropped before it had the lock back.
///
/// # Examples
/// ```
/// use soloop::{Lock, create_task, sleep};
///
/// soloop::run(async {
///     let printer = Lock::new();
///     let held = printer.enter().await?;
///     let page = create_task(async move {
///         sleep(std::time::Duration::from_millis(1)).await?;
///         drop(held); // it went along, and the lock with it
///         Ok(())
///     });
///     printer.acquire().await?;
///     assert!(page.done());
///     Ok(())
/// })?;
/// # Ok::<(), soloop::Error>(())
/// ```
#[must_use = "the lock is released when the guard is dropped"]
pub struct LockGuard {
    lock: Rc<State>,
    holding: Holding,
}

impl LockGuard {
    #[inline]
    fn new(lock: Rc<State>) -> Self {
        let holding = lock.enter();
        Self { lock, holding }
    }
}

impl Drop for LockGuard {
    #[inline]
    fn drop(&mut self) {
        self.lock.exit(self.holding);
    }
}

impl fmt::Debug for LockGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LockGuard({})", self.lock.name())
    }
}

impl State {
    #[inline]
    pub(super) fn locked(&self) -> bool {
        self.waiters.has(TAKEN)
    }

    /// Gives the lock a name if nobody else has a reference to it.
    pub(super) fn name_if_own(self: &Rc<Self>, name: &str) {
        if Rc::strong_count(self) == 1 {
            self.waiters.give_name(name.into());
        }
    }

    #[inline]
    fn take(&self) {
        self.acquired.set(self.acquired.get() + 1);
        self.waiters.mark(TAKEN);
    }

    /// Gives the lock back. Says whether anybody held it.
    #[inline]
    fn give_back(self: &Rc<Self>) -> bool {
        let held = self.locked();
        if held {
            self.hand_on();
        }
        held
    }

    /// Sets the lock free, and wakes whoever waits for that.
    #[inline]
    fn hand_on(self: &Rc<Self>) {
        self.waiters.unmark(TAKEN);
        if self.waiters.has(NOTED) {
            self.note_release();
        }
        self.wake_up_first();
    }

    #[cold]
    fn note_release(self: &Rc<Self>) {
        self.waiters.tell_recorder(self, Held::Ends);
        if self.lost.borrow().is_empty() {
            self.waiters.unmark(NOTED);
        }
    }

    #[inline]
    pub(super) fn release(self: &Rc<Self>) -> Result<()> {
        if self.give_back() {
            Ok(())
        } else {
            Err(Error::runtime(LOCK_NOT_ACQUIRED))
        }
    }

    /// A guard is made, for the acquire just done.
    #[inline]
    pub(super) fn enter(&self) -> Holding {
        self.guards.set(self.guards.get() + 1);
        self.acquired.get()
    }

    /// A guard is dropped: as most are, with nobody waiting or looking on, and nothing lost.
    #[inline]
    pub(super) fn exit(self: &Rc<Self>, holding: Holding) {
        if self.waiters.has_only(TAKEN) {
            self.guards.set(self.guards.get() - 1);
            self.waiters.unmark(TAKEN);
        } else {
            self.exit_noted(holding);
        }
    }

    #[inline(never)]
    fn exit_noted(self: &Rc<Self>, holding: Holding) {
        self.guards.set(self.guards.get() - 1);
        if !self.waiters.has(NOTED) || !self.was_lost(holding) {
            // Silent where Python would raise: a destructor has nobody to tell.
            self.give_back();
        }
    }

    /// Makes sure that the waiter at the head will wake up. A done one is on its way.
    #[inline]
    fn wake_up_first(&self) {
        self.waiters.wake_first();
    }

    /// Releases for a condition to wait. The number belongs to the holding that comes back.
    pub(super) fn give_up(self: &Rc<Self>) -> Holding {
        let acquired = self.acquired.get();
        let holding = match self.resumed.get() {
            (last, resumed) if last == acquired => resumed,
            _ => acquired,
        };
        self.hand_on();
        holding
    }

    /// The lock was taken back for the holding that was given up.
    #[inline]
    pub(super) fn resume(&self, holding: Holding) {
        self.resumed.set((self.acquired.get(), holding));
    }

    /// What was given up will not come back.
    pub(super) fn lose(&self, holding: Holding) {
        if self.guards.get() > 0 {
            self.lost.borrow_mut().push(holding);
            self.waiters.mark(NOTED);
        }
    }

    /// Whether the holding of a guard that is gone was lost.
    #[cold]
    fn was_lost(&self, holding: Holding) -> bool {
        let mut lost = self.lost.borrow_mut();
        let was_lost = lost.contains(&holding);
        if self.guards.get() == 0 {
            lost.clear();
        }
        was_lost
    }
}

impl Gate for State {
    const CAN_BE_HELD: bool = true;

    #[inline]
    fn waiters(&self) -> &Queue {
        &self.waiters
    }

    #[inline]
    fn pass(&self) -> bool {
        // Whoever comes waits behind those who wait, even if the lock is free.
        let free = self.waiters.is_quiet();
        if free {
            self.take();
        }
        free
    }

    #[inline]
    fn pass_by(&self) -> bool {
        let free = !self.locked() && self.waiters.all_cancelled();
        if free {
            self.take();
        }
        free
    }

    #[inline]
    fn pass_woken(&self) {
        self.take();
    }

    fn note_pass(&self) {
        self.waiters.mark(NOTED);
    }

    #[inline]
    fn leave(&self, _had_permit: bool) {
        // After a success the lock is taken. After a cancel or a drop it may be free, since this was the one to take
        // it, and then the next must run.
        if !self.locked() {
            self.wake_up_first();
        }
    }
}

impl Named for State {
    fn name(&self) -> String {
        repr(self, locked_or_not(self.locked()), &self.waiters)
    }

    fn kind(&self) -> &'static str {
        "Lock"
    }

    fn given_name(&self) -> Option<&str> {
        self.waiters.given_name()
    }
}
