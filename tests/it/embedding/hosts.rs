//! One program, many hosts: the same lines under `run`, under a loop of turns, and under every executor that drives it; and
//! nothing of it costs anything while nothing is due.

use super::*;
use futures::{
    StreamExt,
    channel::mpsc,
    executor::LocalPool,
    future::{LocalBoxFuture, join},
    task::LocalSpawnExt,
};
use soloop::{Barrier, BoundedSemaphore, Condition, Semaphore};
use std::{
    future::Future,
    pin::{Pin, pin},
    task::{Context, Poll},
};

type Main = LocalBoxFuture<'static, Result<()>>;
/// Runs a main in a guest until it has ended, and all that it left.
type Host = fn(EventLoop, Main) -> Result<()>;

/// Those who drive. `LocalPool` has no timers, and takes those of async-io.
const EXECUTORS: [(&str, Host); 4] = [
    ("async-io", under_async_io),
    ("futures", under_local_pool),
    ("tokio", under_tokio),
    ("smol", under_smol),
];

thread_local! {
    /// What the host had to do: polls of the driven loop or turns of it, and timers made for it.
    static WORK: Cell<(usize, usize)> = const { Cell::new((0, 0)) };
}

fn count_a_poll() {
    let (polls, timers) = WORK.get();
    WORK.set((polls + 1, timers));
}

fn count_a_timer() {
    let (polls, timers) = WORK.get();
    WORK.set((polls, timers + 1));
}

/// Counts the polls of a future.
struct Counted<F>(F);

impl<F: Future + Unpin> Future for Counted<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        count_a_poll();
        Pin::new(&mut self.0).poll(cx)
    }
}

async fn by_the_reactor(delay: Duration) {
    count_a_timer();
    async_io::Timer::after(delay).await;
}

async fn drive_by_the_reactor(mut guest: EventLoop, main: Main) -> Result<()> {
    Counted(pin!(guest.drive(main, by_the_reactor))).await
}

fn under_async_io(guest: EventLoop, main: Main) -> Result<()> {
    async_io::block_on(drive_by_the_reactor(guest, main))
}

fn under_local_pool(guest: EventLoop, main: Main) -> Result<()> {
    let mut pool = LocalPool::new();
    let driven = pool
        .spawner()
        .spawn_local_with_handle(drive_by_the_reactor(guest, main))
        .expect("the pool is there");
    pool.run_until(driven)
}

fn under_tokio(mut guest: EventLoop, main: Main) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime");
    let set = tokio::task::LocalSet::new();
    let driven = set.spawn_local(async move {
        let driven = guest.drive(main, |delay| {
            count_a_timer();
            tokio::time::sleep(delay)
        });
        Counted(pin!(driven)).await
    });
    set.block_on(&runtime, driven).expect("no panic")
}

fn under_smol(guest: EventLoop, main: Main) -> Result<()> {
    let executor = smol::LocalExecutor::new();
    let driven = executor.spawn(drive_by_the_reactor(guest, main));
    smol::block_on(executor.run(driven))
}

fn under_run(mut guest: EventLoop, main: Main) -> Result<()> {
    guest.run(main)
}

/// A loop of turns that waits as it is told to, by the real clock.
fn under_turns(guest: EventLoop, main: Main) -> Result<()> {
    turn_and(guest, main, |guest, deadline| {
        let delay = deadline.map(|deadline| deadline.saturating_sub(guest.time()));
        match delay {
            Some(delay) => thread::park_timeout(delay),
            None => thread::park(),
        }
    })
}

/// On the virtual clock nobody waits for a deadline: the next turn begins with it.
fn under_virtual_turns(guest: EventLoop, main: Main) -> Result<()> {
    turn_and(guest, main, |_, deadline| {
        if deadline.is_none() {
            thread::park();
        }
    })
}

fn turn_and(
    mut guest: EventLoop,
    main: Main,
    mut wait: impl FnMut(&EventLoop, Option<Duration>),
) -> Result<()> {
    let host = thread::current();
    guest.on_wake(move || host.unpark());
    let main = guest.create_task(main);
    let mut ending = false;
    loop {
        count_a_poll();
        let turn = guest.turn();
        // As `run` does: the turn after main's end is still everybody's, and then the rest is cancelled.
        if main.done() && !ending {
            ending = true;
            if let Turn::More = turn {
                let _next = guest.turn();
            }
            let _shutdown = guest.shutdown();
            continue;
        }
        match turn {
            Turn::More => {}
            Turn::SleepUntil(deadline) => wait(&guest, Some(deadline)),
            Turn::AwaitWake => wait(&guest, None),
            Turn::Stuck(report) => return Err(Error::Deadlock(report)),
            Turn::Empty => return result_of(main),
        }
    }
}

