//! Messages are stored, all of a batch with one statement.

use std::collections::HashMap;

use sea_orm::{
    ActiveValue::{NotSet, Set},
    ColumnTrait as _, ConnectionTrait as _, DatabaseTransaction, DbErr, EntityTrait as _, FromQueryResult,
    QueryFilter as _, QuerySelect as _, QueryTrait as _,
    sea_query::{OnConflict, Query},
};

use super::{
    super::{
        entities::{messages, receipts},
        sealing_keys,
        usage::Usage,
    },
    Batch, Output, Results,
};
use crate::{
    StoreError,
    domain::{ContentKind, ContentTag, KeyId, MessageId, Timestamp, Verifier},
};

/// A sealed message to be stored.
pub(in crate::storage) struct Creation {
    pub(in crate::storage) verifier: Verifier,
    pub(in crate::storage) key_id: KeyId,
    pub(in crate::storage) content_kind: ContentKind,
    pub(in crate::storage) sealed_content: Vec<u8>,
    pub(in crate::storage) create_time: Timestamp,
    pub(in crate::storage) expire_time: Option<Timestamp>,
    pub(in crate::storage) passphrase_verifier: Option<Verifier>,
    /// `None`: this creation is not repeated.
    pub(in crate::storage) request: Option<CreationRequest>,
}

/// What tells a repeated creation from others.
#[derive(Clone, Copy)]
pub(in crate::storage) struct CreationRequest {
    pub(in crate::storage) hash: Verifier,
    pub(in crate::storage) content_tag: ContentTag,
}

pub(super) async fn create(
    batch: &mut Batch<'_>,
    mut creations: Vec<(usize, &Creation)>,
    results: &mut Results,
) -> Result<(), DbErr> {
    if creations.is_empty() {
        return Ok(());
    }
    // Every lane and every store inserts in the same order, or two could wait for each other.
    creations.sort_by_key(|(_, creation)| (creation.request.map(|request| request.hash), creation.verifier));
    let key_ids = creations.iter().map(|(_, creation)| &creation.key_id);
    let living = sealing_keys::living(batch.transaction, key_ids).await?;
    let mut to_insert = Vec::with_capacity(creations.len());
    for (index, creation) in &creations {
        if !living.contains(creation.key_id.as_str()) {
            results.set(*index, Ok(Output::KeyRetired));
        } else if batch.room.take(Usage::message(creation.sealed_content.len())) {
            to_insert.push(*creation);
        } else {
            results.set(*index, Err(StoreError::StorageFull));
        }
    }
    let mut inserted = insert(batch.transaction, &to_insert).await?;
    let known = find_known(batch.transaction, &creations, &inserted).await?;
    undo_repeats(batch.transaction, &known, &mut inserted).await?;
    for creation in to_insert {
        // Counted once: two creations with one request are one message.
        if let Some(row) = inserted.get_mut(&creation.verifier).filter(|row| !row.is_counted) {
            row.is_counted = true;
            batch.usage.add(creation.key_id.as_str(), Usage::message(creation.sealed_content.len()));
        }
    }
    for (index, creation) in creations {
        let known = creation.request.and_then(|request| known.get(&request.hash));
        match (known, inserted.get(&creation.verifier)) {
            (Some(known), _) => results.set(index, known.result_for(creation)),
            (None, Some(row)) => results.set(index, row.result_for(creation)),
            // Refused above; otherwise no statement leaves a creation without a row.
            (None, None) => results.set_if_missing(index, Err(StoreError::Internal)),
        }
    }
    Ok(())
}

/// Inserts all that have neither the verifier nor the request of a message that is there, in order.
async fn insert(
    transaction: &DatabaseTransaction,
    creations: &[&Creation],
) -> Result<HashMap<Verifier, InsertedRow>, DbErr> {
    if creations.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = creations.iter().map(|creation| messages::ActiveModel {
        id: NotSet,
        verifier: Set(creation.verifier.to_column()),
        request_hash: Set(creation.request.map(|request| request.hash.to_column())),
        content_tag: Set(creation.request.map(|request| request.content_tag.to_column())),
        key_id: Set(creation.key_id.as_str().to_owned()),
        content_kind: Set(creation.content_kind.into()),
        sealed_content: Set(creation.sealed_content.clone()),
        passphrase_verifier: Set(creation.passphrase_verifier.map(Verifier::to_column)),
        create_time: Set(creation.create_time.micros()),
        expire_time: Set(creation.expire_time.map(Timestamp::micros)),
    });
    let once = OnConflict::new().do_nothing().to_owned();
    let mut insert = messages::Entity::insert_many(rows).on_conflict(once).into_query();
    insert.returning(Query::returning().columns(InsertedRow::COLUMNS));
    let rows = transaction.query_all(&insert).await?;
    let rows = rows.iter().map(|row| InsertedRow::from_query_result(row, ""));
    rows.map(|row| row.and_then(|row| Ok((Verifier::from_column(&row.verifier).ok_or_else(malformed)?, row)))).collect()
}

