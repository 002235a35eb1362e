//! A request to cancel: how it is kept, delivered as a value, counted, and taken back.
//!
//! Where asyncio can say the same, the traces are what CPython prints.

use crate::kit::*;
use futures::{
    FutureExt, StreamExt,
    future::{self, join_all, select},
    join,
    stream::FuturesUnordered,
};
use soloop::{
    Barrier, Condition, Error, Event, Lock, Result, Semaphore, Task, TaskHandle, create_task,
    current_task, wait_for, wrap_future,
};
use std::{
    cell::{Cell, RefCell},
    future::{pending, poll_fn},
    pin::pin,
    rc::Rc,
    task::Poll,
};

/// The running task.
fn me() -> TaskHandle {
    current_task().expect("a task is running")
}

/// The state that a task under test shows to others.
fn state<T>(task: &Task<T>) -> String {
    format!(
        "done:{} cancelled:{} cancelling:{}",
        task.done(),
        task.cancelled(),
        task.cancelling()
    )
}

mod request {
    use super::*;

    /// A step that a lone task's yield has ended leaves nothing of its request to the next.
    #[test]
    fn of_the_step_before_a_lone_tasks_yield_is_not_that_of_the_next() {
        let trace = trace_of(async {
            let task = create_task(async {
                tell("first", turns(1)).await?;
                me().uncancel();
                tell("second", turns(1)).await?;
                me().cancel();
                poll_fn(|_| {
                    note("polled");
                    Poll::<Result<()>>::Pending
                })
                .await
            });
            turns(1).await?;
            task.cancel();
            tell("task", task).await
        });
        assert_eq!(
            trace,
            "first CancelledError second ok polled polled task CancelledError"
        );
    }

    #[test]
    fn to_a_done_task_is_refused_and_not_counted() {
        let trace = trace_of(async {
            let task = create_task(turns(0));
            turns(1).await?;
            note(task.cancel());
            note(state(&task));
            Ok(())
        });
        assert_eq!(trace, "false done:true cancelled:false cancelling:0");
    }

    #[test]
    fn once_delivered_is_nothing_to_what_is_woken_in_the_same_step() {
        let trace = trace_of(async {
            let task = create_task(async {
                note(nap(9).await.is_err());
                let event = Event::new();
                let mut wait = Box::pin(event.wait());
                note(futures::poll!(&mut wait).is_pending());
                event.set();
                wait.await
            });
            turns(1).await?;
            task.cancel();
            note(task.await.is_ok());
            Ok(())
        });
        assert_eq!(trace, "true true true");
    }

    #[test]
    fn counts_up_and_uncancel_counts_down_to_zero() {
        let trace = trace_of(async {
            let task = create_task(nap(9));
            turns(1).await?;
            note(format_args!("{} {}", task.cancel(), task.cancel()));
            note(state(&task));
            note(
                [task.uncancel(), task.uncancel(), task.uncancel()]
                    .map(|n| n.to_string())
                    .join(" "),
            );
            turns(1).await?;
            note(state(&task));
            Ok(())
        });
        let (before, after) = (
            "done:false cancelled:false cancelling:2",
            "done:true cancelled:true cancelling:0",
        );
        assert_eq!(trace, format!("true true {before} 1 0 0 {after}"));
    }

    #[test]
    fn still_kept_is_forgotten_at_zero() {
        let trace = trace_of(async {
            me().cancel();
            me().uncancel();
            tell("forgotten", turns(1)).await?;
            me().cancel();
            me().cancel();
            note(me().uncancel());
            tell("kept", turns(1)).await?;
            tell("after", turns(1)).await?;
            note(me().uncancel());
            Ok(())
        });
        assert_eq!(trace, "forgotten ok 1 kept CancelledError after ok 0");
    }

    /// What was told is not kept any more, so there is nothing to forget.
    #[test]
    fn that_was_told_is_not_forgotten() {
        let trace = trace_of(async {
            let task = create_task(tell("task", nap(9)));
            turns(1).await?;
            task.cancel();
            note(task.uncancel());
            task.await
        });
        assert_eq!(trace, "0 task CancelledError");
    }

    #[test]
    fn twice_before_the_step_is_one_error() {
        let trace = trace_of(async {
            let task = create_task(async {
                tell("first", nap(9)).await?;
                tell("second", turns(1)).await
            });
            turns(1).await?;
            task.cancel();
            task.cancel();
            turns(2).await?;
            note(state(&task));
            Ok(())
        });
        let after = "done:true cancelled:false cancelling:2";
        assert_eq!(trace, format!("first CancelledError second ok {after}"));
    }

