//! `Barrier`: a point that a number of tasks pass together.

use std::{
    cell::Cell,
    fmt,
    future::Future,
    mem,
    pin::Pin,
    rc::{Rc, Weak},
    task::{Context, Poll, ready},
};

use super::{
    Condition,
    condition::Wait,
    gate::{AGAIN, Leads, Place},
    lock::Holding,
    repr_of,
};
use crate::{
    error::{BARRIER_ABORTED, BARRIER_BROKE, Error, NO_PARTIES, Result},
    waiter::Named,
};

/// A point that a number of tasks wait at for each other, and pass together. May be used again and again.
///
/// The counterpart of `asyncio.Barrier`. Clones are references to the same barrier.
///
/// # Examples
/// ```
/// use soloop::{Barrier, create_task};
///
/// soloop::run(async {
///     let start = Barrier::new(3)?;
///     let (first, second) = (create_task(start.wait()), create_task(start.wait()));
///     let third = start.wait().await?; // each has a number of its own
///     assert_eq!(first.await? + second.await? + third, 0 + 1 + 2);
///     Ok(())
/// })?;
/// # Ok::<(), soloop::Error>(())
/// ```
#[derive(Clone)]
pub struct Barrier(Rc<State>);

struct State {
    /// Holds its lock while the state changes; all who wait, wait here.
    cond: Condition,
    parties: usize,
    phase: Cell<Phase>,
    /// How many tasks are inside `wait`.
    count: Cell<usize>,
}

/// asyncio's `_BarrierState`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Tasks arrive and wait.
    Filling,
    /// All have arrived and leave. Whoever comes now waits until the last has left.
    Draining,
    /// Those who wait are sent away, by `reset`. Whoever comes now waits until the last has left.
    Resetting,
    /// Out of use, by `abort`, until the next `reset`.
    Broken,
}

impl Barrier {
    /// Makes a barrier for this many tasks.
    ///
    /// # Errors
    /// [`Error::Value`] if `parties` is zero.
    ///
    /// # Examples
    /// ```
    /// # use soloop::Barrier;
    /// let start = Barrier::new(3)?;
    /// assert_eq!(format!("{start:?}"), "<Barrier [filling, waiters:0/3]>");
    /// assert_eq!(Barrier::new(0).unwrap_err().to_string(), "ValueError: parties must be > 0");
    /// # Ok::<(), soloop::Error>(())
    /// ```
    pub fn new(parties: usize) -> Result<Self> {
        if parties < 1 {
            return Err(Error::value(NO_PARTIES));
        }
        Ok(Self(Rc::new_cyclic(|barrier: &Weak<State>| State {
            cond: Condition::part_of(barrier.clone()),
            parties,
            phase: Cell::new(Phase::Filling),
            count: Cell::new(0),
        })))
    }

    /// Gives the barrier a name, for its `repr`, for reports and for pictures. The first one stays.
    ///
    /// # Examples
    /// ```
    /// let start = soloop::Barrier::new(3)?.named("start");
    /// assert_eq!(format!("{start:?}"), "<Barrier 'start' [filling, waiters:0/3]>");
    /// # Ok::<(), soloop::Error>(())
    /// ```
    #[must_use]
    pub fn named(self, name: impl Into<String>) -> Self {
        self.0.cond.give_name(name.into());
        self
    }

