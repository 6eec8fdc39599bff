//! Erases contents that their readers have received.

use sea_orm::DbErr;

use super::{
    super::{
        rows::{self, Rows, is_one_of},
        usage::Usage,
    },
    context::{BatchContext, Output, Results, find_receipts},
    row_size::DeletedRow,
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
    let backend = context.transaction.backend();
    let is_acknowledged = is_one_of(backend, "message_id", "SELECT message_id FROM input");
    let sql = format!(
        "DELETE FROM claims WHERE {is_acknowledged} \
             AND (message_id, claim_verifier) IN (SELECT message_id, claim_verifier FROM input) \
         RETURNING {}",
        DeletedRow::columns()
    );
    let statement = Rows::new(columns, claims).statement(backend, &sql, None);
    let deleted: Vec<DeletedRow> = context.transaction.query("DELETE", "claims", statement).await?;
    for row in deleted {
        context.usage.subtract(&row.key_id, Usage::claim(row.sealed_bytes()));
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
