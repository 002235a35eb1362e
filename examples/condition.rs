// A baker fills a shelf that holds two loaves; two customers empty it.

use soloop::{Condition, Result, create_task, sleep};
use std::{cell::RefCell, collections::VecDeque, rc::Rc, time::Duration};

const ROOM: usize = 2;
type Loaves = Rc<RefCell<VecDeque<u32>>>;

async fn baker(shelf: Condition, loaves: Loaves) -> Result<()> {
    for number in 1..7 {
        if number % 3 == 1 {
            println!("the baker heats the oven");
            sleep(Duration::from_millis(100)).await?;
        }
        let mut held = shelf.enter().await?;
        held.wait_for(|| loaves.borrow().len() < ROOM).await?;
        loaves.borrow_mut().push_back(number);
        println!("baked {number}, on the shelf: {:?}", loaves.borrow());
        held.notify_all()?;
    }
    Ok(())
}

async fn customer(name: &str, shelf: Condition, loaves: Loaves) -> Result<()> {
    for _ in 0..3 {
        let mut held = shelf.enter().await?;
        // `None` is false, as an empty list is in Python.
        let loaf = held.wait_for(|| loaves.borrow_mut().pop_front()).await?;
        println!("{name} takes {}: {shelf:?}", loaf.expect("true, so some"));
        held.notify_all()?;
    }
    Ok(())
}

async fn start() -> Result<()> {
    let (shelf, loaves) = (Condition::new(), Loaves::default());
    let tasks = [
        create_task(customer("Ada", shelf.clone(), Rc::clone(&loaves))),
        create_task(customer("Bob", shelf.clone(), Rc::clone(&loaves))),
        create_task(baker(shelf, Rc::clone(&loaves))),
    ];
    for task in tasks {
        task.await?;
    }
    println!("left over: {:?}", loaves.borrow());
    Ok(())
}

fn main() -> Result<()> {
    soloop::run(start())
}
