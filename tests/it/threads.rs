//! Wakers and remote handles in the hands of other threads, while the loop runs, parks and ends.
//!
//! Nothing here sleeps, and everything is counted. What goes wrong by a wake that was lost shows as `Deadlock` once
//! the last waker is dropped, or else as "hangs".

use crate::kit::*;
use futures::channel::{mpsc as queue, oneshot};
use futures::{FutureExt, StreamExt};
use soloop::{Error, Event, EventLoop, Result, Turn, create_task, current_task};
use std::{
    cell::Cell,
    future::{pending, poll_fn},
    hint::spin_loop,
    rc::Rc,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc,
    },
    task::{Poll, Waker},
    thread,
    time::Duration,
};

/// Runs on a thread of its own, to say so if it never ends.
fn ends<T: Send + 'static>(act: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, receiver) = mpsc::channel();
    let thread = thread::spawn(move || {
        let _ = sender.send(act());
    });
    match receiver.recv_timeout(Duration::from_secs(300)) {
        Ok(value) => value,
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("hangs"),
        Err(mpsc::RecvTimeoutError::Disconnected) => {
            let panicked = thread.join().expect_err("nothing was sent");
            std::panic::resume_unwind(panicked)
        }
    }
}

/// How often, natively and under Miri, which takes a thousand times as long and tries more with each seed.
const fn times(natively: usize, under_miri: usize) -> usize {
    if cfg!(miri) { under_miri } else { natively }
}

/// Spins for a time that differs from call to call, so that threads meet at all points.
fn stagger(round: usize) {
    for _ in 0..round.wrapping_mul(2_654_435_761) % 97 {
        spin_loop();
    }
}

/// Where a task leaves its waker for other threads: always the one that it was polled with last.
#[derive(Clone, Default)]
struct Bell(Arc<Mutex<Option<Waker>>>);

impl Bell {
    fn hang(&self, waker: &Waker) {
        let old = self.0.lock().expect("no panic").replace(waker.clone());
        drop(old);
    }

