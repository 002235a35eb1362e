//! `soloop::trace`: what is written down of a run.

use std::{
    cell::RefCell,
    fmt,
    future::pending,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::Poll,
    thread,
    time::Duration,
};

use futures::FutureExt;
use soloop::{
    Barrier, Condition, Error, Event, EventLoop, Lock, Result, Semaphore, create_task,
    current_task, sleep,
    trace::{Cause, EventKind, Finish, Requester, Timeline, Wait, record},
    wait_for, wrap_future,
};

use crate::flaws::flaws;

const SECOND: Duration = Duration::from_secs(1);

fn timeline_of<T>(main: impl Future<Output = Result<T>>) -> Timeline {
    record(&mut EventLoop::with_virtual_clock(), main).1
}

/// What happened to a task, a word or a few for each event.
fn story(timeline: &Timeline, task: u64) -> Vec<String> {
    let events = timeline.events().iter();
    events
        .filter(|event| event.task == Some(task))
        .map(|event| word(&event.kind))
        .collect()
}

fn word(kind: &EventKind) -> String {
    match kind {
        EventKind::Spawned { by } => format!("spawned by {by:?}"),
        EventKind::Stepped => "steps".into(),
        EventKind::Suspended { on } => {
            let waits = on.iter().map(|wait| match wait {
                Wait::Primitive(label) => label.to_string(),
                Wait::Time(deadline) => format!("{deadline:?}"),
                Wait::Task(task) => format!("Task-{task}"),
                other => format!("{other:?}"),
            });
            format!("waits for {}", waits.collect::<Vec<_>>().join(" and "))
        }
        EventKind::Yielded => "yields".into(),
        EventKind::Woken { by, through } => match through {
            Cause::Primitive(label) => format!("woken by {by:?} through {label}"),
            other => format!("woken by {by:?} through {other:?}"),
        },
        EventKind::TimerFired => "timer".into(),
        EventKind::CancelRequested { by } => format!("cancel by {by:?}"),
        EventKind::CancelDelivered => "cancelled".into(),
        EventKind::Acquired { what } => format!("has {what}"),
        EventKind::Released { what } => format!("gives {what} back"),
        EventKind::Finished {
            how: Finish::Raised(error),
        } => format!("raises {error}"),
        EventKind::Finished { how } => format!("{how:?}"),
        other => format!("{other:?}"),
    }
}

#[test]
fn a_lock_is_held_from_its_acquire_to_its_release() {
    let timeline = timeline_of(async {
        let db = Lock::new().named("db");
        let other = db.clone();
        let waiting = create_task(async move {
            let _held = other.enter().await?;
            Ok(())
        });
        db.acquire().await?;
        sleep(Duration::ZERO).await?;
        db.release()?;
        waiting.await
    });
    assert_eq!(
        [story(&timeline, 1), story(&timeline, 2)],
        [
            vec![
                "spawned by None",
                "steps",
                "has Lock 'db'",
                "yields",
                "steps",
                "gives Lock 'db' back",
                "waits for Task-2",
                "woken by None through Task(2)",
                "steps",
                "Returned",
            ],
            vec![
                "spawned by Some(1)",
                "steps",
                "waits for Lock 'db'",
                "woken by Some(1) through Lock 'db'",
                "steps",
                "has Lock 'db'",
                "gives Lock 'db' back",
                "Returned",
            ],
        ]
    );
    assert_eq!(flaws(&timeline), [""; 0]);
}

#[test]
fn a_lock_that_never_met_the_loop_is_seen_as_well() {
    let lock = Lock::new();
    let timeline = timeline_of(async { lock.enter().await.map(drop) });
    assert_eq!(
        story(&timeline, 1)[2..4],
        ["has Lock-1", "gives Lock-1 back"]
    );
}

#[test]
fn a_timeout_names_its_timer_and_its_cancel() {
    let timeline = timeline_of(async { wait_for(Event::new().wait(), SECOND).await });
    assert_eq!(
        story(&timeline, 1),
        [
            "spawned by None",
            "steps",
            "waits for Event-1",
            "timer",
            "cancel by Timeout",
            "woken by None through Timeout",
            "steps",
            "cancelled",
            "raises TimeoutError",
        ]
    );
}

