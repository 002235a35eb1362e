//! The wakers that foreign futures get, and the inbox through which they reach the loop. All that is shared with
//! other threads lives here.
//!
//! A task that meets only soloop's futures needs no waker. So the loop polls every task with one *spare* waker and looks
//! afterwards whether somebody has cloned it. If so, the task adopts it, weakly, and the loop makes a new spare. Hence no
//! wake can reach another task than the one it was made for, a task that never meets a foreign future never pays
//! for a waker, and the loop knows at any time whether a clone is left that could wake it.
//!
//! In asyncio a wake from outside is `loop.call_soon_threadsafe`.

use std::{
    mem,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering},
    },
    task::Wake,
    time::Duration,
};

use super::{Loop, key::TaskKey};

/// What a foreign future's [`Waker`](std::task::Waker) points to.
#[derive(Debug)]
pub(crate) struct TaskWaker {
    /// The task's number in the loop; `0` once the task has ended.
    task: AtomicU32,
    /// Whether the waker stands in the inbox.
    posted: AtomicBool,
    /// Whether the inbox counts this waker among those that a live task has given out.
    counted: AtomicBool,
    inbox: Arc<Inbox>,
}

impl TaskWaker {
    pub(crate) fn spare(inbox: &Arc<Inbox>) -> Arc<Self> {
        Arc::new(Self {
            task: AtomicU32::new(0),
            posted: AtomicBool::new(false),
            counted: AtomicBool::new(false),
            inbox: Arc::clone(inbox),
        })
    }

    /// Points a spare waker at the task that is polled next.
    pub(crate) fn aim(&self, task: TaskKey) {
        self.task.store(task.get(), Ordering::Relaxed);
    }

    /// Counts the waker among those given out: a clone of it is left after a poll.
    pub(crate) fn adopt(&self) {
        self.inbox.given_out.fetch_add(1, Ordering::Relaxed);
        self.counted.store(true, Ordering::Release);
    }

    /// Cuts the waker from its task, which has ended.
    pub(crate) fn detach(&self) {
        self.task.store(0, Ordering::Relaxed);
        if self.counted.swap(false, Ordering::AcqRel) {
            self.inbox.given_out.fetch_sub(1, Ordering::AcqRel);
        }
    }

    fn task(&self) -> Option<TaskKey> {
        TaskKey::from_get(self.task.load(Ordering::Relaxed))
    }
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // On the loop's own thread a wake is a `call_soon`: the step is queued here and now.
        let Some(task) = self.task() else { return };
        if !Loop::queue_from_here(&self.inbox, task) && !self.posted.swap(true, Ordering::AcqRel) {
            self.inbox.post(Arc::clone(self));
        }
    }
}

impl Drop for TaskWaker {
    fn drop(&mut self) {
        // The loop may be parked and waiting for this very waker, which can no longer come.
        if *self.counted.get_mut() && self.inbox.given_out.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.inbox.ring();
        }
    }
}

/// Where wakes from other threads arrive, in order.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    posts: Mutex<Posts>,
    bell: Condvar,
    /// Whether there is something to look at; may be set without need.
    rung: AtomicBool,
    /// How many adopted wakers of live tasks have clones left.
    given_out: AtomicUsize,
}

#[derive(Debug, Default)]
struct Posts {
    wakers: Vec<Arc<TaskWaker>>,
}

impl Inbox {
    /// Whether a clone of a live task's waker exists. A wake that came before the last one was dropped is in the inbox by
    /// the time this is false.
    pub(crate) fn can_be_woken(&self) -> bool {
        self.given_out.load(Ordering::Acquire) > 0
    }

    pub(crate) fn is_rung(&self) -> bool {
        self.rung.load(Ordering::Acquire)
    }

    /// Takes the tasks that were woken, in the order in which their wakes arrived.
    pub(crate) fn drain(&self, mut woken: impl FnMut(TaskKey)) {
        let wakers = {
            let mut posts = self.lock();
            self.rung.store(false, Ordering::Release);
            mem::take(&mut posts.wakers)
        };
        for waker in wakers {
            waker.posted.store(false, Ordering::Release);
            if let Some(task) = waker.task() {
                woken(task);
            }
        }
    }

    /// Sleeps until something arrives, or the time is over.
    pub(crate) fn park(&self, timeout: Option<Duration>) {
        let posts = self.lock();
        let idle = |_: &mut Posts| !self.is_rung();
        match timeout {
            None => drop(self.bell.wait_while(posts, idle)),
            Some(timeout) => drop(self.bell.wait_timeout_while(posts, timeout, idle)),
        }
    }

    fn post(&self, waker: Arc<TaskWaker>) {
        let mut posts = self.lock();
        posts.wakers.push(waker);
        self.rung.store(true, Ordering::Release);
        drop(posts);
        self.bell.notify_one();
    }

    /// Makes the loop look up, with nothing in the inbox.
    fn ring(&self) {
        let posts = self.lock();
        self.rung.store(true, Ordering::Release);
        drop(posts);
        self.bell.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, Posts> {
        // Nothing that could panic runs under the lock, and a list of wakers is never half-done.
        self.posts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
