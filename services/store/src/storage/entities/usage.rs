//! How much is stored for each key. A writer updates the row of its shard, so that writers do not wait for each other.
//! The usage is the sum of all shards.

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
    /// The estimated bytes on the disk.
    pub bytes: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
