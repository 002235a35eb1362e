//! Waiting for time to pass, and for no longer than that: `sleep` and `wait_for`; and `wrap_future`, which lets futures that
//! are not ours hear of a cancel.

use std::{
    any::type_name,
    future::Future,
    mem,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use pin_project_lite::pin_project;

use crate::{
    error::{Error, Result},
    event_loop::{
        Handle, Loop,
        clock::Deadline,
        key::{TimerKey, WaiterKey},
        now::{self, Stamp},
        state::State,
    },
    scope::Verdict,
    task::Task,
    waiter::{Kind, Waiting},
};

/// Suspends the task for a while.
///
/// The counterpart of `asyncio.sleep`. [`Duration::ZERO`] lets the others have a turn of the loop and takes no longer than
/// that. Otherwise the time begins with the first poll. Sleeps that end at the same instant end in the order
/// they began.
///
/// # Errors
/// [`Error::Cancelled`] as below; [`Error::Runtime`] outside any loop.
///
/// # Cancellation
/// Ends the sleep at once with [`Error::Cancelled`].
///
/// # Dropping
/// Takes the timer back.
///
/// # Examples
/// ```
/// use {soloop::{EventLoop, sleep, time}, std::time::Duration};
///
/// EventLoop::with_virtual_clock().run(async {
///     let bedtime = time();
///     sleep(Duration::from_micros(100)).await?;
///     assert_eq!(time() - bedtime, Duration::from_micros(100));
///     Ok(())
/// })?;
/// # Ok::<(), soloop::Error>(())
/// ```
#[inline]
pub fn sleep(delay: Duration) -> impl Future<Output = Result<()>> + 'static {
    Sleep(match delay {
        Duration::ZERO => Stage::ToYield,
        delay => Stage::ToSleep(delay),
    })
}

#[must_use = "futures do nothing unless polled"]
struct Sleep(Stage);

// The stage has a place of its own: among the bits that a `Duration` leaves free, it takes longer to read.
#[repr(u32)]
enum Stage {
    /// A bare yield that was not polled yet.
    ToYield,
    /// A sleep of some time, likewise.
    ToSleep(Duration),
    Over,
    /// A bare yield of the running task, until another step than this.
    Yielding(Stamp),
    /// Until a waiter is woken: by a timer, or where a combinator polls a bare yield, by the task's next step.
    Asleep(Rc<Loop>, WaiterKey),
}

impl Future for Sleep {
    type Output = Result<()>;

    // Always, since a bare yield is not much more than the call would be.
    #[inline(always)]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        match &self.0 {
            // Nothing has to be dropped of what is replaced here, and so nothing has to be called.
            Stage::Yielding(since) if now::has_yielded(*since) => {
                mem::forget(mem::replace(&mut self.0, Stage::Over));
                return Poll::Ready(Ok(()));
            }
            Stage::ToYield => {
                if let Some(since) = now::begin_yield(cx.waker()) {
                    mem::forget(mem::replace(&mut self.0, Stage::Yielding(since)));
                    return Poll::Pending;
                }
            }
            _ => {}
        }
        self.poll_asleep(cx)
    }
}

impl Sleep {
    /// Polls a sleep that takes time, or a bare yield about which there is more to say.
    fn poll_asleep(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        match self.0 {
            Stage::ToSleep(delay) => self.begin(|home| home.begin_sleep(delay, cx)),
            _ => self.poll_begun(cx),
        }
    }

    #[inline]
    fn begin(&mut self, begin: impl FnOnce(Rc<Loop>) -> Option<Stage>) -> Poll<Result<()>> {
        let Some(begun) = Loop::current().and_then(begin) else {
            return Poll::Ready(Err(Error::no_running_loop()));
        };
        // Nothing has to be dropped of what is replaced here, and so nothing has to be called.
        mem::forget(mem::replace(&mut self.0, begun));
        Poll::Pending
    }

    #[inline(never)]
    fn poll_begun(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        match &self.0 {
            Stage::Asleep(home, waiter) if home.wake_up(*waiter) => {
                self.0 = Stage::Over;
                Poll::Ready(Ok(()))
            }
            _ => self.poll_unusual(cx),
        }
    }

