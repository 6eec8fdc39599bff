//! Messages that take a passphrase, and who tried how often.

use sea_orm_migration::{
    prelude::*,
    schema::{big_integer, binary, binary_null, integer},
};

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // SQLite adds one column at a time.
        for column in [Messages::PassphraseSalt, Messages::PassphraseVerifier] {
            let add = Table::alter().table(Messages::Table).add_column(binary_null(column)).to_owned();
            manager.alter_table(add).await?;
        }
        let tries = Table::create()
            .table(PassphraseTries::Table)
            .col(big_integer(PassphraseTries::MessageId))
            .col(binary(PassphraseTries::Caller))
            .col(integer(PassphraseTries::Tries))
            .col(big_integer(PassphraseTries::LastTime))
            .primary_key(Index::create().col(PassphraseTries::MessageId).col(PassphraseTries::Caller))
            .foreign_key(
                ForeignKey::create()
                    .from(PassphraseTries::Table, PassphraseTries::MessageId)
                    .to(Messages::Table, Messages::Id)
                    .on_delete(ForeignKeyAction::Cascade),
            )
            .to_owned();
        manager.create_table(tries).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table(PassphraseTries::Table).to_owned()).await?;
        for column in [Messages::PassphraseVerifier, Messages::PassphraseSalt] {
            manager.alter_table(Table::alter().table(Messages::Table).drop_column(column).to_owned()).await?;
        }
        Ok(())
    }
}

#[derive(DeriveIden)]
enum Messages {
    Table,
    Id,
    PassphraseSalt,
    PassphraseVerifier,
}

#[derive(DeriveIden)]
enum PassphraseTries {
    Table,
    MessageId,
    Caller,
    Tries,
    LastTime,
}
