//! Texts that were handed to a reader who may still ask for them again.

use sea_orm_migration::{
    prelude::*,
    schema::{big_integer, binary, binary_null, binary_uniq, string_len},
};

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table = Table::create()
            .table(Claims::Table)
            .col(big_integer(Claims::MessageId).primary_key())
            .col(binary_uniq(Claims::ClaimVerifier))
            .col(string_len(Claims::KeyId, 16))
            .col(binary(Claims::SealedText))
            .col(big_integer(Claims::CreateTime))
            .col(big_integer(Claims::ForfeitTime))
            .to_owned();
        manager.create_table(table).await?;

        // The sweeper looks for the forfeited ones.
        let index =
            Index::create().name("claims_forfeit_time").table(Claims::Table).col(Claims::ForfeitTime).to_owned();
        manager.create_index(index).await?;

        let receipts =
            Table::alter().table(Receipts::Table).add_column(binary_null(Receipts::ClaimVerifier)).to_owned();
        manager.alter_table(receipts).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let receipts = Table::alter().table(Receipts::Table).drop_column(Receipts::ClaimVerifier).to_owned();
        manager.alter_table(receipts).await?;
        manager.drop_table(Table::drop().table(Claims::Table).to_owned()).await
    }
}

#[derive(DeriveIden)]
enum Claims {
    Table,
    MessageId,
    ClaimVerifier,
    KeyId,
    SealedText,
    CreateTime,
    ForfeitTime,
}

#[derive(DeriveIden)]
enum Receipts {
    Table,
    ClaimVerifier,
}
