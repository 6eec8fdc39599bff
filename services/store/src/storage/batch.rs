//! What one transaction of the [writer](super::writer) does: many pieces of work with few statements.
//!
//! Rows that come back are matched to their work by id and verifier, never by their order: RETURNING promises none.

use std::time::Duration;

use sea_orm::{
    ActiveValue::{NotSet, Set},
    ColumnTrait as _, Condition, ConnectionTrait as _, DatabaseTransaction, DbErr, EntityTrait as _, QueryFilter as _,
    QueryOrder as _, QuerySelect as _, QueryTrait as _,
    sea_query::{ExprTrait as _, LockBehavior, LockType, OnConflict},
};

use super::entities::{messages, receipts};
use crate::{
    StoreError,
    domain::{KeyId, MessageId, MessageSeal, MessageText, Outcome, Receipt, Timestamp, Verifier},
};

/// One thing to do to the messages.
pub(super) enum Work {
    /// Store a message.
    Create(Creation),
    /// Delete a message if it is unread and unexpired, and answer its text if it was viewed.
    Erase(Erasure),
    /// Turn at most `limit` expired messages into receipts, and purge at most as many old receipts.
    Sweep { limit: u64, receipt_retention: Duration },
}

/// A sealed message to be stored.
pub(super) struct Creation {
    pub(super) verifier: Verifier,
    pub(super) key_id: KeyId,
    pub(super) sealed_text: Vec<u8>,
    pub(super) create_time: Timestamp,
    pub(super) expire_time: Option<Timestamp>,
    /// Whether the same message may have been created before.
    pub(super) is_repeatable: bool,
}

/// A message to be deleted.
pub(super) struct Erasure {
    pub(super) id: MessageId,
    /// What the presented token makes of each key; the message was sealed with one of them.
    pub(super) seals: Vec<MessageSeal>,
    pub(super) reason: ErasureReason,
    pub(super) receipt_retention: Duration,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum ErasureReason {
    View,
    Burn,
}

/// What a piece of work came to.
#[derive(Clone)]
pub(super) enum Answer {
    /// The message is stored, now or by an earlier call.
    Stored { id: MessageId, create_time: Timestamp, expire_time: Option<Timestamp> },
    /// The message is deleted and this was its text.
    Viewed { text: MessageText, create_time: Timestamp },
    /// The message is deleted unread.
    Burned { time: Timestamp },
    /// So many messages expired, and so many receipts were purged.
    Swept { expired: u64, purged: u64 },
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
            Self::Erase(erasure) => erasure.id.get().unsigned_abs(),
            Self::Sweep { .. } => 0,
        }
    }
}

type Answers = Vec<Option<Result<Answer, StoreError>>>;

/// Does all of `work` but what is `unreadable`; an answer for each, in order.
pub(super) async fn perform(
    transaction: &DatabaseTransaction,
    work: &[Work],
    unreadable: &[usize],
    now: Timestamp,
) -> Result<Vec<Result<Answer, StoreError>>, BatchError> {
    let mut answers: Answers = vec![None; work.len()];
    for index in unreadable {
        set(&mut answers, *index, Err(StoreError::Internal));
    }
    let (mut creations, mut erasures) = (Vec::new(), Vec::new());
    for (index, work) in work.iter().enumerate().filter(|(index, _)| !unreadable.contains(index)) {
        match work {
            Work::Create(creation) => creations.push((index, creation)),
            Work::Erase(erasure) => erasures.push((index, erasure)),
            Work::Sweep { limit, receipt_retention } => {
                let swept = sweep(transaction, *limit, *receipt_retention, now).await?;
                set(&mut answers, index, Ok(swept));
            }
        }
    }
    create(transaction, creations, &mut answers).await?;
    erase(transaction, erasures, now, &mut answers).await?;
    Ok(answers.into_iter().map(|answer| answer.unwrap_or(Err(StoreError::Internal))).collect())
}

