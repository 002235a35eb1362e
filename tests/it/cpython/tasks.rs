//! `test_tasks.py`, as far as it is about what soloop has: tasks, their names and ends, cancels and sleep.

use super::{Log, call_later, call_soon, ms, outcome, outcomes, run, run_briefly, turn};
use soloop::{
    Error, Event, EventLoop, Result, Task, TaskHandle, create_task, current_task, sleep, time,
    wait_for,
};
use std::cell::{Cell, OnceCell, RefCell};
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

const LONG: Duration = Duration::from_secs(10);

/// A task that sleeps for ten seconds, which no case lets it do.
fn sleeper() -> Task<()> {
    create_task(sleep(LONG))
}

/// Done, and cancelled.
fn end<T>(task: &Task<T>) -> (bool, bool) {
    (task.done(), task.cancelled())
}

const RETURNED: (bool, bool) = (true, false);
const CANCELLED: (bool, bool) = (true, true);
const PENDING: (bool, bool) = (false, false);

// BaseTaskTests: what runs as a task, and how it ends

#[test]
fn a_result_may_use_the_loop_as_it_is_dropped() {
    struct Evil(Log<bool>);
    impl Drop for Evil {
        fn drop(&mut self) {
            create_task(async { Ok(()) });
            self.0.push(current_task().is_some());
        }
    }
    run(async {
        let log = Log::new();
        let evil = || Evil(log.clone());
        let tasks: Vec<_> = std::iter::repeat_with(evil).take(100).collect();
        let tasks: Vec<_> = tasks
            .into_iter()
            .map(|evil| create_task(async { Ok(evil) }))
            .collect();
        turn().await?;
        for task in tasks {
            drop(task.await?);
        }
        assert_eq!(log.seen(), [true; 100]);
        Ok(())
    });
}

#[test]
fn what_another_loop_waits_for_cannot_be_awaited() {
    let event = Event::new();
    run(async {
        assert!(wait_for(event.wait(), ms(1)).await.is_err());
        Ok(())
    });
    let waited = run(async { Ok(outcome(event.wait().await)) });
    let text = "RuntimeError: <Event [unset]> is bound to a different event loop";
    assert_eq!(waited, text);
}

#[test]
fn a_task_cannot_await_itself() {
    run(async {
        let (itself, log) = (Rc::new(RefCell::new(None)), Log::new());
        let (slot, seen) = (itself.clone(), log.clone());
        let task = create_task(async move {
            let task: Task<()> = slot.take().expect("main put it there");
            seen.push(outcome(task.await));
            Ok(())
        });
        itself.replace(Some(task));
        let trace = [log.after_a_turn().await?, log.after_a_turn().await?];
        let text = "RuntimeError: Task cannot await on itself: <Task pending name='Task-2'>";
        assert_eq!(trace, [vec![], vec![text.to_string()]]);
        Ok(())
    });
}

#[test]
fn a_task_ends_with_what_its_coroutine_returns() {
    run(async {
        let mut task = create_task(async { Ok("ok") });
        assert_eq!(end(&task), PENDING);
        assert_eq!((&mut task).await?, "ok");
        assert_eq!(end(&task), RETURNED);
        Ok(())
    });
}

#[test]
#[should_panic(expected = "no running event loop")]
fn create_task_without_a_loop_panics() {
    create_task(async { Ok("ok") });
}

/// A coroutine that no `async` made: it is ready when it has been polled so often.
struct Countdown(u32);

impl Future for Countdown {
    type Output = Result<&'static str>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if self.0 == 0 {
            return Poll::Ready(Ok("ok"));
        }
        self.0 -= 1;
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

#[test]
fn a_future_written_by_hand_runs_as_a_task() {
    run(async {
        let tasks = [Countdown(0), Countdown(3)].map(create_task);
        turn().await?;
        assert_eq!(tasks.each_ref().map(Task::done), [true, false]);
        assert_eq!(outcomes(super::gather(tasks).await), ["\"ok\""; 2]);
        Ok(())
    });
}

#[test]
fn a_bare_sleep_runs_as_a_task() {
    run(async {
        let mut task = create_task(sleep(Duration::ZERO));
        (&mut task).await?;
        assert_eq!(end(&task), RETURNED);
        Ok(())
    });
}

