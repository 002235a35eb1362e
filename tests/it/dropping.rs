//! Every future may be dropped at any moment: no lost wakeup, no leaked permit, no stuck waiter, no ghost in a count.

use crate::{kit::*, scene::*};
use futures::{
    FutureExt,
    future::{LocalBoxFuture, select},
};
use soloop::{
    Barrier, BoundedSemaphore, Condition, Error, Event, EventLoop, Lock, Result, Semaphore, Task,
    create_task, sleep, wait_for, wrap_future,
};
use std::{
    cell::{Cell, OnceCell},
    future::{Future, pending, poll_fn},
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    pin::pin,
    rc::Rc,
    task::{Context, Poll, Waker},
    time::Duration,
};

/// The same moments for every scene. The rival stands behind the dropped future, and has to be served by one `unblock`.
mod moment {
    use super::*;

    async fn served<S: Scene>(scene: S, rival: Task<()>) -> Result<()> {
        rival.await?;
        assert_eq!(scene.repr(), S::SERVED);
        Ok(())
    }

    /// Lets a newcomer through, whether or not somebody has unblocked the scene before.
    async fn serves_a_newcomer<S: Scene>(scene: S) -> Result<()> {
        let newcomer = create_task(scene.visit());
        turns(1).await?;
        if !newcomer.done() {
            scene.unblock();
        }
        served(scene, newcomer).await
    }

    async fn queued<S: Scene>() -> Result<(S, Held, Task<()>)> {
        let scene = S::blocked();
        let held = hold(scene.visit());
        let rival = create_task(scene.visit());
        turns(1).await?;
        Ok((scene, held, rival))
    }

    /// The same, with the future inside a `wait_for` that strikes after a second.
    async fn queued_with_timeout<S: Scene>() -> Result<(S, Held, Task<()>)> {
        let scene = S::blocked();
        let held = hold(wait_for(scene.visit(), secs(1)));
        let rival = create_task(scene.visit());
        turns(1).await?;
        Ok((scene, held, rival))
    }

    pub(crate) fn unpolled<S: Scene>() -> Result<()> {
        run(async {
            let scene = S::blocked();
            drop(scene.visit());
            assert_eq!(scene.repr(), S::BLOCKED);
            serves_a_newcomer(scene).await
        })
    }

    pub(crate) fn pending<S: Scene>() -> Result<()> {
        run(async {
            let (scene, held, rival) = queued::<S>().await?;
            held.drop_future();
            assert_eq!(scene.repr(), S::ONE_WAITS);
            scene.unblock();
            served(scene, rival).await
        })
    }

    pub(crate) fn pending_alone<S: Scene>() -> Result<()> {
        run(async {
            let scene = S::blocked();
            let held = hold(scene.visit());
            turns(1).await?;
            held.drop_future();
            assert_eq!(scene.repr(), S::BLOCKED);
            serves_a_newcomer(scene).await
        })
    }

    pub(crate) fn woken<S: Scene>() -> Result<()> {
        run(async {
            let (scene, held, rival) = queued::<S>().await?;
            scene.unblock();
            held.drop_future();
            served(scene, rival).await
        })
    }

    pub(crate) fn told<S: Scene>() -> Result<()> {
        run(async {
            let (scene, held, rival) = queued::<S>().await?;
            held.task.cancel();
            held.drop_future();
            assert_eq!(scene.repr(), S::ONE_WAITS);
            scene.unblock();
            served(scene, rival).await?;
            assert!(held.task.cancelled(), "the request was given back");
            Ok(())
        })
    }

    pub(crate) fn woken_then_cancelled<S: Scene>() -> Result<()> {
        run(async {
            let (scene, held, rival) = queued::<S>().await?;
            scene.unblock();
            held.task.cancel();
            held.drop_future();
            served(scene, rival).await
        })
    }

    pub(crate) fn told_then_passed_by<S: Scene>() -> Result<()> {
        run(async {
            let (scene, held, rival) = queued::<S>().await?;
            held.task.cancel();
            scene.unblock();
            held.drop_future();
            served(scene, rival).await
        })
    }

    pub(crate) fn in_a_timeout<S: Scene>() -> Result<()> {
        run(async {
            let (scene, held, rival) = queued_with_timeout::<S>().await?;
            held.drop_future();
            assert_eq!(scene.repr(), S::ONE_WAITS);
            scene.unblock();
            served(scene, rival).await
        })
    }

    pub(crate) fn woken_in_a_timeout<S: Scene>() -> Result<()> {
        run(async {
            let (scene, held, rival) = queued_with_timeout::<S>().await?;
            scene.unblock();
            held.drop_future();
            served(scene, rival).await
        })
    }

    /// Main's timer stands before the timeout's, so main runs between the strike and the step that it queued.
    pub(crate) fn struck_by_a_timeout<S: Scene>(woken: bool) -> Result<()> {
        run(async {
            let mut alarm = pin!(nap(1));
            start(&mut alarm).await;
            let (scene, held, rival) = queued_with_timeout::<S>().await?;
            alarm.await?;
            assert_eq!(held.task.cancelling(), 1, "the timeout has struck");
            if woken {
                scene.unblock();
            }
            held.drop_future();
            assert_eq!(held.task.cancelling(), 0, "and took its request back");
            if !woken {
                assert_eq!(scene.repr(), S::ONE_WAITS);
                scene.unblock();
            }
            served(scene, rival).await?;
            assert!(!held.task.cancelled(), "nothing is left of the request");
            Ok(())
        })
    }

