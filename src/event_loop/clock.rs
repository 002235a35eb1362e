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
}

/// When something is due: so long after an instant, or if there is none, after the clock's beginning. What time that is, is
/// worked out if anybody asks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadline {
    since: Option<Instant>,
    delay: Duration,
}

impl Deadline {
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
        match self {
            Self::Monotonic { .. } => Deadline {
                since: Some(Instant::now()),
                delay,
            },
            _ => self.now().saturating_add(delay).into(),
        }
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
