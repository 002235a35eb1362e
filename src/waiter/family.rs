//! Whose a waiter is: the lists of a task's waiters and of a scope's, and how a waiter comes from one to another.

use super::{Kind, Other, Waiter, Wake};
use crate::{
    event_loop::{
        key::{Lodging, TaskKey, WaiterKey},
        state::State,
    },
    scope::Scope,
    task::{DONE, LIMITED, POLLED, STRUCK},
};

impl State {
    /// Takes a task's own waiter from among its waiters, if there are others, or if it has survived the task.
    #[inline(never)]
    pub(super) fn disown_own(&mut self, task: TaskKey) {
        self.put_in_place_of_own(task, None);
        debug_assert!(self.slot(task).youngest != Some(WaiterKey::own(task)));
        self.free_if_unused(task);
    }

    /// Makes another the eldest of a task's waiters, in place of its own, or nobody. Returns the next younger one.
    fn put_in_place_of_own(
        &mut self,
        task: TaskKey,
        eldest: Option<WaiterKey>,
    ) -> Option<WaiterKey> {
        let second = self.second(task);
        match second {
            Some(second) => self.other_mut(second).older = eldest,
            None => self.slot_mut(task).youngest = eldest,
        }
        second
    }

    /// The eldest of a task's waiters after its own.
    pub(super) fn second(&self, task: TaskKey) -> Option<WaiterKey> {
        let own = WaiterKey::own(task);
        let mut second = self.slot(task).youngest.filter(|&youngest| youngest != own);
        while let Some(older) = second.and_then(|key| self.other(key).older) {
            if older == own {
                break;
            }
            second = Some(older);
        }
        second
    }

    /// Gives a task's own waiter a record of its own, since it has wandered to another task, into a `wait_for`, or into a
    /// combinator. Whoever knows it is told its new name.
    #[cold]
    pub(super) fn move_out(&mut self, task: TaskKey) -> WaiterKey {
        let slot = self.slot(task);
        let (waiter, done) = (slot.own, slot.flags.has(DONE));
        let key = self.next_other();
        let younger = self.put_in_place_of_own(task, (!done).then_some(key));
        self.others.insert(Other {
            waiter,
            task: (!done).then_some(task),
            scope: None,
            younger,
            older: None,
            polled: self.here.step(),
            foreign: None,
        });
        self.rename_own(task, waiter, key);
        self.free_if_unused(task);
        key
    }

    /// Tells whatever a task's own waiter waits for of its new name.
    fn rename_own(&mut self, task: TaskKey, waiter: Waiter, key: WaiterKey) {
        match waiter.kind {
            Kind::Queue {
                queue,
                previous,
                next,
                keeps_place,
            } => {
                if keeps_place || waiter.is_pending() {
                    let list = self.ends_of(queue);
                    self.rename(&list, WaiterKey::own(task), key, previous, next);
                }
            }
            Kind::Sleep { timer } | Kind::Relay { timer, .. } => {
                if let Some(timer) = timer {
                    self.wheel.set_payload(timer, key);
                }
            }
            Kind::Join { task } => self.slot_mut(task).joiner = Some(key),
            Kind::Foreign => {}
            Kind::Yield | Kind::Scope(_) | Kind::Moved { .. } => {
                unreachable!("these are nobody's own")
            }
        }
    }

    /// Moves a task's own waiter into a scope that has just been drawn around it. What is left in its place names it to whoever polls it
    /// next: see [`find`](Self::find).
    pub(crate) fn move_inside(&mut self, task: TaskKey, scope: WaiterKey) {
        let waiter = self.slot(task).own;
        let key = self.next_other();
        self.others.insert(Other {
            waiter,
            task: Some(task),
            scope: Some(scope),
            younger: None,
            older: None,
            // They were polled together.
            polled: self.other(scope).polled,
            foreign: None,
        });
        self.scope_mut(scope).youngest = Some(key);
        self.rename_own(task, waiter, key);
        let slot = self.slot_mut(task);
        slot.flags.clear(POLLED);
        slot.own = Waiter {
            wake: Wake::Cancelled,
            kind: Kind::Moved { to: key },
        };
    }

    /// The name that a waiter has now. Whoever asks is the one who polls it, and knows it then.
    #[inline]
    pub(super) fn find(&mut self, key: WaiterKey) -> WaiterKey {
        match key.lodging() {
            Lodging::Own(task) => self.find_own(task),
            Lodging::Other(_) => key,
        }
    }

    fn find_own(&mut self, task: TaskKey) -> WaiterKey {
        if self.slot(task).flags.has(LIMITED) {
            self.draw_limit(task);
        }
        match self.slot(task).own.kind {
            Kind::Moved { to } => {
                self.disown_own(task);
                to
            }
            _ => WaiterKey::own(task),
        }
    }

