//! `{:?}` is asyncio's `repr`, without the module and the address.

use crate::kit::*;
use futures::FutureExt;
use soloop::{
    Barrier, BoundedSemaphore, Condition, Error, Event, Lock, Result, Semaphore, create_task,
    current_task, testing::Explorer,
};
use std::fmt::Debug;

fn noted_repr(object: &impl Debug) {
    note(format_args!("{object:?}"));
}

#[test]
fn of_a_lock() {
    let trace = trace_of(async {
        let lock = Lock::new();
        noted_repr(&lock);
        let held = lock.enter().await?;
        noted_repr(&lock);
        let waits = [create_task(lock.acquire()), create_task(lock.acquire())];
        turns(1).await?;
        noted_repr(&lock);
        waits[0].cancel();
        noted_repr(&lock);
        drop(held);
        noted_repr(&lock);
        turns(3).await?;
        noted_repr(&lock);
        Ok(())
    });
    assert_eq!(
        trace,
        "<Lock [unlocked]> <Lock [locked]> <Lock [locked, waiters:2]> <Lock [locked, waiters:2]> \
         <Lock [unlocked, waiters:2]> <Lock [locked]>"
    );
}

#[test]
fn of_an_event() {
    let trace = trace_of(async {
        let event = Event::new();
        noted_repr(&event);
        create_task(event.wait());
        create_task(event.wait());
        turns(1).await?;
        noted_repr(&event);
        event.set();
        noted_repr(&event);
        turns(1).await?;
        noted_repr(&event);
        Ok(())
    });
    assert_eq!(
        trace,
        "<Event [unset]> <Event [unset, waiters:2]> <Event [set, waiters:2]> <Event [set]>"
    );
}

/// Those who wait for its lock are not counted, only those who wait to be notified.
#[test]
fn of_a_condition() {
    let trace = trace_of(async {
        let condition = Condition::new();
        noted_repr(&condition);
        let waiting = condition.clone();
        create_task(async move { waiting.enter().await?.wait().await });
        turns(1).await?;
        noted_repr(&condition);
        let held = condition.enter().await?;
        create_task(condition.enter());
        turns(1).await?;
        noted_repr(&condition);
        held.notify(1)?;
        noted_repr(&condition);
        turns(1).await?;
        noted_repr(&condition);
        drop(held);
        Ok(())
    });
    assert_eq!(
        trace,
        "<Condition [unlocked]> <Condition [unlocked, waiters:1]> <Condition [locked, waiters:1]> \
         <Condition [locked, waiters:1]> <Condition [locked]>"
    );
}

#[test]
fn of_a_semaphore() {
    let trace = trace_of(async {
        let semaphore = Semaphore::new(3);
        noted_repr(&semaphore);
        noted_repr(&Semaphore::default());
        noted_repr(&Semaphore::new(0));
        let permits = [semaphore.enter().await?, semaphore.enter().await?];
        noted_repr(&semaphore);
        semaphore.acquire().await?;
        create_task(semaphore.acquire());
        turns(1).await?;
        noted_repr(&semaphore);
        drop(permits);
        noted_repr(&semaphore);
        turns(1).await?;
        noted_repr(&semaphore);
        Ok(())
    });
    assert_eq!(
        trace,
        "<Semaphore [unlocked, value:3]> <Semaphore [unlocked, value:1]> <Semaphore [locked]> \
         <Semaphore [unlocked, value:1]> <Semaphore [locked, waiters:1]> \
         <Semaphore [locked, waiters:1]> <Semaphore [unlocked, value:1]>"
    );
}

#[test]
fn of_a_bounded_semaphore() {
    let trace = trace_of(async {
        let semaphore = BoundedSemaphore::default();
        noted_repr(&semaphore);
        let permit = semaphore.enter().await?;
        create_task(semaphore.acquire());
        noted_repr(&semaphore);
        turns(1).await?;
        noted_repr(&semaphore);
        drop(permit);
        turns(1).await?;
        noted_repr(&semaphore);
        Ok(())
    });
    assert_eq!(
        trace,
        "<BoundedSemaphore [unlocked, value:1]> <BoundedSemaphore [locked]> \
         <BoundedSemaphore [locked, waiters:1]> <BoundedSemaphore [locked]>"
    );
}

#[test]
fn of_a_barrier() {
    let trace = trace_of(async {
        let barrier = Barrier::new(3)?;
        noted_repr(&barrier);
        for _ in 0..2 {
            create_task(barrier.wait());
        }
        turns(1).await?;
        noted_repr(&barrier);
        barrier.wait().await?;
        noted_repr(&barrier);
        turns(1).await?;
        noted_repr(&barrier);
        let waits = create_task(barrier.wait());
        turns(1).await?;
        barrier.reset().await?;
        noted_repr(&barrier);
        waits.await.expect_err("it was reset");
        barrier.abort().await?;
        noted_repr(&barrier);
        Ok(())
    });
    assert_eq!(
        trace,
        "<Barrier [filling, waiters:0/3]> <Barrier [filling, waiters:2/3]> \
         <Barrier [draining, waiters:0/3]> <Barrier [filling, waiters:0/3]> \
         <Barrier [resetting, waiters:0/3]> <Barrier [broken]>"
    );
}

