//! What an explorer may do in place of what asyncio would, and what comes of it.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeSet,
    future::{Future, poll_fn},
    rc::Rc,
    task::Poll,
    time::Duration,
};

use soloop::{Event, Result, create_task, sleep, testing::Explorer, time, wait_for};

use super::{replay, told, two_tasks, yields};
use crate::kit::{OnDrop, outcome, secs};

/// Everything that comes of a body, over all runs of a search, which is complete.
fn outcomes<F>(explorer: Explorer, body: impl Fn() -> F) -> BTreeSet<String>
where
    F: Future<Output = String>,
{
    let seen = RefCell::new(BTreeSet::new());
    let report = explorer.explore(|_| async {
        let outcome = body().await;
        seen.borrow_mut().insert(outcome);
        Ok(())
    });
    assert_eq!(told(&report), format!("complete after {}", report.runs));
    seen.into_inner()
}

/// Counts the steps that a task of three takes, and says how it ended.
async fn three_steps_counted() -> String {
    let steps = Rc::new(Cell::new(0));
    let counted = Rc::clone(&steps);
    let task = create_task(async move {
        for _ in 0..3 {
            counted.set(counted.get() + 1);
            sleep(Duration::ZERO).await?;
        }
        Ok(())
    });
    let outcome = outcome(task.await);
    format!("{} {outcome}", steps.get())
}

fn set<const N: usize>(lines: [&str; N]) -> BTreeSet<String> {
    lines.map(str::to_owned).into()
}

#[test]
fn a_cancel_comes_before_each_step_of_a_task() {
    assert_eq!(
        outcomes(Explorer::new().cancels(1), three_steps_counted),
        set([
            "0 CancelledError",
            "1 CancelledError",
            "2 CancelledError",
            "3 CancelledError",
            "3 ok"
        ])
    );
}

#[test]
fn a_drop_comes_before_each_step_of_a_task_and_is_a_cancel_to_whoever_awaits_it() {
    assert_eq!(
        outcomes(Explorer::new().drops(1), three_steps_counted),
        set([
            "0 CancelledError",
            "1 CancelledError",
            "2 CancelledError",
            "3 CancelledError",
            "3 ok"
        ])
    );
}

#[test]
fn a_task_that_refuses_may_be_cancelled_as_often_as_allowed() {
    let refused = || async {
        let refused = Rc::new(Cell::new(0));
        let count = Rc::clone(&refused);
        let task = create_task(async move {
            while sleep(secs(1)).await.is_err() {
                count.set(count.get() + 1);
            }
            Ok(())
        });
        let _ = task.await;
        refused.get().to_string()
    };
    assert_eq!(
        outcomes(Explorer::new().cancels(2), refused),
        set(["0", "1", "2"])
    );
}

#[test]
fn a_dropped_task_runs_its_destructors_and_hears_of_nothing() {
    let body = || async {
        let seen = Rc::new(RefCell::new(String::new()));
        let (inside, dropped) = (Rc::clone(&seen), Rc::clone(&seen));
        let task = create_task(async move {
            let _on_drop = OnDrop(move || dropped.borrow_mut().push_str("dropped "));
            let slept = sleep(secs(1)).await;
            inside.borrow_mut().push_str("woken ");
            slept
        });
        let ended = outcome(task.await);
        seen.take() + &ended
    };
    assert_eq!(
        outcomes(Explorer::new().drops(1), body),
        set([
            "CancelledError",
            "dropped CancelledError",
            "woken dropped ok"
        ])
    );
}

/// Everybody waits, and nothing happens for a second: that is a point, too.
#[test]
fn a_cancel_comes_in_the_middle_of_a_sleep() {
    let body = || async {
        let task = create_task(async {
            let slept = outcome(sleep(secs(1)).await);
            Ok(format!("{slept} at {:?}", time()))
        });
        task.await.unwrap_or_else(|error| error.to_string())
    };
    assert_eq!(
        outcomes(Explorer::new().cancels(1), body),
        set([
            "CancelledError",
            "CancelledError at 0ns",
            "CancelledError at 1s",
            "ok at 1s"
        ])
    );
}

#[test]
fn main_is_neither_cancelled_nor_dropped() {
    let alone = || async { outcome(yields(2).await) };
    let explorer = Explorer::new().cancels(2).drops(2);
    assert_eq!(outcomes(explorer, alone), set(["ok"]));
}

#[test]
fn main_is_cancelled_where_only_names_it() {
    let report = Explorer::new()
        .cancels(1)
        .only(|name| name == "Task-1")
        .explore(|_| two_tasks());
    assert_eq!(told(&report), "sl1:0c1 error: CancelledError");
}

#[test]
fn main_is_dropped_where_only_names_it() {
    let gone = Rc::new(Cell::new(false));
    let explorer = Explorer::new().drops(1).only(|name| name == "Task-1");
    let report = explorer.explore(|_| async {
        let gone = Rc::clone(&gone);
        let _on_drop = OnDrop(move || gone.set(true));
        yields(1).await?;
        yields(1).await
    });
    assert_eq!(
        (told(&report).as_str(), gone.get()),
        ("sl1:0d1 error: CancelledError", true)
    );
}

