//! Messages that wait for their reader.

use sea_orm_migration::{
    prelude::*,
    schema::{big_integer, big_integer_null, big_pk_auto, binary, binary_uniq, string_len},
};

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table = Table::create()
            .table(Messages::Table)
            .col(big_pk_auto(Messages::Id))
            .col(binary_uniq(Messages::Verifier))
            .col(string_len(Messages::KeyId, 16))
            .col(binary(Messages::SealedText))
            .col(big_integer(Messages::CreateTime))
            .col(big_integer_null(Messages::ExpireTime))
            .to_owned();
        manager.create_table(table).await?;

        // The sweeper looks for the expired ones.
        let index =
            Index::create().name("messages_expire_time").table(Messages::Table).col(Messages::ExpireTime).to_owned();
        manager.create_index(index).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table(Messages::Table).to_owned()).await
    }
}

#[derive(DeriveIden)]
enum Messages {
    Table,
    Id,
    Verifier,
    KeyId,
    SealedText,
    CreateTime,
    ExpireTime,
}
