//! soloop inside somebody else's loop: turn by turn, driven as a future, told of work from outside.
//!
//! Everything here is said in terms of what `run` does too: one turn, and the outlook after it. Nothing here parks the thread.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    rc::{Rc, Weak},
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures_task::{LocalFutureObj, LocalSpawn, SpawnError};
use pin_project_lite::pin_project;

use super::{
    Clock, DeadlockReport, EventLoop, Fifo, Loop, Outlook, Rest, Running, State, TaskWaker,
};
use crate::{
    error::{Error, NESTED_RUN, Result},
    task::{Main, Step, Task, TaskHandle},
};

/// How things stand after a turn: whether there is more to do, and if not, what to wait for.
///
/// # Examples
/// A host with a loop of its own:
/// ```
/// use {soloop::{EventLoop, Turn, sleep}, std::{cell::Cell, rc::Rc, time::Duration}};
///
/// let time = Rc::new(Cell::new(Duration::ZERO));
/// let mut game = EventLoop::with_clock({ let time = Rc::clone(&time); move || time.get() });
/// game.create_task(async { sleep(Duration::from_millis(40)).await });
/// let mut frames = 0;
/// loop {
///     match game.run_until_stalled(100) {
///         Turn::Empty => break,
///         Turn::Stuck(report) => panic!("{report}"),
///         _ => time.set(time.get() + Duration::from_millis(16)), // the next frame
///     }
///     frames += 1;
/// }
/// assert_eq!(frames, 3);
/// ```
#[must_use = "it says when to turn again"]
#[derive(Debug, Clone)]
pub enum Turn {
    /// Something is ready: turn again.
    More,
    /// Nothing to do before this time of the loop's clock, unless something comes from outside.
    SleepUntil(Duration),
    /// Nothing to do until a waker comes from outside.
    AwaitWake,
    /// Tasks are left, and nothing in the loop can ever wake them. The host still can.
    Stuck(Arc<DeadlockReport>),
    /// No tasks are left.
    Empty,
}

impl EventLoop {
    /// Makes a loop on the host's clock: a game's time, a simulated board's, a browser's.
    ///
    /// The clock must not go back. It is asked at the beginning of a turn if a timer is set, and whenever a task asks for the
    /// time or sets one; it may call anything of the crate.
    ///
    /// # Examples
    /// ```
    /// use {soloop::{EventLoop, Turn, sleep}, std::{cell::Cell, rc::Rc, time::Duration}};
    ///
    /// let seconds = Rc::new(Cell::new(0));
    /// let board = Rc::clone(&seconds);
    /// let mut tasks = EventLoop::with_clock(move || Duration::from_secs(board.get()));
    /// tasks.create_task(sleep(Duration::from_secs(5)));
    /// assert!(matches!(tasks.turn(), Turn::SleepUntil(deadline) if deadline.as_secs() == 5));
    /// seconds.set(5); // the simulation goes on, in its own time
    /// assert!(matches!(tasks.run_until_stalled(10), Turn::Empty));
    /// ```
    #[must_use]
    pub fn with_clock(now: impl Fn() -> Duration + 'static) -> Self {
        Self {
            shared: Loop::new(Clock::host(now)),
        }
    }

