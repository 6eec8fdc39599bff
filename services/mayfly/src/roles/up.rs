//! `mayfly up`: all roles in one process. They call each other without a network.

use std::{fmt::Display, path::PathBuf};

use mayfly_bootstrap::{
    Lifecycle,
    http::origin::HostSettings,
    metrics_listener::MetricsSettings,
    parent_dir,
    tls::{ClientTlsSettings, ServerTlsSettings},
    trace::OtlpSettings,
};
use mayfly_bot::{BotSettings, PublicUrl};
use mayfly_contracts::{
    ErrorInfo, StoreChannel,
    config::{GetLastActiveAppConfigRequest, config_service_client::ConfigServiceClient},
    error::ErrorReason,
};
use mayfly_gateway_rest::{GatewayMetrics, GatewaySettings, Upstreams};
use mayfly_store::{DataSettings, MissingToken, OpenSettings};

use super::{
    RoleParts, RoleSettings, bot, follow_tls_files, gateway, load_tls, metrics, process_limits, store, traces,
};
use crate::{
    commands::write_stdout,
    endpoints::{StoreUrl, on_this_machine},
    error::CliError,
};

/// Arguments of `mayfly up`.
#[derive(Debug, clap::Args)]
pub(crate) struct UpSettings {
    #[command(flatten)]
    open: OpenSettings,
    #[command(flatten)]
    gateway: GatewaySettings,
    #[command(flatten)]
    bot: BotSettings,
    #[command(flatten)]
    hosts: HostSettings,
    #[command(flatten)]
    tls: ServerTlsSettings,
    #[command(flatten)]
    metrics: MetricsSettings,
    #[command(flatten)]
    client_tls: ClientTlsSettings,
    #[command(flatten)]
    otlp: OtlpSettings,
}

impl RoleSettings for UpSettings {
    fn parts(&self) -> RoleParts<'_> {
        let Self { open, gateway, bot, hosts: _, tls, metrics, client_tls, otlp } = self;
        RoleParts {
            name: "up",
            store: Some(open),
            data: Some(&open.data),
            tokens: Some(&open.tokens),
            gateway: Some(gateway),
            bot: Some(bot),
            public_url: bot.conversation.public_url.as_ref(),
            metrics,
            tls,
            client_tls,
            otlp,
            store_url: None,
            bot_url: None,
        }
    }
}

pub(crate) async fn run(mut settings: UpSettings) -> Result<(), CliError> {
    let mut lifecycle = Lifecycle::new().map_err(CliError::failed)?;
    let export = traces::start(&settings.otlp, &settings.client_tls, "mayfly")?;
    let tls = load_tls(&settings.tls)?;
    let store_listener = store::listen(&mut settings.open, tls.as_ref()).await?;
    let gateway_listeners = gateway::listen(&mut settings.gateway, tls.as_ref()).await?;
    let bot_listener = bot::listen(&mut settings.bot, tls.as_ref()).await?;
    let metrics_listener = metrics::listen(&mut settings.metrics, tls.as_ref()).await?;

    let limits = process_limits(&settings.open.limits);
    let store = store::start(&mut lifecycle, &settings.open, store_listener, limits.clone()).await?;
    let channel = traces::local(store.routes());
    let token = settings.open.tokens.service_token(&settings.open.data, MissingToken::Reject)?;
    let proxies = settings.gateway.proxies(Some(&token))?;
    let client = client_command(&settings);
    let description = bot_instructions(channel.clone(), &client).await?;
    bot::apply_process_settings(&mut settings.bot, &settings.hosts, &settings.open.data)?;
    settings.bot.no_reflection = settings.open.store.no_reflection;
    let bot = bot::build(&lifecycle, channel.clone(), &token, &settings.bot)?;
    let has_reflection = !settings.open.store.no_reflection;
    let bot_channel = traces::local(bot.routes());
    let metrics = GatewayMetrics::default();
    let upstreams = Upstreams { store: channel, bot: bot_channel, has_reflection, metrics };
    let public_url = settings.bot.conversation.public_url.as_ref();
    let origins = gateway::origins(&settings.gateway, &settings.hosts, public_url);
    let public_port = public_url.and_then(PublicUrl::https_port);
    gateway::start_redirect(&mut lifecycle, &mut settings.gateway, public_port, limits.clone()).await?;
    let channel = upstreams.store.clone();
    metrics::start(&mut lifecycle, metrics_listener, tls.as_ref(), origins.clone(), channel.clone(), |metrics| {
        limits.register(metrics);
        store.register(metrics);
        upstreams.metrics.register(channel, metrics);
        bot.register(metrics);
    });
    let texts = &settings.open.limits;
    gateway::start(&mut lifecycle, gateway_listeners, upstreams, proxies, origins, texts, limits.clone());
    bot::start(&mut lifecycle, bot, bot_listener, limits);
    follow_tls_files(&mut lifecycle, tls);
    write_stdout(banner(&settings, &client, &description)?.as_bytes())?;
    traces::run(lifecycle, export).await
}

