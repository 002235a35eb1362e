//! The event loop: whose turn it is, when to wait, and the way out. It knows a task only as something that takes a step.
//!
//! ```text
//!   other threads ──► inbox ─┐
//!                            ├─► ready ──► one turn: every handle that stands there now ──┐
//!   timer wheel ── due ──────┘     ▲                                                      │
//!                                  └───────────────── what they queue ◄──────────────────┘
//! ```
//!
//! In asyncio this is `BaseEventLoop`, and `Runner` for the way in and out.

pub(crate) mod arena;
pub(crate) mod clock;
mod deadlock;
mod embed;
pub(crate) mod here;
pub(crate) mod journal;
pub(crate) mod key;
pub(crate) mod now;
pub(crate) mod ready;
pub(crate) mod record;
pub(crate) mod state;
pub(crate) mod steer;
mod tree;
mod waker;
mod wheel;

use std::{
    cell::{Cell, RefCell, RefMut},
    fmt,
    future::Future,
    mem::{self, ManuallyDrop},
    pin::Pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Waker},
    time::Duration,
};

use pin_utils::pin_mut;

use self::{
    clock::Clock,
    here::Here,
    key::TaskKey,
    now::Now,
    state::{Between, Rest, State},
    waker::Post,
};
pub use self::{
    deadlock::DeadlockReport,
    embed::{RemoteTask, Spawner, Turn},
    tree::{TaskTree, tasks},
};
pub(crate) use self::{
    ready::Handle,
    record::Cause,
    waker::{Inbox, TaskWaker},
};
use crate::{
    error::{Error, NESTED_RUN, NO_RUNNING_LOOP, Result},
    task::{After, Coroutine, Ending, Main, Next, Step, Task, TaskFailure, Unclaimed, Unusual},
};

/// Runs a coroutine in a fresh event loop and returns what it comes to.
///
/// The counterpart of `asyncio.run`. `main` may borrow from the caller's stack. When it has ended, every task that is left is
/// cancelled in the order of creation, and the loop runs until those have ended.
///
/// # Errors
/// Whatever `main` raises; [`Error::Deadlock`] if nothing can ever run again; [`Error::Runtime`] if a loop is running on this
/// thread already.
///
/// # Panics
/// A panic in a task unwinds through here, after every other task was dropped. The thread can `run` again.
///
/// # Examples
/// ```
/// use std::time::Duration;
///
/// let name = String::from("world");
/// let greeting = soloop::run(async {
///     soloop::sleep(Duration::from_millis(1)).await?;
///     Ok(format!("hello, {}", &name))
/// })?;
/// assert_eq!(greeting, "hello, world");
/// # Ok::<(), soloop::Error>(())
/// ```
pub fn run<T>(main: impl Future<Output = Result<T>>) -> Result<T> {
    EventLoop::new().run(main)
}

/// Starts a task: queues the first step of a coroutine and returns at once.
///
/// The counterpart of `asyncio.create_task`. Nothing of the coroutine runs before the next turn of the loop. Dropping the
/// [`Task`] detaches it: the loop runs it all the same.
///
/// # Panics
/// If no loop is running on this thread, as asyncio raises `RuntimeError: no running event loop`.
///
/// # Examples
/// ```
/// soloop::run(async {
///     let task = soloop::create_task(async { Ok(6 * 7) });
///     assert_eq!(task.await?, 42);
///     Ok(())
/// })?;
/// # Ok::<(), soloop::Error>(())
/// ```
pub fn create_task<T: 'static>(coro: impl Future<Output = Result<T>> + 'static) -> Task<T> {
    match Loop::spawn_here(&mut Some(coro)) {
        Some((running, key)) => Task::new(running, key),
        None => panic!("{NO_RUNNING_LOOP}"),
    }
}

/// The running loop's time.
///
/// The counterpart of `loop.time()`: the time since the loop was made, or that of the virtual clock. Compare it with
/// itself only.
///
/// # Panics
/// If no loop is running on this thread.
///
/// # Examples
/// ```
/// use {soloop::EventLoop, std::time::Duration};
///
/// EventLoop::with_virtual_clock().run(async {
///     soloop::sleep(Duration::from_secs(3600)).await?;
///     assert_eq!(soloop::time(), Duration::from_secs(3600));
///     Ok(())
/// })?;
/// # Ok::<(), soloop::Error>(())
/// ```
pub fn time() -> Duration {
    match Loop::current() {
        Some(running) => running.now(),
        None => panic!("{NO_RUNNING_LOOP}"),
    }
}

