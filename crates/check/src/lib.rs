//! Shows that Mayfly delivers each message to one reader and loses none. A load generator records what it does, and a
//! verifier checks the record.
//!
//! The record is kept outside the system under test. Each invocation is in a file before its call is sent, and each
//! outcome after it arrived. Whatever the system does in between, [`verify`] checks the [`History`] afterwards.

mod client;
mod history;
mod latency;
mod load;
mod verifier;

pub use client::{Client, GrpcClient, Request, Response, RestClient, Target};
pub use history::{Call, Event, EventKind, History, Outcome, State};
pub use latency::Latency;
pub use load::{LoadGenerator, Workload, new_seed};
pub use verifier::{Verdict, verify};
