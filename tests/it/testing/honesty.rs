//! What is not deterministic besides the schedule is told so; a schedule that does not fit says where.

use std::{
    cell::Cell,
    collections::HashSet,
    fmt::{self, Display, Formatter},
    future::Future,
    time::{Duration, Instant},
};

use futures::join;
use soloop::{
    Error, Event, Lock, Result, create_task, sleep,
    testing::{Explorer, FailureKind, Report},
};

use super::{brief, replay, told, two_tasks, yields};

/// What comes of a body that fails depending on how often it has run before.
fn told_of_runs(explorer: &Explorer, fails: impl Fn(u32) -> bool) -> (FailureKind, String) {
    let runs = Cell::new(0);
    let report = explorer.explore(|_| {
        let run = runs.replace(runs.get() + 1);
        let fails = fails(run);
        async move {
            two_tasks().await?;
            assert!(!fails);
            Ok(())
        }
    });
    let failure = report.failure.expect("some run fails");
    (failure.kind, failure.message().to_owned())
}

fn another_by(decision: u32) -> String {
    format!(
        "uncontrolled nondeterminism: by decision {decision} the run had become another one, though nothing was done in another \
         way: the body depends on something else than the schedule"
    )
}

const DIFFERS: &str = "uncontrolled nondeterminism: the same schedule was run twice, and came to ";

#[test]
fn what_fails_in_one_run_alone_is_no_witness() {
    for run in [0, 1, 3] {
        let (kind, message) = told_of_runs(&Explorer::new().reorder(1), |n| n == run);
        assert_eq!(kind, FailureKind::UncontrolledNondeterminism);
        assert!(message.starts_with(DIFFERS), "{message}");
        assert!(
            message.ends_with(r#" and then to "no failure""#),
            "{message}"
        );
    }
}

#[test]
fn what_fails_from_some_run_on_is_no_witness() {
    for run in [1, 2, 4] {
        let (kind, message) = told_of_runs(&Explorer::new().reorder(1), |n| n >= run);
        assert_eq!(kind, FailureKind::UncontrolledNondeterminism);
        assert!(
            message.contains(r#" came to "no failure" and then to "panic"#),
            "{message}"
        );
    }
}

#[test]
fn what_fails_in_every_other_or_third_run_is_no_witness() {
    for (every, at) in [(2, 0), (2, 1), (3, 0), (3, 1), (3, 2)] {
        let (kind, _) = told_of_runs(&Explorer::new().reorder(1), |n| n % every == at);
        assert_eq!(kind, FailureKind::UncontrolledNondeterminism);
    }
}

/// It is run again a few times before it is believed.
#[test]
fn what_fails_in_the_first_runs_alone_is_no_witness() {
    for first in [2, 5, 8] {
        let (kind, _) = told_of_runs(&Explorer::new().reorder(1), |n| n < first);
        assert_eq!(kind, FailureKind::UncontrolledNondeterminism);
    }
}

/// It is run once more to tell its story, and notes are written then alone.
#[test]
fn what_fails_until_it_is_told_is_no_witness() {
    struct Told<'a>(&'a Cell<bool>);
    impl Display for Told<'_> {
        fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
            self.0.set(true);
            f.write_str("told")
        }
    }
    let is_told = Cell::new(false);
    let report = Explorer::new().explore(|probe| {
        let is_told = &is_told;
        async move {
            probe.note(Told(is_told));
            assert!(is_told.get());
            Ok(())
        }
    });
    assert_eq!(kind(&report), Some(FailureKind::UncontrolledNondeterminism));
}

#[test]
fn what_fails_in_every_run_is_a_witness() {
    let (kind, _) = told_of_runs(&Explorer::new().reorder(1), |_| true);
    assert_eq!(kind, FailureKind::Panic);
}

/// It is run once, again up to eight times, but no longer than for a hundred thousand steps, and once more to be told.
#[test]
fn what_takes_long_to_fail_is_run_again_less_often() {
    let runs = |steps: usize| {
        let runs = Cell::new(0);
        let explorer = Explorer::new().max_steps(steps);
        let report = explorer.explore(|_| {
            runs.set(runs.get() + 1);
            async move {
                yields(steps - 1).await?;
                Err::<(), _>(Error::other("so"))
            }
        });
        assert_eq!(kind(&report), Some(FailureKind::Error));
        runs.get()
    };
    assert_eq!([10, 50_000, 50_001].map(runs), [10, 5, 4]);
}

fn kind(report: &Report) -> Option<FailureKind> {
    report.failure.as_ref().map(|failure| failure.kind)
}

/// Twenty tasks in an order that is another one for each set.
#[test]
fn the_order_of_a_hash_set_is_told_though_nothing_fails() {
    let report = Explorer::new().cancels(1).explore(|_| async {
        let numbers: HashSet<usize> = (0..20).collect();
        let tasks: Vec<_> = numbers
            .into_iter()
            .map(|n| create_task(yields(n)))
            .collect();
        for task in tasks {
            let _ = task.await;
        }
        Ok(())
    });
    assert_eq!(kind(&report), Some(FailureKind::UncontrolledNondeterminism));
    let message = report.failure.unwrap().message().to_owned();
    assert!(
        message.ends_with("the body depends on something else than the schedule"),
        "{message}"
    );
}