    fn ring(&self) {
        let waker = self.0.lock().expect("no panic").clone();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

#[test]
fn wake_a_million_times_and_none_is_lost() {
    const EACH: usize = times(250_000, 6);
    let counted = ends(|| {
        run(async {
            let sent = Arc::new(AtomicUsize::new(0));
            let waker = poll_fn(|cx| Poll::Ready(cx.waker().clone())).await;
            for _ in 0..4 {
                let (sent, waker) = (sent.clone(), waker.clone());
                thread::spawn(move || {
                    for round in 0..EACH {
                        sent.fetch_add(1, Ordering::Relaxed);
                        match round % 3 {
                            0 => waker.wake_by_ref(),
                            1 => {
                                let clone = waker.clone();
                                clone.wake();
                            }
                            _ => drop((waker.clone(), waker.wake_by_ref())),
                        }
                    }
                });
            }
            drop(waker);
            let mut polls = 0;
            // Goes to sleep without a waker of its own: if the last wake is lost, so is everything.
            poll_fn(|_| {
                polls += 1;
                match sent.load(Ordering::Relaxed) {
                    sent if sent == 4 * EACH => Poll::Ready(Ok((sent, polls <= 4 * EACH + 1))),
                    _ => Poll::Pending,
                }
            })
            .await
        })
    });
    assert_eq!(counted.unwrap(), (4 * EACH, true));
}

/// Each wake is waited for before the next is made, and finds the loop on its way to park.
#[test]
fn and_the_loop_pass_a_ball_back_and_forth() {
    const ROUNDS: usize = times(20_000, 10);
    let returned = ends(|| {
        run(async {
            let (serve, served) = mpsc::channel();
            let (to_loop, mut balls) = queue::unbounded();
            thread::spawn(move || {
                for ball in served {
                    stagger(ball);
                    if to_loop.unbounded_send(ball + 1).is_err() {
                        break;
                    }
                }
            });
            let mut ball = 0;
            while ball < ROUNDS {
                serve.send(ball).map_err(Error::other)?;
                ball = balls.next().await.expect("the thread is there");
            }
            Ok(ball)
        })
    });
    assert_eq!(returned.unwrap(), ROUNDS);
}

#[test]
fn wake_each_of_many_tasks_as_often_as_it_asks() {
    const TASKS: usize = times(16, 3);
    const ROUNDS: usize = times(500, 3);
    let rounds = ends(|| {
        run(async {
            let (to_thread, wakers) = mpsc::channel::<(Waker, Arc<AtomicBool>)>();
            let wakers = Arc::new(Mutex::new(wakers));
            for number in 0..4 {
                let wakers = wakers.clone();
                thread::spawn(move || {
                    loop {
                        let next = wakers.lock().expect("no panic").recv();
                        let Ok((waker, flag)) = next else { break };
                        stagger(number);
                        flag.store(true, Ordering::Relaxed);
                        waker.wake();
                    }
                });
            }
            let tasks: Vec<_> = (0..TASKS)
                .map(|_| {
                    let to_thread = to_thread.clone();
                    create_task(async move {
                        for _ in 0..ROUNDS {
                            let (flag, mut asked) = (Arc::new(AtomicBool::new(false)), false);
                            poll_fn(|cx| {
                                if !std::mem::replace(&mut asked, true) {
                                    let _ = to_thread.send((cx.waker().clone(), flag.clone()));
                                }
                                match flag.load(Ordering::Relaxed) {
                                    true => Poll::Ready(()),
                                    false => Poll::Pending,
                                }
                            })
                            .await;
                        }
                        Ok(ROUNDS)
                    })
                })
                .collect();
            let mut rounds = 0;
            for task in tasks {
                rounds += task.await?;
            }
            Ok(rounds)
        })
    });
    assert_eq!(rounds.unwrap(), TASKS * ROUNDS);
}

#[test]
fn that_drop_the_last_waker_make_it_a_deadlock() {
    ends(|| {
        for round in 0..times(2000, 4) {
            let stuck = run(async {
                let waker = poll_fn(|cx| Poll::Ready(cx.waker().clone())).await;
                thread::spawn(move || {
                    let clones = [waker.clone(), waker.clone()];
                    if round % 2 == 0 {
                        waker.wake_by_ref();
                    }
                    drop(waker);
                    stagger(round);
                    drop(clones);
                });
                pending::<Result<()>>().await
            });
            assert!(matches!(stuck, Err(Error::Deadlock(_))), "{stuck:?}");
        }
    });
}

#[test]
fn that_hold_the_last_waker_are_waited_for() {
    ends(|| {
        for round in 0..times(2000, 4) {
            let answer = run(async {
                let (sender, receiver) = oneshot::channel();
                let waker = poll_fn(|cx| Poll::Ready(cx.waker().clone())).await;
                thread::spawn(move || {
                    let clones = [waker.clone(), waker.clone()];
                    drop(waker);
                    stagger(round);
                    drop(clones);
                    stagger(round + 1);
                    sender.send(round)
                });
                receiver.await.map_err(Error::other)
            });
            assert_eq!(answer.unwrap(), round);
        }
    });
}

#[test]
fn keep_wakers_while_tasks_and_loops_end_and_others_begin() {
    const LOOPS: usize = times(300, 4);
    let (polls, stop) = ends(|| {
        let bells: Vec<_> = (0..4).map(|_| Bell::default()).collect();
        let stop = Arc::new(AtomicBool::new(false));
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let (bells, stop) = (bells.clone(), stop.clone());
                thread::spawn(move || {
                    while !stop.load(Ordering::Relaxed) {
                        bells.iter().for_each(Bell::ring);
                        thread::yield_now();
                    }
                })
            })
            .collect();
        let polls = Rc::new(Cell::new(0));
        let mut event_loop = EventLoop::new();
        for round in 0..LOOPS {
            if round % 3 == 0 {
                event_loop = EventLoop::new();
            }
            let (bells, counted) = (bells.clone(), polls.clone());
            let ended = event_loop.run(async move {
                for bell in &bells {
                    let (bell, polls, mut left) = (bell.clone(), counted.clone(), 1 + round % 4);
                    // Woken from outside alone, and ends after a few wakes.
                    create_task(poll_fn(move |cx| {
                        bell.hang(cx.waker());
                        polls.set(polls.get() + 1);
                        left -= 1;
                        if left > 0 {
                            Poll::Pending
                        } else {
                            Poll::Ready(Ok(()))
                        }
                    }));
                }
                turns(round % 5).await
            });
            ended.expect("main ends well");
        }
        stop.store(true, Ordering::Relaxed);
        for thread in threads {
            thread.join().expect("no panic");
        }
        (polls.get(), stop)
    });
    assert!(stop.load(Ordering::Relaxed));
    // A task is polled at most as often as it wants, and once more for the shutdown's cancel.
    assert!(polls <= LOOPS * 4 * 5, "{polls}");
}