    #[test]
    fn twice_with_a_step_in_between_is_two_errors() {
        let trace = trace_of(async {
            let task = create_task(async {
                tell("first", nap(9)).await?;
                tell("second", nap(9)).await?;
                tell("third", turns(1)).await
            });
            turns(1).await?;
            task.cancel();
            turns(1).await?;
            task.cancel();
            task.await
        });
        assert_eq!(trace, "first CancelledError second CancelledError third ok");
    }

    #[test]
    fn may_be_swallowed_and_the_task_returns_its_value() {
        let trace = trace_of(async {
            let task = create_task(async {
                nap(9).await.unwrap_err();
                nap(1).await?;
                Ok("value")
            });
            turns(1).await?;
            task.cancel();
            let handle = task.handle();
            note(task.await?);
            note(format_args!(
                "{} {}",
                handle.cancelled(),
                handle.cancelling()
            ));
            Ok(())
        });
        assert_eq!(trace, "value false 1");
    }

    #[test]
    fn of_main_comes_out_of_run() {
        let result = run(async {
            me().cancel();
            nap(1).await
        });
        assert_eq!(outcome(result), "CancelledError");
    }
}

/// A waiter that is told is done to whoever looks, from then on.
mod told {
    use super::*;

    #[test]
    fn waiter_is_walked_past_by_a_semaphore() {
        let trace = trace_of(async {
            let semaphore = Semaphore::new(0);
            let first = create_task(tell("first", semaphore.acquire()));
            create_task(tell("second", semaphore.acquire()));
            turns(1).await?;
            first.cancel();
            semaphore.release();
            note(format_args!("{semaphore:?}"));
            turns(1).await?;
            note(format_args!("{semaphore:?}"));
            Ok(())
        });
        let (before, after) = ("<Semaphore [locked, waiters:2]>", "<Semaphore [locked]>");
        let expected = format!("{before} first CancelledError second ok {after}");
        assert_eq!(trace, expected);
    }

    #[test]
    fn waiters_leave_a_permit_to_the_next_who_asks() {
        let trace = trace_of(async {
            let semaphore = Semaphore::new(0);
            let tasks = ["a", "b"].map(|name| create_task(tell(name, semaphore.acquire())));
            turns(1).await?;
            tasks.iter().for_each(|task| assert!(task.cancel()));
            semaphore.release();
            note(format_args!("{semaphore:?}"));
            tell("main", semaphore.acquire()).await?;
            turns(1).await?;
            note(format_args!("{semaphore:?}"));
            Ok(())
        });
        let (before, after) = (
            "<Semaphore [unlocked, value:1, waiters:2]>",
            "<Semaphore [locked]>",
        );
        let expected = format!("{before} main ok a CancelledError b CancelledError {after}");
        assert_eq!(trace, expected);
    }

    /// The notification goes to the second, and what the first hands on to the third.
    #[test]
    fn waiter_is_walked_past_by_a_condition() {
        async fn wait(name: &str, condition: Condition) -> Result<()> {
            let mut held = condition.enter().await?;
            tell(name, held.wait()).await
        }
        let trace = trace_of(async {
            let condition = Condition::new();
            let first = create_task(wait("first", condition.clone()));
            let second = create_task(wait("second", condition.clone()));
            create_task(wait("third", condition.clone()));
            turns(1).await?;
            let held = condition.enter().await?;
            first.cancel();
            held.notify(1)?;
            drop(held);
            second.await?;
            turns(1).await
        });
        assert_eq!(trace, "first CancelledError second ok third ok");
    }

    #[test]
    fn waiter_is_walked_past_by_an_event() {
        let trace = trace_of(async {
            let event = Event::new();
            let first = create_task(tell("first", event.wait()));
            let second = create_task(tell("second", event.wait()));
            turns(1).await?;
            first.cancel();
            event.set();
            note(format_args!("{event:?}"));
            second.await?;
            note(format_args!("{event:?}"));
            Ok(())
        });
        let (before, after) = ("<Event [set, waiters:2]>", "<Event [set]>");
        assert_eq!(
            trace,
            format!("{before} first CancelledError second ok {after}")
        );
    }

