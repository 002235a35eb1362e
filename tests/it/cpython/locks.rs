//! `test_locks.py`: Lock, Event, Condition, Semaphore and Barrier, in CPython's order.

use super::{Log, call_soon, gather, ms, outcome, outcomes, run, turn};
use futures::FutureExt;
use soloop::{
    Barrier, BoundedSemaphore, Condition, Error, Event, Lock, Result, Semaphore, Task, TaskHandle,
    create_task, sleep, wait_for,
};
use std::cell::{Cell, OnceCell};
use std::future::Future;
use std::rc::Rc;
use std::time::Duration;

/// Whether `value.await` would compile: an inherent constant, where its bound holds, hides the trait's.
macro_rules! awaitable {
    ($type:ty) => {{
        #[allow(dead_code, reason = "hidden for every type that can be awaited")]
        trait Otherwise {
            const AWAITABLE: bool = false;
        }
        impl<T> Otherwise for T {}
        struct Is<T>(std::marker::PhantomData<T>);
        #[allow(dead_code, reason = "hidden for every type that cannot be awaited")]
        impl<T: IntoFuture> Is<T> {
            const AWAITABLE: bool = true;
        }
        <Is<$type>>::AWAITABLE
    }};
}

/// Polls a wait once, in no loop, and drops it.
fn nothing_is_awaited<T>(wait: impl Future<Output = Result<T>>) -> Option<Result<T>> {
    wait.now_or_never()
}

// LockTests

#[test]
fn a_lock_prints_whether_it_is_locked() {
    let shown = run(async {
        let lock = Lock::new();
        let free = format!("{lock:?}");
        lock.acquire().await?;
        Ok([free, format!("{lock:?}")])
    });
    assert_eq!(shown, ["<Lock [unlocked]>", "<Lock [locked]>"]);
}

#[test]
fn a_lock_itself_cannot_be_awaited() {
    assert_eq!([awaitable!(Lock), awaitable!(Task<()>)], [false, true]);
}

#[test]
fn entering_without_an_await_takes_nothing() {
    let (lock, condition) = (Lock::new(), Condition::new());
    let (semaphore, bounded) = (Semaphore::default(), BoundedSemaphore::default());
    drop(lock.enter());
    drop(condition.enter());
    drop(semaphore.enter());
    drop(bounded.enter());
    let locked = [
        lock.locked(),
        condition.locked(),
        semaphore.locked(),
        bounded.locked(),
    ];
    assert_eq!(locked, [false; 4]);
}

#[test]
fn a_lock_goes_round_in_the_order_of_asking() {
    run(async {
        let (lock, log) = (Lock::new(), Log::new());
        let take = |number| {
            let (lock, log) = (lock.clone(), log.clone());
            create_task(async move {
                lock.acquire().await?;
                log.push(number);
                Ok(number)
            })
        };
        lock.acquire().await?;
        let (first, second) = (take(1), take(2));
        let mut trace = vec![log.after_a_turn().await?];
        lock.release()?;
        trace.push(log.after_a_turn().await?);
        trace.push(log.after_a_turn().await?);
        let third = take(3);
        lock.release()?;
        trace.push(log.after_a_turn().await?);
        lock.release()?;
        trace.push(log.after_a_turn().await?);
        assert_eq!(trace, [vec![], vec![1], vec![1], vec![1, 2], vec![1, 2, 3]]);
        let done = [first.done(), second.done(), third.done()];
        assert_eq!(done, [true; 3]);
        let results = gather([first, second, third]).await;
        assert_eq!(outcomes(results), ["1", "2", "3"]);
        Ok(())
    });
}

#[test]
fn a_cancelled_acquire_leaves_no_waiter() {
    run(async {
        let lock = Lock::new();
        lock.acquire().await?;
        let task = create_task(lock.acquire());
        cancel_soon(&task);
        assert_eq!(outcome(task.await), "CancelledError");
        assert_eq!(format!("{lock:?}"), "<Lock [locked]>");
        Ok(())
    });
}

#[test]
fn a_release_that_meets_a_cancelled_waiter_reaches_the_next() {
    async fn lock_it(lock: Lock, blocker: Option<Event>) -> Result<()> {
        lock.acquire().await?;
        let ended = match blocker {
            Some(blocker) => blocker.wait().await,
            None => Ok(()),
        };
        lock.release()?;
        ended
    }
    run(async {
        let (lock, unblocked) = (Lock::new(), Event::new());
        let mut shown = Vec::new();
        let a = create_task(lock_it(lock.clone(), Some(unblocked.clone())));
        turn().await?;
        shown.push(format!("{lock:?}"));
        let b = create_task(lock_it(lock.clone(), None));
        turn().await?;
        shown.push(format!("{lock:?}"));
        let c = create_task(lock_it(lock.clone(), None));
        turn().await?;
        unblocked.set();
        b.cancel();
        shown.push(format!("{lock:?}"));
        turn().await?;
        shown.push(format!("{lock:?}"));
        let lines = [
            "<Lock [locked]>",
            "<Lock [locked, waiters:1]>",
            "<Lock [locked, waiters:2]>",
            "<Lock [unlocked, waiters:1]>",
        ];
        assert_eq!(shown, lines);
        assert_eq!((a.done(), b.cancelled(), c.done()), (true, true, false));
        c.await
    });
}

#[test]
fn a_cancel_and_a_release_at_once_let_one_task_in() {
    run(async {
        let lock = Lock::new();
        let (calls, locks) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
        let lock_it = || {
            let (lock, calls, locks) = (lock.clone(), calls.clone(), locks.clone());
            create_task(async move {
                calls.set(calls.get() + 1);
                lock.acquire().await?;
                locks.set(locks.get() + 1);
                Ok(())
            })
        };
        lock.acquire().await?;
        let [mut first, second, third] = [lock_it(), lock_it(), lock_it()];
        turn().await?;
        let (handle, held) = (first.handle(), lock.clone());
        call_soon(move || {
            handle.cancel();
            held.release().expect("main holds the lock");
        });
        assert_eq!(outcome((&mut first).await), "CancelledError");
        assert_eq!((locks.get(), calls.get()), (1, 3));
        assert_eq!((first.cancelled(), second.done()), (true, true));
        third.cancel();
        turn().await?;
        assert!(third.cancelled());
        Ok(())
    });
}

