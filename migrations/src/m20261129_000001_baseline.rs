//! The first schema.

use sea_orm_migration::{
    prelude::*,
    schema::{big_integer, big_integer_null, big_pk_auto, binary, binary_null, boolean, integer, string_len},
};

use crate::SchemaChanges;

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in [
            messages(),
            receipts(),
            claims(),
            passphrase_tries(),
            app_configs(),
            sealing_keys(),
            usage(),
            instance(),
            schema_changes(),
        ] {
            manager.create_table(table).await?;
        }
        for index in [
            unique_request_hash("messages_request_hash", Messages::Table, Messages::RequestHash),
            messages_expire_time(),
            unique_request_hash("receipts_request_hash", Receipts::Table, Receipts::RequestHash),
            receipts_purge_time(),
            claims_forfeit_time(),
        ] {
            manager.create_index(index).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // A table with a foreign key before the table that it references.
        drop_table(manager, PassphraseTries::Table).await?;
        drop_table(manager, Messages::Table).await?;
        drop_table(manager, Receipts::Table).await?;
        drop_table(manager, Claims::Table).await?;
        drop_table(manager, AppConfigs::Table).await?;
        drop_table(manager, SealingKeys::Table).await?;
        drop_table(manager, Usage::Table).await?;
        drop_table(manager, Instance::Table).await?;
        drop_table(manager, SchemaChanges::Table).await
    }
}

async fn drop_table(manager: &SchemaManager<'_>, table: impl IntoTableRef) -> Result<(), DbErr> {
    manager.drop_table(Table::drop().table(table).to_owned()).await
}

/// Unread messages.
fn messages() -> TableCreateStatement {
    Table::create()
        .table(Messages::Table)
        .col(big_pk_auto(Messages::Id))
        .col(binary(Messages::Verifier))
        .col(binary_null(Messages::RequestHash))
        .col(binary_null(Messages::ContentTag))
        .col(string_len(Messages::KeyId, 16))
        .col(string_len(Messages::ContentKind, 16))
        .col(binary(Messages::SealedContent))
        .col(binary_null(Messages::PassphraseVerifier))
        .col(big_integer(Messages::CreateTime))
        .col(big_integer_null(Messages::ExpireTime))
        .to_owned()
}

/// Finds the message of a repeated creation. Without entries for creations that cannot be repeated.
///
/// No other index has entries at random positions: rows are found by their ids, and then compared with the verifier. So
/// the cost of a new row does not grow with the table.
fn unique_request_hash(
    name: &'static str,
    table: impl IntoTableRef + 'static,
    request_hash: impl Iden + Copy + 'static,
) -> IndexCreateStatement {
    Index::create()
        .name(name)
        .table(table)
        .col(request_hash)
        .unique()
        .and_where(Expr::col(request_hash).is_not_null())
        .to_owned()
}

/// For the sweep of expired messages.
fn messages_expire_time() -> IndexCreateStatement {
    Index::create().name("messages_expire_time").table(Messages::Table).col(Messages::ExpireTime).to_owned()
}

/// How messages ended.
fn receipts() -> TableCreateStatement {
    Table::create()
        .table(Receipts::Table)
        .col(big_integer(Receipts::MessageId).primary_key())
        .col(binary(Receipts::Verifier))
        .col(binary_null(Receipts::RequestHash))
        .col(binary_null(Receipts::ClaimVerifier))
        .col(string_len(Receipts::KeyId, 16))
        .col(string_len(Receipts::Outcome, 16))
        .col(big_integer(Receipts::CreateTime))
        .col(big_integer_null(Receipts::ExpireTime))
        .col(big_integer(Receipts::OutcomeTime))
        .col(big_integer(Receipts::PurgeTime))
        .to_owned()
}

/// For the sweep of old receipts.
fn receipts_purge_time() -> IndexCreateStatement {
    Index::create().name("receipts_purge_time").table(Receipts::Table).col(Receipts::PurgeTime).to_owned()
}

