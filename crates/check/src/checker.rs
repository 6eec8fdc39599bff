//! The judge. Every message is an object of its own, so each is judged alone.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt,
    ops::AddAssign,
};

use crate::history::{Answer, Call, Event, State, What};

/// How many messages came to what. Add verdicts to judge several histories together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Whose creation was answered.
    pub acknowledged: u64,
    /// Of these, read by exactly one reader.
    pub read_once: u64,
    /// Of these, burned, perhaps.
    pub burned: u64,
    /// Of these, gone although nobody has the text. Must be 0.
    pub lost: u64,
    /// Whose text two readers have. Must be 0.
    pub read_twice: u64,
    /// With an answer that no order of events explains. Must be 0.
    pub unexpected: u64,
    /// Of the acknowledged, of which nobody found out what became of them.
    pub unknown: u64,
    /// Of the acknowledged, read by somebody who could not repeat the call and did not get the answer.
    pub forfeited: u64,
    /// Things broken on purpose.
    pub faults: u64,
    /// Calls with something that opens no message.
    pub bad_inputs: u64,
}

impl Verdict {
    /// Whether the promise to all readers was kept: nothing lost, nothing read twice, nothing that cannot be.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        self.lost == 0 && self.read_twice == 0 && self.unexpected == 0
    }

    /// Whether moreover the promise to readers with a key was kept: each found out, and each got its text.
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
            "acknowledged {acknowledged}, read once {read_once}, burned {burned}, lost {lost}, read twice {read_twice}, \
             unexpected {unexpected}, unknown {unknown}, forfeited {forfeited}; \
             faults survived {faults}, bad inputs tried {bad_inputs}"
        )
    }
}

/// One call from its intention to its answer.
#[derive(Clone, Copy)]
struct Operation {
    call_id: u64,
    call: Call,
    began_us: u64,
    ended_us: Option<u64>,
    answer: Answer,
}

impl Operation {
    fn ended_before(&self, later: &Self) -> bool {
        self.ended_us.is_some_and(|ended_us| ended_us < later.began_us)
    }

    /// Who has the text, if this is a view that answered it.
    fn holder(&self) -> Holder {
        match self.call {
            Call::View { reader: Some(reader) } => Holder::Reader(reader),
            _ => Holder::Call(self.call_id),
        }
    }

    /// What became of the message, if the answer says so. It becomes one thing, once.
    fn fate(&self) -> Option<State> {
        match (self.call, self.answer) {
            (_, Answer::Text(_)) => Some(State::Viewed),
            (Call::Burn, Answer::Done) => Some(State::Burned),
            (_, Answer::Found(state)) if state != State::Unread => Some(state),
            _ => None,
        }
    }

    /// Whether the answer says that the message is not unread any more.
    fn tells_of_the_end(&self) -> bool {
        let is_right = self.call != Call::Guess;
        is_right && (self.answer == Answer::Gone || self.fate().is_some())
    }
}

/// Who has a text: a reader that may repeat its call, or the one call of a reader that cannot.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Holder {
    Reader(u64),
    Call(u64),
}

/// Judges a history.
#[must_use]
pub fn check(history: &[Event]) -> Verdict {
    let mut verdict = Verdict::default();
    for operations in by_message(history) {
        verdict += judge(&operations);
    }
    for event in history {
        match event.what {
            What::Fault(_) => verdict.faults += 1,
            What::Strangers(refused) => verdict.bad_inputs += refused,
            What::Intends { .. } | What::Answered(_) => {}
        }
    }
    verdict
}

fn by_message(history: &[Event]) -> Vec<MessageHistory> {
    let mut answers = HashMap::new();
    for event in history {
        if let What::Answered(answer) = event.what {
            answers.insert(event.call_id, (event.at_us, answer));
        }
    }
    let mut messages: BTreeMap<u64, Vec<Operation>> = BTreeMap::new();
    for event in history {
        if let What::Intends { message, call } = event.what {
            let answer = answers.get(&event.call_id);
            messages.entry(message).or_default().push(Operation {
                call_id: event.call_id,
                call,
                began_us: event.at_us,
                ended_us: answer.map(|(at_us, _)| *at_us),
                answer: answer.map_or(Answer::Unknown, |(_, answer)| *answer),
            });
        }
    }
    messages.into_iter().map(|(message, operations)| MessageHistory { message, operations }).collect()
}

