//! What happens on a connection: whether requests are open, and whether the client takes its responses.

use std::{collections::BTreeMap, future::pending, sync::Arc, time::Duration};

use axum::{body::Body, response::Response};
use http_body_util::BodyExt as _;
use tokio::{
    sync::watch,
    time::{Instant, timeout, timeout_at},
};

use super::idle::Unused;

/// The requests of one connection.
#[derive(Debug)]
pub(super) struct Activity(watch::Sender<Requests>);

#[derive(Debug)]
struct Requests {
    /// Until the first one begins.
    unused: Option<Unused>,
    /// How many have begun.
    begun: u64,
    /// Begun, and not yet answered to the last byte.
    open: usize,
    /// Since when those responses are being sent that have an end.
    sending: BTreeMap<u64, Instant>,
}

/// A request that is open.
#[derive(Debug)]
pub(super) struct OpenRequest {
    activity: Arc<Activity>,
    number: u64,
}

/// An extension of responses that go on for as long as the client likes.
#[derive(Clone, Copy, Debug)]
pub(super) struct LongLived;

impl Activity {
    /// No request has begun.
    pub(super) fn new(unused: Unused) -> Self {
        Self(watch::Sender::new(Requests { unused: Some(unused), begun: 0, open: 0, sending: BTreeMap::new() }))
    }

    /// A request begins.
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

    /// Comes back when `event` happens before the first request begins.
    pub(super) async fn unused_until(&self, event: impl Future<Output = ()>) {
        let mut requests = self.0.subscribe();
        let is_unused = tokio::select! {
            // A request that came at the same time counts.
            biased;
            _ = requests.wait_for(|requests| requests.begun > 0) => false,
            () = event => true,
        };
        if !is_unused {
            pending().await
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

    /// Comes back when `event` happens after the first request and while none is open. The event begins anew each time
    /// the connection becomes idle.
    pub(super) async fn idle_until<Event: Future<Output = ()>>(&self, event: impl Fn() -> Event) {
        let mut requests = self.0.subscribe();
        while requests.wait_for(|requests| requests.begun > 0 && requests.open == 0).await.is_ok() {
            tokio::select! {
                biased;
                _ = requests.changed() => {}
                () = event() => return,
            }
        }
    }

    /// Comes back when a response that has an end is being sent for longer than `limit`: its client does not read it.
    pub(super) async fn unread_for(&self, limit: Duration) {
        let mut requests = self.0.subscribe();
        loop {
            let oldest = requests.borrow_and_update().sending.values().min().copied();
            let changed = match oldest {
                Some(since) => timeout_at(since + limit, requests.changed()).await,
                None => Ok(requests.changed().await),
            };
            match changed {
                Ok(Ok(())) => {}
                // Cannot be: the sender is ours.
                Ok(Err(_)) => pending().await,
                Err(_) => return,
            }
        }
    }
}

impl OpenRequest {
    /// The same response; the request is open until its body was sent, or given up.
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

/// The same response; `held` is dropped when its body was sent, or given up.
pub(super) fn hold_until_sent(response: Response, held: impl Send + 'static) -> Response {
    // Of all adapters this one leaves length and end of the body as they are.
    let mut held = Some(held);
    response.map(|body| {
        Body::new(body.map_err(move |error| {
            // Whoever sees the error sends no more.
            drop(held.take());
            error
        }))
    })
}
