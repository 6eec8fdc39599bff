//! Tracks which updates a polling bot has received and not confirmed. Pure: `polling.rs` acts on it.
//!
//! Telegram confirms with one number: a poll with an offset confirms and deletes all updates below it. So the offset is
//! the lowest unfinished update. Until that one is finished, Telegram also repeats all updates above it, and the
//! tracker recognizes these.

use std::collections::BTreeSet;

use crate::updates::dispatcher::DispatchResult;

/// The updates that are not confirmed.
#[derive(Debug, Default)]
pub(crate) struct OffsetTracker {
    in_flight: BTreeSet<u32>,
    /// Postponed. Not confirmed, so that Telegram redelivers them.
    postponed: BTreeSet<u32>,
    /// Handled or spooled, and not known to be confirmed.
    finished: BTreeSet<u32>,
    /// The offset of the last successful poll.
    confirmed_below: Option<i64>,
}

impl OffsetTracker {
    /// Returns the offset of the next poll, which confirms all below it. `None` before the first update.
    pub(crate) fn offset(&self) -> Option<i64> {
        let lowest_unfinished = self.in_flight.first().into_iter().chain(self.postponed.first()).min();
        let lowest_unfinished = lowest_unfinished.map(|id| i64::from(*id));
        let after_the_finished = || self.finished.last().map(|id| i64::from(*id) + 1);
        lowest_unfinished.or_else(after_the_finished).or(self.confirmed_below)
    }

    /// Returns `true` if nothing is in flight, except in the spool.
    pub(crate) fn is_idle(&self) -> bool {
        self.in_flight.is_empty()
    }

    /// Starts to track an update. Returns `false` if it is known and must not be handled again.
    ///
    /// An id below all known ids is new: after a week without updates, Telegram continues with a random id.
    pub(crate) fn track(&mut self, id: u32) -> bool {
        self.postponed.remove(&id);
        !self.finished.contains(&id) && self.in_flight.insert(id)
    }

    /// Records what became of updates. Ignores those that Telegram does not redeliver, because they were confirmed when
    /// they were spooled.
    pub(crate) fn record(&mut self, result: DispatchResult) {
        match result {
            DispatchResult::Confirmable(id) => {
                if self.in_flight.remove(&id) {
                    self.finished.insert(id);
                }
            }
            // They stay unconfirmed, so Telegram redelivers them and they count as new.
            DispatchResult::Postponed(ids) => {
                self.postponed.extend(ids.into_iter().filter(|id| self.in_flight.remove(id)));
            }
        }
    }

    /// Records that a poll with `offset` succeeded: Telegram repeats nothing below it.
    pub(crate) fn confirmed(&mut self, offset: i64) {
        self.finished.retain(|id| i64::from(*id) >= offset);
        self.confirmed_below = Some(offset);
    }

