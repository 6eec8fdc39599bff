//! Unread messages. A row is deleted when its message is viewed, burned or expired.

use sea_orm::entity::prelude::*;

use super::{super::lane_connection::from_row, content_kind::ContentKind};

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "messages")]
pub struct Model {
    /// Never reused.
    #[sea_orm(primary_key)]
    pub id: i64,
    /// The verifier of the access token. See `domain/verifier.rs`.
    pub verifier: Vec<u8>,
    /// The verifier of the request id. Null: the creation cannot be repeated.
    pub request_hash: Option<Vec<u8>>,
    /// Distinguishes a repeated creation from another one with the same request id. Null if `request_hash` is null.
    pub content_tag: Option<Vec<u8>>,
    /// The key that sealed the message, and from which the token of a repeatable creation is derived.
    pub key_id: String,
    /// The kind of the content.
    pub content_kind: ContentKind,
    /// See `domain/seal.rs`.
    pub sealed_content: Vec<u8>,
    /// The verifier of the stretched passphrase. Null: no passphrase is required.
    pub passphrase_verifier: Option<Vec<u8>>,
    pub create_time: i64,
    /// Null: never.
    pub expire_time: Option<i64>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

from_row!(Model {
    id,
    verifier,
    request_hash,
    content_tag,
    key_id,
    content_kind,
    sealed_content,
    passphrase_verifier,
    create_time,
    expire_time,
});
