//! unsend: an executor for one thread and primitives without atomics, no timers. Its primitives run on the fastest executor, its
//! own executor has the rows of tasks alone. An event is a flag and its `Event`, a condition its `Mutex` and one of those.

use super::Fastest;
use crate::peer::{Barrier, Cells, Condition, Event, Host, Lock, Semaphore};
use ::smol::Task; // which unsend returns, and does not name
use ::unsend::{
    EventListener,
    executor::Executor,
    lock::{self, MutexGuard, SemaphoreGuard},
};
use futures_lite::future;
use std::{
    cell::{Cell, RefCell},
    future::Future,
    pin::pin,
    rc::Rc,
};

pub struct Unsend;

pub fn cells(cells: &mut Cells) {
    cells
        .peer::<Unsend>("unsend")
        .tasks::<Unsend>()
        .lock::<Fastest, Rc<lock::Mutex<()>>>()
        .event::<Fastest, Rc<Flag>>()
        .semaphore::<Fastest, Rc<lock::Semaphore>>()
        .condition::<Fastest, Rc<(lock::Mutex<()>, ::unsend::Event<()>)>>()
        .barrier::<Fastest, Rc<lock::Barrier>>();
}

thread_local! {
    static EXECUTOR: RefCell<Option<Rc<Executor<'static>>>> = const { RefCell::new(None) };
}

impl Host for Unsend {
    type Task = Task<()>;

    fn run(main: impl Future<Output = ()> + 'static) {
        let executor = Rc::new(Executor::new());
        EXECUTOR.set(Some(executor.clone()));
        future::block_on(executor.run(main));
        EXECUTOR.set(None);
    }

    fn spawn(task: impl Future<Output = ()> + 'static) -> Task<()> {
        EXECUTOR.with_borrow(|executor| executor.as_ref().expect("it runs").spawn(task))
    }

    fn yield_now() -> impl Future<Output = ()> {
        future::yield_now()
    }
}

impl Lock for Rc<lock::Mutex<()>> {
    type Held<'a> = MutexGuard<'a, ()>;

    fn new() -> Self {
        Rc::new(lock::Mutex::new(()))
    }

    fn enter(&self) -> impl Future<Output = MutexGuard<'_, ()>> {
        self.lock()
    }
}

pub struct Flag {
    is_set: Cell<bool>,
    changed: ::unsend::Event<()>,
}

impl Event for Rc<Flag> {
    fn new() -> Self {
        Rc::new(Flag {
            is_set: Cell::new(false),
            changed: ::unsend::Event::new(),
        })
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
            pin!(EventListener::new(&self.changed)).await;
        }
    }
}

impl Semaphore for Rc<lock::Semaphore> {
    type Held<'a> = SemaphoreGuard<'a>;

    fn new(permits: usize) -> Self {
        Rc::new(lock::Semaphore::new(permits))
    }

    fn enter(&self) -> impl Future<Output = SemaphoreGuard<'_>> {
        self.acquire()
    }
}

impl Condition for Rc<(lock::Mutex<()>, ::unsend::Event<()>)> {
    type Held<'a> = MutexGuard<'a, ()>;

    fn new() -> Self {
        Rc::new((lock::Mutex::new(()), ::unsend::Event::new()))
    }

    fn enter(&self) -> impl Future<Output = MutexGuard<'_, ()>> {
        self.0.lock()
    }

    async fn wait<'a>(&'a self, held: MutexGuard<'a, ()>) -> MutexGuard<'a, ()> {
        drop(held);
        pin!(EventListener::new(&self.1)).await;
        self.0.lock().await
    }

    fn notify(&self, _: &MutexGuard<'_, ()>) {
        self.1.notify(1);
    }
}

impl Barrier for Rc<lock::Barrier> {
    fn new(parties: usize) -> Self {
        Rc::new(lock::Barrier::new(parties))
    }

    async fn wait(&self) {
        lock::Barrier::wait(self).await;
    }
}
