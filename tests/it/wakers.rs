//! Wakers are honest: `Send + Sync`, woken from any thread, at any time, and also when nobody is left to be woken.

use crate::kit::*;
use futures::{
    FutureExt, StreamExt,
    channel::{mpsc, oneshot},
    stream::FuturesUnordered,
};
use soloop::{Error, Event, EventLoop, Lock, Result, create_task, sleep};
use std::{
    cell::{Cell, RefCell},
    future::{Future, pending, poll_fn},
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc as threads,
    },
    task::{Context, Poll, Wake, Waker},
    thread,
    time::{Duration, Instant},
};

/// A clone of the waker that this task is polled with.
async fn clone_of_my_waker() -> Waker {
    poll_fn(|cx| Poll::Ready(cx.waker().clone())).await
}

/// Counts the polls of a future that waits for ever.
async fn count_polls(polls: Rc<Cell<usize>>) -> Result<()> {
    poll_fn(|_| {
        polls.set(polls.get() + 1);
        Poll::Pending
    })
    .await
}

/// Runs on a thread of its own, and waits for its end.
fn on_a_thread<T: Send>(act: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| scope.spawn(act).join().expect("no panic"))
}

#[test]
fn are_send_and_sync_while_the_loop_is_not() {
    fn travels<T: Send + Sync + 'static>(_: &T) {}
    let woken = run(async {
        let waker = clone_of_my_waker().await;
        travels(&waker);
        let (sender, receiver) = oneshot::channel();
        thread::spawn(move || {
            waker.wake_by_ref();
            sender.send(waker)
        });
        receiver.await.map_err(Error::other)
    });
    assert!(woken.is_ok());
}

#[test]
fn from_many_threads_wake_every_task() {
    let sum = run(async {
        let mut tasks = Vec::new();
        let threads: Vec<_> = (0..8)
            .map(|thread| {
                let (sender, mut receiver) = mpsc::unbounded();
                tasks.push(create_task(async move {
                    let mut sum = 0;
                    while let Some(number) = receiver.next().await {
                        sum += number;
                    }
                    Ok(sum)
                }));
                thread::spawn(move || (0..500).try_for_each(|n| sender.unbounded_send(n * thread)))
            })
            .collect();
        let mut sum = 0;
        for task in tasks {
            sum += task.await?;
        }
        for thread in threads {
            thread.join().expect("no panic").expect("all are received");
        }
        Ok(sum)
    });
    assert_eq!(
        sum.unwrap(),
        (0..500).sum::<usize>() * (0..8).sum::<usize>()
    );
}

