//! Deletes expired messages, forfeited claims and old receipts.
//!
//! A sweep deletes a bounded number of rows and bytes, and reads no content. So it needs little space in SQLite's
//! write-ahead log, and other work waits only briefly.

use sea_orm::{
    ColumnTrait as _, ConnectionTrait as _, DbErr, EntityTrait as _, FromQueryResult, QueryFilter as _,
    QueryOrder as _, QuerySelect as _, QueryTrait as _,
    sea_query::{LockBehavior, LockType, Query},
};

use super::{
    super::{
        entities::{claims, messages, receipts},
        usage::{self, Usage},
    },
    context::{BatchContext, EndedMessage, Swept},
    row_size,
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
    usage::delete_empty(context.transaction).await?;
    let has_more = expired.has_more || forfeited.has_more || purged.has_more;
    Ok(Swept { expired: expired.rows, forfeited: forfeited.rows, purged: purged.rows, has_more })
}

/// The deleted rows of a table.
struct Deleted {
    rows: usize,
    has_more: bool,
}

/// The due rows that a sweep deletes.
struct Due {
    ids: Vec<i64>,
    has_more: bool,
}

impl Due {
    /// Selects the first of `rows`, ids and lengths, up to [`MAX_BYTES`].
    fn new(rows: &[(i64, i32)]) -> Self {
        let mut bytes: usize = 0;
        let fits = rows.iter().take_while(|(_, length)| {
            let fits = bytes < MAX_BYTES;
            bytes = bytes.saturating_add(usize::try_from(*length).unwrap_or_default());
            fits
        });
        let ids: Vec<_> = fits.map(|(id, _)| *id).collect();
        Self { has_more: ids.len() < rows.len() || rows.len() as u64 == MAX_ROWS, ids }
    }
}

// These statements skip locked rows, because several stores may sweep at once.

async fn expire_messages(context: &mut BatchContext<'_>, now: Timestamp) -> Result<Deleted, DbErr> {
    let due: Vec<(i64, i32)> = messages::Entity::find()
        .select_only()
        .column(messages::Column::Id)
        .expr(row_size::length(messages::Column::SealedContent))
        .filter(messages::Column::ExpireTime.lte(now.micros()))
        .order_by_asc(messages::Column::ExpireTime)
        .limit(MAX_ROWS)
        .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
        .into_tuple()
        .all(context.transaction)
        .await?;
    let Due { ids, has_more } = Due::new(&due);
    if ids.is_empty() {
        return Ok(Deleted { rows: 0, has_more });
    }
    let mut delete = messages::Entity::delete_many().filter(messages::Column::Id.is_in(ids)).into_query();
    delete.returning(Query::returning().columns(EndedMessage::COLUMNS));
    let rows = context.transaction.query_all(&delete).await?;
    context.counts.expired += rows.len() as u64;
    let mut new_receipts = Vec::with_capacity(rows.len());
    for row in &rows {
        let message = EndedMessage::from_query_result(row, "")?;
        let length = due.iter().find(|(due, _)| *due == message.id).map_or(0, |(_, length)| *length);
        context.usage.subtract(&message.key_id, Usage::message(usize::try_from(length).unwrap_or_default()));
        context.ended.push(MessageId::from_column(message.id));
        let outcome_time = message.expire_time.map_or(now, Timestamp::from_micros);
        new_receipts.push(context.new_receipt(message, receipts::Outcome::Expired, outcome_time));
    }
    context.insert_receipts(new_receipts).await?;
    Ok(Deleted { rows: rows.len(), has_more })
}

async fn forfeit_claims(context: &mut BatchContext<'_>, now: Timestamp) -> Result<Deleted, DbErr> {
    let due: Vec<(i64, i32)> = claims::Entity::find()
        .select_only()
        .column(claims::Column::MessageId)
        .expr(row_size::length(claims::Column::SealedContent))
        .filter(claims::Column::ForfeitTime.lte(now.micros()))
        .order_by_asc(claims::Column::ForfeitTime)
        .limit(MAX_ROWS)
        .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
        .into_tuple()
        .all(context.transaction)
        .await?;
    let Due { ids, has_more } = Due::new(&due);
    if ids.is_empty() {
        return Ok(Deleted { rows: 0, has_more });
    }
    let mut delete = claims::Entity::delete_many().filter(claims::Column::MessageId.is_in(ids)).into_query();
    delete.returning(row_size::returning(claims::Column::KeyId, claims::Column::SealedContent));
    let rows = context.transaction.query_all(&delete).await?;
    for row in &rows {
        let (key_id, sealed_bytes) = row_size::read(row)?;
        context.usage.subtract(&key_id, Usage::claim(sealed_bytes));
    }
    Ok(Deleted { rows: rows.len(), has_more })
}

async fn purge_receipts(context: &mut BatchContext<'_>, now: Timestamp) -> Result<Deleted, DbErr> {
    let old = receipts::Entity::find()
        .select_only()
        .column(receipts::Column::MessageId)
        .filter(receipts::Column::PurgeTime.lte(now.micros()))
        .order_by_asc(receipts::Column::PurgeTime)
        .limit(MAX_ROWS)
        .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
        .into_query();
    let mut delete = receipts::Entity::delete_many().filter(receipts::Column::MessageId.in_subquery(old)).into_query();
    delete.returning(Query::returning().columns([receipts::Column::KeyId]));
    let rows = context.transaction.query_all(&delete).await?;
    for row in &rows {
        context.usage.subtract(&row.try_get_by_index::<String>(0)?, Usage::receipts(1));
    }
    Ok(Deleted { rows: rows.len(), has_more: rows.len() as u64 == MAX_ROWS })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sweep_deletes_rows_up_to_its_bytes_and_at_least_one() {
        let ids = |lengths: &[i32]| {
            let rows: Vec<_> = (1..).zip(lengths.iter().copied()).collect();
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
