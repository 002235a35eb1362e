//! Errors that nobody can retrieve any more are reported: which, when, and as what.
//!
//! The traces are what CPython prints, for a program in which each reference goes where here the `Task` goes.

use crate::kit::*;
use soloop::{Error, EventLoop, Result, Task, TaskFailure, create_task, current_task};
use std::{cell::RefCell, future::Future, rc::Rc};

/// A loop that notes what is reported to it: `!name:error`.
fn reporting() -> EventLoop {
    let mut event_loop = EventLoop::with_virtual_clock();
    event_loop.set_exception_handler(|failure| {
        note(format_args!("!{}:{}", failure.name(), failure.error()));
    });
    event_loop
}

fn reported(main: impl Future<Output = Result<()>>) -> String {
    reporting().run(main).expect("main ends well");
    noted()
}

async fn fail(text: &'static str) -> Result<()> {
    Err(Error::other(text))
}

/// Fails when it is told to end.
async fn fail_when_told(text: &'static str) -> Result<()> {
    nap(99).await.expect_err("it is cancelled");
    fail(text).await
}

#[test]
fn of_a_detached_task_is_reported_at_its_end() {
    let trace = reported(async {
        create_task(fail("detached"));
        create_task(say("next"));
        turns(1).await?;
        say("main").await
    });
    assert_eq!(trace, "!Task-2:detached next main");
}

#[test]
fn of_a_task_that_is_dropped_later_is_reported_then() {
    let trace = reported(async {
        let task = create_task(fail("later"));
        turns(2).await?;
        note("before");
        drop(task);
        say("after").await
    });
    assert_eq!(trace, "before !Task-2:later after");
}

#[test]
fn is_not_reported_when_it_was_awaited() {
    let trace = reported(async {
        tell("awaited", create_task(fail("mine"))).await?;
        let done = create_task(fail("done"));
        turns(1).await?;
        tell("awaited", done).await
    });
    assert_eq!(trace, "awaited mine awaited done");
}

#[test]
fn is_reported_of_the_outermost_task_only() {
    let trace = reported(async {
        let inner = create_task(fail("through"));
        let outer = create_task(inner);
        turns(3).await?;
        note("before");
        drop(outer);
        Ok(())
    });
    assert_eq!(trace, "before !Task-3:through");
}

/// The awaiter was woken, but was dropped before it could look.
#[test]
fn is_reported_when_the_awaiter_was_dropped() {
    let trace = reported(async {
        let held = hold(create_task(async {
            turns(1).await?;
            fail("unseen").await
        }));
        turns(2).await?;
        note("before");
        held.drop_future();
        Ok(())
    });
    assert_eq!(trace, "before !Task-2:unseen");
}

#[test]
fn counts_as_seen_after_a_cancel_of_the_done_task() {
    let trace = reported(async {
        let task = create_task(fail("seen"));
        let handle = create_task(fail("seen through the handle"));
        turns(1).await?;
        note(format_args!(
            "{} {}",
            task.cancel(),
            handle.handle().cancel()
        ));
        drop((task, handle));
        say("end").await
    });
    assert_eq!(trace, "false false end");
}

#[test]
fn does_not_count_as_seen_after_a_look_at_the_handle() {
    let trace = reported(async {
        let task = create_task(fail("unseen"));
        let handle = task.handle();
        turns(1).await?;
        note(format_args!("{} {}", handle.done(), handle.cancelled()));
        drop(task);
        note("end");
        assert!(handle.done());
        Ok(())
    });
    assert_eq!(trace, "true false !Task-2:unseen end");
}

#[test]
fn is_no_cancellation_and_no_value() {
    let trace = reported(async {
        create_task(async { Err::<(), _>(Error::Cancelled) });
        create_task(async { Ok("value") });
        let cancelled = create_task(nap(9));
        turns(1).await?;
        cancelled.cancel();
        drop(cancelled);
        turns(2).await?;
        say("end").await
    });
    assert_eq!(trace, "end");
}

#[test]
fn of_main_is_returned_and_not_reported() {
    let result = reporting().run(fail("main"));
    assert_eq!((outcome(result), noted()), ("main".into(), String::new()));
}

#[test]
fn with_a_request_still_kept_stays_what_it_is() {
    let trace = reported(async {
        create_task(async {
            current_task().expect("a task is running").cancel();
            fail("kept").await
        });
        turns(1).await
    });
    assert_eq!(trace, "!Task-2:kept");
}

