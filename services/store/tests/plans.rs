//! PostgreSQL's plans of the statements of a batch.

#![cfg(test)]

use std::time::Duration;

use futures_util::future::{join_all, try_join_all};
use mayfly_contracts::message::CreateMessageResponse;
use mayfly_testkit::{TestDatabase, TestStore};
use sea_orm::{ConnectionTrait as _, DatabaseConnection, Statement};

/// Messages that are created and viewed at once, so that a batch has many of them.
const VIEWED: i64 = 256;
/// The rows of a large table.
const ROWS: i64 = 20_000;

/// Creates messages, views them, and returns them.
async fn create_and_view(store: &TestStore) -> Vec<CreateMessageResponse> {
    let messages = try_join_all((0..VIEWED).map(|_| store.create("hello"))).await.unwrap();
    let views = try_join_all(messages.iter().map(|message| store.view(message))).await.unwrap();
    assert!(views.iter().all(|view| view.text() == Some("hello")));
    messages
}

/// Views messages once more.
async fn view_in_vain(store: &TestStore, messages: &[CreateMessageResponse]) {
    let views = join_all(messages.iter().map(|message| store.view(message))).await;
    assert!(views.iter().all(Result::is_err));
}

/// Inserts messages and receipts that stay as they are, but for one each that a sweep deletes.
async fn fill(connection: &DatabaseConnection, rows: i64) {
    let messages = "INSERT INTO messages (verifier, key_id, content_kind, sealed_content, create_time, expire_time) \
         SELECT 'none', 'none', 'text', 'none', 0, CASE WHEN number > 1 THEN 9000000000000000000 ELSE 0 END FROM";
    let receipts = "INSERT INTO receipts \
             (message_id, verifier, key_id, outcome, create_time, outcome_time, purge_time) \
         SELECT -(SELECT count(*) FROM receipts) - number, 'none', 'none', 'viewed', 0, 0, \
             CASE WHEN number > 1 THEN 9000000000000000000 ELSE 0 END FROM";
    for insert in [messages, receipts] {
        let insert = format!("{insert} generate_series(1, {rows}) AS number");
        connection.execute_unprepared(&insert).await.unwrap();
    }
}

/// The number that a query returns.
async fn number(connection: &DatabaseConnection, query: &str) -> i64 {
    let row = connection.query_one_raw(Statement::from_string(connection.get_database_backend(), query)).await;
    row.unwrap().unwrap().try_get_by_index(0).unwrap()
}

/// How many rows and index entries a store reads from large tables, with plans that were made when they were small.
/// PostgreSQL had counted their rows then, or not.
async fn rows_read(counted_rows: Option<i64>) -> i64 {
    let database = TestDatabase::postgres().await.unwrap();
    let store = TestStore::open(database.clone()).await.unwrap();
    let connection = database.connect().await.unwrap();
    let messages = create_and_view(&store).await;
    if let Some(rows) = counted_rows {
        connection.execute_unprepared("TRUNCATE messages, receipts CASCADE").await.unwrap();
        fill(&connection, rows).await;
        connection.execute_unprepared("VACUUM ANALYZE messages").await.unwrap();
        connection.execute_unprepared("VACUUM ANALYZE receipts").await.unwrap();
    }
    for rows in [0, ROWS] {
        fill(&connection, rows).await;
        view_in_vain(&store, &messages).await;
        // The lane has two connections, which plan statements for themselves.
        store.store.sweep().await.unwrap();
        store.store.sweep().await.unwrap();
    }
    create_and_view(&store).await;
    // A session reports what it has read when it ends.
    drop(store);
    let deleted = "SELECT coalesce(sum(n_tup_del), 0)::bigint FROM pg_stat_user_tables WHERE relname = 'messages'";
    let reported = async { while number(&connection, deleted).await < 2 * VIEWED {} };
    tokio::time::timeout(Duration::from_secs(30), reported).await.unwrap();
    let read = "SELECT ((SELECT sum(idx_tup_read) FROM pg_stat_user_indexes WHERE relname IN ('messages', 'receipts')) \
         + (SELECT sum(seq_tup_read) FROM pg_stat_user_tables WHERE relname IN ('messages', 'receipts')))::bigint";
    number(&connection, read).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_that_was_made_for_small_tables_reads_only_the_rows_of_its_batch_on_postgres() {
    for counted_rows in [None, Some(0), Some(30), Some(2000)] {
        let read = rows_read(counted_rows).await;
        assert!(read < ROWS, "{read} rows and index entries were read, with plans for {counted_rows:?} rows");
    }
}
