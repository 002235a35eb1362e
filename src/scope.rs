//! Scopes: what a `wait_for` that struck may cancel, and what it may not.
//!
//! asyncio's `timeouts.Timeout` cancels its whole task, which is right where a task is one chain of awaits. Here a task may
//! hold several, in a `join!`. So every waiter stands in the *scope* of the innermost `wait_for` around it, scopes nest,
//! and the outermost boundary is the task. A request by a `wait_for` reaches what stands in its scope, as a request to
//! the task reaches everything. It is kept and delivered by the same rules: see `task/request.rs`.
//!
//! A scope is a waiter of the kind `Scope`: it is listed among those of its task, and lists its own.

use crate::{
    event_loop::{
        Cause,
        key::{TaskKey, TimerKey, WaiterKey},
        state::State,
    },
    task::{Flags, QUEUED, RAISING, REQUESTED, STRUCK, YIELDING},
    waiter::Kind,
};

/// The boundary that a `wait_for` draws around its coroutine.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scope {
    /// The youngest of the waiters that stand in it.
    pub(crate) youngest: Option<WaiterKey>,
    pub(crate) timer: Option<TimerKey>,
    pub(crate) flags: Flags,
}

/// What is asked of a `wait_for` whose coroutine is pending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Pending,
    /// Its request cannot be delivered: it drops its coroutine.
    Abandon,
}

impl State {
    /// Begins to poll a coroutine in a new scope, which is not drawn before something inside waits: most of what is ever polled
    /// under a timeout is ready at once. Returns how many requests to cancel there are from outside, and its timer's number.
    /// `None` if no task of this loop is running.
    ///
    /// A request that is still kept goes before a timeout of zero, since asyncio raises it where that begins to wait.
    #[inline]
    pub(crate) fn begin_scope(&mut self, at_once: bool) -> Option<(i64, u64)> {
        let (task, outer) = (self.here.task.get()?, self.here.scope.get());
        let mut others = self.requests_of(task);
        if outer.is_some() {
            others += self.requests_around(outer);
        }
        if at_once {
            others -= i64::from(self.is_requested(task, outer));
        }
        self.here.undrawn.set(self.here.undrawn.get() + 1);
        Some((others, self.wheel.reserve()))
    }

    /// The innermost scope, whose first poll is about to end.
    pub(crate) fn scope_begun(&mut self) -> WaiterKey {
        self.draw_scopes();
        self.here.scope.get().expect("a scope has begun")
    }

    /// Draws the scopes that have begun, since something inside waits.
    #[inline]
    pub(crate) fn draw_scopes(&mut self) {
        if self.here.undrawn.get() > 0 {
            self.draw_undrawn();
        }
    }

    #[inline(never)]
    fn draw_undrawn(&mut self) {
        for _ in 0..self.here.undrawn.take() {
            let scope = Scope {
                youngest: None,
                timer: None,
                flags: Flags::NONE,
            };
            let drawn = self.insert_scope(scope);
            self.here.scope.set(Some(drawn));
        }
    }

    /// Begins to poll what is inside. A request that is kept is told to what was pending there. Says whether any task
    /// of this loop is running at all.
    pub(crate) fn enter_scope(&mut self, key: WaiterKey) -> bool {
        let Some(current) = self.here.task.get() else {
            return false;
        };
        self.draw_scopes();
        let drawn = self.other(key);
        let was_polled = drawn.polled;
        if drawn.task != Some(current) || drawn.scope != self.here.scope.get() {
            self.move_scope_here(key);
        }
        let scope = self.scope_mut(key);
        scope.flags.clear(YIELDING);
        if scope.flags.has(REQUESTED) {
            scope.flags.set(RAISING);
            let youngest = scope.youngest;
            self.here.calm.set(false);
            let mut inner = Vec::new();
            if !self.tell(youngest, was_polled, &mut inner) && !inner.is_empty() {
                self.scope_flags(key).clear(REQUESTED);
            }
            self.request_all(inner);
        }
        self.other_mut(key).polled = self.here.step.get();
        self.here.scope.set(Some(key));
        true
    }

    /// Ends the poll of what is inside.
    pub(crate) fn leave_scope(&mut self, key: WaiterKey, pending: bool) -> Verdict {
        self.here.scope.set(self.other(key).scope);
        let scope = self.scope_mut(key);
        let (flags, youngest) = (scope.flags, scope.youngest);
        scope.flags.clear(RAISING);
        if !pending || !flags.has(REQUESTED) {
            return Verdict::Pending;
        }
        let mut inner = Vec::new();
        if self.tell(youngest, self.here.step.get(), &mut inner) {
            // What is newly pending was told, and its step is queued.
        } else if !inner.is_empty() {
            self.scope_flags(key).clear(REQUESTED);
        } else if flags.has(RAISING) && !flags.has(YIELDING) {
            return Verdict::Abandon;
        }
        self.request_all(inner);
        Verdict::Pending
    }

