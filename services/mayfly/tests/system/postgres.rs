//! PostgreSQL setups: roles with few privileges, other encodings, connection poolers, and no server.

use std::time::Duration;

use mayfly_testkit::{PgBouncer, TestDatabase};
use sea_orm::{ConnectionTrait as _, DbBackend, Statement};

use crate::harness::{CommandOutput, Layout, Options, System, free_port, run, wait_until};

/// Contains the statements that grant the privileges of a service role.
const OPERATIONS: &str = include_str!("../../../../docs/operations.md");

/// The URL of a role with the documented privileges, on a schema that the owner created.
async fn service_role(database: &TestDatabase) -> String {
    let output = migrate(database, database.url()).await;
    assert_eq!(output.code, 0, "{}", output.err);
    let role = format!("{}_service", database.url().rsplit('/').next().unwrap());
    let (_, statements) = OPERATIONS.split_once("```sql\n").unwrap();
    let (statements, _) = statements.split_once("```").unwrap();
    let owner = database.connect().await.unwrap();
    owner.execute_unprepared(&statements.replace("mayfly_service", &role)).await.unwrap();
    database.url().replace("mayfly@", &format!("{role}@"))
}

async fn migrate(database: &TestDatabase, url: &str) -> CommandOutput {
    start(&["migrate"], database, url).await
}

/// Runs a command that is expected to end.
async fn start(command: &[&str], database: &TestDatabase, url: &str) -> CommandOutput {
    let data = database.folder().join("data").display().to_string();
    let listen = format!("--store-listen=127.0.0.1:{}", free_port());
    let listen: &[&str] = if command == ["store"] { &[&listen] } else { &[] };
    run(&[command, &["--database-url", url, "--data-dir", &data], listen].concat()).await
}

/// Creates, views, configures, and retires a key.
async fn use_everything(system: &System, url: &str) {
    let data = system.data.display().to_string();
    let message_ref = system.client(&["new", "hello"]).await.out;
    assert_eq!(system.client(&["view", message_ref.trim()]).await.out.trim_end(), "hello");
    let burned = system.client(&["new", "hello"]).await.out;
    assert_eq!(system.client(&["burn", burned.trim()]).await.code, 0);
    configure(system).await;
    // Otherwise the bot may request the config after its key is retired.
    assert_eq!(system.config(&["delete", "1"]).await.code, 0);
    let unread = system.client(&["new", "hello"]).await.out;
    let rotated = run(&["keys", "rotate", "--activate-in", "0s", "--data-dir", &data]).await;
    assert_eq!(rotated.code, 0, "{}", rotated.err);
    let keys = run(&["keys", "list", "--data-dir", &data]).await.out;
    let old = keys.split_whitespace().next().unwrap();
    let retired = run(&["keys", "retire", old, "--force", "--data-dir", &data, "--database-url", url]).await;
    assert_eq!(retired.code, 0, "{}", retired.err);
    assert_eq!(system.client(&["view", unread.trim()]).await.code, 3);
}

