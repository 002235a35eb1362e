//! The crate's own primitives under the explorer: small programs in which tasks get into each other's way, with one cancel or one drop at
//! every point, combined with one task that goes first.
//!
//! Whatever happens, the others get on: no more tasks are inside than may be, all come to an end, and in the end every primitive is as it
//! was made, with nobody in its queue.

use std::fmt::Debug;

use soloop::testing::Probe;

use super::scaffold::{Count, hold, join, one_blow};

mod barrier;
mod condition;
mod event;
mod lock;
mod semaphore;
mod together;

/// Counts who is inside: never more than `most`.
fn room(probe: &Probe, most: usize) -> Count {
    let count = Count::default();
    let inside = count.clone();
    probe.invariant("no more are inside than may be", move || {
        inside.get() <= most
    });
    count
}

/// The primitive is as it was made, and nobody is in its queue.
#[track_caller]
fn assert_idle(primitive: &impl Debug, repr: &str) {
    assert_eq!(format!("{primitive:?}"), repr);
}
