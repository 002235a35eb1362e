//! What a peer offers, trait by trait, and the cells that this makes: one workload on one peer.
//!
//! A primitive is a handle that clones: the peers' own types stand in an `Rc`, soloop's are one already.

use crate::workloads::{self, Workload};
use pin_project_lite::pin_project;
use std::{
    cell::RefCell,
    fmt::Debug,
    future::Future,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
    time::Duration,
};

/// An executor on this thread.
pub trait Host: 'static {
    /// Awaited, it joins the task.
    type Task: Future;

    /// Why this machine does not let the executor run, if so.
    fn refused() -> Option<String> {
        None
    }

    fn run(main: impl Future<Output = ()> + 'static);
    fn spawn(task: impl Future<Output = ()> + 'static) -> Self::Task;

    /// The peer's own way to yield, where it has one.
    fn yield_now() -> impl Future<Output = ()> {
        YieldNow { yielded: false }
    }
}

/// An executor, or a crate on top of one, with timers.
pub trait Timers: Host {
    fn sleep(delay: Duration) -> impl Future<Output = ()> + 'static;
    fn timeout(limit: Duration, body: impl Future<Output = ()>) -> impl Future<Output = ()>;
}

pub trait Lock: Clone + 'static {
    /// What is held until it is dropped.
    type Held<'a>;

    fn new() -> Self;
    fn enter(&self) -> impl Future<Output = Self::Held<'_>>;
}

pub trait Semaphore: Clone + 'static {
    type Held<'a>;

    fn new(permits: usize) -> Self;
    fn enter(&self) -> impl Future<Output = Self::Held<'_>>;
}

/// Stays set until it is cleared, and lets all through meanwhile.
pub trait Event: Clone + 'static {
    fn new() -> Self;
    fn set(&self);
    fn clear(&self);
    fn wait(&self) -> impl Future<Output = ()>;
}

/// With a lock of its own. Wakes without cause are allowed.
pub trait Condition: Clone + 'static {
    type Held<'a>;

    fn new() -> Self;
    fn enter(&self) -> impl Future<Output = Self::Held<'_>>;
    fn wait<'a>(&'a self, held: Self::Held<'a>) -> impl Future<Output = Self::Held<'a>>;
    fn notify(&self, held: &Self::Held<'_>);
}

pub trait Barrier: Clone + 'static {
    fn new(parties: usize) -> Self;
    fn wait(&self) -> impl Future<Output = ()>;
}

/// Who got a turn: nothing at all in a timed run, a list in the one that looks for FIFO order.
pub trait Log: Clone + 'static {
    fn turn(&self, task: usize);
}

impl Log for () {
    fn turn(&self, _: usize) {}
}

#[derive(Clone, Default)]
pub struct Turns(pub Rc<RefCell<Vec<usize>>>);

impl Log for Turns {
    fn turn(&self, task: usize) {
        self.0.borrow_mut().push(task);
    }
}

/// How much a run does: `ops` operations, by `tasks` tasks where the workload leaves that open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    pub ops: usize,
    pub tasks: usize,
}

impl Size {
    pub fn rounds(&self) -> usize {
        (self.ops / self.tasks).max(1)
    }
}

/// One workload on one peer. A run tells how long it took, without the making of its executor.
#[derive(Clone, Copy)]
pub struct Cell {
    pub workload: &'static Workload,
    pub peer: &'static str,
    pub run: fn(Size, ()) -> Duration,
    pub logged: fn(Size, Turns) -> Duration,
    pub refused: fn() -> Option<String>,
}

impl Cell {
    /// Whether the tasks get their turns in FIFO order, by a run that is not timed.
    pub fn is_fifo(&self) -> bool {
        let size = self.workload.order_size();
        let turns = Turns::default();
        (self.logged)(size, turns.clone());
        (self.workload.in_order)(&turns.0.borrow(), size)
    }
}

/// A task that does nothing but stand there, for the count of its bytes; `mark` is called before and after they are all there.
#[derive(Clone, Copy)]
pub struct Idle {
    pub peer: &'static str,
    pub run: fn(tasks: usize, mark: fn(usize)),
    pub refused: fn() -> Option<String>,
}

/// Collects cells. Each peer says in one line what of it goes where.
#[derive(Default)]
pub struct Cells {
    peer: &'static str,
    refused: Option<fn() -> Option<String>>,
    pub list: Vec<Cell>,
    pub idle: Vec<Idle>,
    /// The names, in the order of the table.
    pub peers: Vec<&'static str>,
}

impl Cells {
    /// What follows is this peer's, on that executor.
    pub fn peer<H: Host>(&mut self, name: &'static str) -> &mut Self {
        self.peer = name;
        self.refused = Some(H::refused);
        self.peers.push(name);
        self
    }

    fn add(
        &mut self,
        workload: &'static Workload,
        run: fn(Size, ()) -> Duration,
        logged: fn(Size, Turns) -> Duration,
    ) -> &mut Self {
        let (peer, refused) = (self.peer, self.refused.expect("a peer comes first"));
        self.list.push(Cell {
            workload,
            peer,
            run,
            logged,
            refused,
        });
        self
    }

