//! The step that is running, in cells of its own: it is asked at every await, and so without a borrow.

use std::{cell::Cell, task::Waker};

use super::{
    key::{TaskKey, WaiterKey},
    now::{self, NOBODYS, Now, Stamp},
};

/// Where a loop is just now. Plain data, like the state that it belongs to.
#[derive(Debug)]
pub(crate) struct Here {
    /// The task whose step is running.
    pub(crate) task: Cell<Option<TaskKey>>,
    /// The innermost `wait_for` that is being polled.
    scope: Cell<Option<WaiterKey>>,
    /// How many more of them, inside that one, are being polled and are not drawn: nothing in them has waited yet, but for a bare
    /// yield.
    pub(crate) undrawn: Cell<u32>,
    /// Whether the running task's own waiter began in this step in the first of them, when there was no other.
    pub(crate) inside: Cell<bool>,
    /// The last step that was begun: tells what was there before this one. Calm while a step is running that has no request to
    /// deliver, in the task or in a `wait_for` of it.
    stamp: Cell<Stamp>,
    /// The stamp before the first step.
    first: Cell<Stamp>,
    /// How many requests to cancel the running task there are, but for those of a `wait_for` that struck. While no task runs,
    /// or one that is not marked as `ASKED`, it is zero, and so need not be set when most steps begin.
    pub(crate) asked: Cell<i32>,
    /// How many timers ever took a number.
    pub(crate) timers: Cell<u64>,
    /// Whether somebody takes the handles of this turn one by one, and not always in their order.
    pub(crate) observed: Cell<bool>,
    /// The waker this step was polled with. Another one belongs to a combinator. Whoever clones it has it to himself once the
    /// step is over.
    waker: Cell<*const ()>,
}

impl Here {
    pub(crate) fn new() -> Self {
        let first = Stamp::of_new_loop();
        Self {
            task: Cell::new(None),
            scope: Cell::new(None),
            undrawn: Cell::new(0),
            inside: Cell::new(false),
            stamp: Cell::new(first.raising()),
            first: Cell::new(first),
            asked: Cell::new(0),
            timers: Cell::new(0),
            observed: Cell::new(false),
            waker: Cell::new(NOBODYS),
        }
    }

    /// Counts steps and timers from the beginning, as a new loop: a yield that is left of this one is none of that.
    pub(crate) fn begin_anew(&self) {
        let first = Stamp::of_new_loop();
        self.first.set(first);
        self.stamp.set(first.raising());
        self.timers.set(0);
    }

    /// A step of a task begins.
    #[inline]
    pub(crate) fn begin_step(&self, task: TaskKey, calm: bool, now: &Now) -> u32 {
        let stamp = self.stamp.get().next(self.first.get());
        self.set_stamp(if calm { stamp } else { stamp.raising() }, now);
        self.task.set(Some(task));
        stamp.step()
    }

    #[inline]
    fn set_stamp(&self, stamp: Stamp, now: &Now) {
        self.stamp.set(stamp);
        now.set_stamp(stamp);
    }

    /// Which step this is.
    #[inline]
    pub(crate) fn step(&self) -> u32 {
        self.stamp.get().step()
    }

    /// Whether a step is running that has no request to deliver, in the task or in a `wait_for` of it.
    #[inline]
    pub(crate) fn is_calm(&self) -> bool {
        self.stamp.get().is_calm()
    }

    /// A request is to be delivered in the step that is running.
    pub(crate) fn raise(&self) {
        now::with(|now| self.set_stamp(self.stamp.get().raising(), now));
    }

    /// Whether it is this loop's step in which a bare yield began.
    pub(crate) fn is_home_of(&self, since: Stamp) -> bool {
        self.stamp.get().is_beside(since)
    }

    /// Whether a bare yield of this loop began in the step that is running.
    pub(crate) fn is_since(&self, since: Stamp) -> bool {
        self.stamp.get().calm() == since
    }

    /// No task is running any more.
    pub(crate) fn leave_step(&self, now: &Now) {
        self.task.set(None);
        self.undrawn.set(0);
        self.asked.set(0);
        self.stamp.set(self.stamp.get().raising());
        debug_assert!(self.scope.get().is_none(), "every poll of a scope was left");
        now.leave_step();
    }

    /// The innermost `wait_for` that is being polled.
    #[inline]
    pub(crate) fn scope(&self) -> Option<WaiterKey> {
        self.scope.get()
    }

    pub(crate) fn set_scope(&self, scope: Option<WaiterKey>) {
        self.scope.set(scope);
        now::set_waker(match scope {
            None => self.waker.get(),
            Some(_) => NOBODYS,
        });
    }

    /// Steps are polled with this waker from now on.
    pub(crate) fn set_waker(&self, waker: *const ()) {
        self.waker.set(waker);
        now::set_waker(waker);
    }

    /// No steps are polled with this loop's waker any more.
    pub(crate) fn forget_waker(&self) {
        now::forget_waker(self.waker.replace(NOBODYS));
    }

    /// Whether a step is running that has a request to deliver, in the task or in a `wait_for` of it.
    pub(crate) fn is_raising(&self) -> bool {
        self.task.get().is_some() && !self.is_calm()
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
        !self.keeps(waker) && self.scope.get().is_none() && self.undrawn.get() == 0
    }

    /// Whether it is the running task that polls with this waker, in one `wait_for` that is not drawn, and nobody looks on.
    #[inline]
    pub(crate) fn is_inside_one(&self, waker: &Waker) -> bool {
        let in_one = self.undrawn.get() == 1 && self.scope.get().is_none();
        in_one && !self.keeps(waker) && !self.observed.get()
    }

    /// Whether the running task's own waiter has begun in the `wait_for` that is being left.
    #[inline]
    pub(crate) fn waits_inside(&self) -> bool {
        self.inside.get() && self.undrawn.get() == 1
    }

    /// Leaves that `wait_for`: there is no other that is not drawn.
    #[inline]
    pub(crate) fn leave_inside(&self) {
        debug_assert!(self.waits_inside());
        self.undrawn.set(0);
        self.inside.set(false);
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
        let less = self.undrawn.get().checked_sub(1);
        if let Some(less) = less {
            self.undrawn.set(less);
            if less == 0 {
                self.inside.set(false);
            }
        }
        less.is_some()
    }

    /// A bare yield that has a waiter, and began in the step that is running, is dropped.
    pub(crate) fn forget_yield(&self) {
        now::forget_yield(self.stamp.get().calm());
    }
}
