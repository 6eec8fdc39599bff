//! The contracts between Mayfly's processes: code generated from `proto/`, the reasons that errors carry, and
//! [`ServiceChannel`], over which the generated clients reach the services.
//!
//! What a call means stands in the `.proto` files and nowhere else.

mod calls;
mod channel;
mod content;
mod reason;
mod redacted;
mod reflection;

pub use calls::{BIDIRECTIONAL_STREAMS, SERVER_STREAMS, is_stream, max_request_bytes};
pub use channel::{BotChannel, InvalidServiceUrl, ServiceChannel, StoreChannel};
pub use reason::{ERROR_DOMAIN, FieldFault, Situation};
pub use reflection::with_reflection;

/// The error reasons of `mayfly.error.v1`.
pub mod error {
    include!(concat!(env!("OUT_DIR"), "/mayfly.error.v1.rs"));
}

/// `mayfly.message.v1`: one-time messages.
#[expect(clippy::allow_attributes_without_reason, clippy::allow_attributes, reason = "generated code")]
pub mod message {
    include!(concat!(env!("OUT_DIR"), "/mayfly.message.v1.rs"));
}

/// `mayfly.config.v1`: the bot's configuration.
#[expect(clippy::allow_attributes_without_reason, clippy::allow_attributes, reason = "generated code")]
pub mod config {
    include!(concat!(env!("OUT_DIR"), "/mayfly.config.v1.rs"));
}

/// `mayfly.bot.v1`: how the bot is doing.
#[expect(clippy::allow_attributes_without_reason, clippy::allow_attributes, reason = "generated code")]
pub mod bot {
    include!(concat!(env!("OUT_DIR"), "/mayfly.bot.v1.rs"));
}

/// The gRPC metadata by which a front end reports the IP address of its caller to the store. Front ends set it
/// themselves and never pass on what a caller sent. The store believes it only from front ends that it trusts.
pub const CALLER_METADATA: &str = "mayfly-caller";

/// All of `proto/` as an encoded `google.protobuf.FileDescriptorSet`, for server reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/mayfly.fds"));
