//! A timeline as a trace for Perfetto and `chrome://tracing`: what their importers take, and take as it is meant.

use std::{collections::BTreeMap, time::Duration};

use proptest::prelude::*;
use soloop::{
    EventLoop, Lock, Result, create_task, sleep,
    testing::{Explorer, Probe},
    trace::{Event, EventKind, Requester, Timeline, record},
};

use crate::{
    json::{Value, parse},
    pictures::any_run,
};

const MILLIS: Duration = Duration::from_millis(1);
const TASKS: u64 = 1;

fn timeline_of<T>(main: impl Future<Output = Result<T>>) -> Timeline {
    record(&mut EventLoop::with_virtual_clock(), main).1
}

/// Two clerks, of whom the second has to wait for the lock that the first sleeps under.
async fn handoff() -> Result<()> {
    let lock = Lock::new();
    let clerk = || {
        let lock = lock.clone();
        create_task(async move {
            let _held = lock.enter().await?;
            sleep(100 * MILLIS).await
        })
    };
    let (first, second) = (clerk(), clerk());
    first.await?;
    second.await
}

/// The entries of a trace, by phase.
struct Trace(Vec<Value>);

impl Trace {
    fn of(timeline: &Timeline) -> Self {
        Self(
            parse(&timeline.to_chrome_json())
                .get("traceEvents")
                .list()
                .to_vec(),
        )
    }

    fn phase(&self, phase: &str) -> impl Iterator<Item = &Value> {
        self.0.iter().filter(move |entry| entry.text("ph") == phase)
    }

    /// The slices of a kind, in each track in the order of time.
    fn slices(&self, kind: &str) -> BTreeMap<(u64, u64), Vec<Slice<'_>>> {
        let mut tracks = BTreeMap::<_, Vec<_>>::new();
        let slices = self.phase("X");
        for entry in slices.filter(|entry| entry.text("cat") == kind) {
            let begin = nanos(entry, "ts");
            let slice = Slice {
                name: entry.text("name"),
                begin,
                end: begin + nanos(entry, "dur"),
                entry,
            };
            tracks.entry(track(entry)).or_default().push(slice);
        }
        tracks
            .values_mut()
            .for_each(|slices| slices.sort_by_key(|slice| slice.begin));
        tracks
    }

    /// What everybody is in, a step or a wait.
    fn tracks(&self) -> BTreeMap<(u64, u64), Vec<Slice<'_>>> {
        self.slices("state")
    }

    /// The arrows of a kind, by their numbers: from which slice of which task to which.
    fn arrows(&self, kind: &str) -> Vec<[(u64, &str); 2]> {
        let tracks = self.tracks();
        let end = |entry: &Value| {
            let at = nanos(entry, "ts");
            let inside = |slice: &&Slice<'_>| slice.begin < at && at < slice.end;
            let mut around = tracks[&track(entry)].iter().filter(inside);
            match (around.next(), around.next()) {
                (Some(slice), None) => (entry.number("tid") as u64, slice.name),
                _ => panic!("{entry:?} is inside of no slice, or of two"),
            }
        };
        let ends = |phase| -> BTreeMap<u64, _> {
            let entries = self.phase(phase).filter(|entry| entry.text("cat") == kind);
            entries
                .map(|entry| (entry.number("id") as u64, end(entry)))
                .collect()
        };
        let (from, to) = (ends("s"), ends("f"));
        assert!(from.keys().eq(to.keys()), "an arrow has two ends");
        from.into_values()
            .zip(to.into_values())
            .map(|(from, to)| [from, to])
            .collect()
    }
}

struct Slice<'a> {
    name: &'a str,
    begin: u64,
    end: u64,
    entry: &'a Value,
}

fn track(entry: &Value) -> (u64, u64) {
    (entry.number("pid") as u64, entry.number("tid") as u64)
}

fn nanos(entry: &Value, key: &str) -> u64 {
    (entry.number(key) * 1000.0).round() as u64
}

#[test]
fn a_track_per_task_with_its_steps_and_waits() {
    let timeline = timeline_of(handoff());
    let trace = Trace::of(&timeline);
    let second = &trace.tracks()[&(TASKS, 3)];
    assert_eq!(
        second.iter().map(|slice| slice.name).collect::<Vec<_>>(),
        [
            "ready", "step", "Lock-1", "ready", "step", "200ms", "ready", "step"
        ]
    );
    assert_eq!(
        second[2].entry.get("args").text("ended"),
        "woken by Task-2 through Lock-1"
    );
}

#[test]
fn the_tasks_stand_above_what_they_hold() {
    let trace = Trace::of(&timeline_of(handoff()));
    let about = |kind| {
        let entries = trace
            .phase("M")
            .filter(move |entry| entry.text("name") == kind);
        entries
            .map(|entry| (entry.number("pid"), entry.get("args")))
            .collect::<Vec<_>>()
    };
    let names = about("process_name");
    let places = about("process_sort_index");
    let names: Vec<_> = names
        .iter()
        .map(|(process, args)| (*process, args.text("name")))
        .collect();
    let places: Vec<_> = places
        .iter()
        .map(|(process, args)| (*process, args.number("sort_index")))
        .collect();
    assert_eq!(names, [(1.0, "tasks"), (2.0, "held")]);
    assert_eq!(places, [(1.0, 1.0), (2.0, 2.0)]);
}

