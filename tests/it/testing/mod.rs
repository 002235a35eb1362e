//! `soloop::testing`: every order, every cancel, the smallest witness.

mod broken;
mod patterns;
mod scaffold;
mod search;
mod waiter;
