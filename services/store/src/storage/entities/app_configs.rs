//! App configs, with sealed secrets.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "app_configs")]
pub struct Model {
    /// Never reused.
    #[sea_orm(primary_key)]
    pub id: i64,
    pub session_name: String,
    pub api_id: i64,
    /// See `domain/seal.rs`.
    pub sealed_api_hash: Vec<u8>,
    pub is_active: bool,
    pub is_bot: bool,
    /// See `domain/seal.rs`.
    pub sealed_bot_token: Vec<u8>,
    pub update_time: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
