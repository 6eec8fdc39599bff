//! `mayfly gateway`.

use std::net::SocketAddr;

use mayfly_bootstrap::{
    Lifecycle, Listener, bind,
    http::{
        ServerLimits,
        origin::{HostSettings, OriginPolicy},
    },
    metrics_listener::MetricsSettings,
    tls::{ServerTls, ServerTlsSettings},
    trace::OtlpSettings,
};
use mayfly_bot::PublicUrl;
use mayfly_gateway_rest::{GatewayMetrics, GatewaySettings, Proxies, Upstreams};
use mayfly_store::LimitSettings;

use super::{RoleParts, RoleSettings, follow_tls_files, load_tls, metrics, process_limits, traces};
use crate::{
    endpoints::{BotUrl, StoreUrl},
    error::CliError,
};

/// Arguments of `mayfly gateway`.
#[derive(Debug, clap::Args)]
pub(crate) struct GatewayRoleSettings {
    #[command(flatten)]
    gateway: GatewaySettings,
    #[command(flatten)]
    hosts: HostSettings,
    /// The public URL of the gateway, such as `https://mayfly.example.org`.
    #[arg(long, env = "MAYFLY_PUBLIC_URL", value_name = "URL")]
    public_url: Option<PublicUrl>,
    /// Disable gRPC server reflection.
    #[arg(long, env = "MAYFLY_NO_REFLECTION")]
    no_reflection: bool,
    #[command(flatten)]
    limits: LimitSettings,
    #[command(flatten)]
    store: StoreUrl,
    #[command(flatten)]
    bot: BotUrl,
    #[command(flatten)]
    tls: ServerTlsSettings,
    #[command(flatten)]
    metrics: MetricsSettings,
    #[command(flatten)]
    otlp: OtlpSettings,
}

impl RoleSettings for GatewayRoleSettings {
    fn parts(&self) -> RoleParts<'_> {
        let Self { gateway, hosts: _, public_url, no_reflection: _, limits: _, store, bot, tls, metrics, otlp } = self;
        RoleParts {
            name: "gateway",
            store: None,
            data: None,
            tokens: None,
            gateway: Some(gateway),
            bot: None,
            public_url: public_url.as_ref(),
            metrics,
            tls,
            client_tls: &store.tls,
            otlp,
            store_url: Some(store),
            bot_url: Some(bot),
        }
    }
}

pub(crate) async fn run(mut settings: GatewayRoleSettings) -> Result<(), CliError> {
    let mut lifecycle = Lifecycle::new().map_err(CliError::failed)?;
    let export = traces::start(&settings.otlp, &settings.store.tls, "mayfly-gateway")?;
    let upstreams = Upstreams {
        store: settings.store.channel()?,
        bot: settings.bot.channel(&settings.store.tls)?,
        has_reflection: !settings.no_reflection,
        metrics: GatewayMetrics::default(),
    };
    let proxies = settings.gateway.proxies(None)?;
    let tls = load_tls(&settings.tls)?;
    let listeners = listen(&mut settings.gateway, tls.as_ref()).await?;
    let metrics_listener = metrics::listen(&mut settings.metrics, tls.as_ref()).await?;
    let limits = process_limits(&settings.limits);
    let origins = origins(&settings.gateway, &settings.hosts, settings.public_url.as_ref());
    let public_port = settings.public_url.as_ref().and_then(PublicUrl::https_port);
    start_redirect(&mut lifecycle, &mut settings.gateway, public_port, limits.clone()).await?;
    let store = upstreams.store.clone();
    metrics::start(&mut lifecycle, metrics_listener, tls.as_ref(), origins.clone(), store.clone(), |metrics| {
        limits.register(metrics);
        upstreams.metrics.register(store, metrics);
    });
    start(&mut lifecycle, listeners, upstreams, proxies, origins, &settings.limits, limits);
    follow_tls_files(&mut lifecycle, tls);
    tracing::info!(addresses = ?settings.gateway.gateway_listen, "the gateway is ready");
    traces::run(lifecycle, export).await
}

/// Binds the gateway's listeners, and stores their ports in the settings.
pub(super) async fn listen(settings: &mut GatewaySettings, tls: Option<&ServerTls>) -> Result<Vec<Listener>, CliError> {
    let mut listeners = Vec::with_capacity(settings.gateway_listen.len());
    for address in &mut settings.gateway_listen {
        listeners.push(bind("--gateway-listen", address, tls).await.map_err(CliError::failed)?);
    }
    Ok(listeners)
}

/// The policy for requests of browsers.
pub(super) fn origins(
    settings: &GatewaySettings,
    hosts: &HostSettings,
    public_url: Option<&PublicUrl>,
) -> OriginPolicy {
    OriginPolicy::new(hosts, public_url.map(PublicUrl::host), settings.trusted_proxies)
}

/// Starts the listener that redirects to HTTPS, if there is one. The port of HTTPS is `public_port`, or that of the
/// first listener.
pub(super) async fn start_redirect(
    lifecycle: &mut Lifecycle,
    settings: &mut GatewaySettings,
    public_port: Option<u16>,
    limits: ServerLimits,
) -> Result<(), CliError> {
    let own_port = settings.gateway_listen.first().map(SocketAddr::port);
    let (Some(address), Some(port)) = (&mut settings.redirect_http, public_port.or(own_port)) else { return Ok(()) };
    let listener = bind("--redirect-http", address, None).await.map_err(CliError::failed)?;
    let serving = mayfly_gateway_rest::redirect_to_https(listener, port, limits, lifecycle.stop());
    lifecycle.spawn("redirect to HTTPS", async move { Ok(serving.await?) });
    Ok(())
}

/// Starts the gateway.
pub(super) fn start(
    lifecycle: &mut Lifecycle,
    listeners: Vec<Listener>,
    upstreams: Upstreams,
    proxies: Proxies,
    origins: OriginPolicy,
    texts: &LimitSettings,
    limits: ServerLimits,
) {
    let stop = lifecycle.stop();
    let serving = mayfly_gateway_rest::run(listeners, upstreams, texts.max_text_bytes, proxies, origins, limits, stop);
    lifecycle.spawn("gateway", async move { Ok(serving.await?) });
}
