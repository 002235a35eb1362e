//! One task waits for an event, another sets it.

use event_listener::Event;
use smol::LocalExecutor;
use std::rc::Rc;

fn main() {
    let executor = LocalExecutor::new();
    smol::block_on(executor.run(async {
        let event = Rc::new(Event::new());
        let waits = event.clone();
        let waiter = executor.spawn(async move {
            waits.listen().await;
            println!("the event is set");
        });
        executor
            .spawn(async move { event.notify(usize::MAX) })
            .detach();
        waiter.await;
    }));
}
