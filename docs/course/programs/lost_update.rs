use soloop::{Result, create_task, sleep};
use std::{cell::Cell, rc::Rc, time::Duration};

type Account = Rc<Cell<u32>>;

async fn deposit(account: Account, amount: u32) -> Result<()> {
    let seen = account.get();
    sleep(Duration::ZERO).await?; // asks the bank
    account.set(seen + amount);
    println!("{seen} + {amount} = {}", account.get());
    Ok(())
}

async fn start() -> Result<()> {
    let account = Account::new(Cell::new(100));
    let ada = create_task(deposit(account.clone(), 10));
    ada.set_name("ada");
    let bob = create_task(deposit(account.clone(), 5));
    bob.set_name("bob");
    ada.await?;
    bob.await?;
    println!("in the end: {}", account.get());
    Ok(())
}

fn main() -> Result<()> {
    soloop::run(start())
}
