//! compio, on io_uring: an executor and timers, no primitives. Its executor is also a crate of its own; without the driver, that
//! is asked every 61 steps, it is the fastest host there is.

use crate::peer::{Cells, Host, Timers, Unwrapped};
use ::compio::{
    runtime::{self, JoinHandle, Runtime},
    time,
};
use compio_executor::Executor;
use std::{
    cell::{Cell, RefCell},
    future::Future,
    rc::Rc,
    time::Duration,
};

pub struct Compio;
pub struct CompioExecutor;

pub fn cells(cells: &mut Cells) {
    cells
        .peer::<Compio>("compio")
        .tasks::<Compio>()
        .real_timers::<Compio>()
        .timeouts::<Compio>();
}

impl Host for Compio {
    type Task = JoinHandle<()>;

    fn refused() -> Option<String> {
        Runtime::new().err().map(|error| error.to_string())
    }

    fn run(main: impl Future<Output = ()> + 'static) {
        Runtime::new().unwrap().block_on(main);
    }

    fn spawn(task: impl Future<Output = ()> + 'static) -> JoinHandle<()> {
        runtime::spawn(task)
    }
}

impl Timers for Compio {
    fn sleep(delay: Duration) -> impl Future<Output = ()> + 'static {
        time::sleep(delay)
    }

    fn timeout(limit: Duration, body: impl Future<Output = ()>) -> impl Future<Output = ()> {
        Unwrapped {
            future: time::timeout(limit, body),
        }
    }
}

thread_local! {
    static EXECUTOR: RefCell<Option<Rc<Executor>>> = const { RefCell::new(None) };
}

impl CompioExecutor {
    /// Runs main and calls `idle` whenever nothing is ready.
    pub fn run_with_idle(main: impl Future<Output = ()> + 'static, mut idle: impl FnMut()) {
        let executor = Rc::new(Executor::new());
        EXECUTOR.set(Some(executor.clone()));
        let ended = Rc::new(Cell::new(false));
        let end = ended.clone();
        let _main = executor.spawn(async move {
            main.await;
            end.set(true);
        });
        loop {
            while executor.tick() {}
            if ended.get() {
                break;
            }
            idle();
        }
        executor.clear();
        EXECUTOR.set(None);
    }
}

impl Host for CompioExecutor {
    type Task = JoinHandle<()>;

    fn run(main: impl Future<Output = ()> + 'static) {
        Self::run_with_idle(main, || unreachable!("no deadlock"));
    }

    fn spawn(task: impl Future<Output = ()> + 'static) -> JoinHandle<()> {
        EXECUTOR.with_borrow(|executor| executor.as_ref().expect("it runs").spawn(task))
    }
}
