//! `on_wake`: a host is told when there is something to do for a loop that was left idle, and once for each time.

use super::*;
use soloop::Semaphore;
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    task::{Poll, Waker},
};

/// How often the hook was called since one asked last.
#[derive(Clone, Default)]
struct Calls(Arc<AtomicUsize>);

impl Calls {
    fn of(guest: &mut EventLoop) -> Self {
        let calls = Self::default();
        let counted = calls.clone();
        guest.on_wake(move || {
            counted.0.fetch_add(1, SeqCst);
        });
        calls
    }

    fn take(&self) -> usize {
        self.0.swap(0, SeqCst)
    }
}

fn on_a_thread(act: impl FnOnce() + Send + 'static) {
    thread::spawn(act).join().expect("no panic");
}

/// A task that waits for ever, and its waker.
fn waker_of_a_task(guest: &mut EventLoop) -> Waker {
    let slot = Rc::new(RefCell::new(None));
    let kept = Rc::clone(&slot);
    guest.create_task(std::future::poll_fn(move |cx| {
        kept.borrow_mut().get_or_insert_with(|| cx.waker().clone());
        Poll::<Result<()>>::Pending
    }));
    assert!(matches!(guest.run_until_stalled(9), Turn::AwaitWake));
    slot.borrow().clone().expect("the task was polled")
}

#[test]
fn come_once_for_each_time_the_loop_was_idle() {
    let (mut guest, _) = by_hand();
    let waker = waker_of_a_task(&mut guest);
    let calls = Calls::of(&mut guest);
    for _ in 0..3 {
        let again = waker.clone();
        on_a_thread(move || (0..100).for_each(|_| again.wake_by_ref()));
        waker.wake_by_ref();
        note(calls.take());
        turn(&mut guest);
    }
    note(calls.take());
    assert_eq!(noted(), "1 await 1 await 1 await 0");
}

#[test]
fn do_not_come_for_a_loop_that_has_more_to_do() {
    let (mut guest, _) = by_hand();
    let waker = waker_of_a_task(&mut guest);
    let calls = Calls::of(&mut guest);
    guest.create_task(ticks(2));
    note(calls.take()); // it was idle
    turn(&mut guest);
    on_a_thread(move || waker.wake());
    guest.create_task(say("task"));
    note(calls.take()); // it was not
    turn(&mut guest);
    assert_eq!(noted(), "1 t0 more 0 t1 task more");
}

#[test]
fn do_not_come_from_within_a_turn() {
    let (mut guest, _) = by_hand();
    let waker = waker_of_a_task(&mut guest);
    let calls = Calls::of(&mut guest);
    let event = Event::new();
    guest.create_task(tell("waiter", event.wait()));
    calls.take();
    guest.create_task(async move {
        event.set();
        let again = waker.clone();
        on_a_thread(move || again.wake());
        waker.wake();
        turns(1).await
    });
    turn(&mut guest);
    turn(&mut guest);
    note(calls.take());
    assert_eq!(noted(), "more waiter ok await 0");
}

#[test]
fn come_for_whatever_the_host_does_between_turns() {
    let (mut guest, _) = by_hand();
    let event = Event::new();
    let lock = Lock::new();
    lock.acquire().now_or_never();
    let task = guest.create_task(tell("task", nap(99)));
    guest.create_task(tell("waiter", event.wait()));
    guest.create_task(tell("locker", lock.acquire()));
    guest.create_task(tell("left", nap(99)));
    let (_, sender) = awaited(&guest);
    let calls = Calls::of(&mut guest);
    turn(&mut guest);
    let mut after = |act: &mut dyn FnMut(&mut EventLoop)| {
        act(&mut guest);
        note(calls.take());
        turn(&mut guest);
    };
    after(&mut |_| assert!(task.cancel()));
    after(&mut |_| event.set());
    after(&mut |_| lock.release().expect("it is held"));
    let mut sender = Some(sender);
    after(&mut |_| {
        let sent = sender.take().map(|sender| sender.send(()));
        assert_eq!(sent, Some(Ok(())));
    });
    after(&mut |guest| drop(guest.create_task(say("new"))));
    after(&mut |guest| drop(guest.shutdown()));
    assert_eq!(
        noted(),
        "until-99 1 task CancelledError until-99 1 waiter ok until-99 1 locker ok until-99 \
         1 until-99 1 new until-99 1 left CancelledError empty"
    );
}

#[test]
fn come_for_a_remote_cancel() {
    let (mut guest, _) = by_hand();
    let task = guest.create_task(tell("task", Event::new().wait()));
    let remote = task.remote();
    let calls = Calls::of(&mut guest);
    turn(&mut guest);
    on_a_thread(move || remote.cancel());
    note(calls.take());
    turn(&mut guest);
    assert_eq!(noted(), "await 1 task CancelledError empty");
}

/// For the host waits for one that can no longer come.
#[test]
fn come_when_the_last_waker_is_dropped() {
    let (mut guest, _) = by_hand();
    let task = guest.create_task(tell("task", Event::new().wait()));
    let remotes = [task.remote(), task.remote()];
    let calls = Calls::of(&mut guest);
    turn(&mut guest);
    for remote in remotes {
        on_a_thread(move || drop(remote));
        note(calls.take());
    }
    turn(&mut guest);
    assert_eq!(noted(), "await 0 1 stuck");
}

#[test]
fn come_for_the_first_task_of_all() {
    let (mut guest, _) = by_hand();
    let calls = Calls::of(&mut guest);
    turn(&mut guest);
    note(calls.take());
    guest.create_task(say("task"));
    note(calls.take());
    turn(&mut guest);
    assert_eq!(noted(), "empty 0 1 task empty");
}

