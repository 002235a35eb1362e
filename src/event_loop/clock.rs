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

impl Clock {
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
                now.set(to.max(now.get()));
                true
            }
        }
    }
}
