//! Every order of events that one message can see, walked through: two readers who made a view id, one who made none,
//! one who cannot open what a creator has encrypted, somebody who burns, requests and answers that get lost or come
//! twice, time, sweeps, and a store that crashes.
//!
//! The steps bear the names of what they stand for in `src/storage/batch/` and `writer.rs`. One transaction at a time
//! is no simplification: a message always goes to one lane, and other stores wait for its row.

#![cfg(test)]

use std::collections::BTreeSet;

use stateright::{Checker as _, HasDiscoveries, Model, Property};

const G1: &str = "G1: the text leaves the store towards one reader at most";
const G2: &str = "G2: what was not handed over, burned or expired can be viewed";
const NOT_FOR_ALL: &str = "what a creator has encrypted is not handed to a reader who cannot open it";
const G3: &str = "G3: a reader with a view id gets the text again until it acknowledges or the grace ends";
const G4: &str = "G4: after an acknowledgement, a burning, or a sweep after the end no text stays";

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Reader {
    A,
    B,
    /// Made no view id.
    Anonymous,
    /// Made no view id, and can open no sealed content.
    TextOnly,
}

const READERS: [Reader; 4] = [Reader::A, Reader::B, Reader::Anonymous, Reader::TextOnly];

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Request {
    View(Reader),
    Acknowledge(Reader),
    Burn,
}

/// `batch::Work`, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Work {
    Call(Request),
    /// What is over when it begins.
    Sweep(Time),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Answer {
    Text,
    /// Without the text: it is somebody else's, gone, or not viewed yet.
    Refused,
    Done,
}

/// The rows of one message.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Database {
    /// The kind of its content.
    is_sealed: bool,
    message: bool,
    claim: Option<Reader>,
    receipt: Option<Receipt>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Receipt {
    Viewed(Reader),
    Burned,
    Expired,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Time {
    lifetime_is_over: bool,
    grace_is_over: bool,
}

/// What the writer's lane is at (`writer.rs`).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Lane {
    Idle,
    /// The transaction is written and not committed.
    Written(Work, Database, Answer),
    /// It is committed, and its caller not answered.
    Committed(Work, Answer),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct State {
    database: Database,
    lane: Lane,
    time: Time,
    /// Every one of them may arrive, again and again, or never.
    requests: BTreeSet<Request>,
    /// To whom the text is under way.
    under_way: BTreeSet<Reader>,
    /// Who has it.
    arrived: BTreeSet<Reader>,
    /// In the memory of a store that looks before it deletes, which ours does not.
    looked: BTreeSet<Reader>,
    history: History,
}

/// What the guarantees speak of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct History {
    /// To whom the text left the store.
    sent: BTreeSet<Reader>,
    /// Whose view was committed first, if it had a view id.
    holder: Option<Reader>,
    is_viewed: bool,
    is_burned: bool,
    is_acknowledged: bool,
    is_forfeited: bool,
    is_expired: bool,
    lost_an_answer: bool,
    lost_a_commit: bool,
    hid_a_commit: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Action {
    Begin(Work),
    Commit,
    Answer,
    Crash,
    /// A store that looks before it deletes comes to the second.
    DeleteWhatWasSeen(Reader),
    Deliver(Reader),
    Lose(Reader),
    LifetimeEnds,
    GraceEnds,
}

/// How the store does it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protocol {
    Ours,
    /// Controls, each of which must break a guarantee.
    WithoutClaims,
    SelectThenDelete,
    AnswerBeforeCommit,
    AbandonedClaimsReappear,
    KindIsLookedAtAfterTheDelete,
    KindIsNotLookedAt,
}

impl Reader {
    fn has_view_id(self) -> bool {
        matches!(self, Self::A | Self::B)
    }
}

