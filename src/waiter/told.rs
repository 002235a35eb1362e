//! What a task awaits, and how that is told of a request to cancel, or of a yield that is over.

use std::{rc::Weak, task::Poll};

use super::{Kind, Settled, Waiter, Wake, queue::Named};
use crate::{
    event_loop::{
        key::{Lodging, TaskKey, WaiterKey},
        now::{self, Stamp},
        state::State,
    },
    task::{Flags, POLLED, RAISING, REQUESTED, YIELDED_INSIDE, YIELDING},
    trace::EventKind,
};

fn settle_request(flags: &mut Flags) {
    if flags.has(RAISING) {
        flags.clear(REQUESTED);
    }
}

/// What a task waits for.
pub(crate) struct Waits(Vec<Wait>);

enum Wait {
    Primitive(Weak<dyn Named>),
    Words(String),
}

impl Waits {
    /// The names of it all. Looks into the primitives, and so into the loop's state.
    pub(crate) fn describe(&self) -> String {
        let names: Vec<_> = self
            .0
            .iter()
            .map(|wait| match wait {
                Wait::Primitive(primitive) => primitive
                    .upgrade()
                    .map_or_else(|| "a primitive that is gone".into(), |p| p.name()),
                Wait::Words(words) => words.clone(),
            })
            .collect();
        if names.is_empty() {
            "a future from elsewhere".into()
        } else {
            names.join(" and ")
        }
    }
}

impl State {
    /// A bare yield begins: when this step is over, the task's next one is queued. Returns the step it was in.
    #[inline]
    pub(crate) fn yield_now(&mut self) -> Option<Stamp> {
        self.here.task.get()?;
        self.mark_yielding();
        Some(now::begin_any_yield())
    }

    /// A bare yield begins that was polled with a combinator's waker, which is woken when the next step begins.
    pub(crate) fn yield_inside(&mut self) -> WaiterKey {
        self.draw_scopes();
        let key = self.next_other();
        self.insert_other(key, Waiter::new(Kind::Yield));
        if let Some(current) = self.here.task.get() {
            self.yielders.push((current, key));
            self.slot_mut(current).flags.set(YIELDED_INSIDE);
        }
        key
    }

    /// Has the scopes around know that something in them yields.
    fn mark_yielding(&mut self) {
        let mut scope = self.here.scope();
        while let Some(key) = scope {
            self.scope_flags(key).set(YIELDING);
            scope = self.other(key).scope;
        }
    }

    /// How a bare yield stands that began in an earlier step, or in this one. `None` if there is a request to raise.
    #[inline]
    pub(super) fn yielded(&self, since: Stamp) -> Option<Poll<Settled>> {
        match self.here.task.get() {
            // Else it is another executor, or a loop that has ended.
            None => Some(Poll::Ready(Settled::NoLoop)),
            Some(_) if self.here.is_since(since) => Some(Poll::Pending),
            Some(_) if self.here.is_raising() && self.raises() => None,
            Some(_) => Some(Poll::Ready(Settled::Woken)),
        }
    }

    /// Whether a request is to be raised by what is polled here and was pending before.
    pub(super) fn raises(&self) -> bool {
        self.boundaries().any(|flags| flags.has(RAISING))
    }

    /// A request counts as delivered, to every boundary around the place where it was raised.
    pub(crate) fn delivered(&mut self) {
        if !self.here.is_raising() {
            return;
        }
        self.write_current(EventKind::CancelDelivered);
        let mut scope = self.here.scope();
        while let Some(key) = scope {
            settle_request(self.scope_flags(key));
            scope = self.other(key).scope;
        }
        if let Some(current) = self.here.task.get() {
            settle_request(&mut self.slot_mut(current).flags);
        }
    }

