use soloop::testing::{Explorer, Probe, Report};
use soloop::{Condition, Error, Result, create_task};
use std::{cell::RefCell, rc::Rc};

#[derive(Default)]
struct Shop {
    shelf: RefCell<Vec<&'static str>>,
    baked: Condition,
}

async fn eat(shop: Rc<Shop>) -> Result<()> {
    let mut held = shop.baked.enter().await?;
    if shop.shelf.borrow().is_empty() {
        held.wait().await?;
    }
    let loaf = shop.shelf.borrow_mut().pop();
    loaf.map(drop).ok_or_else(|| Error::other("no loaf"))
}

async fn bake(loaf: &'static str, shop: Rc<Shop>) -> Result<()> {
    let held = shop.baked.enter().await?;
    shop.shelf.borrow_mut().push(loaf);
    held.notify(1)
}

async fn breakfast(_probe: Probe) -> Result<()> {
    let shop = Rc::new(Shop::default());
    let ada = create_task(eat(shop.clone()));
    ada.set_name("ada");
    create_task(bake("rye", shop.clone())).set_name("rye");
    let bob = create_task(eat(shop.clone()));
    bob.set_name("bob");
    create_task(bake("oat", shop)).set_name("oat");
    ada.await?;
    bob.await
}

fn search() -> Report {
    Explorer::new().reorder(1).explore(breakfast)
}

fn main() {
    let report = Explorer::new().explore(breakfast);
    assert!(report.failure.is_none() && report.complete);
    println!("in asyncio's order: all have eaten");

    let failure = search().failure.expect("another order");
    println!("in another: {}", failure.message());
    println!("to see it again: {}", failure.schedule);
}
