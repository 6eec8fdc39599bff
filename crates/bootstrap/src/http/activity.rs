//! The activity of a connection: which requests are open, and whether the client reads its responses.

use std::{collections::BTreeMap, future::pending, sync::Arc, time::Duration};

use axum::{body::Body, response::Response};
use http_body_util::BodyExt as _;
use tokio::{
    sync::watch,
    time::{Instant, timeout, timeout_at},
};

use super::idle::UnusedConnection;

/// The requests of one connection.
#[derive(Debug)]
pub(super) struct Activity(watch::Sender<Requests>);

#[derive(Debug)]
struct Requests {
    /// Dropped when the first request begins.
    unused: Option<UnusedConnection>,
    /// The number of requests that have begun.
    begun: u64,
    /// The number of requests whose responses are not completely sent.
    open: usize,
    /// When the sending of each finite response began.
    sending: BTreeMap<u64, Instant>,
}

/// An open request. Ends when dropped.
#[derive(Debug)]
pub(super) struct OpenRequest {
    activity: Arc<Activity>,
    number: u64,
}

/// An extension of responses that last as long as the client wants.
#[derive(Clone, Copy, Debug)]
pub(super) struct LongLived;

impl Activity {
    /// The activity of a new connection.
    pub(super) fn new(unused: UnusedConnection) -> Self {
        Self(watch::Sender::new(Requests { unused: Some(unused), begun: 0, open: 0, sending: BTreeMap::new() }))
    }

    /// Begins a request.
    pub(super) fn begin(self: &Arc<Self>) -> OpenRequest {
        let mut number = 0;
        self.0.send_modify(|requests| {
            requests.unused = None;
            requests.begun += 1;
            requests.open += 1;
            number = requests.begun;
        });
        OpenRequest { activity: Arc::clone(self), number }
    }

    /// Completes when `event` does, unless a request has begun.
    pub(super) async fn until_unless_used(&self, event: impl Future<Output = ()>) {
        let mut requests = self.0.subscribe();
        let is_unused = tokio::select! {
            // A request at the same time has priority.
            biased;
            _ = requests.wait_for(|requests| requests.begun > 0) => false,
            () = event => true,
        };
        if !is_unused {
            pending().await
        }
    }

    /// Completes when no request was open for `limit`.
    pub(super) async fn idle_for(&self, limit: Duration) {
        let mut requests = self.0.subscribe();
        // `self` owns the sender, so the channel does not close.
        while requests.wait_for(|requests| requests.open == 0).await.is_ok()
            && timeout(limit, requests.changed()).await.is_ok()
        {}
    }

    /// Completes when `event` does while the connection is idle, after its first request. Restarts `event` each time
    /// that the connection becomes idle.
    pub(super) async fn until_while_idle<Event: Future<Output = ()>>(&self, event: impl Fn() -> Event) {
        let mut requests = self.0.subscribe();
        while requests.wait_for(|requests| requests.begun > 0 && requests.open == 0).await.is_ok() {
            tokio::select! {
                biased;
                _ = requests.changed() => {}
                () = event() => return,
            }
        }
    }

    /// Completes when sending a finite response takes longer than `limit`, because the client does not read it.
    pub(super) async fn stalled_for(&self, limit: Duration) {
        let mut requests = self.0.subscribe();
        loop {
            let oldest = requests.borrow_and_update().sending.values().min().copied();
            let changed = match oldest {
                Some(since) => timeout_at(since + limit, requests.changed()).await,
                None => Ok(requests.changed().await),
            };
            match changed {
                Ok(Ok(())) => {}
                // Cannot happen: `self` owns the sender.
                Ok(Err(_)) => pending().await,
                Err(_) => return,
            }
        }
    }
}

impl OpenRequest {
    /// Keeps the request open until the body of `response` was sent or dropped.
    pub(super) fn until_sent(self, response: Response) -> Response {
        if response.extensions().get::<LongLived>().is_none() {
            self.activity.0.send_modify(|requests| {
                requests.sending.insert(self.number, Instant::now());
            });
        }
        hold_until_sent(response, self)
    }
}

impl Drop for OpenRequest {
    fn drop(&mut self) {
        self.activity.0.send_modify(|requests| {
            requests.open -= 1;
            requests.sending.remove(&self.number);
        });
    }
}

/// Drops `held` when the body of `response` was sent or dropped.
pub(super) fn hold_until_sent(response: Response, held: impl Send + 'static) -> Response {
    // `map_err` preserves the length and the end of the body.
    let mut held = Some(held);
    response.map(|body| {
        Body::new(body.map_err(move |error| {
            // The server sends nothing after an error.
            drop(held.take());
            error
        }))
    })
}
