//! The words: what happened in a column as a sentence, the same in each of the pictures.

use super::{
    Cause, Event, EventKind, Finish, Requester, Timeline, Wait,
    layout::{Column, DROPPED, Layout, Who, Why},
};
use std::{collections::HashMap, time::Duration};

/// The names that a story calls the tasks by: a number stands behind those that several have.
pub(super) fn titles(timeline: &Timeline) -> Vec<String> {
    let mut bearers = HashMap::new();
    for task in timeline.tasks() {
        *bearers.entry(timeline.name(task)).or_insert(0) += 1;
    }
    let title = |task| match timeline.name(task) {
        name if bearers[name] == 1 => name.to_owned(),
        name => format!("{name} #{task}"),
    };
    timeline.tasks().map(title).collect()
}

impl Layout<'_> {
    pub(super) fn title(&self, task: u64) -> &str {
        &self.titles[self.slot(task)]
    }

    fn title_all(&self, tasks: &[u64]) -> String {
        let titles: Vec<&str> = tasks.iter().map(|task| self.title(*task)).collect();
        titles.join(", ")
    }

    /// What happened in the column, told of the one who did it: `woken by Task-1 through Lock-1: acquires Lock-1; returns`.
    pub(super) fn tell(&self, column: &Column) -> String {
        let deeds = self.deeds(column).join("; ");
        match self.reason(column) {
            Some(reason) if deeds.is_empty() => reason,
            Some(reason) => format!("{reason}: {deeds}"),
            None => deeds,
        }
    }

    fn reason(&self, column: &Column) -> Option<String> {
        let Who::Step { why, .. } = column.who else {
            return None;
        };
        match why {
            Why::Begins => Some("begins".to_owned()),
            Why::Yielded => Some("goes on".to_owned()),
            Why::Woken(place) => self.cause(place),
            Why::Never => Some("never begins".to_owned()),
            Why::Unknown => None,
        }
    }

    /// What was done in the column, in order; what is done to several in a row, in one clause.
    fn deeds(&self, column: &Column) -> Vec<String> {
        let mut events = self.timeline.events()[column.events.clone()]
            .iter()
            .peekable();
        let mut deeds = Vec::new();
        // What was released or ended just now wakes others by itself: no need to say through what.
        let mut at_hand = None;
        while let Some(event) = events.next() {
            let mut others: Vec<u64> = event.task.into_iter().collect();
            while let Some(next) = events.next_if(|next| goes_together(event, next)) {
                others.extend(next.task);
            }
            let deed = self.deed(column, event, &others, at_hand.as_ref());
            deeds.extend(deed);
            at_hand = match &event.kind {
                EventKind::Released { what } => Some(Cause::Primitive(what.clone())),
                EventKind::Finished { .. } => event.task.map(Cause::Task),
                EventKind::CancelRequested { .. } => Some(Cause::Cancel),
                EventKind::TimerFired => Some(Cause::Timer),
                _ => None,
            };
        }
        deeds
    }

    fn deed(
        &self,
        column: &Column,
        event: &Event,
        others: &[u64],
        at_hand: Option<&Cause>,
    ) -> Option<String> {
        let runner = match column.who {
            Who::Step { task, .. } => Some(task),
            Who::Timer(_) | Who::Outside => None,
        };
        let them = if runner.is_some_and(|runner| others == [runner]) {
            "itself".to_owned()
        } else {
            self.title_all(others)
        };
        let own = event.task.is_some() && event.task == runner;
        let told = match &event.kind {
            EventKind::Spawned { by: None } => return Some(format!("{them} created")),
            EventKind::Spawned { .. } => return Some(format!("creates {them}")),
            EventKind::Woken { through, .. } => {
                // That a task which was asked to stop gets a step needs no words.
                let plain = at_hand == Some(through)
                    || matches!((at_hand, through), (Some(Cause::Cancel), Cause::Timeout));
                return match (plain, through) {
                    (true, Cause::Cancel | Cause::Timeout) => None,
                    (true, _) => Some(format!("wakes {them}")),
                    (false, _) => Some(format!("wakes {them} {}", self.means(through))),
                };
            }
            EventKind::CancelRequested { by } => {
                return Some(match by {
                    Requester::Timeout => format!("the timeout cancels {them}"),
                    Requester::Shutdown => format!("the end of the run cancels {them}"),
                    Requester::Explorer => format!("the explorer cancels {them}"),
                    Requester::Outside => format!("{them} cancelled from outside"),
                    Requester::Task(_) => format!("cancels {them}"),
                });
            }
            // These have a line of their own.
            EventKind::Note { .. } | EventKind::Departed { .. } | EventKind::Failed { .. } => {
                return None;
            }
            EventKind::Stepped | EventKind::TimerFired => return None,
            EventKind::Suspended { on } => format!("waits {}", self.waits(on)),
            EventKind::Yielded => "yields".to_owned(),
            EventKind::CancelDelivered => "gets Cancelled".to_owned(),
            EventKind::Acquired { what } => format!("acquires {what}"),
            EventKind::Released { what } => format!("releases {what}"),
            EventKind::Finished { how } => self.ending(how),
        };
        Some(match (own, &event.kind) {
            (true, _) => told,
            // By nobody in particular: its guard was dropped with the loop's tasks.
            (false, EventKind::Released { what }) => format!("{what} is released"),
            (false, &DROPPED) => format!("drops {them}"),
            (false, _) => format!("{them} {told}"),
        })
    }

    fn means(&self, through: &Cause) -> String {
        match through {
            Cause::Primitive(what) => format!("through {what}"),
            Cause::Timer => "from its sleep".to_owned(),
            Cause::Timeout => "at its timeout".to_owned(),
            Cause::Task(task) => format!("by the end of {}", self.title(*task)),
            Cause::Cancel => "to be cancelled".to_owned(),
            Cause::Waker => "through a waker".to_owned(),
            Cause::Hop => "by a hop".to_owned(),
            Cause::Spurious => "without a cause".to_owned(),
        }
    }

    pub(super) fn waits(&self, on: &[Wait]) -> String {
        let each = on.iter().map(|wait| match wait {
            Wait::Time(time) => format!("until {}", short(*time)),
            Wait::Turn => "for the next turn".to_owned(),
            Wait::Foreign => "for a foreign future".to_owned(),
            Wait::Primitive(_) | Wait::Task(_) => format!("for {}", self.wait_label(wait)),
        });
        each.collect::<Vec<_>>().join(", ")
    }

    pub(super) fn ending(&self, how: &Finish) -> String {
        match how {
            Finish::Returned => "returns".to_owned(),
            Finish::Raised(error) => format!("raises {error}"),
            Finish::Cancelled => "ends cancelled".to_owned(),
            Finish::Dropped => "is dropped".to_owned(),
            Finish::Panicked => "panics".to_owned(),
        }
    }

    /// What a wait is for, in the space that a bar has.
    pub(super) fn wait_label(&self, wait: &Wait) -> String {
        match wait {
            Wait::Primitive(what) => what.to_string(),
            Wait::Time(time) => short(*time),
            Wait::Task(task) => self.title(*task).to_owned(),
            Wait::Turn => "turn".to_owned(),
            Wait::Foreign => "foreign".to_owned(),
        }
    }

    pub(super) fn wait_labels(&self, on: &[Wait]) -> String {
        let each: Vec<String> = on.iter().map(|wait| self.wait_label(wait)).collect();
        each.join("+")
    }

    /// By what a wait was ended, if it was: the event says it, or for a cancel the request before it.
    pub(super) fn cause(&self, place: usize) -> Option<String> {
        let events = self.timeline.events();
        let event = events.get(place)?;
        let EventKind::Woken { by, through } = &event.kind else {
            return None;
        };
        let by = by.map(|task| self.title(task));
        Some(match (through, by) {
            (Cause::Primitive(what), Some(by)) => format!("woken by {by} through {what}"),
            (Cause::Primitive(what), None) => format!("woken from outside through {what}"),
            (Cause::Timer, _) => "its sleep is over".to_owned(),
            (Cause::Timeout, _) => "its timeout is over".to_owned(),
            (Cause::Task(task), _) => format!("{} has ended", self.title(*task)),
            (Cause::Cancel, _) => {
                let before = events[..place].iter().rev();
                let requests = before.filter_map(|earlier| match &earlier.kind {
                    EventKind::CancelRequested { by } => Some((earlier.task, by)),
                    _ => None,
                });
                let mut own = requests.filter(|(task, _)| *task == event.task);
                match own.next() {
                    Some((_, Requester::Task(task))) => {
                        format!("cancelled by {}", self.title(*task))
                    }
                    Some((_, Requester::Timeout)) => "cancelled by its timeout".to_owned(),
                    Some((_, Requester::Shutdown)) => "cancelled by the end of the run".to_owned(),
                    Some((_, Requester::Explorer)) => "cancelled by the explorer".to_owned(),
                    Some((_, Requester::Outside)) => "cancelled from outside".to_owned(),
                    None => "cancelled".to_owned(),
                }
            }
            (Cause::Waker, Some(by)) => format!("woken by {by} through a waker"),
            (Cause::Waker, None) => "woken from outside through a waker".to_owned(),
            (Cause::Hop, _) => "the hops of a zero timeout are over".to_owned(),
            (Cause::Spurious, _) => "polled without a cause".to_owned(),
        })
    }
}

