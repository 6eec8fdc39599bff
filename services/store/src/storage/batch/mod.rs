//! What one transaction of the [writer](super::writer) does: many pieces of work with few statements.
//!
//! Rows that come back are matched to their work by id and verifier, never by their order: RETURNING promises none.

mod acknowledge;
mod create;
mod erase;
mod sized;
mod sweep;

use sea_orm::{DatabaseTransaction, DbErr, EntityTrait as _, FromQueryResult};

pub(super) use self::{
    acknowledge::Acknowledgement,
    create::{Creation, CreationRequest},
    erase::{Erasure, ErasureReason},
};
use super::{
    capacity::Room,
    entities::{messages, receipts},
    messages::Retention,
    passphrase_tries::{self, PassphraseTry},
    usage::{Usage, UsageChanges},
};
use crate::{
    StoreError,
    domain::{Clock, KeyId, Keyring, MessageContent, MessageId, Outcome, Receipt, Timestamp},
};

/// One thing to do to the messages.
pub(super) enum Work {
    /// Store a message.
    Create(Box<Creation>),
    /// Delete a message if it is unread and unexpired, and return its content if it was viewed.
    Erase(Box<Erasure>),
    /// Erase a content that its reader has.
    Acknowledge(Acknowledgement),
    /// Count a try of a passphrase, if one more is allowed.
    CountTry(PassphraseTry),
    /// Turn some expired messages into receipts, and purge some old receipts and forfeited claims.
    Sweep,
    /// Write something that changes nothing, to see whether that is possible.
    Probe(KeyId),
}

/// What a piece of work came to.
#[derive(Clone)]
pub(super) enum Output {
    /// The message is stored, now or by an earlier call.
    Stored { id: MessageId, create_time: Timestamp, expire_time: Option<Timestamp> },
    /// The request was made before, and its token comes from this key. Nothing was stored.
    UnderOtherKey(KeyId),
    /// The key of the message is being retired, or was. Nothing was stored.
    KeyRetired,
    /// The message is deleted and this was its content.
    Viewed { content: MessageContent, create_time: Timestamp, repeat_until: Option<Timestamp> },
    /// The message is deleted unread.
    Burned { time: Timestamp },
    /// The content that was viewed at `view_time` is erased, or was before.
    Acknowledged { view_time: Timestamp },
    /// A passphrase may be tried.
    TryCounted,
    /// So much was swept.
    Swept(Swept),
    /// Writing is possible.
    Probed,
}

/// What one sweep did.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Swept {
    pub(super) expired: usize,
    pub(super) forfeited: usize,
    pub(super) purged: usize,
    /// Whether there is more to sweep.
    pub(super) has_more: bool,
}

/// Why a batch was not done. Nothing of it was, unless COMMIT was under way.
pub(super) enum BatchError {
    /// The content for the work at `index` cannot be handed over, for the reason that its caller gets to know.
    CannotHandOver {
        index: usize,
        error: StoreError,
    },
    Database {
        error: DbErr,
        during_commit: bool,
    },
}

impl From<DbErr> for BatchError {
    fn from(error: DbErr) -> Self {
        Self::Database { error, during_commit: false }
    }
}

impl Work {
    /// Equal numbers are done in order by one lane.
    pub(super) fn affinity(&self) -> u64 {
        match self {
            // Repeats of one request do not wait for each other in two lanes.
            Self::Create(creation) => creation.request.map_or(creation.verifier, |request| request.hash).affinity(),
            Self::Erase(erasure) => erasure.id().affinity(),
            Self::Acknowledge(acknowledgement) => acknowledgement.id.affinity(),
            Self::CountTry(passphrase_try) => passphrase_try.id.affinity(),
            Self::Sweep | Self::Probe(_) => 0,
        }
    }
}

/// What a batch works with, and what it changes.
pub(super) struct Batch<'a> {
    pub(super) transaction: &'a DatabaseTransaction,
    pub(super) keyring: &'a Keyring,
    pub(super) clock: &'a dyn Clock,
    pub(super) retention: Retention,
    /// What may still be stored.
    pub(super) room: Room,
    /// In which rows of the usage this batch counts.
    pub(super) shard: i32,
    pub(super) usage: UsageChanges,
    /// The messages that are not unread any more.
    pub(super) ended: Vec<MessageId>,
}

/// What a batch came to.
pub(super) struct Done {
    /// One for each piece of work, in order.
    pub(super) results: Vec<Result<Output, StoreError>>,
    /// The messages that are not unread any more.
    pub(super) ended: Vec<MessageId>,
    /// What is stored more than before.
    pub(super) change: Usage,
}

/// The results of a batch, as they become known.
struct Results(Vec<Option<Result<Output, StoreError>>>);

impl Results {
    fn set(&mut self, index: usize, result: Result<Output, StoreError>) {
        if let Some(slot) = self.0.get_mut(index) {
            *slot = Some(result);
        }
    }

