//! `Condition`.

use std::{cell::Cell, rc::Rc};

use futures::FutureExt;
use soloop::{
    Condition, Lock, Result, Task, create_task, current_task,
    testing::{Explorer, Probe},
    wait_for,
};

use super::{Count, assert_idle, hold, join, one_blow, room};
use crate::{
    kit::{secs, turns},
    testing::scaffold::or_too_late,
};

const FREE: &str = "<Condition [unlocked]>";

/// A shelf and the condition that guards it.
#[derive(Clone)]
struct Shelf {
    changed: Condition,
    loaves: Rc<Cell<usize>>,
    closed: Rc<Cell<bool>>,
    room: Count,
}

impl Shelf {
    fn new(probe: &Probe) -> Self {
        Self {
            changed: Condition::new(),
            loaves: Rc::default(),
            closed: Rc::default(),
            room: room(probe, 1),
        }
    }

    /// Waits for a loaf, takes it, and keeps the lock for another turn; and that so many times under one guard.
    fn consumer(&self, times: usize) -> Task<()> {
        let shelf = self.clone();
        create_task(async move {
            let mut held = shelf.changed.enter().await?;
            for _ in 0..times {
                held.wait_for(|| shelf.loaves.get() > 0 || shelf.closed.get())
                    .await?;
                let task = current_task().expect("a task waits");
                assert_eq!(task.cancelling(), 0, "a cancel is forgotten");
                shelf.loaves.set(shelf.loaves.get().saturating_sub(1));
                let _inside = shelf.room.enter();
                turns(1).await?;
            }
            Ok(())
        })
    }

    async fn put(&self, loaves: usize) -> Result<()> {
        let held = self.changed.enter().await?;
        let _inside = self.room.enter();
        self.loaves.set(self.loaves.get() + loaves);
        held.notify(loaves)
    }

    async fn close(&self) -> Result<()> {
        let held = self.changed.enter().await?;
        let _inside = self.room.enter();
        self.closed.set(true);
        held.notify_all()
    }
}

#[test]
fn brings_one_loaf_to_one_of_two() {
    hold(&one_blow(), |probe| async move {
        let shelf = Shelf::new(&probe);
        let consumers = [(); 2].map(|()| shelf.consumer(1));
        turns(1).await?;
        shelf.put(1).await?;
        probe.settled().await?;
        assert!(shelf.loaves.get() == 0 || consumers.iter().all(Task::done));
        shelf.close().await?;
        join(consumers).await?;
        assert_idle(&shelf.changed, FREE);
        Ok(())
    });
}

#[test]
fn brings_two_loaves_to_two_of_three() {
    hold(&one_blow(), |probe| async move {
        let shelf = Shelf::new(&probe);
        let consumers = [(); 3].map(|()| shelf.consumer(1));
        turns(1).await?;
        shelf.put(2).await?;
        probe.settled().await?;
        assert!(shelf.loaves.get() == 0 || consumers.iter().all(Task::done));
        shelf.close().await?;
        join(consumers).await?;
        assert_idle(&shelf.changed, FREE);
        Ok(())
    });
}

#[test]
fn has_a_producer_that_may_fail_as_well() {
    hold(&one_blow(), |probe| async move {
        let shelf = Shelf::new(&probe);
        let consumer = shelf.consumer(1);
        let producers = [(); 2].map(|()| {
            let shelf = shelf.clone();
            create_task(async move { shelf.put(1).await })
        });
        join(producers).await?;
        shelf.close().await?;
        join([consumer]).await?;
        assert_idle(&shelf.changed, FREE);
        Ok(())
    });
}

#[test]
fn is_waited_on_again_under_the_same_guard() {
    hold(&one_blow(), |probe| async move {
        let shelf = Shelf::new(&probe);
        let consumers = [(); 2].map(|()| shelf.consumer(2));
        for _ in 0..2 {
            probe.settled().await?;
            shelf.put(1).await?;
        }
        // Whoever was notified has the lock by now.
        turns(1).await?;
        shelf.close().await?;
        join(consumers).await?;
        assert_idle(&shelf.changed, FREE);
        Ok(())
    });
}

