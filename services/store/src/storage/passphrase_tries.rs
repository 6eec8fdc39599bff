//! How often passphrases were tried on a message.
//!
//! A try is counted, in a committed transaction, *before* the passphrase is even stretched. So any number of tries at once,
//! through any number of stores, is held to the limits; and what is refused costs nothing.

use std::time::Duration;

use sea_orm::{
    ActiveValue::Set,
    ColumnTrait as _, DatabaseTransaction, DbErr, EntityTrait as _, QueryFilter as _, QuerySelect as _,
    sea_query::{LockType, OnConflict},
};

use super::entities::{messages, passphrase_tries};
use crate::{
    StoreError,
    domain::{CallerTag, MessageId, Timestamp, TryLimits, Verifier},
};

/// One try by one caller.
pub(super) struct PassphraseTry {
    pub(super) id: MessageId,
    pub(super) verifier: Verifier,
    pub(super) caller: CallerTag,
    pub(super) limits: TryLimits,
}

/// Counts a try, or refuses it. A message that is gone meanwhile refuses nothing: looking for it tells what became of it.
pub(super) async fn count(
    transaction: &DatabaseTransaction,
    passphrase_try: &PassphraseTry,
    now: Timestamp,
) -> Result<Result<(), StoreError>, DbErr> {
    let PassphraseTry { id, verifier, caller, limits } = passphrase_try;
    let message = messages::Entity::find_by_id(id.get())
        .select_only()
        .column(messages::Column::Id)
        .filter(messages::Column::Verifier.eq(verifier.to_column()))
        // One try after the other, whichever store it comes through.
        .lock(LockType::Update)
        .into_tuple::<i64>()
        .one(transaction)
        .await?;
    if message.is_none() {
        return Ok(Ok(()));
    }
    passphrase_tries::Entity::delete_many()
        .filter(passphrase_tries::Column::MessageId.eq(id.get()))
        .filter(passphrase_tries::Column::LastTime.lte(now.before(limits.lock).micros()))
        .exec(transaction)
        .await?;
    let counted = passphrase_tries::Entity::find()
        .filter(passphrase_tries::Column::MessageId.eq(id.get()))
        .all(transaction)
        .await?;
    let own = counted.iter().find(|row| row.caller == caller.to_column());
    if let Some(retry_after) = refused(&counted, own, limits, now) {
        return Ok(Err(StoreError::PassphraseLocked { retry_after }));
    }
    let row = passphrase_tries::ActiveModel {
        message_id: Set(id.get()),
        caller: Set(caller.to_column()),
        tries: Set(own.map_or(0, |own| own.tries) + 1),
        last_time: Set(now.micros()),
    };
    let again = OnConflict::columns([passphrase_tries::Column::MessageId, passphrase_tries::Column::Caller])
        .update_columns([passphrase_tries::Column::Tries, passphrase_tries::Column::LastTime])
        .to_owned();
    passphrase_tries::Entity::insert(row).on_conflict(again).exec_without_returning(transaction).await?;
    Ok(Ok(()))
}

/// How long the next try must wait, if it must.
fn refused(
    counted: &[passphrase_tries::Model],
    own: Option<&passphrase_tries::Model>,
    limits: &TryLimits,
    now: Timestamp,
) -> Option<Duration> {
    let ends = |row: &passphrase_tries::Model| Timestamp::from_micros(row.last_time).after(limits.lock);
    let in_all: i32 = counted.iter().map(|row| row.tries).sum();
    let own_end = own.filter(|own| own.tries >= limits.per_caller).map(ends);
    let common_end = counted.iter().map(ends).min().filter(|_| in_all >= limits.in_all);
    own_end.max(common_end).map(|end| end.since(now))
}
