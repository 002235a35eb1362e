//! The workloads: each a constant that describes it and the program that every peer runs.
//!
//! All work is done by spawned tasks; main spawns and joins them. An *operation* is what the title says, with its share of that.

use crate::peer::{Barrier, Condition, Event, Host, Lock, Log, Semaphore, Size, Timers};
use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    future::{self, Future},
    hint::black_box,
    marker::PhantomData,
    pin::pin,
    rc::Rc,
    task::Poll,
    time::{Duration, Instant},
};

pub struct Workload {
    pub id: &'static str,
    pub title: &'static str,
    /// What one operation is.
    pub op: &'static str,
    pub tasks: usize,
    /// The operations of one timed run.
    pub ops: usize,
    /// The two sizes whose difference callgrind is asked for, or none where that would take too long.
    pub counted: Option<(usize, usize)>,
    /// Whether a log is that of FIFO turns.
    pub in_order: fn(&[usize], Size) -> bool,
}

impl Workload {
    pub fn size(&self) -> Size {
        Size {
            ops: self.ops,
            tasks: self.tasks,
        }
    }

    /// Big enough for several rounds, no bigger.
    pub fn order_size(&self) -> Size {
        Size {
            ops: self.ops.min(self.tasks.max(100) * 5),
            tasks: self.tasks,
        }
    }
}

pub const WORKLOADS: &[&Workload] = &[
    &SPAWN_AND_JOIN,
    &YIELD_1,
    &YIELD_10,
    &YIELD_1000,
    &LOCK_FREE,
    &LOCK_HANDOFF,
    &PING_PONG,
    &BROADCAST,
    &SEMAPHORE,
    &CONDITION_QUEUE,
    &BARRIER,
    &BARRIER_DOORLESS,
    &SLEEPS_100K,
    &SLEEPS_1M,
    &SLEEPS_REAL,
    &TIMEOUT_READY,
    &TIMEOUT_YIELD,
    &TIMEOUT_WAIT,
    &TIMER_DROPPED,
];

/// Runs `body` as main and tells how long it took.
fn timed<H: Host>(body: impl Future<Output = ()> + 'static) -> Duration {
    let took = Rc::new(Cell::new(Duration::ZERO));
    let result = took.clone();
    H::run(async move {
        let start = Instant::now();
        body.await;
        result.set(start.elapsed());
    });
    took.get()
}

/// Spawns tasks 0, 1, 2 … and joins them.
async fn crew<H: Host, F: Future<Output = ()> + 'static>(tasks: usize, task: impl Fn(usize) -> F) {
    let handles: Vec<_> = (0..tasks).map(|number| H::spawn(task(number))).collect();
    for handle in handles {
        handle.await;
    }
}

/// Task 0, 1, 2 … and again.
fn round_robin(turns: &[usize], size: Size) -> bool {
    turns.len() == size.rounds() * size.tasks
        && turns
            .iter()
            .enumerate()
            .all(|(at, &task)| task == at % size.tasks)
}

/// There is one task, or the order depends on the clock.
fn any(_: &[usize], _: Size) -> bool {
    true
}

pub static SPAWN_AND_JOIN: Workload = Workload {
    id: "spawn",
    title: "spawn and join",
    op: "a task, made, run and joined; 1,000 at once",
    tasks: 1000,
    ops: 100_000,
    counted: Some((10_000, 20_000)),
    in_order: round_robin,
};

pub fn spawn_and_join<H: Host, G: Log>(size: Size, log: G) -> Duration {
    timed::<H>(async move {
        for _ in 0..size.rounds() {
            crew::<H, _>(size.tasks, |task| {
                let log = log.clone();
                async move { log.turn(black_box(task)) }
            })
            .await;
        }
    })
}

const YIELD: Workload = Workload {
    id: "yield-10",
    title: "yield, 10 tasks",
    op: "a yield",
    tasks: 10,
    ops: 200_000,
    counted: Some((50_000, 100_000)),
    in_order: round_robin,
};
pub static YIELD_1: Workload = Workload {
    id: "yield-1",
    title: "yield, 1 task",
    tasks: 1,
    ..YIELD
};
pub static YIELD_10: Workload = YIELD;
pub static YIELD_1000: Workload = Workload {
    id: "yield-1000",
    title: "yield, 1,000 tasks",
    tasks: 1000,
    ..YIELD
};

