//! Telegram in front of the store: whoever writes `new:a text` to the bot gets `id:token`, and whoever writes `id:token`
//! gets the text, once.
//!
//! An update travels in one direction: `polling` fetches it and keeps it unconfirmed in its `window`, or Telegram brings it to the
//! `webhook`; `event` takes out what matters, `chats` keeps the order within its chat, `intent` says what is wanted, `handlers` ask the `store` and
//! word the answer with `replies`, `delivery` sends it through `telegram`. Only then is the update confirmed to Telegram, so that a crash in
//! between brings it again instead of losing it. What an update causes can therefore happen twice and is made for that.
//!
//! Knows nothing of the database: the store is a [`StoreChannel`].

mod bot_key;
mod config_watch;
mod conversation;
mod error;
mod gcra;
mod session;
mod settings;
mod simulator;
mod status;
mod store_client;
mod telegram;
mod timeouts;
mod updates;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::Router;
use mayfly_bootstrap::{
    Secret,
    http::{self, CallerSource, RequestLimits, ServerLimits, origin::OriginPolicy},
};
use mayfly_contracts::{BIDI_STREAMING_METHODS, SERVER_STREAMING_METHODS, StoreChannel};
use tokio::{net::TcpListener, sync::watch};
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;

pub use error::BotError;
pub use settings::{BotSettings, ConversationSettings, PublicUrl};
pub use telegram::log_out::{LogOutError, log_out};

use crate::{
    config_watch::ConfigWatch,
    gcra::Rate,
    session::Sessions,
    simulator::Simulator,
    status::{
        board::StatusTracker,
        grpc::{self, BotGrpc, Credentials, Services},
        page,
    },
    store_client::StoreOutage,
    telegram::{client::TelegramApi, deletions::Deletions},
    timeouts::{INBOUND_CHAT_BURST, INBOUND_TOTAL_BURST, Timeouts},
    updates::webhook::WebhookEndpoint,
};

/// The largest request that the bot takes: far more than any update of Telegram's, whose texts have at most 4096
/// characters.
pub const MAX_REQUEST_BYTES: usize = 1 << 20;

/// A bot that is ready to run.
pub struct Bot {
    router: Router,
    /// The webhook checks its caller before it reads anything, and has a limit of its own.
    webhook: Option<Router>,
    services: Services,
    board: StatusTracker,
    watch: ConfigWatch,
    latest_config: watch::Receiver<Option<Secret>>,
    sessions: Sessions,
    stop: CancellationToken,
}

impl Bot {
    /// A bot in front of `store`, to which it shows `service_token`, that ends when `stop` is cancelled. Does nothing yet.
    ///
    /// # Errors
    ///
    /// [`BotError`], all but [`BotError::Serve`].
    pub fn new(
        store: StoreChannel,
        service_token: &Secret,
        settings: &BotSettings,
        stop: CancellationToken,
    ) -> Result<Self, BotError> {
        let timeouts = Timeouts {
            store_timeout: settings.retry_for,
            inbound_chat_rate: Rate::per_minute(settings.chat_messages_per_minute, INBOUND_CHAT_BURST),
            inbound_total_rate: Rate::per_second(settings.messages_per_second).with_burst_over(INBOUND_TOTAL_BURST),
            outbound_total_rate: Rate::per_second(settings.messages_per_second),
            ..Timeouts::default()
        };
        Self::with(store, service_token, settings, timeouts, stop)
    }

    fn with(
        store: StoreChannel,
        service_token: &Secret,
        settings: &BotSettings,
        timeouts: Timeouts,
        stop: CancellationToken,
    ) -> Result<Self, BotError> {
        let telegram = TelegramApi::new(&settings.telegram_api_url, &timeouts)?;
        let board = StatusTracker::default();
        let (configs, latest_config) = watch::channel(None);
        let outage = StoreOutage::default();
        let watch = ConfigWatch::new(store.clone(), service_token, configs, board.clone(), outage.clone())?;
        let conversation = settings.conversation.clone();
        if conversation.delete_revealed_after.is_some() {
            Deletions::prepare(&conversation.deletions_folder).map_err(BotError::Deletions)?;
        }
        let public_url = conversation.public_url.as_ref().map(PublicUrl::to_url);
        let simulate =
            |token| Simulator::new(store.clone(), outage.clone(), &timeouts, public_url.clone(), token, stop.clone());
        let simulator = settings.simulator_token.clone().map(simulate).transpose()?;
        let origins = OriginPolicy::new(&settings.hosts, conversation.public_url.as_ref().map(PublicUrl::host), 0);
        let grpc = BotGrpc {
            board: board.clone(),
            telegram: telegram.clone(),
            credentials: Credentials::new(store.clone(), service_token)?,
            stop: stop.clone(),
        };
        let services = Services::new(grpc, !settings.no_reflection);
        // What is neither a page nor a service is not found, rather than an answer of gRPC's to a browser.
        let grpc = services.routes.clone().prepare().into_axum_router().reset_fallback();
        let router = page::router(board.clone(), simulator, origins).merge(grpc);
        let webhook = settings.webhook().map(|webhook| {
            let door = WebhookEndpoint::new(usize::from(webhook.connections), timeouts.webhook_hold_timeout);
            (webhook, door)
        });
        let webhook_router = webhook.as_ref().map(|(webhook, door)| door.router(&webhook.path));
        let sessions = Sessions {
            telegram,
            store,
            service_token: service_token.clone(),
            outage,
            conversation,
            timeouts,
            set_aside_folder: settings.set_aside_folder.clone(),
            webhook,
            board: board.clone(),
            stop: stop.clone(),
        };
        Ok(Self { router, webhook: webhook_router, services, board, watch, latest_config, sessions, stop })
    }

    /// Its gRPC services, for a [`BotChannel`](mayfly_contracts::BotChannel) in the same process.
    #[must_use]
    pub fn routes(&self) -> Routes {
        self.services.routes.clone()
    }

    /// Runs the bot until it is stopped: serves its page and `BotService` on `listener` within the `limits` of the
    /// process, takes the last active app config from the store whenever that changes, and answers the chats. In the
    /// end the updates in hand are finished and confirmed, within seconds.
    ///
    /// # Errors
    ///
    /// [`BotError::Serve`].
    pub async fn run(self, listener: TcpListener, limits: ServerLimits) -> Result<(), BotError> {
        let Self { router, webhook, services, board, watch, latest_config, sessions, stop } = self;
        let request_limits = RequestLimits {
            limits: limits.clone(),
            callers: CallerSource::Direct,
            max_body_bytes: MAX_REQUEST_BYTES,
            response_bytes: Arc::new(|_| 0),
            server_streaming: SERVER_STREAMING_METHODS,
            bidi_streaming: BIDI_STREAMING_METHODS,
            reject: Arc::new(grpc::refused),
        };
        let router = request_limits.apply(router);
        // In front of the others, so that it can be at any path.
        let router = match webhook {
            Some(webhook) => webhook.fallback_service(router),
            None => router,
        };
        let serving = async {
            let served = http::serve(listener, router, limits, CallerSource::Direct, stop.clone()).await;
            served.map_err(BotError::Serve)
        };
        let watching = async {
            let watching = async { tokio::join!(watch.run(), services.report_health(&board)) };
            stop.run_until_cancelled(watching).await;
            Ok(())
        };
        let chatting = async {
            sessions.run(latest_config).await;
            Ok(())
        };
        tokio::try_join!(serving, watching, chatting).map(|((), (), ())| ())
    }
}
