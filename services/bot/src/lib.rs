//! The Telegram bot of Mayfly. It replies to `new:a text` with `id:token`, and to `id:token` with the text, once.
//!
//! `updates` receives an update by polling or by webhook and keeps it unconfirmed. It parses the update into an event
//! and dispatches it in the order of its chat. `conversation` handles the event with the store and returns a reply, and
//! `telegram` delivers the reply. Only then is the update confirmed to Telegram, so that a crash loses nothing. An
//! update can therefore be handled twice, and all effects are idempotent.
//!
//! The bot has no access to the database: the store is a [`StoreChannel`].

mod bot_key;
mod config_watch;
mod conversation;
mod error;
mod gcra;
mod metrics;
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

use std::{sync::Arc, time::Instant};

use axum::{
    Router,
    extract::{MatchedPath, Request, State},
    middleware::{self, Next},
    response::Response,
};
use mayfly_bootstrap::{
    Listener, Secret,
    http::{self, CallerSource, ListenerInfo, RequestLimits, ServerLimits, origin::OriginPolicy},
    metrics::{HttpMetrics, Metrics},
};
use mayfly_contracts::{BIDI_STREAMING_METHODS, SERVER_STREAMING_METHODS, StoreChannel, add_request_id, rpc_name};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;

pub use error::BotError;
pub use settings::{BotSettings, ConversationSettings, PublicUrl, parse_web_url};
pub use telegram::{
    log_out::{LogOutError, log_out},
    probe::{ProbeError, TelegramProbe, WebhookState, probe},
};

use crate::{
    config_watch::ConfigWatch,
    gcra::Rate,
    session::Sessions,
    simulator::Simulator,
    status::{
        grpc::{self, BotGrpc, Credentials, Services},
        page,
        tracker::StatusTracker,
    },
    store_client::StoreOutage,
    telegram::{client::TelegramApi, deletions::Deletions},
    timeouts::{INBOUND_CHAT_BURST, Timeouts},
    updates::webhook::WebhookEndpoint,
};

/// The largest request that the bot accepts. Much larger than any update: the texts of Telegram have at most 4096
/// characters.
pub const MAX_REQUEST_BYTES: usize = 1 << 20;

/// A bot that is ready to run.
pub struct Bot {
    router: Router,
    /// The webhook has its own limits, and authenticates the caller before it reads the body.
    webhook: Option<Router>,
    services: Services,
    status: StatusTracker,
    watch: ConfigWatch,
    latest_config: watch::Receiver<Option<Secret>>,
    sessions: Sessions,
    stop: CancellationToken,
}

