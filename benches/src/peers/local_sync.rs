//! local-sync: a semaphore without atomics, on the fastest executor. A lock is a semaphore of one.

use super::Fastest;
use crate::peer::{Cells, Lock, Unwrapped};
use ::local_sync::semaphore::{self, SemaphorePermit};
use std::{future::Future, rc::Rc};

pub fn cells(cells: &mut Cells) {
    cells
        .peer::<Fastest>("local-sync")
        .lock::<Fastest, Rc<semaphore::Semaphore>>()
        .semaphore::<Fastest, Rc<semaphore::Semaphore>>();
}

impl Lock for Rc<semaphore::Semaphore> {
    type Held<'a> = SemaphorePermit<'a>;

    fn new() -> Self {
        Rc::new(semaphore::Semaphore::new(1))
    }

    fn enter(&self) -> impl Future<Output = SemaphorePermit<'_>> {
        Unwrapped {
            future: self.acquire(),
        }
    }
}

impl crate::peer::Semaphore for Rc<semaphore::Semaphore> {
    type Held<'a> = SemaphorePermit<'a>;

    fn new(permits: usize) -> Self {
        Rc::new(semaphore::Semaphore::new(permits))
    }

    fn enter(&self) -> impl Future<Output = SemaphorePermit<'_>> {
        Unwrapped {
            future: self.acquire(),
        }
    }
}
