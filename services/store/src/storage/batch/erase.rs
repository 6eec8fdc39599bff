//! Messages are viewed or burned: who gets them, who may have them again, and what the others are told.

use std::{collections::BTreeMap, time::Duration};

use mayfly_bootstrap::ErrorChain;
use sea_orm::{
    ColumnTrait as _, Condition, DbErr, EntityTrait as _, IntoActiveModel as _, QueryFilter as _, QueryOrder as _,
    QuerySelect as _, QueryTrait as _,
    sea_query::{ExprTrait as _, LockType, SimpleExpr},
};

use super::{
    super::{
        entities::{claims, content_kind, messages, receipts},
        usage::Usage,
    },
    Batch, BatchError, EndedMessage, Output, Results,
};
use crate::{
    StoreError,
    domain::{
        AccessToken, ClaimSeal, ContentKind, Key, KeyId, MessageId, MessageSeal, Outcome, PassphraseKey, Receipt,
        SealError, Timestamp, Unreadable, Verifier, ViewId,
    },
};

/// A message to be deleted.
pub(in crate::storage) struct Erasure {
    id: MessageId,
    token: AccessToken,
    verifier: Verifier,
    passphrase: Option<(PassphraseKey, Verifier)>,
    reason: ErasureReason,
    /// The view id and what recognises it, of a reader that may ask again.
    claim: Option<(ViewId, Verifier)>,
}

pub(in crate::storage) enum ErasureReason {
    /// The content is returned.
    View {
        /// With it the reader may ask for the content again.
        view_id: Option<ViewId>,
        /// Whether the reader can open what its creator has encrypted.
        accepts_sealed: bool,
    },
    Burn,
}

/// Why a winner cannot be given the content; the message stays as it is.
#[derive(Debug, thiserror::Error)]
enum CannotHandOver {
    #[error("the keyring lacks the key that the message names")]
    NoKey,
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    #[error(transparent)]
    Seal(#[from] SealError),
}

impl CannotHandOver {
    /// The batch is done again without the work at `index`. It is logged here.
    fn into_batch_error(self, index: usize) -> BatchError {
        let error = match &self {
            // Another store has a new key before this one, which reads its keyring again soon.
            Self::NoKey => StoreError::Unavailable,
            Self::Unreadable(_) | Self::Seal(_) => StoreError::Internal,
        };
        tracing::error!(error = %ErrorChain(&self), "a message was not handed over and stays where it is");
        BatchError::CannotHandOver { index, error }
    }
}

pub(super) async fn erase(
    batch: &mut Batch<'_>,
    erasures: Vec<(usize, &Erasure)>,
    results: &mut Results,
) -> Result<(), BatchError> {
    if erasures.is_empty() {
        return Ok(());
    }
    let deleted = delete_unread(batch, &erasures).await?;
    // Looked at again: the statement may have waited for another transaction until the lifetime was over.
    let now = batch.clock.now();
    let (expired, deleted): (Vec<_>, Vec<_>) =
        deleted.into_iter().partition(|row| row.expire_time.is_some_and(|time| time <= now.micros()));
    let (mut new_receipts, mut new_claims) = (Vec::with_capacity(deleted.len()), Vec::new());
    let mut losers = Vec::new();
    let mut taken = Vec::with_capacity(deleted.len());
    for (index, erasure) in erasures {
        // Of all in this batch for whom the message may be deleted, the first gets it.
        let row = deleted.iter().find(|row| erasure.takes(row));
        match row.filter(|row| !taken.contains(&row.id)) {
            None => losers.push((index, erasure)),
            Some(row) => {
                taken.push(row.id);
                // Opened before the commit: what does not open is not consumed.
                let won = erasure.won(batch, row, now).map_err(|error| error.into_batch_error(index))?;
                results.set(index, Ok(won.output));
                let claim_verifier = won.claim.as_ref().map(|claim| claim.claim_verifier.clone());
                new_claims.extend(won.claim);
                let receipt = batch.new_receipt(EndedMessage::from(row), won.outcome, now);
                new_receipts.push(receipts::Model { claim_verifier, ..receipt });
            }
        }
    }
    for row in expired.iter().chain(&deleted) {
        batch.usage.subtract(&row.key_id, Usage::message(row.sealed_content.len()));
        batch.ended.push(MessageId::from_column(row.id));
    }
    for row in &expired {
        let expire_time = row.expire_time.map_or(now, Timestamp::from_micros);
        new_receipts.push(batch.new_receipt(EndedMessage::from(row), receipts::Outcome::Expired, expire_time));
    }
    insert_claims(batch, new_claims).await?;
    batch.insert_receipts(new_receipts).await?;
    let losers = repeat_views(batch, losers, now, results).await?;
    explain(batch, losers, now, results).await?;
    Ok(())
}

/// The heart of it: the transaction whose DELETE returns the row has the message, and no other ever will.
async fn delete_unread(batch: &Batch<'_>, erasures: &[(usize, &Erasure)]) -> Result<Vec<messages::Model>, DbErr> {
    let wanted = erasures.iter().fold(Condition::any(), |any, (_, erasure)| any.add(erasure.matches_row()));
    let now = batch.clock.now().micros();
    let unexpired = messages::Column::ExpireTime.is_null().or(messages::Column::ExpireTime.gt(now));
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
        .exec_with_returning(batch.transaction)
        .await
}

async fn insert_claims(batch: &mut Batch<'_>, new_claims: Vec<claims::Model>) -> Result<(), DbErr> {
    if new_claims.is_empty() {
        return Ok(());
    }
    for claim in &new_claims {
        batch.usage.add(&claim.key_id, Usage::claim(claim.sealed_content.len()));
    }
    let rows = new_claims.into_iter().map(claims::Model::into_active_model);
    claims::Entity::insert_many(rows).exec_without_returning(batch.transaction).await.map(drop)
}

/// What the winner of a message gets.
struct Won {
    output: Output,
    outcome: receipts::Outcome,
    claim: Option<claims::Model>,
}

impl Erasure {
    pub(in crate::storage) fn new(
        id: MessageId,
        token: AccessToken,
        passphrase: Option<PassphraseKey>,
        reason: ErasureReason,
    ) -> Self {
        let claim = match reason {
            ErasureReason::View { view_id, .. } => {
                view_id.map(|view_id| (view_id, Verifier::of_claim(&token, view_id)))
            }
            ErasureReason::Burn => None,
        };
        let passphrase = passphrase.map(|passphrase| {
            let verifier = Verifier::of_passphrase(&token, &passphrase);
            (passphrase, verifier)
        });
        Self { id, verifier: Verifier::of_token(&token), token, passphrase, reason, claim }
    }

