//! The state that the server shares with tests.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::watch;

use super::account::Account;

/// Bots by token.
pub(super) type Accounts = HashMap<String, Account>;

/// All bots, and a channel that reports changes.
#[derive(Clone)]
pub(super) struct SharedState {
    accounts: Arc<Mutex<Accounts>>,
    changed: watch::Sender<()>,
}

impl SharedState {
    pub(super) fn new() -> Self {
        Self { accounts: Arc::default(), changed: watch::Sender::new(()) }
    }

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
