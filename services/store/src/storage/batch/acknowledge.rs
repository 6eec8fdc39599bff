//! Erases contents that their readers have received.

use sea_orm::{ConnectionTrait as _, DbErr};

use super::{
    super::{
        rows::{self, Rows},
        traced::traced,
        usage::Usage,
    },
    context::{BatchContext, Output, Results, find_receipts},
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
    let columns = ["message_id", "claim_verifier"];
    let claims = acknowledgements
        .iter()
        .map(|(_, acknowledgement)| [acknowledgement.id.get().into(), rows::verifier(acknowledgement.claim_verifier)]);
    let sql = "DELETE FROM claims WHERE message_id IN (SELECT claimed.message_id FROM input \
         JOIN claims AS claimed ON claimed.message_id = input.message_id \
             AND claimed.claim_verifier = input.claim_verifier) \
         RETURNING key_id, length(sealed_content)";
    let backend = context.transaction.get_database_backend();
    let statement = Rows::new(columns, claims).statement(backend, sql, None);
    for row in traced(backend, "DELETE", "claims", context.transaction.query_all_raw(statement)).await? {
        let (key_id, sealed_bytes) = row_size::read(&row)?;
        context.usage.subtract(&key_id, Usage::claim(sealed_bytes));
    }
    let ids = acknowledgements.iter().map(|(_, acknowledgement)| [acknowledgement.id.get().into()]);
    let ids = Rows::new(["message_id"], ids);
    let receipts = find_receipts(context.transaction, ids, "message_id").await?;
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
