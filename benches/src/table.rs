//! The table: every workload on every peer, in nanoseconds or in instructions, with the ratios that matter.

use crate::{
    instructions,
    peer::{Cell, Cells, Idle},
    peers::{self, FLOOR, SOLOOP},
    profile,
    python::Python,
    report::Report,
    workloads::{WORKLOADS, Workload},
};
use std::collections::BTreeMap;

/// What is asked of the table.
pub struct Options {
    pub instructions: bool,
    pub rounds: usize,
    pub jobs: usize,
    /// Only the workloads whose id begins so.
    pub only: String,
    pub python: String,
}

/// What one peer did in one workload: per operation.
#[derive(Clone, Copy)]
struct Figure {
    value: f64,
    /// The median over the rounds of the quotient with soloop's value in the same round.
    ratio: Option<f64>,
    fifo: bool,
}

impl Figure {
    fn mark(&self) -> &'static str {
        if self.fifo { "" } else { " †" }
    }
}

type Row = BTreeMap<&'static str, Figure>;

pub fn table(options: &Options) -> Report {
    profile::build_counting();
    let cells = peers::cells();
    let refused = refusals(&cells);
    let mut pythons = Python::start(options);
    let mut names = cells.peers.clone();
    names.extend(pythons.iter().map(|python| python.name));

    let head = ["soloop", "floor", "best fair peer", "its ratio"].map(String::from);
    let others = names.iter().filter(|name| ![SOLOOP, FLOOR].contains(name));
    let others: Vec<&str> = others.copied().collect();
    let unit = if options.instructions {
        "instructions"
    } else {
        "ns"
    };
    let mut report = Report::new(
        [format!("{unit} per operation")]
            .into_iter()
            .chain(head)
            .chain(others.iter().map(|name| name.to_string())),
    );
    let mut rows = Vec::new();
    for workload in WORKLOADS {
        if !workload.id.starts_with(&options.only) {
            continue;
        }
        let row = if options.instructions {
            count(&cells, workload, &refused, options.jobs)
        } else {
            time(&cells, workload, &refused, &mut pythons, options.rounds)
        };
        if row.is_empty() {
            continue;
        }
        report.row(line(workload.title, &row, &others));
        rows.push(row);
        eprintln!("{}", workload.title);
    }
    report.row(means(&rows, &others));
    if options.only.is_empty() {
        memory(&mut report, &cells, &refused, &mut pythons, &others);
    }
    notes(&mut report, options, &refused, &pythons);
    report
}

/// The peers that this machine does not run, and why.
fn refusals(cells: &Cells) -> BTreeMap<&'static str, String> {
    let why = |idle: &Idle| Some((idle.peer, (idle.refused)()?));
    cells.idle.iter().filter_map(why).collect()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn geometric_mean(values: &[f64]) -> f64 {
    (values.iter().map(|value| value.ln()).sum::<f64>() / values.len() as f64).exp()
}

/// In each round every peer has a run, so that a slow moment of the machine is everybody's.
fn time(
    cells: &Cells,
    workload: &'static Workload,
    refused: &BTreeMap<&str, String>,
    pythons: &mut [Python],
    rounds: usize,
) -> Row {
    let size = workload.size();
    let rounds = if size.ops > 500_000 {
        rounds.min(3)
    } else {
        rounds
    };
    let cells = cells
        .list
        .iter()
        .filter(|cell| cell.workload.id == workload.id);
    let cells: Vec<_> = cells
        .filter(|cell| !refused.contains_key(cell.peer))
        .collect();
    let mut values: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for round in 0..=rounds {
        let mut took = Vec::new();
        for cell in &cells {
            took.push((
                cell.peer,
                (cell.run)(size, ()).as_nanos() as f64 / size.ops as f64,
            ));
        }
        for python in &mut *pythons {
            took.extend(python.time(workload).map(|nanos| (python.name, nanos)));
        }
        // The first round is for the caches.
        if round > 0 {
            took.into_iter()
                .for_each(|(peer, value)| values.entry(peer).or_default().push(value));
        }
    }
    let base = values.get(SOLOOP).cloned();
    let ratio = |peer: &[f64]| {
        let base = base.as_ref()?;
        Some(median(
            peer.iter()
                .zip(base)
                .map(|(peer, base)| peer / base)
                .collect(),
        ))
    };
    let figure = |(peer, all): (&'static str, Vec<f64>)| {
        let cell = cells.iter().find(|cell| cell.peer == peer);
        let fifo = match cell {
            Some(cell) => cell.is_fifo(),
            None => pythons
                .iter_mut()
                .any(|python| python.name == peer && python.is_fifo(workload)),
        };
        (
            peer,
            Figure {
                ratio: ratio(&all),
                value: median(all),
                fifo,
            },
        )
    };
    values.into_iter().map(figure).collect()
}

