//! asyncio's bare `Future`, as `create_future()` makes one for `locks.py`, from soloop's public surface.
//!
//! An `Event` gives it asyncio's hops: one from `set_result` to the task's step, none if it is set before. What an event does not tell
//! is that a cancel has hit its waiter, whose task has not run yet. The task's count of requests tells that.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    rc::Rc,
};

use soloop::{Event, Result, TaskHandle, current_task};

/// A one-shot cell that one task waits for.
#[derive(Default)]
pub(crate) struct Waiter {
    woken: Event,
    /// Who waits, and how many requests to cancel it had before.
    waiting: RefCell<Option<(TaskHandle, usize)>>,
    cancelled: Cell<bool>,
}

impl Waiter {
    pub(crate) fn woken(&self) -> bool {
        self.woken.is_set()
    }

    pub(crate) fn set_result(&self) {
        assert!(!self.done(), "a waiter is woken once");
        self.woken.set();
    }

    pub(crate) fn done(&self) -> bool {
        self.woken.is_set() || self.cancelled()
    }

    /// Whether a cancel came before a result. A cancel that comes after one raises, but leaves the waiter as it is.
    pub(crate) fn cancelled(&self) -> bool {
        let waiting = self.waiting.borrow();
        let asked = |(task, before): &(TaskHandle, usize)| task.cancelling() > *before;
        self.cancelled.get() || !self.woken.is_set() && waiting.as_ref().is_some_and(asked)
    }

    pub(crate) async fn wait(&self) -> Result<()> {
        let task = current_task().expect("a task waits");
        let before = task.cancelling();
        self.waiting.replace(Some((task, before)));
        let outcome = self.woken.wait().await;
        self.cancelled.set(self.cancelled());
        self.waiting.take();
        outcome
    }
}

/// The waiters of a primitive, in the order in which they came.
#[derive(Default)]
pub(crate) struct Queue(RefCell<VecDeque<Rc<Waiter>>>);

impl Queue {
    pub(crate) fn join(&self, waiter: &Rc<Waiter>) -> Place<'_> {
        self.0.borrow_mut().push_back(Rc::clone(waiter));
        Place {
            queue: self,
            waiter: Rc::clone(waiter),
            is_left: true,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.borrow().is_empty()
    }

    pub(crate) fn all_cancelled(&self) -> bool {
        self.0.borrow().iter().all(|waiter| waiter.cancelled())
    }

    pub(crate) fn first(&self) -> Option<Rc<Waiter>> {
        self.0.borrow().front().cloned()
    }

    fn pending(&self) -> Option<Rc<Waiter>> {
        let waiters = self.0.borrow();
        waiters.iter().find(|waiter| !waiter.done()).cloned()
    }

    /// Wakes whoever stands in front, unless that one is on the way already.
    pub(crate) fn wake_true_head(&self) {
        if let Some(first) = self.first().filter(|first| !first.done()) {
            first.set_result();
        }
    }

    /// Wakes the first that is not done. Says whether there was one.
    pub(crate) fn wake_first_pending(&self) -> bool {
        let first = self.pending();
        if let Some(first) = &first {
            first.set_result();
        }
        first.is_some()
    }

    /// Takes the first out of the queue for good, done or not.
    pub(crate) fn pop(&self) -> Option<Rc<Waiter>> {
        self.0.borrow_mut().pop_front()
    }

    /// Those who stand here now.
    pub(crate) fn all(&self) -> Vec<Rc<Waiter>> {
        self.0.borrow().iter().cloned().collect()
    }
}

/// A place in a queue, and the waiter that stands there. Left when dropped: `finally: self._waiters.remove(fut)`.
pub(crate) struct Place<'a> {
    queue: &'a Queue,
    waiter: Rc<Waiter>,
    is_left: bool,
}

impl Place<'_> {
    pub(crate) async fn wait(&self) -> Result<()> {
        self.waiter.wait().await
    }

    /// Forgets to leave when the task is dropped.
    pub(crate) fn leave_behind(&mut self) {
        self.is_left = false;
    }

    /// Leaves after all.
    pub(crate) fn leave(mut self) {
        self.is_left = true;
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if self.is_left {
            let mut waiters = self.queue.0.borrow_mut();
            waiters.retain(|waiter| !Rc::ptr_eq(waiter, &self.waiter));
        }
    }
}

/// What only a drop does: disarmed once the task has run again.
pub(crate) struct IfDropped<F: FnMut()>(Option<F>);

impl<F: FnMut()> IfDropped<F> {
    pub(crate) fn new(work: F) -> Self {
        Self(Some(work))
    }

    pub(crate) fn disarm(&mut self) {
        self.0 = None;
    }
}

impl<F: FnMut()> Drop for IfDropped<F> {
    fn drop(&mut self) {
        if let Some(work) = &mut self.0 {
            work();
        }
    }
}
