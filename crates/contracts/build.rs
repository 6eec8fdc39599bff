//! Compiles `proto/` with protox, so that no `protoc` is needed, and keeps the descriptor set for reflection.

use std::{env, error::Error, fs, path::PathBuf};

use prost::Message as _;

const PROTO_DIR: &str = "../../proto";

const FILES: [&str; 7] = [
    "mayfly/auth/v1/api_token_service.proto",
    "mayfly/bot/v1/bot_service.proto",
    "mayfly/config/v1/app_config.proto",
    "mayfly/config/v1/config_service.proto",
    "mayfly/error/v1/error_reason.proto",
    "mayfly/message/v1/message_service.proto",
    "mayfly/message/v1/message_state.proto",
];

/// Messages with a secret field. `src/redacted.rs` implements a `Debug` for them that hides it.
const SECRET_MESSAGES: [&str; 10] = [
    ".mayfly.auth.v1.CreateApiTokenResponse",
    ".mayfly.config.v1.AppConfig",
    ".mayfly.message.v1.AcknowledgeViewRequest",
    ".mayfly.message.v1.BurnMessageRequest",
    ".mayfly.message.v1.CreateMessageRequest",
    ".mayfly.message.v1.CreateMessageResponse",
    ".mayfly.message.v1.LookupMessageRequest",
    ".mayfly.message.v1.ViewMessageRequest",
    ".mayfly.message.v1.ViewMessageResponse",
    ".mayfly.message.v1.WatchMessageRequest",
];

#[expect(clippy::disallowed_methods, reason = "cargo passes settings to build scripts in the environment")]
fn main() -> Result<(), Box<dyn Error>> {
    // `compile_fds` does not know the source files, so cargo needs to be told when to run this again.
    println!("cargo:rerun-if-changed={PROTO_DIR}");

    let descriptors = protox::compile(FILES, [PROTO_DIR])?;
    let out_dir = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out_dir.join("mayfly.fds"), descriptors.encode_to_vec())?;
    tonic_prost_build::configure()
        // `ServiceChannel` is the transport. A generated `connect` would bypass it.
        .build_transport(false)
        .skip_debug(SECRET_MESSAGES)
        .compile_fds(descriptors)?;
    Ok(())
}
