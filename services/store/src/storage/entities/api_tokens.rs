//! The API tokens of callers.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "api_tokens")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    /// Unique among the tokens that are not revoked.
    pub name: String,
    /// See `domain/verifier.rs`.
    #[sea_orm(unique)]
    pub verifier: Vec<u8>,
    /// The names of the scopes, separated by commas.
    pub scopes: String,
    pub create_time: i64,
    /// Null: it does not expire.
    pub expire_time: Option<i64>,
    /// The beginning of the day of the last use. Null: never used.
    pub last_use_time: Option<i64>,
    /// Null: it is not revoked.
    pub revoke_time: Option<i64>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
