//! Which keys of the keyring this database was sealed with. Their names only.

use sea_orm_migration::{
    prelude::*,
    schema::{big_integer, string_len},
};

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table = Table::create()
            .table(SealingKeys::Table)
            .col(string_len(SealingKeys::KeyId, 16).primary_key())
            .col(big_integer(SealingKeys::CreateTime))
            .to_owned();
        manager.create_table(table).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table(SealingKeys::Table).to_owned()).await
    }
}

#[derive(DeriveIden)]
enum SealingKeys {
    Table,
    KeyId,
    CreateTime,
}
