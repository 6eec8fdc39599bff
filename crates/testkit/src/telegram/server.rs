//! The HTTP server and what it shares with the tests.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::{Router, extract::DefaultBodyLimit};
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};

use super::{account::Account, methods};

/// Telegram's limit for an upload.
const MAX_BODY_BYTES: usize = 50 << 20;

/// Bots by their tokens.
pub(super) type Accounts = HashMap<String, Account>;

/// A running Bot API.
pub(super) struct Server {
    pub(super) url: String,
    pub(super) state: SharedState,
    task: JoinHandle<()>,
}

/// All bots, and a bell that rings when anything about them changes.
#[derive(Clone)]
pub(super) struct SharedState {
    accounts: Arc<Mutex<Accounts>>,
    changed: watch::Sender<()>,
}

impl Server {
    pub(super) async fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let state = SharedState { accounts: Arc::default(), changed: watch::Sender::new(()) };
        let router = Router::new()
            .route("/{bot}/{method}", axum::routing::any(methods::serve))
            .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
            .with_state(state.clone());
        // Never ends by itself, and its end is no news to the test.
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap_or_default() });
        Ok(Self { url, state, task })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl SharedState {
    /// Keep it short, never across an await.
    pub(super) fn lock(&self) -> MutexGuard<'_, Accounts> {
        // A test that failed while it held the lock has reported that already.
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn notify(&self) {
        self.changed.send_replace(());
    }

    pub(super) fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }
}