#[test]
fn a_task_prints_its_state_and_its_name() {
    run(async {
        let mut task = sleeper();
        task.set_name("TestTask");
        let mut shown = vec![format!("{task:?}")];
        task.cancel();
        shown.push(format!("{task:?}"));
        assert!((&mut task).await.is_err());
        shown.push(format!("{task:?}"));
        let task = create_task(async { Ok("abc") });
        task.set_name("TestTask");
        turn().await?;
        shown.push(format!("{task:?}"));
        let lines = [
            "<Task pending name='TestTask'>",
            "<Task cancelling name='TestTask'>",
            "<Task cancelled name='TestTask'>",
            "<Task finished name='TestTask'>",
        ];
        assert_eq!(shown, lines);
        Ok(())
    });
}

#[test]
fn tasks_without_a_name_are_counted() {
    run(async {
        let tasks = [(); 2].map(|()| create_task(async { Ok(123) }));
        let shown = tasks.each_ref().map(|task| format!("{task:?}"));
        let lines = [
            "<Task pending name='Task-2'>",
            "<Task pending name='Task-3'>",
        ];
        assert_eq!(shown, lines);
        assert_eq!(
            current_task().map(|main| main.name()),
            Some("Task-1".into())
        );
        Ok(())
    });
}

#[test]
fn a_name_that_looks_like_a_number_is_a_name() {
    run(async {
        let task = create_task(async { Ok(123) });
        let mut names = vec![task.name()];
        for name in ["987654321", "123456789"] {
            task.set_name(name);
            names.push(task.name());
        }
        assert_eq!(names, ["Task-2", "987654321", "123456789"]);
        Ok(())
    });
}

#[test]
fn the_deadlock_report_says_what_a_task_waits_for() {
    let ran = EventLoop::with_virtual_clock().run(async {
        let event = Event::new();
        create_task(event.wait()).await
    });
    let Err(Error::Deadlock(report)) = ran else {
        panic!("expected a deadlock, not {ran:?}");
    };
    let waits = report.tasks().find(|(name, _)| *name == "Task-2");
    assert_eq!(waits, Some(("Task-2", "<Event [unset, waiters:1]>")));
}

#[test]
fn coroutines_await_each_other_without_a_task() {
    async fn inner(value: i32) -> Result<i32> {
        Ok(value)
    }
    let sum = run(async { Ok(inner(42).await? + inner(1000).await?) });
    assert_eq!(sum, 1042);
}

// Requests to cancel, counted

#[test]
fn a_task_may_be_cancelled_twice_before_it_runs() {
    run(async {
        let task = sleeper();
        let mut counts = vec![task.cancelling()];
        for _ in 0..2 {
            assert!(task.cancel());
            counts.push(task.cancelling());
        }
        assert_eq!(counts, [0, 1, 2]);
        assert_eq!(outcome(task.await), "CancelledError");
        Ok(())
    });
}

#[test]
fn a_task_that_takes_a_cancel_back_can_be_cancelled_again() {
    run(async {
        let mut task = create_task(async {
            if let Err(Error::Cancelled) = sleep(LONG).await {
                current_task().expect("a task runs").uncancel();
            }
            sleep(LONG).await
        });
        sleep(ms(10)).await?;
        let mut trace = vec![(task.cancel(), task.cancelling(), end(&task))];
        sleep(ms(10)).await?;
        trace.push((false, task.cancelling(), end(&task)));
        trace.push((task.cancel(), task.cancelling(), end(&task)));
        assert_eq!(outcome((&mut task).await), "CancelledError");
        assert_eq!(
            trace,
            [(true, 1, PENDING), (false, 0, PENDING), (true, 1, PENDING)]
        );
        task.uncancel();
        assert_eq!((task.cancelling(), end(&task)), (0, CANCELLED));
        Ok(())
    });
}