    /// Both sides of the `select` are ready in the same step, and the other one is looked at first.
    pub(crate) fn woken_in_a_select<S: Scene>() -> Result<()> {
        run(async {
            let (scene, stop) = (S::blocked(), Event::new());
            let (left, right) = (stop.wait(), scene.visit());
            let chooser = create_task(async {
                select(pin!(left), pin!(right)).await;
                Ok(())
            });
            let rival = create_task(scene.visit());
            turns(1).await?;
            scene.unblock();
            stop.set();
            chooser.await?;
            served(scene, rival).await
        })
    }

    /// The rival of a dropped `Condition::wait` is notified, and may be served at once.
    pub(crate) fn pending_in_a_select<S: Scene>() -> Result<()> {
        run(async {
            let (scene, stop) = (S::blocked(), Event::new());
            let (left, right) = (scene.visit(), stop.wait());
            let chooser = create_task(async {
                select(pin!(left), pin!(right)).await;
                Ok(())
            });
            let rival = create_task(scene.visit());
            turns(1).await?;
            stop.set();
            chooser.await?;
            if !rival.done() {
                assert_eq!(scene.repr(), S::ONE_WAITS);
            }
            scene.unblock();
            served(scene, rival).await
        })
    }

    /// The first of two told futures delivers the request; the second is dropped with it in hand.
    pub(crate) fn told_in_a_select<S: Scene>() -> Result<()> {
        run(async {
            let (scene, stop) = (S::blocked(), Event::new());
            let (left, right) = (stop.wait(), scene.visit());
            let chooser = create_task(async {
                let chosen = select(Box::pin(left), Box::pin(right)).await;
                let (stopped, _) = chosen.factor_first();
                assert!(matches!(stopped, Err(Error::Cancelled)));
                turns(1).await
            });
            let rival = create_task(scene.visit());
            turns(1).await?;
            chooser.cancel();
            chooser.await?;
            scene.unblock();
            served(scene, rival).await
        })
    }

    pub(crate) fn left_behind_by_main<S: Scene>() -> Result<()> {
        let mut event_loop = EventLoop::with_virtual_clock();
        let scene = S::blocked();
        event_loop.run(async {
            create_task(scene.visit());
            create_task(wait_for(scene.visit(), secs(1)));
            turns(1).await
        })?;
        assert_eq!(scene.repr(), S::BLOCKED);
        event_loop.run(serves_a_newcomer(scene))
    }

    /// The first is dropped by hand while the loop shuts down, the second is created too late and dropped by the loop.
    pub(crate) fn shut_down<S: Scene>() -> Result<()> {
        let mut event_loop = EventLoop::with_virtual_clock();
        let scene = S::blocked();
        event_loop.run(async {
            let held = Rc::new(OnceCell::<Held>::new());
            let (to_drop, too_late) = (held.clone(), scene.visit());
            create_task(async move {
                nap(9).await.expect_err("the loop shuts down");
                to_drop.get().expect("it was started").drop_future();
                create_task(too_late);
                Ok(())
            });
            held.get_or_init(|| hold(scene.visit()));
            turns(1).await
        })?;
        assert_eq!(scene.repr(), S::BLOCKED);
        event_loop.run(serves_a_newcomer(scene))
    }

    pub(crate) fn unwinding<S: Scene>(woken: bool) -> Result<()> {
        let mut event_loop = EventLoop::with_virtual_clock();
        let scene = S::blocked();
        let run = || {
            event_loop.run(async {
                create_task(scene.visit());
                create_task(wait_for(scene.visit(), secs(1)));
                turns(1).await?;
                if woken {
                    scene.unblock();
                }
                resume_unwind(Box::new("a bug")) as Result<()>
            })
        };
        catch_unwind(AssertUnwindSafe(run)).expect_err("the panic comes out");
        if !woken {
            assert_eq!(scene.repr(), S::BLOCKED);
        }
        event_loop.run(serves_a_newcomer(scene))
    }

    pub(crate) fn deadlocked<S: Scene>() -> Result<()> {
        let mut event_loop = EventLoop::with_virtual_clock();
        let scene = S::blocked();
        let stuck = event_loop.run(async {
            create_task(scene.visit());
            scene.visit().await
        });
        assert!(matches!(stuck, Err(Error::Deadlock(_))));
        assert_eq!(scene.repr(), S::BLOCKED);
        event_loop.run(serves_a_newcomer(scene))
    }

    /// The future is handed out by the task that began to poll it.
    async fn orphan<S: Scene>(scene: &S) -> Result<LocalBoxFuture<'static, Result<()>>> {
        let visit = scene.visit();
        create_task(async {
            let mut visit = Box::pin(visit);
            start(&mut visit).await;
            Ok(visit as LocalBoxFuture<_>)
        })
        .await
    }

    pub(crate) fn orphaned<S: Scene>(woken: bool) -> Result<()> {
        run(async {
            let scene = S::blocked();
            let orphan = orphan(&scene).await?;
            let rival = create_task(scene.visit());
            turns(1).await?;
            if woken {
                scene.unblock();
            }
            drop(orphan);
            if !woken {
                assert_eq!(scene.repr(), S::ONE_WAITS);
                scene.unblock();
            }
            served(scene, rival).await
        })
    }

    pub(crate) fn adopted<S: Scene>() -> Result<()> {
        run(async {
            let scene = S::blocked();
            let (orphan, unblocked) = (orphan(&scene).await?, scene.clone());
            create_task(async move {
                unblocked.unblock();
                Ok(())
            });
            orphan.await?;
            assert_eq!(scene.repr(), S::SERVED);
            Ok(())
        })
    }
}

