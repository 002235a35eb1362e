//! Scopes: what a `wait_for` that struck may cancel, and what it may not.
//!
//! asyncio's `timeouts.Timeout` cancels its whole task, which is right where a task is one chain of awaits. Here a task may
//! hold several, in a `join!`. So every waiter stands in the *scope* of the innermost `wait_for` around it, scopes nest,
//! and the outermost boundary is the task. A request by a `wait_for` reaches what stands in its scope, as a request to
//! the task reaches everything. It is kept and delivered by the same rules: see `task/request.rs`.
//!
//! A scope is a waiter of the kind `Scope`: it is listed among those of its task, and lists its own. It is *drawn* when something
//! needs it. Most timeouts stand around one wait at a time, with the task's own waiter: then the `wait_for` has a timer and
//! nothing else, and the task is marked as `LIMITED`. Whatever is not as usual has the scope drawn, and the waiter moved inside: a
//! strike, a second wait, a poll of another task, a drop. The `wait_for` finds it by its timer.

use std::{mem, task::Waker};

use crate::{
    event_loop::{
        Cause,
        arena::at_index,
        key::{Lodging, TaskKey, TimerKey, WaiterKey},
        state::State,
    },
    task::{Flags, LIMITED, QUEUED, RAISING, REQUESTED, STRUCK, TRACED, YIELDING},
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
    /// How many requests to cancel reach a new scope in the running task, if it is not the outermost, or its time is over
    /// from the start.
    ///
    /// A request that is still kept goes before a timeout of zero, since asyncio raises it where that begins to wait.
    pub(crate) fn requests_to_new(&self, at_once: bool) -> i32 {
        let outer = self.here.scope();
        let before = at_once && self.is_requested(outer);
        self.here.asked.get() + self.requests_around(outer) - i32::from(before)
    }

    /// How many requests there are to the running task, as they are counted: what `here` says is checked by that.
    pub(crate) fn asked_here(&self) -> i32 {
        let task = self.here.task.get();
        task.map_or(0, |task| self.requests(task).asked())
    }

    /// The innermost scope that is being polled, which is drawn now if it was not.
    pub(crate) fn scope_begun(&mut self) -> WaiterKey {
        self.draw_scopes();
        self.here.scope().expect("a scope has begun")
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
        // Whether the task's own waiter stands in the outermost of them.
        let task = self.here.task.get().filter(|_| self.here.inside.take());
        let mut inside =
            task.filter(|&task| self.slot(task).youngest == Some(WaiterKey::own(task)));
        for _ in 0..self.here.undrawn.take() {
            let scope = Scope {
                youngest: None,
                timer: None,
                flags: Flags::NONE,
            };
            let drawn = self.insert_scope(scope);
            if let Some(task) = inside.take() {
                self.move_inside(task, drawn);
            }
            self.here.set_scope(Some(drawn));
        }
    }

    /// Leaves a coroutine in which nothing waits but the task's own waiter, if it is so: then nothing has to be drawn. `timer` sets the
    /// timer, if there is none yet. Says which it is.
    #[inline]
    pub(crate) fn leave_limited(
        &mut self,
        timer: impl FnOnce(&mut Self, WaiterKey) -> TimerKey,
    ) -> Option<TimerKey> {
        let task = self.here.task.get()?;
        let own = WaiterKey::own(task);
        if !self.here.waits_inside() || self.slot(task).youngest != Some(own) {
            return None;
        }
        self.slot_mut(task).flags.set(LIMITED);
        self.here.leave_inside();
        let timer = timer(self, own);
        *at_index(&mut self.limits, task.index()) = Some(timer);
        Some(timer)
    }

    /// Begins to poll a coroutine that was left so, if its wait is over and all is as it was. Else it has to be drawn.
    #[inline]
    pub(crate) fn enter_limited(&mut self, timer: TimerKey, waker: &Waker) -> bool {
        let Some(task) = self.here.task.get() else {
            return false;
        };
        let slot = self.slot(task);
        let is_usual = slot.flags.has(LIMITED)
            && !slot.flags.has(TRACED)
            && !slot.own.is_pending()
            && slot.youngest == Some(WaiterKey::own(task))
            && self.limits[task.index()] == Some(timer)
            && self.here.is_plain(waker)
            && !self.here.observed.get();
        if is_usual {
            self.slot_mut(task).flags.clear(LIMITED);
            self.here.undrawn.set(1);
        }
        is_usual
    }

    /// The task whose own waiter stands in a `wait_for` with this timer, and which is not drawn.
    pub(crate) fn limited_by(&self, timer: TimerKey, key: WaiterKey) -> Option<TaskKey> {
        match key.lodging() {
            Lodging::Own(task) if self.slot(task).flags.has(LIMITED) => {
                (self.limits[task.index()] == Some(timer)).then_some(task)
            }
            _ => None,
        }
    }

    /// The scope of a `wait_for` that was left with a timer alone, and is drawn now. If that has struck, nobody needs it any more.
    pub(crate) fn scope_of_limit(&mut self, timer: TimerKey) -> WaiterKey {
        let key = self.wheel.payload(timer).expect("it was not cancelled");
        let scope = match key.lodging() {
            Lodging::Own(task) => self.draw_limit(task),
            Lodging::Other(_) => key,
        };
        let drawn = self.scope_mut(scope);
        drawn.flags.clear(LIMITED);
        if drawn.timer.is_none() {
            self.wheel.remove_due(timer);
        }
        scope
    }

    /// Gives a scope that has just been drawn the timer that its `wait_for` had before.
    pub(crate) fn set_limit(&mut self, scope: WaiterKey, timer: TimerKey) {
        self.scope_mut(scope).timer = Some(timer);
        self.wheel.set_payload(timer, scope);
    }

    /// Begins to poll what is inside. A request that is kept is told to what was pending there. Says whether any task
    /// of this loop is running at all.
    pub(crate) fn enter_scope(&mut self, key: WaiterKey) -> bool {
        let Some(current) = self.here.task.get() else {
            return false;
        };
        self.draw_scopes();
        let drawn = self.other(key);
        if drawn.task != Some(current) || drawn.scope != self.here.scope() {
            self.move_scope_here(key);
        }
        let step = self.here.step();
        let was_polled = mem::replace(&mut self.other_mut(key).polled, step);
        let scope = self.scope_mut(key);
        scope.flags.clear(YIELDING);
        if scope.flags.has(REQUESTED) {
            self.raise_inside(key, was_polled);
        }
        self.here.set_scope(Some(key));
        true
    }

    /// A request that is kept is told to what was pending inside.
    #[cold]
    fn raise_inside(&mut self, key: WaiterKey, was_polled: u32) {
        let scope = self.scope_mut(key);
        scope.flags.set(RAISING);
        let youngest = scope.youngest;
        self.here.raise();
        let mut inner = Vec::new();
        if !self.tell(youngest, was_polled, &mut inner) && !inner.is_empty() {
            self.scope_flags(key).clear(REQUESTED);
        }
        self.request_all(inner);
    }

    /// Ends the poll of what is inside.
    #[inline]
    pub(crate) fn leave_scope(&mut self, key: WaiterKey, pending: bool) -> Verdict {
        self.here.set_scope(self.other(key).scope);
        let scope = self.scope_mut(key);
        if pending && scope.flags.has(REQUESTED) {
            return self.leave_requested(key);
        }
        scope.flags.clear(RAISING);
        Verdict::Pending
    }

    /// The same where a request is kept: that is told to what is pending now.
    #[cold]
    fn leave_requested(&mut self, key: WaiterKey) -> Verdict {
        let scope = self.scope_mut(key);
        let (flags, youngest) = (scope.flags, scope.youngest);
        scope.flags.clear(RAISING);
        let mut inner = Vec::new();
        if self.tell(youngest, self.here.step(), &mut inner) {
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
        self.count_requests(task, 1, 1);
        if self.slot(task).flags.has(QUEUED) || self.here.is(task) {
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
        self.tell(youngest, self.here.step(), &mut inner);
        self.request_all(inner);
    }

    /// Takes the boundary away, and with it the request that it made. Says whether the time was over and nobody else asked
    /// for a cancel since the scope was opened.
    pub(crate) fn close_scope(&mut self, key: WaiterKey, others_before: i32, over: bool) -> bool {
        let drawn = self.other(key);
        let (task, outer) = (drawn.task, drawn.scope);
        let scope = self.scope_mut(key);
        let struck = scope.flags.has(STRUCK);
        let youngest = scope.youngest;
        if let Some(timer) = scope.timer.take() {
            self.wheel.cancel(timer);
        }
        if let Some(youngest) = youngest {
            self.hand_out(youngest, outer);
        }
        self.remove(key);
        let Some(task) = task else { return false };
        if struck {
            self.take_back_strike(task);
        }
        (struck || over) && self.requests_from_outside(task, outer) <= others_before
    }

    /// Takes back the request that a scope made when its timer struck.
    fn take_back_strike(&mut self, task: TaskKey) {
        self.count_requests(task, 0, -1);
        self.uncancel(task);
    }

    /// The waiters that outlive their scope stand in the one around it.
    #[cold]
    fn hand_out(&mut self, youngest: WaiterKey, outer: Option<WaiterKey>) {
        let mut eldest_first = Vec::new();
        let mut next = Some(youngest);
        while let Some(waiter) = next {
            eldest_first.push(waiter);
            next = self.older(waiter);
        }
        while let Some(waiter) = eldest_first.pop() {
            // One whose task has ended is nobody's, until it is polled again.
            let task = self.other(waiter).task;
            self.move_to(waiter, task, outer.filter(|_| task.is_some()));
        }
    }

    /// How many requests to cancel reach a scope from outside: from anybody, and from a `wait_for` around it, but from none
    /// beside it. May be negative, if a task took back what was not its own.
    fn requests_from_outside(&self, task: TaskKey, outer: Option<WaiterKey>) -> i32 {
        self.requests(task).asked() + self.requests_around(outer)
    }

    /// Those by a `wait_for` around it.
    #[inline(never)]
    fn requests_around(&self, outer: Option<WaiterKey>) -> i32 {
        let mut requests = 0;
        let mut next = outer;
        while let Some(key) = next {
            let drawn = self.other(key);
            if let Kind::Scope(scope) = &drawn.waiter.kind {
                requests += i32::from(scope.flags.has(STRUCK));
            }
            next = drawn.scope;
        }
        requests
    }

    /// Whether a request is kept that reaches a new scope in the running task.
    fn is_requested(&self, outer: Option<WaiterKey>) -> bool {
        let mut next = outer;
        while let Some(key) = next {
            let drawn = self.other(key);
            if matches!(&drawn.waiter.kind, Kind::Scope(scope) if scope.flags.has(REQUESTED)) {
                return true;
            }
            next = drawn.scope;
        }
        let task = self.here.task.get();
        task.is_some_and(|task| self.slot(task).flags.has(REQUESTED))
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
                self.take_back_strike(before);
            }
            self.count_requests(current, 1, 1);
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
