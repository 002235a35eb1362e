//! What the tests of the contract share: a trace to compare whole, turns to count, and futures that are dropped where they stand.

use std::{
    cell::RefCell,
    fmt::{Debug, Display},
    future::{Future, poll_fn},
    pin::Pin,
    rc::Rc,
    task::Poll,
    time::Duration,
};

use soloop::{Error, EventLoop, Result, Task, create_task, sleep};

thread_local! {
    static TRACE: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Adds a line to the trace of this test, which has a thread of its own.
pub(crate) fn note(line: impl Display) {
    let line = line.to_string();
    TRACE.with_borrow_mut(|trace| trace.push(line));
}

/// What was noted since the last call, in one line.
pub(crate) fn noted() -> String {
    TRACE.take().join(" ")
}

/// Notes how the coroutine ended, and goes on either way.
pub(crate) async fn tell<T: Debug>(
    name: &str,
    coro: impl Future<Output = Result<T>>,
) -> Result<()> {
    let outcome = outcome(coro.await);
    note(format_args!("{name} {outcome}"));
    Ok(())
}

/// A result as a word of the trace.
pub(crate) fn outcome<T: Debug>(result: Result<T>) -> String {
    match result.map(|value| format!("{value:?}")) {
        Ok(value) if value == "()" => "ok".into(),
        Ok(value) => value,
        Err(error) => error.to_string(),
    }
}

/// Runs `main` on a virtual clock.
pub(crate) fn run<T>(main: impl Future<Output = Result<T>>) -> Result<T> {
    EventLoop::with_virtual_clock().run(main)
}

/// Runs `main` on a virtual clock, and returns what was noted.
pub(crate) fn trace_of(main: impl Future<Output = Result<()>>) -> String {
    run(main).expect("main ends well");
    noted()
}

/// A coroutine that adds a line to the trace.
pub(crate) async fn say(line: impl Display) -> Result<()> {
    note(line);
    Ok(())
}

/// Lets `n` turns of the loop go by.
pub(crate) async fn turns(n: usize) -> Result<()> {
    for _ in 0..n {
        sleep(Duration::ZERO).await?;
    }
    Ok(())
}

/// Notes the turns that go by: `t0 t1 t2`.
pub(crate) async fn ticks(n: usize) -> Result<()> {
    for tick in 0..n {
        note(format_args!("t{tick}"));
        sleep(Duration::ZERO).await?;
    }
    Ok(())
}

/// A virtual second, or several.
pub(crate) const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// Sleeps for some virtual seconds.
pub(crate) async fn nap(n: u64) -> Result<()> {
    sleep(secs(n)).await
}

/// Polls once, as part of the running task.
pub(crate) async fn poll_once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    poll_fn(|cx| Poll::Ready(Pin::new(&mut *future).poll(cx))).await
}

/// Polls once, as part of the running task, and expects the future to wait.
pub(crate) async fn start<F: Future + Unpin>(future: &mut F) {
    assert!(poll_once(future).await.is_pending(), "the future waits");
}

type Slot = Rc<RefCell<Option<Pin<Box<dyn Future<Output = Result<()>>>>>>>;

/// A future that one task polls and another may drop where it stands.
pub(crate) struct Held {
    pub(crate) task: Task<()>,
    slot: Slot,
}

/// Starts a task that polls the future until somebody drops it.
pub(crate) fn hold(future: impl Future<Output = Result<()>> + 'static) -> Held {
    let slot: Slot = Rc::new(RefCell::new(Some(Box::pin(future))));
    let polled = slot.clone();
    let task = create_task(poll_fn(move |cx| {
        let Some(mut future) = polled.take() else {
            return Poll::Ready(Ok(()));
        };
        let poll = future.as_mut().poll(cx);
        if poll.is_pending() {
            polled.replace(Some(future));
        }
        poll
    }));
    Held { task, slot }
}

impl Held {
    /// Drops the future. Its task learns nothing of it.
    pub(crate) fn drop_future(&self) {
        let future = self.slot.take();
        assert!(future.is_some(), "the future is pending");
        drop(future);
    }
}

/// Notes when it is dropped.
pub(crate) struct NoteOnDrop(pub(crate) &'static str);

impl Drop for NoteOnDrop {
    fn drop(&mut self) {
        note(self.0);
    }
}

/// Runs a closure when it is dropped.
pub(crate) struct OnDrop<F: FnMut()>(pub(crate) F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// The pairs of a deadlock report, or of nothing if the error is another one.
pub(crate) fn stuck(error: &Error) -> Vec<(String, String)> {
    match error {
        Error::Deadlock(report) => report
            .tasks()
            .map(|(task, wait)| (task.into(), wait.into()))
            .collect(),
        _ => Vec::new(),
    }
}
