//! The traces of a role: starts their export, and ends it with the role.

use mayfly_bootstrap::{
    DRAIN_TIMEOUT, Lifecycle,
    tls::{ClientTlsSettings, Connector},
    trace::{self, OtlpSettings, TraceExport, TracedCalls},
};
use mayfly_contracts::{ServiceChannel, rpc_name};
use tonic::service::Routes;

use crate::{endpoints::client_tls, error::CliError};

/// Starts the export of traces under the name `service`, if there is a collector. Call it before channels are made.
pub(super) fn start(
    settings: &OtlpSettings,
    tls: &ClientTlsSettings,
    service: &'static str,
) -> Result<Option<TraceExport>, CliError> {
    let Some(endpoint) = &settings.otlp_endpoint else { return Ok(None) };
    trace::check_headers()?;
    let connector = Connector::http2(client_tls(endpoint, tls)?);
    let export = trace::start(endpoint, settings.otlp_sample_ratio, service, connector);
    export.map(Some).map_err(|error| CliError::invalid_setting("--otlp-endpoint", error))
}

/// A channel to a service in this process.
pub(super) fn local(routes: Routes) -> ServiceChannel {
    let channel = ServiceChannel::local(routes);
    if trace::is_enabled() { channel.wrapped(|transport| TracedCalls::local(transport, rpc_name)) } else { channel }
}

/// Runs a role until it ends, then exports its last spans.
pub(super) async fn run(lifecycle: Lifecycle, export: Option<TraceExport>) -> Result<(), CliError> {
    let ended = lifecycle.run(DRAIN_TIMEOUT).await;
    if let Some(export) = export {
        export.shutdown().await;
    }
    CliError::from_ended(ended)
}
