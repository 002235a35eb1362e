//! Timeouts: whose request it is, whom it reaches, and that it is always taken back.
//!
//! Where asyncio can say the same, the traces are what CPython prints.

use crate::kit::*;
use futures::{
    FutureExt, StreamExt,
    future::{LocalBoxFuture, join_all, select},
    join,
    stream::FuturesUnordered,
};
use soloop::{
    Condition, Error, Event, EventLoop, Lock, Result, Semaphore, Task, TaskHandle, Turn,
    create_task, current_task, time, wait_for, wrap_future,
};
use std::{
    cell::{Cell, RefCell},
    future::{Future, pending, poll_fn, ready},
    pin::{Pin, pin},
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    thread,
    time::Duration,
};

/// The running task.
fn me() -> TaskHandle {
    current_task().expect("a task is running")
}

/// Virtual seconds since the loop began.
fn clock() -> u64 {
    time().as_secs()
}

/// Sleeps for long, and takes `clean_up` seconds to end when it is told to.
async fn slow(clean_up: u64) -> Result<()> {
    let told = nap(99).await;
    note(format_args!("told at {}", clock()));
    tell("clean-up", nap(clean_up)).await?;
    told
}

/// Notes the number of requests that nobody has taken back, and whether the next await is let alone.
async fn nothing_is_left() -> Result<()> {
    note(me().cancelling());
    tell("then", turns(1)).await
}

mod in_time {
    use super::*;

    #[test]
    fn returns_the_value() {
        let trace = trace_of(async {
            let coro = async {
                nap(1).await?;
                Ok("value")
            };
            tell("wait_for", wait_for(coro, secs(2))).await?;
            note(clock());
            nothing_is_left().await
        });
        assert_eq!(trace, "wait_for \"value\" 1 0 then ok");
    }

    #[test]
    fn leaves_no_timer_behind() {
        let mut event_loop = EventLoop::with_virtual_clock();
        let result = event_loop.run(async {
            wait_for(nap(1), secs(9)).await?;
            Event::new().wait().await
        });
        assert!(matches!(result, Err(Error::Deadlock(_))));
        assert_eq!(event_loop.time(), secs(1));
    }

    #[test]
    fn returns_an_error_as_it_is() {
        let trace = trace_of(async {
            tell(
                "own",
                wait_for(async { Err::<(), _>(Error::Value("own".into())) }, secs(1)),
            )
            .await?;
            tell(
                "cancelled",
                wait_for(async { Err::<(), _>(Error::Cancelled) }, secs(1)),
            )
            .await?;
            nothing_is_left().await
        });
        assert_eq!(
            trace,
            "own ValueError: own cancelled CancelledError 0 then ok"
        );
    }

    #[test]
    fn need_not_be() {
        let trace = trace_of(async {
            tell("None", wait_for(nap(1_000_000), None)).await?;
            tell("MAX", wait_for(nap(1), Duration::MAX)).await?;
            tell("Some", wait_for(nap(1), Some(secs(2)))).await?;
            nothing_is_left().await
        });
        assert_eq!(trace, "None ok MAX ok Some ok 0 then ok");
    }

    #[test]
    fn holds_its_coroutine_once() {
        let coro = async {
            let page = [1; 4096];
            turns(1).await?;
            Ok(page.len())
        };
        let alone = size_of_val(&coro);
        let timed = size_of_val(&wait_for(coro, secs(1)));
        assert!(timed < alone + 1024, "{timed} bytes around {alone}");
    }

    #[test]
    fn begins_when_first_polled() {
        let trace = trace_of(async {
            let late = wait_for(nap(2), secs(3));
            nap(2).await?;
            tell("late", late).await?;
            note(clock());
            Ok(())
        });
        assert_eq!(trace, "late ok 4");
    }
}

mod too_late {
    use super::*;

    #[test]
    fn is_a_timeout_once_the_coroutine_has_ended() {
        let trace = trace_of(async {
            tell("wait_for", wait_for(slow(1), secs(2))).await?;
            note(clock());
            nothing_is_left().await
        });
        assert_eq!(
            trace,
            "told at 2 clean-up ok wait_for TimeoutError 3 0 then ok"
        );
    }

    #[test]
    fn is_no_matter_if_a_value_comes_all_the_same() {
        let trace = trace_of(async {
            let coro = async {
                slow(1).await.expect_err("it is told");
                Ok("value")
            };
            tell("wait_for", wait_for(coro, secs(2))).await?;
            nothing_is_left().await
        });
        assert_eq!(trace, "told at 2 clean-up ok wait_for \"value\" 0 then ok");
    }

    #[test]
    fn is_no_matter_to_an_error_of_its_own() {
        let trace = trace_of(async {
            let coro = async { nap(9).await.map_err(|_| Error::Value("mine".into())) };
            tell("wait_for", wait_for(coro, secs(2))).await?;
            nothing_is_left().await
        });
        assert_eq!(trace, "wait_for ValueError: mine 0 then ok");
    }

    #[test]
    fn takes_two_hops_from_the_deadline() {
        let trace = trace_of(async {
            create_task(async {
                nap(2).await?;
                ticks(3).await
            });
            turns(1).await?;
            tell("wait_for", wait_for(nap(9), secs(2))).await?;
            turns(3).await
        });
        assert_eq!(trace, "t0 wait_for TimeoutError t1 t2");
    }

    #[test]
    fn comes_before_a_sleep_of_the_same_length() {
        assert_eq!(outcome(run(wait_for(nap(1), secs(1)))), "TimeoutError");
    }

    /// The event is set in the turn of the strike, by a task that woke in it: too late for the wait, which is told already.
    #[test]
    fn leaves_what_it_waited_for_as_it_was() {
        let trace = trace_of(async {
            let (lock, event) = (Lock::new(), Event::new());
            lock.acquire().await?;
            let (release, set) = (lock.clone(), event.clone());
            create_task(async move {
                nap(1).await?;
                set.set();
                release.release()
            });
            turns(1).await?;
            tell("event", wait_for(event.wait(), secs(1))).await?;
            note(format_args!("{event:?} {lock:?}"));
            tell("lock", wait_for(lock.acquire(), secs(1))).await?;
            nothing_is_left().await
        });
        let clean = "<Event [set]> <Lock [unlocked]>";
        assert_eq!(
            trace,
            format!("event TimeoutError {clean} lock ok 0 then ok")
        );
    }

    /// The sleep's timer is older and has woken it already, in the same turn; the request is kept and raised by its step.
    #[test]
    fn strikes_what_was_woken_in_the_same_turn() {
        let trace = trace_of(async {
            let mut sleep = Box::pin(nap(1));
            start(&mut sleep).await;
            tell("wait_for", wait_for(sleep, secs(1))).await?;
            nothing_is_left().await
        });
        assert_eq!(trace, "wait_for TimeoutError 0 then ok");
    }

    #[test]
    fn waits_until_a_condition_has_its_lock_back() {
        let trace = trace_of(async {
            let condition = Condition::new();
            let holder = condition.clone();
            create_task(async move {
                nap(1).await?;
                let _held = holder.enter().await?;
                nap(3).await
            });
            condition.acquire().await?;
            tell("wait_for", wait_for(condition.wait(), secs(2))).await?;
            note(format_args!("{} {}", clock(), condition.locked()));
            nothing_is_left().await
        });
        assert_eq!(trace, "wait_for TimeoutError 4 true 0 then ok");
    }