/// Names the bot, or describes how to configure one.
async fn bot_instructions(store: StoreChannel, client: &ClientCommand) -> Result<String, CliError> {
    let response = ConfigServiceClient::new(store).get_last_active_app_config(GetLastActiveAppConfigRequest {}).await;
    match response {
        Ok(response) => {
            let name = response.into_inner().app_config.unwrap_or_default().session_name;
            Ok(format!("The bot uses the app config \"{name}\".\n"))
        }
        Err(status) if ErrorInfo::from_status(&status).reason == ErrorReason::AppConfigNotFound => Ok(format!(
            "The bot waits for its configuration. Get api_id and api_hash from my.telegram.org/apps and a token from \
             @BotFather, then run:\n\
             \x20 {program} config add --session-name NAME --api-id N --api-hash HASH --bot-token TOKEN{store}{data}\n\
             Or open /admin of the web page, with the token that {program} token{data} prints.\n",
            program = client.program,
            store = client.store,
            data = client.data,
        )),
        Err(status) => Err(status.into()),
    }
}

/// The scheme of all listeners but the one that redirects.
fn scheme(settings: &UpSettings) -> &'static str {
    if settings.tls.tls_cert.is_some() { "https" } else { "http" }
}

/// The URL of the simulator.
fn simulator_instructions(settings: &BotSettings, scheme: &str) -> String {
    let Some(token) = &settings.simulator_token else { return String::new() };
    let address = on_this_machine(settings.bot_listen);
    format!(
        "Or chat with the bot in a browser, without Telegram: write new:hello at\n\
         \x20 {scheme}://{address}/#{token}\n\
         \n",
        token = token.expose()
    )
}

/// The command that calls this store from another terminal: the program, and the flags that differ from their defaults.
struct ClientCommand {
    program: String,
    store: String,
    data: String,
}

/// The default value of an argument.
fn default_of<A: clap::Args>(argument: &str) -> Option<String> {
    let command = A::augment_args(clap::Command::new("mayfly"));
    let argument = command.get_arguments().find(|found| found.get_id() == argument)?;
    argument.get_default_values().first()?.to_str().map(str::to_owned)
}

fn flag(name: &str, value: impl Display) -> String {
    format!(" {name} {value}")
}

/// The flags with which commands verify the certificate of this process, and show one of their own. A name in capitals
/// stands for a file that is not known here.
fn tls_flags(settings: &UpSettings) -> String {
    let ServerTlsSettings { tls_cert, tls_key: _, tls_client_ca } = &settings.tls;
    let own = settings.tls.inspect().ok().and_then(|own| own.into_iter().find(|own| own.setting == "--tls-cert"));
    let (Some(own), Some(tls_cert)) = (own, tls_cert) else { return String::new() };
    let mut flags = String::new();
    if own.is_public() != Some(true) {
        // `mayfly certs` writes the authority beside the certificate. A certificate can be its own authority.
        let beside = parent_dir(tls_cert).join("ca.pem");
        let files = [settings.client_tls.ca.as_ref(), Some(&beside), tls_client_ca.as_ref(), Some(tls_cert)];
        let authority = files.into_iter().flatten().find(|file| own.is_issued_by(file));
        flags += &authority.map_or_else(|| flag("--ca", "CA"), |file| flag("--ca", file.display()));
    }
    if tls_client_ca.is_some() {
        flags += " --client-cert CERTIFICATE --client-key KEY";
    }
    flags
}

fn client_command(settings: &UpSettings) -> ClientCommand {
    let given = |name: &str, value: String, default: Option<String>| {
        if default.as_ref() == Some(&value) { String::new() } else { flag(name, value) }
    };
    let OpenSettings { store, data, .. } = &settings.open;
    // A certificate is for the public name, under which the gateway forwards gRPC to the store.
    let url = match &settings.bot.conversation.public_url {
        Some(public) if settings.tls.tls_cert.is_some() => public.to_url().to_string(),
        _ => format!("{}://{}", scheme(settings), on_this_machine(store.store_listen)),
    };
    ClientCommand {
        program: std::env::args().next().unwrap_or_else(|| "mayfly".to_owned()),
        store: given("--store-url", url, default_of::<StoreUrl>("store_url")) + &tls_flags(settings),
        data: given("--data-dir", data.data_dir.display().to_string(), default_of::<DataSettings>("data_dir")),
    }
}

fn banner(settings: &UpSettings, client: &ClientCommand, bot: &str) -> Result<String, CliError> {
    let UpSettings { open, gateway, bot: bot_settings, metrics, .. } = settings;
    let scheme = scheme(settings);
    let database = open.database.database(&open.data)?.describe();
    let gateways: Vec<_> = gateway.gateway_listen.iter().map(|address| format!("{scheme}://{address}")).collect();
    let metrics = metrics.metrics_listen.map(|address| format!("\x20 metrics          {scheme}://{address}/metrics\n"));
    let absolute = |path: PathBuf| std::path::absolute(&path).unwrap_or(path);
    Ok(format!(
        "Mayfly is up.\n\
         \x20 web page, REST   {}\n\
         \x20 gRPC             {}\n\
         \x20 bot status       {scheme}://{}\n\
         {metrics}\
         \x20 messages         {database}\n\
         \x20 keyring          {}\n\
         \x20 tokens           {}\n\
         Keep a copy of the keyring, but not beside a copy of the database.\n\
         \n\
         Try it in another terminal:\n\
         \x20 {program} new hello{store}\n\
         \x20 {program} view ID:TOKEN{store}\n\
         \n\
         {simulator}\
         {bot}",
        gateways.join(", "),
        open.store.store_listen,
        bot_settings.bot_listen,
        absolute(open.store.keyring.path(&open.data)).display(),
        absolute(open.data.data_dir.clone()).display(),
        metrics = metrics.unwrap_or_default(),
        program = client.program,
        store = client.store,
        simulator = simulator_instructions(bot_settings, scheme),
    ))
}
