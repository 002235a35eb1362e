//! `Lock`, against a flag, a line, and the number of each holding.

use super::*;
use crate::kit::outcome;
use futures::FutureExt;
use soloop::{Lock, LockGuard};

/// The lock of the other models, too.
#[derive(Debug, Default)]
pub(super) struct Mutex {
    pub(super) locked: bool,
    pub(super) line: Line,
    /// Each acquire has a number, by which a guard knows what it holds.
    acquired: usize,
    pub(super) holding: usize,
    /// Holdings that a dropped `Condition.wait` gave up for good.
    pub(super) lost: Vec<usize>,
}

impl Mutex {
    fn take(&mut self) {
        self.acquired += 1;
        self.holding = self.acquired;
        self.locked = true;
    }

    fn wake_up_first(&self, world: &mut World) {
        match self.line.0.front() {
            Some(&first) if world.is_pending(first) => world.wake(first),
            _ => {}
        }
    }

    /// `Lock.acquire`: whether it succeeded.
    pub(super) fn acquire(&mut self, world: &mut World, id: usize) -> Option<bool> {
        let found = world.look(id);
        match found {
            Found::Unpolled if !self.locked && self.line.all_cancelled(world) => self.take(),
            Found::Unpolled => {
                self.line.enter(world, id);
                return None;
            }
            Found::Pending => return None,
            Found::Woken => {
                self.line.leave(id);
                self.take();
            }
            Found::Cancelled | Found::CancelledAfterWake => {
                self.forget(world, id);
                return Some(false);
            }
        }
        Some(true)
    }

    /// An acquire is cancelled or dropped.
    pub(super) fn forget(&mut self, world: &mut World, id: usize) {
        if world.stands(id) != Stands::Unpolled {
            self.line.leave(id);
            if !self.locked {
                self.wake_up_first(world);
            }
        }
    }

    pub(super) fn release(&mut self, world: &mut World) -> bool {
        let locked = std::mem::replace(&mut self.locked, false);
        if locked {
            self.wake_up_first(world);
        }
        locked
    }

    /// `__aexit__`, by a guard of this holding.
    pub(super) fn exit(&mut self, world: &mut World, holding: usize) {
        if !self.lost.contains(&holding) {
            self.release(world);
        }
    }

    /// Acquires if that needs no wait. A wait is dropped at once, which wakes nobody who has not been woken.
    pub(super) fn try_acquire(&mut self, world: &mut World) -> bool {
        let free = !self.locked && self.line.all_cancelled(world);
        if free {
            self.take();
        } else if !self.locked {
            self.wake_up_first(world);
        }
        free
    }

    pub(super) fn stuck(&self, world: &World) -> bool {
        !self.locked && self.line.first_pending(world).is_some()
    }
}

/// A lock, and those who hold it by a guard.
#[derive(Debug, Default)]
struct Guarded {
    lock: Mutex,
    guards: VecDeque<usize>,
}

#[derive(Debug, Clone, Copy)]
enum Coro {
    Acquire,
    Enter,
}

#[derive(Debug, Clone, Copy)]
enum Call {
    Release,
    TryAcquire,
    DropGuard,
}

impl Model for Guarded {
    type Wait = Coro;
    type Call = Call;
    type Real = RealLock;

    fn poll(&mut self, world: &mut World, id: usize, wait: Coro) -> Option<String> {
        let acquired = self.lock.acquire(world, id)?;
        if acquired && matches!(wait, Coro::Enter) {
            self.guards.push_back(self.lock.holding);
        }
        Some(if acquired { "ok" } else { CANCELLED }.into())
    }

    fn forget(&mut self, world: &mut World, id: usize, _: Coro) {
        self.lock.forget(world, id);
    }

    fn call(&mut self, world: &mut World, call: Call) -> String {
        match call {
            Call::Release if self.lock.release(world) => "ok".into(),
            Call::Release => "RuntimeError: Lock is not acquired.".into(),
            Call::TryAcquire => self.lock.try_acquire(world).to_string(),
            Call::DropGuard => {
                if let Some(holding) = self.guards.pop_front() {
                    self.lock.exit(world, holding);
                }
                String::new()
            }
        }
    }

    fn show(&self, _: &World) -> String {
        let locked = if self.lock.locked {
            "locked"
        } else {
            "unlocked"
        };
        let waiters = self.lock.line.show();
        format!("<Lock [{locked}{waiters}]> {}", self.lock.locked)
    }

    fn stuck(&self, world: &World) -> bool {
        self.lock.stuck(world)
    }
}

#[derive(Default)]
struct RealLock {
    lock: Lock,
    guards: Rc<RefCell<VecDeque<LockGuard>>>,
}

impl Real for RealLock {
    type Wait = Coro;
    type Call = Call;

    fn future(&self, wait: Coro) -> Fut {
        let (lock, guards) = (self.lock.clone(), self.guards.clone());
        match wait {
            Coro::Acquire => Box::pin(lock.acquire().map(outcome)),
            Coro::Enter => Box::pin(lock.enter().map(move |entered| {
                outcome(entered.map(|guard| guards.borrow_mut().push_back(guard)))
            })),
        }
    }

    fn call(&self, call: Call) -> String {
        match call {
            Call::Release => outcome(self.lock.release()),
            Call::TryAcquire => self.lock.acquire().now_or_never().is_some().to_string(),
            Call::DropGuard => {
                let guard = self.guards.borrow_mut().pop_front();
                drop(guard);
                String::new()
            }
        }
    }

    fn show(&self) -> String {
        format!("{:?} {}", self.lock, self.lock.locked())
    }
}

fn wait() -> impl Strategy<Value = Coro> {
    prop_oneof![Just(Coro::Acquire), Just(Coro::Enter)]
}

fn call() -> impl Strategy<Value = Call> {
    prop_oneof![
        4 => Just(Call::Release),
        1 => Just(Call::TryAcquire),
        1 => Just(Call::DropGuard),
    ]
}

proptest! {
    #![proptest_config(config(1000))]

    #[test]
    fn is_its_model(script in script(wait(), call())) {
        play(Guarded::default(), RealLock::default(), script)?;
    }
}
