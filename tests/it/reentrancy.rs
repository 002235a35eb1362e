//! User code that calls back, from every place where the crate could run it: wakers, destructors, predicates, errors and handlers.
//!
//! Here a call back calls everything there is on the primitive in question and on the loop. None may panic, and
//! the waiters are served in spite of it.

use crate::{kit::*, scene::*};
use futures::{
    FutureExt,
    future::{self, LocalBoxFuture},
};
use soloop::{
    Barrier, BoundedSemaphore, Condition, Error, Event, EventLoop, Lock, Result, Semaphore, Task,
    TaskHandle, create_task, current_task, time, wait_for, wrap_future,
};
use std::{
    cell::{Cell, RefCell},
    fmt,
    future::{Future, pending, poll_fn},
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    pin::Pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

type Hook = Rc<dyn Fn()>;

thread_local! {
    static HOOK: RefCell<Option<Hook>> = const { RefCell::new(None) };
    static CALLS: Cell<usize> = const { Cell::new(0) };
}

/// What is done on every call back, until the end of the test.
fn on_call_back(hook: impl Fn() + 'static) {
    HOOK.set(Some(Rc::new(hook)));
}

fn call_back() {
    // A destructor may run after the thread's own variables are gone.
    if let Ok(Some(hook)) = HOOK.try_with(|hook| hook.borrow().clone()) {
        CALLS.set(CALLS.get() + 1);
        hook();
    }
}

/// The number of calls back since the last time.
fn calls() -> usize {
    CALLS.take()
}

/// Calls everything there is to call on the loop and on a task.
fn meddle_with_the_loop() {
    let inside = soloop::run(async { Ok(()) }).is_err();
    if inside {
        let task = create_task(nap(1));
        task.set_name("meddler");
        assert_eq!(format!("{task:?}"), format!("{:?}", task.handle()));
        meddle_with(&task.handle());
        assert!(task.cancel());
        assert!(time() < Duration::MAX);
    }
    if let Some(task) = current_task() {
        meddle_with(&task);
    }
    drop(nap(1).now_or_never());
    drop(wait_for(nap(1), secs(2)).now_or_never());
    drop(wait_for(nap(1), Duration::ZERO).now_or_never());
    drop(wrap_future(nap(1)).now_or_never());
}

/// Asks a task everything, and leaves it as it was.
fn meddle_with(task: &TaskHandle) {
    let name = task.name();
    task.set_name(name.clone());
    assert!(format!("{task:?}").contains(&name));
    assert!(task.done() || !task.cancelled());
    let requests = task.cancelling();
    assert!(requests == task.cancelling() && task == &task.clone());
}

/// Calls back when it is dropped.
struct Meddler;

impl Drop for Meddler {
    fn drop(&mut self) {
        call_back();
    }
}

/// A waker that calls back when it is woken and when it is dropped.
struct MeddlingWaker {
    waker: Waker,
    _dropped: Meddler,
}

impl Wake for MeddlingWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        call_back();
        self.waker.wake_by_ref();
        call_back();
    }
}

/// A future that is polled with a new meddling waker every time, and that calls back when it is dropped.
struct Meddled<T> {
    future: LocalBoxFuture<'static, T>,
    _dropped: Meddler,
}

fn meddled<T>(future: impl Future<Output = T> + 'static) -> Meddled<T> {
    Meddled {
        future: future.boxed_local(),
        _dropped: Meddler,
    }
}

impl<T> Future for Meddled<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let waker = Waker::from(Arc::new(MeddlingWaker {
            waker: cx.waker().clone(),
            _dropped: Meddler,
        }));
        self.future.as_mut().poll(&mut Context::from_waker(&waker))
    }
}

/// The same places for every scene. Two visitors wait, both polled with meddling wakers.
mod place {
    use super::*;

    fn scene<S: Scene>() -> S {
        let scene = S::blocked();
        let hooked = scene.clone();
        on_call_back(move || {
            hooked.meddle();
            meddle_with_the_loop();
        });
        scene
    }

    fn visit<S: Scene>(scene: &S) -> Meddled<Result<()>> {
        meddled(scene.visit())
    }

    async fn served<S: Scene>(scene: S, visitor: Task<()>) -> Result<()> {
        visitor.await?;
        assert_eq!(scene.repr(), S::SERVED);
        Ok(())
    }

    pub(crate) fn woken<S: Scene>() -> Result<()> {
        run(async {
            let scene = scene::<S>();
            let first = create_task(visit(&scene));
            let second = create_task(visit(&scene));
            turns(1).await?;
            calls();
            scene.unblock();
            assert_ne!(calls(), 0, "a waker was woken");
            first.await?;
            served(scene, second).await
        })
    }

