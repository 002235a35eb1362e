//! How many runs a second a search makes: soloop's explorer beside shuttle's depth-first one, on the same bodies.
//!
//! Both see every order that there is, by their own idea of what can be reordered: shuttle also switches where a task begins
//! and ends to wait, so it has more of them, and a run of it need not have as many steps. What is compared is the time of a run
//! of the same body.

use crate::report::Report;
use shuttle::{
    Config, Runner,
    future::{
        self,
        batch_semaphore::{BatchSemaphore, Fairness},
    },
    scheduler::DfsScheduler,
};
use soloop::{Lock, Result, Semaphore, create_task, sleep, testing::Explorer};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// A search takes at least as long, in as many searches of the same body as it needs.
const LONG: Duration = Duration::from_millis(200);

/// A search: how many runs it made.
type Search = fn() -> u64;

/// Each body in both, and how many runs a search makes at most.
const BODIES: [(&str, Search, Search); 3] = [
    (
        "three tasks, eight steps in all",
        yielding::soloop,
        yielding::shuttle,
    ),
    ("three tasks, one lock", locking::soloop, locking::shuttle),
    (
        "four tasks, a semaphore of two",
        permits::soloop,
        permits::shuttle,
    ),
];

/// Where there are more orders than anybody waits for.
const MOST_RUNS: u64 = 100_000;

/// Runs a second, medians over some rounds of both searches in turn.
pub fn explorer(rounds: usize) -> Report {
    let mut report = Report::new([
        "runs a second",
        "soloop",
        "shuttle",
        "ratio",
        "runs of a search",
    ]);
    for (title, soloop, shuttle) in BODIES {
        let mut speeds = [(); 3].map(|()| Vec::new());
        let mut runs = [0; 2];
        for _ in 0..rounds {
            let ours = speed(soloop, &mut runs[0]);
            let theirs = speed(shuttle, &mut runs[1]);
            for (speeds, speed) in speeds.iter_mut().zip([ours, theirs, ours / theirs]) {
                speeds.push(speed);
            }
        }
        let [ours, theirs, ratio] = speeds.map(median);
        let [our_runs, their_runs] = runs;
        report.row([
            title.to_string(),
            format!("{ours:.0}"),
            format!("{theirs:.0}"),
            format!("{ratio:.1}"),
            format!("{our_runs} / {their_runs}"),
        ]);
        eprintln!("{title}");
    }
    report.note(format!(
        "Medians of {rounds} rounds, each of both in turn. A search sees every order, or the first {MOST_RUNS}."
    ));
    report
}

/// Runs a second of a search, over as many searches as take long enough.
fn speed(search: Search, runs: &mut u64) -> f64 {
    let begun = Instant::now();
    let mut all = 0;
    while begun.elapsed() < LONG {
        *runs = search();
        all += *runs;
    }
    all as f64 / begun.elapsed().as_secs_f64()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn ours() -> Explorer {
    Explorer::new().reorder(u32::MAX).max_runs(MOST_RUNS)
}

fn theirs(body: impl Fn() + Send + Sync + 'static) -> u64 {
    let scheduler = DfsScheduler::new(Some(MOST_RUNS as usize), false);
    let mut config = Config::new();
    config.silence_warnings = true;
    Runner::new(scheduler, config).run(body) as u64
}

/// Tasks that do nothing but yield.
mod yielding {
    use super::*;

    const STEPS: [usize; 3] = [3, 3, 2];

    pub fn soloop() -> u64 {
        let report = ours().explore(|_| async {
            let tasks = STEPS.map(|steps| {
                create_task(async move {
                    for _ in 1..steps {
                        sleep(Duration::ZERO).await?;
                    }
                    Ok(())
                })
            });
            for task in tasks {
                task.await?;
            }
            Ok(())
        });
        assert!(report.failure.is_none());
        report.runs
    }

    pub fn shuttle() -> u64 {
        theirs(|| {
            future::block_on(async {
                let tasks = STEPS.map(|steps| {
                    future::spawn(async move {
                        for _ in 1..steps {
                            future::yield_now().await;
                        }
                    })
                });
                for task in tasks {
                    task.await.expect("it ends well");
                }
            });
        })
    }
}

/// Tasks that yield while they hold a lock.
mod locking {
    use super::*;

    async fn user(lock: Lock) -> Result<()> {
        let _held = lock.enter().await?;
        sleep(Duration::ZERO).await
    }

    pub fn soloop() -> u64 {
        let report = ours().explore(|_| async {
            let lock = Lock::new();
            let tasks = [(); 3].map(|()| create_task(user(lock.clone())));
            for task in tasks {
                task.await?;
            }
            Ok(())
        });
        assert!(report.failure.is_none());
        report.runs
    }

    pub fn shuttle() -> u64 {
        theirs(|| holding(3, 1))
    }

    /// Tasks that hold a permit each while they yield.
    pub fn holding(tasks: usize, permits: usize) {
        future::block_on(async {
            let desks = Arc::new(BatchSemaphore::new(permits, Fairness::StrictlyFair));
            let tasks: Vec<_> = (0..tasks)
                .map(|_| {
                    let desks = Arc::clone(&desks);
                    future::spawn(async move {
                        desks.acquire(1).await.expect("it is open");
                        future::yield_now().await;
                        desks.release(1);
                    })
                })
                .collect();
            for task in tasks {
                task.await.expect("it ends well");
            }
        });
    }
}

/// Tasks that yield while they hold one of two permits.
mod permits {
    use super::*;

    async fn user(desks: Semaphore) -> Result<()> {
        let _permit = desks.enter().await?;
        sleep(Duration::ZERO).await
    }

    pub fn soloop() -> u64 {
        let report = ours().explore(|_| async {
            let desks = Semaphore::new(2);
            let tasks = [(); 4].map(|()| create_task(user(desks.clone())));
            for task in tasks {
                task.await?;
            }
            Ok(())
        });
        assert!(report.failure.is_none());
        report.runs
    }

    pub fn shuttle() -> u64 {
        theirs(|| locking::holding(4, 2))
    }
}
