//! Places for those who watch messages: some for each caller, more for all together.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use crate::StoreError;

/// Watchers that one store serves at a time.
const IN_ALL: usize = 1000;
/// Of these, how many one caller may have. Many people may share an address, but none of them needs all places.
const PER_CALLER: usize = 50;

/// Clones share the limits.
#[derive(Clone, Default)]
pub(super) struct Watchers(Arc<Mutex<Taken>>);

#[derive(Default)]
struct Taken {
    in_all: usize,
    /// Callers that have none are not in it.
    by_caller: HashMap<String, usize>,
}

/// The place of one watcher, given back when dropped.
pub(super) struct Place {
    caller: String,
    watchers: Watchers,
}

impl Watchers {
    /// # Errors
    ///
    /// [`StoreError::Overloaded`] when the caller has all of its places, or others have all that there are.
    pub(super) fn take_place(&self, caller: String) -> Result<Place, StoreError> {
        self.change(|taken| {
            let own = taken.by_caller.get(&caller).copied().unwrap_or_default();
            if taken.in_all >= IN_ALL || own >= PER_CALLER {
                return Err(StoreError::Overloaded);
            }
            taken.in_all += 1;
            taken.by_caller.insert(caller.clone(), own + 1);
            Ok(())
        })?;
        Ok(Place { caller, watchers: self.clone() })
    }

    fn change<T>(&self, change: impl FnOnce(&mut Taken) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.watchers.change(|taken| {
            taken.in_all = taken.in_all.saturating_sub(1);
            match taken.by_caller.get_mut(&self.caller) {
                Some(own @ 2..) => *own -= 1,
                _ => drop(taken.by_caller.remove(&self.caller)),
            }
        });
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
        let watchers = Watchers::default();
        let mut own = take(&watchers, "a", PER_CALLER);
        assert_eq!(watchers.take_place("a".to_owned()).err(), Some(StoreError::Overloaded));
        let other = take(&watchers, "b", PER_CALLER);
        own.pop();
        let again = take(&watchers, "a", 1);
        assert_eq!(watchers.take_place("a".to_owned()).err(), Some(StoreError::Overloaded));
        drop((own, other, again));
        assert!(watchers.change(|taken| taken.in_all == 0 && taken.by_caller.is_empty()), "nobody is remembered");
    }

    #[test]
    fn all_together_have_a_limit_too() {
        let watchers = Watchers::default();
        let crowd: Vec<_> =
            (0..IN_ALL / PER_CALLER).map(|number| take(&watchers, &number.to_string(), PER_CALLER)).collect();
        assert_eq!(watchers.take_place("another".to_owned()).err(), Some(StoreError::Overloaded));
        drop(crowd);
        assert!(watchers.take_place("another".to_owned()).is_ok());
    }
}
