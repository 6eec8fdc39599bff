//! The tries of passphrases on unread messages, by caller. Deleted with the message.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "passphrase_tries")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub message_id: i64,
    /// Identifies a caller of this message, and reveals nothing else.
    #[sea_orm(primary_key, auto_increment = false)]
    pub caller: Vec<u8>,
    /// The number of tries since the last lock ended.
    pub tries: i32,
    /// The time of the last try.
    pub last_time: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
