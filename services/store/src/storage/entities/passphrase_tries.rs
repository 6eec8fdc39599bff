//! Who tried passphrases on an unread message, and how often. A row goes with its message.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "passphrase_tries")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub message_id: i64,
    /// Tells callers of this message apart, and nothing else about them.
    #[sea_orm(primary_key, auto_increment = false)]
    pub caller: Vec<u8>,
    /// How often, since the last lock ended.
    pub tries: i32,
    /// When the last one was.
    pub last_time: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