    /// Starts a task in this loop: before, between and after turns. See [`create_task`](crate::create_task).
    ///
    /// The counterpart of `loop.create_task`.
    ///
    /// # Examples
    /// ```
    /// use soloop::{EventLoop, Turn};
    ///
    /// let mut tasks = EventLoop::new();
    /// let task = tasks.create_task(async { Ok(6 * 7) }); // from the host, which is no task itself
    /// assert!(matches!(tasks.turn(), Turn::Empty));
    /// assert_eq!(tasks.run(task)?, 42);
    /// # Ok::<(), soloop::Error>(())
    /// ```
    pub fn create_task<T: 'static>(
        &self,
        coro: impl Future<Output = Result<T>> + 'static,
    ) -> Task<T> {
        self.shared.spawn(coro)
    }

    /// Runs exactly one turn: what other threads have woken and the timers that are due go behind what is ready, and all of
    /// that runs, but nothing that it queues. Never parks. Returns how things stand then.
    ///
    /// The counterpart of `loop._run_once`, which asyncio keeps to itself. On the virtual clock a turn that finds nothing ready
    /// begins with the jump to the next deadline.
    ///
    /// # Panics
    /// If a loop is running on this thread already. A panic in a task unwinds through here, after every other task was dropped.
    ///
    /// # Examples
    /// ```
    /// use {soloop::{EventLoop, Turn, sleep}, std::{thread, time::Duration}};
    ///
    /// let mut tasks = EventLoop::new();
    /// tasks.create_task(async { sleep(Duration::from_millis(2)).await });
    /// loop {
    ///     match tasks.turn() {
    ///         Turn::More => {} // a frame may be drawn in between
    ///         Turn::SleepUntil(deadline) => thread::sleep(deadline.saturating_sub(tasks.time())),
    ///         Turn::Empty => break,
    ///         Turn::AwaitWake | Turn::Stuck(_) => unreachable!("it only sleeps"),
    ///     }
    /// }
    /// ```
    pub fn turn(&mut self) -> Turn {
        self.run_until_stalled(1)
    }

    /// Turns until nothing is ready, or this many times, and returns how things stand then.
    ///
    /// # Panics
    /// As [`turn`](Self::turn).
    ///
    /// # Examples
    /// ```
    /// use {soloop::{EventLoop, Result, Turn, sleep}, std::time::Duration};
    ///
    /// async fn always_busy() -> Result<()> {
    ///     loop {
    ///         sleep(Duration::ZERO).await?;
    ///     }
    /// }
    ///
    /// let mut tasks = EventLoop::new();
    /// tasks.create_task(always_busy());
    /// for _frame in 0..3 {
    ///     // Ten turns a frame, however much there is to do.
    ///     assert!(matches!(tasks.run_until_stalled(10), Turn::More));
    /// }
    /// ```
    pub fn run_until_stalled(&mut self, max_turns: usize) -> Turn {
        let _running = self.running();
        if let Some(turn) = self.shared.still_idle() {
            return turn;
        }
        for _ in 1..max_turns {
            self.shared.turn_once(None);
            let turn = self.shared.after_turn();
            if !matches!(turn, Turn::More) {
                return turn;
            }
        }
        if max_turns > 0 {
            self.shared.turn_once(None);
        }
        self.shared.after_turn()
    }

    /// Has a hook called when there is something to do for a loop that was idle: once for each time that a turn did not return
    /// [`Turn::More`], from whatever thread the cause comes.
    ///
    /// Causes are a waker, a [`RemoteTask`], and whatever is done on the loop's own thread outside its turns. The hook is called
    /// in the middle of that, so it should do no more than note it: wake a thread, post a message, set a flag. There is one hook: a
    /// second takes the place of the first.
    ///
    /// # Examples
    /// ```
    /// use {soloop::{Error, EventLoop, Turn}, std::thread};
    ///
    /// let mut tasks = EventLoop::new();
    /// let host = thread::current();
    /// tasks.on_wake(move || host.unpark());
    /// let (sender, receiver) = futures::channel::oneshot::channel();
    /// tasks.create_task(async { receiver.await.map_err(Error::other) });
    /// let other = thread::spawn(|| sender.send("hello"));
    /// while !matches!(tasks.turn(), Turn::Empty) {
    ///     thread::park(); // until there is something to do
    /// }
    /// # other.join().unwrap().unwrap();
    /// ```
    pub fn on_wake(&mut self, hook: impl Fn() + Send + Sync + 'static) {
        self.shared.inbox.set_hook(Arc::new(hook));
    }

    /// The loop as a future, which any executor can host: runs a coroutine and comes to what it comes to, as
    /// [`run`](Self::run) does.
    ///
    /// `sleep` makes a future that is over after a delay, by the executor's own timers. It is not asked under the virtual clock.
    /// The host is woken when there is something to do, and gets a turn itself after some of the loop's.
    ///
    /// # Errors
    /// Those of [`run`](Self::run); [`Error::Runtime`] where a loop is running already.
    ///
    /// # Panics
    /// If it is polled again after its end. A panic in a task unwinds into the host.
    ///
    /// # Cancellation
    /// The host cannot cancel it but by a drop. `main` is a task, and may be told as any other: by its
    /// [`TaskHandle`] or [`RemoteTask`].
    ///
    /// # Dropping
    /// Drops `main` and, if it has begun, every other task, where they stand.
    ///
    /// # Examples
    /// ```
    /// use {soloop::EventLoop, std::time::Duration};
    ///
    /// let mut guest = EventLoop::new();
    /// let driven = guest.drive(
    ///     async { soloop::sleep(Duration::from_millis(1)).await },
    ///     |delay| async move { std::thread::sleep(delay) }, // a host that has nothing better to do
    /// );
    /// futures::executor::block_on(driven)?;
    /// # Ok::<(), soloop::Error>(())
    /// ```
    pub fn drive<'a, T, S, F>(
        &'a mut self,
        main: impl Future<Output = Result<T>> + 'a,
        sleep: S,
    ) -> impl Future<Output = Result<T>> + 'a
    where
        T: 'a,
        S: FnMut(Duration) -> F + 'a,
        F: Future<Output = ()> + 'a,
    {
        Drive {
            main: Main::new(main),
            sleep,
            timer: None,
            deadline: None,
            driving: Driving::new(&self.shared),
        }
    }

    /// Cancels every task that is left, in the order of creation, and returns how things stand then. Keep turning until
    /// [`Turn::Empty`].
    ///
    /// The counterpart of what `asyncio.run` does at its end. What they raise instead is reported as there.
    ///
    /// # Examples
    /// ```
    /// use {soloop::{EventLoop, Turn, sleep}, std::time::Duration};
    ///
    /// let mut tasks = EventLoop::new();
    /// let task = tasks.create_task(async {
    ///     let told = sleep(Duration::from_secs(3600)).await;
    ///     sleep(Duration::ZERO).await?; // cleans up
    ///     told
    /// });
    /// let _ = tasks.turn();
    /// let _ = tasks.shutdown();
    /// while !matches!(tasks.turn(), Turn::Empty) {}
    /// assert!(task.cancelled());
    /// ```
    pub fn shutdown(&mut self) -> Turn {
        self.shared.open(|state| state.doom_all());
        self.shared.after_turn()
    }

    /// Something that spawns tasks into this loop, for code that is generic over [`LocalSpawn`].
    ///
    /// # Examples
    /// ```
    /// use {futures::task::{LocalSpawn, LocalSpawnExt}, soloop::{EventLoop, Turn}};
    ///
    /// // Of a crate that knows nothing of soloop.
    /// fn start(executor: &impl LocalSpawn) {
    ///     executor.spawn_local(async { println!("started") }).unwrap();
    /// }
    ///
    /// let mut tasks = EventLoop::new();
    /// start(&tasks.spawner());
    /// assert!(matches!(tasks.turn(), Turn::Empty));
    /// ```
    #[must_use]
    pub fn spawner(&self) -> Spawner {
        Spawner {
            shared: Rc::downgrade(&self.shared),
        }
    }

    fn running(&self) -> Running<'_> {
        match self.shared.enter() {
            Ok(running) => running,
            Err(_) => panic!("{NESTED_RUN}"),
        }
    }
}