macro_rules! every_moment {
    ($($name:ident $scene:ident),* $(,)?) => {$(
        mod $name {
            use super::{Result, moment, $scene};

            #[test]
            fn unpolled_has_done_nothing() -> Result<()> {
                moment::unpolled::<$scene>()
            }

            #[test]
            fn pending_makes_room_for_the_next() -> Result<()> {
                moment::pending::<$scene>()
            }

            #[test]
            fn pending_alone_leaves_no_trace() -> Result<()> {
                moment::pending_alone::<$scene>()
            }

            #[test]
            fn woken_hands_its_wake_on() -> Result<()> {
                moment::woken::<$scene>()
            }

            #[test]
            fn told_gives_the_request_back() -> Result<()> {
                moment::told::<$scene>()
            }

            #[test]
            fn woken_then_cancelled_hands_its_wake_on() -> Result<()> {
                moment::woken_then_cancelled::<$scene>()
            }

            #[test]
            fn told_then_passed_by_stands_in_nobodys_way() -> Result<()> {
                moment::told_then_passed_by::<$scene>()
            }

            #[test]
            fn in_a_timeout_makes_room_for_the_next() -> Result<()> {
                moment::in_a_timeout::<$scene>()
            }

            #[test]
            fn woken_in_a_timeout_hands_its_wake_on() -> Result<()> {
                moment::woken_in_a_timeout::<$scene>()
            }

            #[test]
            fn struck_by_a_timeout_takes_the_request_along() -> Result<()> {
                moment::struck_by_a_timeout::<$scene>(false)
            }

            #[test]
            fn struck_by_a_timeout_and_unblocked_hands_on_the_wake() -> Result<()> {
                moment::struck_by_a_timeout::<$scene>(true)
            }

            #[test]
            fn woken_in_a_select_hands_its_wake_on() -> Result<()> {
                moment::woken_in_a_select::<$scene>()
            }

            #[test]
            fn pending_in_a_select_makes_room_for_the_next() -> Result<()> {
                moment::pending_in_a_select::<$scene>()
            }

            #[test]
            fn told_in_a_select_does_not_deliver_twice() -> Result<()> {
                moment::told_in_a_select::<$scene>()
            }

            #[test]
            fn left_behind_by_main_leaves_no_trace() -> Result<()> {
                moment::left_behind_by_main::<$scene>()
            }

            #[test]
            fn during_shutdown_leaves_no_trace() -> Result<()> {
                moment::shut_down::<$scene>()
            }

            #[test]
            fn pending_while_a_panic_unwinds_leaves_no_trace() -> Result<()> {
                moment::unwinding::<$scene>(false)
            }

            #[test]
            fn woken_while_a_panic_unwinds_loses_nothing() -> Result<()> {
                moment::unwinding::<$scene>(true)
            }

            #[test]
            fn by_a_deadlock_leaves_no_trace() -> Result<()> {
                moment::deadlocked::<$scene>()
            }

            #[test]
            fn after_its_task_makes_room_for_the_next() -> Result<()> {
                moment::orphaned::<$scene>(false)
            }

            #[test]
            fn after_its_task_hands_its_wake_on() -> Result<()> {
                moment::orphaned::<$scene>(true)
            }

            #[test]
            fn polled_on_by_another_task_ends_there() -> Result<()> {
                moment::adopted::<$scene>()
            }
        }
    )*};
}

every_moment! {
    lock_acquire LockAcquire,
    lock_enter LockEnter,
    event_wait EventWait,
    condition_acquire ConditionAcquire,
    condition_enter ConditionEnter,
    condition_wait ConditionWait,
    condition_wait_for ConditionWaitFor,
    guard_wait GuardWait,
    guard_wait_for GuardWaitFor,
    semaphore_acquire SemaphoreAcquire,
    semaphore_enter SemaphoreEnter,
    bounded_acquire BoundedAcquire,
    bounded_enter BoundedEnter,
}

mod barrier_wait {
    use super::*;

    const FILLING: &str = "<Barrier [filling, waiters:0/3]>";

    fn wait(barrier: &Barrier) -> impl Future<Output = Result<()>> + use<> {
        barrier.wait().map(|position| position.map(drop))
    }

    async fn two_of_three() -> Result<(Barrier, Held, Task<usize>)> {
        let barrier = Barrier::new(3)?;
        let held = hold(wait(&barrier));
        let rival = create_task(barrier.wait());
        turns(1).await?;
        Ok((barrier, held, rival))
    }

    /// Three newcomers pass, each with a position of its own.
    async fn three_pass(barrier: &Barrier) -> Result<()> {
        let first = create_task(barrier.wait());
        let second = create_task(barrier.wait());
        let third = create_task(barrier.wait());
        let positions = (first.await?, second.await?, third.await?);
        assert_eq!(positions, (0, 1, 2));
        assert_eq!(format!("{barrier:?}"), FILLING);
        Ok(())
    }

    #[test]
    fn unpolled_has_done_nothing() -> Result<()> {
        run(async {
            let barrier = Barrier::new(3)?;
            drop(barrier.wait());
            assert_eq!(format!("{barrier:?}"), FILLING);
            three_pass(&barrier).await
        })
    }

    /// The positions are those that asyncio gives after a cancel: the rival keeps its own, which then comes twice.
    #[test]
    fn pending_is_not_counted_any_more() -> Result<()> {
        run(async {
            let (barrier, held, rival) = two_of_three().await?;
            held.drop_future();
            assert_eq!(barrier.n_waiting(), 1);
            let second = create_task(barrier.wait());
            turns(1).await?;
            let positions = (barrier.wait().await?, rival.await?, second.await?);
            assert_eq!(positions, (2, 1, 1));
            three_pass(&barrier).await
        })
    }

    #[test]
    fn told_is_not_counted_any_more() -> Result<()> {
        run(async {
            let (barrier, held, rival) = two_of_three().await?;
            held.task.cancel();
            held.drop_future();
            assert_eq!(barrier.n_waiting(), 1);
            rival.cancel();
            turns(1).await?;
            assert!(held.task.cancelled(), "the request was given back");
            three_pass(&barrier).await
        })
    }

