use soloop::testing::{Explorer, Report};
use soloop::{Error, Result, Semaphore, create_task, sleep};
use std::time::Duration;

const TICK: Duration = Duration::from_millis(100);

async fn by_hand(gate: Semaphore) -> Result<()> {
    gate.acquire().await?;
    sleep(TICK).await?;
    gate.release();
    Ok(())
}

async fn with_guard(gate: Semaphore) -> Result<()> {
    let _held = gate.enter().await?;
    sleep(TICK).await
}

async fn two<F>(call: fn(Semaphore) -> F) -> Result<()>
where
    F: Future<Output = Result<()>> + 'static,
{
    let gate = Semaphore::new(1);
    let ada = create_task(call(gate.clone()));
    ada.set_name("ada");
    let bob = create_task(call(gate));
    bob.set_name("bob");
    for task in [ada, bob] {
        match task.await {
            Err(Error::Cancelled) => {} // as it should be
            ended => ended?,
        }
    }
    Ok(())
}

fn search() -> Report {
    Explorer::new().cancels(1).explore(|_| two(by_hand))
}

fn main() {
    let failure = search().failure.expect("a permit is lost");
    println!("by hand: {}", failure.message());
    println!("to see it again: {}", failure.schedule);

    let report = Explorer::new().cancels(1).explore(|_| two(with_guard));
    assert!(report.failure.is_none() && report.complete);
    println!("with a guard: no run fails");
}
