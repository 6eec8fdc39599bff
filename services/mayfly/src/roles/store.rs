//! `mayfly store`.

use std::sync::Arc;

use mayfly_bootstrap::{DRAIN_TIMEOUT, Lifecycle, bind, http::ServerLimits};
use mayfly_store::{OpenSettings, Store, SystemClock};
use tokio::net::TcpListener;

use super::process_limits;
use crate::exit::Failure;

/// What `mayfly store` is started with.
#[derive(Debug, clap::Args)]
pub(crate) struct StoreRoleSettings {
    #[command(flatten)]
    open: OpenSettings,
}

pub(crate) async fn run(mut settings: StoreRoleSettings) -> Result<(), Failure> {
    let mut lifecycle = Lifecycle::new().map_err(Failure::failed)?;
    let listener = listen(&mut settings.open).await?;
    let address = settings.open.store.store_listen;
    let limits = process_limits(&settings.open.limits);
    start(&mut lifecycle, &settings.open, listener, limits).await?;
    tracing::info!(%address, "the store is ready");
    Failure::of_end(lifecycle.run(DRAIN_TIMEOUT).await)
}

/// Binds the store's listener. From then on the settings tell its port.
pub(super) async fn listen(settings: &mut OpenSettings) -> Result<TcpListener, Failure> {
    bind("--store-listen", &mut settings.store.store_listen).await.map_err(Failure::failed)
}

/// Opens the store and lets it serve.
pub(super) async fn start(
    lifecycle: &mut Lifecycle,
    settings: &OpenSettings,
    listener: TcpListener,
    limits: ServerLimits,
) -> Result<Arc<Store>, Failure> {
    let opening = Store::open(settings, Arc::new(SystemClock), lifecycle.stop());
    // Which waits for changes of the schema for as long as they take.
    let Some(opened) = lifecycle.run_until_signalled(opening).await else {
        return Err(Failure::not_ready("a signal came before the store was open"));
    };
    let store = Arc::new(opened.map_err(Failure::failed)?);
    let (serving, maintained) = (Arc::clone(&store), Arc::clone(&store));
    lifecycle.spawn("store", async move { serving.serve(listener, limits).await });
    lifecycle.spawn("store maintenance", async move { maintained.maintain().await });
    Ok(store)
}
