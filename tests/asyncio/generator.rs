//! Random programs: from a seed, always the same one.
//!
//! Evenly mixed programs are all alike, and races hide from them. So each program first draws a
//! style: few primitives of few kinds, how often each kind of step comes (many never), a handful of
//! delays so that deadlines meet, how much is caught. The steps that matter most come as a *race*:
//! something is woken, and in the same step of the task somebody is cancelled.

use crate::program::{Act, Catch, Kind, Predicate, Program, Step, Target, Who};
use std::rc::Rc;

/// The program of a seed.
pub(crate) fn program(seed: u64) -> Program {
    let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0x5DEE_CE66_D1CE_4E5B);
    Writer::new(&mut dice).write()
}

/// SplitMix64.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.roll() % n as u64) as usize
    }

    /// From `low` to `high`, both included.
    fn between(&mut self, low: usize, high: usize) -> usize {
        low + self.below(high - low + 1)
    }

    fn percent(&mut self, chance: u32) -> bool {
        self.below(100) < chance as usize
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
}

/// What a step is about. A style gives each topic a weight.
#[derive(Clone, Copy, PartialEq)]
enum Topic {
    Block,
    Acquire,
    Release,
    Event,
    Condition,
    Barrier,
    Sleep,
    Within,
    Cancel,
    CancelMe,
    Spawn,
    Await,
    Leave,
    Look,
    Shelter,
    Variable,
    Drop,
    Race,
}

/// Topics, how often each comes, and whether a style may do without it.
const TOPICS: [(Topic, usize, bool); 18] = [
    (Topic::Block, 10, false),
    (Topic::Acquire, 3, true),
    (Topic::Release, 2, true),
    (Topic::Event, 8, false),
    (Topic::Condition, 12, false),
    (Topic::Barrier, 12, false),
    (Topic::Sleep, 6, false),
    (Topic::Within, 5, true),
    (Topic::Cancel, 2, true),
    (Topic::CancelMe, 1, true),
    (Topic::Spawn, 1, true),
    (Topic::Await, 2, true),
    (Topic::Leave, 1, true),
    (Topic::Look, 1, true),
    (Topic::Shelter, 5, true),
    (Topic::Variable, 1, true),
    (Topic::Drop, 1, true),
    (Topic::Race, 5, true),
];

/// The slot in which main stands.
const MAIN: usize = 9;

const DELAYS: [&[u32]; 8] = [
    &[0, 1],
    &[0, 1, 2],
    &[1, 2],
    &[1],
    &[0, 0, 1, 1, 2, 3],
    &[0, 1, 2, 3, 4, 5, 6],
    &[0, 1, 2, 63, 64, 65],
    &[0, 1, 7, 500, 4_096, 70_000, 90_000_000],
];

/// A condition's guard may be in scope, and a task may hold what it can give back.
#[derive(Clone, Copy)]
struct Scope {
    function: usize,
    depth: usize,
    guard: bool,
}

struct Writer<'a> {
    dice: &'a mut Dice,
    kinds: Vec<Kind>,
    functions: usize,
    slots: usize,
    weights: Vec<(Topic, usize)>,
    delays: &'static [u32],
    catch: u32,
    recursive: bool,
}

impl<'a> Writer<'a> {
    fn new(dice: &'a mut Dice) -> Self {
        let kinds = kinds(dice);
        let mut weights = Vec::new();
        for (topic, weight, dispensable) in TOPICS {
            let applies = match topic {
                Topic::Block | Topic::Acquire | Topic::Release => kinds.iter().any(is_held),
                Topic::Event => kinds.iter().any(is_event),
                Topic::Condition => kinds.iter().any(is_condition),
                Topic::Barrier => kinds.iter().any(is_barrier),
                _ => true,
            };
            if applies {
                let factors: &[usize] = if dispensable {
                    &[0, 0, 1, 1, 2, 5]
                } else {
                    &[1, 1, 2, 4]
                };
                weights.push((topic, weight * dice.pick(factors)));
            }
        }
        Self {
            functions: dice.between(1, 4),
            slots: dice.between(2, 7),
            delays: dice.pick(&DELAYS),
            catch: dice.pick(&[20, 50, 70, 90, 97]),
            recursive: dice.percent(2),
            kinds,
            weights,
            dice,
        }
    }

