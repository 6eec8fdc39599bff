//! Which version of the program changed the schema, so that an older one can name it.

use sea_orm_migration::{
    prelude::*,
    schema::{big_pk_auto, string_len},
};

use crate::SchemaChanges;

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table = Table::create()
            .table(SchemaChanges::Table)
            .col(big_pk_auto(SchemaChanges::Id))
            .col(string_len(SchemaChanges::ProgramVersion, 64))
            .to_owned();
        manager.create_table(table).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table(SchemaChanges::Table).to_owned()).await
    }
}
