//! `Event`.

use soloop::{Event, Lock, create_task, wait_for};

use super::{assert_idle, hold, join, one_blow, room};
use crate::{
    kit::{nap, secs, turns},
    testing::scaffold::or_too_late,
};

#[test]
fn is_set_for_all_who_wait() {
    hold(&one_blow(), |_| async {
        let event = Event::new();
        let waiters = [(); 3].map(|()| create_task(event.wait()));
        turns(1).await?;
        event.set();
        join(waiters).await?;
        assert_idle(&event, "<Event [set]>");
        Ok(())
    });
}

#[test]
fn is_set_and_cleared_at_once() {
    hold(&one_blow(), |probe| async move {
        let event = Event::new();
        let waiters = [(); 3].map(|()| create_task(event.wait()));
        probe.settled().await?;
        event.set();
        event.clear();
        join(waiters).await?;
        assert_idle(&event, "<Event [unset]>");
        Ok(())
    });
}

#[test]
fn is_set_again_after_it_was_cleared() {
    hold(&one_blow(), |probe| async move {
        let event = Event::new();
        let waiters = [(); 2].map(|()| {
            let event = event.clone();
            create_task(async move {
                event.wait().await?;
                turns(1).await?;
                event.wait().await
            })
        });
        for _ in 0..2 {
            probe.settled().await?;
            event.set();
            event.clear();
        }
        join(waiters).await?;
        assert_idle(&event, "<Event [unset]>");
        Ok(())
    });
}

#[test]
fn goes_to_and_fro_between_two() {
    hold(&one_blow(), |_| async {
        let (ping, pong) = (Event::new(), Event::new());
        let other = create_task({
            let (ping, pong) = (ping.clone(), pong.clone());
            async move {
                for _ in 0..2 {
                    ping.wait().await?;
                    ping.clear();
                    pong.set();
                }
                Ok(())
            }
        });
        for _ in 0..2 {
            ping.set();
            or_too_late(wait_for(pong.wait(), secs(1)).await)?;
            pong.clear();
        }
        join([other]).await?;
        assert_idle(&pong, "<Event [unset]>");
        Ok(())
    });
}

#[test]
fn is_set_as_a_timeout_ends() {
    hold(&one_blow().early_timers(1), |_| async {
        let event = Event::new();
        let waiters = [(); 2].map(|()| {
            let event = event.clone();
            create_task(async move { or_too_late(wait_for(event.wait(), secs(1)).await) })
        });
        nap(1).await?;
        event.set();
        event.clear();
        join(waiters).await?;
        assert_idle(&event, "<Event [unset]>");
        Ok(())
    });
}

#[test]
fn is_waited_for_under_a_lock() {
    hold(&one_blow(), |probe| async move {
        let (event, lock, room) = (Event::new(), Lock::new(), room(&probe, 1));
        let waiters = [(); 2].map(|()| {
            let (event, lock, room) = (event.clone(), lock.clone(), room.clone());
            create_task(async move {
                let _held = lock.enter().await?;
                let _inside = room.enter();
                event.wait().await
            })
        });
        turns(2).await?;
        event.set();
        join(waiters).await?;
        assert_idle(&lock, "<Lock [unlocked]>");
        assert_idle(&event, "<Event [set]>");
        Ok(())
    });
}
