//! Where soloop differs from asyncio on purpose: a test for each row of the table in
//! `docs/asyncio.md`, except for those that [`bad_input`](crate::bad_input) and others hold.

use futures::{channel::oneshot, join, poll};
use soloop::{
    Barrier, BoundedSemaphore, Condition, Error, Event, EventLoop, Lock, Result, Semaphore, Task,
    create_task, current_task, sleep, wait_for, wrap_future,
};
use std::{
    cell::RefCell,
    collections::BTreeSet,
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    rc::Rc,
    time::Duration,
};

const SECOND: Duration = Duration::from_secs(1);

fn run<T>(main: impl Future<Output = Result<T>>) -> Result<T> {
    EventLoop::with_virtual_clock().run(main)
}

/// Lets every task that is ready take a step.
async fn turn() -> Result<()> {
    sleep(Duration::ZERO).await
}

#[test]
fn a_cancel_comes_as_a_value_and_one_not_looked_at_is_swallowed() {
    let result = run(async {
        let task = create_task(async {
            let _not_looked_at = sleep(SECOND).await;
            Ok("went on")
        });
        turn().await?;
        task.cancel();
        task.await
    });
    assert_eq!(result.unwrap(), "went on");
}

#[test]
fn a_panic_leaves_the_loop_and_not_only_its_task() {
    let bystander = Rc::new(());
    let held = Rc::clone(&bystander);
    let main = async move {
        create_task(async move {
            let _held = held;
            sleep(SECOND).await
        });
        create_task(async { panic!("a bug") }).await
    };
    let panic = catch_unwind(AssertUnwindSafe(|| run::<()>(main))).unwrap_err();
    assert_eq!(panic.downcast_ref(), Some(&"a bug"));
    assert_eq!(Rc::strong_count(&bystander), 1);
    run(sleep(SECOND)).unwrap();
}

#[test]
fn acquire_and_wait_return_nothing() {
    let (lock, event, permits) = (Lock::new(), Event::new(), Semaphore::new(1));
    event.set();
    let nothing: Result<[(); 3]> = run(async {
        Ok([
            lock.acquire().await?,
            event.wait().await?,
            permits.acquire().await?,
        ])
    });
    assert!(nothing.is_ok());
}

#[test]
fn a_dropped_wait_leaves_its_queue_and_hands_its_wake_on() {
    run(async {
        let lock = Lock::new();
        lock.acquire().await?;
        let mut first = Box::pin(lock.acquire());
        assert!(poll!(first.as_mut()).is_pending());
        let second = create_task(lock.acquire());
        turn().await?;
        lock.release()?;
        drop(first);
        second.await?;
        assert_eq!(format!("{lock:?}"), "<Lock [locked]>");
        Ok(())
    })
    .unwrap();
}

#[test]
fn a_dropped_condition_wait_leaves_its_guard_nothing_to_release() {
    run(async {
        let condition = Condition::new();
        let mut held = condition.enter().await?;
        assert!(poll!(pin!(held.wait())).is_pending());
        condition.acquire().await?;
        drop(held);
        assert_eq!(format!("{condition:?}"), "<Condition [locked]>");
        Ok(())
    })
    .unwrap();
}

#[test]
fn a_guard_is_silent_where_aexit_would_raise() {
    run(async {
        let (lock, permits) = (Lock::new(), BoundedSemaphore::new(1));
        let held = (lock.enter().await?, permits.enter().await?);
        lock.release()?;
        permits.release()?;
        drop(held);
        assert_eq!(
            (format!("{lock:?}"), format!("{permits:?}")),
            (
                "<Lock [unlocked]>".into(),
                "<BoundedSemaphore [unlocked, value:1]>".into()
            )
        );
        Ok(())
    })
    .unwrap();
}

#[test]
fn a_cancel_drops_a_foreign_future_that_is_not_wrapped() {
    run(async {
        let (sender, receiver) = oneshot::channel::<()>();
        let task = create_task(async {
            let _ = receiver.await;
            unreachable!("a foreign future has no way to say that it is cancelled")
        });
        turn().await?;
        task.cancel();
        let result: Result<()> = task.await;
        assert!(matches!(result, Err(Error::Cancelled)), "{result:?}");
        assert!(sender.is_canceled());
        Ok(())
    })
    .unwrap();
}

