//! `soloop::testing`: every order, every cancel, the smallest witness.

mod broken;
mod choices;
mod departures;
mod environment;
mod failures;
mod fifo;
mod honesty;
mod page;
mod patterns;
mod probe;
mod sample;
mod scaffold;
mod schedule;
mod search;
mod waiter;

use std::{future::Future, time::Duration};

use soloop::{
    Result, create_task, sleep,
    testing::{Explorer, Failure, FailureKind, Outcome, Probe, Report},
};

/// Yields so many times.
async fn yields(n: usize) -> Result<()> {
    for _ in 0..n {
        sleep(Duration::ZERO).await?;
    }
    Ok(())
}

/// Two tasks that each yield once, and a main that awaits them.
async fn two_tasks() -> Result<()> {
    let (first, second) = (create_task(yields(1)), create_task(yields(1)));
    first.await?;
    second.await
}

/// A failure's kind, schedule and message.
fn brief(failure: Option<Failure>) -> Option<(FailureKind, String, String)> {
    failure.map(|failure| {
        let schedule = failure.schedule.to_string();
        (failure.kind, schedule, failure.message().to_owned())
    })
}

/// What came of a search, in a line.
fn told(report: &Report) -> String {
    match &report.failure {
        Some(failure) => format!("{} {}", failure.schedule, failure.message()),
        None if report.complete => format!("complete after {}", report.runs),
        None => format!("cut after {}", report.runs),
    }
}

/// Replays a schedule.
fn replay<U: Future<Output = Result<()>>>(schedule: &str, body: impl Fn(Probe) -> U) -> Outcome {
    Explorer::new().replay(&schedule.parse().unwrap(), body)
}