    fn write(mut self) -> Program {
        let mut functions = vec![self.main()];
        for function in 1..=self.functions {
            let scope = Scope {
                function,
                depth: 0,
                guard: false,
            };
            let length = self.dice.pick(&[1, 2, 3, 4, 5, 7]);
            let mut steps = self.block(length, scope);
            if self.dice.percent(30) {
                let times = self.dice.between(2, 3) as u32;
                let catch = self.catch();
                let repeat = vec![Step {
                    act: Act::Try(steps),
                    catch,
                }];
                steps = Vec::new();
                self.push(&mut steps, Act::Repeat(times, repeat));
            }
            functions.push(steps);
        }
        Program {
            primitives: self.kinds,
            functions,
        }
    }

    /// Main starts the others, goes on for a while, and awaits them or leaves them to the shutdown.
    fn main(&mut self) -> Vec<Step> {
        let scope = Scope {
            function: 0,
            depth: 0,
            guard: false,
        };
        let mut steps = Vec::new();
        for _ in 0..self.dice.between(2, 8) {
            if self.dice.percent(15) {
                self.sleep(&mut steps);
            }
            self.spawn(&mut steps, scope);
        }
        for _ in 0..self.dice.between(0, 6) {
            match self.dice.below(8) {
                0..=3 => self.sleep(&mut steps),
                4 => self.race(&mut steps, scope),
                5 => self.step(&mut steps, scope),
                6 => self.storm(&mut steps),
                _ => self.cancel(&mut steps),
            }
        }
        if self.dice.percent(40) {
            let cancels = self.dice.percent(50);
            for slot in 0..self.slots {
                if cancels {
                    self.push(&mut steps, Act::Cancel(Who::Slot(slot)));
                }
                let catch = if self.dice.percent(80) {
                    Catch::Everything
                } else {
                    Catch::Nothing
                };
                let act = match self.dice.percent(30) {
                    true => Act::AwaitWithin(slot, self.limit(false)),
                    false => Act::Await(slot),
                };
                steps.push(Step { act, catch });
            }
        } else if self.dice.percent(50) {
            self.sleep(&mut steps);
        }
        if self.dice.percent(20) {
            self.step(&mut steps, scope);
        }
        steps
    }

    fn block(&mut self, length: usize, scope: Scope) -> Vec<Step> {
        let mut steps = Vec::new();
        for _ in 0..length {
            self.step(&mut steps, scope);
        }
        steps
    }

    fn inner(&mut self, scope: Scope) -> Vec<Step> {
        let length = self.dice.pick(&[1, 1, 1, 2, 2, 3]);
        self.block(
            length,
            Scope {
                depth: scope.depth + 1,
                ..scope
            },
        )
    }

    fn topic(&mut self) -> Topic {
        let total = self.weights.iter().map(|(_, weight)| weight).sum();
        let mut left = self.dice.below(total);
        for (topic, weight) in &self.weights {
            if left < *weight {
                return *topic;
            }
            left -= weight;
        }
        unreachable!("the weights sum up")
    }

    fn step(&mut self, steps: &mut Vec<Step>, scope: Scope) {
        let topic = self.topic();
        let deep = scope.depth >= 4;
        match topic {
            Topic::Block | Topic::Within | Topic::Shelter if deep => self.sleep(steps),
            Topic::Block => self.hold(steps, scope),
            Topic::Acquire => {
                let p = self.choose(is_held);
                self.push(steps, Act::Acquire(p));
            }
            Topic::Release => {
                let p = self.choose(is_held);
                self.push(steps, Act::Release(p));
            }
            Topic::Event => self.event(steps),
            Topic::Condition => self.condition(steps, scope),
            Topic::Barrier => self.barrier(steps),
            Topic::Sleep => self.sleep(steps),
            Topic::Within => self.within(steps, scope),
            Topic::Cancel => self.cancel(steps),
            Topic::CancelMe => {
                let act = match self.dice.percent(60) {
                    true => Act::Cancel(Who::Me),
                    false => Act::Uncancel(Who::Me),
                };
                self.push(steps, act);
            }
            Topic::Spawn => self.spawn(steps, scope),
            Topic::Await => {
                let mut slot = self.slot();
                if self.dice.percent(30) {
                    self.spawn(steps, scope);
                    if let Some(Act::Spawn { slot: new, .. }) = steps.last().map(|step| &step.act) {
                        slot = *new;
                    }
                }
                if self.dice.percent(25) {
                    self.push(steps, Act::Cancel(Who::Slot(slot)));
                }
                let act = match self.dice.percent(35) {
                    true => Act::AwaitWithin(slot, self.limit(false)),
                    false => Act::Await(slot),
                };
                self.push(steps, act);
            }
            Topic::Leave => {
                let act = match self.dice.below(3) {
                    0 => Act::Return(self.dice.below(9) as u32),
                    _ => Act::Raise(self.dice.below(6) as u32),
                };
                self.push(steps, act);
            }
            Topic::Look if self.dice.percent(50) => {
                let act = Act::Peek(self.dice.below(self.kinds.len()));
                self.push(steps, act);
            }
            Topic::Look => {
                let who = self.who();
                let act = match self.dice.percent(80) {
                    true => Act::Look(who),
                    false => Act::Name(who),
                };
                self.push(steps, act);
            }
            Topic::Shelter => self.shelter(steps, scope),
            Topic::Variable => self.variable(steps),
            Topic::Drop => {
                let act = Act::Drop(self.slot());
                self.push(steps, act);
            }
            Topic::Race => self.race(steps, scope),
        }
    }

