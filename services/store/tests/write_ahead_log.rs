//! SQLite's write-ahead log while another program reads the database for long: it cannot be emptied, and the log says
//! so.

#![cfg(test)]

use std::{
    io,
    sync::{Arc, Mutex},
};

use mayfly_testkit::{TestDatabase, TestStore};
use sea_orm::{ConnectionTrait as _, Statement, TransactionTrait as _};

const WARNING: &str = "the write-ahead log grows";

/// What is logged on this thread.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    fn count(&self, words: &str) -> usize {
        String::from_utf8_lossy(&self.0.lock().unwrap()).matches(words).count()
    }
}

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// All of the store runs on the thread of this test, so its lines are caught.
#[tokio::test]
async fn a_log_that_another_program_keeps_from_getting_empty_is_warned_of_and_emptied_afterwards() {
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let database = TestDatabase::sqlite().unwrap();
    let store = TestStore::open(database.clone()).await.unwrap();
    let message = store.create("hello").await.unwrap();

    let reader = database.connect().await.unwrap().begin().await.unwrap();
    let read = Statement::from_string(reader.get_database_backend(), "SELECT COUNT(*) FROM messages");
    reader.query_one_raw(read).await.unwrap();
    let fill = "CREATE TABLE filler (bytes BLOB); INSERT INTO filler VALUES (zeroblob(70000000))";
    database.connect().await.unwrap().execute_unprepared(fill).await.unwrap();
    let log = database.folder().join("mayfly.db-wal");
    let log_bytes = || std::fs::metadata(&log).unwrap().len();
    for _ in 0..3 {
        store.store.sweep().await.unwrap();
    }
    assert!(log_bytes() > 64 << 20);
    assert_eq!(lines.count(WARNING), 1, "once, until it has doubled");
    assert_eq!(store.view(&message).await.unwrap().text(), Some("hello"), "the store goes on");

    reader.rollback().await.unwrap();
    store.store.sweep().await.unwrap();
    assert_eq!(log_bytes(), 0);
    assert_eq!(lines.count(WARNING), 1);
}