/// Adds an app config with a name that few encodings support, and lists it.
async fn configure(system: &System) {
    let hash = "0123456789abcdef0123456789abcdee";
    let bot_token = "1000000000:AAHcanary-canary-canary-canary-0000";
    let fields = ["add", "--session-name", "봇 😀", "--api-id", "1", "--api-hash", hash, "--bot-token", bot_token];
    let added = system.config(&fields).await;
    assert_eq!(added.code, 0, "{}", added.err);
    let listed = system.config(&["list"]).await;
    assert!(listed.out.contains("봇 😀"), "{} {}", listed.out, listed.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_with_row_privileges_is_enough_on_postgres() {
    let database = TestDatabase::postgres().await.unwrap();
    let url = service_role(&database).await;
    assert_eq!(migrate(&database, &url).await.code, 0);
    let options = Options { database_url: Some(&url), ..Options::default() };
    let mut system = System::start(Layout::One, &database, options).await;
    use_everything(&system, &url).await;
    system.stop().await;
    assert!(!String::from_utf8_lossy(&system.output()).contains("ERROR"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_privilege_is_named_on_postgres() {
    let database = TestDatabase::postgres().await.unwrap();
    let url = service_role(&database).await;
    let owner = database.connect().await.unwrap();
    let role = format!("{}_service", database.url().rsplit('/').next().unwrap());
    for table in ["instance", "sealing_keys"] {
        owner.execute_unprepared(&format!("REVOKE ALL ON {table} FROM {role}")).await.unwrap();
        let output = start(&["store"], &database, &url).await;
        assert_ne!(output.code, 0);
        assert!(output.err.contains(&format!("permission denied for table {table}")), "{}", output.err);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn notices_of_the_server_hide_no_log_line_on_postgres() {
    let database = TestDatabase::postgres().await.unwrap();
    let name = database.url().rsplit('/').next().unwrap();
    let owner = database.connect().await.unwrap();
    // Each statement now returns notices, which are as detailed as the log.
    owner.execute_unprepared(&format!("ALTER DATABASE {name} SET client_min_messages = 'debug5'")).await.unwrap();
    for (layout, lines) in [
        (Layout::One, &["finishing; a second signal ends at once"][..]),
        (Layout::Three, &["the store is ready", "finishing; a second signal ends at once"]),
    ] {
        let options = Options { extra_arguments: &["--log", "debug"], ..Options::default() };
        let mut system = System::start(layout, &database, options).await;
        let store = &mut system.processes[0];
        store.terminate();
        assert!(store.wait().await.success());
        for line in lines {
            wait_until(line, async || store.has_printed(line)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_privilege_is_named_in_the_log_on_postgres() {
    let database = TestDatabase::postgres().await.unwrap();
    let url = service_role(&database).await;
    let owner = database.connect().await.unwrap();
    let role = format!("{}_service", database.url().rsplit('/').next().unwrap());
    let options = Options { database_url: Some(&url), ..Options::default() };
    let system = System::start(Layout::One, &database, options).await;
    let guarded = system.client(&["new", "hello", "--passphrase", "blue whale"]).await.out;
    let view = ["view", guarded.trim(), "--passphrase", "blue whale", "--retry-for", "0s"];
    let new = ["new", "hello", "--retry-for", "0s"];
    for (table, command) in [
        ("messages", &new[..]),
        ("usage", &new),
        ("sealing_keys", &new),
        ("passphrase_tries", &view),
        ("claims", &view),
        ("receipts", &view),
        ("messages", &view),
        ("app_configs", &["config", "list"]),
    ] {
        owner.execute_unprepared(&format!("REVOKE ALL ON {table} FROM {role}")).await.unwrap();
        let before = system.output().len();
        let output =
            if command[0] == "config" { system.config(&command[1..]).await } else { system.client(command).await };
        assert_ne!(output.code, 0, "{table}: {command:?}");
        assert!(!output.err.contains("permission"), "{}", output.err);
        let words = format!("permission denied for table {table}");
        wait_until(&words, async || String::from_utf8_lossy(&system.output()[before..]).contains(&words)).await;
        owner.execute_unprepared(&format!("GRANT ALL ON {table} TO {role}")).await.unwrap();
    }
    assert_eq!(system.client(&view).await.out.trim_end(), "hello", "nothing was consumed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_with_another_encoding_is_rejected_on_postgres() {
    let database = TestDatabase::postgres().await.unwrap();
    let admin = database.connect().await.unwrap();
    // SQL_ASCII accepts all bytes, and counts bytes instead of characters.
    for encoding in ["LATIN1", "SQL_ASCII"] {
        let url = format!("{}_{}", database.url(), encoding.to_lowercase());
        let name = url.rsplit('/').next().unwrap();
        let made = format!("CREATE DATABASE {name} ENCODING '{encoding}' LOCALE 'C' TEMPLATE template0");
        admin.execute_unprepared(&made).await.unwrap();
        for command in ["store", "migrate"] {
            let output = start(&[command], &database, &url).await;
            assert_ne!(output.code, 0, "{command}");
            assert!(output.err.contains(encoding) && output.err.contains("UTF8"), "{}", output.err);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_client_encoding_preserves_all_names_on_postgres() {
    let database = TestDatabase::postgres().await.unwrap();
    let url = service_role(&database).await;
    let role = format!("{}_service", database.url().rsplit('/').next().unwrap());
    let owner = database.connect().await.unwrap();
    owner.execute_unprepared(&format!("ALTER ROLE {role} SET client_encoding = 'LATIN1'")).await.unwrap();
    let options = Options { database_url: Some(&url), ..Options::default() };
    let mut system = System::start(Layout::One, &database, options).await;
    configure(&system).await;
    let name = Statement::from_string(DbBackend::Postgres, "SELECT session_name FROM app_configs");
    let name = owner.query_one_raw(name).await.unwrap().unwrap();
    assert_eq!(name.try_get_by_index::<String>(0).unwrap(), "봇 😀", "as others read it");
    system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreachable_address_is_named_at_once() {
    let database = TestDatabase::sqlite().unwrap();
    let data = database.folder().join("data").display().to_string();
    assert_eq!(run(&["migrate", "--data-dir", &data]).await.code, 0);
    for host in ["127.0.0.1", "localhost", "[::1]"] {
        let address = format!("{host}:{}", free_port());
        let url = format!("postgres://u:canary-password@{address}/db");
        for command in [&["store"][..], &["migrate"], &["keys", "retire", "0000000000000000"]] {
            // The connection pool would retry for five seconds.
            let output = tokio::time::timeout(Duration::from_secs(4), start(command, &database, &url)).await.unwrap();
            assert_ne!(output.code, 0, "{command:?}");
            assert!(output.err.contains("Connection refused") && output.err.contains(&address), "{}", output.err);
            assert!(!output.err.contains("canary-password"), "{}", output.err);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn session_mode_works_on_postgres_through_pgbouncer() {
    let database = TestDatabase::postgres().await.unwrap();
    let pooler = PgBouncer::start(database.url(), "session").await.unwrap();
    let options = Options { database_url: Some(pooler.url()), ..Options::default() };
    let mut system = System::start(Layout::One, &database, options).await;
    use_everything(&system, pooler.url()).await;
    system.stop().await;
    assert!(!String::from_utf8_lossy(&system.output()).contains("ERROR"));
}

#[tokio::test(flavor = "multi_thread")]
async fn shared_sessions_are_rejected_on_postgres_through_pgbouncer() {
    let database = TestDatabase::postgres().await.unwrap();
    for mode in ["transaction", "statement"] {
        let pooler = PgBouncer::start(database.url(), mode).await.unwrap();
        for command in ["store", "migrate"] {
            let output = start(&[command], &database, pooler.url()).await;
            assert_ne!(output.code, 0, "{mode}");
            assert!(output.err.contains("pool_mode = session"), "{}", output.err);
        }
    }
}
