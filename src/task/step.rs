//! The life of a step: queued, begun, ended, and with it perhaps its task.

use std::{mem, sync::Weak, task::Waker};

use super::{
    TaskFailure,
    body::{Ending, Unclaimed},
    slot::{
        ADOPTED, ASKED, CANCELLED, DONE, DOOMED, Flags, MAIN, OWNED, QUEUED, RAISING, REQUESTED,
        STARTED, TRACED, UNSEEN, YIELDED_INSIDE, move_over,
    },
};
use crate::{
    error::{Error, NEVER_RETRIEVED, UNHANDLED_AT_SHUTDOWN},
    event_loop::{
        Cause, Handle,
        key::TaskKey,
        now::Now,
        ready::Entry,
        state::{Between, Errand, State},
    },
    trace::{EventKind, Finish},
    waiter::{Waits, Wake},
};

/// What makes a step begin in another way than most.
const UNUSUAL: Flags = DONE
    .or(REQUESTED)
    .or(ASKED)
    .or(ADOPTED)
    .or(YIELDED_INSIDE)
    .or(TRACED);

/// What makes a return end a task in another way than most.
const UNUSUAL_END: Flags = REQUESTED
    .or(ADOPTED)
    .or(YIELDED_INSIDE)
    .or(MAIN)
    .or(DOOMED)
    .or(TRACED);

/// What is next in a turn. The coroutine comes with it, but for main's.
pub(crate) enum Next {
    /// A step, to be taken with the spare waker.
    Step(TaskKey),
    /// A step, to be taken with the waker that the task has adopted.
    StepWith(TaskKey, Waker),
    /// The end of a task that was cancelled before its first step: its coroutine is to be dropped.
    Discard(TaskKey),
    /// Nothing yet: the step before has left a task pending, with a request to cancel to see to, a recorder to tell, or no room to
    /// queue it.
    Unsettled(TaskKey),
    /// Nothing more: the handle has run.
    Nothing,
    /// Nothing: the turn is over.
    Over,
}

/// What keeps the next step from being begun as most are.
#[derive(Debug)]
pub(crate) enum Unusual {
    /// The step before has left its task pending, and more than that is to be seen to: [`Next::Unsettled`].
    Suspension,
    /// What is next is for [`State::next`] to see.
    Handle,
}

/// How a step ends.
pub(crate) enum After {
    /// The task is suspended, queued, or has ended.
    Settled,
    /// A request to cancel cannot be delivered otherwise: the coroutine, or its result, is to be dropped.
    Abandon,
}

impl State {
    /// Queues a task's step, unless it is queued or has ended.
    #[inline]
    pub(crate) fn queue_step(&mut self, key: TaskKey, cause: Cause) {
        let slot = &mut self.tasks[key.index()];
        if slot.flags.queue() {
            self.push_step(key);
        } else if slot.flags.has(TRACED) {
            self.queue_traced(key, cause);
        }
    }

    /// Queues the step of a task whose flags say so.
    #[inline]
    pub(crate) fn push_step(&mut self, key: TaskKey) {
        self.ready.push(Handle::Step(key));
        self.announce();
    }

    #[cold]
    fn queue_traced(&mut self, key: TaskKey, cause: Cause) {
        if self.slot(key).flags.has(DONE) {
            return;
        }
        self.write_wake(key, cause);
        let flags = &mut self.slot_mut(key).flags;
        if !flags.has(QUEUED.or(DONE)) {
            flags.set(QUEUED);
            self.ready.push(Handle::Step(key));
            self.announce();
        }
    }

    /// Tells the host, if it was left with nothing to do, that there is something.
    #[inline]
    pub(crate) fn announce(&mut self) {
        if self.announces {
            self.announces = false;
            self.outbox.push(Errand::Announce);
        }
    }

    /// Begins the next step, after that of a task that it has left pending, if both are as most are. Where the turn is over, the
    /// next may begin: if it is known what may come between the two, and that is nothing.
    #[inline(always)]
    pub(crate) fn next_step(
        &mut self,
        pending: Option<TaskKey>,
        body: &mut Unclaimed,
        now: &Now,
        between: Option<Between<'_>>,
    ) -> Result<TaskKey, Unusual> {
        if let Some(first) = self.ready.first_entry() {
            self.suspend_pending(pending, body, now)?;
            return self.begin_first(first, body, now);
        }
        let between = between.filter(|between| self.may_go_on(between.inbox));
        if let (Some(key), Some(_)) = (pending, between) {
            if self.goes_on_alone(key, now) {
                return Ok(key);
            }
        }
        self.suspend_pending(pending, body, now)?;
        let Some(between) = between else {
            return Err(Unusual::Handle);
        };
        if !self.wheel.is_empty() {
            if !self.begin_next_timed_turn(between.clock) {
                return Err(Unusual::Handle);
            }
        } else if let Some(lone) = self.ready.lone_entry() {
            return self.begin_lone(lone, body, now);
        } else {
            self.ready.begin_turn();
        }
        let first = self.ready.first_entry().ok_or(Unusual::Handle)?;
        self.begin_first(first, body, now)
    }

