//! Proof that messages are read once and none is lost: a load generator that writes down what it does, and a checker that
//! judges what was written.
//!
//! The truth is kept here, outside the system: each intention is in a file before its call is sent, each answer after it
//! came. Whatever the system does in between (crash, hang, answer twice), the [`History`] is judged afterwards by [`check`].

mod client;
mod history;
mod latency;
mod load;
mod verifier;

pub use client::{Client, GrpcClient, MessageRef, Request, Response, RestClient, Target};
pub use history::{Call, Event, EventKind, History, Outcome, State};
pub use latency::Latency;
pub use load::{LoadGenerator, Workload};
pub use verifier::{Verdict, verify};