#[test]
fn the_real_clock_is_told_where_the_loop_can_see_it() {
    let begun = Instant::now();
    let report = Explorer::new().reorder(2).explore(|_| async move {
        let delay = Duration::from_secs(1) + begun.elapsed();
        let (first, second) = (create_task(sleep(delay)), create_task(sleep(delay)));
        first.await?;
        second.await
    });
    assert_eq!(kind(&report), Some(FailureKind::UncontrolledNondeterminism));
}

/// The clock runs on between a failure and its second run.
#[test]
fn the_real_clock_is_told_where_a_failure_depends_on_it() {
    let begun = Instant::now();
    let runs = Cell::new(0);
    let report = Explorer::new().reorder(1).explore(|_| {
        let run = runs.replace(runs.get() + 1);
        async move {
            two_tasks().await?;
            let nanos = begun.elapsed().as_nanos();
            assert!(run != 1 || nanos == 0);
            Ok(())
        }
    });
    assert_eq!(kind(&report), Some(FailureKind::UncontrolledNondeterminism));
}

#[test]
fn a_program_that_has_one_task_more_now_and_then_is_told() {
    let runs = Cell::new(0);
    let report = Explorer::new().reorder(1).explore(|_| {
        let run = runs.replace(runs.get() + 1);
        async move {
            if run % 2 == 1 {
                create_task(yields(0)).await?;
            }
            two_tasks().await
        }
    });
    assert_eq!(brief(report.failure).unwrap().2, another_by(1));
}

/// A run that is over before it gets to where the one before it departed, well or not.
#[test]
fn a_program_that_is_sometimes_shorter_is_told() {
    for fails in [false, true] {
        let again = told_of_second_runs(|again| async move {
            match again {
                true if fails => Err(Error::other("so")),
                true => Ok(()),
                false => two_tasks().await,
            }
        });
        assert_eq!(again, another_by(1));
    }
}

/// What a search says of a body that is told whether it has run before.
fn told_of_second_runs<U>(body: impl Fn(bool) -> U) -> String
where
    U: Future<Output = Result<()>>,
{
    let again = Cell::new(false);
    let report = Explorer::new()
        .cancels(1)
        .explore(|_| body(again.replace(true)));
    brief(report.failure).map_or("nothing".into(), |brief| brief.2)
}

/// What is at hand of the loop's state is compared at each decision. In all of these the order is the same for a while.
mod tells_by_the_first_decision_that_can_see_it {
    use super::*;

    /// Two tasks that each wait for an event of their own, and what main does when they do.
    async fn two_who_wait(then: impl FnOnce(Event, Event)) -> Result<()> {
        let events = [Event::new(), Event::new()];
        let _tasks = events.clone().map(|event| create_task(event.wait()));
        yields(1).await?;
        let [first, second] = events;
        then(first, second);
        yields(2).await
    }

    #[test]
    fn of_a_timer_more() {
        let told = told_of_second_runs(|again| async move {
            let _idle = create_task(async move {
                match again {
                    false => Event::new().wait().await,
                    true => sleep(Duration::from_secs(1)).await,
                }
            });
            yields(2).await
        });
        assert_eq!(told, another_by(2));
    }

    #[test]
    fn of_a_wait_more() {
        let told = told_of_second_runs(|again| async move {
            let _idle = create_task(async move {
                let (one, other) = (Event::new(), Event::new());
                match again {
                    false => one.wait().await,
                    true => join!(one.wait(), other.wait()).0,
                }
            });
            yields(2).await
        });
        assert_eq!(told, another_by(2));
    }

    #[test]
    fn of_a_handle_more_in_this_turn() {
        let told = told_of_second_runs(|again| {
            two_who_wait(move |first, second| {
                first.set();
                if again {
                    second.set();
                }
            })
        });
        assert_eq!(told, another_by(4));
    }

    #[test]
    fn of_a_handle_more_in_the_next_turn() {
        let told = told_of_second_runs(|again| async move {
            let _first = create_task(async move {
                match again {
                    false => Event::new().wait().await,
                    true => yields(1).await,
                }
            });
            let _second = create_task(yields(1));
            yields(3).await
        });
        assert_eq!(told, another_by(2));
    }

    #[test]
    fn of_another_task_whose_turn_it_is() {
        let told = told_of_second_runs(|again| {
            two_who_wait(move |first, second| {
                let (first, second) = if again {
                    (second, first)
                } else {
                    (first, second)
                };
                first.set();
                second.set();
            })
        });
        assert_eq!(told, another_by(4));
    }

    #[test]
    fn of_another_time() {
        let told = told_of_second_runs(|again| async move {
            let _idle = create_task(Event::new().wait());
            sleep(Duration::from_secs(1 + u64::from(again))).await?;
            yields(1).await
        });
        assert_eq!(told, another_by(3));
    }
}