fn set(answers: &mut Answers, index: usize, answer: Result<Answer, StoreError>) {
    if let Some(slot) = answers.get_mut(index) {
        *slot = Some(answer);
    }
}

async fn create(
    transaction: &DatabaseTransaction,
    mut creations: Vec<(usize, &Creation)>,
    answers: &mut Answers,
) -> Result<(), DbErr> {
    if creations.is_empty() {
        return Ok(());
    }
    // Every lane and every store inserts in the same order, or two could wait for each other.
    creations.sort_by_key(|(_, creation)| creation.verifier);
    let rows = creations.iter().map(|(_, creation)| messages::ActiveModel {
        id: NotSet,
        verifier: Set(creation.verifier.to_column()),
        key_id: Set(creation.key_id.as_str().to_owned()),
        sealed_text: Set(creation.sealed_text.clone()),
        create_time: Set(creation.create_time.micros()),
        expire_time: Set(creation.expire_time.map(Timestamp::micros)),
    });
    let once = OnConflict::column(messages::Column::Verifier).do_nothing().to_owned();
    let insert = messages::Entity::insert_many(rows).on_conflict(once);
    let mut stored: Vec<StoredRow> = StoredRow::returned_by(transaction, insert.into_query()).await?;

    let repeatable = || creations.iter().filter(|(_, creation)| creation.is_repeatable);
    if repeatable().next().is_some() {
        let verifiers: Vec<_> = repeatable().map(|(_, creation)| creation.verifier.to_column()).collect();
        stored = undo_repeats(transaction, verifiers, stored).await?;
    }
    for (index, creation) in creations {
        let row = stored.iter().find(|row| creation.verifier.matches_column(&row.verifier));
        let answer = row.map(StoredRow::answer).ok_or_else(|| {
            tracing::error!("a stored message did not come back");
            StoreError::Internal
        });
        set(answers, index, answer);
    }
    Ok(())
}

/// Of messages that may have been created before: those that are gone already stay gone, those that are there are answered as
/// they are. Receipts are looked at *after* the insert, which waits for whoever is just deleting the message.
async fn undo_repeats(
    transaction: &DatabaseTransaction,
    verifiers: Vec<Vec<u8>>,
    inserted: Vec<StoredRow>,
) -> Result<Vec<StoredRow>, DbErr> {
    let gone =
        receipts::Entity::find().filter(receipts::Column::Verifier.is_in(verifiers.clone())).all(transaction).await?;
    if !gone.is_empty() {
        let again: Vec<_> = gone.iter().map(|receipt| receipt.verifier.clone()).collect();
        messages::Entity::delete_many().filter(messages::Column::Verifier.is_in(again)).exec(transaction).await?;
    }
    let present = messages::Entity::find()
        .select_only()
        .columns(StoredRow::COLUMNS)
        .filter(messages::Column::Verifier.is_in(verifiers.clone()))
        .into_model::<StoredRow>()
        .all(transaction)
        .await?;
    let others = inserted.into_iter().filter(|row| !verifiers.contains(&row.verifier));
    Ok(gone.into_iter().map(StoredRow::of_receipt).chain(present).chain(others).collect())
}

/// A message as its creator gets to know it.
#[derive(sea_orm::FromQueryResult)]
struct StoredRow {
    id: i64,
    verifier: Vec<u8>,
    create_time: i64,
    expire_time: Option<i64>,
}

impl StoredRow {
    const COLUMNS: [messages::Column; 4] =
        [messages::Column::Id, messages::Column::Verifier, messages::Column::CreateTime, messages::Column::ExpireTime];

    async fn returned_by(
        transaction: &DatabaseTransaction,
        mut insert: sea_orm::sea_query::InsertStatement,
    ) -> Result<Vec<Self>, DbErr> {
        insert.returning(sea_orm::sea_query::Query::returning().columns(Self::COLUMNS));
        let rows = transaction.query_all(&insert).await?;
        rows.iter().map(|row| sea_orm::FromQueryResult::from_query_result(row, "")).collect()
    }

