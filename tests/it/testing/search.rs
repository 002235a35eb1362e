//! Which runs a search makes, and what it says of them.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeSet,
    future::pending,
    rc::Rc,
    task::Poll,
    time::Duration,
};

use futures::{StreamExt, poll, stream::FuturesUnordered};
use proptest::{collection::vec, prelude::*};
use soloop::{
    Error, Result, create_task, sleep,
    testing::{Explorer, FailureKind, Probe, Report},
    wrap_future,
};

use super::{told, two_tasks, yields};

/// Explores tasks that take so many steps each, and returns the orders in which they were taken.
fn orders(explorer: &Explorer, steps: &[usize]) -> (Report, Vec<String>) {
    let orders = RefCell::new(Vec::new());
    let report = explorer.explore(|probe: Probe| {
        let orders = &orders;
        async move {
            let order = Rc::new(RefCell::new(String::new()));
            for (name, &steps) in ('a'..).zip(steps) {
                let order = Rc::clone(&order);
                create_task(async move {
                    for _ in 1..steps {
                        order.borrow_mut().push(name);
                        sleep(Duration::ZERO).await?;
                    }
                    order.borrow_mut().push(name);
                    Result::Ok(())
                });
            }
            probe.settled().await?;
            orders.borrow_mut().push(order.take());
            Ok(())
        }
    });
    (report, orders.into_inner())
}

fn factorial(n: usize) -> usize {
    (1..=n).product()
}

/// Three tasks of one step each, in one of six orders.
async fn three_steps(probe: Probe) -> Result<()> {
    let _tasks = [(); 3].map(|()| create_task(yields(0)));
    probe.settled().await
}