/// A primitive belongs to the first loop that makes a task wait for it, and each run is one of its own to whoever can tell.
#[test]
fn a_primitive_from_outside_the_body_is_told_once_somebody_has_waited_for_it() {
    let lock = Lock::new();
    let report = Explorer::new().cancels(1).explore(|_| {
        let lock = lock.clone();
        async move {
            let held = lock.enter().await?;
            let waiting = create_task(lock.acquire());
            yields(1).await?;
            drop(held);
            if waiting.await.is_ok() {
                lock.release()?;
            }
            Result::Ok(())
        }
    });
    let failure = report.failure.unwrap();
    assert_eq!(failure.kind, FailureKind::UncontrolledNondeterminism);
    let events = format!("{:?}", failure.timeline.events());
    assert!(
        events.contains("is bound to a different event loop"),
        "{failure}"
    );
}

#[test]
fn a_primitive_from_outside_that_nobody_waits_for_is_none_of_its_business() {
    let lock = Lock::new();
    let report = Explorer::new().reorder(2).explore(|_| async {
        two_tasks().await?;
        lock.acquire().await?;
        lock.release()
    });
    assert!(report.complete, "{}", told(&report));
}

fn misfit(schedule: &str) -> (FailureKind, String, String) {
    brief(replay(schedule, |_| two_tasks()).failure).expect("it does not fit")
}

#[test]
fn a_schedule_for_a_longer_program_says_where_this_one_was_over() {
    assert_eq!(
        misfit("sl1:1>1,40c2"),
        (
            FailureKind::UncontrolledNondeterminism,
            "sl1:1>1,40c2".into(),
            "uncontrolled nondeterminism: the schedule no longer fits at decision 6: the run is over, and 40c2 is still to come"
                .into()
        )
    );
}

#[test]
fn a_schedule_that_asks_for_what_cannot_be_says_where() {
    // In turn: places that nobody has, tasks that nobody has made, one whose step is queued, a deadline, and a choice.
    for departure in ["1>2", "1c9", "1d9", "1p2", "1p9", "1t", "1?1"] {
        let (kind, _, message) = misfit(&format!("sl1:{departure}"));
        let expected = format!(
            "uncontrolled nondeterminism: the schedule no longer fits at decision 1: {departure} cannot be done there"
        );
        assert_eq!(
            (kind, message),
            (FailureKind::UncontrolledNondeterminism, expected)
        );
    }
}

#[test]
fn a_choice_that_is_none_any_more_says_where() {
    // The first decision is main's own step.
    for departure in ["1?3", "1?9", "1>1", "1c2"] {
        let outcome = replay(&format!("sl1:{departure}"), |probe| async move {
            // What it does then means nothing.
            assert_ne!(probe.choose(3), 0);
            Ok(())
        });
        let (kind, _, message) = brief(outcome.failure).unwrap();
        assert_eq!(kind, FailureKind::UncontrolledNondeterminism);
        assert!(
            message.ends_with(&format!("at decision 1: {departure} cannot be done there")),
            "{message}"
        );
    }
}

/// The step goes on, and what is next to be decided is not.
#[test]
fn a_choice_that_is_none_any_more_says_so_before_time_passes() {
    let outcome = replay("sl1:1?9", |probe| async move {
        let _ = probe.choose(3);
        sleep(Duration::from_secs(1)).await?;
        panic!("a second has passed")
    });
    let message = brief(outcome.failure).unwrap().2;
    assert!(
        message.ends_with("at decision 1: 1?9 cannot be done there"),
        "{message}"
    );
}

/// A search meets the answer that was there before.
#[test]
fn a_program_that_has_a_choice_less_now_and_then_is_told() {
    let runs = Cell::new(0);
    let report = Explorer::new().explore(|probe| {
        let run = runs.replace(runs.get() + 1);
        async move {
            let _ = probe.choose(if run == 2 { 2 } else { 3 });
            Ok(())
        }
    });
    assert_eq!(brief(report.failure).unwrap().2, another_by(1));
}

/// While time passes nobody can go first, and no deadline passes early.
#[test]
fn while_everybody_waits_there_is_no_other_handle() {
    for departure in ["1>1", "1t"] {
        let outcome = replay(&format!("sl1:{departure}"), |_| {
            sleep(Duration::from_secs(1))
        });
        let message = brief(outcome.failure).unwrap().2;
        assert!(
            message.ends_with(&format!("at decision 1: {departure} cannot be done there")),
            "{message}"
        );
    }
}

/// Whatever a search finds in one program is no schedule of a program that has less to it.
#[test]
fn another_programs_schedule_never_passes() {
    let report = Explorer::new().cancels(1).reorder(1).explore(|_| async {
        let task = create_task(yields(4));
        yields(4).await?;
        task.await
    });
    let schedule = report.failure.unwrap().schedule;
    let outcome = Explorer::new().replay(&schedule, |_| async { Ok(()) });
    let kind = outcome.failure.map(|failure| failure.kind);
    assert_eq!(
        (schedule.to_string().as_str(), kind),
        ("sl1:1c2", Some(FailureKind::UncontrolledNondeterminism))
    );
}
