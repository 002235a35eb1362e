//! The director: takes one run of the loop along its course, handle by handle.

use std::{collections::VecDeque, sync::Arc};

use super::{
    FailureKind, Only,
    course::{Limits, Misfit},
    probe::Probe,
    schedule::{Action, Departure},
};
use crate::{
    error::{Error, Result},
    event_loop::{Aside, Handle, Loop, Outlook, Pilot, Stepping, key::TaskKey, steer::Standing},
    trace::EventKind,
};

pub(super) struct Director<'a> {
    probe: &'a Probe,
    only: Option<&'a Only>,
    max_steps: usize,
    /// How many handles have run.
    pub(super) steps: usize,
    /// What has gone wrong, if it ends the run.
    pub(super) broken: Option<(FailureKind, String)>,
    buffers: &'a mut Buffers,
}

/// Reused from run to run.
#[derive(Default)]
pub(super) struct Buffers {
    handles: VecDeque<Handle>,
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
        buffers: &'a mut Buffers,
    ) -> Self {
        buffers.handles.clear();
        Self {
            probe,
            only,
            max_steps,
            steps: 0,
            broken: None,
            buffers,
        }
    }

    /// Ends the run here and now.
    fn stop(&mut self, home: &Loop, kind: FailureKind, text: impl Into<String>) -> Error {
        let (kind, text) = self.broken.get_or_insert((kind, text.into()));
        fail(home, *kind, text);
        Error::Cancelled
    }

    fn misfit(&mut self, home: &Loop) -> Result<()> {
        let misfit = self.probe.course().borrow().misfit;
        match misfit {
            None => Ok(()),
            Some(misfit) => {
                let kind = FailureKind::UncontrolledNondeterminism;
                Err(self.stop(home, kind, misfit.to_string()))
            }
        }
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

    fn wait(&mut self, home: &Loop) -> Result<()> {
        // asyncio's `stop` is a handle, too.
        if home.look(|state| state.stop_after.is_some()) || self.probe.settle(home) {
            return Ok(());
        }
        match home.outlook() {
            Outlook::Ready => Ok(()),
            Outlook::Until(_) => {
                home.pass_deadline();
                Ok(())
            }
            // The world is closed: nobody outside has a waker.
            Outlook::Awaited | Outlook::Stuck => {
                let report = home.deadlock_report();
                self.stop(home, FailureKind::Deadlock, report.to_string());
                Err(Error::Deadlock(Arc::new(report)))
            }
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
            if home.look(|state| state.journal.is_some()) {
                home.date_journal();
            }
            turn.run(handle, stepping);
            self.steps += 1;
            self.misfit(home)?;
            if let Some(name) = self.probe.broken_invariant() {
                return Err(self.stop(home, FailureKind::Invariant, name));
            }
            if self.steps >= self.max_steps {
                let limit = format!("still running after {} steps", self.max_steps);
                return Err(self.stop(home, FailureKind::StepLimit, limit));
            }
        }
        Ok(())
    }

    /// Chooses the next handle, of this turn or the next. None if this turn is over.
    fn next(
        &mut self,
        home: &Loop,
        turn: &mut Aside<'_>,
        stepping: &mut Stepping<'_, '_>,
    ) -> Result<Option<Handle>> {
        loop {
            let Some(&first) = turn.handles.front() else {
                return Ok(None);
            };
            let Buffers { ready, .. } = self.buffers;
            ready.clear();
            home.look(|state| {
                let handles = turn.handles.iter().chain(state.ready.next_turn());
                for (place, &handle) in handles.enumerate() {
                    if let Some(task) = state.task_of(handle) {
                        ready.push((place, task));
                    } else if place == 0 {
                        break;
                    }
                }
            });
            if ready.is_empty() {
                // Nothing comes of the first: it is nobody's to choose.
                return Ok(turn.handles.pop_front());
            }
            let at = self.probe.course().borrow().decisions();
            let action = self.decide(home, first);
            self.misfit(home)?;
            match action {
                None => return Ok(turn.handles.pop_front()),
                Some(Action::Reorder(places)) => {
                    if let Some(&(place, task)) = self.buffers.ready.get(places as usize) {
                        write(home, Some(task), || "it goes first".into());
                        return Ok(take_from(place, home, turn));
                    }
                    self.impossible(home, Action::Reorder(places), at)?;
                }
                Some(action) => {
                    if interfere(home, action, &mut self.buffers.standings, stepping).is_none() {
                        self.impossible(home, action, at)?;
                    }
                }
            }
        }
    }

    fn impossible(&mut self, home: &Loop, action: Action, at: u32) -> Result<()> {
        let misfit = Misfit::Impossible(Departure { at, action });
        self.probe.course().borrow_mut().misfit = Some(misfit);
        self.misfit(home)
    }

    /// Decides what to do in place of running the first handle.
    fn decide(&mut self, home: &Loop, first: Handle) -> Option<Action> {
        let course = self.probe.course();
        let mut limits = None;
        {
            let mut course = course.borrow_mut();
            home.look(|state| {
                let (_, task) = self.buffers.ready[0];
                let is_timer = matches!(first, Handle::Timer(_));
                course.see(state.slot(task).number << 1 | u64::from(is_timer));
                course.see(self.buffers.ready.len() as u64);
                state.fingerprint().into_iter().for_each(|n| course.see(n));
            });
            if course.wants_options() {
                limits = Some(course.limits);
            }
        }
        self.buffers.options.clear();
        if let Some(limits) = limits {
            self.list_options(home, limits);
        }
        course.borrow_mut().decide(&self.buffers.options)
    }

    /// Lists what can be done in place of running the first handle, within these limits.
    fn list_options(&mut self, home: &Loop, limits: Limits) {
        let only = self.only;
        // The predicate is user code, asked while nothing is borrowed.
        let may =
            |task: TaskKey| only.is_none_or(|only| only(&home.look(|state| state.name(task))));
        let Buffers {
            ready,
            standings,
            options,
            ..
        } = self.buffers;
        if limits.reorder > 0 {
            let others = ready.iter().enumerate().skip(1);
            let others = others.filter(|&(_, &(_, task))| may(task));
            options.extend(others.map(|(places, _)| Action::Reorder(places as u32)));
        }
        if limits.cancels > 0 || limits.drops > 0 || limits.spurious > 0 {
            home.look(|state| state.standings(standings));
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
        if limits.early_timers > 0 && home.open(|state| state.wheel.earliest()) > Some(home.now()) {
            let due = || home.open(|state| state.tasks_due_next());
            if only.is_none() || due().into_iter().any(may) {
                options.push(Action::PassDeadline);
            }
        }
    }
}

/// Takes a handle out of its place in this turn or the next.
fn take_from(place: usize, home: &Loop, turn: &mut Aside<'_>) -> Option<Handle> {
    match place.checked_sub(turn.handles.len()) {
        None => turn.handles.remove(place),
        Some(place) => Some(home.open(|state| state.ready.take_of_next_turn(place))),
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
