//! The loop as a future: what it comes to, what it asks of its host, and what becomes of it when it is dropped.

use super::*;
use futures::{
    executor::block_on,
    future::{Either, join, select},
    stream::{FuturesUnordered, StreamExt},
};
use std::{
    future::{Future, poll_fn},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    task::{Context, Poll, Wake, Waker},
};

/// For a guest that is not to sleep.
async fn no_sleep(delay: Duration) {
    panic!("asked to sleep for {delay:?}");
}

/// Drives to the end on a virtual clock.
fn driven<T>(main: impl Future<Output = Result<T>>) -> Result<T> {
    block_on(EventLoop::with_virtual_clock().drive(main, no_sleep))
}

/// A host's waker that counts.
#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

impl Wakes {
    fn take(&self) -> usize {
        self.0.swap(0, SeqCst)
    }
}

#[test]
fn returns_what_main_returns_or_raises() {
    assert_eq!(driven(async { Ok(42) }).expect("main ends well"), 42);
    let raised = driven(async {
        nap(1).await?;
        Err::<(), _>(Error::Value("no".into()))
    });
    assert_eq!(outcome(raised), "ValueError: no");
}

#[test]
fn lets_main_borrow_from_the_callers_stack() {
    let mut steps = 0;
    let borrowed = String::from("borrowed");
    let length = driven(async {
        turns(1).await?;
        steps += 1;
        Ok(borrowed.len())
    });
    assert_eq!((length.expect("main ends well"), steps), (8, 1));
}

