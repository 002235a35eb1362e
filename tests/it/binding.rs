//! A primitive belongs to the first loop that makes a task wait on it; outside any loop nothing suspends.

use crate::{kit::*, scene::*};
use futures::{FutureExt, executor::block_on, future::LocalBoxFuture};
use soloop::{
    Barrier, BoundedSemaphore, Condition, Error, Event, EventLoop, Lock, Result, Semaphore, Task,
    create_task, sleep, wait_for,
};
use std::{future::Future, time::Duration};

/// Makes a task of a loop of its own wait, for as long as that loop runs.
fn bind<T>(wait: impl Future<Output = Result<T>>) {
    let late = run(wait_for(wait, secs(1)));
    assert_eq!(outcome(late.map(drop)), "TimeoutError");
}

mod another_loop {
    use super::*;

    /// The wait is refused, with the primitive as it stands, and changes nothing.
    fn refuses<S: Scene>() -> String {
        let scene = S::blocked();
        bind(scene.visit());
        let refused = outcome(run(scene.visit()));
        assert_eq!(scene.repr(), S::BLOCKED);
        refused
    }

    fn bound(repr: &str) -> String {
        format!("RuntimeError: {repr} is bound to a different event loop")
    }

    #[test]
    fn cannot_wait_for_a_lock() {
        assert_eq!(refuses::<LockAcquire>(), bound("<Lock [locked]>"));
        assert_eq!(refuses::<LockEnter>(), bound("<Lock [locked]>"));
        assert_eq!(refuses::<ConditionAcquire>(), bound("<Lock [locked]>"));
        assert_eq!(refuses::<ConditionEnter>(), bound("<Lock [locked]>"));
    }

    #[test]
    fn cannot_wait_for_an_event() {
        assert_eq!(refuses::<EventWait>(), bound("<Event [unset]>"));
    }

    /// The lock is free and is taken; it is the condition that is bound, and that leaves the lock as it was.
    #[test]
    fn cannot_wait_for_a_condition() {
        assert_eq!(refuses::<ConditionWait>(), bound("<Condition [locked]>"));
        assert_eq!(refuses::<ConditionWaitFor>(), bound("<Condition [locked]>"));
        assert_eq!(refuses::<GuardWait>(), bound("<Condition [locked]>"));
        assert_eq!(refuses::<GuardWaitFor>(), bound("<Condition [locked]>"));
    }

    #[test]
    fn cannot_wait_for_a_semaphore() {
        assert_eq!(refuses::<SemaphoreAcquire>(), bound("<Semaphore [locked]>"));
        assert_eq!(refuses::<SemaphoreEnter>(), bound("<Semaphore [locked]>"));
        let bounded = bound("<BoundedSemaphore [locked]>");
        assert_eq!(refuses::<BoundedAcquire>(), bounded);
        assert_eq!(refuses::<BoundedEnter>(), bounded);
    }

    #[test]
    fn cannot_wait_for_a_barrier() -> Result<()> {
        let barrier = Barrier::new(2)?;
        bind(barrier.wait());
        let refused = outcome(run(barrier.wait()));
        assert_eq!(refused, bound("<Condition [locked]>"));
        assert_eq!(format!("{barrier:?}"), "<Barrier [filling, waiters:0/2]>");
        Ok(())
    }

    /// What is refused names asyncio's condition, and that says who waits: none of those who have passed.
    #[test]
    fn cannot_wait_for_a_barrier_that_others_have_passed() -> Result<()> {
        let barrier = Barrier::new(3)?;
        let shared = barrier.clone();
        run(async move {
            let parties = [(); 3].map(|()| {
                let shared = shared.clone();
                create_task(async move {
                    for _ in 0..3 {
                        shared.wait().await?;
                    }
                    Ok(())
                })
            });
            for party in parties {
                party.await?;
            }
            Ok(())
        })?;
        let refused = outcome(run(barrier.wait()));
        assert_eq!(refused, bound("<Condition [locked]>"));
        Ok(())
    }

    #[test]
    fn may_take_what_is_free() -> Result<()> {
        let (lock, event, semaphore) = (Lock::new(), Event::new(), Semaphore::new(0));
        now(lock.acquire());
        bind(lock.acquire());
        bind(event.wait());
        bind(semaphore.acquire());
        lock.release()?;
        event.set();
        semaphore.release();
        run(async {
            lock.acquire().await?;
            event.wait().await?;
            semaphore.acquire().await
        })
    }

