//! How many of something each of many may have at a time.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, PoisonError},
};

/// Clones share the limit.
pub struct Shares<K> {
    limit: usize,
    /// Who has none is not in it.
    taken: Arc<Mutex<HashMap<K, usize>>>,
}

/// One of what its owner may have; given back when dropped.
pub struct Share<K: Eq + Hash> {
    owner: K,
    taken: Arc<Mutex<HashMap<K, usize>>>,
}

impl<K: Eq + Hash + Clone> Shares<K> {
    /// At most `limit` for each.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { limit, taken: Arc::default() }
    }

    /// One more for `owner`, unless it has all that it may have.
    #[must_use]
    pub fn take(&self, owner: K) -> Option<Share<K>> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let own = taken.get(&owner).copied().unwrap_or_default();
        if own >= self.limit {
            return None;
        }
        taken.insert(owner.clone(), own + 1);
        Some(Share { owner, taken: Arc::clone(&self.taken) })
    }

    /// Whether nobody has any.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }
}

impl<K> Clone for Shares<K> {
    fn clone(&self) -> Self {
        Self { limit: self.limit, taken: Arc::clone(&self.taken) }
    }
}

impl<K: Eq + Hash> Drop for Share<K> {
    fn drop(&mut self) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        match taken.get_mut(&self.owner) {
            Some(own @ 2..) => *own -= 1,
            _ => drop(taken.remove(&self.owner)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_as_many_as_it_may_and_what_is_given_back_can_be_taken_again() {
        let shares = Shares::new(2);
        let mut own = vec![shares.take("a").unwrap(), shares.take("a").unwrap()];
        assert!(shares.take("a").is_none());
        let other = shares.take("b").unwrap();
        own.pop();
        own.push(shares.take("a").unwrap());
        assert!(shares.clone().take("a").is_none());
        drop((own, other));
        assert!(shares.is_empty(), "nobody is remembered");
    }
}
