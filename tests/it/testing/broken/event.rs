//! `Event`, and what could go wrong with it.

use std::{cell::Cell, future::Future, rc::Rc};

use soloop::{Result, create_task, testing::Probe};

use crate::testing::{
    scaffold::{any_two, find, hold, join},
    waiter::Queue,
};

trait Flag: Clone + 'static {
    fn set(&self);
    fn clear(&self);
    fn wait(&self) -> impl Future<Output = Result<()>>;

    /// It is clear, and nobody waits.
    fn is_idle(&self) -> bool;
}

impl Flag for soloop::Event {
    fn set(&self) {
        self.set();
    }

    fn clear(&self) {
        self.clear();
    }

    async fn wait(&self) -> Result<()> {
        self.wait().await
    }

    fn is_idle(&self) -> bool {
        format!("{self:?}") == "<Event [unset]>"
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flaw {
    None,
    /// Whoever is woken looks at the flag again, which may be clear by then.
    LooksAgain,
    /// `set` ends at a waiter that is done.
    StopsAtTheCancelled,
    /// A drop leaves its waiter in the queue.
    StaysInTheQueue,
}

struct Event {
    flaw: Flaw,
    value: Cell<bool>,
    waiters: Queue,
}

impl Event {
    fn new(flaw: Flaw) -> Rc<Self> {
        Rc::new(Self {
            flaw,
            value: Cell::new(false),
            waiters: Queue::default(),
        })
    }
}

impl Flag for Rc<Event> {
    fn set(&self) {
        if self.value.replace(true) {
            return;
        }
        for waiter in self.waiters.all() {
            if !waiter.done() {
                waiter.set_result();
            } else if self.flaw == Flaw::StopsAtTheCancelled {
                break;
            }
        }
    }

    fn clear(&self) {
        self.value.set(false);
    }

    async fn wait(&self) -> Result<()> {
        while !self.value.get() {
            let mut place = self.waiters.join(&Rc::default());
            if self.flaw == Flaw::StaysInTheQueue {
                place.leave_behind();
            }
            let outcome = place.wait().await;
            place.leave();
            outcome?;
            if self.flaw != Flaw::LooksAgain {
                break;
            }
        }
        Ok(())
    }

    fn is_idle(&self) -> bool {
        !self.value.get() && self.waiters.is_empty()
    }
}

/// The flag is set for those who wait, and cleared at once.
async fn signal<F: Flag>(probe: Probe, flag: F) -> Result<()> {
    let waiters = [(); 3].map(|()| {
        let flag = flag.clone();
        create_task(async move { flag.wait().await })
    });
    probe.settled().await?;
    flag.set();
    flag.clear();
    join(waiters).await?;
    assert!(flag.is_idle(), "the event is left behind");
    Ok(())
}

#[test]
fn a_second_look_at_the_flag_is_found() {
    find(&any_two(), "deadlock", |probe| {
        signal(probe, Event::new(Flaw::LooksAgain))
    });
}

#[test]
fn a_set_that_stops_at_a_cancelled_waiter_is_found() {
    find(&any_two(), "deadlock", |probe| {
        signal(probe, Event::new(Flaw::StopsAtTheCancelled))
    });
}

#[test]
fn a_drop_that_stays_in_the_queue_is_found() {
    find(&any_two(), "the event is left behind", |probe| {
        signal(probe, Event::new(Flaw::StaysInTheQueue))
    });
}

#[test]
fn a_sound_copy_and_the_crate_s_own_are_sound_run_by_run() {
    let copy = hold(&any_two(), |probe| signal(probe, Event::new(Flaw::None)));
    let own = hold(&any_two(), |probe| signal(probe, soloop::Event::new()));
    assert_eq!(copy, own);
}