/// The messages and receipts of requests that were made before.
///
/// Both are looked for *after* the insert, which waits for a transaction that is just deleting the message; messages first, then
/// receipts, so that a message that ends in between has its receipt by then.
async fn find_known(
    transaction: &DatabaseTransaction,
    creations: &[(usize, &Creation)],
    inserted: &HashMap<Verifier, InsertedRow>,
) -> Result<HashMap<Verifier, Known>, DbErr> {
    let mut known = HashMap::new();
    let requests = || creations.iter().filter_map(|(_, creation)| Some((creation, creation.request?.hash)));
    let not_inserted = requests().filter(|(creation, _)| !inserted.contains_key(&creation.verifier));
    let not_inserted: Vec<_> = not_inserted.map(|(_, hash)| hash.to_column()).collect();
    if !not_inserted.is_empty() {
        let unread = messages::Entity::find()
            .select_only()
            .columns(UnreadRow::COLUMNS)
            .filter(messages::Column::RequestHash.is_in(not_inserted))
            .into_model::<UnreadRow>()
            .all(transaction)
            .await?;
        for row in unread {
            let hash = row.request_hash.as_deref().and_then(Verifier::from_column).ok_or_else(malformed)?;
            known.insert(hash, Known::Unread(row));
        }
    }
    let all: Vec<_> = requests().map(|(_, hash)| hash.to_column()).collect();
    if !all.is_empty() {
        let gone = receipts::Entity::find().filter(receipts::Column::RequestHash.is_in(all)).all(transaction).await?;
        for receipt in gone {
            let hash = receipt.request_hash.as_deref().and_then(Verifier::from_column).ok_or_else(malformed)?;
            known.insert(hash, Known::Gone(receipt));
        }
    }
    Ok(known)
}

/// What was inserted for a request whose message is gone already is deleted again: a message has one end.
async fn undo_repeats(
    transaction: &DatabaseTransaction,
    known: &HashMap<Verifier, Known>,
    inserted: &mut HashMap<Verifier, InsertedRow>,
) -> Result<(), DbErr> {
    let gone = known.values().filter_map(|known| match known {
        Known::Gone(receipt) => receipt.request_hash.clone(),
        Known::Unread(_) => None,
    });
    let gone: Vec<_> = gone.collect();
    if gone.is_empty() {
        return Ok(());
    }
    inserted.retain(|_, row| row.request_hash.as_ref().is_none_or(|hash| !gone.contains(hash)));
    messages::Entity::delete_many().filter(messages::Column::RequestHash.is_in(gone)).exec(transaction).await.map(drop)
}

fn malformed() -> DbErr {
    DbErr::Type("a verifier in the database has another length than 32 bytes".to_owned())
}

/// A message that was inserted by this batch.
#[derive(FromQueryResult)]
struct InsertedRow {
    id: i64,
    verifier: Vec<u8>,
    request_hash: Option<Vec<u8>>,
    content_tag: Option<Vec<u8>>,
    create_time: i64,
    expire_time: Option<i64>,
    #[sea_orm(skip)]
    is_counted: bool,
}

impl InsertedRow {
    const COLUMNS: [messages::Column; 6] = [
        messages::Column::Id,
        messages::Column::Verifier,
        messages::Column::RequestHash,
        messages::Column::ContentTag,
        messages::Column::CreateTime,
        messages::Column::ExpireTime,
    ];

    /// Of two creations with one request in a batch, only one was inserted.
    fn result_for(&self, creation: &Creation) -> Result<Output, StoreError> {
        compare_tags(self.content_tag.as_deref(), creation)?;
        Ok(stored(self.id, self.create_time, self.expire_time))
    }
}

/// What is known of a request that was made before.
enum Known {
    Unread(UnreadRow),
    Gone(receipts::Model),
}

#[derive(FromQueryResult)]
struct UnreadRow {
    id: i64,
    request_hash: Option<Vec<u8>>,
    content_tag: Option<Vec<u8>>,
    key_id: String,
    create_time: i64,
    expire_time: Option<i64>,
}

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

impl Known {
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
