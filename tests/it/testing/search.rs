//! Which runs a search makes, and what it says of them.

use std::{cell::RefCell, collections::BTreeSet, rc::Rc, time::Duration};

use soloop::{
    Result, create_task, sleep,
    testing::{Explorer, Probe, Report},
};

/// Explores tasks that take so many steps each, and returns the orders in which they were taken.
fn orders(explorer: &Explorer, steps: &'static [usize]) -> (Report, Vec<String>) {
    let orders = RefCell::new(Vec::new());
    let report = explorer.explore(|probe: Probe| {
        let orders = &orders;
        async move {
            let order = Rc::new(RefCell::new(String::new()));
            for (name, &steps) in ('a'..).zip(steps) {
                let order = Rc::clone(&order);
                create_task(async move {
                    for _ in 1..steps {
                        order.borrow_mut().push(name);
                        sleep(Duration::ZERO).await?;
                    }
                    order.borrow_mut().push(name);
                    Result::Ok(())
                });
            }
            probe.settled().await?;
            orders.borrow_mut().push(order.take());
            Ok(())
        }
    });
    (report, orders.into_inner())
}

#[test]
fn three_tasks_of_three_steps_are_seen_in_each_of_their_orders_once() {
    let (report, orders) = orders(&Explorer::new().reorder(u32::MAX), &[3, 3, 3]);
    let distinct: BTreeSet<_> = orders.iter().collect();
    assert_eq!(
        (orders.len(), distinct.len(), report.runs, report.complete),
        (1680, 1680, 1680, true)
    );
}
