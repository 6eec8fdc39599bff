//! Proof that messages are read once and none is lost: a load generator that writes down what it does, and a checker that
//! judges what was written.
//!
//! The truth is kept here, outside the system: each intention is in a file before its call is sent, each answer after it
//! came. Whatever the system does in between (crash, hang, answer twice), the [`History`] is judged afterwards by [`check`].

mod checker;
mod history;
mod latency;
mod load;
mod target;

pub use checker::{Verdict, check};
pub use history::{Answer, Call, Event, History, State, What};
pub use latency::Latency;
pub use load::{Habits, Load};
pub use target::{Door, GrpcDoor, Opener, Question, Reply, RestDoor, Target};
