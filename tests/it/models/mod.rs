//! Each primitive against a model a page long, step by step, under everything that Rust adds to Python.
//!
//! A script spawns tasks that hold up to three of a primitive's futures at once, polled like `join!`, like `select!` or one
//! after the other, some of them with a combinator's waker; it drops futures wherever they stand (unpolled, pending, woken
//! but not run, cancelled but not run), cancels tasks and calls the primitive. After each step the model and the crate must
//! agree on everything that can be seen: the `repr` with its count of waiters, every result in the order in which it came,
//! and how often each waker was called. Once nothing is on its way any more, nobody may wait for what is free.
//!
//! The models are written from CPython's `locks.py`, for a future that is dropped: what a cancel does, but the awaiting.
//! Many more cases: `PROPTEST_CASES=100000 cargo test --release --test it models`.

mod barrier;
mod condition;
mod event;
mod lock;
mod semaphore;

use crate::kit::turns;
use proptest::{prelude::*, sample::Index};
use soloop::{EventLoop, Task, create_task};
use std::{
    cell::RefCell,
    collections::VecDeque,
    fmt::Debug,
    future::{Future, poll_fn},
    pin::Pin,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

const CANCELLED: &str = "CancelledError";

/// A primitive's model: plain data, and what happens to it.
trait Model: Debug {
    /// What there is to await.
    type Wait: Copy + Debug;
    /// What there is to call.
    type Call: Copy + Debug;
    type Real: Real<Wait = Self::Wait, Call = Self::Call>;

    /// Polls a wait: its result, unless it is pending.
    fn poll(&mut self, world: &mut World, id: usize, wait: Self::Wait) -> Option<String>;
    /// Drops a wait that is not over.
    fn forget(&mut self, world: &mut World, id: usize, wait: Self::Wait);
    fn call(&mut self, world: &mut World, call: Self::Call) -> String;
    fn show(&self, world: &World) -> String;
    /// Whether somebody waits for what is free, with nobody on the way.
    fn stuck(&self, world: &World) -> bool;
}

/// The primitive itself.
trait Real: 'static {
    type Wait;
    type Call;

    fn future(&self, wait: Self::Wait) -> Fut;
    fn call(&self, call: Self::Call) -> String;
    fn show(&self) -> String;
}

type Fut = Pin<Box<dyn Future<Output = String>>>;

/// How a task polls its futures.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Way {
    /// All of them in each step, until all are over.
    Join,
    /// All of them in each step, until one is over; the others are dropped.
    Select,
    /// One after the other.
    Chain,
}

#[derive(Debug, Clone)]
enum Step<W, C> {
    Spawn(Way, Vec<(W, bool)>),
    Drop(Index),
    Cancel(Index),
    Call(C),
    Turn,
}

fn script<W: Copy + Debug + 'static, C: Clone + Debug + 'static>(
    wait: impl Strategy<Value = W> + 'static,
    call: impl Strategy<Value = C> + 'static,
) -> impl Strategy<Value = Vec<Step<W, C>>> {
    let way = prop_oneof![Just(Way::Join), Just(Way::Select), Just(Way::Chain)];
    let waits = prop::collection::vec((wait, prop::bool::weighted(0.25)), 1..4);
    let step = prop_oneof![
        4 => (way, waits).prop_map(|(way, waits)| Step::Spawn(way, waits)),
        2 => any::<Index>().prop_map(Step::Drop),
        2 => any::<Index>().prop_map(Step::Cancel),
        5 => call.prop_map(Step::Call),
        4 => Just(Step::Turn),
    ];
    prop::collection::vec(step, 1..40)
}

pub(crate) fn config(cases: u32) -> ProptestConfig {
    let mut config = ProptestConfig::default();
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = cases;
    }
    config
}

/// What the models share: tasks, waits and the ready queue of a loop, as plain data.
#[derive(Debug, Default)]
struct World {
    tasks: Vec<ModelTask>,
    waits: Vec<ModelWait>,
    ready: VecDeque<usize>,
    /// The running step began with a request to cancel.
    raising: bool,
    log: Vec<(usize, String)>,
}

#[derive(Debug)]
struct ModelTask {
    way: Way,
    waits: Vec<usize>,
    queued: bool,
    requested: bool,
    started: bool,
    done: bool,
}