/// Whether the two are one deed done to two.
fn goes_together(one: &Event, next: &Event) -> bool {
    match (&one.kind, &next.kind) {
        (EventKind::Spawned { by }, EventKind::Spawned { by: same }) => by == same,
        (EventKind::Woken { .. }, EventKind::Woken { .. }) | (&DROPPED, &DROPPED) => {
            one.kind == next.kind
        }
        _ => false,
    }
}

/// A length of time, rounded to three places.
pub(super) fn short(time: Duration) -> String {
    if time.is_zero() {
        return "0s".to_owned();
    }
    let text = format!("{time:.3?}");
    let unit = text.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
    let number = &text[..text.len() - unit.len()];
    let number = number.trim_end_matches('0').trim_end_matches('.'); // of three places, so there is a dot
    format!("{number}{unit}")
}

#[cfg(test)]
mod tests {
    use super::{super::by_hand::*, *};

    #[test]
    fn a_time_is_rounded_to_three_places() {
        let times = [0, 1, 1_500, 99_999_999, 100_000_000, 61_000_000_000];
        assert_eq!(
            times.map(|nanos| short(Duration::from_nanos(nanos))),
            ["0s", "1ns", "1.5µs", "100ms", "100ms", "61s"]
        );
    }

    #[test]
    fn tasks_of_the_same_name_are_numbered() {
        let run = ByHand::default().named(&["main", "clerk", "clerk"]);
        assert_eq!(titles(&run), ["main", "clerk #2", "clerk #3"]);
    }

