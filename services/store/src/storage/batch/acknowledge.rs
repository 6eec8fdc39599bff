//! Texts are erased because their readers have them.

use sea_orm::{
    ColumnTrait as _, Condition, DatabaseTransaction, DbErr, EntityTrait as _, QueryFilter as _,
    sea_query::ExprTrait as _,
};

use super::{
    super::entities::{claims, receipts},
    Answer, Answers, set,
};
use crate::{
    StoreError,
    domain::{MessageId, Receipt, Timestamp, Verifier},
};

/// A text to be erased because its reader has it.
pub(in crate::storage) struct Acknowledgement {
    pub(in crate::storage) id: MessageId,
    /// What the token makes of each key.
    pub(in crate::storage) verifiers: Vec<Verifier>,
    /// What token and view id make of each key.
    pub(in crate::storage) claim_verifiers: Vec<Verifier>,
}

/// Erases texts that their readers have. A receipt knows its reader as long as it lives, so repeating is a success.
pub(super) async fn acknowledge(
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
