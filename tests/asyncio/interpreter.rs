//! Runs the suite's programs on soloop, and writes the lines that `interpreter.py` writes.

use crate::{
    hosts::Host,
    program::{Act, Catch, Kind, Predicate, Program, Step, Target, Who},
};
use soloop::{
    Barrier, BoundedSemaphore, Condition, ConditionGuard, Error, Event, EventLoop, Lock, Result,
    Semaphore, Task, TaskHandle, create_task, current_task, sleep, wait_for,
};
use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    fmt,
    future::Future,
    mem,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    rc::Rc,
    time::Duration,
};

/// 512 make a second, so that times are exact in Python's floats too.
const TICK: Duration = Duration::from_nanos(1_953_125);
/// Tasks that one program may create.
const MEMBERS: usize = 40;
/// The slot in which main stands, though nobody owns it.
const MAIN: usize = 9;
/// From here on predicates hold, since two that notify each other would never end.
const ASKS: usize = 100;

/// The trace of a program. A panic is a line, the only one.
pub(crate) fn trace(program: &Program) -> Vec<String> {
    trace_under(Host::Run, program)
}

/// Likewise, under another host.
pub(crate) fn trace_under(host: Host, program: &Program) -> Vec<String> {
    catch_unwind(AssertUnwindSafe(|| run(host, program))).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).into()));
        vec![format!("panic: {}", text.unwrap_or_default())]
    })
}

fn run(host: Host, program: &Program) -> Vec<String> {
    let world = Rc::new(World::new(program));
    let mut event_loop = EventLoop::with_virtual_clock();
    let reports = Rc::clone(&world);
    event_loop.set_exception_handler(move |failure| reports.report(failure.to_string()));
    let main = Me {
        world: Rc::clone(&world),
        number: world.enroll(),
    };
    let (main, tasks) = (Box::pin(function(main, 0)), || world.tasks());
    match host.run(&mut event_loop, main, tasks) {
        Err(Error::Deadlock(stuck)) => {
            // asyncio hangs in its shutdown, and never comes to tell who failed in it.
            let told = |line: &String| !line.starts_with("unhandled exception");
            world.lines.borrow_mut().retain(told);
            for (name, what) in stuck.tasks() {
                world.report(format!("deadlock {name} waits for {what}"));
            }
        }
        ended => {
            let ended = match &ended {
                Ok(value) => format!("value {}", shown(value)),
                Err(error) => error.to_string(),
            };
            world.report(format!("{} run {ended}", ticks(event_loop.time())));
        }
    }
    for number in mem::take(&mut *world.slots.borrow_mut()).into_values() {
        world.disown(number);
    }
    drop(event_loop);
    world.lines.take()
}

pub(crate) type Flow = Result<Option<u32>>;
type Guard = Option<(usize, ConditionGuard)>;

struct World {
    functions: Vec<Vec<Step>>,
    primitives: Vec<Primitive>,
    lines: RefCell<Vec<String>>,
    members: RefCell<Vec<Member>>,
    slots: RefCell<BTreeMap<usize, usize>>,
    variables: RefCell<[u32; 10]>,
    asks: Cell<usize>,
}

enum Primitive {
    Lock(Lock),
    Event(Event),
    Condition(Condition),
    Semaphore(Semaphore),
    BoundedSemaphore(BoundedSemaphore),
    Barrier(Barrier),
}

/// A task of the program. The world owns it while it stands in a slot, as a variable would.
#[derive(Default)]
struct Member {
    handle: Option<TaskHandle>,
    owner: Option<Task<Option<u32>>>,
    awaits: Option<usize>,
}

#[derive(Clone)]
struct Me {
    world: Rc<World>,
    number: usize,
}

/// An application's own exception.
#[derive(Debug)]
struct Boom(u32);

impl fmt::Display for Boom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Boom: {}", self.0)
    }
}

impl std::error::Error for Boom {}

impl World {
    fn new(program: &Program) -> Self {
        let mut primitives = Vec::new();
        for kind in &program.primitives {
            primitives.push(Primitive::new(*kind, &primitives));
        }
        Self {
            functions: program.functions.clone(),
            primitives,
            lines: RefCell::default(),
            members: RefCell::default(),
            slots: RefCell::new(BTreeMap::from([(MAIN, 0)])),
            variables: RefCell::default(),
            asks: Cell::default(),
        }
    }

