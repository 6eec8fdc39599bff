//! The gRPC contracts of Mayfly: code generated from `proto/`, error details, and [`ServiceChannel`], the transport of
//! the generated clients.
//!
//! The `.proto` files document the calls.

mod bearer;
mod channel;
mod content;
mod error_info;
mod generated;
pub mod message_ref;
mod methods;
mod redacted;
mod reflection;
mod request_id;

pub use bearer::{AUTHORIZATION_METADATA, bearer_metadata, parse_bearer};
pub use channel::{BotChannel, InvalidServiceUrl, ServiceChannel, StoreChannel, Transport};
pub use error_info::{ERROR_DOMAIN, ErrorInfo, FieldViolation};
pub use generated::{FILE_DESCRIPTOR_SET, auth, bot, config, error, message};
pub use message_ref::MessageRef;
pub use methods::{
    BIDI_STREAMING_METHODS, SERVER_STREAMING_METHODS, is_streaming, max_request_bytes, methods_of, rpc_name,
};
pub use reflection::with_reflection;
pub use request_id::add_request_id;

/// The gRPC metadata in which a front end reports the IP address of its caller to the store. Front ends always set it
/// and never forward the value of a caller. The store accepts it only from trusted front ends.
pub const CALLER_METADATA: &str = "mayfly-caller";
