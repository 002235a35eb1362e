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
    mem,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
};

use crate::{
    error::Result,
    event_loop::key::WaiterKey,
    waiter::{Named, Queue, Settled},
};

/// What a primitive does at each point of a wait.
pub(super) trait Gate: Named + 'static {
    fn waiters(&self) -> &Queue;

    /// Passes without a wait, if that is fair. Says whether it did.
    fn pass(&self) -> bool;

    /// Passes after a wake.
    fn pass_woken(&self) {}

    /// The waiter has left the queue: after a pass, a cancel or a drop. `kept` says that it was woken but did not pass.
    fn leave(&self, _kept: bool) {}
}

/// The future of passing a gate. A drop does all of what a cancel does.
#[must_use = "futures do nothing unless polled"]
pub(super) struct Passing<G: Gate> {
    gate: Rc<G>,
    stage: Stage,
}

enum Stage {
    Unpolled,
    Waiting(WaiterKey),
    Over,
}

impl<G: Gate> Passing<G> {
    #[inline]
    pub(super) fn new(gate: &Rc<G>) -> Self {
        Self {
            gate: Rc::clone(gate),
            stage: Stage::Unpolled,
        }
    }

    /// The slower way: behind those who wait.
    fn poll_waiting(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let waiters = self.gate.waiters();
        match self.stage {
            Stage::Unpolled => match waiters.enter(&self.gate, cx) {
                Ok(waiter) => {
                    self.stage = Stage::Waiting(waiter);
                    Poll::Pending
                }
                Err(error) => Poll::Ready(Err(error)),
            },
            Stage::Waiting(waiter) => {
                let settled = ready!(waiters.poll(waiter, cx));
                if settled.is_gone() {
                    self.stage = Stage::Over;
                    if settled == Settled::Woken {
                        self.gate.pass_woken();
                    }
                    self.gate.leave(settled == Settled::CancelledAfterWake);
                }
                Poll::Ready(settled.result())
            }
            Stage::Over => panic!("polled again after it was ready"),
        }
    }
}

impl<G: Gate> Future for Passing<G> {
    type Output = Result<()>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        if let Stage::Unpolled = self.stage {
            if self.gate.pass() {
                self.stage = Stage::Over;
                return Poll::Ready(Ok(()));
            }
        }
        self.poll_waiting(cx)
    }
}

impl<G: Gate> Drop for Passing<G> {
    #[inline]
    fn drop(&mut self) {
        if let Stage::Waiting(waiter) = mem::replace(&mut self.stage, Stage::Over) {
            let woken = self.gate.waiters().leave(waiter);
            self.gate.leave(woken);
        }
    }
}