    #[test]
    fn cancels_a_task_that_was_given() {
        let trace = trace_of(async {
            let task = create_task(slow(1));
            let handle = task.handle();
            tell("wait_for", wait_for(task, secs(2))).await?;
            note(handle.cancelled());
            nothing_is_left().await
        });
        assert_eq!(
            trace,
            "told at 2 clean-up ok wait_for TimeoutError true 0 then ok"
        );
    }
}

/// Somebody else asks for a cancel as well.
mod another_request {
    use super::*;

    #[test]
    fn before_the_deadline_is_a_plain_cancel() {
        let trace = trace_of(async {
            let task = create_task(async {
                tell("wait_for", wait_for(slow(0), secs(2))).await?;
                nothing_is_left().await
            });
            nap(1).await?;
            task.cancel();
            task.await
        });
        assert_eq!(
            trace,
            "told at 1 clean-up ok wait_for CancelledError 1 then ok"
        );
    }

    #[test]
    fn in_the_turn_of_the_deadline_wins() {
        let trace = trace_of(async {
            let mut alarm = Box::pin(nap(2));
            start(&mut alarm).await;
            let task = create_task(async {
                tell("wait_for", wait_for(nap(9), secs(2))).await?;
                nothing_is_left().await
            });
            alarm.await?;
            note(format_args!("{} {}", task.cancelling(), task.cancel()));
            task.await
        });
        assert_eq!(trace, "1 true wait_for CancelledError 1 then ok");
    }

    #[test]
    fn during_the_clean_up_wins() {
        let trace = trace_of(async {
            let task = create_task(async {
                tell("wait_for", wait_for(slow(5), secs(2))).await?;
                nothing_is_left().await
            });
            nap(3).await?;
            task.cancel();
            task.await?;
            note(clock());
            Ok(())
        });
        assert_eq!(
            trace,
            "told at 2 clean-up CancelledError wait_for CancelledError 1 then ok 3"
        );
    }

    #[test]
    fn of_long_ago_does_not_count() {
        let trace = trace_of(async {
            me().cancel();
            tell("own", turns(1)).await?;
            tell("wait_for", wait_for(nap(9), secs(1))).await?;
            nothing_is_left().await
        });
        assert_eq!(trace, "own CancelledError wait_for TimeoutError 1 then ok");
    }

    #[test]
    fn still_kept_is_raised_inside() {
        let trace = trace_of(async {
            me().cancel();
            tell("wait_for", wait_for(slow(0), secs(1))).await?;
            nothing_is_left().await
        });
        assert_eq!(
            trace,
            "told at 0 clean-up ok wait_for CancelledError 1 then ok"
        );
    }
}

mod nested {
    use super::*;

    #[test]
    fn inner_strikes_and_the_outer_does_not_mind() {
        let trace = trace_of(async {
            let inner = tell("inner", wait_for(nap(9), secs(1)));
            tell("outer", wait_for(inner, secs(2))).await?;
            note(clock());
            nothing_is_left().await
        });
        assert_eq!(trace, "inner TimeoutError outer ok 1 0 then ok");
    }

    #[test]
    fn outer_strikes_and_the_inner_is_cancelled() {
        let trace = trace_of(async {
            let inner = async {
                let result = wait_for(nap(9), secs(2)).await;
                note(format_args!("inner {}", outcome(result.clone())));
                result
            };
            tell("outer", wait_for(inner, secs(1))).await?;
            note(clock());
            nothing_is_left().await
        });
        assert_eq!(trace, "inner CancelledError outer TimeoutError 1 0 then ok");
    }

    #[test]
    fn both_strike_at_once() {
        let trace = trace_of(async {
            let inner = async {
                tell("inner", wait_for(nap(9), secs(1))).await?;
                tell("then", turns(1)).await?;
                Ok(7)
            };
            tell("outer", wait_for(inner, secs(1))).await?;
            tell("both", wait_for(wait_for(nap(9), secs(1)), secs(1))).await?;
            nothing_is_left().await
        });
        assert_eq!(
            trace,
            "inner CancelledError then ok outer 7 both TimeoutError 0 then ok"
        );
    }

    #[test]
    fn outer_strikes_while_the_inner_cleans_up() {
        let trace = trace_of(async {
            let inner = async {
                tell("inner", wait_for(slow(9), secs(1))).await?;
                tell("then", turns(1)).await?;
                Ok(7)
            };
            tell("outer", wait_for(inner, secs(3))).await?;
            note(clock());
            nothing_is_left().await
        });
        assert_eq!(
            trace,
            "told at 1 clean-up CancelledError inner CancelledError then ok outer 7 3 0 then ok"
        );
    }

    #[test]
    fn foreign_future_is_dropped_by_the_one_that_strikes() {
        let trace = trace_of(async {
            let foreign = async {
                let _value = NoteOnDrop("dropped");
                pending::<Result<()>>().await
            };
            let inner = tell("inner", wait_for(foreign, secs(1)));
            tell("outer", wait_for(inner, secs(2))).await?;
            note(clock());
            nothing_is_left().await
        });
        assert_eq!(trace, "dropped inner TimeoutError outer ok 1 0 then ok");
    }
}

/// What was told, or was to be, is dropped before it delivers: the request stays inside the timeout that made it.
mod undelivered {
    use super::*;

    /// Chooses at the deadline, in the same step in which the nap beside it is told.
    async fn choose_at_the_deadline() {
        let deadline = poll_fn(|_| {
            if clock() < 1 {
                Poll::Pending
            } else {
                Poll::Ready(())
            }
        });
        select(deadline, Box::pin(nap(9))).await;
        note("chosen");
    }

    #[test]
    fn request_is_raised_by_the_next_wait_inside() {
        let trace = trace_of(async {
            let inside = async {
                choose_at_the_deadline().await;
                let told = turns(1).await;
                note(outcome(told.clone()));
                told
            };
            let _both = join!(
                tell("wait_for", wait_for(inside, secs(1))),
                tell("sibling", nap(2)),
            );
            nothing_is_left().await
        });
        assert_eq!(
            trace,
            "chosen CancelledError wait_for TimeoutError sibling ok 0 then ok"
        );
    }

    #[test]
    fn request_is_raised_by_the_next_wait_inside_that_is_no_yield() {
        let trace = trace_of(async {
            let event = Event::new();
            let wait = event.wait();
            let inside = async {
                choose_at_the_deadline().await;
                wait.await
            };
            let _both = join!(
                tell("wait_for", wait_for(inside, secs(1))),
                tell("sibling", nap(2)),
            );
            note(format_args!("{event:?}"));
            nothing_is_left().await
        });
        assert_eq!(
            trace,
            "chosen wait_for TimeoutError sibling ok <Event [unset]> 0 then ok"
        );
    }

    #[test]
    fn request_is_passed_to_the_task_that_is_awaited_next() {
        let trace = trace_of(async {
            let task = create_task(slow(1));
            let inside = async {
                choose_at_the_deadline().await;
                task.await
            };
            let _both = join!(
                tell("wait_for", wait_for(inside, secs(1))),
                tell("sibling", nap(3)),
            );
            nothing_is_left().await
        });
        assert_eq!(
            trace,
            "chosen told at 1 clean-up ok wait_for TimeoutError sibling ok 0 then ok"
        );
    }