/// An event loop: tasks, what is ready of them, and timers.
///
/// The counterpart of asyncio's event loop and `asyncio.Runner`. Most programs want [`run`]; make a loop by hand for a clock
/// that stands still, for an exception handler, or to run several mains one after the other. What is here for a host that has the
/// thread itself, from [`with_clock`](Self::with_clock) to [`spawner`](Self::spawner), asyncio does not offer.
///
/// # Dropping
/// Tasks that are left are dropped with the loop.
///
/// # Examples
/// A test that sleeps an hour in no time:
/// ```
/// use {soloop::{EventLoop, sleep}, std::time::Duration};
///
/// let mut clockwork = EventLoop::with_virtual_clock();
/// clockwork.run(async { sleep(Duration::from_secs(3600)).await })?;
/// assert_eq!(clockwork.time(), Duration::from_secs(3600));
/// # Ok::<(), soloop::Error>(())
/// ```
pub struct EventLoop {
    shared: Rc<Loop>,
}

impl EventLoop {
    /// Makes a loop on the machine's monotonic clock.
    ///
    /// The counterpart of `asyncio.new_event_loop`, and of `asyncio.Runner()`.
    ///
    /// # Examples
    /// ```
    /// use {soloop::{EventLoop, sleep}, std::time::{Duration, Instant}};
    ///
    /// let begun = Instant::now();
    /// EventLoop::new().run(sleep(Duration::from_millis(2)))?;
    /// assert!(begun.elapsed() >= Duration::from_millis(2)); // by the wall as well
    /// # Ok::<(), soloop::Error>(())
    /// ```
    #[must_use]
    pub fn new() -> Self {
        Self {
            shared: Loop::new(Clock::monotonic()),
        }
    }

    /// Makes a loop whose time stands still while anything can run, and then jumps to the next deadline.
    ///
    /// It begins at zero. A program that only sleeps takes no time, and its timing is exact. The time also jumps while a
    /// waker from outside could still come. asyncio has no such clock.
    ///
    /// # Examples
    /// ```
    /// use {soloop::{Error, Event, EventLoop, wait_for}, std::time::Duration};
    ///
    /// let a_day = Duration::from_secs(24 * 60 * 60);
    /// let waited = EventLoop::with_virtual_clock().run(wait_for(Event::new().wait(), a_day));
    /// assert!(matches!(waited, Err(Error::Timeout))); // and it is still today
    /// ```
    #[must_use]
    pub fn with_virtual_clock() -> Self {
        Self {
            shared: Loop::new(Clock::standing_still()),
        }
    }

    /// Runs a coroutine and returns what it comes to, as [`run`] does. May be called again.
    ///
    /// The counterpart of `asyncio.Runner.run`.
    ///
    /// # Errors
    /// Those of [`run`].
    ///
    /// # Panics
    /// As [`run`].
    ///
    /// # Examples
    /// ```
    /// use soloop::{EventLoop, current_task};
    ///
    /// let mut mains = EventLoop::new();
    /// let first = mains.run(async { Ok(current_task().unwrap().name()) })?;
    /// let second = mains.run(async { Ok(current_task().unwrap().name()) })?;
    /// assert_eq!((first.as_str(), second.as_str()), ("Task-1", "Task-2"));
    /// # Ok::<(), soloop::Error>(())
    /// ```
    pub fn run<T>(&mut self, main: impl Future<Output = Result<T>>) -> Result<T> {
        self.shared.run(main, &mut Fifo)
    }

    /// This loop's time, for whoever is outside of it: see [`time`].
    ///
    /// # Examples
    /// ```
    /// use {soloop::{EventLoop, Turn, sleep}, std::time::Duration};
    ///
    /// let mut tasks = EventLoop::with_clock(|| Duration::from_secs(7)); // it is seven, and stays so
    /// tasks.create_task(sleep(Duration::from_secs(5)));
    /// let Turn::SleepUntil(deadline) = tasks.turn() else { panic!("it sleeps") };
    /// assert_eq!(deadline - tasks.time(), Duration::from_secs(5)); // so long the host has for itself
    /// ```
    #[must_use]
    pub fn time(&self) -> Duration {
        self.shared.now()
    }

