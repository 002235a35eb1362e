//! What the workloads themselves cost: boxed futures in a `VecDeque`, and primitives that do what their workload needs and no more.
//!
//! No wakers, no cancellation, no drop of what waits, no order among equal deadlines that anybody promised.

use crate::peer::{Barrier, Cells, Condition, Event, Host, Lock, Semaphore, Timers};
use futures_lite::future;
use std::{
    cell::{Cell, RefCell},
    cmp::Ordering,
    collections::{BinaryHeap, VecDeque},
    future::Future,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, Waker},
    thread,
    time::{Duration, Instant},
};

pub struct Clocked<const VIRTUAL: bool>;
pub type Floor = Clocked<false>;
pub type FloorVirtual = Clocked<true>;

pub fn cells(cells: &mut Cells) {
    cells
        .peer::<Floor>(super::FLOOR)
        .tasks::<Floor>()
        .lock::<Floor, FloorLock>()
        .event::<Floor, FloorEvent>()
        .semaphore::<Floor, FloorSemaphore>()
        .condition::<Floor, FloorCondition>()
        .barrier::<Floor, FloorBarrier>()
        .virtual_timers::<FloorVirtual>()
        .real_timers::<Floor>()
        .timeouts::<Floor>()
        .timed_event::<Floor, FloorEvent>();
}

pub struct FloorTask {
    /// None once it has ended.
    future: RefCell<Option<Pin<Box<dyn Future<Output = ()>>>>>,
    joiner: RefCell<Option<Rc<FloorTask>>>,
}

#[derive(Default)]
struct FloorLoop {
    ready: RefCell<VecDeque<Rc<FloorTask>>>,
    running: RefCell<Option<Rc<FloorTask>>>,
    /// By deadline, then by number. One that is given up stays here.
    timers: RefCell<BinaryHeap<Timer>>,
    timers_made: Cell<u64>,
    /// The real clock, or none and the time is `now`.
    clock: Cell<Option<Instant>>,
    now: Cell<u64>,
}

thread_local! {
    static LOOP: FloorLoop = FloorLoop::default();
}

impl FloorLoop {
    /// In nanoseconds.
    fn time(&self) -> u64 {
        self.clock
            .get()
            .map_or(self.now.get(), |start| start.elapsed().as_nanos() as u64)
    }

    fn run(&self, clock: Option<Instant>, main: Pin<Box<dyn Future<Output = ()>>>) {
        self.clock.set(clock);
        let main = spawn(main);
        while main.future.borrow().is_some() {
            let next = self.ready.borrow_mut().pop_front();
            match next {
                Some(task) => self.step(task),
                None => self.fire(),
            }
        }
        drop(self.ready.take());
        drop(self.timers.take());
    }

    fn step(&self, task: Rc<FloorTask>) {
        self.running.replace(Some(task));
        let task = self.running.borrow().clone().expect("just put there");
        let mut future = task.future.borrow_mut();
        let mut cx = Context::from_waker(Waker::noop());
        if future
            .as_mut()
            .expect("it has not ended")
            .as_mut()
            .poll(&mut cx)
            .is_ready()
        {
            *future = None;
            if let Some(joiner) = task.joiner.take() {
                wake(joiner);
            }
        }
    }

    fn fire(&self) {
        let Timer { deadline, task, .. } = self.timers.borrow_mut().pop().expect("no deadlock");
        match self.clock.get() {
            Some(_) => thread::sleep(Duration::from_nanos(deadline.saturating_sub(self.time()))),
            None => self.now.set(deadline),
        }
        wake(task);
    }
}

fn spawn(future: Pin<Box<dyn Future<Output = ()>>>) -> Rc<FloorTask> {
    let future = RefCell::new(Some(future));
    let task = Rc::new(FloorTask {
        future,
        joiner: RefCell::default(),
    });
    wake(task.clone());
    task
}

fn current() -> Rc<FloorTask> {
    LOOP.with(|floor| floor.running.borrow().clone().expect("a task is running"))
}

fn wake(task: Rc<FloorTask>) {
    LOOP.with(|floor| floor.ready.borrow_mut().push_back(task));
}

/// Suspends once, when it has put the running task where somebody will wake it.
struct Suspend<F>(Option<F>);

impl<F: FnOnce(Rc<FloorTask>) + Unpin> Future for Suspend<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        match self.0.take() {
            Some(put) => {
                put(current());
                Poll::Pending
            }
            None => Poll::Ready(()),
        }
    }
}

pub struct Join(Rc<FloorTask>);

impl Future for Join {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        if self.0.future.borrow().is_none() {
            return Poll::Ready(());
        }
        self.0.joiner.replace(Some(current()));
        Poll::Pending
    }
}

struct Sleep {
    delay: Duration,
    deadline: Option<u64>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        LOOP.with(|floor| match self.deadline {
            None => {
                let deadline = floor.time() + self.delay.as_nanos() as u64;
                self.deadline = Some(deadline);
                let number = floor.timers_made.get();
                floor.timers_made.set(number + 1);
                floor.timers.borrow_mut().push(Timer {
                    deadline,
                    number,
                    task: current(),
                });
                Poll::Pending
            }
            Some(deadline) if deadline > floor.time() => Poll::Pending,
            Some(_) => Poll::Ready(()),
        })
    }
}

