//! Tests of the PostgreSQL server for one test.

#![cfg(test)]

use mayfly_testkit::{PostgresServer, SmallDisk};
use rustix::process::Signal;
use sea_orm::ConnectionTrait as _;

#[tokio::test]
async fn a_server_is_stopped_backed_up_and_restored_on_postgres_as_root() {
    let disk = SmallDisk::mount("64m").unwrap();
    let server = PostgresServer::start_with_wal_in(Some(disk.path())).unwrap();
    let database = server.database().await.unwrap();
    let connection = database.connect().await.unwrap();
    connection
        .execute_unprepared("CREATE TABLE marks (mark text); INSERT INTO marks VALUES ('mark-one')")
        .await
        .unwrap();
    assert!(String::from_utf8(server.dump().unwrap()).unwrap().contains("mark-one"));
    let backup = server.folder().join("backup");
    server.back_up(&backup).unwrap();
    connection.execute_unprepared("DELETE FROM marks").await.unwrap();
    assert!(server.process_ids().unwrap().len() > 3 && server.is_running());

    let restored = PostgresServer::restore(&backup).unwrap();
    assert!(String::from_utf8(restored.dump().unwrap()).unwrap().contains("mark-one"));
    server.signal(Signal::KILL).unwrap();
}
