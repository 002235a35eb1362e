//! What a change of one line in `src/` would break, and no other module's tests would notice.

use crate::kit::*;
use futures::{FutureExt, future::LocalBoxFuture};
use soloop::{
    Barrier, BoundedSemaphore, Condition, Error, Event, EventLoop, Lock, Result, Semaphore,
    create_task, wait_for, wrap_future,
};
use std::{
    cell::{Cell, RefCell},
    error::Error as _,
    future::{Future, pending},
    panic::{AssertUnwindSafe, catch_unwind},
    rc::Rc,
    time::{Duration, Instant},
};

/// Begins a condition's wait and notifies it, and still has the lock.
async fn notify(
    condition: &Condition,
    wait: &mut LocalBoxFuture<'static, Result<()>>,
) -> Result<()> {
    condition.acquire().await?;
    start(wait).await;
    condition.acquire().await?;
    condition.notify(1)
}

/// A future that is over says so when it is polled once more.
mod polled_after_its_end {
    use super::*;

    fn panics<T>(future: impl Future<Output = Result<T>> + 'static) -> bool {
        let mut future = future.boxed_local();
        assert!(run(future.as_mut()).is_ok(), "it ends well");
        panics_now(future)
    }

    fn panics_now<T>(future: LocalBoxFuture<'static, Result<T>>) -> bool {
        let again = catch_unwind(AssertUnwindSafe(|| run(future)));
        let text = again.err().expect("it panics");
        let text = match text.downcast::<&str>() {
            Ok(text) => (*text).into(),
            Err(text) => *text.downcast::<String>().expect("a panic has a text"),
        };
        text.contains("polled again")
    }

    #[test]
    fn an_acquire_panics() {
        assert!(panics(Lock::new().acquire()));
    }

    #[test]
    fn a_sleep_panics() {
        assert!(panics(soloop::sleep(secs(1))));
    }

    #[test]
    fn a_wait_for_panics() {
        assert!(panics(wait_for(nap(1), secs(2))));
        assert!(panics(wait_for(nap(1), None)));
    }

    #[test]
    fn a_wait_for_that_was_refused_panics() {
        let mut refused = wait_for(nap(1), secs(0)).boxed_local();
        assert!(refused.as_mut().now_or_never().expect("it is").is_err());
        assert!(panics_now(refused));
    }

    #[test]
    fn a_barriers_wait_panics() -> Result<()> {
        assert!(panics(Barrier::new(1)?.wait()));
        Ok(())
    }

    #[test]
    fn a_conditions_wait_panics() -> Result<()> {
        let condition = Condition::new();
        let mut wait = condition.wait().boxed_local();
        run(async {
            notify(&condition, &mut wait).await?;
            condition.release()?;
            wait.as_mut().await
        })?;
        assert!(panics_now(wait));
        Ok(())
    }
}

/// A wait that began in a loop, and is polled when that is over.
mod polled_outside {
    use super::*;

    const REFUSED: &str = "RuntimeError: no running event loop";

    #[test]
    fn a_condition_cannot_take_the_lock_back() -> Result<()> {
        let condition = Condition::new();
        let mut wait = condition.wait().boxed_local();
        run(async {
            notify(&condition, &mut wait).await?;
            turns(1).await?;
            // Woken, it waits for the lock.
            start(&mut wait).await;
            Ok(())
        })?;
        assert_eq!(wait.now_or_never().map(outcome), Some(REFUSED.into()));
        assert_eq!(format!("{condition:?}"), "<Condition [locked]>");
        Ok(())
    }

    #[test]
    fn a_task_that_has_not_ended_cannot_be_awaited() {
        let event_loop = EventLoop::with_virtual_clock();
        let task = event_loop.create_task(nap(1));
        assert_eq!(task.now_or_never().map(outcome), Some(REFUSED.into()));
    }

    #[test]
    fn a_task_that_was_awaited_before_cannot_be_awaited() -> Result<()> {
        let mut task = None;
        run(async {
            start(task.insert(create_task(nap(1)))).await;
            Ok(())
        })?;
        let task = task.expect("main has run");
        assert!(task.cancelled());
        assert_eq!(task.now_or_never().map(outcome), Some(REFUSED.into()));
        Ok(())
    }

    #[test]
    fn a_task_is_not_given_to_a_timeout_of_zero() {
        let event_loop = EventLoop::with_virtual_clock();
        let task = event_loop.create_task(nap(1));
        let timed = wait_for(task, Duration::ZERO).now_or_never();
        assert_eq!(timed.map(outcome), Some(REFUSED.into()));
    }

    #[test]
    fn a_wrapped_future_that_has_to_wait_is_refused() {
        let dropped = NoteOnDrop("dropped");
        let wrapped = wrap_future(async move {
            pending::<()>().await;
            drop(dropped);
        });
        assert_eq!(wrapped.now_or_never().map(outcome), Some(REFUSED.into()));
        assert_eq!(noted(), "dropped");
    }

    #[test]
    fn a_bare_yield_is_refused() -> Result<()> {
        let mut bare = turns(1).boxed_local();
        run(async {
            start(&mut bare).await;
            Ok(())
        })?;
        assert_eq!(bare.now_or_never().map(outcome), Some(REFUSED.into()));
        Ok(())
    }
}