/// Viewed contents whose readers may repeat the view.
fn claims() -> TableCreateStatement {
    Table::create()
        .table(Claims::Table)
        .col(big_integer(Claims::MessageId).primary_key())
        .col(binary(Claims::ClaimVerifier))
        .col(string_len(Claims::KeyId, 16))
        .col(string_len(Claims::ContentKind, 16))
        .col(binary(Claims::SealedContent))
        .col(big_integer(Claims::CreateTime))
        .col(big_integer(Claims::ForfeitTime))
        .to_owned()
}

/// For the sweep of forfeited claims.
fn claims_forfeit_time() -> IndexCreateStatement {
    Index::create().name("claims_forfeit_time").table(Claims::Table).col(Claims::ForfeitTime).to_owned()
}

/// The tries of passphrases on unread messages, by caller.
fn passphrase_tries() -> TableCreateStatement {
    Table::create()
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
        .to_owned()
}

/// The bot's configuration.
fn app_configs() -> TableCreateStatement {
    Table::create()
        .table(AppConfigs::Table)
        .col(big_pk_auto(AppConfigs::Id))
        .col(string_len(AppConfigs::SessionName, 255))
        .col(big_integer(AppConfigs::ApiId))
        .col(binary(AppConfigs::SealedApiHash))
        .col(boolean(AppConfigs::IsActive))
        .col(boolean(AppConfigs::IsBot))
        .col(binary(AppConfigs::SealedBotToken))
        .col(big_integer(AppConfigs::UpdateTime))
        .to_owned()
}

/// The ids of the keys that sealed this database.
fn sealing_keys() -> TableCreateStatement {
    Table::create()
        .table(SealingKeys::Table)
        .col(string_len(SealingKeys::KeyId, 16).primary_key())
        .col(big_integer(SealingKeys::CreateTime))
        .col(big_integer_null(SealingKeys::RetireTime))
        .to_owned()
}

/// How much is stored for each key, in several rows, so that writers do not wait for each other.
fn usage() -> TableCreateStatement {
    Table::create()
        .table(Usage::Table)
        .col(string_len(Usage::KeyId, 16))
        .col(integer(Usage::Shard))
        .col(big_integer(Usage::Messages))
        .col(big_integer(Usage::Claims))
        .col(big_integer(Usage::Receipts))
        .col(big_integer(Usage::Bytes))
        .primary_key(Index::create().col(Usage::KeyId).col(Usage::Shard))
        .to_owned()
}

/// Properties of the whole database: one row.
fn instance() -> TableCreateStatement {
    Table::create()
        .table(Instance::Table)
        .col(integer(Instance::Id).primary_key())
        .col(binary(Instance::IdKey))
        .to_owned()
}

/// The program versions that migrated the schema, so that an older program can name the last one.
fn schema_changes() -> TableCreateStatement {
    Table::create()
        .table(SchemaChanges::Table)
        .col(big_pk_auto(SchemaChanges::Id))
        .col(string_len(SchemaChanges::ProgramVersion, 64))
        .to_owned()
}

#[derive(Clone, Copy, DeriveIden)]
enum Messages {
    Table,
    Id,
    Verifier,
    RequestHash,
    ContentTag,
    KeyId,
    ContentKind,
    SealedContent,
    PassphraseVerifier,
    CreateTime,
    ExpireTime,
}

#[derive(Clone, Copy, DeriveIden)]
enum Receipts {
    Table,
    MessageId,
    Verifier,
    RequestHash,
    ClaimVerifier,
    KeyId,
    Outcome,
    CreateTime,
    ExpireTime,
    OutcomeTime,
    PurgeTime,
}

#[derive(DeriveIden)]
enum Claims {
    Table,
    MessageId,
    ClaimVerifier,
    KeyId,
    ContentKind,
    SealedContent,
    CreateTime,
    ForfeitTime,
}

#[derive(DeriveIden)]
enum PassphraseTries {
    Table,
    MessageId,
    Caller,
    Tries,
    LastTime,
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

#[derive(DeriveIden)]
enum SealingKeys {
    Table,
    KeyId,
    CreateTime,
    RetireTime,
}

#[derive(DeriveIden)]
enum Usage {
    Table,
    KeyId,
    Shard,
    Messages,
    Claims,
    Receipts,
    Bytes,
}

#[derive(DeriveIden)]
enum Instance {
    Table,
    Id,
    IdKey,
}
