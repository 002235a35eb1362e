//! `test_waitfor.py`: what a timeout does to the coroutine under it, and to the task around it.

use super::{Log, call_soon, ms, outcome, run, turn};
use soloop::{Error, Event, Result, Task, create_task, sleep, time, wait_for};
use std::cell::{Cell, RefCell};
use std::future::Future;
use std::rc::Rc;
use std::time::Duration;

/// A timeout that is more than none, and hardly so.
const EPSILON: Duration = Duration::from_micros(100);

/// `SlowTask`: sleeps for 200 ms whatever it is told, and then says so.
async fn slow(exited: Rc<Cell<bool>>) -> Result<()> {
    let exit_at = time() + ms(200);
    while time() < exit_at {
        let _ignored = sleep(exit_at - time()).await;
    }
    exited.set(true);
    Ok(())
}

/// Sleeps, says how that ended, and returns "done".
async fn sleep_and_tell(delay: Duration, log: Log<String>) -> Result<&'static str> {
    let slept = sleep(delay).await;
    log.push(outcome(slept.clone()));
    slept.map(|()| "done")
}

/// `asyncio.shield(task)`: hears of the task's end, and may be cancelled without it.
fn shield<T: 'static>(task: Task<T>) -> impl Future<Output = Result<T>> {
    let (ended, result) = (Event::new(), Rc::new(RefCell::new(None)));
    let (set, slot) = (ended.clone(), result.clone());
    create_task(async move {
        slot.replace(Some(task.await));
        set.set();
        Ok(())
    });
    async move {
        ended.wait().await?;
        result.take().expect("the task has ended")
    }
}

// AsyncioWaitForTest

#[test]
fn a_cancel_waits_for_a_coroutine_that_ignores_it() {
    run(async {
        let exited = Rc::new(Cell::new(false));
        let task = create_task(wait_for(slow(exited.clone()), ms(400)));
        turn().await?;
        task.cancel();
        assert_eq!(outcome(task.await), "()");
        assert_eq!((exited.get(), time()), (true, ms(200)));
        Ok(())
    });
}

#[test]
fn a_timeout_waits_for_a_coroutine_that_ignores_it() {
    run(async {
        let exited = Rc::new(Cell::new(false));
        let waited = wait_for(slow(exited.clone()), ms(100)).await;
        assert_eq!(outcome(waited), "()");
        assert_eq!((exited.get(), time()), (true, ms(200)));
        Ok(())
    });
}

#[test]
fn a_task_that_is_done_gives_its_result_in_no_time() {
    run(async {
        let task = create_task(async { Ok("done") });
        turn().await?;
        let waited = wait_for(task, Duration::ZERO).await;
        assert_eq!(outcome(waited), "\"done\"");
        Ok(())
    });
}

#[test]
fn no_time_starts_no_coroutine() {
    run(async {
        let log = Log::new();
        let waited = wait_for(sleep_and_tell(Duration::ZERO, log.clone()), Duration::ZERO).await;
        assert_eq!(outcome(waited), "TimeoutError");
        assert_eq!(log.seen(), Vec::<String>::new());
        Ok(())
    });
}

#[test]
fn no_time_cancels_a_task_that_is_not_done() {
    run(async {
        let log = Log::new();
        let task = create_task(sleep_and_tell(ms(10_000), log.clone()));
        turn().await?;
        let handle = task.handle();
        let waited = wait_for(task, Duration::ZERO).await;
        assert_eq!(outcome(waited), "TimeoutError");
        assert_eq!((handle.done(), handle.cancelled()), (true, true));
        assert_eq!(
            (log.seen(), time()),
            (vec!["CancelledError".to_string()], ms(0))
        );
        Ok(())
    });
}

#[test]
fn a_timeout_cancels_the_task_it_was_given() {
    run(async {
        let log = Log::new();
        let task = create_task(sleep_and_tell(ms(300_000), log.clone()));
        let handle = task.handle();
        assert_eq!(outcome(wait_for(task, ms(100)).await), "TimeoutError");
        assert_eq!((handle.done(), handle.cancelled()), (true, true));
        assert_eq!(
            (log.seen(), time()),
            (vec!["CancelledError".to_string()], ms(100))
        );
        Ok(())
    });
}

#[test]
fn without_a_timeout_it_is_the_coroutine_alone() {
    let waited = run(async { wait_for(async { Ok("done") }, None).await });
    assert_eq!(waited, "done");
}

#[test]
fn a_result_that_comes_in_time_is_returned() {
    run(async {
        let event = Event::new();
        let waiting = wait_for(event.wait(), ms(200));
        call_soon(move || event.set());
        assert_eq!((outcome(waiting.await), time()), ("()".to_string(), ms(0)));
        Ok(())
    });
}

#[test]
fn a_value_that_answers_the_timeout_is_returned() {
    run(async {
        let inner = async {
            assert_eq!(outcome(sleep(ms(1000)).await), "CancelledError");
            Ok(1)
        };
        let waited = wait_for(inner, ms(10)).await;
        assert_eq!((outcome(waited), time()), ("1".to_string(), ms(10)));
        Ok(())
    });
}

/// Sleeps for ten seconds; a cancel is answered with a little more of it.
async fn clean_up_when_cancelled(done: Rc<Cell<bool>>) -> Result<()> {
    let mut slept = sleep(ms(10_000)).await;
    if let Err(Error::Cancelled) = slept {
        slept = sleep(EPSILON).await.and(slept);
    }
    done.set(true);
    slept
}

