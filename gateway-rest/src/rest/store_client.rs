//! The store, as the handlers call it.

use mayfly_contracts::{
    StoreChannel, config::config_service_client::ConfigServiceClient,
    message::message_service_client::MessageServiceClient,
};

/// The state of all handlers.
#[derive(Clone)]
pub(super) struct StoreClient(pub(super) StoreChannel);

impl StoreClient {
    pub(super) fn messages(&self) -> MessageServiceClient<StoreChannel> {
        MessageServiceClient::new(self.0.clone())
    }

    pub(super) fn configs(&self) -> ConfigServiceClient<StoreChannel> {
        ConfigServiceClient::new(self.0.clone())
    }
}