    #[test]
    fn request_is_taken_back_if_there_is_none() {
        let trace = trace_of(async {
            let inside = async {
                choose_at_the_deadline().await;
                Ok("value")
            };
            let _both = join!(
                tell("wait_for", wait_for(inside, secs(1))),
                tell("sibling", nap(2)),
            );
            nothing_is_left().await
        });
        assert_eq!(trace, "chosen wait_for \"value\" sibling ok 0 then ok");
    }
}

/// Inside a timeout that is pending with a bare yield, and nothing else.
mod around_a_yield {
    use super::*;

    /// Ticks, and then sleeps for long.
    async fn ticks_and_sleeps(n: usize) -> Result<()> {
        ticks(n).await?;
        nap(99).await
    }

    #[test]
    fn the_deadline_is_where_it_was() {
        let trace = trace_of(async {
            tell("wait_for", wait_for(ticks_and_sleeps(2), secs(3))).await?;
            note(clock());
            Ok(())
        });
        assert_eq!(trace, "t0 t1 wait_for TimeoutError 3");
    }

    #[test]
    fn equal_deadlines_strike_in_the_order_in_which_they_began() {
        let trace = trace_of(async {
            let first = create_task(tell("first", wait_for(ticks_and_sleeps(1), secs(1))));
            let second = create_task(tell("second", wait_for(nap(99), secs(1))));
            first.await?;
            second.await
        });
        assert_eq!(trace, "t0 first TimeoutError second TimeoutError");
    }

    #[test]
    fn a_cancel_is_no_timeout() {
        let trace = trace_of(async {
            let waits = create_task(tell("wait_for", wait_for(ticks(9), secs(1))));
            turns(1).await?;
            waits.cancel();
            waits.await?;
            nap(2).await
        });
        assert_eq!(trace, "t0 wait_for CancelledError");
    }

    #[test]
    fn a_drop_leaves_no_timer() {
        let trace = trace_of(async {
            let mut waits = Box::pin(wait_for(ticks(9), secs(1)));
            start(&mut waits).await;
            drop(waits);
            nap(2).await?;
            note(me().cancelling());
            Ok(())
        });
        assert_eq!(trace, "t0 0");
    }

    /// The first tick's timer would be due in the second turn, behind the second tick.
    #[test]
    fn a_hosts_time_that_goes_on_meanwhile_is_seen_in_the_next_turn() {
        let time = Rc::new(Cell::new(Duration::ZERO));
        let mut game = EventLoop::with_clock({
            let time = Rc::clone(&time);
            move || time.get()
        });
        let waits = game.create_task(tell("wait_for", wait_for(ticks(9), secs(1))));
        for frame in 1.. {
            note(format_args!("f{frame}"));
            if matches!(game.turn(), Turn::Empty) {
                break;
            }
            time.set(time.get() + secs(2));
        }
        assert!(waits.done());
        assert_eq!(noted(), "f1 t0 f2 t1 f3 wait_for TimeoutError");
    }

    /// Not behind a sleep that is due later.
    #[test]
    fn a_hosts_time_that_goes_on_meanwhile_strikes_where_it_is_due() {
        let time = Rc::new(Cell::new(Duration::ZERO));
        let mut game = EventLoop::with_clock({
            let time = Rc::clone(&time);
            move || time.get()
        });
        let waits = async {
            ticks(1).await?;
            Event::new().wait().await
        };
        game.create_task(tell("wait_for", wait_for(waits, secs(1))));
        game.create_task(tell("nap", nap(2)));
        let _ = game.turn();
        time.set(secs(3));
        assert!(matches!(game.run_until_stalled(9), Turn::Empty));
        assert_eq!(noted(), "t0 wait_for TimeoutError nap ok");
    }

    /// Likewise, on the machine's clock.
    #[test]
    fn time_that_a_step_takes_is_seen_in_the_next_turn() {
        let takes_its_time = async {
            thread::sleep(Duration::from_millis(2));
            ticks(9).await
        };
        let waits = tell(
            "wait_for",
            wait_for(takes_its_time, Duration::from_millis(1)),
        );
        assert!(EventLoop::new().run(waits).is_ok());
        assert_eq!(noted(), "t0 t1 wait_for TimeoutError");
    }

    /// Nor is it later if what comes after the yield is a wait.
    #[test]
    fn time_that_a_step_takes_before_a_wait_is_seen_in_the_turn_of_the_wait() {
        let takes_its_time = async {
            thread::sleep(Duration::from_millis(2));
            turns(1).await?;
            Event::new().wait().await
        };
        let main = async {
            drop(create_task(ticks(5)));
            let waits = wait_for(takes_its_time, Duration::from_millis(1));
            tell("wait_for", waits).await
        };
        assert!(EventLoop::new().run(main).is_ok());
        assert_eq!(noted(), "t0 t1 wait_for TimeoutError t2");
    }

    /// Then it has a timer from the beginning, and strikes though nobody polls it again.
    #[test]
    fn that_something_waits_beside_it_is_told_in_time() {
        let trace = trace_of(async {
            let event = Event::new();
            let both = async {
                let (waited, yielded) = join!(event.wait(), turns(1));
                waited.and(yielded)
            };
            let mut limited = pin!(wait_for(both, secs(1)));
            start(&mut limited).await;
            nap(2).await?;
            event.set();
            tell("wait_for", limited).await?;
            nothing_is_left().await
        });
        assert_eq!(trace, "wait_for TimeoutError 0 then ok");
    }

    #[test]
    fn two_timeouts_one_in_the_other_are_two() {
        let trace = trace_of(async {
            let inner = tell("inner", wait_for(ticks_and_sleeps(1), secs(1)));
            let both = async {
                inner.await?;
                nap(99).await
            };
            tell("outer", wait_for(both, secs(2))).await?;
            note(clock());
            Ok(())
        });
        assert_eq!(trace, "t0 inner TimeoutError outer TimeoutError 2");
    }
}

/// The future is polled by one task, and then by another.
mod wandering {
    use super::*;

