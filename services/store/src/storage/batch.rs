//! What one transaction of the [writer](super::writer) does: many pieces of work with few statements.
//!
//! Rows that come back are matched to their work by id and verifier, never by their order: RETURNING promises none.

use std::time::Duration;

use sea_orm::{
    ActiveValue::{NotSet, Set},
    ColumnTrait as _, Condition, ConnectionTrait as _, DatabaseTransaction, DbErr, EntityTrait as _,
    IntoActiveModel as _, QueryFilter as _, QueryOrder as _, QuerySelect as _, QueryTrait as _,
    sea_query::{ExprTrait as _, LockBehavior, LockType, OnConflict, SimpleExpr},
};

use super::{
    entities::{claims, content_kind, messages, receipts},
    passphrase_tries::{self, PassphraseTry},
};
use crate::{
    StoreError,
    domain::{
        ClaimSeal, ContentKind, KeyId, MessageContent, MessageId, MessageSeal, Outcome, PassphraseSalt, Receipt,
        SealError, Timestamp, Unreadable, Verifier,
    },
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

/// A sealed message to be stored.
pub(super) struct Creation {
    pub(super) verifier: Verifier,
    pub(super) key_id: KeyId,
    pub(super) content_kind: ContentKind,
    pub(super) sealed_text: Vec<u8>,
    pub(super) create_time: Timestamp,
    pub(super) expire_time: Option<Timestamp>,
    /// The salt, and what the passphrase must come to.
    pub(super) passphrase: Option<(PassphraseSalt, Verifier)>,
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

pub(super) enum ErasureReason {
    /// The content is answered. With `claims`, what token and view id make of each key, the reader may ask for it again.
    View {
        claims: Vec<ClaimSeal>,
        grace: Duration,
        /// Whether the reader can open what its creator has encrypted.
        accepts_sealed: bool,
    },
    Burn,
}

/// A text to be erased because its reader has it.
pub(super) struct Acknowledgement {
    pub(super) id: MessageId,
    /// What the token makes of each key.
    pub(super) verifiers: Vec<Verifier>,
    /// What token and view id make of each key.
    pub(super) claim_verifiers: Vec<Verifier>,
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

/// Why a winner cannot be given the text; the message stays as it is.
#[derive(Debug, thiserror::Error)]
enum CannotHandOver {
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    #[error(transparent)]
    Seal(#[from] SealError),
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
                let swept = sweep(transaction, *limit, *receipt_retention, now, &mut ended).await?;
                set(&mut answers, index, Ok(swept));
            }
        }
    }
    create(transaction, creations, &mut answers).await?;
    erase(transaction, erasures, now, &mut answers, &mut ended).await?;
    acknowledge(transaction, acknowledgements, &mut answers).await?;
    let answers = answers.into_iter().map(|answer| answer.unwrap_or(Err(StoreError::Internal))).collect();
    Ok(Done { answers, ended })
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
        passphrase_salt: Set(creation.passphrase.map(|(salt, _)| salt.to_column())),
        passphrase_verifier: Set(creation.passphrase.map(|(_, verifier)| verifier.to_column())),
        content_kind: Set(creation.content_kind.into()),
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
        let receipts::Model { message_id, verifier, create_time, expire_time, .. } = receipt;
        Self { id: message_id, verifier, create_time, expire_time }
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
    ended: &mut Vec<MessageId>,
) -> Result<(), BatchError> {
    if erasures.is_empty() {
        return Ok(());
    }
    let deleted = delete_unread(transaction, &erasures, now).await?;
    let (mut new_receipts, mut new_claims) = (Vec::with_capacity(deleted.len()), Vec::new());
    let mut losers = Vec::new();
    let mut taken = Vec::with_capacity(deleted.len());
    for (index, erasure) in erasures {
        // Of all in this batch for whom the message may be deleted, the first gets it.
        let row = deleted.iter().find_map(|row| Some((row, erasure.seal_that_takes(row)?)));
        match row.filter(|(row, _)| !taken.contains(&row.id)) {
            None => losers.push((index, erasure)),
            Some((row, seal)) => {
                taken.push(row.id);
                // Opened before the commit: what does not open is not consumed.
                let won = erasure.won(row, seal, now).map_err(|_| BatchError::Unreadable(index))?;
                set(answers, index, Ok(won.answer));
                let claim_verifier = won.claim.as_ref().map(|claim| claim.claim_verifier.clone());
                new_claims.extend(won.claim.map(claims::Model::into_active_model));
                let retention = erasure.receipt_retention;
                let receipt = new_receipt(row, won.outcome, now, retention, now);
                new_receipts.push(receipts::ActiveModel { claim_verifier: Set(claim_verifier), ..receipt });
            }
        }
    }
    ended.extend(taken.into_iter().map(MessageId::from_column));
    if !new_claims.is_empty() {
        claims::Entity::insert_many(new_claims).exec_without_returning(transaction).await?;
    }
    insert_receipts(transaction, new_receipts).await?;
    let losers = repeat_views(transaction, losers, now, answers).await?;
    explain(transaction, losers, now, answers).await?;
    Ok(())
}

/// The heart of it: whoever's DELETE returns the row has the message, and nobody else ever will.
async fn delete_unread(
    transaction: &DatabaseTransaction,
    erasures: &[(usize, &Erasure)],
    now: Timestamp,
) -> Result<Vec<messages::Model>, DbErr> {
    let wanted = erasures.iter().fold(Condition::any(), |any, (_, erasure)| {
        any.add(messages::Column::Id.eq(erasure.id.get()).and(erasure.fits()))
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

/// What the winner of a message gets.
struct Won {
    answer: Answer,
    outcome: receipts::Outcome,
    claim: Option<claims::Model>,
}

impl Erasure {
    fn verifiers(&self) -> Vec<Vec<u8>> {
        self.seals.iter().map(|seal| seal.verifier().to_column()).collect()
    }

    /// That the token is right, and for a view that the passphrase is too and the reader can open the content. Who has the
    /// token may burn without. [`seal_that_takes`](Self::seal_that_takes) says the same of a row.
    fn fits(&self) -> SimpleExpr {
        let token_fits = messages::Column::Verifier.is_in(self.verifiers());
        match self.reason {
            ErasureReason::Burn => token_fits,
            ErasureReason::View { .. } => {
                let passphrases = self.seals.iter().filter_map(MessageSeal::passphrase_verifier);
                let passphrase_fits = messages::Column::PassphraseVerifier
                    .is_null()
                    .or(messages::Column::PassphraseVerifier.is_in(passphrases.map(Verifier::to_column)));
                let fits = token_fits.and(passphrase_fits);
                let text = messages::Column::ContentKind.eq(content_kind::ContentKind::Text);
                if self.refuses(ContentKind::Sealed) { fits.and(text) } else { fits }
            }
        }
    }

    /// Whether its reader cannot open such content.
    fn refuses(&self, kind: ContentKind) -> bool {
        match (&self.reason, kind) {
            (ErasureReason::View { accepts_sealed, .. }, ContentKind::Sealed) => !accepts_sealed,
            (ErasureReason::View { .. }, ContentKind::Text) | (ErasureReason::Burn, _) => false,
        }
    }

    fn has_passphrase(&self) -> bool {
        self.seals.iter().any(|seal| seal.passphrase_verifier().is_some())
    }

    /// The seal that opens `row`, if [`fits`](Self::fits) is true of it: a row that came back was deleted for *somebody* in the
    /// batch, who need not be this one.
    fn seal_that_takes(&self, row: &messages::Model) -> Option<&MessageSeal> {
        let mut seals = self.seals.iter().filter(|_| row.id == self.id.get());
        let seal = seals.find(|seal| seal.verifier().matches_column(&row.verifier))?;
        let fits = match (&self.reason, &row.passphrase_verifier) {
            (ErasureReason::Burn, _) => true,
            (ErasureReason::View { .. }, passphrase) => {
                let passphrase_fits = passphrase.as_ref().is_none_or(|column| {
                    seal.passphrase_verifier().is_some_and(|verifier| verifier.matches_column(column))
                });
                passphrase_fits && !self.refuses(row.content_kind.into())
            }
        };
        fits.then_some(seal)
    }

    /// What token and view id make of each key; none when the reader gave no view id.
    fn claims(&self) -> &[ClaimSeal] {
        match &self.reason {
            ErasureReason::View { claims, .. } => claims,
            ErasureReason::Burn => &[],
        }
    }

    fn won(&self, row: &messages::Model, seal: &MessageSeal, now: Timestamp) -> Result<Won, CannotHandOver> {
        let (claims, grace) = match &self.reason {
            ErasureReason::Burn => {
                let answer = Answer::Burned { time: now };
                return Ok(Won { answer, outcome: receipts::Outcome::Burned, claim: None });
            }
            ErasureReason::View { claims, grace, accepts_sealed: _ } => (claims, *grace),
        };
        let kind = row.content_kind.into();
        let content = seal.open(&row.sealed_text, kind, row.expire_time.map(Timestamp::from_micros))?;
        let claim = match claims.iter().find(|claim| claim.key_id() == seal.key_id()) {
            None => None,
            Some(claim) => {
                let forfeit_time = now.after(grace);
                Some(claims::Model {
                    message_id: row.id,
                    claim_verifier: claim.verifier().to_column(),
                    key_id: claim.key_id().as_str().to_owned(),
                    sealed_text: claim.seal(&content, forfeit_time)?,
                    create_time: row.create_time,
                    forfeit_time: forfeit_time.micros(),
                    content_kind: row.content_kind,
                })
            }
        };
        let repeat_until = claim.as_ref().map(|claim| Timestamp::from_micros(claim.forfeit_time));
        let create_time = Timestamp::from_micros(row.create_time);
        let answer = Answer::Viewed { content, create_time, repeat_until };
        Ok(Won { answer, outcome: receipts::Outcome::Viewed, claim })
    }
}

/// Of those who got nothing, gives the text again to whoever it was handed to before; the others come back.
async fn repeat_views<'work>(
    transaction: &DatabaseTransaction,
    losers: Vec<(usize, &'work Erasure)>,
    now: Timestamp,
    answers: &mut Answers,
) -> Result<Vec<(usize, &'work Erasure)>, DbErr> {
    let verifiers: Vec<_> =
        losers.iter().flat_map(|(_, erasure)| erasure.claims()).map(|claim| claim.verifier().to_column()).collect();
    if verifiers.is_empty() {
        return Ok(losers);
    }
    let mine = claims::Entity::find()
        .filter(claims::Column::ClaimVerifier.is_in(verifiers))
        .filter(claims::Column::ForfeitTime.gt(now.micros()))
        .all(transaction)
        .await?;
    let mut others = Vec::with_capacity(losers.len());
    for (index, erasure) in losers {
        let claimed = mine.iter().filter(|row| row.message_id == erasure.id.get()).find_map(|row| {
            let claim = erasure.claims().iter().find(|claim| claim.verifier().matches_column(&row.claim_verifier))?;
            Some((row, claim))
        });
        match claimed {
            None => others.push((index, erasure)),
            Some((row, _)) if erasure.refuses(row.content_kind.into()) => {
                set(answers, index, Err(StoreError::MessageSealed));
            }
            Some((row, claim)) => set(answers, index, repeated(row, claim)),
        }
    }
    Ok(others)
}

fn repeated(row: &claims::Model, claim: &ClaimSeal) -> Result<Answer, StoreError> {
    let forfeit_time = Timestamp::from_micros(row.forfeit_time);
    let content = claim.open(&row.sealed_text, row.content_kind.into(), forfeit_time).map_err(|_| {
        tracing::error!("a claimed text does not open");
        StoreError::Internal
    })?;
    let create_time = Timestamp::from_micros(row.create_time);
    Ok(Answer::Viewed { content, create_time, repeat_until: Some(forfeit_time) })
}

/// Erases texts that their readers have. A receipt knows its reader as long as it lives, so repeating is a success.
async fn acknowledge(
    transaction: &DatabaseTransaction,
    acknowledgements: Vec<(usize, &Acknowledgement)>,
    answers: &mut Answers,
) -> Result<(), DbErr> {
    if acknowledgements.is_empty() {
        return Ok(());
    }
    let columns = |verifiers: &[Verifier]| verifiers.iter().map(|verifier| verifier.to_column()).collect::<Vec<_>>();
    let claimed = acknowledgements.iter().fold(Condition::any(), |any, (_, acknowledgement)| {
        let reader_fits = claims::Column::ClaimVerifier.is_in(columns(&acknowledgement.claim_verifiers));
        any.add(claims::Column::MessageId.eq(acknowledgement.id.get()).and(reader_fits))
    });
    claims::Entity::delete_many().filter(claimed).exec(transaction).await?;
    let verifiers: Vec<_> =
        acknowledgements.iter().flat_map(|(_, acknowledgement)| columns(&acknowledgement.verifiers)).collect();
    let known = receipts::Entity::find().filter(receipts::Column::Verifier.is_in(verifiers)).all(transaction).await?;
    for (index, Acknowledgement { id, verifiers, claim_verifiers }) in acknowledgements {
        let fits =
            |verifiers: &[Verifier], column: &[u8]| verifiers.iter().any(|verifier| verifier.matches_column(column));
        let receipt = known.iter().find(|receipt| receipt.message_id == id.get() && fits(verifiers, &receipt.verifier));
        let answer = match receipt {
            None => Err(StoreError::MessageNotFound),
            Some(receipt) if receipt.claim_verifier.as_ref().is_some_and(|claim| fits(claim_verifiers, claim)) => {
                Ok(Answer::Acknowledged { view_time: Timestamp::from_micros(receipt.outcome_time) })
            }
            Some(receipt) => Err(StoreError::MessageGone(Receipt::from(receipt))),
        };
        set(answers, index, answer);
    }
    Ok(())
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

/// Tells those who got nothing why, if their token is right: somebody was first, the lifetime was over, they cannot open the
/// content, or a passphrase is asked for.
async fn explain(
    transaction: &DatabaseTransaction,
    losers: Vec<(usize, &Erasure)>,
    now: Timestamp,
    answers: &mut Answers,
) -> Result<(), DbErr> {
    if losers.is_empty() {
        return Ok(());
    }
    let verifiers: Vec<_> = losers.iter().flat_map(|(_, erasure)| erasure.verifiers()).collect();
    let known =
        receipts::Entity::find().filter(receipts::Column::Verifier.is_in(verifiers.clone())).all(transaction).await?;
    // Still there, yet not deleted above: expired and not swept so far, sealed, or behind a passphrase.
    let left: Vec<(i64, Vec<u8>, Option<i64>, content_kind::ContentKind)> = messages::Entity::find()
        .select_only()
        .columns([
            messages::Column::Id,
            messages::Column::Verifier,
            messages::Column::ExpireTime,
            messages::Column::ContentKind,
        ])
        .filter(messages::Column::Verifier.is_in(verifiers))
        .into_tuple()
        .all(transaction)
        .await?;
    for (index, erasure) in losers {
        let fits = |id: i64, verifier: &[u8]| {
            id == erasure.id.get() && erasure.seals.iter().any(|seal| seal.verifier().matches_column(verifier))
        };
        let receipt = known.iter().find(|receipt| fits(receipt.message_id, &receipt.verifier)).map(Receipt::from);
        let left = left.iter().find(|(id, verifier, ..)| fits(*id, verifier));
        let kind = left.map(|(.., kind)| ContentKind::from(*kind));
        let expired = left.and_then(|(.., time, _)| *time).filter(|time| *time <= now.micros());
        let expired = expired.map(|time| Receipt { outcome: Outcome::Expired, time: Timestamp::from_micros(time) });
        let answer = match (receipt.or(expired), &erasure.reason) {
            // Burning is done once, and may be said twice.
            (Some(Receipt { outcome: Outcome::Burned, time }), ErasureReason::Burn) => Ok(Answer::Burned { time }),
            (Some(receipt), _) => Err(StoreError::MessageGone(receipt)),
            (None, _) if left.is_none() => Err(StoreError::MessageNotFound),
            (None, _) if kind.is_some_and(|kind| erasure.refuses(kind)) => Err(StoreError::MessageSealed),
            (None, _) if erasure.has_passphrase() => Err(StoreError::PassphraseWrong),
            (None, _) => Err(StoreError::PassphraseRequired),
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
    ended: &mut Vec<MessageId>,
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
    ended.extend(expired.iter().map(|row| MessageId::from_column(row.id)));

    let forfeited = claims::Entity::find()
        .select_only()
        .column(claims::Column::MessageId)
        .filter(claims::Column::ForfeitTime.lte(now.micros()))
        .order_by_asc(claims::Column::ForfeitTime)
        .limit(limit)
        .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
        .into_query();
    let forfeited = claims::Entity::delete_many()
        .filter(claims::Column::MessageId.in_subquery(forfeited))
        .exec(transaction)
        .await?;

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
    Ok(Answer::Swept {
        expired: expired.len() as u64,
        forfeited: forfeited.rows_affected,
        purged: purged.rows_affected,
    })
}

#[cfg(test)]
#[path = "batch_tests.rs"]
mod tests;
