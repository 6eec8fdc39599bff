//! The gRPC services of the store. Converts wire types into domain values and back.

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
use mayfly_bootstrap::http::{CallerSource, RequestLimits};
use mayfly_contracts::{
    BIDI_STREAMING_METHODS, CALLER_METADATA, SERVER_STREAMING_METHODS,
    config::config_service_server::{ConfigServiceServer, SERVICE_NAME as CONFIG_SERVICE},
    max_request_bytes,
    message::message_service_server::{MessageServiceServer, SERVICE_NAME as MESSAGE_SERVICE},
    with_reflection,
};
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic_health::{ServingStatus, server::HealthReporter};

pub(crate) use self::credentials::Credentials;
use self::{config_service::ConfigServiceImpl, message_service::MessageServiceImpl};
use crate::{
    domain::{Clock, MessageLimits, PublicIds},
    messages::Messages,
    settings::RateSettings,
    storage::AppConfigs,
};

/// The largest request of `ConfigService`.
const MAX_SMALL_REQUEST: usize = 16 << 10;

/// What the services use.
pub(crate) struct ServiceContext {
    pub(crate) messages: Messages,
    pub(crate) ids: PublicIds,
    pub(crate) configs: AppConfigs,
    pub(crate) credentials: Credentials,
    pub(crate) limits: MessageLimits,
    pub(crate) rates: RateSettings,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) stop: CancellationToken,
}

/// The routes of both services.
pub(crate) fn routes(context: ServiceContext) -> Routes {
    let ServiceContext { messages, ids, configs, credentials, limits, rates, clock, stop } = context;
    let largest = max_request_bytes(limits.max_text_bytes);
    let messages =
        MessageServiceServer::new(MessageServiceImpl::new(messages, ids, limits, rates, clock, stop.clone()));
    let configs = ConfigServiceServer::new(ConfigServiceImpl { configs, credentials, stop });
    Routes::new(messages.max_decoding_message_size(largest))
        .add_service(configs.max_decoding_message_size(MAX_SMALL_REQUEST))
}

/// The routes for callers on a network, with the limits of the process.
pub(crate) fn with_limits(
    routes: Routes,
    limits: mayfly_bootstrap::http::ServerLimits,
    callers: CallerSource,
    max_text_bytes: usize,
) -> Router {
    let reject = Arc::new(move |rejection, _: &http::HeaderMap| status::rejection_response(rejection, max_text_bytes));
    let limits = RequestLimits {
        limits,
        callers,
        max_body_bytes: max_request_bytes(max_text_bytes),
        response_bytes: Arc::new(move |path| if path.ends_with("/ViewMessage") { max_text_bytes } else { 0 }),
        server_streaming: SERVER_STREAMING_METHODS,
        bidi_streaming: BIDI_STREAMING_METHODS,
        reject,
    };
    // An HTTP health check gets the status 404, not a gRPC response with the status 200.
    limits.apply(routes.prepare().into_axum_router().reset_fallback())
}

/// Trusted gateways report their callers; other peers are callers themselves.
pub(crate) fn caller_source(trusted_gateways: &[ipnet::IpNet]) -> CallerSource {
    CallerSource::TrustedGateways {
        networks: trusted_gateways.to_vec(),
        header: HeaderName::from_static(CALLER_METADATA),
    }
}

/// Adds server reflection for all services.
pub(crate) fn add_reflection(routes: Routes) -> Routes {
    with_reflection(routes, &[MESSAGE_SERVICE, CONFIG_SERVICE, "grpc.health.v1.Health"])
}

/// Sets the health status of the process and of each service.
pub(crate) async fn set_serving(health: &HealthReporter, serving: bool) {
    let status = if serving { ServingStatus::Serving } else { ServingStatus::NotServing };
    for service in ["", MESSAGE_SERVICE, CONFIG_SERVICE] {
        health.set_service_status(service, status).await;
    }
}