    #[test]
    fn woken_leaves_the_draining_to_the_others() -> Result<()> {
        run(async {
            let (barrier, held, rival) = two_of_three().await?;
            assert_eq!(barrier.wait().await?, 2);
            held.drop_future();
            assert_eq!(format!("{barrier:?}"), "<Barrier [draining, waiters:0/3]>");
            assert_eq!(rival.await?, 1);
            three_pass(&barrier).await
        })
    }

    #[test]
    fn last_of_the_draining_opens_the_door() -> Result<()> {
        run(async {
            let barrier = Barrier::new(2)?;
            let held = hold(wait(&barrier));
            turns(1).await?;
            assert_eq!(barrier.wait().await?, 1);
            let mut at_the_door = Box::pin(barrier.wait());
            start(&mut at_the_door).await;
            held.drop_future();
            turns(1).await?;
            start(&mut at_the_door).await;
            assert_eq!(format!("{barrier:?}"), "<Barrier [filling, waiters:1/2]>");
            assert_eq!((barrier.wait().await?, at_the_door.await?), (1, 0));
            Ok(())
        })
    }

    #[test]
    fn at_the_door_was_never_counted() -> Result<()> {
        run(async {
            let (barrier, _, rival) = two_of_three().await?;
            assert_eq!(barrier.wait().await?, 2);
            let mut at_the_door = Box::pin(barrier.wait());
            start(&mut at_the_door).await;
            drop(at_the_door);
            assert_eq!(format!("{barrier:?}"), "<Barrier [draining, waiters:0/3]>");
            assert_eq!(rival.await?, 1);
            three_pass(&barrier).await
        })
    }

    #[test]
    fn woken_by_a_reset_lets_the_reset_end() -> Result<()> {
        run(async {
            let (barrier, held, rival) = two_of_three().await?;
            barrier.reset().await?;
            held.drop_future();
            assert_eq!(format!("{barrier:?}"), "<Barrier [resetting, waiters:0/3]>");
            let refused = outcome(rival.await);
            assert_eq!(refused, "BrokenBarrierError: Abort or reset of barrier");
            three_pass(&barrier).await
        })
    }

    #[test]
    fn last_of_a_reset_ends_it() -> Result<()> {
        run(async {
            let barrier = Barrier::new(3)?;
            let held = hold(wait(&barrier));
            turns(1).await?;
            barrier.reset().await?;
            held.drop_future();
            assert_eq!(format!("{barrier:?}"), FILLING);
            three_pass(&barrier).await
        })
    }

    #[test]
    fn woken_by_an_abort_leaves_it_broken_until_reset() -> Result<()> {
        run(async {
            let (barrier, held, rival) = two_of_three().await?;
            barrier.abort().await?;
            held.drop_future();
            assert_eq!(format!("{barrier:?}"), "<Barrier [broken]>");
            let refused = outcome(rival.await);
            assert_eq!(refused, "BrokenBarrierError: Abort or reset of barrier");
            barrier.reset().await?;
            three_pass(&barrier).await
        })
    }

    #[test]
    fn struck_by_a_timeout_is_not_counted_any_more() -> Result<()> {
        run(async {
            let barrier = Barrier::new(3)?;
            let mut alarm = pin!(nap(1));
            start(&mut alarm).await;
            let held = hold(wait_for(wait(&barrier), secs(1)));
            alarm.await?;
            assert_eq!(held.task.cancelling(), 1, "the timeout has struck");
            held.drop_future();
            assert_eq!(held.task.cancelling(), 0, "and took its request back");
            three_pass(&barrier).await
        })
    }

    #[test]
    fn woken_in_a_select_leaves_the_draining_to_the_others() -> Result<()> {
        run(async {
            let (barrier, stop) = (Barrier::new(3)?, Event::new());
            let (left, right) = (stop.wait(), barrier.wait());
            let chooser = create_task(async {
                select(pin!(left), pin!(right)).await;
                Ok(())
            });
            let rival = create_task(barrier.wait());
            turns(1).await?;
            assert_eq!(barrier.wait().await?, 2);
            stop.set();
            chooser.await?;
            assert_eq!(rival.await?, 1);
            three_pass(&barrier).await
        })
    }

    #[test]
    fn polled_on_by_another_task_ends_there() -> Result<()> {
        run(async {
            let barrier = Barrier::new(2)?;
            let inside = barrier.wait();
            let mut inside = create_task(async {
                let mut inside = inside.boxed_local();
                start(&mut inside).await;
                Ok(inside)
            })
            .await?;
            start(&mut inside).await;
            assert_eq!((barrier.wait().await?, inside.await?), (1, 0));
            assert_eq!(format!("{barrier:?}"), "<Barrier [filling, waiters:0/2]>");
            Ok(())
        })
    }

    #[test]
    fn by_the_end_of_its_loop_is_not_counted_any_more() -> Result<()> {
        let (mut event_loop, barrier) = (EventLoop::with_virtual_clock(), Barrier::new(3)?);
        event_loop.run(async {
            create_task(barrier.wait());
            turns(1).await
        })?;
        assert_eq!(format!("{barrier:?}"), FILLING);

        let stuck = event_loop.run(async {
            create_task(barrier.wait());
            barrier.wait().await
        });
        assert!(matches!(stuck, Err(Error::Deadlock(_))));
        assert_eq!(format!("{barrier:?}"), FILLING);

        let panics = || {
            event_loop.run(async {
                create_task(barrier.wait());
                create_task(barrier.wait());
                turns(1).await?;
                barrier.wait().await?;
                resume_unwind(Box::new("a bug, while the barrier drains")) as Result<()>
            })
        };
        catch_unwind(AssertUnwindSafe(panics)).expect_err("the panic comes out");
        assert_eq!(format!("{barrier:?}"), FILLING);
        event_loop.run(three_pass(&barrier))
    }