#[test]
fn a_timeout_waits_until_the_task_has_cleaned_up() {
    run(async {
        let done = Rc::new(Cell::new(false));
        let task = create_task(clean_up_when_cancelled(done.clone()));
        assert_eq!(outcome(wait_for(task, EPSILON).await), "TimeoutError");
        assert_eq!((done.get(), time()), (true, 2 * EPSILON));
        Ok(())
    });
}

#[test]
fn no_time_waits_all_the_same_until_the_task_has_cleaned_up() {
    run(async {
        let done = Rc::new(Cell::new(false));
        let task = create_task(clean_up_when_cancelled(done.clone()));
        sleep(EPSILON).await?;
        let waited = wait_for(task, Duration::ZERO).await;
        assert_eq!(outcome(waited), "TimeoutError");
        assert_eq!((done.get(), time()), (true, 2 * EPSILON));
        Ok(())
    });
}

#[test]
fn an_error_that_answers_the_timeout_comes_out_instead_of_it() {
    #[derive(Debug, PartialEq)]
    struct Foo;
    impl std::fmt::Display for Foo {
        fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            formatter.write_str("FooException")
        }
    }
    impl std::error::Error for Foo {}
    run(async {
        let task = create_task(async {
            let _slept = sleep(ms(200)).await;
            Err::<(), _>(Error::other(Foo))
        });
        let waited = wait_for(task, EPSILON).await;
        let Err(Error::Other(raised)) = waited else {
            panic!("expected the task's own error, not {waited:?}");
        };
        assert_eq!((raised.downcast_ref(), time()), (Some(&Foo), EPSILON));
        Ok(())
    });
}

/// Cancels a task in a `wait_for`: how it ended, and whether what it waited for was cancelled too.
fn cancel_a_wait_for(timeout: Option<Duration>) -> (String, bool) {
    run(async move {
        let blocked = create_task(async { Event::new().wait().await });
        let handle = blocked.handle();
        let wait = create_task(wait_for(blocked, timeout));
        let waiting = wait.handle();
        call_soon(move || {
            waiting.cancel();
        });
        Ok((outcome(wait.await), handle.cancelled()))
    })
}

#[test]
fn a_cancel_reaches_the_task_under_a_wait_for_without_a_timeout() {
    assert_eq!(cancel_a_wait_for(None), ("CancelledError".into(), true));
}

#[test]
fn a_cancel_reaches_the_task_under_a_timeout() {
    let ended = cancel_a_wait_for(Some(ms(60_000)));
    assert_eq!(ended, ("CancelledError".into(), true));
}

#[test]
fn a_timeout_that_is_swallowed_is_none() {
    run(async {
        let answer = async {
            match sleep(ms(10_000)).await {
                Err(Error::Cancelled) => Ok(Some(42)),
                slept => slept.map(|()| None),
            }
        };
        let waited = wait_for(answer, ms(100)).await;
        assert_eq!((outcome(waited), time()), ("Some(42)".to_string(), ms(100)));
        Ok(())
    });
}

#[test]
fn a_wait_for_a_task_that_is_done_is_no_place_to_be_cancelled() {
    run(async {
        let log = Log::new();
        let (seen, inner) = (log.clone(), create_task(async { Ok("done") }));
        let task = create_task(async move {
            seen.push(wait_for(inner, ms(100_000)).await?);
            sleep(ms(1000)).await?;
            seen.push("the end");
            Ok(())
        });
        assert!(!task.done());
        assert_eq!(log.after_a_turn().await?, ["done"]);
        task.cancel();
        assert_eq!(outcome(task.await), "CancelledError");
        assert_eq!(log.seen(), ["done"]);
        Ok(())
    });
}

// WaitForShieldTests

#[test]
fn no_time_leaves_a_shielded_task_running() {
    run(async {
        let log = Log::new();
        let task = create_task(sleep_and_tell(ms(10), log.clone()));
        let handle = task.handle();
        let waited = wait_for(shield(task), Duration::ZERO).await;
        assert_eq!(outcome(waited), "TimeoutError");
        assert_eq!((handle.done(), handle.cancelled()), (false, false));
        sleep(ms(100)).await?;
        assert_eq!((handle.done(), log.seen()), (true, vec!["()".to_string()]));
        Ok(())
    });
}

#[test]
fn a_shielded_task_is_awaited_for_as_long_as_it_takes() {
    run(async {
        let task = create_task(sleep_and_tell(ms(100), Log::new()));
        let handle = task.handle();
        let waited = wait_for(shield(task), None).await;
        assert_eq!(
            (outcome(waited), handle.done()),
            ("\"done\"".to_string(), true)
        );
        Ok(())
    });
}

#[test]
fn a_timeout_leaves_a_shielded_task_running() {
    run(async {
        let log = Log::new();
        let task = create_task(sleep_and_tell(ms(100), log.clone()));
        let handle = task.handle();
        assert_eq!(
            outcome(wait_for(shield(task), ms(10)).await),
            "TimeoutError"
        );
        assert_eq!((handle.done(), time()), (false, ms(10)));
        sleep(ms(100)).await?;
        assert_eq!(
            (handle.cancelled(), log.seen()),
            (false, vec!["()".to_string()])
        );
        Ok(())
    });
}
