//! Pictures of runs that were recorded: what a timeline draws, whatever was run.

mod drawn;

use std::{cell::Cell, rc::Rc, time::Duration};

use futures::{FutureExt, future::join_all};
use proptest::prelude::*;
use soloop::{
    Barrier, Condition, Error, Event, EventLoop, Lock, Result, Semaphore, create_task, sleep,
    testing::Explorer,
    trace::{EventKind, Timeline, record},
    wait_for,
};

const MILLIS: Duration = Duration::from_millis(1);

fn timeline_of<T>(main: impl Future<Output = Result<T>>) -> Timeline {
    record(&mut EventLoop::with_virtual_clock(), main).1
}

/// The lanes alone, and the story alone.
fn lanes_and_story(timeline: &Timeline) -> (String, String) {
    let drawn = timeline.to_string();
    let (lanes, rest) = drawn
        .split_once("\n\n█ runs")
        .expect("lanes, then a legend");
    let (_, story) = rest.split_once("time\n").expect("a story below");
    (lanes.to_owned(), story.to_owned())
}

#[test]
fn a_lock_handed_on_is_seen_in_the_lanes() {
    let timeline = timeline_of(async {
        let lock = Lock::new().named("db");
        let clerks = ["Ada", "Bob"].map(|name| {
            let lock = lock.clone();
            let clerk = create_task(async move {
                let _held = lock.enter().await?;
                sleep(100 * MILLIS).await
            });
            clerk.set_name(name);
            clerk
        });
        join_all(clerks)
            .await
            .into_iter()
            .collect::<Result<Vec<_>>>()
    });
    let (lanes, _) = lanes_and_story(&timeline);
    assert_eq!(
        lanes,
        "\
turn      0   1   2        +100ms 3   4   5        +100ms 6   7   8
Task-1    ░░░░███▌─Ada+Bob────────────░░░░░░░░███▌─Bob────────░░░░███┤
Ada           ░░░░███▌═100ms══════▒▒▒▒███┤
Bob           ░░░░░░░░███▌─Lock 'db'──░░░░███▌═200ms══════▒▒▒▒███┤
Lock 'db'         ╞Ada═══════════════════╡╞Bob═══════════════════╡"
    );
}

#[test]
fn a_deadlock_is_told_to_its_end() {
    async fn both(first: Lock, second: Lock) -> Result<()> {
        let _one = first.enter().await?;
        sleep(Duration::ZERO).await?;
        let _other = second.enter().await?;
        Ok(())
    }
    let timeline = timeline_of(async {
        let (fork, knife) = (Lock::new().named("fork"), Lock::new().named("knife"));
        let left = create_task(both(fork.clone(), knife.clone()));
        let right = create_task(both(knife, fork));
        left.await?;
        right.await
    });
    let (_, story) = lanes_and_story(&timeline);
    assert_eq!(
        story.lines().take(6).collect::<Vec<_>>(),
        [
            "     0        0s  (loop)        Task-1 created",
            "     1            Task-1        begins: creates Task-2, Task-3; waits for Task-2",
            "     2            Task-2        begins: acquires Lock 'fork'; yields",
            "                  Task-3        begins: acquires Lock 'knife'; yields",
            "     3            Task-2        goes on: waits for Lock 'knife'",
            "                  Task-3        goes on: waits for Lock 'fork'",
        ]
    );
}

#[test]
fn a_timeout_is_told_as_the_request_that_it_is() {
    let timeline = timeline_of(async {
        let never = Event::new();
        wait_for(never.wait(), 50 * MILLIS).await
    });
    let (_, story) = lanes_and_story(&timeline);
    assert_eq!(
        story.lines().skip(2).collect::<Vec<_>>(),
        [
            "     2      50ms  (timer)  the timeout cancels Task-1",
            "     3            Task-1   its timeout is over: gets Cancelled; raises TimeoutError",
        ]
    );
}

#[test]
fn the_smallest_failure_reads_from_its_departure_to_its_end() {
    let report = Explorer::new()
        .cancels(1)
        .only(|name| name == "Task-2")
        .explore(|_probe| async {
            let pool = Semaphore::new(1);
            let work = |pool: Semaphore| {
                create_task(async move {
                    pool.acquire().await?;
                    sleep(MILLIS).await?; // a permit is lost here
                    pool.release();
                    Ok(())
                })
            };
            let (first, second) = (work(pool.clone()), work(pool));
            let _ = first.await;
            second.await
        });
    let failure = report.failure.expect("a permit is lost");
    let (_, story) = lanes_and_story(&failure.timeline);
    let words: Vec<_> = story.lines().map(|line| line[18..].trim_end()).collect();
    assert_eq!(
        words,
        [
            "(loop)       Task-1 created",
            "Task-1       begins: creates Task-2, Task-3; waits for Task-2",
            "Task-2       begins: acquires Semaphore-1; waits until 1ms",
            "(loop)       !! the explorer cancels Task-2",
            "Task-3       begins: waits for Semaphore-1",
            "Task-2       cancelled by the explorer: gets Cancelled; ends cancelled; wakes Task-1",
            "Task-1       Task-2 has ended: waits for Task-3",
            "             FAILED: deadlock: Task-1 waits for <Task pending name='Task-3'>",
            "             Task-3 waits for <Semaphore [locked, waiters:1]>",
            "(loop)       drops Task-1, Task-3",
        ]
    );
}