    #[test]
    fn waiter_at_the_head_of_a_lock_passes_it_on() {
        let trace = trace_of(async {
            let lock = Lock::new();
            lock.acquire().await?;
            let head = create_task(tell("head", lock.acquire()));
            create_task(tell("next", lock.acquire()));
            create_task(tell("last", lock.acquire()));
            turns(1).await?;
            head.cancel();
            lock.release()?;
            note(format_args!("{lock:?}"));
            ticks(3).await
        });
        let expected = "<Lock [unlocked, waiters:3]> t0 head CancelledError t1 next ok t2 \
                        last CancelledError";
        assert_eq!(trace, expected);
    }
}

mod through_a_task {
    use super::*;

    #[test]
    fn goes_to_the_inner_one_and_comes_back_with_its_end() {
        let trace = trace_of(async {
            let inner = create_task(nap(9));
            let handle = inner.handle();
            let outer = create_task(tell("outer", inner));
            turns(1).await?;
            note(outer.cancel());
            for _ in 0..3 {
                note(format_args!("{}/{}", handle.cancelled(), outer.done()));
                turns(1).await?;
            }
            Ok(())
        });
        assert_eq!(
            trace,
            "true false/false true/false outer CancelledError true/true"
        );
    }

    #[test]
    fn may_be_swallowed_by_the_inner_one() {
        let trace = trace_of(async {
            let inner = create_task(async {
                tell("inner", nap(9)).await?;
                turns(1).await?;
                note("end");
                Ok(7)
            });
            let handle = inner.handle();
            let outer = create_task(tell("outer", inner));
            turns(1).await?;
            outer.cancel();
            note(format_args!(
                "{} {}",
                handle.cancelling(),
                outer.cancelling()
            ));
            ticks(4).await?;
            note(format_args!("{} {}", handle.cancelled(), outer.cancelled()));
            Ok(())
        });
        let expected = "1 1 t0 inner CancelledError t1 end t2 outer 7 t3 false false";
        assert_eq!(trace, expected);
    }

    #[test]
    fn that_awaits_another_goes_all_the_way() {
        let trace = trace_of(async {
            let innermost = create_task(tell("innermost", nap(9)));
            let middle = create_task(tell("middle", innermost));
            let outer = create_task(tell("outer", middle));
            turns(1).await?;
            outer.cancel();
            ticks(4).await
        });
        let expected = "t0 innermost CancelledError t1 middle ok t2 outer ok t3";
        assert_eq!(trace, expected);
    }

    #[test]
    fn finds_the_inner_one_done_and_is_raised_all_the_same() {
        let trace = trace_of(async {
            let inner = create_task(turns(1));
            let handle = inner.handle();
            let outer = create_task(async {
                tell("outer", inner).await?;
                tell("then", turns(1)).await
            });
            turns(2).await?;
            note(format_args!("{} {}", handle.done(), outer.cancel()));
            outer.await?;
            note(format_args!(
                "{} {}",
                handle.cancelled(),
                handle.cancelling()
            ));
            Ok(())
        });
        assert_eq!(trace, "true true outer CancelledError then ok false 0");
    }
}

mod await_of {
    use super::*;

    type Slot = Rc<RefCell<Option<Task<()>>>>;

    async fn await_slot(slot: Slot) -> Result<()> {
        let task = slot.take().expect("the task was put there");
        task.await
    }

    #[test]
    fn itself_is_refused() {
        let trace = trace_of(async {
            let slot = Slot::default();
            slot.replace(Some(create_task(tell("task", await_slot(slot.clone())))));
            turns(3).await
        });
        let refused = "Task cannot await on itself: <Task pending name='Task-2'>";
        assert_eq!(trace, format!("task RuntimeError: {refused}"));
    }

    /// Two tasks that await each other.
    fn circle() -> [TaskHandle; 2] {
        let (a, b) = (Slot::default(), Slot::default());
        let one = create_task(await_slot(b.clone()));
        let two = create_task(await_slot(a.clone()));
        let handles = [one.handle(), two.handle()];
        a.replace(Some(one));
        b.replace(Some(two));
        handles
    }

    #[test]
    fn each_other_is_a_deadlock() {
        let result = run(async {
            circle();
            Event::new().wait().await
        });
        let error = result.expect_err("nothing can run");
        let names: Vec<_> = stuck(&error).into_iter().map(|(task, _)| task).collect();
        assert_eq!(names, ["Task-1", "Task-2", "Task-3"]);
    }

    /// CPython recurses here until it fails.
    #[test]
    fn each_other_stays_a_deadlock_when_cancelled() {
        let result = run(async {
            let [one, two] = circle();
            turns(1).await?;
            note(format_args!("{} {}", one.cancel(), two.cancel()));
            turns(9).await
        });
        assert_eq!(noted(), "true true");
        assert!(matches!(result, Err(Error::Deadlock(_))), "{result:?}");
    }

