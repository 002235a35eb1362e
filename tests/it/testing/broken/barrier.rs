//! `Barrier`, and what could go wrong with it.

use std::{
    cell::{Cell, RefCell},
    future::Future,
    rc::Rc,
};

use soloop::{Error, Result, create_task, testing::Probe};

use super::{
    condition::{self, Condition},
    lock::{Held, Mutex},
};
use crate::testing::{
    scaffold::{Count, any_two, find, hold, join, or_sent_away},
    waiter::IfDropped,
};

trait Meeting: Clone + 'static {
    fn wait(&self) -> impl Future<Output = Result<usize>>;
    fn reset(&self) -> impl Future<Output = Result<()>>;
    fn abort(&self) -> impl Future<Output = Result<()>>;
    fn n_waiting(&self) -> usize;

    /// It can be filled, and nobody is inside or waits.
    fn is_idle(&self) -> bool;
}

impl Meeting for soloop::Barrier {
    async fn wait(&self) -> Result<usize> {
        self.wait().await
    }

    async fn reset(&self) -> Result<()> {
        self.reset().await
    }

    async fn abort(&self) -> Result<()> {
        self.abort().await
    }

    fn n_waiting(&self) -> usize {
        self.n_waiting()
    }

    fn is_idle(&self) -> bool {
        format!("{self:?}") == "<Barrier [filling, waiters:0/2]>"
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flaw {
    None,
    /// There is no drain state: who comes while others leave goes with them.
    DoesNotDrain,
    /// A cancelled task stays counted.
    CancelStaysCounted,
    /// Likewise one that is dropped.
    DropStaysCounted,
    /// The last to leave does not tell those who wait outside.
    LeavesInSilence,
    /// The last to leave does not end the reset.
    ResetsForEver,
    /// `abort` tells nobody.
    AbortsInSilence,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Filling,
    Draining,
    Resetting,
    Broken,
}

const PARTIES: usize = 2;

struct Barrier {
    flaw: Flaw,
    cond: Rc<Condition>,
    phase: Cell<Phase>,
    count: Cell<usize>,
}

impl Barrier {
    fn new(flaw: Flaw) -> Rc<Self> {
        Rc::new(Self {
            flaw,
            cond: Condition::new(condition::Flaw::None),
            phase: Cell::new(Phase::Filling),
            count: Cell::new(0),
        })
    }

    async fn block(&self, held: &Held) -> Result<()> {
        while match self.phase.get() {
            Phase::Draining => self.flaw != Flaw::DoesNotDrain,
            phase => phase == Phase::Resetting,
        } {
            self.cond.wait(held).await?;
        }
        match self.phase.get() {
            Phase::Broken => Err(Error::BrokenBarrier("Barrier aborted".into())),
            _ => Ok(()),
        }
    }

    async fn pass(&self, index: usize, held: &Held) -> Result<()> {
        if index + 1 == PARTIES {
            self.phase.set(Phase::Draining);
            self.cond.notify(usize::MAX);
            return Ok(());
        }
        while self.phase.get() == Phase::Filling {
            self.cond.wait(held).await?;
        }
        match self.phase.get() {
            Phase::Broken | Phase::Resetting => {
                Err(Error::BrokenBarrier("Abort or reset of barrier".into()))
            }
            _ => Ok(()),
        }
    }

    fn exit(&self) {
        self.count.set(self.count.get() - 1);
        if self.count.get() > 0 {
            return;
        }
        match self.phase.get() {
            Phase::Resetting if self.flaw == Flaw::ResetsForEver => {}
            Phase::Resetting | Phase::Draining => self.phase.set(Phase::Filling),
            Phase::Filling | Phase::Broken => {}
        }
        if self.flaw != Flaw::LeavesInSilence {
            self.cond.notify(usize::MAX);
        }
    }
}

impl Meeting for Rc<Barrier> {
    async fn wait(&self) -> Result<usize> {
        let held = self.cond.lock.enter().await?;
        self.block(&held).await?;
        let index = self.count.get();
        self.count.set(index + 1);
        let mut if_dropped = IfDropped::new(|| {
            if self.flaw != Flaw::DropStaysCounted {
                self.exit();
            }
        });
        let passed = self.pass(index, &held).await;
        if_dropped.disarm();
        let is_cancelled = matches!(passed, Err(Error::Cancelled));
        if !is_cancelled || self.flaw != Flaw::CancelStaysCounted {
            self.exit();
        }
        passed.map(|()| index)
    }

    async fn reset(&self) -> Result<()> {
        let _held = self.cond.lock.enter().await?;
        self.phase.set(match self.count.get() {
            0 => Phase::Filling,
            _ => Phase::Resetting,
        });
        self.cond.notify(usize::MAX);
        Ok(())
    }

    async fn abort(&self) -> Result<()> {
        let _held = self.cond.lock.enter().await?;
        self.phase.set(Phase::Broken);
        if self.flaw != Flaw::AbortsInSilence {
            self.cond.notify(usize::MAX);
        }
        Ok(())
    }

    fn n_waiting(&self) -> usize {
        match self.phase.get() {
            Phase::Filling => self.count.get(),
            _ => 0,
        }
    }

    fn is_idle(&self) -> bool {
        (self.phase.get(), self.count.get()) == (Phase::Filling, 0) && self.cond.is_idle()
    }
}

/// Two meet, a third waits in vain, and is sent away by a reset or an abort.
async fn third_wheel<M: Meeting>(probe: Probe, barrier: M, aborts: bool) -> Result<()> {
    let waiting = Count::default();
    let tasks = [(); 3].map(|()| {
        let (barrier, waiting) = (barrier.clone(), waiting.clone());
        create_task(async move {
            let _waiting = waiting.enter();
            or_sent_away(barrier.wait().await)
        })
    });
    probe.settled().await?;
    assert_eq!(barrier.n_waiting(), waiting.get(), "who waits is counted");
    if aborts {
        barrier.abort().await?;
        join(tasks).await?;
        barrier.reset().await?;
    } else {
        barrier.reset().await?;
        join(tasks).await?;
    }
    assert!(barrier.is_idle(), "the barrier is left behind");
    Ok(())
}

/// Two meet again and again.
async fn rounds<M: Meeting>(probe: Probe, barrier: M) -> Result<()> {
    let arrived = Rc::new(RefCell::new([0; 2]));
    let tasks = [(); PARTIES].map(|()| {
        let (barrier, arrived) = (barrier.clone(), Rc::clone(&arrived));
        create_task(async move {
            for round in 0..2 {
                arrived.borrow_mut()[round] += 1;
                match barrier.wait().await {
                    Ok(_) => assert_eq!(arrived.borrow()[round], PARTIES, "nobody passes alone"),
                    other => return or_sent_away(other),
                }
            }
            Ok(())
        })
    });
    probe.settled().await?;
    barrier.abort().await?;
    join(tasks).await?;
    barrier.reset().await?;
    assert!(barrier.is_idle(), "the barrier is left behind");
    Ok(())
}

fn find_with_a_third(flaw: Flaw, aborts: bool, expected: &str) {
    find(&any_two(), expected, |probe| {
        third_wheel(probe, Barrier::new(flaw), aborts)
    });
}

#[test]
fn a_missing_drain_state_is_found() {
    find(&any_two(), "nobody passes alone", |probe| {
        rounds(probe, Barrier::new(Flaw::DoesNotDrain))
    });
}

#[test]
fn a_cancelled_task_that_stays_counted_is_found() {
    find_with_a_third(Flaw::CancelStaysCounted, false, "who waits is counted");
}

#[test]
fn a_dropped_task_that_stays_counted_is_found() {
    find_with_a_third(Flaw::DropStaysCounted, false, "who waits is counted");
}

#[test]
fn a_last_one_that_leaves_in_silence_is_found() {
    find_with_a_third(Flaw::LeavesInSilence, false, "who waits is counted");
}

#[test]
fn a_reset_that_does_not_end_is_found() {
    find_with_a_third(Flaw::ResetsForEver, false, "the barrier is left behind");
}

#[test]
fn an_abort_in_silence_is_found() {
    find_with_a_third(Flaw::AbortsInSilence, true, "deadlock");
}

#[test]
fn a_sound_copy_and_the_crate_s_own_are_sound_run_by_run() {
    for aborts in [false, true] {
        let copy = hold(&any_two(), |probe| {
            third_wheel(probe, Barrier::new(Flaw::None), aborts)
        });
        let own = hold(&any_two(), |probe| async move {
            third_wheel(probe, soloop::Barrier::new(PARTIES)?, aborts).await
        });
        assert_eq!(copy, own);
    }
    let copy = hold(&any_two(), |probe| rounds(probe, Barrier::new(Flaw::None)));
    let own = hold(&any_two(), |probe| async move {
        rounds(probe, soloop::Barrier::new(PARTIES)?).await
    });
    assert_eq!(copy, own);
}