/// What a task of a random program does next.
#[derive(Debug, Clone, Copy)]
enum Deed {
    Yield,
    Sleep(u8),
    Lock(Then),
    Permit(Then),
    Notified,
    Notify(u8),
    Meet,
    Wait,
    Set,
    Hasten(u8),
    Both,
    Cancel(u8),
    Create(u8),
    Raise,
}

/// What is done with what was taken.
#[derive(Debug, Clone, Copy)]
enum Then {
    Return,
    Sleep(u8),
    Keep,
}

#[derive(Clone)]
struct World {
    lock: Lock,
    pool: Semaphore,
    condition: Condition,
    barrier: Barrier,
    event: Event,
    tasks: Rc<std::cell::RefCell<Vec<soloop::TaskHandle>>>,
    left: Rc<Cell<usize>>,
}

fn deed() -> impl Strategy<Value = Deed> {
    let then = prop_oneof![
        Just(Then::Return),
        (0..4_u8).prop_map(Then::Sleep),
        Just(Then::Keep)
    ];
    prop_oneof![
        Just(Deed::Yield),
        (0..4_u8).prop_map(Deed::Sleep),
        then.clone().prop_map(Deed::Lock),
        then.prop_map(Deed::Permit),
        Just(Deed::Notified),
        (0..3_u8).prop_map(Deed::Notify),
        Just(Deed::Meet),
        Just(Deed::Wait),
        Just(Deed::Set),
        (0..3_u8).prop_map(Deed::Hasten),
        Just(Deed::Both),
        (0..8_u8).prop_map(Deed::Cancel),
        (0..4_u8).prop_map(Deed::Create),
        Just(Deed::Raise),
    ]
}

async fn then(deed: Then) -> Result<()> {
    match deed {
        Then::Sleep(millis) => sleep(u32::from(millis) * MILLIS).await,
        Then::Return | Then::Keep => Ok(()),
    }
}

async fn act(world: World, script: Rc<Vec<Vec<Deed>>>, own: usize) -> Result<()> {
    for deed in script[own % script.len()].iter().copied() {
        match deed {
            Deed::Yield => sleep(Duration::ZERO).await?,
            Deed::Sleep(millis) => sleep(u32::from(millis) * MILLIS).await?,
            Deed::Lock(Then::Keep) => world.lock.acquire().await?,
            Deed::Lock(next) => {
                let _held = world.lock.enter().await?;
                then(next).await?;
            }
            Deed::Permit(Then::Keep) => world.pool.acquire().await?,
            Deed::Permit(next) => {
                let _held = world.pool.enter().await?;
                then(next).await?;
            }
            Deed::Notified => world.condition.enter().await?.wait().await?,
            Deed::Notify(n) => world.condition.enter().await?.notify(n.into())?,
            Deed::Meet => drop(world.barrier.wait().await?),
            Deed::Wait => world.event.wait().await?,
            Deed::Set => world.event.set(),
            Deed::Hasten(millis) => {
                let _ = wait_for(world.lock.acquire(), u32::from(millis) * MILLIS).await;
            }
            Deed::Both => {
                let (one, other) = futures::join!(world.event.wait(), sleep(MILLIS));
                one.and(other)?;
            }
            Deed::Cancel(number) => {
                let tasks = world.tasks.borrow().clone();
                tasks[usize::from(number) % tasks.len()].cancel();
            }
            Deed::Create(number) if world.left.get() > 0 => {
                world.left.set(world.left.get() - 1);
                let task = act(world.clone(), Rc::clone(&script), number.into());
                create_task(task.boxed_local());
            }
            Deed::Create(_) => {}
            Deed::Raise => return Err(Error::Value("<so>".into())),
        }
    }
    Ok(())
}

/// Any program of a few tasks that do everything to each other.
pub(crate) fn any_run() -> impl Strategy<Value = Timeline> {
    let script = prop::collection::vec(prop::collection::vec(deed(), 0..8), 1..6);
    script.prop_map(|script| {
        let script = Rc::new(script);
        timeline_of(async move {
            let world = World {
                lock: Lock::new(),
                pool: Semaphore::new(2),
                condition: Condition::new(),
                barrier: Barrier::new(2)?,
                event: Event::new(),
                tasks: Rc::default(),
                left: Rc::new(Cell::new(6)),
            };
            world.tasks.borrow_mut().extend(soloop::current_task());
            for own in 0..script.len() {
                let task = create_task(act(world.clone(), Rc::clone(&script), own));
                world.tasks.borrow_mut().push(task.handle());
            }
            sleep(20 * MILLIS).await
        })
    })
}

proptest! {
    #[test]
    fn whatever_was_run_can_be_drawn(timeline in any_run()) {
        let (lanes, story) = lanes_and_story(&timeline);
        for task in timeline.tasks() {
            prop_assert!(lanes.contains(timeline.name(task)), "{lanes}");
        }
        let mut events = timeline.events().iter();
        let returned = events.any(|event| matches!(event.kind, EventKind::Finished { .. }));
        prop_assert_eq!(returned, ["returns", "ends", "raises", "drops"].iter().any(|word| story.contains(word)));
        let svg = timeline.to_svg();
        prop_assert!(svg.len() < 30_000);
        prop_assert_eq!(&svg, &timeline.clone().to_svg());
    }
}
