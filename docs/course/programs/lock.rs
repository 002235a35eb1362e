use soloop::{Lock, Result, create_task, sleep};
use std::{cell::Cell, rc::Rc, time::Duration};

type Account = Rc<Cell<u32>>;

async fn deposit(account: Account, lock: Lock, amount: u32) -> Result<()> {
    let _held = lock.enter().await?;
    let seen = account.get();
    sleep(Duration::ZERO).await?; // asks the bank
    account.set(seen + amount);
    println!("{seen} + {amount} = {}", account.get());
    println!("{lock:?}");
    Ok(())
}

async fn start() -> Result<()> {
    let (account, lock) = (Account::new(Cell::new(100)), Lock::new());
    let ada = create_task(deposit(account.clone(), lock.clone(), 10));
    ada.set_name("ada");
    let bob = create_task(deposit(account.clone(), lock, 5));
    bob.set_name("bob");
    ada.await?;
    bob.await?;
    println!("in the end: {}", account.get());
    Ok(())
}

fn main() -> Result<()> {
    soloop::run(start())
}