    /// A wait that a task has begun, and its timeout, which now belong to the caller.
    async fn begun_elsewhere(event: &Event) -> Result<LocalBoxFuture<'static, Result<()>>> {
        let timeout = wait_for(event.wait(), secs(1));
        create_task(async {
            let mut timeout = timeout.boxed_local();
            start(&mut timeout).await;
            Ok(timeout)
        })
        .await
    }

    #[test]
    fn strikes_the_task_that_polls_it_now() {
        let trace = trace_of(async {
            let event = Event::new();
            let timeout = begun_elsewhere(&event).await?;
            tell("wait_for", timeout).await?;
            note(format_args!("{event:?}"));
            nothing_is_left().await
        });
        assert_eq!(trace, "wait_for TimeoutError <Event [unset]> 0 then ok");
    }

    #[test]
    fn returns_in_time_there_too() {
        let trace = trace_of(async {
            let event = Event::new();
            let timeout = begun_elsewhere(&event).await?;
            event.set();
            tell("wait_for", timeout).await?;
            nothing_is_left().await
        });
        assert_eq!(trace, "wait_for ok 0 then ok");
    }

    #[test]
    fn and_struck_before_it_is_polled_again_is_a_timeout() {
        let trace = trace_of(async {
            let event = Event::new();
            let timeout = begun_elsewhere(&event).await?;
            nap(2).await?;
            tell("wait_for", timeout).await?;
            note(format_args!("{event:?}"));
            nothing_is_left().await
        });
        assert_eq!(trace, "wait_for TimeoutError <Event [unset]> 0 then ok");
    }

    #[test]
    fn and_dropped_leaves_nothing() {
        let trace = trace_of(async {
            let event = Event::new();
            let timeout = begun_elsewhere(&event).await?;
            nap(2).await?;
            drop(timeout);
            note(format_args!("{event:?}"));
            nothing_is_left().await
        });
        assert_eq!(trace, "<Event [unset]> 0 then ok");
    }

    /// The first task lives on while the timeout strikes, and is not the one that polls it afterwards.
    #[test]
    fn and_struck_while_nobody_polls_it_is_a_timeout() {
        let trace = trace_of(async {
            let slot = Rc::new(RefCell::new(None));
            let given = slot.clone();
            let first = create_task(async move {
                let inside = async {
                    let told = Event::new().wait().await;
                    note(me().cancelling());
                    told
                };
                let mut timeout = wait_for(inside, secs(1)).boxed_local();
                start(&mut timeout).await;
                given.replace(Some(timeout));
                tell("first", nap(3)).await?;
                nothing_is_left().await
            });
            nap(2).await?;
            tell("wait_for", slot.take().expect("it was begun")).await?;
            nothing_is_left().await?;
            first.await
        });
        assert_eq!(
            trace,
            "1 wait_for TimeoutError 0 then ok first ok 0 then ok"
        );
    }

    /// All that waits inside is told before it is polled.
    #[test]
    fn and_struck_when_its_task_has_ended_is_over_in_one_step() {
        let trace = trace_of(async {
            let slot = Rc::new(RefCell::new(None));
            let given = slot.clone();
            let inside = async {
                let _both = join!(tell("a", nap(9)), tell("b", nap(9)), tell("c", nap(9)));
                Ok(())
            };
            create_task(async move {
                let mut timeout = wait_for(inside, secs(1)).boxed_local();
                start(&mut timeout).await;
                given.replace(Some(timeout));
                Ok(())
            });
            nap(2).await?;
            let mut timeout = slot.take().expect("it was begun");
            note(poll_once(&mut timeout).await.is_ready());
            Ok(())
        });
        assert_eq!(
            trace,
            "a CancelledError b CancelledError c CancelledError true"
        );
    }

    /// A cancel in the turn of its own deadline still counts, whatever the timeout that went away has asked for.
    #[test]
    fn takes_its_own_request_along_and_no_other() {
        let trace = trace_of(async {
            let slot = Rc::new(RefCell::new(None));
            let given = slot.clone();
            let mut alarm = Box::pin(nap(3));
            start(&mut alarm).await;
            let first = create_task(async move {
                let mut timeout = wait_for(Event::new().wait(), secs(1)).boxed_local();
                start(&mut timeout).await;
                given.replace(Some(timeout));
                tell("first", wait_for(nap(9), secs(3))).await?;
                nothing_is_left().await
            });
            nap(2).await?;
            tell("wait_for", slot.take().expect("it was begun")).await?;
            alarm.await?;
            note(format_args!("{} {}", first.cancelling(), first.cancel()));
            first.await
        });
        assert_eq!(
            trace,
            "wait_for TimeoutError 1 true first CancelledError 1 then ok"
        );
    }

    /// Nobody could take its request back from the task that it struck, once that has ended.
    #[test]
    fn and_struck_before_its_task_ended_has_left_no_request() {
        let trace = trace_of(async {
            let slot = Rc::new(RefCell::new(None));
            let given = slot.clone();
            let mut first = create_task(async move {
                let mut timeout = wait_for(Event::new().wait(), secs(1)).boxed_local();
                start(&mut timeout).await;
                given.replace(Some(timeout));
                nap(2).await?;
                Ok(me().cancelling())
            });
            note((&mut first).await?);
            note(first.cancelling());
            tell("wait_for", slot.take().expect("it was begun")).await?;
            note(first.cancelling());
            nothing_is_left().await
        });
        assert_eq!(trace, "1 0 wait_for TimeoutError 0 0 then ok");
    }

    /// What an ended task has left inside another timeout is nobody's: no task can take back what was asked of it.
    #[test]
    fn and_struck_is_a_timeout_though_it_was_handed_out_of_one_that_is_dropped() {
        let trace = trace_of(async {
            let slot = Rc::new(RefCell::new(None));
            let given = slot.clone();
            let inside = async move {
                let mut inner = wait_for(Event::new().wait(), secs(1)).boxed_local();
                start(&mut inner).await;
                given.replace(Some(inner));
                nap(9).await
            };
            let mut outer = create_task(async {
                let mut outer = wait_for(inside, secs(9)).boxed_local();
                start(&mut outer).await;
                Ok(outer)
            })
            .await?;
            let around = async {
                nap(2).await?;
                start(&mut outer).await;
                drop(outer);
                me().cancel();
                me().uncancel();
                tell("inner", slot.take().expect("it was begun")).await
            };
            tell("around", wait_for(around, secs(99))).await?;
            nothing_is_left().await
        });
        assert_eq!(trace, "inner TimeoutError around ok 0 then ok");
    }

    /// The first task lives on, and must not notice.
    #[test]
    fn leaves_the_task_that_began_it_alone() {
        let trace = trace_of(async {
            let (event, goes_on) = (Event::new(), Event::new());
            let slot = Rc::new(RefCell::new(None));
            let (timeout, given) = (wait_for(event.wait(), secs(1)), slot.clone());
            let (wait, stays) = (goes_on.wait(), nap(2));
            let first = create_task(async move {
                let mut timeout = timeout.boxed_local();
                start(&mut timeout).await;
                given.replace(Some(timeout));
                let _both = join!(tell("wait", wait), tell("nap", stays));
                nothing_is_left().await
            });
            turns(1).await?;
            let timeout = slot.take().expect("the first task has run");
            tell("wait_for", timeout).await?;
            goes_on.set();
            first.await
        });
        assert_eq!(trace, "wait_for TimeoutError wait ok nap ok 0 then ok");
    }
}

/// A timeout is for what is pending inside it; what stands beside it in the same task is not told.
mod beside {
    use super::*;

    #[test]
    fn a_join_of_two_timeouts_is_two_timeouts() {
        let trace = trace_of(async {
            let _both = join!(
                tell("a", wait_for(nap(9), secs(1))),
                tell("b", wait_for(nap(9), secs(1))),
            );
            nothing_is_left().await
        });
        assert_eq!(trace, "a TimeoutError b TimeoutError 0 then ok");
    }

    #[test]
    fn a_join_of_two_deadlines_is_two_timeouts() {
        let trace = trace_of(async {
            let late = async {
                tell("b", wait_for(slow(0), secs(2))).await?;
                note(clock());
                Ok(())
            };
            let _both: (Result<()>, Result<()>) =
                join!(tell("a", wait_for(slow(0), secs(1))), late);
            nothing_is_left().await
        });
        assert_eq!(
            trace,
            "told at 1 clean-up ok a TimeoutError told at 2 clean-up ok b TimeoutError 2 0 then ok"
        );
    }

