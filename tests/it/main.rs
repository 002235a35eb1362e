//! One binary for all tests: a module per section of the design and per primitive.

mod auto_traits;
mod bad_input;
mod binding;
mod cancel;
mod cpython;
mod deadlock;
mod debug;
mod differences;
mod dropping;
mod embedding;
mod examples;
mod exceptions;
mod foreign;
mod kit;
mod models;
mod mutants;
mod panics;
mod reentrancy;
mod scene;
mod size;
mod testing;
mod threads;
mod tree;
mod turns;
mod wait_for;
mod wakers;
