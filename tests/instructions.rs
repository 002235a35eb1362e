//! What a turn with nothing to do costs, counted by callgrind, so that it can be promised:
//!
//! ```sh
//! cargo test --release --test instructions -- --ignored --nocapture
//! ```
#![forbid(unsafe_code)]

use soloop::{Event, EventLoop, sleep};
use std::{env, hint::black_box, process::Command, time::Duration};

/// Says, to this binary under callgrind, how often to turn which loop.
const TURN: &str = "SOLOOP_IDLE_TURNS";
const LOOPS: [&str; 3] = [
    "with a task that waits",
    "with a timer set",
    "with a hook set",
];
const MOST: f64 = 150.0;

/// A loop that has come to a stand, though a waker is out.
fn idle(which: &str) -> EventLoop {
    let mut event_loop = EventLoop::with_clock(|| Duration::ZERO);
    let task = event_loop.create_task(Event::new().wait());
    // Never given back, so that the loop waits for it.
    std::mem::forget(task.remote());
    if which == LOOPS[1] {
        event_loop.create_task(sleep(Duration::from_secs(1)));
    }
    if which == LOOPS[2] {
        event_loop.on_wake(|| {});
    }
    event_loop
}

/// All instructions of a process that takes so many turns.
fn instructions(which: &str, turns: u32) -> f64 {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(env::current_exe().expect("this binary is somewhere"))
        .args(["--ignored", "--exact", "an_idle_turn_is_cheap"])
        .env(TURN, format!("{turns} {which}"))
        .output()
        .expect("valgrind is installed");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let count = said
        .lines()
        .find_map(|line| line.split("Collected :").nth(1));
    count
        .and_then(|count| count.trim().parse().ok())
        .expect("callgrind tells its count")
}

#[test]
#[ignore = "needs valgrind, and `--release`"]
fn an_idle_turn_is_cheap() {
    if let Ok(turn) = env::var(TURN) {
        let (turns, which) = turn.split_once(' ').expect("a number and a loop");
        let mut event_loop = idle(which);
        for _ in 0..turns.parse().expect("a number") {
            let _turn = black_box(event_loop.turn());
        }
        return;
    }
    if cfg!(debug_assertions) {
        panic!("this wants `--release`");
    }
    // What the process costs besides is in both counts.
    let each = |which| (instructions(which, 300_000) - instructions(which, 100_000)) / 200_000.0;
    let costs = LOOPS.map(|which| (which, each(which)));
    println!("instructions of an idle turn: {costs:.0?}");
    assert!(costs.iter().all(|(_, cost)| *cost < MOST));
}
