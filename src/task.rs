//! Tasks: a coroutine that the loop runs; its handle; one step of it; how a request to cancel is kept and delivered.
//!
//! A task is one slot in the loop's arena and one allocation, which holds the coroutine first and its result later. It is
//! *queued* when its step stands in the ready queue, *running* during the step, and else *suspended* on its waiters.
//!
//! # A request to cancel
//!
//! A request is *kept* from `cancel()` until one of our futures has returned `Err(Cancelled)` for it. On a suspended task
//! every pending waiter is told at once; a wait for another task passes the request on instead. On a queued task the
//! next step begins by telling, and on a running one the step ends with it. So a wait that was told and is then
//! dropped by a `select!` loses nothing: the request is still kept, and what is pending next is told. A step that began
//! with a request and ends without having delivered it, with nothing left to tell, is stuck in a future that
//! is not ours: the coroutine is dropped there.
//!
//! `wait_for` keeps requests of its own in the same way, see `scope.rs`. In asyncio all of this is `Task._must_cancel`,
//! `Task._fut_waiter` and `Task.__step`.

use std::{
    any::Any,
    fmt,
    future::Future,
    marker::PhantomData,
    mem,
    pin::Pin,
    rc::Rc,
    sync::{Arc, Weak},
    task::{Context, Poll, Waker, ready},
};

use pin_project_lite::pin_project;

use crate::{
    error::{AWAITS_ITSELF, Error, NEVER_RETRIEVED, Result, UNHANDLED_AT_SHUTDOWN},
    event_loop::{
        Cause, Handle, Loop, TaskWaker,
        key::{TaskKey, WaiterKey},
        state::{Errand, State},
    },
    trace::{EventKind, Finish, Requester},
    waiter::{Kind, Settled, Waiter, Waits, Wake},
};

/// A task: a coroutine that the loop runs, and the future of its result.
///
/// The counterpart of `asyncio.Task`; made by [`create_task`](crate::create_task). Await it for what the coroutine comes to.
///
/// # Cancellation
/// [`cancel`](Self::cancel) asks the coroutine to stop; it sees `Err(Error::Cancelled)` where it waits, and may clean up or
/// refuse. If whoever awaits the task is cancelled, it is the task that the request is passed to.
///
/// # Dropping
/// Detaches the task: it runs on. An error that it has ended with, or will, is then reported, since nobody can retrieve it.
///
/// # Panics
/// Polling it again after it has returned its result panics.
///
/// # Examples
/// ```
/// use {soloop::{Error, Event, create_task, sleep}, std::time::Duration};
///
/// soloop::run(async {
///     let task = create_task(async { Event::new().wait().await });
///     sleep(Duration::ZERO).await?;
///     assert!(task.cancel());
///     assert!(matches!(task.await, Err(Error::Cancelled)));
///     Ok(())
/// })?;
/// # Ok::<(), Error>(())
/// ```
pub struct Task<T> {
    home: Rc<Loop>,
    /// Invariant: counts among the slot's handles, and keeps the result there.
    key: TaskKey,
    awaiting: Awaiting,
    /// Knows the type of the result, so that nobody who awaits the task has to say more of it.
    claim: fn(Unclaimed) -> Result<T>,
}

/// How a [`Task`] is being awaited.
pub(crate) enum Awaiting {
    Nothing,
    Task(WaiterKey),
    /// By the task itself, since this step: an error, as it was then, that is raised in the next.
    Itself(u32, Box<Error>),
}

impl<T> Task<T> {
    pub(crate) fn new(home: Rc<Loop>, key: TaskKey) -> Self
    where
        T: 'static,
    {
        Self {
            home,
            key,
            awaiting: Awaiting::Nothing,
            claim,
        }
    }

    /// Another handle to the same task, without a claim to its result.
    ///
    /// # Examples
    /// ```
    /// # soloop::run(async {
    /// let task = soloop::create_task(async { Ok(()) });
    /// let handle = task.handle();
    /// task.await?;
    /// assert!(handle.done());
    /// # Ok(()) }).unwrap();
    /// ```
    #[must_use]
    pub fn handle(&self) -> TaskHandle {
        TaskHandle::new(&self.home, self.key)
    }

    /// Asks the task to stop: see [`TaskHandle::cancel`].
    ///
    /// # Examples
    /// ```
    /// # use {soloop::{Error, Event, create_task}, std::time::Duration};
    /// # soloop::run(async {
    /// let reader = create_task(Event::new().wait());
    /// soloop::sleep(Duration::from_millis(1)).await?;
    /// reader.cancel(); // it has had its time
    /// assert!(matches!(reader.await, Err(Error::Cancelled)));
    /// # Ok(()) }).unwrap();
    /// ```
    pub fn cancel(&self) -> bool {
        self.home.open(|state| state.cancel(self.key))
    }

    /// Whether the task has ended: see [`TaskHandle::done`].
    ///
    /// # Examples
    /// ```
    /// # use {soloop::{Event, create_task, sleep}, std::time::Duration};
    /// # soloop::run(async {
    /// let open = Event::new();
    /// let mut workers = vec![create_task(async { Ok(()) }), create_task(open.wait())];
    /// sleep(Duration::ZERO).await?;
    /// workers.retain(|worker| !worker.done());
    /// assert_eq!(workers.len(), 1);
    /// # Ok(()) }).unwrap();
    /// ```
    #[must_use]
    pub fn done(&self) -> bool {
        self.home.is(self.key, DONE)
    }

    /// Whether the task has ended cancelled: see [`TaskHandle::cancelled`].
    ///
    /// # Examples
    /// ```
    /// # use soloop::{Event, create_task};
    /// # soloop::run(async {
    /// let mut reader = create_task(Event::new().wait());
    /// reader.cancel();
    /// if (&mut reader).await.is_err() {
    ///     assert!(reader.cancelled()); // stopped, and not failed
    /// }
    /// # Ok(()) }).unwrap();
    /// ```
    #[must_use]
    pub fn cancelled(&self) -> bool {
        self.home.is(self.key, CANCELLED)
    }

    /// How many requests to cancel are outstanding: see [`TaskHandle::cancelling`].
    ///
    /// # Examples
    /// ```
    /// # use {soloop::{create_task, sleep}, std::time::Duration};
    /// # soloop::run(async {
    /// let task = create_task(async {
    ///     let told = sleep(Duration::from_secs(3600)).await;
    ///     sleep(Duration::from_millis(1)).await?; // cleans up
    ///     told
    /// });
    /// sleep(Duration::ZERO).await?;
    /// while !task.done() {
    ///     if task.cancelling() == 0 {
    ///         task.cancel(); // once is enough: a second would cut the cleaning short
    ///     }
    ///     sleep(Duration::ZERO).await?;
    /// }
    /// assert_eq!(task.cancelling(), 1);
    /// # Ok(()) }).unwrap();
    /// ```
    #[must_use]
    pub fn cancelling(&self) -> usize {
        self.home.cancelling(self.key)
    }