    #[inline(never)]
    fn poll_unusual(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let settled = ready!(match &mut self.0 {
            Stage::Asleep(home, waiter) => home.poll_waiter(waiter, cx),
            Stage::Yielding(since) => Loop::poll_yield_here(*since),
            Stage::ToYield => return self.begin(|home| home.begin_yield_inside(cx)),
            Stage::ToSleep(_) => unreachable!("it has begun"),
            Stage::Over => panic!("`sleep` polled again after its end"),
        });
        if settled.is_gone() {
            self.0 = Stage::Over;
        }
        Poll::Ready(settled.result())
    }
}

impl Stage {
    /// The sleep is dropped before its end.
    #[inline(never)]
    fn give_up(&self) {
        match self {
            Self::Yielding(since) => now::forget_yield(*since),
            Self::Asleep(home, waiter) => {
                if !home.open_quietly(|state| state.end_new_sleep(*waiter)) {
                    home.remove_waiter(*waiter);
                }
            }
            Self::ToYield | Self::ToSleep(_) | Self::Over => {}
        }
    }
}

impl Drop for Sleep {
    #[inline]
    fn drop(&mut self) {
        if let Stage::Yielding(_) | Stage::Asleep(..) = self.0 {
            self.0.give_up();
        }
    }
}

impl Loop {
    /// Begins a bare yield inside a `wait_for` or a combinator. Polled with a combinator's waker, it needs a waiter, which keeps
    /// that.
    fn begin_yield_inside(self: Rc<Self>, cx: &mut Context<'_>) -> Option<Stage> {
        let since = self.open(State::yield_now)?;
        if !self.here.keeps(cx.waker()) {
            return Some(Stage::Yielding(since));
        }
        let waiter = self.open(State::yield_inside);
        self.keep_waker(waiter, cx);
        Some(Stage::Asleep(self, waiter))
    }

    /// Begins a sleep of the running task.
    #[inline]
    fn begin_sleep(self: Rc<Self>, delay: Duration, cx: &mut Context<'_>) -> Option<Stage> {
        let deadline = self.clock().after(delay);
        let waiter = match self.open_quietly(|state| state.begin_sleep(deadline, cx.waker())) {
            None => self.begin_unusual_sleep(deadline, cx)?,
            Some(waiter) => waiter,
        };
        Some(Stage::Asleep(self, waiter))
    }

    #[inline(never)]
    fn begin_unusual_sleep(&self, deadline: Deadline, cx: &mut Context<'_>) -> Option<WaiterKey> {
        let mut keeps_waker = false;
        let waiter = self.open(|state| {
            keeps_waker = state.here.keeps(cx.waker());
            state.begin_unusual_sleep(deadline, cx.waker())
        })?;
        if keeps_waker {
            self.keep_waker(waiter, cx);
        }
        Some(waiter)
    }
}

/// Runs a coroutine for no longer than a timeout.
///
/// The counterpart of `asyncio.wait_for`. The coroutine runs in the caller's task. When the time is over, it is cancelled where it
/// waits, and once it has ended, the [`Cancelled`](Error::Cancelled) that comes out becomes [`Timeout`](Error::Timeout). A value
/// that comes out all the same is returned. `None` sets no limit. With a timeout of zero the coroutine is not even started.
///
/// The cancel reaches what is pending inside this `wait_for` and nothing else of the task, so that of several in
/// one `join!` each has a time of its own.
///
/// # Errors
/// Whatever the coroutine raises; [`Error::Timeout`] as above; [`Error::Runtime`] if it has to wait outside any loop.
///
/// # Cancellation
/// Cancels the coroutine. If somebody cancels the task and the time is over as well, `Cancelled` it is.
///
/// # Dropping
/// Drops the coroutine, and takes back the timer and the request to cancel that it may have made.
///
/// # Examples
/// ```
/// use {soloop::{Error, Event, wait_for}, std::time::Duration};
///
/// soloop::run(async {
///     let never = Event::new();
///     let waited = wait_for(never.wait(), Duration::from_millis(1)).await;
///     assert!(matches!(waited, Err(Error::Timeout)));
///     Ok(())
/// })?;
/// # Ok::<(), Error>(())
/// ```
pub fn wait_for<T>(
    coro: impl Future<Output = Result<T>>,
    timeout: impl Into<Option<Duration>>,
) -> impl Future<Output = Result<T>> {
    WaitFor {
        coroutine: Some(coro),
        limited: Limited {
            home: None,
            limit: match timeout.into() {
                None => Limit::None,
                Some(timeout) => Limit::Unpolled(timeout),
            },
        },
    }
}

