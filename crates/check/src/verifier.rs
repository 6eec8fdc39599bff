//! The verifier. Messages are independent of each other, so it verifies each of them separately.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt,
    ops::AddAssign,
};

use crate::history::{Call, Event, EventKind, Outcome, State};

/// The number of messages with each classification. Verdicts of several histories can be added.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Messages whose creator got a response.
    pub acknowledged: u64,
    /// Acknowledged messages with exactly one reader.
    pub read_once: u64,
    /// Acknowledged messages that were burned, or may have been.
    pub burned: u64,
    /// Acknowledged messages that are gone although no reader has the text. Must be 0.
    pub lost: u64,
    /// Messages whose text has two readers. Must be 0.
    pub read_twice: u64,
    /// Messages with an outcome that no order of events explains. Must be 0.
    pub unexpected: u64,
    /// Acknowledged messages of which no client knows the end.
    pub unknown: u64,
    /// Acknowledged messages whose text was lost with the response to a reader without an idempotency key.
    pub forfeited: u64,
    /// Injected faults.
    pub faults: u64,
    /// Calls with wrong tokens or unknown ids.
    pub bad_inputs: u64,
}

impl Verdict {
    /// Returns `true` if the guarantees to all readers hold: nothing lost, nothing read twice, nothing unexplained.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        self.lost == 0 && self.read_twice == 0 && self.unexpected == 0
    }

    /// Returns `true` if the guarantees to readers with idempotency keys hold as well: each knows the end, and each got
    /// its text.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.is_valid() && self.unknown == 0 && self.forfeited == 0
    }
}

impl AddAssign for Verdict {
    fn add_assign(&mut self, other: Self) {
        self.acknowledged += other.acknowledged;
        self.read_once += other.read_once;
        self.burned += other.burned;
        self.lost += other.lost;
        self.read_twice += other.read_twice;
        self.unexpected += other.unexpected;
        self.unknown += other.unknown;
        self.forfeited += other.forfeited;
        self.faults += other.faults;
        self.bad_inputs += other.bad_inputs;
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { acknowledged, read_once, burned, lost, read_twice, .. } = self;
        let Self { unexpected, unknown, forfeited, faults, bad_inputs, .. } = self;
        write!(
            formatter,
            "acknowledged {acknowledged}, read once {read_once}, burned {burned}, lost {lost}, \
             read twice {read_twice}, unexpected {unexpected}, unknown {unknown}, forfeited {forfeited}; \
             faults survived {faults}, bad inputs tried {bad_inputs}"
        )
    }
}

/// One call, from its invocation to its outcome.
#[derive(Clone, Copy)]
struct Operation {
    call_id: u64,
    call: Call,
    began_us: u64,
    ended_us: Option<u64>,
    outcome: Outcome,
}

impl Operation {
    fn ended_before(&self, later: &Self) -> bool {
        self.ended_us.is_some_and(|ended_us| ended_us < later.began_us)
    }

    /// The recipient of the text, if this view returned it.
    fn holder(&self) -> Holder {
        match self.call {
            Call::View { reader: Some(reader) } => Holder::Reader(reader),
            _ => Holder::Call(self.call_id),
        }
    }

    /// The final state of the message, if the outcome reveals it. A message has one final state.
    fn final_state(&self) -> Option<State> {
        match (self.call, self.outcome) {
            (_, Outcome::Text(_)) => Some(State::Viewed),
            (Call::Burn, Outcome::Done) => Some(State::Burned),
            (_, Outcome::Found(state)) if state != State::Unread => Some(state),
            _ => None,
        }
    }

    /// Returns `true` if the outcome implies that the message is no longer unread.
    fn implies_end(&self) -> bool {
        let is_right = self.call != Call::Guess;
        is_right && (self.outcome == Outcome::Gone || self.final_state().is_some())
    }
}

/// The recipient of a text: a reader with an idempotency key, or a single call of a reader without one.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Holder {
    Reader(u64),
    Call(u64),
}

