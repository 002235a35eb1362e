//! What the pictures share: a run cut into columns, one for each handle that ran, and who was in what state from which event to which.
//!
//! A handle runs alone, so a column belongs to one task's step, to one timer, or to what came from outside; all that happened
//! meanwhile happened in it, in order. A place in the picture is therefore the index of an event.

use super::{Cause, Event, EventKind, Finish, Requester, Timeline, Wait, story};
use std::{
    collections::{BTreeSet, HashMap},
    ops::Range,
    time::Duration,
};

#[derive(Debug)]
pub(super) struct Layout<'a> {
    pub(super) timeline: &'a Timeline,
    /// The tasks' numbers, in order. What is known of a task stands everywhere in the place that its number has here.
    pub(super) tasks: Vec<u64>,
    /// What to call each task.
    pub(super) titles: Vec<String>,
    pub(super) columns: Vec<Column>,
    /// The column of each event.
    pub(super) column_of: Vec<usize>,
    /// Each task's states, without a hole from its creation on.
    pub(super) lives: Vec<Vec<Span<'a>>>,
    pub(super) holdings: Vec<Holding<'a>>,
}

/// One handle.
#[derive(Debug)]
pub(super) struct Column {
    pub(super) turn: u64,
    pub(super) time: Duration,
    pub(super) who: Who,
    /// How long nothing ran before it, if that is to be seen.
    pub(super) gap: Option<Duration>,
    pub(super) events: Range<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Who {
    /// A task takes a step.
    Step { task: u64, why: Why },
    /// A timer of a task runs.
    Timer(u64),
    /// No handle: what came from outside, or from the loop itself.
    Outside,
}

/// Why a step is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// It is the first.
    Begins,
    /// The step before ended with a bare yield.
    Yielded,
    /// The event says so.
    Woken(usize),
    /// It is not taken: the task was cancelled before its first.
    Never,
    Unknown,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Span<'a> {
    pub(super) state: State<'a>,
    pub(super) from: usize,
    /// The event that ended it; behind the last one if none did.
    pub(super) to: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State<'a> {
    Ready,
    Running,
    Waiting(&'a [Wait]),
    Ended(&'a Finish),
}

/// That a task holds a lock or a permit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Holding<'a> {
    pub(super) task: u64,
    pub(super) what: &'a str,
    pub(super) from: usize,
    /// Behind the last event if it was never given back.
    pub(super) to: usize,
    /// Which one among those that are held of this primitive at the same time: the first that is free.
    pub(super) row: usize,
}

/// A gap between turns in which tasks were ready is drawn from this length on: shorter, it is what a step takes by a real clock.
const BUSY_GAP: Duration = Duration::from_micros(100);

impl<'a> Layout<'a> {
    pub(super) fn of(timeline: &'a Timeline) -> Self {
        let mut draft = Draft::new(timeline);
        for (place, event) in timeline.events().iter().enumerate() {
            draft.place(place, event);
            draft.live(place, event);
        }
        draft.finish()
    }

    /// The place of a task among the tasks.
    pub(super) fn slot(&self, task: u64) -> usize {
        self.tasks
            .binary_search(&task)
            .expect("a timeline has a name for every task in it")
    }

    /// The task whose step the column is.
    pub(super) fn runner(&self, column: usize) -> Option<u64> {
        match self.columns[column].who {
            Who::Step { task, .. } => Some(task),
            Who::Timer(_) | Who::Outside => None,
        }
    }
}

pub(super) const DROPPED: EventKind = EventKind::Finished {
    how: Finish::Dropped,
};

/// The other who did it to the event's task: a task that ends, too, wakes those who wait for that.
pub(super) fn doer(kind: &EventKind) -> Option<u64> {
    match kind {
        EventKind::Spawned { by } => *by,
        EventKind::Woken { by, through } => match through {
            Cause::Task(ended) => by.or(Some(*ended)),
            _ => *by,
        },
        EventKind::CancelRequested {
            by: Requester::Task(task),
        } => Some(*task),
        _ => None,
    }
}

/// Whether it is something that happens to a task, by another's hand or by nobody's.
pub(super) fn is_suffered(kind: &EventKind) -> bool {
    matches!(
        kind,
        EventKind::Spawned { .. } | EventKind::Woken { .. } | EventKind::CancelRequested { .. }
    )
}

struct Draft<'a> {
    layout: Layout<'a>,
    /// Whether a step has begun and not ended.
    running: bool,
    /// Whether the run has failed in this column: what comes is clearing up.
    failed: bool,
    /// Departures that belong to the column to come.
    departures: usize,
    /// Why each task's next step will be taken.
    why: Vec<Why>,
    ready: usize,
    held: HashMap<&'a str, Held>,
}

