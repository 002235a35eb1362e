//! Size is no surprise: what is linear in asyncio, or should be, takes seconds here and not minutes, in a debug build too.
//!
//! Nothing is timed. The numbers are such that anything quadratic would not come to an end in the patience of a test run.

use crate::{kit::*, scene::now};
use futures::{FutureExt, StreamExt, future::join_all, stream::FuturesUnordered};
use soloop::{
    Barrier, Condition, Error, Event, EventLoop, Lock, Result, Semaphore, Task, Turn, create_task,
    sleep, wait_for,
};
use std::{
    cell::Cell,
    collections::VecDeque,
    fmt::Debug,
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    rc::Rc,
    time::Duration,
};

const MANY: usize = 100_000;

/// The order in which those that wait are cancelled or dropped.
#[derive(Clone, Copy)]
enum From {
    Front,
    Back,
    Middle,
}

impl From {
    fn take<T>(self, mut all: VecDeque<T>) -> Vec<T> {
        let mut taken = Vec::with_capacity(all.len());
        match self {
            Self::Front => taken.extend(all),
            Self::Back => taken.extend(all.into_iter().rev()),
            Self::Middle => {
                let mut behind = all.split_off(all.len() / 2);
                while let Some(one) = behind.pop_front() {
                    taken.push(one);
                    taken.extend(all.pop_back());
                }
            }
        }
        taken
    }
}

/// Tasks that all wait on one primitive are cancelled one by one, with a look at the primitive each time.
fn cancelled<P, F>(from: From, primitive: P, wait: impl Fn(&P) -> F, clean: &str)
where
    P: Debug,
    F: Future<Output = Result<()>> + 'static,
{
    let result = run(async {
        let tasks: VecDeque<_> = (0..MANY).map(|_| create_task(wait(&primitive))).collect();
        turns(1).await?;
        assert!(format!("{primitive:?}").ends_with(", waiters:100000]>"));
        let tasks = from.take(tasks);
        for task in &tasks {
            assert!(task.cancel());
            assert!(format!("{primitive:?}").ends_with(", waiters:100000]>"));
        }
        turns(2).await?;
        assert!(tasks.iter().all(Task::cancelled));
        Ok(())
    });
    assert_eq!(outcome(result), "ok");
    assert_eq!(format!("{primitive:?}"), clean);
}

/// Futures that all wait on one primitive are dropped one by one.
fn dropped<P, F>(from: From, primitive: P, wait: impl Fn(&P) -> F, clean: &str)
where
    P: Debug,
    F: Future<Output = Result<()>> + 'static,
{
    let result = run(async {
        let futures: VecDeque<_> = (0..MANY).map(|_| hold(wait(&primitive))).collect();
        turns(1).await?;
        assert!(format!("{primitive:?}").ends_with(", waiters:100000]>"));
        let futures = from.take(futures);
        futures.iter().for_each(Held::drop_future);
        assert_eq!(format!("{primitive:?}"), clean);
        Ok(())
    });
    assert_eq!(outcome(result), "ok");
}

macro_rules! hundred_thousand {
    ($($name:ident: $primitive:expr, $wait:expr, $clean:literal;)*) => {$(
        mod $name {
            use super::*;

            #[test]
            fn cancelled_from_the_front() {
                cancelled(From::Front, $primitive, $wait, $clean);
            }

            #[test]
            fn cancelled_from_the_back() {
                cancelled(From::Back, $primitive, $wait, $clean);
            }

            #[test]
            fn cancelled_from_the_middle() {
                cancelled(From::Middle, $primitive, $wait, $clean);
            }

            #[test]
            fn dropped_from_the_front() {
                dropped(From::Front, $primitive, $wait, $clean);
            }

            #[test]
            fn dropped_from_the_back() {
                dropped(From::Back, $primitive, $wait, $clean);
            }

            #[test]
            fn dropped_from_the_middle() {
                dropped(From::Middle, $primitive, $wait, $clean);
            }
        }
    )*};
}

fn held_lock() -> Lock {
    let lock = Lock::new();
    now(lock.acquire());
    lock
}

hundred_thousand! {
    waiters_on_a_lock: held_lock(), Lock::acquire, "<Lock [locked]>";
    waiters_on_an_event: Event::new(), Event::wait, "<Event [unset]>";
    waiters_on_a_semaphore: Semaphore::new(0), Semaphore::acquire, "<Semaphore [locked]>";
}

mod tasks {
    use super::*;

    #[test]
    fn a_million_alive_at_once() {
        const MILLION: usize = 1_000_000;
        let result = run(async {
            let (event, woken) = (Event::new(), Rc::new(Cell::new(0)));
            for _ in 0..MILLION {
                let (wait, woken) = (event.wait(), woken.clone());
                create_task(async move {
                    wait.await?;
                    woken.set(woken.get() + 1);
                    Ok(())
                });
            }
            turns(1).await?;
            assert_eq!(format!("{event:?}"), "<Event [unset, waiters:1000000]>");
            event.set();
            turns(1).await?;
            Ok(woken.get())
        });
        assert_eq!(result.unwrap(), MILLION);
    }