/// Verifies a history.
#[must_use]
pub fn verify(history: &[Event]) -> Verdict {
    let mut verdict = Verdict::default();
    for operations in by_message(history) {
        verdict += verify_message(&operations);
    }
    for event in history {
        match event.kind {
            EventKind::Fault(_) => verdict.faults += 1,
            EventKind::RejectedGuesses(refused) => verdict.bad_inputs += refused,
            EventKind::Invoked { .. } | EventKind::Completed(_) => {}
        }
    }
    verdict
}

fn by_message(history: &[Event]) -> Vec<MessageHistory> {
    let mut outcomes = HashMap::new();
    for event in history {
        if let EventKind::Completed(outcome) = event.kind {
            outcomes.insert(event.call_id, (event.at_us, outcome));
        }
    }
    let mut messages: BTreeMap<u64, Vec<Operation>> = BTreeMap::new();
    for event in history {
        if let EventKind::Invoked { message, call } = event.kind {
            let outcome = outcomes.get(&event.call_id);
            messages.entry(message).or_default().push(Operation {
                call_id: event.call_id,
                call,
                began_us: event.at_us,
                ended_us: outcome.map(|(at_us, _)| *at_us),
                outcome: outcome.map_or(Outcome::Unknown, |(_, outcome)| *outcome),
            });
        }
    }
    messages.into_iter().map(|(message, operations)| MessageHistory { message, operations }).collect()
}

/// All calls that concern one message.
struct MessageHistory {
    message: u64,
    operations: Vec<Operation>,
}

fn verify_message(history: &MessageHistory) -> Verdict {
    let count = |is_so: bool| u64::from(is_so);
    let mut verdict = Verdict {
        unexpected: count(history.has_impossible_outcome() || history.is_inconsistent()),
        read_twice: count(history.holders().len() > 1),
        bad_inputs: history.with_call(|call| call == Call::Guess).count() as u64,
        ..Verdict::default()
    };
    if !history.operations.iter().any(|operation| matches!(operation.outcome, Outcome::Created(_))) {
        return verdict;
    }
    verdict.acknowledged = 1;
    match history.classify() {
        Classification::ReadOnce => verdict.read_once = 1,
        Classification::ReadTwice => {}
        Classification::Burned => verdict.burned = 1,
        Classification::Lost => verdict.lost = 1,
        Classification::Unknown => verdict.unknown = 1,
        Classification::Forfeited => verdict.forfeited = 1,
    }
    verdict
}

enum Classification {
    ReadOnce,
    ReadTwice,
    Burned,
    Lost,
    Unknown,
    Forfeited,
}

impl MessageHistory {
    fn with_call(&self, is_it: impl Fn(Call) -> bool) -> impl Iterator<Item = &Operation> {
        self.operations.iter().filter(move |operation| is_it(operation.call))
    }

    fn views(&self) -> impl Iterator<Item = &Operation> {
        self.with_call(|call| matches!(call, Call::View { .. }))
    }

    fn burns(&self) -> impl Iterator<Item = &Operation> {
        self.with_call(|call| call == Call::Burn)
    }

    fn texts(&self) -> impl Iterator<Item = &Operation> {
        self.views().filter(|view| matches!(view.outcome, Outcome::Text(_)))
    }

    fn holders(&self) -> BTreeSet<Holder> {
        self.texts().map(Operation::holder).collect()
    }

    fn is_burned(&self) -> bool {
        self.operations.iter().any(|operation| operation.final_state() == Some(State::Burned))
    }

