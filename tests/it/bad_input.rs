//! Misuse gets the error or the panic that asyncio has for it, and leaves everything as it was.

use futures::{executor::block_on, poll};
use soloop::{
    Barrier, BoundedSemaphore, Condition, Error, Event, EventLoop, Lock, Result, Semaphore,
    create_task, current_task, sleep, wait_for,
};
use std::{
    cell::Cell,
    fmt::Debug,
    future::Future,
    panic,
    pin::{Pin, pin},
    task::{Context, Waker},
    time::Duration,
};

const SECOND: Duration = Duration::from_secs(1);

type Wait = Pin<Box<dyn Future<Output = Result<()>>>>;

fn run<T>(main: impl Future<Output = Result<T>>) -> Result<T> {
    EventLoop::with_virtual_clock().run(main)
}

/// The last line of the traceback that Python would print.
fn raised<T: Debug>(result: Result<T>) -> String {
    result.expect_err("this is misuse").to_string()
}

/// A wait that has to suspend, on each primitive: with a look at what it waits for.
fn waits() -> Vec<(Wait, Box<dyn Fn() -> String>)> {
    fn wait(
        future: impl Future<Output = Result<()>> + 'static,
        on: impl Debug + 'static,
    ) -> (Wait, Box<dyn Fn() -> String>) {
        (Box::pin(future), Box::new(move || format!("{on:?}")))
    }
    fn taken<T>(acquire: impl Future<Output = Result<T>>) -> T {
        block_on(acquire).expect("what is free needs no loop")
    }

    let (lock, event, condition) = (Lock::new(), Event::new(), Condition::new());
    let (semaphore, bounded) = (Semaphore::new(0), BoundedSemaphore::new(1));
    let barrier = Barrier::new(2).unwrap();
    taken(lock.acquire());
    taken(condition.acquire());
    taken(bounded.acquire());
    let third = barrier.clone();
    vec![
        wait(lock.acquire(), lock),
        wait(event.wait(), event),
        wait(condition.wait(), condition),
        wait(semaphore.acquire(), semaphore),
        wait(bounded.acquire(), bounded),
        wait(async move { third.wait().await.map(drop) }, barrier),
    ]
}

mod releases {
    use super::*;

    #[test]
    fn of_a_free_lock_are_refused() {
        let lock = Lock::new();
        assert_eq!(
            raised(lock.release()),
            "RuntimeError: Lock is not acquired."
        );
        assert_eq!(format!("{lock:?}"), "<Lock [unlocked]>");
    }

    #[test]
    fn of_a_free_condition_are_refused() {
        let condition = Condition::new();
        assert_eq!(
            raised(condition.release()),
            "RuntimeError: Lock is not acquired."
        );
        assert_eq!(format!("{condition:?}"), "<Condition [unlocked]>");
    }

    #[test]
    fn of_a_full_bounded_semaphore_are_refused() {
        let permits = BoundedSemaphore::new(2);
        assert_eq!(
            raised(permits.release()),
            "ValueError: BoundedSemaphore released too many times"
        );
        assert_eq!(
            format!("{permits:?}"),
            "<BoundedSemaphore [unlocked, value:2]>"
        );
    }

    #[test]
    fn of_a_full_semaphore_add_a_permit() {
        let permits = Semaphore::new(2);
        permits.release();
        assert_eq!(format!("{permits:?}"), "<Semaphore [unlocked, value:3]>");
    }

    #[test]
    fn of_a_semaphore_that_can_count_no_further_change_nothing() {
        let permits = Semaphore::new(usize::MAX);
        let held = block_on(permits.enter()).unwrap();
        permits.release();
        drop(held);
        let expected = format!("<Semaphore [unlocked, value:{}]>", usize::MAX);
        assert_eq!(format!("{permits:?}"), expected);
    }
}

mod without_the_lock {
    use super::*;

    #[test]
    fn wait_is_refused_and_waits_for_nothing() {
        let condition = Condition::new();
        let refused = "RuntimeError: cannot wait on un-acquired lock";
        assert_eq!(raised(run(condition.wait())), refused);
        assert_eq!(raised(run(condition.wait_for(|| false))), refused);
        assert_eq!(format!("{condition:?}"), "<Condition [unlocked]>");
    }

