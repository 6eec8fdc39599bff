//! Counts the tries of passphrases on a message.
//!
//! A try is counted in a committed transaction *before* the passphrase is stretched. So the limits hold for any number
//! of concurrent tries through any number of stores, and a rejected try costs no computation.

use std::time::Duration;

use sea_orm::{
    ActiveValue::Set,
    ColumnTrait as _, DbErr, EntityTrait as _, QueryFilter as _, QuerySelect as _, QueryTrait as _,
    sea_query::{Expr, ExprTrait as _, LockType, OnConflict},
};

use super::{
    entities::{messages, passphrase_tries},
    lane_connection::{Transaction, from_row},
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

/// The tries of a caller.
struct CountedTries {
    caller: Vec<u8>,
    tries: i64,
    last_time: i64,
}

from_row!(CountedTries { caller, tries, last_time });

/// Counts a try, or rejects it. Permits it if the message has ended: the view then reports how.
pub(super) async fn count(
    transaction: &Transaction<'_>,
    passphrase_try: &PassphraseTry,
    now: Timestamp,
) -> Result<Result<(), StoreError>, DbErr> {
    let PassphraseTry { id, verifier, caller, limits } = passphrase_try;
    let message = messages::Entity::find_by_id(id.get())
        .select_only()
        .column(messages::Column::Id)
        .filter(messages::Column::Verifier.eq(verifier.to_column()))
        // Serializes the tries of all stores.
        .lock(LockType::Update)
        .into_query();
    let found: Vec<()> = transaction.query("SELECT", "messages", transaction.build(&message)).await?;
    if found.is_empty() {
        return Ok(Ok(()));
    }
    let delete_old = passphrase_tries::Entity::delete_many()
        .filter(passphrase_tries::Column::MessageId.eq(id.get()))
        .filter(passphrase_tries::Column::LastTime.lte(now.before(limits.lock_duration).micros()))
        .into_query();
    transaction.execute("DELETE", "passphrase_tries", transaction.build(&delete_old)).await?;
    let counted = passphrase_tries::Entity::find()
        .select_only()
        .columns([passphrase_tries::Column::Caller, passphrase_tries::Column::LastTime])
        .column_as(Expr::col(passphrase_tries::Column::Tries).cast_as("bigint"), "tries")
        .filter(passphrase_tries::Column::MessageId.eq(id.get()))
        .into_query();
    let counted: Vec<CountedTries> =
        transaction.query("SELECT", "passphrase_tries", transaction.build(&counted)).await?;
    let own = counted.iter().find(|row| row.caller == caller.to_column());
    if let Some(retry_after) = locked_for(&counted, own, limits, now) {
        return Ok(Err(StoreError::PassphraseLocked { retry_after }));
    }
    let row = passphrase_tries::ActiveModel {
        message_id: Set(id.get()),
        caller: Set(caller.to_column()),
        tries: Set(i32::try_from(own.map_or(0, |own| own.tries) + 1).unwrap_or(i32::MAX)),
        last_time: Set(now.micros()),
    };
    let if_exists = OnConflict::columns([passphrase_tries::Column::MessageId, passphrase_tries::Column::Caller])
        .update_columns([passphrase_tries::Column::Tries, passphrase_tries::Column::LastTime])
        .to_owned();
    let insert = passphrase_tries::Entity::insert(row).on_conflict(if_exists).into_query();
    transaction.execute("INSERT", "passphrase_tries", transaction.build(&insert)).await?;
    Ok(Ok(()))
}

/// How long to wait until the next try is permitted; `None` if it is permitted now.
fn locked_for(
    counted: &[CountedTries],
    own: Option<&CountedTries>,
    limits: &TryLimits,
    now: Timestamp,
) -> Option<Duration> {
    let ends = |row: &CountedTries| Timestamp::from_micros(row.last_time).after(limits.lock_duration);
    let total: i64 = counted.iter().map(|row| row.tries).sum();
    let own_end = own.filter(|own| own.tries >= limits.per_caller.into()).map(ends);
    let common_end = counted.iter().map(ends).min().filter(|_| total >= limits.total.into());
    own_end.max(common_end).map(|end| end.since(now))
}
