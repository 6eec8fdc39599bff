//! A session serves one app config: it signs in, receives updates, and drains. There is one session at a time.

use std::path::PathBuf;

use mayfly_bootstrap::Secret;
use mayfly_contracts::StoreChannel;
use tokio::{sync::watch, time::sleep};
use tokio_util::sync::CancellationToken;
use tonic::metadata::AsciiMetadataValue;

use crate::{
    bot_key::{self, BotKey},
    conversation::context::Context,
    settings::{ConversationSettings, PublicUrl, Webhook},
    status::tracker::{State, StatusTracker},
    store_client::{StoreClient, StoreOutage},
    telegram::{
        client::{Identity, Telegram, TelegramApi},
        command_menu,
        deletions::Deletions,
        delivery::Delivery,
        session_retry::SessionRetry,
    },
    timeouts::Timeouts,
    updates::{
        chat_tasks::Handlers,
        dispatcher::Dispatcher,
        polling::Polling,
        spool::Spool,
        webhook::{UpdateReceiver, WebhookEndpoint},
    },
};

/// What all sessions share.
pub(crate) struct Sessions {
    pub telegram: TelegramApi,
    pub store: StoreChannel,
    /// The keys of the bots are derived from it.
    pub service_token: Secret,
    /// Its metadata, for calls to the store.
    pub authorization: AsciiMetadataValue,
    pub outage: StoreOutage,
    pub conversation: ConversationSettings,
    pub timeouts: Timeouts,
    /// The directory of the spool.
    pub spool_folder: PathBuf,
    /// The webhook and its endpoint, if updates arrive that way.
    pub webhook: Option<(Webhook, WebhookEndpoint)>,
    pub status: StatusTracker,
    pub stop: CancellationToken,
}

impl Sessions {
    /// Serves the bot whose token `latest` holds, and the next one after each change, until shutdown.
    pub(crate) async fn run(&self, mut latest: watch::Receiver<Option<Secret>>) {
        while !self.stop.is_cancelled() {
            let token = latest.borrow_and_update().clone();
            match token {
                Some(token) => self.serve(token, &mut latest).await,
                None => {
                    self.status.set_state(State::WaitingForConfig);
                    let _ = self.stop.run_until_cancelled(latest.changed()).await;
                }
            }
            self.status.set_bot(None);
            self.status.set_queued_updates(0);
            self.status.metrics().set_updates(0, 0);
        }
    }

    /// Serves one bot until `latest` changes.
    async fn serve(&self, token: Secret, latest: &mut watch::Receiver<Option<Secret>>) {
        let session_stop = self.stop.child_token();
        let session = self.session(&token, &session_stop);
        let replaced = async {
            // The sender lives as long as `run`. If it were dropped, no other config could arrive.
            let is_another = |latest: &Option<Secret>| latest.as_ref() != Some(&token);
            if latest.wait_for(is_another).await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        tokio::pin!(session, replaced);
        tokio::select! {
            () = &mut session => return,
            () = &mut replaced => tracing::info!("the last active app config changed; finishing with the old one"),
        }
        session_stop.cancel();
        session.await;
    }

    async fn session(&self, token: &Secret, session_stop: &CancellationToken) {
        let telegram = self.telegram.with_token(token);
        let Some(bot_name) = session_stop.run_until_cancelled(self.sign_in(&telegram)).await else { return };
        let store = StoreClient::new(
            self.store.clone(),
            self.authorization.clone(),
            self.outage.clone(),
            self.timeouts.clone(),
            self.stop.clone(),
        );
        let settings = &self.conversation;
        let bot = bot_key::bot_of(token);
        let bot_key = BotKey::of(&self.service_token, bot);
        let spool = Spool::new(&self.spool_folder, &bot_key);
        let deletions = Deletions::open(&settings.deletions_folder, bot, settings.delete_revealed_after);
        let context = Context {
            store: store.clone(),
            bot_key,
            bot_name,
            public_url: settings.public_url.as_ref().map(PublicUrl::to_url),
        };
        let delivery = Delivery {
            telegram: telegram.clone(),
            store,
            settings: settings.clone(),
            deletions: deletions.clone(),
            status: self.status.clone(),
        };
        let (timeouts, status) = (self.timeouts.clone(), self.status.clone());
        let dispatcher = Dispatcher::new(Handlers { context, delivery }, spool, timeouts.clone(), status.clone());
        let telegram = &telegram;
        let serving = async {
            let telegram = telegram.clone();
            match &self.webhook {
                None => {
                    Polling::new(telegram, dispatcher, timeouts, status).run(session_stop, &self.stop).await;
                }
                Some((webhook, endpoint)) => {
                    let bot_token = token;
                    let receiver =
                        UpdateReceiver { telegram, bot_token, webhook, endpoint, dispatcher, timeouts, status };
                    receiver.run(session_stop, &self.stop).await;
                }
            }
        };
        let beside = async {
            // Concurrently: Telegram may delay the command menu for minutes.
            tokio::join!(command_menu::register(telegram), deletions.run(telegram))
        };
        tokio::join!(serving, session_stop.run_until_cancelled(beside));
    }

    /// Retries until Telegram accepts the token. Returns the user name of the bot.
    async fn sign_in(&self, telegram: &Telegram) -> Option<String> {
        self.status.set_state(State::SigningIn);
        let mut retry = SessionRetry::new(&self.timeouts, self.status.clone());
        loop {
            match telegram.identity().await {
                Ok(Identity { user_name: name, .. }) => {
                    tracing::info!(bot = name.as_deref().unwrap_or("(unnamed)"), "signed in to Telegram");
                    self.status.set_bot(name.clone());
                    return name;
                }
                Err(error) => sleep(retry.failed(error)).await,
            }
        }
    }
}
