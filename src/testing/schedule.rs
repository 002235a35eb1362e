//! A schedule: where a run departs from what asyncio would have done, as a short string.

use std::{fmt, str::FromStr};

use crate::error::{Error, Result};

/// Where a run departs from what asyncio would have done: everything else follows from the program.
///
/// Prints as a short string, and parses back. `sl1:` begins it, and each departure has the number of the decision at which it
/// happens, counted from `0` on, a sign, and what it is about:
///
/// | | |
/// |---|---|
/// | `9>1` | the handle one place behind the first goes first |
/// | `4c2` | `Task-2` is cancelled |
/// | `4d2` | `Task-2` is dropped where it stands |
/// | `4p2` | `Task-2` is polled without a wake |
/// | `4t` | the next deadline passes though others are ready |
/// | `4?2` | [`Probe::choose`](super::Probe::choose) returns `2` |
///
/// There is a decision before each handle runs, one when nothing is ready, before time passes or whoever has waited for that goes on, one
/// more after each departure that is not a choice of a handle, and one in each call of `choose` that has a choice.
///
/// # Examples
/// ```
/// use soloop::testing::Schedule;
///
/// let witness: Schedule = "sl1:4c2,9>1".parse()?;
/// assert_eq!(witness.to_string(), "sl1:4c2,9>1");
/// # Ok::<(), soloop::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Schedule(pub(super) Script);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Script {
    /// Invariant: in the order of the decisions, at most one for each.
    Departures(Vec<Departure>),
    /// A number for each decision: which of what can be done there.
    Choices(Vec<u16>),
}

impl Default for Script {
    fn default() -> Self {
        Self::Departures(Vec::new())
    }
}

/// What is done at a decision, in place of what asyncio would do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Departure {
    /// The number of the decision.
    pub(super) at: u32,
    pub(super) action: Action,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Action {
    /// The handle so many places behind the first goes first.
    Reorder(u32),
    /// Of a task, by its number; and likewise below.
    Cancel(u32),
    Drop(u32),
    Poll(u32),
    PassDeadline,
    Choose(u32),
}

impl Action {
    /// Whether a decision of its own comes after it, about the handle that runs next.
    pub(super) fn is_inserted(self) -> bool {
        !matches!(self, Self::Reorder(_) | Self::Choose(_))
    }
}

impl Schedule {
    /// Makes a schedule of numbers: one for each decision, which picks one of what can be done there. `0` is what asyncio would do, and
    /// numbers that are too large begin again at `0`, so any list is a schedule. A list that ends goes on with `0`.
    ///
    /// What can be done at a decision follows from the limits of the [`Explorer`](super::Explorer) that replays it; one without any
    /// reorders. Made for generators of random data which shrink what fails towards zero, hence towards asyncio's order.
    ///
    /// # Examples
    /// ```
    /// use soloop::testing::Schedule;
    ///
    /// assert_eq!(Schedule::from_choices(&[0, 2, 1]).to_string(), "sl1=0,2,1");
    /// ```
    #[must_use]
    pub fn from_choices(choices: &[u16]) -> Self {
        Self(Script::Choices(choices.to_vec()))
    }

    pub(super) fn of(departures: &[Departure]) -> Self {
        Self(Script::Departures(departures.to_vec()))
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Script::Departures(departures) => list(f, "sl1:", departures),
            Script::Choices(choices) => list(f, "sl1=", choices),
        }
    }
}

fn list<T: fmt::Display>(f: &mut fmt::Formatter<'_>, prefix: &str, items: &[T]) -> fmt::Result {
    f.write_str(prefix)?;
    for (n, item) in items.iter().enumerate() {
        let comma = if n > 0 { "," } else { "" };
        write!(f, "{comma}{item}")?;
    }
    Ok(())
}

impl fmt::Display for Departure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, action } = self;
        match action {
            Action::Reorder(places) => write!(f, "{at}>{places}"),
            Action::Cancel(task) => write!(f, "{at}c{task}"),
            Action::Drop(task) => write!(f, "{at}d{task}"),
            Action::Poll(task) => write!(f, "{at}p{task}"),
            Action::PassDeadline => write!(f, "{at}t"),
            Action::Choose(value) => write!(f, "{at}?{value}"),
        }
    }
}

impl FromStr for Schedule {
    type Err = Error;

    /// # Errors
    /// [`Error::Value`] if it is not what a schedule prints.
    fn from_str(text: &str) -> Result<Self> {
        let script = if let Some(departures) = text.strip_prefix("sl1:") {
            items(departures, departure)
                .filter(|departures| departures.is_sorted_by(|before, after| before.at < after.at))
                .map(Script::Departures)
        } else {
            let choices = text.strip_prefix("sl1=");
            choices
                .and_then(|choices| items(choices, number))
                .map(Script::Choices)
        };
        script
            .map(Self)
            .ok_or_else(|| Error::Value(format!("'{text}' is not a schedule").into()))
    }
}

fn items<T>(text: &str, parse: impl Fn(&str) -> Option<T>) -> Option<Vec<T>> {
    match text {
        "" => Some(Vec::new()),
        text => text.split(',').map(parse).collect(),
    }
}

fn departure(text: &str) -> Option<Departure> {
    let mut after = text
        .trim_start_matches(|c: char| c.is_ascii_digit())
        .chars();
    let sign = after.next()?;
    let operand = after.as_str();
    let at = &text[..text.len() - operand.len() - sign.len_utf8()];
    let action = match sign {
        '>' => Action::Reorder(number(operand).filter(|&places| places > 0)?),
        'c' => Action::Cancel(number(operand)?),
        'd' => Action::Drop(number(operand)?),
        'p' => Action::Poll(number(operand)?),
        't' if operand.is_empty() => Action::PassDeadline,
        '?' => Action::Choose(number(operand).filter(|&value| value > 0)?),
        _ => return None,
    };
    Some(Departure {
        at: number(at)?,
        action,
    })
}

/// A number as it prints: in digits, and not more of them than it takes.
fn number<T: FromStr>(text: &str) -> Option<T> {
    let is_printed = match text.as_bytes() {
        [b'0', _, ..] => false,
        digits => digits.iter().all(u8::is_ascii_digit),
    };
    text.parse().ok().filter(|_| is_printed)
}
