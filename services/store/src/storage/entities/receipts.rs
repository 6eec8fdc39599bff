//! What became of messages that are gone. Never any content; purged after the retention.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "receipts")]
pub struct Model {
    /// The id that the message had.
    #[sea_orm(primary_key, auto_increment = false)]
    pub message_id: i64,
    /// The verifier that the message had.
    #[sea_orm(unique)]
    pub verifier: Vec<u8>,
    pub outcome: Outcome,
    /// When the message was stored.
    pub create_time: i64,
    /// When it ended.
    pub outcome_time: i64,
    /// When this receipt is purged.
    pub purge_time: i64,
    /// Derived from the access token, the key and the reader's view id; tells that reader from others. Null: it had none.
    pub claim_verifier: Option<Vec<u8>>,
    /// When the message would have expired, or did. Null: never, or the receipt is older than this column.
    pub expire_time: Option<i64>,
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
