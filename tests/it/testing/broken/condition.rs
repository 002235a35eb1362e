//! `Condition`, and what went wrong with it.

use std::{cell::Cell, future::Future, rc::Rc};

use soloop::{ConditionGuard, Result, create_task, current_task, testing::Probe};

use super::lock::{self, Held, Lock, Mutex};
use crate::{
    kit::turns,
    testing::{
        scaffold::{Count, any_two, find, hold, join},
        waiter::{IfDropped, Queue},
    },
};

trait Notices: Clone + 'static {
    type Held;

    fn enter(&self) -> impl Future<Output = Result<Self::Held>>;
    fn wait(&self, held: &mut Self::Held) -> impl Future<Output = Result<()>>;
    fn notify(&self, held: &Self::Held, n: usize);
    fn locked(&self) -> bool;

    /// Nobody has the lock, and nobody waits for anything.
    fn is_idle(&self) -> bool;
}

impl Notices for soloop::Condition {
    type Held = ConditionGuard;

    async fn enter(&self) -> Result<ConditionGuard> {
        self.enter().await
    }

    async fn wait(&self, held: &mut ConditionGuard) -> Result<()> {
        held.wait().await
    }

    fn notify(&self, held: &ConditionGuard, n: usize) {
        held.notify(n).expect("the lock is held");
    }

    fn locked(&self) -> bool {
        self.locked()
    }

