//! Schedules made of numbers: proptest draws them, and shrinks what fails towards asyncio's order.

use std::{cell::Cell, rc::Rc};

use proptest::{
    collection::vec,
    prelude::*,
    test_runner::{Config, TestError, TestRunner},
};
use soloop::{
    Event, EventLoop, Result, create_task,
    testing::{Explorer, FailureKind, Probe, Schedule},
    trace::record,
};

use super::{brief, two_tasks};

#[test]
fn zeros_are_asyncios_order() {
    let (_, expected) = record(&mut EventLoop::with_virtual_clock(), two_tasks());
    for choices in [&[][..], &[0; 3], &[0; 99]] {
        let outcome = Explorer::new().replay(&Schedule::from_choices(choices), |_| two_tasks());
        assert_eq!(outcome.timeline, expected);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_numbers_are_a_schedule(choices in vec(any::<u16>(), 0..40)) {
        let explorer = Explorer::new().reorder(9).cancels(2).drops(2).early_timers(2).spurious(2);
        let body = |_| async {
            let _ = soloop::wait_for(two_tasks(), std::time::Duration::from_secs(1)).await;
            Ok(())
        };
        let outcome = explorer.replay(&Schedule::from_choices(&choices), body);
        prop_assert!(outcome.failure.is_none());
    }

    /// What numbers came to is told as departures, and these come to the same.
    #[test]
    fn numbers_fail_as_the_departures_that_they_stand_for(choices in vec(any::<u16>(), 0..40)) {
        let body = |probe: Probe| async move {
            let _ = two_tasks().await;
            panic!("{}", probe.choose(5))
        };
        let explorer = Explorer::new().reorder(9).cancels(2);
        let numbers = explorer.replay(&Schedule::from_choices(&choices), body).failure.unwrap();
        let departures = explorer.replay(&numbers.schedule, body).failure.unwrap();
        prop_assert_eq!(brief(Some(numbers)), brief(Some(departures)));
    }
}

#[test]
fn numbers_depart_no_more_often_than_the_explorer_allows() {
    let departures = |explorer: Explorer| {
        let schedule = Schedule::from_choices(&[1; 30]);
        let outcome = explorer.replay(&schedule, |_| async {
            two_tasks().await?;
            panic!()
        });
        outcome.failure.unwrap().schedule.to_string()
    };
    assert_eq!(departures(Explorer::new().reorder(2)), "sl1:1>1,2>1");
    assert_eq!(
        departures(Explorer::new().reorder(2).deviations(1)),
        "sl1:1>1"
    );
    assert_eq!(departures(Explorer::new().deviations(0)), "sl1:");
}

/// What is decided as asyncio would is no departure, an answer of the test's own neither.
#[test]
fn zeros_among_numbers_are_not_told() {
    let schedule = Schedule::from_choices(&[0, 0, 2]);
    let outcome = Explorer::new().replay(&schedule, |probe| async move {
        let _ = (probe.choose(5), probe.choose(5));
        panic!()
    });
    assert_eq!(outcome.failure.unwrap().schedule.to_string(), "sl1:2?2");
}

/// The third decision is about nothing: there is nothing left to decide once everybody waits for ever.
#[test]
fn nothing_can_be_done_about_a_deadlock() {
    let cancelled_at = |n: usize| {
        let choices = [vec![0; n], vec![1]].concat();
        let outcome =
            Explorer::new()
                .cancels(1)
                .replay(&Schedule::from_choices(&choices), |_| async {
                    let _ = create_task(Event::new().wait()).await;
                    Ok(())
                });
        outcome.failure.map(|failure| failure.kind)
    };
    let deadlock = Some(FailureKind::Deadlock);
    assert_eq!(
        [0, 1, 2, 3].map(cancelled_at),
        [deadlock, None, deadlock, deadlock]
    );
}

/// One task loads what others use, and nobody waits for it: in asyncio's order it comes first.
async fn use_what_is_loaded(users: usize) -> Result<()> {
    let loaded = Rc::new(Cell::new(false));
    let load = Rc::clone(&loaded);
    let loader = create_task(async move {
        load.set(true);
        Ok(())
    });
    let user = || {
        let loaded = Rc::clone(&loaded);
        create_task(async move {
            assert!(loaded.get(), "used before it was loaded");
            Ok(())
        })
    };
    let users: Vec<_> = (0..users).map(|_| user()).collect();
    for user in users {
        user.await?;
    }
    loader.await
}

/// How one lets proptest draw the order, next to whatever else it draws: what is left in the end is one departure.
#[test]
fn proptest_shrinks_a_schedule_towards_asyncios_order() {
    let mut runner = TestRunner::new(Config {
        failure_persistence: None,
        ..Config::default()
    });
    let failed = runner.run(
        &(vec(any::<u16>(), 0..30), 1..4_usize),
        |(choices, users)| {
            let schedule = Schedule::from_choices(&choices);
            let outcome = Explorer::new().replay(&schedule, |_| use_what_is_loaded(users));
            prop_assert!(outcome.failure.is_none(), "{}", outcome.failure.unwrap());
            Ok(())
        },
    );
    let Err(TestError::Fail(story, (choices, users))) = failed else {
        panic!("{failed:?}");
    };
    // At the first decision main runs in any case; at the second, a user goes before the loader.
    assert_eq!((choices.len(), choices[0]), (2, 0), "{choices:?}");
    let needed = choices[1] % (users as u16 + 1);
    let replay = format!("SOLOOP_REPLAY='sl1:1>{needed}' ");
    assert!(story.message().contains(&replay), "{story}");
}
