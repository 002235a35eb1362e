//! `Semaphore` and `BoundedSemaphore`: a number of permits, first come first served.

use std::{cell::Cell, fmt, future::Future, rc::Rc};

use super::{
    gate::{Entering, Gate, Passing},
    repr,
};
use crate::{
    error::{Error, RELEASED_TOO_OFTEN, Result},
    waiter::{Held, Named, Queue},
};

/// A number of permits: tasks take one each, and wait when there is none.
///
/// The counterpart of `asyncio.Semaphore`. Permits may be released that were never acquired. Clones are references to the same
/// semaphore; the default has one permit.
///
/// # Examples
/// ```
/// use {soloop::{Semaphore, create_task, sleep}, std::time::Duration};
///
/// soloop::run(async {
///     let desks = Semaphore::new(2);
///     let work = |desks: Semaphore| create_task(async move {
///         let _desk = desks.enter().await?; // at most two are here at a time
///         sleep(Duration::ZERO).await
///     });
///     let workers: Vec<_> = (0..5).map(|_| work(desks.clone())).collect();
///     for worker in workers {
///         worker.await?;
///     }
///     assert_eq!(format!("{desks:?}"), "<Semaphore [unlocked, value:2]>");
///     Ok(())
/// })?;
/// # Ok::<(), soloop::Error>(())
/// ```
#[derive(Clone)]
pub struct Semaphore(Rc<State>);

/// A [`Semaphore`] that cannot have more permits than it began with.
///
/// The counterpart of `asyncio.BoundedSemaphore`.
///
/// # Examples
/// ```
/// use soloop::{BoundedSemaphore, Error};
///
/// let desk = BoundedSemaphore::new(1);
/// let refused = desk.release().unwrap_err();
/// assert_eq!(refused.to_string(), "ValueError: BoundedSemaphore released too many times");
/// ```
#[derive(Clone)]
pub struct BoundedSemaphore(Rc<State>);

struct State {
    /// The permits that nobody has, and nobody has been woken for.
    value: Cell<usize>,
    waiters: Queue,
    /// The most permits there may be, of a bounded semaphore.
    bound: Option<usize>,
}

impl Semaphore {
    /// Makes a semaphore with this many permits.
    ///
    /// # Examples
    /// ```
    /// # use soloop::Semaphore;
    /// let downloads = Semaphore::new(3); // at a time
    /// assert_eq!(format!("{downloads:?}"), "<Semaphore [unlocked, value:3]>");
    /// assert!(Semaphore::new(0).locked()); // until somebody releases
    /// ```
    #[must_use]
    pub fn new(value: usize) -> Self {
        Self(State::new(value, None))
    }

    /// Gives the semaphore a name, for its `repr`, for reports and for pictures. The first one stays.
    ///
    /// # Examples
    /// ```
    /// let desks = soloop::Semaphore::new(2).named("desks");
    /// assert_eq!(format!("{desks:?}"), "<Semaphore 'desks' [unlocked, value:2]>");
    /// ```
    #[must_use]
    pub fn named(self, name: impl Into<String>) -> Self {
        self.0.waiters.give_name(name.into());
        self
    }

    /// Whether a permit cannot be had at once, because there is none or others are before.
    ///
    /// The counterpart of `asyncio.Semaphore.locked`.
    ///
    /// # Examples
    /// ```
    /// # use soloop::Semaphore;
    /// # soloop::run(async {
    /// let desks = Semaphore::new(1);
    /// let _mine = desks.enter().await?;
    /// if desks.locked() {
    ///     println!("this will take a while");
    /// }
    /// # assert!(desks.locked());
    /// # Ok(()) }).unwrap();
    /// ```
    #[must_use]
    pub fn locked(&self) -> bool {
        self.0.locked()
    }