/// How many turns a driven loop takes before its host gets one.
const TURNS_AT_ONCE: u32 = 64;

impl Loop {
    /// One turn; on the virtual clock, with the jump before it if nothing is ready.
    fn turn_once(&self, main: Option<Pin<&mut (dyn Step + '_)>>) -> bool {
        self.inbox.become_busy();
        // No time goes by while the loop stops.
        if self.clock.jumps() && !self.look(|state| state.stop_after.is_some()) {
            if let Outlook::Until(deadline) = self.outlook() {
                self.clock.jump(deadline);
            }
        }
        self.stepping(main, |stepping| self.turn(stepping));
        matches!(self.open(State::end_turn), Rest::Stop)
    }

    /// How things stand for a host that was left idle and comes back although nothing has happened: a turn would be empty.
    fn still_idle(&self) -> Option<Turn> {
        // Whoever rings or makes something ready takes the idleness away.
        if !self.inbox.is_idle() {
            return None;
        }
        let (alive, deadline) = self.open(|state| (state.alive, state.wheel.earliest()));
        let awaited = self.inbox.can_be_woken();
        match deadline {
            _ if alive == 0 => Some(Turn::Empty),
            Some(deadline) if self.clock.jumps() || deadline <= self.now() => None,
            Some(deadline) => Some(Turn::SleepUntil(deadline)),
            None if awaited => Some(Turn::AwaitWake),
            None => None,
        }
    }

    /// How things stand. If there is nothing to do, the host is told of the next thing that there is.
    fn after_turn(&self) -> Turn {
        // When `gather` would have told `run` of them; or before, where nothing comes in between.
        let reports = self.look(|state| {
            let told = state.stop_after.is_none() || state.ready.is_empty() || state.alive == 0;
            state.doomed == 0 && told && !state.failures.is_empty()
        });
        if reports {
            self.report_failures();
        }
        if self.look(|state| state.alive == 0) {
            // Whoever has rung meant a task that has ended.
            self.inbox.drain(|_| {});
            self.become_idle();
            return Turn::Empty;
        }
        match self.outlook() {
            Outlook::Ready => Turn::More,
            _ if !self.become_idle() => Turn::More,
            Outlook::Until(deadline) => Turn::SleepUntil(deadline),
            Outlook::Awaited => Turn::AwaitWake,
            Outlook::Stuck => Turn::Stuck(Arc::new(self.deadlock_report())),
        }
    }

    /// From here on, the next thing to do is announced, unless there is one already.
    fn become_idle(&self) -> bool {
        let idle = self.inbox.become_idle();
        self.open(|state| state.announces = idle);
        idle
    }
}

pin_project! {
    /// A loop that an executor drives.
    struct Drive<'a, M, T, S, F> {
        #[pin]
        main: Main<M, T>,
        sleep: S,
        #[pin]
        timer: Option<F>,
        deadline: Option<Duration>,
        driving: Driving<'a>,
    }

