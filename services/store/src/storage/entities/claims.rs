//! Contents that were handed to their one reader, who may ask for them again. A row is deleted when the reader
//! acknowledges the view or the grace ends; the message itself is gone already, and has its receipt.

use sea_orm::entity::prelude::*;

use super::content_kind::ContentKind;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "claims")]
pub struct Model {
    /// The id that the message had.
    #[sea_orm(primary_key, auto_increment = false)]
    pub message_id: i64,
    /// Recognises access token and view id together. See `domain/verifier.rs`.
    #[sea_orm(unique)]
    pub claim_verifier: Vec<u8>,
    /// Names the key of the keyring.
    pub key_id: String,
    /// The kind that the message had.
    pub content_kind: ContentKind,
    /// Sealed anew for the reader: the access token alone opens it no longer. See `domain/seal.rs`.
    pub sealed_content: Vec<u8>,
    /// When the message was stored.
    pub create_time: i64,
    /// When the reader's time to ask again is over.
    pub forfeit_time: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