    /// Takes one request to cancel back: see [`TaskHandle::uncancel`].
    ///
    /// # Examples
    /// ```
    /// # soloop::run(async {
    /// let task = soloop::create_task(async { Ok("after all") });
    /// task.cancel();
    /// assert_eq!(task.uncancel(), 0); // it has not heard of it yet, and never will
    /// assert_eq!(task.await?, "after all");
    /// # Ok(()) }).unwrap();
    /// ```
    pub fn uncancel(&self) -> usize {
        self.home.open(|state| state.uncancel(self.key))
    }

    /// The task's name: see [`TaskHandle::name`].
    ///
    /// # Examples
    /// ```
    /// # soloop::run(async {
    /// let task = soloop::create_task(async { Ok(()) });
    /// assert_eq!(task.name(), "Task-2"); // main is the first
    /// # Ok(()) }).unwrap();
    /// ```
    #[must_use]
    pub fn name(&self) -> String {
        self.home.look(|state| state.name(self.key))
    }

    /// Gives the task a name: see [`TaskHandle::set_name`].
    ///
    /// # Examples
    /// ```
    /// # use soloop::{Event, create_task};
    /// let stuck = soloop::run(async {
    ///     let reader = create_task(Event::new().wait());
    ///     reader.set_name("reader");
    ///     reader.await
    /// });
    /// let report = stuck.unwrap_err().to_string();
    /// assert!(report.contains("reader waits for <Event [unset, waiters:1]>"));
    /// ```
    pub fn set_name(&self, name: impl Into<String>) {
        let name = name.into();
        self.home.open(|state| state.set_name(self.key, name));
    }
}

impl<T> Future for Task<T> {
    type Output = Result<T>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<T>> {
        let Self {
            home,
            key,
            awaiting,
            claim,
        } = &mut *self;
        if let Awaiting::Nothing = awaiting {
            let body = home.claim_ended(*key);
            if body.is_some() {
                return Poll::Ready(claim(body));
            }
        }
        match ready!(home.poll_join(*key, awaiting, cx)) {
            Ok(body) => Poll::Ready(claim(body)),
            Err(error) => Poll::Ready(Err(error)),
        }
    }
}

/// Takes the result out of a task's body, which is then gone.
fn claim<T: 'static>(body: Unclaimed) -> Result<T> {
    let mut result: Option<Result<T>> = None;
    body.expect("`Task` polled again after its result")
        .as_mut()
        .take(&mut result);
    result.expect("a task that has ended has a result")
}

impl<T> Drop for Task<T> {
    #[inline]
    fn drop(&mut self) {
        self.home.drop_task(self.key, &self.awaiting);
    }
}

impl Loop {
    /// Takes the body of a task that has ended, if it is there.
    fn claim_ended(&self, key: TaskKey) -> Unclaimed {
        self.open(|state| {
            let slot = state.slot(key);
            if slot.flags.has(DONE) && slot.body.is_some() {
                state.claim(key)
            } else {
                None
            }
        })
    }

    /// Polls a wait for a task. Hands out its body, which has the result.
    fn poll_join(
        &self,
        key: TaskKey,
        awaiting: &mut Awaiting,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Unclaimed>> {
        if let Awaiting::Nothing = awaiting {
            match self.open(|state| state.join(key, cx.waker())) {
                Join::Done(body) => return Poll::Ready(Ok(body)),
                Join::Refused(error) => return Poll::Ready(Err(error)),
                Join::Waiting(since) => *awaiting = since,
            }
        }
        let settled = match awaiting {
            Awaiting::Nothing => unreachable!("a task that is not done is awaited"),
            Awaiting::Itself(since, _) => ready!(self.poll_yield(*since)),
            Awaiting::Task(waiter) => ready!(self.poll_waiter(waiter, cx)),
        };
        if !settled.is_gone() {
            return Poll::Ready(Err(Error::no_running_loop()));
        }
        match (mem::replace(awaiting, Awaiting::Nothing), settled) {
            (Awaiting::Itself(_, refusal), Settled::Woken) => Poll::Ready(Err(*refusal)),
            (_, Settled::Woken) => Poll::Ready(Ok(self.open(|state| state.claim(key)))),
            _ => {
                // An error that the task has ended with counts as seen, though the request to cancel goes first.
                self.open(|state| state.slot_mut(key).flags.clear(UNSEEN));
                Poll::Ready(Err(Error::Cancelled))
            }
        }
    }

    /// Drops a [`Task`], and the wait for it that was begun.
    fn drop_task(&self, key: TaskKey, awaiting: &Awaiting) {
        if !self.open(|state| state.free_if_spent(key)) {
            self.detach_task(key, awaiting);
        }
    }

    #[inline(never)]
    fn detach_task(&self, key: TaskKey, awaiting: &Awaiting) {
        let mut unclaimed = None;
        let unseen = self.open(|state| {
            if let Awaiting::Task(waiter) = awaiting {
                state.remove(*waiter);
            }
            let unseen = state.detach(key, &mut unclaimed);
            state.release_handle(key);
            unseen
        });
        if let (Some(name), Some(error)) =
            (unseen, unclaimed.as_ref().and_then(|body| body.error()))
        {
            self.report(TaskFailure::new(NEVER_RETRIEVED, name, error));
        }
        drop(unclaimed);
    }

    fn is(&self, key: TaskKey, flag: Flags) -> bool {
        self.look(|state| state.slot(key).flags.has(flag))
    }

    fn cancelling(&self, key: TaskKey) -> usize {
        self.look(|state| state.slot(key).cancels as usize)
    }

    fn describe_task(&self, key: TaskKey) -> String {
        self.look(|state| state.describe_task(key))
    }
}

impl<T> fmt::Debug for Task<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.home.describe_task(self.key))
    }
}

/// A handle to a task of any type: to cancel it, to name it, to see how it stands.
///
/// The part of `asyncio.Task` that does not depend on the result. Clones are handles to the same task, and equal.
/// A handle keeps nothing alive but the answers to its methods.
pub struct TaskHandle {
    home: Rc<Loop>,
    key: TaskKey,
}