#[test]
fn a_cancel_arrives_through_a_foreign_future_that_is_wrapped() {
    let result = run(async {
        let (_sender, receiver) = oneshot::channel::<()>();
        let task = create_task(async {
            let told = wrap_future(receiver).await;
            Ok(matches!(told, Err(Error::Cancelled)))
        });
        turn().await?;
        task.cancel();
        task.await
    });
    assert!(result.unwrap());
}

#[test]
fn a_cancel_tells_all_that_is_pending_in_a_task() {
    let result = run(async {
        let task = create_task(async {
            let told = join!(sleep(SECOND), Event::new().wait(), turn());
            Ok(<[Result<()>; 3]>::from(told).map(|told| told.unwrap_err().to_string()))
        });
        turn().await?;
        task.cancel();
        task.await
    });
    assert_eq!(result.unwrap(), ["CancelledError"; 3]);
}

#[test]
fn a_timeout_tells_only_what_is_pending_inside_it() {
    let mut event_loop = EventLoop::with_virtual_clock();
    let result = event_loop.run(async {
        let event = Event::new();
        Ok(join!(
            wait_for(event.wait(), SECOND),
            wait_for(event.wait(), 2 * SECOND),
            sleep(3 * SECOND),
        ))
    });
    let (first, second, sibling) = result.unwrap();
    assert!(matches!(first, Err(Error::Timeout)), "{first:?}");
    assert!(matches!(second, Err(Error::Timeout)), "{second:?}");
    assert!(sibling.is_ok(), "{sibling:?}");
    assert_eq!(event_loop.time(), 3 * SECOND);
}

/// Twenty tasks that sleep for a second and then say their number, and main that sleeps for `main`.
fn sleepers(main: Duration) -> Vec<u32> {
    let said = Rc::new(RefCell::new(Vec::new()));
    run(async {
        for number in 0..20 {
            let said = Rc::clone(&said);
            create_task(async move {
                let result = sleep(SECOND).await;
                said.borrow_mut().push(number);
                result
            });
        }
        sleep(main).await
    })
    .unwrap();
    said.take()
}

#[test]
fn equal_deadlines_come_due_in_the_order_they_were_set() {
    assert_eq!(sleepers(2 * SECOND), Vec::from_iter(0..20));
}

#[test]
fn the_end_of_main_cancels_in_the_order_of_creation() {
    assert_eq!(sleepers(Duration::ZERO), Vec::from_iter(0..20));
}

#[test]
fn a_task_that_nobody_refers_to_runs_on() {
    let event = Event::new();
    run(async {
        let inside = event.clone();
        create_task(async move {
            sleep(SECOND).await?;
            inside.set();
            Ok(())
        });
        event.wait().await
    })
    .unwrap();
    assert!(event.is_set());
}

#[test]
fn each_run_of_a_loop_cancels_the_tasks_it_leaves() {
    let mut event_loop = EventLoop::with_virtual_clock();
    let left = event_loop.run(async { Ok(create_task(sleep(SECOND)).handle()) });
    assert!(left.unwrap().cancelled());
    assert_eq!(event_loop.time(), Duration::ZERO);
}

#[test]
fn a_task_made_at_the_very_end_begins_and_is_dropped_without_a_word() {
    let (begun, told) = (
        Rc::new(RefCell::new(None)),
        Rc::new(RefCell::new(Vec::new())),
    );
    let (begins, hears) = (Rc::clone(&begun), Rc::clone(&told));
    let mut event_loop = EventLoop::with_virtual_clock();
    event_loop.set_exception_handler(move |failure| hears.borrow_mut().push(failure.to_string()));
    let ended = event_loop.run(async {
        create_task(async move {
            let cancelled = sleep(SECOND).await;
            create_task(async move {
                begins.replace(current_task());
                sleep(SECOND).await
            });
            cancelled
        });
        turn().await
    });
    assert!(ended.is_ok() && begun.take().expect("it begins").done());
    assert_eq!((Rc::strong_count(&begun), told.take()), (1, Vec::new()));
}

