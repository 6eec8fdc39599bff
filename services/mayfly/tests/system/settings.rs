//! Settings that cannot be used: each is named, with an exit code, and nothing is changed.

use std::{fs, os::unix::fs::PermissionsExt as _};

use mayfly_testkit::TestDatabase;
use tempfile::TempDir;

use crate::harness::{Layout, Options, System, free_port, run};

/// Runs `arguments` in a data folder of their own; they must fail, with `words` on standard error.
async fn refused(arguments: &[&str], words: &[&str]) {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("data").display().to_string();
    let mut all = vec![arguments[0], "--data-dir", &data];
    all.extend(&arguments[1..]);
    assert_rejected(&all, words).await;
}

async fn assert_rejected(arguments: &[&str], words: &[&str]) {
    let said = run(arguments).await;
    assert_ne!(said.code, 0, "{arguments:?}");
    for word in words {
        assert!(said.err.contains(word), "{word}: {}", said.err);
    }
    assert!(!said.err.contains("panicked"), "{}", said.err);
}

fn store_listen() -> String {
    format!("--store-listen=127.0.0.1:{}", free_port())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_line_that_is_no_command_says_what_there_is() {
    let unknown = run(&["frobnicate"]).await;
    assert_eq!(unknown.code, 2);
    assert!(unknown.err.contains("frobnicate"), "{}", unknown.err);
    let none = run(&[]).await;
    assert_eq!(none.code, 2);
    assert!(none.err.contains("Usage: mayfly"), "{}", none.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_cannot_be_used_is_named() {
    let listen = store_listen();
    refused(&["store", &listen, "--database-url", "mysql://u:canary-password@h/db"], &["--database-url"]).await;
    refused(&["store", &listen, "--database-url", "sqlite::memory:"], &["--database-url"]).await;
    let nobody = format!("postgres://u:canary-password@127.0.0.1:{}/db", free_port());
    for command in [&["store", &listen, "--database-url", &nobody][..], &["migrate", "--database-url", &nobody]] {
        let folder = TempDir::new().unwrap();
        let data = folder.path().join("data").display().to_string();
        let said = run(&[command, &["--data-dir", &data]].concat()).await;
        assert_ne!(said.code, 0);
        assert!(said.err.contains("--database-url") && !said.err.contains("canary-password"), "{}", said.err);
    }
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("no-database");
    fs::write(&file, "this is no SQLite database, and it is long enough to be looked at as one".repeat(20)).unwrap();
    let url = format!("sqlite://{}", file.display());
    refused(&["store", &listen, "--database-url", &url], &["--database-url"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_port_is_named() {
    let busy = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = busy.local_addr().unwrap().to_string();
    refused(&["store", "--store-listen", &address], &["--store-listen", &address]).await;
    let listen = store_listen();
    refused(&["up", &listen, "--gateway-listen", &address], &["--gateway-listen", &address]).await;
    assert_rejected(&["gateway", "--gateway-listen", &address], &["--gateway-listen", &address]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_keyring_that_is_none_is_named_and_left_as_it_is() {
    let folder = TempDir::new().unwrap();
    let (listen, keyring) = (store_listen(), folder.path().join("keyring.json"));
    let path = keyring.display().to_string();
    let write = |content: &str, mode| {
        fs::write(&keyring, content).unwrap();
        fs::set_permissions(&keyring, fs::Permissions::from_mode(mode)).unwrap();
    };
    for content in ["", "{}", "{\"keys\":[]}", "{\"keys\":[{\"id\":\"0000000000000000\",\"key\":\"00\"}]}"] {
        write(content, 0o600);
        refused(&["store", &listen, "--keyring", &path], &["--keyring", &path]).await;
        assert_eq!(fs::read_to_string(&keyring).unwrap(), content);
    }
    write("{}", 0o644);
    refused(&["store", &listen, "--keyring", &path], &["--keyring", &path, "chmod 600"]).await;
    let a_folder = folder.path().display().to_string();
    fs::set_permissions(&a_folder, fs::Permissions::from_mode(0o700)).unwrap();
    refused(&["store", &listen, "--keyring", &a_folder], &["--keyring", &a_folder]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_that_the_own_group_may_read_are_accepted_by_a_setting() {
    let database = TestDatabase::sqlite().unwrap();
    let mut system = System::start(Layout::One, &database, Options::default()).await;
    system.stop().await;
    let secrets = ["keyring.json", "admin.token", "service.token"].map(|name| system.data.join(name));
    let set_mode = |mode| {
        for secret in &secrets {
            fs::set_permissions(secret, fs::Permissions::from_mode(mode)).unwrap();
        }
    };
    let (listen, data) = (store_listen(), system.data.display().to_string());
    let store = ["store", &listen, "--data-dir", &data];
    set_mode(0o660);
    assert_rejected(&store, &["--keyring", "--group-readable-secrets"]).await;
    let allowed = Options { more: &["--group-readable-secrets"], ..Options::default() };
    system.start_processes(Layout::One, allowed).await;
    for secret in &secrets {
        assert!(system.processes[0].has_printed(&secret.display().to_string()), "{}", secret.display());
    }
    system.stop().await;
    set_mode(0o664);
    assert_rejected(&[&store[..], &["--group-readable-secrets"]].concat(), &["--keyring", "chmod 600"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_keyring_of_another_database_is_refused() {
    let database = TestDatabase::sqlite().unwrap();
    System::start(Layout::One, &database, Options::default()).await.stop().await;
    let listen = store_listen();
    refused(&["store", &listen, "--database-url", database.url()], &["--keyring", "does not fit"]).await;
    // The right one still does.
    System::start(Layout::One, &database, Options::default()).await.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn values_out_of_range_are_named() {
    let listen = store_listen();
    for (setting, value) in [
        ("--admin-token", "short"),
        ("--service-token", "short"),
        ("--default-ttl", "0s"),
        ("--default-ttl", "91d"),
        ("--default-ttl", "never"),
        ("--default-ttl", "soon"),
        ("--max-ttl", "1ms"),
        ("--max-text-bytes", "0"),
        ("--max-text-bytes", "1048577"),
        ("--receipt-retention", "soon"),
        ("--receipt-retention", "9m"),
        ("--log", "loud"),
        ("--store-listen", "here"),
        ("--admin-token-file", "/no-such-folder/token"),
    ] {
        let mut arguments = vec!["store", setting, value];
        if setting != "--store-listen" {
            arguments.push(&listen);
        }
        refused(&arguments, &[setting]).await;
    }
    assert_rejected(&["new", "x", "--store-url", "not a url"], &["--store-url"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_variable_that_is_set_to_nothing_counts_as_not_set() {
    let mut names = Vec::new();
    for command in ["up", "store", "gateway", "bot", "new", "config", "healthcheck"] {
        let help = run(&[command, "--help"]).await.out;
        let named = help.split("[env: ").skip(1).filter_map(|rest| rest.split(['=', ']']).next());
        names.extend(named.map(str::to_owned));
    }
    assert!(names.len() > 40, "{names:?}");
    let empty: Vec<_> = names.iter().map(|name| (name.as_str(), "")).collect();
    let options = Options { store_environment: &empty, ..Options::default() };
    let mut system = System::start(Layout::One, &TestDatabase::sqlite().unwrap(), options).await;
    let message_ref = system.client(&["new", "hello"]).await.out;
    assert_eq!(system.client(&["view", message_ref.trim()]).await.out.trim_end(), "hello");
    system.stop().await;
}
