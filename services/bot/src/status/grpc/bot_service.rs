//! `BotService`: returns the status of the bot, and tests an app config at Telegram.

use std::{pin::Pin, time::Duration};

use futures_util::{Stream, StreamExt as _, stream};
use mayfly_bootstrap::Secret;
use mayfly_contracts::bot::{
    BotMode, BotState, BotStatus, GetBotStatusRequest, GetBotStatusResponse, TestAppConfigRequest,
    TestAppConfigResponse, TestOutcome, WatchBotStatusRequest, WatchBotStatusResponse, bot_service_server::BotService,
};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use super::credentials::Credentials;
use crate::{
    status::tracker::{Mode, State, StatusTracker},
    telegram::{client::TelegramApi, errors::TelegramError},
};

/// The minimum interval between messages to a watcher. The status of a busy bot changes with every update.
const WATCH_PAUSE: Duration = Duration::from_millis(250);
/// The timeout of a test at Telegram. A user waits for it.
const TEST_LIMIT: Duration = Duration::from_secs(10);

pub(crate) struct BotGrpc {
    pub status: StatusTracker,
    pub telegram: TelegramApi,
    pub credentials: Credentials,
    pub stop: CancellationToken,
}

#[tonic::async_trait]
impl BotService for BotGrpc {
    async fn get_bot_status(
        &self,
        request: Request<GetBotStatusRequest>,
    ) -> Result<Response<GetBotStatusResponse>, Status> {
        self.credentials.require_admin(request.metadata()).await?;
        Ok(Response::new(GetBotStatusResponse { status: Some(to_wire(self.status.snapshot())) }))
    }

    type WatchBotStatusStream = Pin<Box<dyn Stream<Item = Result<WatchBotStatusResponse, Status>> + Send>>;

    async fn watch_bot_status(
        &self,
        request: Request<WatchBotStatusRequest>,
    ) -> Result<Response<Self::WatchBotStatusStream>, Status> {
        self.credentials.require_admin(request.metadata()).await?;
        let statuses = watch(self.status.clone());
        let responses = statuses.map(|status| Ok(WatchBotStatusResponse { status: Some(status) }));
        Ok(Response::new(Box::pin(responses.take_until(self.stop.clone().cancelled_owned()))))
    }

    async fn test_app_config(
        &self,
        request: Request<TestAppConfigRequest>,
    ) -> Result<Response<TestAppConfigResponse>, Status> {
        let config = self.credentials.reveal(request.metadata(), request.get_ref().id).await?;
        let telegram = self.telegram.with_token(&Secret::new(config.bot_token));
        let identity = timeout(TEST_LIMIT, telegram.identity()).await.unwrap_or(Err(TelegramError::Unreachable));
        let response = match identity {
            Ok(identity) => TestAppConfigResponse {
                outcome: TestOutcome::Ok.into(),
                user_name: identity.user_name.unwrap_or_default(),
                display_name: identity.display_name,
            },
            Err(error) => TestAppConfigResponse { outcome: outcome(error).into(), ..TestAppConfigResponse::default() },
        };
        tracing::info!(
            config = config.id,
            outcome = response.outcome().as_str_name(),
            "tried an app config at Telegram"
        );
        Ok(Response::new(response))
    }
}

/// Returns the status now and after each change, without end. Merges fast changes.
fn watch(status: StatusTracker) -> impl Stream<Item = BotStatus> {
    stream::unfold((status.subscribe(), None), async move |(mut changes, last)| {
        if last.is_some() {
            sleep(WATCH_PAUSE).await;
        }
        loop {
            let status = to_wire(changes.borrow_and_update().for_display());
            // Some changes are not part of the message.
            if last.as_ref() != Some(&status) {
                return Some((status.clone(), (changes, Some(status))));
            }
            changes.changed().await.ok()?;
        }
    })
}

fn to_wire(status: crate::status::tracker::Status) -> BotStatus {
    let state = match status.state {
        State::WaitingForStore => BotState::WaitingForStore,
        State::WaitingForConfig => BotState::WaitingForConfig,
        State::SigningIn => BotState::SigningIn,
        State::TokenRefused => BotState::TokenRefused,
        State::TelegramUnreachable => BotState::TelegramUnreachable,
        State::Conflict => BotState::Conflict,
        State::WebhookRefused => BotState::WebhookRefused,
        State::Serving => BotState::Serving,
    };
    let mode = match status.mode {
        Mode::Polling => BotMode::Polling,
        Mode::Webhook => BotMode::Webhook,
    };
    BotStatus {
        state: state.into(),
        mode: mode.into(),
        user_name: status.bot.unwrap_or_default(),
        app_config_id: status.app_config_id.unwrap_or_default(),
        last_update_time: status.last_update.map(prost_types::Timestamp::from),
        queued_updates: u32::try_from(status.queued_updates).unwrap_or(u32::MAX),
        failed_updates: status.failed_updates,
        version: env!("CARGO_PKG_VERSION").to_owned(),
    }
}

fn outcome(error: TelegramError) -> TestOutcome {
    match error {
        TelegramError::TokenRefused => TestOutcome::TokenRefused,
        TelegramError::Flood(_)
        | TelegramError::Unreachable
        | TelegramError::AnotherPoller
        | TelegramError::WebhookIsSet
        | TelegramError::ChatGone
        | TelegramError::TextUnfit
        | TelegramError::Refused => TestOutcome::TelegramUnreachable,
    }
}
