//! One task waits for an event, another sets it.

use soloop::{Event, create_task};

fn main() -> soloop::Result<()> {
    soloop::run(async {
        let event = Event::new();
        let waits = event.clone();
        let waiter = create_task(async move {
            waits.wait().await?;
            println!("the event is set");
            Ok(())
        });
        create_task(async move {
            event.set();
            Ok(())
        });
        waiter.await
    })
}
