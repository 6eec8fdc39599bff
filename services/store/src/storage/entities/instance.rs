//! Properties of the whole database: one row.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "instance")]
pub struct Model {
    /// Always [`SINGLE_ROW`].
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i32,
    /// See `domain/public_id.rs`.
    pub id_key: Vec<u8>,
}

/// The id of the only row.
pub(crate) const SINGLE_ROW: i32 = 1;

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
