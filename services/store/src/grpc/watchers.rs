//! Places for those who watch messages: some for each caller, more for all together.

use std::sync::Arc;

use mayfly_bootstrap::{Share, Shares};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::StoreError;

/// Watchers that one store serves at a time.
const IN_ALL: usize = 1000;
/// Of these, how many one caller may have. Many people may share an address, but none of them needs all places.
const PER_CALLER: usize = 50;

/// Clones share the limits.
#[derive(Clone)]
pub(super) struct Watchers {
    all: Arc<Semaphore>,
    shares: Shares<String>,
}

/// The place of one watcher, given back when dropped.
pub(super) struct Place {
    _permit: OwnedSemaphorePermit,
    _share: Share<String>,
}

impl Watchers {
    pub(super) fn new() -> Self {
        Self { all: Arc::new(Semaphore::new(IN_ALL)), shares: Shares::new(PER_CALLER) }
    }

    /// # Errors
    ///
    /// [`StoreError::Overloaded`] when the caller has all of its places, or others have all that there are.
    pub(super) fn take_place(&self, caller: String) -> Result<Place, StoreError> {
        let permit = Arc::clone(&self.all).try_acquire_owned().map_err(|_| StoreError::Overloaded)?;
        let share = self.shares.take(caller).ok_or(StoreError::Overloaded)?;
        Ok(Place { _permit: permit, _share: share })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(watchers: &Watchers, caller: &str, count: usize) -> Vec<Place> {
        (0..count).map(|_| watchers.take_place(caller.to_owned()).unwrap()).collect()
    }

    #[test]
    fn a_caller_has_its_places_and_leaves_the_others_theirs() {
        let watchers = Watchers::new();
        let mut own = take(&watchers, "a", PER_CALLER);
        assert_eq!(watchers.take_place("a".to_owned()).err(), Some(StoreError::Overloaded));
        let other = take(&watchers, "b", PER_CALLER);
        own.pop();
        let again = take(&watchers, "a", 1);
        assert_eq!(watchers.take_place("a".to_owned()).err(), Some(StoreError::Overloaded));
        drop((own, other, again));
        assert!(watchers.all.available_permits() == IN_ALL && watchers.shares.is_empty(), "nobody is remembered");
    }

    #[test]
    fn all_together_have_a_limit_too() {
        let watchers = Watchers::new();
        let crowd: Vec<_> =
            (0..IN_ALL / PER_CALLER).map(|number| take(&watchers, &number.to_string(), PER_CALLER)).collect();
        assert_eq!(watchers.take_place("another".to_owned()).err(), Some(StoreError::Overloaded));
        drop(crowd);
        assert!(watchers.take_place("another".to_owned()).is_ok());
    }
}
