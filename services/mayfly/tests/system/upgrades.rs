//! A new program on the database of an older one, and an old program on the database of a newer one.

use std::{fs, os::unix::fs::PermissionsExt as _};

use mayfly_testkit::TestDatabase;
use sea_orm::ConnectionTrait as _;

use crate::harness::{Layout, Options, System, free_port, run};

/// A database of the oldest version that can be upgraded, and its keyring.
const OLD_DATABASE: &str = include_str!("upgrades/0.1.0.sql");
const OLD_KEYRING: &str = include_str!("upgrades/0.1.0.json");
/// Its messages: unread, unread with the passphrase, and read.
const UNREAD: &str = "444340518447:8659c7b15bb674c786b2c4223cca4874ae6a60a70a3f5773be85a5647841fcc5";
const PROTECTED: &str = "158746938391:ecf0a563149142274ce4c0453e16fd2fcae53edbd1a303d616bf9ee3e1955643";
const READ: &str = "489973772817:a5aacf9d3edc38ef7ecff26e42dabdbbf121c667e263a50e3e8f4ffbe5e2f540";
const PASSPHRASE: &str = "swordfish";

async fn execute(database: &TestDatabase, statements: &str) {
    let connection = database.connect().await.unwrap();
    connection.execute_unprepared(statements).await.unwrap();
    connection.close().await.unwrap();
}

/// Ids, verifiers, sealed contents and app configs keep their meaning, or a migration changes them.
#[tokio::test(flavor = "multi_thread")]
async fn links_and_app_configs_of_an_older_version_stay_valid() {
    let database = TestDatabase::sqlite().unwrap();
    execute(&database, OLD_DATABASE).await;
    let data = database.folder().join("data");
    fs::create_dir(&data).unwrap();
    fs::write(data.join("keyring.json"), OLD_KEYRING).unwrap();
    fs::set_permissions(data.join("keyring.json"), fs::Permissions::from_mode(0o600)).unwrap();
    let mut system = System::start(Layout::One, &database, Options::default()).await;
    let view = async |arguments: &[&str]| system.client(&[&["view"], arguments].concat()).await;
    assert_eq!(view(&[UNREAD]).await.out.trim_end(), "a text of an older program");
    assert_eq!(view(&[PROTECTED]).await.code, 4, "it needs its passphrase");
    assert_eq!(view(&[PROTECTED, "--passphrase", PASSPHRASE]).await.out.trim_end(), "a second text");
    let read = view(&[READ]).await;
    assert!(read.code == 3 && read.err.contains("was read at 2026-11-30"), "{}", read.err);
    let configs = system.config(&["list"]).await;
    assert!(configs.code == 0 && configs.out.contains("older"), "{} {}", configs.out, configs.err);
    system.stop().await;
}

/// The commands that could damage a schema that they do not know.
#[tokio::test(flavor = "multi_thread")]
async fn an_older_version_refuses_the_schema_of_a_newer_one_and_changes_nothing() {
    let database = TestDatabase::sqlite().unwrap();
    let mut system = System::start(Layout::One, &database, Options::default()).await;
    let message_ref = system.client(&["new", "hello"]).await.out;
    let data = system.data.display().to_string();
    assert_eq!(run(&["keys", "rotate", "--activate-in", "0s", "--data-dir", &data]).await.code, 0);
    let keys = run(&["keys", "list", "--data-dir", &data]).await.out;
    let key = keys.split(' ').next().unwrap();
    system.stop().await;
    execute(
        &database,
        "INSERT INTO seaql_migrations (version, applied_at) VALUES ('m29990101_000001_later', 0); \
         INSERT INTO schema_changes (program_version) VALUES ('7.1.0')",
    )
    .await;
    let file = database.folder().join("mayfly.db");
    let before = (fs::read(&file).unwrap(), fs::read(system.data.join("keyring.json")).unwrap());
    let listen = format!("127.0.0.1:{}", free_port());
    let url = ["--data-dir", &data, "--database-url", database.url()];
    let commands: [&[&str]; 4] = [
        &["store", "--store-listen", &listen],
        &["up", "--store-listen", &listen],
        &["migrate"],
        &["keys", "retire", key, "--force"],
    ];
    for command in commands {
        let refused = run(&[command, &url].concat()).await;
        assert_eq!(refused.code, 1, "{command:?}: {}", refused.out);
        let errors: Vec<_> = refused.err.lines().filter(|line| line.starts_with("mayfly: ")).collect();
        let expected = format!(
            "Mayfly 7.1.0 has changed the database schema (m29990101_000001_later): use that version or a newer one, \
             this is {}",
            env!("CARGO_PKG_VERSION")
        );
        assert!(errors.len() == 1 && errors[0].ends_with(&expected), "{command:?}: {}", refused.err);
    }
    let after = (fs::read(&file).unwrap(), fs::read(system.data.join("keyring.json")).unwrap());
    assert!(before == after, "a refused command changed something");

    // The newer version goes on with it.
    execute(&database, "DELETE FROM seaql_migrations WHERE version = 'm29990101_000001_later'").await;
    system.start_processes(Layout::One, Options::default()).await;
    assert_eq!(system.client(&["view", message_ref.trim()]).await.out.trim_end(), "hello");
    system.stop().await;
}
