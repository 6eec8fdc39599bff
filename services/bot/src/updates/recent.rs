//! Remembers the latest of many values.

use std::{
    collections::{HashSet, VecDeque},
    hash::Hash,
};

/// The last `capacity` values that were added.
#[derive(Debug)]
pub(super) struct Recent<T> {
    capacity: usize,
    values: HashSet<T>,
    oldest_first: VecDeque<T>,
}

impl<T: Clone + Eq + Hash> Recent<T> {
    pub(super) fn new(capacity: usize) -> Self {
        Self { capacity, values: HashSet::new(), oldest_first: VecDeque::new() }
    }

    pub(super) fn contains(&self, value: &T) -> bool {
        self.values.contains(value)
    }

    /// Returns `false` if the value is known.
    pub(super) fn add(&mut self, value: T) -> bool {
        let is_new = self.values.insert(value.clone());
        if is_new {
            self.oldest_first.push_back(value);
        }
        if self.oldest_first.len() > self.capacity
            && let Some(oldest) = self.oldest_first.pop_front()
        {
            self.values.remove(&oldest);
        }
        is_new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_are_remembered_and_the_others_are_not() {
        let mut recent = Recent::new(10_000);
        for id in 0..=10_000 {
            assert!(recent.add(id));
            assert!(!recent.add(id));
        }
        assert!(!recent.contains(&0));
        assert!(recent.contains(&1) && recent.contains(&10_000));
        assert_eq!(recent.values.len(), 10_000);
    }
}
