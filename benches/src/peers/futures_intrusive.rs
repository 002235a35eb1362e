//! futures-intrusive: local primitives and timers, on the fastest executor. Its mutex and semaphore are made fair. It has neither a
//! condition nor a barrier.
//!
//! Its timers want somebody to tell them to look at the clock. In the sleeps that is a clock set by hand, to the next deadline
//! whenever nothing is ready; the rows of timeouts, which nobody lets expire, stand on the real one.

use super::Fastest;
use crate::peer::{Cells, Event, Host, Lock, Semaphore, Timers};
use ::futures_intrusive::{
    sync::{
        LocalManualResetEvent, LocalMutex, LocalMutexGuard, LocalSemaphore, LocalSemaphoreReleaser,
    },
    timer::{Clock, LocalTimer, LocalTimerService, MockClock, StdClock},
};
use futures_lite::future;
use std::{future::Future, rc::Rc, time::Duration};

pub struct Intrusive<const IS_VIRTUAL: bool>;

pub fn cells(cells: &mut Cells) {
    cells
        .peer::<Fastest>("futures-intrusive")
        .lock::<Fastest, Rc<LocalMutex<()>>>()
        .event::<Fastest, Rc<LocalManualResetEvent>>()
        .semaphore::<Fastest, Rc<LocalSemaphore>>()
        .virtual_timers::<Intrusive<true>>()
        .timeouts::<Intrusive<false>>()
        .timed_event::<Intrusive<false>, Rc<LocalManualResetEvent>>();
}

thread_local! {
    static VIRTUAL: &'static LocalTimerService = service(&CLOCK);
    static REAL: &'static LocalTimerService = service(Box::leak(Box::new(StdClock::new())));
}

static CLOCK: MockClock = MockClock::new();

/// Its futures borrow it, and tasks want what is `'static`.
fn service(clock: &'static dyn Clock) -> &'static LocalTimerService {
    Box::leak(Box::new(LocalTimerService::new(clock)))
}

impl<const IS_VIRTUAL: bool> Host for Intrusive<IS_VIRTUAL> {
    type Task = <Fastest as Host>::Task;

    fn run(main: impl Future<Output = ()> + 'static) {
        if !IS_VIRTUAL {
            return Fastest::run(main);
        }
        CLOCK.set_time(0);
        Fastest::run_with_idle(main, || {
            let service = VIRTUAL.with(|service| *service);
            CLOCK.set_time(service.next_expiration().expect("no deadlock"));
            service.check_expirations();
        });
    }

    fn spawn(task: impl Future<Output = ()> + 'static) -> Self::Task {
        Fastest::spawn(task)
    }

    fn yield_now() -> impl Future<Output = ()> {
        Fastest::yield_now()
    }
}

impl<const IS_VIRTUAL: bool> Timers for Intrusive<IS_VIRTUAL> {
    fn sleep(delay: Duration) -> impl Future<Output = ()> + 'static {
        let service = if IS_VIRTUAL { &VIRTUAL } else { &REAL };
        service.with(|service| *service).delay(delay)
    }

    fn timeout(limit: Duration, body: impl Future<Output = ()>) -> impl Future<Output = ()> {
        future::or(body, Self::sleep(limit))
    }
}

impl Lock for Rc<LocalMutex<()>> {
    type Held<'a> = LocalMutexGuard<'a, ()>;

    fn new() -> Self {
        Rc::new(LocalMutex::new((), true))
    }

    fn enter(&self) -> impl Future<Output = LocalMutexGuard<'_, ()>> {
        self.lock()
    }
}

impl Event for Rc<LocalManualResetEvent> {
    fn new() -> Self {
        Rc::new(LocalManualResetEvent::new(false))
    }

    fn set(&self) {
        LocalManualResetEvent::set(self);
    }

    fn clear(&self) {
        self.reset();
    }

    fn wait(&self) -> impl Future<Output = ()> {
        LocalManualResetEvent::wait(self)
    }
}

impl Semaphore for Rc<LocalSemaphore> {
    type Held<'a> = LocalSemaphoreReleaser<'a>;

    fn new(permits: usize) -> Self {
        Rc::new(LocalSemaphore::new(true, permits))
    }

    fn enter(&self) -> impl Future<Output = LocalSemaphoreReleaser<'_>> {
        self.acquire(1)
    }
}