    /// Returns `true` if a call has an outcome that is impossible for its kind.
    fn has_impossible_outcome(&self) -> bool {
        let is_possible = |operation: &Operation| match (operation.call, operation.outcome) {
            (_, Outcome::Unknown)
            | (Call::Create, Outcome::Created(_))
            | (Call::View { .. }, Outcome::Gone)
            | (Call::Acknowledge { .. }, Outcome::Done)
            | (Call::Burn, Outcome::Done | Outcome::Gone)
            // A lookup needs a token, so the creation succeeded. Older histories do not record the state that a lookup
            // returned.
            | (Call::Lookup, Outcome::Found(_) | Outcome::Done)
            | (Call::Guess, Outcome::Rejected | Outcome::Gone) => true,
            (Call::View { .. }, Outcome::Text(text)) => text == Some(self.message),
            _ => false,
        };
        !self.operations.iter().all(is_possible)
    }

    /// Returns `true` if some outcomes contradict each other.
    fn is_inconsistent(&self) -> bool {
        let message_refs = self.operations.iter().filter_map(|operation| match operation.outcome {
            Outcome::Created(message_ref) => Some(message_ref),
            _ => None,
        });
        let final_states: BTreeSet<_> = self.operations.iter().filter_map(Operation::final_state).collect();
        message_refs.collect::<BTreeSet<_>>().len() > 1
            || final_states.len() > 1
            // Burning is idempotent, so a burned message is never gone for another burn.
            || (self.is_burned() && self.burns().any(|burn| burn.outcome == Outcome::Gone))
            || self.ends_too_early()
            || self.is_unread_after_end()
            || self.texts().any(|text| self.follows_acknowledgement(text) || self.was_gone_before_acknowledgement(text))
    }

    /// Returns `true` if the message was gone before the first attempt of the call that ended it.
    fn ends_too_early(&self) -> bool {
        let enders = self.texts().map(Operation::holder).map(Some).chain(self.is_burned().then_some(None));
        enders.collect::<BTreeSet<_>>().into_iter().any(|ender| {
            let attempts = self.operations.iter().filter(|attempt| match &ender {
                Some(holder) => matches!(attempt.call, Call::View { .. }) && attempt.holder() == *holder,
                None => attempt.call == Call::Burn,
            });
            let first = attempts.min_by_key(|attempt| attempt.began_us);
            let is_too_soon = |gone: &Operation| first.is_none_or(|first| gone.ended_before(first));
            // A text that another reader returned earlier counts as read twice instead.
            let is_gone =
                |operation: &&Operation| operation.implies_end() && !matches!(operation.outcome, Outcome::Text(_));
            self.operations.iter().filter(is_gone).any(is_too_soon)
        })
    }

    /// Returns `true` if a lookup found the message unread although its end was known.
    fn is_unread_after_end(&self) -> bool {
        let is_unread = |operation: &&Operation| operation.outcome == Outcome::Found(State::Unread);
        let is_late =
            |unread: &Operation| self.operations.iter().any(|end| end.implies_end() && end.ended_before(unread));
        self.operations.iter().filter(is_unread).any(is_late)
    }

    fn acknowledgements(&self, view: Call) -> impl Iterator<Item = &Operation> {
        self.with_call(move |call| match (call, view) {
            (Call::Acknowledge { reader }, Call::View { reader: viewer }) => Some(reader) == viewer,
            _ => false,
        })
    }

    fn follows_acknowledgement(&self, text: &Operation) -> bool {
        let mut done = self.acknowledgements(text.call).filter(|operation| operation.outcome == Outcome::Done);
        done.any(|acknowledgement| acknowledgement.ended_before(text))
    }

    /// Returns `true` if the reader of the text also got "gone" before it acknowledged.
    fn was_gone_before_acknowledgement(&self, text: &Operation) -> bool {
        let is_denial = |view: &&Operation| view.call == text.call && view.outcome == Outcome::Gone;
        let may_repeat = matches!(text.call, Call::View { reader: Some(_) });
        let denied =
            |view: &Operation| !self.acknowledgements(text.call).any(|operation| !view.ended_before(operation));
        may_repeat && self.views().filter(is_denial).any(denied)
    }

