//! Adds the API tokens.

use sea_orm_migration::{
    prelude::*,
    schema::{big_integer, big_integer_null, big_pk_auto, binary, string_len},
};

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_table(api_tokens()).await?;
        manager.create_index(unique_verifier()).await?;
        manager.create_index(unique_name()).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table(ApiTokens::Table).to_owned()).await
    }
}

/// The tokens of callers, without their secrets.
fn api_tokens() -> TableCreateStatement {
    Table::create()
        .table(ApiTokens::Table)
        .col(big_pk_auto(ApiTokens::Id))
        .col(string_len(ApiTokens::Name, 64))
        .col(binary(ApiTokens::Verifier))
        .col(string_len(ApiTokens::Scopes, 255))
        .col(big_integer(ApiTokens::CreateTime))
        .col(big_integer_null(ApiTokens::ExpireTime))
        .col(big_integer_null(ApiTokens::LastUseTime))
        .col(big_integer_null(ApiTokens::RevokeTime))
        .to_owned()
}

/// Finds the token of a call.
fn unique_verifier() -> IndexCreateStatement {
    Index::create().name("api_tokens_verifier").table(ApiTokens::Table).col(ApiTokens::Verifier).unique().to_owned()
}

/// The name of a revoked token can be used again.
fn unique_name() -> IndexCreateStatement {
    Index::create()
        .name("api_tokens_name")
        .table(ApiTokens::Table)
        .col(ApiTokens::Name)
        .unique()
        .and_where(Expr::col(ApiTokens::RevokeTime).is_null())
        .to_owned()
}

#[derive(DeriveIden)]
enum ApiTokens {
    Table,
    Id,
    Name,
    Verifier,
    Scopes,
    CreateTime,
    ExpireTime,
    LastUseTime,
    RevokeTime,
}
