//! Messages are viewed or burned: who gets them, who may have them again, and what the others are told.

use std::time::Duration;

use sea_orm::{
    ActiveValue::Set,
    ColumnTrait as _, Condition, DatabaseTransaction, DbErr, EntityTrait as _, IntoActiveModel as _, QueryFilter as _,
    QueryOrder as _, QuerySelect as _, QueryTrait as _,
    sea_query::{ExprTrait as _, LockType, SimpleExpr},
};

use super::{
    super::entities::{claims, content_kind, messages, receipts},
    Answer, Answers, BatchError, insert_receipts, new_receipt, set,
};
use crate::{
    StoreError,
    domain::{
        ClaimSeal, ContentKind, MessageId, MessageSeal, Outcome, Receipt, SealError, Timestamp, Unreadable, Verifier,
    },
};

/// A message to be deleted.
pub(in crate::storage) struct Erasure {
    pub(in crate::storage) id: MessageId,
    /// What the presented token makes of each key; the message was sealed with one of them.
    pub(in crate::storage) seals: Vec<MessageSeal>,
    pub(in crate::storage) reason: ErasureReason,
    pub(in crate::storage) receipt_retention: Duration,
}

pub(in crate::storage) enum ErasureReason {
    /// The content is answered. With `claims`, what token and view id make of each key, the reader may ask for it again.
    View {
        claims: Vec<ClaimSeal>,
        grace: Duration,
        /// Whether the reader can open what its creator has encrypted.
        accepts_sealed: bool,
    },
    Burn,
}

/// Why a winner cannot be given the text; the message stays as it is.
#[derive(Debug, thiserror::Error)]
enum CannotHandOver {
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    #[error(transparent)]
    Seal(#[from] SealError),
}

pub(super) async fn erase(
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
