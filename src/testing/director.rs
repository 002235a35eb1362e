//! The director: takes one run of the loop along its course, handle by handle.

use std::sync::Arc;

use super::{
    FailureKind, Only,
    course::{Course, Limits, Misfit},
    probe::Probe,
    schedule::{Action, Departure},
};
use crate::{
    error::{Error, Result},
    event_loop::{
        Aside, Handle, Loop, Outlook, Pilot, Stepping, key::TaskKey, state::State, steer::Standing,
    },
    trace::EventKind,
};

pub(super) struct Director<'a> {
    probe: &'a Probe,
    only: Option<&'a Only>,
    max_steps: usize,
    /// Whether somebody writes down what happens.
    is_recorded: bool,
    /// How many handles have run.
    pub(super) steps: usize,
    /// What has gone wrong, if it ends the run.
    pub(super) broken: Option<(FailureKind, String)>,
    buffers: &'a mut Buffers,
}

/// Reused from run to run.
#[derive(Default)]
pub(super) struct Buffers {
    handles: Vec<Handle>,
    /// The handles that can go first, by their places in this turn and the next, and their tasks.
    ready: Vec<(usize, TaskKey)>,
    standings: Vec<Standing>,
    options: Vec<Action>,
}

impl<'a> Director<'a> {
    pub(super) fn new(
        probe: &'a Probe,
        only: Option<&'a Only>,
        max_steps: usize,
        is_recorded: bool,
        buffers: &'a mut Buffers,
    ) -> Self {
        Self {
            probe,
            only,
            max_steps,
            is_recorded,
            steps: 0,
            broken: None,
            buffers,
        }
    }

    /// Ends the run here and now.
    #[cold]
    fn stop(&mut self, home: &Loop, kind: FailureKind, text: impl Into<String>) -> Error {
        let (kind, text) = self.broken.get_or_insert((kind, text.into()));
        fail(home, *kind, text);
        Error::Cancelled
    }

    #[cold]
    fn stop_misfit(&mut self, home: &Loop, misfit: Misfit) -> Error {
        let kind = FailureKind::UncontrolledNondeterminism;
        self.stop(home, kind, misfit.to_string())
    }

    #[cold]
    fn impossible(&mut self, home: &Loop, action: Action, at: u32) -> Error {
        let misfit = {
            let mut course = self.probe.course().borrow_mut();
            course.impossible(Departure { at, action });
            course.misfit
        };
        self.stop_misfit(home, misfit.expect("it was just found"))
    }
}

impl Pilot for Director<'_> {
    fn turn(&mut self, home: &Loop, stepping: &mut Stepping<'_, '_>) -> Result<()> {
        let mut handles = std::mem::take(&mut self.buffers.handles);
        let mut turn = Aside::begin_turn(home, stepping, &mut handles);
        let taken = self.take(home, &mut turn, stepping);
        drop(turn);
        self.buffers.handles = handles;
        taken
    }

    fn wait(&mut self, home: &Loop, stepping: &mut Stepping<'_, '_>) -> Result<()> {
        match home.outlook() {
            Outlook::Ready => Ok(()),
            Outlook::Until(_) => self.stand_still(home, stepping),
            Outlook::Awaited | Outlook::Stuck if self.probe.has_settlers() => {
                self.stand_still(home, stepping)
            }
            // The world is closed: nobody outside has a waker.
            Outlook::Awaited | Outlook::Stuck => Err(self.deadlock(home)),
        }
    }
}

