//! What a body has of its explorer.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    time::Duration,
};

use soloop::{
    Error, Event, Lock, create_task, sleep,
    testing::{Explorer, FailureKind},
    time,
    trace::{EventKind, Timeline},
};

use super::{brief, replay, told, two_tasks, yields};
use crate::kit::{OnDrop, secs};

/// What stands in a timeline of one kind, and of which task.
fn texts(
    timeline: &Timeline,
    text_of: impl Fn(&EventKind) -> Option<&String>,
) -> Vec<(Option<u64>, &str)> {
    let events = timeline.events().iter();
    events
        .filter_map(|event| Some((event.task, text_of(&event.kind)?.as_str())))
        .collect()
}

#[test]
fn choose_returns_each_value_in_some_run() {
    let seen = RefCell::new(Vec::new());
    let report = Explorer::new().explore(|probe| {
        let seen = &seen;
        async move {
            seen.borrow_mut().push(probe.choose(4));
            Ok(())
        }
    });
    assert_eq!(
        (told(&report).as_str(), seen.into_inner()),
        ("complete after 4", vec![0, 1, 2, 3])
    );
}

/// How often one is asked may depend on the answer.
#[test]
fn choices_within_choices_are_all_made_once() {
    let seen = RefCell::new(Vec::new());
    let report = Explorer::new().explore(|probe| {
        let seen = &seen;
        async move {
            let asked = probe.choose(3);
            let answers: Vec<_> = (0..asked).map(|_| probe.choose(2)).collect();
            seen.borrow_mut().push(answers);
            Ok(())
        }
    });
    let mut seen = seen.into_inner();
    seen.sort();
    let expected: [&[usize]; 7] = [&[], &[0], &[0, 0], &[0, 1], &[1], &[1, 0], &[1, 1]];
    assert_eq!(seen, expected);
    assert!(report.complete);
}

#[test]
fn a_choice_is_no_departure() {
    let report = Explorer::new()
        .reorder(1)
        .deviations(1)
        .explore(|probe| async move {
            let _ = probe.choose(2);
            two_tasks().await
        });
    let alone = Explorer::new().reorder(1).explore(|_| two_tasks());
    assert_eq!((report.runs, report.complete), (2 * alone.runs, true));
}

#[test]
fn a_destructor_may_choose() {
    let seen = RefCell::new(Vec::new());
    let report = Explorer::new().explore(|probe| {
        let seen = &seen;
        async move {
            let _on_drop = OnDrop(move || seen.borrow_mut().push(probe.choose(2)));
            yields(1).await
        }
    });
    assert_eq!(
        (told(&report).as_str(), seen.into_inner()),
        ("complete after 2", vec![0, 1])
    );
}

#[test]
fn a_choice_of_one_is_none() {
    let body = |probe: soloop::testing::Probe| async move {
        assert_eq!(probe.choose(1), 0);
        Ok(())
    };
    assert_eq!(told(&Explorer::new().explore(body)), "complete after 1");
}

/// Main's step is the first decision, and the choice among two the second.
#[test]
fn a_choice_of_one_is_no_decision() {
    let report = Explorer::new().explore(|probe| async move {
        let _ = probe.choose(1);
        assert_eq!(probe.choose(2), 0);
        Ok(())
    });
    assert_eq!(report.failure.unwrap().schedule.to_string(), "sl1:1?1");
}

#[test]
fn what_is_chosen_stands_in_the_timeline_where_it_is_a_departure() {
    let outcome = replay("sl1:2?3", |probe| async move {
        let _ = (probe.choose(2), probe.choose(4));
        Ok(())
    });
    let departures = texts(&outcome.timeline, |kind| match kind {
        EventKind::Departed { text } => Some(text),
        _ => None,
    });
    assert_eq!(departures, [(Some(1), "3 is chosen of 4")]);
}

#[test]
fn a_choice_of_nothing_panics() {
    let report = Explorer::new().explore(|probe| async move {
        let _ = probe.choose(0);
        Ok(())
    });
    let message = report.failure.unwrap().message().to_owned();
    assert!(
        message.starts_with("panic: there is nothing to choose from, at "),
        "{message}"
    );
}

