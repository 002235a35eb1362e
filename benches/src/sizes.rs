//! How the cost of an operation grows with the number of tasks and of timers.

use crate::{
    instructions,
    peer::{Cell, Host, Size, Timers},
    peers::{self, FLOOR, SOLOOP, floor::FloorVirtual, soloop::SoloopVirtual, tokio::OnLocalSet},
    report::Report,
};
use std::{
    cell,
    future::{Future, poll_fn},
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

const TASKS: [usize; 5] = [10, 1_000, 10_000, 100_000, 1_000_000];
const WORKLOADS: [(&str, &str); 7] = [
    ("spawn", "spawn and join"),
    ("yield-10", "yield"),
    ("lock-handoff", "lock handoff"),
    ("broadcast", "event broadcast"),
    ("semaphore", "semaphore(10)"),
    ("barrier", "barrier"),
    ("sleeps-100k", "sleeps, virtual clock"),
];

fn head(first: &str) -> Report {
    let counts = TASKS.iter().map(|tasks| tasks.to_string());
    Report::new(
        [first.to_string()]
            .into_iter()
            .chain(counts)
            .chain(["most / least".to_string()]),
    )
}

fn row(title: String, values: &[f64]) -> Vec<String> {
    let numbers = values.iter().map(|value| format!("{value:.0}"));
    let most = values.iter().copied().fold(f64::MIN, f64::max);
    let least = values.iter().copied().fold(f64::MAX, f64::min);
    let mut cells: Vec<String> = [title].into_iter().chain(numbers).collect();
    cells.resize(TASKS.len() + 1, String::new());
    cells.push(format!("{:.1}×", most / least));
    cells
}

fn median(mut values: [f64; 3]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[1]
}

/// At least so many operations, and two for each task.
fn at_least(ops: usize, tasks: usize) -> Size {
    Size {
        ops: (ops / tasks).max(2) * tasks,
        tasks,
    }
}

fn nanoseconds(cell: &Cell, tasks: usize) -> f64 {
    let size = at_least(100_000, tasks);
    median([(); 3].map(|()| (cell.run)(size, ()).as_nanos() as f64 / size.ops as f64))
}

/// The million takes callgrind too long.
fn counted(cell: &Cell, tasks: usize) -> f64 {
    let small = at_least(10_000, tasks);
    let large = small.ops * 2;
    let run = |ops| instructions::run(cell, ops, tasks) as f64;
    (run(large) - run(small.ops)) / small.ops as f64
}

/// What shows how much of a growth is the caches': the floor keeps next to nothing of a task.
const PEERS: [&str; 3] = [SOLOOP, FLOOR, TOKIO];
const TOKIO: &str = "tokio LocalSet";

/// The main workloads by the number of tasks.
pub fn tasks(by_instructions: bool) -> Report {
    let cells = peers::cells();
    let unit = if by_instructions {
        "instructions"
    } else {
        "ns"
    };
    let mut report = head(&format!("{unit} per operation, by tasks"));
    let rows = WORKLOADS
        .into_iter()
        .flat_map(|row| PEERS.map(|peer| (row, peer)));
    for ((workload, title), peer) in rows {
        let cell = cells
            .find(workload, peer)
            .expect("these have all workloads");
        let values: Vec<f64> = if by_instructions {
            TASKS[..TASKS.len() - 1]
                .iter()
                .map(|tasks| counted(cell, *tasks))
                .collect()
        } else {
            TASKS
                .iter()
                .map(|tasks| nanoseconds(cell, *tasks))
                .collect()
        };
        report.row(row(format!("{title}: {peer}"), &values));
    }
    report.note("Ten tasks at a semaphore of ten need not wait.");
    report
}

/// Timers apart: made and polled; due and their task's step; dropped before they are due.
pub fn timers() -> Report {
    let mut report = head("ns per timer, by timers");
    apart::<SoloopVirtual>(SOLOOP, &mut report);
    apart::<OnLocalSet<true>>(TOKIO, &mut report);
    apart::<FloorVirtual>("floor (a heap, no removal)", &mut report);
    report.note("Virtual clock; deadlines of their own, in no order. One task holds all timers: at each expiry it is woken and looks at the one that is due last. Removal is in another order than insertion.");
    report
}

fn apart<V: Timers>(name: &str, report: &mut Report) {
    let all = TASKS.map(|count| {
        let runs = [(); 3].map(|()| insert_expire_remove::<V>(count));
        [0, 1, 2].map(|part| median(runs.map(|run| run[part].as_nanos() as f64 / count as f64)))
    });
    for (part, title) in ["insertion", "expiry", "removal"].into_iter().enumerate() {
        report.row(row(
            format!("{name}: {title}"),
            &all.map(|parts| parts[part]),
        ));
    }
}

/// A prime walks once through all places, in no order.
fn shuffled(place: usize, count: usize) -> usize {
    place * 7919 % count
}

type Sleeps<F> = Vec<Pin<Box<Option<F>>>>;

fn asleep<V: Timers>(count: usize) -> Sleeps<impl Future<Output = ()> + 'static> {
    let delay = |place| Duration::from_millis(shuffled(place, count) as u64 + 1);
    (0..count)
        .map(|place| Box::pin(Some(V::sleep(delay(place)))))
        .collect()
}

fn poll<F: Future<Output = ()>>(sleep: &mut Pin<Box<Option<F>>>, cx: &mut Context<'_>) -> Poll<()> {
    sleep
        .as_mut()
        .as_pin_mut()
        .expect("not dropped yet")
        .poll(cx)
}

/// As often as makes ten thousand timers.
fn insert_expire_remove<V: Timers>(count: usize) -> [Duration; 3] {
    let times = (10_000 / count).max(1);
    let total = Rc::new(cell::Cell::new([Duration::ZERO; 3]));
    let sum = total.clone();
    <V as Host>::run(async move {
        V::spawn(async move {
            for _ in 0..times {
                let took = once::<V>(count).await;
                let sums = sum.get();
                sum.set([0, 1, 2].map(|part| sums[part] + took[part]));
            }
        })
        .await;
    });
    total.get().map(|part| part / times as u32)
}

async fn once<V: Timers>(count: usize) -> [Duration; 3] {
    let mut sleeps = asleep::<V>(count);
    let start = Instant::now();
    poll_all(&mut sleeps).await;
    let inserted = start.elapsed();

    let last = (0..count).find(|place| shuffled(*place, count) == count - 1);
    let last = last.expect("one is the last");
    let start = Instant::now();
    poll_fn(|cx| poll(&mut sleeps[last], cx)).await;
    let expired = start.elapsed();

    let mut sleeps = asleep::<V>(count);
    poll_all(&mut sleeps).await;
    let start = Instant::now();
    for place in 0..count {
        sleeps[shuffled(place, count)].set(None);
    }
    [inserted, expired, start.elapsed()]
}

async fn poll_all<F: Future<Output = ()>>(sleeps: &mut Sleeps<F>) {
    poll_fn(|cx| {
        for sleep in &mut *sleeps {
            assert!(poll(sleep, cx).is_pending());
        }
        Poll::Ready(())
    })
    .await;
}
