//! How messages ended. Contains neither a content nor anything that confirms a guess of one. Purged after the
//! retention.

use sea_orm::entity::prelude::*;

use crate::domain::{self, Receipt, Timestamp};

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "receipts")]
pub struct Model {
    /// The id that the message had.
    #[sea_orm(primary_key, auto_increment = false)]
    pub message_id: i64,
    /// Recognises the access token, as with the message.
    #[sea_orm(unique)]
    pub verifier: Vec<u8>,
    /// Recognises the request id, as with the message. Null as well when the key of the token was retired.
    #[sea_orm(unique)]
    pub request_hash: Option<Vec<u8>>,
    /// Recognises the reader. Null: it gave no view id, or there was no reader.
    pub claim_verifier: Option<Vec<u8>>,
    /// Names the key of the keyring that the token comes from if the message had a request id.
    pub key_id: String,
    pub outcome: Outcome,
    /// When the message was stored.
    pub create_time: i64,
    /// When the message would have expired, or did. Null: never.
    pub expire_time: Option<i64>,
    /// When it ended.
    pub outcome_time: i64,
    /// When this receipt is purged.
    pub purge_time: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "String(StringLen::N(16))", rename_all = "snake_case")]
pub enum Outcome {
    Viewed,
    Burned,
    Expired,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl From<&Model> for Receipt {
    fn from(receipt: &Model) -> Self {
        let outcome = match receipt.outcome {
            Outcome::Viewed => domain::Outcome::Viewed,
            Outcome::Burned => domain::Outcome::Burned,
            Outcome::Expired => domain::Outcome::Expired,
        };
        Self { outcome, time: Timestamp::from_micros(receipt.outcome_time) }
    }
}