    /// Waits until all parties are here, and returns this task's position among them, from `0` on.
    ///
    /// The counterpart of `asyncio.Barrier.wait`, and of `async with barrier as position`.
    ///
    /// # Errors
    /// [`Error::BrokenBarrier`] if the barrier is aborted, or reset while the task waits; [`Error::Cancelled`] as below;
    /// [`Error::Runtime`] if it would have to wait outside any loop, or in another loop than the one that the barrier
    /// belongs to.
    ///
    /// # Cancellation
    /// The task is no longer counted. The others go on waiting for one more.
    ///
    /// # Dropping
    /// Likewise.
    ///
    /// # Examples
    /// ```
    /// # use {soloop::{Barrier, create_task}, std::{cell::Cell, rc::Rc}};
    /// # soloop::run(async {
    /// let (barrier, swept) = (Barrier::new(2)?, Rc::new(Cell::new(0)));
    /// let worker = || {
    ///     let (barrier, swept) = (barrier.clone(), Rc::clone(&swept));
    ///     create_task(async move {
    ///         if barrier.wait().await? == 0 {
    ///             swept.set(swept.get() + 1); // one of them sweeps the floor, whoever it is
    ///         }
    ///         Ok(())
    ///     })
    /// };
    /// let workers = [worker(), worker()];
    /// for worker in workers {
    ///     worker.await?;
    /// }
    /// assert_eq!(swept.get(), 1);
    /// # Ok(()) }).unwrap();
    /// ```
    pub fn wait(&self) -> impl Future<Output = Result<usize>> + 'static + use<> {
        Crossing::new(&self.0)
    }

    /// Brings the barrier back to its first state. Those who wait get [`Error::BrokenBarrier`].
    ///
    /// The counterpart of `asyncio.Barrier.reset`. Mends a barrier that was aborted.
    ///
    /// # Errors
    /// Those of [`Lock::acquire`](crate::Lock::acquire): the barrier's lock may be taken.
    ///
    /// # Cancellation
    /// Nothing has changed.
    ///
    /// # Dropping
    /// Likewise.
    ///
    /// # Examples
    /// ```
    /// # use {soloop::{Barrier, Error, create_task, sleep}, std::time::Duration};
    /// # soloop::run(async {
    /// let race = Barrier::new(2)?;
    /// let runner = create_task(race.wait());
    /// sleep(Duration::ZERO).await?;
    /// race.reset().await?; // a false start
    /// assert!(matches!(runner.await, Err(Error::BrokenBarrier(_))));
    /// let again = create_task(race.wait());
    /// race.wait().await?;
    /// again.await?;
    /// # Ok(()) }).unwrap();
    /// ```
    pub fn reset(&self) -> impl Future<Output = Result<()>> + 'static + use<> {
        let barrier = Rc::clone(&self.0);
        async move {
            let held = barrier.cond.enter().await?;
            barrier.phase.set(if barrier.count.get() > 0 {
                Phase::Resetting
            } else {
                Phase::Filling
            });
            held.notify_all()
        }
    }

    /// Puts the barrier out of use. Those who wait, and those who come, get [`Error::BrokenBarrier`].
    ///
    /// The counterpart of `asyncio.Barrier.abort`.
    ///
    /// # Errors
    /// Those of [`Lock::acquire`](crate::Lock::acquire): the barrier's lock may be taken.
    ///
    /// # Cancellation
    /// Nothing has changed.
    ///
    /// # Dropping
    /// Likewise.
    ///
    /// # Examples
    /// ```
    /// # use {soloop::{Barrier, Error, create_task, sleep}, std::time::Duration};
    /// # soloop::run(async {
    /// let race = Barrier::new(2)?;
    /// let runner = create_task(race.wait());
    /// sleep(Duration::ZERO).await?;
    /// race.abort().await?; // the other will never come, and nobody is to wait for it
    /// assert!(matches!(runner.await, Err(Error::BrokenBarrier(_))));
    /// assert!(race.wait().await.is_err());
    /// # Ok(()) }).unwrap();
    /// ```
    pub fn abort(&self) -> impl Future<Output = Result<()>> + 'static + use<> {
        let barrier = Rc::clone(&self.0);
        async move {
            let held = barrier.cond.enter().await?;
            barrier.phase.set(Phase::Broken);
            held.notify_all()
        }
    }

    /// How many tasks pass together. The counterpart of `asyncio.Barrier.parties`.
    ///
    /// # Examples
    /// ```
    /// # use soloop::{Barrier, create_task};
    /// # soloop::run(async {
    /// # let race = Barrier::new(3)?;
    /// let runners: Vec<_> = (0..race.parties()).map(|_| create_task(race.wait())).collect();
    /// for runner in runners {
    ///     runner.await?;
    /// }
    /// # Ok(()) }).unwrap();
    /// ```
    #[must_use]
    pub fn parties(&self) -> usize {
        self.0.parties
    }

    /// How many tasks wait while the barrier fills, and else `0`. The counterpart of `asyncio.Barrier.n_waiting`.
    ///
    /// # Examples
    /// ```
    /// # use {soloop::{Barrier, create_task, sleep}, std::time::Duration};
    /// # soloop::run(async {
    /// let race = Barrier::new(3)?;
    /// let _first = create_task(race.wait());
    /// sleep(Duration::ZERO).await?;
    /// let missing = race.parties() - race.n_waiting();
    /// assert_eq!(missing, 2);
    /// # race.abort().await?;
    /// # Ok(()) }).unwrap();
    /// ```
    #[must_use]
    pub fn n_waiting(&self) -> usize {
        self.0.n_waiting()
    }

    /// Whether the barrier is out of use. The counterpart of `asyncio.Barrier.broken`.
    ///
    /// # Examples
    /// ```
    /// # use soloop::Barrier;
    /// # soloop::run(async {
    /// # let race = Barrier::new(3)?;
    /// race.abort().await?;
    /// if race.broken() {
    ///     race.reset().await?;
    /// }
    /// assert!(!race.broken());
    /// # Ok(()) }).unwrap();
    /// ```
    #[must_use]
    pub fn broken(&self) -> bool {
        self.0.phase.get() == Phase::Broken
    }
}

impl fmt::Debug for Barrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.name())
    }
}

