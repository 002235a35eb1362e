//! asyncio and uvloop: `asyncio_bench.py` as a child process that is told one workload after the other.

use crate::{peer::Size, table::Options, workloads::Workload};
use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/asyncio_bench.py");

/// Python does so many times less in one run.
const LESS: usize = 20;

pub struct Python {
    pub name: &'static str,
    pub version: String,
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Python {
    /// Those of the two that there are; none where instructions are counted.
    pub fn start(options: &Options) -> Vec<Python> {
        if options.instructions || options.python.is_empty() {
            return Vec::new();
        }
        ["asyncio", "uvloop"]
            .into_iter()
            .filter_map(|name| Self::spawn(&options.python, name))
            .collect()
    }

    fn spawn(python: &str, name: &'static str) -> Option<Python> {
        let mut child = Command::new(python)
            .args([SCRIPT, name])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let (to, from) = (child.stdin.take()?, child.stdout.take()?);
        let mut started = Python {
            name,
            version: String::new(),
            child,
            to,
            from: BufReader::new(from),
        };
        started.version = started.line()?;
        Some(started)
    }

    fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        self.from.read_line(&mut line).ok()?;
        let line = line.trim_end();
        (!line.is_empty()).then(|| line.to_string())
    }

    /// None where it has no such workload.
    fn ask(&mut self, what: &str, workload: &str, size: Size) -> Option<Vec<f64>> {
        writeln!(self.to, "{what} {workload} {} {}", size.ops, size.tasks).ok()?;
        let line = self.line()?;
        line.split(' ').map(|word| word.parse().ok()).collect()
    }

    /// Nanoseconds per operation.
    pub fn time(&mut self, workload: &Workload) -> Option<f64> {
        let size = Size {
            ops: (workload.ops / LESS).max(workload.tasks),
            ..workload.size()
        };
        if workload.tasks > 100_000 {
            return None;
        }
        Some(self.ask("time", workload.id, size)?[0] / size.ops as f64)
    }

    pub fn is_fifo(&mut self, workload: &Workload) -> bool {
        let size = workload.order_size();
        let turns = self.ask("turns", workload.id, size);
        let turns: Vec<usize> = turns.iter().flatten().map(|task| *task as usize).collect();
        (workload.in_order)(&turns, size)
    }

    /// Bytes and allocations of a task that stands still, its coroutine included.
    pub fn idle(&mut self) -> Option<[f64; 2]> {
        let told = self.ask(
            "idle",
            "-",
            Size {
                ops: 10_000,
                tasks: 10_000,
            },
        )?;
        Some([told[0], told[1]])
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        let _ = writeln!(self.to, "quit");
        let _ = self.child.wait();
    }
}
