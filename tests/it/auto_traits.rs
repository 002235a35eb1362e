//! Errors go anywhere; whatever knows the loop stays on its thread.

use soloop::{
    Barrier, BoundedSemaphore, Condition, ConditionGuard, DeadlockReport, Error, Event, EventLoop,
    Lock, LockGuard, RemoteTask, Result, Semaphore, SemaphoreGuard, Spawner, Task, TaskFailure,
    TaskHandle, create_task, sleep, wait_for, wrap_future,
};
use std::{future::ready, thread, time::Duration};

/// Implemented once for every type, and once more for one that is `Send` or `Sync`. Which of the
/// impls [`stays`] means is then ambiguous, and this file no longer compiles.
trait Stays<Witness> {}
struct IsSend;
struct IsSync;
impl<T: ?Sized> Stays<()> for T {}
impl<T: ?Sized + Send> Stays<IsSend> for T {}
impl<T: ?Sized + Sync> Stays<IsSync> for T {}

const fn stays<T: ?Sized + Stays<Witness>, Witness>() {}

fn value_stays<T: Stays<Witness>, Witness>(_: T) {}

const fn goes_anywhere<T: ?Sized + Send + Sync + 'static>() {}

const _: () = {
    goes_anywhere::<Error>();
    goes_anywhere::<DeadlockReport>();
    goes_anywhere::<RemoteTask>();

    stays::<EventLoop, _>();
    stays::<Spawner, _>();
    stays::<Task<()>, _>();
    stays::<TaskHandle, _>();
    stays::<TaskFailure, _>();
    stays::<Lock, _>();
    stays::<LockGuard, _>();
    stays::<Event, _>();
    stays::<Condition, _>();
    stays::<ConditionGuard, _>();
    stays::<Semaphore, _>();
    stays::<BoundedSemaphore, _>();
    stays::<SemaphoreGuard, _>();
    stays::<Barrier, _>();
};

/// What is said here is said to the compiler; nothing need be polled.
#[test]
fn futures_stay_on_their_thread() -> Result<()> {
    let (lock, event, condition) = (Lock::new(), Event::new(), Condition::new());
    let (permits, bounded) = (Semaphore::new(1), BoundedSemaphore::new(1));
    let barrier = Barrier::new(1)?;

    value_stays(lock.acquire());
    value_stays(lock.enter());
    value_stays(event.wait());
    value_stays(condition.acquire());
    value_stays(condition.wait());
    value_stays(condition.wait_for(|| true));
    value_stays(condition.enter());
    value_stays(permits.acquire());
    value_stays(permits.enter());
    value_stays(bounded.acquire());
    value_stays(bounded.enter());
    value_stays(barrier.wait());
    value_stays(barrier.reset());
    value_stays(barrier.abort());
    value_stays(sleep(Duration::ZERO));
    value_stays(wait_for(ready(Ok(())), Duration::ZERO));
    value_stays(wrap_future(ready(())));
    soloop::run(async move {
        let mut held = condition.enter().await?;
        value_stays(held.wait());
        value_stays(held.wait_for(|| true));
        Ok(())
    })
}

#[test]
fn an_error_is_told_on_another_thread() {
    let event = Event::new();
    let stuck = soloop::run(async {
        create_task(event.wait());
        event.wait().await
    });
    let error = stuck.unwrap_err();
    let here = error.to_string();
    assert_eq!(
        thread::spawn(move || error.to_string()).join().unwrap(),
        here
    );
}
