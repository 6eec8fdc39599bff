//! [`SharedKeyring`]: the keyring of a running store, which can be replaced.

use std::sync::{Arc, PoisonError, RwLock};

use super::keyring::{KeyId, Keyring};

/// The current keyring of a store. Clones share it.
#[derive(Clone)]
pub(crate) struct SharedKeyring(Arc<RwLock<Arc<Keyring>>>);

impl SharedKeyring {
    pub(crate) fn new(keyring: Keyring) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(keyring))))
    }

    /// The current keyring. A later replacement does not change the returned one.
    pub(crate) fn load(&self) -> Arc<Keyring> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Removes the key `id`, which another process retired, unless it is the only one. The store reads the keyring file
    /// again soon.
    pub(crate) fn exclude(&self, id: &KeyId) {
        let mut keyring = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(left) = Keyring::clone(&keyring).without(id) {
            *keyring = Arc::new(left);
        }
    }

    pub(crate) fn replace(&self, keyring: Keyring) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(keyring);
    }
}
