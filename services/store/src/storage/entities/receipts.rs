//! How messages ended. Contains neither a content nor anything that confirms a guess of one. Purged after the
//! retention.

use rusqlite::types::{FromSql, FromSqlResult, ValueRef};
use sea_orm::entity::prelude::*;

use super::{super::lane_connection::from_row, content_kind::read_enum};
use crate::domain::{self, Receipt, Timestamp};

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "receipts")]
pub struct Model {
    /// The id of the ended message.
    #[sea_orm(primary_key, auto_increment = false)]
    pub message_id: i64,
    /// The verifier of the access token, as in the message.
    pub verifier: Vec<u8>,
    /// The verifier of the request id, as in the message. Null also when the key of the token was retired.
    pub request_hash: Option<Vec<u8>>,
    /// The verifier of the reader's claim. Null: the reader sent no view id, or there was no reader.
    pub claim_verifier: Option<Vec<u8>>,
    /// The key from which the token of a repeatable creation is derived.
    pub key_id: String,
    pub outcome: Outcome,
    /// When the message was created.
    pub create_time: i64,
    /// When the message would expire, or did. Null: never.
    pub expire_time: Option<i64>,
    /// When the message ended.
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

from_row!(Model {
    message_id,
    verifier,
    request_hash,
    claim_verifier,
    key_id,
    outcome,
    create_time,
    expire_time,
    outcome_time,
    purge_time,
});

impl FromSql for Outcome {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        read_enum(value)
    }
}

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