#[test]
fn of_the_last_turn_is_reported_as_any_other() {
    let trace = reported(async {
        create_task(fail("last turn"));
        say("main").await
    });
    assert_eq!(trace, "main !Task-2:last turn");
}

#[test]
fn of_a_task_that_outlives_the_loop_is_reported_when_it_is_dropped() -> Result<()> {
    let mut event_loop = reporting();
    let task = event_loop.run(async {
        let task = create_task(fail("kept"));
        turns(1).await?;
        Ok(task)
    })?;
    note("run has ended");
    drop(task);
    assert_eq!(noted(), "run has ended !Task-2:kept");
    Ok(())
}

#[test]
fn of_a_task_that_outlives_its_loop_object_is_dropped_in_peace() -> Result<()> {
    let task = reporting().run(async {
        let task = create_task(fail("kept"));
        turns(1).await?;
        Ok(task)
    })?;
    drop(task);
    // To the handler or to stderr: there is no loop left to say.
    let said = noted();
    assert!(["", "!Task-2:kept"].contains(&said.as_str()), "{said}");
    Ok(())
}

#[test]
fn goes_to_the_handler_that_was_set_last() -> Result<()> {
    let mut event_loop = reporting();
    event_loop.run(async {
        create_task(fail("first"));
        turns(1).await
    })?;
    event_loop.set_exception_handler(|failure| note(format_args!("?{}", failure.error())));
    event_loop.run(async {
        create_task(fail("second"));
        turns(1).await
    })?;
    assert_eq!(noted(), "!Task-2:first ?second");
    Ok(())
}

#[test]
fn without_a_handler_goes_to_stderr_and_nowhere_else() {
    let trace = trace_of(async {
        create_task(fail("on stderr"));
        turns(1).await?;
        say("main goes on").await
    });
    assert_eq!(trace, "main goes on");
}

mod at_the_end {
    use super::*;

    #[test]
    fn are_reported_together_when_all_have_ended() {
        let trace = reported(async {
            let a = create_task(fail_when_told("a"));
            create_task(fail_when_told("b"));
            create_task(tell("awaits", a));
            create_task(async {
                nap(99).await.expect_err("it is cancelled");
                nap(1).await?;
                say("slow").await
            });
            turns(1).await?;
            say("main").await
        });
        assert_eq!(trace, "main awaits a slow !Task-2:a !Task-3:b");
    }

    #[test]
    fn are_not_reported_a_second_time() -> Result<()> {
        let mut event_loop = reporting();
        let slot = Rc::new(RefCell::new(None::<Task<()>>));
        event_loop.run(async {
            slot.replace(Some(create_task(fail_when_told("once"))));
            turns(1).await
        })?;
        note("run has ended");
        drop(slot.take());
        assert_eq!(noted(), "!Task-2:once run has ended");
        Ok(())
    }

    #[test]
    fn of_tasks_created_meanwhile_are_never_retrieved() {
        let trace = reported(async {
            create_task(async {
                nap(99).await.expect_err("it is cancelled");
                create_task(fail("late"));
                Ok(())
            });
            turns(1).await?;
            say("main").await
        });
        assert_eq!(trace, "main !Task-3:late");
    }

    #[test]
    fn of_a_cancellation_are_not_reported() {
        let trace = reported(async {
            create_task(nap(99));
            create_task(async {
                nap(99).await.expect_err("it is cancelled");
                Ok("value")
            });
            turns(1).await
        });
        assert_eq!(trace, "");
    }
}

mod message {
    use super::*;

    /// What the failure prints, without the words in between, which are our own.
    fn printed(main: impl Future<Output = Result<()>>) -> String {
        let mut event_loop = EventLoop::with_virtual_clock();
        event_loop.set_exception_handler(|failure: &TaskFailure| note(failure));
        event_loop.run(main).expect("main ends well");
        noted()
    }

    #[test]
    fn says_that_it_was_never_retrieved() {
        let text = printed(async {
            create_task(fail("why")).set_name("who");
            turns(1).await
        });
        for part in ["Task exception was never retrieved", "who", "why"] {
            assert!(text.contains(part), "{text}");
        }
    }

    #[test]
    fn says_that_it_came_during_the_shutdown() {
        let text = printed(async {
            create_task(fail_when_told("why")).set_name("who");
            turns(1).await
        });
        let shutdown = "unhandled exception during asyncio.run() shutdown";
        for part in [shutdown, "who", "why"] {
            assert!(text.contains(part), "{text}");
        }
    }
}
