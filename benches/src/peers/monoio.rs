//! monoio, on io_uring where the kernel has it and on epoll otherwise: an executor and timers, no primitives. A task that wakes
//! itself goes on before all others, so that it cannot yield.

use crate::peer::{Cells, Host, Timers, Unwrapped};
use ::monoio::{FusionDriver, RuntimeBuilder, task::JoinHandle, time};
use std::{future::Future, time::Duration};

pub struct Monoio;

pub fn cells(cells: &mut Cells) {
    cells
        .peer::<Monoio>("monoio")
        .tasks::<Monoio>()
        .real_timers::<Monoio>()
        .timeouts::<Monoio>();
}

impl Host for Monoio {
    type Task = JoinHandle<()>;

    fn run(main: impl Future<Output = ()> + 'static) {
        RuntimeBuilder::<FusionDriver>::new()
            .enable_timer()
            .build()
            .unwrap()
            .block_on(main);
    }

    fn spawn(task: impl Future<Output = ()> + 'static) -> JoinHandle<()> {
        ::monoio::spawn(task)
    }
}

impl Timers for Monoio {
    fn sleep(delay: Duration) -> impl Future<Output = ()> + 'static {
        time::sleep(delay)
    }

    fn timeout(limit: Duration, body: impl Future<Output = ()>) -> impl Future<Output = ()> {
        Unwrapped {
            future: time::timeout(limit, body),
        }
    }
}