impl Bot {
    /// Creates a bot that calls `store` with `service_token` and stops when `stop` is cancelled. Starts nothing.
    ///
    /// # Errors
    ///
    /// Every [`BotError`] except [`BotError::Serve`].
    pub fn new(
        store: StoreChannel,
        service_token: &Secret,
        settings: &BotSettings,
        stop: CancellationToken,
    ) -> Result<Self, BotError> {
        let timeouts = Timeouts {
            store_timeout: settings.store_outage_timeout,
            inbound_chat_rate: Rate::per_minute(settings.chat_messages_per_minute, INBOUND_CHAT_BURST),
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
        let status = StatusTracker::default();
        let telegram = TelegramApi::new(&settings.telegram_api_url, &timeouts, status.metrics().clone())?;
        let (configs, latest_config) = watch::channel(None);
        let outage = StoreOutage::default();
        let watch = ConfigWatch::new(store.clone(), service_token, configs, status.clone(), outage.clone())?;
        let conversation = settings.conversation.clone();
        if conversation.delete_revealed_after.is_some() {
            Deletions::prepare(&conversation.deletions_folder).map_err(BotError::Deletions)?;
        }
        let public_url = conversation.public_url.as_ref().map(PublicUrl::to_url);
        let authorization = grpc::bearer(service_token)?;
        let simulate = |token| {
            let (store, authorization) = (store.clone(), authorization.clone());
            Simulator::new(store, authorization, outage.clone(), &timeouts, public_url.clone(), token, stop.clone())
        };
        let simulator = settings.simulator_token.clone().map(simulate).transpose()?;
        let origins = OriginPolicy::new(&settings.hosts, conversation.public_url.as_ref().map(PublicUrl::host), 0);
        let grpc = BotGrpc {
            status: status.clone(),
            telegram: telegram.clone(),
            credentials: Credentials::new(store.clone(), service_token)?,
            stop: stop.clone(),
        };
        let services = Services::new(grpc, !settings.no_reflection, &status.metrics().rpcs);
        // Unknown paths get an HTTP 404 instead of a gRPC status.
        let grpc = services.routes.clone().prepare().into_axum_router().reset_fallback();
        let router = page::router(status.clone(), simulator, origins).merge(grpc);
        let router = router.layer(middleware::from_fn_with_state(status.metrics().http.clone(), count_request));
        let webhook = settings.webhook().map(|webhook| {
            let endpoint = WebhookEndpoint::new(usize::from(webhook.connections), timeouts.webhook_hold_timeout);
            (webhook, endpoint)
        });
        let webhook_router = webhook.as_ref().map(|(webhook, endpoint)| endpoint.router(&webhook.path));
        let sessions = Sessions {
            telegram,
            store,
            service_token: service_token.clone(),
            authorization,
            outage,
            conversation,
            timeouts,
            spool_folder: settings.spool_folder.clone(),
            webhook,
            status: status.clone(),
            stop: stop.clone(),
        };
        Ok(Self { router, webhook: webhook_router, services, status, watch, latest_config, sessions, stop })
    }

    /// The gRPC services, for a [`BotChannel`](mayfly_contracts::BotChannel) in the same process.
    #[must_use]
    pub fn routes(&self) -> Routes {
        self.services.routes.clone()
    }

    /// Registers the metrics of this bot.
    pub fn register(&self, metrics: &mut Metrics) {
        self.status.register(metrics);
    }

    /// Runs the bot until shutdown: serves its page and `BotService` on `listener` within the `limits` of the process,
    /// watches the last active app config in the store, and replies in the chats. At shutdown, it finishes and confirms
    /// the updates in flight within seconds.
    ///
    /// # Errors
    ///
    /// [`BotError::Serve`].
    pub async fn run(self, listener: impl Into<Listener>, limits: ServerLimits) -> Result<(), BotError> {
        let Self { router, webhook, services, status, watch, latest_config, sessions, stop } = self;
        let request_limits = RequestLimits {
            limits: limits.clone(),
            callers: CallerSource::Direct,
            max_body_bytes: MAX_REQUEST_BYTES,
            response_bytes: Arc::new(|_| 0),
            server_streaming: SERVER_STREAMING_METHODS,
            bidi_streaming: BIDI_STREAMING_METHODS,
            reject: Arc::new(grpc::rejected),
            listener: ListenerInfo { name: "bot", route: None, rpc_name, add_request_id },
        };
        let router = request_limits.apply(router);
        // The webhook is matched first, so that it can have any path.
        let router = match webhook {
            Some(webhook) => webhook.fallback_service(router),
            None => router,
        };
        let serving = async {
            let served = http::serve(listener, router, limits, CallerSource::Direct, stop.clone()).await;
            served.map_err(BotError::Serve)
        };
        let watching = async {
            let watching = async { tokio::join!(watch.run(), services.report_health(&status)) };
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

/// Counts a request of the page or the simulator. Calls of gRPC are counted by their services.
async fn count_request(State(metrics): State<HttpMetrics>, request: Request, next: Next) -> Response {
    let (began, route) = (Instant::now(), request.extensions().get::<MatchedPath>().cloned());
    let response = next.run(request).await;
    let route = route.as_ref().map(MatchedPath::as_str);
    if !route.is_some_and(|route| route.starts_with("/mayfly.") || route.starts_with("/grpc.")) {
        metrics.record(route, response.status(), began.elapsed());
    }
    response
}
