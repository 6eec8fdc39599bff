//! Invalid settings. Each error names the setting, and nothing changes.

use std::{collections::BTreeSet, fs, os::unix::fs::PermissionsExt as _};

use mayfly_testkit::TestDatabase;
use rustix::fs::{CWD, FileType, Mode, mknodat};
use tempfile::TempDir;

use crate::harness::{Layout, Options, System, free_port, run, run_in};

/// The exit codes of a failure, and of a setting, or a file that it names, that cannot be used.
const FAILED: i32 = 1;
const WRONG_SETTING: i32 = 2;

/// Runs `arguments` with a new data folder. The command must fail with `patterns` on standard error.
async fn assert_rejected_in_new_folder(arguments: &[&str], patterns: &[&str]) {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("data").display().to_string();
    let mut all = vec![arguments[0], "--data-dir", &data];
    all.extend(&arguments[1..]);
    assert_rejected(&all, patterns).await;
}

async fn assert_rejected(arguments: &[&str], patterns: &[&str]) {
    assert_rejected_with(WRONG_SETTING, arguments, patterns).await;
}

async fn assert_rejected_with(code: i32, arguments: &[&str], patterns: &[&str]) {
    let output = run(arguments).await;
    assert_eq!(output.code, code, "{arguments:?}: {}", output.err);
    for pattern in patterns {
        assert!(output.err.contains(pattern), "{pattern}: {}", output.err);
    }
    assert!(!output.err.contains("panicked"), "{}", output.err);
}

