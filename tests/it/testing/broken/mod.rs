//! Primitives with one thing wrong, as CPython had them or might have had: the explorer has to find each, and nothing in a sound one.
//!
//! In every file: what a primitive can do, as a trait, so that the same bodies run on the crate's own; a copy of CPython's source in terms of
//! bare waiters, which is sound but for the flaw that it is given; and the bodies.

mod barrier;
mod condition;
mod event;
mod lock;
mod semaphore;
mod wait_for;
