//! Which updates were fetched but not confirmed yet. Pure bookkeeping; `polling.rs` acts on it.
//!
//! Telegram has one number for a confirmation: asking for updates from an offset on confirms, and forgets, everything
//! below it. So the offset is the lowest update that is not finished, and until that one is finished Telegram repeats all
//! above it too, which the window recognises.

use std::collections::BTreeSet;

/// The updates in hand.
#[derive(Debug, Default)]
pub(crate) struct Window {
    unfinished: BTreeSet<u32>,
    /// Left for later. Not confirmed, so that Telegram brings them again.
    left: BTreeSet<u32>,
    /// Not finished, but safe, so that they may be confirmed.
    aside: BTreeSet<u32>,
    /// Finished or set aside, and as far as we know not confirmed.
    finished: BTreeSet<u32>,
    /// The offset of the last poll that was answered.
    confirmed_below: Option<i64>,
}

impl Window {
    /// What to ask Telegram for, and so what to confirm. `None` before the first update: whatever there is.
    pub(crate) fn offset(&self) -> Option<i64> {
        let lowest_unfinished = self.unfinished.first().into_iter().chain(self.left.first()).min();
        let lowest_unfinished = lowest_unfinished.map(|id| i64::from(*id));
        let after_the_finished = || self.finished.last().map(|id| i64::from(*id) + 1);
        lowest_unfinished.or_else(after_the_finished).or(self.confirmed_below)
    }

    /// Whether nothing is unfinished.
    pub(crate) fn is_idle(&self) -> bool {
        self.unfinished.is_empty()
    }

    /// How many are not finished.
    pub(crate) fn unfinished(&self) -> usize {
        self.unfinished.len() + self.aside.len()
    }

    /// Takes an update in hand. `false` when it is known already and must not be handled again.
    ///
    /// An id below all we know is new: after a week without updates Telegram goes on with any number.
    pub(crate) fn admit(&mut self, id: u32) -> bool {
        self.left.remove(&id);
        if self.aside.contains(&id) {
            self.finished.insert(id);
        }
        !self.finished.contains(&id) && self.unfinished.insert(id)
    }

    /// Takes an update in hand that was set aside before. `false` when it is in hand already.
    pub(crate) fn admit_aside(&mut self, id: u32) -> bool {
        self.aside.insert(id)
    }

    /// Notes that an unfinished update is safe: it holds up no confirmation any more.
    pub(crate) fn set_aside(&mut self, id: u32) {
        if self.unfinished.remove(&id) {
            self.finished.insert(id);
            self.aside.insert(id);
        }
    }

    /// How many are set aside.
    pub(crate) fn aside(&self) -> usize {
        self.aside.len()
    }

    /// Notes that an update was handled. Answers whether it was set aside.
    pub(crate) fn finish(&mut self, id: u32) -> bool {
        if self.unfinished.remove(&id) {
            self.finished.insert(id);
        }
        self.aside.remove(&id)
    }

    /// Notes that an update was not handled. It is new when Telegram brings it again, which it does since it stays unconfirmed.
    /// Answers whether it was set aside instead, and so will not be brought again.
    pub(crate) fn leave(&mut self, id: u32) -> bool {
        if self.unfinished.remove(&id) {
            self.left.insert(id);
        }
        self.aside.remove(&id)
    }

    /// Notes that a poll with `offset` was answered: Telegram repeats nothing below it any more.
    pub(crate) fn confirmed(&mut self, offset: i64) {
        self.finished.retain(|id| i64::from(*id) >= offset);
        self.confirmed_below = Some(offset);
    }