    /// The flags of the scopes around what is being polled, innermost first, and of the task.
    fn boundaries(&self) -> impl Iterator<Item = Flags> {
        let mut scope = self.here.scope();
        let scopes = std::iter::from_fn(move || {
            let drawn = self.other(scope?);
            scope = drawn.scope;
            match &drawn.waiter.kind {
                Kind::Scope(scope) => Some(scope.flags),
                _ => unreachable!("a scope is a scope"),
            }
        });
        scopes.chain(self.here.task.get().map(|current| self.slot(current).flags))
    }

    /// Tells whatever is awaited of a request to cancel. Waits for tasks are not told: the tasks are to be cancelled in
    /// their place, in the order in which they are listed. Says whether anything was told.
    pub(crate) fn tell(
        &mut self,
        youngest: Option<WaiterKey>,
        step: u32,
        inner: &mut Vec<TaskKey>,
    ) -> bool {
        let mut todo = Vec::new();
        let mut next = self.list(youngest, step, &mut todo);
        let mut told = false;
        while let Some(key) = next {
            let waiter = self.waiter(key);
            match &waiter.kind {
                Kind::Scope(scope) => {
                    next = self.list(scope.youngest, self.other(key).polled, &mut todo);
                    continue;
                }
                _ if !waiter.is_pending() => {}
                Kind::Join { task } => inner.push(*task),
                _ => {
                    self.settle(key, Wake::Cancelled);
                    told = true;
                }
            }
            next = todo.pop();
        }
        told
    }

    /// Lists the awaited waiters of a boundary, the eldest last, and takes that one off the list.
    pub(super) fn list(
        &self,
        youngest: Option<WaiterKey>,
        step: u32,
        list: &mut Vec<WaiterKey>,
    ) -> Option<WaiterKey> {
        let mut next = youngest;
        while let Some(key) = next {
            next = self.older(key);
            if self.is_awaited(key, step) {
                if next.is_none() {
                    return Some(key);
                }
                list.push(key);
            }
        }
        list.pop()
    }

    /// Whether the task awaits a waiter, if the boundary around it was last polled in this step.
    fn is_awaited(&self, key: WaiterKey, step: u32) -> bool {
        match key.lodging() {
            Lodging::Own(task) => self.slot(task).flags.has(POLLED),
            Lodging::Other(index) => {
                let other = &self.others[index];
                other.polled == step || other.foreign.is_some()
            }
        }
    }

    /// The waiters by which a task waits, the eldest first.
    pub(crate) fn awaited(&self, youngest: Option<WaiterKey>, step: u32) -> Vec<WaiterKey> {
        let mut todo = Vec::new();
        let mut next = self.list(youngest, step, &mut todo);
        let mut awaited = Vec::new();
        while let Some(key) = next {
            if let Kind::Scope(scope) = &self.waiter(key).kind {
                next = self.list(scope.youngest, self.other(key).polled, &mut todo);
            } else {
                awaited.push(key);
                next = todo.pop();
            }
        }
        awaited
    }

    /// What a task waits for, for a report.
    pub(crate) fn waits(&self, youngest: Option<WaiterKey>, step: u32) -> Waits {
        let awaited = self.awaited(youngest, step).into_iter();
        Waits(awaited.map(|waiter| self.wait(waiter)).collect())
    }

    fn wait(&self, waiter: WaiterKey) -> Wait {
        match &self.waiter(waiter).kind {
            Kind::Queue { queue, .. } => {
                Wait::Primitive(Weak::clone(&self.queues[queue.index()].owner))
            }
            Kind::Join { task } => Wait::Words(self.describe_task(*task)),
            Kind::Sleep { timer: Some(timer) } => {
                let deadline = self.wheel.deadline(*timer);
                Wait::Words(format!("a timer due at {deadline:?}"))
            }
            Kind::Sleep { timer: None } | Kind::Relay { .. } | Kind::Yield => {
                Wait::Words("its next turn".into())
            }
            Kind::Foreign | Kind::Scope(_) | Kind::Moved { .. } => {
                Wait::Words("a future from elsewhere".into())
            }
        }
    }
}
