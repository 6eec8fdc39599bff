//! The gRPC services of the bot: `BotService`, health and reflection. The types of the contract are used only here.

mod bot_service;
mod credentials;
mod errors;

use mayfly_bootstrap::metrics::RpcMetrics;
use mayfly_contracts::{bot::bot_service_server::BotServiceServer, with_reflection};
use tonic::service::Routes;
use tonic_health::{ServingStatus, server::HealthReporter};

pub(crate) use self::{
    bot_service::BotGrpc,
    credentials::{Credentials, bearer},
    errors::rejected,
};
use crate::{metrics::SERVICES, status::tracker::StatusTracker};

/// The largest request of a service. Requests hold only names and credentials.
const MAX_REQUEST_BYTES: usize = 16 << 10;

/// The gRPC services and their health.
pub(crate) struct Services {
    pub routes: Routes,
    health: HealthReporter,
}

impl Services {
    pub(crate) fn new(bot: BotGrpc, has_reflection: bool, rpcs: &RpcMetrics) -> Self {
        let (health, health_service) = tonic_health::server::health_reporter();
        let bot = BotServiceServer::new(bot).max_decoding_message_size(MAX_REQUEST_BYTES);
        let routes = Routes::new(rpcs.measure(bot)).add_service(rpcs.measure(health_service));
        let routes = if has_reflection { with_reflection(routes, &SERVICES) } else { routes };
        Self { routes, health }
    }

    /// Keeps the health service equal to `/readyz`. Returns when the status is dropped.
    pub(crate) async fn report_health(&self, status: &StatusTracker) {
        let mut changes = status.subscribe();
        loop {
            let is_ready = changes.borrow_and_update().is_connected;
            let status = if is_ready { ServingStatus::Serving } else { ServingStatus::NotServing };
            for service in ["", "mayfly.bot.v1.BotService"] {
                self.health.set_service_status(service, status).await;
            }
            if changes.wait_for(|status| status.is_connected != is_ready).await.is_err() {
                return;
            }
        }
    }
}