    #[test]
    fn may_wait_for_what_nobody_has_waited_for() -> Result<()> {
        let (lock, event) = (Lock::new(), Event::new());
        run(async {
            lock.acquire().await?;
            event.set();
            event.wait().await?;
            event.clear();
            Ok(())
        })?;
        bind(lock.acquire());
        bind(event.wait());
        Ok(())
    }

    #[test]
    fn is_one_even_when_the_first_is_gone() {
        let event = Event::new();
        {
            let mut first = EventLoop::with_virtual_clock();
            let late = first.run(wait_for(event.wait(), secs(1)));
            assert_eq!(outcome(late), "TimeoutError");
        }
        let refused = outcome(EventLoop::new().run(event.wait()));
        assert_eq!(refused, bound("<Event [unset]>"));
    }

    #[test]
    fn is_not_another_run_of_the_same() -> Result<()> {
        let (mut event_loop, event) = (EventLoop::with_virtual_clock(), Event::new());
        let late = event_loop.run(wait_for(event.wait(), secs(1)));
        assert_eq!(outcome(late), "TimeoutError");
        event_loop.run(async {
            let waits = create_task(event.wait());
            turns(1).await?;
            event.set();
            waits.await
        })
    }
}

/// Nothing suspends there; what need not suspend works.
mod no_loop {
    use super::*;

    const REFUSED: &str = "RuntimeError: no running event loop";

    fn refuses<S: Scene>() {
        let scene = S::blocked();
        assert_eq!(outcome(block_on(scene.visit())), REFUSED);
        assert_eq!(scene.repr(), S::BLOCKED);
    }

    #[test]
    fn lets_nobody_wait_for_a_primitive() {
        refuses::<LockAcquire>();
        refuses::<LockEnter>();
        refuses::<EventWait>();
        refuses::<ConditionAcquire>();
        refuses::<ConditionEnter>();
        refuses::<ConditionWait>();
        refuses::<ConditionWaitFor>();
        refuses::<GuardWait>();
        refuses::<GuardWaitFor>();
        refuses::<SemaphoreAcquire>();
        refuses::<SemaphoreEnter>();
        refuses::<BoundedAcquire>();
        refuses::<BoundedEnter>();
    }

    /// The loop runs, but what it runs just now is a handler and no task.
    #[test]
    fn or_no_task_is_the_same() -> Result<()> {
        let (new, bound) = (Event::new(), Event::new());
        let waits = [new.wait(), bound.wait()].map(FutureExt::boxed_local);
        let waits = std::cell::RefCell::new(waits);
        let mut event_loop = EventLoop::with_virtual_clock();
        event_loop.set_exception_handler(move |_| {
            for wait in waits.borrow_mut().iter_mut() {
                note(wait.now_or_never().map_or("waits".into(), outcome));
            }
        });
        event_loop.run(async {
            assert!(wait_for(bound.wait(), secs(1)).await.is_err());
            create_task(async { Err::<(), _>(Error::Value("mine".into())) });
            turns(2).await
        })?;
        assert_eq!(noted(), [REFUSED; 2].join(" "));
        Ok(())
    }

    #[test]
    fn lets_nobody_wait_at_a_barrier() -> Result<()> {
        let barrier = Barrier::new(2)?;
        assert_eq!(outcome(block_on(barrier.wait())), REFUSED);
        assert_eq!(format!("{barrier:?}"), "<Barrier [filling, waiters:0/2]>");
        Ok(())
    }

    #[test]
    fn lets_nobody_sleep() {
        assert_eq!(outcome(block_on(sleep(Duration::ZERO))), REFUSED);
        assert_eq!(outcome(block_on(sleep(secs(1)))), REFUSED);
        assert_eq!(outcome(block_on(wait_for(turns(1), secs(1)))), REFUSED);
    }

    #[test]
    fn does_not_bind() -> Result<()> {
        let event = Event::new();
        assert_eq!(outcome(block_on(event.wait())), REFUSED);
        run(async {
            let waits = create_task(event.wait());
            turns(1).await?;
            event.set();
            waits.await
        })
    }

    #[test]
    fn is_no_matter_to_what_need_not_wait() -> Result<()> {
        let (lock, event, condition) = (Lock::new(), Event::new(), Condition::new());
        let (semaphore, bounded) = (Semaphore::new(1), BoundedSemaphore::new(1));
        let barrier = Barrier::new(1)?;
        event.set();
        block_on(async {
            drop(lock.enter().await?);
            event.wait().await?;
            condition.enter().await?.notify_all()?;
            condition.wait_for(|| true).await?;
            drop(semaphore.enter().await?);
            drop(bounded.enter().await?);
            assert_eq!(barrier.wait().await?, 0);
            barrier.abort().await?;
            barrier.reset().await
        })
    }