#[test]
fn a_sleep_waits_for_its_deadline() {
    let timeline = timeline_of(async {
        sleep(SECOND).await?;
        sleep(SECOND).await
    });
    assert_eq!(
        story(&timeline, 1)[2..8],
        [
            "waits for 1s",
            "timer",
            "woken by None through Timer",
            "steps",
            "waits for 2s",
            "timer"
        ]
    );
    let times: Vec<_> = timeline.events().iter().map(|event| event.time).collect();
    assert!(
        times.is_sorted() && times.last() == Some(&(2 * SECOND)),
        "{times:?}"
    );
}

#[test]
fn a_request_names_who_made_it() {
    let mut host = EventLoop::with_virtual_clock();
    let outside = host.create_task(Event::new().wait());
    outside.cancel();
    let by_outside = host.create_task(Event::new().wait());
    let (_, timeline) = record(&mut host, async move {
        drop(outside);
        sleep(Duration::ZERO).await?;
        by_outside.cancel();
        create_task(Event::new().wait());
        current_task().expect("main").cancel();
        sleep(Duration::ZERO).await
    });
    let requests = timeline
        .events()
        .iter()
        .filter_map(|event| match event.kind {
            EventKind::CancelRequested { by } => Some((event.task, by)),
            _ => None,
        });
    assert_eq!(
        requests.collect::<Vec<_>>(),
        [
            (Some(2), Requester::Task(3)),
            (Some(3), Requester::Task(3)),
            (Some(4), Requester::Shutdown),
        ]
    );
    assert_eq!(
        story(&timeline, 4)[2..],
        [
            "waits for Event-2",
            "cancel by Shutdown",
            "woken by None through Cancel",
            "steps",
            "cancelled",
            "Cancelled",
        ]
    );
}

/// What cannot hear of a request is dropped in the step that it brings about.
#[test]
fn a_request_is_what_wakes_from_a_foreign_future() {
    let timeline = timeline_of(async {
        let deaf = create_task(pending());
        sleep(Duration::ZERO).await?;
        deaf.cancel();
        let _: Result<()> = deaf.await;
        Ok(())
    });
    assert_eq!(
        story(&timeline, 2)[2..],
        [
            "waits for Foreign",
            "cancel by Task(1)",
            "woken by Some(1) through Cancel",
            "steps",
            "Cancelled",
        ]
    );
    assert_eq!(flaws(&timeline), [""; 0]);
}

#[test]
fn a_waker_from_elsewhere_is_a_cause_too() {
    let timeline = timeline_of(async {
        let mut asked = false;
        let foreign = std::future::poll_fn(move |cx| {
            if std::mem::replace(&mut asked, true) {
                return Poll::Ready(());
            }
            let waker = cx.waker().clone();
            thread::spawn(move || waker.wake());
            Poll::Pending
        });
        wrap_future(foreign).await
    });
    assert_eq!(
        story(&timeline, 1)[2..4],
        ["waits for Foreign", "woken by None through Waker"]
    );
    assert_eq!(flaws(&timeline), [""; 0]);
}

/// It has the task's slot to itself, and no step is due there.
#[test]
fn a_wait_that_outlives_its_task_wakes_nobody() {
    let timeline = timeline_of(async {
        let event = Event::new();
        let wait = Rc::new(RefCell::new(event.wait().boxed_local()));
        let left_behind = wait.clone();
        let task = create_task(std::future::poll_fn(move |cx| {
            assert!(left_behind.borrow_mut().poll_unpin(cx).is_pending());
            Poll::Ready(Ok(()))
        }));
        task.await?;
        event.set();
        sleep(Duration::ZERO).await?;
        drop(wait);
        Ok(())
    });
    assert_eq!(
        story(&timeline, 2),
        ["spawned by Some(1)", "steps", "Returned"]
    );
    assert_eq!(flaws(&timeline), [""; 0]);
}

#[test]
fn a_barrier_is_one_thing_to_wait_for_and_nobodys_to_hold() {
    let timeline = timeline_of(async {
        let start = Barrier::new(2)?.named("start");
        let first = create_task(start.wait());
        sleep(Duration::ZERO).await?;
        start.wait().await?;
        first.await
    });
    assert_eq!(
        story(&timeline, 2),
        [
            "spawned by Some(1)",
            "steps",
            "waits for Barrier 'start'",
            "woken by Some(1) through Barrier 'start'",
            "steps",
            "Returned",
        ]
    );
}

