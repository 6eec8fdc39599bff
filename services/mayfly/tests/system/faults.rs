//! The whole system under load while its parts die, hang and run out of room: nothing is lost, nothing is read twice.
//!
//! `MAYFLY_FAULT_ROUNDS` says how often each fault strikes. The histories go to the folder `MAYFLY_FAULT_HISTORIES`, if that
//! is set, for `mayfly-check verify_file`. Controls are systems built wrongly on purpose; they must be found out.

mod attacks;
mod clients;
mod clocks;
mod conversations;
mod crashes;
mod databases;
mod disks;
mod guesses;
mod load_run;
mod restores;
mod rolling_restarts;
mod strace;
mod transactions;

pub(crate) use self::load_run::{Recorder, assert_guarantees, rounds};
