//! Test support: temporary databases, a clock that tests advance, a running store, a fake Bot API, and a receiver of
//! traces.
//!
//! Nothing here sleeps for luck. Tests wait for conditions, with a timeout.

mod clock;
mod database;
pub mod grpc_web;
pub mod leak_scan;
mod negative_control;
mod otlp;

mod pg_bouncer;
mod postgres_server;
mod race;
mod raw_http2;
mod small_disk;
mod store;
mod tcp_proxy;
pub mod telegram;

pub use clock::TestClock;
pub use database::TestDatabase;
pub use negative_control::SelectThenDelete;
pub use otlp::{OtlpReceiver, ReceivedSpan};
pub use pg_bouncer::PgBouncer;
pub use postgres_server::PostgresServer;
pub use race::race;
pub use raw_http2::{RawHttp2, RawStream, grpc_frame, grpc_frame_header};
pub use small_disk::SmallDisk;
pub use store::{ADMIN_TOKEN, SERVICE_TOKEN, TestStore, bearer};
pub use tcp_proxy::{NetworkFault, TcpProxy};
pub use telegram::FakeTelegram;
