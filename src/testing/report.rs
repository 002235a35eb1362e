//! What a search comes to, and the story of a failure.

use std::fmt;

use super::{course::Misfit, schedule::Schedule};
use crate::trace::{EventKind, Timeline};

/// What a search came to.
///
/// # Examples
/// ```
/// use {soloop::{create_task, sleep, testing::Explorer}, std::time::Duration};
///
/// let report = Explorer::new().cancels(1).explore(|_probe| async {
///     let _ = create_task(sleep(Duration::from_secs(1))).await;
///     Ok(())
/// });
/// assert!(report.complete && report.failure.is_none());
/// let (tried, points) = report.cancel_points;
/// assert_eq!(tried, points); // none was left out
/// ```
#[derive(Debug, Clone)]
pub struct Report {
    /// How many schedules were run. What is run again, to be sure of a failure and to tell its story, does not count.
    pub runs: u64,
    /// How many handles ran in them.
    pub steps: u64,
    /// Whether every schedule within the limits was run, and none failed.
    pub complete: bool,
    /// At how many points a task was cancelled, and how many such points there were.
    pub cancel_points: (u32, u32),
    /// The first failure, which no failure with fewer departures precedes.
    pub failure: Option<Failure>,
}

/// What the run of one schedule came to.
///
/// # Examples
/// ```
/// use soloop::testing::{Explorer, Schedule};
///
/// let asyncios = Explorer::new().replay(&Schedule::default(), |_probe| async { Ok(()) });
/// assert!(asyncios.failure.is_none());
/// println!("{}", asyncios.timeline); // of a run without a failure, too
/// # assert_eq!((asyncios.steps, asyncios.timeline.events().len()), (1, 3));
/// ```
#[derive(Debug, Clone)]
pub struct Outcome {
    /// What went wrong.
    pub failure: Option<Failure>,
    /// How many handles ran.
    pub steps: u64,
    /// What happened.
    pub timeline: Timeline,
}

/// A run that failed. Prints as its story.
///
/// # Examples
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use soloop::{Lock, testing::Explorer};
///
/// let report = Explorer::new().explore(|_probe| async {
///     let lock = Lock::new();
///     lock.acquire().await?;
///     lock.acquire().await
/// });
/// let failure = report.failure.unwrap();
/// let picture = std::env::temp_dir().join("twice.svg");
/// std::fs::write(&picture, failure.timeline.to_svg())?;
/// assert_eq!(failure.schedule.to_string(), "sl1:"); // in asyncio's own order
/// # std::fs::remove_file(&picture)?;
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct Failure {
    /// In what way it failed.
    pub kind: FailureKind,
    /// Where it departs from what asyncio would have done.
    pub schedule: Schedule,
    /// What happened.
    pub timeline: Timeline,
}

/// In what way a run failed.
///
/// # Examples
/// ```
/// use {soloop::{Event, testing::{Explorer, FailureKind}}, std::time::Duration};
///
/// let report = Explorer::new().early_timers(1).explore(|_probe| async {
///     soloop::wait_for(Event::new().wait(), Duration::from_secs(1)).await
/// });
/// match report.failure.unwrap().kind {
///     FailureKind::Error => {} // a timeout, as it should be
///     kind => panic!("{kind}"),
/// }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FailureKind {
    /// A task panicked.
    Panic,
    /// The body returned an error.
    Error,
    /// Nothing could ever have happened any more.
    Deadlock,
    /// An [invariant](super::Probe::invariant) did not hold.
    Invariant,
    /// It took more steps than it [may](super::Explorer::max_steps).
    StepLimit,
    /// It did something else than the run before it, though nothing was done in another way; or the schedule is not
    /// one of this program.
    UncontrolledNondeterminism,
}

impl Failure {
    /// What went wrong, in a line.
    ///
    /// # Examples
    /// ```
    /// use soloop::{Event, testing::Explorer};
    ///
    /// let report = Explorer::new().explore(|_probe| async { Event::new().wait().await });
    /// let failure = report.failure.unwrap();
    /// assert_eq!(failure.message(), "deadlock: Task-1 waits for <Event [unset, waiters:1]>");
    /// ```
    #[must_use]
    pub fn message(&self) -> &str {
        let last = self
            .timeline
            .events()
            .iter()
            .rev()
            .find_map(|event| match &event.kind {
                EventKind::Failed { text } => Some(text.as_str()),
                _ => None,
            });
        last.unwrap_or("it failed")
    }
}

/// What went wrong, the timeline, and how to run it again.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            kind,
            schedule,
            timeline,
        } = self;
        let message = self.message();
        writeln!(f, "{message}\n\n{}\n", timeline.to_string().trim_end())?;
        match kind {
            FailureKind::UncontrolledNondeterminism if message.contains(NO_LONGER_FITS) => {
                write!(f, "The schedule {schedule} is of another program. Search anew.")
            }
            FailureKind::UncontrolledNondeterminism => f.write_str(
                "No schedule brings this back. Make the body depend on nothing but its schedule: no static and nothing captured\n\
                 that changes, no primitive made outside of it, no order of a hash map, no real clock, no random numbers (`select!`\n\
                 draws one: take `select_biased!`).",
            ),
            // In quotes, since a shell has a meaning of its own for `>` and `?`.
            _ => write!(
                f,
                "Run it again:  SOLOOP_REPLAY='{schedule}' cargo test NAME_OF_THIS_TEST\n\
                 Keep it:       let again = Explorer::new().replay(&\"{schedule}\".parse().unwrap(), body);\n\
                 \x20              assert!(again.failure.is_none(), \"{{}}\", again.failure.unwrap());"
            ),
        }
    }
}

impl std::error::Error for Failure {}

impl fmt::Display for FailureKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Panic => "panic",
            Self::Error => "error",
            Self::Deadlock => "deadlock",
            Self::Invariant => "broken invariant",
            Self::StepLimit => "step limit",
            Self::UncontrolledNondeterminism => "uncontrolled nondeterminism",
        })
    }
}

/// How a schedule is told that was made for another program.
const NO_LONGER_FITS: &str = "the schedule no longer fits at decision";

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nondeterministic { at } => write!(
                f,
                "by decision {at} the run had become another one, though nothing was done in another way: \
                 the body depends on something else than the schedule"
            ),
            Self::Impossible(departure) => write!(
                f,
                "{NO_LONGER_FITS} {}: {departure} cannot be done there",
                departure.at
            ),
            Self::TooShort { decisions, next } => write!(
                f,
                "{NO_LONGER_FITS} {decisions}: the run is over, and {next} is still to come"
            ),
        }
    }
}