    #[test]
    fn wait_for_what_is_true_already_is_allowed() {
        let condition = Condition::new();
        assert_eq!(run(condition.wait_for(|| Some(7))).unwrap(), Some(7));
    }

    #[test]
    fn notify_is_refused_and_wakes_nobody() {
        let condition = Condition::new();
        run(async {
            let inside = condition.clone();
            create_task(async move { inside.enter().await?.wait().await });
            sleep(Duration::ZERO).await?;
            let refused = "RuntimeError: cannot notify on un-acquired lock";
            assert_eq!(raised(condition.notify(1)), refused);
            assert_eq!(raised(condition.notify_all()), refused);
            sleep(SECOND).await?;
            assert_eq!(
                format!("{condition:?}"),
                "<Condition [unlocked, waiters:1]>"
            );
            Ok(())
        })
        .unwrap();
    }

    #[test]
    fn a_guard_is_refused_likewise() {
        run(async {
            let condition = Condition::new();
            let mut held = condition.enter().await?;
            condition.release()?;
            assert_eq!(
                [
                    raised(held.wait().await),
                    raised(held.notify(1)),
                    raised(held.notify_all())
                ],
                [
                    "RuntimeError: cannot wait on un-acquired lock",
                    "RuntimeError: cannot notify on un-acquired lock",
                    "RuntimeError: cannot notify on un-acquired lock",
                ]
            );
            drop(held);
            assert_eq!(format!("{condition:?}"), "<Condition [unlocked]>");
            Ok(())
        })
        .unwrap();
    }
}

#[test]
fn a_barrier_for_nobody_is_refused() {
    assert_eq!(raised(Barrier::new(0)), "ValueError: parties must be > 0");
}

mod a_run_inside_a_run {
    use super::*;

    const REFUSED: &str = "RuntimeError: run() cannot be called from a running event loop";

    #[test]
    fn is_refused_and_starts_nothing() {
        let started = Cell::new(false);
        let inner = async {
            started.set(true);
            Ok(())
        };
        let refused = run(async { Ok(raised(soloop::run(inner))) }).unwrap();
        assert_eq!((refused.as_str(), started.get()), (REFUSED, false));
    }

    #[test]
    fn is_refused_for_another_loop_too() {
        let mut other = EventLoop::with_virtual_clock();
        run(async {
            assert_eq!(raised(other.run(sleep(SECOND))), REFUSED);
            Ok(())
        })
        .unwrap();
        other.run(sleep(SECOND)).unwrap();
        assert_eq!(other.time(), SECOND);
    }

    #[test]
    fn leaves_the_outer_one_running() {
        let mut outer = EventLoop::with_virtual_clock();
        outer
            .run(async {
                raised(soloop::run(async { Ok(()) }));
                let task = create_task(sleep(SECOND));
                assert_eq!(current_task().unwrap().name(), "Task-1");
                task.await
            })
            .unwrap();
        assert_eq!(outer.time(), SECOND);
    }
}

mod outside_any_loop {
    use super::*;

    fn panics_with(message: &str, misuse: impl FnOnce()) {
        let panic = panic::catch_unwind(panic::AssertUnwindSafe(misuse)).unwrap_err();
        let said = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied())
            .expect("a panic with a message");
        assert!(said.contains(message), "{said}");
    }

    #[test]
    fn create_task_panics_and_starts_nothing() {
        let started = std::rc::Rc::new(Cell::new(false));
        let mark = started.clone();
        panics_with("no running event loop", || {
            create_task(async move {
                mark.set(true);
                Ok(())
            });
        });
        run(sleep(SECOND)).unwrap();
        assert_eq!(
            (started.get(), std::rc::Rc::strong_count(&started)),
            (false, 1)
        );
    }

    #[test]
    fn time_panics() {
        panics_with("no running event loop", || {
            soloop::time();
        });
    }

    #[test]
    fn there_is_no_current_task() {
        run(sleep(SECOND)).unwrap();
        assert_eq!(current_task(), None);
    }

    #[test]
    fn waits_on_another_executor_are_refused() {
        for (wait, on) in waits() {
            let state = on();
            assert_eq!(
                raised(block_on(wait)),
                "RuntimeError: no running event loop",
                "{state}"
            );
            assert_eq!(on(), state);
        }
    }

    #[test]
    fn sleeps_on_another_executor_are_refused() {
        let refused = "RuntimeError: no running event loop";
        assert_eq!(raised(block_on(sleep(SECOND))), refused);
        assert_eq!(raised(block_on(sleep(Duration::ZERO))), refused);
        assert_eq!(raised(block_on(wait_for(sleep(SECOND), SECOND))), refused);
        assert_eq!(raised(block_on(wait_for(sleep(SECOND), None))), refused);
    }

    /// Whose waker points to nothing, as a loop's does that does not run.
    #[test]
    fn sleeps_that_nobody_will_wake_are_refused() {
        for delay in [Duration::ZERO, SECOND] {
            let polled = pin!(sleep(delay)).poll(&mut Context::from_waker(Waker::noop()));
            let refused = r#"Ready(Err(Runtime("no running event loop")))"#;
            assert_eq!(format!("{polled:?}"), refused);
        }
    }

    #[test]
    fn what_need_not_suspend_works_on_another_executor() {
        let (lock, event, condition) = (Lock::new(), Event::new(), Condition::new());
        let (permits, barrier) = (Semaphore::new(1), Barrier::new(1).unwrap());
        event.set();
        let position = block_on(async {
            let _held = (
                lock.enter().await?,
                condition.enter().await?,
                permits.enter().await?,
            );
            event.wait().await?;
            barrier.wait().await
        });
        assert_eq!(position.unwrap(), 0);
    }
}