    /// Main waits too, so that the deadlock is found before every task is cancelled for the shutdown.
    #[test]
    fn each_other_among_many_is_no_recursion() {
        let result = run(async {
            let slots: Vec<Slot> = (0..100_000).map(|_| Slot::default()).collect();
            for (index, slot) in slots.iter().enumerate() {
                let next = slots[(index + 1) % slots.len()].clone();
                slot.replace(Some(create_task(await_slot(next))));
            }
            let first = slots[0].borrow().as_ref().expect("just put there").handle();
            turns(1).await?;
            note(first.cancel());
            Event::new().wait().await
        });
        assert_eq!(noted(), "true");
        assert!(matches!(result, Err(Error::Deadlock(_))));
    }
}

/// The request finds a step that is queued already, or the running one.
mod kept {
    use super::*;

    #[test]
    fn is_raised_by_the_step_that_was_queued() {
        let trace = trace_of(async {
            let (lock, event) = (Lock::new(), Event::new());
            lock.acquire().await?;
            let waits = create_task(tell("event", event.wait()));
            let yields = create_task(tell("yield", turns(1)));
            let locks = create_task(tell("lock", lock.acquire()));
            create_task(tell("next", lock.acquire()));
            turns(1).await?;
            event.set();
            lock.release()?;
            for task in [&waits, &yields, &locks] {
                task.cancel();
            }
            turns(2).await
        });
        assert_eq!(
            trace,
            "yield CancelledError event CancelledError lock CancelledError next ok"
        );
    }

    /// The step was queued by a waker, and goes on waiting.
    #[test]
    fn is_passed_on_once() {
        let trace = trace_of(async {
            let (slot, task) = (Rc::new(RefCell::new(None)), create_task(nap(9)));
            let (kept, handle) = (slot.clone(), task.handle());
            let outer = create_task(async move {
                let waker = poll_fn(|cx| Poll::Ready(cx.waker().clone())).await;
                kept.replace(Some(waker));
                tell("task", task).await
            });
            turns(1).await?;
            slot.take().expect("it has run").wake();
            outer.cancel();
            outer.await?;
            note(handle.cancelling());
            Ok(())
        });
        assert_eq!(trace, "task CancelledError 1");
    }

    #[test]
    fn waits_for_the_next_await_that_suspends() {
        let trace = trace_of(async {
            let (lock, event) = (Lock::new(), Event::new());
            me().cancel();
            tell("free", lock.acquire()).await?;
            tell("held", lock.acquire()).await?;
            tell("after", wait_for(event.wait(), secs(1))).await?;
            note(format_args!("{lock:?} {event:?}"));
            Ok(())
        });
        let clean = "<Lock [locked]> <Event [unset]>";
        assert_eq!(
            trace,
            format!("free ok held CancelledError after TimeoutError {clean}")
        );
    }

    #[test]
    fn makes_an_ok_a_cancellation_and_leaves_an_error_alone() {
        let trace = trace_of(async {
            let task = create_task(async {
                me().cancel();
                Ok(1)
            });
            tell("kept", task).await?;
            let task = create_task(async {
                me().cancel();
                me().uncancel();
                Ok(1)
            });
            tell("forgotten", task).await?;
            let task = create_task(async {
                me().cancel();
                Err::<(), _>(Error::Value("mine".into()))
            });
            tell("error", task).await
        });
        assert_eq!(
            trace,
            "kept CancelledError forgotten 1 error ValueError: mine"
        );
    }

    #[test]
    fn before_the_first_step_lets_no_body_run() {
        let trace = trace_of(async {
            let value = NoteOnDrop("dropped");
            let task = create_task(async move {
                note("body");
                drop(value);
                Ok(())
            });
            note(task.cancel());
            tell("task", task).await
        });
        assert_eq!(trace, "true dropped task CancelledError");
    }

    #[test]
    fn and_forgotten_before_the_first_step_lets_the_body_run() {
        let trace = trace_of(async {
            let task = create_task(say("body"));
            task.cancel();
            task.uncancel();
            tell("task", task).await
        });
        assert_eq!(trace, "body task ok");
    }

    #[test]
    fn raised_without_a_request_is_a_cancellation_too() {
        let trace = trace_of(async {
            let task = create_task(async { Err::<(), _>(Error::Cancelled) });
            turns(1).await?;
            note(state(&task));
            Ok(())
        });
        assert_eq!(trace, "done:true cancelled:true cancelling:0");
    }
}