impl<'a> Draft<'a> {
    fn new(timeline: &'a Timeline) -> Self {
        let tasks: Vec<u64> = timeline.tasks().collect();
        Self {
            why: vec![Why::Unknown; tasks.len()],
            layout: Layout {
                timeline,
                titles: story::titles(timeline),
                columns: Vec::new(),
                column_of: Vec::with_capacity(timeline.events().len()),
                lives: vec![Vec::new(); tasks.len()],
                tasks,
                holdings: Vec::new(),
            },
            running: false,
            failed: false,
            departures: 0,
            ready: 0,
            held: HashMap::new(),
        }
    }

    /// Puts an event in the column that runs, or in a new one.
    fn place(&mut self, place: usize, event: &Event) {
        let here = self.layout.columns.last();
        let same_turn = here.is_some_and(|column| column.turn == event.turn);
        let joins = match (&event.kind, here.map(|column| column.who)) {
            (_, None) | (EventKind::Stepped | EventKind::TimerFired, _) => false,
            _ if self.never_began(event) => false,
            (EventKind::Departed { .. }, _) => self.running,
            (EventKind::Note { .. } | EventKind::Failed { .. }, _) => self.departures == 0,
            _ if !same_turn || self.failed || self.departures > 0 => false,
            _ if self.running => true,
            // Who drops a task that stands still is the loop.
            (&DROPPED, Some(Who::Step { .. })) => false,
            (kind, Some(Who::Step { task, .. })) => {
                let by = match is_suffered(kind) {
                    true => doer(kind),
                    false => event.task,
                };
                by == Some(task)
            }
            (kind, Some(Who::Timer(task))) => event.task == Some(task) && doer(kind).is_none(),
            (kind, Some(Who::Outside)) => doer(kind).is_none(),
        };
        if joins {
            let here = self.layout.columns.last_mut().expect("it was looked at");
            here.events.end = place + 1;
        } else if matches!(event.kind, EventKind::Departed { .. })
            && place + 1 < self.layout.timeline.events().len()
        {
            self.departures += 1;
        } else {
            self.open_column(place, event);
        }
        self.failed |= matches!(event.kind, EventKind::Failed { .. });
        let columns = self.layout.columns.len();
        let column = if self.departures > 0 {
            columns // the one to come
        } else {
            columns - 1
        };
        self.layout.column_of.push(column);
    }

    fn open_column(&mut self, place: usize, event: &Event) {
        self.failed = false;
        let who = match (&event.kind, event.task) {
            (EventKind::Stepped, Some(task)) => Who::Step {
                task,
                why: std::mem::replace(&mut self.why[self.layout.slot(task)], Why::Unknown),
            },
            (EventKind::TimerFired, Some(task)) => Who::Timer(task),
            (_, Some(task)) if self.never_began(event) => Who::Step {
                task,
                why: Why::Never,
            },
            _ => Who::Outside,
        };
        let first = place - std::mem::take(&mut self.departures);
        let gap = self.gap_before(event);
        self.layout.columns.push(Column {
            turn: event.turn,
            time: event.time,
            who,
            gap,
            events: first..place + 1,
        });
    }

    /// Whether this is all that comes of a task's first step.
    fn never_began(&self, event: &Event) -> bool {
        let cancelled = EventKind::Finished {
            how: Finish::Cancelled,
        };
        let task = event.task.filter(|_| event.kind == cancelled);
        task.is_some_and(|task| self.state(task) == Some(State::Ready))
    }