/// All that was asked of one message.
struct MessageHistory {
    message: u64,
    operations: Vec<Operation>,
}

fn judge(history: &MessageHistory) -> Verdict {
    let count = |is_so: bool| u64::from(is_so);
    let mut verdict = Verdict {
        unexpected: count(history.has_impossible_answer() || history.contradicts_itself()),
        read_twice: count(history.holders().len() > 1),
        bad_inputs: history.of(|call| call == Call::Guess).count() as u64,
        ..Verdict::default()
    };
    if !history.operations.iter().any(|operation| matches!(operation.answer, Answer::Created(_))) {
        return verdict;
    }
    verdict.acknowledged = 1;
    match history.end() {
        End::ReadOnce => verdict.read_once = 1,
        End::ReadTwice => {}
        End::Burned => verdict.burned = 1,
        End::Lost => verdict.lost = 1,
        End::Unknown => verdict.unknown = 1,
        End::Forfeited => verdict.forfeited = 1,
    }
    verdict
}

enum End {
    ReadOnce,
    ReadTwice,
    Burned,
    Lost,
    Unknown,
    Forfeited,
}

impl MessageHistory {
    fn of(&self, is_it: impl Fn(Call) -> bool) -> impl Iterator<Item = &Operation> {
        self.operations.iter().filter(move |operation| is_it(operation.call))
    }

    fn views(&self) -> impl Iterator<Item = &Operation> {
        self.of(|call| matches!(call, Call::View { .. }))
    }

    fn burns(&self) -> impl Iterator<Item = &Operation> {
        self.of(|call| call == Call::Burn)
    }

    fn texts(&self) -> impl Iterator<Item = &Operation> {
        self.views().filter(|view| matches!(view.answer, Answer::Text(_)))
    }

    fn holders(&self) -> BTreeSet<Holder> {
        self.texts().map(Operation::holder).collect()
    }

    fn is_burned(&self) -> bool {
        self.operations.iter().any(|operation| operation.fate() == Some(State::Burned))
    }

    /// Whether a call has an answer that such a call never has.
    fn has_impossible_answer(&self) -> bool {
        let is_possible = |operation: &Operation| match (operation.call, operation.answer) {
            (_, Answer::Unknown)
            | (Call::Create, Answer::Created(_))
            | (Call::View { .. }, Answer::Gone)
            | (Call::Acknowledge { .. }, Answer::Done)
            | (Call::Burn, Answer::Done | Answer::Gone)
            // Whoever can look a message up was answered when it was created. Older histories do not say what was found.
            | (Call::Lookup, Answer::Found(_) | Answer::Done)
            | (Call::Guess, Answer::Refused | Answer::Gone) => true,
            (Call::View { .. }, Answer::Text(text)) => text == Some(self.message),
            _ => false,
        };
        !self.operations.iter().all(is_possible)
    }

    /// Whether there are answers that do not go together.
    fn contradicts_itself(&self) -> bool {
        let openers = self.operations.iter().filter_map(|operation| match operation.answer {
            Answer::Created(opener) => Some(opener),
            _ => None,
        });
        let fates: BTreeSet<_> = self.operations.iter().filter_map(Operation::fate).collect();
        openers.collect::<BTreeSet<_>>().len() > 1
            || fates.len() > 1
            // Whoever burns what was burned is told that it is done.
            || (self.is_burned() && self.burns().any(|burn| burn.answer == Answer::Gone))
            || self.is_gone_too_soon()
            || self.is_unread_too_late()
            || self.texts().any(|text| self.is_after_its_acknowledgement(text) || self.was_denied_before_it(text))
    }

    /// Whether the message was gone before whoever ended it had come.
    fn is_gone_too_soon(&self) -> bool {
        let enders = self.texts().map(Operation::holder).map(Some).chain(self.is_burned().then_some(None));
        enders.collect::<BTreeSet<_>>().into_iter().any(|ender| {
            let attempts = self.operations.iter().filter(|attempt| match &ender {
                Some(holder) => matches!(attempt.call, Call::View { .. }) && attempt.holder() == *holder,
                None => attempt.call == Call::Burn,
            });
            let first = attempts.min_by_key(|attempt| attempt.began_us);
            let is_too_soon = |gone: &Operation| first.is_none_or(|first| gone.ended_before(first));
            // A text that somebody else had before is read twice, which is counted as that.
            let says_gone =
                |operation: &&Operation| operation.tells_of_the_end() && !matches!(operation.answer, Answer::Text(_));
            self.operations.iter().filter(says_gone).any(is_too_soon)
        })
    }