    /// Has a `wait_for` in which a task's own waiter stands drawn, as the eldest of the task's waiters.
    pub(crate) fn draw_limit(&mut self, task: TaskKey) -> WaiterKey {
        let key = self.next_other();
        let younger = self.put_in_place_of_own(task, Some(key));
        let slot = self.slot_mut(task);
        slot.flags.clear(LIMITED);
        // It was polled when its waiter was.
        let is_awaited = slot.flags.has(POLLED);
        let polled = slot.last_step.wrapping_sub(u32::from(!is_awaited));
        self.others.insert(Other {
            waiter: Waiter::new(Kind::Scope(Scope {
                youngest: None,
                timer: None,
                // Its `wait_for` does not know it yet.
                flags: LIMITED,
            })),
            task: Some(task),
            scope: None,
            younger,
            older: Some(WaiterKey::own(task)),
            polled,
            foreign: None,
        });
        if let Some(timer) = self.limits[task.index()].take() {
            self.set_limit(key, timer);
        }
        self.move_inside(task, key);
        key
    }

    /// The next older of the waiters of the same task and scope.
    pub(crate) fn older(&self, key: WaiterKey) -> Option<WaiterKey> {
        match key.lodging() {
            Lodging::Own(_) => None,
            Lodging::Other(index) => self.others[index].older,
        }
    }

    /// Makes a waiter the youngest among those of a task and a scope. Returns the one that was it before.
    #[inline]
    pub(super) fn adopt(
        &mut self,
        key: WaiterKey,
        task: Option<TaskKey>,
        scope: Option<WaiterKey>,
    ) -> Option<WaiterKey> {
        let older = self.youngest(task, scope)?.replace(key)?;
        self.set_younger(older, Some(key));
        Some(older)
    }

    /// Takes a waiter from among those of its task and scope: closes the gap that it leaves in their list.
    #[inline]
    pub(super) fn disown(&mut self, waiter: &Other) {
        if let Some(older) = waiter.older {
            self.set_younger(older, waiter.younger);
        }
        if let Some(younger) = waiter.younger {
            self.other_mut(younger).older = waiter.older;
        } else if let Some(youngest) = self.youngest(waiter.task, waiter.scope) {
            *youngest = waiter.older;
        }
    }

    fn set_younger(&mut self, key: WaiterKey, younger: Option<WaiterKey>) {
        match key.lodging() {
            // It is the eldest, and found by a walk.
            Lodging::Own(_) => {}
            Lodging::Other(index) => self.others[index].younger = younger,
        }
    }

    /// Where the list of a scope's waiters begins, or that of a task's which stand in no scope.
    #[inline]
    pub(super) fn youngest(
        &mut self,
        task: Option<TaskKey>,
        scope: Option<WaiterKey>,
    ) -> Option<&mut Option<WaiterKey>> {
        match scope {
            Some(scope) => match &mut self.other_mut(scope).waiter.kind {
                Kind::Scope(scope) => Some(&mut scope.youngest),
                _ => unreachable!("a scope is a scope"),
            },
            None => Some(&mut self.slot_mut(task?).youngest),
        }
    }

    /// Moves a waiter to the task and the scope that poll it now: its future has wandered.
    pub(crate) fn move_here(&mut self, key: WaiterKey) {
        self.move_to(key, self.here.task.get(), self.here.scope());
    }

    pub(crate) fn move_to(
        &mut self,
        key: WaiterKey,
        task: Option<TaskKey>,
        scope: Option<WaiterKey>,
    ) {
        let other = *self.other(key);
        self.disown(&other);
        let older = self.adopt(key, task, scope);
        *self.other_mut(key) = Other {
            task,
            scope,
            younger: None,
            older,
            ..other
        };
    }

    /// Cuts the waiters that survive their task from it, but for its own, which goes with the slot.
    pub(crate) fn detach_waiters(&mut self, task: TaskKey) {
        if self.slot(task).flags.has(LIMITED) {
            self.draw_limit(task);
        }
        let own = WaiterKey::own(task);
        let mut lists = Vec::new();
        let mut next = self.slot_mut(task).youngest.take();
        let (mut inside, mut struck) = (false, 0);
        while let Some(key) = next {
            if key == own {
                self.slot_mut(task).youngest = Some(own);
                next = None;
            } else {
                let other = self.other_mut(key);
                other.task = None;
                next = other.older;
                if !inside {
                    (other.younger, other.older) = (None, None);
                }
                if let Kind::Scope(scope) = &other.waiter.kind {
                    struck += i32::from(scope.flags.has(STRUCK));
                    lists.extend(scope.youngest);
                }
            }
            if next.is_none() {
                next = lists.pop();
                inside = true;
            }
        }
        // A `wait_for` that is left leaves no request behind, and nobody can take it back later.
        self.count_requests(task, -struck, -struck);
    }
}