    /// Has errors that nobody can retrieve any more given to a handler, instead of printed on stderr.
    ///
    /// The counterpart of `loop.set_exception_handler`. It is called when a task has ended with an error and its [`Task`] is
    /// gone, and for errors raised while the loop shuts down.
    ///
    /// # Examples
    /// ```
    /// use {soloop::{Error, EventLoop, create_task, sleep}, std::{cell::RefCell, rc::Rc, time::Duration}};
    ///
    /// let seen = Rc::new(RefCell::new(String::new()));
    /// let mut careful = EventLoop::new();
    /// careful.set_exception_handler({
    ///     let seen = Rc::clone(&seen);
    ///     move |failure| *seen.borrow_mut() = failure.to_string()
    /// });
    /// careful.run(async {
    ///     drop(create_task(async { Err::<(), _>(Error::other("lost")) }));
    ///     sleep(Duration::ZERO).await
    /// })?;
    /// assert_eq!(*seen.borrow(), "Task exception was never retrieved: Task-2 raised lost");
    /// # Ok::<(), Error>(())
    /// ```
    pub fn set_exception_handler(&mut self, handler: impl Fn(&TaskFailure) + 'static) {
        // The old handler is dropped by hand, as user code, after the cell is closed.
        drop(self.shared.handler.replace(Some(Rc::new(handler))));
    }
}

impl EventLoop {
    pub(crate) fn shared(&self) -> &Rc<Loop> {
        &self.shared
    }
}

impl Default for EventLoop {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for EventLoop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventLoop")
            .field("time", &self.time())
            .finish_non_exhaustive()
    }
}

impl Drop for EventLoop {
    fn drop(&mut self) {
        self.shared.closed.set(true);
        self.shared.drop_all_tasks();
        self.shared.inbox.close();
    }
}

thread_local! {
    /// The loop that is running on this thread. Empty by the time the thread ends; a variable without a destructor is
    /// read in two instructions.
    static CURRENT: ManuallyDrop<Cell<Option<Rc<Loop>>>> = const { ManuallyDrop::new(Cell::new(None)) };
}

/// What an [`EventLoop`], its tasks and its primitives share.
pub(crate) struct Loop {
    state: RefCell<State>,
    /// The step that is running, if one of this loop is.
    pub(crate) here: Rc<Here>,
    clock: Clock,
    inbox: Arc<Inbox>,
    /// The waker for tasks that have adopted none, between turns.
    spare: Cell<Option<Spare>>,
    handler: RefCell<Option<Handler>>,
    /// Whether the [`EventLoop`] is gone.
    closed: Cell<bool>,
}

/// What a loop whose turn is over can wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outlook {
    /// For nothing: a handle is ready, or somebody has rung.
    Ready,
    /// For the next deadline.
    Until(Duration),
    /// For a waker that somebody outside has.
    Awaited,
    /// Nothing can ever happen again.
    Stuck,
}

/// Who takes a loop's turns: asyncio's order, [`Fifo`], or somebody who looks on or departs from it. The seam through which
/// `trace` and `testing` reach the loop.
pub(crate) trait Pilot {
    /// Takes one turn.
    ///
    /// # Errors
    /// Whatever ends the run here and now.
    fn turn(&mut self, home: &Loop, stepping: &mut Stepping<'_, '_>) -> Result<()>;

    /// Takes one turn, or several if nothing comes between them.
    ///
    /// # Errors
    /// As [`turn`](Self::turn).
    fn turns(&mut self, home: &Loop, stepping: &mut Stepping<'_, '_>) -> Result<()> {
        self.turn(home, stepping)
    }

    /// Waits until something is ready, or lets one thing happen that may bring that about.
    ///
    /// # Errors
    /// [`Error::Deadlock`] if there is nothing to wait for.
    fn wait(&mut self, home: &Loop, _: &mut Stepping<'_, '_>) -> Result<()> {
        home.wait_until_ready()
    }
}

/// First come, first served: what stands in ready is the turn.
struct Fifo;

impl Pilot for Fifo {
    #[inline]
    fn turn(&mut self, home: &Loop, stepping: &mut Stepping<'_, '_>) -> Result<()> {
        home.turn(stepping);
        Ok(())
    }