    #[test]
    fn a_step_is_told_with_its_reason_and_its_deeds() {
        let run = handoff();
        let layout = Layout::of(&run);
        let told = layout.columns.iter().map(|column| layout.tell(column));
        assert_eq!(
            told.skip(5).take(2).collect::<Vec<_>>(),
            [
                "its sleep is over: releases Lock-1; wakes Task-3; returns; wakes Task-1",
                "woken by Task-2 through Lock-1: acquires Lock-1; waits until 200ms",
            ]
        );
    }

    /// The run has failed in the middle of it.
    #[test]
    fn a_step_without_deeds_is_told_by_its_reason() {
        let run = ByHand::default()
            .event(1, EventKind::Spawned { by: None })
            .event(1, EventKind::Stepped)
            .event(None, EventKind::Failed { text: "so".into() })
            .tasks(1);
        let layout = Layout::of(&run);
        assert_eq!(layout.tell(&layout.columns[1]), "begins");
    }

    #[test]
    fn what_a_task_does_to_itself_is_told_so() {
        let asks = (1, asked(Requester::Task(1)));
        let run = ByHand::default().step(1, [asks], EventKind::Yielded);
        let run = run.tasks(1);
        let layout = Layout::of(&run);
        assert_eq!(layout.tell(&layout.columns[0]), "cancels itself; yields");
    }