#[test]
fn a_report_names_what_is_wrapped() {
    let stuck = run(async {
        create_task(wrap_future(pending::<()>()));
        Event::new().wait().await
    });
    let Err(Error::Deadlock(report)) = stuck else {
        panic!("{stuck:?}")
    };
    let tasks: Vec<_> = report.tasks().collect();
    let waits = [
        ("Task-1", "<Event [unset, waiters:1]>"),
        ("Task-2", "a future from elsewhere"),
    ];
    assert_eq!(tasks, waits);
}

#[test]
fn an_error_from_elsewhere_has_the_source_that_it_had() {
    let error = Error::other(Error::other("deep").to_string());
    assert!(error.source().is_none() && Error::Timeout.source().is_none());
    let inner: std::result::Result<u8, _> = "many".parse();
    #[derive(Debug)]
    struct Outer(std::num::ParseIntError);
    impl std::fmt::Display for Outer {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("outer")
        }
    }
    impl std::error::Error for Outer {
        fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
            Some(&self.0)
        }
    }
    let error = Error::other(Outer(inner.expect_err("no number")));
    let source = error.source().expect("the outer error has one");
    assert_eq!(source.to_string(), "invalid digit found in string");
}

#[test]
fn what_is_held_says_what_holds_it() -> Result<()> {
    run(async {
        let held = Lock::new().enter().await?;
        assert_eq!(format!("{held:?}"), "LockGuard(<Lock [locked]>)");
        let held = Condition::new().enter().await?;
        assert_eq!(format!("{held:?}"), "ConditionGuard(<Condition [locked]>)");
        let held = Semaphore::new(1).enter().await?;
        assert_eq!(format!("{held:?}"), "SemaphoreGuard(<Semaphore [locked]>)");
        let held = BoundedSemaphore::new(2).enter().await?;
        let shown = "SemaphoreGuard(<BoundedSemaphore [unlocked, value:1]>)";
        assert_eq!(format!("{held:?}"), shown);
        Ok(())
    })
}

#[test]
fn a_loop_and_a_remote_handle_can_be_printed() {
    let mut event_loop = EventLoop::with_virtual_clock();
    event_loop.run(nap(3)).expect("main ends well");
    assert_eq!(format!("{event_loop:?}"), "EventLoop { time: 3s, .. }");
    let task = event_loop.create_task(nap(1));
    let remote = task.handle().remote();
    assert_eq!(format!("{remote:?}"), "RemoteTask { .. }");
    drop(event_loop);
}

#[test]
fn a_default_loop_has_the_real_clock() {
    let mut event_loop = EventLoop::default();
    let begun = std::time::Instant::now();
    let napped = event_loop.run(soloop::sleep(Duration::from_millis(20)));
    assert!(napped.is_ok() && begun.elapsed() >= Duration::from_millis(20));
}

/// The next task may stand where that one stood.
#[test]
fn a_name_goes_with_its_task() -> Result<()> {
    run(async {
        for number in 2..5 {
            let task = create_task(turns(0));
            assert_eq!(task.name(), format!("Task-{number}"));
            task.set_name("named");
            task.await?;
        }
        Ok(())
    })
}

/// Of one loop and of another, in which it has the same number.
#[test]
fn handles_are_equal_when_they_are_to_the_same_task() {
    let loops = [(); 2].map(|()| EventLoop::with_virtual_clock());
    let tasks = [0, 0, 1].map(|index: usize| loops[index].create_task(nap(1)));
    let [handle, beside, elsewhere] = tasks.each_ref().map(soloop::Task::handle);
    assert_eq!(handle, tasks[0].handle());
    assert_ne!(handle, beside);
    assert_ne!(handle, elsewhere);
}

/// A loop that waits does so without looking at the clock all the while.
#[test]
fn a_wait_for_the_next_deadline_takes_one_turn() {
    let (begun, asked) = (Instant::now(), Rc::new(Cell::new(0)));
    let count = asked.clone();
    let mut event_loop = EventLoop::with_clock(move || {
        count.set(count.get() + 1);
        begun.elapsed()
    });
    let slept = event_loop.run(soloop::sleep(Duration::from_millis(30)));
    assert!(slept.is_ok() && begun.elapsed() >= Duration::from_millis(30));
    assert!(asked.get() < 50, "asked {} times", asked.get());
}

/// The permits that are left when a waiter leaves go to the others at once, and not only when one of those runs.
#[test]
fn a_wait_for_a_permit_that_is_dropped_wakes_those_whom_it_kept_waiting() -> Result<()> {
    run(async {
        let permits = Rc::new(RefCell::new(Vec::new()));
        let semaphore = Semaphore::new(0);
        let mut first = semaphore.acquire().boxed_local();
        start(&mut first).await;
        semaphore.release();
        semaphore.release();
        // There is a permit, but the first, who has been woken, has not run yet.
        for name in ["second", "third"] {
            let (semaphore, permits) = (semaphore.clone(), permits.clone());
            create_task(async move {
                semaphore.acquire().await?;
                permits.borrow_mut().push(name);
                Ok(())
            });
        }
        turns(2).await?;
        assert_eq!(format!("{semaphore:?}"), "<Semaphore [locked, waiters:3]>");
        drop(first);
        turns(2).await?;
        assert_eq!(*permits.borrow(), ["second", "third"]);
        Ok(())
    })
}
