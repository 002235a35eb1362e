//! `Condition`, against a lock and a second line.

use super::{lock::Mutex, *};
use crate::kit::outcome;
use futures::FutureExt;
use soloop::{Condition, ConditionGuard};
use std::{cell::Cell, collections::HashMap};

/// A condition, and where its waiters are.
#[derive(Debug, Default)]
pub(super) struct Notified {
    pub(super) lock: Mutex,
    pub(super) line: Line,
    waits: HashMap<usize, Away>,
}

/// A `Condition.wait` that has given up the lock.
#[derive(Debug, Clone, Copy)]
struct Away {
    holding: usize,
    /// Notified or cancelled, and about to take the lock back.
    back: bool,
    failed: bool,
}

impl Notified {
    /// `Condition.wait`, from its beginning.
    pub(super) fn begin(&mut self, world: &mut World, id: usize) {
        let holding = self.lock.holding;
        self.lock.release(world);
        self.line.enter(world, id);
        let (back, failed) = (false, false);
        self.waits.insert(
            id,
            Away {
                holding,
                back,
                failed,
            },
        );
    }

    /// A later poll of it: whether it succeeded. The lock is held then, either way.
    pub(super) fn wait(&mut self, world: &mut World, id: usize) -> Option<bool> {
        let mut away = self.waits[&id];
        if !away.back {
            let found = world.look(id);
            if found == Found::Pending {
                return None;
            }
            self.line.leave(id);
            world.waits[id].stands = Stands::Unpolled;
            away.back = true;
            away.failed = found != Found::Woken;
        }
        loop {
            let acquired = self.lock.acquire(world, id);
            away.failed |= acquired == Some(false);
            self.waits.insert(id, away);
            match acquired {
                None => return None,
                Some(true) => break,
                Some(false) => world.waits[id].stands = Stands::Unpolled,
            }
        }
        self.lock.holding = away.holding;
        self.waits.remove(&id);
        if away.failed {
            self.line.wake(world, 1);
        }
        Some(!away.failed)
    }

    /// Drops it half-way: what it gave up does not come back, and somebody else is notified.
    pub(super) fn forget(&mut self, world: &mut World, id: usize) {
        if let Some(away) = self.waits.remove(&id) {
            match away.back {
                false => self.line.leave(id),
                true => self.lock.forget(world, id),
            }
            self.lock.lost.push(away.holding);
            self.line.wake(world, 1);
        }
    }

    pub(super) fn is_away(&self, id: usize) -> bool {
        self.waits.contains_key(&id)
    }
}

#[derive(Debug, Default)]
struct Guarded {
    condition: Notified,
    flag: bool,
    guards: VecDeque<usize>,
    /// The holdings of the visits that have got in.
    inside: HashMap<usize, usize>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Coro {
    Acquire,
    Enter,
    /// `wait`, by whoever holds the lock.
    Wait,
    /// `wait_for`, likewise.
    WaitFor,
    /// `async with condition: await condition.wait()`.
    Visit,
}

#[derive(Debug, Clone, Copy)]
enum Call {
    Release,
    TryAcquire,
    DropGuard,
    Notify(usize),
    Flag(bool),
}

impl Model for Guarded {
    type Wait = Coro;
    type Call = Call;
    type Real = RealCondition;

    fn poll(&mut self, world: &mut World, id: usize, wait: Coro) -> Option<String> {
        let condition = &mut self.condition;
        let ok = if condition.is_away(id) {
            let ok = condition.wait(world, id)?;
            if let Some(holding) = self.inside.remove(&id) {
                condition.lock.exit(world, holding);
            }
            if wait == Coro::WaitFor && ok && !self.flag {
                condition.begin(world, id);
                return None;
            }
            ok
        } else if matches!(wait, Coro::Wait | Coro::WaitFor) {
            if wait == Coro::WaitFor && self.flag {
                return Some("true".into());
            }
            if !condition.lock.locked {
                return Some("RuntimeError: cannot wait on un-acquired lock".into());
            }
            condition.begin(world, id);
            return None;
        } else {
            let ok = condition.lock.acquire(world, id)?;
            let holding = condition.lock.holding;
            match wait {
                Coro::Enter if ok => self.guards.push_back(holding),
                Coro::Visit if ok => {
                    self.inside.insert(id, holding);
                    condition.begin(world, id);
                    return None;
                }
                _ => {}
            }
            ok
        };
        Some(match (ok, wait) {
            (false, _) => CANCELLED.into(),
            (true, Coro::WaitFor) => "true".into(),
            (true, _) => "ok".into(),
        })
    }