#[test]
fn tasks_are_counted_by_each_loop_for_itself() {
    let names = || {
        run(async {
            let task = create_task(async { Ok(current_task().unwrap().name()) });
            Ok([current_task().unwrap().name(), task.await?])
        })
    };
    assert_eq!(names().unwrap(), ["Task-1", "Task-2"]);
    assert_eq!(names().unwrap(), ["Task-1", "Task-2"]);
}

#[test]
fn a_task_with_no_time_left_is_awaited_as_any_other() {
    let trace = Rc::new(RefCell::new(Vec::new()));
    let (of_task, of_others) = (Rc::clone(&trace), Rc::clone(&trace));
    run(async {
        let task = create_task(async move {
            let told = sleep(SECOND).await;
            of_task.borrow_mut().push("told");
            told
        });
        create_task(async move {
            for _ in 0..4 {
                of_others.borrow_mut().push("turn");
                turn().await?;
            }
            Ok(())
        });
        turn().await?;
        let late = wait_for(task, Duration::ZERO).await;
        assert!(matches!(late, Err(Error::Timeout)), "{late:?}");
        trace.borrow_mut().push("late"); // in asyncio, after one more turn
        sleep(SECOND).await
    })
    .unwrap();
    assert_eq!(
        trace.take(),
        ["turn", "turn", "told", "turn", "late", "turn"]
    );
}

#[test]
fn a_task_with_no_time_left_is_told_again_by_a_cancel_of_its_caller() {
    let mut event_loop = EventLoop::with_virtual_clock();
    let cleaned = event_loop.run(async {
        let task = create_task(async {
            sleep(SECOND).await.unwrap_err();
            sleep(2 * SECOND).await // in asyncio, all of it
        });
        let handle = task.handle();
        let caller = create_task(async {
            turn().await?;
            wait_for(task, Duration::ZERO).await
        });
        sleep(SECOND).await?;
        assert!(!handle.done());
        caller.cancel();
        assert!(matches!(caller.await, Err(Error::Cancelled)));
        Ok(handle.cancelled())
    });
    assert_eq!((cleaned.unwrap(), event_loop.time()), (true, SECOND));
}

#[test]
fn a_task_with_no_time_left_for_itself_is_refused_as_it_is_by_any_await() {
    run(async {
        let slot = Rc::new(RefCell::new(None::<Task<()>>));
        let itself = Rc::clone(&slot);
        let task = create_task(async move {
            let me = itself.take().expect("it is there by now");
            let refused = wait_for(me, Duration::ZERO).await.unwrap_err(); // in asyncio, a CancelledError
            let text = "RuntimeError: Task cannot await on itself: <Task pending name='Task-2'>";
            assert_eq!(refused.to_string(), text);
            assert_eq!(current_task().unwrap().cancelling(), 0); // in asyncio, 1
            Ok(())
        });
        let ended = task.handle();
        slot.replace(Some(task));
        turn().await?;
        turn().await?;
        assert!(ended.done() && !ended.cancelled());
        Ok(())
    })
    .unwrap();
}

/// What `run` says of tasks that can never go on.
fn stuck(result: Result<()>) -> Vec<(String, String)> {
    match result {
        Err(Error::Deadlock(report)) => report
            .tasks()
            .map(|(task, wait)| (task.into(), wait.into()))
            .collect(),
        other => panic!("no deadlock, but {other:?}"),
    }
}

#[test]
fn a_deadlock_is_an_answer() {
    let result = run(async {
        let lock = Lock::new();
        lock.acquire().await?;
        create_task(lock.acquire()).await
    });
    assert_eq!(
        stuck(result),
        [
            ("Task-1".into(), "<Task pending name='Task-2'>".into()),
            ("Task-2".into(), "<Lock [locked, waiters:1]>".into()),
        ]
    );
}

#[test]
fn a_circle_of_awaits_is_a_deadlock() {
    let result = run(async {
        let later = Rc::new(RefCell::new(None::<Task<()>>));
        let other = Rc::clone(&later);
        let one = create_task(async move {
            let other = other.take().expect("the other task is there by now");
            other.await
        });
        later.replace(Some(create_task(one)));
        turn().await?;
        Event::new().wait().await
    });
    assert_eq!(
        stuck(result),
        [
            ("Task-1".into(), "<Event [unset, waiters:1]>".into()),
            ("Task-2".into(), "<Task pending name='Task-3'>".into()),
            ("Task-3".into(), "<Task pending name='Task-2'>".into()),
        ]
    );
}

