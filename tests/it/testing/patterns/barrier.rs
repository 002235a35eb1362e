//! `Barrier`.

use std::{cell::Cell, rc::Rc};

use soloop::{Barrier, Result, create_task, testing::Probe, wait_for};

use super::{assert_idle, hold, join, one_blow};
use crate::{
    kit::secs,
    testing::scaffold::{or_sent_away, or_too_late},
};

const EMPTY: &str = "<Barrier [filling, waiters:0/2]>";

async fn pass(barrier: Barrier) -> Result<()> {
    or_sent_away(barrier.wait().await)
}

/// Sends away whoever is left in vain.
async fn clear(probe: &Probe, barrier: &Barrier) -> Result<()> {
    probe.settled().await?;
    barrier.reset().await
}

#[test]
fn is_passed_by_two() {
    hold(&one_blow(), |probe| async move {
        let barrier = Barrier::new(2)?;
        let tasks = [(); 2].map(|()| create_task(pass(barrier.clone())));
        clear(&probe, &barrier).await?;
        join(tasks).await?;
        assert_idle(&barrier, EMPTY);
        Ok(())
    });
}

#[test]
fn is_passed_by_three() {
    hold(&one_blow(), |probe| async move {
        let barrier = Barrier::new(3)?;
        let tasks = [(); 3].map(|()| create_task(pass(barrier.clone())));
        clear(&probe, &barrier).await?;
        join(tasks).await?;
        assert_idle(&barrier, "<Barrier [filling, waiters:0/3]>");
        Ok(())
    });
}

#[test]
fn is_passed_again_by_those_who_have_just_left() {
    hold(&one_blow(), |probe| async move {
        let (barrier, arrived) = (Barrier::new(2)?, Rc::new(Cell::new([0; 2])));
        let tasks = [(); 2].map(|()| {
            let (barrier, arrived) = (barrier.clone(), Rc::clone(&arrived));
            create_task(async move {
                for round in 0..2 {
                    let mut counts = arrived.get();
                    counts[round] += 1;
                    arrived.set(counts);
                    match barrier.wait().await {
                        Ok(_) => assert_eq!(arrived.get()[round], 2, "nobody passes alone"),
                        sent_away => return or_sent_away(sent_away),
                    }
                }
                Ok(())
            })
        });
        clear(&probe, &barrier).await?;
        join(tasks).await?;
        assert_idle(&barrier, EMPTY);
        Ok(())
    });
}

#[test]
fn drains_before_a_third_comes_in() {
    hold(&one_blow(), |probe| async move {
        let barrier = Barrier::new(2)?;
        let tasks = [(); 3].map(|()| create_task(pass(barrier.clone())));
        probe.settled().await?;
        let waiting = tasks.iter().filter(|task| !task.done()).count();
        assert_eq!(barrier.n_waiting(), waiting);
        clear(&probe, &barrier).await?;
        join(tasks).await?;
        assert_idle(&barrier, EMPTY);
        Ok(())
    });
}

#[test]
fn is_reset_while_one_waits_and_another_comes() {
    hold(&one_blow(), |probe| async move {
        let barrier = Barrier::new(2)?;
        let tasks = [
            create_task(pass(barrier.clone())),
            create_task(barrier.reset()),
            create_task(pass(barrier.clone())),
        ];
        clear(&probe, &barrier).await?;
        join(tasks).await?;
        assert_idle(&barrier, EMPTY);
        Ok(())
    });
}

#[test]
fn is_reset_while_it_drains() {
    hold(&one_blow(), |probe| async move {
        let barrier = Barrier::new(2)?;
        let tasks = [
            create_task(pass(barrier.clone())),
            create_task(pass(barrier.clone())),
            create_task(barrier.reset()),
            create_task(pass(barrier.clone())),
        ];
        clear(&probe, &barrier).await?;
        join(tasks).await?;
        assert_idle(&barrier, EMPTY);
        Ok(())
    });
}

#[test]
fn is_aborted_while_one_waits_and_another_comes() {
    hold(&one_blow(), |probe| async move {
        let barrier = Barrier::new(2)?;
        let tasks = [
            create_task(pass(barrier.clone())),
            create_task(barrier.abort()),
            create_task(pass(barrier.clone())),
        ];
        probe.settled().await?;
        barrier.abort().await?;
        join(tasks).await?;
        assert_idle(&barrier, "<Barrier [broken]>");
        barrier.reset().await?;
        assert_idle(&barrier, EMPTY);
        Ok(())
    });
}

#[test]
fn is_waited_at_with_a_timeout() {
    hold(&one_blow().early_timers(1), |probe| async move {
        let barrier = Barrier::new(2)?;
        let tasks = [(); 3].map(|()| {
            let barrier = barrier.clone();
            create_task(async move { or_too_late(wait_for(barrier.wait(), secs(1)).await) })
        });
        join(tasks).await?;
        probe.settled().await?;
        assert_idle(&barrier, EMPTY);
        Ok(())
    });
}
