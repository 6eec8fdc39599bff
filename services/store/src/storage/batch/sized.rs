//! Deleted rows as the usage needs them: under which key they were, and how long their sealed content was. The content itself
//! does not come back.

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

/// The length of a column of bytes. Both databases know it without reading the bytes.
pub(super) fn length(column: impl Iden + Copy + 'static) -> SimpleExpr {
    Func::cust("length").arg(Expr::col(column)).into()
}

/// What [`returning`] asked for.
pub(super) fn read(row: &QueryResult) -> Result<(String, usize), DbErr> {
    let (key_id, length) = <(String, i32)>::try_get_many_by_index(row)?;
    Ok((key_id, usize::try_from(length).unwrap_or_default()))
}
