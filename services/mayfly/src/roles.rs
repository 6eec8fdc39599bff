//! The long-running roles. Each binds its listeners, starts its services, and runs until a signal arrives.

pub(crate) mod bot;
pub(crate) mod gateway;
pub(crate) mod store;
pub(crate) mod up;

use mayfly_bootstrap::{
    Lifecycle,
    http::ServerLimits,
    tls::{ServerTls, ServerTlsSettings},
};
use mayfly_bot::MAX_REQUEST_BYTES;
use mayfly_contracts::max_request_bytes;
use mayfly_store::LimitSettings;

use crate::error::CliError;

/// The limits that all listeners of the process share.
fn process_limits(settings: &LimitSettings) -> ServerLimits {
    ServerLimits::new(max_request_bytes(settings.max_text_bytes).max(MAX_REQUEST_BYTES))
}

/// Loads the certificates of the listeners. `None`: the listeners speak plain HTTP.
fn load_tls(settings: &ServerTlsSettings) -> Result<Option<ServerTls>, CliError> {
    settings.load().map_err(CliError::failed)
}

/// Takes up changes of the certificates' files.
fn follow_tls_files(lifecycle: &mut Lifecycle, tls: Option<ServerTls>) {
    let stop = lifecycle.stop();
    if let Some(tls) = tls {
        lifecycle.spawn("certificates", async move {
            tls.follow_files(stop).await;
            Ok(())
        });
    }
}
