//! Commands that need CPython: see `README.md`.

use crate::{
    cpython::CPython,
    generator,
    hosts::Host,
    interpreter::trace_under,
    program::Program,
    recording::{Recorded, Recording, side_by_side},
    shrink::shrink,
};
use std::{
    collections::BTreeMap,
    env,
    fmt::Write,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

const BATCH: u64 = 64;
/// How long no program may take.
const PATIENCE: Duration = Duration::from_secs(60);
fn number(name: &str, default: u64) -> u64 {
    env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

/// A program's trace under the host that is asked for.
fn trace(program: &Program) -> Vec<String> {
    let host = env::var("HOST").map_or(Host::Run, |name| Host::named(&name).expect("a host"));
    trace_under(host, program)
}

fn cpython(arguments: &[&str]) -> CPython {
    CPython::start(arguments).expect("PYTHON names a CPython 3.13, or python3.13 is installed")
}

/// What a worker tells: which seed it is about to run, or those of a batch that differ.
enum News {
    Running { worker: usize, seed: u64 },
    Compared { programs: u64, differing: Vec<u64> },
}

#[test]
#[ignore = "needs CPython 3.13"]
fn fresh_programs_print_the_same_lines_as_on_cpython() {
    let (programs, seed) = (number("PROGRAMS", 10_000), number("SEED", seconds()));
    let begun = Instant::now();
    let differing = compare(seed, programs);
    let rate = programs as f64 / begun.elapsed().as_secs_f64();
    println!("{programs} programs from SEED={seed}, {rate:.0} a second");
    let mut message = format!("{} of {programs} programs differ\n", differing.len());
    let mut judge = cpython(&[]);
    for seed in differing.iter().take(number("SHOWN", 3) as usize) {
        let differs = |batch: &[Program]| {
            let texts: Vec<String> = batch.iter().map(Program::to_string).collect();
            judge.send(&texts);
            let answers = texts.iter().map(|_| judge.trace()).collect::<Vec<_>>();
            let ours = batch.iter().map(trace);
            ours.zip(answers)
                .map(|(ours, theirs)| ours != theirs)
                .collect()
        };
        let smallest = shrink(generator::program(*seed), differs);
        let (ours, theirs) = (trace(&smallest), judge.run(&smallest.to_string()));
        let _ = writeln!(
            message,
            "\nSEED={seed} shrinks to\n{}",
            side_by_side(&smallest.to_string(), &ours, Some(&theirs))
        );
    }
    assert!(differing.is_empty(), "{message}");
}

/// Seconds since 1970: a seed nobody has seen.
fn seconds() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(0, |time| time.as_secs()) << 20
}

/// Runs the programs on both sides, one CPython a core; gives the seeds that differ.
fn compare(seed: u64, programs: u64) -> Vec<u64> {
    let next = Arc::new(AtomicU64::new(seed));
    let end = seed + programs;
    let (news, results) = mpsc::channel();
    let workers = thread::available_parallelism().map_or(1, usize::from);
    for worker in 0..workers {
        let (next, news) = (Arc::clone(&next), news.clone());
        thread::spawn(move || {
            let mut judge = cpython(&[]);
            loop {
                let first = next.fetch_add(BATCH, Ordering::Relaxed);
                if first >= end {
                    return;
                }
                let seeds = first..(first + BATCH).min(end);
                let batch: Vec<Program> = seeds.clone().map(generator::program).collect();
                judge.send(&batch.iter().map(Program::to_string).collect::<Vec<_>>());
                let mut ours = Vec::new();
                for (seed, program) in seeds.clone().zip(&batch) {
                    let _ = news.send(News::Running { worker, seed });
                    ours.push(trace(program));
                }
                let programs = seeds.end - seeds.start;
                let pairs = seeds.zip(ours);
                let differing = pairs.filter(|(_, ours)| judge.trace() != *ours);
                let differing = differing.map(|(seed, _)| seed).collect();
                let _ = news.send(News::Compared {
                    programs,
                    differing,
                });
            }
        });
    }
    drop(news);
    let (mut compared, mut differing) = (0, Vec::new());
    let mut running = BTreeMap::new();
    loop {
        match results.recv_timeout(PATIENCE) {
            Ok(News::Running { worker, seed }) => drop(running.insert(worker, seed)),
            Ok(News::Compared {
                programs: more,
                differing: seeds,
            }) => {
                compared += more;
                differing.extend(seeds);
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => break,
            Err(mpsc::RecvTimeoutError::Timeout) => {
                let running = running.values();
                let seeds =
                    running.map(|seed| format!("SEED={seed} {}", generator::program(*seed)));
                panic!("does not end: {}", seeds.collect::<Vec<_>>().join("\nor: "));
            }
        }
    }
    assert_eq!(compared, programs, "a worker failed");
    differing.sort_unstable();
    differing
}

#[test]
#[ignore = "needs CPython 3.13"]
fn a_program_side_by_side() {
    let wanted = env::var("PROGRAM").unwrap_or("1".into());
    let wanted = match wanted.parse::<usize>() {
        Ok(line) => Recording::load().programs[line - 1].program.clone(),
        Err(_) => wanted,
    };
    let program = Program::parse(&wanted).expect("a program");
    let ours = trace(&program);
    let theirs = CPython::start(&[]).ok().map(|mut judge| judge.run(&wanted));
    println!("{}", side_by_side(&wanted, &ours, theirs.as_deref()));
    assert_eq!(
        Some(ours),
        theirs,
        "soloop's trace is not CPython's, or there is no CPython"
    );
}

#[test]
#[ignore = "needs CPython 3.13"]
fn the_recording_is_what_cpython_prints() {
    if env::var_os("RECORD").is_some() {
        return Recording::make(&mut cpython(&["--situations"]), number("PROGRAMS", 100_000))
            .save();
    }
    let mut judge = cpython(&["--situations"]);
    let recording = Recording::load();
    for recorded in &recording.programs {
        let anew = Recorded::make(&recorded.program, &mut judge, &recording.names());
        assert_eq!(*recorded, anew, "RECORD=1 writes the recording anew");
    }
}
