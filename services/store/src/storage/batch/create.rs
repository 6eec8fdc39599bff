//! Stores the new messages of a batch with one statement.

use std::collections::{HashMap, HashSet};

use sea_orm::{
    ActiveEnum as _, ColumnTrait as _, DbBackend, DbErr, EntityTrait as _, QueryFilter as _, QuerySelect as _,
    QueryTrait as _, Value,
};

use super::{
    super::{
        entities::{content_kind, messages, receipts},
        lane_connection::{Transaction, from_row},
        rows::{self, Rows},
        sealing_keys,
        usage::Usage,
    },
    context::{BatchContext, Output, Results, find_receipts},
};
use crate::{
    domain::{ContentKind, ContentTag, KeyId, MessageId, Timestamp, Verifier},
    error::StoreError,
};

/// A sealed message to store.
pub(crate) struct Creation {
    pub(crate) verifier: Verifier,
    pub(crate) key_id: KeyId,
    pub(crate) content_kind: ContentKind,
    pub(crate) sealed_content: Vec<u8>,
    pub(crate) create_time: Timestamp,
    pub(crate) expire_time: Option<Timestamp>,
    pub(crate) passphrase_verifier: Option<Verifier>,
    /// `None`: this creation cannot be repeated.
    pub(crate) request: Option<CreationRequest>,
}

/// Identifies a repeated creation.
#[derive(Clone, Copy)]
pub(crate) struct CreationRequest {
    pub(crate) hash: Verifier,
    pub(crate) content_tag: ContentTag,
}

pub(super) async fn create(
    context: &mut BatchContext<'_>,
    creations: Vec<(usize, &Creation)>,
    results: &mut Results,
) -> Result<(), DbErr> {
    if creations.is_empty() {
        return Ok(());
    }
    let mut to_insert = Vec::with_capacity(creations.len());
    for (index, creation) in &creations {
        if context.budget.take(Usage::message(creation.sealed_content.len())) {
            to_insert.push(*creation);
        } else {
            results.set(*index, Err(StoreError::StorageFull));
        }
    }
    let mut inserted = insert(context.transaction, &to_insert).await?;
    let existing = find_existing(context.transaction, &creations, &inserted).await?;
    delete_repeats(context.transaction, &existing, &mut inserted).await?;
    let mut counted = HashSet::with_capacity(inserted.len());
    for creation in to_insert {
        // Counted once, because two creations with the same request are one message.
        if inserted.get(&creation.verifier).is_some_and(|row| counted.insert(row.id)) {
            context.usage.add(creation.key_id.as_str(), Usage::message(creation.sealed_content.len()));
            context.counts.add_created(creation.content_kind);
        }
    }
    for (index, creation) in creations {
        let existing = creation.request.and_then(|request| existing.get(&request.hash));
        match (existing, inserted.get(&creation.verifier)) {
            (Some(existing), _) => results.set(index, existing.result_for(creation)),
            (None, Some(row)) => results.set(index, row.result_for(creation)),
            (None, None) => {
                // Rejected above, or its key was retired. A caller excludes a retired key, so it must really be one.
                let usable = context.transaction.build(&sealing_keys::usable(&creation.key_id));
                let usable: Vec<()> = context.transaction.query("SELECT", "sealing_keys", usable).await?;
                let is_usable = !usable.is_empty();
                let result = if is_usable { Err(StoreError::Internal) } else { Ok(Output::KeyRetired) };
                results.set_if_missing(index, result);
            }
        }
    }
    Ok(())
}

/// Inserts the creations, except for those whose key was retired and those whose request exists already. No key of the
/// inserted rows can be retired before the transaction ends.
///
/// All stores insert in the same order, to prevent deadlocks.
async fn insert(
    transaction: &Transaction<'_>,
    creations: &[&Creation],
) -> Result<HashMap<Verifier, InsertedRow>, DbErr> {
    if creations.is_empty() {
        return Ok(HashMap::new());
    }
    let columns = [
        "verifier",
        "request_hash",
        "content_tag",
        "key_id",
        "content_kind",
        "sealed_content",
        "passphrase_verifier",
        "create_time",
        "expire_time",
    ];
    let rows = creations.iter().map(|creation| {
        [
            rows::verifier(creation.verifier),
            rows::optional_verifier(creation.request.map(|request| request.hash)),
            Value::Bytes(creation.request.map(|request| request.content_tag.to_column())),
            creation.key_id.as_str().into(),
            content_kind::ContentKind::from(creation.content_kind).to_value().into(),
            creation.sealed_content.clone().into(),
            rows::optional_verifier(creation.passphrase_verifier),
            creation.create_time.micros().into(),
            creation.expire_time.map(Timestamp::micros).into(),
        ]
    });
    let backend = transaction.backend();
    // SQLite has one writer and no locks of rows.
    let lock = if backend == DbBackend::Postgres { "FOR SHARE" } else { "" };
    let sql = format!(
        ", usable AS (SELECT key_id FROM sealing_keys \
             WHERE retire_time IS NULL AND key_id IN (SELECT key_id FROM input) {lock}) \
         INSERT INTO messages (verifier, request_hash, content_tag, key_id, content_kind, sealed_content, \
             passphrase_verifier, create_time, expire_time) \
         SELECT * FROM input WHERE key_id IN (SELECT key_id FROM usable) ORDER BY request_hash, verifier \
         ON CONFLICT DO NOTHING RETURNING id, verifier, request_hash, content_tag, create_time, expire_time"
    );
    let statement = Rows::new(columns, rows).statement(backend, &sql, None);
    let rows: Vec<InsertedRow> = transaction.query("INSERT", "messages", statement).await?;
    rows.into_iter().map(|row| Ok((Verifier::from_column(&row.verifier).ok_or_else(malformed)?, row))).collect()
}