/// Both deadlines pass, and the one that is not named cannot do so early.
#[test]
fn only_those_who_are_named_are_deviated_on() {
    let body = || async {
        let busy = |name: &'static str| {
            let task = create_task(async { Ok(outcome(wait_for(yields(3), secs(1)).await)) });
            task.handle().set_name(name);
            task
        };
        let (named, other) = (busy("named"), busy("other"));
        let named = named.await.unwrap_or_else(|error| error.to_string());
        let other = other.await.unwrap_or_else(|error| error.to_string());
        format!("{named}, {other}")
    };
    let explorer = Explorer::new().cancels(1).only(|name| name == "named");
    assert_eq!(
        outcomes(explorer, body),
        set(["CancelledError, ok", "ok, ok"])
    );
}

#[test]
fn no_deadline_passes_early_but_of_those_who_are_named() {
    let body = || async {
        let task = create_task(wait_for(yields(3), secs(1)));
        task.handle().set_name("patient");
        outcome(task.await)
    };
    let early = |name: &'static str| {
        let explorer = Explorer::new().early_timers(1);
        outcomes(explorer.only(move |task| task == name), body)
    };
    assert_eq!(
        [early("patient"), early("Task-1")],
        [set(["TimeoutError", "ok"]), set(["ok"])]
    );
}

#[test]
fn a_deadline_passes_while_others_are_ready() {
    let body = || async { outcome(wait_for(yields(3), secs(1)).await) };
    assert_eq!(outcomes(Explorer::new(), body), set(["ok"]));
    assert_eq!(
        outcomes(Explorer::new().early_timers(1), body),
        set(["TimeoutError", "ok"])
    );
}

/// Once it has passed, it is no longer ahead.
#[test]
fn a_deadline_passes_early_but_once() {
    let runs = |n| {
        let explorer = Explorer::new().early_timers(n);
        let report = explorer.explore(|_| async {
            let _ = wait_for(yields(3), secs(1)).await;
            Ok(())
        });
        report.runs
    };
    assert_eq!([runs(1), runs(2)], [4, 4]);
}

/// Is ready at its second poll, whoever asks.
async fn impatient() -> Result<()> {
    let mut polled = false;
    poll_fn(|_| match std::mem::replace(&mut polled, true) {
        false => Poll::Pending,
        true => Poll::Ready(Ok(())),
    })
    .await
}

#[test]
fn a_poll_without_a_wake_finds_who_takes_every_poll_for_one() {
    let body = || async {
        let task = create_task(impatient());
        let waiting = create_task(Event::new().wait());
        sleep(secs(1)).await.unwrap();
        let polled = task.done();
        task.cancel();
        waiting.cancel();
        format!("impatient {polled}, event {}", outcome(waiting.await))
    };
    assert_eq!(
        outcomes(Explorer::new().spurious(1), body),
        set([
            "impatient false, event CancelledError",
            "impatient true, event CancelledError"
        ])
    );
}

#[test]
fn deviations_bound_the_kinds_together() {
    let runs = |explorer: Explorer| {
        explorer
            .explore(|_| async {
                let _ = two_tasks().await;
                Ok(())
            })
            .runs
    };
    let both = Explorer::new().reorder(2).cancels(2);
    let alone = runs(Explorer::new().reorder(1)) + runs(Explorer::new().cancels(1));
    assert_eq!(
        (runs(both.clone().deviations(0)), runs(both.deviations(1))),
        (1, alone - 1)
    );
}

/// Its shutdown waits for those that were cancelled, and for nobody who is gone.
#[test]
fn a_task_is_dropped_in_the_middle_of_the_shutdown() {
    let body = |_| async {
        drop(create_task(Event::new().wait()));
        yields(1).await
    };
    assert_eq!(
        told(&Explorer::new().drops(1).explore(body)),
        "complete after 4"
    );
    assert!(replay("sl1:3d2", body).failure.is_none());
}

#[test]
fn a_handle_of_the_next_turn_may_go_first() {
    let order = |schedule| {
        let order = Rc::new(RefCell::new(String::new()));
        let outcome = replay(schedule, |_| async {
            let write = |name: char| {
                let order = Rc::clone(&order);
                create_task(async move {
                    order.borrow_mut().push(name);
                    yields(1).await?;
                    order.borrow_mut().push(name);
                    Ok(())
                })
            };
            let (a, b) = (write('a'), write('b'));
            a.await?;
            b.await
        });
        assert!(outcome.failure.is_none());
        order.take()
    };
    // Behind `b` stands nobody in this turn, and `a` in the next.
    assert_eq!(["sl1:", "sl1:2>1"].map(order), ["abab", "aabb"]);
}
