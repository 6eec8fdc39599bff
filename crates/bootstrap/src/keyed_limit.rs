//! [`KeyedLimit`]: limits how much of a resource is in use at a time, in total and per key.

use std::{
    collections::HashMap,
    fmt,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::caller_id::CallerId;

/// Limits the units (connections, bytes) in use, in total and per key. Clones share the limit.
///
/// Acquiring never waits: a caller that waits for units while it holds others could deadlock.
pub struct KeyedLimit<K: Eq + Hash + Copy = CallerId>(Arc<Inner<K>>);

struct Inner<K> {
    total: usize,
    per_key: usize,
    usage: Mutex<Usage<K>>,
}

struct Usage<K> {
    total: usize,
    /// Contains only keys with units in use.
    by_key: HashMap<K, usize>,
}

/// Units in use. Releases them when dropped.
pub struct Permit<K: Eq + Hash + Copy = CallerId> {
    limit: KeyedLimit<K>,
    key: Option<K>,
    amount: usize,
}

/// Not enough units are free.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LimitExceeded {
    /// The key reached its own limit.
    #[error("the caller has its share in use")]
    PerKey,
    /// All keys together reached the total limit.
    #[error("everything is in use")]
    Total,
}

impl<K: Eq + Hash + Copy> KeyedLimit<K> {
    /// Allows `total` units in use, and `per_key` of them for each key.
    #[must_use]
    pub fn new(total: usize, per_key: usize) -> Self {
        Self(Arc::new(Inner { total, per_key, usage: Mutex::new(Usage { total: 0, by_key: HashMap::new() }) }))
    }

    /// Acquires `amount` units for `key`. Without a key, only the total limit applies.
    ///
    /// # Errors
    ///
    /// [`LimitExceeded`]; nothing is acquired then.
    pub fn acquire(&self, key: Option<K>, amount: usize) -> Result<Permit<K>, LimitExceeded> {
        let mut permit = Permit { limit: self.clone(), key, amount: 0 };
        permit.grow(amount)?;
        Ok(permit)
    }

    /// The units in use.
    #[must_use]
    pub fn in_use(&self) -> usize {
        self.usage().total
    }

    /// The total limit.
    #[must_use]
    pub fn total(&self) -> usize {
        self.0.total
    }

    fn usage(&self) -> MutexGuard<'_, Usage<K>> {
        self.0.usage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Eq + Hash + Copy> Permit<K> {
    /// Acquires `amount` more units.
    ///
    /// # Errors
    ///
    /// [`LimitExceeded`]; the permit is unchanged then.
    pub fn grow(&mut self, amount: usize) -> Result<(), LimitExceeded> {
        let Inner { total, per_key, .. } = &*self.limit.0;
        let mut usage = self.limit.usage();
        if amount > total.saturating_sub(usage.total) {
            return Err(LimitExceeded::Total);
        }
        if let Some(key) = self.key.filter(|_| amount > 0) {
            let own = usage.by_key.get(&key).copied().unwrap_or_default();
            if amount > per_key.saturating_sub(own) {
                return Err(LimitExceeded::PerKey);
            }
            usage.by_key.insert(key, own + amount);
        }
        usage.total += amount;
        self.amount += amount;
        Ok(())
    }

    /// The units that this permit holds.
    #[must_use]
    pub fn amount(&self) -> usize {
        self.amount
    }

    /// Sets the held units to `amount`, even beyond the limits: units that are already in use cannot be rejected.
    pub fn set(&mut self, amount: usize) {
        let mut usage = self.limit.usage();
        usage.total = usage.total.saturating_sub(self.amount).saturating_add(amount);
        if let Some(key) = self.key {
            let own = usage.by_key.get(&key).copied().unwrap_or_default();
            match own.saturating_sub(self.amount).saturating_add(amount) {
                0 => drop(usage.by_key.remove(&key)),
                own => drop(usage.by_key.insert(key, own)),
            }
        }
        self.amount = amount;
    }
}

impl<K: Eq + Hash + Copy> Drop for Permit<K> {
    fn drop(&mut self) {
        let mut usage = self.limit.usage();
        usage.total = usage.total.saturating_sub(self.amount);
        let Some(key) = self.key else { return };
        match usage.by_key.get_mut(&key) {
            Some(own) if *own > self.amount => *own -= self.amount,
            _ => drop(usage.by_key.remove(&key)),
        }
    }
}

impl<K: Eq + Hash + Copy> Clone for KeyedLimit<K> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K: Eq + Hash + Copy> fmt::Debug for KeyedLimit<K> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { total, per_key, .. } = &*self.0;
        formatter.debug_struct("KeyedLimit").field("total", total).field("per_key", per_key).finish_non_exhaustive()
    }
}

impl<K: Eq + Hash + Copy> fmt::Debug for Permit<K> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Permit").field("amount", &self.amount).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_limited_and_can_acquire_again_what_it_released() {
        let limit = KeyedLimit::new(10, 2);
        let mut own = vec![limit.acquire(Some('a'), 1).unwrap(), limit.acquire(Some('a'), 1).unwrap()];
        assert_eq!(limit.acquire(Some('a'), 1).err(), Some(LimitExceeded::PerKey));
        let other = limit.acquire(Some('b'), 2).unwrap();
        own.pop();
        own.push(limit.clone().acquire(Some('a'), 1).unwrap());
        assert_eq!(limit.acquire(Some('a'), 1).err(), Some(LimitExceeded::PerKey));
        drop((own, other));
        assert!(limit.in_use() == 0 && limit.usage().by_key.is_empty(), "no key is kept");
    }

    #[test]
    fn the_total_is_limited_and_callers_without_a_key_have_no_other_limit() {
        let limit = KeyedLimit::new(5, 2);
        let _all = [limit.acquire(Some('a'), 2).unwrap(), limit.acquire(None, 3).unwrap()];
        assert_eq!(limit.acquire(Some('b'), 1).err(), Some(LimitExceeded::Total));
        assert_eq!(limit.acquire(None, 1).err(), Some(LimitExceeded::Total));
    }

    #[test]
    fn a_permit_grows_within_the_limits_and_a_rejected_growth_changes_nothing() {
        let limit = KeyedLimit::new(100, 60);
        let mut permit = limit.acquire(Some('a'), 0).unwrap();
        assert_eq!(permit.grow(50), Ok(()));
        assert_eq!(permit.grow(11), Err(LimitExceeded::PerKey));
        assert_eq!(limit.in_use(), 50);
        assert_eq!(permit.grow(10), Ok(()));
        permit.set(7);
        assert_eq!((limit.in_use(), limit.usage().by_key[&'a']), (7, 7));
        permit.set(101);
        assert_eq!((limit.in_use(), limit.acquire(Some('b'), 1).err()), (101, Some(LimitExceeded::Total)));
        drop(permit);
        assert!(limit.in_use() == 0 && limit.usage().by_key.is_empty());
    }
}