#[test]
fn what_a_failure_did_not_need_is_not_in_its_schedule() {
    let report = Explorer::new().explore(|probe| async move {
        let (_needless, needed) = (probe.choose(2), probe.choose(2));
        assert!(_needless + needed < 2 || probe.choose(2) == 0);
        assert_eq!(needed, 0);
        Ok(())
    });
    assert_eq!(report.failure.unwrap().schedule.to_string(), "sl1:2?1");
}

#[test]
fn settled_waits_until_the_others_stand_still_and_no_longer() {
    let noted = Rc::new(RefCell::new(String::new()));
    Explorer::new().reorder(2).check(|probe| {
        let noted = Rc::clone(&noted);
        async move {
            let busy = Rc::clone(&noted);
            let task = create_task(async move {
                yields(5).await?;
                *busy.borrow_mut() = "yielded".into();
                sleep(secs(1)).await
            });
            probe.settled().await?;
            assert_eq!(
                (noted.take().as_str(), time(), task.done()),
                ("yielded", secs(0), false)
            );
            sleep(secs(1)).await?;
            probe.settled().await?;
            assert!(task.done());
            Ok(())
        }
    });
}

#[test]
fn several_who_wait_for_stillness_go_on_one_after_the_other() {
    let order = Rc::new(RefCell::new(String::new()));
    let outcome = replay("sl1:", |probe| {
        let order = Rc::clone(&order);
        async move {
            let settler = |name: char| {
                let (probe, order) = (probe.clone(), Rc::clone(&order));
                create_task(async move {
                    probe.settled().await?;
                    order.borrow_mut().push(name);
                    yields(2).await?;
                    order.borrow_mut().push(name.to_ascii_uppercase());
                    Ok(())
                })
            };
            let (a, b) = (settler('a'), settler('b'));
            probe.settled().await?;
            order.borrow_mut().push('m');
            a.await?;
            b.await
        }
    });
    assert!(outcome.failure.is_none());
    assert_eq!(order.take(), "maAbB");
}

#[test]
fn one_who_was_cancelled_waits_for_stillness_no_more() {
    Explorer::new().reorder(2).check(|probe| async move {
        let settling = probe.clone();
        let task = create_task(async move { settling.settled().await });
        yields(1).await?;
        task.cancel();
        probe.settled().await?;
        assert!(matches!(task.await, Err(Error::Cancelled)));
        Ok(())
    });
}

/// Nobody waits for stillness who is not polled.
#[test]
fn stillness_is_nothing_to_a_deadlock() {
    let report = Explorer::new().explore(|probe| async move {
        drop(probe.settled());
        Event::new().named("never").wait().await
    });
    assert_eq!(
        told(&report),
        "sl1: deadlock: Task-1 waits for <Event 'never' [unset, waiters:1]>"
    );
}

#[test]
fn an_invariant_is_asked_after_every_step() {
    let asked = Rc::new(Cell::new(0));
    let outcome = replay("sl1:", |probe| {
        let asked = Rc::clone(&asked);
        probe.invariant("asking", move || {
            asked.set(asked.get() + 1);
            true
        });
        two_tasks()
    });
    assert_eq!((asked.get(), outcome.steps), (6, 6));
}

#[test]
fn the_first_invariant_that_breaks_ends_the_run_there() {
    let done = Rc::new(Cell::new(0));
    let outcome = replay("sl1:", |probe| {
        let done = Rc::clone(&done);
        async move {
            let seen = Rc::clone(&done);
            probe.invariant("at least none", || true);
            probe.invariant("less than two", move || seen.get() < 2);
            loop {
                done.set(done.get() + 1);
                yields(1).await?;
            }
        }
    });
    assert_eq!(done.get(), 2);
    assert_eq!(
        brief(outcome.failure).unwrap(),
        (
            FailureKind::Invariant,
            "sl1:".into(),
            "broken invariant: less than two".into()
        )
    );
}