#[test]
fn of_a_task() {
    let trace = trace_of(async {
        let task = create_task(nap(9));
        noted_repr(&task);
        turns(1).await?;
        task.set_name("named");
        noted_repr(&task.handle());
        task.cancel();
        noted_repr(&task);
        turns(1).await?;
        noted_repr(&task);
        noted_repr(&current_task().expect("main is a task"));
        Ok(())
    });
    assert_eq!(
        trace,
        "<Task pending name='Task-2'> <Task pending name='named'> <Task cancelling name='named'> \
         <Task cancelled name='named'> <Task pending name='Task-1'>"
    );
}

/// Python adds the result; ours need not be `Debug`.
#[test]
fn of_a_task_that_has_ended() -> Result<()> {
    struct NotDebug;
    run(async {
        let returned = create_task(async { Ok(NotDebug) });
        let raised = create_task(async { Err::<(), _>(Error::Value("mine".into())) });
        turns(1).await?;
        let repr = format!("{returned:?}");
        assert!(repr.starts_with("<Task finished name='Task-2'"), "{repr}");
        assert!(repr.ends_with('>'), "{repr}");
        let repr = format!("{:?}", raised.handle());
        assert!(repr.starts_with("<Task finished name='Task-3'"), "{repr}");
        assert_eq!(outcome(raised.await), "ValueError: mine");
        Ok(())
    })
}

/// A clone is another reference to the same thing.
#[test]
fn of_a_clone_is_the_same() -> Result<()> {
    let (lock, event, condition) = (Lock::new(), Event::new(), Condition::new());
    let (semaphore, bounded) = (Semaphore::new(2), BoundedSemaphore::new(2));
    let barrier = Barrier::new(2)?;
    let clones = (
        (lock.clone(), event.clone(), condition.clone()),
        (semaphore.clone(), bounded.clone(), barrier.clone()),
    );
    run(async {
        lock.acquire().await?;
        event.set();
        condition.acquire().await?;
        semaphore.acquire().await?;
        bounded.acquire().await?;
        barrier.abort().await
    })?;
    assert_eq!(
        format!("{clones:?}"),
        "((<Lock [locked]>, <Event [set]>, <Condition [locked]>), \
         (<Semaphore [unlocked, value:1]>, <BoundedSemaphore [unlocked, value:1]>, <Barrier [broken]>))"
    );
    Ok(())
}

#[test]
fn of_a_shared_lock_shows_in_its_conditions() {
    let lock = Lock::new();
    let conditions = [Condition::with_lock(&lock), Condition::with_lock(&lock)];
    let held = lock.enter().now_or_never().expect("the lock is free");
    assert_eq!(
        format!("{conditions:?}"),
        "[<Condition [locked]>, <Condition [locked]>]"
    );
    drop(held);
    assert_eq!(
        format!("{conditions:?}"),
        "[<Condition [unlocked]>, <Condition [unlocked]>]"
    );
}

#[test]
fn of_an_error_is_rusts_and_its_display_is_pythons() {
    let errors = [
        Error::Cancelled,
        Error::Timeout,
        Error::BrokenBarrier("Barrier aborted".into()),
        Error::Runtime("Lock is not acquired.".into()),
        Error::Value("parties must be > 0".into()),
        Error::other("mine"),
    ];
    let displayed: Vec<_> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(
        displayed.join("\n"),
        "CancelledError\n\
         TimeoutError\n\
         BrokenBarrierError: Barrier aborted\n\
         RuntimeError: Lock is not acquired.\n\
         ValueError: parties must be > 0\n\
         mine"
    );
    assert_eq!(format!("{:?}", errors[0]), "Cancelled");
}

#[test]
fn of_an_explorer_are_its_limits_and_of_a_probe_its_name() {
    let explorer = Explorer::new().cancels(3).max_steps(70);
    let printed = format!("{explorer:?}");
    assert!(printed.starts_with("Explorer { limits: "), "{printed}");
    assert!(
        printed.contains("cancels: 3") && printed.contains("max_steps: 70"),
        "{printed}"
    );
    assert_eq!(
        format!("{:?}", Explorer::default()),
        format!("{:?}", Explorer::new())
    );
    explorer.check(|probe| async move {
        assert_eq!(format!("{probe:?}"), "Probe");
        Ok(())
    });
}