    fn turns(&mut self, home: &Loop, stepping: &mut Stepping<'_, '_>) -> Result<()> {
        home.begin_turn(stepping);
        home.take_turns::<true>(stepping);
        Ok(())
    }
}

/// A turn for somebody who takes its handles one by one. What is left when this is dropped goes back to where it was.
pub(crate) struct Aside<'a> {
    home: &'a Loop,
    handles: &'a mut Vec<Handle>,
    /// How many have been taken, from the first on.
    taken: usize,
}

impl<'a> Aside<'a> {
    /// Begins a turn, with its handles in a queue that was empty, and is so afterwards.
    pub(crate) fn begin_turn(
        home: &'a Loop,
        stepping: &Stepping<'_, '_>,
        handles: &'a mut Vec<Handle>,
    ) -> Self {
        home.begin_turn(stepping);
        home.here.observed.set(true);
        home.open(|state| {
            if let Some(journal) = &mut state.journal {
                journal.turn += 1;
            }
            state.ready.set_aside(handles);
        });
        Self {
            home,
            handles,
            taken: 0,
        }
    }

    /// What is left of the turn.
    #[inline]
    pub(crate) fn left(&self) -> &[Handle] {
        &self.handles[self.taken..]
    }

    /// Takes the first handle that is left.
    #[inline]
    pub(crate) fn pop(&mut self) -> Option<Handle> {
        let first = self.left().first().copied()?;
        self.taken += 1;
        Some(first)
    }

    /// Takes a handle out of its place among those that are left.
    pub(crate) fn take(&mut self, place: usize) -> Handle {
        self.handles.remove(self.taken + place)
    }

    /// Runs a handle that was taken out, to its end.
    #[inline]
    pub(crate) fn run(&self, handle: Handle, stepping: &mut Stepping<'_, '_>) {
        self.home.open(|state| state.ready.only(handle));
        self.home.take_turn(stepping);
    }
}

impl Drop for Aside<'_> {
    fn drop(&mut self) {
        self.home.here.observed.set(false);
        if !self.left().is_empty() {
            self.home.open(|state| state.ready.put_back(self.left()));
        }
        self.handles.clear();
    }
}

/// Called with errors that nobody can retrieve any more.
type Handler = Rc<dyn Fn(&TaskFailure)>;

struct Spare {
    /// Invariant: two references, this one and the waker's, unless a foreign future has cloned the waker.
    task: Arc<TaskWaker>,
    waker: Waker,
}

impl Spare {
    fn new(inbox: &Arc<Inbox>) -> Self {
        let task = TaskWaker::spare(inbox);
        Self {
            waker: Waker::from(Arc::clone(&task)),
            task,
        }
    }

    fn is_cloned(&self) -> bool {
        Arc::strong_count(&self.task) > 2
    }
}

/// What a step is taken with. The coroutine is out of its slot for as long, so that nothing is borrowed meanwhile.
pub(crate) struct Stepping<'a, 'b> {
    now: &'a Now,
    /// `None` for main, and between steps.
    body: Unclaimed,
    main: Option<Pin<&'a mut (dyn Step + 'b)>>,
    spare: Spare,
}

impl Stepping<'_, '_> {
    #[inline]
    fn step(&mut self) -> Option<Ending> {
        let Self {
            body, main, spare, ..
        } = self;
        step_of(body, main, &spare.waker)
    }

    fn step_with(&mut self, waker: &Waker) -> Option<Ending> {
        step_of(&mut self.body, &mut self.main, waker)
    }

    fn abandon(&mut self) {
        match &mut self.body {
            Some(body) => body.as_mut().abandon(),
            None => main_of(&mut self.main).abandon(),
        }
    }

    fn error(&self) -> Option<Error> {
        match (&self.body, &self.main) {
            (Some(body), _) => body.error(),
            (None, Some(main)) => main.error(),
            (None, None) => None,
        }
    }
}

#[inline]
fn step_of(
    body: &mut Unclaimed,
    main: &mut Option<Pin<&mut (dyn Step + '_)>>,
    waker: &Waker,
) -> Option<Ending> {
    let mut cx = Context::from_waker(waker);
    match body {
        Some(body) => body.as_mut().step(&mut cx),
        None => step_of_main(main, &mut cx),
    }
}

/// Main's step. Out of line, so that those of all others have nothing of it to load.
#[cold]
#[inline(never)]
fn step_of_main(
    main: &mut Option<Pin<&mut (dyn Step + '_)>>,
    cx: &mut Context<'_>,
) -> Option<Ending> {
    main_of(main).step(cx)
}

fn main_of<'a, 'b>(
    main: &'a mut Option<Pin<&mut (dyn Step + 'b)>>,
) -> Pin<&'a mut (dyn Step + 'b)> {
    main.as_mut().expect("only main has no body").as_mut()
}