    pub fn tasks<H: Host>(&mut self) -> &mut Self {
        use workloads::*;
        let (peer, refused) = (self.peer, self.refused.expect("a peer comes first"));
        self.idle.push(Idle {
            peer,
            run: idle::<H>,
            refused,
        });
        self.add(
            &SPAWN_AND_JOIN,
            spawn_and_join::<H, ()>,
            spawn_and_join::<H, Turns>,
        )
        .add(&YIELD_1, yields::<H, ()>, yields::<H, Turns>)
        .add(&YIELD_10, yields::<H, ()>, yields::<H, Turns>)
        .add(&YIELD_1000, yields::<H, ()>, yields::<H, Turns>)
    }

    pub fn lock<H: Host, L: Lock>(&mut self) -> &mut Self {
        use workloads::*;
        self.add(&LOCK_FREE, lock_free::<H, L, ()>, lock_free::<H, L, Turns>)
            .add(
                &LOCK_HANDOFF,
                lock_handoff::<H, L, ()>,
                lock_handoff::<H, L, Turns>,
            )
    }

    pub fn event<H: Host, E: Event>(&mut self) -> &mut Self {
        use workloads::*;
        self.add(&PING_PONG, ping_pong::<H, E, ()>, ping_pong::<H, E, Turns>)
            .add(&BROADCAST, broadcast::<H, E, ()>, broadcast::<H, E, Turns>)
    }

    pub fn semaphore<H: Host, S: Semaphore>(&mut self) -> &mut Self {
        use workloads::*;
        self.add(&SEMAPHORE, semaphore::<H, S, ()>, semaphore::<H, S, Turns>)
    }

    pub fn condition<H: Host, C: Condition>(&mut self) -> &mut Self {
        use workloads::*;
        self.add(
            &CONDITION_QUEUE,
            condition_queue::<H, C, ()>,
            condition_queue::<H, C, Turns>,
        )
    }

    pub fn barrier<H: Host, B: Barrier>(&mut self) -> &mut Self {
        use workloads::*;
        self.add(&BARRIER, barrier::<H, B, ()>, barrier::<H, B, Turns>)
    }

    /// A barrier that is simpler than the peer's own, to show what that costs.
    pub fn doorless_barrier<H: Host, B: Barrier>(&mut self) -> &mut Self {
        use workloads::*;
        self.add(
            &BARRIER_DOORLESS,
            barrier::<H, B, ()>,
            barrier::<H, B, Turns>,
        )
    }

    /// Sleeps on a host whose clock jumps.
    pub fn virtual_timers<V: Timers>(&mut self) -> &mut Self {
        use workloads::*;
        self.add(&SLEEPS_100K, sleeps::<V, ()>, sleeps::<V, Turns>)
            .add(&SLEEPS_1M, sleeps::<V, ()>, sleeps::<V, Turns>)
    }

    pub fn real_timers<H: Timers>(&mut self) -> &mut Self {
        use workloads::*;
        self.add(&SLEEPS_REAL, sleeps_real::<H, ()>, sleeps_real::<H, Turns>)
    }

    pub fn timed_event<H: Timers + 'static, E: Event>(&mut self) -> &mut Self {
        use workloads::*;
        self.add(
            &TIMEOUT_WAIT,
            ping_pong::<H, Timed<H, E>, ()>,
            ping_pong::<H, Timed<H, E>, Turns>,
        )
    }

    pub fn timeouts<H: Timers>(&mut self) -> &mut Self {
        use workloads::*;
        self.add(
            &TIMEOUT_READY,
            timeout_ready::<H, ()>,
            timeout_ready::<H, Turns>,
        )
        .add(
            &TIMEOUT_YIELD,
            timeout_yield::<H, ()>,
            timeout_yield::<H, Turns>,
        )
        .add(
            &TIMER_DROPPED,
            timer_dropped::<H, ()>,
            timer_dropped::<H, Turns>,
        )
    }

    pub fn find(&self, workload: &str, peer: &str) -> Option<&Cell> {
        self.list
            .iter()
            .find(|cell| cell.workload.id == workload && cell.peer == peer)
    }
}

pin_project! {
    /// A future whose errors are bugs in the bench: its `Ok` alone comes out, at the cost of the `?` that a user would write.
    pub struct Unwrapped<F> {
        #[pin]
        pub future: F,
    }
}

impl<T, E: Debug, F: Future<Output = Result<T, E>>> Future for Unwrapped<F> {
    type Output = T;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        self.project().future.poll(cx).map(|result| match result {
            Ok(value) => value,
            Err(error) => fail(&error),
        })
    }
}

#[cold]
fn fail(error: &dyn Debug) -> ! {
    panic!("a bug in the bench: {error:?}")
}

/// Yields once, for the executors that have nothing of their own for it.
struct YieldNow {
    yielded: bool,
}

impl Future for YieldNow {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.yielded {
            return Poll::Ready(());
        }
        self.yielded = true;
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}