    #[test]
    fn reset_and_abort_unpolled_have_done_nothing() -> Result<()> {
        run(async {
            let (barrier, held, rival) = two_of_three().await?;
            drop(barrier.reset());
            drop(barrier.abort());
            assert_eq!(format!("{barrier:?}"), "<Barrier [filling, waiters:2/3]>");
            assert_eq!((barrier.wait().await?, rival.await?), (2, 1));
            held.task.await
        })
    }
}

/// A `Condition::wait` that was notified and now waits for the lock, which main holds. Two others wait to be notified.
mod half_way {
    use super::*;

    async fn wait(condition: Condition) -> Result<()> {
        condition.enter().await?.wait().await
    }

    struct HalfWay {
        lock: Lock,
        condition: Condition,
        held: Held,
        rival: Task<()>,
        last: Task<()>,
    }

    async fn half_way<F>(subject: impl FnOnce(Condition) -> F) -> Result<HalfWay>
    where
        F: Future<Output = Result<()>> + 'static,
    {
        let lock = Lock::new();
        let condition = Condition::with_lock(&lock);
        let held = hold(subject(condition.clone()));
        let rival = create_task(wait(condition.clone()));
        let last = create_task(wait(condition.clone()));
        turns(1).await?;
        condition.acquire().await?;
        condition.notify(1)?;
        turns(1).await?;
        assert_eq!(format!("{lock:?}"), "<Lock [locked, waiters:1]>");
        assert_eq!(format!("{condition:?}"), "<Condition [locked, waiters:2]>");
        Ok(HalfWay {
            lock,
            condition,
            held,
            rival,
            last,
        })
    }

    impl HalfWay {
        /// The rival got the notification, and the lock as soon as it was free; nobody else did.
        async fn rival_is_served(self) -> Result<()> {
            if self.condition.locked() {
                turns(1).await?;
                assert!(!self.rival.done(), "main holds the lock");
                self.condition.release()?;
            }
            self.rival.await?;
            turns(2).await?;
            assert!(!self.last.done());
            assert_eq!(format!("{:?}", self.lock), "<Lock [unlocked]>");
            assert_eq!(
                format!("{:?}", self.condition),
                "<Condition [unlocked, waiters:1]>"
            );
            Ok(())
        }
    }

    #[test]
    fn waiting_for_the_lock_hands_the_notification_on() -> Result<()> {
        run(async {
            let scene = half_way(wait).await?;
            scene.held.drop_future();
            assert_eq!(format!("{:?}", scene.lock), "<Lock [locked]>");
            scene.rival_is_served().await
        })
    }

    #[test]
    fn given_the_lock_passes_both_on() -> Result<()> {
        run(async {
            let scene = half_way(wait).await?;
            let third = create_task(scene.lock.enter());
            turns(1).await?;
            scene.condition.release()?;
            scene.held.drop_future();
            drop(third.await?);
            scene.rival_is_served().await
        })
    }

    #[test]
    fn told_hands_the_notification_on() -> Result<()> {
        run(async {
            let scene = half_way(wait).await?;
            scene.held.task.cancel();
            scene.held.drop_future();
            assert_eq!(format!("{:?}", scene.lock), "<Lock [locked]>");
            scene.rival_is_served().await
        })
    }

    /// The first request has been taken in already, and the wait is at its second attempt at the lock.
    #[test]
    fn with_a_cancel_taken_in_hands_the_notification_on() -> Result<()> {
        run(async {
            let scene = half_way(wait).await?;
            scene.held.task.cancel();
            turns(1).await?;
            assert_eq!(format!("{:?}", scene.lock), "<Lock [locked, waiters:1]>");
            scene.held.drop_future();
            scene.rival_is_served().await
        })
    }

    #[test]
    fn struck_by_a_timeout_hands_the_notification_on() -> Result<()> {
        run(async {
            let mut alarm = pin!(nap(1));
            start(&mut alarm).await;
            let scene = half_way(|condition| wait_for(wait(condition), secs(1))).await?;
            alarm.await?;
            assert_eq!(scene.held.task.cancelling(), 1, "the timeout has struck");
            scene.held.drop_future();
            assert_eq!(scene.held.task.cancelling(), 0, "and took its request back");
            scene.rival_is_served().await
        })
    }

    /// Main ends without giving the lock back, so the cancelled wait can never take it, in asyncio neither.
    #[test]
    fn by_a_shutdown_that_deadlocks_leaves_no_trace() -> Result<()> {
        let mut event_loop = EventLoop::with_virtual_clock();
        let lock = Lock::new();
        let stuck = event_loop.run(async {
            let condition = Condition::with_lock(&lock);
            create_task(wait(condition.clone()));
            turns(1).await?;
            condition.acquire().await
        });
        assert!(matches!(stuck, Err(Error::Deadlock(_))));
        assert_eq!(format!("{lock:?}"), "<Lock [locked]>");
        lock.release()?;
        event_loop.run(lock.acquire())
    }

    #[test]
    fn while_a_panic_unwinds_leaves_no_trace() -> Result<()> {
        let mut event_loop = EventLoop::with_virtual_clock();
        let slot = OnceCell::new();
        let panics = || {
            event_loop.run(async {
                let HalfWay {
                    lock, condition, ..
                } = half_way(wait).await?;
                slot.get_or_init(|| (lock, condition));
                resume_unwind(Box::new("a bug")) as Result<()>
            })
        };
        catch_unwind(AssertUnwindSafe(panics)).expect_err("the panic comes out");
        let (lock, condition) = slot.get().expect("main came so far");
        assert_eq!(format!("{lock:?}"), "<Lock [locked]>");
        assert_eq!(format!("{condition:?}"), "<Condition [locked]>");
        lock.release()?;
        event_loop.run(lock.acquire())
    }
}

