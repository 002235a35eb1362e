//! One turn of the loop: what runs in it, in which order, and how the loop comes to its end.
//!
//! The traces are what CPython prints for the same program, unless the name says that two clocks or threads are involved.

use crate::kit::*;
use futures::{channel::oneshot, poll};
use soloop::{
    Barrier, Condition, Error, Event, EventLoop, Lock, Result, Semaphore, Turn, create_task, sleep,
    time, wait_for,
};
use std::{cell::Cell, pin::pin, rc::Rc, thread, time::Duration};

async fn nap_and_note(name: &str, n: u64) -> Result<()> {
    nap(n).await?;
    note(name);
    Ok(())
}

/// `a1 a2 a3`, with a turn in between.
async fn thrice(name: &str) -> Result<()> {
    for round in 1..4 {
        note(format_args!("{name}{round}"));
        turns(1).await?;
    }
    Ok(())
}

async fn wait_and_note(name: &str, event: Event) -> Result<()> {
    event.wait().await?;
    note(name);
    Ok(())
}

#[test]
fn tasks_take_their_steps_in_the_order_in_which_they_were_queued() {
    let trace = trace_of(async {
        for name in ["a", "b", "c"] {
            create_task(thrice(name));
        }
        note("m0");
        turns(1).await?;
        note("m1");
        turns(3).await
    });
    assert_eq!(trace, "m0 a1 b1 c1 m1 a2 b2 c2 a3 b3 c3");
}

#[test]
fn what_a_turn_queues_runs_in_the_next() {
    let trace = trace_of(async {
        create_task(async {
            create_task(say("child"));
            say("parent").await
        });
        create_task(say("other"));
        turns(1).await?;
        note("m1");
        turns(1).await?;
        say("m2").await
    });
    assert_eq!(trace, "parent other m1 child m2");
}

#[test]
fn a_wake_queues_at_the_tail() {
    let trace = trace_of(async {
        let event = Event::new();
        create_task(wait_and_note("woken", event.clone()));
        create_task(async move {
            event.set();
            say("set").await
        });
        create_task(ticks(3));
        turns(4).await
    });
    assert_eq!(trace, "set t0 woken t1 t2");
}

#[test]
fn waiters_are_woken_behind_what_is_queued_and_before_what_comes() {
    let trace = trace_of(async {
        let event = Event::new();
        create_task(wait_and_note("a", event.clone()));
        create_task(wait_and_note("b", event.clone()));
        turns(1).await?;
        create_task(ticks(2));
        event.set();
        create_task(wait_and_note("late", event));
        note("m");
        turns(2).await
    });
    assert_eq!(trace, "m t0 a b late t1");
}

#[test]
fn a_waiter_is_woken_once_and_stays_woken() {
    let trace = trace_of(async {
        let event = Event::new();
        create_task(wait_and_note("a", event.clone()));
        turns(1).await?;
        for _ in 0..2 {
            event.set();
            event.clear();
        }
        note(format_args!("{event:?}"));
        turns(2).await?;
        note(format_args!("{event:?}"));
        Ok(())
    });
    assert_eq!(trace, "<Event [unset, waiters:1]> a <Event [unset]>");
}

#[test]
fn what_is_free_or_done_takes_no_hop() {
    let trace = trace_of(async {
        let (lock, event, condition) = (Lock::new(), Event::new(), Condition::new());
        let (semaphore, task) = (Semaphore::new(1), create_task(async { Ok(5) }));
        event.set();
        turns(1).await?;
        create_task(say("tick"));
        lock.acquire().await?;
        event.wait().await?;
        semaphore.acquire().await?;
        condition.acquire().await?;
        wait_for(event.wait(), secs(1)).await?;
        wait_for(event.wait(), None).await?;
        note(task.await?);
        turns(1).await
    });
    assert_eq!(trace, "5 tick");
}

#[test]
fn the_end_of_a_task_wakes_its_awaiter_in_one_hop() {
    async fn up(task: soloop::Task<i32>) -> Result<i32> {
        let height = task.await?;
        note(format_args!("up{height}"));
        Ok(height + 1)
    }
    let trace = trace_of(async {
        create_task(ticks(7));
        let mut task = create_task(async {
            turns(1).await?;
            note("leaf");
            Ok(0)
        });
        for _ in 0..3 {
            task = create_task(up(task));
        }
        note(format_args!("main{}", task.await?));
        Ok(())
    });
    assert_eq!(trace, "t0 t1 leaf t2 up0 t3 up1 t4 up2 t5 main3 t6");
}

