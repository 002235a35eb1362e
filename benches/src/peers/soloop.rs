//! soloop itself.

use crate::peer::{Barrier, Cells, Condition, Event, Host, Lock, Semaphore, Timers, Unwrapped};
use ::soloop::{ConditionGuard, EventLoop, LockGuard, SemaphoreGuard, Task};
use pin_project_lite::pin_project;
use std::{
    cell::Cell,
    future::Future,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
    time::Duration,
};

pub struct Clocked<const VIRTUAL: bool>;
pub type Soloop = Clocked<false>;
pub type SoloopVirtual = Clocked<true>;

pub fn cells(cells: &mut Cells) {
    cells
        .peer::<Soloop>(super::SOLOOP)
        .tasks::<Soloop>()
        .lock::<Soloop, ::soloop::Lock>()
        .event::<Soloop, ::soloop::Event>()
        .semaphore::<Soloop, ::soloop::Semaphore>()
        .condition::<Soloop, ::soloop::Condition>()
        .barrier::<Soloop, ::soloop::Barrier>()
        .doorless_barrier::<Soloop, Rc<Doorless>>()
        .virtual_timers::<SoloopVirtual>()
        .real_timers::<Soloop>()
        .timeouts::<Soloop>()
        .timed_event::<Soloop, ::soloop::Event>();
}

pin_project! {
    /// The `Ok(())` at the end of a coroutine.
    struct Coroutine<F> {
        #[pin]
        future: F,
    }
}

impl<F: Future<Output = ()>> Future for Coroutine<F> {
    type Output = ::soloop::Result<()>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.project().future.poll(cx).map(Ok)
    }
}

impl<const VIRTUAL: bool> Host for Clocked<VIRTUAL> {
    type Task = Task<()>;

    fn run(main: impl Future<Output = ()> + 'static) {
        let mut event_loop = if VIRTUAL {
            EventLoop::with_virtual_clock()
        } else {
            EventLoop::new()
        };
        event_loop
            .run(Coroutine { future: main })
            .expect("main returns Ok");
    }

    fn spawn(task: impl Future<Output = ()> + 'static) -> Task<()> {
        ::soloop::create_task(Coroutine { future: task })
    }

    fn yield_now() -> impl Future<Output = ()> {
        Self::sleep(Duration::ZERO)
    }
}

impl<const VIRTUAL: bool> Timers for Clocked<VIRTUAL> {
    fn sleep(delay: Duration) -> impl Future<Output = ()> + 'static {
        Unwrapped {
            future: ::soloop::sleep(delay),
        }
    }

    fn timeout(limit: Duration, body: impl Future<Output = ()>) -> impl Future<Output = ()> {
        Unwrapped {
            future: ::soloop::wait_for(Coroutine { future: body }, limit),
        }
    }
}

impl Lock for ::soloop::Lock {
    type Held<'a> = LockGuard;

    fn new() -> Self {
        ::soloop::Lock::new()
    }

    fn enter(&self) -> impl Future<Output = LockGuard> {
        Unwrapped {
            future: self.enter(),
        }
    }
}

impl Event for ::soloop::Event {
    fn new() -> Self {
        ::soloop::Event::new()
    }

    fn set(&self) {
        self.set();
    }

    fn clear(&self) {
        self.clear();
    }

    fn wait(&self) -> impl Future<Output = ()> {
        Unwrapped {
            future: self.wait(),
        }
    }
}

impl Semaphore for ::soloop::Semaphore {
    type Held<'a> = SemaphoreGuard;

    fn new(permits: usize) -> Self {
        ::soloop::Semaphore::new(permits)
    }

    fn enter(&self) -> impl Future<Output = SemaphoreGuard> {
        Unwrapped {
            future: self.enter(),
        }
    }
}

impl Condition for ::soloop::Condition {
    type Held<'a> = ConditionGuard;

    fn new() -> Self {
        ::soloop::Condition::new()
    }

    fn enter(&self) -> impl Future<Output = ConditionGuard> {
        Unwrapped {
            future: self.enter(),
        }
    }

    async fn wait(&self, mut held: ConditionGuard) -> ConditionGuard {
        held.wait().await.expect("nobody cancels");
        held
    }

    fn notify(&self, held: &ConditionGuard) {
        held.notify(1).expect("the lock is held");
    }
}

impl Barrier for ::soloop::Barrier {
    fn new(parties: usize) -> Self {
        ::soloop::Barrier::new(parties).expect("there are parties")
    }

    async fn wait(&self) {
        self.wait().await.expect("nobody breaks it");
    }
}

/// A barrier without reset, abort and a place to wait for those who come too early, as unsend and asyncband have it: the parties are
/// counted, and all woken at once.
pub struct Doorless {
    parties: usize,
    arrived: Cell<usize>,
    all_here: ::soloop::Event,
}

impl Barrier for Rc<Doorless> {
    fn new(parties: usize) -> Self {
        Rc::new(Doorless {
            parties,
            arrived: Cell::new(0),
            all_here: ::soloop::Event::new(),
        })
    }

    async fn wait(&self) {
        self.arrived.set(self.arrived.get() + 1);
        if self.arrived.get() < self.parties {
            return self.all_here.wait().await.expect("nobody cancels");
        }
        self.arrived.set(0);
        self.all_here.set();
        self.all_here.clear();
    }
}
