//! Viewed contents whose readers may repeat the view. A row is deleted when the reader acknowledges the view or the
//! grace ends. The message itself was deleted, and has a receipt.

use sea_orm::entity::prelude::*;

use super::{super::lane_connection::from_row, content_kind::ContentKind};

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "claims")]
pub struct Model {
    /// The id of the deleted message.
    #[sea_orm(primary_key, auto_increment = false)]
    pub message_id: i64,
    /// The verifier of access token and view id. See `domain/verifier.rs`.
    pub claim_verifier: Vec<u8>,
    /// The key that sealed the content.
    pub key_id: String,
    /// The kind of the content.
    pub content_kind: ContentKind,
    /// Sealed for the reader: the access token alone does not open it. See `domain/seal.rs`.
    pub sealed_content: Vec<u8>,
    /// When the message was created.
    pub create_time: i64,
    /// When the claim ends.
    pub forfeit_time: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

from_row!(Model { message_id, claim_verifier, key_id, content_kind, sealed_content, create_time, forfeit_time });
