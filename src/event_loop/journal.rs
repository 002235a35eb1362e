//! The journal: what a recorder has the loop write down. Plain data.
//!
//! A loop without a recorder has no journal, and pays nothing for that: a recorded task has a flag, which is asked
//! for together with the others that make a step begin or end in an unusual way.

use std::{
    rc::Weak,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use crate::{
    trace::{Event, EventKind, Requester, Timeline},
    waiter::Named,
};

/// How many journals are being written, in all threads.
static JOURNALS: AtomicUsize = AtomicUsize::new(0);

/// How many loops are being recorded: what primitives ask that pass without a loop.
#[inline]
pub(crate) fn written() -> usize {
    JOURNALS.load(Ordering::Relaxed)
}

/// Whether any loop is being recorded.
#[inline]
pub(crate) fn is_written() -> bool {
    written() > 0
}

pub(crate) struct Journal {
    events: Vec<Event>,
    /// The turn, from `1` on, and the time of what is written next.
    pub(crate) turn: u64,
    pub(crate) now: Duration,
    /// Who asks for the cancels that are being made, if it is not the task whose step is running.
    pub(crate) requester: Option<Requester>,
    /// The names that tasks were given, one after another: the last one counts.
    names: Vec<(u64, Arc<str>)>,
    /// The primitives that were met, and what they are called here.
    labels: Vec<(Weak<dyn Named>, Arc<str>)>,
}

impl Journal {
    pub(crate) fn new(now: Duration) -> Self {
        JOURNALS.fetch_add(1, Ordering::Relaxed);
        Self {
            events: Vec::new(),
            turn: 0,
            now,
            requester: None,
            names: Vec::new(),
            labels: Vec::new(),
        }
    }

    pub(crate) fn write(&mut self, task: Option<u64>, kind: EventKind) {
        let (turn, time) = (self.turn, self.now);
        self.events.push(Event {
            turn,
            time,
            task,
            kind,
        });
    }

    /// A task has this name from now on.
    pub(crate) fn name(&mut self, task: u64, name: &str) {
        self.names.push((task, name.into()));
    }

    /// What a primitive is called: by its name, or by its kind and a number in the order in which they are met.
    pub(crate) fn label(&mut self, primitive: &Weak<dyn Named>) -> Arc<str> {
        let known = self.labels.iter().find(|(met, _)| met.ptr_eq(primitive));
        if let Some((_, label)) = known {
            return Arc::clone(label);
        }
        // Kept weakly, so that its place in memory stays its own.
        let label = match primitive.upgrade() {
            Some(primitive) => self.new_label(&*primitive),
            None => "a primitive that is gone".into(),
        };
        self.labels
            .push((Weak::clone(primitive), Arc::clone(&label)));
        label
    }

    fn new_label(&self, primitive: &dyn Named) -> Arc<str> {
        let kind = primitive.kind();
        match primitive.given_name() {
            Some(name) => format!("{kind} '{name}'").into(),
            None => {
                let others = self.labels.iter().filter(|(_, label)| {
                    let number = label
                        .strip_prefix(kind)
                        .and_then(|rest| rest.strip_prefix('-'));
                    number.is_some()
                });
                format!("{kind}-{}", others.count() + 1).into()
            }
        }
    }

    pub(crate) fn close(mut self) -> Timeline {
        Timeline::new(
            std::mem::take(&mut self.events),
            std::mem::take(&mut self.names).into_iter().collect(),
        )
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        JOURNALS.fetch_sub(1, Ordering::Relaxed);
    }
}
