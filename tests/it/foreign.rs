//! Futures of other crates work unchanged in tasks, and a cancel reaches the task that waits for one.

use crate::kit::*;
use async_io::{Async, Timer};
use futures::{
    AsyncReadExt, AsyncWriteExt, FutureExt, SinkExt, StreamExt, TryStreamExt,
    channel::{mpsc, oneshot},
    future::{Either, Shared, join, join_all, select, select_all, try_join_all},
    pin_mut,
    stream::{self, FuturesOrdered, FuturesUnordered},
};
use soloop::{
    Error, Event, EventLoop, Lock, Result, Semaphore, Task, create_task, run as by_the_real_clock,
    sleep, wait_for, wrap_future,
};
use std::{
    cell::RefCell,
    future::Future,
    io,
    net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket},
    rc::Rc,
    thread,
    time::{Duration, Instant},
};

/// A task that waits for a future of somebody else's as it is, and one that wraps it: how both take a cancel. The first
/// is dropped where it stands; the second is told.
async fn cancel_both<F: Future + 'static>(make: impl Fn() -> F) -> Result<()> {
    let bare = make();
    let bare = create_task(async move {
        let _held = NoteOnDrop("dropped");
        bare.await;
        Ok(())
    });
    let wrapped = wrap_future(make());
    let wrapped = create_task(tell("wrapped", async { wrapped.await.map(drop) }));
    turns(2).await?;
    bare.cancel();
    wrapped.cancel();
    note(outcome(bare.await));
    note(outcome(wrapped.await));
    Ok(())
}

const BOTH: &str = "dropped wrapped CancelledError CancelledError ok";

fn other<E: std::error::Error + Send + Sync + 'static>(error: E) -> Error {
    Error::other(error)
}

mod channels {
    use super::*;

    #[test]
    fn of_one_value_pass_it_or_say_that_nobody_will() {
        let trace = trace_of(async {
            let (sender, receiver) = oneshot::channel();
            create_task(async { sender.send("value").map_err(Error::other) });
            note(receiver.await.map_err(other)?);
            let (sender, receiver) = oneshot::channel::<()>();
            create_task(async {
                drop(sender);
                Ok(())
            });
            note(receiver.await.is_err());
            Ok(())
        });
        assert_eq!(trace, "value true");
    }

    #[test]
    fn without_bounds_are_streams() {
        let trace = trace_of(async {
            let (sender, receiver) = mpsc::unbounded();
            for name in ["a", "b"] {
                let sender = sender.clone();
                create_task(async move {
                    for n in 0..2 {
                        sender.unbounded_send(format!("{name}{n}")).map_err(other)?;
                        turns(1).await?;
                    }
                    Ok(())
                });
            }
            drop(sender);
            receiver.for_each(async |line| note(line)).await;
            Ok(())
        });
        assert_eq!(trace, "a0 b0 a1 b1");
    }

    #[test]
    fn with_bounds_hold_the_sender_back() {
        let trace = trace_of(async {
            let (mut sender, mut receiver) = mpsc::channel(0);
            let sending = create_task(async move {
                for n in 0..3 {
                    sender.send(n).await.map_err(other)?;
                    note(format_args!("sent{n}"));
                }
                Ok(())
            });
            turns(3).await?;
            while let Some(n) = receiver.next().await {
                note(format_args!("got{n}"));
                turns(3).await?;
            }
            sending.await
        });
        assert_eq!(trace, "got0 sent0 got1 sent1 got2 sent2");
    }

    #[test]
    fn of_async_channel_hand_work_to_several() {
        let trace = trace_of(async {
            let (sender, receiver) = async_channel::bounded(1);
            for name in ["a", "b"] {
                let receiver = receiver.clone();
                create_task(async move {
                    while let Ok(n) = receiver.recv().await {
                        note(format_args!("{name}{n}"));
                        turns(1).await?;
                    }
                    note(format_args!("{name}-closed"));
                    Ok(())
                });
            }
            turns(1).await?;
            for n in 0..4 {
                sender.send(n).await.map_err(other)?;
                turns(2).await?;
            }
            drop(sender);
            turns(2).await
        });
        assert_eq!(trace, "a0 b1 a2 b3 a-closed b-closed");
    }

    #[test]
    fn of_async_channel_come_from_threads() {
        let sum = by_the_real_clock(async {
            let (sender, receiver) = async_channel::bounded(4);
            for from in 0..4 {
                let sender = sender.clone();
                thread::spawn(move || {
                    (0..100).try_for_each(|n| sender.send_blocking(from * 100 + n))
                });
            }
            drop(sender);
            Ok(receiver.fold(0, async |sum, n| sum + n).await)
        });
        assert_eq!(sum.expect("main ends well"), (0..400).sum::<i32>());
    }

