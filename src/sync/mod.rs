//! asyncio's synchronization page: six primitives over one queue of waiters.
//!
//! Each is a handle to a shared state, so that a clone is a reference to the same lock, as in Python. What stands in a `finally` in
//! `locks.py` is here in the `Drop` of the future or of a small guard, and so serves a return, a cancel and a drop alike.

mod barrier;
mod condition;
mod event;
mod gate;
mod lock;
mod semaphore;
mod truthy;

pub use self::{
    barrier::Barrier,
    condition::{Condition, ConditionGuard},
    event::Event,
    lock::{Lock, LockGuard},
    semaphore::{BoundedSemaphore, Semaphore, SemaphoreGuard},
    truthy::Truthy,
};

use crate::waiter::{Named, Queue};

/// asyncio's `repr` of a primitive, without its module and address, and with the name that it was given.
fn repr(primitive: &impl Named, status: &str, waiters: &Queue) -> String {
    match waiters.len() {
        0 => repr_of(primitive, status),
        n => repr_of(primitive, &format!("{status}, waiters:{n}")),
    }
}

fn repr_of(primitive: &impl Named, status: &str) -> String {
    let kind = primitive.kind();
    match primitive.given_name() {
        None => format!("<{kind} [{status}]>"),
        Some(name) => format!("<{kind} '{name}' [{status}]>"),
    }
}

/// `locked`, or not: what a lock and a condition say of themselves.
fn locked_or_not(locked: bool) -> &'static str {
    if locked { "locked" } else { "unlocked" }
}
