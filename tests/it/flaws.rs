//! What holds of every timeline.

use soloop::trace::{EventKind, Timeline};

/// What does not hold of every timeline: a step has a beginning and an end, and between a wait and the next step something is
/// named that ended the wait.
pub(crate) fn flaws(timeline: &Timeline) -> Vec<String> {
    let mut flaws = Vec::new();
    for task in timeline.tasks() {
        let (mut waits, mut steps, mut ended) = (false, false, false);
        let events = timeline.events().iter();
        for event in events.filter(|event| event.task == Some(task)) {
            let mut claim = |holds: bool, what: &str| {
                if !holds {
                    flaws.push(format!("Task-{task} {what} in turn {}", event.turn));
                }
            };
            match &event.kind {
                EventKind::Stepped => {
                    claim(!waits, "goes on without a cause");
                    claim(!steps && !ended, "begins a step out of order");
                    steps = true;
                }
                EventKind::Suspended { on } => {
                    claim(steps, "ends a step that it has not begun");
                    claim(!on.is_empty() || waits, "waits for nothing");
                    (waits, steps) = (true, false);
                }
                EventKind::Yielded => {
                    claim(steps, "ends a step that it has not begun");
                    steps = false;
                }
                EventKind::Woken { .. } => waits = false,
                EventKind::Finished { .. } => {
                    claim(!ended, "ends twice");
                    (waits, steps, ended) = (false, false, true);
                }
                _ => {}
            }
        }
        if !ended {
            flaws.push(format!("Task-{task} never ends"));
        }
    }
    flaws
}
