//! Erases contents that their readers have received.

use sea_orm::{
    ColumnTrait as _, Condition, ConnectionTrait as _, DbErr, EntityTrait as _, QueryFilter as _, QueryTrait as _,
    sea_query::ExprTrait as _,
};

use super::{
    super::{
        entities::{claims, receipts},
        usage::Usage,
    },
    context::{BatchContext, Output, Results},
    row_size,
};
use crate::{
    domain::{MessageId, Receipt, Timestamp, Verifier},
    error::StoreError,
};

/// A content to erase because its reader has received it.
pub(crate) struct Acknowledgement {
    pub(crate) id: MessageId,
    pub(crate) verifier: Verifier,
    pub(crate) claim_verifier: Verifier,
}

/// Erases contents that their readers have received. The receipt identifies the reader, so a repeat succeeds.
pub(super) async fn acknowledge(
    context: &mut BatchContext<'_>,
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
    delete.returning(row_size::returning(claims::Column::KeyId, claims::Column::SealedContent));
    for row in context.transaction.query_all(&delete).await? {
        let (key_id, sealed_bytes) = row_size::read(&row)?;
        context.usage.subtract(&key_id, Usage::claim(sealed_bytes));
    }
    let verifiers = acknowledgements.iter().map(|(_, acknowledgement)| acknowledgement.verifier.to_column());
    let receipts =
        receipts::Entity::find().filter(receipts::Column::Verifier.is_in(verifiers)).all(context.transaction).await?;
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
