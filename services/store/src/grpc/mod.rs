//! The gRPC face of the store: calls in, domain values out, and back. Wire types stop here.

mod caller;
mod config_service;
mod credentials;
mod message_service;
mod rate_limits;
mod status;
mod wire;

use std::sync::Arc;

use axum::Router;
use http::HeaderName;
use mayfly_bootstrap::http::{Callers, RequestLimits};
use mayfly_contracts::{
    BIDIRECTIONAL_STREAMS, CALLER_METADATA, SERVER_STREAMS,
    config::config_service_server::{ConfigServiceServer, SERVICE_NAME as CONFIG_SERVICE},
    max_request_bytes,
    message::message_service_server::{MessageServiceServer, SERVICE_NAME as MESSAGE_SERVICE},
    with_reflection,
};
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic_health::{ServingStatus, server::HealthReporter};

pub(crate) use self::credentials::Credentials;
use self::{config_service::ConfigGrpc, message_service::MessageGrpc};
use crate::{
    domain::{Clock, Limits, PublicIds},
    settings::RateSettings,
    storage::{AppConfigs, Messages},
};

/// The largest request of a service that takes no texts: app configs and questions of reflection.
const MAX_SMALL_REQUEST: usize = 16 << 10;

/// What the services work with.
pub(crate) struct Parts {
    pub(crate) messages: Messages,
    pub(crate) ids: PublicIds,
    pub(crate) configs: AppConfigs,
    pub(crate) credentials: Credentials,
    pub(crate) limits: Limits,
    pub(crate) rates: RateSettings,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) stop: CancellationToken,
}

/// Both services.
pub(crate) fn routes(parts: Parts) -> Routes {
    let Parts { messages, ids, configs, credentials, limits, rates, clock, stop } = parts;
    let largest = max_request_bytes(limits.max_text_bytes);
    let messages = MessageServiceServer::new(MessageGrpc::new(messages, ids, limits, rates, clock, stop.clone()));
    let configs = ConfigServiceServer::new(ConfigGrpc { configs, credentials, stop });
    Routes::new(messages.max_decoding_message_size(largest))
        .add_service(configs.max_decoding_message_size(MAX_SMALL_REQUEST))
}

/// The same services for callers on a network, within the limits of the process.
pub(crate) fn limited(
    routes: Routes,
    limits: mayfly_bootstrap::http::Limits,
    callers: Callers,
    max_text_bytes: usize,
) -> Router {
    let refuse = Arc::new(move |refusal, _: &http::HeaderMap| status::refused(refusal, max_text_bytes));
    let limits = RequestLimits {
        limits,
        callers,
        max_body_bytes: max_request_bytes(max_text_bytes),
        response_bytes: Arc::new(move |path| if path.ends_with("/ViewMessage") { max_text_bytes } else { 0 }),
        server_streams: SERVER_STREAMS,
        bidirectional_streams: BIDIRECTIONAL_STREAMS,
        refuse,
    };
    // A health check over HTTP finds nothing here, rather than an answer of gRPC's that has the status 200.
    limits.apply(routes.prepare().into_axum_router().reset_fallback())
}

/// Callers of the store: anybody, and gateways that report theirs.
pub(crate) fn callers(trusted_gateways: &[ipnet::IpNet]) -> Callers {
    Callers::BehindGateways { networks: trusted_gateways.to_vec(), header: HeaderName::from_static(CALLER_METADATA) }
}

/// Adds server reflection for everything that the store serves.
pub(crate) fn add_reflection(routes: Routes) -> Routes {
    with_reflection(routes, &[MESSAGE_SERVICE, CONFIG_SERVICE, "grpc.health.v1.Health"])
}

/// Tells the health service, for the process as a whole and for each service.
pub(crate) async fn set_serving(health: &HealthReporter, serving: bool) {
    let status = if serving { ServingStatus::Serving } else { ServingStatus::NotServing };
    for service in ["", MESSAGE_SERVICE, CONFIG_SERVICE] {
        health.set_service_status(service, status).await;
    }
}