    /// Every poll brings a new waker, so that the one before is dropped by the crate.
    pub(crate) fn polled_again<S: Scene>() -> Result<()> {
        run(async {
            let scene = scene::<S>();
            let mut visit = visit(&scene);
            start(&mut visit).await;
            calls();
            start(&mut visit).await;
            assert_ne!(calls(), 0, "a waker was dropped");
            scene.unblock();
            visit.await?;
            assert_eq!(scene.repr(), S::SERVED);
            Ok(())
        })
    }

    pub(crate) fn told<S: Scene>() -> Result<()> {
        run(async {
            let scene = scene::<S>();
            let first = create_task(visit(&scene));
            let second = create_task(visit(&scene));
            turns(1).await?;
            calls();
            first.cancel();
            assert_ne!(calls(), 0, "a waker was woken");
            scene.unblock();
            served(scene, second).await?;
            assert!(first.cancelled());
            Ok(())
        })
    }

    pub(crate) fn dropped<S: Scene>() -> Result<()> {
        run(async {
            let scene = scene::<S>();
            let first = hold(visit(&scene));
            let second = create_task(visit(&scene));
            turns(1).await?;
            calls();
            first.drop_future();
            assert_ne!(calls(), 0, "a waker was dropped");
            scene.unblock();
            served(scene, second).await
        })
    }

    pub(crate) fn woken_and_dropped<S: Scene>() -> Result<()> {
        run(async {
            let scene = scene::<S>();
            let first = hold(visit(&scene));
            let second = create_task(visit(&scene));
            turns(1).await?;
            scene.unblock();
            calls();
            first.drop_future();
            assert_ne!(calls(), 0, "a waker was dropped or woken");
            served(scene, second).await
        })
    }

    pub(crate) fn struck<S: Scene>() -> Result<()> {
        run(async {
            let scene = scene::<S>();
            let first = create_task(wait_for(visit(&scene), secs(1)));
            let second = create_task(visit(&scene));
            turns(1).await?;
            calls();
            assert_eq!(outcome(first.await), "TimeoutError");
            assert_ne!(calls(), 0, "a waker was woken");
            scene.unblock();
            served(scene, second).await
        })
    }

    pub(crate) fn shut_down<S: Scene>() -> Result<()> {
        let scene = scene::<S>();
        run(async {
            create_task(visit(&scene));
            let late = visit(&scene);
            create_task(async {
                nap(9).await.expect_err("the loop shuts down");
                create_task(late);
                Ok(())
            });
            turns(1).await?;
            calls();
            Ok(())
        })?;
        assert_ne!(calls(), 0);
        assert_eq!(scene.repr(), S::BLOCKED);
        Ok(())
    }

    pub(crate) fn deadlocked<S: Scene>() {
        let scene = scene::<S>();
        let stuck = run(async {
            create_task(scene.visit());
            let _in_main = Meddler;
            let mut visit = scene.visit().boxed_local();
            start(&mut visit).await;
            let dropped_with_main = (visit, Meddler);
            pending::<()>().await;
            dropped_with_main.0.await
        });
        assert!(matches!(stuck, Err(Error::Deadlock(_))), "{stuck:?}");
        assert_eq!(calls(), 2);
        assert_eq!(scene.repr(), S::BLOCKED);
    }

    pub(crate) fn unwinding<S: Scene>() {
        let scene = scene::<S>();
        let panics = || {
            run(async {
                create_task(visit(&scene));
                create_task(wait_for(visit(&scene), secs(1)));
                turns(1).await?;
                calls();
                resume_unwind(Box::new("a bug")) as Result<()>
            })
        };
        catch_unwind(AssertUnwindSafe(panics)).expect_err("the panic comes out");
        assert_ne!(calls(), 0);
        assert_eq!(scene.repr(), S::BLOCKED);
    }
}

macro_rules! every_place {
    ($($name:ident $scene:ident),* $(,)?) => {$(
        mod $name {
            use super::{Result, place, $scene};

            #[test]
            fn when_woken() -> Result<()> {
                place::woken::<$scene>()
            }

            #[test]
            fn when_polled_with_another_waker() -> Result<()> {
                place::polled_again::<$scene>()
            }

            #[test]
            fn when_told() -> Result<()> {
                place::told::<$scene>()
            }

            #[test]
            fn when_dropped() -> Result<()> {
                place::dropped::<$scene>()
            }

            #[test]
            fn when_woken_and_dropped() -> Result<()> {
                place::woken_and_dropped::<$scene>()
            }

            #[test]
            fn when_a_timeout_strikes() -> Result<()> {
                place::struck::<$scene>()
            }

            #[test]
            fn when_the_loop_shuts_down() -> Result<()> {
                place::shut_down::<$scene>()
            }

            #[test]
            fn when_a_deadlock_drops_it() {
                place::deadlocked::<$scene>();
            }

            #[test]
            fn when_a_panic_unwinds() {
                place::unwinding::<$scene>();
            }
        }
    )*};
}