    fn of_receipt(receipt: receipts::Model) -> Self {
        let receipts::Model { message_id, verifier, create_time, .. } = receipt;
        Self { id: message_id, verifier, create_time, expire_time: None }
    }

    fn answer(&self) -> Answer {
        Answer::Stored {
            id: MessageId::from_column(self.id),
            create_time: Timestamp::from_micros(self.create_time),
            expire_time: self.expire_time.map(Timestamp::from_micros),
        }
    }
}

async fn erase(
    transaction: &DatabaseTransaction,
    erasures: Vec<(usize, &Erasure)>,
    now: Timestamp,
    answers: &mut Answers,
) -> Result<(), BatchError> {
    if erasures.is_empty() {
        return Ok(());
    }
    let deleted = delete_unread(transaction, &erasures, now).await?;
    let mut new_receipts = Vec::with_capacity(deleted.len());
    let mut losers = Vec::new();
    let mut claimed = Vec::with_capacity(deleted.len());
    for (index, erasure) in erasures {
        // Of all who asked for one message in this batch, the first gets it.
        let row = deleted.iter().find_map(|row| Some((row, erasure.seal_of(row)?)));
        match row.filter(|(row, _)| !claimed.contains(&row.id)) {
            None => losers.push((index, erasure)),
            Some((row, seal)) => {
                claimed.push(row.id);
                // Opened before the commit: what does not open is not consumed.
                let answer = erasure.answer(row, seal, now).map_err(|_| BatchError::Unreadable(index))?;
                set(answers, index, Ok(answer));
                let outcome = match erasure.reason {
                    ErasureReason::View => receipts::Outcome::Viewed,
                    ErasureReason::Burn => receipts::Outcome::Burned,
                };
                new_receipts.push(new_receipt(row, outcome, now, erasure.receipt_retention, now));
            }
        }
    }
    insert_receipts(transaction, new_receipts).await?;
    explain(transaction, losers, answers).await?;
    Ok(())
}

/// The heart of it: whoever's DELETE returns the row has the message, and nobody else ever will.
async fn delete_unread(
    transaction: &DatabaseTransaction,
    erasures: &[(usize, &Erasure)],
    now: Timestamp,
) -> Result<Vec<messages::Model>, DbErr> {
    let wanted = erasures.iter().fold(Condition::any(), |any, (_, erasure)| {
        any.add(messages::Column::Id.eq(erasure.id.get()).and(messages::Column::Verifier.is_in(erasure.verifiers())))
    });
    let unexpired = messages::Column::ExpireTime.is_null().or(messages::Column::ExpireTime.gt(now.micros()));
    // Rows are locked in the order of their ids, or two transactions could wait for each other. SQLite, which locks no rows,
    // is told nothing of it.
    let in_order = messages::Entity::find()
        .select_only()
        .column(messages::Column::Id)
        .filter(wanted)
        .filter(unexpired.clone())
        .order_by_asc(messages::Column::Id)
        .lock(LockType::Update)
        .into_query();
    messages::Entity::delete_many()
        .filter(messages::Column::Id.in_subquery(in_order))
        .filter(unexpired)
        .exec_with_returning(transaction)
        .await
}

impl Erasure {
    fn verifiers(&self) -> Vec<Vec<u8>> {
        self.seals.iter().map(|seal| seal.verifier().to_column()).collect()
    }

    fn seal_of(&self, row: &messages::Model) -> Option<&MessageSeal> {
        let seal = self.seals.iter().find(|seal| seal.verifier().matches_column(&row.verifier));
        seal.filter(|_| row.id == self.id.get())
    }

