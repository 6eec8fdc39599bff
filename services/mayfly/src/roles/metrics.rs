//! The metrics of a process: their listener, and who may read them.

use std::{sync::Arc, time::Duration};

use http::StatusCode;
use mayfly_bootstrap::{
    Lifecycle, Listener,
    http::origin::OriginPolicy,
    metrics::Metrics,
    metrics_listener::{self, Authorizer, MetricsAccess, MetricsSettings},
    tls::ServerTls,
};
use mayfly_contracts::{
    AUTHORIZATION_METADATA, CALLER_METADATA, StoreChannel,
    auth::{ApiTokenScope, CheckScopeRequest, api_token_service_client::ApiTokenServiceClient},
};
use tonic::{Code, Request, metadata::AsciiMetadataValue};

use crate::error::CliError;

/// How long the store may take to check a token. Shorter than the default timeout of a scrape.
const CHECK_TIMEOUT: Duration = Duration::from_secs(5);

/// The bound listener of the metrics.
pub(super) struct MetricsListener {
    listener: Listener,
    access: MetricsAccess,
}

/// Binds the listener of the metrics, if there is one, and stores its port in the settings.
pub(super) async fn listen(
    settings: &mut MetricsSettings,
    tls: Option<&ServerTls>,
) -> Result<Option<MetricsListener>, CliError> {
    let access = settings.metrics_access;
    let listener = settings.listen(tls).await.map_err(CliError::failed)?;
    Ok(listener.map(|listener| MetricsListener { listener, access }))
}

/// Serves the metrics of the process, if there is a listener for them. `store` checks tokens, and `register` adds the
/// metrics of the roles.
pub(super) fn start(
    lifecycle: &mut Lifecycle,
    listener: Option<MetricsListener>,
    tls: Option<&ServerTls>,
    origins: OriginPolicy,
    store: StoreChannel,
    register: impl FnOnce(&mut Metrics),
) {
    let Some(MetricsListener { listener, access }) = listener else { return };
    let mut all = Metrics::new(env!("CARGO_PKG_VERSION"));
    if let Some(tls) = tls {
        tls.register(&mut all);
    }
    register(&mut all);
    let authorizer = match access {
        MetricsAccess::Open => None,
        MetricsAccess::Token => Some(authorizer(store)),
    };
    let serving = metrics_listener::serve(listener, all, authorizer, origins, lifecycle.stop());
    lifecycle.spawn("metrics", async move { Ok(serving.await?) });
}

/// Lets the store check the token of each scrape.
fn authorizer(store: StoreChannel) -> Authorizer {
    let tokens = ApiTokenServiceClient::new(store);
    Arc::new(move |caller, authorization| {
        let mut tokens = tokens.clone();
        Box::pin(async move {
            let mut request = Request::new(CheckScopeRequest { scope: ApiTokenScope::Metrics.into() });
            let metadata = request.metadata_mut();
            let authorization = AsciiMetadataValue::try_from(authorization.as_bytes());
            metadata.insert(AUTHORIZATION_METADATA, authorization.map_err(|_| StatusCode::UNAUTHORIZED)?);
            if let Ok(caller) = caller.to_string().parse() {
                metadata.insert(CALLER_METADATA, caller);
            }
            let checked = tokio::time::timeout(CHECK_TIMEOUT, tokens.check_scope(request)).await;
            match checked {
                Ok(Ok(_)) => Ok(()),
                Ok(Err(status)) => Err(match status.code() {
                    Code::Unauthenticated => StatusCode::UNAUTHORIZED,
                    Code::PermissionDenied => StatusCode::FORBIDDEN,
                    Code::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
                    _ => StatusCode::SERVICE_UNAVAILABLE,
                }),
                Err(_) => Err(StatusCode::SERVICE_UNAVAILABLE),
            }
        })
    })
}