impl Director<'_> {
    fn take(
        &mut self,
        home: &Loop,
        turn: &mut Aside<'_>,
        stepping: &mut Stepping<'_, '_>,
    ) -> Result<()> {
        while let Some(handle) = self.next(home, turn, stepping)? {
            if self.is_recorded {
                home.date_journal();
            }
            turn.run(handle, stepping);
            self.steps += 1;
            self.ask_invariants(home)?;
        }
        Ok(())
    }

    #[inline]
    fn ask_invariants(&mut self, home: &Loop) -> Result<()> {
        match self.probe.broken_invariant() {
            None => Ok(()),
            Some(name) => Err(self.stop(home, FailureKind::Invariant, name)),
        }
    }

    /// Chooses the next handle, of this turn or the next. None if this turn is over.
    fn next(
        &mut self,
        home: &Loop,
        turn: &mut Aside<'_>,
        stepping: &mut Stepping<'_, '_>,
    ) -> Result<Option<Handle>> {
        loop {
            let Some(&first) = turn.left().first() else {
                return Ok(None);
            };
            if self.steps >= self.max_steps {
                let limit = format!("still running after {} steps", self.max_steps);
                return Err(self.stop(home, FailureKind::StepLimit, limit));
            }
            let waiting = turn.left().len();
            let Some(wants_options) = self.see(home, first, waiting) else {
                // Nothing comes of it: it is nobody's to choose.
                return Ok(turn.pop());
            };
            self.buffers.options.clear();
            if wants_options {
                self.list_options(home, Some(turn));
            }
            let (action, at) = match self.decide() {
                Ok((None, _)) => return Ok(turn.pop()),
                Ok((Some(action), at)) => (action, at),
                Err(misfit) => return Err(self.stop_misfit(home, misfit)),
            };
            if let Action::Reorder(places) = action {
                self.list_ready(home, turn);
                let Some(&(place, task)) = self.buffers.ready.get(places as usize) else {
                    return Err(self.impossible(home, action, at));
                };
                write(home, Some(task), || "it goes first".into());
                return Ok(take_from(place, home, turn));
            }
            self.interfere(home, action, at, stepping)?;
        }
    }

    /// Nothing is ready: somebody has waited for that, or a deadline is next. Until then, something else may happen.
    fn stand_still(&mut self, home: &Loop, stepping: &mut Stepping<'_, '_>) -> Result<()> {
        let wants_options = {
            let mut course = self.probe.course().borrow_mut();
            home.look(|state| see_state(&mut course, state, 0));
            course.wants_options()
        };
        self.buffers.options.clear();
        if wants_options {
            self.list_options(home, None);
        }
        match self.decide() {
            Ok((None, _)) if self.probe.settle(home) => Ok(()),
            // If neither is there any more, that is a deadlock when it is looked at again.
            Ok((None, _)) => {
                home.pass_deadline();
                Ok(())
            }
            Ok((Some(action @ Action::PassDeadline), at)) => Err(self.impossible(home, action, at)),
            Ok((Some(action), at)) => self.interfere(home, action, at, stepping),
            Err(misfit) => Err(self.stop_misfit(home, misfit)),
        }
    }

    #[cold]
    fn deadlock(&mut self, home: &Loop) -> Error {
        let report = home.deadlock_report();
        self.stop(home, FailureKind::Deadlock, report.to_string());
        Error::Deadlock(Arc::new(report))
    }

    /// Has the course see how things stand before a decision about the first of so many handles, and says whether it wants to know
    /// what can be done. None if there is nothing to decide.
    #[inline]
    fn see(&self, home: &Loop, first: Handle, waiting: usize) -> Option<bool> {
        let mut course = self.probe.course().borrow_mut();
        let now = home.now();
        home.look(|state| {
            let task = state.task_of(first)?;
            let is_timer = matches!(first, Handle::Timer(_));
            course.see(state.slot(task).number << 1 | u64::from(is_timer));
            course.see(now.as_secs() << 30 ^ u64::from(now.subsec_nanos()));
            see_state(&mut course, state, waiting);
            Some(course.wants_options())
        })
    }

    #[inline]
    fn decide(&self) -> Result<(Option<Action>, u32), Misfit> {
        let mut course = self.probe.course().borrow_mut();
        let at = course.decisions();
        let action = course.decide(&self.buffers.options);
        // One that a step has met before counts as well.
        course.misfit.map_or(Ok((action, at)), Err)
    }

    /// Lists the handles that can go first.
    fn list_ready(&mut self, home: &Loop, turn: &Aside<'_>) {
        let ready = &mut self.buffers.ready;
        ready.clear();
        home.look(|state| {
            let handles = turn.left().iter().copied();
            for (place, handle) in handles.chain(state.ready.next_turn()).enumerate() {
                if let Some(task) = state.task_of(handle) {
                    ready.push((place, task));
                }
            }
        });
    }

    /// Does what is not a choice of a handle.
    fn interfere(
        &mut self,
        home: &Loop,
        action: Action,
        at: u32,
        stepping: &mut Stepping<'_, '_>,
    ) -> Result<()> {
        if interfere(home, action, &mut self.buffers.standings, stepping).is_none() {
            return Err(self.impossible(home, action, at));
        }
        match action {
            // Destructors have run.
            Action::Drop(_) => self.ask_invariants(home),
            _ => Ok(()),
        }
    }

    /// Lists what can be done in place of running the first handle, or of letting time pass if nothing is ready.
    fn list_options(&mut self, home: &Loop, turn: Option<&Aside<'_>>) {
        let limits = self.probe.course().borrow().limits;
        if let Some(turn) = turn.filter(|_| limits.reorder > 0) {
            self.list_ready(home, turn);
            self.list_reorders(home);
        }
        if limits.cancels > 0 || limits.drops > 0 || limits.spurious > 0 {
            self.list_interferences(home, limits);
        }
        let is_early = || home.open(|state| state.wheel.earliest()) > Some(home.now());
        if turn.is_some() && limits.early_timers > 0 && is_early() {
            let may = may(home, self.only);
            let due = || home.open(|state| state.tasks_due_next());
            if self.only.is_none() || due().into_iter().any(may) {
                self.buffers.options.push(Action::PassDeadline);
            }
        }
    }

    fn list_reorders(&mut self, home: &Loop) {
        let Buffers { ready, options, .. } = &mut self.buffers;
        let may = may(home, self.only);
        for (places, &(_, task)) in ready.iter().enumerate().skip(1) {
            if may(task) {
                options.push(Action::Reorder(places as u32));
            }
        }
    }

    fn list_interferences(&mut self, home: &Loop, limits: Limits) {
        let only = self.only;
        let Buffers {
            standings, options, ..
        } = &mut self.buffers;
        home.look(|state| state.standings(standings));
        let may = may(home, only);
        standings.retain(|standing| may(standing.key));
        let number = |standing: &Standing| standing.number as u32;
        let others = || {
            standings
                .iter()
                .filter(|standing| only.is_some() || !standing.is_main)
        };
        if limits.cancels > 0 {
            options.extend(others().map(|task| Action::Cancel(number(task))));
        }
        if limits.drops > 0 {
            options.extend(others().map(|task| Action::Drop(number(task))));
        }
        if limits.spurious > 0 {
            let suspended = standings.iter().filter(|standing| !standing.is_queued);
            options.extend(suspended.map(|task| Action::Poll(number(task))));
        }
    }
}

