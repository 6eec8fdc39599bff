//! [`PassphraseStretcher`]: stretches passphrases on blocking threads, a few at a time.
//!
//! Each takes tens of milliseconds of a core and 19 MiB, and untrusted callers may request it.

use std::sync::{Arc, Mutex, PoisonError};

use mayfly_bootstrap::trace::{Span, SpanKind};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{
    domain::{AccessToken, Argon2Memory, Passphrase, PassphraseKey},
    error::StoreError,
};

/// How many passphrases a queue may hold, waiting or being stretched.
const QUEUE_LENGTH: usize = 64;
/// The most passphrases that are stretched at once, on any number of cores: each takes 19 MiB.
const MAX_CONCURRENT: usize = 4;

/// Two queues that share the cores. Cheap to clone; clones share the limits.
#[derive(Clone)]
pub(super) struct PassphraseStretcher {
    /// For calls that view messages. Calls that create messages cannot fill it.
    pub(super) readers: StretchQueue,
    /// For calls that create messages.
    pub(super) creators: StretchQueue,
}

/// A bounded queue of passphrases.
#[derive(Clone)]
pub(super) struct StretchQueue {
    slots: Arc<Semaphore>,
    /// The head of the queue, which competes with the other queue for the cores. It holds as many passphrases as there
    /// are cores, so the queues take turns, and a full queue delays the other one by no more than that.
    head: Arc<Semaphore>,
    cores: Arc<Semaphore>,
    core_count: usize,
    memory: MemoryPool,
}

/// Free memory for reuse: at most as many blocks as there are cores.
type MemoryPool = Arc<Mutex<Vec<Argon2Memory>>>;

/// A slot in a queue, with which one passphrase can be stretched.
pub(super) struct StretchPermit {
    _slot: OwnedSemaphorePermit,
    head: Arc<Semaphore>,
    cores: Arc<Semaphore>,
    memory: MemoryPool,
}

impl PassphraseStretcher {
    /// Uses all cores but one, up to [`MAX_CONCURRENT`], and at least one.
    pub(super) fn new() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self::with_cores(cores.saturating_sub(1).clamp(1, MAX_CONCURRENT))
    }

    fn with_cores(count: usize) -> Self {
        let (cores, memory) = (Arc::new(Semaphore::new(count)), MemoryPool::default());
        let queue = || StretchQueue {
            slots: Arc::new(Semaphore::new(QUEUE_LENGTH)),
            head: Arc::new(Semaphore::new(count)),
            cores: Arc::clone(&cores),
            core_count: count,
            memory: Arc::clone(&memory),
        };
        Self { readers: queue(), creators: queue() }
    }
}

impl StretchQueue {
    /// How many passphrases wait in this queue or are being stretched.
    pub(super) fn length(&self) -> usize {
        QUEUE_LENGTH.saturating_sub(self.slots.available_permits())
    }

    /// How many passphrases of both queues are being stretched.
    pub(super) fn running(&self) -> usize {
        self.core_count.saturating_sub(self.cores.available_permits())
    }

    /// Reserves a slot, without waiting.
    ///
    /// # Errors
    ///
    /// [`StoreError::Overloaded`] when the queue is full.
    pub(super) fn reserve(&self) -> Result<StretchPermit, StoreError> {
        let slot = Arc::clone(&self.slots).try_acquire_owned().map_err(|_| StoreError::Overloaded)?;
        let (head, cores, memory) = (Arc::clone(&self.head), Arc::clone(&self.cores), Arc::clone(&self.memory));
        Ok(StretchPermit { _slot: slot, head, cores, memory })
    }
}

