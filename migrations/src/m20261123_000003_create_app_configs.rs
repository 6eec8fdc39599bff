//! The bot's configuration.

use sea_orm_migration::{
    prelude::*,
    schema::{big_integer, big_pk_auto, binary, boolean, string_len},
};

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table = Table::create()
            .table(AppConfigs::Table)
            .col(big_pk_auto(AppConfigs::Id))
            .col(string_len(AppConfigs::SessionName, 255))
            .col(big_integer(AppConfigs::ApiId))
            .col(binary(AppConfigs::SealedApiHash))
            .col(boolean(AppConfigs::IsActive))
            .col(boolean(AppConfigs::IsBot))
            .col(binary(AppConfigs::SealedBotToken))
            .col(big_integer(AppConfigs::UpdateTime))
            .to_owned();
        manager.create_table(table).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table(AppConfigs::Table).to_owned()).await
    }
}

#[derive(DeriveIden)]
enum AppConfigs {
    Table,
    Id,
    SessionName,
    ApiId,
    SealedApiHash,
    IsActive,
    IsBot,
    SealedBotToken,
    UpdateTime,
}
