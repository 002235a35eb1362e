//! What counts as a failure, and how its story reads.

use std::{
    cell::Cell,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    thread,
};

use soloop::{
    Error, Event, EventLoop, Result, create_task,
    testing::{Explorer, FailureKind, Probe, Report},
};

use super::{brief, replay, told, two_tasks, yields};
use crate::kit::OnDrop;

/// How a body fails that departs from nothing.
fn fails<U: Future<Output = Result<()>>>(body: impl Fn(Probe) -> U) -> (FailureKind, String) {
    let (kind, schedule, message) = brief(Explorer::new().explore(body).failure).expect("it fails");
    assert_eq!(schedule, "sl1:");
    (kind, message)
}

/// What was said of a panic, without its place.
#[track_caller]
fn panics<U: Future<Output = Result<()>>>(body: impl Fn(Probe) -> U) -> String {
    let (kind, message) = fails(body);
    assert_eq!(kind, FailureKind::Panic);
    let (said, place) = message.rsplit_once(", at ").expect("it says where");
    assert!(
        place.starts_with("tests/it/testing/failures.rs:"),
        "{place}"
    );
    said.to_owned()
}

#[test]
fn any_error_of_main_is_one() {
    let errors = [Error::Cancelled, Error::Timeout, Error::other("of its own")];
    let told = errors.map(|error| fails(|_| async { Err(error.clone()) }).1);
    assert_eq!(
        told,
        [
            "error: CancelledError",
            "error: TimeoutError",
            "error: of its own"
        ]
    );
}

#[test]
fn an_error_of_a_task_is_none_if_main_does_not_mind() {
    let report = Explorer::new().explore(|_| async {
        drop(create_task(async { Err::<(), _>(Error::Timeout) }));
        yields(2).await
    });
    assert_eq!(told(&report), "complete after 1");
}

#[test]
fn a_panic_of_a_task_is_one() {
    let said = panics(|_| async {
        let task = create_task(async {
            yields(1).await?;
            panic!("a {}", "task")
        });
        let _: Result<()> = task.await;
        Ok(())
    });
    assert_eq!(said, "panic: a task");
}

#[test]
fn a_panic_of_a_destructor_is_one() {
    let said = panics(|_| async {
        drop(create_task(async {
            let _on_drop = OnDrop(|| panic!("a destructor"));
            Event::new().wait().await
        }));
        yields(1).await
    });
    assert_eq!(said, "panic: a destructor");
}

#[test]
fn a_panic_of_a_destructor_of_what_the_explorer_drops_is_one() {
    let report = Explorer::new().drops(1).explore(|_| async {
        let task = create_task(async {
            let on_drop = OnDrop(|| panic!("dropped"));
            yields(1).await?;
            std::mem::forget(on_drop);
            Ok(())
        });
        let _ = task.await;
        Ok(())
    });
    let message = report.failure.unwrap().message().to_owned();
    assert!(message.starts_with("panic: dropped, at "), "{message}");
}

#[test]
fn a_panic_before_the_first_await_is_one() {
    assert_eq!(panics(|_| async { panic!("at once") }), "panic: at once");
}

#[test]
fn a_panic_of_the_body_itself_is_one() {
    let body = |_: Probe| -> std::future::Ready<Result<()>> { panic!("no future") };
    assert_eq!(panics(body), "panic: no future");
}

#[test]
fn a_panic_of_what_an_invariant_keeps_is_one() {
    let said = panics(|probe| async move {
        let on_drop = OnDrop(|| panic!("kept"));
        probe.invariant("kept", move || {
            let _kept = &on_drop;
            true
        });
        Ok(())
    });
    assert_eq!(said, "panic: kept");
}

#[test]
fn a_panic_that_is_no_text_says_so() {
    let (kind, message) = fails(|_| async { resume_unwind(Box::new(7)) });
    assert_eq!(
        (kind, message.as_str()),
        (FailureKind::Panic, "panic: a panic that is no text")
    );
}

/// What a body catches is its own affair, and no part of what is said later.
#[test]
fn a_panic_that_is_caught_inside_is_none() {
    let caught = || catch_unwind(|| panic!("caught")).is_err();
    let report = Explorer::new().explore(|_| async {
        assert!(caught());
        yields(1).await
    });
    assert_eq!(told(&report), "complete after 1");
    let (_, message) = fails(|_| async {
        assert!(caught());
        resume_unwind(Box::new("raised anew"))
    });
    assert_eq!(message, "panic: raised anew");
}

