//! What is counted rather than timed, each figure by child processes of their own: instructions under callgrind, allocations by the
//! binary that has a counting allocator.

use crate::{peer::Cell, profile};
use std::{
    env,
    process::Command,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

/// Instructions per operation: what the larger of two sizes takes more than the smaller, over as many operations.
pub fn per_operation(
    cells: &[Cell],
    (small, large): (usize, usize),
    jobs: usize,
) -> Vec<(Cell, f64)> {
    let next = AtomicUsize::new(0);
    let counts = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                while let Some(cell) = cells.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let tasks = cell.workload.tasks;
                    let more = run(cell, large, tasks) as f64 - run(cell, small, tasks) as f64;
                    let each = more / (large - small) as f64;
                    counts.lock().expect("no thread panics").push((*cell, each));
                }
            });
        }
    });
    counts.into_inner().expect("no thread panics")
}

/// All instructions of one run of a cell in a process of its own.
pub fn run(cell: &Cell, ops: usize, tasks: usize) -> u64 {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(env::current_exe().expect("this binary is somewhere"))
        .args(["--cell", cell.workload.id, cell.peer])
        .args([ops.to_string(), tasks.to_string()])
        .output()
        .expect("valgrind runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let count = said
        .lines()
        .find_map(|line| line.split("Collected :").nth(1));
    count
        .and_then(|count| count.trim().parse().ok())
        .expect("callgrind tells its count")
}

fn counting() -> Command {
    Command::new(profile::directory().join("allocations"))
}

fn numbers(command: &mut Command) -> Vec<f64> {
    let output = command.output().expect("the counting binary runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let said = String::from_utf8_lossy(&output.stdout);
    said.split_whitespace()
        .map(|word| word.parse().expect("a number"))
        .collect()
}

/// Bytes beyond the future's own, and allocations, of a task that stands still. The two sizes lie just below a power of two, where
/// whatever grows by doubling is full.
pub fn idle(peer: &str) -> [f64; 2] {
    let at = |tasks: usize| numbers(counting().args(["idle", peer, &tasks.to_string()]));
    let (small, large) = (at(16_000), at(32_000));
    let more = |field: usize| (large[field] - small[field]) / 16_000.0;
    [more(0) - small[2], more(1)]
}

/// Allocations per operation of a cell.
pub fn allocations(cell: &Cell) -> f64 {
    let at = |ops: usize| {
        numbers(counting().args(["run", cell.workload.id, cell.peer, &ops.to_string()]))[0]
    };
    (at(40_000) - at(20_000)) / 20_000.0
}