#[test]
fn may_be_called_again_and_beside_turns_and_runs() {
    let mut guest = EventLoop::with_virtual_clock();
    let name = || async { Ok(current_task().expect("a task runs").name()) };
    guest.create_task(say("early"));
    note(outcome(block_on(guest.drive(name(), no_sleep))));
    note(outcome(guest.run(name())));
    guest.create_task(say("task"));
    turn(&mut guest);
    note(outcome(block_on(guest.drive(name(), no_sleep))));
    assert_eq!(noted(), r#"early "Task-2" "Task-3" task empty "Task-5""#);
}

#[test]
fn inside_a_running_loop_is_refused() {
    let inner = run(async { EventLoop::new().drive(nap(1), no_sleep).await });
    assert_eq!(
        outcome(inner),
        "RuntimeError: run() cannot be called from a running event loop"
    );
}

#[test]
fn two_guests_share_a_host() {
    let (mut one, mut other) = (
        EventLoop::with_virtual_clock(),
        EventLoop::with_virtual_clock(),
    );
    let (ping, mut pinged) = futures::channel::mpsc::unbounded();
    let (pong, mut ponged) = futures::channel::mpsc::unbounded();
    let serve = async {
        for n in 0..3 {
            ping.unbounded_send(n).map_err(Error::other)?;
            note(ponged.next().await.expect("an answer"));
        }
        drop(ping);
        Ok(())
    };
    let answer = async {
        while let Some(n) = pinged.next().await {
            pong.unbounded_send(format!("answer{n}"))
                .map_err(Error::other)?;
        }
        Ok(())
    };
    let ended = block_on(join(
        one.drive(serve, no_sleep),
        other.drive(answer, no_sleep),
    ));
    assert!(ended.0.is_ok() && ended.1.is_ok());
    assert_eq!(noted(), "answer0 answer1 answer2");
}

#[test]
fn a_guest_with_always_more_to_do_leaves_its_host_turns() {
    let mut guest = EventLoop::with_virtual_clock();
    let busy = guest.drive(turns(usize::MAX), no_sleep);
    let mut polls = 0;
    let host = poll_fn(|cx| {
        polls += 1;
        cx.waker().wake_by_ref();
        if polls < 10 {
            Poll::Pending
        } else {
            Poll::Ready(())
        }
    });
    let (busy, host) = (pin!(busy), pin!(host));
    let first = block_on(select(busy, host));
    assert!(matches!(first, Either::Right(_)));
}

#[test]
fn a_bug_passes_through_and_the_others_are_dropped() {
    let mut guest = EventLoop::with_virtual_clock();
    let buggy = async {
        create_task(async {
            let _held = NoteOnDrop("dropped");
            pending::<Result<()>>().await
        });
        turns(1).await?;
        panic!("a bug") as Result<()>
    };
    let caught = catch_unwind(AssertUnwindSafe(|| block_on(guest.drive(buggy, no_sleep))));
    assert!(caught.is_err());
    note(outcome(block_on(guest.drive(say("again"), no_sleep))));
    assert_eq!(noted(), "dropped again ok");
}

#[test]
#[should_panic(expected = "`drive` polled again after its end")]
fn polled_after_its_end_is_a_bug() {
    let mut guest = EventLoop::with_virtual_clock();
    let mut over = pin!(guest.drive(async { Ok(()) }, no_sleep));
    assert!(block_on(over.as_mut()).is_ok());
    let _bug = block_on(over);
}

mod asks_its_host {
    use super::*;

    /// Polls by hand, with the clock in hand too: notes the delays asked for, and answers when told.
    #[test]
    fn for_a_timer_only_when_the_deadline_is_another() {
        let (mut guest, now) = by_hand();
        let task = guest.create_task(async {
            let (_, sender) = (nap(5).await, ());
            Ok(sender)
        });
        let waker = Rc::new(RefCell::new(None::<Waker>));
        let kept = Rc::clone(&waker);
        let mut main = pin!(nap(10));
        let main = poll_fn(move |cx| {
            kept.replace(Some(cx.waker().clone()));
            main.as_mut().poll(cx)
        });
        let clock = Rc::clone(&now);
        let mut driven = pin!(guest.drive(main, move |delay| {
            note(format_args!("sleep-{}", delay.as_secs()));
            let (clock, until) = (Rc::clone(&clock), clock.get() + delay);
            poll_fn(move |_| {
                if clock.get() < until {
                    Poll::Pending
                } else {
                    Poll::Ready(())
                }
            })
        }));
        let mut cx = Context::from_waker(Waker::noop());
        let mut poll_at = |seconds| {
            now.set(secs(seconds));
            note(driven.as_mut().poll(&mut cx).is_ready());
        };
        poll_at(0);
        poll_at(1);
        waker
            .borrow()
            .as_ref()
            .expect("main was polled")
            .wake_by_ref();
        poll_at(2);
        task.cancel();
        poll_at(3);
        poll_at(4);
        poll_at(10);
        assert_eq!(
            noted(),
            "sleep-5 false false false sleep-7 false false true"
        );
    }

    #[test]
    fn for_a_poll_once_for_each_time_it_was_idle() {
        let (mut guest, _) = by_hand();
        let slot = Rc::new(RefCell::new(None::<Waker>));
        let kept = Rc::clone(&slot);
        let main = poll_fn(move |cx| {
            kept.replace(Some(cx.waker().clone()));
            Poll::<Result<()>>::Pending
        });
        let wakes = Arc::new(Wakes::default());
        let host = Waker::from(Arc::clone(&wakes));
        let mut driven = pin!(guest.drive(main, no_sleep));
        for _ in 0..3 {
            assert!(
                driven
                    .as_mut()
                    .poll(&mut Context::from_waker(&host))
                    .is_pending()
            );
            let waker = slot.take().expect("main was polled");
            thread::spawn(move || (0..1000).for_each(|_| waker.wake_by_ref()))
                .join()
                .expect("no panic");
            note(wakes.take());
        }
        assert_eq!(noted(), "1 1 1");
    }

    #[test]
    fn with_the_waker_of_its_last_poll() {
        let (mut guest, _) = by_hand();
        let event = Event::new();
        let main = event.wait();
        let (first, second) = (Arc::new(Wakes::default()), Arc::new(Wakes::default()));
        let task = guest.create_task(nap(99));
        let mut driven = pin!(guest.drive(main, |_| pending()));
        for wakes in [&first, &second] {
            let host = Waker::from(Arc::clone(wakes));
            assert!(
                driven
                    .as_mut()
                    .poll(&mut Context::from_waker(&host))
                    .is_pending()
            );
        }
        event.set();
        task.cancel();
        assert_eq!((first.take(), second.take()), (0, 1));
    }

    #[test]
    fn for_no_timer_on_the_virtual_clock() {
        let mut guest = EventLoop::with_virtual_clock();
        assert!(block_on(guest.drive(nap(3600), no_sleep)).is_ok());
        assert_eq!(guest.time(), secs(3600));
    }

    /// At whatever turn the host gets one in between.
    #[test]
    fn for_no_timer_on_the_virtual_clock_after_many_turns() {
        for before in 0..130 {
            let result = driven(async {
                turns(before).await?;
                nap(1).await
            });
            assert!(result.is_ok());
        }
    }

    /// A host may be early; what it says is not believed before the loop's own clock says so.
    #[test]
    fn for_another_timer_if_the_first_was_early() {
        let (mut guest, now) = by_hand();
        let clock = Rc::clone(&now);
        let asked = Rc::new(Cell::new(0));
        let count = Rc::clone(&asked);
        let driven = guest.drive(nap(3), move |_| {
            count.set(count.get() + 1);
            clock.set(clock.get() + secs(1));
            std::future::ready(())
        });
        assert!(block_on(driven).is_ok());
        assert_eq!((asked.get(), now.get()), (3, secs(3)));
    }

    #[test]
    fn through_combinators_with_wakers_of_their_own() {
        let mut guests: Vec<_> = (0..40).map(|_| EventLoop::new()).collect();
        let mut all: FuturesUnordered<_> = guests
            .iter_mut()
            .map(|guest| guest.drive(sleep(Duration::from_millis(1)), by_reactor))
            .collect();
        let ended = block_on(async {
            let mut ended = 0;
            while let Some(result) = all.next().await {
                ended += usize::from(result.is_ok());
            }
            ended
        });
        assert_eq!(ended, 40);
    }

    async fn by_reactor(delay: Duration) {
        async_io::Timer::after(delay).await;
    }
}

mod dropped {
    use super::*;

    #[test]
    fn half_way_drops_main_and_then_the_tasks() {
        let mut guest = EventLoop::with_virtual_clock();
        let main = async {
            let _held = NoteOnDrop("main");
            for name in ["a", "b"] {
                create_task(async move {
                    let _held = NoteOnDrop(name);
                    pending::<Result<()>>().await
                });
            }
            futures::future::pending::<()>().await;
            Ok(())
        };
        let waker_out = async {
            let _waker = poll_fn(|cx| Poll::Ready(cx.waker().clone())).await;
            main.await
        };
        {
            let mut driven = pin!(guest.drive(waker_out, no_sleep));
            assert!(driven.as_mut().now_or_never().is_none());
        }
        turn(&mut guest);
        assert_eq!(noted(), "main a b empty");
    }

    #[test]
    fn unpolled_drops_main_and_leaves_the_tasks() {
        let mut guest = EventLoop::with_virtual_clock();
        guest.create_task(say("task"));
        let held = NoteOnDrop("main");
        drop(guest.drive(
            async move {
                let _held = held;
                Ok(())
            },
            no_sleep,
        ));
        turn(&mut guest);
        assert_eq!(noted(), "main task empty");
    }

    #[test]
    fn its_tasks_destructors_may_call_the_loop() {
        let mut guest = EventLoop::with_virtual_clock();
        let (sender, receiver) = oneshot::channel::<()>();
        let main = async {
            let _held = OnDrop(|| {
                create_task(say("too late"));
                note(time().as_secs());
            });
            nap(1).await?;
            receiver.await.map_err(Error::other)
        };
        drop(guest.drive(main, no_sleep).now_or_never());
        turn(&mut guest);
        drop(sender);
        assert_eq!(noted(), "1 empty");
    }

    #[test]
    fn during_the_shutdown_drops_what_is_left() {
        let (mut guest, _) = by_hand();
        let main = async {
            create_task(async {
                let _held = NoteOnDrop("dropped");
                tell("task", nap(9)).await?;
                nap(9).await
            });
            turns(1).await
        };
        {
            let mut driven = pin!(guest.drive(main, |_| pending()));
            assert!(driven.as_mut().now_or_never().is_none());
        }
        turn(&mut guest);
        assert_eq!(noted(), "task CancelledError dropped empty");
    }

    #[test]
    fn no_longer_wakes_its_host() {
        let (mut guest, _) = by_hand();
        let wakes = Arc::new(Wakes::default());
        let host = Waker::from(Arc::clone(&wakes));
        {
            let mut driven = pin!(guest.drive(nap(9), |_| pending()));
            assert!(
                driven
                    .as_mut()
                    .poll(&mut Context::from_waker(&host))
                    .is_pending()
            );
        }
        guest.create_task(say("task"));
        turn(&mut guest);
        drop(guest);
        drop(host);
        assert_eq!((wakes.take(), Arc::strong_count(&wakes)), (0, 1));
    }
}
