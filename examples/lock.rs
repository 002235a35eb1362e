// Three clerks write to one ledger; a lock keeps each entry whole.

use soloop::{Lock, Result, create_task, sleep};
use std::{cell::RefCell, rc::Rc, time::Duration};

async fn clerk(name: &str, lock: Lock, ledger: Rc<RefCell<Vec<String>>>) -> Result<()> {
    println!("{name} comes: {lock:?}");
    let _held = lock.enter().await?;
    let number = ledger.borrow().len() + 1;
    // Without the lock, the others would count the same lines now.
    sleep(Duration::from_millis(100)).await?;
    ledger.borrow_mut().push(format!("{number}. {name}"));
    Ok(())
}

async fn start() -> Result<()> {
    let lock = Lock::new();
    let ledger = Rc::new(RefCell::new(Vec::new()));

    let tasks = ["Ada", "Bob", "Cyd"]
        .map(|name| create_task(clerk(name, lock.clone(), Rc::clone(&ledger))));
    for task in tasks {
        task.await?;
    }

    println!("all gone: {lock:?}");
    for line in ledger.borrow().iter() {
        println!("{line}");
    }
    Ok(())
}

fn main() -> Result<()> {
    soloop::run(start())
}