    /// Acquires, does something, and gives back: in a block under a guard, or by hand.
    fn hold(&mut self, steps: &mut Vec<Step>, scope: Scope) {
        let p = self.choose(is_held);
        if self.dice.percent(60) {
            let guard = scope.guard || is_condition(&self.kinds[p]);
            let body = self.inner(Scope { guard, ..scope });
            self.push(steps, Act::With(p, body));
        } else {
            self.push(steps, Act::Acquire(p));
            steps.extend(self.inner(scope));
            self.push(steps, Act::Release(p));
        }
    }

    fn event(&mut self, steps: &mut Vec<Step>) {
        let p = self.choose(is_event);
        let act = match self.dice.below(6) {
            0 | 1 => Act::Set(p),
            2 => Act::Clear(p),
            _ => Act::Wait(Target::Primitive(p)),
        };
        self.push(steps, act);
        if self.dice.percent(20) {
            self.push(steps, Act::Clear(p));
        }
    }

    fn condition(&mut self, steps: &mut Vec<Step>, scope: Scope) {
        let p = self.choose(is_condition);
        let on = match scope.guard && self.dice.percent(70) {
            true => Target::Guard,
            false => Target::Primitive(p),
        };
        let bare = on == Target::Guard || self.dice.percent(25);
        let by_hand = !bare && self.dice.percent(50);
        let on = if bare || by_hand { on } else { Target::Guard };
        let mut body = Vec::new();
        match self.dice.below(10) {
            0..=3 => self.push(&mut body, Act::Wait(on)),
            4 | 5 => {
                let question = self.predicate();
                self.push(&mut body, Act::WaitFor(on, question));
            }
            6 | 7 => self.notify(&mut body, on),
            _ => {
                self.variable(&mut body);
                self.notify(&mut body, on);
            }
        }
        if self.dice.percent(30) {
            self.storm(&mut body);
        }
        if bare {
            steps.extend(body);
        } else if by_hand {
            self.push(steps, Act::Acquire(p));
            steps.extend(body);
            self.push(steps, Act::Release(p));
        } else {
            self.push(steps, Act::With(p, body));
        }
    }

    fn notify(&mut self, steps: &mut Vec<Step>, on: Target) {
        let act = match self.dice.below(4) {
            0 => Act::NotifyAll(on),
            1 => Act::Notify(on, self.dice.below(4)),
            _ => Act::Notify(on, 1),
        };
        self.push(steps, act);
    }

    fn predicate(&mut self) -> Predicate {
        let mut inside = Vec::new();
        if self.dice.percent(30) {
            for _ in 0..self.dice.between(1, 2) {
                match self.dice.below(3) {
                    0 => self.cancel(&mut inside),
                    1 => self.variable(&mut inside),
                    _ => self.wake(&mut inside, false),
                }
            }
        }
        Predicate {
            variable: self.dice.below(2),
            at_least: self.dice.below(3) as u32,
            found: self.dice.percent(50),
            inside: Rc::new(inside),
        }
    }

    fn barrier(&mut self, steps: &mut Vec<Step>) {
        let p = self.choose(is_barrier);
        let act = match self.dice.below(10) {
            0 | 1 => Act::Reset(p),
            2 => Act::Abort(p),
            _ => Act::Wait(Target::Primitive(p)),
        };
        self.push(steps, act);
    }