    #[test]
    fn are_given_up_with_a_cancel() {
        let (kept, receiver) = async_channel::unbounded::<()>();
        let trace = trace_of(cancel_both(move || {
            let receiver = receiver.clone();
            async move { receiver.recv().await }
        }));
        assert_eq!(trace, BOTH);
        assert_eq!(kept.receiver_count(), 0, "both futures are gone");
    }

    /// A value and a cancel in one turn: the wrapped future is dropped before it takes the value, and the next to ask gets it.
    #[test]
    fn lose_nothing_to_a_cancel() {
        let trace = trace_of(async {
            let (sender, receiver) = async_channel::unbounded();
            let first = receiver.clone();
            let task = create_task(async move {
                let received = wrap_future(first.recv()).await?;
                received.map_err(other)
            });
            turns(1).await?;
            sender.send("value").await.map_err(other)?;
            task.cancel();
            note(outcome(task.await));
            note(receiver.recv().await.map_err(other)?);
            Ok(())
        });
        assert_eq!(trace, "CancelledError value");
    }
}

mod combinators {
    use super::*;

    async fn after(name: &'static str, delay: u64) -> Result<&'static str> {
        let slept = nap(delay).await;
        note(format_args!("{name}:{}", outcome(slept.clone())));
        slept.map(|()| name)
    }

    #[test]
    fn join_all_waits_for_all() {
        for many in [3, 100] {
            let done = run(async move {
                let naps = (0..many).map(|n| async move {
                    nap(many - n).await?;
                    Ok::<_, Error>(n)
                });
                Ok((join_all(naps).await, soloop::time()))
            });
            let (results, time) = done.expect("main ends well");
            let numbers: Vec<_> = results.into_iter().map(|result| result.unwrap()).collect();
            assert_eq!(numbers, (0..many).collect::<Vec<_>>());
            assert_eq!(time, secs(many), "all at once");
        }
    }

    #[test]
    fn try_join_all_drops_the_others_at_the_first_error() {
        let trace = trace_of(async {
            let lock = Lock::new();
            let both = try_join_all([
                async { nap(9).await }.boxed_local(),
                async {
                    let _held = lock.enter().await?;
                    nap(9).await
                }
                .boxed_local(),
                async {
                    nap(1).await?;
                    Err(Error::Value("first".into()))
                }
                .boxed_local(),
            ]);
            note(outcome(both.await));
            note(format_args!("{lock:?} at {}", soloop::time().as_secs()));
            Ok(())
        });
        assert_eq!(trace, "ValueError: first <Lock [unlocked]> at 1");
    }

    #[test]
    fn select_drops_the_loser() {
        let trace = trace_of(async {
            let (event, permits) = (Event::new(), Semaphore::new(0));
            for _ in 0..2 {
                let (loser, winner) = (permits.acquire(), nap(1));
                pin_mut!(loser, winner);
                let first = select(loser, winner).await;
                note(matches!(first, Either::Right((Ok(()), _))));
            }
            note(format_args!("{permits:?}"));
            futures::select! {
                waited = event.wait().fuse() => note(outcome(waited)),
                slept = nap(1).fuse() => note(outcome(slept)),
            }
            Ok(())
        });
        assert_eq!(trace, "true true <Semaphore [locked]> ok");
    }

    #[test]
    fn select_in_a_loop_goes_on_with_what_it_had() {
        let trace = trace_of(async {
            let (sender, mut receiver) = mpsc::unbounded();
            create_task(async move {
                for n in 0..3 {
                    nap(2).await?;
                    sender.unbounded_send(n).map_err(other)?;
                }
                Ok(())
            });
            let mut long = Box::pin(nap(5).fuse());
            loop {
                futures::select! {
                    slept = long => note(format_args!("slept {}", outcome(slept))),
                    message = receiver.next() => match message {
                        Some(n) => note(format_args!("got{n}")),
                        None => break,
                    },
                }
            }
            Ok(())
        });
        assert_eq!(trace, "got0 got1 slept ok got2");
    }

    #[test]
    fn select_all_gives_the_first() {
        let first = run(async {
            let naps = [3, 1, 2].map(|n| nap(n).boxed_local());
            let (slept, at, left) = select_all(naps).await;
            slept.map(|()| (at, left.len()))
        });
        assert_eq!(first.expect("main ends well"), (1, 2));
    }

    #[test]
    fn futures_unordered_gives_each_as_it_is_done() {
        let trace = trace_of(async {
            let mut naps: FuturesUnordered<_> = [("c", 3), ("a", 1), ("b", 2)]
                .map(|(name, n)| after(name, n))
                .into_iter()
                .collect();
            while let Some(done) = naps.next().await {
                note(done?);
            }
            Ok(())
        });
        assert_eq!(trace, "a:ok a b:ok b c:ok c");
    }

    #[test]
    fn futures_ordered_gives_each_in_order() {
        let trace = trace_of(async {
            let naps: FuturesOrdered<_> = [("b", 2), ("a", 1)]
                .map(|(name, n)| after(name, n))
                .into_iter()
                .collect();
            let names: Vec<_> = naps.try_collect().await?;
            note(names.join("-"));
            Ok(())
        });
        assert_eq!(trace, "a:ok b:ok b-a");
    }

    #[test]
    fn are_told_of_a_cancel_all_of_them() {
        let trace = trace_of(async {
            let task = create_task(async {
                let naps = ["a", "b", "c"].map(|name| after(name, 9));
                let unordered: FuturesUnordered<_> = naps.into_iter().collect();
                let ended: Vec<_> = join(unordered.collect::<Vec<_>>(), after("d", 9)).await.0;
                note(ended.len());
                Err::<(), _>(Error::Cancelled)
            });
            turns(1).await?;
            task.cancel();
            note(outcome(task.await));
            Ok(())
        });
        assert_eq!(
            trace,
            "a:CancelledError b:CancelledError c:CancelledError d:CancelledError 3 CancelledError"
        );
    }

    #[test]
    fn shared_results_reach_every_task() {
        let trace = trace_of(async {
            let shared: Shared<_> = async {
                note("once");
                nap(1).await
            }
            .boxed_local()
            .shared();
            let tasks: Vec<Task<()>> = (0..3)
                .map(|_| create_task(tell("shared", shared.clone())))
                .collect();
            for task in tasks {
                task.await?;
            }
            Ok(())
        });
        assert_eq!(trace, "once shared ok shared ok shared ok");
    }

    #[test]
    fn streams_buffer_as_many_as_they_may() {
        let trace = trace_of(async {
            let busy = Rc::new(RefCell::new((0, 0)));
            let work = stream::iter(0..10).map(|n| {
                let busy = Rc::clone(&busy);
                async move {
                    let now = busy.borrow().0 + 1;
                    let most = busy.borrow().1.max(now);
                    busy.replace((now, most));
                    nap(1).await?;
                    busy.borrow_mut().0 -= 1;
                    Ok::<i32, Error>(n)
                }
            });
            let done: Vec<i32> = work.buffer_unordered(3).try_collect().await?;
            note(done.into_iter().sum::<i32>());
            note(busy.borrow().1);
            note(soloop::time().as_secs());
            Ok(())
        });
        assert_eq!(trace, "45 3 4");
    }
}

mod the_reactor_of_async_io {
    use super::*;