    /// Whether the message was found unread after its end was known.
    fn is_unread_too_late(&self) -> bool {
        let is_unread = |operation: &&Operation| operation.answer == Answer::Found(State::Unread);
        let is_late =
            |unread: &Operation| self.operations.iter().any(|end| end.tells_of_the_end() && end.ended_before(unread));
        self.operations.iter().filter(is_unread).any(is_late)
    }

    fn acknowledgements(&self, view: Call) -> impl Iterator<Item = &Operation> {
        self.of(move |call| match (call, view) {
            (Call::Acknowledge { reader }, Call::View { reader: viewer }) => Some(reader) == viewer,
            _ => false,
        })
    }

    fn is_after_its_acknowledgement(&self, text: &Operation) -> bool {
        let mut done = self.acknowledgements(text.call).filter(|operation| operation.answer == Answer::Done);
        done.any(|acknowledgement| acknowledgement.ended_before(text))
    }

    /// Whether the reader that has the text heard "gone" as well, before it acknowledged.
    fn was_denied_before_it(&self, text: &Operation) -> bool {
        let is_denial = |view: &&Operation| view.call == text.call && view.answer == Answer::Gone;
        let may_repeat = matches!(text.call, Call::View { reader: Some(_) });
        let denied =
            |view: &Operation| !self.acknowledgements(text.call).any(|operation| !view.ended_before(operation));
        may_repeat && self.views().filter(is_denial).any(denied)
    }

