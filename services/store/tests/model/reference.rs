//! The model of a store: messages in memory, one call at a time, without keys and database.

use std::{collections::BTreeMap, time::Duration};

use mayfly_contracts::{error::ErrorReason, message::MessageState};

use crate::steps::{Call, Caller, Creation, Method, Passphrase, Reader, RefKind, Step};

/// The settings of the compared store.
pub(crate) const DEFAULT_TTL: Duration = Duration::from_secs(24 * 3600);
pub(crate) const GRACE: Duration = Duration::from_secs(600);
/// How long after the view its reader can extend the claim.
const MAX_CLAIM: Duration = Duration::from_secs(24 * 3600);
pub(crate) const RETENTION: Duration = Duration::from_secs(2 * 3600);

/// Per caller. `passphrases.rs` tests the total of 20, which random steps rarely reach.
const TRIES: u32 = 5;
const LOCK: Duration = Duration::from_secs(3600);

/// The time since the begin of the case.
pub(crate) type Elapsed = Duration;

/// The response to a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Response {
    /// The step has no response.
    Done,
    Stored {
        message: usize,
        create_time: Elapsed,
        expire_time: Option<Elapsed>,
    },
    Viewed {
        text: String,
        is_sealed: bool,
        create_time: Elapsed,
        repeat_until: Option<Elapsed>,
    },
    Acknowledged {
        view_time: Elapsed,
    },
    Burned {
        burn_time: Elapsed,
    },
    Status {
        state: MessageState,
        state_time: Elapsed,
        expire_time: Option<Elapsed>,
        needs_passphrase: bool,
        is_sealed: bool,
    },
    Error {
        reason: ErrorReason,
        time: Option<Elapsed>,
        retry_after: Option<Duration>,
    },
}

/// The numbers of rows in the database.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rows {
    pub(crate) messages: usize,
    pub(crate) claims: usize,
    pub(crate) receipts: usize,
    pub(crate) tries: usize,
}

/// The expected state of the store.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reference {
    now: Elapsed,
    messages: Vec<Message>,
}

/// A message and its claim and receipt.
#[derive(Clone, Debug)]
struct Message {
    creation: Creation,
    create_time: Elapsed,
    expire_time: Elapsed,
    /// Until it is viewed, burned, or swept after it expired.
    is_stored: bool,
    tries: BTreeMap<Caller, Tries>,
    claim: Option<Claim>,
    receipt: Option<Receipt>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Tries {
    count: u32,
    last: Elapsed,
}

#[derive(Clone, Copy, Debug)]
struct Claim {
    reader: Reader,
    forfeit_time: Elapsed,
}

#[derive(Clone, Copy, Debug)]
struct Receipt {
    state: MessageState,
    time: Elapsed,
    purge_time: Elapsed,
    /// The reader that viewed it, if it has a view id.
    reader: Option<Reader>,
}

impl Reference {
    /// Takes the step, and returns the expected response.
    pub(crate) fn respond(&mut self, step: &Step) -> Response {
        match step {
            Step::Create(creation) => self.create(creation),
            Step::Call(call) => self.call(call),
            Step::Wait(duration) => {
                self.now += *duration;
                Response::Done
            }
            Step::Sweep => {
                self.messages.iter_mut().for_each(|message| message.sweep(self.now));
                Response::Done
            }
            Step::Restart => Response::Done,
        }
    }

    pub(crate) fn rows(&self) -> Rows {
        Rows {
            messages: self.messages.iter().filter(|message| message.is_stored).count(),
            claims: self.messages.iter().filter_map(|message| message.claim).count(),
            receipts: self.messages.iter().filter_map(|message| message.receipt).count(),
            tries: self.messages.iter().map(|message| message.tries.len()).sum(),
        }
    }

    /// The number of created messages.
    pub(crate) fn messages(&self) -> usize {
        self.messages.len()
    }

    /// The oldest unread message with a passphrase, counted from the newest message, and its passphrase.
    pub(crate) fn protected(&self) -> Option<(usize, Passphrase)> {
        let mut unread =
            self.messages.iter().rev().enumerate().rev().filter(|(_, message)| message.is_unread(self.now));
        unread.find_map(|(index, message)| Some((index, message.creation.passphrase?)))
    }