    #[test]
    fn is_no_matter_to_a_task_that_has_ended() -> Result<()> {
        let task = run(async {
            let task = create_task(async { Ok(5) });
            turns(1).await?;
            Ok(task)
        })?;
        assert_eq!(block_on(task)?, 5);
        Ok(())
    }
}

/// A wait that is polled on after its loop has ended.
mod ended_loop {
    use super::*;

    const REFUSED: &str = "RuntimeError: no running event loop";

    /// A future that was polled inside a loop, which is gone.
    fn relic<T: 'static>(
        future: impl Future<Output = Result<T>> + 'static,
    ) -> LocalBoxFuture<'static, Result<T>> {
        run(async {
            let mut future = future.boxed_local();
            start(&mut future).await;
            Ok(future)
        })
        .expect("main ends well")
    }

    fn refuses<S: Scene>() {
        let scene = S::blocked();
        let refused = outcome(block_on(relic(scene.visit())));
        assert_eq!(refused, REFUSED);
        assert_eq!(scene.repr(), S::BLOCKED);

        let scene = S::blocked();
        let refused = outcome(run(relic(scene.visit())));
        assert!(refused.starts_with("RuntimeError: "), "{refused}");
        assert_eq!(scene.repr(), S::BLOCKED);

        let scene = S::blocked();
        drop(relic(scene.visit()));
        assert_eq!(scene.repr(), S::BLOCKED);
    }

    macro_rules! refuses {
        ($($name:ident $scene:ident),* $(,)?) => {$(
            #[test]
            fn $name() {
                refuses::<$scene>();
            }
        )*};
    }

    refuses! {
        is_no_place_for_a_lock_acquire LockAcquire,
        is_no_place_for_a_lock_enter LockEnter,
        is_no_place_for_an_event_wait EventWait,
        is_no_place_for_a_condition_acquire ConditionAcquire,
        is_no_place_for_a_condition_enter ConditionEnter,
        is_no_place_for_a_condition_wait ConditionWait,
        is_no_place_for_a_condition_wait_for ConditionWaitFor,
        is_no_place_for_a_guards_wait GuardWait,
        is_no_place_for_a_guards_wait_for GuardWaitFor,
        is_no_place_for_a_semaphore_acquire SemaphoreAcquire,
        is_no_place_for_a_semaphore_enter SemaphoreEnter,
        is_no_place_for_a_bounded_acquire BoundedAcquire,
        is_no_place_for_a_bounded_enter BoundedEnter,
    }

    #[test]
    fn is_no_place_for_a_barrier_wait() -> Result<()> {
        let barrier = Barrier::new(2)?;
        assert_eq!(outcome(block_on(relic(barrier.wait()))), REFUSED);
        assert_eq!(format!("{barrier:?}"), "<Barrier [filling, waiters:0/2]>");
        Ok(())
    }

    #[test]
    fn is_no_place_for_a_sleep() {
        assert_eq!(outcome(block_on(relic(nap(1)))), REFUSED);
        assert_eq!(outcome(block_on(relic(turns(2)))), REFUSED);
        assert_eq!(outcome(block_on(relic(wait_for(nap(2), secs(1))))), REFUSED);
    }

    /// What was woken before the loop ended has nothing to wait for.
    #[test]
    fn leaves_a_permit_to_be_given_back_by_a_drop() -> Result<()> {
        let semaphore = Semaphore::new(0);
        let woken = run(async {
            let mut wait = semaphore.acquire().boxed_local();
            start(&mut wait).await;
            semaphore.release();
            Ok(wait)
        })?;
        drop(woken);
        let repr = format!("{semaphore:?}");
        assert_eq!(repr, "<Semaphore [unlocked, value:1]>");
        Ok(())
    }

    #[test]
    fn has_cancelled_its_tasks() -> Result<()> {
        let task: Task<()> = run(async {
            let task = create_task(nap(9));
            turns(1).await?;
            Ok(task)
        })?;
        assert!(task.cancelled() && !task.cancel());
        assert!(matches!(block_on(task), Err(Error::Cancelled)));
        Ok(())
    }
}
