//! One binary for all tests: a module per section of the design and per primitive.

mod auto_traits;
mod bad_input;
mod cpython;
mod differences;
mod examples;