/// A timeout by hand, by the rules that `asyncio.timeout` keeps: did it strike, and did the sleep end?
async fn sleep_with_timeout(delay: Duration, timeout: Duration) -> Result<(bool, bool)> {
    let task = current_task().expect("a task runs");
    let timed_out = Rc::new(Cell::new(false));
    let (struck, cancelled) = (timed_out.clone(), task.clone());
    let timer = call_later(timeout, move || {
        struck.set(true);
        cancelled.cancel();
    });
    let slept = sleep(delay).await;
    timer.cancel();
    let finished = slept.is_ok();
    if !(timed_out.get() && task.uncancel() == 0 && matches!(slept, Err(Error::Cancelled))) {
        slept?;
    }
    turn().await?; // code outside the block, which the timeout does not reach
    Ok((timed_out.get(), finished))
}

#[test]
fn uncancel_keeps_a_timeout_to_its_block() {
    run(async {
        let mut late = create_task(sleep_with_timeout(LONG, ms(100)));
        assert_eq!((&mut late).await?, (true, false));
        let mut in_time = create_task(sleep_with_timeout(Duration::ZERO, LONG));
        assert_eq!((&mut in_time).await?, (false, true));
        assert_eq!([late.cancelling(), in_time.cancelling()], [0, 0]);
        Ok(())
    });
}

#[test]
fn uncancel_takes_back_a_request_that_is_still_kept() {
    run(async {
        let event = Event::new();
        let awaited = event.clone();
        let task = create_task(async move { awaited.wait().await.map(|()| 42) });
        turn().await?;
        event.set();
        task.cancel();
        let mut counts = vec![task.cancelling()];
        counts.push(task.uncancel());
        assert_eq!(
            (counts, outcome(task.await)),
            (vec![1, 0], "42".to_string())
        );
        Ok(())
    });
}

// Cancels, delivered

#[test]
fn a_sleeping_task_is_cancelled() {
    run(async {
        let mut task = create_task(async { sleep(LONG).await.map(|()| 12) });
        let handle = task.handle();
        call_soon(move || {
            handle.cancel();
        });
        assert_eq!(outcome((&mut task).await), "CancelledError");
        assert_eq!((end(&task), task.cancel()), (CANCELLED, false));
        assert_eq!(time(), ms(0));
        Ok(())
    });
}

#[test]
fn a_task_may_answer_a_cancel_with_an_error_of_its_own() {
    run(async {
        let outer = create_task(async {
            let inner = sleeper();
            turn().await?;
            let handle = inner.handle();
            call_soon(move || {
                handle.cancel();
            });
            match inner.await {
                Err(Error::Cancelled) => Err(Error::Value("cancelled".into())),
                ended => ended,
            }
        });
        assert_eq!(outcome(outer.await), "ValueError: cancelled");
        Ok(())
    });
}

#[test]
fn a_task_cancelled_before_its_first_step_never_starts() {
    run(async {
        let started = Rc::new(Cell::new(false));
        let flag = started.clone();
        let mut task = create_task(async move {
            flag.set(true);
            sleep(LONG).await
        });
        task.cancel();
        assert_eq!(outcome((&mut task).await), "CancelledError");
        assert_eq!((end(&task), started.get()), (CANCELLED, false));
        Ok(())
    });
}

#[test]
fn a_yielding_task_is_cancelled() {
    run(async {
        let mut task = create_task(async {
            turn().await?;
            turn().await?;
            turn().await?;
            Ok(12)
        });
        run_briefly().await?;
        task.cancel();
        assert_eq!(outcome((&mut task).await), "CancelledError");
        assert_eq!((end(&task), task.cancel()), (CANCELLED, false));
        Ok(())
    });
}

/// A task that awaits another, and the handle of that other.
fn outer_and_inner() -> (Task<i32>, TaskHandle) {
    let inner = create_task(async { Event::new().wait().await });
    let handle = inner.handle();
    (create_task(async move { inner.await.map(|()| 12) }), handle)
}

#[test]
fn a_cancel_of_what_is_awaited_arrives_at_the_awaiting_task() {
    run(async {
        let (mut task, inner) = outer_and_inner();
        run_briefly().await?;
        inner.cancel();
        assert_eq!(outcome((&mut task).await), "CancelledError");
        assert_eq!((inner.cancelled(), end(&task)), (true, CANCELLED));
        assert_eq!((inner.cancelling(), task.cancelling()), (1, 0));
        Ok(())
    });
}

