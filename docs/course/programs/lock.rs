use soloop::{Lock, Result, create_task, sleep};
use std::{cell::Cell, rc::Rc, time::Duration};

struct Account {
    balance: Cell<u32>,
    lock: Lock,
}

async fn deposit(account: Rc<Account>, amount: u32) -> Result<()> {
    let _held = account.lock.enter().await?;
    let seen = account.balance.get();
    sleep(Duration::ZERO).await?; // asks the bank
    account.balance.set(seen + amount);
    println!("{seen} + {amount} = {}", account.balance.get());
    println!("{:?}", account.lock);
    Ok(())
}

async fn start() -> Result<()> {
    let account = Rc::new(Account {
        balance: Cell::new(100),
        lock: Lock::new(),
    });
    let ada = create_task(deposit(account.clone(), 10));
    ada.set_name("ada");
    let bob = create_task(deposit(account.clone(), 5));
    bob.set_name("bob");
    ada.await?;
    bob.await?;
    println!("in the end: {}", account.balance.get());
    Ok(())
}

fn main() -> Result<()> {
    soloop::run(start())
}
