//! Deletes expired messages, forfeited claims and old receipts.
//!
//! A sweep deletes a bounded number of rows and bytes, and reads no content. So it needs little space in SQLite's
//! write-ahead log, and other work waits only briefly.

use sea_orm::{
    ColumnTrait as _, DbErr, EntityTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _, QueryTrait as _,
    sea_query::{LockBehavior, LockType, Query},
};

use super::{
    super::{
        entities::{claims, messages, receipts},
        lane_connection::from_row,
        usage::{self, Usage},
    },
    context::{BatchContext, EndedMessage, Swept},
    row_size::{self, DeletedRow},
};
use crate::domain::{MessageId, Timestamp};

/// The most messages, claims or receipts that a sweep deletes.
const MAX_ROWS: u64 = 500;
/// After how many bytes of sealed content a sweep stops, for messages and for claims.
const MAX_BYTES: usize = 4 << 20;

pub(super) async fn sweep(context: &mut BatchContext<'_>) -> Result<Swept, DbErr> {
    let now = context.clock.now();
    let expired = expire_messages(context, now).await?;
    let forfeited = forfeit_claims(context, now).await?;
    let purged = purge_receipts(context, now).await?;
    let transaction = context.transaction;
    transaction.execute("DELETE", "usage", transaction.build(&usage::delete_empty())).await?;
    let has_more = expired.has_more || forfeited.has_more || purged.has_more;
    Ok(Swept { expired: expired.rows, forfeited: forfeited.rows, purged: purged.rows, has_more })
}

/// The deleted rows of a table.
struct Deleted {
    rows: usize,
    has_more: bool,
}

/// A due row.
#[derive(Clone, Copy)]
struct DueRow {
    id: i64,
    sealed_bytes: i64,
}

from_row!(DueRow { id, sealed_bytes });

/// The due rows that a sweep deletes.
struct Due {
    ids: Vec<i64>,
    has_more: bool,
}

impl Due {
    /// Selects the first of `rows`, up to [`MAX_BYTES`].
    fn new(rows: &[DueRow]) -> Self {
        let mut bytes: usize = 0;
        let fits = rows.iter().take_while(|row| {
            let fits = bytes < MAX_BYTES;
            bytes = bytes.saturating_add(usize::try_from(row.sealed_bytes).unwrap_or_default());
            fits
        });
        let ids: Vec<_> = fits.map(|row| row.id).collect();
        Self { has_more: ids.len() < rows.len() || rows.len() as u64 == MAX_ROWS, ids }
    }
}

// These statements skip locked rows, because several stores may sweep at once.

async fn expire_messages(context: &mut BatchContext<'_>, now: Timestamp) -> Result<Deleted, DbErr> {
    let transaction = context.transaction;
    let due = messages::Entity::find()
        .select_only()
        .column(messages::Column::Id)
        .column_as(row_size::sealed_bytes(), "sealed_bytes")
        .filter(messages::Column::ExpireTime.lte(now.micros()))
        .order_by_asc(messages::Column::ExpireTime)
        .limit(MAX_ROWS)
        .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
        .into_query();
    let due: Vec<DueRow> = transaction.query("SELECT", "messages", transaction.build(&due)).await?;
    let Due { ids, has_more } = Due::new(&due);
    if ids.is_empty() {
        return Ok(Deleted { rows: 0, has_more });
    }
    let mut delete = messages::Entity::delete_many().filter(messages::Column::Id.is_in(ids)).into_query();
    delete.returning(Query::returning().columns(EndedMessage::COLUMNS));
    let rows: Vec<EndedMessage> = transaction.query("DELETE", "messages", transaction.build(&delete)).await?;
    context.counts.expired += rows.len() as u64;
    let (expired, mut new_receipts) = (rows.len(), Vec::with_capacity(rows.len()));
    for message in rows {
        let bytes = due.iter().find(|due| due.id == message.id).map_or(0, |due| due.sealed_bytes);
        context.usage.subtract(&message.key_id, Usage::message(usize::try_from(bytes).unwrap_or_default()));
        context.ended.push(MessageId::from_column(message.id));
        let outcome_time = message.expire_time.map_or(now, Timestamp::from_micros);
        new_receipts.push(context.new_receipt(message, receipts::Outcome::Expired, outcome_time));
    }
    context.insert_receipts(new_receipts).await?;
    Ok(Deleted { rows: expired, has_more })
}