pin_project! {
    #[must_use]
    struct WaitFor<F> {
        // In this order: a coroutine is dropped inside its limit.
        #[pin]
        coroutine: Option<F>,
        limited: Limited,
    }
}

/// A limit, and where it holds. Given up when dropped.
struct Limited {
    /// The loop, once there is something in it to give up.
    home: Option<Rc<Loop>>,
    limit: Limit,
}

/// How long a `wait_for` may take.
// A place of its own for the kind: see `Stage`.
#[repr(u32)]
enum Limit {
    /// So long, from the first poll on.
    Unpolled(Duration),
    /// For ever.
    None,
    /// Until a deadline: its boundary in the task.
    Scope(Boundary),
    /// Its time is over, and asyncio takes the hops of this waiter to say so.
    Refused(WaiterKey),
    Over,
}

impl<F: Future<Output = Result<T>>, T> Future for WaitFor<F> {
    type Output = Result<T>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<T>> {
        match self.limited.limit {
            Limit::Unpolled(timeout) if !timeout.is_zero() => self.poll_first(Some(timeout), cx),
            Limit::Scope(_) => self.poll_again(cx),
            _ => self.poll_otherwise(cx),
        }
    }
}

const ENDED: &str = "`wait_for` polled again after its end";

impl<F: Future<Output = Result<T>>, T> WaitFor<F> {
    /// The first poll under a limit: without a timeout, its time is over. Most of what is ever polled so is ready at once, and then
    /// that is all there is to it; a scope is begun only if it is not.
    #[inline]
    fn poll_first(
        mut self: Pin<&mut Self>,
        timeout: Option<Duration>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<T>> {
        let Some(home) = Loop::current_if(|running| running.here.task.get().is_some()) else {
            return self.poll_outside(timeout, cx);
        };
        let yields = now::yields();
        let begun = Boundary::begin(&home, timeout);
        let undrawn = Undrawn::enter(&home);
        let mut this = self.as_mut().project();
        let polled = this.coroutine.as_mut().as_pin_mut().expect(ENDED).poll(cx);
        match polled {
            Poll::Ready(result) => {
                if undrawn.leave() {
                    this.coroutine.set(None);
                    this.limited.limit = Limit::Over;
                    return Poll::Ready(result);
                }
                let (home, boundary) = this.limited.begin(home, begun);
                boundary.leave_drawn(home);
                self.end(result)
            }
            Poll::Pending => {
                mem::forget(undrawn);
                let (home, boundary) = this.limited.begin(home, begun);
                if !boundary.spare(home, yields, cx.waker()) {
                    let verdict = boundary.stay(home, cx);
                    debug_assert_eq!(verdict, Verdict::Pending, "nobody has struck it yet");
                }
                Poll::Pending
            }
        }
    }

    /// A later poll under a limit.
    #[inline]
    fn poll_again(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<T>> {
        let mut this = self.as_mut().project();
        let coroutine = this.coroutine.as_mut().as_pin_mut().expect(ENDED);
        let Limited {
            home: Some(home),
            limit: Limit::Scope(boundary),
        } = &mut *this.limited
        else {
            unreachable!("it has begun");
        };
        if !boundary.enter(home, cx.waker()) {
            return self.end(Err(Error::no_running_loop()));
        }
        let inside = Inside {
            home,
            boundary: Some(boundary),
        };
        match coroutine.poll(cx) {
            Poll::Ready(result) => {
                // Its destructor still runs inside.
                this.coroutine.set(None);
                let is_over = inside.end();
                // There is nothing in it any more.
                this.limited.home = None;
                this.limited.limit = Limit::Over;
                Poll::Ready(outcome(result, is_over))
            }
            Poll::Pending if inside.stay(cx) == Verdict::Abandon => self.end(Err(Error::Cancelled)),
            Poll::Pending => Poll::Pending,
        }
    }

    /// Any other poll: with no limit, with no time, or after that.
    fn poll_otherwise(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<T>> {
        let mut this = self.as_mut().project();
        let coroutine = this.coroutine.as_mut().as_pin_mut();
        let result = match (&mut this.limited.limit, &this.limited.home) {
            (Limit::Refused(waiter), Some(home)) => {
                let settled = ready!(home.poll_waiter(waiter, cx));
                if settled.is_gone() {
                    this.limited.home = None;
                }
                settled.result().and(Err(Error::Timeout))
            }
            (Limit::None, _) => ready!(coroutine.expect(ENDED).poll(cx)),
            (Limit::Unpolled(_), _) => return self.poll_at_once(cx),
            _ => panic!("{ENDED}"),
        };
        self.end(result)
    }

    /// The first poll with a timeout of zero.
    #[inline(never)]
    fn poll_at_once(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<T>> {
        if is_task::<F, T>() {
            return self.poll_first(None, cx);
        }
        // It never begins.
        let mut this = self.as_mut().project();
        this.coroutine.set(None);
        match this.limited.refuse(cx) {
            Ok(()) => self.poll_otherwise(cx),
            Err(error) => self.end(Err(error)),
        }
    }

    #[inline]
    fn end(self: Pin<&mut Self>, result: Result<T>) -> Poll<Result<T>> {
        let mut this = self.project();
        this.coroutine.set(None);
        let is_over = this.limited.end();
        this.limited.limit = Limit::Over;
        Poll::Ready(outcome(result, is_over))
    }

    /// What need not wait works outside any loop, too.
    #[cold]
    fn poll_outside(
        mut self: Pin<&mut Self>,
        timeout: Option<Duration>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<T>> {
        let coroutine = self.as_mut().project().coroutine;
        let coroutine = coroutine.as_pin_mut().expect(ENDED);
        let polled = timeout.map_or(Poll::Pending, |_| coroutine.poll(cx));
        self.end(match polled {
            Poll::Ready(result) => result,
            Poll::Pending => Err(Error::no_running_loop()),
        })
    }
}

/// What comes of a coroutine's result, if its time was over or not.
#[inline]
fn outcome<T>(result: Result<T>, is_over: bool) -> Result<T> {
    match result {
        Err(Error::Cancelled) if is_over => Err(Error::Timeout),
        result => result,
    }
}

/// Whether a coroutine is a [`Task`], which `wait_for` with a timeout of zero cancels, where it starts nothing else.
///
/// `F` may borrow, so it has no `TypeId`. If its name should deceive, a coroutine is polled once before its cancel.
fn is_task<F, T>() -> bool {
    size_of::<F>() == size_of::<Task<T>>() && type_name::<F>() == type_name::<Task<T>>()
        || type_name::<F>() == type_name::<&mut Task<T>>()
        || type_name::<F>() == type_name::<Pin<&mut Task<T>>>()
}

impl Limited {
    /// Begins a scope. It is not drawn yet.
    #[inline]
    fn begin(&mut self, home: Rc<Loop>, boundary: Boundary) -> (&Loop, &mut Boundary) {
        debug_assert!(self.home.is_none(), "it is the first poll");
        // Nothing has to be dropped here, and so nothing has to be called.
        mem::forget(self.home.replace(home));
        self.limit = Limit::Scope(boundary);
        match (&self.home, &mut self.limit) {
            (Some(home), Limit::Scope(boundary)) => (home, boundary),
            _ => unreachable!("it has just begun"),
        }
    }

    /// A timeout of zero.
    fn refuse(&mut self, cx: &mut Context<'_>) -> Result<()> {
        let home = Loop::current().ok_or_else(Error::no_running_loop)?;
        let waiter = home
            .open(|state| state.refuse_to_start(cx.waker()))
            .ok_or_else(Error::no_running_loop)?;
        self.limit = Limit::Refused(waiter);
        self.home = Some(home);
        Ok(())
    }

    /// Ends what there is in the loop. Says whether the time was over, and nobody else asked for a cancel meanwhile.
    #[inline]
    fn end(&mut self) -> bool {
        self.home.is_some() && self.give_up()
    }

    #[inline(never)]
    fn give_up(&mut self) -> bool {
        let Some(home) = self.home.take() else {
            return false;
        };
        match &mut self.limit {
            Limit::Scope(boundary) => boundary.close(&home),
            Limit::Refused(waiter) => {
                home.remove_waiter(*waiter);
                false
            }
            _ => unreachable!("no other limit is known to a loop"),
        }
    }
}

impl Drop for Limited {
    #[inline(always)]
    fn drop(&mut self) {
        self.end();
    }
}

/// A scope, from the side of the `wait_for` that drew it.
struct Boundary {
    drawn: Drawn,
    /// How many requests to cancel there were when the timeout began, as far as they may be disregarded.
    others_before: i32,
    /// The timer, until it is set: once the coroutine is pending, unless that is [`Spared`](Course::Spared).
    unset: Option<Unset>,
    course: Course,
}

/// What course a `wait_for` takes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Course {
    Usual,
    /// The coroutine was pending with a bare yield and nothing else, and so without a timer.
    Spared,
    /// The time is over from the start.
    AtOnce,
}

/// What there is of a boundary in the loop.
#[derive(Clone, Copy)]
enum Drawn {
    /// Nothing: what is inside was never pending, or with bare yields alone.
    No,
    /// A timer, as long as nothing is inside but the task's own waiter.
    Limited(TimerKey),
    Scope(WaiterKey),
}

/// A timer as long as there are only its deadline and its place among equal ones.
#[derive(Clone, Copy)]
struct Unset {
    deadline: Deadline,
    number: u64,
}

impl Boundary {
    #[inline]
    fn begin(home: &Loop, timeout: Option<Duration>) -> Self {
        let (here, at_once) = (&home.here, timeout.is_none());
        let deadline = home.clock().after(timeout.unwrap_or_default());
        let others_before = if at_once || here.scope().is_some() {
            home.look(|state| state.requests_to_new(at_once))
        } else {
            debug_assert_eq!(here.asked.get(), home.look(State::asked_here));
            here.asked.get()
        };
        Self {
            drawn: Drawn::No,
            others_before,
            unset: Some(Unset {
                deadline,
                number: here.number_timer(),
            }),
            course: if at_once {
                Course::AtOnce
            } else {
                Course::Usual
            },
        }
    }

    /// Begins another poll of what is inside. Says whether any task is running at all.
    #[inline]
    fn enter(&mut self, home: &Loop, waker: &Waker) -> bool {
        match self.drawn {
            Drawn::No => home.here.enter_undrawn(),
            _ => self.enter_drawn(home, waker),
        }
    }

    #[inline(never)]
    fn enter_drawn(&mut self, home: &Loop, waker: &Waker) -> bool {
        match self.drawn {
            Drawn::Limited(timer)
                if home.open_quietly(|state| state.enter_limited(timer, waker)) =>
            {
                true
            }
            _ => home.open(|state| {
                let scope = self.find_scope(state).expect("it is drawn");
                state.enter_scope(scope)
            }),
        }
    }

    /// The scope, if there is one. It is drawn if there is a timer alone, or was already, by whoever needed it.
    fn find_scope(&mut self, state: &mut State) -> Option<WaiterKey> {
        if let Drawn::Limited(timer) = self.drawn {
            self.drawn = Drawn::Scope(state.scope_of_limit(timer));
        }
        match self.drawn {
            Drawn::Scope(scope) => Some(scope),
            _ => None,
        }
    }

    /// The scope, drawn now that its coroutine was polled, if it was not before.
    fn draw(&mut self, state: &mut State) -> WaiterKey {
        let scope = match self.drawn {
            Drawn::Scope(scope) => return scope,
            Drawn::No => state.scope_begun(),
            Drawn::Limited(timer) => {
                let scope = state.scope_begun();
                state.set_limit(scope, timer);
                scope
            }
        };
        self.drawn = Drawn::Scope(scope);
        scope
    }

    /// Leaves a coroutine that is pending with a bare yield, for the first time. Its next step is queued before its timer could
    /// be, so that there is no need of that yet, and if that step does not poll this, none until one does. Unless the order may be
    /// another, or the host's clock goes on meanwhile.
    #[inline]
    fn spare(&mut self, home: &Loop, yields_before: u32, waker: &Waker) -> bool {
        let spared = self.course != Course::AtOnce
            && now::yields() > yields_before
            && !home.here.waits_inside()
            && !home.here.keeps(waker)
            && !home.here.observed.get()
            && !home.clock().is_hosts()
            && home.here.forget_scope();
        if spared {
            self.course = Course::Spared;
        }
        spared
    }

    /// The coroutine is pending: leaves it, and has a combinator's waker kept. The timer runs from the first time on.
    fn stay(&mut self, home: &Loop, cx: &mut Context<'_>) -> Verdict {
        // It has come while there was no timer: that would stand behind what is ready now.
        let is_late = self.course == Course::Spared
            && self
                .unset
                .is_some_and(|unset| unset.deadline.time(home.clock().origin()) <= home.now());
        // A combinator's waker is kept with the scope.
        let is_plain = self.course != Course::AtOnce && !is_late && !home.here.keeps(cx.waker());
        if is_plain && home.open_quietly(|state| self.stay_limited(state)) {
            return Verdict::Pending;
        }
        self.stay_drawn(home, is_late, cx)
    }

    #[inline(never)]
    fn stay_drawn(&mut self, home: &Loop, is_late: bool, cx: &mut Context<'_>) -> Verdict {
        let unset = self.unset.take();
        let mut keeps_waker = false;
        let verdict = home.open(|state| {
            let scope = self.draw(state);
            let verdict = state.leave_scope(scope, true);
            if verdict == Verdict::Abandon {
                return verdict;
            }
            match unset {
                Some(_) if self.course == Course::AtOnce => state.cancel_inside(scope),
                Some(_) if is_late => {
                    let timer = state.wheel.insert_due(scope);
                    state.scope_mut(scope).timer = Some(timer);
                    state.ready.push_late(Handle::Timer(timer));
                }
                Some(Unset { deadline, number }) => {
                    let timer = state.wheel.insert(deadline, number, scope);
                    state.scope_mut(scope).timer = Some(timer);
                }
                None => {}
            }
            keeps_waker = state.wants_waker(scope, cx.waker());
            verdict
        });
        if let (Drawn::Scope(scope), true) = (self.drawn, keeps_waker) {
            home.keep_waker(scope, cx);
        }
        verdict
    }

    /// Leaves the coroutine with a timer alone, if it waits with nothing but the task's own waiter. Says whether it did.
    #[inline]
    fn stay_limited(&mut self, state: &mut State) -> bool {
        let timer = match (self.drawn, &self.unset) {
            (Drawn::No, &Some(Unset { deadline, number })) => state.leave_limited(|state, own| {
                let wheel = &mut state.wheel;
                wheel
                    .insert_within_capacity(deadline, number, own)
                    .unwrap_or_else(|| wheel.insert(deadline, number, own))
            }),
            (Drawn::Limited(timer), None) => state.leave_limited(|_, _| timer),
            _ => return false,
        };
        if let Some(timer) = timer {
            self.drawn = Drawn::Limited(timer);
            self.unset = None;
        }
        timer.is_some()
    }

    /// The coroutine has panicked: leaves it.
    fn leave(&mut self, home: &Loop) {
        if !matches!(self.drawn, Drawn::No) || !home.here.forget_scope() {
            self.leave_drawn(home);
        }
    }

    fn leave_drawn(&mut self, home: &Loop) {
        home.open(|state| {
            let scope = self.draw(state);
            state.leave_scope(scope, false);
        });
    }

    /// Closes the scope. Says whether its time was over, and nobody else asked for a cancel meanwhile.
    fn close(&mut self, home: &Loop) -> bool {
        home.open(|state| {
            self.find_scope(state)
                .is_some_and(|scope| state.close_scope(scope, self.others_before, self.is_over()))
        })
    }

    /// Leaves and closes the scope at once.
    #[inline]
    fn end(&mut self, home: &Loop) -> bool {
        match self.drawn {
            Drawn::No if home.here.forget_scope() => false,
            Drawn::Limited(timer) if home.here.forget_scope() => {
                home.cancel_timer(timer);
                false
            }
            _ => self.end_drawn(home),
        }
    }

    #[inline(never)]
    fn end_drawn(&mut self, home: &Loop) -> bool {
        home.open(|state| {
            let scope = self.draw(state);
            state.leave_scope(scope, false);
            state.close_scope(scope, self.others_before, self.is_over())
        })
    }

    /// Whether the time was over from the start, and something waited all the same.
    fn is_over(&self) -> bool {
        // What was done at once is what it is.
        self.course == Course::AtOnce && self.unset.is_none()
    }
}

/// While a scope's coroutine is polled for the first time, and nothing is written down of the scope. A panic leaves it as well.
struct Undrawn<'a>(&'a Loop);

impl<'a> Undrawn<'a> {
    #[inline]
    fn enter(home: &'a Loop) -> Self {
        home.here.undrawn.set(home.here.undrawn.get() + 1);
        Self(home)
    }

    /// The coroutine has ended. Leaves it, unless something inside has waited: then it is drawn. Says whether it did.
    #[inline]
    fn leave(self) -> bool {
        let home = self.0;
        mem::forget(self);
        home.here.forget_scope()
    }
}

impl Drop for Undrawn<'_> {
    #[cold]
    fn drop(&mut self) {
        if !self.0.here.forget_scope() {
            self.0.open(|state| {
                let scope = state.scope_begun();
                state.leave_scope(scope, false);
                state.close_scope(scope, 0, false);
            });
        }
    }
}

/// While a scope's coroutine is polled again. A panic leaves it as well.
struct Inside<'a> {
    home: &'a Loop,
    /// `None` once it is left.
    boundary: Option<&'a mut Boundary>,
}

impl Inside<'_> {
    #[inline]
    fn end(mut self) -> bool {
        let boundary = self.boundary.take().expect("left once");
        boundary.end(self.home)
    }