/// A request is delivered once, by the first future that returns it.
mod delivered {
    use super::*;

    #[test]
    fn is_not_raised_again() {
        let trace = trace_of(async {
            let task = create_task(async {
                tell("first", turns(1)).await?;
                tell("then", turns(1)).await
            });
            turns(1).await?;
            task.cancel();
            task.await
        });
        assert_eq!(trace, "first CancelledError then ok");
    }

    /// `select` sees a result of its own and drops the told wait, so the request is raised by the next.
    #[test]
    fn not_by_a_future_that_was_told_and_dropped() {
        let trace = trace_of(async {
            let (event, done) = (Event::new(), Rc::new(Cell::new(false)));
            let (waits, flag) = (event.wait(), done.clone());
            let task = create_task(async move {
                let other = poll_fn(|_| {
                    if flag.get() {
                        Poll::Ready(())
                    } else {
                        Poll::Pending
                    }
                });
                select(other, pin!(waits)).await;
                note("chosen");
                tell("next", turns(1)).await?;
                tell("then", turns(1)).await
            });
            turns(1).await?;
            done.set(true);
            task.cancel();
            note(format_args!("{event:?}"));
            task.await?;
            note(format_args!("{event:?}"));
            Ok(())
        });
        let (before, after) = ("<Event [unset, waiters:1]>", "<Event [unset]>");
        let expected = format!("{before} chosen next CancelledError then ok {after}");
        assert_eq!(trace, expected);
    }

    #[test]
    fn not_by_a_future_that_was_told_and_dropped_at_the_tasks_end() {
        let trace = trace_of(async {
            let done = Rc::new(Cell::new(false));
            let flag = done.clone();
            let task = create_task(async move {
                let other = poll_fn(|_| {
                    if flag.get() {
                        Poll::Ready(())
                    } else {
                        Poll::Pending
                    }
                });
                select(other, Box::pin(nap(9))).await;
                Ok("value")
            });
            turns(1).await?;
            done.set(true);
            task.cancel();
            tell("task", task).await
        });
        assert_eq!(trace, "task CancelledError");
    }

    /// The wait is dropped by somebody else before its task runs.
    #[test]
    fn not_by_a_future_that_another_task_dropped() {
        let trace = trace_of(async {
            let slot = Rc::new(RefCell::new(Some(Box::pin(nap(9)))));
            let polled = slot.clone();
            let task = create_task(async move {
                poll_fn(|cx| match polled.borrow_mut().as_mut() {
                    Some(nap) => nap.poll_unpin(cx).map(drop),
                    None => Poll::Ready(()),
                })
                .await;
                tell("next", turns(1)).await
            });
            turns(1).await?;
            task.cancel();
            drop(slot.take());
            task.await
        });
        assert_eq!(trace, "next CancelledError");
    }
}

/// Several of soloop's futures are pending inside one task: each is told.
mod several {
    use super::*;

    /// What was polled once and then left alone is not awaited.
    #[test]
    fn left_alone_are_not_told() {
        let trace = trace_of(async {
            let event = Event::new();
            let mut left = event.wait().boxed_local();
            let task = create_task(async {
                start(&mut left).await;
                turns(1).await?;
                tell("nap", nap(9)).await?;
                tell("left", left).await
            });
            nap(1).await?;
            task.cancel();
            turns(1).await?;
            event.set();
            task.await
        });
        assert_eq!(trace, "nap CancelledError left ok");
    }

    /// The same where the task is alone, and nothing but its yield lies between the two steps.
    #[test]
    fn left_alone_before_a_lone_tasks_yield_are_not_told() {
        let trace = trace_of(async {
            let [event, reached, never] = [(); 3].map(|()| Event::new());
            let mut left = event.wait().boxed_local();
            let task = create_task({
                let reached = reached.clone();
                async move {
                    start(&mut left).await;
                    turns(1).await?;
                    reached.set();
                    tell("never", never.wait()).await?;
                    tell("left", left).await
                }
            });
            reached.wait().await?;
            task.cancel();
            turns(1).await?;
            event.set();
            task.await
        });
        assert_eq!(trace, "never CancelledError left ok");
    }