    #[test]
    fn a_cancel_is_told_with_who_asked_for_it() {
        let told = |by, through| {
            let run = ByHand::default()
                .event(2, asked(by))
                .event(2, EventKind::Woken { by: None, through })
                .tasks(2);
            Layout::of(&run).cause(1).expect("it is one")
        };
        assert_eq!(
            [
                told(Requester::Task(1), Cause::Cancel),
                told(Requester::Shutdown, Cause::Cancel),
                told(Requester::Timeout, Cause::Timeout),
                told(Requester::Timeout, Cause::Cancel),
                told(Requester::Explorer, Cause::Cancel),
                told(Requester::Outside, Cause::Cancel),
            ],
            [
                "cancelled by Task-1",
                "cancelled by the end of the run",
                "its timeout is over",
                "cancelled by its timeout",
                "cancelled by the explorer",
                "cancelled from outside",
            ]
        );
    }

    #[test]
    fn a_cancel_from_outside_is_told_where_it_comes() {
        let run = ByHand::default()
            .event(2, asked(Requester::Outside))
            .tasks(2);
        let layout = Layout::of(&run);
        assert_eq!(
            layout.deeds(&layout.columns[0]),
            ["Task-2 cancelled from outside"]
        );
    }

    /// What the words are for each thing that wakes, while it happens and once it is over.
    #[test]
    fn each_cause_has_its_words() {
        let told = |by, through: Cause| {
            let run = ByHand::default()
                .event(1, EventKind::Stepped)
                .event(2, EventKind::Woken { by, through })
                .tasks(3);
            let layout = Layout::of(&run);
            (
                layout.deeds(&layout.columns[0]).join("; "),
                layout.cause(1).expect("it is one"),
            )
        };
        let lock = Cause::Primitive("Lock-1".into());
        for (by, through, deed, cause) in [
            (
                Some(1),
                lock.clone(),
                "through Lock-1",
                "woken by Task-1 through Lock-1",
            ),
            (
                None,
                lock,
                "through Lock-1",
                "woken from outside through Lock-1",
            ),
            (None, Cause::Timer, "from its sleep", "its sleep is over"),
            (
                None,
                Cause::Timeout,
                "at its timeout",
                "its timeout is over",
            ),
            (
                None,
                Cause::Task(3),
                "by the end of Task-3",
                "Task-3 has ended",
            ),
            (Some(1), Cause::Cancel, "to be cancelled", "cancelled"),
            (
                Some(1),
                Cause::Waker,
                "through a waker",
                "woken by Task-1 through a waker",
            ),
            (
                None,
                Cause::Waker,
                "through a waker",
                "woken from outside through a waker",
            ),
            (
                None,
                Cause::Hop,
                "by a hop",
                "the hops of a zero timeout are over",
            ),
            (
                None,
                Cause::Spurious,
                "without a cause",
                "polled without a cause",
            ),
        ] {
            assert_eq!(
                told(by, through),
                (format!("wakes Task-2 {deed}"), cause.to_owned())
            );
        }
    }

    #[test]
    fn each_wait_has_its_words() {
        let run = ByHand::default().tasks(3);
        let layout = Layout::of(&run);
        let waits = [
            Wait::Primitive("Lock-1".into()),
            Wait::Time(Duration::from_secs(2)),
            Wait::Task(3),
            Wait::Turn,
            Wait::Foreign,
        ];
        assert_eq!(
            (
                layout.waits(&waits).as_str(),
                layout.wait_labels(&waits).as_str()
            ),
            (
                "for Lock-1, until 2s, for Task-3, for the next turn, for a foreign future",
                "Lock-1+2s+Task-3+turn+foreign"
            )
        );
    }
}
