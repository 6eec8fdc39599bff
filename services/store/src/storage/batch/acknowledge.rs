//! Contents are erased because their readers have them.

use sea_orm::{
    ColumnTrait as _, Condition, ConnectionTrait as _, DbErr, EntityTrait as _, QueryFilter as _, QueryTrait as _,
    sea_query::ExprTrait as _,
};

use super::{
    super::{
        entities::{claims, receipts},
        usage::Usage,
    },
    Batch, Output, Results, sized,
};
use crate::{
    StoreError,
    domain::{MessageId, Receipt, Timestamp, Verifier},
};

/// A content to be erased because its reader has it.
pub(in crate::storage) struct Acknowledgement {
    pub(in crate::storage) id: MessageId,
    pub(in crate::storage) verifier: Verifier,
    pub(in crate::storage) claim_verifier: Verifier,
}

/// Erases contents that their readers have. A receipt knows its reader as long as it lives, so repeating is a success.
pub(super) async fn acknowledge(
    batch: &mut Batch<'_>,
    acknowledgements: Vec<(usize, &Acknowledgement)>,
    results: &mut Results,
) -> Result<(), DbErr> {
    if acknowledgements.is_empty() {
        return Ok(());
    }
    let claimed = acknowledgements.iter().fold(Condition::any(), |any, (_, acknowledgement)| {
        let reader_fits = claims::Column::ClaimVerifier.eq(acknowledgement.claim_verifier.to_column());
        any.add(claims::Column::MessageId.eq(acknowledgement.id.get()).and(reader_fits))
    });
    let mut delete = claims::Entity::delete_many().filter(claimed).into_query();
    delete.returning(sized::returning(claims::Column::KeyId, claims::Column::SealedContent));
    for row in batch.transaction.query_all(&delete).await? {
        let (key_id, sealed_bytes) = sized::read(&row)?;
        batch.usage.subtract(&key_id, Usage::claim(sealed_bytes));
    }
    let verifiers = acknowledgements.iter().map(|(_, acknowledgement)| acknowledgement.verifier.to_column());
    let receipts =
        receipts::Entity::find().filter(receipts::Column::Verifier.is_in(verifiers)).all(batch.transaction).await?;
    for (index, Acknowledgement { id, verifier, claim_verifier }) in acknowledgements {
        let receipt = receipts
            .iter()
            .find(|receipt| receipt.message_id == id.get() && verifier.matches_column(&receipt.verifier));
        let result = match receipt {
            None => Err(StoreError::MessageNotFound),
            Some(receipt)
                if receipt.claim_verifier.as_ref().is_some_and(|claim| claim_verifier.matches_column(claim)) =>
            {
                Ok(Output::Acknowledged { view_time: Timestamp::from_micros(receipt.outcome_time) })
            }
            Some(receipt) => Err(StoreError::MessageGone(Receipt::from(receipt))),
        };
        results.set(index, result);
    }
    Ok(())
}