    fn gap_before(&self, event: &Event) -> Option<Duration> {
        let before = self.layout.columns.last()?;
        let gap = event.time.checked_sub(before.time)?;
        let whole = self.layout.timeline.events().last()?.time;
        let seen = if self.ready == 0 {
            gap > Duration::ZERO
        } else {
            gap >= BUSY_GAP.max(whole / 100)
        };
        (seen && before.turn != event.turn).then_some(gap)
    }

    /// Follows what becomes of the event's task.
    fn live(&mut self, place: usize, event: &'a Event) {
        if let EventKind::Released { what } = &event.kind {
            self.give_back(event.task, what, place);
        }
        let Some(task) = event.task else { return };
        let slot = self.layout.slot(task);
        match &event.kind {
            EventKind::Spawned { .. } => {
                self.why[slot] = Why::Begins;
                self.enter(task, State::Ready, place);
            }
            EventKind::Stepped => {
                self.running = true;
                self.enter(task, State::Running, place);
            }
            EventKind::Suspended { on } => {
                self.end_step(task);
                self.enter(task, State::Waiting(on), place);
            }
            EventKind::Yielded => {
                self.end_step(task);
                if !matches!(self.why[slot], Why::Woken(_)) {
                    self.why[slot] = Why::Yielded;
                }
                self.enter(task, State::Ready, place);
            }
            EventKind::Woken { .. } => {
                if !matches!(self.why[slot], Why::Woken(_)) {
                    self.why[slot] = Why::Woken(place);
                }
                if matches!(self.state(task), Some(State::Waiting(_))) {
                    self.enter(task, State::Ready, place);
                }
            }
            EventKind::Acquired { what } => self.hold(task, what, place),
            EventKind::Finished { how } => {
                self.end_step(task);
                self.enter(task, State::Ended(how), place);
            }
            _ => {}
        }
    }

    fn state(&self, task: u64) -> Option<State<'a>> {
        let life = &self.layout.lives[self.layout.slot(task)];
        life.last().map(|span| span.state)
    }

    fn enter(&mut self, task: u64, state: State<'a>, place: usize) {
        if self.state(task) == Some(State::Ready) {
            self.ready -= 1;
        }
        if state == State::Ready {
            self.ready += 1;
        }
        let to = self.layout.timeline.events().len();
        let slot = self.layout.slot(task);
        let life = &mut self.layout.lives[slot];
        if let Some(last) = life.last_mut() {
            last.to = place;
        }
        life.push(Span {
            state,
            from: place,
            to,
        });
    }

    fn end_step(&mut self, task: u64) {
        let here = self.layout.columns.last().map(|column| column.who);
        if matches!(here, Some(Who::Step { task: runner, .. }) if runner == task) {
            self.running = false;
        }
    }

    fn hold(&mut self, task: u64, what: &'a str, place: usize) {
        let number = self.layout.holdings.len();
        let row = self.held.entry(what).or_default().open(task, number);
        self.layout.holdings.push(Holding {
            task,
            what,
            from: place,
            to: self.layout.timeline.events().len(),
            row,
        });
    }

    /// Of a semaphore more may be given back than was taken.
    fn give_back(&mut self, task: Option<u64>, what: &str, place: usize) {
        let Some(held) = self.held.get_mut(what) else {
            return;
        };
        if let Some(number) = held.oldest(task) {
            let holding = &mut self.layout.holdings[number];
            holding.to = place;
            held.close(holding, number);
        }
    }

    fn finish(mut self) -> Layout<'a> {
        // A departure that nothing came of is in the last column.
        let last = self.layout.columns.len().saturating_sub(1);
        for column in &mut self.layout.column_of {
            *column = (*column).min(last);
        }
        self.layout
    }
}

/// What is held of one primitive, by the holdings' numbers: the older, the lower. A semaphore may have given out thousands of permits.
#[derive(Debug, Default)]
struct Held {
    open: BTreeSet<usize>,
    by_task: BTreeSet<(u64, usize)>,
    free_rows: BTreeSet<usize>,
}

