//! One scene for each future that waits for a primitive, so that a test can be written once for all of them.

use futures::FutureExt;
use soloop::{BoundedSemaphore, Condition, Event, Lock, Result, Semaphore};
use std::{cell::Cell, fmt::Debug, future::Future, rc::Rc};

/// A primitive that somebody stands in the way of, with a future that has to wait for it.
pub(crate) trait Scene: Clone + 'static {
    /// How it looks while nobody waits, while one does, and when everybody has been served.
    const BLOCKED: &str;
    const ONE_WAITS: &str;
    const SERVED: &str;

    fn blocked() -> Self;

    /// Begins with the wait under test, and puts back what it was given.
    fn visit(&self) -> impl Future<Output = Result<()>> + 'static;

    /// What lets one visitor go, or all of them.
    fn unblock(&self);

    fn repr(&self) -> String;

    /// Calls what there is to call on the primitive, and leaves it as it was.
    fn meddle(&self);
}

/// What needs no wait is done at once.
pub(crate) fn now<T>(coro: impl Future<Output = Result<T>>) -> T {
    let result = coro.now_or_never().expect("it need not wait");
    result.expect("it succeeds")
}

macro_rules! scene {
    ($name:ident { $field:ident: $primitive:ty = $blocked:expr } $visit:block $unblock:block $($state:literal)*) => {
        #[derive(Clone)]
        pub(crate) struct $name($primitive);

        impl Scene for $name {
            const BLOCKED: &str = scene!(@first $($state)*);
            const ONE_WAITS: &str = scene!(@second $($state)*);
            const SERVED: &str = scene!(@third $($state)*);

            fn blocked() -> Self {
                Self($blocked)
            }

            fn visit(&self) -> impl Future<Output = Result<()>> + 'static {
                let $field = self.0.clone();
                async move $visit
            }

            fn unblock(&self) {
                let $field = &self.0;
                $unblock
            }

            fn repr(&self) -> String {
                format!("{:?}", self.0)
            }

            fn meddle(&self) {
                self.0.meddle();
            }
        }
    };
    (@first $first:literal $second:literal $third:literal) => { $first };
    (@second $first:literal $second:literal $third:literal) => { $second };
    (@third $first:literal $second:literal $third:literal) => { $third };
}

fn held_lock() -> Lock {
    let lock = Lock::new();
    now(lock.acquire());
    lock
}

fn taken_semaphore() -> BoundedSemaphore {
    let semaphore = BoundedSemaphore::new(1);
    now(semaphore.acquire());
    semaphore
}

/// A condition, and whether what it is about has come true.
#[derive(Clone)]
pub(crate) struct Shelf(Condition, Rc<Cell<bool>>);

impl Shelf {
    pub(crate) fn empty() -> Self {
        Self(Condition::new(), Rc::default())
    }

    pub(crate) fn condition(&self) -> &Condition {
        &self.0
    }

    fn stocked(&self) -> impl FnMut() -> bool + use<> {
        let shelf = self.1.clone();
        move || shelf.get()
    }

    pub(crate) fn stock(&self) {
        self.1.set(true);
        now(self.0.acquire());
        self.0.notify(1).expect("the lock is held");
        self.0.release().expect("the lock is held");
    }
}

impl Debug for Shelf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

scene!(LockAcquire { lock: Lock = held_lock() }
    { lock.acquire().await?; lock.release() }
    { lock.release().expect("the lock is held") }
    "<Lock [locked]>" "<Lock [locked, waiters:1]>" "<Lock [unlocked]>");

scene!(LockEnter { lock: Lock = held_lock() }
    { lock.enter().await.map(drop) }
    { lock.release().expect("the lock is held") }
    "<Lock [locked]>" "<Lock [locked, waiters:1]>" "<Lock [unlocked]>");

scene!(EventWait { event: Event = Event::new() }
    { event.wait().await }
    { event.set() }
    "<Event [unset]>" "<Event [unset, waiters:1]>" "<Event [set]>");

scene!(ConditionAcquire { lock: Lock = held_lock() }
    {
        let condition = Condition::with_lock(&lock);
        condition.acquire().await?;
        condition.release()
    }
    { lock.release().expect("the lock is held") }
    "<Lock [locked]>" "<Lock [locked, waiters:1]>" "<Lock [unlocked]>");

scene!(ConditionEnter { lock: Lock = held_lock() }
    { Condition::with_lock(&lock).enter().await.map(drop) }
    { lock.release().expect("the lock is held") }
    "<Lock [locked]>" "<Lock [locked, waiters:1]>" "<Lock [unlocked]>");