    fn is_idle(&self) -> bool {
        format!("{self:?}") == "<Condition [unlocked]>"
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flaw {
    None,
    /// A wait that was notified and then cancelled tells nobody: gh-112202, as in 3.12.1.
    CancelLosesTheNotification,
    /// Likewise one that is dropped.
    DropLosesTheNotification,
    /// Likewise one that is cancelled while it takes the lock back, but not one before that.
    LateCancelLosesTheNotification,
    /// A cancel while the lock is taken back ends the wait without the lock: bpo-22970.
    LosesTheLock,
    /// A cancel while the lock is taken back is forgotten: bpo-32841.
    ForgetsTheCancel,
    /// A cancelled wait does not take the lock back.
    EndsWithoutTheLock,
    /// A drop leaves its waiter in the queue.
    StaysInTheQueue,
}

pub(super) struct Condition {
    flaw: Flaw,
    pub(super) lock: Rc<Lock>,
    waiters: Queue,
}

impl Condition {
    pub(super) fn new(flaw: Flaw) -> Rc<Self> {
        Rc::new(Self {
            flaw,
            lock: Lock::new(lock::Flaw::None),
            waiters: Queue::default(),
        })
    }

    pub(super) async fn wait(&self, held: &Held) -> Result<()> {
        let mut if_dropped = IfDropped::new(|| {
            if self.flaw != Flaw::DropLosesTheNotification {
                self.notify(1);
            }
        });
        held.holds.set(false);
        self.lock.release();
        let mut place = self.waiters.join(&Rc::default());
        if self.flaw == Flaw::StaysInTheQueue {
            place.leave_behind();
        }
        let mut outcome = place.wait().await;
        place.leave();
        let was_cancelled_early = outcome.is_err();
        if outcome.is_ok() || self.flaw != Flaw::EndsWithoutTheLock {
            outcome = self.take_the_lock_back(outcome).await;
        }
        if_dropped.disarm();
        // Whatever is true: the caller goes on in the belief.
        held.holds.set(true);
        let tells = match self.flaw {
            Flaw::CancelLosesTheNotification => false,
            Flaw::LateCancelLosesTheNotification => was_cancelled_early,
            _ => outcome.is_err(),
        };
        if tells {
            self.notify(1);
        }
        outcome
    }

    async fn take_the_lock_back(&self, mut outcome: Result<()>) -> Result<()> {
        while let Err(error) = self.lock.acquire().await {
            match self.flaw {
                Flaw::LosesTheLock => return Err(error),
                Flaw::ForgetsTheCancel => {}
                _ => outcome = Err(error),
            }
        }
        outcome
    }

    pub(super) fn notify(&self, n: usize) {
        for _ in 0..n {
            if !self.waiters.wake_first_pending() {
                break;
            }
        }
    }

    pub(super) fn is_idle(&self) -> bool {
        self.lock.is_idle() && self.waiters.is_empty()
    }
}

impl Notices for Rc<Condition> {
    type Held = Held;

    async fn enter(&self) -> Result<Held> {
        self.lock.enter().await
    }

    async fn wait(&self, held: &mut Held) -> Result<()> {
        Condition::wait(self, held).await
    }

    fn notify(&self, _held: &Held, n: usize) {
        Condition::notify(self, n);
    }

    fn locked(&self) -> bool {
        self.lock.locked()
    }

    fn is_idle(&self) -> bool {
        Condition::is_idle(self)
    }
}

/// What the consumers look at, under the lock.
#[derive(Default)]
struct Shelf {
    loaves: Cell<usize>,
    closed: Cell<bool>,
    waiting: Count,
    /// How many do something that needs the lock.
    busy: Count,
}

async fn consume<N: Notices>(notices: N, shelf: Rc<Shelf>) -> Result<()> {
    let mut held = notices.enter().await?;
    let mut outcome = Ok(());
    while outcome.is_ok() && shelf.loaves.get() == 0 && !shelf.closed.get() {
        let _waiting = shelf.waiting.enter();
        outcome = notices.wait(&mut held).await;
    }
    if outcome.is_ok() {
        let task = current_task().expect("a task waits");
        assert_eq!(task.cancelling(), 0, "a cancel is forgotten");
        shelf.loaves.set(shelf.loaves.get().saturating_sub(1));
    }
    let _busy = shelf.busy.enter();
    turns(1).await?;
    outcome
}

/// Two wait for one loaf of bread.
async fn one_loaf<N: Notices>(probe: Probe, notices: N) -> Result<()> {
    let shelf = Rc::<Shelf>::default();
    let consumers = [(); 2].map(|()| create_task(consume(notices.clone(), Rc::clone(&shelf))));
    let (seen, busy) = (notices.clone(), shelf.busy.clone());
    probe.invariant("whoever is busy has the lock alone", move || {
        busy.get() == 0 || busy.get() == 1 && seen.locked()
    });
    probe.settled().await?;
    let held = notices.enter().await?;
    shelf.loaves.set(1);
    notices.notify(&held, 1);
    turns(1).await?; // the notified one finds the lock taken
    drop(held);
    probe.settled().await?;
    let is_missed = shelf.loaves.get() > 0 && shelf.waiting.get() > 0;
    assert!(!is_missed, "one waits, and there is a loaf");
    let held = notices.enter().await?;
    shelf.closed.set(true);
    notices.notify(&held, usize::MAX);
    drop(held);
    join(consumers).await?;
    assert!(notices.is_idle(), "the condition is left behind");
    Ok(())
}

fn find_in_one_loaf(flaw: Flaw, expected: &str) {
    find(&any_two(), expected, |probe| {
        one_loaf(probe, Condition::new(flaw))
    });
}

#[test]
fn a_notification_that_a_cancel_loses_is_found() {
    find_in_one_loaf(Flaw::CancelLosesTheNotification, "there is a loaf");
}

#[test]
fn a_notification_that_a_drop_loses_is_found() {
    find_in_one_loaf(Flaw::DropLosesTheNotification, "there is a loaf");
}

#[test]
fn a_notification_that_a_late_cancel_loses_is_found() {
    find_in_one_loaf(Flaw::LateCancelLosesTheNotification, "there is a loaf");
}

#[test]
fn a_lock_that_a_late_cancel_loses_is_found() {
    find_in_one_loaf(Flaw::LosesTheLock, "has the lock alone");
}

#[test]
fn a_cancel_that_is_forgotten_is_found() {
    find_in_one_loaf(Flaw::ForgetsTheCancel, "a cancel is forgotten");
}

#[test]
fn a_cancel_that_ends_without_the_lock_is_found() {
    find_in_one_loaf(Flaw::EndsWithoutTheLock, "has the lock alone");
}

#[test]
fn a_drop_that_stays_in_the_queue_is_found() {
    find_in_one_loaf(Flaw::StaysInTheQueue, "the condition is left behind");
}

#[test]
fn a_sound_copy_and_the_crate_s_own_are_sound_run_by_run() {
    let copy = hold(&any_two(), |probe| {
        one_loaf(probe, Condition::new(Flaw::None))
    });
    let own = hold(&any_two(), |probe| {
        one_loaf(probe, soloop::Condition::new())
    });
    assert_eq!(copy, own);
}
