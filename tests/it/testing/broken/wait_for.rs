//! `wait_for`, and what went wrong with it.

use std::{
    cell::{Cell, RefCell},
    future::{Future, poll_fn},
    pin::pin,
    rc::Rc,
    task::Poll,
    time::Duration,
};

use soloop::{
    Error, Lock, Result, TaskHandle, create_task, current_task, sleep,
    testing::{Explorer, Probe},
};

use crate::{
    kit::{nap, secs},
    testing::{
        scaffold::{find, hold, join},
        waiter::Waiter,
    },
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flavour {
    /// The crate's own.
    Own,
    /// As in 3.7: a coroutine in a task of its own. What it has come to is lost when the caller is cancelled: bpo-37658.
    LosesTheResult,
    /// As in 3.8: what it comes to though it was cancelled at the deadline is lost.
    LosesTheLastResult,
    /// As in 3.11: what it has come to is returned though the caller is cancelled, which is forgotten: bpo-42130.
    ForgetsTheCancel,
    /// As since 3.12: the coroutine runs in the caller's task, which is cancelled at the deadline.
    Sound,
    /// Likewise, but nobody takes that request back.
    LeavesItsRequest,
    /// Likewise, but any cancel that comes after the deadline is taken for its own.
    TakesAnyCancelForItsOwn,
}

async fn wait_for<T: 'static>(
    flavour: Flavour,
    coro: impl Future<Output = Result<T>> + 'static,
    timeout: Duration,
) -> Result<T> {
    match flavour {
        Flavour::Own => soloop::wait_for(coro, timeout).await,
        Flavour::Sound | Flavour::LeavesItsRequest | Flavour::TakesAnyCancelForItsOwn => {
            in_the_same_task(flavour, coro, timeout).await
        }
        _ => in_a_task_of_its_own(flavour, coro, timeout).await,
    }
}

/// The task of a coroutine, and what it has come to.
struct Started<T> {
    task: TaskHandle,
    result: Rc<RefCell<Option<Result<T>>>>,
    /// Those who are woken by the callback of the task once it is done.
    callbacks: Rc<RefCell<Vec<Rc<Waiter>>>>,
}

impl<T: 'static> Started<T> {
    fn new(coro: impl Future<Output = Result<T>> + 'static) -> Self {
        let result = Rc::<RefCell<_>>::default();
        let callbacks = Rc::<RefCell<Vec<Rc<Waiter>>>>::default();
        let (slot, waiters) = (Rc::clone(&result), Rc::clone(&callbacks));
        let task = create_task(async move {
            let came_to = coro.await;
            slot.replace(Some(came_to));
            Ok(())
        });
        let handle = task.handle();
        // A callback is a handle of its own.
        create_task(async move {
            let _ = task.await;
            for waiter in waiters.take() {
                if !waiter.done() {
                    waiter.set_result();
                }
            }
            Ok(())
        });
        Self {
            task: handle,
            result,
            callbacks,
        }
    }

    fn result(&self) -> Result<T> {
        self.result.take().unwrap_or(Err(Error::Cancelled))
    }

    fn add_done_callback(&self) -> Rc<Waiter> {
        let waiter = Rc::<Waiter>::default();
        self.callbacks.borrow_mut().push(Rc::clone(&waiter));
        waiter
    }

    /// Until the task is done, or the deadline.
    async fn is_released(&self, timeout: Duration) -> Result<()> {
        let waiter = self.add_done_callback();
        let mut done = pin!(waiter.wait());
        let mut late = pin!(sleep(timeout));
        let released = poll_fn(|cx| match done.as_mut().poll(cx) {
            Poll::Pending => late.as_mut().poll(cx),
            done => done,
        });
        let released = released.await;
        self.callbacks.take();
        released
    }

    async fn cancel_and_wait(&self) -> Result<()> {
        let waiter = self.add_done_callback();
        self.task.cancel();
        waiter.wait().await
    }
}

async fn in_a_task_of_its_own<T: 'static>(
    flavour: Flavour,
    coro: impl Future<Output = Result<T>> + 'static,
    timeout: Duration,
) -> Result<T> {
    let started = Started::new(coro);
    let released = started.is_released(timeout).await;
    match released {
        Err(error) if flavour == Flavour::LosesTheResult => {
            started.task.cancel();
            Err(error)
        }
        _ if started.task.done() => started.result(),
        released => {
            started.cancel_and_wait().await?;
            released?;
            match started.result() {
                Ok(result) if flavour == Flavour::ForgetsTheCancel => Ok(result),
                _ => Err(Error::Timeout),
            }
        }
    }
}