    /// Begins a step that is the first of its turn.
    #[inline]
    fn begin_first(
        &mut self,
        first: Entry,
        body: &mut Unclaimed,
        now: &Now,
    ) -> Result<TaskKey, Unusual> {
        let key = self.begin_usual_step(first, body, now)?;
        self.ready.take_first();
        Ok(key)
    }

    /// Begins a step that is a turn by itself. That turn begins only if there is more to the step.
    #[inline]
    fn begin_lone(
        &mut self,
        lone: Entry,
        body: &mut Unclaimed,
        now: &Now,
    ) -> Result<TaskKey, Unusual> {
        let begun = self.begin_usual_step(lone, body, now);
        match begun {
            Ok(_) => self.ready.take_lone(),
            Err(_) => self.ready.begin_turn(),
        }
        begun
    }

    /// Begins a step, if the handle is one and it is as most are. The handle is to be taken.
    #[inline]
    fn begin_usual_step(
        &mut self,
        handle: Entry,
        body: &mut Unclaimed,
        now: &Now,
    ) -> Result<TaskKey, Unusual> {
        let key = handle.step().ok_or(Unusual::Handle)?;
        let slot = &mut self.tasks[key.index()];
        if slot.flags.has(UNUSUAL) {
            return Err(Unusual::Handle);
        }
        slot.begin_step(self.here.begin_step(key, true, now), body);
        Ok(key)
    }

    /// Begins the next step of a task right after a step that ended in a bare yield, if that is all that the next turn would be: the task
    /// is neither queued nor suspended for it. The turn before is over.
    #[inline]
    fn goes_on_alone(&mut self, key: TaskKey, now: &Now) -> bool {
        let slot = &mut self.tasks[key.index()];
        let goes_on = now.yields() > 0
            && self.wheel.is_empty()
            && self.ready.next_turn_len() == 0
            && !slot.flags.has(UNUSUAL.or(RAISING));
        if goes_on {
            now.forget_yields();
            slot.go_on(self.here.begin_step(key, true, now));
        }
        goes_on
    }

    /// Takes the next handle of the turn, whatever it is. Timers run here and now; a step begins, and is the caller's to take.
    pub(crate) fn next(&mut self, body: &mut Unclaimed, now: &Now) -> Next {
        // Whatever comes now, it is outside any step.
        self.here.leave_step(now);
        loop {
            let Some(handle) = self.ready.first() else {
                return Next::Over;
            };
            self.ready.take_first();
            match handle {
                Handle::Step(key) => {
                    let next = self.begin_unusual_step(key, body, now);
                    return next.unwrap_or(Next::Nothing);
                }
                Handle::Timer(timer) => self.run_timer(timer),
            }
            // A step may be as most are, and somebody may have to be woken first.
            if !self.outbox.is_empty() || !matches!(self.ready.first(), Some(Handle::Timer(_))) {
                return Next::Nothing;
            }
        }
    }

    /// Begins a step of a task that has ended, is or was to be cancelled, has adopted a waker, has combinators to wake, or is
    /// recorded. A request that is kept is told to what was pending.
    fn begin_unusual_step(
        &mut self,
        key: TaskKey,
        body: &mut Unclaimed,
        now: &Now,
    ) -> Option<Next> {
        let slot = self.slot_mut(key);
        if slot.flags.has(DONE) {
            slot.flags.clear(QUEUED);
            self.free_if_unused(key);
            return None;
        }
        if slot.flags.has(REQUESTED) {
            if !slot.flags.has(STARTED) {
                slot.flags.clear(QUEUED);
                *body = slot.body.take();
                return Some(Next::Discard(key));
            }
            self.raise(key);
        }
        if self.slot(key).flags.has(YIELDED_INSIDE) {
            self.wake_yielders(key);
        }
        self.write(Some(key), EventKind::Stepped);
        let raising = self.slot(key).flags.has(RAISING);
        let step = self.here.begin_step(key, !raising, now);
        self.here.asked.set(self.requests(key).asked());
        self.slot_mut(key).begin_step(step, body);
        // All clones may be gone again.
        let Some(adopted) = self.adopted(key) else {
            self.slot_mut(key).flags.clear(ADOPTED);
            return Some(Next::Step(key));
        };
        let adopted = Waker::from(adopted);
        self.here.set_waker(adopted.data());
        Some(Next::StepWith(key, adopted))
    }