    fn enroll(&self) -> usize {
        let mut members = self.members.borrow_mut();
        members.push(Member::default());
        members.len() - 1
    }

    /// Gives up the task, as a variable that is assigned anew does.
    fn disown(&self, number: usize) -> bool {
        let task = self.members.borrow_mut()[number].owner.take();
        task.is_some()
    }

    fn report(&self, line: String) {
        self.lines.borrow_mut().push(line);
    }

    fn slot(&self, slot: usize) -> Option<usize> {
        self.slots.borrow().get(&slot).copied()
    }

    /// `None` when nobody can ask any more: the task is done, and its owner is gone.
    fn task(&self, slot: usize) -> Option<TaskHandle> {
        let members = self.members.borrow();
        let member = &members[self.slot(slot)?];
        let handle = member.handle.clone()?;
        (member.owner.is_some() || !handle.done()).then_some(handle)
    }

    /// Those that have begun, and those that were spawned.
    fn tasks(&self) -> Vec<TaskHandle> {
        let members = self.members.borrow();
        members
            .iter()
            .filter_map(|member| member.handle.clone())
            .collect()
    }

    /// Whether awaiting `other` would close a circle of more than one task.
    fn circle(&self, me: usize, other: usize) -> bool {
        let members = self.members.borrow();
        let mut next = members[other].awaits;
        while let Some(number) = next {
            if number == me {
                return true;
            }
            next = members[number].awaits;
        }
        false
    }
}

impl Primitive {
    fn new(kind: Kind, before: &[Self]) -> Self {
        match kind {
            Kind::Lock => Self::Lock(Lock::new()),
            Kind::Event => Self::Event(Event::new()),
            Kind::Condition(None) => Self::Condition(Condition::new()),
            Kind::Condition(Some(number)) => match &before[number] {
                Self::Lock(lock) => Self::Condition(Condition::with_lock(lock)),
                _ => panic!("a condition shares a lock"),
            },
            Kind::Semaphore(value) => Self::Semaphore(Semaphore::new(value)),
            Kind::BoundedSemaphore(value) => Self::BoundedSemaphore(BoundedSemaphore::new(value)),
            Kind::Barrier(parties) => Self::Barrier(Barrier::new(parties).expect("parties")),
        }
    }

    fn condition(&self) -> &Condition {
        match self {
            Self::Condition(condition) => condition,
            _ => panic!("not a condition"),
        }
    }

    fn event(&self) -> &Event {
        match self {
            Self::Event(event) => event,
            _ => panic!("not an event"),
        }
    }

    fn barrier(&self) -> &Barrier {
        match self {
            Self::Barrier(barrier) => barrier,
            _ => panic!("not a barrier"),
        }
    }

    async fn acquire(&self) -> Result<()> {
        match self {
            Self::Lock(lock) => lock.acquire().await,
            Self::Condition(condition) => condition.acquire().await,
            Self::Semaphore(semaphore) => semaphore.acquire().await,
            Self::BoundedSemaphore(semaphore) => semaphore.acquire().await,
            _ => panic!("cannot be acquired"),
        }
    }

    fn release(&self) -> Result<()> {
        match self {
            Self::Lock(lock) => lock.release(),
            Self::Condition(condition) => condition.release(),
            Self::Semaphore(semaphore) => {
                semaphore.release();
                Ok(())
            }
            Self::BoundedSemaphore(semaphore) => semaphore.release(),
            _ => panic!("cannot be released"),
        }
    }

    /// What the primitive says of itself.
    fn answers(&self) -> String {
        match self {
            Self::Lock(lock) => truth(lock.locked()).into(),
            Self::Event(event) => truth(event.is_set()).into(),
            Self::Condition(condition) => truth(condition.locked()).into(),
            Self::Semaphore(semaphore) => truth(semaphore.locked()).into(),
            Self::BoundedSemaphore(semaphore) => truth(semaphore.locked()).into(),
            Self::Barrier(barrier) => {
                let (parties, waiting) = (barrier.parties(), barrier.n_waiting());
                format!("{parties} {waiting} {}", truth(barrier.broken()))
            }
        }
    }

    async fn wait(&self) -> Result<Option<usize>> {
        match self {
            Self::Event(event) => event.wait().await.map(|()| None),
            Self::Condition(condition) => condition.wait().await.map(|()| None),
            Self::Barrier(barrier) => barrier.wait().await.map(Some),
            _ => panic!("cannot be waited for"),
        }
    }
}

