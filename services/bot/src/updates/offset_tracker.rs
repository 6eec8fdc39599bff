//! Which updates were fetched but not confirmed yet. Pure bookkeeping; `polling.rs` acts on it.
//!
//! Telegram has one number for a confirmation: asking for updates from an offset on confirms, and forgets, everything
//! below it. So the offset is the lowest update that is not finished, and until that one is finished Telegram repeats all
//! above it too, which the window recognises.

use std::collections::BTreeSet;

/// The updates in hand.
#[derive(Debug, Default)]
pub(crate) struct OffsetTracker {
    in_flight: BTreeSet<u32>,
    /// Left for later. Not confirmed, so that Telegram brings them again.
    postponed: BTreeSet<u32>,
    /// Not finished, but safe, so that they may be confirmed.
    spooled: BTreeSet<u32>,
    /// Finished or set aside, and as far as we know not confirmed.
    finished: BTreeSet<u32>,
    /// The offset of the last poll that was answered.
    confirmed_below: Option<i64>,
}

impl OffsetTracker {
    /// What to ask Telegram for, and so what to confirm. `None` before the first update: whatever there is.
    pub(crate) fn offset(&self) -> Option<i64> {
        let lowest_unfinished = self.in_flight.first().into_iter().chain(self.postponed.first()).min();
        let lowest_unfinished = lowest_unfinished.map(|id| i64::from(*id));
        let after_the_finished = || self.finished.last().map(|id| i64::from(*id) + 1);
        lowest_unfinished.or_else(after_the_finished).or(self.confirmed_below)
    }

    /// Whether nothing is unfinished.
    pub(crate) fn is_idle(&self) -> bool {
        self.in_flight.is_empty()
    }

    /// How many are not finished.
    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight.len() + self.spooled.len()
    }

    /// Takes an update in hand. `false` when it is known already and must not be handled again.
    ///
    /// An id below all we know is new: after a week without updates Telegram goes on with any number.
    pub(crate) fn track(&mut self, id: u32) -> bool {
        self.postponed.remove(&id);
        if self.spooled.contains(&id) {
            self.finished.insert(id);
        }
        !self.finished.contains(&id) && self.in_flight.insert(id)
    }

    /// Takes an update in hand that was set aside before. `false` when it is in hand already.
    pub(crate) fn track_spooled(&mut self, id: u32) -> bool {
        self.spooled.insert(id)
    }

    /// Notes that an unfinished update is safe: it holds up no confirmation any more.
    pub(crate) fn mark_spooled(&mut self, id: u32) {
        if self.in_flight.remove(&id) {
            self.finished.insert(id);
            self.spooled.insert(id);
        }
    }

    /// How many are set aside.
    pub(crate) fn spooled_count(&self) -> usize {
        self.spooled.len()
    }

    /// Notes that an update was handled. Answers whether it was set aside.
    pub(crate) fn finish(&mut self, id: u32) -> bool {
        if self.in_flight.remove(&id) {
            self.finished.insert(id);
        }
        self.spooled.remove(&id)
    }

    /// Notes that an update was not handled. It is new when Telegram brings it again, which it does since it stays unconfirmed.
    /// Answers whether it was set aside instead, and so will not be brought again.
    pub(crate) fn postpone(&mut self, id: u32) -> bool {
        if self.in_flight.remove(&id) {
            self.postponed.insert(id);
        }
        self.spooled.remove(&id)
    }

    /// Notes that a poll with `offset` was answered: Telegram repeats nothing below it any more.
    pub(crate) fn confirmed(&mut self, offset: i64) {
        self.finished.retain(|id| i64::from(*id) >= offset);
        self.confirmed_below = Some(offset);
    }

    /// Gives up what was left for later and is not at Telegram any more, since it waited there for a day or somebody else confirmed
    /// it: otherwise the offset would stay at it for ever. Answers how many these are.
    ///
    /// A poll with `offset` brings all that waits from there on, the lowest ids first, and may stop anywhere. So `received` lacks nothing
    /// that is below its highest id, and nothing at all if it is empty.
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
    fn a_known_update_is_not_admitted_again() {
        let mut tracker = tracked(&[7, 8]);
        tracker.finish(8);
        tracker.confirmed(7);
        assert!(!tracker.track(7), "in hand");
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
    fn an_update_that_was_left_is_not_confirmed_and_is_new_when_it_comes_again() {
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
    fn an_update_that_was_left_and_that_a_poll_from_there_on_does_not_bring_is_given_up() {
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
            // Cut off behind the highest.
            (Some(7), &[7], 0, 7),
            (Some(7), &[8], 1, 9),
            // Not asked for.
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
    fn an_update_that_was_set_aside_holds_up_no_confirmation_and_is_known_until_it_is_finished() {
        let mut tracker = tracked(&[7, 8, 9]);
        tracker.finish(9);
        tracker.mark_spooled(7);
        assert_eq!(tracker.offset(), Some(8));
        assert!(!tracker.track(7), "not confirmed yet, and brought again");
        tracker.mark_spooled(8);
        assert_eq!(tracker.offset(), Some(10));
        assert!(tracker.is_idle());
        tracker.confirmed(10);
        assert!(tracker.finish(7));
        assert!(tracker.postpone(8));
        assert!(!tracker.postpone(8));
        assert_eq!((tracker.offset(), tracker.in_flight()), (Some(10), 0), "and nothing is confirmed backwards");
    }

    #[test]
    fn an_update_that_was_set_aside_by_a_process_that_died_before_it_was_confirmed_is_confirmed() {
        let mut tracker = OffsetTracker::default();
        assert!(tracker.track_spooled(7));
        assert_eq!(tracker.offset(), None);
        assert!(!tracker.track(7));
        assert_eq!(tracker.offset(), Some(8));
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