mod after_its_loop_has_ended {
    use super::*;

    /// `wait`, having been polled in a loop that is no more.
    fn begun(mut wait: Wait) -> Wait {
        run(async {
            assert!(poll!(wait.as_mut()).is_pending());
            Ok(())
        })
        .unwrap();
        wait
    }

    #[test]
    fn a_wait_is_refused_by_another_executor() {
        for (wait, on) in waits() {
            let state = on();
            let refused = raised(block_on(begun(wait)));
            assert_eq!(refused, "RuntimeError: no running event loop", "{state}");
            assert_eq!(on(), state);
        }
    }

    #[test]
    fn a_wait_is_refused_by_another_loop() {
        for (wait, on) in waits() {
            let state = on();
            let refused = raised(run(begun(wait)));
            assert_eq!(refused, "RuntimeError: no running event loop", "{state}");
            assert_eq!(on(), state);
        }
    }

    #[test]
    fn a_sleep_is_refused() {
        for delay in [Duration::ZERO, SECOND] {
            let refused = raised(block_on(begun(Box::pin(sleep(delay)))));
            assert_eq!(refused, "RuntimeError: no running event loop");
        }
        let elsewhere = raised(run(begun(Box::pin(sleep(Duration::ZERO)))));
        assert_eq!(elsewhere, "RuntimeError: no running event loop");
        let timed = wait_for(sleep(SECOND), SECOND);
        assert_eq!(
            raised(block_on(begun(Box::pin(timed)))),
            "RuntimeError: no running event loop"
        );
    }

    /// It keeps its timer, and the loop may run again.
    #[test]
    fn a_sleep_that_was_refused_ends_in_its_loop() {
        for delay in [Duration::ZERO, SECOND] {
            let mut event_loop = EventLoop::with_virtual_clock();
            let mut asleep = Box::pin(sleep(delay));
            let begin = async { Ok(poll!(&mut asleep).is_pending()) };
            assert!(event_loop.run(begin).unwrap());
            let refused = raised(block_on(&mut asleep));
            assert_eq!(refused, "RuntimeError: no running event loop");
            event_loop.run(asleep).unwrap();
            assert_eq!(event_loop.time(), delay);
        }
    }

    #[test]
    fn a_task_gives_the_result_that_its_loop_left() {
        let task = run(async { Ok(create_task(sleep(SECOND))) }).unwrap();
        assert!(task.done());
        assert!(matches!(block_on(task), Err(Error::Cancelled)));
    }
}

mod a_primitive_in_two_loops {
    use super::*;

    /// A loop in which a task has waited, which binds what it waited on.
    fn bind(wait: impl Future<Output = Result<()>> + 'static) {
        run(async {
            create_task(wait);
            sleep(Duration::ZERO).await
        })
        .unwrap();
    }

    fn refuses(state: &str, on: impl Debug, wait: impl Fn() -> Wait, says: &str) {
        bind(wait());
        assert_eq!(
            raised(run(wait())),
            format!("RuntimeError: {says} is bound to a different event loop")
        );
        assert_eq!(format!("{on:?}"), state);
    }