pub fn yields<H: Host, G: Log>(size: Size, log: G) -> Duration {
    timed::<H>(async move {
        crew::<H, _>(size.tasks, |task| {
            let log = log.clone();
            async move {
                for _ in 0..size.rounds() {
                    log.turn(task);
                    H::yield_now().await;
                }
            }
        })
        .await;
    })
}

pub static LOCK_FREE: Workload = Workload {
    id: "lock-free",
    title: "lock, uncontended",
    op: "an acquire and a release",
    tasks: 1,
    ops: 500_000,
    counted: Some((50_000, 100_000)),
    in_order: any,
};

pub fn lock_free<H: Host, L: Lock, G: Log>(size: Size, _: G) -> Duration {
    timed::<H>(async move {
        crew::<H, _>(1, |_| async move {
            let lock = L::new();
            for _ in 0..size.ops {
                drop(black_box(&lock).enter().await);
            }
        })
        .await;
    })
}

pub static LOCK_HANDOFF: Workload = Workload {
    id: "lock-handoff",
    title: "lock handoff, 100 tasks",
    op: "an acquire, a yield and a release",
    tasks: 100,
    ops: 50_000,
    counted: Some((20_000, 40_000)),
    in_order: round_robin,
};

pub fn lock_handoff<H: Host, L: Lock, G: Log>(size: Size, log: G) -> Duration {
    timed::<H>(async move {
        let lock = L::new();
        crew::<H, _>(size.tasks, |task| {
            let (lock, log) = (lock.clone(), log.clone());
            async move {
                for _ in 0..size.rounds() {
                    let held = lock.enter().await;
                    log.turn(task);
                    H::yield_now().await;
                    drop(held);
                }
            }
        })
        .await;
    })
}

pub static PING_PONG: Workload = Workload {
    id: "ping-pong",
    title: "event ping-pong",
    op: "there and back: two sets, two waits, two clears",
    tasks: 2,
    ops: 50_000,
    counted: Some((20_000, 40_000)),
    in_order: |turns, size| {
        turns.len() == 2 * size.ops && turns.iter().enumerate().all(|(at, &task)| task == at % 2)
    },
};

pub fn ping_pong<H: Host, E: Event, G: Log>(size: Size, log: G) -> Duration {
    timed::<H>(async move {
        let (ping, pong) = (E::new(), E::new());
        ping.set();
        crew::<H, _>(2, |task| {
            let log = log.clone();
            let (mine, other) = if task == 0 {
                (&ping, &pong)
            } else {
                (&pong, &ping)
            };
            let (mine, other) = (mine.clone(), other.clone());
            async move {
                for _ in 0..size.ops {
                    mine.wait().await;
                    mine.clear();
                    log.turn(task);
                    other.set();
                }
            }
        })
        .await;
    })
}

pub static BROADCAST: Workload = Workload {
    id: "broadcast",
    title: "event broadcast to 10,000",
    op: "a task made, stopped at the event, woken and joined",
    tasks: 10_000,
    ops: 100_000,
    counted: Some((20_000, 40_000)),
    in_order: round_robin,
};

pub fn broadcast<H: Host, E: Event, G: Log>(size: Size, log: G) -> Duration {
    timed::<H>(async move {
        let event = E::new();
        let waiting = Rc::new(Cell::new(0));
        for _ in 0..size.rounds() {
            let handles: Vec<_> = (0..size.tasks)
                .map(|task| {
                    let (event, log, waiting) = (event.clone(), log.clone(), waiting.clone());
                    H::spawn(async move {
                        waiting.set(waiting.get() + 1);
                        event.wait().await;
                        log.turn(task);
                    })
                })
                .collect();
            while waiting.get() < size.tasks {
                H::yield_now().await;
            }
            waiting.set(0);
            event.set();
            for handle in handles {
                handle.await;
            }
            event.clear();
        }
    })
}

pub static SEMAPHORE: Workload = Workload {
    id: "semaphore",
    title: "semaphore(10), 1,000 tasks",
    op: "an acquire, a yield and a release",
    tasks: 1000,
    ops: 50_000,
    counted: Some((20_000, 40_000)),
    in_order: round_robin,
};

pub fn semaphore<H: Host, S: Semaphore, G: Log>(size: Size, log: G) -> Duration {
    timed::<H>(async move {
        let semaphore = S::new(10);
        crew::<H, _>(size.tasks, |task| {
            let (semaphore, log) = (semaphore.clone(), log.clone());
            async move {
                for _ in 0..size.rounds() {
                    let held = semaphore.enter().await;
                    log.turn(task);
                    H::yield_now().await;
                    drop(held);
                }
            }
        })
        .await;
    })
}

