//! The key and the content length of deleted rows, for the usage. Does not return the content.

use sea_orm::{
    DbErr, Iden, QueryResult, TryGetableMany as _,
    sea_query::{Expr, Func, Query, ReturningClause, SimpleExpr},
};

/// The RETURNING clause of a DELETE.
pub(super) fn returning(
    key_id: impl Iden + Copy + 'static,
    sealed_content: impl Iden + Copy + 'static,
) -> ReturningClause {
    Query::returning().exprs([Expr::col(key_id), length(sealed_content)])
}

/// The length of a binary column, which both databases determine without reading the bytes.
pub(super) fn length(column: impl Iden + Copy + 'static) -> SimpleExpr {
    Func::cust("length").arg(Expr::col(column)).into()
}

/// Reads the columns of [`returning`].
pub(super) fn read(row: &QueryResult) -> Result<(String, usize), DbErr> {
    let (key_id, length) = <(String, i32)>::try_get_many_by_index(row)?;
    Ok((key_id, usize::try_from(length).unwrap_or_default()))
}
