//! smol: `LocalExecutor` under `block_on`, with async-lock's primitives. An event is a flag and an `event_listener::Event`, a
//! condition a `Mutex` and one of those.

use crate::peer::{Barrier, Cells, Condition, Event, Host, Lock, Semaphore, Timers};
use ::smol::{LocalExecutor, Task, Timer};
use async_lock::{MutexGuard, SemaphoreGuard};
use event_listener::listener;
use futures_lite::future;
use std::{cell::Cell, future::Future, rc::Rc, time::Duration};

pub struct Smol;

pub fn cells(cells: &mut Cells) {
    cells
        .peer::<Smol>("smol")
        .tasks::<Smol>()
        .lock::<Smol, Rc<async_lock::Mutex<()>>>()
        .event::<Smol, Rc<Flag>>()
        .semaphore::<Smol, Rc<async_lock::Semaphore>>()
        .condition::<Smol, Rc<(async_lock::Mutex<()>, event_listener::Event)>>()
        .barrier::<Smol, Rc<async_lock::Barrier>>()
        .real_timers::<Smol>()
        .timeouts::<Smol>()
        .timed_event::<Smol, Rc<Flag>>();
}

thread_local! {
    static EXECUTOR: LocalExecutor<'static> = const { LocalExecutor::new() };
}

impl Host for Smol {
    type Task = Task<()>;

    fn run(main: impl Future<Output = ()> + 'static) {
        EXECUTOR.with(|executor| ::smol::block_on(executor.run(main)));
    }

    fn spawn(task: impl Future<Output = ()> + 'static) -> Task<()> {
        EXECUTOR.with(|executor| executor.spawn(task))
    }

    fn yield_now() -> impl Future<Output = ()> {
        future::yield_now()
    }
}

impl Timers for Smol {
    async fn sleep(delay: Duration) {
        Timer::after(delay).await;
    }

    fn timeout(limit: Duration, body: impl Future<Output = ()>) -> impl Future<Output = ()> {
        let timer = Timer::after(limit);
        future::or(body, async move {
            timer.await;
        })
    }
}

impl Lock for Rc<async_lock::Mutex<()>> {
    type Held<'a> = MutexGuard<'a, ()>;

    fn new() -> Self {
        Rc::default()
    }

    fn enter(&self) -> impl Future<Output = MutexGuard<'_, ()>> {
        self.lock()
    }
}

#[derive(Default)]
pub struct Flag {
    is_set: Cell<bool>,
    changed: event_listener::Event,
}

impl Event for Rc<Flag> {
    fn new() -> Self {
        Rc::default()
    }

    fn set(&self) {
        self.is_set.set(true);
        self.changed.notify(usize::MAX);
    }

    fn clear(&self) {
        self.is_set.set(false);
    }

    async fn wait(&self) {
        if !self.is_set.get() {
            listener!(self.changed => changed);
            changed.await;
        }
    }
}

impl Semaphore for Rc<async_lock::Semaphore> {
    type Held<'a> = SemaphoreGuard<'a>;

    fn new(permits: usize) -> Self {
        Rc::new(async_lock::Semaphore::new(permits))
    }

    fn enter(&self) -> impl Future<Output = SemaphoreGuard<'_>> {
        self.acquire()
    }
}

impl Condition for Rc<(async_lock::Mutex<()>, event_listener::Event)> {
    type Held<'a> = MutexGuard<'a, ()>;

    fn new() -> Self {
        Rc::default()
    }

    fn enter(&self) -> impl Future<Output = MutexGuard<'_, ()>> {
        self.0.lock()
    }

    async fn wait<'a>(&'a self, held: MutexGuard<'a, ()>) -> MutexGuard<'a, ()> {
        listener!(self.1 => notified);
        drop(held);
        notified.await;
        self.0.lock().await
    }

    fn notify(&self, _: &MutexGuard<'_, ()>) {
        self.1.notify(1);
    }
}

impl Barrier for Rc<async_lock::Barrier> {
    fn new(parties: usize) -> Self {
        Rc::new(async_lock::Barrier::new(parties))
    }

    async fn wait(&self) {
        async_lock::Barrier::wait(self).await;
    }
}