#[test]
fn a_lock_goes_from_hand_to_hand_in_one_hop() {
    async fn hold(name: &str, lock: Lock) -> Result<()> {
        lock.acquire().await?;
        note(format_args!("{name}+"));
        turns(1).await?;
        lock.release()?;
        note(format_args!("{name}-"));
        Ok(())
    }
    let trace = trace_of(async {
        let lock = Lock::new();
        for name in ["a", "b", "c"] {
            create_task(hold(name, lock.clone()));
        }
        ticks(8).await
    });
    assert_eq!(trace, "t0 a+ t1 a- t2 b+ t3 b- t4 c+ t5 c- t6 t7");
}

#[test]
fn a_permit_goes_from_hand_to_hand_in_one_hop() {
    async fn hold(name: &str, semaphore: Semaphore) -> Result<()> {
        let permit = semaphore.enter().await?;
        note(format_args!("{name}+"));
        turns(1).await?;
        drop(permit);
        note(format_args!("{name}-"));
        Ok(())
    }
    let trace = trace_of(async {
        let semaphore = Semaphore::new(1);
        for name in ["a", "b", "c"] {
            create_task(hold(name, semaphore.clone()));
        }
        ticks(8).await
    });
    assert_eq!(trace, "t0 a+ t1 a- t2 b+ t3 b- t4 c+ t5 c- t6 t7");
}

#[test]
fn the_notified_take_the_lock_as_it_comes_free() {
    async fn wait(name: &str, condition: Condition) -> Result<()> {
        condition.enter().await?.wait().await?;
        note(name);
        Ok(())
    }
    let trace = trace_of(async {
        let condition = Condition::new();
        for name in ["a", "b", "c"] {
            create_task(wait(name, condition.clone()));
        }
        turns(1).await?;
        let guard = condition.enter().await?;
        guard.notify_all()?;
        note("notified");
        ticks(2).await?;
        drop(guard);
        note("released");
        ticks(5).await
    });
    assert_eq!(trace, "notified t0 t1 released t0 a t1 b t2 c t3 t4");
}

#[test]
fn a_barrier_opens_for_the_last_at_once_and_for_the_others_in_one_hop() {
    let trace = trace_of(async {
        let barrier = Barrier::new(3)?;
        for name in ["a", "b", "c"] {
            create_task(tell(name, barrier.wait()));
        }
        ticks(3).await
    });
    assert_eq!(trace, "t0 c 2 t1 a 0 b 1 t2");
}

#[test]
fn a_barrier_that_has_drained_lets_those_at_the_door_in() {
    let trace = trace_of(async {
        let barrier = Barrier::new(2)?;
        create_task(tell("a", barrier.wait()));
        turns(1).await?;
        for name in ["b", "c", "d"] {
            create_task(tell(name, barrier.wait()));
        }
        ticks(4).await?;
        say(format_args!("{barrier:?}")).await
    });
    let clean = "<Barrier [filling, waiters:0/2]>";
    assert_eq!(trace, format!("t0 b 1 t1 a 0 t2 d 1 t3 c 0 {clean}"));
}

/// The lock is free, but it has been promised.
#[test]
fn a_newcomer_to_a_lock_stands_behind_the_woken() {
    let trace = trace_of(async {
        let lock = Lock::new();
        lock.acquire().await?;
        let waits = lock.clone();
        create_task(async move {
            waits.acquire().await?;
            note("waiter");
            waits.release()
        });
        turns(1).await?;
        lock.release()?;
        note(lock.locked());
        lock.acquire().await?;
        say("newcomer").await
    });
    assert_eq!(trace, "false waiter newcomer");
}

/// There is a permit left, but others come first.
#[test]
fn a_newcomer_to_a_semaphore_stands_behind_the_woken() {
    let trace = trace_of(async {
        let semaphore = Semaphore::new(0);
        create_task(tell("a", semaphore.acquire()));
        create_task(tell("b", semaphore.acquire()));
        turns(1).await?;
        for _ in 0..3 {
            semaphore.release();
        }
        note(semaphore.locked());
        semaphore.acquire().await?;
        note("newcomer");
        say(semaphore.locked()).await
    });
    assert_eq!(trace, "true a ok b ok newcomer true");
}