    fn forget(&mut self, world: &mut World, id: usize, wait: Coro) {
        if self.condition.is_away(id) {
            self.condition.forget(world, id);
            // What the visit's guard was given is gone, unless another has lost it before.
            if let Some(holding) = self.inside.remove(&id) {
                self.condition.lock.exit(world, holding);
            }
        } else if !matches!(wait, Coro::Wait | Coro::WaitFor) {
            self.condition.lock.forget(world, id);
        }
    }

    fn call(&mut self, world: &mut World, call: Call) -> String {
        let condition = &mut self.condition;
        match call {
            Call::Release if condition.lock.release(world) => "ok".into(),
            Call::Release => "RuntimeError: Lock is not acquired.".into(),
            Call::TryAcquire => condition.lock.try_acquire(world).to_string(),
            Call::DropGuard => {
                if let Some(holding) = self.guards.pop_front() {
                    condition.lock.exit(world, holding);
                }
                String::new()
            }
            Call::Notify(n) if condition.lock.locked => {
                condition.line.wake(world, n);
                "ok".into()
            }
            Call::Notify(_) => "RuntimeError: cannot notify on un-acquired lock".into(),
            Call::Flag(flag) => {
                self.flag = flag;
                String::new()
            }
        }
    }

    fn show(&self, _: &World) -> String {
        let Notified { lock, line, .. } = &self.condition;
        let locked = if lock.locked { "locked" } else { "unlocked" };
        format!("<Condition [{locked}{}]> {}", line.show(), lock.locked)
    }

    fn stuck(&self, world: &World) -> bool {
        self.condition.lock.stuck(world)
    }
}

#[derive(Default)]
struct RealCondition {
    condition: Condition,
    flag: Rc<Cell<bool>>,
    guards: Rc<RefCell<VecDeque<ConditionGuard>>>,
}

impl Real for RealCondition {
    type Wait = Coro;
    type Call = Call;

    fn future(&self, wait: Coro) -> Fut {
        let (condition, flag) = (self.condition.clone(), self.flag.clone());
        let guards = self.guards.clone();
        match wait {
            Coro::Acquire => Box::pin(condition.acquire().map(outcome)),
            Coro::Enter => Box::pin(condition.enter().map(move |entered| {
                outcome(entered.map(|guard| guards.borrow_mut().push_back(guard)))
            })),
            Coro::Wait => Box::pin(condition.wait().map(outcome)),
            Coro::WaitFor => Box::pin(condition.wait_for(move || flag.get()).map(outcome)),
            Coro::Visit => Box::pin(async move {
                let visit = async {
                    let mut held = condition.enter().await?;
                    held.wait().await
                };
                outcome(visit.await)
            }),
        }
    }

    fn call(&self, call: Call) -> String {
        let condition = &self.condition;
        match call {
            Call::Release => outcome(condition.release()),
            Call::TryAcquire => condition.acquire().now_or_never().is_some().to_string(),
            Call::DropGuard => {
                let guard = self.guards.borrow_mut().pop_front();
                drop(guard);
                String::new()
            }
            Call::Notify(usize::MAX) => outcome(condition.notify_all()),
            Call::Notify(n) => outcome(condition.notify(n)),
            Call::Flag(flag) => {
                self.flag.set(flag);
                String::new()
            }
        }
    }

    fn show(&self) -> String {
        format!("{:?} {}", self.condition, self.condition.locked())
    }
}

fn wait() -> impl Strategy<Value = Coro> {
    prop_oneof![
        2 => Just(Coro::Acquire),
        1 => Just(Coro::Enter),
        2 => Just(Coro::Wait),
        2 => Just(Coro::WaitFor),
        2 => Just(Coro::Visit),
    ]
}

fn call() -> impl Strategy<Value = Call> {
    prop_oneof![
        4 => Just(Call::Release),
        3 => Just(Call::TryAcquire),
        1 => Just(Call::DropGuard),
        3 => prop_oneof![0..3usize, Just(usize::MAX)].prop_map(Call::Notify),
        1 => any::<bool>().prop_map(Call::Flag),
    ]
}

proptest! {
    #![proptest_config(config(1500))]

    #[test]
    fn is_its_model(script in script(wait(), call())) {
        play(Guarded::default(), RealCondition::default(), script)?;
    }
}