/// The most that the condition's queue holds.
const CAPACITY: usize = 10;

pub static CONDITION_QUEUE: Workload = Workload {
    id: "condition",
    title: "condition queue of 10",
    op: "an item through a bounded queue: two acquires and releases, and the waits of a full or empty queue",
    tasks: 2,
    ops: 50_000,
    counted: Some((20_000, 40_000)),
    in_order: |items, size| items.len() == size.ops && items.is_sorted(),
};

pub fn condition_queue<H: Host, C: Condition, G: Log>(size: Size, log: G) -> Duration {
    timed::<H>(async move {
        let changed = C::new();
        let queue = Rc::new(RefCell::new(VecDeque::new()));
        let producer = {
            let (changed, queue) = (changed.clone(), queue.clone());
            async move {
                for item in 0..size.ops {
                    let mut held = changed.enter().await;
                    while queue.borrow().len() == CAPACITY {
                        held = changed.wait(held).await;
                    }
                    queue.borrow_mut().push_back(item);
                    changed.notify(&held);
                }
            }
        };
        let consumer = async move {
            for _ in 0..size.ops {
                let mut held = changed.enter().await;
                while queue.borrow().is_empty() {
                    held = changed.wait(held).await;
                }
                let item = queue.borrow_mut().pop_front();
                log.turn(item.expect("an item was waited for"));
                changed.notify(&held);
            }
        };
        let (producer, consumer) = (H::spawn(producer), H::spawn(consumer));
        producer.await;
        consumer.await;
    })
}

const PARTIES: Workload = Workload {
    id: "barrier",
    title: "barrier, 100 parties",
    op: "one party's wait",
    tasks: 100,
    ops: 50_000,
    counted: Some((20_000, 40_000)),
    in_order: around,
};
pub static BARRIER: Workload = PARTIES;
/// What asyncio's own barrier costs, the difference of the two rows: there a party that comes again before the last has left waits
/// outside until then, and once more inside.
pub static BARRIER_DOORLESS: Workload = Workload {
    id: "barrier-doorless",
    title: "the same, without the wait outside while it drains",
    ..PARTIES
};

pub fn barrier<H: Host, B: Barrier, G: Log>(size: Size, log: G) -> Duration {
    timed::<H>(async move {
        let barrier = B::new(size.tasks);
        crew::<H, _>(size.tasks, |task| {
            let (barrier, log) = (barrier.clone(), log.clone());
            async move {
                for _ in 0..size.rounds() {
                    barrier.wait().await;
                    log.turn(task);
                }
            }
        })
        .await;
    })
}

/// Whoever comes last need not wait, and whoever leaves last may be the first to come again; so in FIFO order each round is
/// that of the tasks' numbers, from some task on and around.
fn around(turns: &[usize], size: Size) -> bool {
    turns.len() == size.rounds() * size.tasks
        && turns.chunks(size.tasks).all(|round| {
            round
                .iter()
                .enumerate()
                .all(|(at, task)| *task == (round[0] + at) % size.tasks)
        })
}

pub static SLEEPS_100K: Workload = Workload {
    id: "sleeps-100k",
    title: "100,000 sleeps, virtual clock",
    op: "a task made, asleep until a deadline of its own, and joined",
    tasks: 100_000,
    ops: 100_000,
    counted: Some((100_000, 200_000)),
    in_order: by_deadline,
};
pub static SLEEPS_1M: Workload = Workload {
    id: "sleeps-1m",
    title: "1,000,000 sleeps, virtual clock",
    op: SLEEPS_100K.op,
    tasks: 1_000_000,
    ops: 1_000_000,
    counted: None,
    in_order: by_deadline,
};

/// Whole milliseconds, no two the same, in no order: a prime walks once through all of them.
fn deadline(task: usize, tasks: usize) -> usize {
    task * 7919 % tasks + 1
}

fn by_deadline(turns: &[usize], size: Size) -> bool {
    turns.len() == size.rounds() * size.tasks
        && turns.chunks(size.tasks).all(|round| {
            round
                .iter()
                .map(|task| deadline(*task, size.tasks))
                .eq(1..=size.tasks)
        })
}

pub fn sleeps<V: Timers, G: Log>(size: Size, log: G) -> Duration {
    timed::<V>(async move {
        for _ in 0..size.rounds() {
            crew::<V, _>(size.tasks, |task| {
                let log = log.clone();
                let delay = Duration::from_millis(deadline(task, size.tasks) as u64);
                async move {
                    V::sleep(delay).await;
                    log.turn(task);
                }
            })
            .await;
        }
    })
}