#[test]
fn three_tasks_of_three_steps_are_seen_in_each_of_their_orders_once() {
    let (report, orders) = orders(&Explorer::new().reorder(u32::MAX), &[3, 3, 3]);
    let distinct: BTreeSet<_> = orders.iter().collect();
    assert_eq!(
        (orders.len(), distinct.len(), report.runs, report.complete),
        (1680, 1680, 1680, true)
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn tasks_of_any_lengths_are_seen_in_as_many_orders_as_there_are(steps in vec(1..4_usize, 0..5)) {
        prop_assume!(steps.iter().sum::<usize>() <= 8);
        let (report, orders) = orders(&Explorer::new().reorder(u32::MAX), &steps);
        let all = factorial(steps.iter().sum());
        let expected = steps.iter().fold(all, |all, &steps| all / factorial(steps));
        let distinct: BTreeSet<_> = orders.iter().collect();
        prop_assert_eq!(
            (orders.len(), distinct.len(), report.runs, report.complete),
            (expected, expected, expected as u64, true)
        );
    }
}

/// Of five tasks of one step each, as many orders depart `j` times as permutations of five have `5 - j` cycles.
#[test]
fn orders_that_depart_up_to_n_times_are_counted_by_stirling() {
    let runs = (0..=5).map(|n| orders(&Explorer::new().reorder(n), &[1; 5]).0.runs);
    assert_eq!(
        runs.collect::<Vec<_>>(),
        [1, 1 + 10, 11 + 35, 46 + 50, 96 + 24, 120]
    );
}

#[test]
fn an_explorer_that_departs_from_nothing_makes_one_run() {
    let report = Explorer::new().explore(|_| two_tasks());
    assert_eq!((report.runs, report.steps, report.complete), (1, 6, true));
}

#[test]
fn is_cut_exactly_when_there_are_more_runs_than_it_may_make() {
    let cut_at = |n| told(&Explorer::new().reorder(9).max_runs(n).explore(three_steps));
    let all = 6;
    assert_eq!(
        [0, 1, all - 1, all, all + 1].map(cut_at),
        [
            "cut after 0",
            "cut after 1",
            "cut after 5",
            "complete after 6",
            "complete after 6"
        ]
    );
}

/// There is room for all of them from the first run on.
#[test]
fn is_cut_likewise_when_every_run_branches_off_from_the_first() {
    let cut_at = |n| {
        let by_order = Explorer::new().reorder(1).max_runs(n).explore(three_steps);
        let by_choice = Explorer::new().max_runs(n).explore(|probe| async move {
            let _ = probe.choose(4);
            Ok(())
        });
        [by_order, by_choice].map(|report| told(&report))
    };
    assert_eq!(
        [3, 4, 5].map(cut_at),
        [
            ["cut after 3", "cut after 3"],
            ["complete after 4", "complete after 4"],
            ["complete after 4", "complete after 4"]
        ]
    );
}

/// A later run may have more of them than the first.
#[test]
fn is_cut_likewise_when_a_later_run_branches_off_more_often() {
    let cut_at = |n| {
        told(&Explorer::new().max_runs(n).explore(|probe| async move {
            let _ = probe.choose(2) == 1 && probe.choose(10) == 1;
            Ok(())
        }))
    };
    assert_eq!([10, 11].map(cut_at), ["cut after 10", "complete after 11"]);
}

/// With choices, runs of one level wait beside those of the next.
#[test]
fn is_cut_likewise_when_some_runs_are_by_choice() {
    let cut_at = |n| {
        let explorer = Explorer::new().reorder(9).max_runs(n);
        let report = explorer.explore(|probe| async move {
            let _ = probe.choose(2);
            three_steps(probe.clone()).await?;
            let _ = probe.choose(2);
            Ok(())
        });
        (report.runs, report.complete)
    };
    assert_eq!(
        [23, 24, 25].map(cut_at),
        [(23, false), (24, true), (24, true)]
    );
}

/// What does not depart comes first, also where there is not room for all that does.
#[test]
fn a_cut_search_finds_the_failure_with_the_fewest_departures_all_the_same() {
    let explorer = Explorer::new().reorder(9).max_runs(4);
    let report = explorer.explore(|probe| async move {
        three_steps(probe.clone()).await?;
        assert_ne!(probe.choose(3), 2);
        Ok(())
    });
    assert_eq!(report.failure.unwrap().schedule.to_string(), "sl1:6?2");
}

/// A choice that only a later run has takes the place of departures that are waiting already.
#[test]
fn a_cut_search_makes_the_runs_by_choice_first_all_the_same() {
    let explorer = Explorer::new().reorder(9).max_runs(4);
    let report = explorer.explore(|probe| async move {
        let more = probe.choose(2) == 1;
        three_steps(probe.clone()).await?;
        assert_ne!(more.then(|| probe.choose(3)), Some(2));
        Ok(())
    });
    assert_eq!(report.failure.unwrap().schedule.to_string(), "sl1:1?1,7?2");
}

#[test]
fn a_run_of_as_many_steps_as_there_may_be_is_no_failure() {
    let limited = |n| Explorer::new().max_steps(n).explore(|_| two_tasks());
    assert_eq!(
        [5, 6].map(|n| told(&limited(n))),
        [
            "sl1: step limit: still running after 5 steps",
            "complete after 1"
        ]
    );
}

#[test]
fn a_run_without_end_is_over_its_step_limit() {
    let report = Explorer::new().max_steps(50).explore(|_| async {
        loop {
            sleep(Duration::from_secs(1)).await?;
        }
    });
    let kind = report.failure.unwrap().kind;
    assert_eq!((kind, report.steps), (FailureKind::StepLimit, 50));
}

#[test]
fn a_thousand_tasks_have_half_a_million_points_to_be_cancelled_at() {
    let cancelled = RefCell::new(BTreeSet::new());
    let explorer = Explorer::new().cancels(1).max_runs(21);
    let report = explorer.explore(|_| async {
        let tasks: Vec<_> = (0..1_000).map(|_| create_task(yields(0))).collect();
        for (n, task) in tasks.into_iter().enumerate() {
            if task.await.is_err() {
                cancelled.borrow_mut().insert(n);
            }
        }
        Ok(())
    });
    // Before the first task's step, each of the first twenty.
    assert_eq!(cancelled.into_inner(), (0..20).collect());
    assert_eq!((report.runs, report.complete), (21, false));
    assert_eq!(report.cancel_points, (20, 500_500));
}

#[test]
fn a_body_may_borrow() {
    let runs = Cell::new(0);
    Explorer::new().reorder(9).check(|probe| {
        runs.set(runs.get() + 1);
        three_steps(probe)
    });
    assert_eq!(runs.get(), 6);
}

/// A task without a handle keeps its slot, and what is left of one run is not there in the next.
#[test]
fn what_a_run_leaks_is_no_part_of_the_next() {
    let names = RefCell::new(BTreeSet::new());
    let report = Explorer::new().reorder(9).explore(|_| async {
        std::mem::forget(create_task(yields(0)));
        let waiting = Box::leak(Box::new(create_task(soloop::Event::new().wait())));
        let task = create_task(yields(0));
        names.borrow_mut().insert(task.name());
        task.await?;
        waiting.cancel();
        Ok(())
    });
    assert_eq!(names.into_inner(), BTreeSet::from(["Task-4".to_owned()]));
    assert_eq!(told(&report), format!("complete after {}", report.runs));
}

/// Nor is a wait that nobody will ever end, in a task or in a combinator.
#[test]
fn what_a_run_waits_for_for_ever_is_no_part_of_the_next() {
    let report = Explorer::new().reorder(9).explore(|_| async {
        let waiting = Box::leak(Box::new(Box::pin(wrap_future(pending::<()>()))));
        assert!(poll!(waiting).is_pending());
        two_tasks().await
    });
    assert!(report.complete, "{}", told(&report));
    let report = Explorer::new().reorder(9).explore(|_| async {
        let wait = Box::pin(wrap_future(pending::<()>()));
        let waiting = Box::leak(Box::new(FuturesUnordered::from_iter([wait])));
        assert!(poll!(waiting.next()).is_pending());
        two_tasks().await
    });
    assert!(report.complete, "{}", told(&report));
}

/// Nor is a bare yield, which its loop has no record of.
#[test]
fn a_yield_that_a_run_leaves_behind_belongs_to_no_loop_that_runs() {
    let (left, ends) = (RefCell::new(None), RefCell::new(BTreeSet::new()));
    let report = Explorer::new().reorder(9).explore(|_| async {
        if let Some(before) = left.take() {
            let end: Poll<Result<()>> = poll!(before);
            ends.borrow_mut().insert(format!("{end:?}"));
        }
        let mut bare = Box::pin(sleep(Duration::ZERO));
        assert!(poll!(&mut bare).is_pending());
        left.replace(Some(bare));
        two_tasks().await
    });
    assert!(report.complete, "{}", told(&report));
    let end = Poll::Ready(Err::<(), _>(Error::Runtime("no running event loop".into())));
    assert_eq!(ends.into_inner(), BTreeSet::from([format!("{end:?}")]));
}
