//! `Event`: a flag to wait for.

use std::{cell::Cell, fmt, future::Future, rc::Rc};

use super::{
    gate::{Gate, Passing},
    repr,
};
use crate::{
    error::Result,
    waiter::{Named, Queue},
};

/// A flag that tasks can wait for.
///
/// The counterpart of `asyncio.Event`. Clones are references to the same event.
///
/// # Examples
/// ```
/// use {soloop::{Event, create_task}, std::time::Duration};
///
/// soloop::run(async {
///     let ready = Event::new();
///     let waiting = create_task(ready.wait());
///     soloop::sleep(Duration::from_millis(1)).await?;
///     ready.set();
///     waiting.await
/// })?;
/// # Ok::<(), soloop::Error>(())
/// ```
#[derive(Clone)]
pub struct Event(Rc<State>);

struct State {
    value: Cell<bool>,
    waiters: Queue,
}

impl Event {
    /// Makes an event whose flag is not set.
    ///
    /// # Examples
    /// ```
    /// let ready = soloop::Event::new();
    /// assert!(!ready.is_set());
    /// ```
    #[must_use]
    pub fn new() -> Self {
        Self(Rc::new(State {
            value: Cell::new(false),
            waiters: Queue::of_pending(),
        }))
    }

    /// Gives the event a name, for its `repr`, for reports and for pictures. The first one stays.
    ///
    /// # Examples
    /// ```
    /// let ready = soloop::Event::new().named("ready");
    /// assert_eq!(format!("{ready:?}"), "<Event 'ready' [unset]>");
    /// ```
    #[must_use]
    pub fn named(self, name: impl Into<String>) -> Self {
        self.0.waiters.give_name(name.into());
        self
    }

    /// Whether the flag is set. The counterpart of `asyncio.Event.is_set`.
    ///
    /// # Examples
    /// ```
    /// # use {soloop::{Event, create_task, sleep}, std::time::Duration};
    /// # soloop::run(async {
    /// let stop = Event::new();
    /// # let (told, mut worked) = (stop.clone(), 0);
    /// # create_task(async move { sleep(Duration::from_millis(1)).await?; told.set(); Ok(()) });
    /// while !stop.is_set() {
    ///     worked += 1; // some work, and now and then a break
    ///     sleep(Duration::ZERO).await?;
    /// }
    /// # assert!(worked > 0);
    /// # Ok(()) }).unwrap();
    /// ```
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.0.value.get()
    }

    /// Sets the flag and wakes everybody who waits for it, in the order in which they came.
    ///
    /// The counterpart of `asyncio.Event.set`. Does nothing if the flag is set.
    ///
    /// # Examples
    /// ```
    /// # use {soloop::{Event, create_task}, std::time::Duration};
    /// # soloop::run(async {
    /// let configured = Event::new();
    /// let services = [create_task(configured.wait()), create_task(configured.wait())];
    /// soloop::sleep(Duration::ZERO).await?;
    /// configured.set();
    /// for service in services {
    ///     service.await?;
    /// }
    /// configured.wait().await // stays set: who comes later need not wait
    /// # }).unwrap();
    /// ```
    #[inline]
    pub fn set(&self) {
        if !self.0.value.replace(true) {
            self.0.waiters.wake_all();
        }
    }

    /// Clears the flag: whoever waits from now on waits for the next [`set`](Self::set).
    ///
    /// The counterpart of `asyncio.Event.clear`. Those who have been woken already are not stopped by it.
    ///
    /// # Examples
    /// ```
    /// # use {soloop::{Event, create_task}, std::time::Duration};
    /// # soloop::run(async {
    /// let tick = Event::new();
    /// let waiting = create_task(tick.wait());
    /// soloop::sleep(Duration::ZERO).await?;
    /// tick.set();
    /// tick.clear(); // for the next one
    /// waiting.await?; // and yet this one was woken
    /// assert!(!tick.is_set());
    /// # Ok(()) }).unwrap();
    /// ```
    #[inline]
    pub fn clear(&self) {
        self.0.value.set(false);
    }

    /// Waits until the flag is set, or not at all if it is.
    ///
    /// The counterpart of `asyncio.Event.wait`.
    ///
    /// # Errors
    /// [`Error::Cancelled`](crate::Error::Cancelled) as below; [`Error::Runtime`](crate::Error::Runtime) if it would have to wait outside any
    /// loop, or in another loop than the one that the event belongs to.
    ///
    /// # Cancellation
    /// The wait is over, and nothing else has changed.
    ///
    /// # Dropping
    /// Likewise.
    ///
    /// # Examples
    /// ```
    /// # use {soloop::{Event, create_task, sleep, wait_for}, std::time::Duration};
    /// # soloop::run(async {
    /// let connected = Event::new();
    /// let connecting = connected.clone();
    /// create_task(async move {
    ///     sleep(Duration::from_millis(1)).await?;
    ///     connecting.set();
    ///     Ok(())
    /// });
    /// wait_for(connected.wait(), Duration::from_secs(60)).await
    /// # }).unwrap();
    /// ```
    #[inline]
    pub fn wait(&self) -> impl Future<Output = Result<()>> + 'static + use<> {
        Passing::new(&self.0)
    }
}

impl Default for Event {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.name())
    }
}

impl Gate for State {
    #[inline]
    fn waiters(&self) -> &Queue {
        &self.waiters
    }

    #[inline]
    fn pass(&self) -> bool {
        self.value.get()
    }
}

impl Named for State {
    fn name(&self) -> String {
        let status = if self.value.get() { "set" } else { "unset" };
        repr(self, status, &self.waiters)
    }

    fn kind(&self) -> &'static str {
        "Event"
    }

    fn given_name(&self) -> Option<&str> {
        self.waiters.given_name()
    }
}
