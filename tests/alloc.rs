//! What costs no allocation: a turn with nothing to do, and the steady state of every primitive.
//!
//! A binary of its own, since the allocator that counts is everybody's. It counts each thread's allocations apart.
#![forbid(unsafe_code)]

use allocation_counter::{AllocationInfo, measure};
use soloop::{
    Barrier, BoundedSemaphore, Condition, Event, EventLoop, Lock, Result, Semaphore, Turn,
    create_task, sleep, testing::Explorer, trace::record, wait_for,
};
use std::{
    cell::Cell,
    future::Future,
    hint::black_box,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    rc::Rc,
    time::Duration,
};

const MS: Duration = Duration::from_millis(1);

/// How many rounds a counted stretch has: enough for anything that grows to grow.
const ROUNDS: u64 = 1_000;

/// How many allocations there are in turns of a loop whose tasks go round and round, once every buffer has its size.
fn in_a_steady_state(start: impl FnOnce(&EventLoop)) -> u64 {
    measured_in_a_steady_state(start).count_total
}

fn measured_in_a_steady_state(start: impl FnOnce(&EventLoop)) -> AllocationInfo {
    let mut event_loop = EventLoop::with_virtual_clock();
    start(&event_loop);
    let mut turns = || {
        for _ in 0..ROUNDS {
            let turn = event_loop.turn();
            assert!(
                matches!(turn, Turn::More | Turn::SleepUntil(_)),
                "it goes on: {turn:?}"
            );
        }
    };
    turns();
    measure(turns)
}