#[test]
fn a_wake_is_an_arrow_from_the_step_that_did_it() {
    let trace = Trace::of(&timeline_of(handoff()));
    let of_a_task = |arrow: &[(u64, &str); 2]| arrow[0].1 == "step";
    let wakes = trace.arrows("wake").into_iter().filter(of_a_task);
    assert_eq!(
        wakes.collect::<Vec<_>>(),
        [
            [(2, "step"), (3, "ready")], // with the lock
            [(2, "step"), (1, "ready")],
            [(3, "step"), (1, "ready")],
        ]
    );
}

#[test]
fn what_a_step_does_to_others_is_a_slice_that_says_why() {
    let trace = Trace::of(&timeline_of(handoff()));
    let deeds = &trace.slices("deed")[&(TASKS, 2)];
    let told = deeds
        .iter()
        .map(|deed| (deed.name, deed.entry.get("args").text("cause")));
    assert_eq!(
        told.collect::<Vec<_>>(),
        [
            ("wakes Task-3", "woken by Task-2 through Lock-1"),
            ("wakes Task-1", "Task-2 has ended"),
        ]
    );
}

#[test]
fn a_task_that_never_begins_is_ready_until_then() {
    let trace = Trace::of(&timeline_of(async {
        let task = create_task(sleep(MILLIS));
        task.cancel();
        task.await
    }));
    let tracks = trace.tracks();
    let [ready, step] = &tracks[&(TASKS, 2)][..] else {
        panic!("two slices")
    };
    assert_eq!(
        (ready.name, step.name, ready.end),
        ("ready", "step", step.begin)
    );
}

#[test]
fn notes_and_failures_are_instants_whatever_they_say() {
    let body = |probe: Probe| async move {
        let lock = Lock::new().named("\\ \"db\"\n\u{1}");
        probe.note("I <want> the \"db\"");
        let task = create_task(lock.acquire());
        let _ = task.await;
        lock.acquire().await
    };
    let report = Explorer::new().cancels(1).explore(body);
    let timeline = report.failure.expect("nobody releases the lock").timeline;
    let trace = Trace::of(&timeline);
    let names: Vec<_> = trace
        .phase("i")
        .map(|instant| instant.text("name"))
        .collect();
    assert!(names.contains(&"I <want> the \"db\""), "{names:?}");
    let failure =
        "failure: deadlock: Task-1 waits for <Lock '\\ \"db\"\n\u{1}' [locked, waiters:1]>";
    assert!(names.contains(&failure), "{names:?}");
}

#[test]
fn an_empty_timeline_is_a_trace_too() {
    assert_eq!(Trace::of(&Timeline::default()).phase("X").count(), 0);
}

/// By whom something was done to a task, if not by itself.
fn by_another(event: &Event) -> Option<(&'static str, u64)> {
    let task = event.task?;
    let (kind, by) = match event.kind {
        EventKind::Spawned { by } => ("create", by),
        EventKind::Woken { by, .. } => ("wake", by),
        EventKind::CancelRequested {
            by: Requester::Task(by),
        } => ("cancel", Some(by)),
        EventKind::CancelRequested { .. } => ("cancel", None),
        _ => return None,
    };
    (by != Some(task)).then_some((kind, task))
}

proptest! {
    /// The viewers draw what overlaps as a part of the other, and see nothing shorter than a microsecond.
    #[test]
    fn slices_of_a_track_stand_one_behind_the_other(timeline in any_run()) {
        for (track, slices) in Trace::of(&timeline).tracks() {
            let short = slices.iter().find(|slice| slice.end - slice.begin < 1000);
            prop_assert!(short.is_none(), "{track:?}: {:?}", short.map(|slice| slice.entry));
            let crossing = slices.windows(2).find(|pair| pair[0].end > pair[1].begin);
            prop_assert!(crossing.is_none(), "{track:?}: {:?}", crossing.map(|pair| pair[1].entry));
        }
    }

    /// Perfetto takes what began last in a track for the beginning of an arrow.
    #[test]
    fn an_arrow_begins_at_a_deed_within_a_state(timeline in any_run()) {
        let trace = Trace::of(&timeline);
        let (states, deeds) = (trace.tracks(), trace.slices("deed"));
        for from in trace.phase("s") {
            let (track, at) = (track(from), nanos(from, "ts"));
            let deed = deeds[&track].iter().find(|deed| deed.begin < at && at < deed.end);
            let deed = deed.expect("one is around it");
            let mut around = states[&track].iter();
            prop_assert!(around.any(|state| state.begin <= deed.begin && deed.end <= state.end), "{from:?}");
        }
    }

    #[test]
    fn whatever_is_done_to_a_task_by_another_is_an_arrow(timeline in any_run()) {
        let trace = Trace::of(&timeline);
        for kind in ["create", "wake", "cancel"] {
            let done = timeline.events().iter().filter_map(by_another);
            let done: Vec<_> = done.filter(|(done, _)| *done == kind).map(|(_, task)| task).collect();
            let arrows = trace.arrows(kind);
            prop_assert_eq!(done, arrows.iter().map(|[_, to]| to.0).collect::<Vec<_>>(), "{}", kind);
        }
        prop_assert!(trace.arrows("wake").iter().all(|[_, to]| to.1 == "ready"), "{:?}", trace.arrows("wake"));
    }
}
