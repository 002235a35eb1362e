//! Passing a primitive: the one future behind `Lock::acquire`, `Semaphore::acquire` and `Event::wait`.
//!
//! The three differ in who may pass at once and in what a pass takes; how they wait is the same. In CPython that part stands in each of them:
//!
//! ```python
//! fut = self._get_loop().create_future()
//! self._waiters.append(fut)
//! try:
//!     await fut
//! finally:
//!     self._waiters.remove(fut)
//! ```

use std::{
    future::Future,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
};

use crate::{
    error::{Error, Result},
    event_loop::{journal, key::WaiterKey},
    waiter::{Held, Named, Queue, Settled},
};

/// What a primitive does at each point of a wait.
pub(super) trait Gate: Named + Sized + 'static {
    /// Whether whoever passes holds something.
    const CAN_BE_HELD: bool = false;

    fn waiters(&self) -> &Queue;

    /// Passes without a wait, if nobody is in front or looks on. Says whether it did.
    fn pass(&self) -> bool;

    /// The same though somebody looks on, or is in front, if that is fair: all of them have given up.
    fn pass_by(&self) -> bool {
        false
    }

    /// Passes after a wake.
    fn pass_woken(&self) {}

    /// A recorder has seen the pass.
    fn note_pass(&self) {}

    /// The waiter has left the queue: after a pass, a cancel or a drop. `kept` says that it was woken but did not pass.
    fn leave(&self, _kept: bool) {}
}

/// What leads to a gate: the gate itself, or a condition to its lock. Whoever passes gets it back, for a guard.
pub(super) trait Leads: Clone {
    type To: Gate;

    fn gate(&self) -> &Rc<Self::To>;
}

impl<G: Gate> Leads for Rc<G> {
    type To = G;

    #[inline]
    fn gate(&self) -> &Self {
        self
    }
}

/// Where a task stands before a gate: nowhere yet, or in its queue.
#[derive(Default)]
pub(super) struct Place(Option<WaiterKey>);

/// Why a gate was not passed: an error before anybody has to know it as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Denied {
    Cancelled,
    /// Polled outside its loop. The waiter is still there.
    NoLoop,
    /// Nobody can wait here now.
    Refused,
}

impl Denied {
    #[cold]
    #[inline(never)]
    pub(super) fn error(self, gate: &impl Gate) -> Error {
        match self {
            Self::Cancelled => Error::Cancelled,
            Self::NoLoop => Error::no_running_loop(),
            Self::Refused => gate.waiters().refusal(gate),
        }
    }
}

