//! unsync: a semaphore without atomics, on the fastest executor. A lock is a semaphore of one.

use super::Fastest;
use crate::peer::{Cells, Lock};
use ::unsync::semaphore::{self, Permit};
use std::{future::Future, rc::Rc};

pub fn cells(cells: &mut Cells) {
    cells
        .peer::<Fastest>("unsync")
        .lock::<Fastest, Rc<semaphore::Semaphore>>()
        .semaphore::<Fastest, Rc<semaphore::Semaphore>>();
}

impl Lock for Rc<semaphore::Semaphore> {
    type Held<'a> = Permit<'a>;

    fn new() -> Self {
        Rc::new(semaphore::Semaphore::new(1))
    }

    fn enter(&self) -> impl Future<Output = Permit<'_>> {
        self.acquire(1)
    }
}

impl crate::peer::Semaphore for Rc<semaphore::Semaphore> {
    type Held<'a> = Permit<'a>;

    fn new(permits: usize) -> Self {
        Rc::new(semaphore::Semaphore::new(permits))
    }

    fn enter(&self) -> impl Future<Output = Permit<'_>> {
        self.acquire(1)
    }
}
