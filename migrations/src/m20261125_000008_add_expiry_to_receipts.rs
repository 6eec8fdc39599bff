//! Receipts that know when their message would have expired, for creators who repeat themselves.

use sea_orm_migration::{prelude::*, schema::big_integer_null};

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let receipts =
            Table::alter().table(Receipts::Table).add_column(big_integer_null(Receipts::ExpireTime)).to_owned();
        manager.alter_table(receipts).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let receipts = Table::alter().table(Receipts::Table).drop_column(Receipts::ExpireTime).to_owned();
        manager.alter_table(receipts).await
    }
}

#[derive(DeriveIden)]
enum Receipts {
    Table,
    ExpireTime,
}