    /// Takes a permit, waiting until there is one and everybody who came before has had theirs.
    ///
    /// The counterpart of `asyncio.Semaphore.acquire`.
    ///
    /// # Errors
    /// [`Error::Cancelled`] as below; [`Error::Runtime`] if it would have to wait outside any loop, or in another loop than
    /// the one that the semaphore belongs to.
    ///
    /// # Cancellation
    /// No permit is taken. One that was given already is given back, and wakes the next.
    ///
    /// # Dropping
    /// Likewise.
    ///
    /// # Examples
    /// ```
    /// # use {soloop::{Semaphore, create_task}, std::time::Duration};
    /// # soloop::run(async {
    /// // Permits that one side makes and the other uses up.
    /// let loaves = Semaphore::new(0);
    /// let baker = loaves.clone();
    /// create_task(async move {
    ///     for _ in 0..3 {
    ///         soloop::sleep(Duration::ZERO).await?;
    ///         baker.release();
    ///     }
    ///     Ok(())
    /// });
    /// for _ in 0..3 {
    ///     loaves.acquire().await?;
    /// }
    /// # Ok(()) }).unwrap();
    /// ```
    #[inline]
    pub fn acquire(&self) -> impl Future<Output = Result<()>> + 'static + use<> {
        Passing::new(&self.0)
    }

    /// Adds a permit, and hands it to the first who waits.
    ///
    /// The counterpart of `asyncio.Semaphore.release`.
    ///
    /// # Examples
    /// ```
    /// # use soloop::Semaphore;
    /// let desks = Semaphore::new(2);
    /// desks.release(); // one more was bought
    /// assert_eq!(format!("{desks:?}"), "<Semaphore [unlocked, value:3]>");
    /// ```
    #[inline]
    pub fn release(&self) {
        self.0.release();
    }

    /// Takes a permit for as long as the guard lives: `async with semaphore`.
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
    /// # use soloop::{Error, Result, Semaphore};
    /// async fn download(slots: &Semaphore) -> Result<()> {
    ///     let _slot = slots.enter().await?;
    ///     Err(Error::other("no such page")) // the permit is given back here too
    /// }
    /// # soloop::run(async {
    /// let slots = Semaphore::new(1);
    /// assert!(download(&slots).await.is_err());
    /// assert!(!slots.locked());
    /// # Ok(()) }).unwrap();
    /// ```
    #[inline]
    pub fn enter(&self) -> impl Future<Output = Result<SemaphoreGuard>> + 'static + use<> {
        Entering::new(&self.0, SemaphoreGuard)
    }
}

impl BoundedSemaphore {
    /// Makes a semaphore with this many permits, and never more.
    ///
    /// # Examples
    /// ```
    /// # use soloop::BoundedSemaphore;
    /// let connections = BoundedSemaphore::new(3);
    /// assert!(connections.release().is_err()); // all three are there
    /// ```
    #[must_use]
    pub fn new(value: usize) -> Self {
        Self(State::new(value, Some(value)))
    }

    /// Gives the semaphore a name, for its `repr`, for reports and for pictures. The first one stays.
    ///
    /// # Examples
    /// ```
    /// let desk = soloop::BoundedSemaphore::new(1).named("desk");
    /// assert_eq!(format!("{desk:?}"), "<BoundedSemaphore 'desk' [unlocked, value:1]>");
    /// ```
    #[must_use]
    pub fn named(self, name: impl Into<String>) -> Self {
        self.0.waiters.give_name(name.into());
        self
    }

    /// Whether a permit cannot be had at once: see [`Semaphore::locked`].
    ///
    /// # Examples
    /// ```
    /// # use soloop::BoundedSemaphore;
    /// # soloop::run(async {
    /// let connections = BoundedSemaphore::new(1);
    /// connections.acquire().await?;
    /// assert!(connections.locked());
    /// # Ok(()) }).unwrap();
    /// ```
    #[must_use]
    pub fn locked(&self) -> bool {
        self.0.locked()
    }

    /// Takes a permit: see [`Semaphore::acquire`].
    ///
    /// # Errors
    /// Those of [`Semaphore::acquire`].
    ///
    /// # Cancellation
    /// As in [`Semaphore::acquire`].
    ///
    /// # Dropping
    /// As in [`Semaphore::acquire`].
    ///
    /// # Examples
    /// ```
    /// # use soloop::BoundedSemaphore;
    /// # soloop::run(async {
    /// let connections = BoundedSemaphore::new(3);
    /// connections.acquire().await?;
    /// connections.release()?; // exactly once for each acquire
    /// # Ok(()) }).unwrap();
    /// ```
    #[inline]
    pub fn acquire(&self) -> impl Future<Output = Result<()>> + 'static + use<> {
        Passing::new(&self.0)
    }

    /// Adds a permit, and hands it to the first who waits.
    ///
    /// The counterpart of `asyncio.BoundedSemaphore.release`.
    ///
    /// # Errors
    /// [`Error::Value`] if all the permits are there. Nothing is changed then.
    ///
    /// # Examples
    /// ```
    /// # use soloop::BoundedSemaphore;
    /// # soloop::run(async {
    /// # let connections = BoundedSemaphore::new(1);
    /// connections.acquire().await?;
    /// connections.release()?;
    /// let twice = connections.release().unwrap_err(); // a bug that a plain semaphore would not have found
    /// assert_eq!(twice.to_string(), "ValueError: BoundedSemaphore released too many times");
    /// # Ok(()) }).unwrap();
    /// ```
    #[inline]
    pub fn release(&self) -> Result<()> {
        self.0.release_bounded()
    }

    /// Takes a permit for as long as the guard lives: see [`Semaphore::enter`].
    ///
    /// # Errors
    /// Those of [`Semaphore::acquire`].
    ///
    /// # Cancellation
    /// As in [`Semaphore::acquire`].
    ///
    /// # Dropping
    /// As in [`Semaphore::acquire`].
    ///
    /// # Examples
    /// ```
    /// # use soloop::BoundedSemaphore;
    /// # soloop::run(async {
    /// let connections = BoundedSemaphore::new(1);
    /// {
    ///     let _connection = connections.enter().await?;
    ///     assert!(connections.locked());
    /// }
    /// assert!(!connections.locked());
    /// # Ok(()) }).unwrap();
    /// ```
    #[inline]
    pub fn enter(&self) -> impl Future<Output = Result<SemaphoreGuard>> + 'static + use<> {
        Entering::new(&self.0, SemaphoreGuard)
    }
}