#[test]
fn a_waiter_cancelled_before_a_release_does_not_keep_the_lock_from_the_next() {
    run(async {
        let lock = Lock::new();
        lock.acquire().await?;
        let b = create_task(lock.acquire());
        turn().await?;
        assert_eq!(format!("{lock:?}"), "<Lock [locked, waiters:1]>");
        let c = create_task(lock.acquire());
        b.cancel();
        lock.release()?;
        turn().await?;
        assert_eq!((lock.locked(), b.cancelled()), (true, true));
        c.await
    });
}

#[test]
fn the_release_of_a_free_lock_is_a_runtime_error() {
    let released = outcome(Lock::new().release());
    assert_eq!(released, "RuntimeError: Lock is not acquired.");
}

#[test]
fn a_release_that_nobody_waits_for_frees_the_lock() {
    run(async {
        let lock = Lock::new();
        lock.acquire().await?;
        let before = lock.locked();
        lock.release()?;
        assert_eq!([before, lock.locked()], [true, false]);
        Ok(())
    });
}

#[test]
fn a_lock_is_held_for_as_long_as_its_guard_lives() {
    run(async {
        let lock = Lock::new();
        let mut locked = vec![lock.locked()];
        {
            let _held = lock.enter().await?;
            locked.push(lock.locked());
        }
        locked.push(lock.locked());
        assert_eq!(locked, [false, true, false]);
        Ok(())
    });
}

// EventTests

#[test]
fn an_event_prints_its_flag_and_its_waiters() {
    let shown = run(async {
        let event = Event::new();
        let mut shown = vec![format!("{event:?}")];
        create_task(event.wait());
        turn().await?;
        shown.push(format!("{event:?}"));
        event.set();
        shown.push(format!("{event:?}"));
        turn().await?;
        shown.push(format!("{event:?}"));
        Ok(shown)
    });
    let lines = [
        "<Event [unset]>",
        "<Event [unset, waiters:1]>",
        "<Event [set, waiters:1]>",
        "<Event [set]>",
    ];
    assert_eq!(shown, lines);
}

#[test]
fn whoever_finds_an_event_set_goes_before_those_it_wakes() {
    run(async {
        let (event, log) = (Event::new(), Log::new());
        let wait = |number| {
            let (event, log) = (event.clone(), log.clone());
            create_task(async move {
                event.wait().await?;
                log.push(number);
                Ok(())
            })
        };
        let (first, second) = (wait(1), wait(2));
        assert_eq!(log.after_a_turn().await?, []);
        let third = wait(3);
        event.set();
        assert_eq!(log.after_a_turn().await?, [3, 1, 2]);
        let done = [first.done(), second.done(), third.done()];
        assert_eq!(done, [true; 3]);
        Ok(())
    });
}

#[test]
fn the_wait_for_a_set_event_ends_at_once() {
    let event = Event::new();
    event.set();
    let waited = nothing_is_awaited(event.wait());
    assert_eq!(waited.map(outcome), Some("()".to_string()));
}

#[test]
fn a_cancelled_wait_leaves_no_waiter_with_the_event() {
    run(async {
        let event = Event::new();
        let wait = create_task(event.wait());
        cancel_soon(&wait);
        assert_eq!(outcome(wait.await), "CancelledError");
        assert_eq!(format!("{event:?}"), "<Event [unset]>");
        Ok(())
    });
}

#[test]
fn clear_takes_the_flag_back() {
    let event = Event::new();
    let mut flags = vec![event.is_set()];
    event.set();
    flags.push(event.is_set());
    event.clear();
    flags.push(event.is_set());
    assert_eq!(flags, [false, true, false]);
}

#[test]
fn an_event_cleared_at_once_has_woken_its_waiter_all_the_same() {
    run(async {
        let (event, log) = (Event::new(), Log::new());
        let (awaited, seen) = (event.clone(), log.clone());
        let task = create_task(async move {
            awaited.wait().await?;
            seen.push(1);
            Ok(())
        });
        assert_eq!(log.after_a_turn().await?, []);
        event.set();
        event.clear();
        let mut shown = vec![format!("{event:?}")];
        event.set();
        event.set();
        shown.push(format!("{event:?}"));
        assert_eq!(log.after_a_turn().await?, [1]);
        shown.push(format!("{event:?}"));
        let lines = [
            "<Event [unset, waiters:1]>",
            "<Event [set, waiters:1]>",
            "<Event [set]>",
        ];
        assert_eq!(shown, lines);
        assert!(task.done());
        Ok(())
    });
}

// ConditionTests

#[test]
fn a_notified_task_goes_on_when_it_has_the_lock_again() {
    run(async {
        let (condition, log) = (Condition::new(), Log::new());
        let tasks = [1, 2, 3].map(|number| {
            let (condition, log) = (condition.clone(), log.clone());
            create_task(async move {
                condition.acquire().await?;
                condition.wait().await?;
                log.push(number);
                Ok(())
            })
        });
        let mut trace = vec![(log.after_a_turn().await?, condition.locked())];
        condition.acquire().await?;
        condition.notify(1)?;
        trace.push((log.after_a_turn().await?, condition.locked()));
        condition.release()?;
        trace.push((log.after_a_turn().await?, condition.locked()));
        condition.notify(2)?;
        trace.push((log.after_a_turn().await?, condition.locked()));
        condition.release()?;
        trace.push((log.after_a_turn().await?, condition.locked()));
        condition.release()?;
        trace.push((log.after_a_turn().await?, condition.locked()));
        let expected = [
            (vec![], false),
            (vec![], true),
            (vec![1], true),
            (vec![1], true),
            (vec![1, 2], true),
            (vec![1, 2, 3], true),
        ];
        assert_eq!(trace, expected);
        assert!(tasks.iter().all(Task::done));
        Ok(())
    });
}

#[test]
fn a_cancelled_wait_holds_the_lock_again() {
    run(async {
        let condition = Condition::new();
        condition.acquire().await?;
        let wait = create_task(condition.wait());
        cancel_soon(&wait);
        assert_eq!(outcome(wait.await), "CancelledError");
        assert_eq!(format!("{condition:?}"), "<Condition [locked]>");
        Ok(())
    });
}

