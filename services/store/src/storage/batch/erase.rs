//! Deletes messages that are viewed or burned, repeats views, and determines the errors of the other callers.

use std::{collections::BTreeMap, time::Duration};

use mayfly_bootstrap::ErrorChain;
use sea_orm::{
    ActiveEnum as _, ColumnTrait as _, DbBackend, DbErr, EntityTrait as _, QueryFilter as _, QuerySelect as _,
    QueryTrait as _,
};

use super::{
    super::{
        entities::{claims, content_kind, messages, receipts},
        lane_connection::from_row,
        rows::{self, Rows, is_one_of},
        usage::Usage,
    },
    context::{BatchContext, BatchError, EndedMessage, Output, Results, find_receipts},
};
use crate::{
    domain::{
        AccessToken, ClaimSeal, ContentKind, Key, KeyId, MessageId, MessageSeal, Outcome, PassphraseKey, Receipt,
        SealError, Timestamp, UnsealError, Verifier, ViewId,
    },
    error::StoreError,
};

/// A message to delete.
pub(crate) struct Erasure {
    id: MessageId,
    token: AccessToken,
    verifier: Verifier,
    passphrase: Option<(PassphraseKey, Verifier)>,
    reason: ErasureReason,
    /// The view id and its verifier, of a reader that may repeat the view.
    claim: Option<(ViewId, Verifier)>,
}

pub(crate) enum ErasureReason {
    /// Return the content.
    View {
        /// With a view id, the reader may repeat the view.
        view_id: Option<ViewId>,
        /// `true` if the reader can decrypt content that its creator encrypted.
        accepts_sealed: bool,
    },
    Burn,
}