/// A guard gives back what it was given, unless a dropped `Condition::wait` has given it up already.
mod holding {
    use super::*;

    /// Waits once on the held lock, in the way to be tested, and drops the wait before it has the lock back.
    async fn give_up(condition: &Condition, wait: impl Future<Output = Result<()>>) {
        start(&mut Box::pin(wait)).await;
        assert_eq!(format!("{condition:?}"), "<Condition [unlocked]>");
    }

    /// Somebody else takes the lock now; the drop of the guard must not take it away.
    async fn guard_releases_nothing<G>(lock: &Lock, guard: G) -> Result<()> {
        lock.acquire().await?;
        drop(guard);
        assert_eq!(format!("{lock:?}"), "<Lock [locked]>");
        lock.release()
    }

    #[test]
    fn given_up_by_the_guards_own_wait() -> Result<()> {
        run(async {
            let lock = Lock::new();
            let condition = Condition::with_lock(&lock);
            let mut guard = condition.enter().await?;
            give_up(&condition, guard.wait()).await;
            guard_releases_nothing(&lock, guard).await
        })
    }

    #[test]
    fn given_up_by_the_guards_own_wait_for() -> Result<()> {
        run(async {
            let lock = Lock::new();
            let condition = Condition::with_lock(&lock);
            let mut guard = condition.enter().await?;
            give_up(&condition, guard.wait_for(|| false).map(|r| r.map(drop))).await;
            guard_releases_nothing(&lock, guard).await
        })
    }

    #[test]
    fn given_up_by_a_bare_wait() -> Result<()> {
        run(async {
            let lock = Lock::new();
            let condition = Condition::with_lock(&lock);
            let guard = condition.enter().await?;
            give_up(&condition, condition.wait()).await;
            guard_releases_nothing(&lock, guard).await
        })
    }

    #[test]
    fn of_a_lock_guard_given_up_by_a_condition() -> Result<()> {
        run(async {
            let lock = Lock::new();
            let condition = Condition::with_lock(&lock);
            let guard = lock.enter().await?;
            give_up(&condition, condition.wait()).await;
            guard_releases_nothing(&lock, guard).await
        })
    }

    #[test]
    fn given_up_inside_a_timeout() -> Result<()> {
        run(async {
            let lock = Lock::new();
            let condition = Condition::with_lock(&lock);
            let mut guard = condition.enter().await?;
            give_up(&condition, wait_for(guard.wait(), secs(1))).await;
            guard_releases_nothing(&lock, guard).await
        })
    }

    /// The wait was notified and given the lock, but did not run before it was dropped.
    #[test]
    fn given_up_on_the_way_back() -> Result<()> {
        run(async {
            let lock = Lock::new();
            let condition = Condition::with_lock(&lock);
            let mut guard = condition.enter().await?;
            let mut wait = Box::pin(guard.wait());
            start(&mut wait).await;
            condition.acquire().await?;
            condition.notify(1)?;
            start(&mut wait).await;
            condition.release()?;
            drop(wait);
            assert_eq!(format!("{lock:?}"), "<Lock [unlocked]>");
            guard_releases_nothing(&lock, guard).await
        })
    }

    #[test]
    fn given_up_and_taken_again_by_hand_is_no_longer_the_guards() -> Result<()> {
        run(async {
            let condition = Condition::new();
            let mut guard = condition.enter().await?;
            give_up(&condition, guard.wait()).await;
            condition.acquire().await?;
            drop(guard);
            assert!(condition.locked());
            condition.release()
        })
    }

    #[test]
    fn given_up_by_one_wait_is_not_that_of_another_guard() -> Result<()> {
        run(async {
            let condition = Condition::new();
            let mut first = condition.enter().await?;
            give_up(&condition, first.wait()).await;
            let second = condition.enter().await?;
            drop(first);
            assert!(condition.locked(), "the second holds it");
            drop(second);
            assert!(!condition.locked());
            Ok(())
        })
    }

    #[test]
    fn taken_back_by_a_wait_is_released() -> Result<()> {
        run(async {
            let shelf = Shelf::empty();
            let waiting = shelf.clone();
            let task = create_task(async move {
                let mut guard = waiting.condition().enter().await?;
                guard.wait().await?;
                assert!(waiting.condition().locked());
                drop(guard);
                assert!(!waiting.condition().locked());
                Ok(())
            });
            turns(1).await?;
            shelf.stock();
            task.await
        })
    }

    /// Comes back to a guard's holding, as a notified wait does.
    async fn come_back(condition: &Condition) -> Result<()> {
        let notifier = condition.clone();
        create_task(async move { notifier.enter().await?.notify(1) });
        condition.wait().await
    }

    #[test]
    fn taken_back_by_one_wait_and_given_up_by_the_next() -> Result<()> {
        run(async {
            let lock = Lock::new();
            let condition = Condition::with_lock(&lock);
            let guard = condition.enter().await?;
            come_back(&condition).await?;
            come_back(&condition).await?;
            give_up(&condition, condition.wait()).await;
            guard_releases_nothing(&lock, guard).await
        })
    }

    /// What came back was released by hand, so that the next to be given up is another one.
    #[test]
    fn taken_back_by_a_wait_is_not_what_was_taken_by_hand_after_it() -> Result<()> {
        run(async {
            let condition = Condition::new();
            let guard = condition.enter().await?;
            come_back(&condition).await?;
            condition.release()?;
            condition.acquire().await?;
            give_up(&condition, condition.wait()).await;
            condition.acquire().await?;
            drop(guard);
            assert!(!condition.locked());
            Ok(())
        })
    }

