//! tokio: `LocalSet` on a current-thread runtime, and `LocalRuntime`. An event is a flag and a `Notify`, a condition a `Mutex` and a
//! `Notify`. A clock that was paused jumps whenever the runtime would park.

use crate::peer::{Barrier, Cells, Condition, Event, Host, Lock, Semaphore, Timers, Unwrapped};
use ::tokio::{
    runtime::{Builder, LocalOptions},
    sync::{self, MutexGuard, Notify, SemaphorePermit},
    task::{self, JoinHandle, LocalSet},
    time,
};
use std::{cell::Cell, future::Future, rc::Rc, time::Duration};

pub struct OnLocalSet<const VIRTUAL: bool>;
pub struct OnLocalRuntime<const VIRTUAL: bool>;

pub fn cells(cells: &mut Cells) {
    offers::<OnLocalSet<false>, OnLocalSet<true>>(
        cells.peer::<OnLocalSet<false>>("tokio LocalSet"),
    );
    offers::<OnLocalRuntime<false>, OnLocalRuntime<true>>(
        cells.peer::<OnLocalRuntime<false>>("tokio LocalRuntime"),
    );
}

fn offers<H: Timers, V: Timers>(cells: &mut Cells) {
    cells
        .tasks::<H>()
        .lock::<H, Rc<sync::Mutex<()>>>()
        .event::<H, Rc<Flag>>()
        .semaphore::<H, Rc<sync::Semaphore>>()
        .condition::<H, Rc<(sync::Mutex<()>, Notify)>>()
        .barrier::<H, Rc<sync::Barrier>>()
        .virtual_timers::<V>()
        .real_timers::<H>()
        .timeouts::<H>()
        .timed_event::<H, Rc<Flag>>();
}

impl<const VIRTUAL: bool> Host for OnLocalSet<VIRTUAL> {
    type Task = JoinHandle<()>;

    fn run(main: impl Future<Output = ()> + 'static) {
        let runtime = Builder::new_current_thread()
            .enable_time()
            .start_paused(VIRTUAL)
            .build()
            .unwrap();
        LocalSet::new().block_on(&runtime, main);
    }

    fn spawn(task: impl Future<Output = ()> + 'static) -> JoinHandle<()> {
        task::spawn_local(task)
    }

    fn yield_now() -> impl Future<Output = ()> {
        task::yield_now()
    }
}

impl<const VIRTUAL: bool> Host for OnLocalRuntime<VIRTUAL> {
    type Task = JoinHandle<()>;

    fn run(main: impl Future<Output = ()> + 'static) {
        Builder::new_current_thread()
            .enable_time()
            .start_paused(VIRTUAL)
            .build_local(LocalOptions::default())
            .unwrap()
            .block_on(main);
    }

    fn spawn(task: impl Future<Output = ()> + 'static) -> JoinHandle<()> {
        task::spawn_local(task)
    }

    fn yield_now() -> impl Future<Output = ()> {
        task::yield_now()
    }
}

impl<const VIRTUAL: bool> Timers for OnLocalSet<VIRTUAL> {
    fn sleep(delay: Duration) -> impl Future<Output = ()> + 'static {
        time::sleep(delay)
    }

    fn timeout(limit: Duration, body: impl Future<Output = ()>) -> impl Future<Output = ()> {
        Unwrapped {
            future: time::timeout(limit, body),
        }
    }
}

impl<const VIRTUAL: bool> Timers for OnLocalRuntime<VIRTUAL> {
    fn sleep(delay: Duration) -> impl Future<Output = ()> + 'static {
        time::sleep(delay)
    }

    fn timeout(limit: Duration, body: impl Future<Output = ()>) -> impl Future<Output = ()> {
        Unwrapped {
            future: time::timeout(limit, body),
        }
    }
}

impl Lock for Rc<sync::Mutex<()>> {
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
    changed: Notify,
}

impl Event for Rc<Flag> {
    fn new() -> Self {
        Rc::default()
    }

    fn set(&self) {
        self.is_set.set(true);
        self.changed.notify_waiters();
    }

    fn clear(&self) {
        self.is_set.set(false);
    }

    async fn wait(&self) {
        if !self.is_set.get() {
            self.changed.notified().await;
        }
    }
}

impl Semaphore for Rc<sync::Semaphore> {
    type Held<'a> = SemaphorePermit<'a>;

    fn new(permits: usize) -> Self {
        Rc::new(sync::Semaphore::new(permits))
    }

    fn enter(&self) -> impl Future<Output = SemaphorePermit<'_>> {
        Unwrapped {
            future: self.acquire(),
        }
    }
}

impl Condition for Rc<(sync::Mutex<()>, Notify)> {
    type Held<'a> = MutexGuard<'a, ()>;

    fn new() -> Self {
        Rc::default()
    }

    fn enter(&self) -> impl Future<Output = MutexGuard<'_, ()>> {
        self.0.lock()
    }

    async fn wait<'a>(&'a self, held: MutexGuard<'a, ()>) -> MutexGuard<'a, ()> {
        drop(held);
        self.1.notified().await;
        self.0.lock().await
    }

    fn notify(&self, _: &MutexGuard<'_, ()>) {
        self.1.notify_one();
    }
}

impl Barrier for Rc<sync::Barrier> {
    fn new(parties: usize) -> Self {
        Rc::new(sync::Barrier::new(parties))
    }

    async fn wait(&self) {
        sync::Barrier::wait(self).await;
    }
}