#[test]
fn a_wait_cancelled_as_it_contends_for_the_lock_takes_it_first() {
    run(async {
        let condition = Condition::new();
        condition.acquire().await?;
        let wait = create_task(condition.wait());
        turn().await?;
        let mut locked = vec![condition.locked()];
        condition.acquire().await?;
        locked.push(condition.locked());
        condition.notify(1)?;
        cancel_soon(&wait);
        let held = condition.clone();
        call_soon(move || held.release().expect("main holds the lock"));
        assert_eq!(outcome(wait.await), "CancelledError");
        locked.push(condition.locked());
        assert_eq!(locked, [false, true, true]);
        Ok(())
    });
}

#[test]
fn a_cancel_after_the_notification_waits_for_the_lock() {
    run(async {
        let (condition, waited) = (Condition::new(), Rc::new(Cell::new(false)));
        let (entered, reached) = (condition.clone(), waited.clone());
        let waiter = create_task(async move {
            let mut held = entered.enter().await?;
            reached.set(true);
            held.wait().await
        });
        turn().await?;
        condition.acquire().await?;
        condition.notify(1)?;
        turn().await?;
        waiter.cancel();
        turn().await?;
        let early = waiter.done();
        condition.release()?;
        turn().await?;
        assert_eq!([early, waiter.cancelled()], [false, true]);
        assert!(waited.get());
        Ok(())
    });
}

#[test]
fn a_wait_without_the_lock_is_a_runtime_error() {
    let waited = run(async { Ok(outcome(Condition::new().wait().await)) });
    assert_eq!(waited, "RuntimeError: cannot wait on un-acquired lock");
}

#[test]
fn wait_for_asks_its_predicate_after_every_notification() {
    run(async {
        let (condition, log) = (Condition::new(), Log::new());
        let come = Rc::new(Cell::new(false));
        let (shared, seen, asked) = (condition.clone(), log.clone(), come.clone());
        let task = create_task(async move {
            shared.acquire().await?;
            if shared.wait_for(move || asked.get()).await? {
                seen.push(1);
                shared.release()?;
            }
            Ok(())
        });
        let mut trace = vec![log.after_a_turn().await?];
        for it_has_come in [false, true] {
            come.set(it_has_come);
            condition.acquire().await?;
            condition.notify(1)?;
            condition.release()?;
            trace.push(log.after_a_turn().await?);
        }
        assert_eq!(trace, [vec![], vec![], vec![1]]);
        assert!(task.done());
        Ok(())
    });
}

#[test]
fn wait_for_needs_the_lock_only_if_it_has_to_wait() {
    run(async {
        let condition = Condition::new();
        let found = condition.wait_for(|| Some([1, 2, 3])).await?;
        assert_eq!(found, Some([1, 2, 3]));
        let waited = condition.wait_for(|| false).await;
        let text = "RuntimeError: cannot wait on un-acquired lock";
        assert_eq!(outcome(waited), text);
        Ok(())
    });
}

/// A task that waits for one notification, and says its number.
fn wait_once(condition: &Condition, number: i32, log: &Log<i32>) -> Task<()> {
    let (condition, log) = (condition.clone(), log.clone());
    create_task(async move {
        condition.acquire().await?;
        condition.wait().await?;
        log.push(number);
        condition.release()
    })
}

#[test]
fn notify_wakes_as_many_as_it_is_told_to() {
    run(async {
        let (condition, log) = (Condition::new(), Log::new());
        let tasks = [1, 2, 3].map(|number| wait_once(&condition, number, &log));
        let mut trace = vec![log.after_a_turn().await?];
        condition.acquire().await?;
        condition.notify(1)?;
        condition.release()?;
        trace.push(log.after_a_turn().await?);
        trace.push(log.after_a_turn().await?);
        condition.acquire().await?;
        condition.notify(1)?;
        condition.notify(2048)?;
        condition.release()?;
        trace.push(log.after_a_turn().await?);
        assert_eq!(trace, [vec![], vec![1], vec![1], vec![1, 2, 3]]);
        assert!(tasks.iter().all(Task::done));
        Ok(())
    });
}

#[test]
fn notify_all_wakes_all_in_their_order() {
    run(async {
        let (condition, log) = (Condition::new(), Log::new());
        let tasks = [1, 2].map(|number| wait_once(&condition, number, &log));
        let mut trace = vec![log.after_a_turn().await?];
        condition.acquire().await?;
        condition.notify_all()?;
        condition.release()?;
        trace.push(log.after_a_turn().await?);
        assert_eq!(trace, [vec![], vec![1, 2]]);
        assert!(tasks.iter().all(Task::done));
        Ok(())
    });
}

#[test]
fn notify_without_the_lock_is_a_runtime_error() {
    let notified = outcome(Condition::new().notify(1));
    assert_eq!(notified, "RuntimeError: cannot notify on un-acquired lock");
}

#[test]
fn notify_all_without_the_lock_is_a_runtime_error() {
    let notified = outcome(Condition::new().notify_all());
    assert_eq!(notified, "RuntimeError: cannot notify on un-acquired lock");
}

#[test]
fn a_condition_prints_its_lock_and_its_waiters() {
    let shown = run(async {
        let condition = Condition::new();
        let mut shown = vec![format!("{condition:?}")];
        for _ in 0..2 {
            let entered = condition.clone();
            create_task(async move { entered.enter().await?.wait().await });
            turn().await?;
            shown.push(format!("{condition:?}"));
        }
        let _held = condition.enter().await?;
        shown.push(format!("{condition:?}"));
        condition.notify_all()?;
        turn().await?;
        shown.push(format!("{condition:?}"));
        Ok(shown)
    });
    let lines = [
        "<Condition [unlocked]>",
        "<Condition [unlocked, waiters:1]>",
        "<Condition [unlocked, waiters:2]>",
        "<Condition [locked, waiters:2]>",
        "<Condition [locked]>",
    ];
    assert_eq!(shown, lines);
}

#[test]
fn a_condition_is_held_for_as_long_as_its_guard_lives() {
    run(async {
        let condition = Condition::new();
        let mut locked = vec![condition.locked()];
        {
            let _held = condition.enter().await?;
            locked.push(condition.locked());
        }
        locked.push(condition.locked());
        assert_eq!(locked, [false, true, false]);
        Ok(())
    });
}

#[test]
fn a_condition_and_the_lock_it_was_given_are_held_together() {
    run(async {
        let lock = Lock::new();
        let condition = Condition::with_lock(&lock);
        let both = || (lock.locked(), condition.locked());
        let mut trace = vec![both()];
        let held = condition.enter().await?;
        trace.push(both());
        drop(held);
        trace.push(both());
        let held = lock.enter().await?;
        trace.push(both());
        drop(held);
        trace.push(both());
        let (free, taken) = ((false, false), (true, true));
        assert_eq!(trace, [free, taken, free, taken, free]);
        Ok(())
    });
}

