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

    /// Whether no recorder has to be told of a pass.
    #[inline]
    fn is_unobserved(&self) -> bool {
        !(Self::CAN_BE_HELD && journal::is_written())
    }

    /// Passes without a wait, if nobody is in front. Says whether it did.
    fn pass(&self) -> bool;

    /// Passes without a wait although somebody is in front, if that is fair: all of them have given up.
    fn pass_by(&self) -> bool {
        false
    }

    /// Passes after a wake.
    fn pass_woken(&self) {}

    /// The waiter has left the queue: after a pass, a cancel or a drop. `kept` says that it was woken but did not pass.
    fn leave(&self, _kept: bool) {}
}

/// The future of passing a gate. A drop does all of what a cancel does.
#[must_use = "futures do nothing unless polled"]
pub(super) struct Passing<G: Gate> {
    /// `None` once it is over.
    gate: Option<Rc<G>>,
    /// While it waits.
    waiter: Option<WaiterKey>,
}

impl<G: Gate> Passing<G> {
    #[inline]
    pub(super) fn new(gate: &Rc<G>) -> Self {
        Self {
            gate: Some(Rc::clone(gate)),
            waiter: None,
        }
    }

    /// Polls, and hands out the gate when it is passed. What most passes are, with nobody in front or looking on, comes first, and
    /// is no more than that, so as to be inlined.
    #[inline]
    fn poll_through(&mut self, cx: &mut Context<'_>) -> Poll<Result<Rc<G>>> {
        if let (Some(gate), None) = (&self.gate, self.waiter) {
            if gate.is_unobserved() && gate.pass() {
                return Poll::Ready(Ok(self.gate.take().expect(AGAIN)));
            }
        }
        self.poll_slowly(cx)
    }

    #[inline(never)]
    fn poll_slowly(&mut self, cx: &mut Context<'_>) -> Poll<Result<Rc<G>>> {
        let gate = self.gate.as_ref().expect(AGAIN);
        if self.waiter.is_some() || !(gate.pass() || gate.pass_by()) {
            let settled = ready!(self.poll_waiting(cx));
            if settled != Settled::Woken {
                return Poll::Ready(Err(self.fail(settled)));
            }
        }
        let gate = self.gate.take().expect(AGAIN);
        if G::CAN_BE_HELD {
            gate.waiters().tell_recorder(&gate, Held::Begins);
        }
        Poll::Ready(Ok(gate))
    }

    /// The slower way: behind those who wait. Told in a byte, since a `Result` is four words.
    #[inline]
    fn poll_waiting(&mut self, cx: &mut Context<'_>) -> Poll<Settled> {
        let gate = self.gate.as_ref().expect(AGAIN);
        let waiters = gate.waiters();
        let Some(waiter) = &mut self.waiter else {
            self.waiter = waiters.enter(cx);
            if self.waiter.is_none() {
                self.waiter = waiters.enter_first(Rc::clone(gate) as _, cx);
            }
            return match self.waiter {
                Some(_) => Poll::Pending,
                None => Poll::Ready(Settled::Refused),
            };
        };
        let settled = ready!(waiters.poll(waiter, cx));
        if settled == Settled::Woken {
            self.waiter = None;
            gate.pass_woken();
            gate.leave(false);
        }
        Poll::Ready(settled)
    }

    /// Leaves before its time.
    #[inline(never)]
    fn give_up(&mut self) {
        if let (Some(waiter), Some(gate)) = (self.waiter.take(), &self.gate) {
            let woken = gate.waiters().leave(waiter);
            gate.leave(woken);
        }
    }

    /// The wait was refused or cancelled, or cannot end here.
    #[cold]
    fn fail(&mut self, settled: Settled) -> Error {
        let gate = self.gate.as_ref().expect(AGAIN);
        match settled {
            Settled::Refused => return gate.waiters().refusal(&**gate),
            Settled::NoLoop => return Error::no_running_loop(),
            Settled::Woken | Settled::Cancelled | Settled::CancelledAfterWake => {}
        }
        self.waiter = None;
        gate.leave(settled == Settled::CancelledAfterWake);
        self.gate = None;
        Error::Cancelled
    }
}

const AGAIN: &str = "not polled again after it was ready";

impl<G: Gate> Future for Passing<G> {
    type Output = Result<()>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.poll_through(cx).map_ok(drop)
    }
}

impl<G: Gate> Drop for Passing<G> {
    #[inline]
    fn drop(&mut self) {
        if self.waiter.is_some() {
            self.give_up();
        }
    }
}

/// The future of passing a gate for as long as a guard lives: `async with`.
#[must_use = "futures do nothing unless polled"]
pub(super) struct Entering<G: Gate, F> {
    passing: Passing<G>,
    guard: F,
}

impl<G: Gate, F> Entering<G, F> {
    /// Passes a gate, and then makes the guard. It is made once.
    #[inline]
    pub(super) fn new(gate: &Rc<G>, guard: F) -> Self {
        Self {
            passing: Passing::new(gate),
            guard,
        }
    }
}

impl<G: Gate, F: FnMut(Rc<G>) -> H + Unpin, H> Future for Entering<G, F> {
    type Output = Result<H>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<H>> {
        let Self { passing, guard } = &mut *self;
        passing.poll_through(cx).map_ok(guard)
    }
}
