//! What `docs/testing.md` shows.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    rc::Rc,
};

use soloop::{Event, Result, create_task, sleep, testing::Explorer};

use crate::kit::secs;

const PAGE: &str = include_str!("../../../docs/testing.md");

/// The page's first program.
#[derive(Default)]
struct Desk {
    taken: Cell<bool>,
    waiting: RefCell<VecDeque<Event>>,
}

impl Desk {
    async fn take(&self) -> Result<()> {
        if self.taken.replace(true) {
            let turn = Event::new().named("turn");
            self.waiting.borrow_mut().push_back(turn.clone());
            turn.wait().await?;
        }
        Ok(())
    }

    fn give_back(&self) {
        match self.waiting.borrow_mut().pop_front() {
            Some(turn) => turn.set(),
            None => self.taken.set(false),
        }
    }
}

async fn visit(desk: Rc<Desk>) -> Result<()> {
    desk.take().await?;
    let sat = sleep(secs(1)).await;
    desk.give_back();
    sat
}

async fn three_visitors() -> Result<()> {
    let desk = Rc::new(Desk::default());
    let visitors = ["Ada", "Ben", "Cleo"].map(|name| {
        let visitor = create_task(visit(Rc::clone(&desk)));
        visitor.set_name(name);
        visitor
    });
    for visitor in visitors {
        let _ = visitor.await;
    }
    Ok(())
}

#[test]
fn shows_the_witness_as_it_prints() {
    let report = Explorer::new().cancels(1).explore(|_| three_visitors());
    let shown = PAGE
        .split("```text\n")
        .nth(1)
        .and_then(|rest| rest.split("\n```").next());
    assert_eq!(report.failure.unwrap().to_string(), shown.unwrap());
    assert_eq!(report.runs, 9);
    assert!(PAGE.contains("panics in the ninth run"));
}
