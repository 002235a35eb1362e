use soloop::{Condition, Result, create_task, sleep};
use std::{cell::RefCell, rc::Rc, time::Duration};

type Shelf = Rc<RefCell<Vec<&'static str>>>;

async fn eat(name: &str, baked: Condition, shelf: Shelf) -> Result<()> {
    let mut held = baked.enter().await?;
    while shelf.borrow().is_empty() {
        println!("{name} waits");
        held.wait().await?;
        println!("{name} looks again");
    }
    println!("{name} eats {}", shelf.borrow_mut().pop().unwrap());
    Ok(())
}

async fn bake(loaf: &'static str, baked: Condition, shelf: Shelf) -> Result<()> {
    let held = baked.enter().await?;
    println!("{loaf} is baked");
    shelf.borrow_mut().push(loaf);
    held.notify(1)
}

async fn start() -> Result<()> {
    let (baked, shelf) = (Condition::new(), Shelf::default());
    let ada = create_task(eat("ada", baked.clone(), shelf.clone()));
    ada.set_name("ada");
    sleep(Duration::ZERO).await?;
    create_task(bake("rye", baked.clone(), shelf.clone())).set_name("rye");
    let bob = create_task(eat("bob", baked.clone(), shelf.clone()));
    bob.set_name("bob");
    bob.await?;
    create_task(bake("oat", baked, shelf)).set_name("oat");
    ada.await
}

fn main() -> Result<()> {
    soloop::run(start())
}
