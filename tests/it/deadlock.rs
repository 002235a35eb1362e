//! Deadlock is an answer: who is stuck and on what, what becomes of them, and when the loop has to wait instead.

use crate::kit::*;
use futures::FutureExt;
use soloop::{
    Barrier, BoundedSemaphore, Condition, DeadlockReport, Error, Event, EventLoop, Lock, Result,
    Semaphore, create_task, wait_for, wrap_future,
};
use std::{
    cell::RefCell,
    future::{Future, pending, poll_fn},
    rc::Rc,
    sync::Arc,
    task::{Poll, Waker},
    thread,
    time::Duration,
};

/// The report of a main that can never end.
fn deadlock<T>(main: impl Future<Output = Result<T>>) -> Arc<DeadlockReport> {
    match run(main) {
        Err(Error::Deadlock(report)) => report,
        other => panic!("not a deadlock: {:?}", other.map(drop)),
    }
}

/// What the report says of a task that waits in this way, and for which nobody ever comes.
fn waits_for(coro: impl Future<Output = Result<()>> + 'static) -> String {
    let report = deadlock(async {
        create_task(coro);
        Event::new().wait().await
    });
    let (task, wait) = report.tasks().nth(1).expect("two are stuck");
    assert_eq!(task, "Task-2");
    wait.into()
}

mod report {
    use super::*;

    #[test]
    fn prints_a_line_for_each_stuck_task() {
        let report = deadlock(async {
            let (lock, event) = (Lock::new(), Event::new());
            lock.acquire().await?;
            create_task(lock.acquire());
            create_task(turns(3));
            create_task(nap(3));
            create_task(lock.acquire()).set_name("behind");
            event.wait().await
        });
        let lines = "Task-1 waits for <Event [unset, waiters:1]>\n\
                     Task-2 waits for <Lock [locked, waiters:2]>\n\
                     behind waits for <Lock [locked, waiters:2]>";
        assert!(report.to_string().contains(lines), "{report}");
        let tasks: Vec<_> = report.tasks().collect();
        let expected = [
            ("Task-1", "<Event [unset, waiters:1]>"),
            ("Task-2", "<Lock [locked, waiters:2]>"),
            ("behind", "<Lock [locked, waiters:2]>"),
        ];
        assert_eq!(tasks, expected);
    }

    #[test]
    fn is_part_of_the_error() {
        let error = run(Event::new().wait()).expect_err("nobody sets it");
        let line = "Task-1 waits for <Event [unset, waiters:1]>";
        assert!(error.to_string().contains(line), "{error}");
    }

    #[test]
    fn names_each_primitive() {
        let (lock, condition) = (Lock::new(), Condition::new());
        let (semaphore, bounded) = (Semaphore::new(0), BoundedSemaphore::new(0));
        let barrier = Barrier::new(3).expect("three are enough");
        let held = lock.clone();
        let waits = [
            waits_for(async move {
                held.acquire().await?;
                held.enter().await.map(drop)
            }),
            waits_for(async move {
                condition.acquire().await?;
                condition.wait().await
            }),
            waits_for(semaphore.acquire()),
            waits_for(async move { bounded.enter().await.map(drop) }),
            waits_for(async move { barrier.wait().await.map(drop) }),
        ];
        let expected = [
            "<Lock [locked, waiters:1]>",
            "<Condition [unlocked, waiters:1]>",
            "<Semaphore [locked, waiters:1]>",
            "<BoundedSemaphore [locked, waiters:1]>",
            "<Barrier [filling, waiters:1/3]>",
        ];
        assert_eq!(waits, expected);
    }

    #[test]
    fn names_each_primitive_that_has_a_name_by_it() {
        let lock = Lock::new().named("a");
        let semaphore = Semaphore::new(0).named("b");
        let bounded = BoundedSemaphore::new(0).named("c");
        let waits = [
            waits_for(async move {
                lock.acquire().await?;
                lock.acquire().await
            }),
            waits_for(semaphore.acquire()),
            waits_for(bounded.acquire()),
            waits_for(Event::new().named("d").wait()),
        ];
        let expected = [
            "<Lock 'a' [locked, waiters:1]>",
            "<Semaphore 'b' [locked, waiters:1]>",
            "<BoundedSemaphore 'c' [locked, waiters:1]>",
            "<Event 'd' [unset, waiters:1]>",
        ];
        assert_eq!(waits, expected);
    }