    fn crowd(event: &Event, dropped: &Rc<Cell<usize>>) {
        for _ in 0..MANY {
            let (wait, dropped) = (event.wait(), dropped.clone());
            create_task(async move {
                let _value = OnDrop(move || dropped.set(dropped.get() + 1));
                wait.await
            });
        }
    }

    #[test]
    fn a_hundred_thousand_left_to_the_shutdown() {
        let (event, dropped) = (Event::new(), Rc::default());
        let result = run(async {
            crowd(&event, &dropped);
            turns(1).await
        });
        assert_eq!((outcome(result), dropped.get()), ("ok".into(), MANY));
        assert_eq!(format!("{event:?}"), "<Event [unset]>");
    }

    #[test]
    fn a_hundred_thousand_in_a_deadlock() {
        let (event, dropped) = (Event::new(), Rc::default());
        let result = run(async {
            crowd(&event, &dropped);
            event.wait().await
        });
        let error = result.expect_err("nobody sets it");
        assert_eq!((stuck(&error).len(), dropped.get()), (MANY + 1, MANY));
        assert_eq!(format!("{event:?}"), "<Event [unset]>");
    }

    #[test]
    fn a_hundred_thousand_when_a_panic_unwinds() {
        let (event, dropped) = (Event::new(), Rc::default());
        let main = async {
            crowd(&event, &dropped);
            turns(1).await?;
            resume_unwind(Box::new("a bug")) as Result<()>
        };
        catch_unwind(AssertUnwindSafe(|| run(main))).expect_err("the panic comes out");
        assert_eq!(dropped.get(), MANY);
        assert_eq!(format!("{event:?}"), "<Event [unset]>");
    }

    #[test]
    fn a_hundred_thousand_that_each_await_the_one_before() {
        let result = run(async {
            let mut task = create_task(turns(1).map(|done| done.map(|()| 0)));
            for _ in 0..MANY {
                task = create_task(async move { Ok(task.await? + 1) });
            }
            task.await
        });
        assert_eq!(result.unwrap(), MANY);
    }

    /// The request goes all the way down in one call, without recursion.
    #[test]
    fn a_hundred_thousand_that_are_cancelled_through_the_last() {
        let result = run(async {
            let mut task = create_task(nap(9));
            for _ in 0..MANY {
                task = create_task(task);
            }
            turns(1).await?;
            task.cancel();
            task.await
        });
        assert_eq!(outcome(result), "CancelledError");
    }
}

mod timers {
    use super::*;

    #[test]
    fn a_hundred_thousand_at_once() {
        let woken = run(async {
            let woken = Rc::new(Cell::new(0));
            for n in 0..MANY as u64 {
                let woken = woken.clone();
                create_task(async move {
                    // Far apart and close together, in no order.
                    nap(n * 7_919 % 10_007).await?;
                    woken.set(woken.get() + 1);
                    Ok(())
                });
            }
            nap(10_007).await?;
            Ok(woken.get())
        });
        assert_eq!(woken.unwrap(), MANY);
    }

    #[test]
    fn a_hundred_thousand_dropped() {
        for from in [From::Front, From::Back, From::Middle] {
            let mut event_loop = EventLoop::with_virtual_clock();
            let stuck = event_loop.run(async {
                let naps: VecDeque<_> =
                    (0..MANY as u64).map(|n| hold(nap(n % 1_000 + 1))).collect();
                turns(1).await?;
                from.take(naps).iter().for_each(Held::drop_future);
                Event::new().wait().await
            });
            assert!(matches!(stuck, Err(Error::Deadlock(_))));
            assert_eq!(event_loop.time(), secs(0));
        }
    }

    #[test]
    fn a_hundred_thousand_timeouts_that_strike_together() {
        let late = run(async {
            let event = Event::new();
            let waits: Vec<_> = (0..MANY)
                .map(|_| create_task(wait_for(event.wait(), secs(1))))
                .collect();
            let mut late = 0;
            for wait in waits {
                late += usize::from(matches!(wait.await, Err(Error::Timeout)));
            }
            assert_eq!(format!("{event:?}"), "<Event [unset]>");
            Ok(late)
        });
        assert_eq!(late.unwrap(), MANY);
    }
}

/// Many of soloop's futures in a single task.
mod one_task {
    use super::*;

    #[test]
    fn with_a_hundred_thousand_waits_is_told_of_each() {
        let told = run(async {
            let event = Event::new();
            let waits: Vec<_> = (0..MANY).map(|_| event.wait()).collect();
            let task = create_task(async { Ok(join_all(waits).await) });
            turns(1).await?;
            task.cancel();
            let results = task.await?;
            assert_eq!(format!("{event:?}"), "<Event [unset]>");
            let told = results
                .iter()
                .filter(|r| matches!(r, Err(Error::Cancelled)));
            Ok(told.count())
        });
        assert_eq!(told.unwrap(), MANY);
    }