    #[test]
    fn joined_are_all_told() {
        let trace = trace_of(async {
            let (lock, event, semaphore) = (Lock::new(), Event::new(), Semaphore::new(0));
            let barrier = Barrier::new(2)?;
            lock.acquire().await?;
            let (locks, waits) = (lock.acquire(), event.wait());
            let (permits, parties) = (semaphore.acquire(), barrier.wait());
            let task = create_task(async move {
                let _all = join!(
                    tell("lock", locks),
                    tell("event", waits),
                    tell("semaphore", permits),
                    tell("barrier", parties),
                    tell("sleep", nap(9)),
                    tell("yield", turns(9)),
                );
                tell("then", turns(1)).await
            });
            turns(1).await?;
            task.cancel();
            task.await?;
            note(format_args!("{lock:?} {event:?} {semaphore:?} {barrier:?}"));
            Ok(())
        });
        let told = ["lock", "event", "semaphore", "barrier", "sleep", "yield"]
            .map(|name| format!("{name} CancelledError "));
        let clean = "<Lock [locked]> <Event [unset]> <Semaphore [locked]> \
                     <Barrier [filling, waiters:0/2]>";
        assert_eq!(trace, format!("{}then ok {clean}", told.concat()));
    }

    #[test]
    fn selected_deliver_once() {
        let trace = trace_of(async {
            let task = create_task(async {
                let chosen = select(Box::pin(nap(1)), Box::pin(nap(2))).await;
                let (first, _second) = chosen.factor_first();
                note(outcome(first));
                tell("then", turns(1)).await
            });
            turns(1).await?;
            task.cancel();
            task.await
        });
        assert_eq!(trace, "CancelledError then ok");
    }

    /// It polls with wakers of its own, so a leaf that is told has to wake the one it was polled with.
    #[test]
    fn in_futures_unordered_are_all_told() {
        let trace = trace_of(async {
            let task = create_task(async {
                let naps = (1..4).map(|n| nap(n).map(move |told| (n, told)));
                let mut naps: FuturesUnordered<_> = naps.collect();
                let mut told = Vec::new();
                while let Some((n, result)) = naps.next().await {
                    assert!(matches!(result, Err(Error::Cancelled)));
                    told.push(n);
                }
                told.sort();
                note(format_args!("{told:?}"));
                tell("then", turns(1)).await
            });
            turns(1).await?;
            task.cancel();
            task.await
        });
        assert_eq!(trace, "[1, 2, 3] then ok");
    }

    #[test]
    fn in_a_join_of_many_are_all_told() {
        let told = run(async {
            let event = Event::new();
            let waits: Vec<_> = (0..100).map(|_| event.wait()).collect();
            let task = create_task(async { Ok(join_all(waits).await) });
            turns(1).await?;
            task.cancel();
            let results = task.await?;
            assert_eq!(format!("{event:?}"), "<Event [unset]>");
            Ok(results
                .iter()
                .filter(|told| matches!(told, Err(Error::Cancelled)))
                .count())
        });
        assert_eq!(told.unwrap(), 100);
    }

    /// In the step of the request one branch has been woken already; its request is kept for it all the same.
    #[test]
    fn of_which_one_is_woken_are_all_told() {
        let trace = trace_of(async {
            let (one, two) = (Event::new(), Event::new());
            let (first, second) = (one.wait(), two.wait());
            let task = create_task(async {
                let _both = join!(tell("first", first), tell("second", second));
                tell("then", turns(1)).await
            });
            turns(1).await?;
            one.set();
            task.cancel();
            task.await
        });
        assert_eq!(trace, "first CancelledError second CancelledError then ok");
    }

    #[test]
    fn with_a_task_among_them_tell_that_task() {
        let trace = trace_of(async {
            let inner = create_task(tell("inner", nap(9)));
            let task = create_task(async {
                let _both = join!(tell("task", inner), tell("sleep", nap(9)));
                tell("then", turns(1)).await
            });
            turns(1).await?;
            task.cancel();
            task.await
        });
        let words: Vec<_> = trace.split(' ').collect();
        assert!(trace.contains("inner CancelledError"), "{trace}");
        assert!(trace.contains("sleep CancelledError"), "{trace}");
        assert_eq!(words[words.len() - 4..].join(" "), "task ok then ok");
    }
}

/// A future that is not soloop's cannot be handed a value.
mod foreign {
    use super::*;

    async fn forever<T>(name: &'static str) -> T {
        let _value = NoteOnDrop(name);
        pending().await
    }

    #[test]
    fn future_is_dropped_with_its_task() {
        let trace = trace_of(async {
            let task = create_task(forever::<Result<()>>("dropped"));
            turns(1).await?;
            task.cancel();
            tell("task", task).await
        });
        assert_eq!(trace, "dropped task CancelledError");
    }

