//! How a request to cancel is kept and delivered.
//!
//! A request is *kept* from `cancel()` until one of our futures has returned `Err(Cancelled)` for it. On a suspended task
//! every pending waiter is told at once; a wait for another task passes the request on instead. On a queued task the
//! next step begins by telling, and on a running one the step ends with it. So a wait that was told and is then
//! dropped by a `select!` loses nothing: the request is still kept, and what is pending next is told. A step that began
//! with a request and ends without having delivered it, with nothing left to tell, is stuck in a future that
//! is not ours: the coroutine is dropped there.
//!
//! `wait_for` keeps requests of its own in the same way, see `scope.rs`. In asyncio all of this is `Task._must_cancel`,
//! `Task._fut_waiter` and `Task.__step`.

use super::slot::{ASKED, DONE, DOOMED, QUEUED, RAISING, REQUESTED, UNSEEN, VISITED};
use crate::{
    event_loop::{Cause, arena::at_index, key::TaskKey, now, state::State},
    trace::Requester,
};

/// How many requests to cancel a task there are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Requests {
    /// asyncio's `_num_cancels_requested`.
    pub(crate) cancels: u32,
    /// How many of these are by a `wait_for` that struck and has not returned yet.
    strikes: u32,
}

impl Requests {
    /// How many there are but for those of a `wait_for` that struck. Negative if the task took back what was not its own.
    pub(crate) fn asked(self) -> i32 {
        self.cancels as i32 - self.strikes as i32
    }
}

impl State {
    /// The requests to a task as they are counted.
    pub(crate) fn requests(&self, key: TaskKey) -> Requests {
        match self.slot(key).flags.has(ASKED) {
            true => self.requests[key.index()],
            false => Requests::default(),
        }
    }

    /// Asks a task to stop.
    pub(crate) fn cancel(&mut self, key: TaskKey) -> bool {
        let slot = self.slot_mut(key);
        if slot.flags.has(DONE) {
            slot.flags.clear(UNSEEN);
            return false;
        }
        self.request(key);
        true
    }

    /// Makes a request to a task, and to those that it awaits in its place.
    ///
    /// A worklist and no recursion: a chain of awaits may be long, or a circle. A circle is cut where it meets itself.
    pub(super) fn request(&mut self, first: TaskKey) {
        let mut todo = Vec::new();
        let mut visited = Vec::new();
        let mut next = Some(first);
        while let Some(key) = next {
            let is_running = self.here.is(key);
            let slot = self.slot_mut(key);
            if !slot.flags.has(VISITED.or(DONE)) {
                slot.flags.set(REQUESTED);
                self.count_requests(key, 1, 0);
                self.write_request(key);
                let slot = self.slot_mut(key);
                if !slot.flags.has(QUEUED) && !is_running {
                    let (youngest, last_step) = (slot.youngest, slot.last_step);
                    let asked = todo.len();
                    if self.tell(youngest, last_step, &mut todo) {
                        self.queue_step(key, Cause::Request);
                    } else if todo.len() > asked {
                        // Those it awaits are cancelled in its place, and it hears of that from them.
                        self.slot_mut(key).flags.clear(REQUESTED);
                        self.slot_mut(key).flags.set(VISITED);
                        visited.push(key);
                        todo[asked..].reverse();
                    } else {
                        self.queue_step(key, Cause::Request);
                    }
                }
            }
            next = todo.pop();
        }
        for key in visited {
            self.slot_mut(key).flags.clear(VISITED);
        }
    }

    pub(crate) fn request_all(&mut self, tasks: Vec<TaskKey>) {
        tasks.into_iter().for_each(|task| self.request(task));
    }

    /// A step begins with a request: whatever was pending is told of it.
    pub(super) fn raise(&mut self, key: TaskKey) {
        let slot = self.slot_mut(key);
        slot.flags.set(RAISING);
        let (youngest, last_step) = (slot.youngest, slot.last_step);
        let mut inner = Vec::new();
        let told = self.tell(youngest, last_step, &mut inner);
        if !told && !inner.is_empty() {
            self.slot_mut(key).flags.clear(REQUESTED);
        }
        self.request_all(inner);
    }

    /// A step has ended pending with a request: see the head of this file. Says whether its coroutine has to be dropped.
    pub(super) fn end_request(&mut self, key: TaskKey) -> bool {
        let slot = self.slot(key);
        if !slot.flags.has(REQUESTED) {
            return false;
        }
        let (youngest, last_step) = (slot.youngest, slot.last_step);
        let mut inner = Vec::new();
        if self.tell(youngest, last_step, &mut inner) {
            self.queue_step(key, Cause::Request);
        } else if !inner.is_empty() {
            self.slot_mut(key).flags.clear(REQUESTED);
        } else if now::yields() > 0 {
            // Its step is queued, and begins by raising the request.
        } else if self.slot(key).flags.has(RAISING) {
            return true;
        } else {
            self.queue_step(key, Cause::Request);
        }
        self.request_all(inner);
        false
    }

    /// Takes one request back; at zero a request still kept is forgotten.
    pub(crate) fn uncancel(&mut self, key: TaskKey) -> usize {
        if self.requests(key).cancels > 0 {
            self.count_requests(key, -1, 0);
            if self.requests(key).cancels == 0 {
                let slot = self.slot_mut(key);
                slot.flags.clear(REQUESTED);
                let youngest = slot.youngest;
                self.forget_requests(youngest);
            }
        }
        self.requests(key).cancels as usize
    }

    /// Counts so many more requests to a task, and so many more of a `wait_for` that struck among them.
    pub(crate) fn count_requests(&mut self, key: TaskKey, cancels: i32, strikes: i32) {
        let mut requests = self.requests(key);
        requests.cancels = requests.cancels.saturating_add_signed(cancels);
        requests.strikes = requests.strikes.wrapping_add_signed(strikes);
        if self.here.is(key) {
            self.here.asked.set(requests.asked());
        }
        if requests == Requests::default() {
            return self.slot_mut(key).flags.clear(ASKED);
        }
        self.slot_mut(key).flags.set(ASKED);
        *at_index(&mut self.requests, key.index()) = requests;
    }

    /// Cancels every task, for the shutdown. Returns how many there are.
    pub(crate) fn doom_all(&mut self) -> usize {
        let doomed = self.in_order_of_creation();
        self.doomed = doomed.len();
        for &task in &doomed {
            self.slot_mut(task).flags.set(DOOMED);
        }
        self.on_behalf_of(Requester::Shutdown, |state| {
            for &task in &doomed {
                state.cancel(task);
            }
        });
        self.doomed
    }
}