impl fmt::Debug for Primitive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lock(lock) => lock.fmt(f),
            Self::Event(event) => event.fmt(f),
            Self::Condition(condition) => condition.fmt(f),
            Self::Semaphore(semaphore) => semaphore.fmt(f),
            Self::BoundedSemaphore(semaphore) => semaphore.fmt(f),
            Self::Barrier(barrier) => barrier.fmt(f),
        }
    }
}

impl Catch {
    fn catches(self, error: &Error) -> bool {
        match self {
            Self::Nothing => false,
            Self::Everything => true,
            Self::AllButCancel => !matches!(error, Error::Cancelled),
            Self::Cancel => matches!(error, Error::Cancelled),
        }
    }
}

impl Me {
    fn line(&self, word: &str, outcome: impl fmt::Display, touched: Option<usize>) {
        let task = current_task().expect("a step runs in a task");
        let (now, name, cancelling) = (ticks(soloop::time()), task.name(), task.cancelling());
        let mut line = format!("{now} {name}/{cancelling} {word} {outcome}");
        if let Some(number) = touched {
            line += &format!(" {:?}", self.world.primitives[number]);
        }
        self.world.report(line);
    }

    /// Writes the line of a step that gave `outcome`, and hands the outcome on.
    fn told<T>(
        &self,
        word: &str,
        outcome: Result<T>,
        show: impl Fn(&T) -> String,
        touched: Option<usize>,
    ) -> Result<T> {
        match &outcome {
            Ok(value) => self.line(word, show(value), touched),
            Err(error) => self.line(word, error, touched),
        }
        outcome
    }

    fn primitive(&self, number: usize) -> &Primitive {
        &self.world.primitives[number]
    }
}

async fn function(me: Me, number: usize) -> Flow {
    if me.number == 0 {
        me.world.members.borrow_mut()[0].handle = current_task();
    }
    me.line("begin", number, None);
    let value = steps(&me, &me.world.functions[number], &mut None).await;
    let value = me.told("end", value, shown, None);
    if me.number == 0 {
        for number in 0..me.world.primitives.len() {
            me.line("left", me.primitive(number).answers(), Some(number));
        }
    }
    value
}

fn steps<'a>(
    me: &'a Me,
    steps: &'a [Step],
    guard: &'a mut Guard,
) -> Pin<Box<dyn Future<Output = Flow> + 'a>> {
    Box::pin(async move {
        for step in steps {
            let flow = match plain(me, &step.act, guard) {
                Some(flow) => flow,
                None => suspending(me, &step.act, guard).await,
            };
            match flow {
                Ok(None) => {}
                Err(error) if step.catch.catches(&error) => {}
                end => return end,
            }
        }
        Ok(None)
    })
}