/// The existing messages and receipts of the requests.
///
/// Reads both *after* the insert, which waits for a concurrent transaction that deletes the message. Reads messages
/// before receipts, so that a message that ends in between already has its receipt.
async fn find_existing(
    transaction: &Transaction<'_>,
    creations: &[(usize, &Creation)],
    inserted: &HashMap<Verifier, InsertedRow>,
) -> Result<HashMap<Verifier, ExistingRequest>, DbErr> {
    let mut existing = HashMap::new();
    let requests = || creations.iter().filter_map(|(_, creation)| Some((creation, creation.request?.hash)));
    let not_inserted = requests().filter(|(creation, _)| !inserted.contains_key(&creation.verifier));
    let not_inserted: Vec<_> = not_inserted.map(|(_, hash)| hash.to_column()).collect();
    if !not_inserted.is_empty() {
        let unread = messages::Entity::find()
            .select_only()
            .columns(UnreadRow::COLUMNS)
            .filter(messages::Column::RequestHash.is_in(not_inserted))
            .into_query();
        let unread: Vec<UnreadRow> = transaction.query("SELECT", "messages", transaction.build(&unread)).await?;
        for row in unread {
            let hash = row.request_hash.as_deref().and_then(Verifier::from_column).ok_or_else(malformed)?;
            existing.insert(hash, ExistingRequest::Unread(row));
        }
    }
    let all = Rows::new(["request_hash"], requests().map(|(_, hash)| [rows::verifier(hash)]));
    for receipt in find_receipts(transaction, all, "request_hash").await? {
        let hash = receipt.request_hash.as_deref().and_then(Verifier::from_column).ok_or_else(malformed)?;
        existing.insert(hash, ExistingRequest::Gone(receipt));
    }
    Ok(existing)
}

/// Deletes what was inserted for a request whose message has ended.
async fn delete_repeats(
    transaction: &Transaction<'_>,
    existing: &HashMap<Verifier, ExistingRequest>,
    inserted: &mut HashMap<Verifier, InsertedRow>,
) -> Result<(), DbErr> {
    let gone = existing.values().filter_map(|existing| match existing {
        ExistingRequest::Gone(receipt) => receipt.request_hash.clone(),
        ExistingRequest::Unread(_) => None,
    });
    let gone: Vec<_> = gone.collect();
    if gone.is_empty() {
        return Ok(());
    }
    inserted.retain(|_, row| row.request_hash.as_ref().is_none_or(|hash| !gone.contains(hash)));
    let delete = messages::Entity::delete_many().filter(messages::Column::RequestHash.is_in(gone)).into_query();
    transaction.execute("DELETE", "messages", transaction.build(&delete)).await
}

fn malformed() -> DbErr {
    DbErr::Type("a verifier in the database has another length than 32 bytes".to_owned())
}

/// A message that this batch inserted.
struct InsertedRow {
    id: i64,
    verifier: Vec<u8>,
    request_hash: Option<Vec<u8>>,
    content_tag: Option<Vec<u8>>,
    create_time: i64,
    expire_time: Option<i64>,
}

from_row!(InsertedRow { id, verifier, request_hash, content_tag, create_time, expire_time });

impl InsertedRow {
    /// Two creations of a batch may have the same request, of which one was inserted.
    fn result_for(&self, creation: &Creation) -> Result<Output, StoreError> {
        compare_tags(self.content_tag.as_deref(), creation)?;
        Ok(stored(self.id, self.create_time, self.expire_time))
    }
}

/// An existing message or receipt with the request of a creation.
enum ExistingRequest {
    Unread(UnreadRow),
    Gone(receipts::Model),
}

struct UnreadRow {
    id: i64,
    request_hash: Option<Vec<u8>>,
    content_tag: Option<Vec<u8>>,
    key_id: String,
    create_time: i64,
    expire_time: Option<i64>,
}

from_row!(UnreadRow { id, request_hash, content_tag, key_id, create_time, expire_time });

impl UnreadRow {
    const COLUMNS: [messages::Column; 6] = [
        messages::Column::Id,
        messages::Column::RequestHash,
        messages::Column::ContentTag,
        messages::Column::KeyId,
        messages::Column::CreateTime,
        messages::Column::ExpireTime,
    ];
}

impl ExistingRequest {
    fn result_for(&self, creation: &Creation) -> Result<Output, StoreError> {
        let (key_id, output) = match self {
            Self::Unread(row) => (&row.key_id, stored(row.id, row.create_time, row.expire_time)),
            Self::Gone(row) => (&row.key_id, stored(row.message_id, row.create_time, row.expire_time)),
        };
        if key_id != creation.key_id.as_str() {
            return Ok(Output::UnderOtherKey(KeyId::from_column(key_id.clone())));
        }
        if let Self::Unread(row) = self {
            compare_tags(row.content_tag.as_deref(), creation)?;
        }
        Ok(output)
    }
}

fn compare_tags(stored: Option<&[u8]>, creation: &Creation) -> Result<(), StoreError> {
    let differs = match (stored, creation.request) {
        (Some(stored), Some(request)) => !request.content_tag.matches_column(stored),
        _ => false,
    };
    if differs { Err(StoreError::RequestConflict) } else { Ok(()) }
}

fn stored(id: i64, create_time: i64, expire_time: Option<i64>) -> Output {
    Output::Stored {
        id: MessageId::from_column(id),
        create_time: Timestamp::from_micros(create_time),
        expire_time: expire_time.map(Timestamp::from_micros),
    }
}
