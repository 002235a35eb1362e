use soloop::{Condition, Result, create_task, sleep};
use std::{cell::RefCell, rc::Rc, time::Duration};

#[derive(Default)]
struct Shop {
    shelf: RefCell<Vec<&'static str>>,
    baked: Condition,
}

async fn eat(name: &str, shop: Rc<Shop>) -> Result<()> {
    let mut held = shop.baked.enter().await?;
    while shop.shelf.borrow().is_empty() {
        println!("{name} waits");
        held.wait().await?;
        println!("{name} looks again");
    }
    let loaf = shop.shelf.borrow_mut().pop().unwrap();
    println!("{name} eats {loaf}");
    Ok(())
}

async fn bake(loaf: &'static str, shop: Rc<Shop>) -> Result<()> {
    let held = shop.baked.enter().await?;
    println!("{loaf} is baked");
    shop.shelf.borrow_mut().push(loaf);
    held.notify(1)
}

async fn start() -> Result<()> {
    let shop = Rc::new(Shop::default());
    let ada = create_task(eat("ada", shop.clone()));
    ada.set_name("ada");
    sleep(Duration::ZERO).await?;
    create_task(bake("rye", shop.clone())).set_name("rye");
    let bob = create_task(eat("bob", shop.clone()));
    bob.set_name("bob");
    bob.await?;
    create_task(bake("oat", shop)).set_name("oat");
    ada.await
}

fn main() -> Result<()> {
    soloop::run(start())
}
