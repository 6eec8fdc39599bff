//! [`KeyedLimit`]: how much of something all callers together, and each of them, may use at a time.

use std::{
    collections::HashMap,
    fmt,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::CallerId;

/// A limit over all keys and a share for each, in units (connections, bytes). Clones share it.
///
/// Acquiring never waits: a caller that holds units while it waits for more could wait for itself.
pub struct KeyedLimit<K: Eq + Hash + Copy = CallerId>(Arc<Inner<K>>);

struct Inner<K> {
    total: usize,
    share: usize,
    usage: Mutex<Usage<K>>,
}

struct Usage<K> {
    total: usize,
    /// Keys that use nothing are not in it.
    by_key: HashMap<K, usize>,
}

/// Units in use; given back when dropped.
pub struct Permit<K: Eq + Hash + Copy = CallerId> {
    limit: KeyedLimit<K>,
    key: Option<K>,
    amount: usize,
}

/// There is not as much left as was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LimitExceeded {
    /// The key uses its whole share.
    #[error("the caller has its share in use")]
    Share,
    /// All keys together use everything.
    #[error("everything is in use")]
    Total,
}

impl<K: Eq + Hash + Copy> KeyedLimit<K> {
    /// At most `total` units in use, and at most `share` of them by one key.
    #[must_use]
    pub fn new(total: usize, share: usize) -> Self {
        Self(Arc::new(Inner { total, share, usage: Mutex::new(Usage { total: 0, by_key: HashMap::new() }) }))
    }

    /// Takes `amount` units for `key`. Without a key only the limit over all holds.
    ///
    /// # Errors
    ///
    /// [`LimitExceeded`], and then nothing is taken.
    pub fn acquire(&self, key: Option<K>, amount: usize) -> Result<Permit<K>, LimitExceeded> {
        let mut permit = Permit { limit: self.clone(), key, amount: 0 };
        permit.grow(amount)?;
        Ok(permit)
    }

    /// How many units are in use.
    #[must_use]
    pub fn in_use(&self) -> usize {
        self.usage().total
    }

    /// The limit over all keys.
    #[must_use]
    pub fn total(&self) -> usize {
        self.0.total
    }

    fn usage(&self) -> MutexGuard<'_, Usage<K>> {
        self.0.usage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Eq + Hash + Copy> Permit<K> {
    /// Takes `amount` units more.
    ///
    /// # Errors
    ///
    /// [`LimitExceeded`], and then the permit stays as it is.
    pub fn grow(&mut self, amount: usize) -> Result<(), LimitExceeded> {
        let Inner { total, share, .. } = &*self.limit.0;
        let mut usage = self.limit.usage();
        if amount > total.saturating_sub(usage.total) {
            return Err(LimitExceeded::Total);
        }
        if let Some(key) = self.key.filter(|_| amount > 0) {
            let own = usage.by_key.get(&key).copied().unwrap_or_default();
            if amount > share.saturating_sub(own) {
                return Err(LimitExceeded::Share);
            }
            usage.by_key.insert(key, own + amount);
        }
        usage.total += amount;
        self.amount += amount;
        Ok(())
    }

    /// How many units it has.
    #[must_use]
    pub fn amount(&self) -> usize {
        self.amount
    }

    /// Keeps exactly `amount` units, even beyond the limits: what is in use already cannot be refused.
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
        let Inner { total, share, .. } = &*self.0;
        formatter.debug_struct("KeyedLimit").field("total", total).field("share", share).finish_non_exhaustive()
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
    fn a_key_has_its_share_and_what_it_gives_back_can_be_taken_again() {
        let limit = KeyedLimit::new(10, 2);
        let mut own = vec![limit.acquire(Some('a'), 1).unwrap(), limit.acquire(Some('a'), 1).unwrap()];
        assert_eq!(limit.acquire(Some('a'), 1).err(), Some(LimitExceeded::Share));
        let other = limit.acquire(Some('b'), 2).unwrap();
        own.pop();
        own.push(limit.clone().acquire(Some('a'), 1).unwrap());
        assert_eq!(limit.acquire(Some('a'), 1).err(), Some(LimitExceeded::Share));
        drop((own, other));
        assert!(limit.in_use() == 0 && limit.usage().by_key.is_empty(), "no key is remembered");
    }

    #[test]
    fn all_keys_together_have_a_limit_and_only_a_caller_without_a_key_has_no_share() {
        let limit = KeyedLimit::new(5, 2);
        let _all = [limit.acquire(Some('a'), 2).unwrap(), limit.acquire(None, 3).unwrap()];
        assert_eq!(limit.acquire(Some('b'), 1).err(), Some(LimitExceeded::Total));
        assert_eq!(limit.acquire(None, 1).err(), Some(LimitExceeded::Total));
    }

    #[test]
    fn a_permit_grows_within_the_limits_and_a_refusal_takes_nothing() {
        let limit = KeyedLimit::new(100, 60);
        let mut permit = limit.acquire(Some('a'), 0).unwrap();
        assert_eq!(permit.grow(50), Ok(()));
        assert_eq!(permit.grow(11), Err(LimitExceeded::Share));
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