    fn millis(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    fn listen() -> io::Result<Async<TcpListener>> {
        Async::<TcpListener>::bind((Ipv4Addr::LOCALHOST, 0))
    }

    async fn echo(mut stream: Async<TcpStream>) -> Result<()> {
        let mut buffer = [0; 64];
        loop {
            match stream.read(&mut buffer).await.map_err(other)? {
                0 => return Ok(()),
                n => stream.write_all(&buffer[..n]).await.map_err(other)?,
            }
        }
    }

    async fn a_conversation() -> Result<String> {
        let listener = listen().map_err(other)?;
        let port = listener.get_ref().local_addr().map_err(other)?;
        let server = create_task(async move {
            loop {
                let (stream, _) = listener.accept().await.map_err(other)?;
                create_task(echo(stream));
            }
            #[expect(unreachable_code, reason = "it says what the coroutine would return")]
            Ok::<(), Error>(())
        });
        let clients = (0..3).map(|n| async move {
            let mut stream = Async::<TcpStream>::connect(port).await.map_err(other)?;
            let sent = format!("hello from {n}");
            stream.write_all(sent.as_bytes()).await.map_err(other)?;
            let mut got = vec![0; sent.len()];
            stream.read_exact(&mut got).await.map_err(other)?;
            String::from_utf8(got).map_err(other)
        });
        let answers = try_join_all(clients).await?;
        server.cancel();
        note(outcome(server.await));
        Ok(answers.join(", "))
    }

    const ANSWERS: &str = "hello from 0, hello from 1, hello from 2";

    #[test]
    fn serves_sockets_from_its_own_thread_under_run() {
        let said = by_the_real_clock(a_conversation());
        assert_eq!(said.expect("main ends well"), ANSWERS);
        assert_eq!(noted(), "CancelledError");
    }

    #[test]
    fn serves_sockets_on_our_thread_under_drive() {
        let mut guest = EventLoop::new();
        let said = async_io::block_on(guest.drive(a_conversation(), |delay| async move {
            Timer::after(delay).await;
        }));
        assert_eq!(said.expect("main ends well"), ANSWERS);
        assert_eq!(noted(), "CancelledError");
    }

    #[test]
    fn fires_timers() {
        let begun = Instant::now();
        let order = by_the_real_clock(async {
            let ours = create_task(async {
                sleep(millis(100)).await?;
                note("ours");
                Ok(())
            });
            Timer::after(millis(2)).await;
            note("theirs");
            ours.await?;
            let ticks: Vec<_> = Timer::interval(millis(1)).take(3).collect().await;
            note(ticks.len());
            Ok(())
        });
        assert!(order.is_ok());
        assert_eq!(noted(), "theirs ours 3");
        assert!(begun.elapsed() >= millis(103));
    }

    #[test]
    fn is_left_when_a_timeout_strikes() {
        let trace = by_the_real_clock(async {
            let socket = Async::<UdpSocket>::bind((Ipv4Addr::LOCALHOST, 0)).map_err(other)?;
            let mut buffer = [0; 8];
            let received = wait_for(wrap_future(socket.recv(&mut buffer)), millis(2)).await;
            note(outcome(received.map(|_| ())));
            let accepted = wait_for(
                async {
                    listen()
                        .map_err(other)?
                        .accept()
                        .await
                        .map_err(other)
                        .map(drop)
                },
                millis(2),
            );
            note(outcome(accepted.await));
            let to = socket.get_ref().local_addr().map_err(other)?;
            socket.send_to(b"still", to).await.map_err(other)?;
            note(socket.recv(&mut buffer).await.map_err(other)?);
            Ok(())
        });
        assert!(trace.is_ok());
        assert_eq!(noted(), "TimeoutError TimeoutError 5");
    }

    #[test]
    fn gives_up_a_socket_and_a_timer_with_a_cancel() {
        let both = by_the_real_clock(async {
            cancel_both(|| Timer::after(secs(3600))).await?;
            cancel_both(|| async { listen().expect("a port").accept().await.map(drop) }).await
        });
        assert!(both.is_ok());
        assert_eq!(noted(), format!("{BOTH} {BOTH}"));
    }
}

mod the_threads_of_blocking {
    use super::*;