    #[test]
    fn with_a_hundred_thousand_timeouts_is_so_many_timeouts() {
        let late = run(async {
            let event = Event::new();
            let waits = (0..MANY).map(|_| wait_for(event.wait(), secs(1)));
            let late = waits.collect::<FuturesUnordered<_>>();
            let late = late.filter(|r| std::future::ready(matches!(r, Err(Error::Timeout))));
            Ok(late.count().await)
        });
        assert_eq!(late.unwrap(), MANY);
    }

    #[test]
    fn with_a_hundred_thousand_waits_drops_them_one_by_one() {
        for from in [From::Front, From::Back, From::Middle] {
            let event = Event::new();
            let result = run(async {
                let mut waits = VecDeque::new();
                for _ in 0..MANY {
                    let mut wait = event.wait().boxed_local();
                    start(&mut wait).await;
                    waits.push_back(wait);
                }
                for (left, wait) in from.take(waits).into_iter().enumerate() {
                    drop(wait);
                    if left % 1_000 == 0 {
                        turns(1).await?;
                    }
                }
                Ok(())
            });
            assert_eq!(outcome(result), "ok");
            assert_eq!(format!("{event:?}"), "<Event [unset]>");
        }
    }
}

mod one_primitive {
    use super::*;

    #[test]
    fn condition_notifies_a_hundred_thousand() {
        let result = run(async {
            let condition = Condition::new();
            for _ in 0..MANY {
                let condition = condition.clone();
                create_task(async move { condition.enter().await?.wait().await });
            }
            turns(1).await?;
            condition.enter().await?.notify_all()?;
            turns(2).await?;
            Ok(format!("{condition:?}"))
        });
        assert_eq!(result.unwrap(), "<Condition [unlocked]>");
    }

    /// The lock goes from hand to hand, a turn each.
    #[test]
    fn lock_serves_a_hundred_thousand() {
        let result = run(async {
            let lock = held_lock();
            let tasks: Vec<_> = (0..MANY)
                .map(|_| create_task(lock.enter().map(|held| held.map(drop))))
                .collect();
            turns(1).await?;
            lock.release()?;
            for task in tasks {
                task.await?;
            }
            Ok(format!("{lock:?}"))
        });
        assert_eq!(result.unwrap(), "<Lock [unlocked]>");
    }

    /// All but the last are cancelled before anybody runs, and each release has to find the last.
    #[test]
    fn semaphore_finds_the_one_that_is_left() {
        let result = run(async {
            let semaphore = Semaphore::new(0);
            let tasks: Vec<_> = (0..MANY)
                .map(|_| create_task(semaphore.acquire()))
                .collect();
            turns(1).await?;
            let (last, others) = tasks.split_last().expect("there are many");
            others.iter().for_each(|task| assert!(task.cancel()));
            assert!(semaphore.locked());
            semaphore.release();
            turns(1).await?;
            assert!(last.done() && !last.cancelled());
            Ok(format!("{semaphore:?}"))
        });
        assert_eq!(result.unwrap(), "<Semaphore [locked]>");
    }

    #[test]
    fn barrier_lets_a_hundred_thousand_pass() {
        let result = run(async {
            let barrier = Barrier::new(MANY)?;
            let tasks: Vec<_> = (0..MANY).map(|_| create_task(barrier.wait())).collect();
            let mut sum = 0;
            for task in tasks {
                sum += task.await?;
            }
            assert_eq!(
                format!("{barrier:?}"),
                "<Barrier [filling, waiters:0/100000]>"
            );
            Ok(sum)
        });
        assert_eq!(result.unwrap(), MANY * (MANY - 1) / 2);
    }
}

/// Whoever is due next is cancelled, and each time the host is told how long it may sleep then.
mod taken_back_in_the_order_of_deadlines {
    use super::*;

    fn taken_back(delay: impl Fn(u32) -> Duration) {
        let mut event_loop = EventLoop::with_clock(|| Duration::ZERO);
        let sleepers: Vec<_> = (0..MANY as u32)
            .map(|at| event_loop.create_task(sleep(delay(at))))
            .collect();
        for (at, sleeper) in (0..).zip(&sleepers) {
            let told = event_loop.turn();
            assert!(
                matches!(told, Turn::SleepUntil(deadline) if deadline == delay(at)),
                "{told:?} for {at}"
            );
            sleeper.cancel();
        }
        assert!(matches!(event_loop.turn(), Turn::Empty));
    }

    #[test]
    fn a_hundred_thousand_that_are_near_each_other() {
        taken_back(|at| Duration::from_secs(60) + Duration::from_nanos(10) * at);
    }

    #[test]
    fn a_hundred_thousand_that_are_equal() {
        taken_back(|_| Duration::from_secs(60));
    }

    #[test]
    fn a_hundred_thousand_that_never_come() {
        taken_back(|_| Duration::MAX);
    }
}
