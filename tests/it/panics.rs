//! A panic is a bug and no exception: it unwinds through `run`, every other task is dropped, and the thread can run again.

use crate::kit::*;
use futures::FutureExt;
use soloop::{
    Barrier, Condition, Error, Event, EventLoop, Lock, Result, Semaphore, Task, create_task,
    current_task, wait_for, wrap_future,
};
use std::{
    any::Any,
    cell::RefCell,
    future::{Future, pending, poll_fn},
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    pin::pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
};

/// Panics without a word on stderr.
fn bug<T>() -> T {
    resume_unwind(Box::new("a bug"))
}

fn caught<T>(act: impl FnOnce() -> T) -> Box<dyn Any + Send> {
    match catch_unwind(AssertUnwindSafe(act)) {
        Ok(_) => panic!("the panic did not come out"),
        Err(panic) => panic,
    }
}

/// Expects the panic to come out of `run`, and returns what was noted.
fn unwound(main: impl Future<Output = Result<()>>) -> String {
    let panic = caught(|| run(main));
    assert_eq!(panic.downcast_ref(), Some(&"a bug"));
    // Nothing of the loop is left on this thread.
    assert!(current_task().is_none());
    run(async {
        assert_eq!(
            current_task().map(|task| task.name()),
            Some("Task-1".into())
        );
        nap(1).await
    })
    .expect("the thread can run again");
    noted()
}

async fn bystander(name: &'static str) -> Result<()> {
    let _value = NoteOnDrop(name);
    tell("bystander", nap(99)).await
}

#[test]
fn of_a_task_comes_out_and_the_others_are_dropped() {
    let trace = unwound(async {
        let _main = NoteOnDrop("main");
        create_task(bystander("a"));
        create_task(async {
            let _own = NoteOnDrop("own");
            turns(1).await?;
            bug::<Result<()>>()
        });
        create_task(bystander("b"));
        turns(9).await
    });
    let mut dropped: Vec<_> = trace.split(' ').collect();
    assert_eq!(dropped.remove(0), "own", "unwinding, before the others");
    dropped.sort();
    assert_eq!(dropped, ["a", "b", "main"]);
}

#[test]
fn of_main_comes_out_and_the_others_are_dropped() {
    let trace = unwound(async {
        create_task(bystander("a"));
        create_task(bystander("b"));
        turns(1).await?;
        bug()
    });
    assert_eq!(trace, "a b");
}

#[test]
fn of_a_first_step_leaves_the_rest_of_the_turn_undone() {
    let trace = unwound(async {
        create_task(say("before"));
        create_task(async { bug::<Result<()>>() });
        create_task(say("after"));
        turns(1).await
    });
    assert_eq!(trace, "before");
}

#[test]
fn of_a_task_is_not_the_result_of_whoever_awaits_it() {
    let trace = unwound(async {
        let task = create_task(async { bug::<Result<()>>() });
        tell("awaits", task).await
    });
    assert_eq!(trace, "");
}

#[test]
fn during_the_shutdown_comes_out_too() {
    let trace = unwound(async {
        create_task(async {
            nap(9).await.expect_err("it is cancelled");
            bug::<Result<()>>()
        });
        create_task(bystander("other"));
        turns(1).await
    });
    assert_eq!(trace, "other");
}

#[test]
fn of_a_predicate_gives_the_lock_back() {
    let condition = Condition::new();
    unwound(async {
        let mut held = condition.enter().await?;
        held.wait_for(bug::<bool>).await.map(drop)
    });
    assert_eq!(format!("{condition:?}"), "<Condition [unlocked]>");
}

#[test]
fn inside_a_timeout_comes_out() {
    unwound(async {
        let coro = async {
            turns(1).await?;
            bug()
        };
        wait_for(coro, secs(1)).await
    });
}

#[test]
fn inside_a_wrapped_future_comes_out() {
    unwound(async { wrap_future(async { bug::<()>() }).await });
}

