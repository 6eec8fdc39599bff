//! `mayfly bot`.

use mayfly_bootstrap::{
    DRAIN_TIMEOUT, Lifecycle, Secret, bind,
    http::{ServerLimits, origin::HostSettings},
};
use mayfly_bot::{Bot, BotSettings, MAX_REQUEST_BYTES};
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
    hosts: HostSettings,
    /// Do not tell callers which services and methods there are (gRPC server reflection).
    #[arg(long, env = "MAYFLY_NO_REFLECTION")]
    no_reflection: bool,
    #[command(flatten)]
    store: StoreUrl,
    #[command(flatten)]
    data: DataSettings,
    #[command(flatten)]
    tokens: TokenSettings,
}

pub(crate) async fn run(mut settings: BotRoleSettings) -> Result<(), Failure> {
    let mut lifecycle = Lifecycle::new().map_err(Failure::failed)?;
    let token = settings.tokens.service_token(&settings.data, MissingToken::Reject).map_err(Failure::failed)?;
    let store = settings.store.channel()?;
    let listener = listen(&mut settings.bot).await?;
    let address = settings.bot.bot_listen;
    complete(&mut settings.bot, &settings.hosts, &settings.data)?;
    settings.bot.no_reflection = settings.no_reflection;
    let bot = prepare(&lifecycle, store, &token, &settings.bot)?;
    start(&mut lifecycle, bot, listener, ServerLimits::new(MAX_REQUEST_BYTES));
    tracing::info!(%address, "the bot is ready");
    Failure::of_end(lifecycle.run(DRAIN_TIMEOUT).await)
}

/// Binds the bot's listener. From then on the settings tell its port.
pub(super) async fn listen(settings: &mut BotSettings) -> Result<TcpListener, Failure> {
    bind("--bot-listen", &mut settings.bot_listen).await.map_err(Failure::failed)
}

/// Adds to the bot's settings what follows from the process's others.
pub(super) fn complete(settings: &mut BotSettings, hosts: &HostSettings, data: &DataSettings) -> Result<(), Failure> {
    settings.conversation.deletions_folder = data.data_dir.join("bot-deletions");
    settings.set_aside_folder = data.data_dir.join("bot-set-aside");
    settings.hosts = hosts.clone();
    if settings.simulator {
        settings.simulator_token = Some(data.simulator_token().map_err(Failure::failed)?);
    }
    Ok(())
}

/// Makes the bot. Until it is started it does nothing.
pub(super) fn prepare(
    lifecycle: &Lifecycle,
    store: StoreChannel,
    service_token: &Secret,
    settings: &BotSettings,
) -> Result<Bot, Failure> {
    Bot::new(store, service_token, settings, lifecycle.stop()).map_err(Failure::failed)
}

/// Lets the bot serve.
pub(super) fn start(lifecycle: &mut Lifecycle, bot: Bot, listener: TcpListener, limits: ServerLimits) {
    lifecycle.spawn("bot", async move { Ok(bot.run(listener, limits).await?) });
}
