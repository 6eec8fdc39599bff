//! Telegram in front of the store: whoever writes `new:a text` to the bot gets `id:token`, and whoever writes `id:token`
//! gets the text, once.
//!
//! An update travels in one direction: `polling` fetches it and keeps it unconfirmed in its `window`, or Telegram brings it to the
//! `webhook`; `incoming` takes out what matters, `chats` keeps the order within its chat, `intent` says what is wanted, `handlers` ask the `store` and
//! word the answer with `replies`, `delivery` sends it through `telegram`. Only then is the update confirmed to Telegram, so that a crash in
//! between brings it again instead of losing it. What an update causes can therefore happen twice and is made for that.
//!
//! Knows nothing of the database: the store is a [`StoreChannel`].

mod settings;

mod config_watch;
mod session;

mod polling;
mod window;

mod webhook;

mod chats;
#[expect(dead_code, reason = "no handler answers with buttons yet")]
mod incoming;

mod intent;
mod keywords;

#[expect(dead_code, reason = "no handler answers with buttons yet")]
mod answer;
mod handlers;
mod language;
mod replies;

mod delivery;
mod store;
mod telegram;

mod flood;
mod pacing;
mod rate;
mod timing;
mod troubles;

mod page;
mod simulator;
mod status;

#[cfg(test)]
mod tests;

use std::io;

use mayfly_bootstrap::Secret;
use mayfly_contracts::StoreChannel;
use tokio::{net::TcpListener, sync::watch};
use tokio_util::sync::CancellationToken;

pub use settings::BotSettings;

use crate::{
    config_watch::ConfigWatch,
    rate::Rate,
    session::Sessions,
    simulator::Simulator,
    status::StatusBoard,
    store::Outage,
    telegram::TelegramApi,
    timing::{FLOOD_BURST, Timing},
    webhook::Door,
};

/// Why the bot cannot run. A store or a Telegram that is away, or a token that Telegram refuses, is not among these:
/// the bot waits for them.
#[derive(Debug, thiserror::Error)]
pub enum BotError {
    /// The service token cannot travel in the metadata of a call.
    #[error("the service token is not visible ASCII")]
    ServiceToken,
    /// The client for Telegram cannot be made, mostly for want of TLS roots.
    #[error("cannot make an HTTP client for Telegram")]
    HttpClient(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The operating system gives no random bytes.
    #[error("the operating system gives no random bytes")]
    Randomness,
    /// The status page cannot be served.
    #[error("cannot serve the status page")]
    Serve(#[source] io::Error),
}

/// Runs the bot until `stop` is cancelled: serves its status page on `listener`, takes the last active app config from
/// the store whenever that changes, and answers the chats. On `stop` the updates in hand are finished and confirmed,
/// within seconds.
///
/// # Errors
///
/// [`BotError`]; all but [`BotError::Serve`] before anything is done.
pub async fn run(
    listener: TcpListener,
    store: StoreChannel,
    service_token: Secret,
    settings: BotSettings,
    stop: CancellationToken,
) -> Result<(), BotError> {
    let timing = Timing {
        store_patience: settings.retry_for,
        flood_rate: Rate::per_minute(settings.chat_messages_per_minute, FLOOD_BURST),
        overall_rate: Rate::per_second(settings.messages_per_second),
        ..Timing::default()
    };
    run_with(listener, store, service_token, settings, timing, stop).await
}

async fn run_with(
    listener: TcpListener,
    store: StoreChannel,
    service_token: Secret,
    settings: BotSettings,
    timing: Timing,
    stop: CancellationToken,
) -> Result<(), BotError> {
    let telegram = TelegramApi::new(&settings.telegram_api_url, &timing)?;
    let board = StatusBoard::default();
    let (configs, latest_config) = watch::channel(None);
    let outage = Outage::default();
    let watch = ConfigWatch::new(store.clone(), &service_token, configs, board.clone(), outage.clone())?;
    let simulator =
        settings.simulator.then(|| Simulator::new(store.clone(), outage.clone(), &timing, stop.clone())).transpose()?;
    let mut routes = page::router(board.clone(), simulator);
    let webhook = settings.webhook().map(|webhook| {
        let door = Door::new(usize::from(webhook.connections), timing.webhook_hold);
        // In front of the page, so that it can be at any path.
        routes = door.router(&webhook.path).fallback_service(std::mem::take(&mut routes));
        (webhook, door)
    });
    let sessions = Sessions { telegram, store, outage, timing, webhook, board, stop: stop.clone() };

    let page = async {
        let served = mayfly_bootstrap::http::serve(listener, routes, stop.clone()).await;
        served.map_err(BotError::Serve)
    };
    let watching = async {
        stop.run_until_cancelled(watch.run()).await;
        Ok(())
    };
    let chatting = async {
        sessions.run(latest_config).await;
        Ok(())
    };
    tokio::try_join!(page, watching, chatting).map(|((), (), ())| ())
}
