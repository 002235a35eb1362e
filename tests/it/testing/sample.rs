//! Random walks, and what is left of a failure once it is minimised.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeSet,
    rc::Rc,
};

use soloop::{
    Lock, Result, create_task,
    testing::{Explorer, FailureKind, Probe, Report},
};

use super::{brief, replay, told, yields};

/// Two users of a lock; a third gives it back that never had it, once it sees it held for the second time.
async fn lost_lock(_: Probe) -> Result<()> {
    let lock = Lock::new();
    let inside = Rc::new(Cell::new(0));
    let user = |n: usize| {
        let (lock, inside) = (lock.clone(), Rc::clone(&inside));
        create_task(async move {
            yields(n).await?;
            if n == 2 && lock.locked() {
                lock.release()?;
            }
            let _held = lock.enter().await?;
            assert_eq!(inside.replace(inside.get() + 1), 0, "two are inside");
            yields(1).await?;
            inside.set(inside.get() - 1);
            Ok(())
        })
    };
    let users = [user(0), user(2), user(4)];
    for user in users {
        user.await?;
    }
    Ok(())
}

fn explorer() -> Explorer {
    Explorer::new().reorder(u32::MAX).max_steps(200)
}

#[test]
fn the_same_seed_makes_the_same_runs() {
    let facts = |seed| {
        let report: Report = explorer().sample(seed, 500, lost_lock);
        (report.runs, report.steps, brief(report.failure))
    };
    assert!(facts(7).2.is_some(), "it is found");
    assert_eq!(facts(7), facts(7));
    let runs: BTreeSet<_> = (0..8).map(|seed| facts(seed).1).collect();
    assert!(runs.len() > 1, "other seeds make other runs");
}

/// Each departure is needed: without it, and with the later ones where they were or moved up, this failure is gone.
#[test]
fn no_departure_of_a_failure_can_be_spared() {
    for seed in 0..20 {
        let report = explorer().sample(seed, 500, lost_lock);
        let (kind, schedule, _) = brief(report.failure).expect("it is found");
        let departures: Vec<_> = schedule.strip_prefix("sl1:").unwrap().split(',').collect();
        for left_out in 0..departures.len() {
            let mut left = departures.clone();
            left.remove(left_out);
            let outcome = replay(&format!("sl1:{}", left.join(",")), lost_lock);
            assert_ne!(
                outcome.failure.map(|failure| failure.kind),
                Some(kind),
                "{schedule}"
            );
        }
        let again = replay(&schedule, lost_lock).failure.unwrap();
        assert_eq!(again.kind, FailureKind::Panic);
    }
}

#[test]
fn a_failure_that_needs_no_departure_is_left_with_none() {
    let report = explorer().cancels(3).sample(1, 10, |probe| async move {
        let _ = probe.choose(10);
        let task = create_task(yields(9));
        let _ = task.await;
        panic!("in any case")
    });
    assert_eq!(
        (report.runs, report.failure.unwrap().schedule.to_string()),
        (1, "sl1:".into())
    );
}

#[test]
fn a_sample_is_never_complete() {
    let report = Explorer::new().sample(1, 3, |_| yields(1));
    assert_eq!((told(&report).as_str(), report.steps), ("cut after 3", 6));
}

#[test]
fn a_sample_of_nothing_runs_nothing() {
    let report = Explorer::new().sample(1, 0, |_| async { panic!("not run") });
    assert_eq!((told(&report).as_str(), report.steps), ("cut after 0", 0));
}

#[test]
fn a_sample_departs_within_its_limits() {
    let cancelled = RefCell::new(BTreeSet::new());
    let report = Explorer::new().cancels(2).sample(3, 300, |_| async {
        let tasks = [(); 4].map(|()| create_task(yields(3)));
        let mut count = 0;
        for task in tasks {
            count += usize::from(task.await.is_err());
        }
        cancelled.borrow_mut().insert(count);
        Ok(())
    });
    assert_eq!(cancelled.into_inner(), BTreeSet::from([0, 1, 2]));
    let (tried, there_were) = report.cancel_points;
    assert!(0 < tried && tried < there_were, "{tried} of {there_were}");
}

#[test]
fn a_sample_tells_of_what_is_not_deterministic() {
    let runs = Cell::new(0);
    let report = explorer().sample(1, 50, |_| {
        let run = runs.replace(runs.get() + 1);
        async move {
            assert!(run < 5);
            yields(1).await
        }
    });
    let kind = report.failure.unwrap().kind;
    assert_eq!(kind, FailureKind::UncontrolledNondeterminism);
}