#[derive(Debug)]
struct ModelWait {
    task: usize,
    stands: Stands,
    by_hand: bool,
    /// How often its waker was called, and how often when it was last polled.
    wakes: usize,
    seen: usize,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Stands {
    Unpolled,
    Pending,
    Woken,
    Cancelled,
    Over,
}

/// What a poll finds.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Found {
    Unpolled,
    Pending,
    Woken,
    Cancelled,
    CancelledAfterWake,
}

impl World {
    fn stands(&self, id: usize) -> Stands {
        self.waits[id].stands
    }

    fn is_pending(&self, id: usize) -> bool {
        self.stands(id) == Stands::Pending
    }

    fn enter(&mut self, id: usize) {
        self.waits[id].stands = Stands::Pending;
    }

    /// `fut.set_result`, or `fut.cancel()`.
    fn settle(&mut self, id: usize, stands: Stands) {
        assert!(self.is_pending(id), "a waiter is settled once");
        self.waits[id].stands = stands;
        self.waits[id].wakes += 1;
        self.queue(self.waits[id].task);
    }

    fn wake(&mut self, id: usize) {
        self.settle(id, Stands::Woken);
    }

    fn queue(&mut self, task: usize) {
        let queued = &mut self.tasks[task].queued;
        if !std::mem::replace(queued, true) {
            self.ready.push_back(task);
        }
    }

    /// What `await fut` comes to. A request to cancel that is delivered is over.
    fn look(&mut self, id: usize) -> Found {
        let found = match self.stands(id) {
            Stands::Unpolled => Found::Unpolled,
            Stands::Pending => Found::Pending,
            Stands::Woken if self.raising => Found::CancelledAfterWake,
            Stands::Woken => Found::Woken,
            Stands::Cancelled => Found::Cancelled,
            Stands::Over => unreachable!("over"),
        };
        if matches!(found, Found::Cancelled | Found::CancelledAfterWake) {
            self.tasks[self.waits[id].task].requested = false;
        }
        found
    }

    /// The waits of a task that are not over.
    fn left(&self, task: usize) -> Vec<usize> {
        let waits = self.tasks[task].waits.iter().copied();
        waits
            .filter(|&id| self.stands(id) != Stands::Over)
            .collect()
    }

    /// Tells what is pending of a request to cancel. Says whether there was anything.
    fn tell(&mut self, task: usize) -> bool {
        let mut pending = self.left(task);
        pending.retain(|&id| self.is_pending(id));
        let any = !pending.is_empty();
        for id in pending {
            self.settle(id, Stands::Cancelled);
        }
        any
    }

    fn cancel(&mut self, task: usize) {
        if !self.tasks[task].done {
            self.tasks[task].requested = true;
            if !self.tasks[task].queued {
                self.tell(task);
                self.queue(task);
            }
        }
    }
}

/// Who waits, in the order of arrival.
#[derive(Debug, Default)]
struct Line(VecDeque<usize>);

impl Line {
    fn enter(&mut self, world: &mut World, id: usize) {
        world.enter(id);
        self.0.push_back(id);
    }

    fn leave(&mut self, id: usize) {
        self.0.retain(|&other| other != id);
    }

    fn all_cancelled(&self, world: &World) -> bool {
        self.0
            .iter()
            .all(|&id| world.stands(id) == Stands::Cancelled)
    }

    fn first_pending(&self, world: &World) -> Option<usize> {
        self.0.iter().copied().find(|&id| world.is_pending(id))
    }

    /// Wakes the first that are pending.
    fn wake(&self, world: &mut World, n: usize) {
        for _ in 0..n {
            match self.first_pending(world) {
                Some(id) => world.wake(id),
                None => break,
            }
        }
    }

    /// `, waiters:2`, if there are any.
    fn show(&self) -> String {
        match self.0.len() {
            0 => String::new(),
            n => format!(", waiters:{n}"),
        }
    }
}

/// A primitive's model, and the loop around it.
struct Machine<M: Model> {
    world: World,
    model: M,
    waits: Vec<M::Wait>,
}

impl<M: Model> Machine<M> {
    fn forget(&mut self, id: usize) {
        self.model.forget(&mut self.world, id, self.waits[id]);
        self.world.waits[id].stands = Stands::Over;
    }