impl Place {
    /// Polls for a pass.
    #[inline]
    pub(super) fn poll<G: Gate>(
        &mut self,
        gate: &Rc<G>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Denied>> {
        if self.0.is_none() && gate.pass() {
            return Poll::Ready(Ok(()));
        }
        self.poll_slowly(gate, cx)
    }

    #[inline(never)]
    fn poll_slowly<G: Gate>(
        &mut self,
        gate: &Rc<G>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Denied>> {
        match self.0 {
            None => self.poll_first(gate, cx),
            Some(_) => self.poll_waiting(gate, cx),
        }
    }

    /// The first poll, if that does not simply pass: as a recorder looks on, past those who have given up, or behind those who
    /// wait.
    #[inline]
    fn poll_first<G: Gate>(
        &mut self,
        gate: &Rc<G>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Denied>> {
        if gate.pass_by() {
            return passed(gate);
        }
        self.0 = gate.waiters().enter(gate, cx);
        match self.0 {
            Some(_) => Poll::Pending,
            None => Poll::Ready(Err(Denied::Refused)),
        }
    }

    /// A later poll.
    #[inline(always)]
    fn poll_waiting<G: Gate>(
        &mut self,
        gate: &Rc<G>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Denied>> {
        let waiter = self.0.as_mut().expect("it waits");
        match ready!(gate.waiters().poll(waiter, cx)) {
            Settled::Woken => {
                self.0 = None;
                gate.pass_woken();
                gate.leave(false);
                Poll::Ready(Ok(()))
            }
            settled => self.settle(gate, settled),
        }
    }

    /// Passes after a wake, as a recorder looks on, or does not.
    #[cold]
    fn settle<G: Gate>(&mut self, gate: &Rc<G>, settled: Settled) -> Poll<Result<(), Denied>> {
        if settled == Settled::NoLoop {
            return Poll::Ready(Err(Denied::NoLoop));
        }
        self.0 = None;
        if settled == Settled::WokenObserved {
            gate.pass_woken();
            gate.leave(false);
            return passed(gate);
        }
        gate.leave(settled == Settled::CancelledAfterWake);
        Poll::Ready(Err(Denied::Cancelled))
    }

    /// Leaves before its time, if it waits.
    #[inline]
    pub(super) fn give_up(&mut self, gate: &impl Gate) {
        if self.0.is_some() {
            self.leave(gate);
        }
    }

    #[inline(never)]
    fn leave(&mut self, gate: &impl Gate) {
        if let Some(waiter) = self.0.take() {
            let woken = gate.waiters().leave(waiter);
            gate.leave(woken);
        }
    }
}

/// A gate is passed, but not in the usual way.
#[cold]
#[inline(never)]
fn passed<G: Gate>(gate: &Rc<G>) -> Poll<Result<(), Denied>> {
    if G::CAN_BE_HELD && journal::is_written() {
        gate.note_pass();
        gate.waiters().tell_recorder(gate, Held::Begins);
    }
    Poll::Ready(Ok(()))
}

/// The future of passing a gate. A drop does all of what a cancel does.
#[must_use = "futures do nothing unless polled"]
pub(super) struct Passing<L: Leads> {
    /// `None` once it is over.
    way: Option<L>,
    place: Place,
}

impl<L: Leads> Passing<L> {
    #[inline]
    pub(super) fn new(way: &L) -> Self {
        Self {
            way: Some(way.clone()),
            place: Place::default(),
        }
    }

    /// Polls, and hands out what led to the gate when it is passed. What most passes are, with nobody in front or looking on,
    /// comes first, and is no more than that, so as to be inlined.
    #[inline]
    fn poll_through(&mut self, cx: &mut Context<'_>) -> Poll<Result<L>> {
        match &self.way {
            Some(way) if self.place.0.is_none() && way.gate().pass() => self.hand_out(),
            _ => self.poll_slowly(cx),
        }
    }

    #[inline]
    fn hand_out(&mut self) -> Poll<Result<L>> {
        Poll::Ready(Ok(self.way.take().expect(AGAIN)))
    }

    #[inline(never)]
    fn poll_slowly(&mut self, cx: &mut Context<'_>) -> Poll<Result<L>> {
        let gate = self.way.as_ref().expect(AGAIN).gate();
        let passed = match self.place.0 {
            None => self.place.poll_first(gate, cx),
            Some(_) => self.place.poll_waiting(gate, cx),
        };
        match ready!(passed) {
            Ok(()) => self.hand_out(),
            Err(denied) => Poll::Ready(Err(denied.error(&**gate))),
        }
    }
}

pub(super) const AGAIN: &str = "not polled again after it was ready";

impl<L: Leads + Unpin> Future for Passing<L> {
    type Output = Result<()>;

    #[inline(always)]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.poll_through(cx).map_ok(drop)
    }
}

impl<L: Leads> Drop for Passing<L> {
    #[inline]
    fn drop(&mut self) {
        if let Some(way) = &self.way {
            self.place.give_up(&**way.gate());
        }
    }
}

/// The future of passing a gate for as long as a guard lives: `async with`.
#[must_use = "futures do nothing unless polled"]
pub(super) struct Entering<L: Leads, F> {
    passing: Passing<L>,
    guard: F,
}

impl<L: Leads, F> Entering<L, F> {
    /// Passes a gate, and then makes the guard. It is made once.
    #[inline]
    pub(super) fn new(way: &L, guard: F) -> Self {
        Self {
            passing: Passing::new(way),
            guard,
        }
    }
}

impl<L: Leads + Unpin, F: FnMut(L) -> H + Unpin, H> Future for Entering<L, F> {
    type Output = Result<H>;

    // Always, since the usual pass is not much more than the call would be.
    #[inline(always)]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<H>> {
        let Self { passing, guard } = &mut *self;
        passing.poll_through(cx).map_ok(guard)
    }
}
