//! Everything a loop knows, as plain data: its tasks, its waiters, what is ready, what is timed.
//!
//! `State` lives behind a `RefCell`, which [`Loop::open`](super::Loop::open) opens, and two short forms of that beside it. Its
//! methods move futures, results and wakers about but never run them: what has to be dropped or woken is returned, or put into
//! the outbox, which is emptied once the cell is closed. So no user code can meet a borrow.
//!
//! The methods stand beside what they are about: a task's in `task/`, a waiter's in `waiter/`, a scope's in `scope.rs`.

use std::{collections::HashMap, rc::Rc, sync::Weak, task::Waker, time::Duration};

use slab::Slab;

use super::{
    Handle,
    arena::Arena,
    clock::{Clock, Origin, Reading},
    here::Here,
    journal::Journal,
    key::{TaskKey, TimerKey, WaiterKey},
    ready::Ready,
    waker::{Inbox, TaskWaker},
    wheel::Wheel,
};
use crate::{
    error::Error,
    task::{Flags, LIMITED, Requests, Slot},
    trace::Requester,
    waiter::{Kind, Other, WaitList, Wake},
};

/// Something that runs user code, and so waits until the state is closed.
#[derive(Debug)]
pub(crate) enum Errand {
    Wake(Waker),
    Drop(Waker),
    /// Tell the host that there is something to do.
    Announce,
}

impl Errand {
    pub(crate) fn run(self, inbox: &Inbox) {
        match self {
            Self::Announce => inbox.announce(),
            Self::Wake(waker) => waker.wake(),
            Self::Drop(waker) => drop(waker),
        }
    }
}

/// What comes after a turn.
pub(crate) enum Rest {
    /// Another turn.
    More,
    /// Nothing is ready: the loop waits.
    Idle,
    /// The loop stops.
    Stop,
}

/// What may come between two turns, but for the state itself.
#[derive(Clone, Copy)]
pub(crate) struct Between<'a> {
    pub(crate) inbox: &'a Inbox,
    pub(crate) clock: &'a Clock,
}

pub(crate) struct State {
    pub(crate) tasks: Arena<Slot>,
    /// Names that were set by hand; the others follow from the task's number.
    pub(crate) names: HashMap<TaskKey, Rc<str>>,
    /// The wakers that were given out, by their tasks' indices: most tasks need none.
    pub(crate) adopted: Vec<Weak<TaskWaker>>,
    /// The timers of the `wait_for`s in which tasks that are `LIMITED` wait, by the tasks' indices.
    pub(crate) limits: Vec<Option<TimerKey>>,
    /// The requests to cancel that are counted, by their tasks' indices: most tasks have none.
    pub(crate) requests: Vec<Requests>,
    /// How many tasks were ever created, asyncio's own of the shutdown included.
    pub(crate) created: u64,
    /// How many tasks have not ended.
    pub(crate) alive: usize,

    /// The waiters that are not their tasks' own.
    pub(crate) others: Arena<Other>,
    pub(crate) queues: Slab<WaitList>,
    /// Wakers of combinators, kept by the waiters that were polled with them.
    pub(crate) foreign: Slab<Waker>,
    /// What to do as soon as the state is closed.
    pub(crate) outbox: Vec<Errand>,

    /// The bare yields in combinators that have to be woken when the next step of their task begins.
    pub(crate) yielders: Vec<(TaskKey, WaiterKey)>,

    pub(crate) ready: Ready,
    /// Whether a host was left with nothing to do, and is to be told of the next thing that there is.
    pub(crate) announces: bool,
    pub(crate) wheel: Wheel<WaiterKey>,

    pub(crate) here: Rc<Here>,

    /// How many turns the loop still runs after this one before it stops.
    pub(crate) stop_after: Option<u32>,
    /// How many of the tasks that the shutdown cancelled have not ended.
    pub(crate) doomed: usize,
    /// What they raised instead.
    pub(crate) failures: Vec<(TaskKey, Error)>,

    /// What new tasks are: `TRACED` while a recorder looks on, and else nothing.
    pub(crate) traced: Flags,
    pub(crate) journal: Option<Box<Journal>>,
}

impl State {
    pub(crate) fn new(here: Rc<Here>, origin: Origin) -> Self {
        Self {
            tasks: Arena::new(),
            names: HashMap::new(),
            adopted: Vec::new(),
            limits: Vec::new(),
            requests: Vec::new(),
            created: 0,
            alive: 0,
            others: Arena::new(),
            queues: Slab::new(),
            foreign: Slab::new(),
            outbox: Vec::new(),
            yielders: Vec::new(),
            ready: Ready::default(),
            announces: false,
            wheel: Wheel::new(origin),
            here,
            stop_after: None,
            doomed: 0,
            failures: Vec::new(),
            traced: Flags::NONE,
            journal: None,
        }
    }

