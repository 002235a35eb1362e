//! What CPython printed, kept so that it can be compared where there is no CPython.
//!
//! `recorded.txt` has a program a line, after the digest of its trace and the situations it goes
//! through (in hexadecimal, one bit a row of the table). `situations.md` has that table, and for each
//! situation the smallest program that shows it with its whole trace.

use crate::{
    cpython::CPython,
    generator,
    hosts::{EXECUTORS, Host},
    interpreter,
    program::Program,
    shrink::shrink,
};
use std::{collections::BTreeMap, fmt::Write, fs, mem, thread};

const PROGRAMS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/asyncio/recorded.txt");
const SITUATIONS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/asyncio/situations.md");
const HEAD: &str = "# The situations the recorded programs go through

`situations.py` says how each is recognised. How many of the recorded programs go through it:

| programs | situation |
|---:|---|
";
const MIDDLE: &str = "
Below, for each, the smallest program that was found to show it, and what CPython prints for it.
";

/// Programs sent at once.
const BATCH: u64 = 64;
/// Programs in a recording, at the least.
const ENOUGH: usize = 3_400;
/// Programs for each situation, where so many were found.
const EACH: usize = 40;

pub(crate) struct Recording {
    pub(crate) situations: Vec<Situation>,
    pub(crate) programs: Vec<Recorded>,
}

pub(crate) struct Situation {
    name: String,
    programs: usize,
    smallest: String,
    trace: Vec<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Recorded {
    digest: u64,
    situations: u128,
    pub(crate) program: String,
}

impl Recording {
    pub(crate) fn load() -> Self {
        let programs = fs::read_to_string(PROGRAMS).expect("recorded.txt");
        let situations = fs::read_to_string(SITUATIONS).expect("situations.md");
        let mut parts = situations.split("\n## ");
        let table = parts.next().expect("the table comes first");
        let counts = table.lines().filter_map(|row| {
            let (count, _) = row.strip_prefix("| ")?.split_once(" | ")?;
            count.parse().ok()
        });
        Self {
            situations: counts.zip(parts).map(Situation::parse).collect(),
            programs: programs.lines().map(Recorded::parse).collect(),
        }
    }

    /// Chooses among the programs of the first `candidates` seeds, so that what is rare is there.
    pub(crate) fn make(judge: &mut CPython, candidates: u64) -> Self {
        let (found, names) = survey(judge, candidates);
        let mut chosen = vec![false; found.len()];
        for bit in 0..names.len() {
            let showing = (0..found.len()).filter(|&at| found[at].situations >> bit & 1 == 1);
            showing.take(EACH).for_each(|at| chosen[at] = true);
        }
        let mut missing = ENOUGH.saturating_sub(chosen.iter().filter(|chosen| **chosen).count());
        for chosen in chosen.iter_mut().filter(|chosen| !**chosen) {
            if missing == 0 {
                break;
            }
            *chosen = true;
            missing -= 1;
        }
        let situations = names.iter().enumerate().map(|(bit, name)| {
            let showing = found.iter().filter(|one| one.situations >> bit & 1 == 1);
            let shortest = showing
                .min_by_key(|one| one.program.len())
                .expect("one shows it");
            let program = Program::parse(&shortest.program).expect("it was printed");
            let smallest = shrink(program, |batch| {
                let texts: Vec<String> = batch.iter().map(Program::to_string).collect();
                judge.send(&texts);
                let answers = texts.iter().map(|_| judge.trace());
                let shows = |answer: Vec<String>| seen(&answer).any(|seen| seen == name);
                answers.map(shows).collect()
            });
            let mut trace = judge.run(&smallest.to_string());
            trace.pop();
            Situation {
                name: name.clone(),
                programs: 0,
                smallest: smallest.to_string(),
                trace,
            }
        });
        let mut recording = Self {
            situations: situations.collect(),
            programs: Vec::new(),
        };
        let pairs = found.into_iter().zip(chosen);
        recording.programs = pairs
            .filter_map(|(one, chosen)| chosen.then_some(one))
            .collect();
        for (bit, programs) in recording.counts().into_iter().enumerate() {
            recording.situations[bit].programs = programs;
        }
        recording
    }

