//! A model of every order of events for a message: two readers with a view id, one without, one that does not accept
//! sealed content, a caller that burns, lost and duplicated requests and responses, time, sweeps, and crashes of the
//! store.
//!
//! The steps have the names of the functions in `src/storage/batch/` and `writer.rs`. One transaction at a time is no
//! simplification: a message always uses the same lane, and other stores wait for its row.

#![cfg(test)]

use std::collections::BTreeSet;

use stateright::{Checker as _, HasDiscoveries, Model, Property};

const G1: &str = "G1: the store returns the text to one reader at most";
const G2: &str = "G2: a message that was not viewed, burned or expired can be viewed";
const KIND: &str = "sealed content is returned only to readers that accept it";
const G3: &str = "G3: a reader with a view id gets the text again until it acknowledges or the grace ends";
const G4: &str = "G4: no text remains after an acknowledgement, a burning, or a sweep after the end";

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Reader {
    A,
    B,
    /// Has no view id.
    Anonymous,
    /// Has no view id, and does not accept sealed content.
    TextOnly,
}

const READERS: [Reader; 4] = [Reader::A, Reader::B, Reader::Anonymous, Reader::TextOnly];

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Request {
    View(Reader),
    Acknowledge(Reader),
    Burn,
}

/// The relevant kinds of `batch::Work`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Work {
    Call(Request),
    /// What has ended when it begins.
    Sweep(Time),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Response {
    Text,
    /// Without the text: another reader has it, the message has ended, or was not viewed yet.
    Rejected,
    Done,
}

/// The rows of a message.
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
    lifetime_has_ended: bool,
    grace_has_ended: bool,
}

/// The state of a write lane (`writer.rs`).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Lane {
    Idle,
    /// The transaction is not committed yet.
    Written(Work, Database, Response),
    /// It is committed, and the result not returned yet.
    Committed(Work, Response),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct State {
    database: Database,
    lane: Lane,
    time: Time,
    /// Each may arrive any number of times.
    requests: BTreeSet<Request>,
    /// The readers to which the text is in flight.
    in_flight: BTreeSet<Reader>,
    /// The readers that received the text.
    received: BTreeSet<Reader>,
    /// The readers that saw the message, in a store that selects before it deletes.
    seen: BTreeSet<Reader>,
    history: History,
}

/// The facts for the guarantees.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct History {
    /// The readers to which the store returned the text.
    sent: BTreeSet<Reader>,
    /// The reader whose view was committed first, if it has a view id.
    holder: Option<Reader>,
    is_viewed: bool,
    is_burned: bool,
    is_acknowledged: bool,
    is_forfeited: bool,
    is_expired: bool,
    lost_a_response: bool,
    lost_a_commit: bool,
    hid_a_commit: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Action {
    Begin(Work),
    Commit,
    Response,
    Crash,
    /// The second step of a store that selects before it deletes.
    DeleteSeen(Reader),
    Deliver(Reader),
    Lose(Reader),
    LifetimeEnds,
    GraceEnds,
}

/// A protocol of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protocol {
    Actual,
    /// Controls, each of which must violate a guarantee.
    WithoutClaims,
    SelectThenDelete,
    RespondBeforeCommit,
    AbandonedClaimsReappear,
    KindCheckedAfterDelete,
    KindNotChecked,
}

impl Reader {
    fn has_view_id(self) -> bool {
        matches!(self, Self::A | Self::B)
    }
}

impl Database {
    /// `erase`: the winner of `delete_unread` gets the text, and a claim if it has a view id. `repeat_views` or
    /// `set_errors` determines the results of the others.
    fn view(&mut self, reader: Reader, time: Time, protocol: Protocol) -> Response {
        let accepts = self.is_accepted_by(reader) || protocol == Protocol::KindNotChecked;
        let may_delete = accepts || protocol == Protocol::KindCheckedAfterDelete;
        if !may_delete || !self.delete_unread(Receipt::Viewed(reader), time) {
            return self.repeat_view(reader, time);
        }
        self.claim = Some(reader).filter(|reader| reader.has_view_id() && protocol != Protocol::WithoutClaims);
        if accepts { Response::Text } else { Response::Rejected }
    }

    /// `delete_unread` and `insert_receipts`. Returns `true` if the message was deleted.
    fn delete_unread(&mut self, receipt: Receipt, time: Time) -> bool {
        let is_deleted = self.message && !time.lifetime_has_ended;
        if is_deleted {
            self.message = false;
            self.receipt = Some(receipt);
        }
        is_deleted
    }

    /// `repeat_views`.
    fn repeat_view(&self, reader: Reader, time: Time) -> Response {
        let is_mine = self.claim == Some(reader) && !time.grace_has_ended;
        if is_mine { Response::Text } else { Response::Rejected }
    }