    /// Polls a wait, if there is reason to, and says whether it is over.
    fn poll(&mut self, id: usize) -> bool {
        let wait = &mut self.world.waits[id];
        if wait.by_hand && wait.stands != Stands::Unpolled && wait.wakes == wait.seen {
            return false;
        }
        wait.seen = wait.wakes;
        let result = self.model.poll(&mut self.world, id, self.waits[id]);
        if let Some(result) = result {
            self.world.waits[id].stands = Stands::Over;
            self.world.log.push((id, result));
            return true;
        }
        false
    }

    /// `Task.__step`.
    fn step(&mut self, task: usize) {
        let it = &mut self.world.tasks[task];
        let discarded = it.requested && !it.started;
        let raising = it.requested && !discarded;
        if raising {
            self.world.tell(task);
        }
        let it = &mut self.world.tasks[task];
        (it.queued, it.started) = (false, true);
        let way = it.way;
        let mut ended = discarded || it.done;
        if !ended {
            self.world.raising = raising;
            for id in self.world.left(task) {
                let over = self.poll(id);
                ended = way == Way::Select && over;
                if ended || way == Way::Chain && !over {
                    break;
                }
            }
            self.world.raising = false;
            ended |= self.world.left(task).is_empty();
        }
        if ended {
            for id in self.world.left(task) {
                self.forget(id);
            }
            self.world.tasks[task].done = true;
        } else if self.world.tasks[task].requested {
            assert!(self.world.tell(task), "only what is new is not told yet");
        }
    }

    /// Runs whatever is queued before main's next step.
    fn turn(&mut self) {
        for _ in 0..self.world.ready.len() {
            let next = self.world.ready.pop_front().expect("counted");
            self.step(next);
        }
    }

    fn spawn(&mut self, way: Way, waits: &[(M::Wait, bool)]) {
        let task = self.world.tasks.len();
        let first = self.world.waits.len();
        for &(wait, by_hand) in waits {
            self.waits.push(wait);
            self.world.waits.push(ModelWait {
                task,
                stands: Stands::Unpolled,
                by_hand,
                wakes: 0,
                seen: 0,
            });
        }
        self.world.tasks.push(ModelTask {
            way,
            waits: (first..self.world.waits.len()).collect(),
            queued: false,
            requested: false,
            started: false,
            done: false,
        });
        self.world.queue(task);
    }
}

/// A waker that counts, as a combinator has one for each of its futures.
#[derive(Default)]
struct Counter {
    wakes: AtomicUsize,
}

impl Wake for Counter {
    fn wake(self: Arc<Self>) {
        self.wakes.fetch_add(1, Ordering::Relaxed);
    }
}

/// A future of the crate's, which its task polls and main may drop.
struct Slot {
    id: usize,
    future: RefCell<Option<Fut>>,
    by_hand: Option<Arc<Counter>>,
    /// How often its waker had been called when it was last polled.
    seen: RefCell<Option<usize>>,
}

impl Slot {
    fn wakes(&self) -> usize {
        let counter = self.by_hand.as_ref();
        counter.map_or(0, |counter| counter.wakes.load(Ordering::Relaxed))
    }

    /// Polls the future, if there is reason to: `None` if there is no future.
    fn poll(&self, cx: &mut Context<'_>) -> Option<Poll<String>> {
        let mut future = self.future.take()?;
        let polled = match &self.by_hand {
            Some(counter) => {
                let wakes = self.wakes();
                if self.seen.replace(Some(wakes)) == Some(wakes) {
                    Poll::Pending
                } else {
                    let waker = Waker::from(counter.clone());
                    future.as_mut().poll(&mut Context::from_waker(&waker))
                }
            }
            None => future.as_mut().poll(cx),
        };
        if polled.is_pending() {
            self.future.replace(Some(future));
        }
        Some(polled)
    }
}

/// The futures of a task. Dropped in their order, wherever they stand.
struct Slots(Vec<Rc<Slot>>);

impl Drop for Slots {
    fn drop(&mut self) {
        for slot in &self.0 {
            drop(slot.future.take());
        }
    }
}

type Log = Rc<RefCell<Vec<(usize, String)>>>;