/// Starts some tasks that each do the same over and over.
fn tasks<F>(event_loop: &EventLoop, many: usize, round: impl Fn() -> F + Clone + 'static)
where
    F: Future<Output = Result<()>>,
{
    for _ in 0..many {
        let round = round.clone();
        drop(event_loop.create_task(async move {
            loop {
                round().await?;
            }
            #[expect(unreachable_code, reason = "it says what the coroutine would return")]
            Ok(())
        }));
    }
}

async fn a_turn() -> Result<()> {
    sleep(Duration::ZERO).await
}

#[test]
fn the_counter_counts() {
    let counted = measure(|| drop(black_box(Box::new(1))));
    assert_eq!(counted.count_total, 1);
    let boxing = in_a_steady_state(|event_loop| {
        tasks(event_loop, 1, async || {
            drop(black_box(Box::new(1)));
            a_turn().await
        });
    });
    assert_eq!(boxing, ROUNDS);
}

mod an_idle_turn_allocates_nothing {
    use super::*;

    fn allocations_of_idle_turns(mut event_loop: EventLoop) -> u64 {
        let _first = event_loop.turn();
        measure(|| {
            for _ in 0..ROUNDS {
                let _turn = black_box(event_loop.turn());
            }
        })
        .count_total
    }

    #[test]
    fn in_an_empty_loop() {
        let event_loop = EventLoop::with_clock(|| Duration::ZERO);
        assert_eq!(allocations_of_idle_turns(event_loop), 0);
    }

    #[test]
    fn before_a_deadline() {
        let event_loop = EventLoop::with_clock(|| Duration::ZERO);
        event_loop.create_task(sleep(MS));
        event_loop.create_task(wait_for(Event::new().wait(), 2 * MS));
        assert_eq!(allocations_of_idle_turns(event_loop), 0);
    }

    #[test]
    fn while_somebody_outside_has_a_waker() {
        let event_loop = EventLoop::new();
        let task = event_loop.create_task(Event::new().wait());
        let _remote = task.handle().remote();
        assert_eq!(allocations_of_idle_turns(event_loop), 0);
    }
}

mod a_steady_state_allocates_nothing {
    use super::*;

    #[test]
    fn of_yields() {
        let allocations = in_a_steady_state(|event_loop| tasks(event_loop, 10, a_turn));
        assert_eq!(allocations, 0);
    }

    #[test]
    fn of_sleeps() {
        let allocations = in_a_steady_state(|event_loop| {
            for n in 1..=100 {
                tasks(event_loop, 1, move || sleep(n * 7 * MS));
            }
        });
        assert_eq!(allocations, 0);
    }

    #[test]
    fn of_timeouts_that_strike_and_that_do_not() {
        let allocations = in_a_steady_state(|event_loop| {
            let never = Event::new();
            tasks(event_loop, 10, move || {
                let struck = wait_for(never.wait(), MS);
                async {
                    assert!(struck.await.is_err());
                    Ok(())
                }
            });
            tasks(event_loop, 10, || wait_for(a_turn(), MS));
        });
        assert_eq!(allocations, 0);
    }

    #[test]
    fn of_a_contended_lock() {
        let allocations = in_a_steady_state(|event_loop| {
            let lock = Lock::new();
            tasks(event_loop, 100, move || {
                let entering = lock.enter();
                async {
                    let _held = entering.await?;
                    a_turn().await
                }
            });
        });
        assert_eq!(allocations, 0);
    }

    #[test]
    fn of_an_event_that_is_set_and_cleared() {
        let allocations = in_a_steady_state(|event_loop| {
            let event = Event::new();
            let setting = event.clone();
            tasks(event_loop, 100, move || event.wait());
            tasks(event_loop, 1, move || {
                setting.set();
                setting.clear();
                a_turn()
            });
        });
        assert_eq!(allocations, 0);
    }

    #[test]
    fn of_a_condition_that_is_waited_for_and_notified() {
        let allocations = in_a_steady_state(|event_loop| {
            let (condition, even) = (Condition::new(), Rc::new(Cell::new(false)));
            for parity in [false, true] {
                let (condition, even) = (condition.clone(), Rc::clone(&even));
                tasks(event_loop, 10, move || {
                    let (condition, even) = (condition.clone(), Rc::clone(&even));
                    async move {
                        let mut held = condition.enter().await?;
                        held.wait_for(|| even.get() == parity).await?;
                        even.set(!parity);
                        held.notify_all()
                    }
                });
            }
        });
        assert_eq!(allocations, 0);
    }

    #[test]
    fn of_contended_semaphores() {
        let allocations = in_a_steady_state(|event_loop| {
            let (permits, bounded) = (Semaphore::new(3), BoundedSemaphore::new(3));
            tasks(event_loop, 50, move || {
                let entering = permits.enter();
                async {
                    let _held = entering.await?;
                    a_turn().await
                }
            });
            tasks(event_loop, 50, move || {
                let entering = bounded.enter();
                async {
                    let _held = entering.await?;
                    a_turn().await
                }
            });
        });
        assert_eq!(allocations, 0);
    }

    #[test]
    fn of_a_barrier_that_fills_and_drains() {
        let allocations = in_a_steady_state(|event_loop| {
            let barrier = Barrier::new(10).expect("there are parties");
            tasks(event_loop, 30, move || {
                let waiting = barrier.wait();
                async { waiting.await.map(drop) }
            });
        });
        assert_eq!(allocations, 0);
    }

    /// Whoever waits is cancelled, catches it, and waits again.
    #[test]
    fn of_cancels() {
        let allocations = in_a_steady_state(|event_loop| {
            let (lock, event, permits) = (Lock::new(), Event::new(), Semaphore::new(0));
            let cancelled = Rc::new(Cell::new(0_u64));
            let holder = lock.clone();
            drop(event_loop.create_task(async move {
                let _held = holder.enter().await?;
                Event::new().wait().await
            }));
            let task = event_loop.create_task(async move {
                loop {
                    let waits = [
                        lock.acquire().await,
                        event.wait().await,
                        permits.acquire().await,
                    ];
                    assert!(waits.iter().all(Result::is_err));
                    cancelled.set(cancelled.get() + 1);
                }
                #[expect(unreachable_code, reason = "it says what the coroutine would return")]
                Ok(())
            });
            let task = task.handle();
            tasks(event_loop, 1, move || {
                task.cancel();
                a_turn()
            });
        });
        assert_eq!(allocations, 0);
    }

    /// A future is polled once and dropped: its waiter, its place in the queue and its timer are given back.
    #[test]
    fn of_drops() {
        let allocations = in_a_steady_state(|event_loop| {
            let (lock, event) = (Lock::new(), Event::new());
            let holder = lock.clone();
            drop(event_loop.create_task(async move {
                let _held = holder.enter().await?;
                Event::new().wait().await
            }));
            tasks(event_loop, 10, move || {
                let (locking, waiting) = (lock.acquire(), wait_for(event.wait(), MS));
                async {
                    futures::pin_mut!(locking, waiting);
                    let both = futures::future::select(locking, waiting);
                    let either = futures::future::select(both, std::future::ready(()));
                    drop(either.await);
                    a_turn().await
                }
            });
        });
        assert_eq!(allocations, 0);
    }

    /// The next coroutine of a type moves in where the last one was.
    #[test]
    fn of_tasks_that_run_the_same_coroutine() {
        let allocations = in_a_steady_state(|event_loop| {
            tasks(event_loop, 1, async || {
                let [awaited, detached, left] = [(); 3].map(|()| create_task(a_turn()));
                drop(detached);
                awaited.await?;
                drop(left);
                Ok(())
            });
        });
        assert_eq!(allocations, 0);
    }

    #[test]
    fn of_tasks_but_for_those_that_run_another_coroutine_than_the_last() {
        let done = Rc::new(Cell::new(0));
        let count = Rc::clone(&done);
        let allocations = in_a_steady_state(move |event_loop| {
            tasks(event_loop, 1, move || {
                let done = Rc::clone(&done);
                async move {
                    create_task(a_turn()).await?;
                    done.set(done.get() + 1);
                    create_task(async { a_turn().await }).await?;
                    done.set(done.get() + 1);
                    Ok(())
                }
            });
        });
        let tasks: u64 = count.get() / 2; // the other half came before
        assert!(
            allocations.abs_diff(tasks) <= 1,
            "{allocations} for {tasks} tasks"
        );
    }
}

mod a_steady_state_keeps_nothing {
    use super::*;

    #[test]
    fn of_tasks_that_go_in_whatever_order() {
        let grown = measured_in_a_steady_state(|event_loop| {
            tasks(event_loop, 1, async || {
                drop(create_task(a_turn()));
                let (task, detached) = (create_task(a_turn()), create_task(a_turn()));
                let (handle, other) = (task.handle(), detached.handle());
                drop(detached);
                task.set_name("named");
                task.await?;
                assert!(handle.done());
                a_turn().await?;
                drop((handle, other));
                Ok(())
            });
        });
        assert_eq!((grown.count_current, grown.bytes_current), (0, 0));
    }

    #[test]
    fn of_primitives_that_were_waited_for() {
        let grown = measured_in_a_steady_state(|event_loop| {
            tasks(event_loop, 1, async || {
                let (lock, event) = (Lock::new(), Event::new());
                lock.acquire().await?;
                let waits = create_task(lock.acquire());
                assert!(wait_for(event.wait(), MS).await.is_err());
                lock.release()?;
                waits.await
            });
        });
        assert_eq!((grown.count_current, grown.bytes_current), (0, 0));
    }

    /// What such a wait gave up is remembered for as long as there is a guard that it could concern.
    #[test]
    fn of_conditions_whose_waits_are_dropped() {
        let grown = measured_in_a_steady_state(|event_loop| {
            let conditions = [(); 3].map(|()| Condition::new());
            tasks(event_loop, 1, move || {
                let [guarded, once_guarded, bare] = conditions.clone();
                async move {
                    let mut held = guarded.enter().await?;
                    let mut waits = Box::pin(held.wait());
                    assert!(futures::poll!(&mut waits).is_pending());
                    drop(waits);
                    drop(held);
                    drop(once_guarded.enter().await?);
                    for condition in [once_guarded, bare] {
                        condition.acquire().await?;
                        let mut waits = Box::pin(condition.wait());
                        assert!(futures::poll!(&mut waits).is_pending());
                        drop(waits);
                    }
                    a_turn().await
                }
            });
        });
        assert_eq!((grown.count_current, grown.bytes_current), (0, 0));
    }

    /// The slot of such a task is kept for the waiter in it.
    #[test]
    fn of_waits_that_outlive_their_tasks() {
        async fn outlive<F: Future + 'static>(wait: F) -> Result<()> {
            let mut wait = Box::pin(wait);
            let begins = create_task(async {
                assert!(futures::poll!(&mut wait).is_pending());
                Ok(wait)
            });
            let left = begins.await?;
            a_turn().await?;
            drop(left);
            Ok(())
        }
        let grown = measured_in_a_steady_state(|event_loop| {
            let never = Event::new();
            tasks(event_loop, 1, move || outlive(never.wait()));
            tasks(event_loop, 1, || outlive(sleep(MS)));
        });
        assert_eq!((grown.count_current, grown.bytes_current), (0, 0));
    }

    /// A recorder takes a turn handle by handle: what is left of it when one panics.
    #[test]
    fn of_recorded_runs_that_panic_in_the_middle_of_a_turn() {
        let mut event_loop = EventLoop::with_virtual_clock();
        let mut runs = || {
            for _ in 0..ROUNDS {
                let panics = async {
                    drop(create_task(async {
                        resume_unwind(Box::new(()));
                        #[expect(
                            unreachable_code,
                            reason = "it says what the coroutine would return"
                        )]
                        Ok(())
                    }));
                    a_turn().await
                };
                let ran = catch_unwind(AssertUnwindSafe(|| record(&mut event_loop, panics)));
                assert!(ran.is_err());
            }
        };
        runs();
        let grown = measure(runs);
        assert_eq!((grown.count_current, grown.bytes_current), (0, 0));
    }

    /// The timer of the first is found by its timeout when it has struck, that of the second before.
    #[test]
    fn of_timeouts_that_strike_and_are_polled_again_before_or_not() {
        let grown = measured_in_a_steady_state(|event_loop| {
            tasks(event_loop, 1, async || {
                let never = Event::new();
                assert!(wait_for(never.wait(), MS).await.is_err());
                let both = async { futures::join!(never.wait(), a_turn()).0 };
                assert!(wait_for(both, MS).await.is_err());
                Ok(())
            });
        });
        assert_eq!((grown.count_current, grown.bytes_current), (0, 0));
    }

    /// Such a timeout has a waiter of its own, and no time to come back to it.
    #[test]
    fn of_timeouts_that_are_ready_at_once_with_something_begun_inside() {
        let grown = measured_in_a_steady_state(|event_loop| {
            let never = Event::new();
            tasks(event_loop, 1, move || {
                let wait = never.wait();
                async {
                    let inside = async {
                        futures::pin_mut!(wait);
                        futures::future::select(wait, std::future::ready(())).await;
                        Ok(())
                    };
                    wait_for(inside, MS).await?;
                    a_turn().await
                }
            });
        });
        assert_eq!((grown.count_current, grown.bytes_current), (0, 0));
    }
}