#[test]
#[should_panic(expected = "`Task` polled again after its result")]
fn a_task_gives_its_result_once() {
    let _ = run(async {
        let mut task = create_task(async { Ok(7) });
        assert_eq!((&mut task).await?, 7);
        task.await
    });
}

#[test]
fn a_repr_has_neither_module_nor_address() {
    run(async {
        let reprs = [
            format!("{:?}", Lock::new()),
            format!("{:?}", Event::new()),
            format!("{:?}", Condition::new()),
            format!("{:?}", Semaphore::new(3)),
            format!("{:?}", BoundedSemaphore::new(1)),
            format!("{:?}", Barrier::new(3)?),
            format!("{:?}", create_task(turn())),
            {
                let named = create_task(turn());
                named.set_name("Ada's");
                format!("{named:?}") // in asyncio, "Ada's" in double quotes
            },
        ];
        assert_eq!(
            reprs,
            [
                "<Lock [unlocked]>",
                "<Event [unset]>",
                "<Condition [unlocked]>",
                "<Semaphore [unlocked, value:3]>",
                "<BoundedSemaphore [unlocked, value:1]>",
                "<Barrier [filling, waiters:0/3]>",
                "<Task pending name='Task-2'>",
                "<Task pending name='Ada's'>",
            ]
        );
        Ok(())
    })
    .unwrap();
}

#[test]
fn an_error_that_nobody_retrieves_is_told_to_the_handler() {
    let told = Rc::new(RefCell::new(Vec::new()));
    let heard = Rc::clone(&told);
    let mut event_loop = EventLoop::with_virtual_clock();
    event_loop.set_exception_handler(move |failure| {
        heard
            .borrow_mut()
            .push(format!("{}: {}", failure.name(), failure.error()));
    });
    event_loop
        .run(async {
            create_task(async { Err::<(), _>(Error::Value("no such loaf".into())) });
            turn().await
        })
        .unwrap();
    assert_eq!(told.take(), ["Task-2: ValueError: no such loaf"]);
}

#[test]
fn a_predicate_is_true_as_a_bool_or_as_an_option() {
    run(async {
        let condition = Condition::new();
        condition.acquire().await?;
        assert!(condition.wait_for(|| true).await?);
        assert_eq!(condition.wait_for(|| Some(0)).await?, Some(0));
        assert!(poll!(pin!(condition.wait_for(|| false))).is_pending());
        condition.acquire().await?;
        assert!(poll!(pin!(condition.wait_for(|| None::<u8>))).is_pending());
        Ok(())
    })
    .unwrap();
}

/// The names of the tests in a source file: the line after each `#[test]`, up to the bracket.
fn tests_in(source: &str) -> BTreeSet<&str> {
    let attributes = |line: &&str| line.trim_start().starts_with("#[");
    source
        .split("#[test]\n")
        .skip(1)
        .filter_map(|test| test.lines().find(|line| !attributes(line)))
        .filter_map(|line| {
            line.trim()
                .strip_prefix("fn ")?
                .split_once('(')
                .map(|(name, _)| name)
        })
        .collect()
}

#[test]
fn each_row_of_the_table_names_its_test_and_no_test_lacks_a_row() {
    let page = include_str!("../../docs/asyncio.md");
    let named = |module| {
        let path = page
            .split('`')
            .skip(1)
            .step_by(2)
            .filter_map(move |code| code.strip_prefix(module));
        path.map(|path| path.rsplit("::").next().unwrap_or(path))
            .collect::<BTreeSet<_>>()
    };
    let mut here = tests_in(include_str!("differences.rs"));
    here.remove("each_row_of_the_table_names_its_test_and_no_test_lacks_a_row");
    assert_eq!(named("differences::"), here);
    let elsewhere = tests_in(include_str!("bad_input.rs"));
    assert_eq!(named("bad_input::").difference(&elsewhere).count(), 0);
}