    pub(super) fn id(&self) -> MessageId {
        self.id
    }

    /// The condition under which a row may be deleted for this caller. [`takes`](Self::takes) says the same of a row.
    fn matches_row(&self) -> SimpleExpr {
        let token_fits =
            messages::Column::Id.eq(self.id.get()).and(messages::Column::Verifier.eq(self.verifier.to_column()));
        match self.reason {
            ErasureReason::Burn => token_fits,
            ErasureReason::View { .. } => {
                let has_none = messages::Column::PassphraseVerifier.is_null();
                let passphrase_fits = match &self.passphrase {
                    None => has_none,
                    Some((_, verifier)) => has_none.or(messages::Column::PassphraseVerifier.eq(verifier.to_column())),
                };
                let fits = token_fits.and(passphrase_fits);
                let is_text = messages::Column::ContentKind.eq(content_kind::ContentKind::Text);
                if self.refuses(ContentKind::Sealed) { fits.and(is_text) } else { fits }
            }
        }
    }

    /// Whether `row` may be deleted for this caller: a row that came back was deleted for some caller in the batch, perhaps for
    /// another one.
    fn takes(&self, row: &messages::Model) -> bool {
        let token_fits = row.id == self.id.get() && self.verifier.matches_column(&row.verifier);
        match self.reason {
            ErasureReason::Burn => token_fits,
            ErasureReason::View { .. } => {
                let passphrase_fits = row.passphrase_verifier.as_ref().is_none_or(|column| {
                    self.passphrase.as_ref().is_some_and(|(_, verifier)| verifier.matches_column(column))
                });
                token_fits && passphrase_fits && !self.refuses(row.content_kind.into())
            }
        }
    }

    /// Whether the caller cannot open such content.
    fn refuses(&self, kind: ContentKind) -> bool {
        match (&self.reason, kind) {
            (ErasureReason::View { accepts_sealed, .. }, ContentKind::Sealed) => !accepts_sealed,
            (ErasureReason::View { .. }, ContentKind::Text) | (ErasureReason::Burn, _) => false,
        }
    }