/// Why the content cannot be returned to the winner. The message is unchanged.
#[derive(Debug, thiserror::Error)]
enum HandOverError {
    #[error("the keyring lacks the key that the message names")]
    NoKey,
    #[error(transparent)]
    Unseal(#[from] UnsealError),
    #[error(transparent)]
    Seal(#[from] SealError),
}

impl HandOverError {
    /// Logs the error, and excludes the work at `index` from the batch.
    fn into_batch_error(self, index: usize) -> BatchError {
        let error = match &self {
            // Another store has a new key already. This store reads its keyring again soon.
            Self::NoKey => StoreError::Unavailable,
            Self::Unseal(_) | Self::Seal(_) => StoreError::Internal,
        };
        tracing::error!(error = %ErrorChain(&self), "a message was not returned to its reader, and is kept");
        BatchError::HandOver { index, error }
    }
}

pub(super) async fn erase(
    context: &mut BatchContext<'_>,
    erasures: Vec<(usize, &Erasure)>,
    results: &mut Results,
) -> Result<(), BatchError> {
    if erasures.is_empty() {
        return Ok(());
    }
    let deleted = delete_unread(context, &erasures).await?;
    // Check the expiry again: the statement may have waited for another transaction until the message expired.
    let now = context.clock.now();
    let (expired, deleted): (Vec<_>, Vec<_>) =
        deleted.into_iter().partition(|row| row.expire_time.is_some_and(|time| time <= now.micros()));
    let (mut new_receipts, mut new_claims) = (Vec::with_capacity(deleted.len()), Vec::new());
    let mut losers = Vec::new();
    let mut taken = Vec::with_capacity(deleted.len());
    for (index, erasure) in erasures {
        // The first matching caller of the batch gets the message.
        let row = deleted.iter().find(|row| erasure.matches(row));
        match row.filter(|row| !taken.contains(&row.id)) {
            None => losers.push((index, erasure)),
            Some(row) => {
                taken.push(row.id);
                // Opened before COMMIT, so that a message that cannot be opened is not consumed.
                let handed_over =
                    erasure.hand_over(context, row, now).map_err(|error| error.into_batch_error(index))?;
                results.set(index, Ok(handed_over.output));
                let claim_verifier = handed_over.claim.as_ref().map(|claim| claim.claim_verifier.clone());
                new_claims.extend(handed_over.claim);
                match handed_over.outcome {
                    receipts::Outcome::Burned => context.counts.burned += 1,
                    receipts::Outcome::Viewed | receipts::Outcome::Expired => context.counts.viewed += 1,
                }
                let receipt = context.new_receipt(EndedMessage::from(row), handed_over.outcome, now);
                new_receipts.push(receipts::Model { claim_verifier, ..receipt });
            }
        }
    }
    for row in expired.iter().chain(&deleted) {
        context.usage.subtract(&row.key_id, Usage::message(row.sealed_content.len()));
        context.ended.push(MessageId::from_column(row.id));
    }
    for row in &expired {
        context.counts.expired += 1;
        let expire_time = row.expire_time.map_or(now, Timestamp::from_micros);
        new_receipts.push(context.new_receipt(EndedMessage::from(row), receipts::Outcome::Expired, expire_time));
    }
    insert_claims(context, new_claims).await?;
    context.insert_receipts(new_receipts).await?;
    let losers = repeat_views(context, losers, now, results).await?;
    set_errors(context, losers, now, results).await?;
    Ok(())
}

/// Deletes the unread messages. Only the transaction whose DELETE returns a row gets the message.
async fn delete_unread(
    context: &BatchContext<'_>,
    erasures: &[(usize, &Erasure)],
) -> Result<Vec<messages::Model>, DbErr> {
    let columns = ["id", "verifier", "passphrase_verifier", "needs_passphrase", "accepts_sealed"];
    let rows = erasures.iter().map(|(_, erasure)| {
        [
            erasure.id.get().into(),
            rows::verifier(erasure.verifier),
            rows::optional_verifier(erasure.passphrase.as_ref().map(|(_, verifier)| *verifier)),
            matches!(erasure.reason, ErasureReason::View { .. }).into(),
            (!erasure.rejects(ContentKind::Sealed)).into(),
        ]
    });
    let backend = context.transaction.backend();
    // Locks rows in the order of their ids, to prevent deadlocks. SQLite has one writer and no locks of rows.
    let (is_wanted, lock) = if backend == DbBackend::Postgres {
        (is_one_of(backend, "wanted.id", "SELECT id FROM input"), "ORDER BY wanted.id FOR UPDATE OF wanted")
    } else {
        ("true".to_owned(), "")
    };
    // The conditions of `Erasure::matches`.
    let locked = format!(
        "SELECT wanted.id FROM input \
         JOIN messages AS wanted ON wanted.id = input.id AND wanted.verifier = input.verifier \
         WHERE {is_wanted} \
             AND (NOT input.needs_passphrase OR wanted.passphrase_verifier IS NULL \
                 OR wanted.passphrase_verifier = input.passphrase_verifier) \
             AND (input.accepts_sealed OR wanted.content_kind = 'text') \
             AND (wanted.expire_time IS NULL OR wanted.expire_time > (SELECT value FROM parameter)) {lock}"
    );
    let sql = format!(
        "DELETE FROM messages WHERE (expire_time IS NULL OR expire_time > (SELECT value FROM parameter)) AND {} \
         RETURNING *",
        is_one_of(backend, "id", &locked)
    );
    let now = context.clock.now().micros();
    let statement = Rows::new(columns, rows).statement(backend, &sql, Some(now.into()));
    context.transaction.query("DELETE", "messages", statement).await
}

async fn insert_claims(context: &mut BatchContext<'_>, new_claims: Vec<claims::Model>) -> Result<(), DbErr> {
    if new_claims.is_empty() {
        return Ok(());
    }
    for claim in &new_claims {
        context.usage.add(&claim.key_id, Usage::claim(claim.sealed_content.len()));
    }
    let columns =
        ["message_id", "claim_verifier", "key_id", "content_kind", "sealed_content", "create_time", "forfeit_time"];
    let rows = new_claims.into_iter().map(|claim| {
        [
            claim.message_id.into(),
            claim.claim_verifier.into(),
            claim.key_id.into(),
            claim.content_kind.to_value().into(),
            claim.sealed_content.into(),
            claim.create_time.into(),
            claim.forfeit_time.into(),
        ]
    });
    let sql = "INSERT INTO claims (message_id, claim_verifier, key_id, content_kind, sealed_content, create_time, \
         forfeit_time) SELECT * FROM input WHERE true";
    let statement = Rows::new(columns, rows).statement(context.transaction.backend(), sql, None);
    context.transaction.execute("INSERT", "claims", statement).await
}

/// The result for the winner of a message.
struct HandedOver {
    output: Output,
    outcome: receipts::Outcome,
    claim: Option<claims::Model>,
}

impl Erasure {
    pub(crate) fn new(
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

    /// Returns `true` if this caller may delete `row`, which may have been deleted for another caller of the batch.
    fn matches(&self, row: &messages::Model) -> bool {
        let token_matches = row.id == self.id.get() && self.verifier.matches_column(&row.verifier);
        match self.reason {
            ErasureReason::Burn => token_matches,
            ErasureReason::View { .. } => {
                let passphrase_matches = row.passphrase_verifier.as_ref().is_none_or(|column| {
                    self.passphrase.as_ref().is_some_and(|(_, verifier)| verifier.matches_column(column))
                });
                token_matches && passphrase_matches && !self.rejects(row.content_kind.into())
            }
        }
    }

    /// Returns `true` if the caller does not accept such content.
    fn rejects(&self, kind: ContentKind) -> bool {
        match (&self.reason, kind) {
            (ErasureReason::View { accepts_sealed, .. }, ContentKind::Sealed) => !accepts_sealed,
            (ErasureReason::View { .. }, ContentKind::Text) | (ErasureReason::Burn, _) => false,
        }
    }

    fn hand_over(
        &self,
        context: &BatchContext<'_>,
        row: &messages::Model,
        now: Timestamp,
    ) -> Result<HandedOver, HandOverError> {
        if matches!(self.reason, ErasureReason::Burn) {
            let output = Output::Burned { time: now };
            return Ok(HandedOver { output, outcome: receipts::Outcome::Burned, claim: None });
        }
        let key = key_of(context, &row.key_id).ok_or(HandOverError::NoKey)?;
        // The seal of a message without a passphrase ignores the passphrase of the caller.
        let passphrase = self.passphrase.as_ref().filter(|_| row.passphrase_verifier.is_some());
        let seal = MessageSeal::new(key, &self.token, passphrase.map(|(passphrase, _)| passphrase));
        let kind = row.content_kind.into();
        let content = seal.open(&row.sealed_content, kind, row.expire_time.map(Timestamp::from_micros))?;
        let claim = match self.claim {
            None => None,
            Some((view_id, claim_verifier)) => {
                let forfeit_time = now.after(context.retention.view_grace);
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
        Ok(HandedOver { output, outcome: receipts::Outcome::Viewed, claim })
    }

    /// Returns a claimed content to its reader, and the new row if the repeated view extends the claim.
    fn repeat(
        &self,
        context: &BatchContext<'_>,
        row: &claims::Model,
        view_id: ViewId,
        new_end: Timestamp,
    ) -> Result<(Output, Option<claims::Model>), StoreError> {
        let forfeit_time = Timestamp::from_micros(row.forfeit_time);
        let Some(key) = key_of(context, &row.key_id) else {
            tracing::error!(key = row.key_id, "the keyring lacks the key of a claim");
            return Err(StoreError::Unavailable);
        };
        let seal = ClaimSeal::new(key, &self.token, view_id);
        let content = seal.open(&row.sealed_content, row.content_kind.into(), forfeit_time).map_err(|_| {
            tracing::error!("a claimed content cannot be opened");
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

fn key_of<'a>(context: &BatchContext<'a>, key_id: &str) -> Option<&'a Key> {
    context.keyring.key(&KeyId::from_column(key_id.to_owned()))
}

/// How long after the view its reader can extend the claim by repeating the view. Equals the longest grace.
const MAX_CLAIM_DURATION: Duration = Duration::from_hours(24);

/// Returns claimed contents again to those losers that hold the claim. Returns the other losers.
///
/// A repeated view extends its claim to the grace from now, because its reader does not have the text yet.
async fn repeat_views<'work>(
    context: &BatchContext<'_>,
    losers: Vec<(usize, &'work Erasure)>,
    now: Timestamp,
    results: &mut Results,
) -> Result<Vec<(usize, &'work Erasure)>, DbErr> {
    let claimed = losers.iter().filter_map(|(_, erasure)| {
        erasure.claim.map(|(_, verifier)| [erasure.id.get().into(), rows::verifier(verifier)])
    });
    let columns = ["message_id", "claim_verifier"];
    let claimed = Rows::new(columns, claimed);
    if claimed.is_empty() {
        return Ok(losers);
    }
    let backend = context.transaction.backend();
    let is_claimed = is_one_of(backend, "message_id", "SELECT message_id FROM input");
    let sql = format!(
        "SELECT * FROM claims WHERE {is_claimed} \
         AND (message_id, claim_verifier) IN (SELECT message_id, claim_verifier FROM input)"
    );
    let statement = claimed.statement(backend, &sql, None);
    let mut rows: Vec<claims::Model> = context.transaction.query("SELECT", "claims", statement).await?;
    // Not in the statement, for which PostgreSQL could then choose the index of this column.
    rows.retain(|row| row.forfeit_time > now.micros());
    if rows.is_empty() {
        return Ok(losers);
    }
    let max_ends = max_ends(context, &rows).await?;
    let mut others = Vec::with_capacity(losers.len());
    let mut extensions = BTreeMap::new();
    for (index, erasure) in losers {
        let claimed = erasure.claim.and_then(|(view_id, verifier)| {
            let mut rows = rows.iter().filter(|row| row.message_id == erasure.id.get());
            Some((rows.find(|row| verifier.matches_column(&row.claim_verifier))?, view_id))
        });
        match claimed {
            None => others.push((index, erasure)),
            Some((row, _)) if erasure.rejects(row.content_kind.into()) => {
                results.set(index, Err(StoreError::MessageSealed));
            }
            Some((row, view_id)) => {
                let max_end = max_ends.get(&row.message_id).copied().unwrap_or(now);
                let new_end = now.after(context.retention.view_grace).min(max_end);
                let repeated = erasure.repeat(context, row, view_id, new_end).map(|(output, extended)| {
                    extensions.extend(extended.map(|claim| (row.message_id, (row.forfeit_time, claim))));
                    output
                });
                results.set(index, repeated);
            }
        }
    }
    extend_claims(context, extensions).await?;
    Ok(others)
}

/// The times of a receipt that limit its claim.
struct ReceiptTimes {
    message_id: i64,
    outcome_time: i64,
    purge_time: i64,
}

from_row!(ReceiptTimes { message_id, outcome_time, purge_time });

/// The latest possible end of each claim, by message.
async fn max_ends(context: &BatchContext<'_>, rows: &[claims::Model]) -> Result<BTreeMap<i64, Timestamp>, DbErr> {
    let times = receipts::Entity::find()
        .select_only()
        .columns([receipts::Column::MessageId, receipts::Column::OutcomeTime, receipts::Column::PurgeTime])
        .filter(receipts::Column::MessageId.is_in(rows.iter().map(|row| row.message_id)))
        .into_query();
    let transaction = context.transaction;
    let times: Vec<ReceiptTimes> = transaction.query("SELECT", "receipts", transaction.build(&times)).await?;
    // A view cannot be acknowledged after its receipt was purged.
    let ends = times.into_iter().map(|receipt| {
        let max_end = Timestamp::from_micros(receipt.outcome_time).after(MAX_CLAIM_DURATION);
        (receipt.message_id, max_end.min(Timestamp::from_micros(receipt.purge_time)))
    });
    Ok(ends.collect())
}

/// Updates extended claims in the order of their ids. Skips a claim whose end is not its old one, because another store
/// has extended it.
async fn extend_claims(
    context: &BatchContext<'_>,
    extensions: BTreeMap<i64, (i64, claims::Model)>,
) -> Result<(), DbErr> {
    for (message_id, (old_end, claim)) in extensions {
        let update = claims::Entity::update_many()
            .col_expr(claims::Column::SealedContent, claim.sealed_content.into())
            .col_expr(claims::Column::ForfeitTime, claim.forfeit_time.into())
            .filter(claims::Column::MessageId.eq(message_id))
            .filter(claims::Column::ForfeitTime.eq(old_end))
            .into_query();
        context.transaction.execute("UPDATE", "claims", context.transaction.build(&update)).await?;
    }
    Ok(())
}

/// A message that was not deleted.
struct LeftRow {
    id: i64,
    verifier: Vec<u8>,
    expire_time: Option<i64>,
    content_kind: content_kind::ContentKind,
}

from_row!(LeftRow { id, verifier, expire_time, content_kind });

/// Sets the errors of the losers. With a right token: another caller was first, the message expired, the content is
/// sealed, or the passphrase is missing or wrong.
async fn set_errors(
    context: &BatchContext<'_>,
    losers: Vec<(usize, &Erasure)>,
    now: Timestamp,
    results: &mut Results,
) -> Result<(), DbErr> {
    if losers.is_empty() {
        return Ok(());
    }
    let ids = || losers.iter().map(|(_, erasure)| [erasure.id.get().into()]);
    // Messages that were not deleted above are expired and not yet swept, sealed, or have a passphrase. Reads messages
    // before receipts, so that a message that ends in between already has its receipt.
    let backend = context.transaction.backend();
    let is_lost = is_one_of(backend, "id", "SELECT id FROM input");
    let sql = format!("SELECT id, verifier, expire_time, content_kind FROM messages WHERE {is_lost}");
    let statement = Rows::new(["id"], ids()).statement(backend, &sql, None);
    let left: Vec<LeftRow> = context.transaction.query("SELECT", "messages", statement).await?;
    let ids = Rows::new(["message_id"], ids());
    let receipts = find_receipts(context.transaction, ids, "message_id").await?;
    for (index, erasure) in losers {
        let matches = |id: i64, verifier: &[u8]| id == erasure.id.get() && erasure.verifier.matches_column(verifier);
        let receipt = receipts.iter().find(|receipt| matches(receipt.message_id, &receipt.verifier)).map(Receipt::from);
        let left = left.iter().find(|row| matches(row.id, &row.verifier));
        let kind = left.map(|row| ContentKind::from(row.content_kind));
        let expired = left.and_then(|row| row.expire_time).filter(|time| *time <= now.micros());
        let expired = expired.map(|time| Receipt { outcome: Outcome::Expired, time: Timestamp::from_micros(time) });
        let result = match (receipt.or(expired), &erasure.reason) {
            // Burning is idempotent.
            (Some(Receipt { outcome: Outcome::Burned, time }), ErasureReason::Burn) => Ok(Output::Burned { time }),
            (Some(receipt), _) => Err(StoreError::MessageGone(receipt)),
            (None, _) if left.is_none() => Err(StoreError::MessageNotFound),
            (None, _) if kind.is_some_and(|kind| erasure.rejects(kind)) => Err(StoreError::MessageSealed),
            (None, _) if erasure.passphrase.is_some() => Err(StoreError::PassphraseWrong),
            (None, _) => Err(StoreError::PassphraseRequired),
        };
        results.set(index, result);
    }
    Ok(())
}