    impl<M, T, S, F> PinnedDrop for Drive<'_, M, T, S, F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            let shared = this.driving.shared;
            shared.inbox.set_host(None);
            if matches!(this.driving.stage, Stage::Main | Stage::Doomed) {
                // Destructors may call the loop, which is the running one for them unless another is.
                let _running = shared.enter();
                this.main.as_mut().drop_coroutine();
                shared.drop_all_tasks();
            }
        }
    }
}

/// Where a driven loop stands.
struct Driving<'a> {
    shared: &'a Rc<Loop>,
    stage: Stage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Unpolled,
    Main,
    /// The tasks that main left are cancelled.
    Doomed,
    Over,
}

impl<'a> Driving<'a> {
    fn new(shared: &'a Rc<Loop>) -> Self {
        Self {
            shared,
            stage: Stage::Unpolled,
        }
    }

    /// Turns until something has to be waited for. Ready once everything has ended.
    fn turn(
        &mut self,
        mut main: Pin<&mut (dyn Step + '_)>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<()>> {
        for _ in 0..TURNS_AT_ONCE {
            let stopped = self
                .shared
                .turn_once((self.stage == Stage::Main).then_some(main.as_mut()));
            if stopped {
                if self.stage == Stage::Main && self.shared.open(|state| state.doom_all()) > 0 {
                    self.stage = Stage::Doomed;
                } else {
                    let was_doomed = self.stage == Stage::Doomed;
                    self.stage = Stage::Over;
                    if was_doomed {
                        self.shared.report_failures();
                        return Poll::Ready(self.shared.finish_shutdown(&mut Fifo));
                    }
                    return Poll::Ready(Ok(()));
                }
            }
            match self.shared.outlook() {
                _ if self.shared.open(|state| state.stop_after.is_some()) => {}
                Outlook::Ready => {}
                Outlook::Stuck => {
                    return Poll::Ready(Err(Error::Deadlock(Arc::new(
                        self.shared.deadlock_report(),
                    ))));
                }
                Outlook::Until(deadline) if self.shared.clock.jump(deadline) => {}
                Outlook::Until(_) | Outlook::Awaited if self.shared.become_idle() => {
                    return Poll::Pending;
                }
                Outlook::Until(_) | Outlook::Awaited => {}
            }
        }
        // The host's turn.
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<M, T, S, F> Future for Drive<'_, M, T, S, F>
where
    M: Future<Output = Result<T>>,
    S: FnMut(Duration) -> F,
    F: Future<Output = ()>,
{
    type Output = Result<T>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<T>> {
        let mut this = self.project();
        let shared = this.driving.shared;
        let _running = shared.enter()?;
        match this.driving.stage {
            Stage::Unpolled => {
                shared.open(State::spawn_main);
                this.driving.stage = Stage::Main;
            }
            Stage::Main | Stage::Doomed => {}
            Stage::Over => panic!("`drive` polled again after its end"),
        }
        if !shared.inbox.is_host(cx.waker()) {
            shared.inbox.set_host(Some(cx.waker().clone()));
        }
        loop {
            if let Poll::Ready(ended) = this.driving.turn(this.main.as_mut(), cx) {
                this.timer.set(None);
                if ended.is_err() {
                    this.main.as_mut().abandon();
                }
                shared.drop_all_tasks();
                this.driving.stage = Stage::Over;
                return Poll::Ready(ended.and_then(|()| this.main.as_mut().result()));
            }
            let deadline = match shared.outlook() {
                // The virtual clock has jumped, and it was only the host's turn.
                Outlook::Until(deadline) if !shared.clock.jumps() => Some(deadline),
                _ => None,
            };
            if *this.deadline != deadline {
                *this.deadline = deadline;
                this.timer.set(None);
                if let Some(deadline) = deadline {
                    let delay = deadline.saturating_sub(shared.now());
                    let timer = (this.sleep)(delay);
                    this.timer.set(Some(timer));
                }
            }
            match this.timer.as_mut().as_pin_mut().map(|timer| timer.poll(cx)) {
                Some(Poll::Ready(())) => {
                    this.timer.set(None);
                    *this.deadline = None;
                }
                Some(Poll::Pending) | None => return Poll::Pending,
            }
        }
    }
}

/// Spawns tasks into a loop: [`EventLoop::spawner`]. Refuses with a `SpawnError` once the loop is gone.
///
/// # Examples
/// ```
/// use {futures::task::LocalSpawnExt, soloop::{EventLoop, Turn}};
///
/// let mut host = EventLoop::new();
/// let answer = host.spawner().spawn_local_with_handle(async { 6 * 7 }).unwrap();
/// assert!(matches!(host.run_until_stalled(10), Turn::Empty));
/// assert_eq!(futures::executor::block_on(answer), 42);
/// ```
#[derive(Debug, Clone)]
pub struct Spawner {
    shared: Weak<Loop>,
}

impl Spawner {
    /// The loop, as long as its [`EventLoop`] is there.
    fn home(&self) -> Result<Rc<Loop>, SpawnError> {
        let shared = self.shared.upgrade();
        shared
            .filter(|shared| !shared.closed.get())
            .ok_or_else(SpawnError::shutdown)
    }
}

impl LocalSpawn for Spawner {
    fn spawn_local_obj(&self, future: LocalFutureObj<'static, ()>) -> Result<(), SpawnError> {
        drop(self.home()?.spawn(async move {
            future.await;
            Ok(())
        }));
        Ok(())
    }

    fn status_local(&self) -> Result<(), SpawnError> {
        self.home().map(drop)
    }
}

/// A handle to a task that may go to other threads, to cancel it from there: [`TaskHandle::remote`].
///
/// The counterpart of `loop.call_soon_threadsafe(task.cancel)`, kept for later. As long as one exists, its task can be reached from
/// outside, and so is not deadlocked.
///
/// # Examples
/// ```
/// use {soloop::{Error, Event, current_task}, std::thread};
///
/// let stopped = soloop::run(async {
///     let me = current_task().unwrap().remote();
///     thread::spawn(move || me.cancel());
///     Event::new().wait().await
/// });
/// assert!(matches!(stopped, Err(Error::Cancelled)));
/// ```
#[derive(Clone)]
pub struct RemoteTask {
    waker: Arc<TaskWaker>,
}

impl RemoteTask {
    /// Asks the task to stop: [`TaskHandle::cancel`], from whatever thread. Does nothing if the task has ended.
    ///
    /// On the loop's own thread, during a turn, the request is made at once, and else at the beginning of the next turn.
    ///
    /// # Examples
    /// ```
    /// use {soloop::{Error, Event, create_task}, std::thread};
    ///
    /// soloop::run(async {
    ///     let work = create_task(Event::new().wait());
    ///     let remote = work.remote();
    ///     thread::spawn(move || remote.cancel()); // a signal handler's, say
    ///     assert!(matches!(work.await, Err(Error::Cancelled)));
    ///     Ok(())
    /// })?;
    /// # Ok::<(), Error>(())
    /// ```
    pub fn cancel(&self) {
        self.waker.cancel();
    }
}

impl fmt::Debug for RemoteTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteTask").finish_non_exhaustive()
    }
}

impl<T> Task<T> {
    /// A handle to the task for other threads: see [`TaskHandle::remote`].
    ///
    /// # Examples
    /// ```
    /// # use {soloop::{Event, create_task}, std::thread};
    /// # soloop::run(async {
    /// let mut work = create_task(Event::new().wait());
    /// let remote = work.remote();
    /// thread::spawn(move || remote.cancel());
    /// assert!((&mut work).await.is_err() && work.cancelled());
    /// # Ok(()) }).unwrap();
    /// ```
    #[must_use]
    pub fn remote(&self) -> RemoteTask {
        self.handle().remote()
    }
}

impl TaskHandle {
    /// A handle to the same task for other threads.
    ///
    /// # Examples
    /// ```
    /// # use {soloop::{Error, Event, current_task}, std::thread};
    /// let stopped = soloop::run(async {
    ///     let main = current_task().unwrap().remote();
    ///     thread::spawn(move || main.cancel());
    ///     Event::new().wait().await // no deadlock: `main` can still be reached
    /// });
    /// assert!(matches!(stopped, Err(Error::Cancelled)));
    /// ```
    #[must_use]
    pub fn remote(&self) -> RemoteTask {
        RemoteTask {
            waker: self.give_out_waker(),
        }
    }
}