pub static SLEEPS_REAL: Workload = Workload {
    id: "sleeps-real",
    title: "100,000 sleeps, real clock",
    op: "as above, with delays up to 10 ms",
    tasks: 100_000,
    ops: 100_000,
    counted: Some((100_000, 200_000)),
    in_order: any,
};

pub fn sleeps_real<H: Timers, G: Log>(size: Size, log: G) -> Duration {
    timed::<H>(async move {
        for _ in 0..size.rounds() {
            crew::<H, _>(size.tasks, |task| {
                let log = log.clone();
                let share = deadline(task, size.tasks) as f64 / size.tasks as f64;
                let delay = Duration::from_millis(10).mul_f64(share);
                async move {
                    H::sleep(delay).await;
                    log.turn(task);
                }
            })
            .await;
        }
    })
}

const TIMER: Workload = Workload {
    id: "timeout-ready",
    title: "timeout, ready at once",
    op: "a timeout around what does not wait",
    tasks: 1,
    ops: 200_000,
    counted: Some((50_000, 100_000)),
    in_order: any,
};
const LONG: Duration = Duration::from_secs(60);

pub static TIMEOUT_READY: Workload = TIMER;

pub fn timeout_ready<H: Timers, G: Log>(size: Size, _: G) -> Duration {
    timed::<H>(async move {
        crew::<H, _>(1, |_| async move {
            for _ in 0..size.ops {
                H::timeout(black_box(LONG), future::ready(())).await;
            }
        })
        .await;
    })
}

pub static TIMEOUT_YIELD: Workload = Workload {
    id: "timeout-yield",
    title: "timeout over a yield",
    op: "a timeout around one yield",
    ..TIMER
};

pub fn timeout_yield<H: Timers, G: Log>(size: Size, _: G) -> Duration {
    timed::<H>(async move {
        crew::<H, _>(1, |_| async move {
            for _ in 0..size.ops {
                H::timeout(black_box(LONG), H::yield_now()).await;
            }
        })
        .await;
    })
}

pub static TIMEOUT_WAIT: Workload = Workload {
    id: "timeout-wait",
    title: "timeouts over event waits",
    op: "there and back, as in the event ping-pong, with a timeout around each wait",
    ..PING_PONG
};

/// An event, each wait for which has a timeout around.
pub struct Timed<H, E>(E, PhantomData<H>);

impl<H, E: Clone> Clone for Timed<H, E> {
    fn clone(&self) -> Self {
        Self(self.0.clone(), PhantomData)
    }
}

impl<H: Timers + 'static, E: Event> Event for Timed<H, E> {
    fn new() -> Self {
        Self(E::new(), PhantomData)
    }

    fn set(&self) {
        self.0.set();
    }

    fn clear(&self) {
        self.0.clear();
    }

    fn wait(&self) -> impl Future<Output = ()> {
        H::timeout(black_box(LONG), self.0.wait())
    }
}

pub static TIMER_DROPPED: Workload = Workload {
    id: "timer-dropped",
    title: "timer made, polled, dropped",
    op: "a sleep, polled once and dropped",
    ..TIMER
};

pub fn timer_dropped<H: Timers, G: Log>(size: Size, _: G) -> Duration {
    timed::<H>(async move {
        crew::<H, _>(1, |_| async move {
            for _ in 0..size.ops {
                future::poll_fn(|cx| {
                    assert!(pin!(H::sleep(black_box(LONG))).poll(cx).is_pending());
                    Poll::Ready(())
                })
                .await;
            }
        })
        .await;
    })
}

/// Tasks that stand still for ever. `mark` is told the bytes of one's future, before they are made and when all of them have run.
pub fn idle<H: Host>(tasks: usize, mark: fn(usize)) {
    let standing = Rc::new(Cell::new(0));
    let task = {
        let standing = standing.clone();
        move || {
            let standing = standing.clone();
            async move {
                standing.set(standing.get() + 1);
                future::pending().await
            }
        }
    };
    let bytes = size_of_val(&task());
    H::run(async move {
        let mut handles = Vec::with_capacity(tasks);
        mark(bytes);
        for _ in 0..tasks {
            handles.push(H::spawn(task()));
        }
        H::spawn(async {}).await;
        assert_eq!(standing.get(), tasks);
        mark(bytes);
    });
}