/// What a program says under each host.
fn transcripts(
    turns: Host,
    make: fn() -> EventLoop,
    program: fn() -> Main,
) -> Vec<(&'static str, String)> {
    [("run", under_run as Host), ("turns", turns)]
        .into_iter()
        .chain(EXECUTORS)
        .map(|(name, host)| {
            let mut guest = make();
            guest.set_exception_handler(note_failure);
            note(outcome(host(guest, program())));
            (name, noted())
        })
        .collect()
}

/// Each host's transcript is that of `run`, which is as it should be.
fn assert_all_say(said: Vec<(&str, String)>, expected: &str) {
    let expected: Vec<_> = said
        .iter()
        .map(|(name, _)| (*name, expected.to_owned()))
        .collect();
    assert_eq!(said, expected);
}

async fn stamp(line: &str) -> Result<()> {
    note(format_args!("{}:{line}", time().as_secs()));
    Ok(())
}

/// Everything that soloop has, at once.
async fn of_every_primitive() -> Result<()> {
    let (lock, event, condition) = (Lock::new(), Event::new(), Condition::new());
    let (permits, desks) = (Semaphore::new(1), BoundedSemaphore::new(2));
    let barrier = Barrier::new(2)?;
    for name in ["a", "b"] {
        let (lock, event, condition) = (lock.clone(), event.clone(), condition.clone());
        let (permits, desks, barrier) = (permits.clone(), desks.clone(), barrier.clone());
        create_task(async move {
            let held = lock.enter().await?;
            turns(1).await?;
            stamp(&format!("{name}-lock")).await?;
            drop(held);
            event.wait().await?;
            stamp(&format!("{name}-event")).await?;
            condition.enter().await?.wait().await?;
            stamp(&format!("{name}-condition")).await?;
            let permit = permits.enter().await?;
            nap(1).await?;
            drop(permit);
            stamp(&format!("{name}-permit")).await?;
            let _desk = desks.enter().await?;
            let place = barrier.wait().await?;
            stamp(&format!("{name}-place{place}")).await
        });
    }
    nap(1).await?;
    event.set();
    nap(1).await?;
    condition.enter().await?.notify_all()?;
    let late = wait_for(nap(9), secs(1)).await;
    stamp(&outcome(late)).await?;
    let both = join(wait_for(nap(9), secs(1)), nap(2)).await;
    stamp(&format!("{}-{}", outcome(both.0), outcome(both.1))).await?;
    let (sender, mut receiver) = mpsc::unbounded();
    let foreign = create_task(async move { Ok(receiver.next().await) });
    turns(1).await?;
    drop(sender.unbounded_send(7));
    stamp(&outcome(foreign.await)).await?;
    let mut told = create_task(async {
        tell("told", nap(9)).await?;
        nap(1).await?;
        Err::<(), _>(Error::Value("lost".into()))
    });
    turns(1).await?;
    told.cancel();
    stamp(&outcome((&mut told).await)).await?;
    create_task(async { Err::<(), _>(Error::Value("unseen".into())) });
    create_task(async {
        tell("left", nap(9)).await?;
        nap(1).await?;
        stamp("cleaned").await?;
        Err::<(), _>(Error::Value("at-the-end".into()))
    });
    create_task(ticks(9));
    turns(2).await?;
    stamp(&outcome(desks.release())).await?;
    stamp("over").await
}

#[test]
fn print_one_transcript_of_every_primitive() {
    let said = transcripts(under_virtual_turns, EventLoop::with_virtual_clock, || {
        of_every_primitive().boxed_local()
    });
    assert_all_say(
        said,
        "0:a-lock 0:b-lock 1:a-event 1:b-event 2:a-condition 2:b-condition 3:TimeoutError \
         3:a-permit 4:b-permit 4:b-place1 4:a-place0 5:TimeoutError-ok 5:Some(7) \
         told CancelledError 6:ValueError: lost \
         Task exception was never retrieved: Task-6 raised ValueError: unseen t0 t1 \
         6:ValueError: BoundedSemaphore released too many times 6:over t2 \
         left CancelledError 7:cleaned \
         unhandled exception during asyncio.run() shutdown: Task-7 raised ValueError: at-the-end \
         ok",
    );
}

/// Nothing is ready as main ends, and the next deadline is far: the time must not jump to it before the rest is cancelled.
#[test]
fn let_no_time_go_by_at_the_end_of_main() {
    let said = transcripts(under_virtual_turns, EventLoop::with_virtual_clock, || {
        async {
            create_task(async {
                let told = nap(9).await;
                stamp(&outcome(told)).await
            });
            nap(1).await
        }
        .boxed_local()
    });
    assert_all_say(said, "1:CancelledError ok");
}