    fn won(&self, batch: &Batch<'_>, row: &messages::Model, now: Timestamp) -> Result<Won, CannotHandOver> {
        if matches!(self.reason, ErasureReason::Burn) {
            let output = Output::Burned { time: now };
            return Ok(Won { output, outcome: receipts::Outcome::Burned, claim: None });
        }
        let key = key_of(batch, &row.key_id).ok_or(CannotHandOver::NoKey)?;
        // A passphrase that the message does not ask for is no part of its seal.
        let passphrase = self.passphrase.as_ref().filter(|_| row.passphrase_verifier.is_some());
        let seal = MessageSeal::new(key, &self.token, passphrase.map(|(passphrase, _)| passphrase));
        let kind = row.content_kind.into();
        let content = seal.open(&row.sealed_content, kind, row.expire_time.map(Timestamp::from_micros))?;
        let claim = match self.claim {
            None => None,
            Some((view_id, claim_verifier)) => {
                let forfeit_time = now.after(batch.retention.view_grace);
                Some(claims::Model {
                    message_id: row.id,
                    claim_verifier: claim_verifier.to_column(),
                    key_id: row.key_id.clone(),
                    content_kind: row.content_kind,
                    sealed_content: ClaimSeal::new(key, &self.token, view_id).seal(&content, forfeit_time)?,
                    create_time: row.create_time,
                    forfeit_time: forfeit_time.micros(),
                })
            }
        };
        let repeat_until = claim.as_ref().map(|claim| Timestamp::from_micros(claim.forfeit_time));
        let create_time = Timestamp::from_micros(row.create_time);
        let output = Output::Viewed { content, create_time, repeat_until };
        Ok(Won { output, outcome: receipts::Outcome::Viewed, claim })
    }

    /// Returns a claimed content to its reader, and the row with a later end if the repeated view extends the claim.
    fn repeated(
        &self,
        batch: &Batch<'_>,
        row: &claims::Model,
        view_id: ViewId,
        new_end: Timestamp,
    ) -> Result<(Output, Option<claims::Model>), StoreError> {
        let forfeit_time = Timestamp::from_micros(row.forfeit_time);
        let Some(key) = key_of(batch, &row.key_id) else {
            tracing::error!(key = row.key_id, "the keyring lacks the key of a claim");
            return Err(StoreError::Unavailable);
        };
        let seal = ClaimSeal::new(key, &self.token, view_id);
        let content = seal.open(&row.sealed_content, row.content_kind.into(), forfeit_time).map_err(|_| {
            tracing::error!("a claimed content does not open");
            StoreError::Internal
        })?;
        let extended = if new_end > forfeit_time {
            // The seal authenticates the end of the claim, so a later end needs a new seal.
            let sealed_content = seal.seal(&content, new_end).map_err(|error| {
                tracing::error!(error = %ErrorChain(&error), "a claim was not extended");
                StoreError::Internal
            })?;
            Some(claims::Model { sealed_content, forfeit_time: new_end.micros(), ..row.clone() })
        } else {
            None
        };
        let repeat_until = Some(new_end.max(forfeit_time));
        let create_time = Timestamp::from_micros(row.create_time);
        Ok((Output::Viewed { content, create_time, repeat_until }, extended))
    }
}

fn key_of<'a>(batch: &Batch<'a>, key_id: &str) -> Option<&'a Key> {
    batch.keyring.key(&KeyId::from_column(key_id.to_owned()))
}

/// How long after the view its reader can keep its claim by repeating the view. The longest grace, too.
const MAX_CLAIM: Duration = Duration::from_hours(24);

/// Of the callers who got nothing, gives the content again to the one that it was handed to before. Returns the others.
///
/// A repeated view extends its claim by the grace, counted from now: a reader that still asks does not have the text yet.
async fn repeat_views<'work>(
    batch: &Batch<'_>,
    losers: Vec<(usize, &'work Erasure)>,
    now: Timestamp,
    results: &mut Results,
) -> Result<Vec<(usize, &'work Erasure)>, DbErr> {
    let verifiers = losers.iter().filter_map(|(_, erasure)| erasure.claim.map(|(_, verifier)| verifier.to_column()));
    let verifiers: Vec<_> = verifiers.collect();
    if verifiers.is_empty() {
        return Ok(losers);
    }
    let rows = claims::Entity::find()
        .filter(claims::Column::ClaimVerifier.is_in(verifiers))
        .filter(claims::Column::ForfeitTime.gt(now.micros()))
        .all(batch.transaction)
        .await?;
    if rows.is_empty() {
        return Ok(losers);
    }
    let longest_ends = longest_ends(batch, &rows).await?;
    let mut others = Vec::with_capacity(losers.len());
    let mut extensions = BTreeMap::new();
    for (index, erasure) in losers {
        let claimed = erasure.claim.and_then(|(view_id, verifier)| {
            let mut rows = rows.iter().filter(|row| row.message_id == erasure.id.get());
            Some((rows.find(|row| verifier.matches_column(&row.claim_verifier))?, view_id))
        });
        match claimed {
            None => others.push((index, erasure)),
            Some((row, _)) if erasure.refuses(row.content_kind.into()) => {
                results.set(index, Err(StoreError::MessageSealed));
            }
            Some((row, view_id)) => {
                let longest_end = longest_ends.get(&row.message_id).copied().unwrap_or(now);
                let new_end = now.after(batch.retention.view_grace).min(longest_end);
                let repeated = erasure.repeated(batch, row, view_id, new_end).map(|(output, extended)| {
                    extensions.extend(extended.map(|claim| (row.message_id, (row.forfeit_time, claim))));
                    output
                });
                results.set(index, repeated);
            }
        }
    }
    extend_claims(batch, extensions).await?;
    Ok(others)
}

