//! [`Rows`]: the rows of a batch as parameters of one statement.
//!
//! Rows are padded to a power of two, so a connection prepares few statements and uses them again. A statement with as
//! many parameters as the batch needs would be parsed and planned for almost every batch.

use sea_orm::{DbBackend, Statement, Value};

use crate::domain::Verifier;

/// Rows of `WIDTH` columns.
pub(super) struct Rows<const WIDTH: usize> {
    columns: [&'static str; WIDTH],
    values: Vec<Value>,
}

impl<const WIDTH: usize> Rows<WIDTH> {
    /// Rows with these columns. The first column must not be null: it distinguishes rows from the padding.
    pub(super) fn new(columns: [&'static str; WIDTH], rows: impl IntoIterator<Item = [Value; WIDTH]>) -> Self {
        Self { columns, values: rows.into_iter().flatten().collect() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The statement `sql`, which reads these rows as the table `input`, and may read the parameter as
    /// `(SELECT value FROM parameter)`.
    pub(super) fn statement(self, backend: DbBackend, sql: &str, parameter: Option<Value>) -> Statement {
        let Self { columns, mut values } = self;
        // The padding has the types of the first row.
        let nulls: Vec<_> = values.iter().take(WIDTH).map(Value::as_null).collect();
        let length = (values.len() / WIDTH).next_power_of_two();
        values.extend(nulls.into_iter().cycle().take(length * WIDTH - values.len()));
        let mut number = 0;
        let mut placeholder = |text: &mut String| {
            number += 1;
            match backend {
                DbBackend::Postgres => text.push_str(&format!("${number}")),
                // SQLite finds a parameter without a number faster.
                _ => text.push('?'),
            }
        };
        let mut text = String::from("WITH ");
        if parameter.is_some() {
            text.push_str("parameter (value) AS (SELECT ");
            placeholder(&mut text);
            text.push_str("), ");
        }
        // Otherwise SQLite copies the condition and the statement into each row, and needs 100 MiB to parse 256 of them.
        text.push_str(&format!("input ({}) AS MATERIALIZED (SELECT * FROM (VALUES ", columns.join(", ")));
        for row in 0..length {
            for column in 0..WIDTH {
                text.push_str(match (row, column) {
                    (0, 0) => "(",
                    (_, 0) => "), (",
                    _ => ", ",
                });
                placeholder(&mut text);
            }
        }
        text.push_str(&format!(")) AS padded WHERE column1 IS NOT NULL) {sql}"));
        Statement::from_sql_and_values(backend, text, parameter.into_iter().chain(values))
    }
}

/// The condition that `column`, which has an index, has one of the values that `select` returns.
///
/// PostgreSQL plans a join by the sizes that it believes tables to have. A table that was empty a while ago would be read
/// as a whole, but the values of an array are always found in the index.
pub(super) fn is_one_of(backend: DbBackend, column: &str, select: &str) -> String {
    if backend == DbBackend::Postgres {
        format!("{column} = ANY (ARRAY({select}))")
    } else {
        format!("{column} IN ({select})")
    }
}

/// A verifier as a value.
pub(super) fn verifier(verifier: Verifier) -> Value {
    Value::Bytes(Some(verifier.to_column()))
}

/// A verifier, or null.
pub(super) fn optional_verifier(verifier: Option<Verifier>) -> Value {
    Value::Bytes(verifier.map(Verifier::to_column))
}

#[cfg(test)]
mod tests {
    use mayfly_testkit::on_each_database;
    use sea_orm::ConnectionTrait as _;

    use super::*;

    const COLUMNS: [&str; 4] = ["number", "bytes", "word", "is_even"];

    fn rows(length: i64) -> Rows<4> {
        let row = |number: i64| {
            let bytes = (number > 1).then(|| number.to_be_bytes().to_vec());
            [number.into(), Value::Bytes(bytes), format!("{number}").into(), (number % 2 == 0).into()]
        };
        Rows::new(COLUMNS, (1..=length).map(row))
    }

    on_each_database! {
        async fn rows_are_read_without_their_padding(database: TestDatabase) {
            let connection = database.connect().await.unwrap();
            let backend = connection.get_database_backend();
            for length in [1, 2, 3, 5, 256, 300] {
                let sql = "SELECT count(*), sum(length(bytes)), min(word), count(CASE WHEN is_even THEN 1 END) \
                     FROM input WHERE number > (SELECT value FROM parameter)";
                let row = connection.query_one_raw(rows(length).statement(backend, sql, Some(0_i64.into())));
                let row = row.await.unwrap().unwrap();
                assert_eq!(row.try_get_by_index::<i64>(0).unwrap(), length);
                let bytes: Option<i64> = row.try_get_by_index(1).unwrap();
                assert_eq!(bytes.unwrap_or_default(), (length - 1) * 8);
                assert_eq!(row.try_get_by_index::<String>(2).unwrap(), "1");
                assert_eq!(row.try_get_by_index::<i64>(3).unwrap(), length / 2);
            }
        }
    }

    #[test]
    fn the_text_of_a_statement_depends_on_the_next_power_of_two_only() {
        let text = |length| rows(length).statement(DbBackend::Sqlite, "SELECT * FROM input", None).sql;
        assert_eq!(text(5), text(8));
        assert_ne!(text(8), text(9));
    }

    #[tokio::test]
    async fn sqlite_reads_the_parameters_once_however_often_a_statement_reads_the_rows() {
        let connection = sea_orm::Database::connect("sqlite::memory:").await.unwrap();
        let sql = "SELECT number FROM input WHERE word IN (SELECT word FROM input)";
        let mut plan = rows(256).statement(DbBackend::Sqlite, sql, None);
        plan.sql.insert_str(0, "EXPLAIN QUERY PLAN ");
        let steps = connection.query_all_raw(plan).await.unwrap();
        let steps: Vec<String> = steps.iter().map(|step| step.try_get_by_index(3).unwrap()).collect();
        let scans = steps.iter().filter(|step| step.contains("CONSTANT ROWS")).count();
        assert_eq!(scans, 1, "{steps:?}");
    }
}
