//! asyncband: all six primitives, for any executor; here on the fastest.

use super::Fastest;
use crate::peer::{Barrier, Cells, Condition, Event, Lock, Semaphore};
use ::asyncband::{
    barrier,
    condvar::Condvar,
    event::ManualResetEvent,
    mutex::{Mutex, MutexGuard},
    semaphore::{self, SemaphorePermit},
};
use std::{future::Future, rc::Rc};

pub fn cells(cells: &mut Cells) {
    cells
        .peer::<Fastest>("asyncband")
        .lock::<Fastest, Rc<Mutex<()>>>()
        .event::<Fastest, Rc<ManualResetEvent>>()
        .semaphore::<Fastest, Rc<semaphore::Semaphore>>()
        .condition::<Fastest, Rc<(Mutex<()>, Condvar)>>()
        .barrier::<Fastest, Rc<barrier::Barrier>>();
}

impl Lock for Rc<Mutex<()>> {
    type Held<'a> = MutexGuard<'a, ()>;

    fn new() -> Self {
        Rc::default()
    }

    fn enter(&self) -> impl Future<Output = MutexGuard<'_, ()>> {
        self.lock()
    }
}

impl Event for Rc<ManualResetEvent> {
    fn new() -> Self {
        Rc::new(ManualResetEvent::new())
    }

    fn set(&self) {
        ManualResetEvent::set(self);
    }

    fn clear(&self) {
        self.reset();
    }

    fn wait(&self) -> impl Future<Output = ()> {
        ManualResetEvent::wait(self)
    }
}

impl Semaphore for Rc<semaphore::Semaphore> {
    type Held<'a> = SemaphorePermit<'a>;

    fn new(permits: usize) -> Self {
        Rc::new(semaphore::Semaphore::new(permits))
    }

    fn enter(&self) -> impl Future<Output = SemaphorePermit<'_>> {
        self.acquire(1)
    }
}

impl Condition for Rc<(Mutex<()>, Condvar)> {
    type Held<'a> = MutexGuard<'a, ()>;

    fn new() -> Self {
        Rc::default()
    }

    fn enter(&self) -> impl Future<Output = MutexGuard<'_, ()>> {
        self.0.lock()
    }

    fn wait<'a>(&'a self, held: MutexGuard<'a, ()>) -> impl Future<Output = MutexGuard<'a, ()>> {
        self.1.wait(held)
    }

    fn notify(&self, _: &MutexGuard<'_, ()>) {
        self.1.notify_one();
    }
}

impl Barrier for Rc<barrier::Barrier> {
    fn new(parties: usize) -> Self {
        Rc::new(barrier::Barrier::new(parties as u32))
    }

    async fn wait(&self) {
        barrier::Barrier::wait(self).await;
    }
}