    #[test]
    fn is_refused_if_it_is_a_lock() {
        let lock = Lock::new();
        block_on(lock.acquire()).unwrap();
        refuses(
            "<Lock [locked]>",
            &lock,
            || Box::pin(lock.acquire()),
            "<Lock [locked]>",
        );
    }

    #[test]
    fn is_refused_if_it_is_an_event() {
        let event = Event::new();
        refuses(
            "<Event [unset]>",
            &event,
            || Box::pin(event.wait()),
            "<Event [unset]>",
        );
    }

    #[test]
    fn is_refused_if_it_is_a_condition() {
        let condition = Condition::new();
        block_on(condition.acquire()).unwrap();
        let wait = || -> Wait { Box::pin(condition.wait()) };
        refuses(
            "<Condition [locked]>",
            &condition,
            wait,
            "<Condition [locked]>",
        );
    }

    #[test]
    fn is_refused_if_it_is_a_semaphore() {
        let permits = Semaphore::new(0);
        let wait = || -> Wait { Box::pin(permits.acquire()) };
        refuses(
            "<Semaphore [locked]>",
            &permits,
            wait,
            "<Semaphore [locked]>",
        );
    }

    #[test]
    fn is_refused_if_it_is_a_bounded_semaphore() {
        let permits = BoundedSemaphore::new(1);
        block_on(permits.acquire()).unwrap();
        let wait = || -> Wait { Box::pin(permits.acquire()) };
        refuses(
            "<BoundedSemaphore [locked]>",
            &permits,
            wait,
            "<BoundedSemaphore [locked]>",
        );
    }

    /// It is the condition inside that says so, as in CPython.
    #[test]
    fn is_refused_if_it_is_a_barrier() {
        let barrier = Barrier::new(2).unwrap();
        let wait = || -> Wait {
            let wait = barrier.wait();
            Box::pin(async { wait.await.map(drop) })
        };
        refuses(
            "<Barrier [filling, waiters:0/2]>",
            &barrier,
            wait,
            "<Condition [locked]>",
        );
    }

    #[test]
    fn is_fine_where_nobody_has_to_wait() {
        let lock = Lock::new();
        block_on(lock.acquire()).unwrap();
        bind(lock.acquire());
        lock.release().unwrap();
        run(lock.acquire()).unwrap();
        assert_eq!(format!("{lock:?}"), "<Lock [locked]>");
    }

    #[test]
    fn is_fine_if_the_two_are_runs_of_one_loop() {
        let (mut event_loop, event) = (EventLoop::with_virtual_clock(), Event::new());
        for _ in 0..2 {
            let timed = event_loop.run(wait_for(event.wait(), SECOND));
            assert!(matches!(timed, Err(Error::Timeout)), "{timed:?}");
        }
    }
}

mod duration_max {
    use super::*;

    #[test]
    fn as_a_delay_can_be_cancelled() {
        let mut event_loop = EventLoop::with_virtual_clock();
        let cancelled = event_loop.run(async {
            let task = create_task(sleep(Duration::MAX));
            sleep(SECOND).await?;
            task.cancel();
            task.await
        });
        assert!(matches!(cancelled, Err(Error::Cancelled)), "{cancelled:?}");
        assert_eq!(event_loop.time(), SECOND);
    }

    #[test]
    fn as_a_delay_can_time_out() {
        let mut event_loop = EventLoop::with_virtual_clock();
        let late = event_loop.run(wait_for(sleep(Duration::MAX), SECOND));
        assert!(matches!(late, Err(Error::Timeout)), "{late:?}");
        assert_eq!(event_loop.time(), SECOND);
    }

    #[test]
    fn as_a_timeout_never_strikes() {
        let mut event_loop = EventLoop::with_virtual_clock();
        event_loop.run(sleep(SECOND)).unwrap();
        event_loop
            .run(wait_for(sleep(SECOND), Duration::MAX))
            .unwrap();
        assert_eq!(event_loop.time(), 2 * SECOND);
    }

    #[test]
    fn is_no_trouble_to_the_real_clock() {
        let late = soloop::run(wait_for(sleep(Duration::MAX), Duration::from_millis(1)));
        assert!(matches!(late, Err(Error::Timeout)), "{late:?}");
    }
}