    /// A timeout, often in a timeout of the same deadline.
    fn within(&mut self, steps: &mut Vec<Step>, scope: Scope) {
        let limit = self.limit(true);
        let mut body = match self.dice.percent(60) {
            true => {
                let mut body = Vec::new();
                self.wait(&mut body, scope);
                body
            }
            false => self.inner(scope),
        };
        if self.dice.percent(8) {
            self.push(&mut body, Act::Uncancel(Who::Me));
            self.push(&mut body, Act::Cancel(Who::Me));
        }
        for _ in 0..self.dice.pick(&[0, 0, 0, 1, 1, 2]) {
            let inner = if self.dice.percent(50) {
                limit
            } else {
                self.limit(true)
            };
            let mut outer = Vec::new();
            self.push(&mut outer, Act::Within(inner, body));
            if self.dice.percent(25) {
                self.step(
                    &mut outer,
                    Scope {
                        depth: scope.depth + 2,
                        ..scope
                    },
                );
            }
            body = outer;
        }
        self.push(steps, Act::Within(limit, body));
    }

    fn cancel(&mut self, steps: &mut Vec<Step>) {
        let slot = match self.dice.percent(5) {
            true => Who::Slot(MAIN),
            false => Who::Slot(self.slot()),
        };
        let act = match self.dice.below(10) {
            0 => Act::Cancel(Who::Me),
            1 => Act::Uncancel(slot),
            _ => Act::Cancel(slot),
        };
        self.push(steps, act);
        if self.dice.percent(15) {
            self.push(steps, Act::Cancel(slot));
        }
    }

    fn spawn(&mut self, steps: &mut Vec<Step>, scope: Scope) {
        let first = if self.recursive {
            0
        } else {
            scope.function + 1
        };
        if first > self.functions {
            return self.sleep(steps);
        }
        let slot = self.slot();
        let function = self.dice.between(first, self.functions);
        self.push(steps, Act::Spawn { slot, function });
        if self.dice.percent(5) {
            self.push(steps, Act::Cancel(Who::Slot(slot)));
        }
    }

    /// Blocks that catch, repeat, or clean up with further waits.
    fn shelter(&mut self, steps: &mut Vec<Step>, scope: Scope) {
        let body = self.inner(scope);
        let (act, catch) = match self.dice.below(5) {
            0 => (Act::Try(body), Catch::Everything),
            1 => (Act::Try(body), Catch::AllButCancel),
            2 => (
                Act::Repeat(self.dice.between(2, 3) as u32, body),
                self.catch(),
            ),
            _ => {
                let mut last = Vec::new();
                match self.dice.percent(50) {
                    true => self.wait(&mut last, scope),
                    false => self.wake(&mut last, scope.guard),
                }
                (Act::Finally(body, last), self.catch())
            }
        };
        steps.push(Step { act, catch });
    }

    fn variable(&mut self, steps: &mut Vec<Step>) {
        let variable = self.dice.below(2);
        let act = match self.dice.percent(75) {
            true => Act::Increment(variable),
            false => Act::Let(variable, 0),
        };
        self.push(steps, act);
    }

    /// Something that suspends, if what it waits for is not there.
    fn wait(&mut self, steps: &mut Vec<Step>, scope: Scope) {
        if scope.guard && self.dice.percent(50) {
            let act = match self.dice.percent(70) {
                true => Act::Wait(Target::Guard),
                false => Act::WaitFor(Target::Guard, self.predicate()),
            };
            return self.push(steps, act);
        }
        if self.dice.percent(15) {
            return self.sleep(steps);
        }
        let p = self.dice.below(self.kinds.len());
        match self.kinds[p] {
            Kind::Event | Kind::Barrier(_) => self.push(steps, Act::Wait(Target::Primitive(p))),
            Kind::Condition(_) if self.dice.percent(80) => {
                let mut body = Vec::new();
                self.push(&mut body, Act::Wait(Target::Guard));
                self.push(steps, Act::With(p, body));
            }
            _ => self.push(steps, Act::Acquire(p)),
        }
    }

    /// Something that lets others go on.
    fn wake(&mut self, steps: &mut Vec<Step>, guard: bool) {
        if guard && self.dice.percent(50) {
            return self.notify(steps, Target::Guard);
        }
        let p = self.dice.below(self.kinds.len());
        match self.kinds[p] {
            Kind::Event => self.push(steps, Act::Set(p)),
            Kind::Barrier(_) => self.sleep(steps),
            Kind::Condition(_) if self.dice.percent(60) => self.notify(steps, Target::Primitive(p)),
            _ => self.push(steps, Act::Release(p)),
        }
    }

