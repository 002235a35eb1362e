//! A run that departs from nothing is, event for event, the run that `EventLoop::run` makes.

use std::{future::Future, time::Duration};

use futures::{FutureExt, join, select_biased};
use soloop::{
    Barrier, Condition, Error, Event, EventLoop, Lock, Result, Semaphore, create_task, sleep,
    testing::{Explorer, FailureKind, Probe, Schedule},
    trace::{EventKind, record},
    wait_for,
};

use super::{two_tasks, yields};
use crate::kit::{OnDrop, nap, secs};

/// Runs a program in both ways, and returns how it failed as an explorer sees it.
#[track_caller]
fn both<U: Future<Output = Result<()>>>(program: fn() -> U) -> Option<FailureKind> {
    let (ended, expected) = record(&mut EventLoop::with_virtual_clock(), program());
    let outcome = Explorer::new().replay(&Schedule::default(), |_: Probe| program());
    let explored = outcome.timeline.events().iter();
    let explored = explored.filter(|event| !matches!(event.kind, EventKind::Failed { .. }));
    assert_eq!(
        explored.collect::<Vec<_>>(),
        expected.events().iter().collect::<Vec<_>>()
    );
    assert_eq!(outcome.failure.is_some(), ended.is_err(), "{ended:?}");
    assert!(outcome.timeline.tasks().eq(expected.tasks()));
    outcome.failure.map(|failure| failure.kind)
}

#[test]
fn tasks_that_yield() {
    assert_eq!(both(two_tasks), None);
}

#[test]
fn sleeps_that_end_at_the_same_time() {
    let program = || async {
        let tasks = [2, 1, 1, 3].map(|n| create_task(nap(n)));
        for task in tasks {
            task.await?;
        }
        nap(1).await
    };
    assert_eq!(both(program), None);
}

#[test]
fn a_lock_that_three_want() {
    let program = || async {
        let lock = Lock::new().named("db");
        let user = || {
            let lock = lock.clone();
            create_task(async move {
                let _held = lock.enter().await?;
                yields(2).await?;
                nap(1).await
            })
        };
        let users = [user(), user(), user()];
        for user in users {
            user.await?;
        }
        Ok(())
    };
    assert_eq!(both(program), None);
}

#[test]
fn a_queue_on_a_condition() {
    let program = || async {
        let condition = Condition::new();
        let waiting = [(); 3].map(|()| {
            let condition = condition.clone();
            create_task(async move {
                let mut held = condition.enter().await?;
                held.wait().await
            })
        });
        yields(3).await?;
        for _ in 0..3 {
            let held = condition.enter().await?;
            held.notify(1)?;
        }
        for waiting in waiting {
            waiting.await?;
        }
        Ok(())
    };
    assert_eq!(both(program), None);
}

#[test]
fn a_barrier_and_a_semaphore() {
    let program = || async {
        let (barrier, permits) = (Barrier::new(3)?, Semaphore::new(2));
        let tasks = [(); 3].map(|()| {
            let (barrier, permits) = (barrier.clone(), permits.clone());
            create_task(async move {
                let _permit = permits.enter().await?;
                nap(1).await?;
                drop(_permit);
                barrier.wait().await
            })
        });
        for task in tasks {
            task.await?;
        }
        Ok(())
    };
    assert_eq!(both(program), None);
}

#[test]
fn timeouts_that_strike_and_one_of_zero() {
    let program = || async {
        let never = Event::new();
        assert!(matches!(
            wait_for(never.wait(), secs(1)).await,
            Err(Error::Timeout)
        ));
        assert!(matches!(
            wait_for(never.wait(), Duration::ZERO).await,
            Err(Error::Timeout)
        ));
        let task = create_task(Event::new().wait());
        assert!(wait_for(task, Duration::ZERO).await.is_err());
        wait_for(yields(3), secs(9)).await
    };
    assert_eq!(both(program), None);
}

#[test]
fn cancels_delivered_refused_and_passed_on() {
    let program = || async {
        let stubborn = create_task(async {
            while nap(1).await.is_err() {}
            yields(1).await
        });
        let inner = create_task(Event::new().wait());
        let outer = create_task(inner);
        let unborn = create_task(yields(1));
        unborn.cancel();
        yields(2).await?;
        stubborn.cancel();
        outer.cancel();
        assert!(stubborn.await.is_ok() && outer.await.is_err() && unborn.await.is_err());
        Ok(())
    };
    assert_eq!(both(program), None);
}

#[test]
fn combinators_with_wakers_of_their_own() {
    let program = || async {
        let ready = Event::new();
        let (set, timer) = (ready.clone(), create_task(nap(2)));
        let (first, second) = join!(ready.wait(), async {
            yields(1).await?;
            set.set();
            nap(1).await
        });
        first.and(second)?;
        select_biased! {
            slept = nap(3).fuse() => slept,
            ended = timer.fuse() => ended,
        }
    };
    assert_eq!(both(program), None);
}

#[test]
fn tasks_that_are_left_over_when_main_ends() {
    let program = || async {
        drop(create_task(Event::new().wait()));
        drop(create_task(async {
            let _on_drop = OnDrop(|| drop(create_task(yields(3))));
            let slept = nap(9).await;
            yields(2).await?;
            slept
        }));
        drop(create_task(nap(1)));
        yields(1).await
    };
    assert_eq!(both(program), None);
}

#[test]
fn a_shutdown_that_takes_its_time() {
    let program = || async {
        drop(create_task(async {
            let _ = nap(5).await;
            let _ = create_task(nap(5)).await;
            nap(5).await
        }));
        yields(1).await
    };
    assert_eq!(both(program), None);
}

#[test]
fn a_main_that_fails() {
    let program = || async {
        drop(create_task(nap(1)));
        yields(1).await?;
        Err(Error::other("main has enough"))
    };
    assert_eq!(both(program), Some(FailureKind::Error));
}

#[test]
fn a_deadlock() {
    let program = || async {
        let (first, second) = (Lock::new(), Lock::new());
        let (one, other) = (first.clone(), second.clone());
        let task = create_task(async move {
            let _held = one.enter().await?;
            yields(1).await?;
            other.acquire().await
        });
        let _held = second.enter().await?;
        yields(2).await?;
        let _too = first.enter().await?;
        task.await
    };
    assert_eq!(both(program), Some(FailureKind::Deadlock));
}

#[test]
fn a_deadlock_of_the_shutdown() {
    let program = || async {
        drop(create_task(async {
            let _ = nap(9).await;
            Event::new().wait().await
        }));
        yields(1).await
    };
    assert_eq!(both(program), Some(FailureKind::Deadlock));
}

#[test]
fn a_main_that_ends_at_once() {
    let program = || async {
        drop(create_task(sleep(Duration::ZERO)));
        Ok(())
    };
    assert_eq!(both(program), None);
}
