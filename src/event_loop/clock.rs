//! The clocks a loop can run on: the machine's, one that stands still until nothing else can happen, and a host's.

use std::{
    cell::Cell,
    time::{Duration, Instant},
};

pub(crate) enum Clock {
    Monotonic { start: Instant },
    Virtual { now: Cell<Duration> },
    Host(Box<dyn Fn() -> Duration>),
}

/// From which instant on a clock counts, if it is the machine's.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Origin(Option<Instant>);

impl Origin {
    /// That of all other clocks.
    pub(crate) const ZERO: Self = Self(None);

    /// What the clock says when so much time has gone by.
    pub(crate) fn reading(self, time: Duration) -> Reading {
        match self.0 {
            Some(start) => Reading::Machine(start + time),
            None => Reading::Other(time),
        }
    }
}

/// What a clock says, before anybody has worked out what time that is. Those of one clock can be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reading {
    Machine(Instant),
    Other(Duration),
}

impl Reading {
    /// So long after that.
    #[inline]
    pub(crate) fn later(self, delay: Duration) -> Deadline {
        match self {
            Self::Machine(instant) => Deadline {
                since: Some(instant),
                delay,
            },
            Self::Other(time) => time.saturating_add(delay).into(),
        }
    }

    /// The loop's time then.
    pub(crate) fn time(self, origin: Origin) -> Duration {
        match (self, origin.0) {
            (Self::Machine(instant), Some(start)) => instant - start,
            (Self::Other(time), _) => time,
            (Self::Machine(_), None) => unreachable!("it is not this clock's"),
        }
    }
}

/// When something is due: so long after an instant, or if there is none, after the clock's beginning. What time that is, is
/// worked out if anybody asks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadline {
    since: Option<Instant>,
    delay: Duration,
}

impl Deadline {
    /// How long after the instant that it is counted from.
    #[inline]
    pub(crate) fn delay(self) -> Duration {
        self.delay
    }

    /// What the clock says then, or if it never will, before.
    #[inline]
    pub(crate) fn reading(self) -> Reading {
        match self.since {
            Some(since) => Reading::Machine(since.checked_add(self.delay).unwrap_or(since)),
            None => Reading::Other(self.delay),
        }
    }

    /// The loop's time then.
    #[inline]
    pub(crate) fn time(self, origin: Origin) -> Duration {
        match (self.since, origin.0) {
            (Some(since), Some(start)) => (since - start).saturating_add(self.delay),
            _ => self.delay,
        }
    }
}

impl From<Duration> for Deadline {
    fn from(time: Duration) -> Self {
        Self {
            since: None,
            delay: time,
        }
    }
}

impl Clock {
    /// So long from now on. A host's clock is user code, so this is never asked under a borrow.
    #[inline]
    pub(crate) fn after(&self, delay: Duration) -> Deadline {
        self.read().later(delay)
    }

    pub(crate) fn origin(&self) -> Origin {
        match self {
            Self::Monotonic { start } => Origin(Some(*start)),
            Self::Virtual { .. } | Self::Host(_) => Origin::ZERO,
        }
    }

    /// Whether this is a host's, which may go on at any point of a turn and tell of it.
    pub(crate) fn is_hosts(&self) -> bool {
        matches!(self, Self::Host(_))
    }

    pub(crate) fn monotonic() -> Self {
        Self::Monotonic {
            start: Instant::now(),
        }
    }

    pub(crate) fn standing_still() -> Self {
        Self::Virtual {
            now: Cell::new(Duration::ZERO),
        }
    }

    pub(crate) fn host(now: impl Fn() -> Duration + 'static) -> Self {
        Self::Host(Box::new(now))
    }

    /// What this clock says. A host's clock is user code, so that is never asked under a borrow.
    #[inline]
    pub(crate) fn read(&self) -> Reading {
        match self {
            Self::Monotonic { .. } => Reading::Machine(Instant::now()),
            _ => Reading::Other(self.now()),
        }
    }

    /// The loop's time. A host's clock is user code, so this is never asked under a borrow.
    pub(crate) fn now(&self) -> Duration {
        match self {
            Self::Monotonic { start } => start.elapsed(),
            Self::Virtual { now } => now.get(),
            Self::Host(now) => now(),
        }
    }

    /// Whether this clock can [`jump`](Self::jump).
    pub(crate) fn jumps(&self) -> bool {
        matches!(self, Self::Virtual { .. })
    }

    /// Goes back to zero, if this clock can.
    pub(crate) fn rewind(&self) -> bool {
        match self {
            Self::Monotonic { .. } | Self::Host(_) => false,
            Self::Virtual { now } => {
                now.set(Duration::ZERO);
                true
            }
        }
    }

    /// Lets the time come, if this clock can: nothing else is left to do before it.
    pub(crate) fn jump(&self, to: Duration) -> bool {
        match self {
            Self::Monotonic { .. } | Self::Host(_) => false,
            Self::Virtual { now } => {
                if to > now.get() {
                    now.set(to);
                }
                true
            }
        }
    }
}
