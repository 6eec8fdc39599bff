//! Stretches passphrases beside the async tasks, a few at a time: each takes a core for tens of milliseconds and 19 MiB, and
//! strangers may ask for it.

use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::{
    StoreError,
    domain::{Passphrase, PassphraseKey, PassphraseSalt},
};

/// Passphrases being stretched or waiting for it; more are turned away.
const WAITING: usize = 64;

/// Cheap to clone; all clones share the limits.
#[derive(Clone)]
pub(crate) struct Stretcher {
    waiting: Arc<Semaphore>,
    running: Arc<Semaphore>,
}

impl Stretcher {
    /// Leaves a core for everybody else, where there is more than one.
    pub(crate) fn new() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let running = cores.saturating_sub(1).max(1);
        Self { waiting: Arc::new(Semaphore::new(WAITING)), running: Arc::new(Semaphore::new(running)) }
    }

    /// # Errors
    ///
    /// [`StoreError::Overloaded`] when too many wait already.
    pub(crate) async fn stretch(
        &self,
        passphrase: Passphrase,
        salt: PassphraseSalt,
    ) -> Result<PassphraseKey, StoreError> {
        let _waiting = self.waiting.try_acquire().map_err(|_| StoreError::Overloaded)?;
        let running = Arc::clone(&self.running).acquire_owned().await.map_err(|error| broken(&error))?;
        let stretched = tokio::task::spawn_blocking(move || {
            // Held until the work is done, also when nobody waits for it any more.
            let _running = running;
            PassphraseKey::derive(&passphrase, salt)
        });
        stretched.await.map_err(|error| broken(&error))?.map_err(|error| broken(&error))
    }
}

fn broken(error: &(dyn std::error::Error + 'static)) -> StoreError {
    tracing::error!(error = %mayfly_bootstrap::ErrorChain(error), "a passphrase cannot be stretched");
    StoreError::Internal
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn whoever_finds_too_many_waiting_is_turned_away() {
        let stretcher = Stretcher::new();
        let passphrase = || Passphrase::parse("x".to_owned()).unwrap().unwrap();
        let salt = PassphraseSalt::generate().unwrap();
        let all = stretcher.waiting.clone().acquire_many_owned(64).await.unwrap();
        assert_eq!(stretcher.stretch(passphrase(), salt).await.err(), Some(StoreError::Overloaded));
        drop(all);
        assert!(stretcher.stretch(passphrase(), salt).await.is_ok());
    }
}