    #[test]
    fn future_in_a_timeout_that_strikes_is_dropped_with_it() {
        let trace = trace_of(async {
            tell(
                "wait_for",
                wait_for(forever::<Result<()>>("dropped"), secs(1)),
            )
            .await?;
            tell("then", turns(1)).await?;
            note(me().cancelling());
            Ok(())
        });
        assert_eq!(trace, "dropped wait_for TimeoutError then ok 0");
    }

    #[test]
    fn future_that_is_wrapped_delivers_like_the_others() {
        let trace = trace_of(async {
            let task = create_task(async {
                tell("wrapped", wrap_future(forever::<()>("dropped"))).await?;
                tell("then", turns(1)).await
            });
            turns(1).await?;
            task.cancel();
            task.await
        });
        assert_eq!(trace, "dropped wrapped CancelledError then ok");
    }

    #[test]
    fn futures_that_are_wrapped_are_all_told() {
        let trace = trace_of(async {
            let task = create_task(async {
                let _all = join!(
                    tell("a", wrap_future(pending::<()>())),
                    tell("b", wrap_future(pending::<()>())),
                    tell("c", nap(9)),
                );
                tell("then", turns(1)).await
            });
            turns(1).await?;
            task.cancel();
            task.await
        });
        assert_eq!(
            trace,
            "a CancelledError b CancelledError c CancelledError then ok"
        );
    }

    #[test]
    fn future_that_is_wrapped_returns_its_value() {
        let result = run(async {
            let (sender, receiver) = futures::channel::oneshot::channel();
            create_task(async {
                nap(1).await?;
                sender.send(7).map_err(|_| Error::Runtime("gone".into()))
            });
            wrap_future(receiver).await
        });
        assert_eq!(result.unwrap(), Ok(7));
    }

    /// The step goes on from the foreign future to one of soloop's, which is newly pending and told.
    #[test]
    fn future_that_is_ready_leaves_the_request_to_the_next_wait() {
        let trace = trace_of(async {
            let (sender, receiver) = futures::channel::oneshot::channel();
            let task = create_task(async {
                note(receiver.await.map_err(Error::other)?);
                tell("next", nap(1)).await?;
                tell("then", turns(1)).await
            });
            turns(1).await?;
            sender.send("value").expect("the task waits");
            task.cancel();
            task.await
        });
        assert_eq!(trace, "value next CancelledError then ok");
    }

    #[test]
    fn future_that_ends_the_task_leaves_it_cancelled() {
        let trace = trace_of(async {
            let (sender, receiver) = futures::channel::oneshot::channel::<()>();
            let task = create_task(receiver.map(|received| received.map_err(Error::other)));
            turns(1).await?;
            sender.send(()).expect("the task waits");
            task.cancel();
            tell("task", task).await
        });
        assert_eq!(trace, "task CancelledError");
    }

    /// There is something of soloop's to tell, so that the foreign future beside it is left alone.
    #[test]
    fn future_beside_one_of_soloops_is_left_alone() {
        let trace = trace_of(async {
            let (sender, receiver) = futures::channel::oneshot::channel();
            let task = create_task(async {
                let (_, received) = join!(tell("nap", nap(9)), receiver);
                note(received.map_err(Error::other)?);
                tell("then", turns(1)).await
            });
            turns(1).await?;
            task.cancel();
            turns(2).await?;
            sender.send("value").expect("the task waits");
            task.await
        });
        assert_eq!(trace, "nap CancelledError value then ok");
    }

    /// The first request is delivered by what can be told; for the second there is only the foreign future left.
    #[test]
    fn future_beside_one_of_soloops_is_dropped_by_a_second_request() {
        let trace = trace_of(async {
            let task = create_task(async {
                let _both = join!(tell("nap", nap(9)), forever::<()>("dropped"));
                Ok(())
            });
            turns(1).await?;
            task.cancel();
            turns(2).await?;
            note(task.done());
            task.cancel();
            tell("task", task).await
        });
        assert_eq!(
            trace,
            "nap CancelledError false dropped task CancelledError"
        );
    }

    /// The running task keeps its own request, and then waits for something that cannot be told.
    #[test]
    fn future_is_dropped_by_a_request_of_the_running_step() {
        let trace = trace_of(async {
            let task = create_task(async {
                me().cancel();
                forever::<Result<()>>("dropped").await
            });
            tell("task", task).await
        });
        assert_eq!(trace, "dropped task CancelledError");
    }

    #[test]
    fn main_is_dropped_too() {
        let result = run(async {
            me().cancel();
            forever::<Result<()>>("dropped").await
        });
        note(outcome(result));
        assert_eq!(noted(), "dropped CancelledError");
    }

