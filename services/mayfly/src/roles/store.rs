//! `mayfly store`.

use std::sync::Arc;

use mayfly_bootstrap::{
    Lifecycle, Listener, bind,
    http::{
        ServerLimits,
        origin::{HostSettings, OriginPolicy},
    },
    metrics_listener::MetricsSettings,
    tls::{ClientTlsSettings, ServerTls, ServerTlsSettings},
    trace::OtlpSettings,
};
use mayfly_store::{OpenSettings, Store, SystemClock};

use super::{RoleParts, RoleSettings, follow_tls_files, load_tls, metrics, process_limits, traces};
use crate::error::CliError;

/// Arguments of `mayfly store`.
#[derive(Debug, clap::Args)]
pub(crate) struct StoreRoleSettings {
    #[command(flatten)]
    open: OpenSettings,
    #[command(flatten)]
    tls: ServerTlsSettings,
    #[command(flatten)]
    metrics: MetricsSettings,
    #[command(flatten)]
    hosts: HostSettings,
    #[command(flatten)]
    client_tls: ClientTlsSettings,
    #[command(flatten)]
    otlp: OtlpSettings,
}

impl RoleSettings for StoreRoleSettings {
    fn parts(&self) -> RoleParts<'_> {
        let Self { open, tls, metrics, hosts: _, client_tls, otlp } = self;
        RoleParts {
            name: "store",
            store: Some(open),
            data: Some(&open.data),
            tokens: Some(&open.tokens),
            gateway: None,
            bot: None,
            public_url: None,
            metrics,
            tls,
            client_tls,
            otlp,
            store_url: None,
            bot_url: None,
        }
    }
}

pub(crate) async fn run(mut settings: StoreRoleSettings) -> Result<(), CliError> {
    let mut lifecycle = Lifecycle::new().map_err(CliError::failed)?;
    let export = traces::start(&settings.otlp, &settings.client_tls, "mayfly-store")?;
    let tls = load_tls(&settings.tls)?;
    let listener = listen(&mut settings.open, tls.as_ref()).await?;
    let metrics_listener = metrics::listen(&mut settings.metrics, tls.as_ref()).await?;
    let address = settings.open.store.store_listen;
    let limits = process_limits(&settings.open.limits);
    let store = start(&mut lifecycle, &settings.open, listener, limits.clone()).await?;
    let origins = OriginPolicy::new(&settings.hosts, [], 0);
    let channel = traces::local(store.routes());
    metrics::start(&mut lifecycle, metrics_listener, tls.as_ref(), origins, channel, |metrics| {
        limits.register(metrics);
        store.register(metrics);
    });
    follow_tls_files(&mut lifecycle, tls);
    tracing::info!(%address, "the store is ready");
    traces::run(lifecycle, export).await
}

/// Binds the store's listener, and stores its port in the settings.
pub(super) async fn listen(settings: &mut OpenSettings, tls: Option<&ServerTls>) -> Result<Listener, CliError> {
    bind("--store-listen", &mut settings.store.store_listen, tls).await.map_err(CliError::failed)
}

/// Opens the store and starts it.
pub(super) async fn start(
    lifecycle: &mut Lifecycle,
    settings: &OpenSettings,
    listener: Listener,
    limits: ServerLimits,
) -> Result<Arc<Store>, CliError> {
    let opening = Store::open(settings, Arc::new(SystemClock), lifecycle.stop());
    // Opening waits for migrations of any duration.
    let Some(opened) = lifecycle.run_until_signalled(opening).await else {
        return Err(CliError::unavailable("a signal arrived before the store was open"));
    };
    let store = Arc::new(opened?);
    let (serving, maintained) = (Arc::clone(&store), Arc::clone(&store));
    lifecycle.spawn("store", async move { serving.serve(listener, limits).await });
    lifecycle.spawn("store maintenance", async move { maintained.maintain().await });
    Ok(store)
}