mod timers {
    use super::*;

    #[test]
    fn run_by_deadline_and_equal_ones_in_the_order_they_were_made() {
        let trace = trace_of(async {
            let naps = [
                ("three", 3),
                ("two", 2),
                ("also-two", 2),
                ("one", 1),
                ("two-too", 2),
            ];
            for (name, delay) in naps {
                create_task(nap_and_note(name, delay));
            }
            nap(4).await?;
            note(time().as_secs());
            Ok(())
        });
        assert_eq!(trace, "one two also-two two-too three 4");
    }

    #[test]
    fn come_due_though_somebody_is_always_ready() {
        let mut real = EventLoop::new();
        let ended = real.run(async {
            let busy = create_task(turns(usize::MAX));
            sleep(Duration::from_millis(1)).await?;
            busy.cancel();
            Ok(busy)
        });
        assert!(ended.is_ok_and(|busy| busy.cancelled()));
    }

    /// By a host's clock, which goes on in the step in which they are set. There were others before, and one lasts longer.
    #[test]
    fn that_are_new_come_due_in_the_next_turn() {
        let now = Rc::new(Cell::new(Duration::ZERO));
        let clock = now.clone();
        let main = async {
            let _tasks = [create_task(nap(9)), create_task(nap(1))];
            turns(1).await?;
            now.set(secs(1));
            turns(2).await?;
            let mut soon = pin!(nap(1));
            start(&mut soon).await;
            now.set(secs(2));
            create_task(ticks(4));
            tell("nap", soon).await
        };
        let mut event_loop = EventLoop::with_clock(move || clock.get());
        event_loop.run(main).expect("main ends well");
        assert_eq!(noted(), "t0 t1 nap ok t2");
    }

    #[test]
    fn keep_their_order_however_far_apart_they_are() {
        let nanos = |n| Duration::from_nanos(n);
        let millis = |n| Duration::from_millis(n);
        let delays = [
            millis(7_000_000_000),
            nanos(2),
            millis(3),
            nanos(1),
            millis(90_000),
            nanos(999_999),
            millis(1) + nanos(1),
            millis(65_536),
            millis(1),
            nanos(u64::MAX),
        ];
        let trace = trace_of(async move {
            for delay in delays {
                create_task(async move {
                    sleep(delay).await?;
                    assert_eq!(time(), delay);
                    note(delay.as_nanos());
                    Ok(())
                });
            }
            sleep(nanos(u64::MAX) + nanos(1)).await
        });
        let mut sorted = delays;
        sorted.sort();
        let expected: Vec<_> = sorted.iter().map(|d| d.as_nanos().to_string()).collect();
        assert_eq!(trace, expected.join(" "));
    }

    #[test]
    fn that_are_due_together_share_a_turn() {
        let trace = trace_of(async {
            for name in ["a", "b"] {
                create_task(async move {
                    nap(1).await?;
                    thrice(name).await
                });
            }
            nap(1).await?;
            note("m");
            turns(3).await
        });
        assert_eq!(trace, "m a1 b1 a2 b2 a3 b3");
    }

    #[test]
    fn of_a_sleep_and_of_a_timeout_keep_their_order() {
        let trace = trace_of(async {
            create_task(tell("a", nap(1)));
            create_task(tell("b", wait_for(Event::new().wait(), secs(1))));
            create_task(tell("c", nap(1)));
            nap(2).await
        });
        assert_eq!(trace, "a ok b TimeoutError c ok");
    }

    #[test]
    fn wait_while_anything_can_run() {
        let trace = trace_of(async {
            create_task(nap_and_note("nap", 1));
            ticks(3).await?;
            note(time().as_secs());
            nap(1).await?;
            note(time().as_secs());
            Ok(())
        });
        assert_eq!(trace, "t0 t1 t2 0 nap 1");
    }

    /// A timer becomes due while others are ready: its handle runs in one turn, and the step that it queues in the next.
    #[test]
    fn wake_in_two_hops_by_the_real_clock() {
        let main = async {
            create_task(async {
                sleep(Duration::from_millis(1)).await?;
                note("a");
                Ok(())
            });
            let blocking = create_task(async {
                thread::sleep(Duration::from_millis(5));
                ticks(4).await
            });
            blocking.await
        };
        EventLoop::new().run(main).expect("main ends well");
        assert_eq!(noted(), "t0 t1 t2 a t3");
    }

