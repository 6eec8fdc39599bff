//! [`Usage`]: how much is stored, counted in the transactions that change it.

use std::{collections::BTreeMap, ops::AddAssign};

use sea_orm::{
    ColumnTrait as _, ConnectionTrait, DbBackend, DbErr, EntityTrait as _, QueryFilter as _, QuerySelect as _,
    QueryTrait as _, Statement,
    sea_query::{DeleteStatement, Expr, ExprTrait as _},
};

use super::{
    entities::{sealing_keys, usage},
    rows::Rows,
};

/// The bytes of a message or a claim without its sealed content: its row and its index entries.
const ROW_BYTES: i64 = 384;
/// The bytes of a receipt.
const RECEIPT_BYTES: i64 = 320;
/// The number of rows for a key, over which the writers of all stores are spread.
pub(super) const SHARDS: i32 = 64;

/// Numbers of rows, and their approximate bytes. Negative in a change that deletes more than it adds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    pub(crate) messages: i64,
    pub(crate) claims: i64,
    pub(crate) receipts: i64,
    pub(crate) bytes: i64,
}

impl AddAssign for Usage {
    fn add_assign(&mut self, other: Self) {
        self.messages += other.messages;
        self.claims += other.claims;
        self.receipts += other.receipts;
        self.bytes += other.bytes;
    }
}

impl Usage {
    const NONE: Self = Self { messages: 0, claims: 0, receipts: 0, bytes: 0 };

    /// The usage of a message.
    pub(super) fn message(sealed_bytes: usize) -> Self {
        Self { messages: 1, bytes: row_bytes(sealed_bytes), ..Self::NONE }
    }

    /// The usage of a claim.
    pub(super) fn claim(sealed_bytes: usize) -> Self {
        Self { claims: 1, bytes: row_bytes(sealed_bytes), ..Self::NONE }
    }

    /// The usage of receipts.
    pub(super) fn receipts(count: i64) -> Self {
        Self { receipts: count, bytes: count.saturating_mul(RECEIPT_BYTES), ..Self::NONE }
    }

    fn times(self, count: i64) -> Self {
        Self {
            messages: self.messages * count,
            claims: self.claims * count,
            receipts: self.receipts * count,
            bytes: self.bytes * count,
        }
    }
}

fn row_bytes(sealed_bytes: usize) -> i64 {
    i64::try_from(sealed_bytes).unwrap_or(i64::MAX).saturating_add(ROW_BYTES)
}

/// The changes of a transaction, by key.
#[derive(Debug, Default)]
pub(super) struct UsageChanges(BTreeMap<String, Usage>);

impl UsageChanges {
    pub(super) fn add(&mut self, key_id: &str, usage: Usage) {
        match self.0.get_mut(key_id) {
            Some(sum) => *sum += usage,
            None => drop(self.0.insert(key_id.to_owned(), usage)),
        }
    }

    pub(super) fn subtract(&mut self, key_id: &str, usage: Usage) {
        self.add(key_id, usage.times(-1));
    }

    pub(super) fn total(&self) -> Usage {
        self.0.values().fold(Usage::NONE, |mut total, usage| {
            total += *usage;
            total
        })
    }

    /// The statement that adds the changes to the rows of `shard`, if there are any. Must be the last statement of a
    /// transaction, so that writers with the same shard wait only for the commit.
    pub(super) fn statement(&self, backend: DbBackend, shard: i32) -> Option<Statement> {
        if self.0.is_empty() {
            return None;
        }
        let columns = ["key_id", "messages", "claims", "receipts", "bytes"];
        let rows = self.0.iter().map(|(key_id, Usage { messages, claims, receipts, bytes })| {
            [key_id.as_str().into(), (*messages).into(), (*claims).into(), (*receipts).into(), (*bytes).into()]
        });
        let sql = "INSERT INTO usage (key_id, shard, messages, claims, receipts, bytes) \
             SELECT key_id, (SELECT value FROM parameter), messages, claims, receipts, bytes FROM input WHERE true \
             ON CONFLICT (key_id, shard) DO UPDATE SET messages = usage.messages + excluded.messages, \
             claims = usage.claims + excluded.claims, receipts = usage.receipts + excluded.receipts, \
             bytes = usage.bytes + excluded.bytes";
        Some(Rows::new(columns, rows).statement(backend, sql, Some(shard.into())))
    }
}

/// The usage of all keys.
pub(super) async fn total(connection: &impl ConnectionTrait) -> Result<Usage, DbErr> {
    sum(connection, None).await
}

/// The usage of a key.
pub(super) async fn for_key(connection: &impl ConnectionTrait, key_id: &str) -> Result<Usage, DbErr> {
    sum(connection, Some(key_id)).await
}

async fn sum(connection: &impl ConnectionTrait, key_id: Option<&str>) -> Result<Usage, DbErr> {
    let mut select = usage::Entity::find().select_only();
    for column in [usage::Column::Messages, usage::Column::Claims, usage::Column::Receipts, usage::Column::Bytes] {
        // PostgreSQL's sum of bigint is numeric.
        select = select.column_as(Expr::col(column).sum().cast_as("bigint"), column);
    }
    if let Some(key_id) = key_id {
        select = select.filter(usage::Column::KeyId.eq(key_id));
    }
    let sums: Option<[Option<i64>; 4]> = select
        .into_tuple::<(Option<i64>, Option<i64>, Option<i64>, Option<i64>)>()
        .one(connection)
        .await?
        .map(Into::into);
    let [messages, claims, receipts, bytes] = sums.unwrap_or_default().map(Option::unwrap_or_default);
    Ok(Usage { messages, claims, receipts, bytes })
}

/// The statement that deletes the empty rows of deleted keys.
pub(super) fn delete_empty() -> DeleteStatement {
    let known = sealing_keys::Entity::find().select_only().column(sealing_keys::Column::KeyId).into_query();
    usage::Entity::delete_many()
        .filter(usage::Column::KeyId.not_in_subquery(known))
        .filter(usage::Column::Messages.eq(0))
        .filter(usage::Column::Claims.eq(0))
        .filter(usage::Column::Receipts.eq(0))
        .into_query()
}
