//! The gRPC face of the bot: `BotService` for those who look after it, health, and reflection. Wire types stop here.

mod bot_service;
mod credentials;
mod status;

use mayfly_contracts::{FILE_DESCRIPTOR_SET, bot::bot_service_server::BotServiceServer};
use tonic::service::Routes;
use tonic_health::{ServingStatus, server::HealthReporter};

pub(crate) use self::{
    bot_service::BotGrpc,
    credentials::{Credentials, bearer},
    status::refused,
};
use crate::status::StatusBoard;

/// The largest request of a service here: they take credentials and names.
const MAX_REQUEST_BYTES: usize = 16 << 10;

/// The services, and what is told about their health.
pub(crate) struct Services {
    pub routes: Routes,
    health: HealthReporter,
}

impl Services {
    pub(crate) fn new(bot: BotGrpc) -> Self {
        let (health, health_service) = tonic_health::server::health_reporter();
        let bot = BotServiceServer::new(bot).max_decoding_message_size(MAX_REQUEST_BYTES);
        let routes = Routes::new(bot).add_service(health_service);
        Self { routes: add_reflection(routes), health }
    }

    /// Keeps the health service saying what `/readyz` says. Ends with the board.
    pub(crate) async fn report_health(&self, board: &StatusBoard) {
        let mut changes = board.changes();
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

/// Server reflection, in the current and in the older form that many clients still ask for.
fn add_reflection(routes: Routes) -> Routes {
    let descriptors = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            .with_service_name("mayfly.bot.v1.BotService")
            .with_service_name("grpc.health.v1.Health")
    };
    match (descriptors().build_v1(), descriptors().build_v1alpha()) {
        (Ok(v1), Ok(v1alpha)) => routes
            .add_service(v1.max_decoding_message_size(MAX_REQUEST_BYTES))
            .add_service(v1alpha.max_decoding_message_size(MAX_REQUEST_BYTES)),
        _ => {
            // Both sets were made by the build; a test asks for them.
            tracing::error!("the descriptor sets are damaged: no reflection");
            routes
        }
    }
}
