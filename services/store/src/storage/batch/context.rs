//! [`BatchContext`]: what the pieces of work in a batch share, and what they return.

use sea_orm::{ActiveEnum as _, DbErr};

use super::super::{
    capacity::Budget,
    entities::{messages, receipts},
    lane_connection::{Transaction, from_row},
    rows::{Rows, is_one_of},
    usage::{Usage, UsageChanges},
};
use crate::{
    domain::{Clock, KeyId, Keyring, MessageContent, MessageId, Timestamp},
    error::StoreError,
    metrics::MessageCounts,
};

/// How long the remains of a message are stored.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Retention {
    /// How long a claim lasts, in which the reader may repeat its view.
    pub(crate) view_grace: std::time::Duration,
    /// How long a receipt is stored.
    pub(crate) receipts: std::time::Duration,
}

/// What a batch uses, and what it changes.
pub(in crate::storage) struct BatchContext<'a> {
    pub(in crate::storage) transaction: &'a Transaction<'a>,
    pub(in crate::storage) keyring: &'a Keyring,
    pub(in crate::storage) clock: &'a dyn Clock,
    pub(in crate::storage) retention: Retention,
    /// How much the batch may store.
    pub(in crate::storage) budget: Budget,
    /// In which rows of the usage the batch counts.
    pub(in crate::storage) shard: i32,
    pub(in crate::storage) usage: UsageChanges,
    /// The messages that ended.
    pub(in crate::storage) ended: Vec<MessageId>,
    pub(in crate::storage) counts: MessageCounts,
}

/// The result of a piece of work.
#[derive(Clone)]
pub(crate) enum Output {
    /// The message is stored, by this call or by an earlier one with the same request id.
    Stored { id: MessageId, create_time: Timestamp, expire_time: Option<Timestamp> },
    /// An earlier call with the same request id derived its token from this key. Nothing was stored.
    UnderOtherKey(KeyId),
    /// The key of the message was retired. Nothing was stored.
    KeyRetired,
    /// The message was deleted, and this was its content.
    Viewed { content: MessageContent, create_time: Timestamp, repeat_until: Option<Timestamp> },
    /// The message was deleted unread.
    Burned { time: Timestamp },
    /// The content that was viewed at `view_time` is erased.
    Acknowledged { view_time: Timestamp },
    /// A try of a passphrase was counted and is permitted.
    TryCounted,
    /// What a sweep deleted.
    Swept(Swept),
    /// The database can be written.
    Probed,
}

/// How many rows a sweep deleted.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Swept {
    pub(crate) expired: usize,
    pub(crate) forfeited: usize,
    pub(crate) purged: usize,
    /// `true` if there is more to sweep.
    pub(crate) has_more: bool,
}

/// Why a batch failed. It changed nothing, unless COMMIT was in progress.
pub(in crate::storage) enum BatchError {
    /// The content for the work at `index` cannot be returned. `error` is for its caller.
    HandOver {
        index: usize,
        error: StoreError,
    },
    Database {
        error: DbErr,
        during_commit: bool,
    },
}

impl From<DbErr> for BatchError {
    fn from(error: DbErr) -> Self {
        Self::Database { error, during_commit: false }
    }
}

/// The results of a batch, in the order of its work.
pub(super) struct Results(Vec<Option<Result<Output, StoreError>>>);

impl Results {
    pub(super) fn new(length: usize) -> Self {
        Self(vec![None; length])
    }

    pub(super) fn set(&mut self, index: usize, result: Result<Output, StoreError>) {
        if let Some(slot) = self.0.get_mut(index) {
            *slot = Some(result);
        }
    }

    pub(super) fn set_if_missing(&mut self, index: usize, result: Result<Output, StoreError>) {
        if let Some(slot) = self.0.get_mut(index) {
            slot.get_or_insert(result);
        }
    }

    pub(super) fn into_vec(self) -> Vec<Result<Output, StoreError>> {
        self.0.into_iter().map(|result| result.unwrap_or(Err(StoreError::Internal))).collect()
    }
}

/// The receipts with one of the values in the column of that name, which has an index.
pub(super) async fn find_receipts(
    transaction: &Transaction<'_>,
    values: Rows<1>,
    column: &'static str,
) -> Result<Vec<receipts::Model>, DbErr> {
    if values.is_empty() {
        return Ok(Vec::new());
    }
    let backend = transaction.backend();
    let is_wanted = is_one_of(backend, column, &format!("SELECT {column} FROM input"));
    let sql = format!("SELECT * FROM receipts WHERE {is_wanted}");
    transaction.query("SELECT", "receipts", values.statement(backend, &sql, None)).await
}

impl BatchContext<'_> {
    pub(super) async fn insert_receipts(&mut self, new_receipts: Vec<receipts::Model>) -> Result<(), DbErr> {
        if new_receipts.is_empty() {
            return Ok(());
        }
        for receipt in &new_receipts {
            self.usage.add(&receipt.key_id, Usage::receipts(1));
        }
        let columns = [
            "message_id",
            "verifier",
            "request_hash",
            "claim_verifier",
            "key_id",
            "outcome",
            "create_time",
            "expire_time",
            "outcome_time",
            "purge_time",
        ];
        let rows = new_receipts.into_iter().map(|receipt| {
            [
                receipt.message_id.into(),
                receipt.verifier.into(),
                receipt.request_hash.into(),
                receipt.claim_verifier.into(),
                receipt.key_id.into(),
                receipt.outcome.to_value().into(),
                receipt.create_time.into(),
                receipt.expire_time.into(),
                receipt.outcome_time.into(),
                receipt.purge_time.into(),
            ]
        });
        let sql = "INSERT INTO receipts (message_id, verifier, request_hash, claim_verifier, key_id, outcome, create_time, \
             expire_time, outcome_time, purge_time) SELECT * FROM input WHERE true";
        let statement = Rows::new(columns, rows).statement(self.transaction.backend(), sql, None);
        self.transaction.execute("INSERT", "receipts", statement).await
    }

    /// The receipt of a message that ends now.
    pub(super) fn new_receipt(
        &self,
        message: EndedMessage,
        outcome: receipts::Outcome,
        outcome_time: Timestamp,
    ) -> receipts::Model {
        let EndedMessage { id, verifier, request_hash, key_id, create_time, expire_time } = message;
        receipts::Model {
            message_id: id,
            verifier,
            request_hash,
            claim_verifier: None,
            key_id,
            outcome,
            create_time,
            expire_time,
            outcome_time: outcome_time.micros(),
            purge_time: self.clock.now().after(self.retention.receipts).micros(),
        }
    }
}

/// The columns of a message that its receipt keeps.
pub(super) struct EndedMessage {
    pub(super) id: i64,
    verifier: Vec<u8>,
    request_hash: Option<Vec<u8>>,
    pub(super) key_id: String,
    create_time: i64,
    pub(super) expire_time: Option<i64>,
}

from_row!(EndedMessage { id, verifier, request_hash, key_id, create_time, expire_time });

impl EndedMessage {
    pub(super) const COLUMNS: [messages::Column; 6] = [
        messages::Column::Id,
        messages::Column::Verifier,
        messages::Column::RequestHash,
        messages::Column::KeyId,
        messages::Column::CreateTime,
        messages::Column::ExpireTime,
    ];
}

impl From<&messages::Model> for EndedMessage {
    fn from(row: &messages::Model) -> Self {
        Self {
            id: row.id,
            verifier: row.verifier.clone(),
            request_hash: row.request_hash.clone(),
            key_id: row.key_id.clone(),
            create_time: row.create_time,
            expire_time: row.expire_time,
        }
    }
}
