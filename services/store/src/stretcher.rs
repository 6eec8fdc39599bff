//! Stretches passphrases beside the async tasks, a few at a time: each takes a core for tens of milliseconds and 19 MiB, and
//! strangers may ask for it.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{
    StoreError,
    domain::{AccessToken, Passphrase, PassphraseKey, StretchMemory},
};

/// Passphrases in one room, being stretched or waiting for it; more are turned away.
const PLACES: usize = 64;
/// The most passphrases that are stretched at once, on however many cores: each takes 19 MiB.
const MAX_AT_ONCE: usize = 4;

/// Cheap to clone; all clones share the limits.
#[derive(Clone)]
pub(crate) struct Stretcher {
    /// For those who read. Whoever stores cannot fill it.
    pub(crate) readers: Room,
    /// For those who store.
    pub(crate) creators: Room,
}

/// Where passphrases wait to be stretched.
#[derive(Clone)]
pub(crate) struct Room {
    places: Arc<Semaphore>,
    /// As many as there are cores stand here and wait for one; behind it are those of this room alone. So rooms take turns, and
    /// a crowd in one delays another by no more than that.
    door: Arc<Semaphore>,
    cores: Arc<Semaphore>,
    memory: Memory,
}

/// What was stretched in before, and is free: at most as many as there are cores.
type Memory = Arc<Mutex<Vec<StretchMemory>>>;

/// A place in a room, and with it the right to have one passphrase stretched.
pub(crate) struct Place {
    _place: OwnedSemaphorePermit,
    door: Arc<Semaphore>,
    cores: Arc<Semaphore>,
    memory: Memory,
}

impl Stretcher {
    /// Leaves a core for everybody else, where there is more than one.
    pub(crate) fn new() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self::with_cores(cores.saturating_sub(1).clamp(1, MAX_AT_ONCE))
    }

    fn with_cores(count: usize) -> Self {
        let (cores, memory) = (Arc::new(Semaphore::new(count)), Memory::default());
        let room = || Room {
            places: Arc::new(Semaphore::new(PLACES)),
            door: Arc::new(Semaphore::new(count)),
            cores: Arc::clone(&cores),
            memory: Arc::clone(&memory),
        };
        Self { readers: room(), creators: room() }
    }
}

impl Room {
    /// # Errors
    ///
    /// [`StoreError::Overloaded`] when all places are taken.
    pub(crate) fn take_place(&self) -> Result<Place, StoreError> {
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| StoreError::Overloaded)?;
        let (door, cores, memory) = (Arc::clone(&self.door), Arc::clone(&self.cores), Arc::clone(&self.memory));
        Ok(Place { _place: place, door, cores, memory })
    }
}

impl Place {
    /// Waits for its turn, and stretches.
    ///
    /// # Errors
    ///
    /// [`StoreError::Internal`] when that fails, which it does when there is no memory for it.
    pub(crate) async fn stretch(self, passphrase: Passphrase, token: AccessToken) -> Result<PassphraseKey, StoreError> {
        let at_door = self.door.acquire().await.map_err(|error| broken(&error))?;
        let core = Arc::clone(&self.cores).acquire_owned().await.map_err(|error| broken(&error))?;
        drop(at_door);
        let memory = self.memory;
        let stretched = tokio::task::spawn_blocking(move || {
            // Held until the work is done, also when nobody waits for it any more.
            let _core = core;
            let free = || memory.lock().unwrap_or_else(PoisonError::into_inner);
            let mut own = free().pop().unwrap_or_default();
            let key = PassphraseKey::derive(&passphrase, &token, &mut own);
            free().push(own);
            key
        });
        stretched.await.map_err(|error| broken(&error))?.map_err(|error| broken(&error))
    }
}

fn broken(error: &(dyn std::error::Error + 'static)) -> StoreError {
    tracing::error!(error = %mayfly_bootstrap::ErrorChain(error), "a passphrase cannot be stretched");
    StoreError::Internal
}

#[cfg(test)]
impl Room {
    /// Takes all places that are left.
    pub(crate) fn fill(&self) -> Vec<Place> {
        std::iter::from_fn(|| self.take_place().ok()).collect()
    }

    /// Keeps passphrases of all rooms waiting for as long as it is held.
    pub(crate) fn occupy_cores(&self) -> Vec<OwnedSemaphorePermit> {
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
    async fn whoever_finds_a_full_room_is_turned_away_and_other_rooms_have_places() {
        let Stretcher { readers, creators } = Stretcher::new();
        let all = creators.fill();
        assert_eq!(all.len(), 64);
        assert_eq!(creators.take_place().err(), Some(StoreError::Overloaded));
        let (passphrase, token) = passphrase();
        assert!(readers.take_place().unwrap().stretch(passphrase, token).await.is_ok());
        drop(all);
        assert!(creators.take_place().is_ok());
    }

    #[tokio::test]
    async fn passphrases_are_stretched_in_as_much_memory_as_there_are_cores() {
        let stretcher = Stretcher::with_cores(2);
        let all = stretcher.readers.fill().into_iter().take(12).map(|place| {
            let (passphrase, token) = passphrase();
            place.stretch(passphrase, token)
        });
        assert!(futures_util::future::join_all(all).await.iter().all(Result::is_ok));
        let free = stretcher.creators.memory.lock().unwrap().len();
        assert!((1..=2).contains(&free), "{free}");
    }

    #[tokio::test]
    async fn a_crowd_in_one_room_does_not_keep_another_waiting() {
        let stretcher = Stretcher::with_cores(1);
        let occupied = stretcher.readers.occupy_cores();
        let (done, mut order) = mpsc::unbounded_channel();
        let come = |name: &'static str, place: Place| {
            let ((passphrase, token), done) = (passphrase(), done.clone());
            tokio::spawn(async move {
                drop(place.stretch(passphrase, token).await.unwrap());
                done.send(name).unwrap_or_default();
            });
        };
        stretcher.creators.fill().into_iter().for_each(|place| come("creator", place));
        come("reader", stretcher.readers.take_place().unwrap());
        // All of them stand where they wait: on this one thread, tasks run in the order in which they came.
        tokio::task::yield_now().await;
        drop(occupied);
        let firsts = [order.recv().await.unwrap(), order.recv().await.unwrap()];
        assert!(firsts.contains(&"reader"), "{firsts:?}");
    }
}