impl Held {
    /// Returns its row: the first that is free.
    fn open(&mut self, task: u64, number: usize) -> usize {
        let all_taken = self.open.len();
        self.open.insert(number);
        self.by_task.insert((task, number));
        self.free_rows.pop_first().unwrap_or(all_taken)
    }

    /// The task's own, or else the oldest of all: anybody may release.
    fn oldest(&self, task: Option<u64>) -> Option<usize> {
        let own = task.and_then(|task| self.by_task.range((task, 0)..=(task, usize::MAX)).next());
        own.map(|(_, number)| *number)
            .or(self.open.first().copied())
    }

    fn close(&mut self, holding: &Holding<'_>, number: usize) {
        self.open.remove(&number);
        self.by_task.remove(&(holding.task, number));
        self.free_rows.insert(holding.row);
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{EventKind::*, by_hand::*},
        *,
    };

    fn columns(layout: &Layout<'_>) -> Vec<(u64, Option<u64>, usize)> {
        let columns = layout.columns.iter().enumerate();
        columns
            .map(|(n, column)| (column.turn, layout.runner(n), column.events.len()))
            .collect()
    }

    #[test]
    fn what_happens_in_a_step_or_by_it_is_in_its_column() {
        let run = ByHand::default()
            .step(1, [(2, spawned(1))], Yielded)
            .step(2, [], returns())
            .event(1, joined(2))
            .event(2, released("Lock-1")) // by a destructor, as what follows
            .event(1, asked(Requester::Task(2)))
            .event(3, Spawned { by: None })
            .tasks(3);
        assert_eq!(
            columns(&Layout::of(&run)),
            [(0, Some(1), 3), (0, Some(2), 5), (0, None, 1)]
        );
    }

    #[test]
    fn a_departure_is_in_the_column_of_the_handle_that_it_is_about() {
        let departed =
            |task: u64| move |run: ByHand| run.event(task, Departed { text: "so".into() });
        let run = ByHand::default().step(1, [], Yielded);
        let run = departed(3)(run).step(3, [], Yielded);
        let run = departed(2)(run).event(
            2,
            Finished {
                how: Finish::Dropped,
            },
        );
        let run = departed(2)(run).tasks(3);
        let layout = Layout::of(&run);
        assert_eq!(
            columns(&layout),
            [(0, Some(1), 2), (0, Some(3), 3), (0, None, 2), (0, None, 1)]
        );
        assert_eq!(layout.column_of, [0, 0, 1, 1, 1, 2, 2, 3]);
    }

    #[test]
    fn what_is_not_of_a_timers_task_is_apart_from_it() {
        let run = ByHand::default()
            .timer(1)
            .event(2, Spawned { by: None })
            .tasks(2);
        assert_eq!(columns(&Layout::of(&run)), [(0, None, 2), (0, None, 1)]);
    }

    #[test]
    fn what_comes_after_a_failure_is_apart() {
        let run = ByHand::default()
            .step(1, [], awaits(2))
            .event(None, Failed { text: "so".into() })
            .event(
                1,
                Finished {
                    how: Finish::Dropped,
                },
            )
            .tasks(1);
        assert_eq!(columns(&Layout::of(&run)), [(0, Some(1), 3), (0, None, 1)]);
    }

    /// Three tasks are dropped from outside, and something comes before the third.
    #[test]
    fn what_is_done_from_outside_is_in_one_column_until_something_parts_it() {
        let parted = |by: fn(ByHand) -> ByHand| {
            let run = ByHand::default().event(1, DROPPED).event(2, DROPPED);
            columns(&Layout::of(&by(run).event(3, DROPPED).tasks(3)))
        };
        let departed = |run: ByHand| run.event(3, Departed { text: "so".into() });
        let failed = |run: ByHand| run.event(None, Failed { text: "so".into() });
        assert_eq!(parted(|run| run), [(0, None, 3)]);
        assert_eq!(parted(ByHand::turn), [(0, None, 2), (1, None, 1)]);
        assert_eq!(parted(departed), [(0, None, 2), (0, None, 2)]);
        assert_eq!(parted(failed), [(0, None, 3), (0, None, 1)]);
    }

