//! Messages that wait for their reader. A row is deleted when its content is handed out, burned or expired.

use sea_orm::entity::prelude::*;

use super::content_kind::ContentKind;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "messages")]
pub struct Model {
    /// Never used twice.
    #[sea_orm(primary_key)]
    pub id: i64,
    /// Recognises the access token. See `domain/verifier.rs`.
    #[sea_orm(unique)]
    pub verifier: Vec<u8>,
    /// Recognises the request id. Null: the creation cannot be repeated.
    #[sea_orm(unique)]
    pub request_hash: Option<Vec<u8>>,
    /// Tells a repeated creation from another one with the same request id. Null if `request_hash` is.
    pub content_tag: Option<Vec<u8>>,
    /// Names the key of the keyring that the message is sealed with, and that its token comes from if it has a request
    /// id.
    pub key_id: String,
    /// What comes out when `sealed_content` is opened.
    pub content_kind: ContentKind,
    /// See `domain/seal.rs`.
    pub sealed_content: Vec<u8>,
    /// Recognises the stretched passphrase. Null: the token suffices.
    pub passphrase_verifier: Option<Vec<u8>>,
    pub create_time: i64,
    /// Null: never.
    pub expire_time: Option<i64>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