#[test]
fn a_task_and_what_it_awaits_may_both_be_cancelled() {
    run(async {
        let (mut task, inner) = outer_and_inner();
        run_briefly().await?;
        inner.cancel();
        task.cancel();
        assert_eq!(outcome((&mut task).await), "CancelledError");
        assert_eq!((inner.cancelled(), end(&task)), (true, CANCELLED));
        assert_eq!((inner.cancelling(), task.cancelling()), (2, 1));
        Ok(())
    });
}

/// What events print while a task stands at the first, the second ... of them.
fn waited_for(events: &[Event]) -> Vec<bool> {
    let waiting = |event| format!("{event:?}").contains("waiters:1");
    events.iter().map(waiting).collect()
}

#[test]
fn a_task_may_return_when_it_is_cancelled() {
    run(async {
        let events = [Event::new(), Event::new()];
        let [first, second] = events.clone();
        let mut task = create_task(async move {
            first.wait().await?;
            match second.wait().await {
                Err(Error::Cancelled) => Ok(42),
                waited => waited.map(|()| 0),
            }
        });
        run_briefly().await?;
        let mut trace = vec![waited_for(&events)];
        events[0].set();
        run_briefly().await?;
        trace.push(waited_for(&events));
        task.cancel();
        assert_eq!(outcome((&mut task).await), "42");
        trace.push(waited_for(&events));
        assert_eq!(trace, [[true, false], [false, true], [false, false]]);
        assert_eq!((end(&task), task.cancelling()), (RETURNED, 1));
        Ok(())
    });
}

#[test]
fn a_task_may_go_on_when_it_is_cancelled() {
    run(async {
        let events = [Event::new(), Event::new(), Event::new()];
        let [first, second, third] = events.clone();
        let mut task = create_task(async move {
            first.wait().await?;
            let _cancelled = second.wait().await;
            third.wait().await?;
            Ok(42)
        });
        run_briefly().await?;
        let mut trace = vec![waited_for(&events)];
        events[0].set();
        run_briefly().await?;
        trace.push(waited_for(&events));
        task.cancel();
        run_briefly().await?;
        trace.push(waited_for(&events));
        events[2].set();
        assert_eq!(
            (outcome((&mut task).await), end(&task)),
            ("42".into(), RETURNED)
        );
        let stands = [
            [true, false, false],
            [false, true, false],
            [false, false, true],
        ];
        assert_eq!(trace, stands);
        Ok(())
    });
}

#[test]
fn a_task_that_cancels_itself_hears_of_it_at_its_next_wait() {
    run(async {
        let reached = Rc::new(Cell::new(false));
        let flag = reached.clone();
        let mut task = create_task(async move {
            current_task().expect("a task runs").cancel();
            flag.set(true);
            sleep(Duration::from_secs(100)).await.map(|()| 12)
        });
        assert_eq!(end(&task), PENDING);
        assert_eq!(outcome((&mut task).await), "CancelledError");
        assert_eq!((end(&task), task.cancel()), (CANCELLED, false));
        assert_eq!((reached.get(), time()), (true, ms(0)));
        Ok(())
    });
}

#[test]
fn a_task_that_cancels_itself_and_returns_is_cancelled() {
    run(async {
        let mut task = create_task(async {
            current_task().expect("a task runs").cancel();
            Ok(12)
        });
        assert_eq!(end(&task), PENDING);
        assert_eq!(outcome((&mut task).await), "CancelledError");
        assert_eq!((end(&task), task.cancel()), (CANCELLED, false));
        Ok(())
    });
}

#[test]
fn a_request_that_is_kept_goes_to_the_task_that_is_awaited_next() {
    run(async {
        let (event, nested) = (Event::new(), Rc::new(OnceCell::new()));
        let (awaited, slot) = (event.clone(), nested.clone());
        let mut task = create_task(async move {
            let nested = create_task(async move { awaited.wait().await });
            slot.set(nested.handle()).expect("it is set once");
            turn().await?;
            current_task().expect("a task runs").cancel();
            nested.await
        });
        assert_eq!(outcome((&mut task).await), "CancelledError");
        assert_eq!(end(&task), CANCELLED);
        assert!(nested.get().is_some_and(TaskHandle::cancelled));
        assert_eq!(format!("{event:?}"), "<Event [unset]>");
        Ok(())
    });
}

// sleep