    /// What became of the message, if it was acknowledged.
    fn end(&self) -> End {
        match self.holders().len() {
            0 => {}
            1 => return End::ReadOnce,
            _ => return End::ReadTwice,
        }
        // A burn that heard nothing may have been the end, unless somebody heard that something else was.
        let is_something_else = self.burns().any(|burn| burn.answer == Answer::Gone)
            || self.operations.iter().filter_map(Operation::fate).any(|fate| fate != State::Burned);
        let may_be_burned = !is_something_else && self.burns().any(|burn| burn.answer == Answer::Unknown);
        if self.is_burned() || may_be_burned {
            return End::Burned;
        }
        if !self.operations.iter().any(Operation::tells_of_the_end) {
            return End::Unknown;
        }
        let mut unanswered = self.views().filter(|view| view.answer == Answer::Unknown);
        if unanswered.any(|view| view.call == Call::View { reader: None }) {
            return End::Forfeited;
        }
        // A reader with a key that heard nothing but "unknown" may still have it; one that heard "gone" has not.
        let heard_gone = |reader| self.views().any(|view| view.call == reader && view.answer == Answer::Gone);
        let never_heard = self.views().any(|view| view.answer == Answer::Unknown && !heard_gone(view.call));
        if never_heard { End::Unknown } else { End::Lost }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANN: Call = Call::View { reader: Some(1) };
    const BOB: Call = Call::View { reader: Some(2) };
    const KEYLESS: Call = Call::View { reader: None };
    const ACKNOWLEDGE: Call = Call::Acknowledge { reader: 1 };
    const CREATED: (Call, Answer) = (Call::Create, Answer::Created(7));
    const TEXT: Answer = Answer::Text(Some(0));
    const UNREAD: (Call, Answer) = (Call::Lookup, Answer::Found(State::Unread));
    const VIEWED: (Call, Answer) = (Call::Lookup, Answer::Found(State::Viewed));
    const BURNED: (Call, Answer) = (Call::Lookup, Answer::Found(State::Burned));

    /// A history of message 0 with these calls, one after the other.
    fn verdict(calls: &[(Call, Answer)]) -> Verdict {
        let mut history = Vec::new();
        for (call_id, (call, answer)) in calls.iter().enumerate() {
            let (call_id, at_us) = (call_id as u64, 10 * call_id as u64);
            history.push(Event { at_us, call_id, what: What::Intends { message: 0, call: *call } });
            if *answer != Answer::Unknown {
                history.push(Event { at_us: at_us + 5, call_id, what: What::Answered(*answer) });
            }
        }
        check(&history)
    }

    fn only(change: impl FnOnce(&mut Verdict)) -> Verdict {
        let mut verdict = Verdict { acknowledged: 1, ..Verdict::default() };
        change(&mut verdict);
        verdict
    }

    #[test]
    fn good_histories_pass() {
        let once = only(|verdict| verdict.read_once = 1);
        for calls in [
            &[CREATED, (ANN, TEXT), (BOB, Answer::Gone)][..],
            &[CREATED, CREATED, (ANN, Answer::Unknown), (ANN, TEXT), (ANN, TEXT)],
            &[CREATED, (KEYLESS, TEXT), (KEYLESS, Answer::Gone)],
            &[(Call::Create, Answer::Unknown), CREATED, (ANN, TEXT), (ACKNOWLEDGE, Answer::Done), (ANN, Answer::Gone)],
            // The acknowledgement's answer was lost; it worked.
            &[CREATED, (ANN, TEXT), (ACKNOWLEDGE, Answer::Unknown), (ANN, Answer::Gone)],
            &[CREATED, (Call::Burn, Answer::Unknown), (ANN, TEXT), (Call::Burn, Answer::Gone)],
            // The first try was the one that read it, and nobody heard of that before the second.
            &[CREATED, (ANN, Answer::Unknown), (BOB, Answer::Gone), VIEWED, (ANN, TEXT)],
            &[CREATED, UNREAD, (ANN, TEXT), VIEWED],
        ] {
            assert_eq!(verdict(calls), once, "{calls:?}");
        }
        let burned = verdict(&[CREATED, (Call::Burn, Answer::Done), (ANN, Answer::Gone), BURNED]);
        assert_eq!(burned, only(|verdict| verdict.burned = 1));
        for calls in [
            &[CREATED, (Call::Burn, Answer::Unknown), (ANN, Answer::Gone), (Call::Burn, Answer::Done)][..],
            &[CREATED, (Call::Burn, Answer::Unknown), (ANN, Answer::Gone), BURNED],
        ] {
            assert_eq!(verdict(calls), burned, "{calls:?}");
        }
        let guessed = verdict(&[CREATED, (Call::Guess, Answer::Refused), (ANN, TEXT)]);
        assert_eq!(guessed, only(|verdict| (verdict.read_once, verdict.bad_inputs) = (1, 1)));
        assert!(once.is_complete() && burned.is_complete() && guessed.is_complete());
    }

    #[test]
    fn a_text_that_two_have_is_read_twice() {
        for (first, second) in [(ANN, BOB), (ANN, KEYLESS), (KEYLESS, KEYLESS)] {
            let twice = verdict(&[CREATED, (first, TEXT), (second, TEXT)]);
            assert_eq!(twice, only(|verdict| verdict.read_twice = 1));
            assert!(!twice.is_valid());
        }
    }

    #[test]
    fn a_text_that_is_gone_and_nobody_has_is_lost() {
        for calls in [
            &[CREATED, (ANN, Answer::Gone)][..],
            &[CREATED, (ANN, Answer::Unknown), (ANN, Answer::Gone), (BOB, Answer::Gone)],
            // Had the burn been the end, it would have been done once more.
            &[CREATED, (Call::Burn, Answer::Unknown), (ANN, Answer::Gone), (Call::Burn, Answer::Gone)],
            &[CREATED, (Call::Burn, Answer::Unknown), (Call::Burn, Answer::Gone)],
            &[CREATED, (Call::Burn, Answer::Unknown), (ANN, Answer::Gone), VIEWED],
            &[CREATED, (Call::Lookup, Answer::Found(State::Expired))],
        ] {
            let lost = verdict(calls);
            assert_eq!(lost, only(|verdict| verdict.lost = 1));
            assert!(!lost.is_valid());
        }
    }

    #[test]
    fn who_cannot_repeat_forfeits_and_who_never_heard_is_unknown() {
        for (calls, expected) in [
            (&[CREATED, (KEYLESS, Answer::Unknown), (ANN, Answer::Gone)][..], only(|verdict| verdict.forfeited = 1)),
            (&[CREATED, (ANN, Answer::Unknown), (BOB, Answer::Gone)], only(|verdict| verdict.unknown = 1)),
            (&[CREATED], only(|verdict| verdict.unknown = 1)),
        ] {
            let verdict = verdict(calls);
            assert_eq!(verdict, expected);
            assert!(verdict.is_valid() && !verdict.is_complete());
        }
        assert_eq!(verdict(&[(Call::Create, Answer::Unknown)]), Verdict::default());
    }

    #[test]
    fn answers_that_nothing_explains_are_unexpected() {
        for calls in [
            // The text of another message, or of none.
            &[CREATED, (ANN, Answer::Text(Some(1)))][..],
            &[CREATED, (ANN, Answer::Text(None))],
            // A repeated creation that is another message.
            &[CREATED, (Call::Create, Answer::Created(8)), (ANN, TEXT)],
            // A text after its reader let go of it, or that its reader was denied.
            &[CREATED, (ANN, TEXT), (ACKNOWLEDGE, Answer::Done), (ANN, TEXT)],
            &[CREATED, (ANN, Answer::Gone), (ANN, TEXT)],
            &[CREATED, (ANN, TEXT), (ANN, Answer::Gone)],
            // A burned text that somebody has.
            &[CREATED, (Call::Burn, Answer::Done), (ANN, TEXT)],
            &[CREATED, (ANN, TEXT), BURNED],
            // Gone before anybody came who can have ended it.
            &[CREATED, (BOB, Answer::Gone), (ANN, TEXT)],
            &[CREATED, (Call::Burn, Answer::Gone), (ANN, TEXT)],
            &[CREATED, (BOB, Answer::Gone), (KEYLESS, TEXT)],
            &[CREATED, VIEWED, (ANN, TEXT)],
            &[CREATED, (BOB, Answer::Gone), (Call::Burn, Answer::Done)],
            // Burned, and then not.
            &[CREATED, (Call::Burn, Answer::Done), (Call::Burn, Answer::Gone)],
            // Looked up, and found as it cannot be.
            &[CREATED, (ANN, TEXT), UNREAD],
            &[CREATED, (Call::Burn, Answer::Done), UNREAD],
            &[CREATED, (ANN, Answer::Unknown), (BOB, Answer::Gone), UNREAD, (ANN, TEXT)],
            &[CREATED, (Call::Burn, Answer::Done), VIEWED],
            &[CREATED, (ANN, TEXT), (Call::Lookup, Answer::Found(State::Expired))],
            &[CREATED, (Call::Lookup, Answer::Gone), (ANN, TEXT)],
            // Answers to other questions.
            &[CREATED, (Call::Burn, TEXT)],
            &[CREATED, (Call::Guess, TEXT)],
            &[CREATED, (ANN, Answer::Refused)],
            &[CREATED, (ANN, TEXT), (ACKNOWLEDGE, Answer::Gone)],
            &[(Call::Create, Answer::Refused)],
        ] {
            let unexpected = verdict(calls);
            assert_eq!(unexpected.unexpected, 1, "{calls:?}: {unexpected}");
            assert!(!unexpected.is_valid());
        }
    }

    #[test]
    fn an_acknowledgement_that_overlaps_its_view_explains_both() {
        let event = |at_us, call_id, what| Event { at_us, call_id, what };
        let intends = |call| What::Intends { message: 0, call };
        for answer in [TEXT, Answer::Gone] {
            let history = [
                event(0, 0, intends(Call::Create)),
                event(1, 0, What::Answered(Answer::Created(7))),
                event(2, 1, intends(ANN)),
                event(3, 1, What::Answered(TEXT)),
                event(4, 2, intends(ANN)),
                event(5, 3, intends(ACKNOWLEDGE)),
                event(6, 3, What::Answered(Answer::Done)),
                event(7, 2, What::Answered(answer)),
            ];
            assert_eq!(check(&history), only(|verdict| verdict.read_once = 1));
        }
    }

    #[test]
    fn verdicts_add_up_and_faults_and_strangers_are_counted() {
        let event = |what| Event { at_us: 0, call_id: 0, what };
        let fault = event(What::Fault("kill -9".to_owned()));
        let mut verdict = check(&[fault.clone(), fault, event(What::Strangers(40)), event(What::Strangers(2))]);
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