    fn answer(
        &self,
        row: &messages::Model,
        seal: &MessageSeal,
        now: Timestamp,
    ) -> Result<Answer, crate::domain::Unreadable> {
        match self.reason {
            ErasureReason::Burn => Ok(Answer::Burned { time: now }),
            ErasureReason::View => {
                let text = seal.open(&row.sealed_text, row.expire_time.map(Timestamp::from_micros))?;
                Ok(Answer::Viewed { text, create_time: Timestamp::from_micros(row.create_time) })
            }
        }
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

/// Tells those who got nothing why, if their token is right: somebody was first, or the lifetime was over.
async fn explain(
    transaction: &DatabaseTransaction,
    losers: Vec<(usize, &Erasure)>,
    answers: &mut Answers,
) -> Result<(), DbErr> {
    if losers.is_empty() {
        return Ok(());
    }
    let verifiers: Vec<_> = losers.iter().flat_map(|(_, erasure)| erasure.verifiers()).collect();
    let known =
        receipts::Entity::find().filter(receipts::Column::Verifier.is_in(verifiers.clone())).all(transaction).await?;
    // Still there, yet not deleted above: expired, and not swept so far.
    let expired: Vec<(i64, Vec<u8>, Option<i64>)> = messages::Entity::find()
        .select_only()
        .columns([messages::Column::Id, messages::Column::Verifier, messages::Column::ExpireTime])
        .filter(messages::Column::Verifier.is_in(verifiers))
        .into_tuple()
        .all(transaction)
        .await?;
    for (index, erasure) in losers {
        let fits = |id: i64, verifier: &[u8]| {
            id == erasure.id.get() && erasure.seals.iter().any(|seal| seal.verifier().matches_column(verifier))
        };
        let receipt = known.iter().find(|receipt| fits(receipt.message_id, &receipt.verifier)).map(Receipt::from);
        let receipt = receipt.or_else(|| {
            let (.., expire_time) = expired.iter().find(|(id, verifier, _)| fits(*id, verifier))?;
            Some(Receipt { outcome: Outcome::Expired, time: Timestamp::from_micros((*expire_time)?) })
        });
        let answer = match (receipt, erasure.reason) {
            (None, _) => Err(StoreError::MessageNotFound),
            // Burning is done once, and may be said twice.
            (Some(Receipt { outcome: Outcome::Burned, time }), ErasureReason::Burn) => Ok(Answer::Burned { time }),
            (Some(receipt), _) => Err(StoreError::MessageGone(receipt)),
        };
        set(answers, index, answer);
    }
    Ok(())
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

async fn sweep(
    transaction: &DatabaseTransaction,
    limit: u64,
    receipt_retention: Duration,
    now: Timestamp,
) -> Result<Answer, DbErr> {
    // Rows that somebody else holds are left for the next time: several stores may sweep at once.
    let due = messages::Entity::find()
        .select_only()
        .column(messages::Column::Id)
        .filter(messages::Column::ExpireTime.lte(now.micros()))
        .order_by_asc(messages::Column::ExpireTime)
        .limit(limit)
        .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
        .into_query();
    let expired = messages::Entity::delete_many()
        .filter(messages::Column::Id.in_subquery(due))
        .exec_with_returning(transaction)
        .await?;
    let new_receipts = expired.iter().map(|row| {
        let expire_time = row.expire_time.map_or(now, Timestamp::from_micros);
        new_receipt(row, receipts::Outcome::Expired, expire_time, receipt_retention, now)
    });
    insert_receipts(transaction, new_receipts.collect()).await?;

    let old = receipts::Entity::find()
        .select_only()
        .column(receipts::Column::MessageId)
        .filter(receipts::Column::PurgeTime.lte(now.micros()))
        .order_by_asc(receipts::Column::PurgeTime)
        .limit(limit)
        .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
        .into_query();
    let purged =
        receipts::Entity::delete_many().filter(receipts::Column::MessageId.in_subquery(old)).exec(transaction).await?;
    Ok(Answer::Swept { expired: expired.len() as u64, purged: purged.rows_affected })
}
