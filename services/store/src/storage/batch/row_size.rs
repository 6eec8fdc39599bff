//! The sizes of rows with a sealed content, which are determined without reading the content.

use sea_orm::sea_query::{Expr, Query, ReturningClause, SimpleExpr};

use super::super::lane_connection::from_row;

/// The bytes of the sealed content, as 64 bits on both databases.
const SEALED_BYTES: &str = "CAST(length(sealed_content) AS bigint)";

/// The key and the size of a deleted row, for the usage.
pub(super) struct DeletedRow {
    pub(super) key_id: String,
    sealed_bytes: i64,
}

from_row!(DeletedRow { key_id, sealed_bytes });

impl DeletedRow {
    /// Its columns.
    pub(super) fn columns() -> String {
        format!("key_id, {SEALED_BYTES} AS sealed_bytes")
    }

    /// The RETURNING clause of a DELETE.
    pub(super) fn returning() -> ReturningClause {
        Query::returning().expr(Expr::cust(Self::columns()))
    }

    pub(super) fn sealed_bytes(&self) -> usize {
        usize::try_from(self.sealed_bytes).unwrap_or_default()
    }
}

/// The bytes of the sealed content of a row.
pub(super) fn sealed_bytes() -> SimpleExpr {
    Expr::cust(SEALED_BYTES)
}