    #[test]
    fn future_that_never_waited_is_not_asked() {
        let trace = trace_of(async {
            me().cancel();
            note(future::ready("ready").await);
            tell("next", turns(1)).await
        });
        assert_eq!(trace, "ready next CancelledError");
    }
}

/// What each primitive then does is in its CPython source.
mod primitive {
    use super::*;

    #[test]
    fn condition_takes_the_lock_back_however_often_it_is_cancelled() {
        let trace = trace_of(async {
            let condition = Condition::new();
            let waiting = condition.clone();
            let task = create_task(async move {
                waiting.acquire().await?;
                tell("wait", waiting.wait()).await?;
                note(waiting.locked());
                waiting.release()?;
                tell("then", turns(1)).await
            });
            turns(1).await?;
            condition.acquire().await?;
            condition.notify(1)?;
            turns(1).await?;
            for _ in 0..3 {
                task.cancel();
                turns(1).await?;
                note(task.done());
            }
            condition.release()?;
            turns(3).await?;
            note(state(&task));
            Ok(())
        });
        let after = "done:true cancelled:false cancelling:3";
        assert_eq!(
            trace,
            format!("false false false wait CancelledError true then ok {after}")
        );
    }

    #[test]
    fn condition_notifies_another_in_place_of_the_cancelled() {
        async fn wait(name: &str, condition: Condition) -> Result<()> {
            let mut held = condition.enter().await?;
            tell(name, held.wait()).await
        }
        let trace = trace_of(async {
            let condition = Condition::new();
            let tasks = ["a", "b", "c"].map(|name| create_task(wait(name, condition.clone())));
            turns(1).await?;
            let held = condition.enter().await?;
            held.notify(1)?;
            drop(held);
            tasks[0].cancel();
            ticks(4).await?;
            note(format_args!("{condition:?}"));
            tasks[2].cancel();
            turns(1).await
        });
        let left = "<Condition [unlocked, waiters:1]>";
        assert_eq!(
            trace,
            format!("t0 a CancelledError t1 b ok t2 t3 {left} c CancelledError")
        );
    }

    #[test]
    fn semaphore_gives_the_permit_back_and_wakes_as_many_as_may_go() {
        let trace = trace_of(async {
            let semaphore = Semaphore::new(0);
            let names = ["a", "b", "c", "d"];
            let tasks = names.map(|name| create_task(tell(name, semaphore.acquire())));
            turns(1).await?;
            semaphore.release();
            semaphore.release();
            tasks[0].cancel();
            note(format_args!("{semaphore:?}"));
            ticks(3).await?;
            note(format_args!("{semaphore:?}"));
            tasks[3].cancel();
            turns(1).await
        });
        let (before, after) = (
            "<Semaphore [locked, waiters:4]>",
            "<Semaphore [locked, waiters:1]>",
        );
        assert_eq!(
            trace,
            format!("{before} t0 a CancelledError b ok t1 c ok t2 {after} d CancelledError")
        );
    }

    #[test]
    fn barrier_leaves_the_count_as_asyncio_does() {
        let trace = trace_of(async {
            let barrier = Barrier::new(3)?;
            let first = create_task(tell("a", barrier.wait()));
            create_task(tell("b", barrier.wait()));
            turns(1).await?;
            first.cancel();
            note(barrier.n_waiting());
            turns(1).await?;
            note(barrier.n_waiting());
            create_task(tell("c", barrier.wait()));
            create_task(tell("d", barrier.wait()));
            turns(4).await?;
            note(format_args!("{barrier:?}"));
            Ok(())
        });
        let clean = "<Barrier [filling, waiters:0/3]>";
        assert_eq!(trace, format!("2 a CancelledError 1 d 2 b 1 c 1 {clean}"));
    }

    #[test]
    fn barrier_drains_without_the_cancelled() {
        let trace = trace_of(async {
            let barrier = Barrier::new(3)?;
            let first = create_task(tell("a", barrier.wait()));
            create_task(tell("b", barrier.wait()));
            turns(1).await?;
            tell("main", barrier.wait()).await?;
            first.cancel();
            note(format_args!("{barrier:?}"));
            ticks(1).await?;
            note(format_args!("{barrier:?}"));
            Ok(())
        });
        let (before, after) = (
            "<Barrier [draining, waiters:0/3]>",
            "<Barrier [filling, waiters:0/3]>",
        );
        assert_eq!(
            trace,
            format!("main 2 {before} t0 a CancelledError b 1 {after}")
        );
    }
}