struct Timer {
    deadline: u64,
    number: u64,
    task: Rc<FloorTask>,
}

/// The greatest is the first that is due.
impl Ord for Timer {
    fn cmp(&self, other: &Self) -> Ordering {
        (other.deadline, other.number).cmp(&(self.deadline, self.number))
    }
}

impl PartialOrd for Timer {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Timer {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Timer {}

impl<const VIRTUAL: bool> Host for Clocked<VIRTUAL> {
    type Task = Join;

    fn run(main: impl Future<Output = ()> + 'static) {
        let clock = if VIRTUAL { None } else { Some(Instant::now()) };
        LOOP.with(|floor| floor.run(clock, Box::pin(main)));
    }

    fn spawn(task: impl Future<Output = ()> + 'static) -> Join {
        Join(spawn(Box::pin(task)))
    }

    fn yield_now() -> impl Future<Output = ()> {
        Suspend(Some(wake))
    }
}

impl<const VIRTUAL: bool> Timers for Clocked<VIRTUAL> {
    fn sleep(delay: Duration) -> impl Future<Output = ()> + 'static {
        Sleep {
            delay,
            deadline: None,
        }
    }

    fn timeout(limit: Duration, body: impl Future<Output = ()>) -> impl Future<Output = ()> {
        future::or(body, Self::sleep(limit))
    }
}

/// Tasks that wait, first come first.
#[derive(Default)]
struct Queue(RefCell<VecDeque<Rc<FloorTask>>>);

impl Queue {
    fn wait(&self) -> impl Future<Output = ()> {
        Suspend(Some(|task| self.0.borrow_mut().push_back(task)))
    }

    /// False if nobody waits.
    fn wake_one(&self) -> bool {
        let first = self.0.borrow_mut().pop_front();
        first.map(wake).is_some()
    }

    fn wake_all(&self) {
        while self.wake_one() {}
    }
}

/// A lock is a semaphore of one here.
#[derive(Clone)]
pub struct FloorSemaphore(Rc<Permits>);
pub type FloorLock = FloorSemaphore;

struct Permits {
    free: Cell<usize>,
    queue: Queue,
}

pub struct Permit<'a>(&'a Permits);

impl Permits {
    fn new(free: usize) -> Self {
        Self {
            free: Cell::new(free),
            queue: Queue::default(),
        }
    }

    async fn enter(&self) -> Permit<'_> {
        match self.free.get() {
            0 => self.queue.wait().await,
            free => self.free.set(free - 1),
        }
        Permit(self)
    }
}

/// Hands the permit to the first that waits.
impl Drop for Permit<'_> {
    fn drop(&mut self) {
        if !self.0.queue.wake_one() {
            self.0.free.set(self.0.free.get() + 1);
        }
    }
}

impl Lock for FloorLock {
    type Held<'a> = Permit<'a>;

    fn new() -> Self {
        FloorSemaphore(Rc::new(Permits::new(1)))
    }

    fn enter(&self) -> impl Future<Output = Permit<'_>> {
        self.0.enter()
    }
}

impl Semaphore for FloorSemaphore {
    type Held<'a> = Permit<'a>;

    fn new(permits: usize) -> Self {
        FloorSemaphore(Rc::new(Permits::new(permits)))
    }

    fn enter(&self) -> impl Future<Output = Permit<'_>> {
        self.0.enter()
    }
}

#[derive(Clone)]
pub struct FloorEvent(Rc<(Cell<bool>, Queue)>);

impl Event for FloorEvent {
    fn new() -> Self {
        FloorEvent(Rc::default())
    }

    fn set(&self) {
        self.0.0.set(true);
        self.0.1.wake_all();
    }

    fn clear(&self) {
        self.0.0.set(false);
    }

    async fn wait(&self) {
        if !self.0.0.get() {
            self.0.1.wait().await;
        }
    }
}

#[derive(Clone)]
pub struct FloorCondition(Rc<(Permits, Queue)>);

impl Condition for FloorCondition {
    type Held<'a> = Permit<'a>;

    fn new() -> Self {
        FloorCondition(Rc::new((Permits::new(1), Queue::default())))
    }

    fn enter(&self) -> impl Future<Output = Permit<'_>> {
        self.0.0.enter()
    }

    async fn wait<'a>(&'a self, held: Permit<'a>) -> Permit<'a> {
        drop(held);
        self.0.1.wait().await;
        self.0.0.enter().await
    }

    fn notify(&self, _: &Permit<'_>) {
        self.0.1.wake_one();
    }
}

#[derive(Clone)]
pub struct FloorBarrier(Rc<Parties>);

struct Parties {
    parties: usize,
    waiting: Cell<usize>,
    queue: Queue,
}

impl Barrier for FloorBarrier {
    fn new(parties: usize) -> Self {
        let (waiting, queue) = (Cell::new(0), Queue::default());
        FloorBarrier(Rc::new(Parties {
            parties,
            waiting,
            queue,
        }))
    }

    async fn wait(&self) {
        let came = self.0.waiting.get() + 1;
        if came == self.0.parties {
            self.0.waiting.set(0);
            self.0.queue.wake_all();
        } else {
            self.0.waiting.set(came);
            self.0.queue.wait().await;
        }
    }
}