    #[inline]
    fn stay(mut self, cx: &mut Context<'_>) -> Verdict {
        let boundary = self.boundary.take().expect("left once");
        boundary.stay(self.home, cx)
    }
}

impl Drop for Inside<'_> {
    #[inline]
    fn drop(&mut self) {
        if let Some(boundary) = &mut self.boundary {
            boundary.leave(self.home);
        }
    }
}

/// Makes a coroutine of any future, so that a cancel reaches it.
///
/// A future that knows nothing of soloop cannot be handed an error. Without this, a cancel that finds the task inside such a
/// future drops the whole coroutine, with no chance to clean up. asyncio has `wrap_future` for the same purpose.
///
/// # Errors
/// [`Error::Cancelled`] as below; [`Error::Runtime`] if it has to wait outside any loop.
///
/// # Cancellation
/// Drops the future, and [`Error::Cancelled`] arrives in its place, also if it has become ready meanwhile.
///
/// # Dropping
/// Drops the future.
///
/// # Examples
/// ```
/// use soloop::{Error, create_task, sleep, wrap_future};
///
/// soloop::run(async {
///     let task = create_task(async {
///         let waited = wrap_future(std::future::pending::<()>()).await;
///         Ok(matches!(waited, Err(Error::Cancelled)))
///     });
///     sleep(std::time::Duration::ZERO).await?;
///     task.cancel();
///     assert!(task.await?);
///     Ok(())
/// })?;
/// # Ok::<(), Error>(())
/// ```
pub fn wrap_future<F: Future>(future: F) -> impl Future<Output = Result<F::Output>> {
    WrapFuture {
        future: Some(future),
        waiting: None,
    }
}