impl Default for Semaphore {
    fn default() -> Self {
        Self::new(1)
    }
}

impl Default for BoundedSemaphore {
    fn default() -> Self {
        Self::new(1)
    }
}

impl fmt::Debug for Semaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.name())
    }
}

impl fmt::Debug for BoundedSemaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.name())
    }
}

/// Holds a permit of a [`Semaphore`] or a [`BoundedSemaphore`] until dropped: the body of `async with semaphore`.
///
/// # Dropping
/// Releases the permit. Does nothing if a bounded semaphore is full, where Python would raise.
///
/// # Examples
/// ```
/// use soloop::Semaphore;
///
/// soloop::run(async {
///     let (seats, mut party) = (Semaphore::new(4), Vec::new());
///     for _ in 0..3 {
///         party.push(seats.enter().await?); // they come one by one
///     }
///     assert_eq!(format!("{seats:?}"), "<Semaphore [unlocked, value:1]>");
///     party.clear(); // and leave together
///     assert_eq!(format!("{seats:?}"), "<Semaphore [unlocked, value:4]>");
///     Ok(())
/// })?;
/// # Ok::<(), soloop::Error>(())
/// ```
#[must_use = "the permit is released when the guard is dropped"]
pub struct SemaphoreGuard(Rc<State>);

impl Drop for SemaphoreGuard {
    #[inline]
    fn drop(&mut self) {
        // Silent where Python would raise: a destructor has nobody to tell.
        self.0.give_back();
    }
}

impl fmt::Debug for SemaphoreGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SemaphoreGuard({})", self.0.name())
    }
}

impl State {
    fn new(value: usize, bound: Option<usize>) -> Rc<Self> {
        Rc::new(Self {
            value: Cell::new(value),
            waiters: Queue::of_pending(),
            bound,
        })
    }

    /// Because there is no permit, or because others must go first.
    #[inline]
    fn locked(&self) -> bool {
        self.value.get() == 0 || !self.waiters.all_cancelled()
    }

    #[inline]
    fn release(self: &Rc<Self>) {
        // Also of a permit that nobody has acquired.
        self.waiters.tell_recorder(self, Held::Ends);
        if self.waiters.len() == 0 || !self.wake_with_permit() {
            // More than that nobody can take, and a destructor must not panic.
            self.value.set(self.value.get().saturating_add(1));
        }
    }

    /// Gives a permit back. Says whether there was room for it.
    #[inline]
    fn give_back(self: &Rc<Self>) -> bool {
        let has_room = self.bound.is_none_or(|bound| self.value.get() < bound);
        if has_room {
            self.release();
        }
        has_room
    }

    #[inline]
    fn release_bounded(self: &Rc<Self>) -> Result<()> {
        if self.give_back() {
            Ok(())
        } else {
            Err(Error::value(RELEASED_TOO_OFTEN))
        }
    }

    /// Wakes the first waiter that is not done, with a permit that is not among those left. Says whether there was one to be woken.
    #[inline]
    fn wake_with_permit(&self) -> bool {
        self.waiters.wake_first()
    }

    /// Lets those go who came while somebody stood in front, as many as there are permits.
    #[inline(never)]
    fn hand_on(&self) {
        while let Some(less) = self.value.get().checked_sub(1) {
            // The permit is taken first: a waker may call back.
            self.value.set(less);
            if !self.wake_with_permit() {
                self.value.set(self.value.get() + 1);
                break;
            }
        }
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
        let free = self.value.get() > 0 && self.waiters.is_quiet();
        if free {
            self.value.set(self.value.get() - 1);
        }
        free
    }

    #[inline]
    fn pass_by(&self) -> bool {
        let free = !self.locked();
        if free {
            self.value.set(self.value.get() - 1);
        }
        free
    }

    #[inline]
    fn leave(&self, has_permit: bool) {
        // A wake came with a permit. A cancel that came without one has nothing to give back.
        if has_permit {
            self.value.set(self.value.get() + 1);
        }
        if self.value.get() > 0 {
            self.hand_on();
        }
    }
}

impl Named for State {
    fn name(&self) -> String {
        match self.locked() {
            true => repr(self, "locked", &self.waiters),
            false => repr(
                self,
                &format!("unlocked, value:{}", self.value.get()),
                &self.waiters,
            ),
        }
    }

    fn kind(&self) -> &'static str {
        match self.bound {
            Some(_) => "BoundedSemaphore",
            None => "Semaphore",
        }
    }

    fn given_name(&self) -> Option<&str> {
        self.waiters.given_name()
    }
}
