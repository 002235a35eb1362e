//! `test_timeouts.py`, as far as `async with asyncio.timeout(..)` around a body says the same as `wait_for` does.

use super::{Log, ms, outcome, run};
use futures::FutureExt;
use soloop::{Error, EventLoop, Result, create_task, current_task, sleep, time, wait_for};
use std::cell::Cell;
use std::future::{Future, pending};
use std::thread;
use std::time::{Duration, Instant};

const LONG: Duration = Duration::from_secs(10);

/// How often the running task has been asked to cancel itself and not taken that back.
fn cancelling() -> usize {
    current_task().expect("called by a task").cancelling()
}

/// Awaits, and says how that ended.
async fn tell<T: Clone + std::fmt::Debug>(
    log: &Log<String>,
    coro: impl Future<Output = Result<T>>,
) -> Result<T> {
    let ended = coro.await;
    log.push(outcome(ended.clone()));
    ended
}

#[test]
fn an_overdue_coroutine_is_a_timeout_error() {
    run(async {
        let waited = wait_for(sleep(LONG), ms(10)).await;
        assert_eq!((outcome(waited), cancelling()), ("TimeoutError".into(), 0));
        Ok(())
    });
}

#[test]
fn a_timeout_strikes_at_its_deadline() {
    run(async {
        sleep(ms(3)).await?;
        let deadline = time() + Duration::from_nanos(10_000_001);
        let waited = wait_for(sleep(LONG), deadline - time()).await;
        assert_eq!((outcome(waited), time()), ("TimeoutError".into(), deadline));
        Ok(())
    });
}

#[test]
fn of_two_timeouts_at_one_deadline_the_outer_one_is_told() {
    run(async {
        let log = Log::new();
        let inner = tell(&log, wait_for(tell(&log, sleep(LONG)), ms(10)));
        let waited = wait_for(inner, ms(10)).await;
        assert_eq!((outcome(waited), cancelling()), ("TimeoutError".into(), 0));
        assert_eq!(log.seen(), ["CancelledError", "CancelledError"]);
        Ok(())
    });
}

#[test]
fn a_timeout_is_a_cancel_to_what_stands_under_it() {
    run(async {
        let log = Log::new();
        let waited = wait_for(tell(&log, sleep(LONG)), ms(10)).await;
        assert_eq!(outcome(waited), "TimeoutError");
        assert_eq!(log.seen(), ["CancelledError"]);
        Ok(())
    });
}

#[test]
fn a_timeout_that_is_not_needed_does_nothing() {
    run(async {
        let waited = wait_for(sleep(ms(10)), LONG).await;
        assert_eq!((outcome(waited), time()), ("()".into(), ms(10)));
        sleep(LONG).await?;
        assert_eq!((cancelling(), time()), (0, LONG + ms(10)));
        Ok(())
    });
}

#[test]
fn a_timeout_of_none_never_strikes() {
    run(async {
        let waited = wait_for(sleep(ms(10)), None).await;
        assert_eq!((outcome(waited), time()), ("()".into(), ms(10)));
        Ok(())
    });
}

#[test]
fn a_timeout_of_zero_strikes_without_time_going_by() {
    run(async {
        let waited = wait_for(sleep(LONG), Duration::ZERO).await;
        assert_eq!((outcome(waited), time()), ("TimeoutError".into(), ms(0)));
        Ok(())
    });
}

#[test]
fn a_timeout_of_zero_strikes_before_a_single_yield() {
    run(async {
        let waited = wait_for(sleep(Duration::ZERO), Duration::ZERO).await;
        assert_eq!((outcome(waited), cancelling()), ("TimeoutError".into(), 0));
        Ok(())
    });
}

#[test]
fn an_error_of_the_coroutine_comes_out_as_it_is() {
    run(async {
        let key = async { Err::<(), _>(Error::Value("key".into())) };
        let waited = wait_for(key, ms(10)).await;
        assert_eq!(
            (outcome(waited), cancelling()),
            ("ValueError: key".into(), 0)
        );
        Ok(())
    });
}

#[test]
fn a_timeout_in_the_clean_up_of_an_error_replaces_it() {
    run(async {
        let body = async {
            let failed = Err::<(), _>(Error::Value("division by zero".into()));
            sleep(ms(1000)).await?;
            failed
        };
        let waited = wait_for(body, ms(10)).await;
        assert_eq!((outcome(waited), cancelling()), ("TimeoutError".into(), 0));
        Ok(())
    });
}

/// Sleeps for a second, and then fails in any case.
async fn crash(slept: &Cell<Option<Result<()>>>) -> Result<()> {
    slept.set(Some(sleep(ms(1000)).await));
    Err(Error::Value("division by zero".into()))
}

