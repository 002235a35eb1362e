//! How late a sleep on the real clock wakes, and what waiting costs.

use crate::{
    peer::Timers,
    peers::{soloop::Soloop, tokio::OnLocalSet},
    report::Report,
};
use std::{
    cell::RefCell,
    fs,
    rc::Rc,
    time::{Duration, Instant},
};

const DELAYS: [u64; 6] = [50, 100, 500, 1_000, 5_000, 10_000];
const SLEEPS: usize = 200;

pub fn lateness() -> Report {
    let mut report = Report::new([
        "sleep of",
        "soloop, median late",
        "99 of 100",
        "tokio LocalSet, median late",
        "99 of 100",
    ]);
    for delay in DELAYS.map(Duration::from_micros) {
        let (ours, tokios) = (late::<Soloop>(delay), late::<OnLocalSet<false>>(delay));
        let figures = [ours, tokios].into_iter().flat_map(|late| {
            [SLEEPS / 2, SLEEPS * 99 / 100].map(|at| format!("{} µs", late[at].as_micros()))
        });
        report.row(
            [format!("{} µs", delay.as_micros())]
                .into_iter()
                .chain(figures),
        );
    }
    if let (Some(ours), Some(tokios)) = (busy::<Soloop>(), busy::<OnLocalSet<false>>()) {
        report.note(format!(
            "In a sleep of one second soloop is on the processor for {} µs, tokio for {} µs.",
            ours.as_micros(),
            tokios.as_micros()
        ));
    }
    report
}

/// How much later than asked for, in order.
fn late<H: Timers>(delay: Duration) -> Vec<Duration> {
    let result = Rc::new(RefCell::new(Vec::new()));
    let all = result.clone();
    H::run(async move {
        for _ in 0..SLEEPS {
            let start = Instant::now();
            H::sleep(delay).await;
            let late = start
                .elapsed()
                .checked_sub(delay)
                .expect("no sleep is too short");
            all.borrow_mut().push(late);
        }
    });
    let mut late = result.take();
    late.sort();
    late
}

/// The time on the processor of this thread during a sleep, where the kernel tells it.
fn busy<H: Timers>() -> Option<Duration> {
    let result = Rc::new(RefCell::new(None));
    let took = result.clone();
    H::run(async move {
        let before = on_processor();
        H::sleep(Duration::from_secs(1)).await;
        *took.borrow_mut() = on_processor().and_then(|after| after.checked_sub(before?));
    });
    result.take()
}

fn on_processor() -> Option<Duration> {
    let told = fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    told.split(' ')
        .next()?
        .parse()
        .ok()
        .map(Duration::from_nanos)
}