impl State {
    fn n_waiting(&self) -> usize {
        match self.phase.get() {
            Phase::Filling => self.count.get(),
            _ => 0,
        }
    }

    /// A task comes in, and gets its position. With the last one, all are here.
    fn come_in(&self) -> usize {
        let index = self.count.get();
        self.count.set(index + 1);
        if index + 1 == self.parties {
            self.phase.set(Phase::Draining);
            self.cond.wake_all();
        }
        index
    }

    /// A task is no longer counted. The last to leave lets those in who wait outside.
    fn go_out(&self) {
        self.count.set(self.count.get() - 1);
        if self.count.get() == 0 {
            if let Phase::Resetting | Phase::Draining = self.phase.get() {
                self.phase.set(Phase::Filling);
            }
            self.cond.wake_all();
        }
    }
}

/// The future of `wait`.
#[must_use = "futures do nothing unless polled"]
struct Crossing {
    barrier: Rc<State>,
    stage: Stage,
    /// In the lock's queue, before it is held.
    place: Place,
    /// What is held of the lock, as by a guard.
    holding: Holding,
    /// While the lock is given up for others.
    wait: Wait,
}

#[derive(Clone, Copy)]
enum Stage {
    /// `async with self._cond`: takes the lock.
    Enters,
    /// `_block`: nobody comes in while the barrier drains or resets.
    Blocks,
    /// `_wait`: is inside, at this position.
    Waits(usize),
    Over,
}

impl Crossing {
    fn new(barrier: &Rc<State>) -> Self {
        Self {
            barrier: Rc::clone(barrier),
            stage: Stage::Enters,
            place: Place::default(),
            holding: 0,
            wait: Wait::NEW,
        }
    }

    /// Leaves, from wherever it has come to: what stands in a `finally`, and the end of the `async with`.
    fn leave(&mut self) {
        let cond = &self.barrier.cond;
        let lock = cond.gate();
        self.wait.give_up(cond);
        if let Stage::Waits(_) = self.stage {
            // Before the lock is released: whoever has it next finds the count as it is. And if a waker panics, the lock is still
            // to be released.
            self.stage = Stage::Blocks;
            self.barrier.go_out();
        }
        match mem::replace(&mut self.stage, Stage::Over) {
            Stage::Enters => self.place.give_up(&**lock),
            Stage::Blocks => lock.exit(self.holding),
            Stage::Waits(_) | Stage::Over => {}
        }
    }

    #[cold]
    fn fail(&mut self, error: Error) -> Poll<Result<usize>> {
        self.leave();
        Poll::Ready(Err(error))
    }
}

impl Future for Crossing {
    type Output = Result<usize>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<usize>> {
        let this = &mut *self;
        let State { cond, phase, .. } = &*this.barrier;
        match this.stage {
            Stage::Enters => {
                let lock = cond.gate();
                if let Err(denied) = ready!(this.place.poll(lock, cx)) {
                    let error = denied.error(&**lock);
                    return this.fail(error);
                }
                this.holding = lock.enter();
                this.stage = Stage::Blocks;
            }
            Stage::Blocks | Stage::Waits(_) => {
                // The lock is held again, and the phase may be another.
                if let Err(error) = ready!(this.wait.go_on(cond, cx)) {
                    return this.fail(error);
                }
            }
            Stage::Over => panic!("{AGAIN}"),
        }
        if let (Stage::Blocks, Phase::Filling) = (this.stage, phase.get()) {
            this.stage = Stage::Waits(this.barrier.come_in());
        }
        match (this.stage, phase.get()) {
            (Stage::Blocks, Phase::Draining | Phase::Resetting)
            | (Stage::Waits(_), Phase::Filling) => match this.wait.begin(cond, cx) {
                Ok(()) => Poll::Pending,
                Err(error) => this.fail(error),
            },
            (Stage::Waits(index), Phase::Draining) => {
                this.leave();
                Poll::Ready(Ok(index))
            }
            (Stage::Waits(_), _) => this.fail(Error::broken_barrier(BARRIER_BROKE)),
            _ => this.fail(Error::broken_barrier(BARRIER_ABORTED)),
        }
    }
}

impl Drop for Crossing {
    #[inline]
    fn drop(&mut self) {
        if !matches!(self.stage, Stage::Over) {
            self.leave();
        }
    }
}

impl Named for State {
    fn name(&self) -> String {
        let phase = match self.phase.get() {
            Phase::Filling => "filling",
            Phase::Draining => "draining",
            Phase::Resetting => "resetting",
            Phase::Broken => return repr_of(self, "broken"),
        };
        let waiting = self.n_waiting();
        repr_of(
            self,
            &format!("{phase}, waiters:{waiting}/{}", self.parties),
        )
    }

    fn kind(&self) -> &'static str {
        "Barrier"
    }

    fn given_name(&self) -> Option<&str> {
        self.cond.given_name()
    }
}