#[test]
fn an_error_in_the_clean_up_replaces_the_timeout() {
    run(async {
        let slept = Cell::new(None);
        let waited = wait_for(crash(&slept), ms(10)).await;
        assert_eq!(outcome(waited), "ValueError: division by zero");
        assert_eq!(slept.take().map(outcome), Some("CancelledError".into()));
        assert_eq!((cancelling(), time()), (0, ms(10)));
        Ok(())
    });
}

#[test]
fn a_cancel_by_somebody_else_stays_a_cancel() {
    run(async {
        let body = async {
            current_task().expect("main runs").cancel();
            sleep(LONG).await
        };
        let waited = wait_for(body, LONG).await;
        assert_eq!(outcome(waited), "CancelledError");
        assert_eq!((cancelling(), time()), (1, ms(0)));
        Ok(())
    });
}

#[test]
fn a_task_that_caught_its_timeout_is_not_cancelled() {
    run(async {
        let mut task = create_task(async { Ok(outcome(wait_for(sleep(LONG), ms(1)).await)) });
        assert_eq!((&mut task).await?, "TimeoutError");
        assert_eq!(
            (task.done(), task.cancelled(), task.cancelling()),
            (true, false, 0)
        );
        Ok(())
    });
}

#[test]
fn the_outer_timeout_may_strike_first() {
    let log = Log::new();
    let ran = EventLoop::new().run(async {
        let busy = async {
            thread::sleep(ms(10)); // the real clock goes on as the loop stands still
            sleep(ms(1000)).await
        };
        let inner = tell(&log, wait_for(busy, ms(100)));
        let waited = wait_for(inner, ms(2)).await;
        Ok((outcome(waited), cancelling()))
    });
    assert_eq!(ran.unwrap(), ("TimeoutError".into(), 0));
    assert_eq!(log.seen(), ["CancelledError"]);
}

#[test]
fn two_timeouts_that_a_busy_loop_was_late_for_are_the_outer_one() {
    let (log, begin) = (Log::new(), Instant::now());
    let ran = EventLoop::new().run(async {
        let body = async {
            let busy = async {
                thread::sleep(ms(20)); // the real clock passes both deadlines meanwhile
                sleep(LONG).await
            };
            match tell(&log, wait_for(busy, ms(2))).await {
                Err(Error::Timeout) => {}
                waited => waited?,
            }
            log.push("went on".into());
            sleep(LONG).await
        };
        Ok((outcome(wait_for(body, ms(20)).await), cancelling()))
    });
    assert_eq!(ran.unwrap(), ("TimeoutError".into(), 0));
    assert_eq!(log.seen(), ["CancelledError"]);
    assert!(begin.elapsed() < Duration::from_secs(5));
}

#[test]
fn a_timeout_in_the_clean_up_after_a_timeout_is_one_too() {
    run(async {
        let log = Log::new();
        let body = async {
            let slept = tell(&log, sleep(ms(1000))).await;
            let _cleaned_up = tell(&log, wait_for(sleep(LONG), ms(10))).await;
            slept
        };
        let waited = wait_for(body, ms(10)).await;
        assert_eq!((outcome(waited), cancelling()), ("TimeoutError".into(), 0));
        assert_eq!(log.seen(), ["CancelledError", "TimeoutError"]);
        assert_eq!(time(), ms(20));
        Ok(())
    });
}

#[test]
fn a_task_that_swallowed_a_cancel_can_still_time_out() {
    run(async {
        current_task().expect("main runs").cancel();
        let mut trace = vec![(outcome(sleep(ms(1000)).await), cancelling())];
        for timeout in [ms(0), ms(1)] {
            let waited = wait_for(sleep(ms(1000)), timeout).await;
            trace.push((outcome(waited), cancelling()));
        }
        let expected = ["CancelledError", "TimeoutError", "TimeoutError"];
        assert_eq!(trace, expected.map(|line| (line.to_string(), 1)));
        Ok(())
    });
}

#[test]
fn a_task_that_swallowed_a_cancel_can_be_cancelled_under_a_timeout() {
    run(async {
        let task = current_task().expect("main runs");
        task.cancel();
        let mut trace = vec![outcome(sleep(ms(1000)).await)];
        let body = async {
            task.cancel();
            sleep(ms(2000)).await
        };
        trace.push(outcome(wait_for(body, ms(1000)).await));
        assert_eq!(trace, ["CancelledError", "CancelledError"]);
        assert_eq!((cancelling(), time()), (2, ms(0)));
        Ok(())
    });
}

#[test]
fn a_timeout_outside_any_task_is_refused() {
    let waited = wait_for(pending::<Result<()>>(), ms(10)).now_or_never();
    let text = "RuntimeError: no running event loop";
    assert_eq!(waited.map(outcome), Some(text.to_string()));
}
