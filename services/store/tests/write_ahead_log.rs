//! SQLite's write-ahead log while another program reads the database: it cannot be emptied, which is logged.

#![cfg(test)]

use std::{
    io,
    sync::{Arc, Mutex},
};

use mayfly_testkit::{TestDatabase, TestStore};
use sea_orm::{ConnectionTrait as _, Statement, TransactionTrait as _};

const WARNING: &str = "the write-ahead log grows";

/// The log lines of all threads.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    fn count(&self, text: &str) -> usize {
        String::from_utf8_lossy(&self.0.lock().unwrap()).matches(text).count()
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

#[tokio::test]
async fn a_write_ahead_log_that_another_program_uses_is_logged_and_emptied_afterwards() {
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).finish();
    // The only test of this program, so it captures the lines of the write lane's thread too.
    tracing::subscriber::set_global_default(subscriber).unwrap();
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
    assert_eq!(lines.count(WARNING), 1, "once, until it doubles");
    assert_eq!(store.view(&message).await.unwrap().text(), Some("hello"), "the store works");

    reader.rollback().await.unwrap();
    store.store.sweep().await.unwrap();
    assert_eq!(log_bytes(), 0);
    assert_eq!(lines.count(WARNING), 1);
}
