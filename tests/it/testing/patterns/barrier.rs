//! `Barrier`.

use soloop::{Barrier, Error, Result, create_task, testing::Probe, wait_for};

use super::{assert_idle, hold, join, one_blow};
use crate::{kit::secs, testing::scaffold::or_too_late};

const EMPTY: &str = "<Barrier [filling, waiters:0/2]>";

/// Nobody minds to be sent away.
fn or_sent_away<T>(passed: Result<T>) -> Result<()> {
    match passed {
        Ok(_) | Err(Error::BrokenBarrier(_)) => Ok(()),
        Err(error) => Err(error),
    }
}

/// So many tasks that pass so many times, until they are sent away.
async fn pass(barrier: Barrier, times: usize) -> Result<()> {
    for _ in 0..times {
        match barrier.wait().await {
            Ok(_) => {}
            sent_away => return or_sent_away(sent_away),
        }
    }
    Ok(())
}

/// Sends away whoever is left, and mends the barrier.
async fn close(probe: &Probe, barrier: &Barrier) -> Result<()> {
    probe.settled().await?;
    barrier.abort().await?;
    probe.settled().await?;
    barrier.reset().await
}

#[test]
fn is_passed_by_two() {
    hold(&one_blow(), |probe| async move {
        let barrier = Barrier::new(2)?;
        let tasks = [(); 2].map(|()| create_task(pass(barrier.clone(), 1)));
        close(&probe, &barrier).await?;
        join(tasks).await?;
        assert_idle(&barrier, EMPTY);
        Ok(())
    });
}

#[test]
fn is_passed_by_three() {
    hold(&one_blow(), |probe| async move {
        let barrier = Barrier::new(3)?;
        let tasks = [(); 3].map(|()| create_task(pass(barrier.clone(), 1)));
        close(&probe, &barrier).await?;
        join(tasks).await?;
        assert_idle(&barrier, "<Barrier [filling, waiters:0/3]>");
        Ok(())
    });
}

#[test]
fn is_passed_again_by_those_who_have_just_left() {
    hold(&one_blow(), |probe| async move {
        let barrier = Barrier::new(2)?;
        let tasks = [(); 2].map(|()| create_task(pass(barrier.clone(), 2)));
        close(&probe, &barrier).await?;
        join(tasks).await?;
        assert_idle(&barrier, EMPTY);
        Ok(())
    });
}

#[test]
fn drains_before_a_third_comes_in() {
    hold(&one_blow(), |probe| async move {
        let barrier = Barrier::new(2)?;
        let tasks = [(); 3].map(|()| create_task(pass(barrier.clone(), 1)));
        probe.settled().await?;
        let waiting = tasks.iter().filter(|task| !task.done()).count();
        assert_eq!(barrier.n_waiting(), waiting);
        close(&probe, &barrier).await?;
        join(tasks).await?;
        assert_idle(&barrier, EMPTY);
        Ok(())
    });
}

#[test]
fn is_reset_while_one_waits() {
    hold(&one_blow(), |probe| async move {
        let barrier = Barrier::new(2)?;
        let task = create_task(pass(barrier.clone(), 2));
        let reset = create_task(barrier.reset());
        probe.settled().await?;
        close(&probe, &barrier).await?;
        join([task, reset]).await?;
        assert_idle(&barrier, EMPTY);
        Ok(())
    });
}

#[test]
fn is_reset_while_it_drains() {
    hold(&one_blow(), |probe| async move {
        let barrier = Barrier::new(2)?;
        let tasks = [
            create_task(pass(barrier.clone(), 1)),
            create_task(pass(barrier.clone(), 1)),
            create_task(barrier.reset()),
            create_task(pass(barrier.clone(), 1)),
        ];
        close(&probe, &barrier).await?;
        join(tasks).await?;
        assert_idle(&barrier, EMPTY);
        Ok(())
    });
}

#[test]
fn is_aborted_while_one_waits() {
    hold(&one_blow(), |probe| async move {
        let barrier = Barrier::new(2)?;
        let tasks = [
            create_task(pass(barrier.clone(), 1)),
            create_task(barrier.abort()),
            create_task(pass(barrier.clone(), 1)),
        ];
        close(&probe, &barrier).await?;
        join(tasks).await?;
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
