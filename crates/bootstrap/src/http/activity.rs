//! The activity of a connection: which requests are open, and whether the client reads its responses.
//!
//! A request only writes down what it does. The connection looks at that when a timeout may have passed, so that a
//! request wakes nothing.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::{body::Body, response::Response};
use http_body_util::BodyExt as _;
use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};

/// The requests of one connection.
#[derive(Debug)]
pub(super) struct Activity {
    requests: Mutex<Requests>,
    /// Notified when the connection should close to make room.
    close: Notify,
}

#[derive(Debug)]
struct Requests {
    /// The number of requests that have begun.
    begun: u64,
    /// The number of requests whose responses are not completely sent.
    open: usize,
    /// When the last request ended, or the connection was opened.
    idle_since: Instant,
    /// When the sending of each finite response began, by the number of its request.
    sending: Vec<(u64, Instant)>,
    /// `true` if the connection closes to make room.
    is_closing: bool,
}

/// The timeouts of a connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct ConnectionTimeouts {
    /// How long it may be open without any request.
    pub(super) unused: Duration,
    /// How long it may be idle between requests.
    pub(super) idle: Duration,
    /// How long the client may take to read a finite response.
    pub(super) read: Duration,
}

/// Why a connection should end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// It sent no request in time.
    Unused,
    /// It was idle for too long.
    Idle,
    /// The client does not read its responses.
    Stalled,
    /// Another connection needs its room. It has served requests.
    MakeRoom,
    /// Another connection needs its room. It has sent no request.
    MakeRoomUnused,
}

/// An extension of responses that last as long as the client wants.
#[derive(Clone, Copy, Debug)]
pub(super) struct LongLived;

impl Activity {
    /// The activity of a new connection.
    pub(super) fn new() -> Self {
        let requests =
            Requests { begun: 0, open: 0, idle_since: Instant::now(), sending: Vec::new(), is_closing: false };
        Self { requests: Mutex::new(requests), close: Notify::new() }
    }

    fn requests(&self) -> MutexGuard<'_, Requests> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a request, and returns its number.
    pub(super) fn begin_request(&self) -> u64 {
        let mut requests = self.requests();
        requests.begun += 1;
        requests.open += 1;
        requests.begun
    }

    /// Begins to send the finite response to the request with this number.
    pub(super) fn begin_sending(&self, number: u64) {
        self.requests().sending.push((number, Instant::now()));
    }

    /// Ends the request with this number. Returns `true` if the connection is idle now.
    pub(super) fn end_request(&self, number: u64) -> bool {
        let mut requests = self.requests();
        requests.open -= 1;
        requests.sending.retain(|(sent, _)| *sent != number);
        if requests.open == 0 {
            requests.idle_since = Instant::now();
        }
        requests.open == 0
    }

    /// How long the connection has been idle, after whether it has sent no request. `None` if it is not idle, or closes
    /// already.
    pub(super) fn idle_time(&self) -> Option<(bool, Duration)> {
        let requests = self.requests();
        let is_idle = requests.open == 0 && !requests.is_closing;
        is_idle.then(|| (requests.begun == 0, requests.idle_since.elapsed()))
    }

    /// Closes the connection if it is idle. Returns `false` if it is not.
    pub(super) fn close_if_idle(&self) -> bool {
        let mut requests = self.requests();
        if requests.open > 0 || requests.is_closing {
            return false;
        }
        requests.is_closing = true;
        self.close.notify_one();
        true
    }

    /// Completes when the connection should end.
    pub(super) async fn until_end(&self, timeouts: ConnectionTimeouts) -> End {
        let began = Instant::now();
        loop {
            let wake_time = match self.requests().end(timeouts, began) {
                (end_time, Some(end)) if end_time <= Instant::now() => return end,
                (end_time, _) => end_time,
            };
            tokio::select! {
                () = sleep_until(wake_time) => {}
                () = self.close.notified() => {
                    let mut requests = self.requests();
                    if requests.open == 0 {
                        return if requests.begun == 0 { End::MakeRoomUnused } else { End::MakeRoom };
                    }
                    // A request at the same time has priority.
                    requests.is_closing = false;
                }
            }
        }
    }
}

impl Requests {
    /// When the connection should end if no request changes that, and why. Without a reason, when to look again: no
    /// timeout that begins from now on passes earlier.
    fn end(&self, timeouts: ConnectionTimeouts, began: Instant) -> (Instant, Option<End>) {
        if let Some(oldest) = self.sending.iter().map(|(_, since)| *since).min() {
            (oldest + timeouts.read, Some(End::Stalled))
        } else if self.open > 0 {
            (Instant::now() + timeouts.read.min(timeouts.idle), None)
        } else if self.begun == 0 {
            (self.idle_since.max(began) + timeouts.unused, Some(End::Unused))
        } else {
            (self.idle_since.max(began) + timeouts.idle, Some(End::Idle))
        }
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
