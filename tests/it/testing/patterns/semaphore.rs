//! `Semaphore` and `BoundedSemaphore`.

use futures::FutureExt;
use soloop::{BoundedSemaphore, Lock, Semaphore, create_task, testing::Explorer, wait_for};

use super::{assert_idle, hold, join, one_blow, room};
use crate::{
    kit::{nap, secs, turns},
    testing::scaffold::or_too_late,
};

/// So many users of so many desks, each for a turn.
fn serve<const USERS: usize>(permits: usize) {
    hold(&one_blow(), move |probe| async move {
        let (desks, room) = (Semaphore::new(permits), room(&probe, permits));
        let users = [(); USERS].map(|()| {
            let (desks, room) = (desks.clone(), room.clone());
            create_task(async move {
                let _desk = desks.enter().await?;
                let _inside = room.enter();
                turns(1).await
            })
        });
        join(users).await?;
        assert_idle(&desks, &format!("<Semaphore [unlocked, value:{permits}]>"));
        Ok(())
    });
}

#[test]
fn has_one_permit_for_three() {
    serve::<3>(1);
}

#[test]
fn has_two_permits_for_four() {
    serve::<4>(2);
}

#[test]
fn is_taken_again_by_those_who_have_had_a_permit() {
    hold(&one_blow(), |probe| async move {
        let (desks, room) = (Semaphore::new(1), room(&probe, 1));
        let users = [(); 2].map(|()| {
            let (desks, room) = (desks.clone(), room.clone());
            create_task(async move {
                for _ in 0..2 {
                    let _desk = desks.enter().await?;
                    let _inside = room.enter();
                    turns(1).await?;
                }
                Ok(())
            })
        });
        join(users).await?;
        assert_idle(&desks, "<Semaphore [unlocked, value:1]>");
        Ok(())
    });
}

#[test]
fn is_bounded_by_what_it_began_with() {
    hold(&one_blow(), |probe| async move {
        let (desks, room) = (BoundedSemaphore::new(2), room(&probe, 2));
        let users = [(); 3].map(|()| {
            let (desks, room) = (desks.clone(), room.clone());
            create_task(async move {
                let _desk = desks.enter().await?;
                let _inside = room.enter();
                turns(1).await
            })
        });
        join(users).await?;
        assert_idle(&desks, "<BoundedSemaphore [unlocked, value:2]>");
        desks.release().expect_err("all permits are there");
        Ok(())
    });
}

#[test]
fn is_acquired_and_released_by_hand() {
    // Nobody gives back what a dropped task has acquired by hand.
    hold(&Explorer::new().cancels(1).reorder(1), |probe| async move {
        let (desks, room) = (BoundedSemaphore::new(1), room(&probe, 1));
        let users = [(); 3].map(|()| {
            let (desks, room) = (desks.clone(), room.clone());
            create_task(async move {
                desks.acquire().await?;
                let inside = room.enter();
                let outcome = turns(1).await;
                drop(inside);
                desks.release()?;
                outcome
            })
        });
        join(users).await?;
        assert_idle(&desks, "<BoundedSemaphore [unlocked, value:1]>");
        Ok(())
    });
}

#[test]
fn hands_out_what_others_bring() {
    hold(&one_blow(), |probe| async move {
        let desks = Semaphore::new(0);
        let users = [(); 3].map(|()| {
            let desks = desks.clone();
            create_task(async move {
                let desk = desks.enter().await?;
                turns(1).await?;
                drop(desk);
                Ok(())
            })
        });
        turns(1).await?;
        desks.release();
        desks.release();
        probe.settled().await?;
        join(users).await?;
        assert_idle(&desks, "<Semaphore [unlocked, value:2]>");
        Ok(())
    });
}

#[test]
fn is_waited_for_with_a_timeout_that_ends_as_a_permit_comes() {
    hold(&one_blow().early_timers(1), |probe| async move {
        let (desks, room) = (Semaphore::new(1), room(&probe, 1));
        let users = [(); 3].map(|()| {
            let (desks, room) = (desks.clone(), room.clone());
            create_task(async move {
                let desk = wait_for(desks.enter(), secs(1)).await;
                if desk.is_ok() {
                    let _inside = room.enter();
                    nap(1).await?;
                }
                or_too_late(desk)
            })
        });
        join(users).await?;
        assert_idle(&desks, "<Semaphore [unlocked, value:1]>");
        Ok(())
    });
}

#[test]
fn is_given_up_when_something_else_comes_first() {
    hold(&one_blow(), |probe| async move {
        let (desks, room) = (BoundedSemaphore::new(1), room(&probe, 1));
        let users = [1, 2, 1].map(|patience| {
            let (desks, room) = (desks.clone(), room.clone());
            create_task(async move {
                futures::select_biased! {
                    desk = desks.enter().fuse() => {
                        let _desk = desk?;
                        let _inside = room.enter();
                        turns(2).await
                    }
                    bored = Box::pin(turns(patience)).fuse() => bored,
                }
            })
        });
        join(users).await?;
        assert_idle(&desks, "<BoundedSemaphore [unlocked, value:1]>");
        Ok(())
    });
}

#[test]
fn lets_two_in_who_want_one_lock() {
    hold(&one_blow(), |probe| async move {
        let (desks, lock) = (Semaphore::new(2), Lock::new());
        let (room, corner) = (room(&probe, 2), room(&probe, 1));
        let users = [(); 3].map(|()| {
            let (desks, lock) = (desks.clone(), lock.clone());
            let (room, corner) = (room.clone(), corner.clone());
            create_task(async move {
                let _desk = desks.enter().await?;
                let _inside = room.enter();
                let _held = lock.enter().await?;
                let _cornered = corner.enter();
                turns(1).await
            })
        });
        join(users).await?;
        assert_idle(&desks, "<Semaphore [unlocked, value:2]>");
        assert_idle(&lock, "<Lock [unlocked]>");
        Ok(())
    });
}
