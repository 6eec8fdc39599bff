//! Messages are stored, all of a batch with one statement.

use sea_orm::{
    ActiveValue::{NotSet, Set},
    ColumnTrait as _, ConnectionTrait as _, DatabaseTransaction, DbErr, EntityTrait as _, QueryFilter as _,
    QuerySelect as _, QueryTrait as _,
    sea_query::OnConflict,
};

use super::{
    super::entities::{messages, receipts},
    Answer, Answers, set,
};
use crate::{
    StoreError,
    domain::{ContentKind, KeyId, MessageId, PassphraseSalt, Timestamp, Verifier},
};

/// A sealed message to be stored.
pub(in crate::storage) struct Creation {
    pub(in crate::storage) verifier: Verifier,
    pub(in crate::storage) key_id: KeyId,
    pub(in crate::storage) content_kind: ContentKind,
    pub(in crate::storage) sealed_text: Vec<u8>,
    pub(in crate::storage) create_time: Timestamp,
    pub(in crate::storage) expire_time: Option<Timestamp>,
    /// The salt, and what the passphrase must come to.
    pub(in crate::storage) passphrase: Option<(PassphraseSalt, Verifier)>,
    /// Whether the same message may have been created before.
    pub(in crate::storage) is_repeatable: bool,
}

pub(super) async fn create(
    transaction: &DatabaseTransaction,
    mut creations: Vec<(usize, &Creation)>,
    answers: &mut Answers,
) -> Result<(), DbErr> {
    if creations.is_empty() {
        return Ok(());
    }
    // Every lane and every store inserts in the same order, or two could wait for each other.
    creations.sort_by_key(|(_, creation)| creation.verifier);
    let rows = creations.iter().map(|(_, creation)| messages::ActiveModel {
        id: NotSet,
        verifier: Set(creation.verifier.to_column()),
        key_id: Set(creation.key_id.as_str().to_owned()),
        sealed_text: Set(creation.sealed_text.clone()),
        create_time: Set(creation.create_time.micros()),
        expire_time: Set(creation.expire_time.map(Timestamp::micros)),
        passphrase_salt: Set(creation.passphrase.map(|(salt, _)| salt.to_column())),
        passphrase_verifier: Set(creation.passphrase.map(|(_, verifier)| verifier.to_column())),
        content_kind: Set(creation.content_kind.into()),
    });
    let once = OnConflict::column(messages::Column::Verifier).do_nothing().to_owned();
    let insert = messages::Entity::insert_many(rows).on_conflict(once);
    let mut stored: Vec<StoredRow> = StoredRow::returned_by(transaction, insert.into_query()).await?;

    let repeatable = || creations.iter().filter(|(_, creation)| creation.is_repeatable);
    if repeatable().next().is_some() {
        let verifiers: Vec<_> = repeatable().map(|(_, creation)| creation.verifier.to_column()).collect();
        stored = undo_repeats(transaction, verifiers, stored).await?;
    }
    for (index, creation) in creations {
        let row = stored.iter().find(|row| creation.verifier.matches_column(&row.verifier));
        let answer = row.map(StoredRow::answer).ok_or_else(|| {
            tracing::error!("a stored message did not come back");
            StoreError::Internal
        });
        set(answers, index, answer);
    }
    Ok(())
}

/// Of messages that may have been created before: those that are gone already stay gone, those that are there are answered as
/// they are. Receipts are looked at *after* the insert, which waits for whoever is just deleting the message.
async fn undo_repeats(
    transaction: &DatabaseTransaction,
    verifiers: Vec<Vec<u8>>,
    inserted: Vec<StoredRow>,
) -> Result<Vec<StoredRow>, DbErr> {
    let gone =
        receipts::Entity::find().filter(receipts::Column::Verifier.is_in(verifiers.clone())).all(transaction).await?;
    if !gone.is_empty() {
        let again: Vec<_> = gone.iter().map(|receipt| receipt.verifier.clone()).collect();
        messages::Entity::delete_many().filter(messages::Column::Verifier.is_in(again)).exec(transaction).await?;
    }
    let present = messages::Entity::find()
        .select_only()
        .columns(StoredRow::COLUMNS)
        .filter(messages::Column::Verifier.is_in(verifiers.clone()))
        .into_model::<StoredRow>()
        .all(transaction)
        .await?;
    let others = inserted.into_iter().filter(|row| !verifiers.contains(&row.verifier));
    Ok(gone.into_iter().map(StoredRow::of_receipt).chain(present).chain(others).collect())
}

/// A message as its creator gets to know it.
#[derive(sea_orm::FromQueryResult)]
struct StoredRow {
    id: i64,
    verifier: Vec<u8>,
    create_time: i64,
    expire_time: Option<i64>,
}

impl StoredRow {
    const COLUMNS: [messages::Column; 4] =
        [messages::Column::Id, messages::Column::Verifier, messages::Column::CreateTime, messages::Column::ExpireTime];

    async fn returned_by(
        transaction: &DatabaseTransaction,
        mut insert: sea_orm::sea_query::InsertStatement,
    ) -> Result<Vec<Self>, DbErr> {
        insert.returning(sea_orm::sea_query::Query::returning().columns(Self::COLUMNS));
        let rows = transaction.query_all(&insert).await?;
        rows.iter().map(|row| sea_orm::FromQueryResult::from_query_result(row, "")).collect()
    }

    fn of_receipt(receipt: receipts::Model) -> Self {
        let receipts::Model { message_id, verifier, create_time, expire_time, .. } = receipt;
        Self { id: message_id, verifier, create_time, expire_time }
    }

    fn answer(&self) -> Answer {
        Answer::Stored {
            id: MessageId::from_column(self.id),
            create_time: Timestamp::from_micros(self.create_time),
            expire_time: self.expire_time.map(Timestamp::from_micros),
        }
    }
}
