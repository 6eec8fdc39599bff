//! How much is stored under each key. A writer adds to the row of its own shard, so that writers do not wait for each
//! other; the sum over all shards counts.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "usage")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub key_id: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub shard: i32,
    pub messages: i64,
    pub claims: i64,
    pub receipts: i64,
    /// What all of them take on the disk, estimated.
    pub bytes: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