#[test]
fn a_waker_from_outside_does_not_hinder_a_deadlock() {
    let (kind, message) = fails(|_| async {
        let (_sender, receiver) = futures::channel::oneshot::channel::<()>();
        receiver.await.map_err(Error::other)
    });
    assert_eq!(
        (kind, message.as_str()),
        (
            FailureKind::Deadlock,
            "deadlock: Task-1 waits for a future from elsewhere"
        )
    );
}

#[test]
fn an_explorer_inside_a_running_loop_is_refused() {
    let refused = catch_unwind(|| {
        soloop::run(async {
            Explorer::new().check(|_| two_tasks());
            Ok(())
        })
    });
    let said = refused.unwrap_err();
    assert_eq!(
        *said.downcast::<String>().unwrap(),
        "an explorer runs a loop of its own: run() cannot be called from a running event loop"
    );
}

#[test]
fn an_explorer_inside_a_body_is_refused() {
    let (kind, message) = fails(|_| async {
        Explorer::new().check(|_| two_tasks());
        Ok(())
    });
    assert_eq!(kind, FailureKind::Panic);
    assert!(
        message.contains("run() cannot be called from a running event loop"),
        "{message}"
    );
}

/// Where no loop runs yet, a search may make others.
#[test]
fn an_explorer_beside_a_body_is_fine() {
    let report = Explorer::new().reorder(1).explore(|_| {
        let within = Explorer::new().reorder(1).explore(|_| two_tasks());
        assert!(within.complete);
        two_tasks()
    });
    assert!(report.complete, "{}", told(&report));
}

/// The panic of `check` is its own, and is told as any other; those of the search are not.
#[test]
fn check_panics_with_the_story() {
    let checked = catch_unwind(AssertUnwindSafe(|| {
        Explorer::new().reorder(1).check(|_| async {
            let task = create_task(async { panic!("the reason") });
            task.await
        });
    }));
    let said = *checked.unwrap_err().downcast::<String>().unwrap();
    let lines: Vec<_> = said.lines().collect();
    assert!(
        lines[0].starts_with("panic: the reason, at tests/it/testing/failures.rs:"),
        "{said}"
    );
    assert!(said.contains("Task-2"), "{said}");
    assert!(said.contains("SOLOOP_REPLAY='sl1:' "), "{said}");
}

/// The loop that was under way is gone, and the thread runs others.
#[test]
fn a_thread_goes_on_after_a_failure() {
    let _ = fails(|_| async { panic!() });
    assert!(EventLoop::new().run(two_tasks()).is_ok());
    assert_eq!(
        told(&Explorer::new().explore(|_| two_tasks())),
        "complete after 1"
    );
}

/// Other threads print as ever, and search as well.
#[test]
fn threads_search_side_by_side() {
    let search = || -> (u64, Option<String>) {
        let report: Report = Explorer::new().reorder(2).explore(|probe| async move {
            two_tasks().await?;
            assert_ne!(probe.choose(3), 2);
            Ok(())
        });
        (
            report.runs,
            brief(report.failure).map(|(_, schedule, _)| schedule),
        )
    };
    let searches = [(); 4].map(|()| thread::spawn(search));
    let expected = search();
    for other in searches {
        assert_eq!(other.join().unwrap(), expected);
    }
}

#[test]
fn a_replay_that_fails_says_so_with_the_schedule_that_it_was_given() {
    let outcome = replay("sl1:1c2", |_| async { create_task(yields(1)).await });
    assert_eq!(
        brief(outcome.failure).unwrap(),
        (
            FailureKind::Error,
            "sl1:1c2".into(),
            "error: CancelledError".into()
        )
    );
}

/// What to do about it is told at the end.
#[test]
fn a_story_ends_with_what_to_do() {
    let advice = |schedule: &str| {
        let outcome = replay(schedule, |_| async { create_task(yields(1)).await });
        let story = outcome.failure.expect("it fails").to_string();
        let (_, advice) = story.rsplit_once("\n\n").expect("a line is free before it");
        advice.lines().next().unwrap_or_default().to_owned()
    };
    assert_eq!(
        [advice("sl1:1c2"), advice("sl1:1c9")],
        [
            "Run it again:  SOLOOP_REPLAY='sl1:1c2' cargo test NAME_OF_THIS_TEST",
            "The schedule sl1:1c9 is of another program. Search anew.",
        ]
    );
    let runs = Cell::new(0);
    let unsteady = Explorer::new().explore(|_| {
        let run = runs.replace(runs.get() + 1);
        async move { if run == 0 { panic!() } else { Ok(()) } }
    });
    let story = unsteady.failure.expect("it fails once").to_string();
    assert!(
        story.contains("\n\nNo schedule brings this back. "),
        "{story}"
    );
}
