//! `mayfly healthcheck`, for container engines and service managers.

use std::time::Duration;

use bytes::Bytes;
use http::{StatusCode, Uri};
use http_body_util::Empty;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use mayfly_bootstrap::tls::{self, ClientTlsSettings, ConnectError, Connector};
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};

use crate::{
    endpoints::{StoreUrl, client_tls},
    error::CliError,
};

/// How long the check may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Arguments of `mayfly healthcheck`.
#[derive(Debug, clap::Args)]
pub(crate) struct HealthcheckSettings {
    /// The role to check.
    #[arg(value_enum, default_value_t = Role::Store)]
    role: Role,
    #[command(flatten)]
    store: StoreUrl,
    /// The URL of the gateway.
    #[arg(long, env = "MAYFLY_GATEWAY_URL", default_value = "http://127.0.0.1:8001", value_name = "URL")]
    gateway_url: Uri,
    /// The URL of the bot.
    #[arg(long, env = "MAYFLY_BOT_URL", default_value = "http://127.0.0.1:5555", value_name = "URL")]
    bot_url: Uri,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Role {
    /// The store, over gRPC.
    Store,
    /// The gateway, over HTTP.
    Gateway,
    /// The bot, over HTTP.
    Bot,
}

pub(crate) async fn run(settings: HealthcheckSettings) -> Result<(), CliError> {
    let check = async {
        match settings.role {
            Role::Store => check_store(&settings.store).await,
            Role::Gateway => {
                check_http("the gateway", "--gateway-url", settings.gateway_url, &settings.store.tls).await
            }
            Role::Bot => check_http("the bot", "--bot-url", settings.bot_url, &settings.store.tls).await,
        }
    };
    tokio::time::timeout(TIMEOUT, check).await.unwrap_or_else(|_| Err(CliError::unavailable("no response in time")))
}

async fn check_store(store: &StoreUrl) -> Result<(), CliError> {
    let request = HealthCheckRequest { service: String::new() };
    let response = HealthClient::new(store.channel()?).check(request).await?;
    match response.into_inner().status() {
        ServingStatus::Serving => Ok(()),
        _ => Err(CliError::unavailable("the store is not ready")),
    }
}

async fn check_http(role: &str, setting: &str, url: Uri, tls: &ClientTlsSettings) -> Result<(), CliError> {
    let tls = client_tls(&url.to_string(), tls)?;
    let mut parts = url.into_parts();
    parts.path_and_query = Some(http::uri::PathAndQuery::from_static("/readyz"));
    let ready = Uri::from_parts(parts).map_err(|error| CliError::invalid_setting(setting, error))?;
    let connector = Connector::http1(tls);
    let client = Client::builder(TokioExecutor::new()).build::<_, Empty<Bytes>>(connector.clone());
    match client.get(ready).await {
        Ok(response) if response.status().is_success() => Ok(()),
        // A server with TLS responds so to plain HTTP, and /readyz never does.
        Ok(response) if response.status() == StatusCode::BAD_REQUEST => {
            Err(CliError::unavailable(format!("{role} cannot be reached ({setting}): {}", ConnectError::TlsOnly)))
        }
        Ok(_) => Err(CliError::unavailable(format!("{role} is not ready"))),
        Err(error) => {
            let cause =
                tls::explain(&*connector.explain(error.into())).map(|cause| format!(": {cause}")).unwrap_or_default();
            Err(CliError::unavailable(format!("{role} cannot be reached ({setting}){cause}")))
        }
    }
}
