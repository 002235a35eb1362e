//! CPython, running `interpreter.py` in a process of its own.

use std::{
    env, io,
    io::{BufRead, BufReader, BufWriter, Write},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

const INTERPRETER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/asyncio/interpreter.py");

/// Stops when it is dropped.
pub(crate) struct CPython {
    process: Child,
    programs: Option<BufWriter<ChildStdin>>,
    traces: BufReader<ChildStdout>,
}

impl CPython {
    /// Starts the interpreter named by the variable `PYTHON`, or `python3.13`.
    pub(crate) fn start(arguments: &[&str]) -> io::Result<Self> {
        let python = env::var("PYTHON").unwrap_or("python3.13".into());
        let mut process = Command::new(python)
            .arg(INTERPRETER)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let programs = process.stdin.take().map(BufWriter::new);
        let traces = process.stdout.take().expect("a pipe was asked for");
        Ok(Self {
            process,
            programs,
            traces: BufReader::new(traces),
        })
    }

    /// Hands over programs, and returns while they are being run.
    pub(crate) fn send(&mut self, programs: &[String]) {
        let pipe = self.programs.as_mut().expect("it is open until the drop");
        for program in programs {
            writeln!(pipe, "{program}").expect("CPython reads");
        }
        writeln!(pipe).expect("CPython reads");
        pipe.flush().expect("CPython reads");
    }

    /// The lines of the next trace.
    pub(crate) fn trace(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            let length = self.traces.read_line(&mut line).expect("CPython prints");
            assert!(length > 0, "CPython ended, see its own message");
            line.truncate(line.trim_end().len());
            if line.is_empty() {
                return lines;
            }
            lines.push(line);
        }
    }

    pub(crate) fn run(&mut self, program: &str) -> Vec<String> {
        self.send(&[program.into()]);
        self.trace()
    }
}

impl Drop for CPython {
    fn drop(&mut self) {
        self.programs = None;
        // Without input it ends of itself; if not, there is nobody to tell.
        let _ = self.process.wait();
    }
}
