//! glommio, which needs io_uring: an executor, timers and a semaphore.

use crate::peer::{Cells, Host, Lock, Semaphore, Timers, Unwrapped};
use ::glommio::{
    GlommioError, LocalExecutorBuilder, Placement,
    sync::{self, Permit},
    task::JoinHandle,
    timer,
};
use std::{future::Future, rc::Rc, time::Duration};

pub struct Glommio;

pub fn cells(cells: &mut Cells) {
    cells
        .peer::<Glommio>("glommio")
        .tasks::<Glommio>()
        .lock::<Glommio, Rc<sync::Semaphore>>()
        .semaphore::<Glommio, Rc<sync::Semaphore>>()
        .real_timers::<Glommio>()
        .timeouts::<Glommio>();
}

fn builder() -> LocalExecutorBuilder {
    LocalExecutorBuilder::new(Placement::Unbound)
}

impl Host for Glommio {
    type Task = JoinHandle<()>;

    fn refused() -> Option<String> {
        builder().make().err().map(|error| error.to_string())
    }

    fn run(main: impl Future<Output = ()> + 'static) {
        builder().make().unwrap().run(main);
    }

    fn spawn(task: impl Future<Output = ()> + 'static) -> JoinHandle<()> {
        ::glommio::spawn_local(task).detach()
    }
}

impl Timers for Glommio {
    fn sleep(delay: Duration) -> impl Future<Output = ()> + 'static {
        timer::sleep(delay)
    }

    fn timeout(limit: Duration, body: impl Future<Output = ()>) -> impl Future<Output = ()> {
        let body = async {
            body.await;
            Ok::<(), GlommioError<()>>(())
        };
        Unwrapped {
            future: timer::timeout(limit, body),
        }
    }
}

impl Lock for Rc<sync::Semaphore> {
    type Held<'a> = Permit<'a>;

    fn new() -> Self {
        Rc::new(sync::Semaphore::new(1))
    }

    fn enter(&self) -> impl Future<Output = Permit<'_>> {
        Unwrapped {
            future: self.acquire_permit(1),
        }
    }
}

impl Semaphore for Rc<sync::Semaphore> {
    type Held<'a> = Permit<'a>;

    fn new(permits: usize) -> Self {
        Rc::new(sync::Semaphore::new(permits as u64))
    }

    fn enter(&self) -> impl Future<Output = Permit<'_>> {
        Unwrapped {
            future: self.acquire_permit(1),
        }
    }
}