    /// Begins a turn with what is ready, unless timers are set: then one has to know the time, and begin with
    /// [`begin_turn_at`](Self::begin_turn_at). Says whether it did.
    pub(crate) fn begin_turn(&mut self, own_waker: *const ()) -> bool {
        self.here.set_waker(own_waker);
        self.announces = false;
        let begun = self.wheel.is_empty();
        if begun {
            self.ready.begin_turn();
        }
        begun
    }

    /// Whether the next turn may follow at once, as far as others have a say: nobody has rung, and the loop does not stop.
    #[inline]
    pub(crate) fn may_go_on(&self, inbox: &Inbox) -> bool {
        self.stop_after.is_none() && !inbox.is_rung()
    }

    /// Begins the next turn though timers are set, unless the clock is a host's, which is user code, or one has to wait for the next
    /// of them. Says whether it did.
    #[inline(never)]
    pub(crate) fn begin_next_timed_turn(&mut self, clock: &Clock) -> bool {
        match self.ready.is_empty() {
            true if clock.jumps() => self.jump_to_next_turn(clock),
            false if !clock.is_hosts() => self.begin_turn_at(clock.read()),
            _ => return false,
        }
        true
    }

    #[inline(never)]
    fn jump_to_next_turn(&mut self, clock: &Clock) {
        self.wheel.earliest().map(|deadline| clock.jump(deadline));
        self.begin_due_turn(clock.now());
        // That is a turn of timers alone. If nothing but sleeps are over, nobody can come between it and the next, and time has not
        // gone on.
        while let Some(Handle::Timer(timer)) = self.ready.first() {
            if !self.end_sleep_of(timer) {
                return;
            }
            self.ready.take_first();
        }
        self.ready.begin_turn();
    }

    /// Begins a turn: every timer that is due goes behind what is ready, and what is ready then is the turn.
    #[inline]
    pub(crate) fn begin_turn_at(&mut self, now: Reading) {
        match self.wheel.may_be_due(now) {
            Some(now) => self.begin_due_turn(now),
            None => self.ready.begin_turn(),
        }
    }

    fn begin_due_turn(&mut self, now: Duration) {
        let Self { wheel, ready, .. } = self;
        wheel.expire(now, |timer| ready.push(Handle::Timer(timer)));
        ready.begin_turn();
    }

    /// Runs the handle of a timer: wakes what sleeps, strikes what took too long.
    pub(crate) fn run_timer(&mut self, timer: TimerKey) {
        if !self.end_sleep_of(timer) {
            self.run_unusual_timer(timer);
        }
    }

    /// Wakes what sleeps until a timer that is due, if that is all there is to it. Says whether it was so.
    #[inline]
    fn end_sleep_of(&mut self, timer: TimerKey) -> bool {
        let sleeper = self.wheel.payload(timer);
        let is_woken = sleeper.is_some_and(|sleeper| self.wake_sleeper(sleeper));
        if is_woken {
            self.wheel.remove_due(timer);
        }
        is_woken
    }

    #[inline(never)]
    fn run_unusual_timer(&mut self, timer: TimerKey) {
        let Some(key) = self.wheel.payload(timer) else {
            return self.wheel.remove_due(timer);
        };
        let key = match self.limited_by(timer, key) {
            Some(task) => self.draw_limit(task),
            None => key,
        };
        if self.journal.is_some() {
            self.write_timer(key);
        }
        match &mut self.waiter_mut(key).kind {
            Kind::Relay { hops, .. } if *hops > 0 => {
                *hops -= 1;
                return self.ready.push(Handle::Timer(timer));
            }
            Kind::Relay { timer, .. } | Kind::Sleep { timer } => {
                *timer = None;
                self.wake_if_pending(key);
            }
            Kind::Scope(scope) => {
                scope.timer = None;
                let is_known = !scope.flags.has(LIMITED);
                self.on_behalf_of(Requester::Timeout, |state| state.strike(key));
                if !is_known {
                    // Its `wait_for` finds it by the timer, and forgets that then.
                    return;
                }
            }
            Kind::Queue { .. }
            | Kind::Join { .. }
            | Kind::Yield
            | Kind::Foreign
            | Kind::Moved { .. } => {
                unreachable!("nothing else sets timers")
            }
        }
        self.wheel.remove_due(timer);
    }

    /// The end of a turn. Says what the loop does then.
    pub(crate) fn end_turn(&mut self) -> Rest {
        match self.stop_after {
            None if self.ready.is_empty() => Rest::Idle,
            None => Rest::More,
            Some(0) => {
                self.stop_after = None;
                Rest::Stop
            }
            Some(turns) => {
                self.stop_after = Some(turns - 1);
                Rest::More
            }
        }
    }

    pub(crate) fn wake_if_pending(&mut self, key: WaiterKey) {
        if self.waiter(key).is_pending() {
            self.settle(key, Wake::Woken);
        }
    }
}