pin_project! {
    #[must_use]
    struct WrapFuture<F> {
        #[pin]
        future: Option<F>,
        waiting: Option<Waiting>,
    }
}

impl<F: Future> Future for WrapFuture<F> {
    type Output = Result<F::Output>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<F::Output>> {
        let mut this = self.project();
        // A request to cancel comes first: the future may be ready as well, and is dropped with what it has.
        if let Some(waiting) = this.waiting {
            if let Poll::Ready(told) = Pin::new(waiting).poll(cx) {
                this.future.set(None);
                *this.waiting = None;
                return Poll::Ready(told.map(|()| unreachable!("nobody wakes it")));
            }
        }
        let future = this
            .future
            .as_mut()
            .as_pin_mut()
            .expect("`wrap_future` polled again after its end");
        let polled = future.poll(cx);
        let result = match (polled, &this.waiting) {
            (Poll::Ready(output), _) => Ok(output),
            (Poll::Pending, Some(_)) => return Poll::Pending,
            (Poll::Pending, None) => {
                match Loop::current().and_then(|home| home.wait_for_cancel(cx)) {
                    Some(waiting) => {
                        *this.waiting = Some(waiting);
                        return Poll::Pending;
                    }
                    None => Err(Error::no_running_loop()),
                }
            }
        };
        this.future.set(None);
        *this.waiting = None;
        Poll::Ready(result)
    }
}