#[test]
fn a_condition_has_a_lock_of_the_same_name() {
    let timeline = timeline_of(async {
        let shelf = Condition::new().named("shelf");
        let seen = shelf.clone();
        let waiting = create_task(async move { seen.enter().await?.wait().await });
        sleep(Duration::ZERO).await?;
        shelf.enter().await?.notify(1)?;
        waiting.await
    });
    assert_eq!(
        story(&timeline, 2)[2..],
        [
            "has Lock 'shelf'",
            "gives Lock 'shelf' back",
            "waits for Condition 'shelf'",
            "woken by Some(1) through Condition 'shelf'",
            "steps",
            "has Lock 'shelf'",
            "gives Lock 'shelf' back",
            "Returned",
        ]
    );
}

#[test]
fn unnamed_primitives_are_numbered_by_kind_as_they_are_met() {
    let timeline = timeline_of(async {
        let (locks, desks) = ([Lock::new(), Lock::new()], Semaphore::new(1));
        locks[1].acquire().await?;
        desks.acquire().await?;
        locks[0].acquire().await?;
        locks[1].release()
    });
    assert_eq!(
        story(&timeline, 1)[2..6],
        [
            "has Lock-1",
            "has Semaphore-1",
            "has Lock-2",
            "gives Lock-1 back"
        ]
    );
}

#[test]
fn a_deadlock_drops_what_is_stuck() {
    let (ended, timeline) = record(&mut EventLoop::new(), async {
        create_task(Event::new().wait());
        Event::new().wait().await
    });
    assert!(matches!(ended, Err(Error::Deadlock(_))), "{ended:?}");
    assert_eq!(
        [story(&timeline, 1).pop(), story(&timeline, 2).pop()],
        [Some("Dropped".into()), Some("Dropped".into())]
    );
}

#[test]
fn what_is_not_recorded_leaves_nothing() {
    let mut seen = EventLoop::with_virtual_clock();
    let lock = Lock::new();
    let first = record(&mut seen, async { lock.enter().await.map(drop) }).1;
    seen.run(async { lock.enter().await.map(drop) }).unwrap();
    let third = record(&mut seen, async { lock.enter().await.map(drop) }).1;
    assert_eq!(third.tasks().collect::<Vec<_>>(), [3]);
    assert_eq!(story(&first, 1), story(&third, 3));
}

#[test]
fn a_lock_that_was_taken_before_has_to_be_waited_for() {
    let lock = Lock::new();
    let taken = lock.acquire().now_or_never();
    assert!(matches!(taken, Some(Ok(_))));
    let timeline = timeline_of(async {
        let waited = wait_for(lock.acquire(), SECOND).await;
        assert!(matches!(waited, Err(Error::Timeout)));
        Ok(())
    });
    assert_eq!(story(&timeline, 1)[1..3], ["steps", "waits for Lock-1"]);
}

#[test]
fn a_panic_passes_and_the_loop_can_be_recorded_again() {
    let mut seen = EventLoop::with_virtual_clock();
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        record(&mut seen, async {
            create_task(sleep(SECOND));
            create_task(async { panic!("on purpose") as Result<()> });
            create_task(sleep(SECOND));
            sleep(SECOND).await
        })
    }));
    assert!(panicked.is_err());
    let (ended, timeline) = record(&mut seen, sleep(SECOND));
    ended.unwrap();
    assert_eq!(flaws(&timeline), [""; 0]);
}

/// While a run is recorded, and only then, an error is asked what it says.
#[test]
fn a_panic_ends_the_recording() {
    #[derive(Debug)]
    struct Asked(Arc<AtomicUsize>);
    impl fmt::Display for Asked {
        fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
            self.0.fetch_add(1, Ordering::Relaxed);
            Ok(())
        }
    }
    impl std::error::Error for Asked {}
    let asked = Arc::new(AtomicUsize::new(0));
    let raise = || {
        let error = Error::other(Asked(Arc::clone(&asked)));
        async { create_task(async { Err::<(), _>(error) }).await }
    };
    let mut seen = EventLoop::with_virtual_clock();
    assert!(record(&mut seen, raise()).0.is_err());
    let while_recorded = asked.swap(0, Ordering::Relaxed);
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        record(&mut seen, async { panic!("on purpose") as Result<()> })
    }));
    assert!(panicked.is_err() && seen.run(raise()).is_err());
    assert_eq!((while_recorded, asked.load(Ordering::Relaxed)), (2, 0));
}

#[test]
fn names_are_the_last_that_a_task_had() {
    let timeline = timeline_of(async {
        create_task(sleep(Duration::ZERO)).set_name("backup");
        sleep(SECOND).await
    });
    assert_eq!(
        timeline
            .tasks()
            .map(|task| timeline.name(task))
            .collect::<Vec<_>>(),
        ["Task-1", "backup"]
    );
}