#[test]
fn cancel_from_afar_and_each_request_counts() {
    const EACH: usize = times(5000, 4);
    let counts = ends(|| {
        run(async {
            let delivered = Rc::new(Cell::new(0));
            let count = delivered.clone();
            let task = create_task(async move {
                while Event::new().wait().await.is_err() {
                    count.set(count.get() + 1);
                    if current_task().is_some_and(|task| task.cancelling() == 4 * EACH) {
                        break;
                    }
                }
                Ok(())
            });
            turns(1).await?;
            for _ in 0..4 {
                let remote = task.handle().remote();
                thread::spawn(move || {
                    for round in 0..EACH {
                        stagger(round);
                        remote.clone().cancel();
                    }
                });
            }
            let handle = task.handle();
            task.await?;
            Ok((handle.cancelling(), delivered.get() <= 4 * EACH))
        })
    });
    assert_eq!(counts.unwrap(), (4 * EACH, true));
}

#[test]
fn cancel_a_task_just_as_it_ends() {
    ends(|| {
        for round in 0..times(1000, 4) {
            let outcome = run(async {
                let main = current_task().expect("main is a task").remote();
                let thread = thread::spawn(move || {
                    stagger(round);
                    main.cancel();
                    main
                });
                let ended = turns(round % 50).await;
                Ok((ended, thread))
            });
            match outcome {
                // Told while it went on, or too late, or between its last wait and its end.
                Ok((Ok(()) | Err(Error::Cancelled), thread)) => {
                    let remote = thread.join().expect("no panic");
                    remote.cancel();
                }
                Err(Error::Cancelled) => {}
                other => panic!("{other:?}"),
            }
        }
    });
}

/// A host that sleeps until it is told.
#[test]
fn have_the_host_told_each_time_that_it_is_idle() {
    const ROUNDS: usize = times(5000, 5);
    let woken = ends(|| {
        let mut guest = EventLoop::new();
        let (tell, told) = mpsc::channel();
        guest.on_wake(move || {
            let _ = tell.send(());
        });
        let (serve, served) = mpsc::channel();
        let (to_loop, mut balls) = queue::unbounded();
        thread::spawn(move || {
            for ball in served {
                stagger(ball);
                if to_loop.unbounded_send(ball + 1).is_err() {
                    break;
                }
            }
        });
        let task = guest.create_task(async move {
            let mut ball = 0;
            while ball < ROUNDS {
                serve.send(ball).map_err(Error::other)?;
                ball = balls.next().await.expect("the thread is there");
            }
            Ok(ball)
        });
        loop {
            match guest.run_until_stalled(10) {
                Turn::Empty => break,
                Turn::More => {}
                Turn::AwaitWake => told.recv().expect("the hook is there"),
                other => panic!("{other:?}"),
            }
        }
        task.now_or_never().expect("it has ended")
    });
    assert_eq!(woken.unwrap(), ROUNDS);
}

#[test]
fn wake_the_executor_that_drives_the_loop() {
    const ROUNDS: usize = times(5000, 5);
    let returned = ends(|| {
        let mut guest = EventLoop::new();
        let main = async {
            let (serve, served) = mpsc::channel();
            let (to_loop, mut balls) = queue::unbounded();
            thread::spawn(move || {
                for ball in served {
                    stagger(ball);
                    if to_loop.unbounded_send(ball + 1).is_err() {
                        break;
                    }
                }
            });
            let mut ball = 0;
            while ball < ROUNDS {
                serve.send(ball).map_err(Error::other)?;
                ball = balls.next().await.expect("the thread is there");
            }
            Ok(ball)
        };
        let driven = guest.drive(main, |_| pending());
        futures::executor::block_on(driven)
    });
    assert_eq!(returned.unwrap(), ROUNDS);
}

/// What has arrived for a loop goes with the loop, and takes the inbox along.
#[test]
fn that_wake_a_loop_for_the_last_time_leave_nothing_behind() {
    let hooked = Arc::new(());
    for ends_by_itself in [false, true] {
        let bell = Bell::default();
        let mut event_loop = EventLoop::with_virtual_clock();
        let alive = hooked.clone();
        event_loop.on_wake(move || {
            let _: &Arc<()> = &alive;
        });
        let (hung, rung) = (bell.clone(), bell.clone());
        drop(event_loop.create_task(async move {
            let ring = OnDrop(move || {
                let bell = rung.clone();
                thread::spawn(move || bell.ring()).join().expect("no panic");
            });
            poll_fn(|cx| {
                hung.hang(cx.waker());
                Poll::<()>::Pending
            })
            .await;
            drop(ring);
            Ok(())
        }));
        if ends_by_itself {
            event_loop.run(turns(2)).expect("main ends well");
        } else {
            assert!(matches!(event_loop.turn(), Turn::AwaitWake));
        }
        drop(event_loop);
    }
    assert_eq!(Arc::strong_count(&hooked), 1, "the hooks are gone");
}