    /// How many programs go through each situation.
    fn counts(&self) -> Vec<usize> {
        let shows = |bit: usize| {
            self.programs
                .iter()
                .filter(move |one| one.situations >> bit & 1 == 1)
        };
        (0..self.situations.len())
            .map(|bit| shows(bit).count())
            .collect()
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.situations
            .iter()
            .map(|situation| situation.name.clone())
            .collect()
    }

    pub(crate) fn save(&self) {
        let mut programs = String::new();
        for one in &self.programs {
            let _ = writeln!(
                programs,
                "{:016x} {:x} {}",
                one.digest, one.situations, one.program
            );
        }
        let mut situations = String::from(HEAD);
        for situation in &self.situations {
            let _ = writeln!(
                situations,
                "| {} | {} |",
                situation.programs, situation.name
            );
        }
        situations += MIDDLE;
        for Situation {
            name,
            smallest,
            trace,
            ..
        } in &self.situations
        {
            let trace = trace.join("\n");
            let _ = write!(
                situations,
                "\n## {name}\n\n```text\n{smallest}\n\n{trace}\n```\n"
            );
        }
        fs::write(PROGRAMS, programs).expect("recorded.txt");
        fs::write(SITUATIONS, situations).expect("situations.md");
    }
}

/// Runs candidates; gives those of a handy size, and the names of all situations they show.
fn survey(judge: &mut CPython, candidates: u64) -> (Vec<Recorded>, Vec<String>) {
    // The observed run has tasks in Python, the plain one has those in C.
    let mut plain = CPython::start(&[]).expect("it started before");
    let mut found = Vec::new();
    let mut names = BTreeMap::new();
    let batch = |first: u64| -> Vec<String> {
        let seeds = first..first + BATCH;
        seeds
            .map(|seed| generator::program(seed).to_string())
            .collect()
    };
    let mut next = batch(0);
    judge.send(&next);
    plain.send(&next);
    for first in (0..candidates).step_by(BATCH as usize) {
        let programs = mem::replace(&mut next, batch(first + BATCH));
        judge.send(&next);
        plain.send(&next);
        for program in programs {
            let (observed, trace) = (judge.trace(), plain.trace());
            assert_eq!(observed[..observed.len() - 1], trace, "{program}");
            if trace.len() <= 200 && program.len() <= 600 {
                let seen: Vec<String> = seen(&observed).map(String::from).collect();
                names.extend(seen.iter().map(|name| (name.clone(), 0)));
                found.push((digest(&trace), seen, program));
            }
        }
    }
    next.iter()
        .for_each(|_| drop((judge.trace(), plain.trace())));
    assert!(names.len() <= 128, "a bit for each situation");
    names.values_mut().zip(0..).for_each(|(bit, at)| *bit = at);
    let found = found.into_iter().map(|(digest, seen, program)| Recorded {
        digest,
        situations: seen.iter().fold(0, |bits, name| bits | 1 << names[name]),
        program,
    });
    (found.collect(), names.keys().cloned().collect())
}

/// The situations that the last line of an observed trace names.
fn seen(answer: &[String]) -> impl Iterator<Item = &str> {
    let last = answer.last().expect("an observed trace has such a line");
    last.split('\t').filter(|name| *name != "-")
}

impl Situation {
    fn parse((programs, section): (usize, &str)) -> Self {
        let (name, rest) = section.split_once("\n\n```text\n").expect("a fence");
        let (smallest, trace) = rest.split_once("\n\n").expect("a program, then its trace");
        let (trace, _) = trace.split_once("\n```").expect("the end of the fence");
        Self {
            name: name.into(),
            programs,
            smallest: smallest.into(),
            trace: trace.lines().map(String::from).collect(),
        }
    }
}

impl Recorded {
    fn parse(line: &str) -> Self {
        let mut parts = line.splitn(3, ' ');
        let mut part = || parts.next().expect("a digest, situations and a program");
        Self {
            digest: u64::from_str_radix(part(), 16).expect("a digest"),
            situations: u128::from_str_radix(part(), 16).expect("situations"),
            program: part().into(),
        }
    }

