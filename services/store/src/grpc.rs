//! The gRPC services of the store. Converts wire types into domain values and back.

mod api_token_service;
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
use mayfly_bootstrap::{
    http::{CallerSource, ListenerInfo, RequestLimits},
    metrics::RpcMetrics,
};
use mayfly_contracts::{
    BIDI_STREAMING_METHODS, CALLER_METADATA, SERVER_STREAMING_METHODS, add_request_id,
    auth::api_token_service_server::{ApiTokenServiceServer, SERVICE_NAME as API_TOKEN_SERVICE},
    config::config_service_server::{ConfigServiceServer, SERVICE_NAME as CONFIG_SERVICE},
    is_streaming, max_request_bytes,
    message::message_service_server::{MessageServiceServer, SERVICE_NAME as MESSAGE_SERVICE},
    methods_of, rpc_name, with_reflection,
};
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic_health::{ServingStatus, server::HealthReporter};

pub(crate) use self::credentials::{AdminToken, Credentials};
use self::{
    api_token_service::ApiTokenServiceImpl, config_service::ConfigServiceImpl, credentials::Authenticator,
    message_service::MessageServiceImpl, rate_limits::RateLimits,
};
use crate::{
    domain::{Clock, MessageLimits, PublicIds},
    messages::Messages,
    settings::{CreateAccess, RateSettings},
    storage::{ApiTokens, AppConfigs},
};

/// The largest request of `ConfigService` and `ApiTokenService`.
const MAX_SMALL_REQUEST: usize = 16 << 10;
/// The services, without reflection.
const SERVICES: [&str; 4] = [MESSAGE_SERVICE, CONFIG_SERVICE, API_TOKEN_SERVICE, "grpc.health.v1.Health"];

/// What the services use.
pub(crate) struct ServiceContext {
    pub(crate) messages: Messages,
    pub(crate) ids: PublicIds,
    pub(crate) configs: AppConfigs,
    pub(crate) api_tokens: ApiTokens,
    pub(crate) credentials: Credentials,
    pub(crate) create_access: CreateAccess,
    pub(crate) limits: MessageLimits,
    pub(crate) rates: RateSettings,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) rpcs: RpcMetrics,
    pub(crate) stop: CancellationToken,
}

/// The routes of all services.
pub(crate) fn routes(context: ServiceContext) -> Routes {
    let ServiceContext {
        messages,
        ids,
        configs,
        api_tokens,
        credentials,
        create_access,
        limits,
        rates,
        clock,
        rpcs,
        stop,
    } = context;
    let largest = max_request_bytes(limits.max_text_bytes);
    let rates = Arc::new(RateLimits::new(rates, messages.metrics()));
    let authenticator = Authenticator::new(credentials, Arc::clone(&rates));
    let creators = (create_access == CreateAccess::Token).then(|| authenticator.clone());
    let messages =
        MessageServiceServer::new(MessageServiceImpl::new(messages, ids, limits, rates, creators, clock, stop.clone()));
    let api_tokens =
        ApiTokenServiceServer::new(ApiTokenServiceImpl { api_tokens, authenticator: authenticator.clone() });
    let configs = ConfigServiceServer::new(ConfigServiceImpl { configs, authenticator, stop });
    Routes::new(rpcs.measure(messages.max_decoding_message_size(largest)))
        .add_service(rpcs.measure(configs.max_decoding_message_size(MAX_SMALL_REQUEST)))
        .add_service(rpcs.measure(api_tokens.max_decoding_message_size(MAX_SMALL_REQUEST)))
}

/// The metrics of the services.
pub(crate) fn rpc_metrics() -> RpcMetrics {
    RpcMetrics::new(methods_of(&SERVICES), is_streaming)
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
        listener: ListenerInfo { name: "store", route: None, rpc_name, add_request_id },
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
    with_reflection(routes, &SERVICES)
}

/// Sets the health status of the process and of each service.
pub(crate) async fn set_serving(health: &HealthReporter, serving: bool) {
    let status = if serving { ServingStatus::Serving } else { ServingStatus::NotServing };
    for service in ["", MESSAGE_SERVICE, CONFIG_SERVICE, API_TOKEN_SERVICE] {
        health.set_service_status(service, status).await;
    }
}