#[test]
fn lock_and_condition_refuse_to_wait_in_another_loop() {
    let (lock, condition) = (Lock::new(), Condition::new());
    run(async {
        // What makes a task wait belongs to this loop from then on.
        lock.acquire().await?;
        assert!(wait_for(lock.acquire(), ms(1)).await.is_err());
        lock.release()?;
        condition.acquire().await?;
        assert!(wait_for(condition.wait(), ms(1)).await.is_err());
        condition.release()
    });
    let refused = run(async {
        let _held = lock.enter().await?; // goes through: it need not wait
        let of_that_lock = Condition::with_lock(&lock);
        let by_lock = outcome(of_that_lock.acquire().await);
        let _held = condition.enter().await?;
        Ok([by_lock, outcome(condition.wait().await)])
    });
    let texts = [
        "RuntimeError: <Lock [locked]> is bound to a different event loop",
        "RuntimeError: <Condition [locked]> is bound to a different event loop",
    ];
    assert_eq!(refused, texts);
    assert_eq!((lock.locked(), condition.locked()), (false, false));
}

#[test]
fn a_wait_that_timed_out_holds_the_lock_again() {
    run(async {
        let condition = Condition::new();
        {
            let mut held = condition.enter().await?;
            let waited = wait_for(held.wait(), ms(500)).await;
            assert_eq!(outcome(waited), "TimeoutError");
            assert!(condition.locked());
        }
        assert!(!condition.locked());
        Ok(())
    });
}

/// A task whose `wait_for` can only end with an error: what it ended with, and whether the lock was held then.
fn wait_in_vain(condition: &Condition, log: &Log<(String, bool)>) -> Task<bool> {
    let (condition, log) = (condition.clone(), log.clone());
    create_task(async move {
        let mut held = condition.enter().await?;
        let waited = held.wait_for(|| false).await;
        log.push((outcome(waited.clone()), condition.locked()));
        waited
    })
}

#[test]
fn a_cancel_at_the_wakeup_comes_out_as_it_went_in() {
    run(async {
        let (condition, log) = (Condition::new(), Log::new());
        let mut task = wait_in_vain(&condition, &log);
        turn().await?;
        task.cancel();
        assert_eq!(outcome((&mut task).await), "CancelledError");
        assert_eq!(log.seen(), [("CancelledError".to_string(), true)]);
        assert_eq!((task.cancelled(), condition.locked()), (true, false));
        Ok(())
    });
}

#[test]
fn a_cancel_at_the_reacquire_comes_out_as_it_went_in() {
    run(async {
        let (condition, log) = (Condition::new(), Log::new());
        let mut task = wait_in_vain(&condition, &log);
        turn().await?;
        condition.acquire().await?;
        condition.notify(1)?;
        turn().await?;
        task.cancel();
        condition.release()?;
        assert_eq!(outcome((&mut task).await), "CancelledError");
        assert_eq!(log.seen(), [("CancelledError".to_string(), true)]);
        assert_eq!((task.cancelled(), condition.locked()), (true, false));
        Ok(())
    });
}

/// Takes an item off the shelf whenever there is one, until the shelf is closed with a number below zero.
async fn consume(condition: Condition, shelf: Rc<Cell<i32>>) -> Result<()> {
    let mut held = condition.enter().await?;
    loop {
        held.wait_for(|| shelf.get() != 0).await?;
        if shelf.get() < 0 {
            return Ok(());
        }
        shelf.set(shelf.get() - 1);
    }
}

/// Notifies the first of two consumers and cancels it, now or a turn later: is the item consumed, and how do they end?
fn cancel_a_notified_consumer(a_turn_later: bool) -> (i32, Vec<String>) {
    run(async {
        let (condition, shelf) = (Condition::new(), Rc::new(Cell::new(0)));
        let consumers = [0, 1].map(|_| create_task(consume(condition.clone(), shelf.clone())));
        turn().await?;
        let mut held = condition.enter().await?;
        shelf.set(shelf.get() + 1);
        held.notify(1)?;
        if a_turn_later {
            turn().await?;
        }
        consumers[0].cancel();
        let _consumed = wait_for(held.wait_for(|| shelf.get() == 0), ms(10)).await;
        let left = shelf.get();
        shelf.set(-1);
        held.notify_all()?;
        drop(held);
        Ok((left, outcomes(gather(consumers).await)))
    })
}

#[test]
fn a_notification_that_meets_a_cancel_goes_to_the_next() {
    let (left, ends) = cancel_a_notified_consumer(false);
    assert_eq!(
        (left, ends),
        (0, vec!["CancelledError".into(), "()".into()])
    );
}

#[test]
fn a_notification_whose_task_is_cancelled_at_the_lock_goes_to_the_next() {
    let (left, ends) = cancel_a_notified_consumer(true);
    assert_eq!(
        (left, ends),
        (0, vec!["CancelledError".into(), "()".into()])
    );
}

// SemaphoreTests

#[test]
fn a_semaphore_of_nothing_is_locked() {
    assert!(Semaphore::new(0).locked());
}

#[test]
fn a_semaphore_prints_its_value_or_its_waiters() {
    let shown = run(async {
        let semaphore = Semaphore::default();
        let mut shown = vec![format!("{semaphore:?}")];
        semaphore.acquire().await?;
        shown.push(format!("{semaphore:?}"));
        for _ in 0..2 {
            create_task(semaphore.acquire());
            turn().await?;
            shown.push(format!("{semaphore:?}"));
        }
        Ok(shown)
    });
    let lines = [
        "<Semaphore [unlocked, value:1]>",
        "<Semaphore [locked]>",
        "<Semaphore [locked, waiters:1]>",
        "<Semaphore [locked, waiters:2]>",
    ];
    assert_eq!(shown, lines);
}

#[test]
fn a_semaphore_itself_cannot_be_awaited() {
    let awaitable = [awaitable!(Semaphore), awaitable!(BoundedSemaphore)];
    assert_eq!(awaitable, [false, false]);
    let shown = format!("{:?}", Semaphore::default());
    assert_eq!(shown, "<Semaphore [unlocked, value:1]>");
}