/// A step that cannot suspend; `None` if it is not of that kind.
fn plain(me: &Me, act: &Act, guard: &Guard) -> Option<Flow> {
    let word = act.word();
    let world = &*me.world;
    let ok = |(): &()| String::from("ok");
    let told = |outcome: String| {
        me.line(&word, outcome, None);
        Some(Ok(None))
    };
    let on_task = |who: &Who, ask: &dyn Fn(&TaskHandle) -> String| {
        let task = match who {
            Who::Me => current_task(),
            Who::Slot(slot) => world.task(*slot),
        };
        told(task.map_or("nobody".into(), |task| ask(&task)))
    };
    let (outcome, touched) = match act {
        Act::Release(p) => (me.primitive(*p).release(), *p),
        Act::Set(p) => {
            me.primitive(*p).event().set();
            (Ok(()), *p)
        }
        Act::Clear(p) => {
            me.primitive(*p).event().clear();
            (Ok(()), *p)
        }
        Act::Notify(Target::Primitive(p), n) => (me.primitive(*p).condition().notify(*n), *p),
        Act::NotifyAll(Target::Primitive(p)) => (me.primitive(*p).condition().notify_all(), *p),
        Act::Notify(Target::Guard, n) => match guard {
            Some((p, guard)) => (guard.notify(*n), *p),
            None => return told("no guard".into()),
        },
        Act::NotifyAll(Target::Guard) => match guard {
            Some((p, guard)) => (guard.notify_all(), *p),
            None => return told("no guard".into()),
        },
        Act::Peek(p) => {
            me.line(&word, me.primitive(*p).answers(), Some(*p));
            return Some(Ok(None));
        }
        Act::Spawn { slot, function } => {
            let full = world.members.borrow().len() == MEMBERS;
            if full || *function >= world.functions.len() {
                return told("no more".into());
            }
            return told(spawn(me, *slot, *function));
        }
        Act::Cancel(who) => return on_task(who, &|task| truth(task.cancel()).into()),
        Act::Uncancel(who) => return on_task(who, &|task| task.uncancel().to_string()),
        Act::Look(who) => {
            return on_task(who, &|task| {
                let (done, cancelled) = (truth(task.done()), truth(task.cancelled()));
                format!("{done} {cancelled} {} {task:?}", task.cancelling())
            });
        }
        Act::Name(who) => {
            return on_task(who, &|task| {
                task.set_name(task.name() + "+");
                task.name()
            });
        }
        Act::Drop(slot) => {
            let owned = world.slot(*slot).is_some_and(|number| world.disown(number));
            return told(if owned { "ok" } else { "nobody" }.into());
        }
        Act::Raise(what) => {
            let error = match what {
                0 => Error::Cancelled,
                1 => Error::Timeout,
                2 => Error::Runtime("by hand".into()),
                _ => Error::other(Boom(*what)),
            };
            return Some(me.told(&word, Err(error), |_| String::new(), None));
        }
        Act::Return(value) => return Some(Ok(Some(*value))),
        Act::Let(variable, value) => {
            world.variables.borrow_mut()[*variable] = *value;
            return told(value.to_string());
        }
        Act::Increment(variable) => {
            world.variables.borrow_mut()[*variable] += 1;
            return told(world.variables.borrow()[*variable].to_string());
        }
        _ => return None,
    };
    let flow = me.told(&word, outcome, ok, Some(touched));
    Some(flow.map(|()| None))
}

fn spawn(me: &Me, slot: usize, number: usize) -> String {
    let world = &*me.world;
    let member = Me {
        world: Rc::clone(&me.world),
        number: world.enroll(),
    };
    let at = member.number;
    let task = create_task(function(member, number));
    let name = task.name();
    {
        let member = &mut world.members.borrow_mut()[at];
        member.handle = Some(task.handle());
        member.owner = Some(task);
    }
    let before = world.slots.borrow_mut().insert(slot, at);
    if let Some(before) = before {
        world.disown(before);
    }
    name
}

async fn suspending(me: &Me, act: &Act, guard: &mut Guard) -> Flow {
    let word = act.word();
    let ok = |(): &()| String::from("ok");
    let found = |value: &Option<u32>| value.map_or("ok".into(), |value| value.to_string());
    match act {
        Act::Acquire(p) => {
            let outcome = me.primitive(*p).acquire().await;
            me.told(&word, outcome, ok, Some(*p))?;
        }
        Act::Wait(on) => {
            let (outcome, p) = match (on, guard) {
                (Target::Primitive(p), _) => (me.primitive(*p).wait().await, *p),
                (Target::Guard, Some((p, guard))) => (guard.wait().await.map(|()| None), *p),
                (Target::Guard, None) => return no_guard(me, &word),
            };
            let index = |index: &Option<usize>| index.map_or("ok".into(), |i| i.to_string());
            me.told(&word, outcome, index, Some(p))?;
        }
        Act::WaitFor(on, question) => {
            let (outcome, p) = match (on, guard) {
                (Target::Primitive(p), _) => {
                    let condition = me.primitive(*p).condition();
                    let (me, question) = (me.clone(), question.clone());
                    let outcome = if question.found {
                        condition.wait_for(move || find(&me, &question)).await
                    } else {
                        let until = condition.wait_for(move || find(&me, &question).is_some());
                        until.await.map(|_| None)
                    };
                    (outcome, *p)
                }
                (Target::Guard, Some((p, guard))) => {
                    let outcome = if question.found {
                        guard.wait_for(|| find(me, question)).await
                    } else {
                        let until = guard.wait_for(|| find(me, question).is_some());
                        until.await.map(|_| None)
                    };
                    (outcome, *p)
                }
                (Target::Guard, None) => return no_guard(me, &word),
            };
            me.told(&word, outcome, found, Some(p))?;
        }
        Act::Reset(p) => {
            let outcome = me.primitive(*p).barrier().reset().await;
            me.told(&word, outcome, ok, Some(*p))?;
        }
        Act::Abort(p) => {
            let outcome = me.primitive(*p).barrier().abort().await;
            me.told(&word, outcome, ok, Some(*p))?;
        }
        Act::With(p, body) => return with(me, &word, *p, body, guard).await,
        Act::Within(limit, body) => {
            let outcome = wait_for(steps(me, body, guard), limit.map(|n| TICK * n)).await;
            return me.told(&word, outcome, found, None);
        }
        Act::Finally(first, last) => {
            let flow = steps(me, first, &mut *guard).await;
            return match steps(me, last, guard).await? {
                None => flow,
                over => Ok(over),
            };
        }
        Act::Repeat(times, body) => {
            for _ in 0..*times {
                if let value @ Some(_) = steps(me, body, &mut *guard).await? {
                    return Ok(value);
                }
            }
        }
        Act::Try(body) => return steps(me, body, guard).await,
        Act::Sleep(n) => {
            let outcome = sleep(TICK * *n).await;
            me.told(&word, outcome, ok, None)?;
        }
        Act::Await(slot) => return join(me, &word, *slot, None).await,
        Act::AwaitWithin(slot, limit) => return join(me, &word, *slot, Some(*limit)).await,
        _ => unreachable!("{word} does not suspend"),
    }
    Ok(None)
}