impl TaskHandle {
    fn new(home: &Rc<Loop>, key: TaskKey) -> Self {
        home.open(|state| state.slot_mut(key).handles += 1);
        Self {
            home: Rc::clone(home),
            key,
        }
    }

    /// Asks the task to stop, by raising [`Error::Cancelled`] where it waits.
    ///
    /// The counterpart of `asyncio.Task.cancel`. Returns `false` if the task has ended already, and `true` otherwise, which
    /// does not promise that it will stop: it may catch the error and go on. Each call is counted, see
    /// [`cancelling`](Self::cancelling). An error that the task has ended with counts as seen.
    ///
    /// # Examples
    /// ```
    /// # use {soloop::{create_task, sleep}, std::time::Duration};
    /// # soloop::run(async {
    /// let task = create_task(async { sleep(Duration::MAX).await });
    /// assert!(task.cancel());
    /// assert!(task.await.is_err());
    /// # Ok(()) }).unwrap();
    /// ```
    pub fn cancel(&self) -> bool {
        self.home.open(|state| state.cancel(self.key))
    }

    /// Whether the task has ended: returned, raised, or cancelled. The counterpart of `asyncio.Task.done`.
    ///
    /// # Examples
    /// ```
    /// # use {soloop::{create_task, sleep}, std::time::Duration};
    /// # soloop::run(async {
    /// let detached = create_task(sleep(Duration::ZERO)).handle();
    /// while !detached.done() {
    ///     sleep(Duration::ZERO).await?;
    /// }
    /// # Ok(()) }).unwrap();
    /// ```
    #[must_use]
    pub fn done(&self) -> bool {
        self.home.is(self.key, DONE)
    }

    /// Whether the task has ended cancelled. The counterpart of `asyncio.Task.cancelled`.
    ///
    /// # Examples
    /// ```
    /// # use soloop::{Error, Event, create_task};
    /// let left = soloop::run(async { Ok(create_task(Event::new().wait()).handle()) })?;
    /// assert!(left.cancelled()); // since main has ended
    /// # Ok::<(), Error>(())
    /// ```
    #[must_use]
    pub fn cancelled(&self) -> bool {
        self.home.is(self.key, CANCELLED)
    }

    /// How many requests to cancel have been made and not taken back. The counterpart of `asyncio.Task.cancelling`.
    ///
    /// # Examples
    /// ```
    /// # use soloop::{Error, Event, create_task, current_task};
    /// # soloop::run(async {
    /// let helper = create_task(Event::new().wait());
    /// helper.cancel();
    /// let Err(Error::Cancelled) = helper.await else { panic!("it cannot end") };
    /// // Who was meant, the helper or I?
    /// assert_eq!(current_task().unwrap().cancelling(), 0);
    /// # Ok(()) }).unwrap();
    /// ```
    #[must_use]
    pub fn cancelling(&self) -> usize {
        self.home.cancelling(self.key)
    }

    /// Takes one request to cancel back and returns how many remain.
    ///
    /// The counterpart of `asyncio.Task.uncancel`, for code that asked for a cancel and has seen to it. At zero a
    /// request that has not been delivered yet is forgotten.
    ///
    /// # Examples
    /// ```
    /// # use {soloop::{Error, create_task, current_task, sleep, wait_for}, std::time::Duration};
    /// # soloop::run(async {
    /// let nap = async {
    ///     if let Err(Error::Cancelled) = sleep(Duration::from_secs(3600)).await {
    ///         current_task().unwrap().uncancel(); // refused, and nobody is to count it any more
    ///     }
    ///     sleep(Duration::from_secs(3600)).await
    /// };
    /// let task = create_task(wait_for(nap, Duration::from_millis(1)));
    /// sleep(Duration::ZERO).await?;
    /// task.cancel();
    /// assert!(matches!(task.await, Err(Error::Timeout)));
    /// # Ok(()) }).unwrap();
    /// ```
    pub fn uncancel(&self) -> usize {
        self.home.open(|state| state.uncancel(self.key))
    }

    /// The task's name: `Task-1`, `Task-2`, … in the order of creation in its loop, unless
    /// [`set_name`](Self::set_name) gave it another. The counterpart of `asyncio.Task.get_name`.
    ///
    /// # Examples
    /// ```
    /// # soloop::run(async {
    /// let me = soloop::current_task().unwrap();
    /// assert_eq!(format!("{} begins", me.name()), "Task-1 begins");
    /// # Ok(()) }).unwrap();
    /// ```
    #[must_use]
    pub fn name(&self) -> String {
        self.home.look(|state| state.name(self.key))
    }

    /// Gives the task a name, for reports. The counterpart of `asyncio.Task.set_name`.
    ///
    /// # Examples
    /// ```
    /// # soloop::run(async {
    /// let me = soloop::current_task().unwrap();
    /// me.set_name("baker");
    /// assert_eq!(format!("{me:?}"), "<Task pending name='baker'>");
    /// # Ok(()) }).unwrap();
    /// ```
    pub fn set_name(&self, name: impl Into<String>) {
        let name: String = name.into();
        self.home.open(|state| state.set_name(self.key, name));
    }
}

impl TaskHandle {
    /// The waker that the task gives out to other threads.
    pub(crate) fn give_out_waker(&self) -> Arc<TaskWaker> {
        let spare = self.home.new_waker();
        self.home
            .open(|state| state.give_out_waker(self.key, spare))
    }
}

impl PartialEq for TaskHandle {
    fn eq(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.home, &other.home) && self.key == other.key
    }
}

impl Eq for TaskHandle {}

impl Clone for TaskHandle {
    fn clone(&self) -> Self {
        Self::new(&self.home, self.key)
    }
}

impl Drop for TaskHandle {
    fn drop(&mut self) {
        self.home.open(|state| state.release_handle(self.key));
    }
}

impl fmt::Debug for TaskHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.home.describe_task(self.key))
    }
}

/// The task whose step is running, or `None` outside any task.
///
/// The counterpart of `asyncio.current_task`.
///
/// # Examples
/// ```
/// soloop::run(async {
///     assert_eq!(soloop::current_task().unwrap().name(), "Task-1");
///     Ok(())
/// })?;
/// assert!(soloop::current_task().is_none());
/// # Ok::<(), soloop::Error>(())
/// ```
#[must_use]
pub fn current_task() -> Option<TaskHandle> {
    let home = Loop::current()?;
    let key = home.open(|state| {
        let key = state.here.task.get()?;
        state.slot_mut(key).handles += 1;
        Some(key)
    })?;
    Some(TaskHandle { home, key })
}