    /// `acknowledge`: deletes the claim. The receipt keeps the reader.
    fn acknowledge(&mut self, reader: Reader) -> Response {
        self.claim = self.claim.filter(|holder| *holder != reader);
        if self.receipt == Some(Receipt::Viewed(reader)) { Response::Done } else { Response::Rejected }
    }

    /// `erase` for `ErasureReason::Burn`, and `set_errors`, by which burning is idempotent.
    fn burn(&mut self, time: Time) -> Response {
        self.delete_unread(Receipt::Burned, time);
        if self.receipt == Some(Receipt::Burned) { Response::Done } else { Response::Rejected }
    }

    /// `sweep`: replaces expired messages by receipts, and deletes forfeited claims.
    fn sweep(&mut self, time: Time, protocol: Protocol) {
        if self.message && time.lifetime_has_ended {
            self.message = false;
            self.receipt = Some(Receipt::Expired);
        }
        if self.claim.is_some() && time.grace_has_ended {
            self.claim = None;
            self.message = protocol == Protocol::AbandonedClaimsReappear;
        }
    }

    fn is_accepted_by(&self, reader: Reader) -> bool {
        reader != Reader::TextOnly || !self.is_sealed
    }

    fn holds_text(&self) -> bool {
        self.message || self.claim.is_some()
    }
}

impl State {
    fn begin(&mut self, work: Work, protocol: Protocol) {
        let mut database = self.database.clone();
        let response = match work {
            Work::Call(Request::View(reader)) if protocol == Protocol::SelectThenDelete => {
                self.seen.extend(Some(reader).filter(|_| database.message && !self.time.lifetime_has_ended));
                return;
            }
            Work::Call(Request::View(reader)) => database.view(reader, self.time, protocol),
            Work::Call(Request::Acknowledge(reader)) => database.acknowledge(reader),
            Work::Call(Request::Burn) => database.burn(self.time),
            Work::Sweep(time) => {
                database.sweep(time, protocol);
                Response::Done
            }
        };
        if protocol == Protocol::RespondBeforeCommit {
            self.response(work, response);
        }
        self.lane = Lane::Written(work, database, response);
    }

    fn commit(&mut self, work: Work, database: Database, response: Response) {
        let history = &mut self.history;
        match (work, response) {
            (Work::Call(Request::View(reader)), Response::Text) if !history.is_viewed => {
                history.is_viewed = true;
                history.holder = Some(reader).filter(|reader| reader.has_view_id());
            }
            (Work::Call(Request::Acknowledge(_)), Response::Done) => history.is_acknowledged = true,
            (Work::Call(Request::Burn), Response::Done) => history.is_burned = true,
            (Work::Sweep(time), _) => {
                history.is_forfeited |= time.grace_has_ended;
                history.is_expired |= time.lifetime_has_ended;
            }
            _ => {}
        }
        self.database = database;
        self.lane = Lane::Committed(work, response);
    }

    /// Only a response with a text changes anything.
    fn response(&mut self, work: Work, response: Response) {
        if let (Work::Call(Request::View(reader)), Response::Text) = (work, response) {
            self.in_flight.insert(reader);
            self.history.sent.insert(reader);
        }
        self.lane = Lane::Idle;
    }

    /// Rolls back what was not committed. No response is sent.
    fn crash(&mut self) {
        match self.lane {
            Lane::Written(_, _, Response::Text) => self.history.lost_a_commit = true,
            Lane::Committed(_, Response::Text) => self.history.hid_a_commit = true,
            _ => {}
        }
        self.lane = Lane::Idle;
        self.seen.clear();
    }

    /// The reader acknowledges the view, if it has a view id.
    fn deliver(&mut self, reader: Reader) {
        self.received.insert(reader);
        if reader.has_view_id() {
            self.requests.insert(Request::Acknowledge(reader));
        }
    }

    fn lose(&mut self, reader: Reader) {
        self.in_flight.remove(&reader);
        self.history.lost_a_response |= !self.received.contains(&reader);
    }

    fn would_get_text(&self, reader: Reader, protocol: Protocol) -> bool {
        self.database.clone().view(reader, self.time, protocol) == Response::Text
    }

