//! What a store must answer: messages in memory, one call at a time, with no keys and no database.

use std::{collections::BTreeMap, time::Duration};

use mayfly_contracts::{error::ErrorReason, message::MessageState};

use crate::steps::{Call, Caller, Creation, Opener, Passphrase, Reader, Step, Verb};

/// The settings of the store that is compared.
pub(crate) const DEFAULT_TTL: Duration = Duration::from_secs(24 * 3600);
pub(crate) const GRACE: Duration = Duration::from_secs(600);
/// How long after the view its reader can keep its claim.
const MAX_CLAIM: Duration = Duration::from_secs(24 * 3600);
pub(crate) const RETENTION: Duration = Duration::from_secs(2 * 3600);

/// Of one caller. That all callers together have 20 is left to `passphrases.rs`: random steps hardly ever get there.
const TRIES: u32 = 5;
const LOCK: Duration = Duration::from_secs(3600);

/// The time since the model began.
pub(crate) type Moment = Duration;

/// What a step is answered with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Nothing was asked.
    Done,
    Stored {
        message: usize,
        create_time: Moment,
        expire_time: Option<Moment>,
    },
    Viewed {
        text: String,
        is_sealed: bool,
        create_time: Moment,
        repeat_until: Option<Moment>,
    },
    Acknowledged {
        view_time: Moment,
    },
    Burned {
        burn_time: Moment,
    },
    Found {
        state: MessageState,
        state_time: Moment,
        expire_time: Option<Moment>,
        needs_passphrase: bool,
        is_sealed: bool,
    },
    Refused {
        reason: ErrorReason,
        time: Option<Moment>,
        retry_after: Option<Duration>,
    },
}

/// How many rows lie in the database.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rows {
    pub(crate) messages: usize,
    pub(crate) claims: usize,
    pub(crate) receipts: usize,
    pub(crate) tries: usize,
}

/// The store as it should be.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reference {
    now: Moment,
    messages: Vec<Message>,
}