async fn forfeit_claims(context: &mut BatchContext<'_>, now: Timestamp) -> Result<Deleted, DbErr> {
    let transaction = context.transaction;
    let due = claims::Entity::find()
        .select_only()
        .column_as(claims::Column::MessageId, "id")
        .column_as(row_size::sealed_bytes(), "sealed_bytes")
        .filter(claims::Column::ForfeitTime.lte(now.micros()))
        .order_by_asc(claims::Column::ForfeitTime)
        .limit(MAX_ROWS)
        .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
        .into_query();
    let due: Vec<DueRow> = transaction.query("SELECT", "claims", transaction.build(&due)).await?;
    let Due { ids, has_more } = Due::new(&due);
    if ids.is_empty() {
        return Ok(Deleted { rows: 0, has_more });
    }
    let mut delete = claims::Entity::delete_many().filter(claims::Column::MessageId.is_in(ids)).into_query();
    delete.returning(DeletedRow::returning());
    let rows: Vec<DeletedRow> = transaction.query("DELETE", "claims", transaction.build(&delete)).await?;
    for row in &rows {
        context.usage.subtract(&row.key_id, Usage::claim(row.sealed_bytes()));
    }
    Ok(Deleted { rows: rows.len(), has_more })
}

/// A receipt to purge.
struct OldReceipt {
    message_id: i64,
}

from_row!(OldReceipt { message_id });

/// A purged receipt, for the usage.
struct PurgedReceipt {
    key_id: String,
}

from_row!(PurgedReceipt { key_id });

async fn purge_receipts(context: &mut BatchContext<'_>, now: Timestamp) -> Result<Deleted, DbErr> {
    let transaction = context.transaction;
    let old = receipts::Entity::find()
        .select_only()
        .column(receipts::Column::MessageId)
        .filter(receipts::Column::PurgeTime.lte(now.micros()))
        .order_by_asc(receipts::Column::PurgeTime)
        .limit(MAX_ROWS)
        .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
        .into_query();
    let old: Vec<OldReceipt> = transaction.query("SELECT", "receipts", transaction.build(&old)).await?;
    if old.is_empty() {
        return Ok(Deleted { rows: 0, has_more: false });
    }
    // A statement of its own: PostgreSQL might join the selected rows with all receipts.
    let ids = old.iter().map(|receipt| receipt.message_id);
    let mut delete = receipts::Entity::delete_many().filter(receipts::Column::MessageId.is_in(ids)).into_query();
    delete.returning(Query::returning().columns([receipts::Column::KeyId]));
    let rows: Vec<PurgedReceipt> = transaction.query("DELETE", "receipts", transaction.build(&delete)).await?;
    for row in &rows {
        context.usage.subtract(&row.key_id, Usage::receipts(1));
    }
    Ok(Deleted { rows: rows.len(), has_more: rows.len() as u64 == MAX_ROWS })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sweep_deletes_rows_up_to_its_bytes_and_at_least_one() {
        let ids = |lengths: &[i32]| {
            let rows = (1..).zip(lengths).map(|(id, length)| DueRow { id, sealed_bytes: (*length).into() });
            let rows: Vec<_> = rows.collect();
            let due = Due::new(&rows);
            (due.ids.len(), due.has_more)
        };
        let all = i32::try_from(MAX_BYTES).unwrap();
        assert_eq!(ids(&[]), (0, false));
        assert_eq!(ids(&[1, 1]), (2, false));
        assert_eq!(ids(&[i32::MAX, 1]), (1, true));
        assert_eq!(ids(&[all - 1, 1, 1]), (2, true));
        assert_eq!(ids(&[1; 500]), (500, true));
    }
}
