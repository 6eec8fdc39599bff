//! Fault injection: the whole system under load while its parts crash, hang and run out of space. No message may be
//! lost or read twice.
//!
//! `MAYFLY_FAULT_ROUNDS` is the number of faults in each test. `MAYFLY_FAULT_HISTORIES` is the folder for the
//! histories, for `mayfly-check verify`. Negative controls are systems with a deliberate defect, which the verifier
//! must detect.

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
