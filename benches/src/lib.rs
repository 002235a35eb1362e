//! soloop beside its peers, on the same programs.
//!
//! [`peer`] says what a peer has to offer, [`peers`] is one module for each, all of the same shape, and [`workloads`]
//! are the programs, each written once for all of them. The rest measures: [`table`] in time, [`instructions`] under callgrind,
//! [`python`] the same workloads in asyncio and uvloop, [`sizes`] and [`lateness`] what the table has no room for, and [`explorer`]
//! searches through the orders of a program.
#![forbid(unsafe_code)]

pub mod explorer;
pub mod footprint;
pub mod instructions;
pub mod lateness;
pub mod peer;
pub mod peers;
pub mod profile;
pub mod python;
pub mod report;
pub mod sizes;
pub mod table;
pub mod workloads;
