//! `Semaphore`, and what went wrong with it.

use std::{
    cell::{Cell, RefCell},
    future::Future,
    rc::Rc,
};

use soloop::{
    Result, SemaphoreGuard, TaskHandle, create_task, current_task,
    testing::{Explorer, Probe},
};

use crate::{
    kit::turns,
    testing::{
        scaffold::{Count, any_two, find, hold, join},
        waiter::{IfDropped, Queue, Waiter},
    },
};

trait Permits: Clone + 'static {
    type Held;

    fn enter(&self) -> impl Future<Output = Result<Self::Held>>;

    /// Likewise, but nobody gives it back.
    fn acquire(&self) -> impl Future<Output = Result<()>>;

    fn release(&self);

    /// So many permits are there, and nobody waits.
    fn is_idle(&self, permits: usize) -> bool;
}

impl Permits for soloop::Semaphore {
    type Held = SemaphoreGuard;

    async fn enter(&self) -> Result<SemaphoreGuard> {
        self.enter().await
    }

    async fn acquire(&self) -> Result<()> {
        self.acquire().await
    }

    fn release(&self) {
        self.release();
    }

    fn is_idle(&self, permits: usize) -> bool {
        format!("{self:?}") == format!("<Semaphore [unlocked, value:{permits}]>")
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flaw {
    None,
    /// A waiter that was woken and then cancelled keeps its permit.
    CancelKeepsThePermit,
    /// Likewise one that is dropped.
    DropKeepsThePermit,
    /// A cancelled waiter gives back what it was not given.
    CancelMakesAPermit,
    /// A permit is given back, but nobody woken for it.
    GivesBackInSilence,
    /// Whoever passes wakes nobody for the permits that came meanwhile.
    PassesInSilence,
    /// Whoever passes wakes one for them, not as many as there are: as in 3.12.1, mended with gh-111693.
    WakesOneAtATime,
    /// A drop leaves its waiter in the queue.
    StaysInTheQueue,
}

struct Semaphore {
    flaw: Flaw,
    value: Cell<usize>,
    waiters: Queue,
}

impl Semaphore {
    fn new(value: usize, flaw: Flaw) -> Rc<Self> {
        Rc::new(Self {
            flaw,
            value: Cell::new(value),
            waiters: Queue::default(),
        })
    }

    fn locked(&self) -> bool {
        self.value.get() == 0 || !self.waiters.all_cancelled()
    }

    async fn acquire(&self) -> Result<()> {
        if !self.locked() {
            self.value.set(self.value.get() - 1);
            return Ok(());
        }
        let waiter = Rc::<Waiter>::default();
        let mut if_dropped = IfDropped::new(|| {
            self.give_back(waiter.woken() && self.flaw != Flaw::DropKeepsThePermit);
        });
        let mut place = self.waiters.join(&waiter);
        if self.flaw == Flaw::StaysInTheQueue {
            place.leave_behind();
        }
        let outcome = place.wait().await;
        if_dropped.disarm();
        place.leave();
        if outcome.is_err() {
            self.give_back(match self.flaw {
                Flaw::CancelKeepsThePermit => false,
                Flaw::CancelMakesAPermit => true,
                _ => waiter.woken(),
            });
        } else if self.flaw != Flaw::PassesInSilence {
            self.wake_as_many_as_may_go();
        }
        outcome
    }

    fn give_back(&self, had_permit: bool) {
        if had_permit {
            self.value.set(self.value.get() + 1);
        }
        if self.flaw != Flaw::GivesBackInSilence {
            self.wake_as_many_as_may_go();
        }
    }

    fn wake_as_many_as_may_go(&self) {
        while self.value.get() > 0 && self.wake_up_next() && self.flaw != Flaw::WakesOneAtATime {}
    }

    fn wake_up_next(&self) -> bool {
        let woken = self.waiters.wake_first_pending();
        if woken {
            self.value.set(self.value.get() - 1);
        }
        woken
    }
}

impl Permits for Rc<Semaphore> {
    type Held = IfDropped<Box<dyn FnMut()>>;

    async fn enter(&self) -> Result<Self::Held> {
        Permits::acquire(self).await?;
        let semaphore = Rc::clone(self);
        Ok(IfDropped::new(Box::new(move || semaphore.release())))
    }

    async fn acquire(&self) -> Result<()> {
        Semaphore::acquire(self).await
    }

    fn release(&self) {
        self.value.set(self.value.get() + 1);
        self.wake_up_next();
    }

    fn is_idle(&self, permits: usize) -> bool {
        self.value.get() == permits && self.waiters.is_empty()
    }
}

/// How CPython's looked before gh-90155: whoever is woken looks whether there is a permit, and else waits again.
struct OldSemaphore {
    flaw: OldFlaw,
    value: Cell<usize>,
    waiters: Queue,
    /// Since bpo-45997: somebody has been woken and has not run yet.
    wakeup_scheduled: Cell<bool>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum OldFlaw {
    /// A waiter that was woken and then cancelled tells nobody: python/asyncio#270, as in 3.5.0.
    LosesTheWake,
    /// Another takes the permit before the one that was woken for it, which then stands last: gh-90155, as in 3.7.
    IsStolenFrom,
    /// The mark that somebody is on the way outlives a cancel: gh-90155 again, as in 3.9.18.
    WakesNobodyAnyMore,
}

impl OldSemaphore {
    fn new(value: usize, flaw: OldFlaw) -> Rc<Self> {
        Rc::new(Self {
            flaw,
            value: Cell::new(value),
            waiters: Queue::default(),
            wakeup_scheduled: Cell::default(),
        })
    }

    async fn acquire(&self) -> Result<()> {
        while self.wakeup_scheduled.get() || self.value.get() == 0 {
            let waiter = Rc::<Waiter>::default();
            let mut place = self.waiters.join(&waiter);
            // Whoever wakes takes it out; one that is cancelled stays until somebody comes across it.
            place.leave_behind();
            let outcome = place.wait().await;
            match self.flaw {
                OldFlaw::LosesTheWake => {}
                OldFlaw::IsStolenFrom if outcome.is_err() => {
                    if self.value.get() > 0 && waiter.woken() {
                        self.wake_up_next();
                    }
                }
                OldFlaw::WakesNobodyAnyMore if outcome.is_err() => self.wake_up_next(),
                _ => self.wakeup_scheduled.set(false),
            }
            outcome?;
        }
        self.value.set(self.value.get() - 1);
        Ok(())
    }

    fn wake_up_next(&self) {
        while let Some(waiter) = self.waiters.pop() {
            if !waiter.done() {
                waiter.set_result();
                self.wakeup_scheduled
                    .set(self.flaw == OldFlaw::WakesNobodyAnyMore);
                return;
            }
        }
    }
}

impl Permits for Rc<OldSemaphore> {
    type Held = IfDropped<Box<dyn FnMut()>>;

    async fn enter(&self) -> Result<Self::Held> {
        Permits::acquire(self).await?;
        let semaphore = Rc::clone(self);
        Ok(IfDropped::new(Box::new(move || semaphore.release())))
    }

    async fn acquire(&self) -> Result<()> {
        OldSemaphore::acquire(self).await
    }

    fn release(&self) {
        self.value.set(self.value.get() + 1);
        self.wake_up_next();
    }

    fn is_idle(&self, permits: usize) -> bool {
        self.value.get() == permits
    }
}

/// Those who wait, in the order in which they came.
#[derive(Clone, Default)]
struct Line(Rc<RefCell<Vec<TaskHandle>>>);

impl Line {
    fn join(&self) -> InLine {
        let task = current_task().expect("a task waits");
        self.0.borrow_mut().push(task.clone());
        InLine {
            line: self.clone(),
            task,
        }
    }

    /// Whether all who wait have been cancelled.
    fn is_empty(&self) -> bool {
        self.0.borrow().iter().all(|task| task.cancelling() > 0)
    }
}

struct InLine {
    line: Line,
    task: TaskHandle,
}

impl InLine {
    fn is_first(&self) -> bool {
        let line = self.line.0.borrow();
        let mut before = line.iter().take_while(|task| **task != self.task);
        before.all(|task| task.cancelling() > 0)
    }
}

impl Drop for InLine {
    fn drop(&mut self) {
        self.line.0.borrow_mut().retain(|task| *task != self.task);
    }
}

/// Tasks that share one permit, one of them twice in a row. If they mind, none goes before one that came earlier.
async fn sharing<P: Permits>(probe: Probe, permits: P, they_mind: bool) -> Result<()> {
    let (line, holders) = (Line::default(), Count::default());
    let user = |times: usize| {
        let (permits, line, holders) = (permits.clone(), line.clone(), holders.clone());
        create_task(async move {
            for _ in 0..times {
                let place = line.join();
                let _held = permits.enter().await?;
                assert!(
                    !they_mind || place.is_first(),
                    "one that came later goes first"
                );
                drop(place);
                let _inside = holders.enter();
                turns(1).await?;
            }
            Ok(())
        })
    };
    let users = [user(2), user(1), user(1)];
    probe.invariant("one has the permit at a time", move || holders.get() <= 1);
    join(users).await?;
    drop(permits.enter().await?);
    assert!(permits.is_idle(1), "the semaphore is not as it was");
    Ok(())
}

/// Permits for three come at once, while the second and the third must wait behind the first. It may start a fourth task.
async fn three_at_once<P: Permits>(probe: Probe, permits: P, starts: bool) -> Result<()> {
    let (line, came) = (Line::default(), Rc::new(Cell::new(false)));
    let user = |permits: P, brings: bool, starts: bool| {
        let (line, came) = (line.clone(), Rc::clone(&came));
        create_task(async move {
            if brings {
                (0..3).for_each(|_| permits.release());
                came.set(true);
            }
            let place = line.join();
            permits.acquire().await?;
            drop(place);
            if starts {
                create_task(async move {
                    assert!(line.is_empty(), "one that came later goes first");
                    Ok(())
                });
            }
            Ok(())
        })
    };
    let users = [
        user(permits.clone(), false, starts),
        user(permits.clone(), true, false),
        user(permits.clone(), false, false),
    ];
    probe.settled().await?;
    assert!(!came.get() || line.is_empty(), "a permit lies idle");
    (0..3).for_each(|_| permits.release());
    join(users).await
}

/// As above, where the order of those who were woken at once is asyncio's.
fn without_reorders() -> Explorer {
    Explorer::new().cancels(2).drops(2).deviations(2)
}

fn find_in_sharing(flaw: Flaw, expected: &str) {
    find(&any_two(), expected, |probe| {
        sharing(probe, Semaphore::new(1, flaw), true)
    });
}

fn find_in_old(flaw: OldFlaw, expected: &str) {
    let they_mind = flaw == OldFlaw::IsStolenFrom;
    // Nobody drops a coroutine where it stands in Python.
    let explorer = Explorer::new().reorder(2).cancels(2).deviations(2);
    find(&explorer, expected, |probe| {
        sharing(probe, OldSemaphore::new(1, flaw), they_mind)
    });
}

#[test]
fn a_wake_that_a_cancel_loses_is_found() {
    find_in_old(OldFlaw::LosesTheWake, "deadlock");
}

#[test]
fn a_stolen_permit_is_found() {
    find_in_old(OldFlaw::IsStolenFrom, "one that came later goes first");
}

#[test]
fn a_mark_that_outlives_a_cancel_is_found() {
    find_in_old(OldFlaw::WakesNobodyAnyMore, "deadlock");
}

#[test]
fn a_permit_that_a_cancel_keeps_is_found() {
    find_in_sharing(Flaw::CancelKeepsThePermit, "deadlock");
}

#[test]
fn a_permit_that_a_drop_keeps_is_found() {
    find_in_sharing(Flaw::DropKeepsThePermit, "deadlock");
}

#[test]
fn a_permit_that_a_cancel_makes_is_found() {
    find_in_sharing(Flaw::CancelMakesAPermit, "one has the permit at a time");
}

#[test]
fn a_permit_given_back_in_silence_is_found() {
    find_in_sharing(Flaw::GivesBackInSilence, "deadlock");
}

#[test]
fn a_drop_that_stays_in_the_queue_is_found() {
    find_in_sharing(Flaw::StaysInTheQueue, "deadlock");
}

#[test]
fn a_pass_that_wakes_nobody_for_the_permits_left_is_found() {
    find(&without_reorders(), "a permit lies idle", |probe| {
        three_at_once(probe, Semaphore::new(0, Flaw::PassesInSilence), false)
    });
}

#[test]
fn a_pass_that_wakes_one_where_two_may_go_is_found() {
    find(
        &without_reorders(),
        "one that came later goes first",
        |probe| three_at_once(probe, Semaphore::new(0, Flaw::WakesOneAtATime), true),
    );
}

#[test]
fn one_wake_at_a_time_loses_none() {
    hold(&any_two(), |probe| {
        sharing(probe, Semaphore::new(1, Flaw::WakesOneAtATime), true)
    });
}

#[test]
fn a_sound_copy_and_the_crate_s_own_are_sound_run_by_run() {
    let copy = hold(&any_two(), |probe| {
        sharing(probe, Semaphore::new(1, Flaw::None), true)
    });
    let own = hold(&any_two(), |probe| {
        sharing(probe, soloop::Semaphore::new(1), true)
    });
    assert_eq!(copy, own);
    let copy = hold(&without_reorders(), |probe| {
        three_at_once(probe, Semaphore::new(0, Flaw::None), true)
    });
    let own = hold(&without_reorders(), |probe| {
        three_at_once(probe, soloop::Semaphore::new(0), true)
    });
    assert_eq!(copy, own);
}