    #[test]
    fn names_the_same_waits_from_inside() {
        let (condition, other) = (Condition::new(), Condition::new());
        let waits = [
            waits_for(async move { condition.enter().await?.wait_for(|| false).await.map(drop) }),
            waits_for(async move { other.enter().await?.wait().await }),
            waits_for(wait_for(Event::new().wait(), None)),
        ];
        let expected = [
            "<Condition [unlocked, waiters:1]>",
            "<Condition [unlocked, waiters:1]>",
            "<Event [unset, waiters:1]>",
        ];
        assert_eq!(waits, expected);
    }

    #[test]
    fn names_a_barrier_that_drains() {
        let report = deadlock(async {
            let barrier = Barrier::new(2)?;
            let mut inside = Box::pin(barrier.wait());
            start(&mut inside).await;
            barrier.wait().await?;
            create_task(barrier.wait());
            // The one inside is not polled on, so the barrier never drains.
            Event::new().wait().await?;
            inside.await
        });
        let (task, wait) = report.tasks().nth(1).expect("two are stuck");
        assert_eq!(task, "Task-2");
        assert_eq!(wait, "<Barrier [draining, waiters:0/2]>");
    }

    #[test]
    fn names_a_task_that_is_awaited() {
        let wait = waits_for(async { create_task(Event::new().wait()).await });
        assert_eq!(wait, "<Task pending name='Task-3'>");
    }

    #[test]
    fn has_a_line_for_a_foreign_future_too() {
        let report = deadlock(pending::<Result<()>>());
        let tasks: Vec<_> = report.tasks().collect();
        assert_eq!(tasks.len(), 1);
        assert_eq!(tasks[0].0, "Task-1");
        assert_ne!(tasks[0].1, "");
    }

    #[test]
    fn has_nothing_of_a_wait_that_was_dropped() {
        let wait = waits_for(async {
            start(&mut wrap_future(pending::<()>()).boxed_local()).await;
            Event::new().wait().await
        });
        assert_eq!(wait, "<Event [unset, waiters:1]>");
    }

    #[test]
    fn has_but_the_tasks_that_are_left() {
        let report = deadlock(async {
            create_task(async { Ok(()) });
            let cancelled = create_task(Event::new().wait());
            nap(1).await?;
            cancelled.cancel();
            create_task(Event::new().wait());
            nap(1).await?;
            Event::new().wait().await
        });
        let names: Vec<_> = report.tasks().map(|(name, _)| name).collect();
        assert_eq!(names, ["Task-1", "Task-4"]);
    }
}

mod then {
    use super::*;

    #[test]
    fn main_is_dropped_first_and_nobody_is_cancelled() {
        deadlock(async {
            let _main = NoteOnDrop("main");
            for name in ["a", "b"] {
                create_task(async move {
                    let _value = NoteOnDrop(name);
                    tell("never", Event::new().wait()).await
                });
            }
            tell("never", Event::new().wait()).await
        });
        assert_eq!(noted(), "main a b");
    }

    #[test]
    fn the_loop_runs_again_with_what_is_left() -> Result<()> {
        let (mut event_loop, lock) = (EventLoop::with_virtual_clock(), Lock::new());
        let stuck = event_loop.run(async {
            lock.acquire().await?;
            create_task(lock.acquire());
            lock.acquire().await
        });
        assert!(matches!(stuck, Err(Error::Deadlock(_))));
        assert_eq!(format!("{lock:?}"), "<Lock [locked]>");
        event_loop.run(async {
            let waits = create_task(lock.acquire());
            turns(1).await?;
            lock.release()?;
            waits.await
        })
    }

    /// Main's guard is dropped first, and hands the lock to a task that is dropped next.
    #[test]
    fn guards_release_as_they_go() {
        let lock = Lock::new();
        deadlock(async {
            let _held = lock.enter().await?;
            create_task(lock.acquire());
            create_task(lock.acquire());
            Event::new().wait().await
        });
        assert_eq!(format!("{lock:?}"), "<Lock [unlocked]>");
    }