/// Nobody is left for a wake that came too late. The loop is idle all the same.
#[test]
fn come_for_a_new_task_after_a_wake_for_nobody() {
    let (mut guest, _) = by_hand();
    let calls = Calls::of(&mut guest);
    guest.create_task(std::future::poll_fn(|cx| {
        let waker = cx.waker().clone();
        on_a_thread(move || waker.wake());
        Poll::Ready(Ok(()))
    }));
    turn(&mut guest);
    note(calls.take());
    guest.create_task(say("task"));
    note(calls.take());
    turn(&mut guest);
    assert_eq!(noted(), "empty 0 1 task empty");
}

#[test]
fn come_on_the_thread_of_the_cause() {
    let (mut guest, _) = by_hand();
    let waker = waker_of_a_task(&mut guest);
    let (sender, hooks) = std::sync::mpsc::channel();
    guest.on_wake(move || sender.send(thread::current().id()).expect("it is received"));
    let waking = thread::spawn(move || {
        waker.wake();
        thread::current().id()
    });
    let there = waking.join().expect("no panic");
    turn(&mut guest);
    guest.create_task(say("here"));
    let here = thread::current().id();
    assert_eq!(hooks.try_iter().collect::<Vec<_>>(), [there, here]);
}

#[test]
fn go_to_the_last_hook_that_was_set() {
    let (mut guest, _) = by_hand();
    let waker = waker_of_a_task(&mut guest);
    let (first, second) = (Calls::of(&mut guest), Calls::of(&mut guest));
    waker.wake();
    assert_eq!((first.take(), second.take()), (0, 1));
}

/// Waits that have outlived their task are woken in their queue, and nobody is there to take a step; though one that the task was
/// to take, and ended before, may still be ready.
#[test]
fn do_not_come_for_a_wait_without_a_task() {
    for woken_at_its_end in [false, true] {
        let (mut guest, _) = by_hand();
        let (event, semaphore, last) = (Event::new(), Semaphore::new(0), Event::new());
        let mut waits = [
            event.wait().boxed_local(),
            event.wait().boxed_local(),
            semaphore.acquire().boxed_local(),
            last.wait().boxed_local(),
        ];
        let begun = guest.create_task(async move {
            for wait in &mut waits {
                start(wait).await;
            }
            if woken_at_its_end {
                last.set();
            }
            Ok(waits)
        });
        turn(&mut guest);
        let waits = begun.now_or_never().expect("it has ended").expect("well");
        let calls = Calls::of(&mut guest);
        event.set();
        semaphore.release();
        note(calls.take());
        drop(waits);
    }
    assert_eq!(noted(), "empty 0 empty 0");
}

#[test]
fn do_not_come_for_nothing() {
    let (mut guest, now) = by_hand();
    let event = Event::new();
    event.set();
    guest.create_task(tell("nap", nap(1)));
    let calls = Calls::of(&mut guest);
    turn(&mut guest);
    event.set();
    drop(event.wait().now_or_never());
    now.set(secs(1)); // the host knows the time itself
    let _time = guest.time();
    note(calls.take());
    note(word(&guest.run_until_stalled(9)));
    assert_eq!(noted(), "until-1 0 nap ok empty");
}

/// The host sleeps until it is told, and only then turns: a wake that is lost would stop everything.
#[test]
fn a_million_from_four_threads_are_never_lost_and_seldom_told() {
    const THREADS: usize = 4;
    const EACH: usize = 250_000;
    let (mut guest, _) = by_hand();
    let done = Arc::new([const { AtomicUsize::new(0) }; THREADS]);
    let (senders, wakers): (Vec<_>, Vec<_>) = (0..THREADS)
        .map(|_| std::sync::mpsc::channel::<Waker>())
        .unzip();
    let polls = Rc::new(Cell::new(0));
    for (at, sender) in senders.into_iter().enumerate() {
        let (done, polls, mut sender) = (Arc::clone(&done), Rc::clone(&polls), Some(sender));
        guest.create_task(std::future::poll_fn(move |cx| {
            polls.set(polls.get() + 1);
            sender.take().map(|sender| sender.send(cx.waker().clone()));
            if done[at].load(SeqCst) == EACH {
                return Poll::Ready(Ok(()));
            }
            Poll::Pending
        }));
    }
    let (host, calls) = (thread::current(), Calls::default());
    let counted = calls.clone();
    guest.on_wake(move || {
        counted.0.fetch_add(1, SeqCst);
        host.unpark();
    });
    let waking: Vec<_> = wakers
        .into_iter()
        .enumerate()
        .map(|(at, wakers)| {
            let done = Arc::clone(&done);
            thread::spawn(move || {
                let waker = wakers.recv().expect("the task was polled");
                for _ in 0..EACH {
                    done[at].fetch_add(1, SeqCst);
                    waker.wake_by_ref();
                }
            })
        })
        .collect();
    let (mut turns, mut idle, mut told) = (0, 0, 0);
    loop {
        turns += 1;
        match guest.turn() {
            Turn::More => {}
            Turn::Empty => break,
            Turn::AwaitWake => {
                idle += 1;
                while calls.0.load(SeqCst) == told {
                    thread::park();
                }
                told = calls.0.load(SeqCst);
            }
            other => panic!("the threads have wakers, but {other:?}"),
        }
    }
    waking
        .into_iter()
        .for_each(|waking| waking.join().expect("no panic"));
    assert!(told <= idle, "told {told} times, idle {idle} times");
    assert!(
        polls.get() <= THREADS * turns,
        "a task is polled once a turn"
    );
}