/// A task that acquires and says its number, for good.
fn take(semaphore: &Semaphore, number: i32, log: &Log<i32>) -> Task<i32> {
    let (semaphore, log) = (semaphore.clone(), log.clone());
    create_task(async move {
        semaphore.acquire().await?;
        log.push(number);
        Ok(number)
    })
}

#[test]
fn a_semaphore_lets_in_as_many_as_it_was_given_back() {
    run(async {
        let (semaphore, log) = (Semaphore::new(3), Log::new());
        semaphore.acquire().await?;
        semaphore.acquire().await?;
        let mut shown = vec![format!("{semaphore:?}")];
        let [first, second, third] = [1, 2, 3].map(|number| take(&semaphore, number, &log));
        assert_eq!(log.after_a_turn().await?, [1]);
        shown.push(format!("{semaphore:?}"));
        let fourth = take(&semaphore, 4, &log);
        semaphore.release();
        semaphore.release();
        assert_eq!(log.after_a_turn().await?, [1, 2, 3]);
        shown.push(format!("{semaphore:?}"));
        let lines = [
            "<Semaphore [unlocked, value:1]>",
            "<Semaphore [locked, waiters:2]>",
            "<Semaphore [locked, waiters:1]>",
        ];
        assert_eq!(shown, lines);
        let done = [first.done(), second.done(), third.done(), fourth.done()];
        assert_eq!(done, [true, true, true, false]);
        semaphore.release();
        let results = gather([first, second, third, fourth]).await;
        assert_eq!(outcomes(results), ["1", "2", "3", "4"]);
        Ok(())
    });
}

#[test]
fn a_cancelled_acquire_leaves_no_waiter_with_the_semaphore() {
    run(async {
        let semaphore = Semaphore::default();
        semaphore.acquire().await?;
        let task = create_task(semaphore.acquire());
        cancel_soon(&task);
        assert_eq!(outcome(task.await), "CancelledError");
        assert_eq!(format!("{semaphore:?}"), "<Semaphore [locked]>");
        Ok(())
    });
}

#[test]
fn a_release_walks_past_those_cancelled_before_it() {
    run(async {
        let semaphore = Semaphore::new(0);
        let tasks = [0; 4].map(|_| create_task(semaphore.acquire()));
        turn().await?;
        tasks[0].cancel();
        tasks[1].cancel();
        semaphore.release();
        turn().await?;
        turn().await?;
        let ended = tasks.each_ref().map(|task| (task.done(), task.cancelled()));
        let (cancelled, acquired, pending) = ((true, true), (true, false), (false, false));
        assert_eq!(ended, [cancelled, cancelled, acquired, pending]);
        tasks[3].cancel();
        turn().await
    });
}

#[test]
fn a_permit_given_back_to_a_cancelled_task_is_not_lost() {
    run(async {
        let semaphore = Semaphore::new(0);
        let [first, second] = [0; 2].map(|_| create_task(semaphore.acquire()));
        turn().await?;
        first.cancel();
        semaphore.release();
        turn().await?;
        turn().await?;
        assert_eq!((semaphore.locked(), second.done()), (true, true));
        Ok(())
    });
}

#[test]
fn a_woken_task_that_is_cancelled_gives_its_permit_back() {
    run(async {
        let semaphore = Semaphore::new(1);
        let other = Rc::new(OnceCell::<TaskHandle>::new());
        let (shared, cancelled) = (semaphore.clone(), other.clone());
        let first = create_task(async move {
            {
                let _permit = shared.enter().await?;
                turn().await?;
            }
            cancelled.get().expect("both are made by now").cancel();
            Ok(())
        });
        let shared = semaphore.clone();
        let second = create_task(async move {
            let _permit = shared.enter().await?;
            panic!("it is cancelled before it gets in");
        });
        other.set(second.handle()).expect("it is set once");
        let results = gather([first, second]).await;
        assert_eq!(outcomes(results), ["()", "CancelledError"]);
        let again = wait_for(semaphore.acquire(), Duration::from_secs(1)).await;
        assert_eq!(outcome(again), "()");
        Ok(())
    });
}

#[test]
fn one_release_too_many_of_a_bounded_semaphore_is_a_value_error() {
    let released = outcome(BoundedSemaphore::default().release());
    let text = "ValueError: BoundedSemaphore released too many times";
    assert_eq!(released, text);
}

#[test]
fn a_release_that_nobody_waits_for_frees_the_semaphore() {
    run(async {
        let semaphore = Semaphore::default();
        semaphore.acquire().await?;
        let before = semaphore.locked();
        semaphore.release();
        assert_eq!([before, semaphore.locked()], [true, false]);
        Ok(())
    });
}

#[test]
fn a_permit_goes_round_and_round_in_the_order_of_asking() {
    run(async {
        let (semaphore, log) = (Semaphore::new(1), Log::new());
        let tasks = ["c1", "c2", "c3"].map(|tag| {
            let (semaphore, log) = (semaphore.clone(), log.clone());
            create_task(async move {
                for time in 1..=2 {
                    semaphore.acquire().await?;
                    log.push(format!("{tag}_{time}"));
                    sleep(ms(10)).await?;
                    semaphore.release();
                }
                Ok(())
            })
        });
        assert_eq!(outcomes(gather(tasks).await), ["()"; 3]);
        let order = ["c1_1", "c2_1", "c3_1", "c1_2", "c2_2", "c3_2"];
        assert_eq!(log.seen(), order);
        Ok(())
    });
}

#[test]
fn whoever_gives_a_permit_back_queues_behind_the_others() {
    run(async {
        let (semaphore, log) = (Semaphore::new(1), Log::new());
        let first = take(&semaphore, 1, &log);
        let (shared, seen) = (semaphore.clone(), log.clone());
        let second = create_task(async move {
            shared.acquire().await?;
            seen.push(2);
            shared.release();
            shared.acquire().await?;
            seen.push(4);
            Ok(4)
        });
        let third = take(&semaphore, 3, &log);
        turn().await?;
        semaphore.release();
        semaphore.release();
        let results = gather([first, second, third]).await;
        assert_eq!(outcomes(results), ["1", "4", "3"]);
        assert_eq!(log.seen(), [1, 2, 3, 4]);
        Ok(())
    });
}