#[test]
fn two_sleeps_take_as_long_as_both() {
    run(async {
        let mut task = create_task(async {
            sleep(ms(50)).await?;
            sleep(ms(50)).await?;
            Ok("yeah")
        });
        assert_eq!(
            (outcome((&mut task).await), end(&task)),
            ("\"yeah\"".into(), RETURNED)
        );
        assert_eq!(time(), ms(100));
        Ok(())
    });
}

#[test]
fn a_cancelled_sleep_leaves_no_timer_behind() {
    let mut event_loop = EventLoop::with_virtual_clock();
    let ran = event_loop.run(async {
        let task = sleeper();
        run_briefly().await?;
        task.cancel();
        run_briefly().await?;
        assert_eq!(end(&task), CANCELLED);
        Event::new().wait().await // with a timer this would go on until it is due
    });
    assert!(matches!(ran, Err(Error::Deadlock(_))), "{ran:?}");
    assert_eq!(event_loop.time(), ms(0));
}

#[test]
fn a_sleep_is_cut_short_by_a_cancel() {
    run(async {
        let sleeper = create_task(sleep(Duration::from_secs(5000)));
        let handle = sleeper.handle();
        call_later(ms(100), move || {
            handle.cancel();
        });
        assert_eq!(outcome(sleeper.await), "CancelledError");
        assert_eq!(time(), ms(100));
        Ok(())
    });
}

#[test]
fn a_cancel_takes_the_waiter_away() {
    run(async {
        let event = Event::new();
        let mut task = create_task(event.wait());
        run_briefly().await?;
        let mut shown = vec![format!("{event:?}")];
        task.cancel();
        run_briefly().await?;
        shown.push(format!("{event:?}"));
        assert_eq!(shown, ["<Event [unset, waiters:1]>", "<Event [unset]>"]);
        assert_eq!(
            (end(&task), outcome((&mut task).await)),
            (CANCELLED, "CancelledError".into())
        );
        Ok(())
    });
}

#[test]
fn a_task_goes_on_in_the_turn_after_it_was_woken() {
    run(async {
        let (event, log) = (Event::new(), Log::new());
        let (awaited, seen) = (event.clone(), log.clone());
        let task = create_task(async move {
            awaited.wait().await?;
            seen.push("woken");
            Ok(())
        });
        run_briefly().await?;
        event.set();
        let before = log.seen();
        assert_eq!((before, log.after_a_turn().await?), (vec![], vec!["woken"]));
        assert_eq!(end(&task), RETURNED);
        Ok(())
    });
}

#[test]
fn a_panic_that_answers_a_cancel_unwinds_through_run() {
    let unwound = catch_unwind(AssertUnwindSafe(|| {
        EventLoop::with_virtual_clock().run(async {
            let task = create_task(async {
                match sleep(LONG).await {
                    Err(Error::Cancelled) => resume_unwind(Box::new("SystemExit")),
                    slept => slept,
                }
            });
            run_briefly().await?;
            task.cancel();
            assert!(!task.done());
            run_briefly().await?;
            Ok("main was not told")
        })
    }));
    let payload = unwound.expect_err("the panic is no error that a task ends with");
    assert_eq!(payload.downcast_ref(), Some(&"SystemExit"));
    assert_eq!(run(async { Ok("again") }), "again");
}

#[test]
fn a_task_may_return_a_task() {
    run(async {
        let inner = create_task(async { Ok("test") });
        let outer = create_task(async move { Ok(inner) });
        let inner = outer.await?;
        assert_eq!((inner.done(), inner.await?), (true, "test"));
        Ok(())
    });
}

// current_task

#[test]
fn the_current_task_is_the_one_that_runs() {
    let before = current_task();
    run(async {
        let task = create_task(async { Ok(current_task()) });
        let handle = task.handle();
        assert_eq!(task.await?, Some(handle));
        Ok(())
    });
    assert_eq!([before, current_task()], [None, None]);
}

