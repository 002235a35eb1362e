//! `Barrier`, against a phase and a count over the condition's model.

use super::{condition::Notified, *};
use crate::kit::outcome;
use futures::FutureExt;
use soloop::Barrier;
use std::collections::HashMap;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Phase {
    Filling,
    Draining,
    Resetting,
    Broken,
}

#[derive(Debug)]
struct Parties {
    parties: usize,
    count: usize,
    phase: Phase,
    condition: Notified,
    /// Those who hold the condition, or have given it up to wait: the holding, and their index once they are inside.
    visits: HashMap<usize, (usize, Option<usize>)>,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Coro {
    Wait,
    Reset,
    Abort,
}

impl Parties {
    /// The `finally` of `wait`, and the end of its `async with`.
    fn exit(&mut self, world: &mut World, id: usize) {
        let (holding, index) = self.visits.remove(&id).expect("visits");
        if index.is_some() {
            self.count -= 1;
            if self.count == 0 {
                if matches!(self.phase, Phase::Resetting | Phase::Draining) {
                    self.phase = Phase::Filling;
                }
                self.condition.line.wake(world, usize::MAX);
            }
        }
        self.condition.lock.exit(world, holding);
    }

    /// `wait`, whenever it holds the condition and `_block` or `_wait` looks at the phase.
    fn go_on(&mut self, world: &mut World, id: usize) -> Option<String> {
        let (_, index) = self.visits[&id];
        let result = match (index, self.phase) {
            (None, Phase::Draining | Phase::Resetting) | (Some(_), Phase::Filling) => {
                self.condition.begin(world, id);
                return None;
            }
            (None, Phase::Broken) => "BrokenBarrierError: Barrier aborted".into(),
            (None, Phase::Filling) => {
                let index = self.count;
                self.count += 1;
                self.visits.get_mut(&id).expect("visits").1 = Some(index);
                if index + 1 < self.parties {
                    return self.go_on(world, id);
                }
                self.phase = Phase::Draining;
                self.condition.line.wake(world, usize::MAX);
                index.to_string()
            }
            (Some(_), Phase::Resetting | Phase::Broken) => {
                "BrokenBarrierError: Abort or reset of barrier".into()
            }
            (Some(index), Phase::Draining) => index.to_string(),
        };
        self.exit(world, id);
        Some(result)
    }

    fn n_waiting(&self) -> usize {
        match self.phase {
            Phase::Filling => self.count,
            _ => 0,
        }
    }
}

impl Model for Parties {
    type Wait = Coro;
    type Call = ();
    type Real = Barrier;

    fn poll(&mut self, world: &mut World, id: usize, wait: Coro) -> Option<String> {
        if self.visits.contains_key(&id) {
            return match self.condition.wait(world, id)? {
                true => self.go_on(world, id),
                false => {
                    self.exit(world, id);
                    Some(CANCELLED.into())
                }
            };
        }
        if !self.condition.lock.acquire(world, id)? {
            return Some(CANCELLED.into());
        }
        self.visits.insert(id, (self.condition.lock.holding, None));
        self.phase = match wait {
            Coro::Wait => return self.go_on(world, id),
            Coro::Reset if self.count > 0 => Phase::Resetting,
            Coro::Reset => Phase::Filling,
            Coro::Abort => Phase::Broken,
        };
        self.condition.line.wake(world, usize::MAX);
        self.exit(world, id);
        Some("ok".into())
    }

    fn forget(&mut self, world: &mut World, id: usize, _: Coro) {
        if self.visits.contains_key(&id) {
            self.condition.forget(world, id);
            self.exit(world, id);
        } else {
            self.condition.lock.forget(world, id);
        }
    }

    fn call(&mut self, _: &mut World, (): ()) -> String {
        String::new()
    }

    fn show(&self, _: &World) -> String {
        let (waiting, parties) = (self.n_waiting(), self.parties);
        let phase = match self.phase {
            Phase::Filling => "filling",
            Phase::Draining => "draining",
            Phase::Resetting => "resetting",
            Phase::Broken => return format!("<Barrier [broken]> {waiting} true"),
        };
        format!("<Barrier [{phase}, waiters:{waiting}/{parties}]> {waiting} false")
    }

    fn stuck(&self, world: &World) -> bool {
        self.condition.lock.stuck(world)
    }
}

impl Real for Barrier {
    type Wait = Coro;
    type Call = ();

    fn future(&self, wait: Coro) -> Fut {
        match wait {
            Coro::Wait => Box::pin(self.wait().map(outcome)),
            Coro::Reset => Box::pin(self.reset().map(outcome)),
            Coro::Abort => Box::pin(self.abort().map(outcome)),
        }
    }

    fn call(&self, (): ()) -> String {
        String::new()
    }

    fn show(&self) -> String {
        format!("{self:?} {} {}", self.n_waiting(), self.broken())
    }
}

fn wait() -> impl Strategy<Value = Coro> {
    prop_oneof![
        10 => Just(Coro::Wait),
        1 => Just(Coro::Reset),
        1 => Just(Coro::Abort),
    ]
}

proptest! {
    #![proptest_config(config(1500))]

    #[test]
    fn is_its_model(parties in 1..5usize, script in script(wait(), Just(()))) {
        let model = Parties {
            parties,
            count: 0,
            phase: Phase::Filling,
            condition: Notified::default(),
            visits: HashMap::new(),
        };
        play(model, Barrier::new(parties).expect("more than none"), script)?;
    }
}
