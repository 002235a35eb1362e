//! One task waits for an event, another sets it.

use std::rc::Rc;
use tokio::{runtime::Builder, sync::Notify, task};

fn main() {
    let runtime = Builder::new_current_thread().build().unwrap();
    task::LocalSet::new().block_on(&runtime, async {
        let event = Rc::new(Notify::new());
        let waits = event.clone();
        let waiter = task::spawn_local(async move {
            waits.notified().await;
            println!("the event is set");
        });
        task::spawn_local(async move { event.notify_waiters() });
        waiter.await.unwrap();
    });
}