    /// Wakes the bare yields of a task whose next step begins.
    fn wake_yielders(&mut self, key: TaskKey) {
        self.slot_mut(key).flags.clear(YIELDED_INSIDE);
        let (own, others) = mem::take(&mut self.yielders)
            .into_iter()
            .partition::<Vec<_>, _>(|&(task, _)| task == key);
        self.yielders = others;
        for (_, waiter) in own {
            self.wake_if_pending(waiter);
        }
    }

    /// Ends the step of a task that it has left pending, if there is such a task.
    #[inline]
    fn suspend_pending(
        &mut self,
        pending: Option<TaskKey>,
        body: &mut Unclaimed,
        now: &Now,
    ) -> Result<(), Unusual> {
        match pending {
            Some(key) if !self.suspend(key, body, now) => Err(Unusual::Suspension),
            _ => Ok(()),
        }
    }

    /// Ends a step after which the task is suspended, or queued where there is room, if it has no requests to cancel and is not
    /// recorded. Else does nothing.
    #[inline]
    fn suspend(&mut self, key: TaskKey, body: &mut Unclaimed, now: &Now) -> bool {
        let slot = &mut self.tasks[key.index()];
        let flags = slot.flags;
        if flags.has(REQUESTED.or(RAISING).or(ASKED).or(TRACED)) {
            return false;
        }
        if now.yields() > 0 {
            if !flags.has(QUEUED) {
                if !self.ready.push_within_capacity(Handle::Step(key)) {
                    return false;
                }
                slot.flags = flags.or(QUEUED);
            }
            now.forget_yields();
        }
        move_over(body, &mut slot.body);
        true
    }

    /// Ends a step and its task with it, if that has returned, to somebody who will retrieve the result, and nothing else is to be
    /// done about it. Says whether it was so.
    #[inline]
    pub(crate) fn finish_alone(&mut self, key: TaskKey, body: &mut Unclaimed, now: &Now) -> bool {
        let slot = self.slot(key);
        let is_alone = slot.flags.has(OWNED)
            && !slot.flags.has(UNUSUAL_END)
            && slot.youngest.is_none()
            && slot.joiner.is_none();
        if is_alone {
            self.retire(key, body, now);
        }
        is_alone
    }

    /// A task has returned, and no step of it is running any more.
    #[inline]
    fn retire(&mut self, key: TaskKey, body: &mut Unclaimed, now: &Now) {
        let slot = &mut self.tasks[key.index()];
        slot.flags.clear(RAISING);
        slot.flags.set(DONE);
        if slot.flags.has(OWNED) {
            move_over(body, &mut slot.body);
        }
        self.here.leave_step(now);
        self.alive -= 1;
    }

    /// Ends a step and its task with it, as most do. Leaves the body if nobody can retrieve its result. Does nothing if
    /// there is more to it.
    #[inline]
    pub(crate) fn finish(
        &mut self,
        key: TaskKey,
        ending: Ending,
        body: &mut Unclaimed,
        now: &Now,
    ) -> bool {
        let slot = self.slot(key);
        let (flags, youngest, joiner) = (slot.flags, slot.youngest, slot.joiner);
        if ending != Ending::Returned || flags.has(UNUSUAL_END) {
            return false;
        }
        self.retire(key, body, now);
        if youngest.is_some() {
            self.detach_waiters(key);
        }
        if let Some(joiner) = joiner {
            self.settle(joiner, Wake::Woken);
        }
        if !flags.has(OWNED.or(QUEUED)) {
            self.free_if_unused(key);
        }
        true
    }

    /// Ends a step. An ending is final unless a request to cancel overrules it.
    pub(crate) fn end_step(
        &mut self,
        key: TaskKey,
        ending: Option<Ending>,
        body: &mut Unclaimed,
        now: &Now,
    ) -> After {
        match ending {
            // "Task is cancelled right before coro stops."
            Some(Ending::Returned) if self.slot(key).flags.has(REQUESTED) => return After::Abandon,
            None if self.end_request(key) => return After::Abandon,
            None => {
                self.slot_mut(key).body = body.take();
                if now.yields() > 0 {
                    self.queue_step(key, Cause::Yield);
                }
            }
            Some(_) => {}
        }
        self.slot_mut(key).flags.clear(RAISING);
        self.here.leave_step(now);
        After::Settled
    }

