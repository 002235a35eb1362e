//! `Lock`.

use futures::FutureExt;
use soloop::{Lock, create_task, testing::Explorer, wait_for};

use super::{assert_idle, hold, join, one_blow, room};
use crate::{
    kit::{nap, poll_once, secs, turns},
    testing::scaffold::or_too_late,
};

const FREE: &str = "<Lock [unlocked]>";

#[test]
fn is_handed_from_one_to_the_next() {
    hold(&one_blow(), |probe| async move {
        let (lock, room) = (Lock::new(), room(&probe, 1));
        let users = [(); 3].map(|()| {
            let (lock, room) = (lock.clone(), room.clone());
            create_task(async move {
                let _held = lock.enter().await?;
                let _inside = room.enter();
                turns(1).await
            })
        });
        join(users).await?;
        assert_idle(&lock, FREE);
        Ok(())
    });
}

#[test]
fn is_taken_again_by_those_who_have_had_it() {
    hold(&one_blow(), |probe| async move {
        let (lock, room) = (Lock::new(), room(&probe, 1));
        let users = [(); 2].map(|()| {
            let (lock, room) = (lock.clone(), room.clone());
            create_task(async move {
                for _ in 0..2 {
                    let _held = lock.enter().await?;
                    let _inside = room.enter();
                    turns(1).await?;
                }
                Ok(())
            })
        });
        join(users).await?;
        assert_idle(&lock, FREE);
        Ok(())
    });
}

#[test]
fn is_acquired_and_released_by_hand() {
    // Nobody gives back what a dropped task has acquired by hand.
    hold(&Explorer::new().cancels(1).reorder(1), |probe| async move {
        let (lock, room) = (Lock::new(), room(&probe, 1));
        let users = [(); 3].map(|()| {
            let (lock, room) = (lock.clone(), room.clone());
            create_task(async move {
                lock.acquire().await?;
                let inside = room.enter();
                let outcome = turns(1).await;
                drop(inside);
                lock.release()?;
                outcome
            })
        });
        join(users).await?;
        assert_idle(&lock, FREE);
        Ok(())
    });
}

#[test]
fn is_held_across_a_sleep() {
    hold(&one_blow(), |probe| async move {
        let (lock, room) = (Lock::new(), room(&probe, 1));
        let users = [(); 3].map(|()| {
            let (lock, room) = (lock.clone(), room.clone());
            create_task(async move {
                let _held = lock.enter().await?;
                let _inside = room.enter();
                nap(1).await
            })
        });
        join(users).await?;
        assert_idle(&lock, FREE);
        Ok(())
    });
}

#[test]
fn is_nested_in_another() {
    hold(&one_blow(), |probe| async move {
        let (outer, inner, room) = (Lock::new(), Lock::new(), room(&probe, 1));
        let users = [true, true, false].map(|nested| {
            let (outer, inner, room) = (outer.clone(), inner.clone(), room.clone());
            create_task(async move {
                let _outer = if nested {
                    Some(outer.enter().await?)
                } else {
                    None
                };
                let _inner = inner.enter().await?;
                let _inside = room.enter();
                turns(1).await
            })
        });
        join(users).await?;
        assert_idle(&outer, FREE);
        assert_idle(&inner, FREE);
        Ok(())
    });
}

#[test]
fn is_waited_for_with_a_timeout_that_ends_as_it_comes_free() {
    hold(&one_blow().early_timers(1), |probe| async move {
        let (lock, room) = (Lock::new(), room(&probe, 1));
        let users = [(); 3].map(|()| {
            let (lock, room) = (lock.clone(), room.clone());
            create_task(async move {
                let held = wait_for(lock.enter(), secs(1)).await;
                if held.is_ok() {
                    let _inside = room.enter();
                    nap(1).await?;
                }
                or_too_late(held)
            })
        });
        join(users).await?;
        assert_idle(&lock, FREE);
        Ok(())
    });
}

#[test]
fn is_given_up_when_something_else_comes_first() {
    hold(&one_blow(), |probe| async move {
        let (lock, room) = (Lock::new(), room(&probe, 1));
        let users = [1, 2, 1].map(|patience| {
            let (lock, room) = (lock.clone(), room.clone());
            create_task(async move {
                futures::select_biased! {
                    held = lock.enter().fuse() => {
                        let _held = held?;
                        let _inside = room.enter();
                        turns(2).await
                    }
                    bored = Box::pin(turns(patience)).fuse() => bored,
                }
            })
        });
        join(users).await?;
        assert_idle(&lock, FREE);
        Ok(())
    });
}

#[test]
fn is_given_up_by_a_drop_once_it_was_asked_for() {
    hold(&one_blow(), |probe| async move {
        let (lock, room) = (Lock::new(), room(&probe, 1));
        let users = [0, 1, 2].map(|patience| {
            let (lock, room) = (lock.clone(), room.clone());
            create_task(async move {
                let mut entering = Box::pin(lock.enter());
                let polled = poll_once(&mut entering).await;
                let inside = polled.is_ready().then(|| room.enter());
                turns(patience).await?;
                drop((inside, polled, entering));
                let _held = lock.enter().await?;
                let _inside = room.enter();
                turns(1).await
            })
        });
        join(users).await?;
        assert_idle(&lock, FREE);
        Ok(())
    });
}