    #[test]
    fn count_from_when_they_began_by_the_real_clock() -> Result<()> {
        let delay = Duration::from_millis(5);
        EventLoop::new().run(async {
            thread::sleep(delay);
            let bedtime = time();
            sleep(delay).await?;
            assert!(time() - bedtime >= delay);
            Ok(())
        })
    }
}

mod other_threads {
    use super::*;

    async fn receive(name: &str, receiver: oneshot::Receiver<()>) -> Result<()> {
        receiver.await.map_err(Error::other)?;
        note(name);
        Ok(())
    }

    #[test]
    fn wake_in_the_order_of_arrival() {
        let trace = trace_of(async {
            let mut senders = Vec::new();
            for name in ["a", "b", "c", "d"] {
                let (sender, receiver) = oneshot::channel();
                create_task(receive(name, receiver));
                senders.push(sender);
            }
            turns(1).await?;
            senders.swap(1, 2);
            let sending = thread::spawn(|| senders.into_iter().rev().try_for_each(|s| s.send(())));
            sending.join().expect("no panic").expect("all are received");
            turns(2).await
        });
        assert_eq!(trace, "d b c a");
    }

    /// The turn after the block has main's step, then what the thread woke, then the timer that came due, which is one hop further.
    #[test]
    fn come_after_what_is_ready_and_before_timers() {
        let main = async {
            let (sender, receiver) = oneshot::channel();
            create_task(async {
                sleep(Duration::from_millis(1)).await?;
                note("timer");
                Ok(())
            });
            create_task(receive("thread", receiver));
            turns(1).await?;
            let sending = thread::spawn(|| {
                thread::sleep(Duration::from_millis(5));
                sender.send(())
            });
            sending.join().expect("no panic").expect("it is received");
            ticks(4).await
        };
        EventLoop::new().run(main).expect("main ends well");
        assert_eq!(noted(), "t0 t1 thread t2 timer t3");
    }
}

mod the_end {
    use super::*;

    #[test]
    fn of_main_lets_the_next_turn_run_to_its_end() {
        let trace = trace_of(async {
            create_task(tell("a", ticks(9)));
            create_task(tell("b", ticks(9)));
            turns(1).await?;
            note("m");
            Ok(())
        });
        assert_eq!(trace, "t0 t0 m t1 t1 a CancelledError b CancelledError");
    }

    #[test]
    fn at_once_still_lets_first_steps_run() {
        let trace = trace_of(async {
            create_task(async {
                note("a");
                tell("a", nap(1)).await
            });
            create_task(async {
                note("b");
                create_task(say("one turn too late"));
                Ok(())
            });
            note("m");
            Ok(())
        });
        assert_eq!(trace, "m a b a CancelledError");
    }

    #[test]
    fn comes_after_what_mains_last_step_woke() {
        let trace = trace_of(async {
            let event = Event::new();
            let woken = event.clone();
            create_task(async move {
                tell("w", woken.wait()).await?;
                tell("then", turns(1)).await?;
                note("last");
                Ok(())
            });
            turns(1).await?;
            event.set();
            note("m");
            Ok(())
        });
        assert_eq!(trace, "m w ok then CancelledError last");
    }

    #[test]
    fn comes_after_the_sleeps_that_are_over_with_mains() {
        let trace = trace_of(async {
            create_task(tell("one", nap(1)));
            create_task(tell("two", nap(2)));
            nap(1).await?;
            note("m");
            Ok(())
        });
        assert_eq!(trace, "m one ok two CancelledError");
    }

    #[test]
    fn cancels_in_the_order_of_creation() {
        let trace = trace_of(async {
            for (name, delay) in [("a", 3), ("b", 1), ("c", 2)] {
                create_task(async move {
                    turns(delay).await?;
                    tell(name, nap(9)).await
                });
            }
            turns(5).await
        });
        assert_eq!(trace, "a CancelledError b CancelledError c CancelledError");
    }

