//! The one error type, and every message of asyncio's that the crate repeats, each written once.

use std::{borrow::Cow, error, fmt, sync::Arc};

use crate::event_loop::DeadlockReport;

/// What a coroutine comes to: it returns a value, or it raises an [`Error`].
///
/// In place of Python's `return` and `raise`. An application's functions may have an error of their own as `E`.
///
/// # Examples
/// ```
/// use soloop::{Error, Result, sleep};
///
/// async fn price(what: &str) -> Result<u32> {
///     sleep(std::time::Duration::ZERO).await?; // raises too, if somebody cancels the task here
///     match what {
///         "bread" => Ok(3),
///         _ => Err(Error::other("not on the list")),
///     }
/// }
/// assert_eq!(soloop::run(price("bread"))?, 3);
/// assert!(soloop::run(price("cake")).is_err());
/// # Ok::<(), Error>(())
/// ```
pub type Result<T, E = Error> = core::result::Result<T, E>;

/// Whatever a coroutine can raise: one type in place of Python's exception hierarchy.
///
/// A single type, and not one for each operation, because an error travels as an exception does: from
/// the primitive that raised it, through every `?` on its way, to whoever awaits the task. It is small,
/// `Send + Sync + 'static`, and cheap to clone, so that several may look at the error of one task.
///
/// `Display` prints what the last line of a Python traceback would say.
///
/// # Examples
/// ```
/// use soloop::{Error, Lock};
///
/// let error = Lock::new().release().unwrap_err();
/// assert!(matches!(error, Error::Runtime(_)));
/// assert_eq!(error.to_string(), "RuntimeError: Lock is not acquired.");
/// assert_eq!(Error::Cancelled.to_string(), "CancelledError");
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Error {
    /// `asyncio.CancelledError`: somebody has asked the task to stop. May be caught, cleaned up after and swallowed.
    Cancelled,
    /// `TimeoutError`: a [`wait_for`](crate::wait_for) took too long.
    Timeout,
    /// `asyncio.BrokenBarrierError`: the barrier was aborted, or reset while the task waited.
    BrokenBarrier(Cow<'static, str>),
    /// `RuntimeError`: a call that the state of things does not allow.
    Runtime(Cow<'static, str>),
    /// `ValueError`: an argument out of range, or a bounded semaphore released too often.
    Value(Cow<'static, str>),
    /// Nothing can ever run again. Python has no counterpart: it would hang.
    Deadlock(Arc<DeadlockReport>),
    /// An application's own exception, made by [`Error::other`].
    Other(Arc<dyn error::Error + Send + Sync>),
}

impl Error {
    /// Wraps an application's own error, or a plain message, as one that a coroutine can raise.
    ///
    /// The counterpart of an exception class of your own.
    ///
    /// # Examples
    /// ```
    /// use soloop::Error;
    ///
    /// let raised = soloop::run(async { Err::<(), _>(Error::other("out of stock")) });
    /// assert_eq!(raised.unwrap_err().to_string(), "out of stock");
    /// ```
    pub fn other(error: impl Into<Box<dyn error::Error + Send + Sync>>) -> Self {
        Self::Other(Arc::from(error.into()))
    }

    pub(crate) const fn runtime(message: &'static str) -> Self {
        Self::Runtime(Cow::Borrowed(message))
    }

    pub(crate) const fn no_running_loop() -> Self {
        Self::runtime(NO_RUNNING_LOOP)
    }

    pub(crate) const fn value(message: &'static str) -> Self {
        Self::Value(Cow::Borrowed(message))
    }

    pub(crate) const fn broken_barrier(message: &'static str) -> Self {
        Self::BrokenBarrier(Cow::Borrowed(message))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cancelled => f.write_str("CancelledError"),
            Self::Timeout => f.write_str("TimeoutError"),
            Self::BrokenBarrier(message) => write!(f, "BrokenBarrierError: {message}"),
            Self::Runtime(message) => write!(f, "RuntimeError: {message}"),
            Self::Value(message) => write!(f, "ValueError: {message}"),
            Self::Deadlock(report) => write!(f, "Deadlock: nothing can ever run again\n{report}"),
            Self::Other(error) => error.fmt(f),
        }
    }
}

impl error::Error for Error {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::Other(error) => error.source(),
            _ => None,
        }
    }
}

pub(crate) const LOCK_NOT_ACQUIRED: &str = "Lock is not acquired.";
pub(crate) const WAIT_WITHOUT_LOCK: &str = "cannot wait on un-acquired lock";
pub(crate) const NOTIFY_WITHOUT_LOCK: &str = "cannot notify on un-acquired lock";
pub(crate) const RELEASED_TOO_OFTEN: &str = "BoundedSemaphore released too many times";
pub(crate) const NO_PARTIES: &str = "parties must be > 0";
pub(crate) const BARRIER_ABORTED: &str = "Barrier aborted";
pub(crate) const BARRIER_BROKE: &str = "Abort or reset of barrier";
pub(crate) const NO_RUNNING_LOOP: &str = "no running event loop";
pub(crate) const NESTED_RUN: &str = "run() cannot be called from a running event loop";
pub(crate) const OTHER_LOOP: &str = "is bound to a different event loop";
pub(crate) const AWAITS_ITSELF: &str = "Task cannot await on itself:";
pub(crate) const NEVER_RETRIEVED: &str = "Task exception was never retrieved";
pub(crate) const UNHANDLED_AT_SHUTDOWN: &str = "unhandled exception during asyncio.run() shutdown";