    /// What an observed CPython says of the program.
    pub(crate) fn make(program: &str, judge: &mut CPython, names: &[String]) -> Self {
        let answer = judge.run(program);
        let bit = |seen: &str| {
            names
                .iter()
                .position(|name| name == seen)
                .expect("a known situation")
        };
        Self {
            digest: digest(&answer[..answer.len() - 1]),
            situations: seen(&answer).fold(0, |bits, name| bits | 1 << bit(name)),
            program: program.into(),
        }
    }
}

/// FNV-1a over the lines.
fn digest(trace: &[String]) -> u64 {
    let mut digest = 0xCBF2_9CE4_8422_2325;
    for line in trace {
        for byte in line.bytes().chain([b'\n']) {
            digest = (digest ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3);
        }
    }
    digest
}

/// Both traces in one listing; without CPython's, soloop's alone.
pub(crate) fn side_by_side(program: &str, ours: &[String], theirs: Option<&[String]>) -> String {
    let mut text = format!("{program}\n");
    let theirs = theirs.unwrap_or(ours);
    for at in 0..ours.len().max(theirs.len()) {
        let line = |lines: &[String]| lines.get(at).cloned().unwrap_or("(nothing)".into());
        let _ = match (line(ours), line(theirs)) {
            (ours, theirs) if ours == theirs => writeln!(text, "    {ours}"),
            (ours, theirs) => writeln!(text, "  CPython: {theirs}\n   soloop: {ours}"),
        };
    }
    text
}

/// Runs every program, the `n`th under the host that it is given.
fn assert_all_print_what_was_recorded(host: impl Fn(usize) -> Host + Sync) {
    let Recording { programs, .. } = Recording::load();
    let workers = thread::available_parallelism().map_or(1, usize::from);
    let share = |worker: usize| {
        let all = programs.iter().enumerate();
        let differing = all.skip(worker).step_by(workers).filter(|(at, recorded)| {
            let program = Program::parse(&recorded.program).expect("a program");
            digest(&interpreter::trace_under(host(*at), &program)) != recorded.digest
        });
        differing.map(|(at, _)| at + 1).collect::<Vec<_>>()
    };
    let mut differing: Vec<usize> = thread::scope(|scope| {
        let started: Vec<_> = (0..workers)
            .map(|worker| scope.spawn(move || share(worker)))
            .collect();
        let ended = started
            .into_iter()
            .map(|share| share.join().expect("no panic"));
        ended.flatten().collect()
    });
    differing.sort_unstable();
    if let Some(first) = differing.first() {
        panic!(
            "lines of recorded.txt whose programs print something else than on CPython: {differing:?}\n\
             both traces of the first, in full:\n    \
             HOST={:?} PROGRAM={first} cargo test --test asyncio -- --ignored --nocapture side_by_side",
            host(first - 1)
        );
    }
}

#[test]
fn every_program_prints_what_cpython_printed() {
    assert_all_print_what_was_recorded(|_| Host::Run);
}

#[test]
fn every_program_prints_that_with_a_recorder_that_sees_a_cause_for_every_wait() {
    assert_all_print_what_was_recorded(|_| Host::Recorded);
}

#[test]
fn every_program_prints_that_for_a_host_that_turns_the_loop() {
    assert_all_print_what_was_recorded(|_| Host::Turns);
}

/// One program in four under each.
#[test]
fn every_program_prints_that_for_an_executor_that_drives_the_loop() {
    assert_all_print_what_was_recorded(|n| EXECUTORS[n % EXECUTORS.len()]);
}

#[test]
fn the_smallest_program_of_each_situation_prints_what_cpython_printed() {
    for Situation {
        name,
        smallest,
        trace,
        ..
    } in Recording::load().situations
    {
        let ours = interpreter::trace(&Program::parse(&smallest).expect("a program"));
        assert!(
            ours == trace,
            "{name}\n{}",
            side_by_side(&smallest, &ours, Some(&trace))
        );
    }
}

#[test]
fn there_are_programs_for_every_situation() {
    let recording = Recording::load();
    let table: Vec<usize> = recording
        .situations
        .iter()
        .map(|row| row.programs)
        .collect();
    assert_eq!(recording.counts(), table);
    assert_eq!(table.iter().position(|programs| *programs == 0), None);
    assert!(recording.programs.len() >= 3_000);
}

#[test]
fn a_program_reads_as_it_prints() {
    for Recorded { program, .. } in Recording::load().programs {
        let printed = Program::parse(&program).map(|program| program.to_string());
        assert_eq!(printed, Ok(program));
    }
}
