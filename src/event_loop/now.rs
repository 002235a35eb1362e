//! The step that is running on this thread, as far as a bare yield has to know it: with that at hand, such a future needs no
//! reference to its loop. All else about a step is in `here.rs`, which keeps this up to date.

use std::{cell::Cell, task::Waker};

/// Names a step: which loop's it is, which of that loop's, and in the highest bit whether it has a request to deliver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp(u64);

const RAISING: u64 = 1 << 63;

impl Stamp {
    /// No step. Like all that are not calm, it is later than none.
    pub(super) const NONE: Self = Self(u64::MAX);

    /// The stamp of a loop before its first step.
    pub(super) fn of_new_loop() -> Self {
        NOW.with(|now| {
            let number = now.loops.get().wrapping_add(1);
            now.loops.set(number);
            Self(u64::from(number) << u32::BITS).calm()
        })
    }

    /// The stamp of the same loop's next step, a calm one.
    #[inline]
    pub(super) fn next(self, first: Self) -> Self {
        Self(first.0 | u64::from(self.step().wrapping_add(1)))
    }

    /// Which of its loop's steps it is.
    #[inline]
    pub(super) fn step(self) -> u32 {
        self.0 as u32
    }

    #[inline]
    pub(super) fn is_calm(self) -> bool {
        self.0 & RAISING == 0
    }

    /// The same step, as if it had no request to deliver.
    #[inline]
    pub(super) fn calm(self) -> Self {
        Self(self.0 & !RAISING)
    }

    #[inline]
    pub(super) fn raising(self) -> Self {
        Self(self.0 | RAISING)
    }

    /// Whether this is a calm step, and not the one of the same loop in which a bare yield began.
    #[inline]
    fn is_later_than(self, since: Self) -> bool {
        let apart = self.0 ^ since.0;
        apart.wrapping_sub(1) < u32::MAX.into()
    }

    /// Whether a bare yield began in a step of the same loop.
    pub(super) fn is_beside(self, since: Self) -> bool {
        self.calm().0 ^ since.0 <= u32::MAX.into()
    }
}

/// What there is to know.
pub(crate) struct Now {
    stamp: Cell<Stamp>,
    /// What the waker points to that a step is polled with, while no `wait_for` is drawn around, and else what nobody's does.
    waker: Cell<*const ()>,
    /// How many bare yields began in this step.
    yields: Cell<u32>,
    /// How many loops there were on this thread.
    loops: Cell<u32>,
}

thread_local! {
    // Without a destructor, so that it is read in two instructions.
    static NOW: Now = const {
        Now {
            stamp: Cell::new(Stamp::NONE),
            waker: Cell::new(NOBODYS),
            yields: Cell::new(0),
            loops: Cell::new(0),
        }
    };
}

/// What nobody's waker points to: not null, which is where [`Waker::noop`] points.
pub(super) const NOBODYS: *const () = (&raw const NOBODY).cast();
static NOBODY: u8 = 0;

/// Lends it out, to those who ask in each step: the variable is then looked up once.
#[inline]
pub(crate) fn with<R>(work: impl FnOnce(&Now) -> R) -> R {
    NOW.with(work)
}

/// Begins a bare yield, if it is the running task that polls with this waker, with no `wait_for` drawn around: when this step is
/// over, the task's next one is queued. Returns the step that it began in.
#[inline]
pub(crate) fn begin_yield(waker: &Waker) -> Option<Stamp> {
    NOW.with(|now| (now.waker.get() == waker.data()).then(|| now.begin_yield()))
}

/// Whether a bare yield that began in some step is over, as far as one can see: there may be a request to raise.
#[inline]
pub(crate) fn has_yielded(since: Stamp) -> bool {
    NOW.with(|now| now.stamp.get().is_later_than(since))
}

/// A bare yield is dropped. If that is in the step that it began in, it leaves nothing behind.
pub(crate) fn forget_yield(since: Stamp) {
    NOW.with(|now| {
        if now.stamp.get().calm() == since {
            now.yields.set(now.yields.get() - 1);
        }
    });
}

/// How many bare yields began in this step.
#[inline]
pub(crate) fn yields() -> u32 {
    NOW.with(Now::yields)
}

/// Begins a bare yield of the running task, wherever that is.
pub(crate) fn begin_any_yield() -> Stamp {
    NOW.with(Now::begin_yield)
}

pub(super) fn set_waker(waker: *const ()) {
    NOW.with(|now| now.waker.set(waker));
}

/// Nothing is polled with this waker any more.
pub(super) fn forget_waker(waker: *const ()) {
    NOW.with(|now| {
        // It may be another loop that is running.
        if now.waker.get() == waker {
            now.waker.set(NOBODYS);
        }
    });
}

impl Now {
    /// How many bare yields began in this step.
    #[inline]
    pub(crate) fn yields(&self) -> u32 {
        self.yields.get()
    }

    /// The task's next step is queued, or begins at once: no bare yield has begun in that.
    #[inline]
    pub(crate) fn forget_yields(&self) {
        self.yields.set(0);
    }

    #[inline]
    pub(super) fn set_stamp(&self, stamp: Stamp) {
        self.stamp.set(stamp);
    }

    /// No step is running any more.
    #[inline]
    pub(super) fn leave_step(&self) {
        self.stamp.set(Stamp::NONE);
        self.yields.set(0);
    }

    #[inline]
    fn begin_yield(&self) -> Stamp {
        self.yields.set(self.yields.get() + 1);
        self.stamp.get().calm()
    }
}
