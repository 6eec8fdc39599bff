//! Whether a keyring fits a database: a database remembers the names of the keys it was sealed with.

use std::collections::BTreeSet;

use sea_orm::{ActiveValue::Set, ConnectionTrait as _, DbBackend, EntityTrait as _, sea_query::OnConflict};

use super::{
    database::{Database, WriteConnection},
    entities::sealing_keys,
    failure::report,
};
use crate::{
    StoreError,
    domain::{Keyring, Timestamp},
};

/// The keyring lacks keys that this database was sealed with.
#[derive(Debug, thiserror::Error)]
#[error(
    "the keyring (--keyring) does not fit this database (--database-url): it lacks the key {}. Give this store \
     the keyring that the database was used with before",
    missing.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
)]
pub struct KeyringMismatch {
    missing: BTreeSet<String>,
}

/// Makes sure that `keyring` opens everything in `database`, and notes its keys there.
///
/// # Errors
///
/// `Ok(Err(_))` when it does not fit, [`StoreError`] when the database fails.
pub(crate) async fn claim_database(
    database: &Database,
    keyring: &Keyring,
    now: Timestamp,
) -> Result<Result<(), KeyringMismatch>, StoreError> {
    let mut connection = WriteConnection::new(database.clone());
    let claimed = async {
        let transaction = connection.begin().await?;
        // One store at a time, or two with two new keyrings would not see each other. SQLite has one writer anyway.
        if transaction.get_database_backend() == DbBackend::Postgres {
            transaction.execute_unprepared("LOCK TABLE sealing_keys IN EXCLUSIVE MODE").await?;
        }
        let ours = keyring.keys().map(|key| sealing_keys::ActiveModel {
            key_id: Set(key.id().as_str().to_owned()),
            create_time: Set(now.micros()),
        });
        let noted = OnConflict::column(sealing_keys::Column::KeyId).do_nothing().to_owned();
        sealing_keys::Entity::insert_many(ours).on_conflict(noted).exec_without_returning(&transaction).await?;
        let used = sealing_keys::Entity::find().all(&transaction).await?;

        let known: BTreeSet<_> = keyring.keys().map(|key| key.id().as_str()).collect();
        let missing: BTreeSet<_> =
            used.into_iter().map(|key| key.key_id).filter(|id| !known.contains(id.as_str())).collect();
        if missing.is_empty() {
            transaction.commit().await?;
            Ok(Ok(()))
        } else {
            transaction.rollback().await?;
            Ok(Err(KeyringMismatch { missing }))
        }
    }
    .await
    .map_err(|error| report("checking the keyring", &error));
    connection.discard();
    claimed
}