fn count(
    cells: &Cells,
    workload: &'static Workload,
    refused: &BTreeMap<&str, String>,
    jobs: usize,
) -> Row {
    let Some(sizes) = workload.counted else {
        return Row::new();
    };
    let cells = cells
        .list
        .iter()
        .filter(|cell| cell.workload.id == workload.id);
    let cells: Vec<_> = cells
        .filter(|cell| !refused.contains_key(cell.peer))
        .copied()
        .collect();
    let counts = instructions::per_operation(&cells, sizes, jobs);
    let base = counts
        .iter()
        .find(|(cell, _)| cell.peer == SOLOOP)
        .map(|(_, value)| *value);
    let figure = |(cell, value): &(Cell, f64)| {
        let ratio = base.map(|base| value / base);
        (
            cell.peer,
            Figure {
                value: *value,
                ratio,
                fifo: cell.is_fifo(),
            },
        )
    };
    counts.iter().map(figure).collect()
}

/// The least of the peers that kept FIFO order.
fn best(row: &Row) -> Option<(&'static str, Figure)> {
    let fair = row
        .iter()
        .filter(|(peer, figure)| ![SOLOOP, FLOOR].contains(peer) && figure.fifo);
    let least = fair.min_by(|a, b| a.1.value.total_cmp(&b.1.value));
    least.map(|(peer, figure)| (*peer, *figure))
}

fn number(value: f64) -> String {
    if value < 10.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.0}")
    }
}

fn times(ratio: Option<f64>) -> String {
    ratio.map_or(String::new(), |ratio| format!("{ratio:.2}×"))
}

fn line(title: &str, row: &Row, others: &[&str]) -> Vec<String> {
    let value = |peer| {
        let figure = row.get(peer);
        figure.map_or(String::new(), |it| {
            format!("{}{}", number(it.value), it.mark())
        })
    };
    let best = best(row);
    let mut cells = vec![title.to_string(), value(SOLOOP), value(FLOOR)];
    cells.push(best.map_or(String::new(), |(peer, it)| {
        format!("{} {peer}", number(it.value))
    }));
    cells.push(times(best.and_then(|(_, figure)| figure.ratio)));
    cells.extend(others.iter().map(|peer| match row.get(peer) {
        None => String::new(),
        Some(figure) => {
            let ratio = figure.ratio.map(|ratio| format!(" ({ratio:.1}×)"));
            let ratio = ratio.unwrap_or_default();
            format!("{}{ratio}{}", number(figure.value), figure.mark())
        }
    }));
    cells
}

fn means(rows: &[Row], others: &[&str]) -> Vec<String> {
    let mean = |ratios: Vec<f64>| match ratios.len() {
        0 => String::new(),
        _ => format!("{:.2}×", geometric_mean(&ratios)),
    };
    let of = |peer| mean(rows.iter().filter_map(|row| row.get(peer)?.ratio).collect());
    let best = mean(rows.iter().filter_map(|row| best(row)?.1.ratio).collect());
    let mut cells = vec![
        "geometric mean".to_string(),
        of(SOLOOP),
        of(FLOOR),
        String::new(),
        best,
    ];
    cells.extend(others.iter().map(|peer| of(*peer)));
    cells
}

/// The rows that an allocator counts.
fn memory(
    report: &mut Report,
    cells: &Cells,
    refused: &BTreeMap<&str, String>,
    pythons: &mut [Python],
    others: &[&str],
) {
    let mut bytes = Row::new();
    let mut allocations = Row::new();
    let exact = |value| Figure {
        value,
        ratio: None,
        fifo: true,
    };
    for idle in cells
        .idle
        .iter()
        .filter(|idle| !refused.contains_key(idle.peer))
    {
        let [each, blocks] = instructions::idle(idle.peer);
        bytes.insert(idle.peer, exact(each));
        allocations.insert(idle.peer, exact(blocks));
    }
    for python in pythons {
        if let Some([each, blocks]) = python.idle() {
            bytes.insert(python.name, exact(each));
            allocations.insert(python.name, exact(blocks));
        }
    }
    let mut contended = Row::new();
    for cell in cells
        .list
        .iter()
        .filter(|cell| cell.workload.id == "lock-handoff")
    {
        if !refused.contains_key(cell.peer) {
            let figure = Figure {
                fifo: cell.is_fifo(),
                ..exact(instructions::allocations(cell))
            };
            contended.insert(cell.peer, figure);
        }
    }
    report.row(line("idle task, bytes beyond its future", &bytes, others));
    report.row(line("idle task, allocations", &allocations, others));
    report.row(line("contended acquire, allocations", &contended, others));
}

fn notes(
    report: &mut Report,
    options: &Options,
    refused: &BTreeMap<&str, String>,
    pythons: &[Python],
) {
    report.note(if options.instructions {
        "Instructions by callgrind, the difference of two sizes, so without what starts and ends the program. In brackets: times soloop's."
            .to_string()
    } else {
        format!(
            "Medians of {} rounds (3 for the million), each round a run of every peer in turn. In brackets: times soloop's in the same round, the median of that.",
            options.rounds
        )
    });
    report.note("† Tasks did not get their turns in FIFO order; the cell does not count as best.");
    report.note("Crates of primitives run on compio's executor without its driver; the rows of timeouts are on the real clock.");
    report.note(format!("Built with the profile `{}`.", profile::name()));
    for (peer, why) in refused {
        report.note(format!("{peer} does not run on this machine: {why}."));
    }
    for python in pythons {
        report.note(format!("{}: {}.", python.name, python.version));
    }
}
