//! What one transaction of the [writer](super::writer) does: many pieces of work with few statements.
//!
//! Rows that come back are matched to their work by id and verifier, never by their order: RETURNING promises none.

mod acknowledge;
mod create;
mod erase;
mod sweep;

use std::time::Duration;

use sea_orm::{ActiveValue::Set, DatabaseTransaction, DbErr, EntityTrait as _};

pub(super) use self::{
    acknowledge::Acknowledgement,
    create::Creation,
    erase::{Erasure, ErasureReason},
};
use super::{
    entities::{messages, receipts},
    passphrase_tries::{self, PassphraseTry},
};
use crate::{
    StoreError,
    domain::{MessageContent, MessageId, Outcome, Receipt, Timestamp},
};

/// One thing to do to the messages.
pub(super) enum Work {
    /// Store a message.
    Create(Creation),
    /// Delete a message if it is unread and unexpired, and answer its content if it was viewed.
    Erase(Erasure),
    /// Erase a text that its reader has.
    Acknowledge(Acknowledgement),
    /// Count a try of a passphrase, if one more is allowed.
    CountTry(PassphraseTry),
    /// Turn at most `limit` expired messages into receipts, and purge at most as many old receipts and forfeited claims.
    Sweep { limit: u64, receipt_retention: Duration },
}

/// What a piece of work came to.
#[derive(Clone)]
pub(super) enum Answer {
    /// The message is stored, now or by an earlier call.
    Stored { id: MessageId, create_time: Timestamp, expire_time: Option<Timestamp> },
    /// The message is deleted and this was its content.
    Viewed { content: MessageContent, create_time: Timestamp, repeat_until: Option<Timestamp> },
    /// The message is deleted unread.
    Burned { time: Timestamp },
    /// The text that was viewed at `view_time` is erased, or was before.
    Acknowledged { view_time: Timestamp },
    /// A passphrase may be tried.
    TryCounted,
    /// So many messages expired, claims were forfeited, and receipts were purged.
    Swept { expired: u64, forfeited: u64, purged: u64 },
}

/// Why a batch was not done. Nothing of it was, unless COMMIT was under way.
pub(super) enum BatchError {
    /// The text for the work at this index does not open.
    Unreadable(usize),
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
            Self::Create(creation) => creation.verifier.affinity(),
            Self::Erase(erasure) => erasure.id.affinity(),
            Self::Acknowledge(acknowledgement) => acknowledgement.id.affinity(),
            Self::CountTry(passphrase_try) => passphrase_try.id.affinity(),
            Self::Sweep { .. } => 0,
        }
    }
}

type Answers = Vec<Option<Result<Answer, StoreError>>>;

/// What a batch came to.
pub(super) struct Done {
    /// One for each piece of work, in order.
    pub(super) answers: Vec<Result<Answer, StoreError>>,
    /// The messages that are not unread any more.
    pub(super) ended: Vec<MessageId>,
}

/// Does all of `work` but what is `unreadable`.
pub(super) async fn perform(
    transaction: &DatabaseTransaction,
    work: &[Work],
    unreadable: &[usize],
    now: Timestamp,
) -> Result<Done, BatchError> {
    let mut answers: Answers = vec![None; work.len()];
    for index in unreadable {
        set(&mut answers, *index, Err(StoreError::Internal));
    }
    let mut ended = Vec::new();
    let (mut creations, mut erasures, mut acknowledgements) = (Vec::new(), Vec::new(), Vec::new());
    for (index, work) in work.iter().enumerate().filter(|(index, _)| !unreadable.contains(index)) {
        match work {
            Work::Create(creation) => creations.push((index, creation)),
            Work::Erase(erasure) => erasures.push((index, erasure)),
            Work::Acknowledge(acknowledgement) => acknowledgements.push((index, acknowledgement)),
            Work::CountTry(passphrase_try) => {
                let counted = passphrase_tries::count(transaction, passphrase_try, now).await?;
                set(&mut answers, index, counted.map(|()| Answer::TryCounted));
            }
            Work::Sweep { limit, receipt_retention } => {
                let swept = sweep::sweep(transaction, *limit, *receipt_retention, now, &mut ended).await?;
                set(&mut answers, index, Ok(swept));
            }
        }
    }
    create::create(transaction, creations, &mut answers).await?;
    erase::erase(transaction, erasures, now, &mut answers, &mut ended).await?;
    acknowledge::acknowledge(transaction, acknowledgements, &mut answers).await?;
    let answers = answers.into_iter().map(|answer| answer.unwrap_or(Err(StoreError::Internal))).collect();
    Ok(Done { answers, ended })
}

fn set(answers: &mut Answers, index: usize, answer: Result<Answer, StoreError>) {
    if let Some(slot) = answers.get_mut(index) {
        *slot = Some(answer);
    }
}

fn new_receipt(
    row: &messages::Model,
    outcome: receipts::Outcome,
    outcome_time: Timestamp,
    retention: Duration,
    now: Timestamp,
) -> receipts::ActiveModel {
    receipts::ActiveModel {
        message_id: Set(row.id),
        verifier: Set(row.verifier.clone()),
        outcome: Set(outcome),
        create_time: Set(row.create_time),
        outcome_time: Set(outcome_time.micros()),
        purge_time: Set(now.after(retention).micros()),
        claim_verifier: Set(None),
        expire_time: Set(row.expire_time),
    }
}

async fn insert_receipts(
    transaction: &DatabaseTransaction,
    new_receipts: Vec<receipts::ActiveModel>,
) -> Result<(), DbErr> {
    if new_receipts.is_empty() {
        return Ok(());
    }
    receipts::Entity::insert_many(new_receipts).exec_without_returning(transaction).await.map(drop)
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