/// Makes a loop the thread's running one, until dropped. A panic that passes takes the loop's tasks with it.
struct Running<'a>(&'a Rc<Loop>);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.drop_all_tasks();
        }
        self.0.here.forget_waker();
        // The loop is its owner's: this reference is not the last.
        CURRENT.with(|current| current.take());
    }
}

impl Loop {
    fn new(clock: Clock) -> Rc<Self> {
        let here = Rc::new(Here::new());
        Rc::new(Self {
            state: RefCell::new(State::new(Rc::clone(&here), clock.origin())),
            here,
            clock,
            inbox: Arc::default(),
            spare: Cell::new(None),
            handler: RefCell::new(None),
            closed: Cell::new(false),
        })
    }

    /// The loop that is running on this thread.
    pub(crate) fn current() -> Option<Rc<Self>> {
        Self::current_if(|_| true)
    }

    /// The same, if some question that runs nothing of the user's is answered with yes.
    #[inline]
    pub(crate) fn current_if(is_wanted: impl FnOnce(&Self) -> bool) -> Option<Rc<Self>> {
        CURRENT.with(|current| {
            let running = current.take();
            let copy = running
                .as_ref()
                .filter(|running| is_wanted(running))
                .cloned();
            // What this replaces is the `None` just left there: nothing to drop.
            mem::forget(current.replace(running));
            copy
        })
    }

    /// Opens the state for some work on it, closes it, and only then wakes those whom the work put into the outbox.
    ///
    /// Here, in [`open_quietly`](Self::open_quietly) and in [`look`](Self::look) is where the state is borrowed, and nowhere else. The work is the crate's own and
    /// runs nothing of the user's.
    #[inline]
    pub(crate) fn open<R>(&self, work: impl FnOnce(&mut State) -> R) -> R {
        let mut state = self.state.borrow_mut();
        let done = work(&mut state);
        if !state.outbox.is_empty() {
            self.run_errands(state);
        }
        done
    }

    /// Opens the state for work that puts nothing into the outbox: the fast paths, which call nothing and so save no registers.
    /// Always inlined, as is [`State::next_step`]: there are two copies of the loop that they are in.
    #[inline(always)]
    pub(crate) fn open_quietly<R>(&self, work: impl FnOnce(&mut State) -> R) -> R {
        let mut state = self.state.borrow_mut();
        let done = work(&mut state);
        debug_assert!(state.outbox.is_empty(), "there is nothing to wake");
        done
    }

    /// Looks at the state, with no work to do.
    #[inline]
    pub(crate) fn look<R>(&self, look: impl FnOnce(&State) -> R) -> R {
        look(&self.state.borrow())
    }

    #[cold]
    fn run_errands(&self, mut state: RefMut<'_, State>) {
        let errands = mem::take(&mut state.outbox);
        drop(state);
        errands
            .into_iter()
            .for_each(|errand| errand.run(&self.inbox));
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The loop's time.
    pub(crate) fn now(&self) -> Duration {
        self.clock.now()
    }

    pub(crate) fn spawn<T: 'static>(
        self: &Rc<Self>,
        coro: impl Future<Output = Result<T>> + 'static,
    ) -> Task<T> {
        let key = self.open(|state| state.spawn(&mut Some(coro)));
        Task::new(Rc::clone(self), key)
    }

    /// Spawns into the running loop. Not generic, so that the thread's variable is read in this crate: from another it is an
    /// indirect call.
    fn spawn_here(coroutine: &mut dyn Coroutine) -> Option<(Rc<Self>, TaskKey)> {
        let running = Self::current()?;
        let key = running.open(|state| state.spawn(coroutine));
        Some((running, key))
    }

    /// Queues a task that was woken on the loop's own thread while the loop runs. Anybody else uses the inbox.
    pub(crate) fn queue_from_here(inbox: &Arc<Inbox>, task: TaskKey) -> bool {
        let running = Self::of_inbox(inbox);
        running
            .inspect(|running| running.open(|state| state.queue_step(task, Cause::Waker)))
            .is_some()
    }