#[test]
fn are_heard_while_another_task_yields_alone() {
    let trace = trace_of(async {
        let (sender, receiver) = oneshot::channel();
        let task = create_task(async { receiver.await.map_err(Error::other) });
        turns(1).await?;
        on_a_thread(|| sender.send("sent")).expect("somebody receives");
        turns(2).await?;
        note(task.done());
        tell("task", task).await
    });
    assert_eq!(trace, r#"true task "sent""#);
}

#[test]
fn wake_a_loop_that_is_parked() {
    let begun = Instant::now();
    let result = EventLoop::new().run(async {
        let (sender, receiver) = oneshot::channel();
        create_task(sleep(Duration::from_secs(3600)));
        thread::spawn(|| {
            thread::sleep(Duration::from_millis(10));
            sender.send("woken")
        });
        receiver.await.map_err(Error::other)
    });
    assert_eq!(result.unwrap(), "woken");
    assert!(begun.elapsed() < Duration::from_secs(600));
}

#[test]
fn woken_often_cost_one_poll() -> Result<()> {
    run(async {
        let polls = Rc::new(Cell::new(0));
        let wakers = Rc::new(RefCell::new(None));
        let (count, slot) = (polls.clone(), wakers.clone());
        create_task(async move {
            slot.replace(Some(clone_of_my_waker().await));
            count_polls(count).await
        });
        turns(1).await?;
        let waker = wakers.take().expect("the task has run");
        for _ in 0..3 {
            for _ in 0..1000 {
                waker.wake_by_ref();
                let clone = waker.clone();
                clone.wake();
            }
            on_a_thread(|| (0..1000).for_each(|_| waker.wake_by_ref()));
            turns(3).await?;
        }
        assert_eq!(polls.get(), 4, "the first, and one for each round");
        Ok(())
    })
}

#[test]
fn of_a_running_task_queue_its_next_step() {
    let trace = trace_of(async {
        create_task(async {
            let mut polls = 0;
            poll_fn(|cx| {
                polls += 1;
                note(format_args!("poll{polls}"));
                cx.waker().wake_by_ref();
                cx.waker().wake_by_ref();
                if polls < 3 {
                    Poll::Pending
                } else {
                    Poll::Ready(Ok(()))
                }
            })
            .await
        });
        ticks(4).await
    });
    assert_eq!(trace, "t0 poll1 t1 poll2 t2 poll3 t3");
}

#[test]
fn of_a_task_that_has_ended_wake_nobody() -> Result<()> {
    run(async {
        let task = create_task(async { Ok(clone_of_my_waker().await) });
        let waker = task.await?;
        let polls = Rc::new(Cell::new(0));
        for _ in 0..10 {
            create_task(count_polls(polls.clone()));
        }
        turns(1).await?;
        waker.wake_by_ref();
        on_a_thread(|| waker.wake_by_ref());
        turns(3).await?;
        assert_eq!(polls.get(), 10, "not the next in its place");
        Ok(())
    })
}

#[test]
fn of_a_task_that_was_cancelled_wake_nobody() -> Result<()> {
    run(async {
        let wakers = Rc::new(RefCell::new(None));
        let slot = wakers.clone();
        let task = create_task(async move {
            slot.replace(Some(clone_of_my_waker().await));
            pending::<Result<()>>().await
        });
        turns(1).await?;
        let waker = wakers.take().expect("the task has run");
        waker.wake_by_ref();
        task.cancel();
        waker.wake_by_ref();
        turns(2).await?;
        assert!(task.cancelled());
        let polls = Rc::new(Cell::new(0));
        create_task(count_polls(polls.clone()));
        waker.wake();
        turns(3).await?;
        assert_eq!(polls.get(), 1);
        Ok(())
    })
}

#[test]
fn of_a_loop_that_is_gone_are_harmless() {
    let waker = run(async { Ok(clone_of_my_waker().await) }).unwrap();
    waker.wake_by_ref();
    on_a_thread(|| {
        let clones: Vec<_> = (0..100).map(|_| waker.clone()).collect();
        clones.into_iter().for_each(Waker::wake);
    });
    let polls = Rc::new(Cell::new(0));
    let counted = polls.clone();
    run(async move {
        create_task(count_polls(counted));
        turns(1).await?;
        waker.wake();
        turns(2).await
    })
    .unwrap();
    // The shutdown polls once more, to deliver its cancel.
    assert!(polls.get() <= 2);
}

#[test]
fn of_an_earlier_run_do_not_wake_the_next_main() -> Result<()> {
    let mut event_loop = EventLoop::with_virtual_clock();
    let waker = event_loop.run(async { Ok(clone_of_my_waker().await) })?;
    let mut polls = 0;
    event_loop.run(async {
        create_task(async move {
            waker.wake_by_ref();
            on_a_thread(|| waker.wake());
            turns(3).await
        });
        let mut nap = Box::pin(nap(1));
        poll_fn(|cx| {
            polls += 1;
            nap.poll_unpin(cx)
        })
        .await
    })?;
    assert_eq!(polls, 2);
    Ok(())
}

#[test]
fn may_be_dropped_on_another_thread_while_the_loop_ends() {
    for _ in 0..50 {
        let (to_thread, from_loop) = threads::channel();
        let thread = thread::spawn(move || {
            for waker in from_loop {
                let waker: Waker = waker;
                waker.wake_by_ref();
                drop(waker);
            }
        });
        run(async {
            for _ in 0..10 {
                let sender = to_thread.clone();
                create_task(poll_fn(move |cx| {
                    let _ = sender.send(cx.waker().clone());
                    Poll::<Result<()>>::Pending
                }));
            }
            turns(2).await
        })
        .unwrap();
        drop(to_thread);
        thread.join().expect("no panic");
    }
}

/// A waker that counts its wakes.
#[derive(Default)]
struct Counter(AtomicUsize);

impl Wake for Counter {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Counter {
    fn wakes(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// What combinators do: they poll with wakers of their own.
mod of_others {
    use super::*;

    /// Polls with this waker, within the running task.
    fn poll_with<F: Future + Unpin>(counter: &Arc<Counter>, future: &mut F) -> Poll<F::Output> {
        let waker = Waker::from(counter.clone());
        future.poll_unpin(&mut Context::from_waker(&waker))
    }

    #[test]
    fn are_woken_once() -> Result<()> {
        run(async {
            let (event, counter) = (Event::new(), Arc::new(Counter::default()));
            let mut wait = event.wait().boxed_local();
            assert!(poll_with(&counter, &mut wait).is_pending());
            assert!(poll_with(&counter, &mut wait).is_pending());
            event.set();
            event.clear();
            event.set();
            assert_eq!(counter.wakes(), 1);
            assert!(poll_with(&counter, &mut wait).is_ready());
            Ok(())
        })
    }

    #[test]
    fn are_replaced_by_the_last_that_polled() -> Result<()> {
        run(async {
            let lock = Lock::new();
            lock.acquire().await?;
            let (first, last) = (Arc::new(Counter::default()), Arc::new(Counter::default()));
            let mut acquire = lock.acquire().boxed_local();
            assert!(poll_with(&first, &mut acquire).is_pending());
            assert!(poll_with(&last, &mut acquire).is_pending());
            assert_eq!(Arc::strong_count(&first), 1, "the old waker was dropped");
            lock.release()?;
            assert_eq!((first.wakes(), last.wakes()), (0, 1));
            assert!(poll_with(&last, &mut acquire).is_ready());
            assert_eq!(Arc::strong_count(&last), 1, "none is kept");
            Ok(())
        })
    }

    #[test]
    fn are_dropped_with_the_future() -> Result<()> {
        run(async {
            let counter = Arc::new(Counter::default());
            let task = create_task(nap(9));
            let mut futures = [
                Event::new().wait().boxed_local(),
                nap(9).boxed_local(),
                turns(1).boxed_local(),
                task.boxed_local(),
                soloop::wait_for(nap(9), secs(1)).boxed_local(),
            ];
            for future in &mut futures {
                assert!(poll_with(&counter, future).is_pending());
            }
            drop(futures);
            assert_eq!((counter.wakes(), Arc::strong_count(&counter)), (0, 1));
            Ok(())
        })
    }

    /// The yield that was dropped has queued no step.
    #[test]
    fn are_dropped_with_a_bare_yield() {
        let polls = Rc::new(Cell::new(0));
        let counted = polls.clone();
        let trace = trace_of(async {
            create_task(async {
                let counter = Arc::new(Counter::default());
                assert!(poll_with(&counter, &mut turns(1).boxed_local()).is_pending());
                note(counter.wakes());
                count_polls(counted).await
            });
            turns(3).await?;
            note(polls.get());
            Ok(())
        });
        assert_eq!(trace, "0 1");
    }

    /// The task that began it has not gone on yet, and the one that drops it yields as well.
    #[test]
    fn are_dropped_with_a_bare_yield_by_another_task() -> Result<()> {
        run(async {
            let mut begun = turns(1).boxed_local();
            assert!(poll_with(&Arc::default(), &mut begun).is_pending());
            let other = create_task(async {
                let mut yields = turns(1).boxed_local();
                start(&mut yields).await;
                drop(begun);
                yields.await
            });
            other.await
        })
    }

    /// What is inside is polled with the task's own.
    #[test]
    fn are_woken_by_a_timeout_around_a_bare_yield() -> Result<()> {
        run(async {
            let (own, counter) = (clone_of_my_waker().await, Arc::new(Counter::default()));
            let mut yields = turns(1).boxed_local();
            let coro = poll_fn(|_| yields.poll_unpin(&mut Context::from_waker(&own)));
            let mut limited = soloop::wait_for(coro, secs(1)).boxed_local();
            assert!(poll_with(&counter, &mut limited).is_pending());
            nap(2).await?;
            assert_eq!(counter.wakes(), 1);
            Ok(())
        })
    }

    #[test]
    fn are_woken_by_timers_ends_and_cancels() -> Result<()> {
        run(async {
            let counters = [(); 4].map(|()| Arc::new(Counter::default()));
            let task = create_task(nap(1));
            let mut futures = [
                nap(1).boxed_local(),
                task.boxed_local(),
                soloop::wait_for(Event::new().wait(), secs(1)).boxed_local(),
                turns(1).boxed_local(),
            ];
            for (counter, future) in counters.iter().zip(&mut futures) {
                assert!(poll_with(counter, future).is_pending());
            }
            nap(2).await?;
            let wakes: Vec<_> = counters.iter().map(|counter| counter.wakes()).collect();
            assert_eq!(wakes, [1; 4]);
            let outcomes = futures.map(|future| future.now_or_never().map(outcome));
            let expected = ["ok", "ok", "TimeoutError", "ok"].map(|outcome| Some(outcome.into()));
            assert_eq!(outcomes, expected);
            Ok(())
        })
    }

    #[test]
    fn take_over_what_the_task_has_polled_itself() -> Result<()> {
        run(async {
            // Each is waited for when the one before has been looked at, two seconds later.
            let ends = create_task(nap(5));
            let event = Event::new();
            let _sets = create_task({
                let event = event.clone();
                async move {
                    nap(1).await?;
                    event.set();
                    Ok(())
                }
            });
            for mut begun in [
                event.wait().boxed_local(),
                nap(1).boxed_local(),
                ends.boxed_local(),
            ] {
                let counter = Arc::new(Counter::default());
                start(&mut begun).await;
                assert!(poll_with(&counter, &mut begun).is_pending());
                nap(2).await?;
                assert_eq!(counter.wakes(), 1);
                assert!(poll_with(&counter, &mut begun).is_ready());
            }
            Ok(())
        })
    }

    /// It is told of a request, and not dropped as what cannot hear.
    #[test]
    fn take_over_what_a_cancel_is_to_tell() {
        let trace = trace_of(async {
            let waits = create_task(async {
                let mut begun = Event::new().wait().boxed_local();
                start(&mut begun).await;
                let mut all = FuturesUnordered::from_iter([begun]);
                if let Some(told) = all.next().await {
                    note(outcome(told));
                }
                Ok(())
            });
            turns(1).await?;
            waits.cancel();
            waits.await
        });
        assert_eq!(trace, "CancelledError");
    }

    #[test]
    fn take_over_a_place_in_a_queue() {
        let trace = trace_of(async {
            let lock = Lock::new();
            lock.acquire().await?;
            let holder = |name| {
                let lock = lock.clone();
                create_task(async move {
                    let _held = lock.enter().await?;
                    say(name).await
                })
            };
            let first = holder("first");
            turns(1).await?;
            let mut mine = lock.acquire().boxed_local();
            start(&mut mine).await;
            let last = holder("last");
            turns(1).await?;
            let counter = Arc::new(Counter::default());
            assert!(poll_with(&counter, &mut mine).is_pending());
            lock.release()?;
            first.await?;
            assert!(poll_with(&counter, &mut mine).is_ready());
            note("mine");
            lock.release()?;
            last.await
        });
        assert_eq!(trace, "first mine last");
    }

    /// What they wake comes before what the next timer wakes.
    #[test]
    fn are_woken_as_the_timer_runs() {
        let trace = trace_of(async {
            let (slot, mut nap_elsewhere) = (Rc::new(RefCell::new(None)), nap(1).boxed_local());
            let kept = slot.clone();
            create_task(poll_fn(move |cx| {
                let first = kept.replace(Some(cx.waker().clone())).is_none();
                if first {
                    Poll::Pending
                } else {
                    note("woken");
                    Poll::Ready(Ok(()))
                }
            }));
            turns(1).await?;
            let woken = slot.borrow().clone().expect("it has been polled");
            let polled = nap_elsewhere.poll_unpin(&mut Context::from_waker(&woken));
            assert!(polled.is_pending());
            create_task(tell("behind", nap(1)));
            nap(2).await
        });
        assert_eq!(trace, "woken behind ok");
    }

    /// The first has ended with its yield still pending.
    #[test]
    fn are_woken_though_another_task_has_ended() {
        let trace = trace_of(async {
            let yields = || FuturesUnordered::from_iter([turns(1)]);
            create_task(async move { tell("yield", yields().next().map(Option::unwrap)).await });
            create_task(async move {
                start(&mut yields().next()).await;
                tell("ended", turns(0)).await
            });
            turns(3).await
        });
        assert_eq!(trace, "ended ok yield ok");
    }

    /// Of a hundred only the one that was woken is polled again.
    #[test]
    fn lead_to_the_future_that_was_woken() -> Result<()> {
        run(async {
            let polls = Rc::new(Cell::new(0));
            let events: Vec<_> = (0..100).map(|_| Event::new()).collect();
            let mut waits: FuturesUnordered<_> = events
                .iter()
                .map(|event| {
                    let (polls, mut wait) = (polls.clone(), event.wait().boxed_local());
                    poll_fn(move |cx| {
                        polls.set(polls.get() + 1);
                        wait.poll_unpin(cx)
                    })
                })
                .collect();
            start(&mut waits.next()).await;
            assert_eq!(polls.take(), 100);
            for event in &events {
                event.set();
                waits.next().await.expect("it is among them")?;
                assert_eq!(polls.take(), 1);
            }
            Ok(())
        })
    }
}