#[test]
fn tells_all_at_once() {
    hold(&one_blow(), |probe| async move {
        let shelf = Shelf::new(&probe);
        let consumers = [(); 3].map(|()| shelf.consumer(1));
        probe.settled().await?;
        shelf.close().await?;
        join(consumers).await?;
        assert_idle(&shelf.changed, FREE);
        Ok(())
    });
}

#[test]
fn is_waited_on_with_the_lock_taken_by_hand() {
    // Nobody gives back what a dropped task has acquired by hand.
    hold(&Explorer::new().cancels(1).reorder(1), |probe| async move {
        let (changed, room) = (Condition::new(), room(&probe, 1));
        let waiters = [(); 2].map(|()| {
            let (changed, room) = (changed.clone(), room.clone());
            create_task(async move {
                changed.acquire().await?;
                let mut outcome = changed.wait().await;
                let inside = room.enter();
                outcome = outcome.and(turns(1).await);
                drop(inside);
                changed.release()?;
                outcome
            })
        });
        probe.settled().await?;
        changed.acquire().await?;
        changed.notify_all()?;
        changed.release()?;
        join(waiters).await?;
        assert_idle(&changed, FREE);
        Ok(())
    });
}

#[test]
fn shares_its_lock_with_another() {
    hold(&one_blow(), |probe| async move {
        let (lock, cup) = (Lock::new(), Rc::new(Cell::new(0)));
        let (full, empty) = (Condition::with_lock(&lock), Condition::with_lock(&lock));
        let room = room(&probe, 1);
        let pass = |mine: &Condition, other: &Condition, from: i32, to: i32| {
            let (mine, other) = (mine.clone(), other.clone());
            let (cup, room) = (Rc::clone(&cup), room.clone());
            create_task(async move {
                for _ in 0..2 {
                    let mut held = mine.enter().await?;
                    let seen = wait_for(held.wait_for(|| cup.get() == from), secs(1)).await;
                    let _inside = room.enter();
                    or_too_late(seen)?;
                    cup.set(to);
                    other.notify(1)?;
                }
                Ok(())
            })
        };
        join([pass(&full, &empty, 1, 0), pass(&empty, &full, 0, 1)]).await?;
        assert_idle(&full, FREE);
        assert_idle(&empty, FREE);
        Ok(())
    });
}

#[test]
fn is_notified_as_a_timeout_ends() {
    hold(&one_blow().early_timers(1), |probe| async move {
        let (changed, room) = (Condition::new(), room(&probe, 1));
        let waiters = [(); 2].map(|()| {
            let (changed, room) = (changed.clone(), room.clone());
            create_task(async move {
                let mut held = changed.enter().await?;
                let notified = wait_for(held.wait(), secs(1)).await;
                let _inside = room.enter();
                or_too_late(notified)?;
                turns(1).await
            })
        });
        crate::kit::nap(1).await?;
        changed.enter().await?.notify(1)?;
        join(waiters).await?;
        assert_idle(&changed, FREE);
        Ok(())
    });
}

#[test]
fn is_left_when_something_else_comes_first() {
    hold(&one_blow(), |probe| async move {
        let (changed, room) = (Condition::new(), room(&probe, 1));
        let waiters = [2, 3].map(|patience| {
            let (changed, room) = (changed.clone(), room.clone());
            create_task(async move {
                let mut held = changed.enter().await?;
                futures::select_biased! {
                    notified = Box::pin(held.wait()).fuse() => {
                        let _inside = room.enter();
                        notified?;
                        turns(1).await
                    }
                    // The lock is not had any more then, and the guard knows.
                    bored = Box::pin(turns(patience)).fuse() => bored,
                }
            })
        });
        turns(2).await?;
        changed.enter().await?.notify(1)?;
        join(waiters).await?;
        assert_idle(&changed, FREE);
        Ok(())
    });
}