/// A message, and what is left of it.
#[derive(Clone, Debug)]
struct Message {
    creation: Creation,
    create_time: Moment,
    expire_time: Moment,
    /// Until it is viewed, burned, or swept after it expired.
    is_stored: bool,
    tries: BTreeMap<Caller, Tries>,
    claim: Option<Claim>,
    receipt: Option<Receipt>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Tries {
    count: u32,
    last: Moment,
}

#[derive(Clone, Copy, Debug)]
struct Claim {
    reader: Reader,
    forfeit_time: Moment,
}

#[derive(Clone, Copy, Debug)]
struct Receipt {
    state: MessageState,
    time: Moment,
    purge_time: Moment,
    /// Who viewed it, if that reader made a view id.
    reader: Option<Reader>,
}

impl Reference {
    /// Takes the step, and says what the store has to say to it.
    pub(crate) fn answer(&mut self, step: &Step) -> Answer {
        match step {
            Step::Create(creation) => self.create(creation),
            Step::Call(call) => self.call(call),
            Step::Wait(duration) => {
                self.now += *duration;
                Answer::Done
            }
            Step::Sweep => {
                self.messages.iter_mut().for_each(|message| message.sweep(self.now));
                Answer::Done
            }
            Step::Restart => Answer::Done,
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

    /// How many were created.
    pub(crate) fn messages(&self) -> usize {
        self.messages.len()
    }

    /// The oldest unread message with a passphrase, counted back, and its passphrase.
    pub(crate) fn protected(&self) -> Option<(usize, Passphrase)> {
        let mut unread =
            self.messages.iter().rev().enumerate().rev().filter(|(_, message)| message.is_unread(self.now));
        unread.find_map(|(index, message)| Some((index, message.creation.passphrase?)))
    }

    /// How long it takes until anything ends, the soonest first.
    pub(crate) fn deadlines(&self) -> Vec<Duration> {
        let mut ends: Vec<_> = self.messages.iter().flat_map(Message::ends).filter(|end| *end > self.now).collect();
        ends.sort();
        ends.into_iter().map(|end| end - self.now).collect()
    }

    /// A repeated request finds its message, or the receipt of it. After both are gone it makes a new one. As long as
    /// the message is there, the same request with something else is a conflict.
    fn create(&mut self, creation: &Creation) -> Answer {
        let earlier = self.messages.iter().position(|message| message.is_known() && message.has_request_of(creation));
        let conflicts = |message: &Message| message.is_stored && message.creation != *creation;
        if earlier.is_some_and(|earlier| conflicts(&self.messages[earlier])) {
            return refused(ErrorReason::RequestConflict);
        }
        let message = earlier.unwrap_or_else(|| {
            self.messages.push(Message::new(creation, self.now));
            self.messages.len() - 1
        });
        let Message { create_time, expire_time, .. } = self.messages[message];
        Answer::Stored { message, create_time, expire_time: Some(expire_time) }
    }

    fn call(&mut self, Call { message, opener, verb }: &Call) -> Answer {
        let last = self.messages.len() - 1;
        let (now, message) = (self.now, &mut self.messages[last - message]);
        match (opener, verb) {
            (Opener::MistypedToken, _) => refused(ErrorReason::AccessTokenInvalid),
            (Opener::TokenOfAnother | Opener::IdOfAnother, _) => refused(ErrorReason::MessageNotFound),
            (Opener::Right, Verb::Lookup) => message.lookup(now),
            (Opener::Right, Verb::View { reader, passphrase, caller, accepts_sealed }) => {
                message.view(*reader, *passphrase, *caller, *accepts_sealed, now)
            }
            (Opener::Right, Verb::Acknowledge(reader)) => message.acknowledge(*reader),
            (Opener::Right, Verb::Burn) => message.burn(now),
        }
    }
}

impl Message {
    fn new(creation: &Creation, now: Moment) -> Self {
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

    fn is_unread(&self, now: Moment) -> bool {
        self.is_stored && now < self.expire_time
    }

    fn ends(&self) -> impl Iterator<Item = Moment> {
        let expiry = self.is_stored.then_some(self.expire_time);
        let forfeit = self.claim.map(|claim| claim.forfeit_time);
        let purge = self.receipt.map(|receipt| receipt.purge_time);
        let unlock = self.tries.values().map(|tries| tries.last + LOCK);
        expiry.into_iter().chain(forfeit).chain(purge).chain(unlock)
    }

    fn lookup(&self, now: Moment) -> Answer {
        let found = |state, state_time| Answer::Found {
            state,
            state_time,
            expire_time: None,
            needs_passphrase: false,
            is_sealed: false,
        };
        match self.receipt {
            _ if self.is_unread(now) => Answer::Found {
                state: MessageState::Unread,
                state_time: self.create_time,
                expire_time: Some(self.expire_time),
                needs_passphrase: self.creation.passphrase.is_some(),
                is_sealed: self.creation.is_sealed,
            },
            Some(receipt) => found(receipt.state, receipt.time),
            None if self.is_stored => found(MessageState::Expired, self.expire_time),
            None => refused(ErrorReason::MessageNotFound),
        }
    }

    fn view(
        &mut self,
        reader: Option<Reader>,
        passphrase: Option<Passphrase>,
        caller: Caller,
        accepts_sealed: bool,
        now: Moment,
    ) -> Answer {
        let (text, is_sealed, create_time) = (self.creation.text.clone(), self.creation.is_sealed, self.create_time);
        let viewed = |repeat_until| Answer::Viewed { text, is_sealed, create_time, repeat_until };
        let can_open = accepts_sealed || !self.creation.is_sealed;
        if !self.is_unread(now) {
            let longest_end = self.receipt.map_or(now, |receipt| receipt.purge_time.min(receipt.time + MAX_CLAIM));
            let mine = self.claim.as_mut().filter(|claim| Some(claim.reader) == reader && now < claim.forfeit_time);
            return match mine {
                None => self.gone(),
                Some(_) if !can_open => refused(ErrorReason::MessageSealed),
                Some(claim) => {
                    claim.forfeit_time = claim.forfeit_time.max(longest_end.min(now + GRACE));
                    viewed(Some(claim.forfeit_time))
                }
            };
        }
        if !can_open {
            return refused(ErrorReason::MessageSealed);
        }
        let claim = reader.map(|reader| Claim { reader, forfeit_time: now + GRACE });
        let viewed = viewed(claim.map(|claim| claim.forfeit_time));
        match (self.creation.passphrase, passphrase) {
            (None, _) => {}
            (Some(_), None) => return refused(ErrorReason::PassphraseRequired),
            (Some(right), Some(given)) => {
                if let Some(retry_after) = self.count_try(caller, now) {
                    let reason = ErrorReason::PassphraseLocked;
                    return Answer::Refused { reason, time: None, retry_after: Some(retry_after) };
                }
                if given != right {
                    return refused(ErrorReason::PassphraseWrong);
                }
            }
        }
        self.claim = claim;
        self.end(MessageState::Viewed, now, reader, now);
        viewed
    }

    /// How long the caller must wait, if it must; else the try counts, a right one too.
    fn count_try(&mut self, caller: Caller, now: Moment) -> Option<Duration> {
        self.tries.retain(|_, tries| now < tries.last + LOCK);
        if let Some(own) = self.tries.get(&caller).filter(|own| own.count >= TRIES) {
            return Some(own.last + LOCK - now);
        }
        let own = self.tries.entry(caller).or_default();
        *own = Tries { count: own.count + 1, last: now };
        None
    }

    /// The receipt remembers its reader for longer than the claim lasts.
    fn acknowledge(&mut self, reader: Reader) -> Answer {
        match self.receipt {
            Some(Receipt { reader: Some(mine), time, .. }) if mine == reader => {
                self.claim = None;
                Answer::Acknowledged { view_time: time }
            }
            Some(_) => self.gone(),
            // Nobody viewed it, whether it expired or not.
            None => refused(ErrorReason::MessageNotFound),
        }
    }

    fn burn(&mut self, now: Moment) -> Answer {
        if self.is_unread(now) {
            self.end(MessageState::Burned, now, None, now);
        }
        match self.receipt {
            Some(Receipt { state: MessageState::Burned, time, .. }) => Answer::Burned { burn_time: time },
            _ => self.gone(),
        }
    }

    fn sweep(&mut self, now: Moment) {
        if self.is_stored && self.expire_time <= now {
            self.end(MessageState::Expired, self.expire_time, None, now);
        }
        self.claim = self.claim.filter(|claim| now < claim.forfeit_time);
        self.receipt = self.receipt.filter(|receipt| now < receipt.purge_time);
    }

    fn end(&mut self, state: MessageState, time: Moment, reader: Option<Reader>, now: Moment) {
        self.is_stored = false;
        self.tries.clear();
        self.receipt = Some(Receipt { state, time, purge_time: now + RETENTION, reader });
    }

    /// What those are told who come too late.
    fn gone(&self) -> Answer {
        let (reason, time) = match self.receipt {
            Some(Receipt { state: MessageState::Viewed, time, .. }) => (ErrorReason::MessageViewed, time),
            Some(Receipt { state: MessageState::Burned, time, .. }) => (ErrorReason::MessageBurned, time),
            Some(Receipt { time, .. }) => (ErrorReason::MessageExpired, time),
            None if self.is_stored => (ErrorReason::MessageExpired, self.expire_time),
            None => return refused(ErrorReason::MessageNotFound),
        };
        Answer::Refused { reason, time: Some(time), retry_after: None }
    }
}

fn refused(reason: ErrorReason) -> Answer {
    Answer::Refused { reason, time: None, retry_after: None }
}
