//! Connections that can be closed to make room: first those that have never brought a request, then those that have
//! been idle for longest.

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

/// A connection that has not brought a request yet.
#[derive(Debug)]
pub(super) struct Unused(Arc<IdleConnections>);

impl IdleConnections {
    /// Tells one of them to close. When none is there, the next one that is.
    pub(super) fn close_one(&self) {
        if self.unused_count.load(Ordering::Relaxed) > 0 {
            self.unused.notify_one();
        } else {
            self.used.notify_one();
        }
    }

    /// A connection was opened.
    pub(super) fn open(self: &Arc<Self>) -> Unused {
        self.unused_count.fetch_add(1, Ordering::Relaxed);
        Unused(Arc::clone(self))
    }

    /// Comes back when a connection that has not brought a request should close.
    pub(super) async fn unused_should_close(&self) {
        self.unused.notified().await;
    }

    /// Comes back when an idle connection that has brought requests should close.
    pub(super) async fn used_should_close(&self) {
        self.used.notified().await;
    }
}

impl Drop for Unused {
    fn drop(&mut self) {
        self.0.unused_count.fetch_sub(1, Ordering::Relaxed);
    }
}
