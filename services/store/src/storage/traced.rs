//! Spans of statements: the name of an operation and its table, and never a parameter.

use std::future::Future;

use mayfly_bootstrap::trace::{Attributes, Span, SpanKind, within};
use sea_orm::{DbBackend, DbErr};

/// Runs a statement, such as `DELETE` on `messages`, within a span of its own if the current span is recorded.
pub(super) async fn traced<T>(
    backend: DbBackend,
    operation: &'static str,
    table: &'static str,
    running: impl Future<Output = Result<T, DbErr>>,
) -> Result<T, DbErr> {
    let attributes =
        [("db.system.name", system(backend)), ("db.operation.name", operation), ("db.collection.name", table)];
    in_span(|| format!("{operation} {table}"), &attributes, running).await
}

/// Commits a transaction, within a span.
pub(super) async fn traced_commit(
    backend: DbBackend,
    committing: impl Future<Output = Result<(), DbErr>>,
) -> Result<(), DbErr> {
    let attributes = [("db.system.name", system(backend)), ("db.operation.name", "COMMIT")];
    in_span(|| "COMMIT".to_owned(), &attributes, committing).await
}

async fn in_span<T>(
    name: impl FnOnce() -> String,
    attributes: Attributes<'_>,
    running: impl Future<Output = Result<T, DbErr>>,
) -> Result<T, DbErr> {
    let span = Span::child(SpanKind::Client, name, attributes);
    let done = within(span.as_ref(), running).await;
    if let (Some(span), Err(_)) = (&span, &done) {
        span.fail("database");
    }
    done
}

/// The name of a database by the conventions of OpenTelemetry.
fn system(backend: DbBackend) -> &'static str {
    if backend == DbBackend::Postgres { "postgresql" } else { "sqlite" }
}
