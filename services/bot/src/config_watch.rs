//! Watches the last active app config in the store for the lifetime of the process.

use std::time::Duration;

use backon::ExponentialBuilder;
use mayfly_bootstrap::{Secret, tls};
use mayfly_contracts::{
    AUTHORIZATION_METADATA, ErrorInfo, StoreChannel,
    config::{AppConfig, WatchLastActiveAppConfigRequest, config_service_client::ConfigServiceClient},
};
use tokio::{sync::watch, time::sleep};
use tonic::{Request, Status, metadata::AsciiMetadataValue};

use crate::{
    error::BotError,
    status::{grpc, tracker::StatusTracker},
    store_client::StoreOutage,
    timeouts::{Backoff, backoff},
};

/// Short, so that the bot uses a new config soon after the store is reachable again.
const BACKOFF: ExponentialBuilder = backoff(Duration::from_millis(250), Duration::from_secs(10));

/// Watches the app config. Publishes the token of the bot to serve, or `None` if there is none.
pub(crate) struct ConfigWatch {
    store: ConfigServiceClient<StoreChannel>,
    authorization: AsciiMetadataValue,
    latest: watch::Sender<Option<Secret>>,
    status: StatusTracker,
    outage: StoreOutage,
}

impl ConfigWatch {
    pub(crate) fn new(
        store: StoreChannel,
        service_token: &Secret,
        latest: watch::Sender<Option<Secret>>,
        status: StatusTracker,
        outage: StoreOutage,
    ) -> Result<Self, BotError> {
        let authorization = grpc::bearer(service_token)?;
        Ok(Self { store: ConfigServiceClient::new(store), authorization, latest, status, outage })
    }

    /// Never returns. While the store is unreachable, the last known config stays in use.
    pub(crate) async fn run(mut self) {
        let mut backoff = Backoff::new(BACKOFF);
        let mut is_reported = false;
        loop {
            // The stream also ends when the store shuts down, so its end is not a success.
            let status = self.follow(&mut backoff, &mut is_reported).await.err();
            self.status.set_connected(false);
            self.status.record_error("the store cannot be reached");
            if !is_reported {
                is_reported = true;
                let cause = status.as_ref().and_then(|status| tls::explain(status)).map(tracing::field::display);
                match status.as_ref().map(|status| ErrorInfo::from_status(status).reason.name()) {
                    // The stream ended without an error: the store is stopping.
                    None => tracing::info!("the store shuts down; trying again until it is back"),
                    Some(reason) => {
                        tracing::warn!(reason, cause, "lost the store's app config; trying again until it is back");
                    }
                }
            }
            sleep(backoff.next()).await;
        }
    }

    async fn follow(&mut self, backoff: &mut Backoff, is_reported: &mut bool) -> Result<(), Status> {
        let mut request = Request::new(WatchLastActiveAppConfigRequest {});
        request.metadata_mut().insert(AUTHORIZATION_METADATA, self.authorization.clone());
        let mut changes = self.store.watch_last_active_app_config(request).await?.into_inner();
        while let Some(change) = changes.message().await? {
            let is_first = !self.status.set_connected(true);
            self.outage.ended();
            backoff.reset();
            *is_reported = false;
            self.publish(change.app_config, is_first);
        }
        Ok(())
    }

    fn publish(&self, config: Option<AppConfig>, is_first: bool) {
        let usable = config.as_ref().filter(|config| config.is_bot());
        self.status.set_app_config(usable.map(|config| config.id));
        let token = match config {
            None => {
                if is_first || self.latest.borrow().is_some() {
                    tracing::info!("no app config is active; waiting for one");
                }
                None
            }
            Some(config) if !config.is_bot() => {
                tracing::warn!(
                    config = config.id,
                    "the last active app config is not a bot's; waiting for one that is"
                );
                None
            }
            Some(config) => {
                tracing::info!(config = config.id, "using the last active app config");
                Some(Secret::new(config.bot_token))
            }
        };
        self.latest.send_if_modified(|latest| {
            let is_new = *latest != token;
            *latest = token;
            is_new
        });
    }
}
