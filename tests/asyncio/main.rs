//! CPython is the judge: random programs must print, line for line, what they print on its asyncio.
//!
//! Read `README.md` first.
#![forbid(unsafe_code)]

mod cpython;
#[path = "../it/flaws.rs"]
mod flaws;
mod generator;
mod hosts;
mod interpreter;
mod live;
mod program;
mod recording;
mod shrink;
