//! Messages that wait for their reader. A row is deleted when its text is handed out, burned or expired.

use sea_orm::entity::prelude::*;

use super::content_kind::ContentKind;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "messages")]
pub struct Model {
    /// Never used twice.
    #[sea_orm(primary_key)]
    pub id: i64,
    /// Derived from the access token and the key; says whether a token fits, and opens nothing.
    #[sea_orm(unique)]
    pub verifier: Vec<u8>,
    /// Names the key of the keyring.
    pub key_id: String,
    /// See `domain/seal.rs`.
    pub sealed_text: Vec<u8>,
    pub create_time: i64,
    /// Null: never.
    pub expire_time: Option<i64>,
    /// Null, as the next one: the token suffices.
    pub passphrase_salt: Option<Vec<u8>>,
    /// Derived from token, key and passphrase; says whether a passphrase fits, and opens nothing.
    pub passphrase_verifier: Option<Vec<u8>>,
    /// What comes out when `sealed_text` is opened.
    pub content_kind: ContentKind,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