impl StretchPermit {
    /// Waits for a core, and stretches the passphrase.
    ///
    /// # Errors
    ///
    /// [`StoreError::Internal`] when there is not enough memory.
    pub(super) async fn stretch(self, passphrase: Passphrase, token: AccessToken) -> Result<PassphraseKey, StoreError> {
        let _span = Span::child(SpanKind::Internal, || "stretch passphrase", &[]);
        let at_head = self.head.acquire().await.map_err(|error| log_stretch_error(&error))?;
        let core = Arc::clone(&self.cores).acquire_owned().await.map_err(|error| log_stretch_error(&error))?;
        drop(at_head);
        let memory = self.memory;
        let stretched = tokio::task::spawn_blocking(move || {
            // Held until the work is done, even if the caller has left.
            let _core = core;
            let pool = || memory.lock().unwrap_or_else(PoisonError::into_inner);
            let mut own = pool().pop().unwrap_or_default();
            let key = PassphraseKey::derive(&passphrase, &token, &mut own);
            pool().push(own);
            key
        });
        stretched.await.map_err(|error| log_stretch_error(&error))?.map_err(|error| log_stretch_error(&error))
    }
}

fn log_stretch_error(error: &(dyn std::error::Error + 'static)) -> StoreError {
    tracing::error!(error = %mayfly_bootstrap::ErrorChain(error), "a passphrase cannot be stretched");
    StoreError::Internal
}

#[cfg(test)]
impl StretchQueue {
    /// Reserves all free slots.
    pub(super) fn reserve_all(&self) -> Vec<StretchPermit> {
        std::iter::from_fn(|| self.reserve().ok()).collect()
    }

    /// Makes both queues wait for as long as the permits are held.
    pub(super) fn occupy_cores(&self) -> Vec<OwnedSemaphorePermit> {
        std::iter::from_fn(|| Arc::clone(&self.cores).try_acquire_owned().ok()).collect()
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::*;

    fn passphrase() -> (Passphrase, AccessToken) {
        (Passphrase::parse("x".to_owned()).unwrap().unwrap(), AccessToken::generate().unwrap())
    }

    #[tokio::test]
    async fn a_full_queue_rejects_and_the_other_queue_accepts() {
        let PassphraseStretcher { readers, creators } = PassphraseStretcher::new();
        let all = creators.reserve_all();
        assert_eq!(all.len(), 64);
        assert_eq!(creators.reserve().err(), Some(StoreError::Overloaded));
        let (passphrase, token) = passphrase();
        assert!(readers.reserve().unwrap().stretch(passphrase, token).await.is_ok());
        drop(all);
        assert!(creators.reserve().is_ok());
    }

    #[tokio::test]
    async fn there_are_as_many_memory_blocks_as_cores() {
        let stretcher = PassphraseStretcher::with_cores(2);
        let all = stretcher.readers.reserve_all().into_iter().take(12).map(|permit| {
            let (passphrase, token) = passphrase();
            permit.stretch(passphrase, token)
        });
        assert!(futures_util::future::join_all(all).await.iter().all(Result::is_ok));
        let free = stretcher.creators.memory.lock().unwrap().len();
        assert!((1..=2).contains(&free), "{free}");
    }

    #[tokio::test]
    async fn a_full_queue_does_not_delay_the_other_queue() {
        let stretcher = PassphraseStretcher::with_cores(1);
        let occupied = stretcher.readers.occupy_cores();
        let (done, mut order) = mpsc::unbounded_channel();
        let enqueue = |name: &'static str, permit: StretchPermit| {
            let ((passphrase, token), done) = (passphrase(), done.clone());
            tokio::spawn(async move {
                drop(permit.stretch(passphrase, token).await.unwrap());
                done.send(name).unwrap_or_default();
            });
        };
        stretcher.creators.reserve_all().into_iter().for_each(|permit| enqueue("creator", permit));
        enqueue("reader", stretcher.readers.reserve().unwrap());
        // All tasks wait now: on this one thread, tasks run in the order in which they were spawned.
        tokio::task::yield_now().await;
        drop(occupied);
        let first_two = [order.recv().await.unwrap(), order.recv().await.unwrap()];
        assert!(first_two.contains(&"reader"), "{first_two:?}");
    }
}
