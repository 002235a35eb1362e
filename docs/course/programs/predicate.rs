use soloop::{Condition, Result, create_task, sleep};
use std::{cell::RefCell, rc::Rc, time::Duration};

#[derive(Default)]
struct Shop {
    shelf: RefCell<Vec<&'static str>>,
    baked: Condition,
}

async fn eat(name: &str, shop: Rc<Shop>) -> Result<()> {
    let mut held = shop.baked.enter().await?;
    let look = || shop.shelf.borrow_mut().pop();
    let loaf = held.wait_for(look).await?.unwrap();
    println!("{name} eats {loaf}");
    Ok(())
}

async fn start() -> Result<()> {
    let shop = Rc::new(Shop::default());
    let ada = create_task(eat("ada", shop.clone()));
    ada.set_name("ada");
    let bob = create_task(eat("bob", shop.clone()));
    bob.set_name("bob");
    sleep(Duration::ZERO).await?;
    for loaf in ["rye", "oat"] {
        let held = shop.baked.enter().await?;
        println!("{loaf} is baked");
        shop.shelf.borrow_mut().push(loaf);
        held.notify_all()?;
        drop(held);
        sleep(Duration::from_millis(100)).await?;
    }
    ada.await?;
    bob.await
}

fn main() -> Result<()> {
    soloop::run(start())
}