#[test]
fn of_an_exception_handler_comes_out() {
    let mut event_loop = EventLoop::with_virtual_clock();
    event_loop.set_exception_handler(|_| bug());
    let panic = caught(|| {
        event_loop.run(async {
            create_task(async { Err::<(), _>(Error::other("reported")) });
            create_task(bystander("other"));
            turns(3).await
        })
    });
    assert_eq!(panic.downcast_ref(), Some(&"a bug"));
    assert_eq!(outcome(run(nap(1))), "ok");
}

#[test]
fn of_a_destructor_comes_out() {
    unwound(async {
        create_task(async {
            let _value = OnDrop(bug::<()>);
            turns(1).await
        });
        create_task(pending::<Result<()>>());
        turns(3).await
    });
}

#[test]
fn of_a_destructor_in_a_cancelled_task_comes_out() {
    unwound(async {
        let task = create_task(async {
            let _value = OnDrop(bug::<()>);
            pending::<Result<()>>().await
        });
        turns(1).await?;
        task.cancel();
        turns(3).await
    });
}

struct BuggyWaker;

impl Wake for BuggyWaker {
    fn wake(self: Arc<Self>) {
        bug()
    }
}

fn buggy_waker() -> Waker {
    Waker::from(Arc::new(BuggyWaker))
}

#[test]
fn of_a_waker_comes_out_of_the_call_that_wakes() -> Result<()> {
    run(async {
        let event = Event::new();
        let waker = buggy_waker();
        let mut buggy = event.wait().boxed_local();
        assert!(
            buggy
                .poll_unpin(&mut std::task::Context::from_waker(&waker))
                .is_pending()
        );
        let other = create_task(event.wait());
        turns(1).await?;
        let panic = caught(|| event.set());
        assert_eq!(panic.downcast_ref(), Some(&"a bug"));
        assert!(event.is_set());
        drop(buggy);
        other.await?;
        assert_eq!(format!("{event:?}"), "<Event [set]>");
        Ok(())
    })
}

/// The one that leaves last wakes those who wait outside.
#[test]
fn of_a_waker_that_a_barriers_last_party_wakes_leaves_the_barrier_to_others() -> Result<()> {
    let barrier = Barrier::new(2)?;
    let mut event_loop = EventLoop::with_virtual_clock();
    let panic = caught(|| {
        event_loop.run(async {
            let parties = [(); 2].map(|()| create_task(barrier.wait()));
            let mut outside = barrier.wait().boxed_local();
            create_task(poll_fn(move |_| {
                outside.poll_unpin(&mut std::task::Context::from_waker(&buggy_waker()))
            }));
            for party in parties {
                party.await?;
            }
            Ok(())
        })
    });
    assert_eq!(panic.downcast_ref(), Some(&"a bug"));
    event_loop.run(async {
        let other = create_task(barrier.wait());
        assert_eq!((barrier.wait().await?, other.await?), (0, 1));
        Ok(())
    })
}

#[test]
fn that_is_caught_inside_the_task_is_its_own_affair() {
    let trace = trace_of(async {
        let task = create_task(async {
            let caught = AssertUnwindSafe(async {
                turns(1).await?;
                bug::<Result<()>>()
            })
            .catch_unwind()
            .await;
            note(caught.is_err());
            tell("then", turns(1)).await
        });
        create_task(bystander("other"));
        task.await
    });
    assert_eq!(trace, "true then ok bystander CancelledError other");
}

/// In its first poll, whether nothing in it waits already, or one future, or several.
#[test]
fn that_is_caught_around_a_wait_for_leaves_no_limit() {
    for waits in 0..3 {
        let trace = trace_of(async move {
            let limited = wait_for(
                async move {
                    let mut begun = Vec::new();
                    for _ in 0..waits {
                        let mut wait = Event::new().wait().boxed_local();
                        start(&mut wait).await;
                        begun.push(wait);
                    }
                    bug::<Result<()>>()
                },
                secs(1),
            );
            note(AssertUnwindSafe(limited).catch_unwind().await.is_err());
            tell("nap", nap(3)).await?;
            tell("limited", wait_for(nap(3), secs(1))).await
        });
        assert_eq!(trace, "true nap ok limited TimeoutError", "{waits}");
    }
}