    /// Ends a task. Leaves the body if nobody can retrieve its result, and returns the error if it has to be reported.
    pub(crate) fn end(
        &mut self,
        key: TaskKey,
        ending: Ending,
        body: &mut Unclaimed,
        error: Option<Error>,
    ) -> Option<TaskFailure> {
        let slot = &mut self.tasks[key.index()];
        let flags = slot.flags;
        slot.flags.clear(REQUESTED);
        slot.flags.set(DONE);
        match ending {
            Ending::Returned => {}
            Ending::Raised => slot.flags.set(UNSEEN),
            Ending::Cancelled => slot.flags.set(CANCELLED),
        }
        if flags.has(OWNED) {
            slot.body = body.take();
        }
        let mut failure = None;
        if let Some(error) = error {
            if flags.has(DOOMED) {
                // Kept by a handle, for the name that it has when this is reported.
                slot.flags.clear(UNSEEN);
                slot.handles += 1;
                self.failures.push((key, error));
            } else if !flags.has(OWNED) {
                failure = Some(TaskFailure::new(NEVER_RETRIEVED, self.name(key), error));
            }
        }
        self.settle_ended(key);
        failure
    }

    /// What every end of a task brings: whoever awaits it is woken, main's stops the loop, the last doomed one's as well.
    fn settle_ended(&mut self, key: TaskKey) {
        self.alive -= 1;
        self.detach_waiters(key);
        let slot = self.slot_mut(key);
        let flags = slot.flags;
        let joiner = slot.joiner;
        if flags.has(YIELDED_INSIDE) {
            self.yielders.retain(|&(task, _)| task != key);
        }
        if let Some(waker) = self.adopted(key) {
            waker.detach();
            self.adopted[key.index()] = Weak::new();
        }
        if let Some(joiner) = joiner {
            self.settle(joiner, Wake::Woken);
        }
        if flags.has(MAIN) {
            // `_run_until_complete_cb` runs in the turn after this one, which then runs to its end.
            self.stop_after = Some(1);
        }
        if flags.has(DOOMED) {
            self.doomed -= 1;
            if self.doomed == 0 {
                // One turn for the callback by which `gather` hears of it, and one for its own.
                self.stop_after = Some(2);
            }
        }
        self.free_if_unused(key);
    }

    /// The end of a task that was dropped where it stood: it is cancelled to whoever looks, or awaits it. Returns the body if
    /// nobody can.
    pub(crate) fn end_dropped(
        &mut self,
        key: TaskKey,
        body: Unclaimed,
        panicked: bool,
    ) -> Unclaimed {
        self.write_end(
            key,
            if panicked {
                Finish::Panicked
            } else {
                Finish::Dropped
            },
        );
        let slot = self.slot_mut(key);
        slot.flags.clear(RAISING.or(REQUESTED).or(MAIN));
        slot.flags.set(DONE.or(CANCELLED));
        let mut body = body;
        if slot.flags.has(OWNED) {
            slot.body = body.take();
        }
        self.settle_ended(key);
        body
    }

    /// What the doomed tasks raised, in the order of their creation.
    pub(crate) fn take_failures(&mut self) -> Vec<TaskFailure> {
        let mut failures = mem::take(&mut self.failures);
        failures.sort_unstable_by_key(|&(task, _)| self.slot(task).number);
        let mut reports = Vec::new();
        for (task, error) in failures {
            reports.push(TaskFailure::new(
                UNHANDLED_AT_SHUTDOWN,
                self.name(task),
                error,
            ));
            self.release_handle(task);
        }
        reports
    }

    /// Each task that has not ended, and what it waits for.
    pub(crate) fn stuck_tasks(&self) -> Vec<(String, Waits)> {
        let stuck = self.in_order_of_creation().into_iter();
        stuck
            .map(|key| {
                (
                    self.name(key),
                    self.waits(self.slot(key).youngest, self.slot(key).last_step),
                )
            })
            .collect()
    }

    /// Leaves nothing ready at the end of a run. All tasks have ended; a timer that is due runs, for a future that has
    /// survived its task and may be polled in the next run.
    pub(crate) fn clear(&mut self) {
        debug_assert_eq!(self.alive, 0);
        while !self.ready.is_empty() {
            for handle in self.ready.drain() {
                match handle {
                    Handle::Timer(timer) => self.run_timer(timer),
                    Handle::Step(task) => {
                        self.slot_mut(task).flags.clear(QUEUED);
                        self.free_if_unused(task);
                    }
                }
            }
        }
        debug_assert!(self.yielders.is_empty(), "a task takes its own along");
        self.stop_after = None;
        self.doomed = 0;
    }
}
