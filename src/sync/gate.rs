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
        if self.waiter.is_some() {
            return self.poll_waiting(cx);
        }
        let gate = self.gate.as_ref().expect(AGAIN);
        if gate.pass() {
            return Poll::Ready(Ok(self.gate.take().expect(AGAIN)));
        }
        self.poll_first(cx)
    }

    /// The first poll, if that does not simply pass: as a recorder looks on, past those who have given up, or behind those who
    /// wait.
    #[inline(never)]
    fn poll_first(&mut self, cx: &mut Context<'_>) -> Poll<Result<Rc<G>>> {
        let gate = self.gate.as_ref().expect(AGAIN);
        if gate.pass_by() {
            return self.passed();
        }
        self.waiter = gate.waiters().enter(cx);
        match self.waiter {
            Some(_) => Poll::Pending,
            None => self.enter_first(cx),
        }
    }

    #[cold]
    fn enter_first(&mut self, cx: &mut Context<'_>) -> Poll<Result<Rc<G>>> {
        let gate = self.gate.as_ref().expect(AGAIN);
        self.waiter = gate.waiters().enter_first(Rc::clone(gate) as _, cx);
        match self.waiter {
            Some(_) => Poll::Pending,
            None => Poll::Ready(Err(gate.waiters().refusal(&**gate))),
        }
    }

    /// A later poll.
    #[inline(never)]
    fn poll_waiting(&mut self, cx: &mut Context<'_>) -> Poll<Result<Rc<G>>> {
        let (Some(gate), Some(waiter)) = (&self.gate, &mut self.waiter) else {
            unreachable!("it waits")
        };
        match ready!(gate.waiters().poll(waiter, cx)) {
            Settled::Woken => {
                self.waiter = None;
                gate.pass_woken();
                gate.leave(false);
                Poll::Ready(Ok(self.gate.take().expect(AGAIN)))
            }
            Settled::WokenObserved => self.pass_observed(),
            settled => Poll::Ready(Err(self.fail(settled))),
        }
    }

    /// Passes after a wake, as a recorder looks on.
    #[cold]
    #[inline(never)]
    fn pass_observed(&mut self) -> Poll<Result<Rc<G>>> {
        self.waiter = None;
        let gate = self.gate.as_ref().expect(AGAIN);
        gate.pass_woken();
        gate.leave(false);
        self.passed()
    }

    /// It is passed, but not in the usual way.
    fn passed(&mut self) -> Poll<Result<Rc<G>>> {
        let gate = self.gate.take().expect(AGAIN);
        if G::CAN_BE_HELD && journal::is_written() {
            gate.note_pass();
            gate.waiters().tell_recorder(&gate, Held::Begins);
        }
        Poll::Ready(Ok(gate))
    }

    /// Leaves before its time.
    #[inline(never)]
    fn give_up(&mut self) {
        if let (Some(waiter), Some(gate)) = (self.waiter.take(), &self.gate) {
            let woken = gate.waiters().leave(waiter);
            gate.leave(woken);
        }
    }

    /// The wait was cancelled, or cannot end here.
    #[cold]
    fn fail(&mut self, settled: Settled) -> Error {
        if !settled.is_gone() {
            return Error::no_running_loop();
        }
        self.waiter = None;
        if let Some(gate) = self.gate.take() {
            gate.leave(settled == Settled::CancelledAfterWake);
        }
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
