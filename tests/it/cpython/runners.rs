//! `test_runners.py`: one run from end to end, and its way out.

use super::{Log, ms, outcome, turn};
use soloop::{Error, Event, EventLoop, Result, create_task, current_task, sleep, time};
use std::cell::{Cell, OnceCell};
use std::rc::Rc;
use std::time::Duration;

// RunTests

#[test]
fn run_returns_what_main_returns() {
    let ran = soloop::run(async {
        turn().await?;
        Ok(42)
    });
    assert_eq!(outcome(ran), "42");
}

#[test]
fn run_raises_what_main_raises() {
    let ran = soloop::run(async {
        turn().await?;
        Err::<(), _>(Error::Value("spam".into()))
    });
    assert_eq!(outcome(ran), "ValueError: spam");
}

#[test]
fn run_inside_a_running_loop_is_refused() {
    let started = Cell::new(false);
    let ran = soloop::run(async {
        soloop::run(async {
            started.set(true);
            Ok(())
        })
    });
    let text = "RuntimeError: run() cannot be called from a running event loop";
    assert_eq!((outcome(ran).as_str(), started.get()), (text, false));
}

#[test]
fn run_cancels_the_tasks_that_main_leaves_behind() {
    let leftover = OnceCell::new();
    let ran = soloop::run(async {
        let task = create_task(sleep(ms(100)));
        leftover.set(task.handle()).expect("main runs once");
        Ok(123)
    });
    let task = leftover.get().expect("main made it");
    assert_eq!(
        (outcome(ran).as_str(), task.done(), task.cancelled()),
        ("123", true, true)
    );
}

/// A loop whose exception handler keeps what it is told.
fn reporting_loop() -> (EventLoop, Log<String>) {
    let (mut event_loop, reports) = (EventLoop::with_virtual_clock(), Log::new());
    let log = reports.clone();
    event_loop.set_exception_handler(move |failure| {
        log.push(format!("{} ended with {}", failure.name(), failure.error()));
        log.push(failure.to_string());
    });
    (event_loop, reports)
}

/// Answers a cancel with an error of its own.
async fn fail_when_cancelled() -> Result<()> {
    match sleep(ms(100)).await {
        Err(Error::Cancelled) => Err(Error::Value("division by zero".into())),
        slept => slept,
    }
}

#[test]
fn run_reports_the_error_of_a_task_that_main_left_behind() {
    let (mut event_loop, reports) = reporting_loop();
    let leftover = OnceCell::new();
    let ran = event_loop.run(async {
        let task = create_task(fail_when_cancelled());
        leftover.set(task).expect("main runs once");
        Ok(123)
    });
    let task = leftover.into_inner().expect("main made it");
    assert_eq!(
        (outcome(ran).as_str(), task.done(), task.cancelled()),
        ("123", true, false)
    );
    let [who, message] = <[_; 2]>::try_from(reports.seen()).expect("one report");
    assert_eq!(who, "Task-2 ended with ValueError: division by zero");
    assert!(
        message.contains("unhandled exception during asyncio.run() shutdown"),
        "{message}"
    );
}

#[test]
fn the_error_of_main_comes_out_although_a_leftover_fails_too() {
    let (mut event_loop, reports) = reporting_loop();
    let ran = event_loop.run(async {
        create_task(fail_when_cancelled());
        Err::<(), _>(Error::Runtime("FancyExit".into()))
    });
    assert_eq!(outcome(ran), "RuntimeError: FancyExit");
    let [who, _message] = <[_; 2]>::try_from(reports.seen()).expect("one report");
    assert_eq!(who, "Task-2 ended with ValueError: division by zero");
}

#[test]
fn main_runs_in_the_loop_that_was_handed_in() {
    let mut event_loop = EventLoop::with_virtual_clock();
    let ran = event_loop.run(async {
        sleep(Duration::from_secs(3600)).await?;
        Ok(time())
    });
    assert_eq!(ran.unwrap(), Duration::from_secs(3600));
    assert_eq!(event_loop.time(), Duration::from_secs(3600));
}

// RunnerTests

#[test]
fn a_loop_runs_one_main_after_another() {
    let mut event_loop = EventLoop::new();
    let ran = ["done", "done again"].map(|result| {
        event_loop.run(async move {
            turn().await?;
            Ok((result, current_task().map(|main| main.name())))
        })
    });
    let outcomes = ran.map(|ran| ran.unwrap());
    let first = ("done", Some("Task-1".to_string()));
    let second = ("done again", Some("Task-2".to_string()));
    assert_eq!(outcomes, [first, second]);
}

#[test]
fn a_second_loop_inside_a_running_one_is_refused() {
    let started = Cell::new(false);
    let ran = EventLoop::new().run(async {
        let inner = EventLoop::new().run(async {
            started.set(true);
            Ok(())
        });
        turn().await?; // and the first one goes on
        inner
    });
    let text = "RuntimeError: run() cannot be called from a running event loop";
    assert_eq!((outcome(ran).as_str(), started.get()), (text, false));
}

#[test]
fn a_main_that_yields_for_ever_can_be_cancelled() {
    let ended = Rc::new(Cell::new(0));
    let ran = EventLoop::new().run(async {
        let main = current_task().expect("main runs");
        create_task(async move {
            sleep(ms(10)).await?;
            main.cancel();
            Ok(())
        });
        while turn().await.is_ok() {}
        ended.set(ended.get() + 1);
        Err::<(), _>(Error::Cancelled)
    });
    assert_eq!((outcome(ran).as_str(), ended.get()), ("CancelledError", 1));
}

#[test]
fn a_main_that_waits_for_ever_can_be_cancelled() {
    let (event, shown) = (Event::new(), Log::new());
    let ran = EventLoop::with_virtual_clock().run(async {
        let main = current_task().expect("main runs");
        let (awaited, log) = (event.clone(), shown.clone());
        create_task(async move {
            sleep(ms(100)).await?;
            log.push(format!("{awaited:?}"));
            main.cancel();
            Ok(())
        });
        let waited = event.wait().await;
        shown.push(format!("{event:?}"));
        waited
    });
    assert_eq!(outcome(ran), "CancelledError");
    assert_eq!(
        shown.seen(),
        ["<Event [unset, waiters:1]>", "<Event [unset]>"]
    );
}

#[test]
fn a_main_cancelled_by_its_own_subtask_ends_the_run_cancelled() {
    let ran = EventLoop::with_virtual_clock().run(async {
        let main = current_task().expect("main runs");
        create_task(async move {
            turn().await?;
            main.cancel();
            Ok(())
        });
        sleep(Duration::from_secs(10)).await
    });
    assert_eq!(outcome(ran), "CancelledError");
}