fn spawn(way: Way, slots: Slots, log: Log) -> Task<()> {
    create_task(async move {
        poll_fn(|cx| {
            let (mut left, mut ended) = (false, false);
            for slot in &slots.0 {
                match slot.poll(cx) {
                    Some(Poll::Ready(result)) => {
                        log.borrow_mut().push((slot.id, result));
                        ended = way == Way::Select;
                    }
                    Some(Poll::Pending) => left = true,
                    None => continue,
                }
                if ended || way == Way::Chain && left {
                    break;
                }
            }
            if ended || !left {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
        drop(slots);
        Ok(())
    })
}

/// Everything that can be seen after a step.
#[derive(Debug, PartialEq)]
struct Seen {
    step: String,
    returned: String,
    shown: String,
    log: Vec<(usize, String)>,
    wakes: Vec<usize>,
    left: Vec<usize>,
}

/// Plays a script to the model and to the primitive.
fn play<M: Model>(
    model: M,
    real: M::Real,
    script: Vec<Step<M::Wait, M::Call>>,
) -> Result<(), TestCaseError> {
    let mut machine = Machine {
        world: World::default(),
        model,
        waits: Vec::new(),
    };
    let end = script.len();
    let mut script: VecDeque<_> = script.into();
    let outcome = EventLoop::with_virtual_clock().run(async move {
        let log = Log::default();
        let mut slots: Vec<Rc<Slot>> = Vec::new();
        let mut tasks: Vec<Task<()>> = Vec::new();
        // At the end: until nothing is on its way; then without all that is left, and again.
        let mut quiet = 0;
        for at in 0.. {
            let step = script.pop_front();
            let mut returned = [String::new(), String::new()];
            match &step {
                Some(Step::Spawn(way, waits)) => {
                    machine.spawn(*way, waits);
                    let first = slots.len();
                    slots.extend(waits.iter().enumerate().map(|(n, &(wait, by_hand))| {
                        Rc::new(Slot {
                            id: first + n,
                            future: RefCell::new(Some(real.future(wait))),
                            by_hand: by_hand.then(Arc::default),
                            seen: RefCell::new(None),
                        })
                    }));
                    tasks.push(spawn(*way, Slots(slots[first..].to_vec()), log.clone()));
                }
                Some(Step::Drop(which)) => {
                    let mut left: Vec<_> = (0..slots.len()).collect();
                    left.retain(|&id| machine.world.stands(id) != Stands::Over);
                    if !left.is_empty() {
                        let id = *which.get(&left);
                        machine.forget(id);
                        drop(slots[id].future.take());
                    }
                }
                Some(Step::Cancel(which)) if !tasks.is_empty() => {
                    let task = which.index(tasks.len());
                    machine.world.cancel(task);
                    tasks[task].cancel();
                }
                Some(Step::Cancel(_)) => {}
                Some(Step::Call(call)) => {
                    returned = [
                        machine.model.call(&mut machine.world, *call),
                        real.call(*call),
                    ];
                }
                Some(Step::Turn) => {
                    machine.turn();
                    turns(1).await?;
                }
                None if !machine.world.ready.is_empty() => {
                    machine.turn();
                    turns(1).await?;
                }
                None if quiet == 0 => {
                    quiet = 1;
                    if machine.model.stuck(&machine.world) {
                        let stuck = format!("stuck: {:?} {:?}", machine.model, machine.world);
                        return Ok(Err(TestCaseError::fail(stuck)));
                    }
                    for slot in &slots {
                        if machine.world.stands(slot.id) != Stands::Over {
                            machine.forget(slot.id);
                            drop(slot.future.take());
                        }
                    }
                }
                None => break,
            }
            let [by_model, by_real] = returned;
            let step = format!("{at} of {end}: {step:?}");
            let wakes = machine.world.waits.iter();
            let expected = Seen {
                step: step.clone(),
                returned: by_model,
                shown: machine.model.show(&machine.world),
                log: machine.world.log.clone(),
                wakes: wakes
                    .map(|wait| if wait.by_hand { wait.wakes } else { 0 })
                    .collect(),
                left: (0..slots.len())
                    .filter(|&id| machine.world.stands(id) != Stands::Over)
                    .collect(),
            };
            let seen = Seen {
                step,
                returned: by_real,
                shown: real.show(),
                log: log.borrow().clone(),
                wakes: slots.iter().map(|slot| slot.wakes()).collect(),
                left: slots
                    .iter()
                    .filter(|slot| slot.future.borrow().is_some())
                    .map(|slot| slot.id)
                    .collect(),
            };
            if seen != expected {
                let difference = format!("expected {expected:#?}\nseen {seen:#?}");
                return Ok(Err(TestCaseError::fail(difference)));
            }
        }
        Ok(Ok(()))
    });
    match outcome {
        Ok(outcome) => outcome,
        Err(error) => Err(TestCaseError::fail(error.to_string())),
    }
}