#[test]
fn the_first_in_the_queue_may_be_cancelled_away() {
    run(async {
        let (semaphore, log) = (Semaphore::new(0), Log::new());
        let tasks = [1, 2, 3].map(|number| take(&semaphore, number, &log));
        turn().await?;
        tasks[0].cancel();
        turn().await?;
        semaphore.release();
        semaphore.release();
        let results = gather(tasks).await;
        assert_eq!(outcomes(results), ["CancelledError", "2", "3"]);
        assert_eq!(log.seen(), [2, 3]);
        Ok(())
    });
}

#[test]
fn one_acquire_wakes_all_that_its_queue_kept_out() {
    run(async {
        let (semaphore, log) = (Semaphore::new(0), Log::new());
        let fourth = Rc::new(OnceCell::new());
        let (shared, seen, made) = (semaphore.clone(), log.clone(), fourth.clone());
        let first = create_task(async move {
            shared.acquire().await?;
            let (locked, last) = (shared.locked(), seen.clone());
            let task = create_task(async move {
                last.push(4);
                Ok(())
            });
            assert!(made.set(task).is_ok() && locked);
            seen.push(1);
            Ok(1)
        });
        let (shared, seen) = (semaphore.clone(), log.clone());
        let second = create_task(async move {
            for _ in 0..3 {
                shared.release();
            }
            assert!(shared.locked(), "the first has not run yet");
            shared.acquire().await?;
            seen.push(2);
            Ok(2)
        });
        let third = take(&semaphore, 3, &log);
        turn().await?;
        assert_eq!(format!("{semaphore:?}"), "<Semaphore [locked, waiters:3]>");
        turn().await?;
        let results = gather([first, second, third]).await;
        assert_eq!(outcomes(results), ["1", "2", "3"]);
        assert!(fourth.get().is_some_and(Task::done));
        assert_eq!(log.seen(), [1, 2, 3, 4]);
        Ok(())
    });
}

// BarrierTests

const N: usize = 5;

/// `make_tasks`: so many tasks of one coroutine.
fn make_tasks<T: 'static, F>(count: usize, coro: impl Fn() -> F) -> Vec<Task<T>>
where
    F: Future<Output = Result<T>> + 'static,
{
    (0..count).map(|_| create_task(coro())).collect()
}

/// What `n_waiting` and `broken` say, by which most cases end.
fn state(barrier: &Barrier) -> (usize, bool) {
    (barrier.n_waiting(), barrier.broken())
}

const EMPTY: (usize, bool) = (0, false);
const BROKEN: (usize, bool) = (0, true);

#[test]
fn a_barrier_itself_cannot_be_awaited() {
    let barrier = Barrier::new(N).unwrap();
    let shown = format!("{barrier:?}");
    assert_eq!(
        (awaitable!(Barrier), shown.as_str()),
        (false, "<Barrier [filling, waiters:0/5]>")
    );
}

#[test]
fn a_barrier_prints_its_four_states() {
    let shown = run(async {
        let barrier = Barrier::new(N)?;
        let mut shown = vec![format!("{barrier:?}")];
        let mut tasks = make_tasks(2, || barrier.wait());
        turn().await?;
        shown.push(format!("{barrier:?}"));
        let missing = barrier.parties() - barrier.n_waiting();
        tasks.extend(make_tasks(missing, || barrier.wait()));
        turn().await?;
        shown.push(format!("{barrier:?}"));
        tasks.extend(make_tasks(2, || barrier.wait()));
        turn().await?;
        barrier.reset().await?;
        shown.push(format!("{barrier:?}"));
        tasks.extend(make_tasks(2, || barrier.wait()));
        turn().await?;
        barrier.abort().await?;
        shown.push(format!("{barrier:?}"));
        gather(tasks).await;
        Ok(shown)
    });
    let lines = [
        "<Barrier [filling, waiters:0/5]>",
        "<Barrier [filling, waiters:2/5]>",
        "<Barrier [draining, waiters:0/5]>",
        "<Barrier [resetting, waiters:0/5]>",
        "<Barrier [broken]>",
    ];
    assert_eq!(shown, lines);
}

#[test]
fn a_barrier_for_nobody_is_a_value_error() {
    let made = |parties| outcome(Barrier::new(parties).map(|barrier| barrier.parties()));
    assert_eq!([made(0), made(N)], ["ValueError: parties must be > 0", "5"]);
}

#[test]
fn every_task_passes_a_barrier_with_a_position_of_its_own() {
    run(async {
        let (barrier, log) = (Barrier::new(3)?, Log::new());
        let tasks = make_tasks(3, || {
            let (barrier, log) = (barrier.clone(), log.clone());
            async move {
                log.push(barrier.wait().await?);
                Ok(())
            }
        });
        gather(tasks).await;
        assert_eq!(log.seen(), [2, 0, 1]);
        assert_eq!(state(&barrier), EMPTY);
        Ok(())
    });
}

#[test]
fn a_barrier_of_one_lets_its_task_pass_at_once() {
    let barrier = Barrier::new(1).unwrap();
    let passed = nothing_is_awaited(barrier.wait());
    assert_eq!(passed.map(outcome), Some("0".to_string()));
    assert_eq!(state(&barrier), EMPTY);
}

#[test]
fn a_barrier_of_one_can_be_passed_again() {
    run(async {
        let barrier = Barrier::new(1)?;
        let first = create_task(barrier.wait());
        turn().await?;
        assert_eq!((state(&barrier), first.done()), (EMPTY, true));
        let second = create_task(barrier.wait());
        turn().await?;
        assert_eq!((state(&barrier), second.done()), (EMPTY, true));
        assert_eq!(outcomes(gather([first, second]).await), ["0", "0"]);
        Ok(())
    });
}

#[test]
fn a_barrier_fills_task_by_task() {
    run(async {
        let barrier = Barrier::new(3)?;
        let (mut tasks, mut shown) = (Vec::new(), Vec::new());
        for _ in 0..3 {
            tasks.push(create_task(barrier.wait()));
            turn().await?;
            shown.push(format!("{barrier:?}"));
        }
        let lines = [
            "<Barrier [filling, waiters:1/3]>",
            "<Barrier [filling, waiters:2/3]>",
            "<Barrier [draining, waiters:0/3]>",
        ];
        assert_eq!(shown, lines);
        assert_eq!(outcomes(gather(tasks).await), ["0", "1", "2"]);
        assert_eq!(state(&barrier), EMPTY);
        Ok(())
    });
}

