//! `mayfly healthcheck`, for container engines and service managers.

use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use http_body_util::Empty;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use mayfly_bootstrap::{
    ServerUrl,
    tls::{self, ClientTlsSettings, ConnectError, Connector},
};
use mayfly_contracts::{StoreChannel, message::message_service_server::SERVICE_NAME};
use tonic::{Code, Status};
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
    gateway_url: ServerUrl,
    /// The URL of the bot.
    #[arg(long, env = "MAYFLY_BOT_URL", default_value = "http://127.0.0.1:5555", value_name = "URL")]
    bot_url: ServerUrl,
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

/// Why a role is not ready.
pub(super) enum NotReady {
    /// A setting cannot be used.
    Setting(CliError),
    /// The call failed.
    Call(Box<Status>),
    /// There is no response of HTTP, because of TLS if the reason is known.
    NoResponse(Option<ConnectError>),
    /// The role responds that it is not ready.
    NotServing,
    /// Another program, or another role, responds.
    OtherService,
}

impl NotReady {
    /// The failure of TLS, if it is the cause.
    pub(super) fn tls_failure(&self) -> Option<ConnectError> {
        match self {
            Self::Call(status) => tls::explain(&**status),
            Self::NoResponse(cause) => cause.clone(),
            Self::Setting(_) | Self::NotServing | Self::OtherService => None,
        }
    }

    /// The error of the command, for `role`, whose URL `setting` names.
    pub(super) fn into_error(self, role: &str, setting: &str) -> CliError {
        match self {
            Self::Setting(error) => error,
            Self::Call(status) => CliError::from(*status),
            Self::NoResponse(cause) => {
                let cause = cause.map(|cause| format!(": {cause}")).unwrap_or_default();
                CliError::unavailable(format!("{role} cannot be reached ({setting}){cause}"))
            }
            Self::NotServing => CliError::unavailable(format!("{role} is not ready")),
            Self::OtherService => CliError::unavailable(format!("another service than {role} responds ({setting})")),
        }
    }
}

pub(crate) async fn run(settings: HealthcheckSettings) -> Result<(), CliError> {
    let tls = &settings.store.tls;
    let check = async {
        match settings.role {
            Role::Store => {
                let checked = check_store(settings.store.channel()?).await;
                checked.map_err(|error| error.into_error("the store", "--store-url"))
            }
            Role::Gateway => {
                let checked = check_http(&settings.gateway_url, tls).await;
                checked.map_err(|error| error.into_error("the gateway", "--gateway-url"))
            }
            Role::Bot => {
                let checked = check_http(&settings.bot_url, tls).await;
                checked.map_err(|error| error.into_error("the bot", "--bot-url"))
            }
        }
    };
    tokio::time::timeout(TIMEOUT, check).await.unwrap_or_else(|_| Err(CliError::unavailable("no response in time")))
}

/// Checks a store over gRPC.
pub(super) async fn check_store(store: StoreChannel) -> Result<(), NotReady> {
    // By its name: the bot reports its own health in the same way.
    let request = HealthCheckRequest { service: SERVICE_NAME.to_owned() };
    match HealthClient::new(store).check(request).await {
        Ok(response) if response.get_ref().status() == ServingStatus::Serving => Ok(()),
        Ok(_) => Err(NotReady::NotServing),
        Err(status) if matches!(status.code(), Code::NotFound | Code::Unimplemented) => Err(NotReady::OtherService),
        Err(status) => Err(NotReady::Call(Box::new(status))),
    }
}

/// Checks a gateway or a bot at `url`.
pub(super) async fn check_http(url: &ServerUrl, tls: &ClientTlsSettings) -> Result<(), NotReady> {
    let connector = Connector::http1(client_tls(url, tls).map_err(NotReady::Setting)?);
    let client = Client::builder(TokioExecutor::new()).build::<_, Empty<Bytes>>(connector.clone());
    match client.get(url.at("/readyz")).await {
        Ok(response) if response.status().is_success() => Ok(()),
        // A server with TLS responds so to plain HTTP, and /readyz never does.
        Ok(response) if response.status() == StatusCode::BAD_REQUEST => {
            Err(NotReady::NoResponse(Some(ConnectError::TlsOnly)))
        }
        Ok(_) => Err(NotReady::NotServing),
        Err(error) => Err(NotReady::NoResponse(tls::explain(&*connector.explain(error.into())))),
    }
}