impl Loop {
    #[inline(never)]
    fn cancel_timer(&self, timer: TimerKey) {
        self.open_quietly(|state| state.wheel.cancel(timer));
    }

    /// A waiter that nothing but a cancel can end.
    fn wait_for_cancel(self: Rc<Self>, cx: &mut Context<'_>) -> Option<Waiting> {
        let (waiter, keeps_waker) = self.open(|state| {
            let waiter = state.next_waiter(cx.waker())?;
            state.insert_waiter(waiter, Kind::Foreign);
            Some((waiter, state.here.keeps(cx.waker())))
        })?;
        if keeps_waker {
            self.keep_waker(waiter, cx);
        }
        Some(Waiting::new(self, waiter))
    }
}

impl State {
    /// Begins a sleep of the running task with its own waiter, if it has no other yet, and there is room for the timer.
    #[inline]
    fn begin_sleep(&mut self, deadline: Deadline, waker: &Waker) -> Option<WaiterKey> {
        let task = self.here.task.get()?;
        let slot = &mut self.tasks[task.index()];
        if !self.here.is_plain(waker) || slot.youngest.is_some() {
            return None;
        }
        let waiter = WaiterKey::own(task);
        let number = self.here.number_timer();
        let timer = self
            .wheel
            .insert_within_capacity(deadline, number, waiter)?;
        slot.enter(waiter, Kind::Sleep { timer: Some(timer) });
        Some(waiter)
    }

    /// Begins any sleep of the running task.
    fn begin_unusual_sleep(&mut self, deadline: Deadline, waker: &Waker) -> Option<WaiterKey> {
        // The timer comes first, and the waiter knows it from the start.
        let waiter = self.next_waiter(waker)?;
        let number = self.here.number_timer();
        let timer = Some(self.wheel.insert(deadline, number, waiter));
        self.insert_waiter(waiter, Kind::Sleep { timer });
        Some(waiter)
    }

    /// What asyncio does for a timeout of zero: it makes a task, cancels it before its first step, and hears of its end by a
    /// callback. A number and three hops.
    fn refuse_to_start(&mut self, waker: &Waker) -> Option<WaiterKey> {
        let waiter = self.next_waiter(waker)?;
        self.created += 1;
        let relay = self.wheel.insert_due(waiter);
        self.ready.push(Handle::Timer(relay));
        let kind = Kind::Relay {
            timer: Some(relay),
            hops: 1,
        };
        self.insert_waiter(waiter, kind);
        Some(waiter)
    }
}
