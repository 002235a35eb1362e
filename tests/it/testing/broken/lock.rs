//! `Lock`, and what went wrong with it.

use std::{cell::Cell, future::Future, rc::Rc};

use soloop::{LockGuard, Result, Task, create_task, testing::Probe};

use crate::{
    kit::turns,
    testing::{
        scaffold::{Count, any_two, find, hold, join},
        waiter::{IfDropped, Queue},
    },
};

pub(super) trait Mutex: Clone + 'static {
    type Held;

    fn enter(&self) -> impl Future<Output = Result<Self::Held>>;

    /// Nobody has it, and nobody waits for it.
    fn is_idle(&self) -> bool;
}

impl Mutex for soloop::Lock {
    type Held = LockGuard;

    async fn enter(&self) -> Result<LockGuard> {
        self.enter().await
    }

    fn is_idle(&self) -> bool {
        format!("{self:?}") == "<Lock [unlocked]>"
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flaw {
    None,
    /// Whoever comes waits behind one that was cancelled, though the lock is free. bpo-27585, its first half.
    WaitsBehindTheCancelled,
    /// A waiter that was woken and then cancelled tells nobody. bpo-27585, its second half, as in 3.6.1.
    CancelLeavesItToNobody,
    /// Likewise one that is dropped.
    DropLeavesItToNobody,
    /// A cancelled waiter wakes the first that is not done, though a woken one is on its way. bpo-32734, as in 3.6.4.
    WakesASecond,
    /// A cancelled waiter wakes the next, though somebody holds the lock.
    PassesOnWhatItHasNot,
    /// A cancelled waiter is still in the queue when it wakes the next: itself. CPython's source warns of it.
    WakesItself,
    /// Whoever comes takes what is free, though somebody has been woken for it.
    Barges,
    /// A drop leaves its waiter in the queue.
    StaysInTheQueue,
}

pub(super) struct Lock {
    flaw: Flaw,
    locked: Cell<bool>,
    waiters: Queue,
}

impl Lock {
    pub(super) fn new(flaw: Flaw) -> Rc<Self> {
        Rc::new(Self {
            flaw,
            locked: Cell::new(false),
            waiters: Queue::default(),
        })
    }

    pub(super) fn locked(&self) -> bool {
        self.locked.get()
    }

    pub(super) async fn acquire(&self) -> Result<()> {
        let first = match self.flaw {
            Flaw::WaitsBehindTheCancelled => self.waiters.is_empty(),
            Flaw::Barges => true,
            _ => self.waiters.all_cancelled(),
        };
        if first && !self.locked.get() {
            self.locked.set(true);
            return Ok(());
        }
        let mut if_dropped = IfDropped::new(|| match self.flaw {
            Flaw::DropLeavesItToNobody => {}
            _ => self.pass_on(),
        });
        let mut place = self.waiters.join(&Rc::default());
        if self.flaw == Flaw::StaysInTheQueue {
            place.leave_behind();
        }
        let outcome = place.wait().await;
        if_dropped.disarm();
        if outcome.is_err() && self.flaw == Flaw::WakesItself {
            self.pass_on();
        }
        place.leave();
        match outcome {
            Ok(()) => self.locked.set(true),
            Err(_) => self.give_up(),
        }
        outcome
    }

    /// The wait was cancelled.
    fn give_up(&self) {
        match self.flaw {
            Flaw::WaitsBehindTheCancelled | Flaw::CancelLeavesItToNobody | Flaw::WakesItself => {}
            Flaw::PassesOnWhatItHasNot => self.wake_up_first(),
            _ => self.pass_on(),
        }
    }

    fn pass_on(&self) {
        if !self.locked.get() {
            self.wake_up_first();
        }
    }

    fn wake_up_first(&self) {
        match self.flaw {
            Flaw::WaitsBehindTheCancelled | Flaw::WakesASecond => {
                self.waiters.wake_first_pending();
            }
            _ => self.waiters.wake_true_head(),
        }
    }

    /// Silent where Python would raise, as the drop of a guard is.
    pub(super) fn release(&self) {
        if self.locked.replace(false) {
            self.wake_up_first();
        }
    }
}

/// Holds the lock until dropped, unless a condition has given it up meanwhile.
pub(super) struct Held {
    pub(super) lock: Rc<Lock>,
    pub(super) holds: Cell<bool>,
}

impl Drop for Held {
    fn drop(&mut self) {
        if self.holds.get() {
            self.lock.release();
        }
    }
}

impl Mutex for Rc<Lock> {
    type Held = Held;

    async fn enter(&self) -> Result<Held> {
        self.acquire().await?;
        Ok(Held {
            lock: Rc::clone(self),
            holds: Cell::new(true),
        })
    }

    fn is_idle(&self) -> bool {
        !self.locked.get() && self.waiters.is_empty()
    }
}

/// Tasks that take the lock, one of them twice in a row.
async fn handoff<M: Mutex>(probe: Probe, lock: M) -> Result<()> {
    let holders = Count::default();
    let user = |times: usize| -> Task<()> {
        let (lock, holders) = (lock.clone(), holders.clone());
        create_task(async move {
            for _ in 0..times {
                let _held = lock.enter().await?;
                let _inside = holders.enter();
                turns(1).await?;
            }
            Ok(())
        })
    };
    let users = [user(2), user(1), user(1)];
    probe.invariant("one holds it at a time", move || holders.get() <= 1);
    join(users).await?;
    assert!(lock.is_idle(), "the lock is left behind");
    Ok(())
}

#[test]
fn a_wait_behind_a_cancelled_waiter_is_found() {
    find(&any_two(), "deadlock", |probe| {
        handoff(probe, Lock::new(Flaw::WaitsBehindTheCancelled))
    });
}

#[test]
fn a_wake_that_a_cancel_loses_is_found() {
    find(&any_two(), "deadlock", |probe| {
        handoff(probe, Lock::new(Flaw::CancelLeavesItToNobody))
    });
}

#[test]
fn a_wake_that_a_drop_loses_is_found() {
    find(&any_two(), "deadlock", |probe| {
        handoff(probe, Lock::new(Flaw::DropLeavesItToNobody))
    });
}

#[test]
fn a_second_waiter_that_a_cancel_wakes_is_found() {
    find(&any_two(), "one holds it at a time", |probe| {
        handoff(probe, Lock::new(Flaw::WakesASecond))
    });
}

#[test]
fn a_cancel_that_passes_on_what_another_holds_is_found() {
    find(&any_two(), "one holds it at a time", |probe| {
        handoff(probe, Lock::new(Flaw::PassesOnWhatItHasNot))
    });
}

#[test]
fn a_cancel_that_wakes_itself_is_found() {
    find(&any_two(), "deadlock", |probe| {
        handoff(probe, Lock::new(Flaw::WakesItself))
    });
}

#[test]
fn one_who_barges_in_is_found() {
    find(&any_two(), "one holds it at a time", |probe| {
        handoff(probe, Lock::new(Flaw::Barges))
    });
}

#[test]
fn a_drop_that_stays_in_the_queue_is_found() {
    find(&any_two(), "deadlock", |probe| {
        handoff(probe, Lock::new(Flaw::StaysInTheQueue))
    });
}

#[test]
fn a_sound_copy_and_the_crate_s_own_are_sound_run_by_run() {
    let copy = hold(&any_two(), |probe| handoff(probe, Lock::new(Flaw::None)));
    let own = hold(&any_two(), |probe| handoff(probe, soloop::Lock::new()));
    assert_eq!(copy, own);
}