/// By the real clock, and with another thread: what happens when follows from what has happened.
async fn of_a_real_clock() -> Result<()> {
    let millis = Duration::from_millis;
    let (questions, asked) = std::sync::mpsc::channel::<(i32, oneshot::Sender<i32>)>();
    let answering = thread::spawn(move || {
        for (number, answer) in asked {
            thread::sleep(Duration::from_millis(2));
            answer.send(number * 2).expect("it is received");
        }
    });
    for number in 1..4 {
        let (sender, answer) = oneshot::channel();
        questions
            .send((number, sender))
            .expect("the thread listens");
        note(answer.await.map_err(Error::other)?);
        sleep(millis(1)).await?;
    }
    drop(questions);
    answering.join().expect("no panic");
    let waited = wait_for(Event::new().wait(), millis(2)).await;
    note(outcome(waited));
    let task = create_task(tell("task", nap(3600)));
    let me = current_task().expect("a task runs").remote();
    let remote = task.remote();
    create_task(async move {
        sleep(millis(1)).await?;
        thread::spawn(move || {
            remote.cancel();
            thread::sleep(Duration::from_millis(2));
            me.cancel();
        });
        Ok(())
    });
    create_task(tell("left", nap(3600)));
    tell("main", nap(3600)).await?;
    Err(Error::Value("the-end".into()))
}

#[test]
fn print_one_transcript_by_the_real_clock() {
    let said = transcripts(under_turns, EventLoop::new, || {
        of_a_real_clock().boxed_local()
    });
    assert_all_say(
        said,
        "2 4 6 TimeoutError task CancelledError main CancelledError left CancelledError \
         ValueError: the-end",
    );
}

#[test]
fn report_the_same_deadlock() {
    let said = transcripts(under_virtual_turns, EventLoop::with_virtual_clock, || {
        async {
            let lock = Lock::new();
            let _held = lock.enter().await?;
            create_task(lock.acquire());
            Event::new().wait().await
        }
        .boxed_local()
    });
    let expected = said[0].1.clone();
    assert!(
        expected.contains("Task-2 waits for <Lock [locked, waiters:1]>"),
        "{expected}"
    );
    assert_all_say(said, &expected);
}

mod cost_nothing_while_idle {
    use super::*;

    /// Twenty tasks wait for an event, one for a thread, and main for the clock, twice.
    fn waiting(polls: Rc<Cell<usize>>) -> Main {
        async move {
            let event = Event::new();
            for _ in 0..20 {
                let (polls, mut waiting) = (Rc::clone(&polls), Box::pin(event.wait()));
                create_task(std::future::poll_fn(move |cx| {
                    polls.set(polls.get() + 1);
                    waiting.as_mut().poll(cx)
                }));
            }
            let (sender, receiver) = oneshot::channel();
            create_task(async move { receiver.await.map_err(Error::other) });
            thread::spawn(|| {
                thread::sleep(Duration::from_millis(15));
                sender.send(())
            });
            sleep(Duration::from_millis(30)).await?;
            sleep(Duration::from_millis(5)).await?;
            event.set();
            turns(1).await
        }
        .boxed_local()
    }

    /// The work that a host has with this: in the first place to begin, then for the thread, and for each of two deadlines.
    #[test]
    fn for_a_host_that_drives() {
        for (name, host) in EXECUTORS {
            let polls = Rc::new(Cell::new(0));
            WORK.set((0, 0));
            assert!(host(EventLoop::new(), waiting(Rc::clone(&polls))).is_ok());
            // Less if the machine is so slow that two of them come at once.
            let (work, sleeps) = WORK.get();
            assert_eq!(
                (polls.get(), work <= 4, sleeps <= 2),
                (40, true, true),
                "{name}"
            );
        }
    }

    /// Turns: two that begin (main's step is first, the others' the second), the thread's, two for each deadline, two for the end.
    #[test]
    fn for_a_host_that_turns() {
        let polls = Rc::new(Cell::new(0));
        WORK.set((0, 0));
        assert!(under_turns(EventLoop::new(), waiting(Rc::clone(&polls))).is_ok());
        assert_eq!((polls.get(), WORK.get().0 <= 9), (40, true));
    }

    #[test]
    fn for_run() {
        let polls = Rc::new(Cell::new(0));
        assert!(under_run(EventLoop::new(), waiting(Rc::clone(&polls))).is_ok());
        assert_eq!(polls.get(), 40);
    }
}
