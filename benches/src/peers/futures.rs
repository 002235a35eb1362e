//! futures: `LocalPool` and its `Mutex`; it has no other primitive and no timers.

use crate::peer::{Cells, Host, Lock};
use ::futures::{
    executor::{LocalPool, LocalSpawner},
    future::RemoteHandle,
    lock::{Mutex, MutexGuard},
    task::LocalSpawnExt,
};
use std::{cell::RefCell, future::Future, rc::Rc};

pub struct Futures;

pub fn cells(cells: &mut Cells) {
    cells
        .peer::<Futures>("futures")
        .tasks::<Futures>()
        .lock::<Futures, Rc<Mutex<()>>>();
}

thread_local! {
    static SPAWNER: RefCell<Option<LocalSpawner>> = const { RefCell::new(None) };
}

impl Host for Futures {
    type Task = RemoteHandle<()>;

    fn run(main: impl Future<Output = ()> + 'static) {
        let mut pool = LocalPool::new();
        SPAWNER.set(Some(pool.spawner()));
        pool.run_until(main);
    }

    fn spawn(task: impl Future<Output = ()> + 'static) -> RemoteHandle<()> {
        SPAWNER.with_borrow(|spawner| {
            let spawner = spawner.as_ref().expect("the pool runs");
            spawner
                .spawn_local_with_handle(task)
                .expect("the pool lives")
        })
    }
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
