//! The key of a database's public ids, created on first start.

use sea_orm::{ActiveValue::Set, DbErr, EntityTrait as _, sea_query::OnConflict};

use super::{
    database::{Database, WriteConnection},
    db_error::log_error,
    entities::instance::{self, SINGLE_ROW},
};
use crate::{domain::PublicIds, error::StoreError};

/// The public ids of `database`, whose schema is up to date.
///
/// # Errors
///
/// [`StoreError`] when the database fails, or its key is invalid.
pub(crate) async fn public_ids(database: &Database) -> Result<PublicIds, StoreError> {
    let mut connection = WriteConnection::new(database.clone());
    let ids = async {
        let transaction = connection.begin().await?;
        let row = match instance::Entity::find_by_id(SINGLE_ROW).one(&transaction).await? {
            Some(row) => row,
            None => {
                let id_key = PublicIds::generate_key().map_err(|error| DbErr::Custom(error.to_string()))?;
                let new = instance::ActiveModel { id: Set(SINGLE_ROW), id_key: Set(id_key.to_vec()) };
                // Another store may create one at the same time; the first one is kept.
                let if_new = OnConflict::column(instance::Column::Id).do_nothing().to_owned();
                instance::Entity::insert(new).on_conflict(if_new).exec_without_returning(&transaction).await?;
                let created = instance::Entity::find_by_id(SINGLE_ROW).one(&transaction).await?;
                created.ok_or_else(|| DbErr::RecordNotFound("instance".to_owned()))?
            }
        };
        transaction.commit().await?;
        PublicIds::new(&row.id_key).map_err(|error| DbErr::Custom(error.to_string()))
    }
    .await;
    connection.discard();
    ids.map_err(|error| log_error("reading the key of the public ids", &error))
}