    /// Gives up what was left for later and is not at Telegram any more, since it waited there for a day or somebody else confirmed
    /// it: otherwise the offset would stay at it for ever. Answers how many these are.
    ///
    /// A poll with `offset` brings all that waits from there on, the lowest ids first, and may stop anywhere. So `brought` lacks nothing
    /// that is below its highest id, and nothing at all if it is empty.
    pub(crate) fn give_up_lost(&mut self, offset: Option<i64>, brought: &BTreeSet<u32>) -> usize {
        let before = self.left.len();
        let was_asked_for = |id: u32| offset.is_none_or(|offset| i64::from(id) >= offset);
        let would_have_come = |id: u32| brought.last().is_none_or(|highest| id < *highest);
        self.left.retain(|id| brought.contains(id) || !was_asked_for(*id) || !would_have_come(*id));
        before - self.left.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admitted(ids: &[u32]) -> Window {
        let mut window = Window::default();
        for id in ids {
            assert!(window.admit(*id));
        }
        window
    }

    #[test]
    fn nothing_is_confirmed_before_the_first_update() {
        assert_eq!(Window::default().offset(), None);
    }

    #[test]
    fn the_offset_stays_at_the_lowest_unfinished_update() {
        let mut window = admitted(&[7, 8, 9]);
        window.finish(8);
        assert_eq!(window.offset(), Some(7));
        window.finish(7);
        assert_eq!(window.offset(), Some(9));
        window.finish(9);
        assert_eq!(window.offset(), Some(10));
        assert!(window.is_idle());
    }

    #[test]
    fn a_known_update_is_not_admitted_again() {
        let mut window = admitted(&[7, 8]);
        window.finish(8);
        window.confirmed(7);
        assert!(!window.admit(7), "in hand");
        assert!(!window.admit(8), "finished, but not confirmed");
    }

    #[test]
    fn a_finished_update_is_remembered_until_a_poll_has_confirmed_it() {
        let mut window = admitted(&[7]);
        window.finish(7);
        assert!(!window.admit(7), "the poll that confirms it may have failed");
        window.confirmed(8);
        assert_eq!(window.offset(), Some(8));
    }

    #[test]
    fn an_update_that_was_left_is_not_confirmed_and_is_new_when_it_comes_again() {
        let mut window = admitted(&[7, 8, 9]);
        window.finish(9);
        window.leave(7);
        window.finish(8);
        assert_eq!(window.offset(), Some(7));
        assert!(!window.admit(8));
        assert!(window.admit(7));
        window.finish(7);
        assert_eq!(window.offset(), Some(10));
    }

    #[test]
    fn an_update_that_was_left_and_that_a_poll_from_there_on_does_not_bring_is_given_up() {
        let window = || {
            let mut window = admitted(&[7, 8, 9]);
            for id in [7, 9] {
                window.leave(id);
            }
            window.finish(8);
            window
        };
        for (offset, brought, lost, next) in [
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
            let mut window = window();
            let brought = brought.iter().copied().collect();
            assert_eq!(window.give_up_lost(offset, &brought), lost, "{offset:?} {brought:?}");
            assert_eq!(window.offset(), Some(next), "{offset:?} {brought:?}");
        }
    }

    #[test]
    fn an_update_that_was_set_aside_holds_up_no_confirmation_and_is_known_until_it_is_finished() {
        let mut window = admitted(&[7, 8, 9]);
        window.finish(9);
        window.set_aside(7);
        assert_eq!(window.offset(), Some(8));
        assert!(!window.admit(7), "not confirmed yet, and brought again");
        window.set_aside(8);
        assert_eq!(window.offset(), Some(10));
        assert!(window.is_idle());
        window.confirmed(10);
        assert!(window.finish(7));
        assert!(window.leave(8));
        assert!(!window.leave(8));
        assert_eq!((window.offset(), window.unfinished()), (Some(10), 0), "and nothing is confirmed backwards");
    }

    #[test]
    fn an_update_that_was_set_aside_by_a_process_that_died_before_it_was_confirmed_is_confirmed() {
        let mut window = Window::default();
        assert!(window.admit_aside(7));
        assert_eq!(window.offset(), None);
        assert!(!window.admit(7));
        assert_eq!(window.offset(), Some(8));
    }

    #[test]
    fn numbers_that_begin_anew_are_followed() {
        let mut window = admitted(&[1_000]);
        window.finish(1_000);
        window.confirmed(1_001);
        assert!(window.admit(5));
        assert_eq!(window.offset(), Some(5));
        window.finish(5);
        assert_eq!(window.offset(), Some(6));
    }
}