    #[test]
    fn taken_back_from_one_condition_and_given_up_by_another() -> Result<()> {
        run(async {
            let lock = Lock::new();
            let (one, other) = (Condition::with_lock(&lock), Condition::with_lock(&lock));
            let guard = one.enter().await?;
            come_back(&one).await?;
            give_up(&other, other.wait()).await;
            guard_releases_nothing(&lock, guard).await
        })
    }

    #[test]
    fn released_and_taken_again_by_hand_is_released() -> Result<()> {
        run(async {
            let lock = Lock::new();
            let guard = lock.enter().await?;
            lock.release()?;
            lock.acquire().await?;
            drop(guard);
            assert_eq!(format!("{lock:?}"), "<Lock [unlocked]>");
            Ok(())
        })
    }

    #[test]
    fn that_is_gone_is_dropped_in_silence() -> Result<()> {
        run(async {
            let (lock, condition) = (Lock::new(), Condition::new());
            let (semaphore, bounded) = (Semaphore::new(1), BoundedSemaphore::new(1));
            let held = lock.enter().await?;
            let condition_held = condition.enter().await?;
            let permits = (semaphore.enter().await?, bounded.enter().await?);
            lock.release()?;
            condition.release()?;
            semaphore.release();
            bounded.release()?;
            drop((held, condition_held, permits));
            let reprs = format!("{lock:?} {condition:?} {semaphore:?} {bounded:?}");
            assert_eq!(
                reprs,
                "<Lock [unlocked]> <Condition [unlocked]> \
                 <Semaphore [unlocked, value:2]> <BoundedSemaphore [unlocked, value:1]>"
            );
            Ok(())
        })
    }
}

/// Futures with no primitive behind them.
mod others {
    use super::*;

    /// With its timer left behind, the clock would jump before the loop gives up.
    #[test]
    fn a_sleep_takes_its_timer_along() {
        let mut event_loop = EventLoop::with_virtual_clock();
        let stuck = event_loop.run(async {
            drop(sleep(secs(5)));
            start(&mut pin!(sleep(secs(5)))).await;
            start(&mut pin!(sleep(Duration::MAX))).await;
            start(&mut pin!(wait_for(Event::new().wait(), secs(5)))).await;
            Event::new().wait().await
        });
        assert!(matches!(stuck, Err(Error::Deadlock(_))));
        assert_eq!(event_loop.time(), Duration::ZERO);
    }

    #[test]
    fn a_sleep_that_is_over_leaves_the_others_alone() -> Result<()> {
        run(async {
            let mut alarm = pin!(nap(1));
            start(&mut alarm).await;
            let held = hold(nap(1));
            let rival = create_task(nap(1));
            alarm.await?;
            held.drop_future();
            rival.await?;
            assert_eq!(soloop::time(), secs(1));
            Ok(())
        })
    }

    /// What the task began to wait for after it hears of a cancel all the same.
    #[test]
    fn a_sleep_leaves_the_waits_that_are_younger_to_their_task() -> Result<()> {
        run(async {
            let task = create_task(async {
                let mut nap = nap(1).boxed_local();
                start(&mut nap).await;
                let mut waiting = Event::new().wait().boxed_local();
                start(&mut waiting).await;
                drop(nap);
                Ok(outcome(waiting.await))
            });
            ticks(1).await?;
            task.cancel();
            assert_eq!(task.await?, "CancelledError");
            Ok(())
        })
    }

    #[test]
    fn a_bare_yield_leaves_the_others_alone() -> Result<()> {
        let trace = trace_of(async {
            let held = hold(turns(1));
            create_task(ticks(2));
            turns(1).await?;
            held.drop_future();
            start(&mut pin!(turns(1))).await;
            turns(2).await
        });
        assert_eq!(trace, "t0 t1");
        Ok(())
    }

    /// The yield that follows queues the step anew, behind what was created in between.
    #[test]
    fn a_bare_yield_leaves_no_place_in_the_queue() {
        let trace = trace_of(async {
            start(&mut Box::pin(turns(1))).await;
            create_task(say("child"));
            tell("yield", turns(1)).await
        });
        assert_eq!(trace, "child yield ok");
    }

    /// What the task waits for next is not polled a second time for it.
    #[test]
    fn a_bare_yield_leaves_no_step_behind() {
        let trace = trace_of(async {
            create_task(async {
                start(&mut Box::pin(turns(1))).await;
                poll_fn(|_| {
                    note("polled");
                    Poll::<()>::Pending
                })
                .await;
                Ok(())
            });
            ticks(3).await?;
            // The shutdown polls once more, to deliver its cancel.
            say("end").await
        });
        assert_eq!(trace, "t0 polled t1 t2 end polled");
    }

    /// Begun with a combinator's waker, and polled on by another task in the same turn.
    #[test]
    fn a_bare_yield_of_another_task_leaves_the_running_one_alone() {
        let trace = trace_of(async {
            let mut noop = Context::from_waker(Waker::noop());
            let mut wait = Box::pin(sleep(Duration::ZERO));
            assert!(wait.as_mut().poll(&mut noop).is_pending());
            let end = Event::new();
            let waiter = create_task({
                let (end, mut polls) = (end.clone(), 0);
                async move {
                    start(&mut wait).await;
                    drop(wait);
                    let mut ended = pin!(end.wait());
                    poll_fn(|cx| {
                        polls += 1;
                        ended.as_mut().poll(cx)
                    })
                    .await?;
                    note(format_args!("{polls} polls"));
                    Ok(())
                }
            });
            turns(3).await?;
            end.set();
            waiter.await
        });
        assert_eq!(trace, "2 polls");
    }

