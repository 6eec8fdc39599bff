//! Remembers the recently handled updates. Telegram redelivers an update if the response with status 200 was lost.
//!
//! Best effort: other replicas, and this process after a restart, do not have the record, and reply twice.

use std::collections::{HashSet, VecDeque};

/// How many ids are remembered. Telegram redelivers within minutes.
const CAPACITY: usize = 10_000;

/// The ids of the last handled updates.
#[derive(Debug, Default)]
pub(super) struct RecentUpdates {
    ids: HashSet<u32>,
    oldest_first: VecDeque<u32>,
}

impl RecentUpdates {
    pub(super) fn contains(&self, id: u32) -> bool {
        self.ids.contains(&id)
    }

    pub(super) fn add(&mut self, id: u32) {
        if self.ids.insert(id) {
            self.oldest_first.push_back(id);
        }
        while self.oldest_first.len() > CAPACITY {
            if let Some(oldest) = self.oldest_first.pop_front() {
                self.ids.remove(&oldest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_are_remembered_and_the_others_are_not() {
        let mut recent = RecentUpdates::default();
        let count = u32::try_from(CAPACITY).unwrap();
        for id in 0..=count {
            recent.add(id);
            recent.add(id);
        }
        assert!(!recent.contains(0));
        assert!(recent.contains(1) && recent.contains(count));
        assert_eq!(recent.ids.len(), CAPACITY);
    }
}