impl Database {
    /// `erase`: the winner of `delete_unread` has the text, and a claim if it made a view id; to the others
    /// `repeat_views` or `explain` has the answer.
    fn view(&mut self, reader: Reader, time: Time, protocol: Protocol) -> Answer {
        let can_open = self.can_be_opened_by(reader) || protocol == Protocol::KindIsNotLookedAt;
        let is_asked_for = can_open || protocol == Protocol::KindIsLookedAtAfterTheDelete;
        if !is_asked_for || !self.delete_unread(Receipt::Viewed(reader), time) {
            return self.repeat_view(reader, time);
        }
        self.claim = Some(reader).filter(|reader| reader.has_view_id() && protocol != Protocol::WithoutClaims);
        if can_open { Answer::Text } else { Answer::Refused }
    }

    /// `delete_unread` and `insert_receipts`: whether the message was there.
    fn delete_unread(&mut self, receipt: Receipt, time: Time) -> bool {
        let is_deleted = self.message && !time.lifetime_is_over;
        if is_deleted {
            self.message = false;
            self.receipt = Some(receipt);
        }
        is_deleted
    }

    /// `repeat_views`.
    fn repeat_view(&self, reader: Reader, time: Time) -> Answer {
        let is_mine = self.claim == Some(reader) && !time.grace_is_over;
        if is_mine { Answer::Text } else { Answer::Refused }
    }

    /// `acknowledge`: the claim goes; the receipt knows for ever whose it was.
    fn acknowledge(&mut self, reader: Reader) -> Answer {
        self.claim = self.claim.filter(|holder| *holder != reader);
        if self.receipt == Some(Receipt::Viewed(reader)) { Answer::Done } else { Answer::Refused }
    }

    /// `erase` for `ErasureReason::Burn`, and `explain`, by which burning may be said twice.
    fn burn(&mut self, time: Time) -> Answer {
        self.delete_unread(Receipt::Burned, time);
        if self.receipt == Some(Receipt::Burned) { Answer::Done } else { Answer::Refused }
    }

    /// `sweep`: expired messages become receipts, forfeited claims go.
    fn sweep(&mut self, time: Time, protocol: Protocol) {
        if self.message && time.lifetime_is_over {
            self.message = false;
            self.receipt = Some(Receipt::Expired);
        }
        if self.claim.is_some() && time.grace_is_over {
            self.claim = None;
            self.message = protocol == Protocol::AbandonedClaimsReappear;
        }
    }

    fn can_be_opened_by(&self, reader: Reader) -> bool {
        reader != Reader::TextOnly || !self.is_sealed
    }

    fn holds_a_text(&self) -> bool {
        self.message || self.claim.is_some()
    }
}

impl State {
    fn begin(&mut self, work: Work, protocol: Protocol) {
        let mut database = self.database.clone();
        let answer = match work {
            Work::Call(Request::View(reader)) if protocol == Protocol::SelectThenDelete => {
                self.looked.extend(Some(reader).filter(|_| database.message && !self.time.lifetime_is_over));
                return;
            }
            Work::Call(Request::View(reader)) => database.view(reader, self.time, protocol),
            Work::Call(Request::Acknowledge(reader)) => database.acknowledge(reader),
            Work::Call(Request::Burn) => database.burn(self.time),
            Work::Sweep(time) => {
                database.sweep(time, protocol);
                Answer::Done
            }
        };
        if protocol == Protocol::AnswerBeforeCommit {
            self.answer(work, answer);
        }
        self.lane = Lane::Written(work, database, answer);
    }

    fn commit(&mut self, work: Work, database: Database, answer: Answer) {
        let history = &mut self.history;
        match (work, answer) {
            (Work::Call(Request::View(reader)), Answer::Text) if !history.is_viewed => {
                history.is_viewed = true;
                history.holder = Some(reader).filter(|reader| reader.has_view_id());
            }
            (Work::Call(Request::Acknowledge(_)), Answer::Done) => history.is_acknowledged = true,
            (Work::Call(Request::Burn), Answer::Done) => history.is_burned = true,
            (Work::Sweep(time), _) => {
                history.is_forfeited |= time.grace_is_over;
                history.is_expired |= time.lifetime_is_over;
            }
            _ => {}
        }
        self.database = database;
        self.lane = Lane::Committed(work, answer);
    }

