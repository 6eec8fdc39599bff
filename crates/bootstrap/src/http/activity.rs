//! Whether anything is asked on a connection.

use std::{sync::Arc, time::Duration};

use axum::{body::Body, response::Response};
use http_body_util::BodyExt as _;
use tokio::{sync::watch, time::timeout};

/// The requests of one connection.
#[derive(Debug, Default)]
pub(super) struct Activity(watch::Sender<Requests>);

#[derive(Debug, Default)]
struct Requests {
    has_begun: bool,
    /// Begun, and not yet answered to the last byte.
    open: usize,
}

/// A request that is open.
#[derive(Debug)]
pub(super) struct OpenRequest(Arc<Activity>);

impl Activity {
    /// A request begins.
    pub(super) fn begin(self: &Arc<Self>) -> OpenRequest {
        self.0.send_modify(|requests| *requests = Requests { has_begun: true, open: requests.open + 1 });
        OpenRequest(Arc::clone(self))
    }

    /// Comes back when none began for so long; never, when one did.
    pub(super) async fn not_begun_for(&self, limit: Duration) {
        let mut requests = self.0.subscribe();
        if timeout(limit, requests.wait_for(|requests| requests.has_begun)).await.is_ok() {
            std::future::pending().await
        }
    }

    /// Comes back when none was open for so long.
    pub(super) async fn idle_for(&self, limit: Duration) {
        let mut requests = self.0.subscribe();
        // The sender is ours, so there is always somebody to wait for.
        while requests.wait_for(|requests| requests.open == 0).await.is_ok()
            && timeout(limit, requests.changed()).await.is_ok()
        {}
    }
}

impl OpenRequest {
    /// The same answer; the request is open until its body was sent, or given up.
    pub(super) fn until_sent(self, answer: Response) -> Response {
        // Of all adapters this one leaves length and end of the body as they are.
        answer.map(|body| {
            Body::new(body.map_err(move |error| {
                let Self(_held) = &self;
                error
            }))
        })
    }
}

impl Drop for OpenRequest {
    fn drop(&mut self) {
        self.0.0.send_modify(|requests| requests.open -= 1);
    }
}