    /// The time is over: whatever stands in the scope is cancelled.
    pub(crate) fn strike(&mut self, key: WaiterKey) {
        let drawn = self.other(key);
        let (task, polled) = (drawn.task, drawn.polled);
        let scope = self.scope_mut(key);
        scope.flags.set(STRUCK.or(REQUESTED));
        let youngest = scope.youngest;
        // Its task may have ended and handed it out. Whoever polls it next is told.
        let Some(task) = task else { return };
        self.write_request(task);
        let slot = self.slot_mut(task);
        slot.cancels += 1;
        slot.strikes += 1;
        if slot.flags.has(QUEUED) || self.here.is(task) {
            return self.wake_foreign(key);
        }
        let mut inner = Vec::new();
        if self.tell(youngest, polled, &mut inner) {
            self.queue_step(task, Cause::Request);
        } else if !inner.is_empty() {
            self.scope_flags(key).clear(REQUESTED);
        } else {
            self.queue_step(task, Cause::Request);
            self.wake_foreign(key);
        }
        self.request_all(inner);
    }

    /// Cancels the tasks that are awaited inside: all that a timeout of zero does.
    pub(crate) fn cancel_inside(&mut self, key: WaiterKey) {
        let youngest = self.scope_mut(key).youngest;
        let mut inner = Vec::new();
        self.tell(youngest, self.here.step.get(), &mut inner);
        self.request_all(inner);
    }

    /// Takes the boundary away, and with it the request that it made. Says whether the time was over and nobody else asked
    /// for a cancel since the scope was opened.
    pub(crate) fn close_scope(&mut self, key: WaiterKey, others_before: i64, over: bool) -> bool {
        let drawn = self.other(key);
        let (task, outer) = (drawn.task, drawn.scope);
        let scope = self.scope_mut(key);
        let struck = scope.flags.has(STRUCK);
        let timer = scope.timer.take();
        if let Some(timer) = timer {
            self.wheel.cancel(timer);
        }
        self.hand_out(key, outer);
        self.remove(key);
        let Some(task) = task else { return false };
        if struck {
            self.slot_mut(task).strikes -= 1;
            self.uncancel(task);
        }
        (struck || over) && self.requests_from_outside(task, outer) <= others_before
    }

    /// The waiters that outlive their scope stand in the one around it.
    fn hand_out(&mut self, key: WaiterKey, outer: Option<WaiterKey>) {
        let mut eldest_first = Vec::new();
        let mut next = self.scope_mut(key).youngest;
        while let Some(waiter) = next {
            eldest_first.push(waiter);
            next = self.older(waiter);
        }
        while let Some(waiter) = eldest_first.pop() {
            self.move_to(waiter, self.other(waiter).task, outer);
        }
    }

    /// How many requests to cancel reach a scope from outside: from anybody, and from a `wait_for` around it, but from none
    /// beside it. May be negative, if a task took back what was not its own.
    fn requests_from_outside(&self, task: TaskKey, outer: Option<WaiterKey>) -> i64 {
        self.requests_of(task) + self.requests_around(outer)
    }

    /// Those by anybody.
    #[inline]
    fn requests_of(&self, task: TaskKey) -> i64 {
        let slot = &self.tasks[task.index()];
        i64::from(slot.cancels) - i64::from(slot.strikes)
    }

    /// Those by a `wait_for` around it.
    #[inline(never)]
    fn requests_around(&self, outer: Option<WaiterKey>) -> i64 {
        let mut requests = 0;
        let mut next = outer;
        while let Some(key) = next {
            let drawn = self.other(key);
            if let Kind::Scope(scope) = &drawn.waiter.kind {
                requests += i64::from(scope.flags.has(STRUCK));
            }
            next = drawn.scope;
        }
        requests
    }

    /// Whether a request is kept that reaches a scope from outside.
    #[inline(never)]
    fn is_requested(&self, task: TaskKey, outer: Option<WaiterKey>) -> bool {
        let mut next = outer;
        while let Some(key) = next {
            let drawn = self.other(key);
            if matches!(&drawn.waiter.kind, Kind::Scope(scope) if scope.flags.has(REQUESTED)) {
                return true;
            }
            next = drawn.scope;
        }
        self.slot(task).flags.has(REQUESTED)
    }

    /// A `wait_for` has wandered to another task, or into another `wait_for`: it takes along what it asked for.
    fn move_scope_here(&mut self, key: WaiterKey) {
        let before = self.other(key).task;
        self.move_here(key);
        let (Some(current), true) = (self.here.task.get(), before != self.here.task.get()) else {
            return;
        };
        if self.scope_flags(key).has(STRUCK) {
            if let Some(before) = before {
                self.slot_mut(before).strikes -= 1;
                self.uncancel(before);
            }
            let slot = self.slot_mut(current);
            slot.cancels += 1;
            slot.strikes += 1;
        }
    }

    /// At zero, all requests that are still kept are forgotten, those of scopes too.
    pub(crate) fn forget_requests(&mut self, youngest: Option<WaiterKey>) {
        let mut todo = Vec::new();
        let mut next = youngest;
        while let Some(key) = next {
            next = self.older(key);
            if let Kind::Scope(scope) = &mut self.waiter_mut(key).kind {
                scope.flags.clear(REQUESTED);
                todo.extend(scope.youngest);
            }
            next = next.or_else(|| todo.pop());
        }
    }

    pub(crate) fn scope_flags(&mut self, key: WaiterKey) -> &mut Flags {
        &mut self.scope_mut(key).flags
    }

    pub(crate) fn scope_mut(&mut self, key: WaiterKey) -> &mut Scope {
        match &mut self.waiter_mut(key).kind {
            Kind::Scope(scope) => scope,
            _ => unreachable!("a scope is a scope"),
        }
    }
}
