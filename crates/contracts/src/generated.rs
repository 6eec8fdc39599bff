//! The code generated from `proto/`, and its descriptors.

/// The error reasons of `mayfly.error.v1`.
pub mod error {
    include!(concat!(env!("OUT_DIR"), "/mayfly.error.v1.rs"));
}

/// `mayfly.auth.v1`: API tokens.
#[expect(clippy::allow_attributes_without_reason, clippy::allow_attributes, reason = "generated code")]
pub mod auth {
    include!(concat!(env!("OUT_DIR"), "/mayfly.auth.v1.rs"));
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

/// `proto/` as an encoded `google.protobuf.FileDescriptorSet`, for server reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/mayfly.fds"));
