//! What has had its time: expired messages, forfeited claims, old receipts.

use std::time::Duration;

use sea_orm::{
    ColumnTrait as _, DatabaseTransaction, DbErr, EntityTrait as _, QueryFilter as _, QueryOrder as _,
    QuerySelect as _, QueryTrait as _,
    sea_query::{LockBehavior, LockType},
};

use super::{
    super::entities::{claims, messages, receipts},
    Answer, insert_receipts, new_receipt,
};
use crate::domain::{MessageId, Timestamp};

pub(super) async fn sweep(
    transaction: &DatabaseTransaction,
    limit: u64,
    receipt_retention: Duration,
    now: Timestamp,
    ended: &mut Vec<MessageId>,
) -> Result<Answer, DbErr> {
    // Rows that somebody else holds are left for the next time: several stores may sweep at once.
    let due = messages::Entity::find()
        .select_only()
        .column(messages::Column::Id)
        .filter(messages::Column::ExpireTime.lte(now.micros()))
        .order_by_asc(messages::Column::ExpireTime)
        .limit(limit)
        .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
        .into_query();
    let expired = messages::Entity::delete_many()
        .filter(messages::Column::Id.in_subquery(due))
        .exec_with_returning(transaction)
        .await?;
    let new_receipts = expired.iter().map(|row| {
        let expire_time = row.expire_time.map_or(now, Timestamp::from_micros);
        new_receipt(row, receipts::Outcome::Expired, expire_time, receipt_retention, now)
    });
    insert_receipts(transaction, new_receipts.collect()).await?;
    ended.extend(expired.iter().map(|row| MessageId::from_column(row.id)));

    let forfeited = claims::Entity::find()
        .select_only()
        .column(claims::Column::MessageId)
        .filter(claims::Column::ForfeitTime.lte(now.micros()))
        .order_by_asc(claims::Column::ForfeitTime)
        .limit(limit)
        .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
        .into_query();
    let forfeited = claims::Entity::delete_many()
        .filter(claims::Column::MessageId.in_subquery(forfeited))
        .exec(transaction)
        .await?;

    let old = receipts::Entity::find()
        .select_only()
        .column(receipts::Column::MessageId)
        .filter(receipts::Column::PurgeTime.lte(now.micros()))
        .order_by_asc(receipts::Column::PurgeTime)
        .limit(limit)
        .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
        .into_query();
    let purged =
        receipts::Entity::delete_many().filter(receipts::Column::MessageId.in_subquery(old)).exec(transaction).await?;
    Ok(Answer::Swept {
        expired: expired.len() as u64,
        forfeited: forfeited.rows_affected,
        purged: purged.rows_affected,
    })
}
