//! What belongs to a database as a whole: the key of its public ids, made with the first start.

use sea_orm::{ActiveValue::Set, DbErr, EntityTrait as _, sea_query::OnConflict};

use super::{
    database::{Database, WriteConnection},
    entities::instance::{self, THE_ONE},
    failure::report,
};
use crate::{StoreError, domain::PublicIds};

/// The public ids of `database`, whose schema is up to date.
///
/// # Errors
///
/// [`StoreError`] when the database fails, or holds a key that is none.
pub(crate) async fn public_ids(database: &Database) -> Result<PublicIds, StoreError> {
    let mut connection = WriteConnection::new(database.clone());
    let ids = async {
        let transaction = connection.begin().await?;
        let row = match instance::Entity::find_by_id(THE_ONE).one(&transaction).await? {
            Some(row) => row,
            None => {
                let id_key = PublicIds::generate_key().map_err(|error| DbErr::Custom(error.to_string()))?;
                let new = instance::ActiveModel { id: Set(THE_ONE), id_key: Set(id_key.to_vec()) };
                // Another store may be making one as well; the first counts.
                let once = OnConflict::column(instance::Column::Id).do_nothing().to_owned();
                instance::Entity::insert(new).on_conflict(once).exec_without_returning(&transaction).await?;
                let made = instance::Entity::find_by_id(THE_ONE).one(&transaction).await?;
                made.ok_or_else(|| DbErr::RecordNotFound("instance".to_owned()))?
            }
        };
        transaction.commit().await?;
        PublicIds::new(&row.id_key).map_err(|error| DbErr::Custom(error.to_string()))
    }
    .await;
    connection.discard();
    ids.map_err(|error| report("reading the key of the public ids", &error))
}