    #[test]
    fn turns_until_the_cancelled_have_cleaned_up() {
        async fn stubborn(name: &str) -> Result<()> {
            tell(name, nap(99)).await?;
            nap(5).await?;
            note(format_args!("{name} at {}", time().as_secs()));
            Ok(())
        }
        let trace = trace_of(async {
            create_task(stubborn("a"));
            create_task(stubborn("b"));
            nap(1).await
        });
        assert_eq!(trace, "a CancelledError b CancelledError a at 6 b at 6");
    }

    #[test]
    fn comes_to_a_failed_main_too() {
        let failed = run(async {
            create_task(tell("task", nap(9)));
            turns(1).await?;
            Err::<(), _>(Error::Value("main".into()))
        });
        note(outcome(failed));
        assert_eq!(noted(), "task CancelledError ValueError: main");
    }

    #[test]
    fn gives_a_task_created_meanwhile_time_while_others_clean_up() {
        let trace = trace_of(async {
            create_task(async {
                tell("task", nap(9)).await?;
                create_task(tell("late", nap(1)));
                nap(2).await?;
                note("end");
                Ok(())
            });
            turns(1).await
        });
        assert_eq!(trace, "task CancelledError late ok end");
    }

    #[test]
    fn gives_a_task_created_meanwhile_asyncios_last_turns() {
        let trace = trace_of(async {
            create_task(async {
                tell("task", nap(9)).await?;
                create_task(async {
                    let _dropped = NoteOnDrop("dropped");
                    ticks(99).await
                });
                Ok(())
            });
            turns(1).await
        });
        assert_eq!(trace, "task CancelledError t0 t1 t2 t3 t4 t5 dropped");
    }

    #[test]
    fn drops_a_task_that_would_be_created_for_ever() {
        async fn heir(generation: usize) -> Result<()> {
            note(generation);
            create_task(Box::pin(heir(generation + 1)) as futures::future::LocalBoxFuture<_>);
            Ok(())
        }
        let trace = trace_of(async {
            create_task(async {
                tell("task", nap(9)).await?;
                create_task(heir(0));
                Ok(())
            });
            turns(1).await
        });
        assert_eq!(trace, "task CancelledError 0 1 2 3 4 5");
    }

    #[test]
    fn is_a_deadlock_if_a_cancelled_task_waits_for_ever() {
        let stuck = run(async {
            create_task(async {
                tell("task", nap(9)).await?;
                Event::new().wait().await
            });
            turns(1).await
        });
        assert!(matches!(stuck, Err(Error::Deadlock(_))), "{stuck:?}");
        assert_eq!(noted(), "task CancelledError");
    }

    #[test]
    fn leaves_a_loop_that_runs_again_on_the_same_clock() {
        let mut event_loop = EventLoop::with_virtual_clock();
        event_loop
            .run(async {
                create_task(tell("first", nap(9)));
                nap(1).await
            })
            .expect("main ends well");
        event_loop.run(nap_and_note("second", 1)).expect("again");
        note(event_loop.time().as_secs());
        assert_eq!(noted(), "first CancelledError second 2");
    }
}

#[test]
fn a_run_inside_a_run_is_refused() {
    let trace = trace_of(async {
        note(outcome(soloop::run(async { Ok(()) })));
        note(outcome(EventLoop::new().run(async { Ok(()) })));
        turns(1).await?;
        note("unharmed");
        Ok(())
    });
    let refused = "RuntimeError: run() cannot be called from a running event loop";
    assert_eq!(trace, format!("{refused} {refused} unharmed"));
}

/// A step is the thread's, and the other loop's tasks are dropped outside any of theirs.
#[test]
fn a_loop_that_is_dropped_in_a_step_of_another_leaves_that_step_as_it_is() {
    let mut other = EventLoop::with_virtual_clock();
    drop(other.create_task(nap(9)));
    assert!(matches!(other.turn(), Turn::SleepUntil(_)));
    let trace = trace_of(async {
        create_task(thrice("a"));
        let mut before = pin!(sleep(Duration::ZERO));
        assert!(poll!(before.as_mut()).is_pending());
        drop(other);
        before.await?;
        thrice("b").await
    });
    assert_eq!(trace, "a1 b1 a2 b2 a3 b3");
}

#[test]
fn main_may_borrow_from_the_callers_stack() {
    let mut steps = 0;
    let borrowed = String::from("borrowed");
    let length = run(async {
        turns(1).await?;
        steps += 1;
        Ok(borrowed.len())
    });
    assert_eq!((length.unwrap(), steps), (8, 1));
}