    /// Forgets postponed updates that Telegram does not have any more, because they expired after a day or another
    /// process confirmed them. Otherwise the offset would stay at them for ever. Returns their number.
    ///
    /// A poll with `offset` returns the lowest ids from there on, and may be truncated. So `received` is complete up to
    /// its highest id, and complete altogether if it is empty.
    pub(crate) fn forget_lost(&mut self, offset: Option<i64>, received: &BTreeSet<u32>) -> usize {
        let before = self.postponed.len();
        let was_asked_for = |id: u32| offset.is_none_or(|offset| i64::from(id) >= offset);
        let would_have_come = |id: u32| received.last().is_none_or(|highest| id < *highest);
        self.postponed.retain(|id| received.contains(id) || !was_asked_for(*id) || !would_have_come(*id));
        before - self.postponed.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl OffsetTracker {
        fn finish(&mut self, id: u32) {
            self.record(DispatchResult::Confirmable(id));
        }

        fn postpone(&mut self, id: u32) {
            self.record(DispatchResult::Postponed(vec![id]));
        }
    }

    fn tracked(ids: &[u32]) -> OffsetTracker {
        let mut tracker = OffsetTracker::default();
        for id in ids {
            assert!(tracker.track(*id));
        }
        tracker
    }

    #[test]
    fn nothing_is_confirmed_before_the_first_update() {
        assert_eq!(OffsetTracker::default().offset(), None);
    }

    #[test]
    fn the_offset_stays_at_the_lowest_unfinished_update() {
        let mut tracker = tracked(&[7, 8, 9]);
        tracker.finish(8);
        assert_eq!(tracker.offset(), Some(7));
        tracker.finish(7);
        assert_eq!(tracker.offset(), Some(9));
        tracker.finish(9);
        assert_eq!(tracker.offset(), Some(10));
        assert!(tracker.is_idle());
    }

    #[test]
    fn a_known_update_is_not_tracked_again() {
        let mut tracker = tracked(&[7, 8]);
        tracker.finish(8);
        tracker.confirmed(7);
        assert!(!tracker.track(7), "in flight");
        assert!(!tracker.track(8), "finished, but not confirmed");
    }

    #[test]
    fn a_finished_update_is_remembered_until_a_poll_has_confirmed_it() {
        let mut tracker = tracked(&[7]);
        tracker.finish(7);
        assert!(!tracker.track(7), "the poll that confirms it may have failed");
        tracker.confirmed(8);
        assert_eq!(tracker.offset(), Some(8));
    }

    #[test]
    fn a_postponed_update_is_unconfirmed_and_new_when_redelivered() {
        let mut tracker = tracked(&[7, 8, 9]);
        tracker.finish(9);
        tracker.postpone(7);
        tracker.finish(8);
        assert_eq!(tracker.offset(), Some(7));
        assert!(!tracker.track(8));
        assert!(tracker.track(7));
        tracker.finish(7);
        assert_eq!(tracker.offset(), Some(10));
    }

    #[test]
    fn a_postponed_update_that_a_poll_does_not_return_is_forgotten() {
        let tracker = || {
            let mut tracker = tracked(&[7, 8, 9]);
            for id in [7, 9] {
                tracker.postpone(id);
            }
            tracker.finish(8);
            tracker
        };
        for (offset, received, lost, next) in [
            (Some(7), &[7, 8, 9][..], 0, 7),
            (Some(7), &[8, 9], 1, 9),
            (Some(7), &[7, 8, 10], 1, 7),
            (Some(7), &[10], 2, 9),
            (Some(7), &[], 2, 9),
            (None, &[], 2, 9),
            // Truncated after the highest.
            (Some(7), &[7], 0, 7),
            (Some(7), &[8], 1, 9),
            // Not requested.
            (Some(8), &[], 1, 7),
            (Some(10), &[], 0, 7),
        ] {
            let mut tracker = tracker();
            let received = received.iter().copied().collect();
            assert_eq!(tracker.forget_lost(offset, &received), lost, "{offset:?} {received:?}");
            assert_eq!(tracker.offset(), Some(next), "{offset:?} {received:?}");
        }
    }

    #[test]
    fn a_spooled_update_that_ends_is_not_confirmed_backwards() {
        let mut tracker = tracked(&[7, 8, 9]);
        tracker.finish(9);
        tracker.finish(7);
        assert_eq!(tracker.offset(), Some(8));
        assert!(!tracker.track(7), "not confirmed yet, and redelivered");
        tracker.finish(8);
        assert_eq!(tracker.offset(), Some(10));
        assert!(tracker.is_idle());
        tracker.confirmed(10);
        tracker.finish(7);
        tracker.postpone(8);
        assert_eq!(tracker.offset(), Some(10));
    }

    #[test]
    fn numbers_that_begin_anew_are_followed() {
        let mut tracker = tracked(&[1_000]);
        tracker.finish(1_000);
        tracker.confirmed(1_001);
        assert!(tracker.track(5));
        assert_eq!(tracker.offset(), Some(5));
        tracker.finish(5);
        assert_eq!(tracker.offset(), Some(6));
    }
}