    #[test]
    fn a_sibling_is_not_told() {
        let trace = trace_of(async {
            let event = Event::new();
            let set = event.clone();
            let sets = async move {
                nap(3).await?;
                set.set();
                Ok(())
            };
            let _all = join!(
                tell("nap", nap(2)),
                tell("wait_for", wait_for(nap(9), secs(1))),
                tell("event", event.wait()),
                tell("sets", sets),
                tell("wrapped", wrap_future(nap(2))),
            );
            nothing_is_left().await
        });
        let expected = "wait_for TimeoutError nap ok wrapped Ok(()) sets ok event ok 0 then ok";
        assert_eq!(trace, expected);
    }

    #[test]
    fn a_sibling_that_yields_is_not_told() {
        let trace = trace_of(async {
            let mut alarm = Box::pin(nap(1));
            start(&mut alarm).await;
            let sibling = async {
                alarm.await?;
                turns(3).await
            };
            let _both = join!(
                tell("sibling", sibling),
                tell("wait_for", wait_for(nap(9), secs(1))),
            );
            nothing_is_left().await
        });
        assert_eq!(trace, "wait_for TimeoutError sibling ok 0 then ok");
    }

    /// The time is over while the task's step is queued, which polls the siblings once the timeout has told its own.
    #[test]
    fn a_sibling_that_yields_or_was_woken_is_not_told_by_a_queued_step() {
        let (now, event) = (Rc::new(Cell::new(Duration::ZERO)), Event::new());
        let clock = now.clone();
        let mut event_loop = EventLoop::with_clock(move || clock.get());
        let ended = event_loop.run(async {
            let yields = async {
                now.set(secs(1));
                turns(1).await?;
                event.set();
                turns(2).await
            };
            let _all = join!(
                tell("wait_for", wait_for(nap(9), secs(1))),
                tell("wait", event.wait()),
                tell("yield", yields),
            );
            nothing_is_left().await
        });
        assert!(ended.is_ok());
        assert_eq!(noted(), "wait_for TimeoutError wait ok yield ok 0 then ok");
    }

    #[test]
    fn a_sibling_that_is_foreign_is_not_dropped() {
        let trace = trace_of(async {
            let (sender, receiver) = futures::channel::oneshot::channel();
            create_task(async {
                nap(2).await?;
                sender
                    .send("value")
                    .map_err(|_| Error::Runtime("gone".into()))
            });
            let foreign = pending::<Result<()>>();
            let (_, received) = join!(tell("wait_for", wait_for(foreign, secs(1))), receiver);
            note(received.map_err(Error::other)?);
            nothing_is_left().await
        });
        assert_eq!(trace, "wait_for TimeoutError value 0 then ok");
    }

    #[test]
    fn a_select_chooses_the_timeout_and_drops_the_untold() {
        let trace = trace_of(async {
            let chosen = select(Box::pin(nap(9)), Box::pin(wait_for(nap(9), secs(1)))).await;
            note(outcome(chosen.factor_first().0));
            nothing_is_left().await
        });
        assert_eq!(trace, "TimeoutError 0 then ok");
    }

    /// The outer timeout reaches all that began inside it, the inner one only its own.
    #[test]
    fn an_inner_timeout_tells_its_own_and_an_outer_one_all() {
        let trace = trace_of(async {
            let inside = async {
                let _all = join!(
                    tell("a", nap(9)),
                    tell("inner", wait_for(nap(9), secs(1))),
                    tell("b", wait_for(nap(9), secs(9))),
                );
                Err::<(), _>(Error::Cancelled)
            };
            let _both = join!(
                tell("outer", wait_for(inside, secs(2))),
                tell("sibling", nap(3))
            );
            nothing_is_left().await
        });
        assert_eq!(
            trace,
            "inner TimeoutError a CancelledError b CancelledError outer TimeoutError sibling ok 0 then ok"
        );
    }

    /// The task's cancel reaches everything, so neither is a timeout.
    #[test]
    fn a_cancel_of_the_task_tells_all() {
        let trace = trace_of(async {
            let task = create_task(async {
                let _all = join!(
                    tell("a", wait_for(nap(9), secs(2))),
                    tell("b", wait_for(nap(9), secs(3))),
                    tell("c", nap(9)),
                );
                nothing_is_left().await
            });
            nap(1).await?;
            task.cancel();
            task.await
        });
        assert_eq!(
            trace,
            "a CancelledError b CancelledError c CancelledError 1 then ok"
        );
    }

    #[test]
    fn a_hundred_timeouts_are_a_hundred_timeouts() {
        let counted = run(async {
            let timeouts: Vec<_> = (0..100).map(|_| wait_for(nap(9), secs(1))).collect();
            let joined = join_all(timeouts).await;
            let unordered: FuturesUnordered<_> =
                (0..100).map(|_| wait_for(nap(9), secs(1))).collect();
            let unordered: Vec<_> = unordered.collect().await;
            nothing_is_left().await?;
            let results = joined.into_iter().chain(unordered);
            Ok(results
                .filter(|result| matches!(result, Err(Error::Timeout)))
                .count())
        });
        assert_eq!((counted.unwrap(), noted().as_str()), (200, "0 then ok"));
    }

    #[test]
    fn a_timeout_that_cleans_up_leaves_its_sibling_alone() {
        let trace = trace_of(async {
            let _both = join!(
                tell("a", wait_for(slow(3), secs(1))),
                tell("b", wait_for(nap(3), secs(5))),
            );
            note(clock());
            nothing_is_left().await
        });
        assert_eq!(
            trace,
            "told at 1 b ok clean-up ok a TimeoutError 4 0 then ok"
        );
    }

    /// The nap that is over at the same instant has queued the task's step before the timeout strikes.
    #[test]
    fn a_step_that_is_queued_when_it_strikes_passes_it_to_the_task_awaited() {
        let trace = trace_of(async {
            let task = create_task(slow(1));
            let handle = task.handle();
            let _both = join!(
                tell("sibling", nap(1)),
                tell("wait_for", wait_for(task, secs(1))),
            );
            note(handle.cancelling());
            nothing_is_left().await
        });
        assert_eq!(
            trace,
            "sibling ok told at 1 clean-up ok wait_for TimeoutError 1 0 then ok"
        );
    }

    /// Likewise, and before that step somebody else takes one.
    #[test]
    fn a_step_that_is_queued_when_it_strikes_finds_what_came_in_between() {
        let trace = trace_of(async {
            let desk = Semaphore::new(0);
            let asked = desk.clone();
            let clerk = create_task(async move {
                nap(1).await?;
                desk.release();
                note(desk.locked()); // it is another's already
                Ok(())
            });
            turns(1).await?;
            let _both = join!(
                tell("sibling", nap(1)),
                tell("wait_for", wait_for(asked.acquire(), secs(1))),
            );
            note(asked.locked());
            clerk.await
        });
        assert_eq!(trace, "true sibling ok wait_for TimeoutError false");
    }