    /// Of all answers only a text changes anything for anybody.
    fn answer(&mut self, work: Work, answer: Answer) {
        if let (Work::Call(Request::View(reader)), Answer::Text) = (work, answer) {
            self.under_way.insert(reader);
            self.history.sent.insert(reader);
        }
        self.lane = Lane::Idle;
    }

    /// What was not committed is undone, what was not answered is never answered.
    fn crash(&mut self) {
        match self.lane {
            Lane::Written(_, _, Answer::Text) => self.history.lost_a_commit = true,
            Lane::Committed(_, Answer::Text) => self.history.hid_a_commit = true,
            _ => {}
        }
        self.lane = Lane::Idle;
        self.looked.clear();
    }

    /// Who has the text says so, if it made a view id.
    fn deliver(&mut self, reader: Reader) {
        self.arrived.insert(reader);
        if reader.has_view_id() {
            self.requests.insert(Request::Acknowledge(reader));
        }
    }

    fn lose(&mut self, reader: Reader) {
        self.under_way.remove(&reader);
        self.history.lost_an_answer |= !self.arrived.contains(&reader);
    }

    fn would_get_the_text(&self, reader: Reader, protocol: Protocol) -> bool {
        self.database.clone().view(reader, self.time, protocol) == Answer::Text
    }

    fn holder_has_the_text(&self) -> bool {
        self.history.holder.is_some_and(|holder| self.arrived.contains(&holder))
    }
}

impl Model for Protocol {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let state = |is_sealed, readers: [Reader; 3]| State {
            database: Database { is_sealed, message: true, claim: None, receipt: None },
            lane: Lane::Idle,
            time: Time::default(),
            requests: readers.into_iter().map(Request::View).chain([Request::Burn]).collect(),
            under_way: BTreeSet::new(),
            arrived: BTreeSet::new(),
            looked: BTreeSet::new(),
            history: History::default(),
        };
        vec![
            state(false, [Reader::A, Reader::B, Reader::Anonymous]),
            state(true, [Reader::A, Reader::B, Reader::TextOnly]),
        ]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        match state.lane {
            Lane::Idle => {
                actions.extend(state.requests.iter().map(|request| Action::Begin(Work::Call(*request))));
                actions.push(Action::Begin(Work::Sweep(state.time)));
                actions.extend(state.looked.iter().copied().map(Action::DeleteWhatWasSeen));
            }
            Lane::Written(..) => actions.extend([Action::Commit, Action::Crash]),
            Lane::Committed(..) => actions.extend([Action::Answer, Action::Crash]),
        }
        actions
            .extend(state.under_way.iter().copied().flat_map(|reader| [Action::Deliver(reader), Action::Lose(reader)]));
        if !state.time.lifetime_is_over {
            actions.push(Action::LifetimeEnds);
        }
        if state.history.is_viewed && !state.time.grace_is_over {
            actions.push(Action::GraceEnds);
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        match (action, state.lane.clone()) {
            (Action::Begin(work), _) => state.begin(work, *self),
            (Action::Commit, Lane::Written(work, database, answer)) => state.commit(work, database, answer),
            (Action::Answer, Lane::Committed(work, answer)) => state.answer(work, answer),
            (Action::Commit | Action::Answer, _) => return None,
            (Action::Crash, _) => state.crash(),
            (Action::DeleteWhatWasSeen(reader), _) => {
                let mut database = state.database.clone();
                database.delete_unread(Receipt::Viewed(reader), state.time);
                state.looked.remove(&reader);
                state.lane = Lane::Written(Work::Call(Request::View(reader)), database, Answer::Text);
            }
            (Action::Deliver(reader), _) => state.deliver(reader),
            (Action::Lose(reader), _) => state.lose(reader),
            (Action::LifetimeEnds, _) => state.time.lifetime_is_over = true,
            (Action::GraceEnds, _) => state.time.grace_is_over = true,
        }
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::<Self>::always(G1, |_, state| state.history.sent.len() <= 1),
            Property::<Self>::always(G2, |protocol, state| {
                let History { is_viewed, is_burned, .. } = state.history;
                let is_over = is_viewed || is_burned || state.time.lifetime_is_over;
                let mut readers = READERS.into_iter().filter(|reader| state.database.can_be_opened_by(*reader));
                is_over || readers.all(|reader| state.would_get_the_text(reader, *protocol))
            }),
            Property::<Self>::always(G3, |protocol, state| {
                let is_over = state.history.is_acknowledged || state.time.grace_is_over;
                state.history.holder.is_none_or(|holder| is_over || state.would_get_the_text(holder, *protocol))
            }),
            Property::<Self>::always(NOT_FOR_ALL, |_, state| {
                state.history.sent.iter().all(|reader| state.database.can_be_opened_by(*reader))
            }),
            Property::<Self>::always(G4, |_, state| {
                let History { is_burned, is_acknowledged, is_forfeited, is_expired, .. } = state.history;
                let is_over = is_burned || is_acknowledged || is_forfeited;
                !(is_over && state.database.holds_a_text() || is_expired && state.database.message)
            }),
            Property::<Self>::sometimes(
                "a reader whose answer was lost repeats its view and has the text",
                |_, state| state.history.lost_an_answer && state.holder_has_the_text(),
            ),
            Property::<Self>::sometimes("a reader whose view a crash undid repeats it and has the text", |_, state| {
                state.history.lost_a_commit && !state.history.hid_a_commit && state.holder_has_the_text()
            }),
            Property::<Self>::sometimes(
                "a reader whom a crash did not let be answered repeats its view and has the text",
                |_, state| state.history.hid_a_commit && !state.history.lost_a_commit && state.holder_has_the_text(),
            ),
            Property::<Self>::sometimes("a claim is forfeited, and nobody ever had the text", |_, state| {
                state.history.holder.is_some() && state.history.is_forfeited && state.history.sent.is_empty()
            }),
            Property::<Self>::sometimes("a reader without a view id loses the text with the answer", |_, state| {
                let is_gone = !state.database.holds_a_text() && state.under_way.is_empty();
                state.history.lost_an_answer && is_gone && state.history.holder.is_none()
            }),
            Property::<Self>::sometimes("an acknowledged message is gone", |_, state| state.history.is_acknowledged),
            Property::<Self>::sometimes("a message is burned", |_, state| state.history.is_burned),
            Property::<Self>::sometimes("a message expires unread", |_, state| {
                state.database.receipt == Some(Receipt::Expired)
            }),
        ]
    }
}