    /// The times until something ends, the shortest first.
    pub(crate) fn deadlines(&self) -> Vec<Duration> {
        let mut ends: Vec<_> = self.messages.iter().flat_map(Message::ends).filter(|end| *end > self.now).collect();
        ends.sort();
        ends.into_iter().map(|end| end - self.now).collect()
    }

    /// A repeated request returns its message, from the message or its receipt. After both were deleted it creates a
    /// new one. While the message is stored, the same request with other fields is a conflict.
    fn create(&mut self, creation: &Creation) -> Response {
        let earlier = self.messages.iter().position(|message| message.is_known() && message.has_request_of(creation));
        let conflicts = |message: &Message| message.is_stored && message.creation != *creation;
        if earlier.is_some_and(|earlier| conflicts(&self.messages[earlier])) {
            return error(ErrorReason::RequestConflict);
        }
        let message = earlier.unwrap_or_else(|| {
            self.messages.push(Message::new(creation, self.now));
            self.messages.len() - 1
        });
        let Message { create_time, expire_time, .. } = self.messages[message];
        Response::Stored { message, create_time, expire_time: Some(expire_time) }
    }

    fn call(&mut self, Call { message, ref_kind, method }: &Call) -> Response {
        let last = self.messages.len() - 1;
        let (now, message) = (self.now, &mut self.messages[last - message]);
        match (ref_kind, method) {
            (RefKind::MistypedToken, _) => error(ErrorReason::AccessTokenInvalid),
            (RefKind::OtherToken | RefKind::OtherId, _) => error(ErrorReason::MessageNotFound),
            (RefKind::Right, Method::Lookup) => message.lookup(now),
            (RefKind::Right, Method::View { reader, passphrase, caller, accepts_sealed }) => {
                message.view(*reader, *passphrase, *caller, *accepts_sealed, now)
            }
            (RefKind::Right, Method::Acknowledge(reader)) => message.acknowledge(*reader),
            (RefKind::Right, Method::Burn) => message.burn(now),
        }
    }
}

impl Message {
    fn new(creation: &Creation, now: Elapsed) -> Self {
        Self {
            creation: creation.clone(),
            create_time: now,
            expire_time: now + creation.ttl.unwrap_or(DEFAULT_TTL),
            is_stored: true,
            tries: BTreeMap::new(),
            claim: None,
            receipt: None,
        }
    }

    fn is_known(&self) -> bool {
        self.is_stored || self.receipt.is_some()
    }

    fn has_request_of(&self, creation: &Creation) -> bool {
        creation.request.is_some() && self.creation.request == creation.request
    }

    fn is_unread(&self, now: Elapsed) -> bool {
        self.is_stored && now < self.expire_time
    }

    fn ends(&self) -> impl Iterator<Item = Elapsed> {
        let expiry = self.is_stored.then_some(self.expire_time);
        let forfeit = self.claim.map(|claim| claim.forfeit_time);
        let purge = self.receipt.map(|receipt| receipt.purge_time);
        let unlock = self.tries.values().map(|tries| tries.last + LOCK);
        expiry.into_iter().chain(forfeit).chain(purge).chain(unlock)
    }

    fn lookup(&self, now: Elapsed) -> Response {
        let status = |state, state_time| Response::Status {
            state,
            state_time,
            expire_time: None,
            needs_passphrase: false,
            is_sealed: false,
        };
        match self.receipt {
            _ if self.is_unread(now) => Response::Status {
                state: MessageState::Unread,
                state_time: self.create_time,
                expire_time: Some(self.expire_time),
                needs_passphrase: self.creation.passphrase.is_some(),
                is_sealed: self.creation.is_sealed,
            },
            Some(receipt) => status(receipt.state, receipt.time),
            None if self.is_stored => status(MessageState::Expired, self.expire_time),
            None => error(ErrorReason::MessageNotFound),
        }
    }