    /// The tasks are awaited inside first and then outside, where the cancel finds them in the order in which that began.
    #[test]
    fn what_began_inside_may_be_awaited_outside() {
        let trace = trace_of(async {
            let waits = create_task(async {
                let (mut a, mut b) = (
                    create_task(tell("a", nap(9))),
                    create_task(tell("b", nap(9))),
                );
                let inside = async {
                    start(&mut a).await;
                    start(&mut b).await;
                    nap(1).await
                };
                tell("wait_for", wait_for(inside, secs(2))).await?;
                let _both = join!(b, a);
                nothing_is_left().await
            });
            nap(3).await?;
            waits.cancel();
            waits.await
        });
        assert_eq!(
            trace,
            "wait_for ok a CancelledError b CancelledError 1 then ok"
        );
    }

    /// It is ready when it is first polled, and what it has polled before is not.
    #[test]
    fn what_began_inside_may_outlive_what_was_ready_at_once() {
        let trace = trace_of(async {
            let event = Event::new();
            let mut wait = Box::pin(event.wait());
            let inside = async {
                start(&mut wait).await;
                Ok("value")
            };
            tell("wait_for", wait_for(inside, secs(1))).await?;
            event.set();
            tell("wait", wait).await?;
            nothing_is_left().await
        });
        assert_eq!(trace, "wait_for \"value\" wait ok 0 then ok");
    }

    #[test]
    fn a_timeout_that_began_outside_is_told_by_the_one_that_now_polls_it() {
        let trace = trace_of(async {
            let event = Event::new();
            let mut timeout = Box::pin(tell("inner", wait_for(event.wait(), secs(2))));
            start(&mut timeout).await;
            tell("outer", wait_for(timeout, secs(1))).await?;
            note(format_args!("{event:?}"));
            nothing_is_left().await
        });
        assert_eq!(
            trace,
            "inner CancelledError outer ok <Event [unset]> 0 then ok"
        );
    }

    /// The wait was begun outside, before the timeout, and only then moved into it.
    #[test]
    fn what_began_outside_is_told_by_the_timeout_that_now_polls_it() {
        let trace = trace_of(async {
            let event = Event::new();
            let mut wait = Box::pin(tell("wait", event.wait()));
            start(&mut wait).await;
            tell("wait_for", wait_for(wait, secs(1))).await?;
            note(format_args!("{event:?}"));
            nothing_is_left().await
        });
        assert_eq!(
            trace,
            "wait CancelledError wait_for ok <Event [unset]> 0 then ok"
        );
    }

    /// A future from elsewhere is dropped then, as any that is wrapped.
    #[test]
    fn what_is_wrapped_and_began_outside_is_told_by_the_timeout_that_now_polls_it() {
        let trace = trace_of(async {
            let dropped = NoteOnDrop("dropped");
            let foreign = wrap_future(pending::<()>().map(move |()| drop(dropped)));
            let mut wrapped = Box::pin(tell("wrapped", foreign));
            start(&mut wrapped).await;
            tell("wait_for", wait_for(wrapped, secs(1))).await?;
            nothing_is_left().await
        });
        assert_eq!(
            trace,
            "dropped wrapped CancelledError wait_for ok 0 then ok"
        );
    }
}

mod around_one_wait {
    use super::*;

    /// Two events, and a task that sets the first of them after a second.
    fn events() -> (Event, Event) {
        let (a, b) = (Event::new(), Event::new());
        let first = a.clone();
        drop(create_task(async move {
            nap(1).await?;
            first.set();
            Ok(())
        }));
        (a, b)
    }

    async fn both(
        first: impl Future<Output = Result<()>>,
        second: impl Future<Output = Result<()>>,
    ) -> Result<()> {
        let (first, second) = join!(told("first", first), told("second", second));
        first.and(second)
    }

    /// Notes what a wait comes to, and returns it.
    async fn told(name: &str, wait: impl Future<Output = Result<()>>) -> Result<()> {
        let result = wait.await;
        tell(name, ready(result.clone())).await?;
        result
    }

    #[test]
    fn others_that_come_one_after_another_share_its_deadline() {
        let trace = trace_of(async {
            let (a, b) = events();
            let inside = async {
                told("a", a.wait()).await?;
                told("b", b.wait()).await?;
                b.wait().await
            };
            tell("wait_for", wait_for(inside, secs(3))).await?;
            note(clock());
            nothing_is_left().await
        });
        assert_eq!(
            trace,
            "a ok b CancelledError wait_for TimeoutError 3 0 then ok"
        );
    }

    #[test]
    fn two_others_that_come_after_it_share_its_deadline() {
        let trace = trace_of(async {
            let (a, b) = events();
            let inside = async {
                told("a", a.wait()).await?;
                both(b.wait(), b.wait()).await
            };
            tell("wait_for", wait_for(inside, secs(3))).await?;
            note(clock());
            nothing_is_left().await
        });
        assert_eq!(
            trace,
            "a ok first CancelledError second CancelledError wait_for TimeoutError 3 0 then ok"
        );
    }

    #[test]
    fn two_others_that_come_after_it_may_be_in_time() {
        let trace = trace_of(async {
            let (a, b) = events();
            let set = b.clone();
            let inside = async {
                told("a", a.wait()).await?;
                drop(create_task(async move {
                    set.set();
                    Ok(())
                }));
                both(b.wait(), b.wait()).await
            };
            tell("wait_for", wait_for(inside, secs(3))).await?;
            tell("nap", nap(9)).await?;
            nothing_is_left().await
        });
        assert_eq!(
            trace,
            "a ok first ok second ok wait_for ok nap ok 0 then ok"
        );
    }

    #[test]
    fn another_beside_it_is_told_too() {
        let trace = trace_of(async {
            let (a, b) = (Event::new(), Event::new());
            let inside = both(a.wait(), b.wait());
            tell("wait_for", wait_for(inside, secs(1))).await?;
            note(format_args!("{a:?} {b:?}"));
            nothing_is_left().await
        });
        assert_eq!(
            trace,
            "first CancelledError second CancelledError wait_for TimeoutError \
             <Event [unset]> <Event [unset]> 0 then ok"
        );
    }

    #[test]
    fn another_beside_it_leaves_it_to_be_woken() {
        let trace = trace_of(async {
            let (a, b) = events();
            let inside = both(a.wait(), b.wait());
            tell("wait_for", wait_for(inside, secs(2))).await?;
            nothing_is_left().await
        });
        assert_eq!(
            trace,
            "first ok second CancelledError wait_for TimeoutError 0 then ok"
        );
    }

    #[test]
    fn another_that_begins_in_a_later_step_is_told_too() {
        let trace = trace_of(async {
            let (a, b) = (Event::new(), Event::new());
            let later = async {
                turns(1).await?;
                b.wait().await
            };
            tell("wait_for", wait_for(both(a.wait(), later), secs(1))).await?;
            nothing_is_left().await
        });
        assert_eq!(
            trace,
            "first CancelledError second CancelledError wait_for TimeoutError 0 then ok"
        );
    }

    #[test]
    fn another_outside_is_not_told() {
        let trace = trace_of(async {
            let (a, b) = (Event::new(), Event::new());
            let set = b.clone();
            drop(create_task(async move {
                nap(2).await?;
                set.set();
                Ok(())
            }));
            let inside = tell("wait_for", wait_for(a.wait(), secs(1)));
            both(inside, b.wait()).await?;
            nothing_is_left().await
        });
        assert_eq!(trace, "wait_for TimeoutError first ok second ok 0 then ok");
    }