fn no_guard(me: &Me, word: &str) -> Flow {
    me.line(word, "no guard", None);
    Ok(None)
}

/// A predicate's answer: the variable, one higher so that Python finds it true, if it is high enough.
fn find(me: &Me, question: &Predicate) -> Option<u32> {
    for step in question.inside.iter() {
        // What fails in a predicate stays there.
        let _ = plain(me, &step.act, &None);
    }
    let value = me.world.variables.borrow()[question.variable];
    me.world.asks.set(me.world.asks.get() + 1);
    let holds = value >= question.at_least || me.world.asks.get() > ASKS;
    me.line("ask", truth(holds), None);
    holds.then_some(value + 1)
}

async fn with(me: &Me, word: &str, p: usize, body: &[Step], guard: &mut Guard) -> Flow {
    macro_rules! held {
        ($enter:expr) => {{
            let held = me.told(word, $enter.await, |_| "ok".into(), Some(p))?;
            let flow = steps(me, body, guard).await;
            drop(held);
            flow
        }};
    }
    let flow = match me.primitive(p) {
        Primitive::Lock(lock) => held!(lock.enter()),
        Primitive::Semaphore(semaphore) => held!(semaphore.enter()),
        Primitive::BoundedSemaphore(semaphore) => held!(semaphore.enter()),
        Primitive::Condition(condition) => {
            let held = condition.enter().await;
            let mut held = Some((p, me.told(word, held, |_| "ok".into(), Some(p))?));
            let flow = steps(me, body, &mut held).await;
            drop(held);
            flow
        }
        _ => panic!("cannot be entered"),
    };
    me.line(&format!("exit{p}"), "ok", Some(p));
    flow
}

/// Awaits the task in the slot, under a timeout if one is given.
async fn join(me: &Me, word: &str, slot: usize, limit: Option<Option<u32>>) -> Flow {
    let world = &*me.world;
    let owner = world.slot(slot).and_then(|other| {
        let task = world.members.borrow_mut()[other].owner.take();
        task.map(|task| (other, task))
    });
    let Some((other, task)) = owner else {
        me.line(word, "nobody", None);
        return Ok(None);
    };
    if world.circle(me.number, other) {
        world.members.borrow_mut()[other].owner = Some(task);
        me.line(word, "circle", None);
        return Ok(None);
    }
    if other != me.number {
        world.members.borrow_mut()[me.number].awaits = Some(other);
    }
    let outcome = match limit {
        Some(limit) => wait_for(task, limit.map(|n| TICK * n)).await,
        None => task.await,
    };
    world.members.borrow_mut()[me.number].awaits = None;
    me.told(word, outcome, shown, None)?;
    Ok(None)
}

fn ticks(time: Duration) -> u128 {
    time.as_nanos() / TICK.as_nanos()
}

fn truth(value: bool) -> &'static str {
    if value { "True" } else { "False" }
}

/// A function's value, as Python prints it.
fn shown(value: &Option<u32>) -> String {
    value.map_or("None".into(), |value| value.to_string())
}
