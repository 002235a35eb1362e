//! The step that is running, in cells of its own: it is asked at every await, and so without a borrow.

use std::{cell::Cell, ptr, task::Waker};

use super::key::{TaskKey, WaiterKey};

/// Where a loop is just now. Plain data, like the state that it belongs to.
#[derive(Debug)]
pub(crate) struct Here {
    /// The task whose step is running.
    pub(crate) task: Cell<Option<TaskKey>>,
    /// The innermost `wait_for` that is being polled.
    pub(crate) scope: Cell<Option<WaiterKey>>,
    /// How many more of them, inside that one, are being polled for the first time, with nothing in them that waits.
    pub(crate) undrawn: Cell<u32>,
    /// How many steps were ever begun: tells what was there before this one.
    pub(crate) step: Cell<u32>,
    /// Whether a step is running that has no request to deliver, in the task or in a `wait_for` of it.
    pub(crate) calm: Cell<bool>,
    /// How many requests to cancel the running task there are, but for those of a `wait_for` that struck. While no task runs,
    /// or one that is not marked as `ASKED`, it is zero, and so need not be set when most steps begin.
    pub(crate) asked: Cell<i32>,
    /// How many timers ever took a number.
    pub(crate) timers: Cell<u64>,
    /// How many bare yields began in this step.
    pub(crate) yields: Cell<u32>,
    /// Whether somebody takes the handles of this turn one by one, and not always in their order.
    pub(crate) observed: Cell<bool>,
    /// The waker this step was polled with. Another one belongs to a combinator. Whoever clones it has it to himself once the
    /// step is over.
    pub(crate) waker: Cell<*const ()>,
}

impl Here {
    pub(crate) fn new() -> Self {
        Self {
            task: Cell::new(None),
            scope: Cell::new(None),
            undrawn: Cell::new(0),
            step: Cell::new(0),
            calm: Cell::new(false),
            asked: Cell::new(0),
            timers: Cell::new(0),
            yields: Cell::new(0),
            observed: Cell::new(false),
            waker: Cell::new(ptr::null()),
        }
    }

    /// A step of a task begins.
    #[inline]
    pub(crate) fn begin_step(&self, task: TaskKey, calm: bool) -> u32 {
        let step = self.step.get().wrapping_add(1);
        self.step.set(step);
        self.task.set(Some(task));
        self.calm.set(calm);
        step
    }

    /// No task is running any more.
    pub(crate) fn leave_step(&self) {
        self.task.set(None);
        self.scope.set(None);
        self.undrawn.set(0);
        self.calm.set(false);
        self.asked.set(0);
        self.yields.set(0);
    }

    /// Whether this step began with a request to deliver.
    pub(crate) fn is_raising(&self) -> bool {
        self.task.get().is_some() && !self.calm.get()
    }

    /// Whether it is this task whose step is running.
    pub(crate) fn is(&self, task: TaskKey) -> bool {
        self.task.get() == Some(task)
    }

    /// Whether a waker belongs to a combinator, and so has to be kept with the waiter that was polled with it.
    pub(crate) fn keeps(&self, waker: &Waker) -> bool {
        waker.data() != self.waker.get()
    }

    /// Whether it is the running task that polls with this waker, with no `wait_for` around: the waker of no other moment is
    /// the same.
    #[inline]
    pub(crate) fn is_plain(&self, waker: &Waker) -> bool {
        self.may_yield(waker) && self.undrawn.get() == 0
    }

    /// The same for a bare yield, which needs no scope to be drawn.
    #[inline]
    pub(crate) fn may_yield(&self, waker: &Waker) -> bool {
        !self.keeps(waker) && self.scope.get().is_none()
    }

    /// Takes the number of a timer, which is its place among equal deadlines.
    #[inline]
    pub(crate) fn number_timer(&self) -> u64 {
        let number = self.timers.get() + 1;
        self.timers.set(number);
        number
    }

    /// Begins to poll what is in a scope that is not drawn. Says whether any task is running at all.
    #[inline]
    pub(crate) fn enter_undrawn(&self) -> bool {
        let is_running = self.task.get().is_some();
        self.undrawn.set(self.undrawn.get() + u32::from(is_running));
        is_running
    }

    /// Ends the poll of a scope that is not drawn. Says whether it is so.
    #[inline]
    pub(crate) fn forget_scope(&self) -> bool {
        let undrawn = self.undrawn.get();
        self.undrawn.set(undrawn.saturating_sub(1));
        undrawn > 0
    }

    /// A bare yield begins: when this step is over, the task's next one is queued. Returns the step that it began in.
    #[inline]
    pub(crate) fn begin_yield(&self) -> u32 {
        self.yields.set(self.yields.get() + 1);
        self.step.get()
    }

    /// Whether a bare yield that began in some step is over, as far as one can see: there may be a request to raise.
    #[inline]
    pub(crate) fn has_yielded(&self, since: u32) -> bool {
        since != self.step.get() && self.calm.get()
    }

    /// A bare yield is dropped. If that is in the step that it began in, it leaves nothing behind.
    #[inline]
    pub(crate) fn forget_yield(&self, since: u32) {
        if since == self.step.get() && self.task.get().is_some() {
            self.yields.set(self.yields.get() - 1);
        }
    }
}