    #[test]
    fn a_step_that_is_never_taken_has_a_column_all_the_same() {
        let run = ByHand::default()
            .event(1, Spawned { by: None })
            .event(1, asked(Requester::Outside))
            .event(1, cancelled())
            .tasks(1);
        assert_eq!(columns(&Layout::of(&run)), [(0, None, 2), (0, Some(1), 1)]);
    }

    #[test]
    fn a_task_is_dropped_by_the_loop_also_right_behind_its_step() {
        let run = ByHand::default().step(1, [], waits("Event-1"));
        let run = run.event(1, DROPPED).tasks(1);
        assert_eq!(columns(&Layout::of(&run)), [(0, Some(1), 2), (0, None, 1)]);
    }

    #[test]
    fn a_gap_is_where_nobody_was_ready_and_time_went_on() {
        let run = handoff();
        let layout = Layout::of(&run);
        let gaps = layout
            .columns
            .iter()
            .filter_map(|column| Some((column.turn, column.gap?)));
        let hundred = Duration::from_millis(100);
        assert_eq!(gaps.collect::<Vec<_>>(), [(3, hundred), (6, hundred)]);
    }

    #[test]
    fn where_no_time_went_on_is_no_gap() {
        let run = ByHand::default()
            .step(1, [], waits("Event-1"))
            .turn()
            .event(1, woken(2, "Event-1"))
            .tasks(2);
        let layout = Layout::of(&run);
        let gaps = layout.columns.iter().map(|column| column.gap);
        assert_eq!(gaps.collect::<Vec<_>>(), [None, None]);
    }

    #[test]
    fn by_a_real_clock_a_busy_loop_has_no_gaps() {
        let busy = (1..=10).fold(
            ByHand::default().event(1, Spawned { by: None }),
            |run, n| run.turn().at_nanos(n * 900).step(1, [], Yielded),
        );
        let busy = busy.tasks(1);
        let layout = Layout::of(&busy);
        assert!(layout.columns.iter().all(|column| column.gap.is_none()));
    }

    /// One that is ready has to wait for a step that takes long, or for whoever drives the loop.
    #[test]
    fn by_a_real_clock_a_busy_loop_has_a_gap_where_that_is_a_hundredth_of_the_run() {
        let busy = [500, 1_500, 51_500, 100_000].into_iter().fold(
            ByHand::default().event(1, Spawned { by: None }),
            |run, micros| run.turn().at_nanos(micros * 1_000).step(1, [], Yielded),
        );
        let busy = busy.tasks(1);
        let layout = Layout::of(&busy);
        let gaps = layout.columns.iter().map(|column| column.gap);
        let millis = |n| Some(Duration::from_micros(n));
        assert_eq!(
            gaps.collect::<Vec<_>>(),
            [None, None, millis(1_000), millis(50_000), millis(48_500)]
        );
    }

    #[test]
    fn who_releases_what_another_holds_ends_that_holding() {
        let run = ByHand::default()
            .step(1, [(1, acquired("Semaphore-1"))], Yielded)
            .step(2, [(2, acquired("Semaphore-1"))], Yielded)
            .step(3, [(3, released("Semaphore-1"))], Yielded)
            .step(2, [(2, released("Semaphore-1"))], Yielded)
            .step(2, [(2, released("Semaphore-1"))], Yielded)
            .tasks(3);
        let layout = Layout::of(&run);
        let held = layout
            .holdings
            .iter()
            .map(|held| (held.task, held.from, held.to, held.row));
        assert_eq!(held.collect::<Vec<_>>(), [(1, 1, 7, 0), (2, 4, 10, 1)]);
    }

    #[test]
    fn the_states_of_a_task_follow_without_a_hole() {
        let run = handoff();
        let life = &Layout::of(&run).lives[2];
        let ends: Vec<_> = life.iter().map(|span| span.to).collect();
        let begins: Vec<_> = life.iter().skip(1).map(|span| span.from).collect();
        assert_eq!(ends.split_last(), Some((&run.events().len(), &*begins)));
        assert!(matches!(
            life[2].state,
            State::Waiting([Wait::Primitive(_)])
        ));
    }
}
