//! `soloop::testing`: every order, every cancel, the smallest witness.

mod search;