every_place! {
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

mod barrier {
    use super::*;

    fn meddle(barrier: &Barrier) {
        let filling = format!("{barrier:?}").contains("filling");
        assert!(filling || barrier.n_waiting() == 0);
        assert!(!barrier.broken() && barrier.parties() == 3);
        if filling && barrier.n_waiting() < 2 {
            drop(barrier.wait().now_or_never());
        }
    }

    fn barrier() -> Barrier {
        let barrier = Barrier::new(3).expect("three are enough");
        let hooked = barrier.clone();
        on_call_back(move || {
            meddle(&hooked);
            meddle_with_the_loop();
        });
        barrier
    }

    #[test]
    fn when_it_opens() -> Result<()> {
        run(async {
            let barrier = barrier();
            let first = create_task(meddled(barrier.wait()));
            let second = create_task(meddled(barrier.wait()));
            turns(1).await?;
            calls();
            let last = barrier.wait().await?;
            assert_ne!(calls(), 0, "wakers were woken");
            assert_eq!((first.await?, second.await?, last), (0, 1, 2));
            assert_eq!(format!("{barrier:?}"), "<Barrier [filling, waiters:0/3]>");
            Ok(())
        })
    }

    #[test]
    fn when_told_or_dropped() -> Result<()> {
        run(async {
            let barrier = barrier();
            let told = create_task(meddled(barrier.wait()));
            let dropped = hold(meddled(barrier.wait()).map(|position| position.map(drop)));
            turns(1).await?;
            calls();
            told.cancel();
            dropped.drop_future();
            assert_ne!(calls(), 0);
            turns(1).await?;
            assert_eq!(format!("{barrier:?}"), "<Barrier [filling, waiters:0/3]>");
            Ok(())
        })
    }

    /// Who leaves last wakes those outside, and just then somebody comes in.
    #[test]
    fn entered_by_a_future_that_outlives_the_loop_is_left_to_others() -> Result<()> {
        let barrier = Barrier::new(2)?;
        let late = Rc::new(RefCell::new(barrier.wait().boxed_local()));
        let entering = late.clone();
        let mut event_loop = EventLoop::with_virtual_clock();
        event_loop.run(async {
            let parties = [(); 2].map(|()| create_task(barrier.wait()));
            turns(1).await?;
            let mut outside = meddled(barrier.wait());
            start(&mut outside).await;
            on_call_back(move || assert!(entering.borrow_mut().as_mut().now_or_never().is_none()));
            for party in parties {
                party.await?;
            }
            assert_ne!(calls(), 0, "a waker was woken");
            on_call_back(|| {});
            Ok(())
        })?;
        let refused = late.borrow_mut().as_mut().now_or_never().map(outcome);
        assert_eq!(refused, Some("RuntimeError: no running event loop".into()));
        event_loop.run(async {
            let other = create_task(barrier.wait());
            assert_eq!((barrier.wait().await?, other.await?), (0, 1));
            Ok(())
        })
    }

    #[test]
    fn when_reset_or_aborted() -> Result<()> {
        run(async {
            let barrier = barrier();
            for _ in 0..2 {
                create_task(tell("wait", meddled(barrier.wait())));
            }
            turns(1).await?;
            calls();
            barrier.reset().await?;
            assert_ne!(calls(), 0, "wakers were woken");
            turns(2).await?;
            let refused = "wait BrokenBarrierError: Abort or reset of barrier";
            assert_eq!(noted(), [refused; 2].join(" "));
            assert_eq!(format!("{barrier:?}"), "<Barrier [filling, waiters:0/3]>");
            Ok(())
        })
    }

    #[test]
    fn with_all_it_has_when_it_opens() -> Result<()> {
        run(async {
            let barrier = Barrier::new(3)?;
            for _ in 0..2 {
                create_task(tell("wait", meddled(barrier.wait())));
            }
            turns(1).await?;
            let hooked = barrier.clone();
            on_call_back(move || {
                note(format_args!("{hooked:?}"));
                drop(hooked.wait().now_or_never());
                drop(hooked.reset().now_or_never());
                drop(hooked.abort().now_or_never());
                drop(hooked.wait().now_or_never());
            });
            assert_eq!(barrier.wait().await?, 2);
            assert_ne!(calls(), 0, "wakers were woken");
            turns(3).await?;
            assert!(noted().starts_with("<Barrier [draining, waiters:0/3]>"));
            assert!(barrier.broken());
            Ok(())
        })
    }
}

/// Not only what can be taken back: the call back changes the very state that its caller is about to change.
mod turmoil {
    use super::*;

    /// Everything at once, on every primitive.
    #[derive(Clone, Default)]
    struct World {
        lock: Lock,
        event: Event,
        condition: Condition,
        semaphore: Semaphore,
        bounded: BoundedSemaphore,
        futures: Rc<RefCell<Vec<LocalBoxFuture<'static, ()>>>>,
        handles: Rc<RefCell<Vec<TaskHandle>>>,
    }

    impl World {
        /// A wait on each of them, by a task and by nobody's future.
        async fn crowd(&self) -> Result<()> {
            let futures = || -> [LocalBoxFuture<'static, ()>; 6] {
                let condition = self.condition.clone();
                [
                    meddled(self.lock.acquire()).map(drop).boxed_local(),
                    meddled(self.event.wait()).map(drop).boxed_local(),
                    meddled(self.semaphore.acquire()).map(drop).boxed_local(),
                    meddled(self.bounded.enter()).map(drop).boxed_local(),
                    meddled(async move {
                        condition.acquire().await?;
                        condition.wait().await
                    })
                    .map(drop)
                    .boxed_local(),
                    meddled(self.condition.acquire()).map(drop).boxed_local(),
                ]
            };
            for _ in 0..3 {
                for future in futures() {
                    let task = create_task(future.map(Ok));
                    self.handles.borrow_mut().push(task.handle());
                }
                for mut future in futures() {
                    if poll_once(&mut future).await.is_pending() {
                        self.futures.borrow_mut().push(future);
                    }
                }
            }
            turns(1).await
        }

        /// What can fail does so with an error, and never with a panic.
        fn call_everything(&self) {
            let reprs = format!(
                "{:?} {:?} {:?} {:?} {:?}",
                self.lock, self.event, self.condition, self.semaphore, self.bounded
            );
            assert!(reprs.starts_with("<Lock ["));
            let _ = self.lock.release();
            drop(self.lock.acquire().now_or_never());
            self.event.set();
            self.event.clear();
            drop(self.event.wait().now_or_never());
            let _ = self.condition.notify(1);
            drop(self.condition.wait().now_or_never());
            let _ = self.condition.notify_all();
            let _ = self.condition.release();
            drop(self.condition.enter().now_or_never());
            self.semaphore.release();
            drop(self.semaphore.acquire().now_or_never());
            let _ = self.bounded.release();
            drop(self.bounded.acquire().now_or_never());
            let handle = self.handles.borrow_mut().pop();
            let _ = handle.is_some_and(|handle| handle.cancel());
            let future = self.futures.borrow_mut().pop();
            drop(future);
        }
    }

    /// Takes everything there is, fills the queues, and lets loose.
    async fn crowded() -> Result<World> {
        let world = World::default();
        world.lock.acquire().await?;
        world.semaphore.acquire().await?;
        world.bounded.acquire().await?;
        world.crowd().await?;
        let hooked = world.clone();
        on_call_back(move || {
            hooked.call_everything();
            meddle_with_the_loop();
        });
        calls();
        Ok(world)
    }

    fn survives(act: impl FnOnce(&World)) -> Result<()> {
        run(async {
            let world = crowded().await?;
            act(&world);
            assert_ne!(calls(), 0);
            turns(20).await?;
            on_call_back(|| ());
            world.futures.take().clear();
            Ok(())
        })
    }

    #[test]
    fn in_a_release_of_a_lock() -> Result<()> {
        survives(|world| world.lock.release().expect("it is held"))
    }

    #[test]
    fn in_the_set_of_an_event() -> Result<()> {
        survives(|world| world.event.set())
    }

    #[test]
    fn in_a_notification() -> Result<()> {
        survives(|world| {
            world.condition.notify_all().expect("it is held");
        })
    }

    #[test]
    fn in_a_release_of_a_semaphore() -> Result<()> {
        survives(|world| {
            world.semaphore.release();
            // A call back may have given the permit back already.
            let _ = world.bounded.release();
        })
    }

    #[test]
    fn in_a_cancel() -> Result<()> {
        survives(|world| {
            let handles = world.handles.borrow().clone();
            assert!(handles.iter().any(TaskHandle::cancel));
        })
    }

    #[test]
    fn in_a_drop() -> Result<()> {
        survives(|world| {
            let futures = world.futures.take();
            drop(futures);
        })
    }

    #[test]
    fn at_the_end_of_the_loop() -> Result<()> {
        run(async { crowded().await.map(drop) })?;
        assert_ne!(calls(), 0);
        Ok(())
    }

    /// The first waker that an event wakes drops the wait of the second, and begins a new one.
    #[test]
    fn in_an_event_whose_next_waiter_is_dropped_by_the_first() -> Result<()> {
        run(async {
            let event = Event::new();
            let first = create_task(meddled(event.wait()));
            turns(1).await?;
            let second = Rc::new(RefCell::new(Some(event.wait().boxed_local())));
            poll_fn(|cx| {
                let mut second = second.borrow_mut();
                Poll::Ready(second.as_mut().map(|wait| wait.poll_unpin(cx)))
            })
            .await;
            let third = create_task(event.wait());
            turns(1).await?;
            let hooked = event.clone();
            on_call_back(move || {
                drop(second.take());
                hooked.clear();
                drop(hooked.wait().now_or_never());
            });
            event.set();
            assert_ne!(calls(), 0, "a waker was woken");
            first.await?;
            third.await?;
            assert_eq!(format!("{event:?}"), "<Event [unset]>");
            Ok(())
        })
    }

    /// The first waker that is called cancels the second waiter, which is notified by then, and so hands that on to the third.
    #[test]
    fn in_a_notification_of_two_whose_second_is_cancelled_by_the_first() -> Result<()> {
        run(async {
            let condition = Condition::new();
            let waiting = |name: u32| {
                let condition = condition.clone();
                async move {
                    let mut held = condition.enter().await?;
                    let waited = held.wait().await;
                    note(format!("{name}: {}", outcome(waited)));
                    Ok(())
                }
            };
            let _first = create_task(meddled(waiting(1)));
            let second = create_task(waiting(2));
            let _others = [3, 4].map(|name| create_task(waiting(name)));
            turns(2).await?;
            let cancelled = second.handle();
            on_call_back(move || {
                cancelled.cancel();
            });
            condition.enter().await?.notify(2)?;
            on_call_back(|| {});
            assert_ne!(calls(), 0, "a waker was woken");
            turns(6).await?;
            assert_eq!(noted(), "1: ok 2: CancelledError 3: ok");
            assert_eq!(
                format!("{condition:?}"),
                "<Condition [unlocked, waiters:1]>"
            );
            Ok(())
        })
    }
}

/// Wakers of futures with no primitive behind them.
mod waker {
    use super::*;

    #[test]
    fn of_a_sleep() -> Result<()> {
        on_call_back(meddle_with_the_loop);
        run(async {
            meddled(turns(2)).await?;
            assert_ne!(calls(), 0);
            meddled(nap(1)).await?;
            assert_ne!(calls(), 0);
            let dropped = hold(meddled(nap(1)));
            turns(1).await?;
            calls();
            dropped.drop_future();
            assert_ne!(calls(), 0);
            Ok(())
        })
    }

    #[test]
    fn of_a_task() -> Result<()> {
        on_call_back(meddle_with_the_loop);
        run(async {
            let task = create_task(turns(2));
            let handle = task.handle();
            on_call_back(move || {
                meddle_with_the_loop();
                meddle_with(&handle);
            });
            meddled(task).await?;
            assert_ne!(calls(), 0);
            let dropped = hold(meddled(create_task(nap(1))));
            turns(1).await?;
            calls();
            dropped.drop_future();
            assert_ne!(calls(), 0);
            Ok(())
        })
    }

    #[test]
    fn of_a_task_that_cancels_its_awaiter() {
        let trace = trace_of(async {
            let task = create_task(turns(2));
            let awaiter = create_task(async {
                tell("task", meddled(task)).await?;
                tell("then", turns(1)).await
            });
            turns(1).await?;
            let handle = awaiter.handle();
            let cancelled = Cell::new(false);
            on_call_back(move || {
                if !cancelled.replace(true) {
                    note(handle.cancel());
                }
            });
            awaiter.await
        });
        assert_eq!(trace, "true task CancelledError then ok");
    }

    #[test]
    fn of_a_wait_for() -> Result<()> {
        on_call_back(meddle_with_the_loop);
        run(async {
            meddled(wait_for(nap(1), secs(2))).await?;
            assert_ne!(calls(), 0);
            let late = meddled(wait_for(nap(2), secs(1))).await;
            assert_eq!(outcome(late), "TimeoutError");
            assert_ne!(calls(), 0);
            let zero = meddled(wait_for(nap(2), Duration::ZERO)).await;
            assert_eq!(outcome(zero), "TimeoutError");
            assert_ne!(calls(), 0);
            Ok(())
        })
    }

    #[test]
    fn of_a_wrapped_future() -> Result<()> {
        on_call_back(meddle_with_the_loop);
        run(async {
            let (sender, receiver) = futures::channel::oneshot::channel();
            let task = create_task(meddled(wrap_future(meddled(receiver))));
            let told = create_task(meddled(wrap_future(meddled(pending::<()>()))));
            turns(1).await?;
            told.cancel();
            assert!(sender.send(7).is_ok());
            assert_eq!(task.await?.map_err(Error::other)?, 7);
            assert!(told.done() && told.cancelled());
            assert_ne!(calls(), 0);
            Ok(())
        })
    }
}

/// Destructors of coroutines and of what they return.
mod destructor {
    use super::*;

    #[test]
    fn of_what_a_coroutine_held_when_it_ended() -> Result<()> {
        on_call_back(meddle_with_the_loop);
        run(async {
            let task = create_task(async {
                let _held = Meddler;
                turns(1).await
            });
            task.await?;
            assert_eq!(calls(), 1);
            Ok(())
        })
    }

    #[test]
    fn of_a_coroutine_that_never_ran() -> Result<()> {
        on_call_back(meddle_with_the_loop);
        run(async {
            let (cancelled, late) = (Meddler, Meddler);
            let task = create_task(async move {
                let _held = cancelled;
                turns(1).await
            });
            task.cancel();
            turns(1).await?;
            assert_eq!(calls(), 1);
            let body = async move {
                let _held = late;
                turns(1).await
            };
            assert_eq!(
                outcome(wait_for(body, Duration::ZERO).await),
                "TimeoutError"
            );
            assert_eq!(calls(), 1);
            Ok(())
        })
    }

    #[test]
    fn of_a_result_that_nobody_takes() -> Result<()> {
        on_call_back(meddle_with_the_loop);
        run(async {
            create_task(async { Ok(Meddler) });
            turns(1).await?;
            assert_eq!(calls(), 1, "its task was detached");
            let done = create_task(async { Ok(Meddler) });
            turns(1).await?;
            assert_eq!(calls(), 0, "somebody might take it");
            drop(done);
            assert_eq!(calls(), 1);
            let cancelled = create_task(async {
                current_task().expect("a task is running").cancel();
                Ok(Meddler)
            });
            assert_eq!(outcome(cancelled.await.map(|_| ())), "CancelledError");
            assert_eq!(calls(), 1, "a cancelled task has no result");
            Ok(())
        })
    }

    #[test]
    fn of_a_result_that_outlives_its_loop() -> Result<()> {
        on_call_back(meddle_with_the_loop);
        let task = run(async {
            let task = create_task(async { Ok(Meddler) });
            turns(1).await?;
            Ok(task)
        })?;
        drop(task);
        assert_eq!(calls(), 1);
        Ok(())
    }

    #[test]
    fn of_what_a_boundary_drops() -> Result<()> {
        on_call_back(meddle_with_the_loop);
        run(async {
            let foreign = || async {
                let _held = Meddler;
                pending::<Result<()>>().await
            };
            let task = create_task(foreign());
            turns(1).await?;
            task.cancel();
            turns(1).await?;
            assert_eq!((calls(), task.cancelled()), (1, true));
            let late = wait_for(foreign(), secs(1)).await;
            assert_eq!((calls(), outcome(late)), (1, "TimeoutError".into()));
            let wrapped = create_task(wrap_future(foreign()));
            turns(1).await?;
            wrapped.cancel();
            turns(1).await?;
            assert_eq!((calls(), wrapped.cancelled()), (1, true));
            Ok(())
        })
    }

    /// The destructor cancels, forgets and asks the task that is being dropped.
    #[test]
    fn that_calls_its_own_task() -> Result<()> {
        run(async {
            let task = create_task(async {
                let own = current_task().expect("a task is running");
                let _at_the_end = OnDrop(move || {
                    note(format_args!("{} {}", own.cancel(), own.uncancel()));
                    note(format_args!("{own:?} {}", own.done()));
                });
                pending::<Result<()>>().await
            });
            turns(1).await?;
            task.cancel();
            turns(1).await?;
            assert!(task.cancelled());
            let said = noted();
            assert!(said.contains("'Task-2'"), "{said}");
            Ok(())
        })
    }

    #[test]
    fn that_drops_the_last_handle_of_its_own_task() {
        let trace = trace_of(async {
            let slot = Rc::new(RefCell::new(None::<Task<()>>));
            let own = slot.clone();
            let task = create_task(async move {
                let _at_the_end = OnDrop(move || {
                    drop(own.take());
                    note("dropped");
                });
                turns(1).await
            });
            slot.replace(Some(task));
            turns(3).await
        });
        assert_eq!(trace, "dropped");
    }

    /// A task's destructor wakes, cancels and drops others, while the loop drops them one after the other.
    #[test]
    fn that_reaches_for_the_other_tasks() {
        for panics in [false, true] {
            let handles = Rc::new(RefCell::new(Vec::<Task<()>>::new()));
            let event = Event::new();
            let (hooked, tasks) = (event.clone(), handles.clone());
            on_call_back(move || {
                hooked.set();
                hooked.clear();
                let task = tasks.borrow_mut().pop();
                let _ = task.is_some_and(|task| task.cancel());
                meddle_with_the_loop();
            });
            let main = async {
                for _ in 0..10 {
                    let wait = event.wait();
                    let task = create_task(async {
                        let _held = Meddler;
                        let _ = wait.await;
                        pending().await
                    });
                    handles.borrow_mut().push(task);
                }
                turns(1).await?;
                if panics {
                    resume_unwind(Box::new("a bug"));
                }
                event.wait().await
            };
            let result = catch_unwind(AssertUnwindSafe(|| run(main)));
            assert_eq!(result.is_err(), panics);
            assert_eq!(calls(), 10, "each was dropped once");
        }
    }

    #[test]
    fn of_main() {
        on_call_back(meddle_with_the_loop);
        let result = run(async {
            let _held = Meddler;
            turns(1).await
        });
        assert_eq!((outcome(result), calls()), ("ok".into(), 1));
    }

    #[test]
    fn of_a_predicate() -> Result<()> {
        on_call_back(meddle_with_the_loop);
        run(async {
            let condition = Condition::new();
            let hooked = condition.clone();
            on_call_back(move || {
                note(format_args!("{hooked:?}"));
                drop(hooked.enter().now_or_never());
                meddle_with_the_loop();
            });
            condition.acquire().await?;
            let held = Meddler;
            let never = condition.wait_for(move || {
                let _held = &held;
                false
            });
            let mut never = never.boxed_local();
            start(&mut never).await;
            drop(never);
            assert_eq!(calls(), 1);
            assert_eq!(format!("{condition:?}"), "<Condition [unlocked]>");
            Ok(())
        })
    }
}

mod predicate {
    use super::*;

    /// It runs while its task holds the lock.
    #[test]
    fn that_calls_its_condition() {
        let trace = trace_of(async {
            let shelf = Condition::new();
            let (asked, waiting) = (shelf.clone(), shelf.clone());
            let mut questions = 0;
            let task = create_task(async move {
                waiting.acquire().await?;
                let predicate = move || {
                    note(format_args!("{asked:?}"));
                    assert!(asked.locked());
                    assert!(asked.acquire().now_or_never().is_none());
                    assert!(asked.enter().now_or_never().is_none());
                    asked.notify_all().expect("the lock is held");
                    meddle_with_the_loop();
                    questions += 1;
                    (questions == 2).then_some("yes")
                };
                tell("wait_for", waiting.wait_for(predicate)).await?;
                waiting.release()
            });
            turns(1).await?;
            let guard = shelf.enter().await?;
            guard.notify(1)?;
            drop(guard);
            task.await?;
            note(format_args!("{shelf:?}"));
            Ok(())
        });
        let asked = "<Condition [locked]>";
        let expected = format!("{asked} {asked} wait_for Some(\"yes\") <Condition [unlocked]>");
        assert_eq!(trace, expected);
    }

    #[test]
    fn that_releases_the_lock_under_its_own_wait() {
        let trace = trace_of(async {
            let condition = Condition::new();
            condition.acquire().await?;
            let asked = condition.clone();
            let predicate = move || {
                asked.release().expect("the lock is held");
                false
            };
            tell("wait_for", condition.wait_for(predicate)).await?;
            note(format_args!("{condition:?}"));
            Ok(())
        });
        let refused = "RuntimeError: cannot wait on un-acquired lock";
        assert_eq!(trace, format!("wait_for {refused} <Condition [unlocked]>"));
    }

    #[test]
    fn that_cancels_its_own_task() {
        let trace = trace_of(async {
            let condition = Condition::new();
            condition.acquire().await?;
            let predicate = || {
                note(current_task().expect("a task is running").cancel());
                false
            };
            tell("wait_for", condition.wait_for(predicate)).await?;
            note(format_args!("{condition:?}"));
            Ok(())
        });
        assert_eq!(trace, "true wait_for CancelledError <Condition [locked]>");
    }
}

/// An application's own error calls back when it is shown and when it is dropped.
mod error {
    use super::*;

    #[derive(Debug)]
    struct MeddlingError(Arc<Meddling>);

    struct Meddling;

    impl Drop for Meddling {
        fn drop(&mut self) {
            call_back();
        }
    }

    impl fmt::Debug for Meddling {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            call_back();
            f.write_str("Meddling")
        }
    }

    impl fmt::Display for MeddlingError {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "{:?}", self.0)
        }
    }

    impl std::error::Error for MeddlingError {}

    async fn fail() -> Result<()> {
        Err(Error::other(MeddlingError(Arc::new(Meddling))))
    }

    /// Without a handler it is shown on stderr.
    #[test]
    fn that_nobody_retrieves() -> Result<()> {
        on_call_back(meddle_with_the_loop);
        run(async {
            create_task(fail());
            turns(1).await?;
            assert!(calls() >= 2, "it was shown and dropped");
            let task = create_task(fail());
            turns(1).await?;
            assert_eq!(calls(), 0, "somebody might retrieve it");
            drop(task);
            assert!(calls() >= 2, "it was shown and dropped");
            Ok(())
        })
    }

    #[test]
    fn that_is_retrieved() -> Result<()> {
        on_call_back(meddle_with_the_loop);
        run(async {
            let failed = create_task(fail()).await;
            assert_eq!(calls(), 0);
            drop(failed);
            assert_eq!(calls(), 1);
            Ok(())
        })
    }

    #[test]
    fn of_the_shutdown() -> Result<()> {
        on_call_back(meddle_with_the_loop);
        run(async {
            create_task(async {
                nap(9).await.expect_err("the loop shuts down");
                fail().await
            });
            turns(1).await
        })?;
        assert!(calls() >= 2, "it was shown and dropped");
        Ok(())
    }
}

