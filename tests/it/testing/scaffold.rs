//! What the bodies under test share, and what is asked of a search.

use std::{cell::Cell, future::Future, rc::Rc};

use soloop::{
    Error, Result, Task,
    testing::{Explorer, Failure, FailureKind, Probe, Schedule},
};

/// How many are at some place at the moment.
#[derive(Clone, Default)]
pub(crate) struct Count(Rc<Cell<usize>>);

impl Count {
    pub(crate) fn get(&self) -> usize {
        self.0.get()
    }

    /// Counts one more for as long as what is returned lives.
    pub(crate) fn enter(&self) -> Inside {
        self.0.set(self.0.get() + 1);
        Inside(self.clone())
    }
}

pub(crate) struct Inside(Count);

impl Drop for Inside {
    fn drop(&mut self) {
        let Count(count) = &self.0;
        count.set(count.get() - 1);
    }
}

/// Waits for all tasks. One that was cancelled or dropped is no failure.
pub(crate) async fn join(tasks: impl IntoIterator<Item = Task<()>>) -> Result<()> {
    for task in tasks {
        match task.await {
            Ok(()) | Err(Error::Cancelled) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// A timeout is no failure.
pub(crate) fn or_too_late<T>(outcome: Result<T>) -> Result<()> {
    match outcome {
        Ok(_) | Err(Error::Timeout) => Ok(()),
        Err(error) => Err(error),
    }
}

/// To be sent away from a barrier is no failure.
pub(crate) fn or_sent_away<T>(passed: Result<T>) -> Result<()> {
    match passed {
        Ok(_) | Err(Error::BrokenBarrier(_)) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Up to two departures of these kinds: another goes first, a cancel, a drop.
pub(crate) fn any_two() -> Explorer {
    Explorer::new().reorder(2).cancels(2).drops(2).deviations(2)
}

/// One cancel or one drop at every point, combined with one reorder.
pub(crate) fn one_blow() -> Explorer {
    Explorer::new().reorder(1).cancels(1).drops(1).deviations(2)
}

/// Searches to the end, and finds nothing. Returns how many runs there were, of how many steps in all.
pub(crate) fn hold<F, U>(explorer: &Explorer, body: F) -> (u64, u64)
where
    F: Fn(Probe) -> U,
    U: Future<Output = Result<()>>,
{
    let report = explorer.explore(body);
    if let Some(failure) = report.failure {
        panic!("{failure}");
    }
    assert!(report.complete, "the search was cut");
    assert_eq!(report.cancel_points.0, report.cancel_points.1);
    (report.runs, report.steps)
}

/// Within so many runs, which take a fraction of a second, every flaw has to be found.
const FEW: u64 = 4_000;

/// Finds a failure that says `expected`, quickly, by at most two departures of which none can be left out. A random walk finds
/// one as well, which has none to leave out either once it is minimised.
pub(crate) fn find<F, U>(explorer: &Explorer, expected: &str, body: F)
where
    F: Fn(Probe) -> U,
    U: Future<Output = Result<()>>,
{
    let report = explorer.explore(&body);
    let failure = report.failure.expect("the flaw is found");
    assert!(failure.message().contains(expected), "{failure}");
    assert!(report.runs <= FEW, "{} runs", report.runs);
    assert!(departures(&failure).len() <= 2, "{failure}");
    assert_minimal(&failure, &body, |kind| {
        kind != FailureKind::UncontrolledNondeterminism
    });
    let again = Explorer::new().replay(&failure.schedule, &body);
    let again = again.failure.expect("the witness brings it back");
    assert_eq!(again.to_string(), failure.to_string());

    let walked = explorer.sample(1, FEW, &body);
    let failure = walked.failure.expect("the flaw is come upon");
    assert_minimal(&failure, &body, |kind| kind == failure.kind);
}

/// Leaving out any departure, the run does not fail any more in a way that counts.
fn assert_minimal<F, U>(failure: &Failure, body: F, counts: impl Fn(FailureKind) -> bool)
where
    F: Fn(Probe) -> U,
    U: Future<Output = Result<()>>,
{
    let departures = departures(failure);
    for left_out in 0..departures.len() {
        let schedule = without(&departures, left_out);
        let outcome = Explorer::new().replay(&schedule, &body);
        let suffices = outcome.failure.is_some_and(|failure| counts(failure.kind));
        assert!(!suffices, "{schedule} suffices: {failure}");
    }
}

/// The departures of a schedule as it prints.
fn departures(failure: &Failure) -> Vec<String> {
    let schedule = failure.schedule.to_string();
    let list = schedule.strip_prefix("sl1:").expect("a list of departures");
    list.split(',')
        .filter(|departure| !departure.is_empty())
        .map(str::to_owned)
        .collect()
}

/// A schedule without one of its departures. If that is no choice of a handle, it had a decision of its own, which is gone with it.
fn without(departures: &[String], left_out: usize) -> Schedule {
    let mut left = departures.to_vec();
    let gone = left.remove(left_out);
    if !gone.contains(['>', '?']) {
        for later in &mut left[left_out..] {
            let sign = later.find(|c: char| !c.is_ascii_digit());
            let (at, action) = later.split_at(sign.expect("a departure has a sign"));
            let at: usize = at.parse().expect("a departure begins with a number");
            *later = format!("{}{action}", at - 1);
        }
    }
    let schedule = format!("sl1:{}", left.join(","));
    schedule.parse().expect("still a schedule")
}