    #[test]
    fn return_what_they_found() {
        let sum = by_the_real_clock(async {
            let work = (1..=4)
                .map(|n| create_task(async move { Ok(blocking::unblock(move || n * n).await) }));
            let mut sum = 0;
            for task in work.collect::<Vec<_>>() {
                sum += task.await?;
            }
            Ok(sum)
        });
        assert_eq!(sum.expect("main ends well"), 30);
    }

    #[test]
    fn are_not_waited_for_after_a_cancel() {
        let (release, blocked) = std::sync::mpsc::channel::<()>();
        let outcome_of_task = by_the_real_clock(async {
            let call = blocking::unblock(move || blocked.recv().is_ok());
            let task = create_task(async { wrap_future(call).await.map(drop) });
            sleep(Duration::from_millis(2)).await?;
            task.cancel();
            note(outcome(task.await));
            Ok(())
        });
        assert!(outcome_of_task.is_ok());
        assert_eq!(noted(), "CancelledError");
        drop(release);
    }
}

mod another_executor {
    use super::*;

    /// tokio's channels and locks do not ask for its runtime.
    #[test]
    fn may_lend_its_primitives() {
        let trace = trace_of(async {
            let (sender, mut receiver) = tokio::sync::mpsc::channel(1);
            let mutex = Rc::new(tokio::sync::Mutex::new(0));
            for n in 1..4 {
                let (sender, mutex) = (sender.clone(), Rc::clone(&mutex));
                create_task(async move {
                    *mutex.lock().await += n;
                    sender.send(n).await.map_err(other)
                });
            }
            drop(sender);
            while let Some(n) = receiver.recv().await {
                note(n);
            }
            note(*mutex.lock().await);
            Ok(())
        });
        assert_eq!(trace, "1 2 3 6");
    }

    #[test]
    fn is_cancelled_like_the_others() {
        let notify = Rc::new(tokio::sync::Notify::new());
        let trace = trace_of(cancel_both(move || {
            let notify = Rc::clone(&notify);
            async move { notify.notified().await }
        }));
        assert_eq!(trace, BOTH);
    }
}
