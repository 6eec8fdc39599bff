//! Idle connections, which the server closes to make room: first those without any request, then those that have been
//! idle for longest.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tokio::sync::Notify;

/// The idle connections of a process.
#[derive(Debug, Default)]
pub(super) struct IdleConnections {
    unused: Notify,
    unused_count: AtomicUsize,
    used: Notify,
}

/// A connection that has not sent a request yet.
#[derive(Debug)]
pub(super) struct UnusedConnection(Arc<IdleConnections>);

impl IdleConnections {
    /// Closes an idle connection. If there is none, closes the next one that becomes idle.
    pub(super) fn close_one(&self) {
        if self.unused_count.load(Ordering::Relaxed) > 0 {
            self.unused.notify_one();
        } else {
            self.used.notify_one();
        }
    }

    /// Registers a new connection.
    pub(super) fn open(self: &Arc<Self>) -> UnusedConnection {
        self.unused_count.fetch_add(1, Ordering::Relaxed);
        UnusedConnection(Arc::clone(self))
    }

    /// Completes when a connection without any request should close.
    pub(super) async fn unused_should_close(&self) {
        self.unused.notified().await;
    }

    /// Completes when an idle connection that has served requests should close.
    pub(super) async fn used_should_close(&self) {
        self.used.notified().await;
    }
}

impl Drop for UnusedConnection {
    fn drop(&mut self) {
        self.0.unused_count.fetch_sub(1, Ordering::Relaxed);
    }
}
