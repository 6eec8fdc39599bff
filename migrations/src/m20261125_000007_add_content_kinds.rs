//! Messages whose text was encrypted by its creator.

use sea_orm_migration::{
    prelude::*,
    schema::string_len,
    sea_orm::sea_query::{ColumnDef, IntoIden},
};

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let messages = Table::alter().table(Messages::Table).add_column(kind(Messages::ContentKind)).to_owned();
        manager.alter_table(messages).await?;
        let claims = Table::alter().table(Claims::Table).add_column(kind(Claims::ContentKind)).to_owned();
        manager.alter_table(claims).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let claims = Table::alter().table(Claims::Table).drop_column(Claims::ContentKind).to_owned();
        manager.alter_table(claims).await?;
        let messages = Table::alter().table(Messages::Table).drop_column(Messages::ContentKind).to_owned();
        manager.alter_table(messages).await
    }
}

/// What stores that do not know of kinds write is a text.
fn kind(column: impl IntoIden) -> ColumnDef {
    string_len(column, 16).default("text").to_owned()
}

#[derive(DeriveIden)]
enum Messages {
    Table,
    ContentKind,
}

#[derive(DeriveIden)]
enum Claims {
    Table,
    ContentKind,
}