#[test]
fn only_small_coroutines_leave_their_allocation_to_the_next() {
    async fn carry<const BYTES: usize>() -> Result<()> {
        let load = black_box([0_u8; BYTES]);
        a_turn().await?;
        black_box(load);
        Ok(())
    }
    fn kept_bytes<const BYTES: usize>() -> i64 {
        let mut event_loop = EventLoop::with_virtual_clock();
        let counted = measure(|| {
            drop(event_loop.create_task(async {
                let tasks = [(); 100].map(|()| create_task(carry::<BYTES>()));
                for (number, task) in tasks.into_iter().enumerate() {
                    // The last to hold it is the task, or a handle, or nobody but the loop.
                    let handle = task.handle();
                    match number % 3 {
                        0 => drop(handle),
                        1 => drop(task),
                        _ => task.await?,
                    }
                }
                a_turn().await
            }));
            while let Turn::More = event_loop.turn() {}
        });
        counted.bytes_current
    }
    let (small, large) = (kept_bytes::<100>(), kept_bytes::<2000>());
    assert!(
        small > large + 60 * 100,
        "{small} bytes kept of small ones, {large} of large ones"
    );
}

/// The most bytes that a search has at a time, of a program with 10,000 points to be cancelled at in its first run alone.
fn most_bytes_of_a_search(max_runs: u64) -> u64 {
    let explorer = Explorer::new().cancels(2).reorder(2).max_runs(max_runs);
    let search = || {
        let report = explorer.explore(|_| async {
            let tasks: Vec<_> = (0..100).map(|_| create_task(a_turn())).collect();
            for task in tasks {
                let _ = task.await;
            }
            Ok(())
        });
        assert_eq!((report.runs, report.complete), (max_runs, false));
    };
    measure(search).bytes_max
}

#[test]
fn a_search_that_is_cut_keeps_no_more_branches_than_it_may_run() {
    let (one, many) = (most_bytes_of_a_search(1), most_bytes_of_a_search(41));
    assert!(
        many - one < 200 * 100,
        "{one} bytes for one run, {many} for 201"
    );
}
