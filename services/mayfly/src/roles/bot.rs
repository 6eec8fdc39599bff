//! `mayfly bot`.

use mayfly_bootstrap::{
    Lifecycle, Listener, Secret, bind,
    http::{
        ServerLimits,
        origin::{HostSettings, OriginPolicy},
    },
    metrics_listener::MetricsSettings,
    tls::{ServerTls, ServerTlsSettings},
    trace::OtlpSettings,
};
use mayfly_bot::{Bot, BotSettings, MAX_REQUEST_BYTES, PublicUrl};
use mayfly_contracts::StoreChannel;
use mayfly_store::{DataSettings, MissingToken, TokenSettings};

use super::{RoleParts, RoleSettings, follow_tls_files, load_tls, metrics, traces};
use crate::{endpoints::StoreUrl, error::CliError};

/// Arguments of `mayfly bot`.
#[derive(Debug, clap::Args)]
pub(crate) struct BotRoleSettings {
    #[command(flatten)]
    bot: BotSettings,
    #[command(flatten)]
    hosts: HostSettings,
    /// Disable gRPC server reflection.
    #[arg(long, env = "MAYFLY_NO_REFLECTION")]
    no_reflection: bool,
    #[command(flatten)]
    store: StoreUrl,
    #[command(flatten)]
    data: DataSettings,
    #[command(flatten)]
    tokens: TokenSettings,
    #[command(flatten)]
    tls: ServerTlsSettings,
    #[command(flatten)]
    metrics: MetricsSettings,
    #[command(flatten)]
    otlp: OtlpSettings,
}

impl RoleSettings for BotRoleSettings {
    fn parts(&self) -> RoleParts<'_> {
        let Self { bot, hosts: _, no_reflection: _, store, data, tokens, tls, metrics, otlp } = self;
        RoleParts {
            name: "bot",
            store: None,
            data: Some(data),
            tokens: Some(tokens),
            gateway: None,
            bot: Some(bot),
            public_url: bot.conversation.public_url.as_ref(),
            metrics,
            tls,
            client_tls: &store.tls,
            otlp,
            store_url: Some(store),
            bot_url: None,
        }
    }
}

pub(crate) async fn run(mut settings: BotRoleSettings) -> Result<(), CliError> {
    let mut lifecycle = Lifecycle::new().map_err(CliError::failed)?;
    let export = traces::start(&settings.otlp, &settings.store.tls, "mayfly-bot")?;
    let token = settings.tokens.service_token(&settings.data, MissingToken::Reject)?;
    let store = settings.store.channel()?;
    let tls = load_tls(&settings.tls)?;
    let listener = listen(&mut settings.bot, tls.as_ref()).await?;
    let metrics_listener = metrics::listen(&mut settings.metrics, tls.as_ref()).await?;
    let address = settings.bot.bot_listen;
    apply_process_settings(&mut settings.bot, &settings.hosts, &settings.data)?;
    settings.bot.no_reflection = settings.no_reflection;
    let bot = build(&lifecycle, store.clone(), &token, &settings.bot)?;
    let limits = ServerLimits::new(MAX_REQUEST_BYTES);
    let public_host = settings.bot.conversation.public_url.as_ref().map(PublicUrl::host);
    let origins = OriginPolicy::new(&settings.hosts, public_host, 0);
    metrics::start(&mut lifecycle, metrics_listener, tls.as_ref(), origins, store, |metrics| {
        limits.register(metrics);
        bot.register(metrics);
    });
    start(&mut lifecycle, bot, listener, limits);
    follow_tls_files(&mut lifecycle, tls);
    tracing::info!(%address, "the bot is ready");
    traces::run(lifecycle, export).await
}

/// Binds the bot's listener, and stores its port in the settings.
pub(super) async fn listen(settings: &mut BotSettings, tls: Option<&ServerTls>) -> Result<Listener, CliError> {
    bind("--bot-listen", &mut settings.bot_listen, tls).await.map_err(CliError::failed)
}

/// Completes the bot's settings from other settings of the process.
pub(super) fn apply_process_settings(
    settings: &mut BotSettings,
    hosts: &HostSettings,
    data: &DataSettings,
) -> Result<(), CliError> {
    settings.conversation.deletions_folder = data.data_dir.join("bot-deletions");
    settings.spool_folder = data.data_dir.join("bot-set-aside");
    settings.hosts = hosts.clone();
    if settings.simulator {
        settings.simulator_token = Some(data.simulator_token()?);
    }
    Ok(())
}

/// Builds the bot, without starting it.
pub(super) fn build(
    lifecycle: &Lifecycle,
    store: StoreChannel,
    service_token: &Secret,
    settings: &BotSettings,
) -> Result<Bot, CliError> {
    Bot::new(store, service_token, settings, lifecycle.stop()).map_err(CliError::failed)
}

/// Starts the bot.
pub(super) fn start(lifecycle: &mut Lifecycle, bot: Bot, listener: Listener, limits: ServerLimits) {
    lifecycle.spawn("bot", async move { Ok(bot.run(listener, limits).await?) });
}