    #[test]
    fn is_told_though_a_yield_stands_beside_it() {
        let trace = trace_of(async {
            let inside = both(turns(3), Event::new().wait());
            tell("wait_for", wait_for(inside, secs(1))).await?;
            nothing_is_left().await
        });
        assert_eq!(
            trace,
            "first ok second CancelledError wait_for TimeoutError 0 then ok"
        );
    }

    #[test]
    fn that_somebody_else_has_dropped_is_a_timeout_all_the_same() {
        let trace = trace_of(async {
            let event = Event::new();
            let shared = Rc::new(RefCell::new(Some(Box::pin(event.wait()))));
            let taken = Rc::clone(&shared);
            drop(create_task(async move {
                let gone = taken.take();
                drop(gone);
                note(format_args!("{event:?}"));
                Ok(())
            }));
            let inside = poll_fn(move |cx| match &mut *shared.borrow_mut() {
                Some(wait) => wait.as_mut().poll(cx),
                None => Poll::Pending,
            });
            tell(
                "wait_for",
                wait_for(wrap_future(inside).map(|r| r?), secs(1)),
            )
            .await?;
            nothing_is_left().await
        });
        assert_eq!(trace, "<Event [unset]> wait_for TimeoutError 0 then ok");
    }

    #[test]
    fn that_was_given_up_is_not_what_a_timeout_strikes() {
        let trace = trace_of(async {
            let event = Event::new();
            let other = create_task(tell("other", event.wait()));
            let inside = async {
                let mut wait = Box::pin(event.wait());
                start(&mut wait).await;
                drop(wait);
                pending::<()>().await;
                Ok(())
            };
            tell("wait_for", wait_for(inside, secs(1))).await?;
            event.set();
            other.await?;
            nothing_is_left().await
        });
        assert_eq!(trace, "wait_for TimeoutError other ok 0 then ok");
    }

    #[test]
    fn that_outlives_it_hears_of_a_cancel() {
        let trace = trace_of(async {
            let task = create_task(async {
                let mut wait = Box::pin(Event::new().wait());
                let inside = async {
                    start(&mut wait).await;
                    Ok(())
                };
                tell("wait_for", wait_for(inside, secs(1))).await?;
                told("wait", wait).await
            });
            nap(2).await?;
            task.cancel();
            tell("task", task).await
        });
        assert_eq!(trace, "wait_for ok wait CancelledError task CancelledError");
    }

    /// What is inside is polled with the task's waker, and the combinator around has another: that one is told of the strike.
    #[test]
    fn wakes_the_combinator_that_polls_it_and_not_what_is_inside() {
        struct Told(AtomicBool);
        impl Wake for Told {
            fn wake(self: Arc<Self>) {
                self.0.store(true, Ordering::Relaxed);
            }
        }
        let told = Arc::new(Told(AtomicBool::new(false)));
        let combinators = Waker::from(Arc::clone(&told));
        let main = async {
            let tasks = poll_fn(|cx| Poll::Ready(cx.waker().clone())).await;
            turns(1).await?;
            let mut nap = pin!(nap(9));
            let inside = poll_fn(|_| nap.as_mut().poll(&mut Context::from_waker(&tasks)));
            let mut limited = pin!(wait_for(inside, Duration::from_millis(1)));
            let mut combinators = Context::from_waker(&combinators);
            assert!(limited.as_mut().poll(&mut combinators).is_pending());
            // Its time is over while steps are queued.
            thread::sleep(Duration::from_millis(2));
            turns(2).await
        };
        EventLoop::new().run(main).unwrap();
        assert!(told.0.load(Ordering::Relaxed));
    }

    #[test]
    fn is_polled_again_though_nobody_has_woken_it() {
        let trace = trace_of(async {
            let (a, _) = events();
            let polls = Cell::new(0);
            let mut wait = pin!(wait_for(a.wait(), secs(2)));
            poll_fn(|cx| {
                polls.set(polls.get() + 1);
                if polls.get() < 4 {
                    cx.waker().wake_by_ref();
                }
                wait.as_mut().poll(cx)
            })
            .await?;
            note(format_args!("{} polls, at {}", polls.get(), clock()));
            nothing_is_left().await
        });
        assert_eq!(trace, "5 polls, at 1 0 then ok");
    }
}

/// A timeout of zero starts no coroutine.
mod zero {
    use super::*;

    fn never() -> impl Future<Output = Result<()>> {
        let value = NoteOnDrop("dropped");
        async move {
            note("body");
            drop(value);
            Ok(())
        }
    }

    #[test]
    fn takes_asyncios_hops_and_task_number() {
        let trace = trace_of(async {
            create_task(ticks(4));
            tell("wait_for", wait_for(say("body"), Duration::ZERO)).await?;
            note(create_task(turns(0)).name());
            nothing_is_left().await
        });
        assert_eq!(trace, "t0 t1 t2 wait_for TimeoutError Task-4 0 t3 then ok");
    }

    #[test]
    fn drops_what_it_did_not_start() {
        let trace = trace_of(async {
            tell("wait_for", wait_for(never(), Duration::ZERO)).await?;
            nothing_is_left().await
        });
        assert_eq!(trace, "dropped wait_for TimeoutError 0 then ok");
    }

