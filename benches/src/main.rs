//! The benchmark's command: see `--help`.
#![forbid(unsafe_code)]

use soloop_benches::{
    explorer, footprint::footprint, lateness::lateness, peer::Size, peers, sizes, table,
};
use std::{env, io, process};

const HELP: &str = "\
cargo run --release [-- OPTIONS]             every workload on every peer, one table
cargo run --release -- sizes [OPTIONS]       from 10 to 1,000,000 tasks; timers apart
cargo run --release -- lateness [--write]    sleeps on the real clock
cargo run --release -- footprint [--write]   the Event example's size, the crate's time to compile
cargo run --release -- explorer [--write]    searches through the orders of a program, next to shuttle's
cargo run --release -- --cell WORKLOAD PEER OPS [TASKS]   one run of one cell, for a profiler

  --write           puts the table into docs/performance.md
  --instructions    counts instructions under callgrind in place of time
  --rounds N        runs of each cell (9)
  --jobs N          processes at once under callgrind (1)
  --only PREFIX     workloads whose id begins so
  --python PATH     for asyncio and uvloop (python3); empty: without them

With `--profile lto` in place of `--release` nobody depends on what is marked for inlining.";

fn main() -> io::Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let mut words = arguments.iter().map(String::as_str);
    let mut command = "table";
    let mut write = false;
    let mut options = table::Options {
        instructions: false,
        rounds: 9,
        jobs: 1,
        only: String::new(),
        python: "python3".to_string(),
    };
    while let Some(word) = words.next() {
        match word {
            "--cell" => return cell(&words.collect::<Vec<_>>()),
            "--write" => write = true,
            "--instructions" => options.instructions = true,
            "--rounds" => options.rounds = count(words.next()),
            "--jobs" => options.jobs = count(words.next()),
            "--only" => options.only = words.next().unwrap_or_else(|| usage()).to_string(),
            "--python" => options.python = words.next().unwrap_or_else(|| usage()).to_string(),
            "sizes" | "lateness" | "footprint" | "explorer" => command = word,
            _ => usage(),
        }
    }
    match (command, options.instructions) {
        ("sizes", true) => sizes::tasks(true).finish("sizes in instructions", write),
        ("sizes", false) => {
            sizes::tasks(false).finish("sizes", write)?;
            sizes::timers().finish("timers", write)
        }
        ("lateness", _) => lateness().finish("lateness", write),
        ("explorer", _) => explorer::explorer(options.rounds).finish("explorer", write),
        ("footprint", _) => footprint().finish("footprint", write),
        (_, true) => table::table(&options).finish("instructions", write),
        (_, false) => table::table(&options).finish("time", write),
    }
}

fn usage() -> ! {
    eprintln!("{HELP}");
    process::exit(2)
}

fn count(word: Option<&str>) -> usize {
    word.and_then(|word| word.parse().ok())
        .unwrap_or_else(|| usage())
}

fn cell(words: &[&str]) -> io::Result<()> {
    let [workload, peer, ops, tasks @ ..] = words else {
        usage()
    };
    let cells = peers::cells();
    let cell = cells.find(workload, peer).unwrap_or_else(|| usage());
    let tasks = tasks
        .first()
        .map_or(cell.workload.tasks, |word| count(Some(word)));
    let took = (cell.run)(
        Size {
            ops: count(Some(ops)),
            tasks,
        },
        (),
    );
    println!("{took:?}");
    Ok(())
}
