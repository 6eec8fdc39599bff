//! The long-running roles. Each binds its listeners, starts its services, and runs until a signal arrives.

pub(crate) mod bot;
pub(crate) mod gateway;
mod metrics;
pub(crate) mod store;
mod traces;
pub(crate) mod up;

use mayfly_bootstrap::{
    Lifecycle,
    http::ServerLimits,
    metrics_listener::MetricsSettings,
    tls::{ClientTlsSettings, ServerTls, ServerTlsSettings},
    trace::OtlpSettings,
};
use mayfly_bot::{BotSettings, MAX_REQUEST_BYTES, PublicUrl};
use mayfly_contracts::max_request_bytes;
use mayfly_gateway_rest::GatewaySettings;
use mayfly_store::{DataSettings, LimitSettings, OpenSettings, TokenSettings};

use crate::{
    endpoints::{BotUrl, StoreUrl},
    error::CliError,
};

/// The settings of a role by what they are for. `None`: the role has no such settings.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RoleParts<'settings> {
    pub(crate) name: &'static str,
    pub(crate) store: Option<&'settings OpenSettings>,
    pub(crate) data: Option<&'settings DataSettings>,
    pub(crate) tokens: Option<&'settings TokenSettings>,
    pub(crate) gateway: Option<&'settings GatewaySettings>,
    pub(crate) bot: Option<&'settings BotSettings>,
    pub(crate) public_url: Option<&'settings PublicUrl>,
    pub(crate) metrics: &'settings MetricsSettings,
    pub(crate) tls: &'settings ServerTlsSettings,
    /// TLS of the calls of the role.
    pub(crate) client_tls: &'settings ClientTlsSettings,
    pub(crate) otlp: &'settings OtlpSettings,
    /// The store that the role calls over the network.
    pub(crate) store_url: Option<&'settings StoreUrl>,
    /// The bot that the role calls over the network.
    pub(crate) bot_url: Option<&'settings BotUrl>,
}

/// A role whose settings can be checked without starting it.
pub(crate) trait RoleSettings {
    /// Its settings.
    fn parts(&self) -> RoleParts<'_>;
}

/// The limits that all listeners of the process share.
fn process_limits(settings: &LimitSettings) -> ServerLimits {
    ServerLimits::new(max_request_bytes(settings.max_text_bytes).max(MAX_REQUEST_BYTES))
}

/// Loads the certificates of the listeners. `None`: the listeners speak plain HTTP.
fn load_tls(settings: &ServerTlsSettings) -> Result<Option<ServerTls>, CliError> {
    Ok(settings.load()?)
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