    /// Cancels a task, likewise.
    pub(crate) fn cancel_from_here(inbox: &Arc<Inbox>, task: TaskKey) -> bool {
        let running = Self::of_inbox(inbox);
        running
            .map(|running| running.open(|state| state.cancel(task)))
            .is_some()
    }

    /// Whether the loop of this inbox is the one that is running on this thread.
    pub(crate) fn runs_here(inbox: &Arc<Inbox>) -> bool {
        Self::of_inbox(inbox).is_some()
    }

    /// The running loop, if the inbox is its.
    fn of_inbox(inbox: &Arc<Inbox>) -> Option<Rc<Self>> {
        Self::current().filter(|running| Arc::ptr_eq(&running.inbox, inbox))
    }

    /// A waker that is nobody's yet.
    pub(crate) fn new_waker(&self) -> Arc<TaskWaker> {
        TaskWaker::spare(&self.inbox)
    }

    /// Reports an error that nobody can retrieve any more.
    pub(crate) fn report(&self, failure: TaskFailure) {
        let handler = self.handler.borrow().clone();
        match handler {
            Some(handler) => handler(&failure),
            None => eprintln!("{failure}"),
        }
    }

    fn enter(self: &Rc<Self>) -> Result<Running<'_>> {
        if Self::current().is_some() {
            return Err(Error::runtime(NESTED_RUN));
        }
        CURRENT.with(|current| current.set(Some(Rc::clone(self))));
        Ok(Running(self))
    }

    /// Runs a coroutine as the main task, and the way out after it.
    pub(crate) fn run<T>(
        self: &Rc<Self>,
        main: impl Future<Output = Result<T>>,
        pilot: &mut impl Pilot,
    ) -> Result<T> {
        let _running = self.enter()?;
        let main = Main::new(main);
        pin_mut!(main);
        let ran = self.run_main(main.as_mut(), pilot);
        if ran.is_err() {
            main.as_mut().abandon();
        }
        let ended = ran.and_then(|()| self.cancel_all_tasks(pilot));
        self.drop_all_tasks();
        ended.and_then(|()| main.result())
    }

    fn run_main(&self, main: Pin<&mut dyn Step>, pilot: &mut impl Pilot) -> Result<()> {
        self.open(State::spawn_main);
        self.turn_until_stopped(Some(main), pilot)
    }

    /// Turns until the state says stop, and waits whenever nothing is ready.
    fn turn_until_stopped(
        &self,
        main: Option<Pin<&mut dyn Step>>,
        pilot: &mut impl Pilot,
    ) -> Result<()> {
        self.stepping(main, |stepping| {
            loop {
                pilot.turns(self, stepping)?;
                match self.open(State::end_turn) {
                    Rest::More => {}
                    Rest::Stop => return Ok(()),
                    Rest::Idle => pilot.wait(self, stepping)?,
                }
            }
        })
    }

    /// Lends out what steps are taken with.
    fn stepping<R>(
        &self,
        main: Option<Pin<&mut (dyn Step + '_)>>,
        work: impl FnOnce(&mut Stepping<'_, '_>) -> R,
    ) -> R {
        let spare = self.spare.take();
        now::with(|now| {
            let mut stepping = Stepping {
                now,
                body: None,
                main,
                spare: spare.unwrap_or_else(|| Spare::new(&self.inbox)),
            };
            let done = work(&mut stepping);
            self.spare.set(Some(stepping.spare));
            done
        })
    }

    /// Waits until something is ready: for the next deadline, for a waker from outside, or not at all.
    ///
    /// # Errors
    /// [`Error::Deadlock`] if there is nothing to wait for.
    pub(crate) fn wait_until_ready(&self) -> Result<()> {
        match self.outlook() {
            Outlook::Ready => {}
            Outlook::Until(deadline) if self.clock.jump(deadline) => {}
            Outlook::Until(deadline) => {
                let left = deadline.saturating_sub(self.now());
                self.inbox.park(Some(left));
            }
            Outlook::Awaited => self.inbox.park(None),
            Outlook::Stuck => return Err(Error::Deadlock(Arc::new(self.deadlock_report()))),
        }
        Ok(())
    }

    /// What there is to wait for.
    pub(crate) fn outlook(&self) -> Outlook {
        let (ready, deadline) = self.open(|state| {
            let ready = !state.ready.is_empty();
            (ready, if ready { None } else { state.wheel.earliest() })
        });
        // The order matters: a wake that came before the last waker was dropped has rung by the time none is left.
        let awaited = self.inbox.can_be_woken();
        match deadline {
            _ if ready || self.inbox.is_rung() => Outlook::Ready,
            Some(deadline) => Outlook::Until(deadline),
            None if awaited => Outlook::Awaited,
            None => Outlook::Stuck,
        }
    }

    /// One turn: what other threads have woken, then the timers that are due, go behind what is ready; then all of
    /// that runs, and nothing that it queues.
    fn turn(&self, stepping: &mut Stepping<'_, '_>) {
        self.begin_turn(stepping);
        self.take_turn(stepping);
    }

    /// Puts together what is this turn's.
    pub(crate) fn begin_turn(&self, stepping: &Stepping<'_, '_>) {
        if self.inbox.is_rung() {
            self.inbox.drain(|post| {
                self.open(|state| match post {
                    Post::Wake(task) => state.queue_step(task, Cause::Waker),
                    Post::Cancel(task) => {
                        state.cancel(task);
                    }
                });
            });
        }
        let begun = self.open(|state| state.begin_turn(stepping.spare.waker.data()));
        if !begun {
            let now = self.clock.read();
            self.open(|state| state.begin_turn_at(now));
        }
    }

    /// Runs the handles of this turn.
    pub(crate) fn take_turn(&self, stepping: &mut Stepping<'_, '_>) {
        self.take_turns::<false>(stepping);
    }

    /// Runs the handles of this turn, and of the next if that is found to begin with nothing but them, and so on.
    fn take_turns<const IN_A_ROW: bool>(&self, stepping: &mut Stepping<'_, '_>) {
        // The task whose step has just left it suspended, as far as one can see: that is checked together with what is next.
        let mut pending = None;
        loop {
            let between = IN_A_ROW.then_some(Between {
                inbox: &self.inbox,
                clock: &self.clock,
            });
            let begun = self.open_quietly(
                #[inline(always)]
                |state| state.next_step(pending, &mut stepping.body, stepping.now, between),
            );
            let next = match (begun, pending.take()) {
                (Ok(task), _) => Next::Step(task),
                (Err(Unusual::Suspension), Some(task)) => Next::Unsettled(task),
                _ => self.open(|state| state.next(&mut stepping.body, stepping.now)),
            };
            match next {
                Next::Step(task) => {
                    stepping.spare.task.aim(task);
                    let ending = stepping.step();
                    // What most steps come to is asked first, and then nothing is kept for later but the task.
                    match ending {
                        None if !stepping.spare.is_cloned() => pending = Some(task),
                        _ if stepping.spare.is_cloned() => self.give_out(task, ending, stepping),
                        Some(Ending::Returned) if self.finish_alone(task, stepping) => {}
                        _ => self.end_step(task, ending, stepping),
                    }
                }
                Next::StepWith(task, waker) => {
                    let ending = stepping.step_with(&waker);
                    self.here.set_waker(stepping.spare.waker.data());
                    self.end_step(task, ending, stepping);
                }
                Next::Unsettled(task) => self.end_step(task, None, stepping),
                Next::Discard(task) => {
                    stepping.abandon();
                    self.end_step(task, Some(Ending::Cancelled), stepping);
                }
                Next::Nothing => {}
                Next::Over => break,
            }
        }
    }

    /// Ends a step in which the spare waker was cloned: it is that task's from now on.
    #[cold]
    fn give_out(&self, task: TaskKey, ending: Option<Ending>, stepping: &mut Stepping<'_, '_>) {
        let given_out = mem::replace(&mut stepping.spare, Spare::new(&self.inbox));
        self.open(|state| {
            state.adopt_waker(task, &given_out.task);
            state.here.set_waker(stepping.spare.waker.data());
        });
        self.end_step(task, ending, stepping);
    }

    /// Ends a step that has returned, and its task with it, if that is all there is to it.
    #[inline]
    fn finish_alone(&self, task: TaskKey, stepping: &mut Stepping<'_, '_>) -> bool {
        self.open_quietly(|state| state.finish_alone(task, &mut stepping.body, stepping.now))
    }

    /// Sees to what comes of a step that did not simply leave its task suspended.
    #[inline(never)]
    fn end_step(&self, task: TaskKey, mut ending: Option<Ending>, stepping: &mut Stepping<'_, '_>) {
        if let Some(ending) = ending {
            if self.open(|state| state.finish(task, ending, &mut stepping.body, stepping.now)) {
                if stepping.body.is_some() {
                    self.discard(&mut stepping.body);
                }
                return;
            }
        }
        while let After::Abandon =
            self.open(|state| state.end_step(task, ending, &mut stepping.body, stepping.now))
        {
            stepping.abandon();
            ending = Some(Ending::Cancelled);
        }
        let Some(ending) = ending else {
            return self.open(|state| state.write_suspension(task));
        };
        // The result is kept for whoever awaits the task, or dropped, and reported if it is an error.
        let mut error = if ending == Ending::Raised {
            stepping.error()
        } else {
            None
        };
        if journal::is_written() {
            self.record_end(task, ending, error.as_ref());
        }
        if stepping.body.is_none() {
            // Main's is for the caller of `run`.
            error = None;
        }
        let failure = self.open(|state| state.end(task, ending, &mut stepping.body, error));
        drop(stepping.body.take());
        if let Some(failure) = failure {
            self.report(failure);
        }
    }

    /// Drops the result of a task that nobody can retrieve, and keeps its body for another.
    #[inline(never)]
    pub(crate) fn discard(&self, unclaimed: &mut Unclaimed) {
        if let Some(body) = unclaimed {
            body.as_mut().discard();
            self.open(|state| state.keep_spent(unclaimed));
            *unclaimed = None;
        }
    }

    /// Cancels every task that is left, in the order of creation, and runs until those have ended.
    ///
    /// What they create meanwhile gets the turns that asyncio's shutdown gives it: two until `gather` has told
    /// `run_until_complete`, two more for `shutdown_asyncgens`, and two for `shutdown_default_executor`, both of which
    /// are tasks and take a number.
    fn cancel_all_tasks(&self, pilot: &mut impl Pilot) -> Result<()> {
        if self.open(|state| state.doom_all()) == 0 {
            return Ok(());
        }
        let ended = self.turn_until_stopped(None, pilot);
        self.report_failures();
        ended.and_then(|()| self.finish_shutdown(pilot))
    }

    /// The turns that are left once the tasks that were cancelled have ended.
    fn finish_shutdown(&self, pilot: &mut impl Pilot) -> Result<()> {
        for _ in ["shutdown_asyncgens", "shutdown_default_executor"] {
            self.open(|state| state.created += 1);
            self.stepping(None, |stepping| {
                pilot.turn(self, stepping)?;
                pilot.turn(self, stepping)
            })?;
        }
        Ok(())
    }

    /// Reports what the tasks raised that the shutdown has cancelled.
    fn report_failures(&self) {
        let failures = self.open(State::take_failures);
        failures
            .into_iter()
            .for_each(|failure| self.report(failure));
    }

    /// Drops every task where it stands, in the order of creation, and those that their destructors create.
    fn drop_all_tasks(&self) {
        // After a panic a step is still running, as far as the state knows.
        let panicked = self.here.task.get();
        // Else it may be another loop whose step is running.
        if panicked.is_some() {
            now::with(|now| self.here.leave_step(now));
        }
        self.here.forget_waker();
        loop {
            let left = self.open(|state| state.in_order_of_creation());
            if left.is_empty() {
                break;
            }
            for task in left {
                // Main is pinned to its caller's stack, and dropped there.
                self.drop_body(task, panicked == Some(task));
            }
        }
        // After a panic nobody reports them.
        drop(self.open(State::take_failures));
        self.open(State::clear);
    }

    fn drop_body(&self, task: TaskKey, panicked: bool) {
        let mut body = self.open(|state| state.take_body(task));
        if let Some(body) = &mut body {
            body.as_mut().abandon();
        }
        drop(self.open(|state| state.end_dropped(task, body, panicked)));
    }

    pub(crate) fn deadlock_report(&self) -> DeadlockReport {
        let stuck = self.open(|state| state.stuck_tasks());
        // A primitive's `Debug` looks into the state, which has to be closed for it.
        DeadlockReport::new(
            stuck
                .into_iter()
                .map(|(name, waits)| (name, waits.describe()))
                .collect(),
        )
    }
}
