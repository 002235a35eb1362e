//! Tasks: a coroutine that the loop runs, and its handles.
//!
//! A task is one slot in the loop's state and one allocation, which holds the coroutine first and its result later, and then
//! perhaps another task's. It is *queued* when its step stands in the ready queue, *running* during the step, and else
//! *suspended* on its waiters.
//!
//! What the user holds is here; the coroutine in its box in `body.rs`, what the loop keeps of a task in `slot.rs`, the life of a
//! step in `step.rs`, and requests to cancel in `request.rs`.

mod body;
mod request;
mod slot;
mod step;

use std::{
    any::Any,
    fmt,
    future::Future,
    marker::PhantomData,
    mem,
    pin::Pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll, ready},
};

pub(crate) use self::{
    body::{Coroutine, Ending, Main, Step, Unclaimed},
    request::Requests,
    slot::{
        CANCELLED, DONE, Flags, LIMITED, MAIN, POLLED, QUEUED, RAISING, REQUESTED, STRUCK, Slot,
        TRACED, UNSEEN, YIELDED_INSIDE, YIELDING,
    },
    step::{After, Next, Unusual},
};

use crate::{
    error::{Error, NEVER_RETRIEVED, Result},
    event_loop::{
        Loop, TaskWaker,
        key::{TaskKey, WaiterKey},
        now::Stamp,
    },
    waiter::Settled,
};

/// A task: a coroutine that the loop runs, and the future of its result.
///
/// The counterpart of `asyncio.Task`; made by [`create_task`](crate::create_task). Await it for what the coroutine comes to.
///
/// # Errors
/// Whatever the coroutine raises; [`Error::Cancelled`] also if it was dropped before its end; [`Error::Runtime`] if the task awaits
/// itself, or has to be waited for outside its loop.
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
    claim: fn(&Loop, TaskKey) -> Option<Result<T>>,
}

/// How a [`Task`] is being awaited.
pub(crate) enum Awaiting {
    Nothing,
    Task(WaiterKey),
    /// By the task itself, since this step: an error, as it was then, that is raised in the next.
    Itself(Stamp, Box<Error>),
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
            if let Some(result) = claim(home, *key) {
                return Poll::Ready(result);
            }
        }
        match ready!(home.poll_join(*key, awaiting, cx)) {
            Ok(()) => Poll::Ready(claim(home, *key).expect("a task that has ended has a result")),
            Err(error) => Poll::Ready(Err(error)),
        }
    }
}

/// Retrieves the result of a task that has ended.
fn claim<T: 'static>(home: &Loop, task: TaskKey) -> Option<Result<T>> {
    let mut result: Option<Result<T>> = None;
    home.claim(task, &mut result);
    result
}

impl<T> Drop for Task<T> {
    #[inline]
    fn drop(&mut self) {
        self.home.drop_task(self.key, &self.awaiting);
    }
}

impl Loop {
    /// Moves the result of a task that has ended into an `Option<Result<T>>` of the right type.
    fn claim(&self, key: TaskKey, result: &mut dyn Any) {
        self.open(|state| state.claim(key, result));
    }

    /// Polls a wait for a task, until its result is there.
    fn poll_join(
        &self,
        key: TaskKey,
        awaiting: &mut Awaiting,
        cx: &mut Context<'_>,
    ) -> Poll<Result<()>> {
        if let Awaiting::Nothing = awaiting {
            match self.open(|state| state.join(key, cx.waker())) {
                Join::Over => panic!("`Task` polled again after its result"),
                Join::Refused(error) => return Poll::Ready(Err(error)),
                Join::Waiting(since) => *awaiting = since,
            }
            // It has only just begun to wait; but a combinator's waker is still to be kept.
            if let (Awaiting::Task(_), false) = (&*awaiting, self.here.keeps(cx.waker())) {
                return Poll::Pending;
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
            (_, Settled::Woken) => Poll::Ready(Ok(())),
            _ => {
                // An error that the task has ended with counts as seen, though the request to cancel goes first.
                self.open(|state| state.slot_mut(key).flags.clear(UNSEEN));
                Poll::Ready(Err(Error::Cancelled))
            }
        }
    }

    /// Drops a [`Task`], and the wait for it that was begun.
    fn drop_task(&self, key: TaskKey, awaiting: &Awaiting) {
        if !self.open_quietly(|state| state.free_if_spent(key)) {
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
        self.discard(&mut unclaimed);
    }

    fn is(&self, key: TaskKey, flag: Flags) -> bool {
        self.look(|state| state.slot(key).flags.has(flag))
    }

    fn cancelling(&self, key: TaskKey) -> usize {
        self.look(|state| state.requests(key).cancels as usize)
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
///
/// # Examples
/// ```
/// use soloop::{TaskHandle, create_task};
///
/// soloop::run(async {
///     let (number, text) = (create_task(async { Ok(7) }), create_task(async { Ok("seven") }));
///     let group = [number.handle(), text.handle()]; // whatever they return
///     for task in &group {
///         task.cancel();
///     }
///     assert!(number.await.is_err() && text.await.is_err());
///     assert!(group.iter().all(TaskHandle::cancelled));
///     Ok(())
/// })?;
/// # Ok::<(), soloop::Error>(())
/// ```
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
    /// does not promise that it will stop: it may catch the error and go on. A task that has not begun never does. One that waits
    /// for nothing but a future that is not ours is dropped there: see [`wrap_future`](crate::wrap_future). Each call is counted, see
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
///
/// # Examples
/// ```
/// use {soloop::{Error, Event, EventLoop, create_task, sleep}, std::{cell::RefCell, rc::Rc}};
///
/// let (mut editor, log) = (EventLoop::new(), Rc::new(RefCell::new(Vec::new())));
/// let lines = Rc::clone(&log);
/// editor.set_exception_handler(move |failure| lines.borrow_mut().push(failure.to_string()));
/// editor.run(async {
///     let autosave = create_task(async {
///         let _cancelled = Event::new().wait().await; // as main ends
///         Err::<(), _>(Error::other("the disk is full"))
///     });
///     autosave.set_name("autosave");
///     sleep(std::time::Duration::ZERO).await
/// })?;
/// assert_eq!(log.take(), ["unhandled exception during asyncio.run() shutdown: autosave raised the disk is full"]);
/// # Ok::<(), Error>(())
/// ```
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

/// What awaiting a task begins with.
pub(crate) enum Join {
    /// The result was retrieved before.
    Over,
    Waiting(Awaiting),
    Refused(Error),
}