/// Though the `wait_for` is still there, and its time comes.
#[test]
fn that_is_caught_in_a_later_poll_of_a_wait_for_leaves_its_limit() {
    for wait in [turns(1).boxed_local(), nap(1).boxed_local()] {
        let trace = trace_of(async {
            let coro = async {
                wait.await?;
                bug::<Result<()>>()
            };
            let mut limited = wait_for(coro, secs(2)).boxed_local();
            let caught = AssertUnwindSafe(&mut limited).catch_unwind().await;
            note(caught.is_err());
            tell("nap", nap(3)).await
        });
        assert_eq!(trace, "true nap ok");
    }
}

#[test]
fn leaves_the_primitives_as_the_drops_leave_them() -> Result<()> {
    let mut event_loop = EventLoop::with_virtual_clock();
    let (lock, semaphore, event) = (Lock::new(), Semaphore::new(2), Event::new());
    let panic = caught(|| {
        event_loop.run(async {
            let (locking, permitting) = (lock.enter(), semaphore.enter());
            create_task(async {
                let _held = (locking.await?, permitting.await?);
                pending::<Result<()>>().await
            });
            create_task(lock.acquire());
            create_task(event.wait());
            turns(1).await?;
            bug::<Result<()>>()
        })
    });
    assert_eq!(panic.downcast_ref(), Some(&"a bug"));
    let reprs = format!("{lock:?} {semaphore:?} {event:?}");
    assert_eq!(
        reprs,
        "<Lock [unlocked]> <Semaphore [unlocked, value:2]> <Event [unset]>"
    );
    event_loop.run(async {
        let waits = create_task(event.wait());
        let held = lock.enter().await?;
        turns(1).await?;
        event.set();
        drop(held);
        waits.await
    })
}

/// Its coroutine is lost to the panic, and nothing else is left to be retrieved.
#[test]
fn of_a_task_leaves_it_cancelled() {
    let mut event_loop = EventLoop::with_virtual_clock();
    let task = event_loop.create_task(async { bug::<Result<()>>() });
    let panic = caught(|| event_loop.run(nap(1)));
    assert_eq!(panic.downcast_ref(), Some(&"a bug"));
    assert!(task.cancelled());
    assert_eq!(outcome(event_loop.run(task)), "CancelledError");
}

/// Handles and wakers of the dropped tasks are still safe to use.
#[test]
fn leaves_handles_and_wakers_that_are_harmless() {
    let slot = Rc::new(RefCell::new(None::<(Task<()>, Waker)>));
    let kept = slot.clone();
    unwound(async move {
        let task = create_task(nap(9));
        let waker = poll_fn(|cx| Poll::Ready(cx.waker().clone())).await;
        kept.replace(Some((task, waker)));
        turns(1).await?;
        bug()
    });
    let (task, waker) = slot.take().expect("main came so far");
    waker.wake();
    assert!(task.done() && !task.cancel());
    assert!(matches!(task.now_or_never(), Some(Err(_))));
}

/// Until then, a sleep that was polled with it would have begun in the loop.
#[test]
fn leaves_no_waker_with_which_a_sleep_begins() {
    let mut kept = None;
    caught(|| {
        run::<()>(async {
            kept = Some(poll_fn(|cx| Poll::Ready(cx.waker().clone())).await);
            bug()
        })
    });
    let waker: Waker = kept.expect("main came so far");
    let polled = pin!(turns(1)).poll(&mut Context::from_waker(&waker));
    let refused = r#"Ready(Err(Runtime("no running event loop")))"#;
    assert_eq!(format!("{polled:?}"), refused);
}