fn store_listen() -> String {
    format!("--store-listen=127.0.0.1:{}", free_port())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_command_line_prints_the_usage() {
    let unknown = run(&["frobnicate"]).await;
    assert_eq!(unknown.code, 2);
    assert!(unknown.err.contains("frobnicate"), "{}", unknown.err);
    let none = run(&[]).await;
    assert_eq!(none.code, 2);
    assert!(none.err.contains("Usage: mayfly"), "{}", none.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unusable_database_is_named() {
    let listen = store_listen();
    assert_rejected_in_new_folder(
        &["store", &listen, "--database-url", "mysql://u:canary-password@h/db"],
        &["--database-url"],
    )
    .await;
    assert_rejected_in_new_folder(&["store", &listen, "--database-url", "sqlite::memory:"], &["--database-url"]).await;
    let no_port = "postgres://u:canary-password@h:port/db";
    assert_rejected_in_new_folder(&["store", &listen, "--database-url", no_port], &["--database-url"]).await;
    let unreachable = format!("postgres://u:canary-password@127.0.0.1:{}/db", free_port());
    for command in
        [&["store", &listen, "--database-url", &unreachable][..], &["migrate", "--database-url", &unreachable]]
    {
        let folder = TempDir::new().unwrap();
        let data = folder.path().join("data").display().to_string();
        let output = run(&[command, &["--data-dir", &data]].concat()).await;
        assert_eq!(output.code, FAILED, "the database may come back");
        assert!(output.err.contains("--database-url") && !output.err.contains("canary-password"), "{}", output.err);
    }
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("no-database");
    fs::write(&file, "this is no SQLite database, but it has enough bytes for a header".repeat(20)).unwrap();
    let url = format!("sqlite://{}", file.display());
    let data = folder.path().join("data").display().to_string();
    let store = ["store", &listen, "--database-url", &url, "--data-dir", &data];
    assert_rejected_with(FAILED, &store, &["--database-url"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_port_is_named() {
    let busy = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = busy.local_addr().unwrap().to_string();
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("data").display().to_string();
    let listen = store_listen();
    for (setting, arguments) in [
        ("--store-listen", &["store", "--data-dir", &data][..]),
        ("--gateway-listen", &["up", "--data-dir", &data, &listen]),
        ("--gateway-listen", &["gateway"]),
    ] {
        assert_rejected_with(FAILED, &[arguments, &[setting, &address]].concat(), &[setting, &address]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_keyring_is_named_and_not_changed() {
    let folder = TempDir::new().unwrap();
    let (listen, keyring) = (store_listen(), folder.path().join("keyring.json"));
    let path = keyring.display().to_string();
    let write = |content: &str, mode| {
        fs::write(&keyring, content).unwrap();
        fs::set_permissions(&keyring, fs::Permissions::from_mode(mode)).unwrap();
    };
    for content in ["", "{}", "{\"keys\":[]}", "{\"keys\":[{\"id\":\"0000000000000000\",\"key\":\"00\"}]}"] {
        write(content, 0o600);
        assert_rejected_in_new_folder(&["store", &listen, "--keyring", &path], &["--keyring", &path]).await;
        assert_eq!(fs::read_to_string(&keyring).unwrap(), content);
    }
    write("{}", 0o644);
    assert_rejected_in_new_folder(&["store", &listen, "--keyring", &path], &["--keyring", &path, "chmod 600"]).await;
    let a_folder = folder.path().display().to_string();
    fs::set_permissions(&a_folder, fs::Permissions::from_mode(0o700)).unwrap();
    assert_rejected_in_new_folder(&["store", &listen, "--keyring", &a_folder], &["--keyring", &a_folder]).await;
}

/// The flags of a command that name files.
async fn file_flags(command: &str) -> BTreeSet<String> {
    let help = run(&[command, "--help"]).await.out;
    let flags = help.lines().filter_map(|line| line.trim().strip_suffix(" <FILE>"));
    flags.map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pipe_without_a_writer_is_named_and_not_waited_for() {
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (pipe, data, certs) = (path("pipe"), path("data"), path("certs"));
    mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    assert_eq!(run(&["certs", "--dir", &certs]).await.code, 0);
    let (cert, key) = (format!("{certs}/store/cert.pem"), format!("{certs}/store/key.pem"));
    let collector = ["--otlp-endpoint", "https://127.0.0.1:1"];
    let with = |flag: &str| match flag {
        "--ca" => collector.to_vec(),
        "--client-cert" => [&collector[..], &["--client-key", &key]].concat(),
        "--client-key" => [&collector[..], &["--client-cert", &cert]].concat(),
        "--tls-cert" => vec!["--tls-key", &key],
        "--tls-key" => vec!["--tls-cert", &cert],
        "--tls-client-ca" => vec!["--tls-cert", &cert, "--tls-key", &key],
        "--gateway-token-file" => vec!["--trusted-proxies", "1", "--trusted-user-header", "Remote-User"],
        _ => Vec::new(),
    };
    let listen = ["--store-listen", "--gateway-listen", "--bot-listen"].map(|flag| [flag, "127.0.0.1:0"]);
    let flags = file_flags("up").await;
    assert!(flags.len() > 10, "{flags:?}");
    for flag in &flags {
        let wrong = [&[flag.as_str(), &pipe], with(flag).as_slice()].concat();
        let settings = [&["--data-dir", &data], wrong.as_slice(), listen.as_flattened()].concat();
        assert_rejected(&[&["up"], settings.as_slice()].concat(), &[flag, "is a pipe"]).await;
        let doctor = run(&[&["doctor", "up"], settings.as_slice()].concat()).await;
        assert_eq!(doctor.code, FAILED, "{flag}: {}", doctor.out);
        assert!(doctor.out.contains(flag) && doctor.out.contains("is a pipe"), "{flag}: {}", doctor.out);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn group_readable_secrets_need_a_setting() {
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
    let allowed = Options { extra_arguments: &["--group-readable-secrets"], ..Options::default() };
    system.start_processes(Layout::One, allowed).await;
    for secret in &secrets {
        assert!(system.processes[0].has_printed(&secret.display().to_string()), "{}", secret.display());
    }
    system.stop().await;
    set_mode(0o664);
    assert_rejected(&[&store[..], &["--group-readable-secrets"]].concat(), &["--keyring", "chmod 600"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_keyring_of_another_database_is_rejected() {
    let database = TestDatabase::sqlite().unwrap();
    System::start(Layout::One, &database, Options::default()).await.stop().await;
    let listen = store_listen();
    assert_rejected_in_new_folder(
        &["store", &listen, "--database-url", database.url()],
        &["--keyring", "does not fit"],
    )
    .await;
    // The keyring of the database still fits.
    System::start(Layout::One, &database, Options::default()).await.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_values_are_named() {
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
        assert_rejected_in_new_folder(&arguments, &[setting]).await;
    }
    assert_rejected(&["new", "x", "--store-url", "not a url"], &["--store-url"]).await;
    assert_rejected(&["healthcheck", "--gateway-url", "nonsense"], &["--gateway-url", "http://host:port"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_of_clients_without_an_https_url_is_rejected() {
    assert_rejected(&["new", "x", "--ca", "ca.pem"], &["--ca", "--store-url", "https://"]).await;
    for command in [&["gateway"][..], &["bot"], &["tokens", "list"], &["healthcheck"], &["doctor", "gateway"]] {
        for (setting, variables) in [
            ("--ca", &[("MAYFLY_CA", "ca.pem")][..]),
            ("--client-cert", &[("MAYFLY_CLIENT_CERT", "cert.pem"), ("MAYFLY_CLIENT_KEY", "key.pem")]),
        ] {
            let output = run_in(variables, command).await;
            assert_eq!(output.code, WRONG_SETTING, "{command:?}: {}", output.err);
            assert!(output.err.contains(setting) && output.err.contains("--store-url"), "{}", output.err);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_variable_for_tls_of_other_commands_does_not_concern_a_store() {
    let variable = [("MAYFLY_CA", "no-such-file")];
    let options = Options { store_environment: &variable, ..Options::default() };
    System::start(Layout::One, &TestDatabase::sqlite().unwrap(), options).await.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_public_url_with_a_path_is_rejected_by_all_roles() {
    for role in ["up", "gateway", "bot"] {
        for url in ["https://host.example/mayfly", "https://host.example/mayfly/", "https://host.example/?x", "host"] {
            assert_rejected(&[role, "--public-url", url], &["--public-url"]).await;
            let output = run_in(&[("MAYFLY_PUBLIC_URL", url)], &[role]).await;
            assert!(output.code == 2 && output.err.contains("--public-url"), "{role} {url}: {}", output.err);
        }
    }
}

/// The variables in the help texts of this command and of all its subcommands.
async fn variables_of(command: &[&str]) -> BTreeSet<String> {
    let help = run(&[command, &["--help"]].concat()).await.out;
    let named = help.split("[env: ").skip(1).filter_map(|rest| rest.split(['=', ']']).next());
    let mut names: BTreeSet<_> = named.map(str::to_owned).collect();
    let (_, listed) = help.split_once("\nCommands:\n").unwrap_or_default();
    for subcommand in listed.lines().map_while(|line| line.strip_prefix("  ")?.split(' ').next()) {
        if !subcommand.is_empty() && subcommand != "help" {
            names.extend(Box::pin(variables_of(&[command, &[subcommand]].concat())).await);
        }
    }
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_variable_counts_as_unset() {
    let names = variables_of(&[]).await;
    assert!(names.len() > 50 && names.contains("MAYFLY_BOT_TOKEN_FILE"), "{names:?}");
    let empty: Vec<_> = names.iter().map(|name| (name.as_str(), "")).collect();
    let options = Options {
        store_environment: &empty,
        gateway_environment: &empty,
        bot_environment: &empty,
        ..Options::default()
    };
    for layout in [Layout::One, Layout::Three] {
        let mut system = System::start(layout, &TestDatabase::sqlite().unwrap(), options).await;
        let data = system.data.display().to_string();
        let client = async |arguments: &[&str]| {
            let output = run_in(&empty, &[arguments, &["--store-url", &system.store_url]].concat()).await;
            assert_eq!(output.code, 0, "{arguments:?}: {}", output.err);
            output.out.trim().to_owned()
        };
        let message_ref = client(&["new", "hello"]).await;
        client(&["lookup", &message_ref]).await;
        assert_eq!(client(&["view", &message_ref]).await, "hello");
        let message_ref = client(&["new", "hello"]).await;
        client(&["burn", &message_ref]).await;
        let fields = ["--session-name", "s", "--api-id", "1", "--api-hash", "0123456789abcdef0123456789abcdee"];
        let token = ["--bot-token", "1000000000:AAHcanary-canary-canary-canary-0000", "--data-dir", &data];
        client(&[&["config", "add"], &fields[..], &token].concat()).await;
        client(&["config", "list", "--data-dir", &data]).await;
        for command in [&["token"][..], &["keys", "list"]] {
            let output = run_in(&empty, &[command, &["--data-dir", &data]].concat()).await;
            assert_eq!(output.code, 0, "{command:?}: {}", output.err);
        }
        system.stop().await;
    }
}