    #[test]
    fn a_wait_for_drops_what_it_ran() {
        let trace = trace_of(async {
            let value = NoteOnDrop("unpolled");
            drop(wait_for(async { Ok(value) }, secs(1)));
            let value = NoteOnDrop("pending");
            let held = hold(wait_for(
                async {
                    let _value = value;
                    pending().await
                },
                secs(1),
            ));
            turns(1).await?;
            held.drop_future();
            note("end");
            Ok(())
        });
        assert_eq!(trace, "unpolled pending end");
    }

    /// The sleep is over and the timeout has struck in the same turn; the `select` looks at the sleep first.
    #[test]
    fn a_wait_for_that_struck_takes_its_request_back() -> Result<()> {
        run(async {
            let timeout = Box::pin(wait_for(Event::new().wait(), secs(1)));
            select(Box::pin(nap(1)), timeout).await;
            let task = soloop::current_task().expect("main is a task");
            assert_eq!(task.cancelling(), 0);
            turns(1).await
        })
    }

    /// A zero timeout waits for the end of something that it cancelled; nobody is left to hear of it.
    #[test]
    fn a_wait_for_with_no_time_leaves_no_trace() -> Result<()> {
        run(async {
            drop(wait_for(Event::new().wait(), Duration::ZERO));
            for hops in 1..4 {
                let held = hold(wait_for(Event::new().wait(), Duration::ZERO));
                turns(hops).await?;
                if !held.task.done() {
                    held.drop_future();
                }
                turns(5).await?;
                assert_eq!(held.task.cancelling(), 0);
            }
            turns(1).await
        })
    }

    /// It is a hop away from its end when main returns.
    #[test]
    fn a_wait_for_with_no_time_may_outlive_its_run() -> Result<()> {
        let mut event_loop = EventLoop::with_virtual_clock();
        let zero = || wait_for(nap(9), Duration::ZERO).boxed_local();
        let (mut dropped, mut polled) = (zero(), zero());
        event_loop.run(async {
            start(&mut dropped).await;
            start(&mut polled).await;
            Ok(())
        })?;
        event_loop.run(async {
            let rivals = [create_task(nap(1)), create_task(nap(1))];
            turns(1).await?;
            drop(dropped);
            assert_eq!(outcome(polled.await), "TimeoutError");
            assert_eq!(soloop::time(), Duration::ZERO);
            for rival in rivals {
                rival.await?;
            }
            Ok(())
        })
    }

    /// A panic passes in the very turn in which they are due, before their timers run.
    #[test]
    fn a_sleep_that_is_due_may_outlive_a_panic() -> Result<()> {
        let (clock, mut naps) = (Rc::new(Cell::new(Duration::ZERO)), Vec::new());
        let now = clock.clone();
        let mut event_loop = EventLoop::with_clock(move || now.get());
        let panics = catch_unwind(AssertUnwindSafe(|| {
            event_loop.run::<()>(async {
                naps.extend([nap(1).boxed_local(), nap(1).boxed_local()]);
                naps.push(wait_for(Event::new().wait(), secs(1)).boxed_local());
                for nap in &mut naps {
                    start(nap).await;
                }
                clock.set(secs(1));
                turns(1).await?;
                resume_unwind(Box::new("a bug"))
            })
        }));
        assert!(panics.is_err());
        let (struck, polled) = (naps.pop().expect("three"), naps.pop().expect("two"));
        drop(naps);
        let outcomes = event_loop.run(async { Ok((outcome(polled.await), outcome(struck.await))) });
        assert_eq!(outcomes?, ("ok".into(), "TimeoutError".into()));
        Ok(())
    }

    #[test]
    fn a_wrapped_future_goes_with_its_wrapper() {
        let trace = trace_of(async {
            let value = NoteOnDrop("unpolled");
            drop(wrap_future(async { drop(value) }));
            let value = NoteOnDrop("pending");
            let held = hold(wrap_future(async {
                let _value = value;
                pending().await
            }));
            turns(1).await?;
            held.drop_future();
            let value = NoteOnDrop("told");
            let held = hold(wrap_future(async {
                let _value = value;
                pending().await
            }));
            turns(1).await?;
            held.task.cancel();
            held.drop_future();
            turns(1).await?;
            note(held.task.cancelled());
            Ok(())
        });
        assert_eq!(trace, "unpolled pending told true");
    }

    #[test]
    fn a_task_goes_on_without_its_handle() {
        let trace = trace_of(async {
            create_task(ticks(2));
            let awaited = create_task(tell("awaited", nap(1)));
            let held = hold(awaited);
            turns(1).await?;
            held.drop_future();
            nap(2).await
        });
        assert_eq!(trace, "t0 t1 awaited ok");
    }

    /// The request went to the inner task at once; that nobody awaits it any more changes nothing.
    #[test]
    fn a_task_that_was_told_through_its_awaiter_stays_told() {
        let trace = trace_of(async {
            let held = hold(create_task(tell("inner", nap(1))));
            turns(2).await?;
            held.task.cancel();
            held.drop_future();
            turns(3).await
        });
        assert_eq!(trace, "inner CancelledError");
    }

    #[test]
    fn an_awaiter_that_was_woken_lets_others_have_the_end() {
        let trace = trace_of(async {
            let inner = create_task(turns(1));
            let handle = inner.handle();
            let held = hold(inner);
            turns(2).await?;
            assert!(handle.done());
            held.drop_future();
            turns(2).await?;
            note(handle.cancelled());
            Ok(())
        });
        assert_eq!(trace, "false");
    }
}
