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
    task::{Wake, Waker},
    time::Duration,
};

use super::{Loop, key::TaskKey};

/// What a foreign future's [`Waker`] points to.
pub(crate) struct TaskWaker {
    /// The task's number in the loop; `0` once the task has ended.
    task: AtomicU32,
    /// Whether the waker stands in the inbox.
    posted: AtomicBool,
    /// Whether the inbox counts this waker among those that a live task has given out.
    counted: AtomicBool,
    /// Requests to cancel the task that wait in the inbox.
    cancels: AtomicU32,
    inbox: Arc<Inbox>,
}

impl TaskWaker {
    pub(crate) fn spare(inbox: &Arc<Inbox>) -> Arc<Self> {
        Arc::new(Self {
            task: AtomicU32::new(0),
            posted: AtomicBool::new(false),
            counted: AtomicBool::new(false),
            cancels: AtomicU32::new(0),
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

    /// Asks the task to stop, from whatever thread.
    pub(crate) fn cancel(self: &Arc<Self>) {
        let Some(task) = self.task() else { return };
        if !Loop::cancel_from_here(&self.inbox, task) {
            self.cancels.fetch_add(1, Ordering::Relaxed);
            self.post();
        }
    }

    fn post(self: &Arc<Self>) {
        if !self.posted.swap(true, Ordering::AcqRel) {
            self.inbox.post(Arc::clone(self));
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
        if !Loop::queue_from_here(&self.inbox, task) {
            self.post();
        }
    }
}

impl Drop for TaskWaker {
    fn drop(&mut self) {
        // The loop may be parked and waiting for this very waker, which can no longer come. In the midst of a turn it is not.
        if *self.counted.get_mut()
            && self.inbox.given_out.fetch_sub(1, Ordering::AcqRel) == 1
            && !Loop::runs_here(&self.inbox)
        {
            self.inbox.ring();
        }
    }
}

/// What arrives from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Post {
    Wake(TaskKey),
    Cancel(TaskKey),
}

/// Where wakes from other threads arrive, in order.
#[derive(Default)]
pub(crate) struct Inbox {
    posts: Mutex<Posts>,
    bell: Condvar,
    /// Whether there is something to look at; may be set without need.
    rung: AtomicBool,
    /// How many adopted wakers of live tasks have clones left.
    given_out: AtomicUsize,
    /// Whether the host has been left with nothing to do, and is to be told of the next thing that there is.
    idle: AtomicBool,
}

#[derive(Default)]
struct Posts {
    wakers: Vec<Arc<TaskWaker>>,
    /// Called when an idle loop has something to do.
    hook: Option<Arc<dyn Fn() + Send + Sync>>,
    /// The same for the executor that drives the loop.
    host: Option<Waker>,
    /// The loop is gone. A waker that was kept here would keep the inbox, and so itself.
    closed: bool,
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

    /// Takes what has arrived, in order.
    pub(crate) fn drain(&self, mut arrived: impl FnMut(Post)) {
        let wakers = {
            let mut posts = self.lock();
            self.rung.store(false, Ordering::Release);
            mem::take(&mut posts.wakers)
        };
        for waker in wakers {
            // A swap, to see all that came before the post that it ends.
            waker.posted.swap(false, Ordering::AcqRel);
            let cancels = waker.cancels.swap(0, Ordering::AcqRel);
            if let Some(task) = waker.task() {
                (0..cancels).for_each(|_| arrived(Post::Cancel(task)));
                arrived(Post::Wake(task));
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

    /// Has a hook called whenever there is something to do for a loop that was idle.
    pub(crate) fn set_hook(&self, hook: Arc<dyn Fn() + Send + Sync>) {
        let old = self.lock().hook.replace(hook);
        drop(old);
    }

    /// The same for the executor that drives the loop.
    pub(crate) fn set_host(&self, host: Option<Waker>) {
        let old = mem::replace(&mut self.lock().host, host);
        drop(old);
    }

    /// Whether the host's waker would wake the same as this one.
    pub(crate) fn is_host(&self, waker: &Waker) -> bool {
        self.lock()
            .host
            .as_ref()
            .is_some_and(|host| host.will_wake(waker))
    }

    /// The loop has nothing to do, unless somebody has rung. Says whether that is so; then the next thing is announced.
    pub(crate) fn become_idle(&self) -> bool {
        let _posts = self.lock();
        let idle = !self.is_rung();
        self.idle.store(idle, Ordering::Release);
        idle
    }

    /// Whether the host was left with nothing to do, and nothing has come since.
    pub(crate) fn is_idle(&self) -> bool {
        self.idle.load(Ordering::Acquire)
    }

    /// The loop has something to do again.
    pub(crate) fn become_busy(&self) {
        if self.idle.load(Ordering::Acquire) {
            self.idle.store(false, Ordering::Release);
        }
    }

    /// Tells the host that there is something to do, once after each time it was left idle.
    pub(crate) fn announce(&self) {
        let posts = self.lock();
        self.tell_host(posts);
    }

    /// The hook and the host's waker are user code: they are called when the inbox is closed.
    fn tell_host(&self, posts: MutexGuard<'_, Posts>) {
        if self.idle.swap(false, Ordering::AcqRel) {
            let (hook, host) = (posts.hook.clone(), posts.host.clone());
            drop(posts);
            if let Some(hook) = hook {
                hook();
            }
            if let Some(host) = host {
                host.wake();
            }
        }
    }

    fn post(&self, waker: Arc<TaskWaker>) {
        self.knock(|posts| posts.wakers.push(waker));
    }

    /// Makes the loop look up, with nothing in the inbox.
    fn ring(&self) {
        self.knock(|_| {});
    }

    fn knock(&self, leave: impl FnOnce(&mut Posts)) {
        let mut posts = self.lock();
        if posts.closed {
            return;
        }
        leave(&mut posts);
        self.rung.store(true, Ordering::Release);
        self.bell.notify_one();
        self.tell_host(posts);
    }

    /// The loop is gone: forgets what has arrived, and whom to tell of it.
    pub(crate) fn close(&self) {
        let closed = Posts {
            closed: true,
            ..Posts::default()
        };
        let left = mem::replace(&mut *self.lock(), closed);
        drop(left);
    }

    fn lock(&self) -> MutexGuard<'_, Posts> {
        // Nothing that could panic runs under the lock, and a list of wakers is never half-done.
        self.posts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