    fn holder_has_text(&self) -> bool {
        self.history.holder.is_some_and(|holder| self.received.contains(&holder))
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
            in_flight: BTreeSet::new(),
            received: BTreeSet::new(),
            seen: BTreeSet::new(),
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
                actions.extend(state.seen.iter().copied().map(Action::DeleteSeen));
            }
            Lane::Written(..) => actions.extend([Action::Commit, Action::Crash]),
            Lane::Committed(..) => actions.extend([Action::Response, Action::Crash]),
        }
        actions
            .extend(state.in_flight.iter().copied().flat_map(|reader| [Action::Deliver(reader), Action::Lose(reader)]));
        if !state.time.lifetime_has_ended {
            actions.push(Action::LifetimeEnds);
        }
        if state.history.is_viewed && !state.time.grace_has_ended {
            actions.push(Action::GraceEnds);
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        match (action, state.lane.clone()) {
            (Action::Begin(work), _) => state.begin(work, *self),
            (Action::Commit, Lane::Written(work, database, response)) => state.commit(work, database, response),
            (Action::Response, Lane::Committed(work, response)) => state.response(work, response),
            (Action::Commit | Action::Response, _) => return None,
            (Action::Crash, _) => state.crash(),
            (Action::DeleteSeen(reader), _) => {
                let mut database = state.database.clone();
                database.delete_unread(Receipt::Viewed(reader), state.time);
                state.seen.remove(&reader);
                state.lane = Lane::Written(Work::Call(Request::View(reader)), database, Response::Text);
            }
            (Action::Deliver(reader), _) => state.deliver(reader),
            (Action::Lose(reader), _) => state.lose(reader),
            (Action::LifetimeEnds, _) => state.time.lifetime_has_ended = true,
            (Action::GraceEnds, _) => state.time.grace_has_ended = true,
        }
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::<Self>::always(G1, |_, state| state.history.sent.len() <= 1),
            Property::<Self>::always(G2, |protocol, state| {
                let History { is_viewed, is_burned, .. } = state.history;
                let has_ended = is_viewed || is_burned || state.time.lifetime_has_ended;
                let mut readers = READERS.into_iter().filter(|reader| state.database.is_accepted_by(*reader));
                has_ended || readers.all(|reader| state.would_get_text(reader, *protocol))
            }),
            Property::<Self>::always(G3, |protocol, state| {
                let has_ended = state.history.is_acknowledged || state.time.grace_has_ended;
                state.history.holder.is_none_or(|holder| has_ended || state.would_get_text(holder, *protocol))
            }),
            Property::<Self>::always(KIND, |_, state| {
                state.history.sent.iter().all(|reader| state.database.is_accepted_by(*reader))
            }),
            Property::<Self>::always(G4, |_, state| {
                let History { is_burned, is_acknowledged, is_forfeited, is_expired, .. } = state.history;
                let has_ended = is_burned || is_acknowledged || is_forfeited;
                !(has_ended && state.database.holds_text() || is_expired && state.database.message)
            }),
            Property::<Self>::sometimes(
                "a reader whose response was lost repeats its view and gets the text",
                |_, state| state.history.lost_a_response && state.holder_has_text(),
            ),
            Property::<Self>::sometimes(
                "a reader whose view a crash rolled back repeats it and gets the text",
                |_, state| state.history.lost_a_commit && !state.history.hid_a_commit && state.holder_has_text(),
            ),
            Property::<Self>::sometimes(
                "a reader whose response a crash prevented repeats its view and gets the text",
                |_, state| state.history.hid_a_commit && !state.history.lost_a_commit && state.holder_has_text(),
            ),
            Property::<Self>::sometimes("a claim is forfeited, and no reader got the text", |_, state| {
                state.history.holder.is_some() && state.history.is_forfeited && state.history.sent.is_empty()
            }),
            Property::<Self>::sometimes("a reader without a view id loses the text with the response", |_, state| {
                let is_gone = !state.database.holds_text() && state.in_flight.is_empty();
                state.history.lost_a_response && is_gone && state.history.holder.is_none()
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
fn the_guarantees_hold_in_every_order_of_events() {
    let checker = Protocol::Actual.checker().spawn_bfs().join();
    checker.assert_properties();
    println!("{} states", checker.unique_state_count());
}

#[test]
fn without_claims_a_lost_response_is_a_lost_text() {
    let checker = Protocol::WithoutClaims.checker().spawn_bfs().join();
    checker.assert_any_discovery(G3);
    checker.assert_no_discovery(G1);
}

/// Returns `true` if the protocol violates the guarantee in some order of events.
fn violates(protocol: Protocol, guarantee: &'static str) -> bool {
    let found = HasDiscoveries::AnyOf([guarantee].into());
    protocol.checker().finish_when(found).spawn_bfs().join().discovery(guarantee).is_some()
}

#[test]
fn selecting_before_deleting_returns_the_text_to_two_readers() {
    assert!(violates(Protocol::SelectThenDelete, G1));
}

#[test]
fn responding_before_the_commit_returns_the_text_to_two_readers() {
    assert!(violates(Protocol::RespondBeforeCommit, G1));
}

#[test]
fn an_abandoned_claim_that_reappears_is_returned_to_two_readers() {
    assert!(violates(Protocol::AbandonedClaimsReappear, G1));
}

#[test]
fn checking_the_kind_after_the_delete_loses_the_text() {
    assert!(violates(Protocol::KindCheckedAfterDelete, G2));
}

#[test]
fn without_a_check_of_the_kind_a_reader_gets_content_that_it_does_not_accept() {
    assert!(violates(Protocol::KindNotChecked, KIND));
}