    #[test]
    fn an_awaited_task_is_not_heard_of_again() {
        let task = Rc::new(RefCell::new(None));
        let slot = task.clone();
        deadlock(async move {
            slot.replace(Some(create_task(Event::new().wait())));
            Event::new().wait().await
        });
        let task = task.take().expect("it was created");
        assert!(task.done() && !task.cancel());
        assert!(matches!(task.now_or_never(), Some(Err(Error::Cancelled))));
    }
}

/// What can still happen has to be waited for.
mod not_while {
    use super::*;

    /// Keeps a clone of the waker that this task is polled with.
    async fn clone_of_my_waker() -> Waker {
        poll_fn(|cx| Poll::Ready(cx.waker().clone())).await
    }

    #[test]
    fn a_timer_is_set() {
        let trace = trace_of(async {
            let event = Event::new();
            let set = event.clone();
            create_task(async move {
                nap(1_000_000).await?;
                set.set();
                Ok(())
            });
            tell("event", event.wait()).await
        });
        assert_eq!(trace, "event ok");
    }

    /// The loop parks, and the drop on the other thread lets it look again.
    #[test]
    fn a_waker_is_out_until_the_last_clone_is_dropped() {
        let report = deadlock(async {
            let wakers = [clone_of_my_waker().await, clone_of_my_waker().await];
            for (delay, waker) in [1, 20].into_iter().zip(wakers) {
                thread::spawn(move || {
                    thread::sleep(Duration::from_millis(delay));
                    drop(waker);
                });
            }
            Event::new().wait().await
        });
        assert_eq!(
            report.to_string(),
            "Task-1 waits for <Event [unset, waiters:1]>"
        );
    }

    #[test]
    fn a_waker_is_out_that_is_woken_in_the_end() {
        let trace = trace_of(async {
            let mut polls = 0;
            poll_fn(|cx| {
                polls += 1;
                if polls == 2 {
                    return Poll::Ready(());
                }
                let waker = cx.waker().clone();
                thread::spawn(move || {
                    thread::sleep(Duration::from_millis(5));
                    waker.wake();
                });
                Poll::Pending
            })
            .await;
            say(format_args!("woken after {polls} polls")).await
        });
        assert_eq!(trace, "woken after 2 polls");
    }

    /// It wakes the loop for nothing, and is gone with that.
    #[test]
    fn but_after_a_wake_that_brings_nothing() {
        let report = deadlock(async {
            let waker = clone_of_my_waker().await;
            thread::spawn(move || {
                thread::sleep(Duration::from_millis(5));
                waker.wake();
            });
            Event::new().wait().await
        });
        assert_eq!(report.tasks().count(), 1);
    }

    #[test]
    fn but_when_the_waker_is_that_of_a_task_that_has_ended() {
        let kept = Rc::new(RefCell::new(None));
        let slot = kept.clone();
        let report = deadlock(async {
            create_task(async move {
                slot.replace(Some(clone_of_my_waker().await));
                Ok(())
            })
            .await?;
            assert!(kept.borrow().is_some());
            Event::new().wait().await
        });
        assert_eq!(report.tasks().count(), 1);
    }

    #[test]
    fn but_when_a_stuck_tasks_waker_is_of_an_earlier_run() {
        let mut event_loop = EventLoop::with_virtual_clock();
        let waker = event_loop.run(async { Ok(clone_of_my_waker().await) });
        let stuck = event_loop.run(Event::new().wait());
        assert!(matches!(stuck, Err(Error::Deadlock(_))));
        drop(waker);
    }

    /// Under the virtual clock nobody waits for the waker.
    #[test]
    fn nor_does_the_virtual_clock_wait_for_a_waker() {
        let trace = trace_of(async {
            let waker = clone_of_my_waker().await;
            tell("nap", nap(1_000_000)).await?;
            drop(waker);
            Ok(())
        });
        assert_eq!(trace, "nap ok");
    }
}
