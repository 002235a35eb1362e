//! CPython's own tests of asyncio, re-expressed turn for turn.
//!
//! `docs/cpython-tests.md` has a row for every case of the five files: the test here that makes its claim, or why the
//! case has no meaning in Rust. The tests at the end of this module hold that table to the sources.
//!
//! What stands for what: a bare `Future` that only wakes somebody is an [`Event`](soloop::Event) here, and one that is
//! cancelled from outside is a task; `loop.call_soon` is a task of a single step; `test_utils.run_briefly`, which is two
//! turns, is [`run_briefly`]; `run_until_complete(task)` is an await in main.

mod locks;
mod runners;
mod tasks;
mod timeouts;
mod waitfor;

use soloop::{EventLoop, Result, Task, create_task, sleep};
use std::cell::RefCell;
use std::fmt::Debug;
use std::future::Future;
use std::rc::Rc;
use std::time::Duration;

/// Runs a case as `IsolatedAsyncioTestCase` does, as the main task of a loop of its own; the clock is virtual.
fn run<T>(main: impl Future<Output = Result<T>>) -> T {
    EventLoop::with_virtual_clock()
        .run(main)
        .expect("a case catches what it expects to be raised")
}

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// `await asyncio.sleep(0)`.
async fn turn() -> Result<()> {
    sleep(Duration::ZERO).await
}

/// `test_utils.run_briefly`: the turn of a task that does nothing, and the one in which `run_until_complete` hears of it.
async fn run_briefly() -> Result<()> {
    turn().await?;
    turn().await
}

/// `loop.call_soon`: one handle in the ready queue.
fn call_soon(callback: impl FnOnce() + 'static) {
    create_task(async move {
        callback();
        Ok(())
    });
}

/// `loop.call_later`, whose handle can be cancelled.
fn call_later(delay: Duration, callback: impl FnOnce() + 'static) -> Task<()> {
    create_task(async move {
        sleep(delay).await?;
        callback();
        Ok(())
    })
}

/// `asyncio.gather(*tasks, return_exceptions=True)`, for as much of it as the cases look at.
async fn gather<T: 'static>(tasks: impl IntoIterator<Item = Task<T>>) -> Vec<Result<T>> {
    let mut results = Vec::new();
    for task in tasks {
        results.push(task.await);
    }
    results
}

/// The value that was returned, or the last line of the traceback.
fn outcome<T: Debug>(result: Result<T>) -> String {
    match result {
        Ok(value) => format!("{value:?}"),
        Err(error) => error.to_string(),
    }
}

fn outcomes<T: Debug>(results: Vec<Result<T>>) -> Vec<String> {
    results.into_iter().map(outcome).collect()
}

/// The list that the tasks of a case append to: its `result`.
#[derive(Clone)]
struct Log<T>(Rc<RefCell<Vec<T>>>);

impl<T: Clone> Log<T> {
    fn new() -> Self {
        Log(Rc::default())
    }

    fn push(&self, entry: T) {
        self.0.borrow_mut().push(entry);
    }

    fn seen(&self) -> Vec<T> {
        self.0.borrow().clone()
    }

    async fn after_a_turn(&self) -> Result<Vec<T>> {
        turn().await?;
        Ok(self.seen())
    }
}

/// The files of `Lib/test/test_asyncio`: how many cases CPython 3.13 has there, and our module for them.
const FILES: [(&str, usize, &str, &str); 5] = [
    ("test_locks.py", 75, "locks", include_str!("locks.rs")),
    ("test_waitfor.py", 19, "waitfor", include_str!("waitfor.rs")),
    ("test_tasks.py", 160, "tasks", include_str!("tasks.rs")),
    (
        "test_timeouts.py",
        34,
        "timeouts",
        include_str!("timeouts.rs"),
    ),
    ("test_runners.py", 29, "runners", include_str!("runners.rs")),
];

/// The rows of one file's table, each as the case and what is said of it.
fn rows(file: &str) -> Vec<(&'static str, &'static str)> {
    let page = include_str!("../../../docs/cpython-tests.md");
    let sections = page.split("\n## ").skip(1);
    let section = sections.filter_map(|section| section.strip_prefix(file)?.strip_prefix('\n'));
    let lines = section.flat_map(str::lines);
    lines
        .filter_map(|line| {
            line.strip_prefix("| `")?
                .strip_suffix(" |")?
                .split_once("` | ")
        })
        .collect()
}

/// The path of the test that a row names, if it names one and gives no reason instead.
fn path(cell: &str) -> Option<&str> {
    Some(cell.strip_prefix('`')?.split_once('`')?.0)
}

/// The tests that stand in a source, as paths.
fn tests(module: &str, source: &str) -> Vec<String> {
    let after_attribute = source.split("\n#[test]\n").skip(1);
    let names = after_attribute.map(|rest| {
        let from = rest
            .strip_prefix("fn ")
            .or(rest.split_once("\nfn ").map(|(_, rest)| rest));
        from.and_then(|rest| rest.split('(').next())
            .expect("an attribute stands before its function")
    });
    names
        .map(|name| format!("cpython::{module}::{name}"))
        .collect()
}

#[test]
fn the_table_has_one_row_for_each_case() {
    for (file, count, ..) in FILES {
        let mut cases: Vec<_> = rows(file).into_iter().map(|(case, _)| case).collect();
        assert_eq!(cases.len(), count, "rows for {file}");
        cases.sort_unstable();
        cases.dedup();
        assert_eq!(cases.len(), count, "different cases of {file}");
    }
}

#[test]
fn a_row_without_a_test_gives_its_reason() {
    for (case, cell) in FILES.iter().flat_map(|(file, ..)| rows(file)) {
        let reason = cell.strip_prefix("— ").map_or("", str::trim);
        assert!(
            path(cell).is_some() || reason.ends_with('.'),
            "{case}: {cell}"
        );
    }
}

#[test]
fn the_table_names_every_test_and_no_other() {
    for (file, _, module, source) in FILES {
        let mut named: Vec<_> = rows(file)
            .iter()
            .filter_map(|(_, cell)| path(cell))
            .collect();
        named.sort_unstable();
        named.dedup();
        let mut written = tests(module, source);
        written.sort_unstable();
        assert_eq!(named, written, "{file}");
    }
}