    fn view(
        &mut self,
        reader: Option<Reader>,
        passphrase: Option<Passphrase>,
        caller: Caller,
        accepts_sealed: bool,
        now: Elapsed,
    ) -> Response {
        let (text, is_sealed, create_time) = (self.creation.text.clone(), self.creation.is_sealed, self.create_time);
        let viewed = |repeat_until| Response::Viewed { text, is_sealed, create_time, repeat_until };
        let accepts = accepts_sealed || !self.creation.is_sealed;
        if !self.is_unread(now) {
            let longest_end = self.receipt.map_or(now, |receipt| receipt.purge_time.min(receipt.time + MAX_CLAIM));
            let mine = self.claim.as_mut().filter(|claim| Some(claim.reader) == reader && now < claim.forfeit_time);
            return match mine {
                None => self.gone(),
                Some(_) if !accepts => error(ErrorReason::MessageSealed),
                Some(claim) => {
                    claim.forfeit_time = claim.forfeit_time.max(longest_end.min(now + GRACE));
                    viewed(Some(claim.forfeit_time))
                }
            };
        }
        if !accepts {
            return error(ErrorReason::MessageSealed);
        }
        let claim = reader.map(|reader| Claim { reader, forfeit_time: now + GRACE });
        let viewed = viewed(claim.map(|claim| claim.forfeit_time));
        match (self.creation.passphrase, passphrase) {
            (None, _) => {}
            (Some(_), None) => return error(ErrorReason::PassphraseRequired),
            (Some(right), Some(given)) => {
                if let Some(retry_after) = self.count_try(caller, now) {
                    let reason = ErrorReason::PassphraseLocked;
                    return Response::Error { reason, time: None, retry_after: Some(retry_after) };
                }
                if given != right {
                    return error(ErrorReason::PassphraseWrong);
                }
            }
        }
        self.claim = claim;
        self.end(MessageState::Viewed, now, reader, now);
        viewed
    }

    /// How long the caller must wait. Otherwise counts the try, even of a right passphrase.
    fn count_try(&mut self, caller: Caller, now: Elapsed) -> Option<Duration> {
        self.tries.retain(|_, tries| now < tries.last + LOCK);
        if let Some(own) = self.tries.get(&caller).filter(|own| own.count >= TRIES) {
            return Some(own.last + LOCK - now);
        }
        let own = self.tries.entry(caller).or_default();
        *own = Tries { count: own.count + 1, last: now };
        None
    }

    /// The receipt keeps the reader longer than the claim.
    fn acknowledge(&mut self, reader: Reader) -> Response {
        match self.receipt {
            Some(Receipt { reader: Some(mine), time, .. }) if mine == reader => {
                self.claim = None;
                Response::Acknowledged { view_time: time }
            }
            Some(_) => self.gone(),
            // The message was not viewed.
            None => error(ErrorReason::MessageNotFound),
        }
    }

    fn burn(&mut self, now: Elapsed) -> Response {
        if self.is_unread(now) {
            self.end(MessageState::Burned, now, None, now);
        }
        match self.receipt {
            Some(Receipt { state: MessageState::Burned, time, .. }) => Response::Burned { burn_time: time },
            _ => self.gone(),
        }
    }

    fn sweep(&mut self, now: Elapsed) {
        if self.is_stored && self.expire_time <= now {
            self.end(MessageState::Expired, self.expire_time, None, now);
        }
        self.claim = self.claim.filter(|claim| now < claim.forfeit_time);
        self.receipt = self.receipt.filter(|receipt| now < receipt.purge_time);
    }

    fn end(&mut self, state: MessageState, time: Elapsed, reader: Option<Reader>, now: Elapsed) {
        self.is_stored = false;
        self.tries.clear();
        self.receipt = Some(Receipt { state, time, purge_time: now + RETENTION, reader });
    }

    /// The response after the message has ended.
    fn gone(&self) -> Response {
        let (reason, time) = match self.receipt {
            Some(Receipt { state: MessageState::Viewed, time, .. }) => (ErrorReason::MessageViewed, time),
            Some(Receipt { state: MessageState::Burned, time, .. }) => (ErrorReason::MessageBurned, time),
            Some(Receipt { time, .. }) => (ErrorReason::MessageExpired, time),
            None if self.is_stored => (ErrorReason::MessageExpired, self.expire_time),
            None => return error(ErrorReason::MessageNotFound),
        };
        Response::Error { reason, time: Some(time), retry_after: None }
    }
}

fn error(reason: ErrorReason) -> Response {
    Response::Error { reason, time: None, retry_after: None }
}
