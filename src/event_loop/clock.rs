//! The clocks a loop can run on: the machine's, or one that stands still until nothing else can happen.

use std::{
    cell::Cell,
    time::{Duration, Instant},
};

#[derive(Debug)]
pub(crate) enum Clock {
    Monotonic { start: Instant },
    Virtual { now: Cell<Duration> },
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

    /// The loop's time.
    pub(crate) fn now(&self) -> Duration {
        match self {
            Self::Monotonic { start } => start.elapsed(),
            Self::Virtual { now } => now.get(),
        }
    }

    /// Lets the time come, if this clock can: nothing else is left to do before it.
    pub(crate) fn jump(&self, to: Duration) -> bool {
        match self {
            Self::Monotonic { .. } => false,
            Self::Virtual { now } => {
                now.set(to.max(now.get()));
                true
            }
        }
    }
}
