//! `Semaphore` and `BoundedSemaphore`, against a number and a line.

use super::*;
use crate::kit::outcome;
use futures::FutureExt;
use soloop::{BoundedSemaphore, Semaphore, SemaphoreGuard};

#[derive(Debug)]
struct Permits {
    value: usize,
    bound: Option<usize>,
    line: Line,
    guards: usize,
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

impl Permits {
    fn locked(&self, world: &World) -> bool {
        self.value == 0 || !self.line.all_cancelled(world)
    }

    fn wake_up_next(&mut self, world: &mut World) -> bool {
        let next = self.line.first_pending(world);
        if let Some(next) = next {
            self.value -= 1;
            world.wake(next);
        }
        next.is_some()
    }

    /// The `finally` of `acquire`.
    fn leave(&mut self, world: &mut World, id: usize) {
        self.line.leave(id);
        while self.value > 0 && self.wake_up_next(world) {}
    }

    fn release(&mut self, world: &mut World) -> bool {
        let fits = self.bound.is_none_or(|bound| self.value < bound);
        if fits {
            self.value += 1;
            self.wake_up_next(world);
        }
        fits
    }
}

impl Model for Permits {
    type Wait = Coro;
    type Call = Call;
    type Real = RealSemaphore;

    fn poll(&mut self, world: &mut World, id: usize, wait: Coro) -> Option<String> {
        match world.look(id) {
            Found::Unpolled if !self.locked(world) => self.value -= 1,
            Found::Unpolled => {
                self.line.enter(world, id);
                return None;
            }
            Found::Pending => return None,
            Found::Woken => self.leave(world, id),
            Found::Cancelled => {
                self.leave(world, id);
                return Some(CANCELLED.into());
            }
            Found::CancelledAfterWake => {
                self.value += 1;
                self.leave(world, id);
                return Some(CANCELLED.into());
            }
        }
        if matches!(wait, Coro::Enter) {
            self.guards += 1;
        }
        Some("ok".into())
    }

    fn forget(&mut self, world: &mut World, id: usize, _: Coro) {
        match world.stands(id) {
            Stands::Unpolled => {}
            Stands::Woken => {
                self.value += 1;
                self.leave(world, id);
            }
            _ => self.leave(world, id),
        }
    }

    fn call(&mut self, world: &mut World, call: Call) -> String {
        match call {
            Call::Release if self.release(world) => "ok".into(),
            Call::Release => "ValueError: BoundedSemaphore released too many times".into(),
            Call::TryAcquire => {
                let free = !self.locked(world);
                if free {
                    self.value -= 1;
                } else {
                    // It waited, if only for a moment, and leaves like everybody else.
                    while self.value > 0 && self.wake_up_next(world) {}
                }
                free.to_string()
            }
            Call::DropGuard => {
                if self.guards > 0 {
                    self.guards -= 1;
                    self.release(world);
                }
                String::new()
            }
        }
    }

    fn show(&self, world: &World) -> String {
        let name = self.bound.map_or("Semaphore", |_| "BoundedSemaphore");
        let status = match self.locked(world) {
            true => "locked".into(),
            false => format!("unlocked, value:{}", self.value),
        };
        let waiters = self.line.show();
        format!("<{name} [{status}{waiters}]> {}", self.locked(world))
    }

    fn stuck(&self, world: &World) -> bool {
        self.value > 0 && self.line.first_pending(world).is_some()
    }
}

enum Kind {
    Plain(Semaphore),
    Bounded(BoundedSemaphore),
}

struct RealSemaphore {
    kind: Kind,
    guards: Rc<RefCell<Vec<SemaphoreGuard>>>,
}

impl Real for RealSemaphore {
    type Wait = Coro;
    type Call = Call;

    fn future(&self, wait: Coro) -> Fut {
        let guards = self.guards.clone();
        let enter = |entered: soloop::Result<SemaphoreGuard>| {
            outcome(entered.map(move |guard| guards.borrow_mut().push(guard)))
        };
        match (&self.kind, wait) {
            (Kind::Plain(plain), Coro::Acquire) => Box::pin(plain.acquire().map(outcome)),
            (Kind::Bounded(bounded), Coro::Acquire) => Box::pin(bounded.acquire().map(outcome)),
            (Kind::Plain(plain), Coro::Enter) => Box::pin(plain.enter().map(enter)),
            (Kind::Bounded(bounded), Coro::Enter) => Box::pin(bounded.enter().map(enter)),
        }
    }

    fn call(&self, call: Call) -> String {
        match (&self.kind, call) {
            (Kind::Plain(plain), Call::Release) => {
                plain.release();
                "ok".into()
            }
            (Kind::Bounded(bounded), Call::Release) => outcome(bounded.release()),
            (Kind::Plain(plain), Call::TryAcquire) => {
                plain.acquire().now_or_never().is_some().to_string()
            }
            (Kind::Bounded(bounded), Call::TryAcquire) => {
                bounded.acquire().now_or_never().is_some().to_string()
            }
            (_, Call::DropGuard) => {
                let guard = self.guards.borrow_mut().pop();
                drop(guard);
                String::new()
            }
        }
    }

    fn show(&self) -> String {
        match &self.kind {
            Kind::Plain(plain) => format!("{plain:?} {}", plain.locked()),
            Kind::Bounded(bounded) => format!("{bounded:?} {}", bounded.locked()),
        }
    }
}

fn permits(value: usize, bounded: bool) -> (Permits, RealSemaphore) {
    let kind = match bounded {
        false => Kind::Plain(Semaphore::new(value)),
        true => Kind::Bounded(BoundedSemaphore::new(value)),
    };
    let model = Permits {
        value,
        bound: bounded.then_some(value),
        line: Line::default(),
        guards: 0,
    };
    let guards = Rc::default();
    (model, RealSemaphore { kind, guards })
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
    fn is_its_model(value in 0..4usize, bounded: bool, script in script(wait(), call())) {
        let (model, real) = permits(value, bounded);
        play(model, real, script)?;
    }
}
