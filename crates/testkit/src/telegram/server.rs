//! The HTTP server.

use axum::{Router, extract::DefaultBodyLimit};
use tokio::{net::TcpListener, task::JoinHandle};

use super::{methods, state::SharedState};

/// Telegram's limit for uploads.
const MAX_BODY_BYTES: usize = 50 << 20;

/// A running Bot API.
pub(super) struct Server {
    pub(super) url: String,
    pub(super) state: SharedState,
    task: JoinHandle<()>,
}

impl Server {
    pub(super) async fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let state = SharedState::new();
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