/// An error that a task ended with and that nobody can retrieve any more.
///
/// What asyncio's `loop.call_exception_handler` gets as its context. `Display` says what happened, to which task, and the
/// error; see [`EventLoop::set_exception_handler`](crate::EventLoop::set_exception_handler).
#[derive(Debug)]
pub struct TaskFailure {
    message: &'static str,
    name: String,
    error: Error,
    /// Like all that belongs to a loop, it stays on the loop's thread.
    stays: PhantomData<Rc<()>>,
}

impl TaskFailure {
    pub(crate) fn new(message: &'static str, name: String, error: Error) -> Self {
        Self {
            message,
            name,
            error,
            stays: PhantomData,
        }
    }

    /// The task's name.
    ///
    /// # Examples
    /// ```
    /// # use {soloop::{Error, EventLoop, create_task}, std::{cell::RefCell, rc::Rc}};
    /// let (mut guest, failed) = (EventLoop::new(), Rc::new(RefCell::new(Vec::new())));
    /// let names = Rc::clone(&failed);
    /// guest.set_exception_handler(move |failure| names.borrow_mut().push(failure.name().to_owned()));
    /// guest.run(async { create_task(async { Err::<(), _>(Error::Timeout) }); Ok(()) })?;
    /// assert_eq!(failed.take(), ["Task-2"]);
    /// # Ok::<(), Error>(())
    /// ```
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it raised.
    ///
    /// # Examples
    /// ```
    /// # use {soloop::{Error, EventLoop, create_task}, std::{cell::Cell, rc::Rc}};
    /// let (mut guest, timeouts) = (EventLoop::new(), Rc::new(Cell::new(0)));
    /// let count = Rc::clone(&timeouts);
    /// guest.set_exception_handler(move |failure| match failure.error() {
    ///     Error::Timeout => count.set(count.get() + 1), // happens
    ///     _ => panic!("{failure}"),
    /// });
    /// guest.run(async { create_task(async { Err::<(), _>(Error::Timeout) }); Ok(()) })?;
    /// assert_eq!(timeouts.get(), 1);
    /// # Ok::<(), Error>(())
    /// ```
    #[must_use]
    pub fn error(&self) -> &Error {
        &self.error
    }
}

impl fmt::Display for TaskFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} raised {}", self.message, self.name, self.error)
    }
}

/// How a coroutine ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    Returned,
    Raised,
    Cancelled,
}

impl Ending {
    fn of<T>(result: &Result<T>) -> Self {
        match result {
            Ok(_) => Self::Returned,
            Err(Error::Cancelled) => Self::Cancelled,
            Err(_) => Self::Raised,
        }
    }
}

/// A coroutine as the loop sees it. All of it is user code.
pub(crate) trait Step {
    /// Polls the coroutine; once it ends, drops it and keeps its result.
    fn step(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Option<Ending>;

    /// Drops the coroutine or its result, and puts `Err(Cancelled)` in the place.
    fn abandon(self: Pin<&mut Self>);

    /// The error it raised.
    fn error(&self) -> Option<Error>;
}

/// The coroutine of a task that the loop owns.
pub(crate) trait Body: Step {
    /// Moves the result into an `Option<Result<T>>` of the right type.
    fn take(self: Pin<&mut Self>, result: &mut dyn Any);
}

pin_project! {
    /// A coroutine, and later its result in the same place: a task's one allocation.
    #[project = CellProjection]
    #[project_ref = CellRef]
    enum Cell<F, T> {
        Running { #[pin] coroutine: F },
        Ended { result: Option<Result<T>> },
    }
}

/// Boxes a coroutine as a task's body.
pub(crate) fn body<T: 'static>(
    coroutine: impl Future<Output = Result<T>> + 'static,
) -> Pin<Box<dyn Body>> {
    Box::pin(Cell::Running { coroutine })
}

impl<F: Future<Output = Result<T>>, T> Step for Cell<F, T> {
    fn step(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Option<Ending> {
        let CellProjection::Running { coroutine } = self.as_mut().project() else {
            unreachable!("a task that has ended takes no step")
        };
        let Poll::Ready(result) = coroutine.poll(cx) else {
            return None;
        };
        let ending = Ending::of(&result);
        self.set(Self::Ended {
            result: Some(result),
        });
        Some(ending)
    }

    fn abandon(mut self: Pin<&mut Self>) {
        self.set(Self::Ended {
            result: Some(Err(Error::Cancelled)),
        });
    }

    fn error(&self) -> Option<Error> {
        match self {
            Self::Ended {
                result: Some(Err(error)),
            } => Some(error.clone()),
            _ => None,
        }
    }
}

impl<F: Future<Output = Result<T>> + 'static, T: 'static> Body for Cell<F, T> {
    fn take(self: Pin<&mut Self>, result: &mut dyn Any) {
        if let (CellProjection::Ended { result: kept }, Some(result)) =
            (self.project(), result.downcast_mut())
        {
            *result = kept.take();
        }
    }
}

pin_project! {
    /// The main coroutine, which may borrow and so stays on its caller's stack.
    pub(crate) struct Main<F, T> {
        #[pin]
        coroutine: Option<F>,
        result: Option<Result<T>>,
    }
}

impl<F, T> Main<F, T> {
    pub(crate) fn drop_coroutine(self: Pin<&mut Self>) {
        self.project().coroutine.set(None);
    }
}

impl<F: Future<Output = Result<T>>, T> Main<F, T> {
    pub(crate) fn new(coroutine: F) -> Self {
        Self {
            coroutine: Some(coroutine),
            result: None,
        }
    }

    pub(crate) fn result(self: Pin<&mut Self>) -> Result<T> {
        self.project().result.take().expect("main has ended")
    }
}

impl<F: Future<Output = Result<T>>, T> Step for Main<F, T> {
    fn step(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Option<Ending> {
        let mut this = self.project();
        let coroutine = this
            .coroutine
            .as_mut()
            .as_pin_mut()
            .expect("main has not ended");
        let Poll::Ready(result) = coroutine.poll(cx) else {
            return None;
        };
        let ending = Ending::of(&result);
        this.coroutine.set(None);
        *this.result = Some(result);
        Some(ending)
    }

    fn abandon(self: Pin<&mut Self>) {
        let mut this = self.project();
        this.coroutine.set(None);
        *this.result = Some(Err(Error::Cancelled));
    }

    fn error(&self) -> Option<Error> {
        self.result
            .as_ref()
            .and_then(|result| result.as_ref().err().cloned())
    }
}

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

