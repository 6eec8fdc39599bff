//! The HTTP server, and the state that it shares with tests.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::{Router, extract::DefaultBodyLimit};
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};

use super::{account::Account, methods};

/// Telegram's limit for uploads.
const MAX_BODY_BYTES: usize = 50 << 20;

/// Bots by token.
pub(super) type Accounts = HashMap<String, Account>;

/// A running Bot API.
pub(super) struct Server {
    pub(super) url: String,
    pub(super) state: SharedState,
    task: JoinHandle<()>,
}

/// All bots, and a channel that reports changes.
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
        // The server runs until it is aborted.
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
    /// Locks the state. The lock must not be held across an await.
    pub(super) fn lock(&self) -> MutexGuard<'_, Accounts> {
        // A test that panicked with the lock held has failed already.
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn notify(&self) {
        self.changed.send_replace(());
    }

    pub(super) fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }
}
