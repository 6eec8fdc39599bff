//! The gRPC contracts of Mayfly: code generated from `proto/`, error details, and [`ServiceChannel`], the transport of
//! the generated clients.
//!
//! The `.proto` files document the calls.

mod bearer;
mod channel;
mod content;
mod error_info;
pub mod message_ref;
mod methods;
mod redacted;
mod reflection;

pub use bearer::{AUTHORIZATION_METADATA, bearer_metadata, parse_bearer};
pub use channel::{BotChannel, InvalidServiceUrl, ServiceChannel, StoreChannel};
pub use error_info::{ERROR_DOMAIN, ErrorInfo, FieldViolation};
pub use message_ref::MessageRef;
pub use methods::{BIDI_STREAMING_METHODS, SERVER_STREAMING_METHODS, is_streaming, max_request_bytes};
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

/// `mayfly.bot.v1`: the status of the bot.
#[expect(clippy::allow_attributes_without_reason, clippy::allow_attributes, reason = "generated code")]
pub mod bot {
    include!(concat!(env!("OUT_DIR"), "/mayfly.bot.v1.rs"));
}

/// The gRPC metadata in which a front end reports the IP address of its caller to the store. Front ends always set it
/// and never forward the value of a caller. The store accepts it only from trusted front ends.
pub const CALLER_METADATA: &str = "mayfly-caller";

/// `proto/` as an encoded `google.protobuf.FileDescriptorSet`, for server reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/mayfly.fds"));
