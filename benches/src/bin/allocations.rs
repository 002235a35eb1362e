//! Counts allocations, for the table: `idle PEER TASKS` prints bytes, allocations and the bytes of one future; `run WORKLOAD PEER OPS`
//! prints how many allocations the run made.
#![forbid(unsafe_code)]

use soloop_benches::{peer::Size, peers};
use stats_alloc::{INSTRUMENTED_SYSTEM, Stats, StatsAlloc};
use std::{alloc::System, env, process, sync::OnceLock};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

static BEFORE: OnceLock<Stats> = OnceLock::new();

/// The second call ends the program: not every executor survives the drop of tasks that stand still.
fn mark(future: usize) {
    let now = ALLOCATOR.stats();
    if let Err(now) = BEFORE.set(now) {
        let more = now - *BEFORE.get().expect("it was set before");
        let bytes = more.bytes_allocated - more.bytes_deallocated;
        println!("{bytes} {} {future}", more.allocations - more.deallocations);
        process::exit(0);
    }
}

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let cells = peers::cells();
    match arguments[..] {
        ["idle", peer, tasks] => {
            let idle = cells
                .idle
                .iter()
                .find(|idle| idle.peer == peer)
                .expect("a peer with tasks");
            (idle.run)(tasks.parse().expect("a number"), mark);
        }
        ["run", workload, peer, ops] => {
            let cell = cells.find(workload, peer).expect("a cell");
            let ops = ops.parse().expect("a number");
            let before = ALLOCATOR.stats();
            (cell.run)(
                Size {
                    ops,
                    tasks: cell.workload.tasks,
                },
                (),
            );
            println!("{}", (ALLOCATOR.stats() - before).allocations);
        }
        _ => panic!("idle PEER TASKS | run WORKLOAD PEER OPS"),
    }
}