    /// Though a task would be polled, to be cancelled.
    #[test]
    fn starts_no_coroutine_that_is_as_large_as_a_task() {
        struct AsLarge(#[expect(dead_code, reason = "for its size")] Task<()>);
        impl Future for AsLarge {
            type Output = Result<()>;

            fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<()>> {
                note("polled");
                Poll::Pending
            }
        }
        let trace = trace_of(async {
            let coro = AsLarge(create_task(turns(0)));
            tell("wait_for", wait_for(coro, Duration::ZERO)).await
        });
        assert_eq!(trace, "wait_for TimeoutError");
    }

    #[test]
    fn may_be_cancelled_meanwhile() {
        let trace = trace_of(async {
            let task = create_task(async {
                tell("wait_for", wait_for(never(), Duration::ZERO)).await?;
                nothing_is_left().await
            });
            turns(1).await?;
            task.cancel();
            task.await
        });
        let words: Vec<_> = trace.split(' ').filter(|word| *word != "dropped").collect();
        assert_eq!(words.join(" "), "wait_for CancelledError 1 then ok");
    }

    #[test]
    fn raises_a_request_that_was_kept() {
        let trace = trace_of(async {
            me().cancel();
            tell("wait_for", wait_for(never(), Duration::ZERO)).await?;
            nothing_is_left().await
        });
        let words: Vec<_> = trace.split(' ').filter(|word| *word != "dropped").collect();
        assert_eq!(words.join(" "), "wait_for CancelledError 1 then ok");
    }

    /// As asyncio does where it begins to wait for the task's end.
    #[test]
    fn of_a_task_raises_a_request_that_was_kept() {
        let trace = trace_of(async {
            let task = create_task(nap(9));
            turns(1).await?;
            me().cancel();
            tell("wait_for", wait_for(task, Duration::ZERO)).await?;
            nothing_is_left().await
        });
        assert_eq!(trace, "wait_for CancelledError 1 then ok");
    }

    /// Somebody sends, just before a timeout of a second is over that begins now.
    async fn sent_in_a_second() -> Result<futures::channel::oneshot::Receiver<()>> {
        let (sender, receiver) = futures::channel::oneshot::channel();
        create_task(async {
            nap(1).await?;
            sender.send(()).map_err(|()| Error::Timeout)
        });
        turns(1).await?;
        Ok(receiver)
    }

    /// That of a `wait_for` around it as well, which a foreign future that was ready could not raise.
    #[test]
    fn of_a_task_raises_a_timeout_that_was_kept() {
        let trace = trace_of(async {
            let receiver = sent_in_a_second().await?;
            let outer = async {
                receiver.await.map_err(Error::other)?;
                let task = create_task(nap(9));
                tell("inner", wait_for(task, Duration::ZERO)).await
            };
            tell("outer", wait_for(outer, secs(1))).await?;
            nothing_is_left().await
        });
        assert_eq!(trace, "inner CancelledError outer ok 0 then ok");
    }

    /// Nor does a `wait_for` in between keep it off.
    #[test]
    fn of_a_task_raises_a_timeout_that_was_kept_further_out() {
        let trace = trace_of(async {
            let receiver = sent_in_a_second().await?;
            let between = async {
                receiver.await.map_err(Error::other)?;
                let task = create_task(nap(9));
                tell("inner", wait_for(task, Duration::ZERO)).await
            };
            let outer = tell("between", wait_for(between, secs(5)));
            tell("outer", wait_for(outer, secs(1))).await?;
            nothing_is_left().await
        });
        assert_eq!(trace, "inner CancelledError between ok outer ok 0 then ok");
    }

    #[test]
    fn of_a_task_inside_another_is_a_timeout_of_its_own() {
        let trace = trace_of(async {
            let task = create_task(nap(9));
            let zero = async {
                turns(1).await?;
                tell("zero", wait_for(task, Duration::ZERO)).await
            };
            tell("outer", wait_for(zero, secs(1))).await?;
            nothing_is_left().await
        });
        assert_eq!(trace, "zero TimeoutError outer ok 0 then ok");
    }

    #[test]
    fn beside_another_leaves_it_alone() {
        let trace = trace_of(async {
            let _both = join!(
                tell("zero", wait_for(turns(0), Duration::ZERO)),
                tell("nap", nap(1)),
            );
            nothing_is_left().await
        });
        assert_eq!(trace, "zero TimeoutError nap ok 0 then ok");
    }

    #[test]
    fn inside_another_is_a_timeout_of_its_own() {
        let trace = trace_of(async {
            let zero = tell("zero", wait_for(turns(0), Duration::ZERO));
            tell("outer", wait_for(zero, secs(1))).await?;
            nothing_is_left().await
        });
        assert_eq!(trace, "zero TimeoutError outer ok 0 then ok");
    }

    /// asyncio returns the result of a task that is done.
    #[test]
    fn returns_the_result_of_a_task_that_is_done() {
        let trace = trace_of(async {
            let task = create_task(async { Ok("value") });
            turns(1).await?;
            create_task(ticks(1));
            tell("wait_for", wait_for(task, Duration::ZERO)).await?;
            nothing_is_left().await
        });
        assert_eq!(trace, "wait_for \"value\" 0 t0 then ok");
    }

    /// asyncio cancels a task that is not, and waits for it.
    #[test]
    fn cancels_a_task_in_the_step_that_it_begins_in() {
        let trace = trace_of(async {
            let task = create_task(nap(9));
            let handle = task.handle();
            turns(1).await?;
            let mut wait = Box::pin(wait_for(task, Duration::ZERO));
            start(&mut wait).await;
            note(handle.cancelling());
            tell("wait_for", wait).await
        });
        assert_eq!(trace, "1 wait_for TimeoutError");
    }

    #[test]
    fn cancels_a_task_that_is_not_done() {
        let trace = trace_of(async {
            let task = create_task(slow(1));
            let handle = task.handle();
            turns(1).await?;
            tell("wait_for", wait_for(task, Duration::ZERO)).await?;
            note(handle.cancelled());
            nothing_is_left().await
        });
        assert_eq!(
            trace,
            "told at 0 clean-up ok wait_for TimeoutError true 0 then ok"
        );
    }
}

/// Every way out of a timeout that struck takes its request back.
mod uncancel {
    use super::*;

    #[test]
    fn follows_a_drop_in_the_turn_of_the_strike() {
        let trace = trace_of(async {
            let timeout = Box::pin(wait_for(Event::new().wait(), secs(1)));
            select(Box::pin(nap(1)), timeout).await;
            nothing_is_left().await
        });
        assert_eq!(trace, "0 then ok");
    }

    /// The strike came while the wait was woken already, so its request was kept and not told.
    #[test]
    fn follows_a_drop_of_what_was_woken_before_the_strike() {
        let trace = trace_of(async {
            let mut inside = Box::pin(nap(1));
            start(&mut inside).await;
            let mut alarm = pin!(nap(1));
            start(&mut alarm).await;
            let timeout = Box::pin(wait_for(inside, secs(1)));
            select(alarm, timeout).await;
            nothing_is_left().await
        });
        assert_eq!(trace, "0 then ok");
    }

    #[test]
    fn follows_a_drop_during_the_clean_up() {
        let trace = trace_of(async {
            let timeout = Box::pin(wait_for(slow(9), secs(1)));
            select(timeout, Box::pin(nap(2))).await;
            note(clock());
            nothing_is_left().await
        });
        assert_eq!(trace, "told at 1 2 0 then ok");
    }

    #[test]
    fn of_one_leaves_the_request_of_the_other() {
        let trace = trace_of(async {
            let both = async {
                let _both = join!(
                    tell("a", wait_for(slow(2), secs(1))),
                    tell("b", wait_for(slow(1), secs(1))),
                );
                note(me().cancelling());
            };
            let _all = join!(both, async {
                nap(1).await?;
                turns(1).await?;
                note(format_args!("requests:{}", me().cancelling()));
                nap(1).await?;
                turns(1).await?;
                note(format_args!("requests:{}", me().cancelling()));
                Ok::<_, Error>(())
            });
            nothing_is_left().await
        });
        assert_eq!(
            trace,
            "told at 1 told at 1 requests:2 clean-up ok b TimeoutError requests:1 \
             clean-up ok a TimeoutError 0 0 then ok"
        );
    }

    /// The sleep was woken before the strike, so that the request is kept, and forgotten at zero.
    #[test]
    fn by_hand_forgets_what_was_kept() {
        let trace = trace_of(async {
            let mut alarm = Box::pin(nap(1));
            start(&mut alarm).await;
            let task = create_task(async {
                let mut sleep = Box::pin(nap(1));
                start(&mut sleep).await;
                tell("wait_for", wait_for(sleep, secs(1))).await?;
                nothing_is_left().await
            });
            alarm.await?;
            note(task.uncancel());
            task.await
        });
        assert_eq!(trace, "0 wait_for ok 0 then ok");
    }

    #[test]
    fn by_hand_forgets_it() {
        let trace = trace_of(async {
            let mut alarm = Box::pin(nap(1));
            start(&mut alarm).await;
            let task = create_task(async {
                tell("wait_for", wait_for(nap(9), secs(1))).await?;
                nothing_is_left().await
            });
            alarm.await?;
            note(task.uncancel());
            task.await
        });
        assert_eq!(trace, "0 wait_for TimeoutError 0 then ok");
    }
}