#[test]
fn in_every_order_of_events_the_guarantees_hold() {
    let checker = Protocol::Ours.checker().spawn_bfs().join();
    checker.assert_properties();
    println!("{} states", checker.unique_state_count());
}

#[test]
fn without_claims_a_lost_answer_is_a_lost_text() {
    let checker = Protocol::WithoutClaims.checker().spawn_bfs().join();
    checker.assert_any_discovery(G3);
    checker.assert_no_discovery(G1);
}

/// Whether the protocol breaks the guarantee in some order of events.
fn breaks(protocol: Protocol, guarantee: &'static str) -> bool {
    let found = HasDiscoveries::AnyOf([guarantee].into());
    protocol.checker().finish_when(found).spawn_bfs().join().discovery(guarantee).is_some()
}

#[test]
fn who_looks_before_deleting_hands_the_text_to_two() {
    assert!(breaks(Protocol::SelectThenDelete, G1));
}

#[test]
fn who_answers_before_the_commit_hands_the_text_to_two() {
    assert!(breaks(Protocol::AnswerBeforeCommit, G1));
}

#[test]
fn an_abandoned_claim_that_reappears_hands_the_text_to_two() {
    assert!(breaks(Protocol::AbandonedClaimsReappear, G1));
}

#[test]
fn who_looks_at_the_kind_after_the_delete_loses_the_text() {
    assert!(breaks(Protocol::KindIsLookedAtAfterTheDelete, G2));
}

#[test]
fn who_looks_at_no_kind_hands_it_to_who_cannot_open_it() {
    assert!(breaks(Protocol::KindIsNotLookedAt, NOT_FOR_ALL));
}
