//! Counts the tries of passphrases on a message.
//!
//! A try is counted in a committed transaction *before* the passphrase is stretched. So the limits hold for any number
//! of concurrent tries through any number of stores, and a rejected try costs no computation.

use std::time::Duration;

use sea_orm::{
    ActiveValue::Set,
    ColumnTrait as _, ConnectionTrait as _, DatabaseTransaction, DbErr, EntityTrait as _, QueryFilter as _,
    QuerySelect as _,
    sea_query::{LockType, OnConflict},
};

use super::{
    entities::{messages, passphrase_tries},
    traced::traced,
};
use crate::{
    domain::{CallerTag, MessageId, Timestamp, TryLimits, Verifier},
    error::StoreError,
};

/// A try of a passphrase.
pub(crate) struct PassphraseTry {
    pub(crate) id: MessageId,
    pub(crate) verifier: Verifier,
    pub(crate) caller: CallerTag,
    pub(crate) limits: TryLimits,
}

/// Counts a try, or rejects it. Permits it if the message has ended: the view then reports how.
pub(super) async fn count(
    transaction: &DatabaseTransaction,
    passphrase_try: &PassphraseTry,
    now: Timestamp,
) -> Result<Result<(), StoreError>, DbErr> {
    let PassphraseTry { id, verifier, caller, limits } = passphrase_try;
    let backend = transaction.get_database_backend();
    let message = messages::Entity::find_by_id(id.get())
        .select_only()
        .column(messages::Column::Id)
        .filter(messages::Column::Verifier.eq(verifier.to_column()))
        // Serializes the tries of all stores.
        .lock(LockType::Update)
        .into_tuple::<i64>()
        .one(transaction);
    if traced(backend, "SELECT", "messages", message).await?.is_none() {
        return Ok(Ok(()));
    }
    let delete_old = passphrase_tries::Entity::delete_many()
        .filter(passphrase_tries::Column::MessageId.eq(id.get()))
        .filter(passphrase_tries::Column::LastTime.lte(now.before(limits.lock_duration).micros()))
        .exec(transaction);
    traced(backend, "DELETE", "passphrase_tries", delete_old).await?;
    let counted =
        passphrase_tries::Entity::find().filter(passphrase_tries::Column::MessageId.eq(id.get())).all(transaction);
    let counted = traced(backend, "SELECT", "passphrase_tries", counted).await?;
    let own = counted.iter().find(|row| row.caller == caller.to_column());
    if let Some(retry_after) = locked_for(&counted, own, limits, now) {
        return Ok(Err(StoreError::PassphraseLocked { retry_after }));
    }
    let row = passphrase_tries::ActiveModel {
        message_id: Set(id.get()),
        caller: Set(caller.to_column()),
        tries: Set(own.map_or(0, |own| own.tries) + 1),
        last_time: Set(now.micros()),
    };
    let if_exists = OnConflict::columns([passphrase_tries::Column::MessageId, passphrase_tries::Column::Caller])
        .update_columns([passphrase_tries::Column::Tries, passphrase_tries::Column::LastTime])
        .to_owned();
    let insert = passphrase_tries::Entity::insert(row).on_conflict(if_exists).exec_without_returning(transaction);
    traced(backend, "INSERT", "passphrase_tries", insert).await?;
    Ok(Ok(()))
}

/// How long to wait until the next try is permitted; `None` if it is permitted now.
fn locked_for(
    counted: &[passphrase_tries::Model],
    own: Option<&passphrase_tries::Model>,
    limits: &TryLimits,
    now: Timestamp,
) -> Option<Duration> {
    let ends = |row: &passphrase_tries::Model| Timestamp::from_micros(row.last_time).after(limits.lock_duration);
    let total: i32 = counted.iter().map(|row| row.tries).sum();
    let own_end = own.filter(|own| own.tries >= limits.per_caller).map(ends);
    let common_end = counted.iter().map(ends).min().filter(|_| total >= limits.total);
    own_end.max(common_end).map(|end| end.since(now))
}