/// Which tasks may be deviated on. The predicate is user code, asked while nothing is borrowed.
fn may<'a>(home: &'a Loop, only: Option<&'a Only>) -> impl Fn(TaskKey) -> bool + 'a {
    move |task| only.is_none_or(|only| only(&home.look(|state| state.name(task))))
}

/// Has a course see a few numbers that tell one state from another.
#[inline]
fn see_state(course: &mut Course, state: &State, waiting: usize) {
    course.see((waiting + state.ready.next_turn_len()) as u64);
    state.fingerprint().into_iter().for_each(|n| course.see(n));
}

/// Takes a handle out of its place in this turn or the next.
fn take_from(place: usize, home: &Loop, turn: &mut Aside<'_>) -> Option<Handle> {
    match place.checked_sub(turn.left().len()) {
        None => Some(turn.take(place)),
        Some(place) => home.open(|state| state.ready.take_of_next_turn(place)),
    }
}

/// Does what is not a choice of a handle. None if it cannot be done.
fn interfere(
    home: &Loop,
    action: Action,
    standings: &mut Vec<Standing>,
    stepping: &mut Stepping<'_, '_>,
) -> Option<()> {
    home.look(|state| state.standings(standings));
    let find = |number: u32| {
        let mut standings = standings.iter();
        standings.find(|standing| standing.number == u64::from(number))
    };
    match action {
        Action::Cancel(number) => {
            let task = find(number)?.key;
            write(home, Some(task), || "it is cancelled".into());
            home.open(|state| state.cancel_by_explorer(task));
        }
        Action::Drop(number) => {
            let task = find(number)?.key;
            write(home, Some(task), || "it is dropped".into());
            home.drop_where_it_stands(task, stepping);
        }
        Action::Poll(number) => {
            let task = find(number).filter(|standing| !standing.is_queued)?.key;
            write(home, Some(task), || "it is polled without a wake".into());
            home.open(|state| state.poll_spuriously(task));
        }
        Action::PassDeadline => {
            let deadline = home.pass_deadline()?;
            write(home, None, || {
                format!("the deadline {deadline:?} passes early")
            });
        }
        Action::Reorder(_) | Action::Choose(_) => return None,
    }
    Some(())
}

/// Writes down that the run fails here, if anybody does.
pub(super) fn fail(home: &Loop, kind: FailureKind, text: &str) {
    if home.look(|state| state.journal.is_some()) {
        let text = format!("{kind}: {text}");
        home.open(|state| state.write(None, EventKind::Failed { text }));
    }
}

/// Writes a departure down, if anybody does.
fn write(home: &Loop, task: Option<TaskKey>, text: impl FnOnce() -> String) {
    if home.look(|state| state.journal.is_some()) {
        home.date_journal();
        let text = text();
        home.open(|state| state.write_departure(task, text));
    }
}
