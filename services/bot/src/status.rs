//! The status of the bot: its record, its web page and its gRPC services.

pub(crate) mod error_log;
pub(crate) mod grpc;
pub(crate) mod page;
pub(crate) mod tracker;
