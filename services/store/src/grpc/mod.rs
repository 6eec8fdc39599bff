//! The gRPC face of the store: calls in, domain values out, and back. Wire types stop here.

mod caller;
mod config_service;
mod credentials;
mod message_service;
mod status;
mod watchers;
mod wire;

use std::sync::Arc;

use mayfly_contracts::{
    config::config_service_server::{ConfigServiceServer, SERVICE_NAME as CONFIG_SERVICE},
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
    storage::{AppConfigs, Messages},
};

/// Both services.
pub(crate) fn routes(
    messages: Messages,
    ids: PublicIds,
    configs: AppConfigs,
    credentials: Credentials,
    limits: Limits,
    clock: Arc<dyn Clock>,
    stop: CancellationToken,
) -> Routes {
    Routes::new(MessageServiceServer::new(MessageGrpc::new(messages, ids, limits, clock, stop.clone())))
        .add_service(ConfigServiceServer::new(ConfigGrpc { configs, credentials, stop }))
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