mod exception_handler {
    use super::*;

    async fn fail(text: &'static str) -> Result<()> {
        Err(Error::Value(text.into()))
    }

    #[test]
    fn that_calls_the_loop() -> Result<()> {
        let mut event_loop = EventLoop::with_virtual_clock();
        event_loop.set_exception_handler(|failure| {
            meddle_with_the_loop();
            create_task(say(format!("after {}", failure.name())));
            note(failure.error());
        });
        event_loop.run(async {
            create_task(fail("detached"));
            turns(2).await?;
            let task = create_task(fail("dropped"));
            task.set_name("second");
            turns(1).await?;
            drop(task);
            turns(2).await
        })?;
        assert_eq!(
            noted(),
            "ValueError: detached after Task-2 ValueError: dropped after second"
        );
        Ok(())
    }

    /// Each failure is followed by another, from inside the handler.
    #[test]
    fn that_makes_another_task_fail() -> Result<()> {
        let mut event_loop = EventLoop::with_virtual_clock();
        event_loop.set_exception_handler(|failure| {
            note(failure.error());
            if failure.error().to_string().ends_with("first") {
                create_task(fail("second"));
            }
        });
        event_loop.run(async {
            create_task(fail("first"));
            turns(3).await
        })?;
        assert_eq!(noted(), "ValueError: first ValueError: second");
        Ok(())
    }