    /// Classifies an acknowledged message.
    fn classify(&self) -> Classification {
        match self.holders().len() {
            0 => {}
            1 => return Classification::ReadOnce,
            _ => return Classification::ReadTwice,
        }
        // A burn with an unknown outcome may have ended the message, unless another outcome shows a different end.
        let is_something_else = self.burns().any(|burn| burn.outcome == Outcome::Gone)
            || self
                .operations
                .iter()
                .filter_map(Operation::final_state)
                .any(|final_state| final_state != State::Burned);
        let may_be_burned = !is_something_else && self.burns().any(|burn| burn.outcome == Outcome::Unknown);
        if self.is_burned() || may_be_burned {
            return Classification::Burned;
        }
        if !self.operations.iter().any(Operation::implies_end) {
            return Classification::Unknown;
        }
        let mut unknown = self.views().filter(|view| view.outcome == Outcome::Unknown);
        if unknown.any(|view| view.call == Call::View { reader: None }) {
            return Classification::Forfeited;
        }
        // A reader with a key and only unknown outcomes may still get the text. A reader that got "gone" has not.
        let got_gone = |reader| self.views().any(|view| view.call == reader && view.outcome == Outcome::Gone);
        let may_have_text = self.views().any(|view| view.outcome == Outcome::Unknown && !got_gone(view.call));
        if may_have_text { Classification::Unknown } else { Classification::Lost }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANN: Call = Call::View { reader: Some(1) };
    const BOB: Call = Call::View { reader: Some(2) };
    const KEYLESS: Call = Call::View { reader: None };
    const ACKNOWLEDGE: Call = Call::Acknowledge { reader: 1 };
    const CREATED: (Call, Outcome) = (Call::Create, Outcome::Created(7));
    const TEXT: Outcome = Outcome::Text(Some(0));
    const UNREAD: (Call, Outcome) = (Call::Lookup, Outcome::Found(State::Unread));
    const VIEWED: (Call, Outcome) = (Call::Lookup, Outcome::Found(State::Viewed));
    const BURNED: (Call, Outcome) = (Call::Lookup, Outcome::Found(State::Burned));

    /// The verdict on a history of message 0 with these calls, one after the other.
    fn verdict(calls: &[(Call, Outcome)]) -> Verdict {
        let mut history = Vec::new();
        for (call_id, (call, outcome)) in calls.iter().enumerate() {
            let (call_id, at_us) = (call_id as u64, 10 * call_id as u64);
            history.push(Event { at_us, call_id, kind: EventKind::Invoked { message: 0, call: *call } });
            if *outcome != Outcome::Unknown {
                history.push(Event { at_us: at_us + 5, call_id, kind: EventKind::Completed(*outcome) });
            }
        }
        verify(&history)
    }

    fn only(change: impl FnOnce(&mut Verdict)) -> Verdict {
        let mut verdict = Verdict { acknowledged: 1, ..Verdict::default() };
        change(&mut verdict);
        verdict
    }

    #[test]
    fn valid_histories_pass() {
        let once = only(|verdict| verdict.read_once = 1);
        for calls in [
            &[CREATED, (ANN, TEXT), (BOB, Outcome::Gone)][..],
            &[CREATED, CREATED, (ANN, Outcome::Unknown), (ANN, TEXT), (ANN, TEXT)],
            &[CREATED, (KEYLESS, TEXT), (KEYLESS, Outcome::Gone)],
            &[
                (Call::Create, Outcome::Unknown),
                CREATED,
                (ANN, TEXT),
                (ACKNOWLEDGE, Outcome::Done),
                (ANN, Outcome::Gone),
            ],
            // The response to the acknowledgement was lost; the acknowledgement succeeded.
            &[CREATED, (ANN, TEXT), (ACKNOWLEDGE, Outcome::Unknown), (ANN, Outcome::Gone)],
            &[CREATED, (Call::Burn, Outcome::Unknown), (ANN, TEXT), (Call::Burn, Outcome::Gone)],
            // The first attempt read the message, which was not known before the second attempt.
            &[CREATED, (ANN, Outcome::Unknown), (BOB, Outcome::Gone), VIEWED, (ANN, TEXT)],
            &[CREATED, UNREAD, (ANN, TEXT), VIEWED],
        ] {
            assert_eq!(verdict(calls), once, "{calls:?}");
        }
        let burned = verdict(&[CREATED, (Call::Burn, Outcome::Done), (ANN, Outcome::Gone), BURNED]);
        assert_eq!(burned, only(|verdict| verdict.burned = 1));
        for calls in [
            &[CREATED, (Call::Burn, Outcome::Unknown), (ANN, Outcome::Gone), (Call::Burn, Outcome::Done)][..],
            &[CREATED, (Call::Burn, Outcome::Unknown), (ANN, Outcome::Gone), BURNED],
        ] {
            assert_eq!(verdict(calls), burned, "{calls:?}");
        }
        let guessed = verdict(&[CREATED, (Call::Guess, Outcome::Rejected), (ANN, TEXT)]);
        assert_eq!(guessed, only(|verdict| (verdict.read_once, verdict.bad_inputs) = (1, 1)));
        assert!(once.is_complete() && burned.is_complete() && guessed.is_complete());
    }

    #[test]
    fn a_text_with_two_readers_is_read_twice() {
        for (first, second) in [(ANN, BOB), (ANN, KEYLESS), (KEYLESS, KEYLESS)] {
            let twice = verdict(&[CREATED, (first, TEXT), (second, TEXT)]);
            assert_eq!(twice, only(|verdict| verdict.read_twice = 1));
            assert!(!twice.is_valid());
        }
    }

    #[test]
    fn a_text_that_is_gone_without_a_reader_is_lost() {
        for calls in [
            &[CREATED, (ANN, Outcome::Gone)][..],
            &[CREATED, (ANN, Outcome::Unknown), (ANN, Outcome::Gone), (BOB, Outcome::Gone)],
            // If the burn had ended the message, the second burn would have succeeded.
            &[CREATED, (Call::Burn, Outcome::Unknown), (ANN, Outcome::Gone), (Call::Burn, Outcome::Gone)],
            &[CREATED, (Call::Burn, Outcome::Unknown), (Call::Burn, Outcome::Gone)],
            &[CREATED, (Call::Burn, Outcome::Unknown), (ANN, Outcome::Gone), VIEWED],
            &[CREATED, (Call::Lookup, Outcome::Found(State::Expired))],
        ] {
            let lost = verdict(calls);
            assert_eq!(lost, only(|verdict| verdict.lost = 1));
            assert!(!lost.is_valid());
        }
    }

    #[test]
    fn texts_without_a_key_are_forfeited_and_missing_outcomes_are_unknown() {
        for (calls, expected) in [
            (&[CREATED, (KEYLESS, Outcome::Unknown), (ANN, Outcome::Gone)][..], only(|verdict| verdict.forfeited = 1)),
            (&[CREATED, (ANN, Outcome::Unknown), (BOB, Outcome::Gone)], only(|verdict| verdict.unknown = 1)),
            (&[CREATED], only(|verdict| verdict.unknown = 1)),
        ] {
            let verdict = verdict(calls);
            assert_eq!(verdict, expected);
            assert!(verdict.is_valid() && !verdict.is_complete());
        }
        assert_eq!(verdict(&[(Call::Create, Outcome::Unknown)]), Verdict::default());
    }

    #[test]
    fn unexplained_outcomes_are_unexpected() {
        for calls in [
            // The text of another message, or of none.
            &[CREATED, (ANN, Outcome::Text(Some(1)))][..],
            &[CREATED, (ANN, Outcome::Text(None))],
            // A retried creation that returned another message.
            &[CREATED, (Call::Create, Outcome::Created(8)), (ANN, TEXT)],
            // A text after its reader acknowledged it, or after its reader got "gone".
            &[CREATED, (ANN, TEXT), (ACKNOWLEDGE, Outcome::Done), (ANN, TEXT)],
            &[CREATED, (ANN, Outcome::Gone), (ANN, TEXT)],
            &[CREATED, (ANN, TEXT), (ANN, Outcome::Gone)],
            // A burned text that a reader has.
            &[CREATED, (Call::Burn, Outcome::Done), (ANN, TEXT)],
            &[CREATED, (ANN, TEXT), BURNED],
            // Gone before any call that can have ended it.
            &[CREATED, (BOB, Outcome::Gone), (ANN, TEXT)],
            &[CREATED, (Call::Burn, Outcome::Gone), (ANN, TEXT)],
            &[CREATED, (BOB, Outcome::Gone), (KEYLESS, TEXT)],
            &[CREATED, VIEWED, (ANN, TEXT)],
            &[CREATED, (BOB, Outcome::Gone), (Call::Burn, Outcome::Done)],
            // Burned, and then not burned.
            &[CREATED, (Call::Burn, Outcome::Done), (Call::Burn, Outcome::Gone)],
            // Looked up in an impossible state.
            &[CREATED, (ANN, TEXT), UNREAD],
            &[CREATED, (Call::Burn, Outcome::Done), UNREAD],
            &[CREATED, (ANN, Outcome::Unknown), (BOB, Outcome::Gone), UNREAD, (ANN, TEXT)],
            &[CREATED, (Call::Burn, Outcome::Done), VIEWED],
            &[CREATED, (ANN, TEXT), (Call::Lookup, Outcome::Found(State::Expired))],
            &[CREATED, (Call::Lookup, Outcome::Gone), (ANN, TEXT)],
            // Outcomes that do not fit the call.
            &[CREATED, (Call::Burn, TEXT)],
            &[CREATED, (Call::Guess, TEXT)],
            &[CREATED, (ANN, Outcome::Rejected)],
            &[CREATED, (ANN, TEXT), (ACKNOWLEDGE, Outcome::Gone)],
            &[(Call::Create, Outcome::Rejected)],
        ] {
            let unexpected = verdict(calls);
            assert_eq!(unexpected.unexpected, 1, "{calls:?}: {unexpected}");
            assert!(!unexpected.is_valid());
        }
    }

    #[test]
    fn an_acknowledgement_that_overlaps_a_view_allows_both_outcomes() {
        let event = |at_us, call_id, kind| Event { at_us, call_id, kind };
        let intends = |call| EventKind::Invoked { message: 0, call };
        for outcome in [TEXT, Outcome::Gone] {
            let history = [
                event(0, 0, intends(Call::Create)),
                event(1, 0, EventKind::Completed(Outcome::Created(7))),
                event(2, 1, intends(ANN)),
                event(3, 1, EventKind::Completed(TEXT)),
                event(4, 2, intends(ANN)),
                event(5, 3, intends(ACKNOWLEDGE)),
                event(6, 3, EventKind::Completed(Outcome::Done)),
                event(7, 2, EventKind::Completed(outcome)),
            ];
            assert_eq!(verify(&history), only(|verdict| verdict.read_once = 1));
        }
    }

    #[test]
    fn verdicts_add_up_and_count_faults_and_guesses() {
        let event = |kind| Event { at_us: 0, call_id: 0, kind };
        let fault = event(EventKind::Fault("kill -9".to_owned()));
        let mut verdict = verify(&[
            fault.clone(),
            fault,
            event(EventKind::RejectedGuesses(40)),
            event(EventKind::RejectedGuesses(2)),
        ]);
        assert_eq!(verdict, Verdict { faults: 2, bad_inputs: 42, ..Verdict::default() });
        verdict += only(|verdict| verdict.lost = 1);
        verdict += only(|verdict| verdict.read_once = 1);
        assert_eq!(
            verdict.to_string(),
            "acknowledged 2, read once 1, burned 0, lost 1, read twice 0, unexpected 0, unknown 0, forfeited 0; \
             faults survived 2, bad inputs tried 42"
        );
    }
}