    fn set_if_missing(&mut self, index: usize, result: Result<Output, StoreError>) {
        if let Some(slot) = self.0.get_mut(index) {
            slot.get_or_insert(result);
        }
    }

    fn into_vec(self) -> Vec<Result<Output, StoreError>> {
        self.0.into_iter().map(|result| result.unwrap_or(Err(StoreError::Internal))).collect()
    }
}

impl Batch<'_> {
    /// Does all of `work` but what was `refused` in an earlier try.
    pub(super) async fn perform(mut self, work: &[Work], refused: &[(usize, StoreError)]) -> Result<Done, BatchError> {
        let mut results = Results(vec![None; work.len()]);
        for (index, error) in refused {
            results.set(*index, Err(error.clone()));
        }
        let is_refused = |index| refused.iter().any(|(refused, _)| *refused == index);
        let rest = || work.iter().enumerate().filter(|(index, _)| !is_refused(*index));
        let (mut creations, mut erasures, mut acknowledgements) = (Vec::new(), Vec::new(), Vec::new());
        for (index, work) in rest() {
            match work {
                Work::Create(creation) => creations.push((index, &**creation)),
                Work::Erase(erasure) => erasures.push((index, &**erasure)),
                Work::Acknowledge(acknowledgement) => acknowledgements.push((index, acknowledgement)),
                Work::CountTry(_) | Work::Sweep | Work::Probe(_) => {}
            }
        }
        // Creations first: they lock the row of their key, and the retirement of a key locks that before any message.
        create::create(&mut self, creations, &mut results).await?;
        for (index, work) in rest() {
            match work {
                Work::CountTry(passphrase_try) => {
                    let counted = passphrase_tries::count(self.transaction, passphrase_try, self.clock.now()).await?;
                    results.set(index, counted.map(|()| Output::TryCounted));
                }
                Work::Sweep => results.set(index, Ok(Output::Swept(sweep::sweep(&mut self).await?))),
                Work::Probe(key_id) => {
                    self.usage.add(key_id.as_str(), Usage::default());
                    results.set(index, Ok(Output::Probed));
                }
                Work::Create(_) | Work::Erase(_) | Work::Acknowledge(_) => {}
            }
        }
        erase::erase(&mut self, erasures, &mut results).await?;
        acknowledge::acknowledge(&mut self, acknowledgements, &mut results).await?;
        self.usage.record(self.transaction, self.shard).await?;
        Ok(Done { results: results.into_vec(), ended: self.ended, change: self.usage.total() })
    }

    async fn insert_receipts(&mut self, new_receipts: Vec<receipts::Model>) -> Result<(), DbErr> {
        if new_receipts.is_empty() {
            return Ok(());
        }
        for receipt in &new_receipts {
            self.usage.add(&receipt.key_id, Usage::receipts(1));
        }
        let rows = new_receipts.into_iter().map(receipts::ActiveModel::from);
        receipts::Entity::insert_many(rows).exec_without_returning(self.transaction).await.map(drop)
    }

    /// The receipt of a message that ended now.
    fn new_receipt(
        &self,
        message: EndedMessage,
        outcome: receipts::Outcome,
        outcome_time: Timestamp,
    ) -> receipts::Model {
        let EndedMessage { id, verifier, request_hash, key_id, create_time, expire_time } = message;
        receipts::Model {
            message_id: id,
            verifier,
            request_hash,
            claim_verifier: None,
            key_id,
            outcome,
            create_time,
            expire_time,
            outcome_time: outcome_time.micros(),
            purge_time: self.clock.now().after(self.retention.receipts).micros(),
        }
    }
}

/// What a receipt keeps of a message.
#[derive(FromQueryResult)]
struct EndedMessage {
    id: i64,
    verifier: Vec<u8>,
    request_hash: Option<Vec<u8>>,
    key_id: String,
    create_time: i64,
    expire_time: Option<i64>,
}

impl EndedMessage {
    const COLUMNS: [messages::Column; 6] = [
        messages::Column::Id,
        messages::Column::Verifier,
        messages::Column::RequestHash,
        messages::Column::KeyId,
        messages::Column::CreateTime,
        messages::Column::ExpireTime,
    ];
}

impl From<&messages::Model> for EndedMessage {
    fn from(row: &messages::Model) -> Self {
        Self {
            id: row.id,
            verifier: row.verifier.clone(),
            request_hash: row.request_hash.clone(),
            key_id: row.key_id.clone(),
            create_time: row.create_time,
            expire_time: row.expire_time,
        }
    }
}

impl From<&receipts::Model> for Receipt {
    fn from(receipt: &receipts::Model) -> Self {
        let outcome = match receipt.outcome {
            receipts::Outcome::Viewed => Outcome::Viewed,
            receipts::Outcome::Burned => Outcome::Burned,
            receipts::Outcome::Expired => Outcome::Expired,
        };
        Self { outcome, time: Timestamp::from_micros(receipt.outcome_time) }
    }
}

#[cfg(test)]
mod tests;