    /// A wake, and a cancel before the woken can run.
    fn race(&mut self, steps: &mut Vec<Step>, scope: Scope) {
        let barriers = self.kinds.iter().any(is_barrier);
        if barriers && self.dice.percent(30) {
            self.barrier(steps);
        } else {
            self.wake(steps, scope.guard);
        }
        for _ in 0..self.dice.between(1, 3) {
            match self.dice.below(8) {
                0 => self.wake(steps, scope.guard),
                1 => self.push(steps, Act::Sleep(0)),
                2 => {
                    let p = self.dice.below(self.kinds.len());
                    match self.kinds.get(p) {
                        Some(kind) if is_held(kind) => self.push(steps, Act::Acquire(p)),
                        _ => self.cancel(steps),
                    }
                }
                _ => self.cancel(steps),
            }
        }
    }

    /// Cancels with turns between them, while something is held.
    fn storm(&mut self, steps: &mut Vec<Step>) {
        for _ in 0..self.dice.between(1, 4) {
            match self.dice.below(5) {
                0 | 1 => self.push(steps, Act::Sleep(0)),
                2 => self.sleep(steps),
                _ => self.cancel(steps),
            }
        }
    }

    fn sleep(&mut self, steps: &mut Vec<Step>) {
        let delay = self.dice.pick(self.delays);
        self.push(steps, Act::Sleep(delay));
    }

    fn push(&mut self, steps: &mut Vec<Step>, act: Act) {
        let often = matches!(act, Act::Release(_) | Act::Notify(..) | Act::NotifyAll(_));
        let catch = match often && self.dice.percent(70) {
            true => Catch::AllButCancel,
            false => self.catch(),
        };
        steps.push(Step { act, catch });
    }

    fn catch(&mut self) -> Catch {
        if !self.dice.percent(self.catch) {
            return Catch::Nothing;
        }
        match self.dice.below(10) {
            0 | 1 => Catch::AllButCancel,
            2 => Catch::Cancel,
            _ => Catch::Everything,
        }
    }

    /// A zero is for coroutines alone: a task cannot be told from one in Rust.
    fn limit(&mut self, zero: bool) -> Option<u32> {
        match self.dice.below(20) {
            0 => None,
            1 if zero => Some(0),
            _ => Some(self.dice.pick(self.delays).max(u32::from(!zero))),
        }
    }

    fn slot(&mut self) -> usize {
        self.dice.below(self.slots)
    }

    fn who(&mut self) -> Who {
        match self.dice.percent(30) {
            true => Who::Me,
            false => Who::Slot(self.slot()),
        }
    }

    fn choose(&mut self, wanted: fn(&Kind) -> bool) -> usize {
        let all = self.kinds.iter().enumerate();
        let fit: Vec<usize> = all.filter(|(_, k)| wanted(k)).map(|(p, _)| p).collect();
        self.dice.pick(&fit)
    }
}

/// One to four primitives, of one to three kinds.
fn kinds(dice: &mut Dice) -> Vec<Kind> {
    let palette: Vec<usize> = (0..dice.between(1, 3)).map(|_| dice.below(6)).collect();
    let mut kinds = Vec::new();
    for _ in 0..dice.pick(&[1, 1, 1, 2, 2, 3, 4]) {
        let locks: Vec<usize> = (0..kinds.len())
            .filter(|&p| kinds[p] == Kind::Lock)
            .collect();
        let kind = match dice.pick(&palette) {
            0 => Kind::Lock,
            1 => Kind::Event,
            2 if !locks.is_empty() && dice.percent(60) => Kind::Condition(Some(dice.pick(&locks))),
            2 if dice.percent(30) => {
                kinds.push(Kind::Lock);
                Kind::Condition(Some(kinds.len() - 1))
            }
            2 => Kind::Condition(None),
            3 => Kind::Semaphore(dice.pick(&[0, 1, 1, 2, 2, 3])),
            4 => Kind::BoundedSemaphore(dice.pick(&[0, 1, 1, 2, 3])),
            _ => Kind::Barrier(dice.pick(&[1, 2, 2, 2, 3, 3, 4])),
        };
        kinds.push(kind);
    }
    kinds
}

fn is_held(kind: &Kind) -> bool {
    !is_event(kind) && !is_barrier(kind)
}

fn is_event(kind: &Kind) -> bool {
    *kind == Kind::Event
}

fn is_condition(kind: &Kind) -> bool {
    matches!(kind, Kind::Condition(_))
}

fn is_barrier(kind: &Kind) -> bool {
    matches!(kind, Kind::Barrier(_))
}
