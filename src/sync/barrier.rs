//! `Barrier`: a point that a number of tasks pass together.

use std::{
    cell::Cell,
    fmt,
    future::Future,
    mem,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
};

use super::{gate::AGAIN, repr, repr_of};
use crate::{
    error::{BARRIER_ABORTED, BARRIER_BROKE, Error, NO_PARTIES, Result},
    event_loop::key::WaiterKey,
    waiter::{Named, Queue, Settled},
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

// asyncio has a condition here. Its lock is free whenever a task runs, since nobody waits while he holds it but by giving it up: so it
// is left out, and what is left is the queue.
struct State {
    /// All who wait, inside or outside.
    waiters: Queue,
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
        Ok(Self(Rc::new(State {
            waiters: Queue::of_pending(),
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
        self.0.waiters.give_name(name.into());
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
    /// None: it never waits.
    ///
    /// # Cancellation
    /// None arrives here, for the same reason.
    ///
    /// # Dropping
    /// If it was not polled, nothing has changed.
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
            barrier.begin_phase(if barrier.count.get() > 0 {
                Phase::Resetting
            } else {
                Phase::Filling
            });
            Ok(())
        }
    }

    /// Puts the barrier out of use. Those who wait, and those who come, get [`Error::BrokenBarrier`].
    ///
    /// The counterpart of `asyncio.Barrier.abort`.
    ///
    /// # Errors
    /// None: it never waits.
    ///
    /// # Cancellation
    /// None arrives here, for the same reason.
    ///
    /// # Dropping
    /// If it was not polled, nothing has changed.
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
            barrier.begin_phase(Phase::Broken);
            Ok(())
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

    /// A task comes in, and gets its position.
    fn come_in(&self) -> usize {
        let index = self.count.get();
        self.count.set(index + 1);
        index
    }

    /// Whether somebody may come in and is not the last.
    fn lacks_many(&self) -> bool {
        self.phase.get() == Phase::Filling && self.count.get() + 1 < self.parties
    }

    /// A task is no longer counted.
    #[inline]
    fn go_out(&self) {
        self.count.set(self.count.get() - 1);
        if self.count.get() == 0 {
            self.let_in();
        }
    }

    /// The last has left, and those may come in who wait outside.
    #[inline(never)]
    fn let_in(&self) {
        self.begin_phase(match self.phase.get() {
            Phase::Resetting | Phase::Draining => Phase::Filling,
            phase => phase,
        });
    }

    /// Begins a phase, and has all who wait look what it is.
    fn begin_phase(&self, phase: Phase) {
        self.phase.set(phase);
        self.waiters.wake_all();
    }
}

/// The future of `wait`.
#[must_use = "futures do nothing unless polled"]
struct Crossing {
    barrier: Rc<State>,
    stage: Stage,
}

#[derive(Clone, Copy)]
enum Stage {
    /// `_block`: nobody comes in while the barrier drains or resets.
    Outside,
    WaitsOutside(WaiterKey),
    /// `_wait`: is counted, at this position.
    Inside(usize),
    WaitsInside(usize, WaiterKey),
    Over,
}

impl Stage {
    /// Its waiter, while it waits.
    fn waiter(&mut self) -> Option<&mut WaiterKey> {
        match self {
            Self::WaitsOutside(waiter) | Self::WaitsInside(_, waiter) => Some(waiter),
            Self::Outside | Self::Inside(_) | Self::Over => None,
        }
    }

    /// Waits where it stands.
    fn wait(&mut self, waiter: WaiterKey) {
        *self = match *self {
            Self::Inside(index) => Self::WaitsInside(index, waiter),
            _ => Self::WaitsOutside(waiter),
        };
    }

    /// Waits no longer.
    fn stop_waiting(&mut self) {
        *self = match *self {
            Self::WaitsOutside(_) => Self::Outside,
            Self::WaitsInside(index, _) => Self::Inside(index),
            stage => stage,
        };
    }
}

impl Crossing {
    fn new(barrier: &Rc<State>) -> Self {
        Self {
            barrier: Rc::clone(barrier),
            stage: Stage::Outside,
        }
    }

    #[inline]
    fn pass(&mut self, index: usize) -> Poll<Result<usize>> {
        self.stage = Stage::Over;
        self.barrier.go_out();
        Poll::Ready(Ok(index))
    }

    /// Leaves, from wherever it has come to: what stands in a `finally`.
    fn leave(&mut self) {
        if let Some(&mut waiter) = self.stage.waiter() {
            self.stage.stop_waiting();
            self.barrier.waiters.leave(waiter);
            self.notify_another();
        }
        if let Stage::Inside(_) = mem::replace(&mut self.stage, Stage::Over) {
            self.barrier.go_out();
        }
    }

    /// It was woken, perhaps, and does not go on: as a condition does, it has another look in its place, for nothing.
    fn notify_another(&self) {
        self.barrier.waiters.wake_first();
    }

    #[cold]
    fn fail(&mut self, error: Error) -> Poll<Result<usize>> {
        self.leave();
        Poll::Ready(Err(error))
    }

    /// The wait has ended, but not with a wake.
    #[cold]
    fn fail_to_wait(&mut self, settled: Settled) -> Poll<Result<usize>> {
        if settled.is_gone() {
            self.stage.stop_waiting();
            self.notify_another();
        }
        self.fail(settled.error())
    }

    #[inline(never)]
    fn poll_slowly(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize>> {
        let barrier = &*self.barrier;
        if let Some(waiter) = self.stage.waiter() {
            match ready!(barrier.waiters.poll(waiter, cx)) {
                Settled::Woken | Settled::WokenObserved => self.stage.stop_waiting(),
                settled => return self.fail_to_wait(settled),
            }
        }
        match (self.stage, barrier.phase.get()) {
            (Stage::Outside, Phase::Filling) => {
                let index = barrier.come_in();
                self.stage = Stage::Inside(index);
                if index + 1 == barrier.parties {
                    // All are here. Whatever a waker may do to the barrier now, this one has passed.
                    barrier.begin_phase(Phase::Draining);
                    return self.pass(index);
                }
            }
            (Stage::Outside, Phase::Draining | Phase::Resetting) => {}
            (Stage::Outside, Phase::Broken) => {
                return self.fail(Error::broken_barrier(BARRIER_ABORTED));
            }
            (Stage::Inside(_), Phase::Filling) => {}
            (Stage::Inside(index), Phase::Draining) => return self.pass(index),
            (Stage::Inside(_), Phase::Resetting | Phase::Broken) => {
                return self.fail(Error::broken_barrier(BARRIER_BROKE));
            }
            _ => panic!("{AGAIN}"),
        }
        match barrier.waiters.enter(&self.barrier, cx) {
            Some(waiter) => {
                self.stage.wait(waiter);
                Poll::Pending
            }
            None => self.fail(barrier.waiters.refusal(&Inner(barrier))),
        }
    }
}

impl Future for Crossing {
    type Output = Result<usize>;

    // What most polls find where a barrier is used again and again comes first, and is no more than that, so as to be inlined.
    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<usize>> {
        let this = &mut *self;
        let barrier = &*this.barrier;
        match this.stage {
            // Who comes while the others leave waits outside,
            Stage::Outside if barrier.phase.get() == Phase::Draining => {
                if let Some(waiter) = barrier.waiters.enter_known(cx) {
                    this.stage = Stage::WaitsOutside(waiter);
                    return Poll::Pending;
                }
            }
            // comes in then and waits again,
            Stage::WaitsOutside(waiter)
                if barrier.lacks_many() && barrier.waiters.wait_again(waiter, cx) =>
            {
                this.stage = Stage::WaitsInside(barrier.come_in(), waiter);
                return Poll::Pending;
            }
            // and passes once all are here.
            Stage::WaitsInside(index, waiter)
                if barrier.phase.get() == Phase::Draining && barrier.waiters.take_woken(waiter) =>
            {
                return this.pass(index);
            }
            _ => {}
        }
        this.poll_slowly(cx)
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

/// The condition inside asyncio's barrier, which is what it names where nobody can wait. The lock is held just then.
struct Inner<'a>(&'a State);

impl Named for Inner<'_> {
    fn name(&self) -> String {
        repr(self, "locked", &self.0.waiters)
    }

    fn kind(&self) -> &'static str {
        "Condition"
    }

    fn given_name(&self) -> Option<&str> {
        self.0.given_name()
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
        self.waiters.given_name()
    }
}