#[test]
fn a_barrier_serves_the_same_tasks_twice() {
    run(async {
        let (barrier, log) = (Barrier::new(N)?, Log::new());
        let tasks = make_tasks(N, || {
            let (barrier, log) = (barrier.clone(), log.clone());
            async move {
                barrier.wait().await?;
                log.push(true);
                barrier.wait().await?;
                log.push(false);
                Ok(())
            }
        });
        gather(tasks).await;
        assert_eq!(log.seen(), [[true; N], [false; N]].concat());
        assert_eq!(state(&barrier), EMPTY);
        Ok(())
    });
}

#[test]
fn a_second_round_hands_out_every_position_again() {
    run(async {
        let barrier = Barrier::new(N)?;
        let tasks = make_tasks(N, || {
            let barrier = barrier.clone();
            async move {
                barrier.wait().await?;
                barrier.wait().await
            }
        });
        let positions = outcomes(gather(tasks).await);
        assert_eq!(positions, ["2", "3", "4", "0", "1"]);
        assert_eq!(state(&barrier), EMPTY);
        Ok(())
    });
}

#[test]
fn a_barrier_drains_until_the_last_task_is_out() {
    run(async {
        let (barrier, log) = (Barrier::new(N)?, Log::new());
        let tasks = make_tasks(N, || {
            let (barrier, log) = (barrier.clone(), log.clone());
            async move {
                barrier.wait().await?;
                log.push(format!("{barrier:?}").contains("draining"));
                Ok(())
            }
        });
        gather(tasks).await;
        assert_eq!(log.seen(), [true, true, true, true, false]);
        assert_eq!(state(&barrier), EMPTY);
        Ok(())
    });
}

#[test]
fn those_who_come_back_while_it_drains_are_held_up() {
    run(async {
        let (barrier, rest) = (Barrier::new(N)?, Barrier::new(N - 2)?);
        let again = Rc::new(Cell::new(2));
        let tasks = make_tasks(N, || {
            let (barrier, rest, again) = (barrier.clone(), rest.clone(), again.clone());
            async move {
                barrier.wait().await?;
                if again.get() > 0 {
                    again.set(again.get() - 1);
                } else {
                    rest.wait().await?;
                }
                barrier.wait().await
            }
        });
        let positions = outcomes(gather(tasks).await);
        assert_eq!(positions, ["2", "3", "4", "0", "1"]);
        assert_eq!((state(&barrier), state(&rest)), (EMPTY, EMPTY));
        Ok(())
    });
}

#[test]
fn a_cancelled_task_leaves_its_place_to_another() {
    run(async {
        let (barrier, log) = (Barrier::new(3)?, Log::new());
        let enter = || {
            let (barrier, log) = (barrier.clone(), log.clone());
            create_task(async move {
                barrier.wait().await?;
                log.push(true);
                Ok(())
            })
        };
        let mut first = enter();
        turn().await?;
        let mut waiting = vec![barrier.n_waiting()];
        let second = enter();
        turn().await?;
        waiting.push(barrier.n_waiting());
        first.cancel();
        turn().await?;
        waiting.push(barrier.n_waiting());
        assert_eq!(outcome((&mut first).await), "CancelledError");
        assert!(first.cancelled());
        let third = enter();
        turn().await?;
        waiting.push(barrier.n_waiting());
        assert_eq!(waiting, [1, 2, 1, 2]);
        let results = gather([second, third, enter()]).await;
        assert_eq!(outcomes(results), ["()"; 3]);
        assert_eq!((log.seen(), state(&barrier)), (vec![true; 3], EMPTY));
        Ok(())
    });
}

#[test]
fn a_reset_of_an_empty_barrier_changes_nothing() {
    run(async {
        let barrier = Barrier::new(1)?;
        let reset = create_task(barrier.reset());
        turn().await?;
        assert_eq!((reset.done(), state(&barrier)), (true, EMPTY));
        Ok(())
    });
}

#[test]
fn a_reset_sends_those_who_wait_away() {
    run(async {
        let barrier = Barrier::new(N)?;
        let tasks = make_tasks(N - 1, || barrier.wait());
        turn().await?;
        create_task(barrier.reset());
        let text = "BrokenBarrierError: Abort or reset of barrier";
        assert_eq!(outcomes(gather(tasks).await), [text; N - 1]);
        let shown = format!("{barrier:?}");
        assert_eq!(shown, "<Barrier [filling, waiters:0/5]>");
        Ok(())
    });
}

#[test]
fn a_reset_half_way_through_the_draining_breaks_the_rest() {
    run(async {
        let (barrier, broken) = (Barrier::new(N)?, Log::new());
        let passed = Rc::new(Cell::new(0));
        let tasks = make_tasks(N, || {
            let (barrier, broken, passed) = (barrier.clone(), broken.clone(), passed.clone());
            async move {
                match barrier.wait().await {
                    Ok(_) => {
                        passed.set(passed.get() + 1);
                        if N - passed.get() == N / 2 {
                            barrier.reset().await?;
                        }
                    }
                    Err(Error::BrokenBarrier(_)) => broken.push(true),
                    Err(other) => return Err(other),
                }
                Ok(())
            }
        });
        assert_eq!(outcomes(gather(tasks).await), ["()"; N]);
        assert_eq!(
            (passed.get(), broken.seen()),
            (N - N / 2, vec![true; N / 2])
        );
        let shown = format!("{barrier:?}");
        assert_eq!(shown, "<Barrier [filling, waiters:0/5]>");
        Ok(())
    });
}

#[test]
fn a_reset_while_it_drains_spares_those_who_come_back() {
    run(async {
        let (barrier, draining, blocked) = (Barrier::new(N)?, Log::new(), Log::new());
        let passed = Rc::new(Cell::new(0));
        let tasks = make_tasks(N, || {
            let (barrier, passed) = (barrier.clone(), passed.clone());
            let (draining, blocked) = (draining.clone(), blocked.clone());
            async move {
                if let Err(error) = barrier.wait().await {
                    draining.push(error.to_string());
                    barrier.wait().await?;
                    return Ok(());
                }
                passed.set(passed.get() + 1);
                if passed.get() > N / 2 {
                    barrier.reset().await?;
                    barrier.wait().await?;
                } else if let Err(error) = barrier.wait().await {
                    blocked.push(error.to_string());
                }
                Ok(())
            }
        });
        assert_eq!(outcomes(gather(tasks).await), ["()"; N]);
        let text = "BrokenBarrierError: Abort or reset of barrier";
        assert_eq!(
            (draining.seen(), blocked.seen()),
            (vec![text.to_string(); N / 2], vec![])
        );
        let shown = format!("{barrier:?}");
        assert_eq!(shown, "<Barrier [filling, waiters:0/5]>");
        Ok(())
    });
}

