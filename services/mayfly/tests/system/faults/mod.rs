//! The whole system under load while its parts die, hang and run out of room: nothing is lost, nothing is read twice.
//!
//! `MAYFLY_FAULT_ROUNDS` says how often each fault strikes. The histories go to the folder `MAYFLY_FAULT_HISTORIES`, if that
//! is set, for `mayfly-check judge`. Controls are systems built wrongly on purpose; they must be found out.

mod attacks;
mod clients;
mod clocks;
mod conversations;
mod crashes;
mod databases;
mod disks;
mod guesses;
mod moments;
mod restores;
mod rolling;
mod strace;
mod trial;

pub(crate) use self::trial::{Diary, assert_kept, rounds};