scene!(ConditionWait { shelf: Shelf = Shelf::empty() }
    {
        shelf.0.acquire().await?;
        let waited = shelf.0.wait().await;
        shelf.0.release()?;
        waited
    }
    { shelf.stock() }
    "<Condition [unlocked]>" "<Condition [unlocked, waiters:1]>" "<Condition [unlocked]>");

scene!(ConditionWaitFor { shelf: Shelf = Shelf::empty() }
    {
        shelf.0.acquire().await?;
        let waited = shelf.0.wait_for(shelf.stocked()).await;
        shelf.0.release()?;
        waited.map(drop)
    }
    { shelf.stock() }
    "<Condition [unlocked]>" "<Condition [unlocked, waiters:1]>" "<Condition [unlocked]>");

scene!(GuardWait { shelf: Shelf = Shelf::empty() }
    { shelf.0.enter().await?.wait().await }
    { shelf.stock() }
    "<Condition [unlocked]>" "<Condition [unlocked, waiters:1]>" "<Condition [unlocked]>");

scene!(GuardWaitFor { shelf: Shelf = Shelf::empty() }
    { shelf.0.enter().await?.wait_for(shelf.stocked()).await.map(drop) }
    { shelf.stock() }
    "<Condition [unlocked]>" "<Condition [unlocked, waiters:1]>" "<Condition [unlocked]>");

scene!(SemaphoreAcquire { semaphore: Semaphore = Semaphore::new(0) }
    {
        semaphore.acquire().await?;
        semaphore.release();
        Ok(())
    }
    { semaphore.release() }
    "<Semaphore [locked]>" "<Semaphore [locked, waiters:1]>" "<Semaphore [unlocked, value:1]>");

scene!(SemaphoreEnter { semaphore: Semaphore = Semaphore::new(0) }
    { semaphore.enter().await.map(drop) }
    { semaphore.release() }
    "<Semaphore [locked]>" "<Semaphore [locked, waiters:1]>" "<Semaphore [unlocked, value:1]>");

scene!(BoundedAcquire { semaphore: BoundedSemaphore = taken_semaphore() }
    { semaphore.acquire().await?; semaphore.release() }
    { semaphore.release().expect("the permit is out") }
    "<BoundedSemaphore [locked]>" "<BoundedSemaphore [locked, waiters:1]>" "<BoundedSemaphore [unlocked, value:1]>");

scene!(BoundedEnter { semaphore: BoundedSemaphore = taken_semaphore() }
    { semaphore.enter().await.map(drop) }
    { semaphore.release().expect("the permit is out") }
    "<BoundedSemaphore [locked]>" "<BoundedSemaphore [locked, waiters:1]>" "<BoundedSemaphore [unlocked, value:1]>");

/// Calls every method that can be taken back, and drops waits that are pending.
trait Meddle: Debug {
    fn meddle(&self);
}

impl Meddle for Lock {
    fn meddle(&self) {
        assert_eq!(format!("{self:?}").contains("[locked"), self.locked());
        if let Some(Ok(())) = self.acquire().now_or_never() {
            self.release().expect("it was just acquired");
        }
        drop(self.enter().now_or_never());
    }
}

impl Meddle for Event {
    fn meddle(&self) {
        assert_eq!(format!("{self:?}").contains("[set"), self.is_set());
        drop(self.wait().now_or_never());
        if self.is_set() {
            self.clear();
            drop(self.wait().now_or_never());
            self.set();
        }
    }
}

impl Meddle for Shelf {
    fn meddle(&self) {
        let condition = &self.0;
        assert_eq!(
            format!("{condition:?}").contains("[locked"),
            condition.locked()
        );
        if let Some(Ok(())) = condition.acquire().now_or_never() {
            condition.notify_all().expect("it was just acquired");
            if condition.wait().now_or_never().is_some() {
                condition.release().expect("it could not wait");
            }
        }
        if let Some(Ok(mut guard)) = condition.enter().now_or_never() {
            guard.notify(1).expect("it was just acquired");
            drop(guard.wait_for(|| false).now_or_never());
        }
    }
}

impl Meddle for Semaphore {
    fn meddle(&self) {
        assert_eq!(format!("{self:?}").contains("[locked"), self.locked());
        if let Some(Ok(())) = self.acquire().now_or_never() {
            self.release();
        }
        drop(self.enter().now_or_never());
    }
}

impl Meddle for BoundedSemaphore {
    fn meddle(&self) {
        assert_eq!(format!("{self:?}").contains("[locked"), self.locked());
        if let Some(Ok(())) = self.acquire().now_or_never() {
            self.release().expect("it was just acquired");
        }
        drop(self.enter().now_or_never());
    }
}
