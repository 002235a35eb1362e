//! Several primitives, and several waits in one task.

use futures::join as both;
use soloop::{BoundedSemaphore, Error, Event, Lock, Result, create_task, wait_for};

use super::{assert_idle, hold, join, one_blow, room};
use crate::{
    kit::{nap, secs, turns},
    testing::scaffold::or_too_late,
};

const FREE: &str = "<Lock [unlocked]>";

#[test]
fn two_locks_are_wanted_at_once() {
    hold(&one_blow(), |probe| async move {
        let locks = [Lock::new(), Lock::new()];
        let rooms = [room(&probe, 1), room(&probe, 1)];
        let users = [(); 2].map(|()| {
            let (locks, rooms) = (locks.clone(), rooms.clone());
            create_task(async move {
                let use_one = async |n: usize| -> Result<()> {
                    let _held = locks[n].enter().await?;
                    let _inside = rooms[n].enter();
                    turns(1).await
                };
                let (first, second) = both!(use_one(0), use_one(1));
                first.and(second)
            })
        });
        join(users).await?;
        locks.iter().for_each(|lock| assert_idle(lock, FREE));
        Ok(())
    });
}

#[test]
fn two_timeouts_in_one_task_strike_apart() {
    hold(&one_blow().early_timers(1), |probe| async move {
        let (lock, room) = (Lock::new(), room(&probe, 1));
        let holder = create_task({
            let (lock, room) = (lock.clone(), room.clone());
            async move {
                let _held = lock.enter().await?;
                let _inside = room.enter();
                nap(2).await
            }
        });
        let impatient = create_task({
            let lock = lock.clone();
            async move {
                let (first, second) = both!(
                    wait_for(lock.enter(), secs(1)),
                    wait_for(lock.enter(), secs(2)),
                );
                or_too_late(first)?;
                or_too_late(second)
            }
        });
        join([holder, impatient]).await?;
        assert_idle(&lock, FREE);
        Ok(())
    });
}

#[test]
fn a_timeout_within_a_timeout() {
    hold(&one_blow().early_timers(1), |probe| async move {
        let (lock, room) = (Lock::new(), room(&probe, 1));
        let users = [(); 2].map(|()| {
            let (lock, room) = (lock.clone(), room.clone());
            create_task(async move {
                let short = wait_for(
                    async {
                        let _held = wait_for(lock.enter(), secs(2)).await?;
                        let _inside = room.enter();
                        nap(2).await
                    },
                    secs(1),
                );
                or_too_late(short.await)
            })
        });
        join(users).await?;
        assert_idle(&lock, FREE);
        Ok(())
    });
}

#[test]
fn a_cancelled_holder_cleans_up_under_its_lock() {
    hold(&one_blow(), |probe| async move {
        let (lock, room) = (Lock::new(), room(&probe, 1));
        let users = [(); 2].map(|()| {
            let (lock, room) = (lock.clone(), room.clone());
            create_task(async move {
                let _held = lock.enter().await?;
                let _inside = room.enter();
                let outcome = turns(1).await;
                if matches!(outcome, Err(Error::Cancelled)) {
                    turns(2).await?;
                }
                outcome
            })
        });
        join(users).await?;
        assert_idle(&lock, FREE);
        Ok(())
    });
}

#[test]
fn a_task_is_awaited_by_one_that_holds_the_lock() {
    hold(&one_blow(), |probe| async move {
        let (lock, room) = (Lock::new(), room(&probe, 1));
        let users = [(); 2].map(|()| {
            let (lock, room) = (lock.clone(), room.clone());
            create_task(async move {
                let _held = lock.enter().await?;
                let _inside = room.enter();
                create_task(turns(1)).await
            })
        });
        join(users).await?;
        assert_idle(&lock, FREE);
        Ok(())
    });
}

#[test]
fn a_lock_is_cancelled_by_another_task_as_it_comes_free() {
    hold(&one_blow(), |probe| async move {
        let (lock, room) = (Lock::new(), room(&probe, 1));
        let user = || {
            let (lock, room) = (lock.clone(), room.clone());
            create_task(async move {
                let _held = lock.enter().await?;
                let _inside = room.enter();
                turns(1).await
            })
        };
        let users = [user(), user(), user()];
        let second = users[1].handle();
        let killer = create_task(async move {
            turns(1).await?;
            second.cancel();
            Ok(())
        });
        join(users).await?;
        join([killer]).await?;
        assert_idle(&lock, FREE);
        Ok(())
    });
}

#[test]
fn a_gate_opens_on_a_crowd() {
    hold(&one_blow(), |probe| async move {
        let (open, desks, room) = (Event::new(), BoundedSemaphore::new(1), room(&probe, 1));
        let users = [(); 3].map(|()| {
            let (open, desks, room) = (open.clone(), desks.clone(), room.clone());
            create_task(async move {
                open.wait().await?;
                let _desk = desks.enter().await?;
                let _inside = room.enter();
                turns(1).await
            })
        });
        probe.settled().await?;
        open.set();
        join(users).await?;
        assert_idle(&desks, "<BoundedSemaphore [unlocked, value:1]>");
        assert_idle(&open, "<Event [set]>");
        Ok(())
    });
}
