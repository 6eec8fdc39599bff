//! What became of messages that are gone.

use sea_orm_migration::{
    prelude::*,
    schema::{big_integer, binary_uniq, string_len},
};

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table = Table::create()
            .table(Receipts::Table)
            .col(big_integer(Receipts::MessageId).primary_key())
            .col(binary_uniq(Receipts::Verifier))
            .col(string_len(Receipts::Outcome, 16))
            .col(big_integer(Receipts::CreateTime))
            .col(big_integer(Receipts::OutcomeTime))
            .col(big_integer(Receipts::PurgeTime))
            .to_owned();
        manager.create_table(table).await?;

        // The sweeper looks for the old ones.
        let index =
            Index::create().name("receipts_purge_time").table(Receipts::Table).col(Receipts::PurgeTime).to_owned();
        manager.create_index(index).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table(Receipts::Table).to_owned()).await
    }
}

#[derive(DeriveIden)]
enum Receipts {
    Table,
    MessageId,
    Verifier,
    Outcome,
    CreateTime,
    OutcomeTime,
    PurgeTime,
}