async fn in_the_same_task<T>(
    flavour: Flavour,
    coro: impl Future<Output = Result<T>>,
    timeout: Duration,
) -> Result<T> {
    let task = current_task().expect("a task waits");
    let before = task.cancelling();
    let struck = Rc::new(Cell::new(false));
    let (caller, strikes) = (task.clone(), Rc::clone(&struck));
    // asyncio's `call_later`, with the hop of a task besides.
    let timer = create_task(async move {
        sleep(timeout).await?;
        strikes.set(true);
        caller.cancel();
        Ok(())
    });
    let outcome = coro.await;
    timer.cancel();
    if !struck.get() {
        return outcome;
    }
    let left = match flavour {
        Flavour::LeavesItsRequest => before,
        _ => task.uncancel(),
    };
    let is_own = left <= before || flavour == Flavour::TakesAnyCancelForItsOwn;
    match outcome {
        Err(Error::Cancelled) if is_own => Err(Error::Timeout),
        outcome => outcome,
    }
}

/// Two want a lock that somebody has for a second. One of them gives up in the same moment.
async fn impatience(probe: Probe, flavour: Flavour) -> Result<()> {
    let lock = Lock::new();
    let first = create_task({
        let lock = lock.clone();
        async move {
            let _held = lock.enter().await?;
            nap(1).await
        }
    });
    let users = [secs(2), secs(1)].map(|timeout| {
        let lock = lock.clone();
        let task = create_task(async move {
            let acquired = wait_for(flavour, lock.acquire(), timeout).await;
            if acquired.is_ok() {
                lock.release()?;
            }
            let task = current_task().expect("a task waits");
            match acquired {
                Err(Error::Cancelled) => {}
                _ => assert_eq!(task.cancelling(), 0, "a request is left over"),
            }
            match acquired {
                Err(Error::Timeout) => Ok(()),
                acquired => acquired,
            }
        });
        task.set_name("user");
        task
    });
    first.await?;
    join(users).await?;
    probe.settled().await?;
    assert_eq!(format!("{lock:?}"), "<Lock [unlocked]>");
    Ok(())
}

/// What is finished at the deadline counts.
async fn last_moment(flavour: Flavour) -> Result<()> {
    let user = create_task(async move {
        let work = async {
            match nap(2).await {
                Err(Error::Cancelled) => Ok("half of it"),
                other => other.map(|()| "all of it"),
            }
        };
        let done = wait_for(flavour, work, secs(1)).await;
        assert!(!matches!(done, Err(Error::Timeout)), "the half is lost");
        done.map(drop)
    });
    user.set_name("user");
    join([user]).await
}

/// Any two of a reorder and a cancel, and never of the tasks that only a copy has.
fn users() -> Explorer {
    let explorer = Explorer::new().reorder(2).cancels(2).deviations(2);
    explorer.only(|task| task == "user")
}

fn find_in_impatience(flavour: Flavour, expected: &str) {
    find(&users(), expected, |probe| impatience(probe, flavour));
}

#[test]
fn a_result_that_a_cancel_loses_is_found() {
    find_in_impatience(Flavour::LosesTheResult, "<Lock [locked]>");
}

#[test]
fn a_result_that_the_deadline_loses_is_found() {
    find(&users(), "the half is lost", |_| {
        last_moment(Flavour::LosesTheLastResult)
    });
}

#[test]
fn a_cancel_that_is_forgotten_is_found() {
    find_in_impatience(Flavour::ForgetsTheCancel, "a request is left over");
}

#[test]
fn a_request_that_is_not_taken_back_is_found() {
    find_in_impatience(Flavour::LeavesItsRequest, "a request is left over");
}

#[test]
fn a_cancel_taken_for_the_timeout_s_own_is_found() {
    find_in_impatience(Flavour::TakesAnyCancelForItsOwn, "a request is left over");
}

#[test]
fn a_sound_copy_and_the_crate_s_own_are_sound() {
    for flavour in [Flavour::Sound, Flavour::Own] {
        hold(&users(), |probe| impatience(probe, flavour));
        hold(&users(), |_| last_moment(flavour));
    }
}
