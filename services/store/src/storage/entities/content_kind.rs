//! The kind of a content: a column of messages and claims.

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ValueRef};
use sea_orm::entity::prelude::*;

use crate::domain;

#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "String(StringLen::N(16))", rename_all = "snake_case")]
pub enum ContentKind {
    Text,
    /// The creator encrypted it before the store sealed it.
    Sealed,
}

impl FromSql for ContentKind {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        read_enum(value)
    }
}

/// Reads a word of an enumeration from SQLite.
pub(super) fn read_enum<E: ActiveEnum<Value = String>>(value: ValueRef<'_>) -> FromSqlResult<E> {
    E::try_from_value(&value.as_str()?.to_owned()).map_err(FromSqlError::other)
}

impl From<domain::ContentKind> for ContentKind {
    fn from(kind: domain::ContentKind) -> Self {
        match kind {
            domain::ContentKind::Text => Self::Text,
            domain::ContentKind::Sealed => Self::Sealed,
        }
    }
}

impl From<ContentKind> for domain::ContentKind {
    fn from(kind: ContentKind) -> Self {
        match kind {
            ContentKind::Text => Self::Text,
            ContentKind::Sealed => Self::Sealed,
        }
    }
}