#[test]
fn those_a_reset_sent_away_may_wait_again() {
    run(async {
        let (barrier, reset, passed) = (Barrier::new(N)?, Log::new(), Log::new());
        let tasks = make_tasks(N - 1, || {
            let (barrier, reset, passed) = (barrier.clone(), reset.clone(), passed.clone());
            async move {
                if let Err(Error::BrokenBarrier(_)) = barrier.wait().await {
                    reset.push(true);
                }
                barrier.wait().await?;
                passed.push(true);
                Ok(())
            }
        });
        create_task(barrier.reset());
        turn().await?;
        let (last, passes) = (barrier.clone(), passed.clone());
        create_task(async move {
            last.wait().await?;
            passes.push(true);
            Ok(())
        });
        assert_eq!(outcomes(gather(tasks).await), ["()"; N - 1]);
        assert_eq!(
            (reset.seen(), passed.seen()),
            (vec![true; N - 1], vec![true; N])
        );
        assert_eq!(state(&barrier), EMPTY);
        Ok(())
    });
}

#[test]
fn a_reset_by_the_last_one_out_finds_the_barrier_filling_again() {
    run(async {
        let (barrier, again, third) = (Barrier::new(N)?, Log::new(), Log::new());
        let count = Rc::new(Cell::new(0));
        let tasks = make_tasks(N, || {
            let (barrier, count) = (barrier.clone(), count.clone());
            let (again, third) = (again.clone(), third.clone());
            async move {
                barrier.wait().await?;
                count.set(count.get() + 1);
                if count.get() == N {
                    barrier.reset().await?;
                    barrier.wait().await?;
                } else {
                    again.push(barrier.wait().await.is_ok());
                }
                barrier.wait().await?;
                third.push(true);
                Ok(())
            }
        });
        assert_eq!(outcomes(gather(tasks).await), ["()"; N]);
        assert_eq!(
            (again.seen(), third.seen()),
            (vec![true; N - 1], vec![true; N])
        );
        assert_eq!(state(&barrier), EMPTY);
        Ok(())
    });
}

#[test]
fn an_abort_breaks_an_empty_barrier() {
    run(async {
        let barrier = Barrier::new(1)?;
        create_task(barrier.abort());
        turn().await?;
        assert_eq!(state(&barrier), BROKEN);
        Ok(())
    });
}

#[test]
fn an_abort_breaks_those_who_drain_and_those_who_came_back() {
    run(async {
        let (barrier, draining, blocked) = (Barrier::new(N)?, Log::new(), Log::new());
        let passed = Rc::new(Cell::new(0));
        let tasks = make_tasks(N, || {
            let (barrier, passed) = (barrier.clone(), passed.clone());
            let (draining, blocked) = (draining.clone(), blocked.clone());
            async move {
                if let Err(error) = barrier.wait().await {
                    draining.push(error.to_string());
                    return Ok(());
                }
                passed.set(passed.get() + 1);
                if passed.get() > N / 2 {
                    barrier.abort().await?;
                } else if let Err(error) = barrier.wait().await {
                    blocked.push(error.to_string());
                }
                Ok(())
            }
        });
        assert_eq!(outcomes(gather(tasks).await), ["()"; N]);
        let drained = vec!["BrokenBarrierError: Abort or reset of barrier".to_string(); N / 2];
        let came_back = vec!["BrokenBarrierError: Barrier aborted".to_string(); N - N / 2 - 1];
        assert_eq!((draining.seen(), blocked.seen()), (drained, came_back));
        assert_eq!(state(&barrier), BROKEN);
        Ok(())
    });
}

#[test]
fn an_abort_on_one_tasks_error_stops_the_others() {
    run(async {
        let (barrier, passed, stopped) = (Barrier::new(N)?, Log::new(), Log::new());
        let tasks = make_tasks(N, || {
            let (barrier, passed, stopped) = (barrier.clone(), passed.clone(), stopped.clone());
            async move {
                let twice = async {
                    if barrier.wait().await? == N / 2 {
                        return Err(Error::Runtime("".into()));
                    }
                    barrier.wait().await?;
                    passed.push(true);
                    Ok(())
                };
                match twice.await {
                    Err(Error::BrokenBarrier(_)) => stopped.push(true),
                    Err(Error::Runtime(_)) => barrier.abort().await?,
                    other => other?,
                }
                Ok(())
            }
        });
        assert_eq!(outcomes(gather(tasks).await), ["()"; N]);
        assert_eq!((passed.seen(), stopped.seen()), (vec![], vec![true; N - 1]));
        assert_eq!(state(&barrier), BROKEN);
        Ok(())
    });
}

#[test]
fn a_reset_makes_an_aborted_barrier_whole() {
    run(async {
        let (barrier, meeting) = (Barrier::new(N)?, Barrier::new(N)?);
        let (passed, stopped, third) = (Log::new(), Log::new(), Log::new());
        let tasks = make_tasks(N, || {
            let (barrier, meeting) = (barrier.clone(), meeting.clone());
            let (passed, stopped, third) = (passed.clone(), stopped.clone(), third.clone());
            async move {
                let twice = async {
                    if barrier.wait().await? == N / 2 {
                        return Err(Error::Runtime("".into()));
                    }
                    barrier.wait().await?;
                    passed.push(true);
                    Ok(())
                };
                match twice.await {
                    Err(Error::BrokenBarrier(_)) => stopped.push(true),
                    Err(Error::Runtime(_)) => barrier.abort().await?,
                    other => other?,
                }
                // All have left it before it is reset, and nobody enters it before that.
                if meeting.wait().await? == N / 2 {
                    barrier.reset().await?;
                }
                meeting.wait().await?;
                barrier.wait().await?;
                third.push(true);
                Ok(())
            }
        });
        assert_eq!(outcomes(gather(tasks).await), ["()"; N]);
        assert_eq!((passed.seen(), stopped.seen()), (vec![], vec![true; N - 1]));
        assert_eq!((third.seen(), state(&barrier)), (vec![true; N], EMPTY));
        Ok(())
    });
}

/// `loop.call_soon(task.cancel)`.
fn cancel_soon<T>(task: &Task<T>) {
    let handle = task.handle();
    call_soon(move || {
        handle.cancel();
    });
}