/// The latest time that each of these claims can be extended to, by message.
async fn longest_ends(batch: &Batch<'_>, rows: &[claims::Model]) -> Result<BTreeMap<i64, Timestamp>, DbErr> {
    let times: Vec<(i64, i64, i64)> = receipts::Entity::find()
        .select_only()
        .columns([receipts::Column::MessageId, receipts::Column::OutcomeTime, receipts::Column::PurgeTime])
        .filter(receipts::Column::MessageId.is_in(rows.iter().map(|row| row.message_id)))
        .into_tuple()
        .all(batch.transaction)
        .await?;
    // A view cannot be acknowledged when its receipt is gone.
    let ends = times.into_iter().map(|(message_id, view_time, purge_time)| {
        let longest = Timestamp::from_micros(view_time).after(MAX_CLAIM);
        (message_id, longest.min(Timestamp::from_micros(purge_time)))
    });
    Ok(ends.collect())
}

/// Writes claims with their new ends, in the order of their ids, each with the end that it had. A claim that another
/// store has extended or erased meanwhile stays as that store left it.
async fn extend_claims(batch: &Batch<'_>, extensions: BTreeMap<i64, (i64, claims::Model)>) -> Result<(), DbErr> {
    for (message_id, (old_end, claim)) in extensions {
        claims::Entity::update_many()
            .col_expr(claims::Column::SealedContent, claim.sealed_content.into())
            .col_expr(claims::Column::ForfeitTime, claim.forfeit_time.into())
            .filter(claims::Column::MessageId.eq(message_id))
            .filter(claims::Column::ForfeitTime.eq(old_end))
            .exec(batch.transaction)
            .await?;
    }
    Ok(())
}

/// Tells the callers who got nothing why, if their token is right: another was first, the lifetime was over, they cannot open the
/// content, or a passphrase is asked for.
async fn explain(
    batch: &Batch<'_>,
    losers: Vec<(usize, &Erasure)>,
    now: Timestamp,
    results: &mut Results,
) -> Result<(), DbErr> {
    if losers.is_empty() {
        return Ok(());
    }
    let verifiers: Vec<_> = losers.iter().map(|(_, erasure)| erasure.verifier.to_column()).collect();
    // Still there, yet not deleted above: expired and not swept so far, sealed, or behind a passphrase. Messages first, then
    // receipts: a message that ends in between has its receipt by then.
    let left: Vec<(i64, Vec<u8>, Option<i64>, content_kind::ContentKind)> = messages::Entity::find()
        .select_only()
        .columns([
            messages::Column::Id,
            messages::Column::Verifier,
            messages::Column::ExpireTime,
            messages::Column::ContentKind,
        ])
        .filter(messages::Column::Verifier.is_in(verifiers.clone()))
        .into_tuple()
        .all(batch.transaction)
        .await?;
    let receipts =
        receipts::Entity::find().filter(receipts::Column::Verifier.is_in(verifiers)).all(batch.transaction).await?;
    for (index, erasure) in losers {
        let fits = |id: i64, verifier: &[u8]| id == erasure.id.get() && erasure.verifier.matches_column(verifier);
        let receipt = receipts.iter().find(|receipt| fits(receipt.message_id, &receipt.verifier)).map(Receipt::from);
        let left = left.iter().find(|(id, verifier, ..)| fits(*id, verifier));
        let kind = left.map(|(.., kind)| ContentKind::from(*kind));
        let expired = left.and_then(|(.., time, _)| *time).filter(|time| *time <= now.micros());
        let expired = expired.map(|time| Receipt { outcome: Outcome::Expired, time: Timestamp::from_micros(time) });
        let result = match (receipt.or(expired), &erasure.reason) {
            // Burning is done once, and may be said twice.
            (Some(Receipt { outcome: Outcome::Burned, time }), ErasureReason::Burn) => Ok(Output::Burned { time }),
            (Some(receipt), _) => Err(StoreError::MessageGone(receipt)),
            (None, _) if left.is_none() => Err(StoreError::MessageNotFound),
            (None, _) if kind.is_some_and(|kind| erasure.refuses(kind)) => Err(StoreError::MessageSealed),
            (None, _) if erasure.passphrase.is_some() => Err(StoreError::PassphraseWrong),
            (None, _) => Err(StoreError::PassphraseRequired),
        };
        results.set(index, result);
    }
    Ok(())
}