#[test]
fn the_current_task_is_each_in_its_turn() {
    run(async {
        let (first, second, log) = (Event::new(), Event::new(), Log::new());
        let tell = |log: &Log<String>| {
            log.push(current_task().map_or_else(|| "nobody".into(), |task| task.name()));
        };
        let (awaited, set, seen) = (first.clone(), second.clone(), log.clone());
        let one = create_task(async move {
            tell(&seen);
            awaited.wait().await?;
            tell(&seen);
            set.set();
            Ok(())
        });
        let seen = log.clone();
        let two = create_task(async move {
            tell(&seen);
            first.set();
            second.wait().await?;
            tell(&seen);
            Ok(())
        });
        assert_eq!(outcomes(super::gather([one, two]).await), ["()"; 2]);
        assert_eq!(log.seen(), ["Task-2", "Task-3", "Task-2", "Task-3"]);
        Ok(())
    });
}

#[test]
fn a_cancel_passes_through_all_coroutines_of_its_task() {
    run(async {
        let (event, proof) = (Event::new(), Rc::new(Cell::new(0)));
        let (awaited, count) = (event.clone(), proof.clone());
        let task = create_task(async move {
            let inner = async {
                let waited = awaited.wait().await;
                count.set(count.get() + i32::from(waited.is_err()));
                waited
            };
            let passed = inner.await;
            count.set(count.get() + if passed.is_err() { 100 } else { 10 });
            Ok(())
        });
        run_briefly().await?;
        task.cancel();
        task.await?;
        assert_eq!(
            (proof.get(), format!("{event:?}")),
            (101, "<Event [unset]>".into())
        );
        Ok(())
    });
}

// Reports, create_task and the rest

#[test]
fn an_error_that_a_late_cancel_met_is_not_reported() {
    let (mut event_loop, reports) = (EventLoop::with_virtual_clock(), Log::new());
    let log = reports.clone();
    event_loop.set_exception_handler(move |failure| log.push(failure.name().to_string()));
    let ran = event_loop.run(async {
        for cancelled in [true, false] {
            let task = create_task(async { Err::<(), _>(Error::Value("".into())) });
            sleep(ms(50)).await?;
            if cancelled {
                assert!(!task.cancel());
            }
        }
        Ok(())
    });
    assert_eq!(
        (outcome(ran), reports.seen()),
        ("()".into(), vec!["Task-3".to_string()])
    );
}

#[test]
fn a_task_is_made_and_awaited() {
    run(async {
        let task = create_task(async { Ok(1) });
        assert_eq!(task.await?, 1);
        Ok(())
    });
}

#[test]
fn a_task_answers_to_the_name_it_was_given() {
    run(async {
        let task = create_task(async { Ok(current_task().map(|task| task.name())) });
        task.set_name("No-op");
        assert_eq!(task.name(), "No-op");
        assert_eq!(task.await?, Some("No-op".into()));
        Ok(())
    });
}

// BaseCurrentLoopTests, CoroutineGatherTests, SleepTests

#[test]
fn outside_any_loop_there_is_no_current_task() {
    assert_eq!(current_task(), None);
}

#[test]
fn a_cancel_reaches_every_task_that_is_joined() {
    run(async {
        let (event, proof) = (Event::new(), Rc::new(Cell::new(0)));
        let children = [(); 2].map(|()| {
            let (event, proof) = (event.clone(), proof.clone());
            create_task(async move {
                event.wait().await?;
                proof.set(proof.get() + 1);
                Ok(())
            })
        });
        let handles = children.each_ref().map(Task::handle);
        let [first, second] = children;
        let count = proof.clone();
        let outer = create_task(async move {
            let (first, second) = futures::join!(first, second);
            first.and(second)?;
            count.set(count.get() + 100);
            Ok(())
        });
        run_briefly().await?;
        assert!(outer.cancel());
        assert_eq!(outcome(outer.await), "CancelledError");
        assert!(handles.iter().all(TaskHandle::cancelled));
        assert_eq!(
            (format!("{event:?}"), proof.get()),
            ("<Event [unset]>".into(), 0)
        );
        Ok(())
    });
}

#[test]
fn a_sleep_of_zero_lets_what_was_queued_before_it_run() {
    run(async {
        let log = Log::new();
        let seen = log.clone();
        call_soon(move || seen.push(1));
        let mut trace = vec![log.seen()];
        sleep(Duration::ZERO).await?;
        trace.push(log.seen());
        assert_eq!(trace, [vec![], vec![1]]);
        Ok(())
    });
}
