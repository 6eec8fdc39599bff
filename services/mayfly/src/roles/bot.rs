//! `mayfly bot`.

use mayfly_bootstrap::{DRAIN_LIMIT, Lifecycle, Secret, bind};
use mayfly_bot::BotSettings;
use mayfly_contracts::StoreChannel;
use mayfly_store::{DataSettings, MissingToken, TokenSettings};
use tokio::net::TcpListener;

use crate::{cli::StoreUrl, exit::Failure};

/// What `mayfly bot` is started with.
#[derive(Debug, clap::Args)]
pub(crate) struct BotRoleSettings {
    #[command(flatten)]
    bot: BotSettings,
    #[command(flatten)]
    store: StoreUrl,
    #[command(flatten)]
    data: DataSettings,
    #[command(flatten)]
    tokens: TokenSettings,
}

pub(crate) async fn run(settings: BotRoleSettings) -> Result<(), Failure> {
    let mut lifecycle = Lifecycle::new().map_err(Failure::failed)?;
    let token = settings.tokens.service_token(&settings.data, MissingToken::Refuse).map_err(Failure::failed)?;
    let store = settings.store.channel()?;
    let listener = listen(&settings.bot).await?;
    let address = settings.bot.bot_listen;
    start(&mut lifecycle, listener, store, token, settings.bot);
    tracing::info!(%address, "the bot is ready");
    Failure::of_end(lifecycle.run(DRAIN_LIMIT).await)
}

/// Binds the bot's listener.
pub(super) async fn listen(settings: &BotSettings) -> Result<TcpListener, Failure> {
    bind("--bot-listen", settings.bot_listen).await.map_err(Failure::failed)
}

/// Lets the bot serve.
pub(super) fn start(
    lifecycle: &mut Lifecycle,
    listener: TcpListener,
    store: StoreChannel,
    service_token: Secret,
    settings: BotSettings,
) {
    let serving = mayfly_bot::run(listener, store, service_token, settings, lifecycle.stop());
    lifecycle.spawn("bot", async move { Ok(serving.await?) });
}