    /// While one failure is handled, the drop of a done task brings another.
    #[test]
    fn that_drops_a_failed_task() -> Result<()> {
        let slot = Rc::new(RefCell::new(None::<Task<()>>));
        let kept = slot.clone();
        let mut event_loop = EventLoop::with_virtual_clock();
        event_loop.set_exception_handler(move |failure| {
            note(failure.error());
            drop(kept.take());
            note("handled");
        });
        event_loop.run(async {
            slot.replace(Some(create_task(fail("inner"))));
            turns(1).await?;
            create_task(fail("outer"));
            turns(1).await
        })?;
        assert_eq!(
            noted(),
            "ValueError: outer ValueError: inner handled handled"
        );
        Ok(())
    }

    #[test]
    fn of_the_shutdown_that_calls_the_loop() -> Result<()> {
        let mut event_loop = EventLoop::with_virtual_clock();
        event_loop.set_exception_handler(|failure| {
            note(failure.error());
            meddle_with_the_loop();
        });
        event_loop.run(async {
            create_task(async {
                nap(9).await.expect_err("the loop shuts down");
                fail("late").await
            });
            turns(1).await
        })?;
        assert_eq!(noted(), "ValueError: late");
        Ok(())
    }

    #[test]
    fn that_is_replaced_or_dropped_with_its_loop() {
        on_call_back(meddle_with_the_loop);
        let mut event_loop = EventLoop::with_virtual_clock();
        for _ in 0..2 {
            let held = Meddler;
            event_loop.set_exception_handler(move |_| {
                let _held = &held;
            });
        }
        assert_eq!(calls(), 1, "the first was replaced");
        drop(event_loop);
        assert_eq!(calls(), 1, "the second was dropped");
    }
}

/// A future of a task that polls and drops others of the same primitive from inside its own poll.
#[test]
fn a_poll_inside_a_poll_is_harmless() -> Result<()> {
    run(async {
        let lock = Lock::new();
        lock.acquire().await?;
        let inner = lock.clone();
        let task = create_task(
            future::join(
                meddled(lock.acquire()),
                poll_fn(move |cx| {
                    let mut waits = [inner.acquire().boxed_local(), inner.acquire().boxed_local()];
                    let ready = waits.iter_mut().any(|wait| wait.poll_unpin(cx).is_ready());
                    Poll::Ready(ready)
                }),
            )
            .map(|(acquired, nested)| acquired.map(|()| nested)),
        );
        turns(1).await?;
        assert_eq!(format!("{lock:?}"), "<Lock [locked, waiters:1]>");
        lock.release()?;
        assert!(!task.await?, "the nested ones had to wait");
        Ok(())
    })
}