    /// Marks a task as queued, unless it is or has ended, or is recorded, which takes more than that. Says whether it did.
    #[inline]
    pub(crate) fn queue(&mut self) -> bool {
        let queues = !self.has(QUEUED.or(DONE).or(TRACED));
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
/// Its [`Task`] exists, and has not retrieved the result yet.
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

/// What makes a step begin in another way than most.
const UNUSUAL: Flags = DONE.or(REQUESTED).or(ADOPTED).or(YIELDED_INSIDE).or(TRACED);

/// What makes a return end a task in another way than most.
const UNUSUAL_END: Flags = REQUESTED
    .or(ADOPTED)
    .or(YIELDED_INSIDE)
    .or(MAIN)
    .or(DOOMED)
    .or(TRACED);

/// What a slot is still needed for when its task has ended and a [`Task`] is all that refers to it.
const IN_USE: Flags = OWNED.or(UNSEEN).or(QUEUED).or(NAMED);

/// A task as the loop keeps it.
pub(crate) struct Slot {
    /// Invariant: none during a step, for main, and once the result has been retrieved.
    body: Unclaimed,
    /// Its place in the order of creation.
    pub(crate) number: u64,
    /// The youngest of its waiters that stand in no scope.
    pub(crate) youngest: Option<WaiterKey>,
    /// The waiter of whoever awaits it.
    pub(crate) joiner: Option<WaiterKey>,
    /// Its last step: what was polled then is what it waits for.
    pub(crate) last_step: u32,
    /// asyncio's `_num_cancels_requested`.
    pub(crate) cancels: u32,
    /// How many of these are by a `wait_for` that struck and has not returned yet.
    pub(crate) strikes: u32,
    /// How many handles refer to it.
    handles: u32,
    pub(crate) flags: Flags,
    /// Its own waiter, which most tasks have no other beside. There is one while it is the eldest of the list.
    pub(crate) own: Waiter,
}

impl Slot {
    /// Begins to wait by the task's own waiter, as the eldest of them all.
    #[inline]
    pub(crate) fn enter(&mut self, key: WaiterKey, kind: Kind) {
        self.own = Waiter::new(kind);
        self.youngest = Some(key);
        self.flags.set(POLLED);
    }

    /// Takes the task's own waiter out, if it was woken and has no other beside it, as most are.
    #[inline]
    pub(crate) fn take_woken(&mut self, key: WaiterKey) -> Option<Waiter> {
        let is_usual =
            self.own.wake == Wake::Woken && self.youngest == Some(key) && !self.flags.has(DONE);
        is_usual.then(|| {
            self.youngest = None;
            self.own
        })
    }

    /// Hands out the coroutine for a step. Swapped and not assigned, here and below, since what is overwritten is `None`
    /// and need not be dropped.
    #[inline]
    fn begin_step(&mut self, step: u32, body: &mut Unclaimed) {
        self.last_step = step;
        self.flags.clear(QUEUED.or(POLLED));
        self.flags.set(STARTED);
        mem::swap(&mut self.body, body);
    }
}

/// What is next in a turn. The coroutine comes with it, but for main's.
pub(crate) enum Next {
    /// A step, to be taken with the spare waker.
    Step(TaskKey),
    /// A step, to be taken with the waker that the task has adopted.
    StepWith(TaskKey, Waker),
    /// The end of a task that was cancelled before its first step: its coroutine is to be dropped.
    Discard(TaskKey),
    /// Nothing yet: the step before has left a task pending, with a request to cancel to see to.
    Unsettled(TaskKey),
    /// Nothing more: the handle has run.
    Nothing,
    /// Nothing: the turn is over.
    Over,
}

/// How a step ends.
pub(crate) enum After {
    /// The task is suspended, queued, or has ended.
    Settled,
    /// A request to cancel cannot be delivered otherwise: the coroutine, or its result, is to be dropped.
    Abandon,
}

/// What awaiting a task begins with.
pub(crate) enum Join {
    Done(Unclaimed),
    Waiting(Awaiting),
    Refused(Error),
}

/// What is left of an ended task: its result, unless that has been retrieved.
pub(crate) type Unclaimed = Option<Pin<Box<dyn Body>>>;

impl State {
    pub(crate) fn slot(&self, key: TaskKey) -> &Slot {
        &self.tasks[key.index()]
    }

    pub(crate) fn slot_mut(&mut self, key: TaskKey) -> &mut Slot {
        &mut self.tasks[key.index()]
    }

    /// Makes a task and queues its first step.
    #[inline]
    pub(crate) fn spawn(&mut self, body: Pin<Box<dyn Body>>) -> TaskKey {
        self.insert_task(Some(body), OWNED.or(QUEUED), 1)
    }

    pub(crate) fn spawn_main(&mut self) -> TaskKey {
        self.stop_after = None;
        self.insert_task(None, MAIN.or(QUEUED), 0)
    }

    #[inline]
    fn insert_task(&mut self, body: Unclaimed, flags: Flags, handles: u32) -> TaskKey {
        self.created += 1;
        self.alive += 1;
        let key = TaskKey::new(self.tasks.insert(Slot {
            body,
            number: self.created,
            youngest: None,
            joiner: None,
            last_step: 0,
            cancels: 0,
            strikes: 0,
            handles,
            flags: flags.or(self.traced),
            own: Waiter::NONE,
        }));
        if self.traced != Flags::NONE {
            self.write_spawn(key);
        }
        self.ready.push(Handle::Step(key));
        self.announce();
        key
    }

    /// Queues a task's step, unless it is queued or has ended.
    #[inline]
    pub(crate) fn queue_step(&mut self, key: TaskKey, cause: Cause) {
        let slot = &mut self.tasks[key.index()];
        if slot.flags.queue() {
            self.push_step(key);
        } else if slot.flags.has(TRACED) {
            self.queue_traced(key, cause);
        }
    }

    /// Queues the step of a task whose flags say so.
    #[inline]
    pub(crate) fn push_step(&mut self, key: TaskKey) {
        self.ready.push(Handle::Step(key));
        self.announce();
    }

    #[cold]
    fn queue_traced(&mut self, key: TaskKey, cause: Cause) {
        if self.slot(key).flags.has(DONE) {
            return;
        }
        self.write_wake(key, cause);
        let flags = &mut self.slot_mut(key).flags;
        if !flags.has(QUEUED.or(DONE)) {
            flags.set(QUEUED);
            self.ready.push(Handle::Step(key));
            self.announce();
        }
    }

    /// Tells the host, if it was left with nothing to do, that there is something.
    #[inline]
    pub(crate) fn announce(&mut self) {
        if self.announces {
            self.announces = false;
            self.outbox.push(Errand::Announce);
        }
    }

    /// Begins the next step of the turn, after that of a task that it has left pending, if both are as most are. Else it
    /// is for [`next`](Self::next) to see. Where the turn is over, another may begin.
    #[inline]
    pub(crate) fn next_step(
        &mut self,
        pending: &mut Option<TaskKey>,
        body: &mut Unclaimed,
        begin_next_turn: impl FnOnce(&mut Self) -> bool,
    ) -> Option<TaskKey> {
        if let Some(key) = *pending {
            if !self.suspend(key, body) {
                return None;
            }
            *pending = None;
        }
        if self.ready.first().is_none() && !begin_next_turn(self) {
            return None;
        }
        let Some(Handle::Step(key)) = self.ready.first() else {
            return None;
        };
        let slot = &mut self.tasks[key.index()];
        if slot.flags.has(UNUSUAL) {
            return None;
        }
        self.ready.take_first();
        slot.begin_step(self.here.begin_step(key, true), body);
        Some(key)
    }

    /// Takes the next handle of the turn, whatever it is. Timers run here and now; a step begins, and is the caller's to take.
    pub(crate) fn next(&mut self, unsettled: Option<TaskKey>, body: &mut Unclaimed) -> Next {
        if let Some(key) = unsettled {
            return Next::Unsettled(key);
        }
        // Whatever comes now, it is outside any step.
        self.here.leave_step();
        loop {
            let Some(handle) = self.ready.first() else {
                return Next::Over;
            };
            self.ready.take_first();
            match handle {
                Handle::Step(key) => {
                    let next = self.begin_unusual_step(key, body);
                    return next.unwrap_or(Next::Nothing);
                }
                Handle::Timer(timer) => self.run_timer(timer),
            }
            // A step may be as most are, and somebody may have to be woken first.
            if !self.outbox.is_empty() || !matches!(self.ready.first(), Some(Handle::Timer(_))) {
                return Next::Nothing;
            }
        }
    }

    /// Begins a step of a task that has ended, is to be cancelled, has adopted a waker, or has combinators to wake. A request
    /// that is kept is told to what was pending.
    fn begin_unusual_step(&mut self, key: TaskKey, body: &mut Unclaimed) -> Option<Next> {
        let slot = self.slot_mut(key);
        if slot.flags.has(DONE) {
            slot.flags.clear(QUEUED);
            self.free_if_unused(key);
            return None;
        }
        if slot.flags.has(REQUESTED) {
            if !slot.flags.has(STARTED) {
                slot.flags.clear(QUEUED);
                *body = slot.body.take();
                return Some(Next::Discard(key));
            }
            self.raise(key);
        }
        if self.slot(key).flags.has(YIELDED_INSIDE) {
            self.wake_yielders(key);
        }
        self.write(Some(key), EventKind::Stepped);
        let raising = self.slot(key).flags.has(RAISING);
        let step = self.here.begin_step(key, !raising);
        let slot = self.slot_mut(key);
        slot.begin_step(step, body);
        // All clones may be gone again.
        let Some(adopted) = self.adopted(key) else {
            self.slot_mut(key).flags.clear(ADOPTED);
            return Some(Next::Step(key));
        };
        let adopted = Waker::from(adopted);
        self.here.waker.set(adopted.data());
        Some(Next::StepWith(key, adopted))
    }

    /// Wakes the bare yields of a task whose next step begins.
    fn wake_yielders(&mut self, key: TaskKey) {
        self.slot_mut(key).flags.clear(YIELDED_INSIDE);
        let (own, others) = mem::take(&mut self.yielders)
            .into_iter()
            .partition::<Vec<_>, _>(|&(task, _)| task == key);
        self.yielders = others;
        for (_, waiter) in own {
            self.wake_if_pending(waiter);
        }
    }

    /// Ends a step after which the task is suspended, or queued, and no request to cancel is kept. Else does nothing.
    #[inline]
    fn suspend(&mut self, key: TaskKey, body: &mut Unclaimed) -> bool {
        let slot = &mut self.tasks[key.index()];
        if slot.flags.has(REQUESTED.or(RAISING).or(TRACED)) {
            return false;
        }
        if self.here.yields.take() > 0 && !slot.flags.has(QUEUED) {
            slot.flags.set(QUEUED);
            self.ready.push(Handle::Step(key));
        }
        mem::swap(&mut slot.body, body);
        true
    }

    /// Ends a step and its task with it, as most do. Leaves the body if nobody can retrieve its result. Does nothing if
    /// there is more to it.
    #[inline]
    pub(crate) fn finish(&mut self, key: TaskKey, ending: Ending, body: &mut Unclaimed) -> bool {
        let slot = &mut self.tasks[key.index()];
        if ending != Ending::Returned || slot.flags.has(UNUSUAL_END) {
            return false;
        }
        slot.flags.clear(RAISING);
        slot.flags.set(DONE);
        let flags = slot.flags;
        if flags.has(OWNED) {
            mem::swap(&mut slot.body, body);
        }
        let (youngest, joiner) = (slot.youngest, slot.joiner);
        self.here.leave_step();
        self.alive -= 1;
        if youngest.is_some() {
            self.detach_waiters(key);
        }
        if let Some(joiner) = joiner {
            self.settle(joiner, Wake::Woken);
        }
        if !flags.has(OWNED.or(QUEUED)) {
            self.free_if_unused(key);
        }
        true
    }

    /// Ends a step. An ending is final unless a request to cancel overrules it.
    pub(crate) fn end_step(
        &mut self,
        key: TaskKey,
        ending: Option<Ending>,
        body: &mut Unclaimed,
    ) -> After {
        match ending {
            // "Task is cancelled right before coro stops."
            Some(Ending::Returned) if self.slot(key).flags.has(REQUESTED) => return After::Abandon,
            None if self.end_request(key) => return After::Abandon,
            None => {
                self.slot_mut(key).body = body.take();
                if self.here.yields.get() > 0 {
                    self.queue_step(key, Cause::Yield);
                }
            }
            Some(_) => {}
        }
        self.slot_mut(key).flags.clear(RAISING);
        self.here.leave_step();
        After::Settled
    }

    /// Ends a task. Leaves the body if nobody can retrieve its result, and returns the error if it has to be reported.
    pub(crate) fn end(
        &mut self,
        key: TaskKey,
        ending: Ending,
        body: &mut Unclaimed,
        error: Option<Error>,
    ) -> Option<TaskFailure> {
        let slot = &mut self.tasks[key.index()];
        let flags = slot.flags;
        slot.flags.clear(REQUESTED);
        slot.flags.set(DONE);
        match ending {
            Ending::Returned => {}
            Ending::Raised => slot.flags.set(UNSEEN),
            Ending::Cancelled => slot.flags.set(CANCELLED),
        }
        if flags.has(OWNED) {
            slot.body = body.take();
        }
        let mut failure = None;
        if let Some(error) = error {
            if flags.has(DOOMED) {
                // Kept by a handle, for the name that it has when this is reported.
                slot.flags.clear(UNSEEN);
                slot.handles += 1;
                self.failures.push((key, error));
            } else if !flags.has(OWNED) {
                failure = Some(TaskFailure::new(NEVER_RETRIEVED, self.name(key), error));
            }
        }
        self.settle_ended(key);
        failure
    }

    /// What every end of a task brings: whoever awaits it is woken, main's stops the loop, the last doomed one's as well.
    fn settle_ended(&mut self, key: TaskKey) {
        self.alive -= 1;
        self.detach_waiters(key);
        let slot = self.slot_mut(key);
        let flags = slot.flags;
        let joiner = slot.joiner;
        if flags.has(YIELDED_INSIDE) {
            self.yielders.retain(|&(task, _)| task != key);
        }
        if let Some(waker) = self.adopted(key) {
            waker.detach();
            self.adopted[key.index()] = Weak::new();
        }
        if let Some(joiner) = joiner {
            self.settle(joiner, Wake::Woken);
        }
        if flags.has(MAIN) {
            // `_run_until_complete_cb` runs in the turn after this one, which then runs to its end.
            self.stop_after = Some(1);
        }
        if flags.has(DOOMED) {
            self.doomed -= 1;
            if self.doomed == 0 {
                // One turn for the callback by which `gather` hears of it, and one for its own.
                self.stop_after = Some(2);
            }
        }
        self.free_if_unused(key);
    }

    /// The end of a task that was dropped where it stood: it is cancelled to whoever looks, or awaits it. Returns the body if
    /// nobody can.
    pub(crate) fn end_dropped(
        &mut self,
        key: TaskKey,
        body: Unclaimed,
        panicked: bool,
    ) -> Unclaimed {
        self.write_end(
            key,
            if panicked {
                Finish::Panicked
            } else {
                Finish::Dropped
            },
        );
        let slot = self.slot_mut(key);
        slot.flags.clear(RAISING.or(REQUESTED).or(MAIN));
        slot.flags.set(DONE.or(CANCELLED));
        let mut body = body;
        if slot.flags.has(OWNED) {
            slot.body = body.take();
        }
        self.settle_ended(key);
        body
    }

    /// Makes the waker of the step that has just been taken the task's own: a foreign future has cloned it.
    pub(crate) fn adopt_waker(&mut self, key: TaskKey, waker: &Arc<TaskWaker>) {
        waker.adopt();
        self.slot_mut(key).flags.set(ADOPTED);
        let index = key.index();
        if index >= self.adopted.len() {
            self.adopted.resize_with(index + 1, Weak::new);
        }
        self.adopted[index] = Arc::downgrade(waker);
    }

    /// The waker that was given out for a task, if a clone is left.
    fn adopted(&self, key: TaskKey) -> Option<Arc<TaskWaker>> {
        match self.slot(key).flags.has(ADOPTED) {
            true => self.adopted[key.index()].upgrade(),
            false => None,
        }
    }

    /// The waker that the task has given out, or else this one.
    fn give_out_waker(&mut self, key: TaskKey, spare: Arc<TaskWaker>) -> Arc<TaskWaker> {
        if let Some(adopted) = self.adopted(key) {
            return adopted;
        }
        if !self.slot(key).flags.has(DONE) {
            spare.aim(key);
            self.adopt_waker(key, &spare);
        }
        spare
    }

    /// Begins to await a task.
    pub(crate) fn join(&mut self, key: TaskKey, waker: &Waker) -> Join {
        let slot = self.slot(key);
        if slot.flags.has(DONE) {
            // A panic has taken the coroutine along, and left no result.
            let lost = slot.flags.has(OWNED) && slot.body.is_none();
            let body = self.claim(key);
            return if lost {
                Join::Refused(Error::Cancelled)
            } else {
                Join::Done(body)
            };
        }
        match self.here.task.get() {
            None => Join::Refused(Error::no_running_loop()),
            Some(current) if current == key => {
                self.yield_now();
                let refusal = format!("{AWAITS_ITSELF} {}", self.describe_task(key));
                let refusal = Box::new(Error::Runtime(refusal.into()));
                Join::Waiting(Awaiting::Itself(self.here.step.get(), refusal))
            }
            Some(_) => {
                let waiter = self.next_waiter(waker).expect("a task is running");
                self.insert_waiter(waiter, Kind::Join { task: key });
                self.slot_mut(key).joiner = Some(waiter);
                Join::Waiting(Awaiting::Task(waiter))
            }
        }
    }

    /// Takes the body of an ended task, for its result.
    #[inline]
    pub(crate) fn claim(&mut self, key: TaskKey) -> Unclaimed {
        let slot = self.slot_mut(key);
        slot.flags.clear(UNSEEN.or(OWNED));
        slot.body.take()
    }

    /// Gives up the claim to a task's result. Hands out what can then be dropped, and the name if an error in it was
    /// never retrieved.
    fn detach(&mut self, key: TaskKey, unclaimed: &mut Unclaimed) -> Option<String> {
        let slot = self.slot_mut(key);
        slot.flags.clear(OWNED);
        if slot.flags.has(DONE) {
            mem::swap(&mut slot.body, unclaimed);
            if slot.flags.has(UNSEEN) {
                return Some(self.name(key));
            }
        }
        None
    }

    pub(crate) fn take_body(&mut self, key: TaskKey) -> Unclaimed {
        self.slot_mut(key).body.take()
    }

    pub(crate) fn release_handle(&mut self, key: TaskKey) {
        self.slot_mut(key).handles -= 1;
        self.free_if_unused(key);
    }

    /// Frees a slot that a [`Task`] alone still holds, without its result: how most tasks go. Says whether it was so.
    #[inline]
    fn free_if_spent(&mut self, key: TaskKey) -> bool {
        let slot = self.slot(key);
        let is_spent = slot.handles == 1
            && slot.flags.has(DONE)
            && !slot.flags.has(IN_USE)
            && slot.youngest.is_none();
        if is_spent {
            self.tasks.free(key.index());
        }
        is_spent
    }

    pub(crate) fn free_if_unused(&mut self, key: TaskKey) {
        let slot = self.slot(key);
        let is_used = slot.handles > 0 || slot.youngest.is_some();
        if !is_used && slot.flags.has(DONE) && !slot.flags.has(QUEUED) {
            debug_assert!(slot.body.is_none(), "nobody could retrieve the result");
            if slot.flags.has(NAMED) {
                self.names.remove(&key);
            }
            self.tasks.free(key.index());
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
            _ if slot.cancels > 0 => "cancelling",
            _ => "pending",
        };
        format!("<Task {status} name='{}'>", self.name(key))
    }

    /// Asks a task to stop.
    pub(crate) fn cancel(&mut self, key: TaskKey) -> bool {
        let slot = self.slot_mut(key);
        if slot.flags.has(DONE) {
            slot.flags.clear(UNSEEN);
            return false;
        }
        self.request(key);
        true
    }

    /// Makes a request to a task, and to those that it awaits in its place.
    ///
    /// A worklist and no recursion: a chain of awaits may be long, or a circle. A circle is cut where it meets itself.
    fn request(&mut self, first: TaskKey) {
        let mut todo = Vec::new();
        let mut visited = Vec::new();
        let mut next = Some(first);
        while let Some(key) = next {
            let is_running = self.here.is(key);
            let slot = self.slot_mut(key);
            if !slot.flags.has(VISITED.or(DONE)) {
                slot.cancels += 1;
                slot.flags.set(REQUESTED);
                self.write_request(key);
                let slot = self.slot_mut(key);
                if !slot.flags.has(QUEUED) && !is_running {
                    let (youngest, last_step) = (slot.youngest, slot.last_step);
                    let asked = todo.len();
                    if self.tell(youngest, last_step, &mut todo) {
                        self.queue_step(key, Cause::Request);
                    } else if todo.len() > asked {
                        // Those it awaits are cancelled in its place, and it hears of that from them.
                        self.slot_mut(key).flags.clear(REQUESTED);
                        self.slot_mut(key).flags.set(VISITED);
                        visited.push(key);
                        todo[asked..].reverse();
                    } else {
                        self.queue_step(key, Cause::Request);
                    }
                }
            }
            next = todo.pop();
        }
        for key in visited {
            self.slot_mut(key).flags.clear(VISITED);
        }
    }

    pub(crate) fn request_all(&mut self, tasks: Vec<TaskKey>) {
        tasks.into_iter().for_each(|task| self.request(task));
    }

    /// A step begins with a request: whatever was pending is told of it.
    fn raise(&mut self, key: TaskKey) {
        let slot = self.slot_mut(key);
        slot.flags.set(RAISING);
        let (youngest, last_step) = (slot.youngest, slot.last_step);
        let mut inner = Vec::new();
        let told = self.tell(youngest, last_step, &mut inner);
        if !told && !inner.is_empty() {
            self.slot_mut(key).flags.clear(REQUESTED);
        }
        self.request_all(inner);
    }

    /// A step has ended pending with a request: see the head of this file. Says whether its coroutine has to be dropped.
    fn end_request(&mut self, key: TaskKey) -> bool {
        let slot = self.slot(key);
        if !slot.flags.has(REQUESTED) {
            return false;
        }
        let (youngest, last_step) = (slot.youngest, slot.last_step);
        let mut inner = Vec::new();
        if self.tell(youngest, last_step, &mut inner) {
            self.queue_step(key, Cause::Request);
        } else if !inner.is_empty() {
            self.slot_mut(key).flags.clear(REQUESTED);
        } else if self.here.yields.get() > 0 {
            // Its step is queued, and begins by raising the request.
        } else if self.slot(key).flags.has(RAISING) {
            return true;
        } else {
            self.queue_step(key, Cause::Request);
        }
        self.request_all(inner);
        false
    }

    /// Takes one request back; at zero a request still kept is forgotten.
    pub(crate) fn uncancel(&mut self, key: TaskKey) -> usize {
        let slot = self.slot_mut(key);
        if slot.cancels > 0 {
            slot.cancels -= 1;
            if slot.cancels == 0 {
                slot.flags.clear(REQUESTED);
                let youngest = slot.youngest;
                self.forget_requests(youngest);
            }
        }
        self.slot(key).cancels as usize
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

    /// Cancels every task, for the shutdown. Returns how many there are.
    pub(crate) fn doom_all(&mut self) -> usize {
        let doomed = self.in_order_of_creation();
        self.doomed = doomed.len();
        for &task in &doomed {
            self.slot_mut(task).flags.set(DOOMED);
        }
        self.on_behalf_of(Requester::Shutdown, |state| {
            for &task in &doomed {
                state.cancel(task);
            }
        });
        self.doomed
    }

    /// What the doomed tasks raised, in the order of their creation.
    pub(crate) fn take_failures(&mut self) -> Vec<TaskFailure> {
        let mut failures = mem::take(&mut self.failures);
        failures.sort_by_key(|&(task, _)| self.slot(task).number);
        let mut reports = Vec::new();
        for (task, error) in failures {
            reports.push(TaskFailure::new(
                UNHANDLED_AT_SHUTDOWN,
                self.name(task),
                error,
            ));
            self.release_handle(task);
        }
        reports
    }

    /// Each task that has not ended, and what it waits for.
    pub(crate) fn stuck_tasks(&self) -> Vec<(String, Waits)> {
        let stuck = self.in_order_of_creation().into_iter();
        stuck
            .map(|key| {
                (
                    self.name(key),
                    self.waits(self.slot(key).youngest, self.slot(key).last_step),
                )
            })
            .collect()
    }

    /// Leaves nothing ready at the end of a run. All tasks have ended; a timer that is due runs, for a future that has
    /// survived its task and may be polled in the next run.
    pub(crate) fn clear(&mut self) {
        debug_assert_eq!(self.alive, 0);
        while !self.ready.is_empty() {
            for handle in self.ready.drain() {
                match handle {
                    Handle::Timer(timer) => self.run_timer(timer),
                    Handle::Step(task) => {
                        self.slot_mut(task).flags.clear(QUEUED);
                        self.free_if_unused(task);
                    }
                }
            }
        }
        debug_assert!(self.yielders.is_empty(), "a task takes its own along");
        self.stop_after = None;
        self.doomed = 0;
    }
}