#[test]
fn an_invariant_may_call_primitives_and_make_others() {
    Explorer::new()
        .cancels(1)
        .reorder(1)
        .check(|probe| async move {
            let lock = Lock::new();
            let (asking, seen) = (probe.clone(), lock.clone());
            probe.invariant("whoever can has the lock", move || {
                asking.note("asked");
                let was_locked = seen.locked();
                drop(futures::FutureExt::now_or_never(seen.enter()));
                assert_eq!(seen.locked(), was_locked);
                true
            });
            let user = || {
                let lock = lock.clone();
                create_task(async move {
                    let _held = lock.enter().await?;
                    yields(1).await
                })
            };
            let (a, b) = (user(), user());
            let _ = a.await;
            let _ = b.await;
            Ok(())
        });
}

#[test]
fn an_invariant_that_panics_is_a_panic() {
    let report = Explorer::new().explore(|probe| async move {
        probe.invariant("never asked in vain", || panic!("in an invariant"));
        Ok(())
    });
    let failure = report.failure.unwrap();
    assert!(
        failure.message().starts_with("panic: in an invariant, at "),
        "{}",
        failure.message()
    );
}

/// A drop is a step of those who see to the end of what is dropped.
#[test]
fn an_invariant_is_asked_after_a_drop() {
    let report = Explorer::new().drops(1).explore(|probe| async move {
        let sound = Rc::new(Cell::new(true));
        let (seen, breaks, mends) = (Rc::clone(&sound), Rc::clone(&sound), Rc::clone(&sound));
        probe.invariant("sound", move || seen.get());
        let task = create_task(async move {
            let on_drop = OnDrop(move || breaks.set(false));
            let slept = sleep(secs(1)).await;
            std::mem::forget(on_drop);
            slept
        });
        let _ = task.await;
        mends.set(true);
        Ok(())
    });
    // The clerk waits for its second by then, and main mends what it broke in the next step.
    assert_eq!(
        brief(report.failure).unwrap(),
        (
            FailureKind::Invariant,
            "sl1:2d2".into(),
            "broken invariant: sound".into()
        )
    );
}

#[test]
fn notes_stand_in_the_timeline_under_the_task_that_wrote_them() {
    let outcome = replay("sl1:", |probe| async move {
        probe.note("of main");
        let noting = probe.clone();
        create_task(async move {
            noting.note(format_args!("of task {}", 2));
            Ok(())
        })
        .await
    });
    let notes = texts(&outcome.timeline, |kind| match kind {
        EventKind::Note { text } => Some(text),
        _ => None,
    });
    assert_eq!(notes, [(Some(1), "of main"), (Some(2), "of task 2")]);
}

/// A probe may outlive its run, and then knows nothing.
#[test]
fn one_that_has_outlived_its_run_does_nothing() {
    let kept = RefCell::new(None);
    Explorer::new().check(|probe| {
        *kept.borrow_mut() = Some(probe);
        async { Ok(()) }
    });
    let probe = kept.take().unwrap();
    probe.note("too late");
    probe.invariant("too late", || panic!("asked too late"));
    assert_eq!(probe.choose(7), 0);
    let settled =
        soloop::run(async { soloop::wait_for(probe.settled(), Duration::from_millis(1)).await });
    assert!(matches!(settled, Err(Error::Timeout)), "{settled:?}");
}

#[test]
fn a_cancel_can_come_while_all_stand_still_for_somebody() {
    let seen = Cell::new(false);
    let report = Explorer::new().cancels(1).explore(|probe| {
        let seen = &seen;
        async move {
            let (begun, told) = (Rc::new(Cell::new(false)), Rc::new(Cell::new(false)));
            let (begins, is_told) = (Rc::clone(&begun), Rc::clone(&told));
            create_task(async move {
                begins.set(true);
                let waited = Event::new().wait().await;
                is_told.set(true);
                waited
            });
            probe.settled().await?;
            if begun.get() && told.get() {
                seen.set(true);
            }
            Ok(())
        }
    });
    assert_eq!((report.complete, seen.get()), (true, true));
}
