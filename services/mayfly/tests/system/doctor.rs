//! `mayfly doctor`: what it finds, and that it changes nothing.

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    time::SystemTime,
};

use mayfly_testkit::{FakeTelegram, PgBouncer, TestDatabase, leak_scan::find_leak};
use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use rustix::process::Signal;
use sea_orm::ConnectionTrait as _;
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    chat::{BOT_TOKEN, add_config},
    harness::{Layout, Options, System, free_port, run, run_in, wait_until},
};

/// A report of `mayfly doctor`.
struct Report {
    code: i32,
    json: Value,
    text: String,
}

impl Report {
    /// Checks `role` with these settings.
    async fn of(role: &str, arguments: &[&str]) -> Self {
        Self::with_variables(role, arguments, &[]).await
    }

    async fn with_variables(role: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let output = run_in(variables, &[&["doctor", role, "--json"], arguments].concat()).await;
        assert!(!output.err.contains("panicked"), "{}", output.err);
        let json = serde_json::from_str(&output.out).unwrap_or_else(|error| panic!("{error}: {}", output.err));
        Self { code: output.code, json, text: output.out + &output.err }
    }

    /// The severities of the findings with this id.
    fn severities(&self, id: &str) -> Vec<&str> {
        let findings = self.json["findings"].as_array().unwrap().iter();
        findings.filter(|finding| finding["id"] == id).map(|finding| finding["severity"].as_str().unwrap()).collect()
    }

    /// The ids of the findings with this severity.
    fn ids(&self, severity: &str) -> Vec<&str> {
        let findings = self.json["findings"].as_array().unwrap().iter();
        findings
            .filter(|finding| finding["severity"] == severity)
            .map(|finding| finding["id"].as_str().unwrap())
            .collect()
    }

    #[track_caller]
    fn assert_has(&self, id: &str, severity: &str) {
        assert!(self.severities(id).contains(&severity), "{id} {severity}: {:#}", self.json);
        let expected = match self.json["result"].as_str().unwrap() {
            "failure" => 1,
            "warning" => 6,
            _ => 0,
        };
        assert_eq!(self.code, expected, "{:#}", self.json);
    }

    #[track_caller]
    fn assert_well(&self) {
        let bad = [self.ids("failure"), self.ids("warning")].concat();
        assert!(bad.is_empty() && self.code == 0, "{bad:?}: {:#}", self.json);
    }
}

/// The path, mode, size, time and content of each file and directory.
type Snapshot = Vec<(PathBuf, u32, u64, SystemTime, Option<Vec<u8>>)>;

fn snapshot(folder: &Path) -> Snapshot {
    let metadata = fs::symlink_metadata(folder).unwrap();
    let content = metadata.is_file().then(|| fs::read(folder).unwrap());
    let mut found = vec![(folder.to_owned(), metadata.mode(), metadata.len(), metadata.modified().unwrap(), content)];
    if metadata.is_dir() {
        found.extend(fs::read_dir(folder).unwrap().flat_map(|entry| snapshot(&entry.unwrap().path())));
    }
    found.sort();
    found
}

/// A stopped system on SQLite, with a message, and the arguments to check it.
struct Stopped {
    system: System,
    arguments: Vec<String>,
}

impl Stopped {
    async fn new() -> Self {
        Self::with(Options::default(), async |_| ()).await
    }

    async fn with(options: Options<'_>, prepare: impl AsyncFnOnce(&System)) -> Self {
        let database = TestDatabase::sqlite().unwrap();
        let mut system = System::start(Layout::One, &database, options).await;
        assert_eq!(system.client(&["new", "hello"]).await.code, 0);
        prepare(&system).await;
        system.stop().await;
        let port = || format!("127.0.0.1:{}", free_port());
        let (store, gateway, bot) = (port(), port(), port());
        let data = system.data.display().to_string();
        let telegram = options.telegram.unwrap_or("http://127.0.0.1:9");
        let arguments = [
            ["--data-dir", &data],
            ["--database-url", database.url()],
            ["--store-listen", &store],
            ["--gateway-listen", &gateway],
            ["--bot-listen", &bot],
            ["--telegram-api-url", telegram],
        ];
        let arguments = arguments.concat().into_iter().map(str::to_owned).collect();
        Self { system, arguments }
    }

    fn folder(&self) -> &Path {
        self.system.data.parent().unwrap()
    }

    async fn check(&self, more: &[&str]) -> Report {
        self.check_with_variables(more, &[]).await
    }

    async fn check_with_variables(&self, more: &[&str], variables: &[(&str, &str)]) -> Report {
        let arguments: Vec<_> = self.arguments.iter().map(String::as_str).chain(more.iter().copied()).collect();
        Report::with_variables("up", &arguments, variables).await
    }

    async fn execute(&self, statement: &str) {
        let connection = self.system.database.connect().await.unwrap();
        connection.execute_unprepared(statement).await.unwrap();
        connection.close().await.unwrap();
    }
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn before_the_first_start_there_are_only_notes_and_nothing_is_created() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("new/data").display().to_string();
    let port = || format!("127.0.0.1:{}", free_port());
    let (store, gateway, bot) = (port(), port(), port());
    let arguments = ["--data-dir", &data, "--store-listen", &store, "--gateway-listen", &gateway, "--bot-listen", &bot];
    let before = snapshot(folder.path());
    let report = Report::of("up", &arguments).await;
    report.assert_well();
    for id in ["files.data-dir", "files.database", "keyring.missing", "files.token", "reachability.listener"] {
        report.assert_has(id, "note");
    }
    assert_eq!(snapshot(folder.path()), before);

    // The form for programs.
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&report.json), ["findings", "result", "role", "version"]);
    assert_eq!((&report.json["role"], &report.json["result"]), (&"up".into(), &"note".into()));
    for finding in report.json["findings"].as_array().unwrap() {
        assert_eq!(keys(finding), ["advice", "area", "id", "message", "severity"]);
        assert_eq!(finding["advice"].is_null(), finding["severity"] == "ok", "{finding}");
    }

    // The form for people.
    let text = run(&[&["doctor", "up"], &arguments[..]].concat()).await;
    assert_eq!(text.code, 0, "{}", text.err);
    assert!(text.out.contains("\nkeyring\n  note     there is no keyring at "), "{}", text.out);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_system_is_well_and_its_files_stay_as_they_are() {
    let stopped = Stopped::new().await;
    let log = stopped.folder().join("mayfly.db-wal");
    // A store that ends may leave the log, and the last connection that may write deletes it.
    for is_log_deleted in [false, true] {
        if is_log_deleted {
            stopped.execute("SELECT 1").await;
            assert!(!log.exists());
        }
        let before = snapshot(stopped.folder());
        let report = stopped.check(&[]).await;
        report.assert_well();
        for id in ["database.schema", "keyring.fits", "clock.newest-row", "space.messages", "files.data-dir"] {
            report.assert_has(id, "ok");
        }
        report.assert_has("telegram.no-config", "note");
        assert!(report.severities("database.journal-mode").is_empty(), "{:#}", report.json);
        assert!(snapshot(stopped.folder()) == before, "log deleted: {is_log_deleted}");
    }
    stopped.execute("PRAGMA journal_mode = DELETE").await;
    stopped.check(&[]).await.assert_has("database.journal-mode", "note");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_program_at_the_address_of_the_metrics_is_found() {
    let stopped = Stopped::new().await;
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let check =
        async || stopped.check(&["--metrics-listen", &address]).await.severities("reachability.listener").join(" ");
    assert_eq!(check().await, "note note note failure");
    drop(taken);
    assert_eq!(check().await, "note note note ok");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_system_is_well_and_goes_on() {
    let database = TestDatabase::sqlite().unwrap();
    let system = System::start(Layout::One, &database, Options::default()).await;
    let message_ref = system.client(&["new", "hello"]).await.out;
    let (data, store) = (system.data.display().to_string(), system.store_url.replace("http://", ""));
    let (gateway, bot) = (system.gateway_url.replace("http://", ""), system.bot_url.replace("http://", ""));
    let arguments = [
        ["--data-dir", &data],
        ["--database-url", database.url()],
        ["--store-listen", &store],
        ["--gateway-listen", &gateway],
        ["--bot-listen", &bot],
    ];
    let report = Report::of("up", &arguments.concat()).await;
    report.assert_well();
    assert_eq!(report.severities("reachability.listener"), ["ok"; 3], "{:#}", report.json);
    report.assert_has("reachability.service-token", "ok");
    report.assert_has("reachability.bot-state", "note");
    report.assert_has("keyring.fits", "ok");
    // A listener that the running role does not have, since it was started with other settings.
    let metrics = format!("127.0.0.1:{}", free_port());
    let report = Report::of("up", &[&arguments.concat()[..], &["--metrics-listen", &metrics]].concat()).await;
    assert_eq!(report.severities("reachability.listener"), ["ok", "ok", "ok", "warning"], "{:#}", report.json);
    let mode = |name: &str| fs::metadata(database.folder().join(name)).unwrap().mode() & 0o777;
    assert_eq!([mode("mayfly.db"), mode("mayfly.db-wal"), mode("mayfly.db-shm")], [0o600; 3]);
    assert_eq!(system.client(&["view", message_ref.trim()]).await.out.trim_end(), "hello");
}

/// A frozen store changes nothing itself, so all changes would be those of the check.
#[tokio::test(flavor = "multi_thread")]
async fn the_files_of_a_frozen_and_of_a_killed_store_stay_as_they_are() {
    let database = TestDatabase::sqlite().unwrap();
    let mut system = System::start(Layout::Three, &database, Options::default()).await;
    assert_eq!(system.client(&["new", "hello"]).await.code, 0);
    let (data, store) = (system.data.display().to_string(), system.store_url.replace("http://", ""));
    let settings = ["--data-dir", &data, "--database-url", database.url(), "--store-listen", &store];
    let folder = database.folder();
    let (log, index) = (folder.join("mayfly.db-wal"), folder.join("mayfly.db-shm"));

    system.processes[0].signal(Signal::STOP);
    let before = snapshot(&folder);
    assert!(fs::metadata(&log).unwrap().len() > 0 && index.exists());
    let report = Report::of("store", &settings).await;
    report.assert_has("reachability.listener", "failure");
    report.assert_has("keyring.fits", "ok");
    report.assert_has("database.schema", "ok");
    assert!(snapshot(&folder) == before, "beside a frozen store");

    system.processes[0].kill().await;
    let report = Report::of("store", &settings).await;
    report.assert_well();
    report.assert_has("keyring.fits", "ok");
    assert!(snapshot(&folder) == before, "after a store was killed");

    // SQLite would have to create the index of this log.
    fs::remove_file(&index).unwrap();
    let before = snapshot(&folder);
    Report::of("store", &settings).await.assert_has("database.unreachable", "failure");
    assert!(snapshot(&folder) == before, "with a log without its index");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_fault_of_the_files_is_found() {
    let stopped = Stopped::new().await;
    let data = stopped.system.data.clone();
    let database = stopped.folder().join("mayfly.db");
    let keyring = data.join("keyring.json");
    let modes = [
        (data.clone(), 0o777, "files.data-dir-mode", "failure"),
        (keyring.clone(), 0o644, "files.secret", "failure"),
        (keyring.clone(), 0o640, "files.secret", "failure"),
        (data.join("admin.token"), 0o604, "files.secret", "failure"),
        (database.clone(), 0o644, "files.database-mode", "warning"),
    ];
    for (path, mode, id, severity) in modes {
        let good = fs::metadata(&path).unwrap().mode() & 0o777;
        set_mode(&path, mode);
        stopped.check(&[]).await.assert_has(id, severity);
        set_mode(&path, good);
    }
    set_mode(&keyring, 0o640);
    let allowed = stopped.check(&["--group-readable-secrets"]).await;
    assert!(!allowed.severities("files.secret").contains(&"failure"), "{:#}", allowed.json);
    set_mode(&keyring, 0o600);

    let token = stopped.folder().join("token");
    fs::write(&token, "short").unwrap();
    let token = token.display().to_string();
    stopped.check(&["--admin-token-file", &token]).await.assert_has("files.token", "failure");
    stopped.check(&["--service-token-file", "/no-such-file"]).await.assert_has("files.secret", "failure");
    // A directory in memory, where this system has one.
    if Path::new("/dev/shm").is_dir() {
        let memory = tempfile::tempdir_in("/dev/shm").unwrap();
        let url = format!("sqlite://{}", memory.path().join("mayfly.db").display());
        Report::of("store", &["--database-url", &url]).await.assert_has("files.file-system", "warning");
        assert_eq!(fs::read_dir(memory.path()).unwrap().count(), 0);
    }
    stopped.check(&[]).await.assert_well();
}

#[tokio::test(flavor = "multi_thread")]
async fn each_fault_of_keyring_and_database_is_found() {
    let stopped = Stopped::new().await;
    let keyring = stopped.system.data.join("keyring.json");
    let content = fs::read_to_string(&keyring).unwrap();
    let other = TestDatabase::sqlite().unwrap();
    System::start(Layout::One, &other, Options::default()).await.stop().await;
    let other = fs::read_to_string(other.folder().join("data/keyring.json")).unwrap();
    let key = content.split('"').find(|part| part.len() == 64).unwrap();
    let flipped = if key.starts_with('0') { "1" } else { "0" };
    let damaged = content.replace(key, &format!("{flipped}{}", &key[1..]));
    for (content, id) in
        [("{}", "keyring.damaged"), (&damaged, "keyring.damaged"), (other.as_str(), "keyring.missing-key")]
    {
        fs::write(&keyring, content).unwrap();
        let report = stopped.check(&[]).await;
        report.assert_has(id, "failure");
        assert!(find_leak(report.text.as_bytes(), &[key]).is_none());
    }
    fs::remove_file(&keyring).unwrap();
    stopped.check(&[]).await.assert_has("keyring.missing", "failure");
    fs::write(&keyring, &content).unwrap();
    set_mode(&keyring, 0o600);

    let data = stopped.system.data.display().to_string();
    assert_eq!(run(&["keys", "rotate", "--data-dir", &data]).await.code, 0);
    stopped.check(&[]).await.assert_has("keyring.new-key", "note");
    stopped.check(&["--max-messages", "1"]).await.assert_has("space.messages", "failure");
    stopped.check(&["--max-stored-bytes", "1"]).await.assert_has("space.stored-bytes", "failure");

    stopped.execute("UPDATE sealing_keys SET retire_time = 1").await;
    stopped.check(&[]).await.assert_has("keyring.interrupted-retirement", "warning");
    stopped.execute("UPDATE sealing_keys SET retire_time = NULL").await;
    stopped.execute("UPDATE messages SET create_time = create_time + 3600000000").await;
    stopped.check(&[]).await.assert_has("clock.newest-row", "failure");
    stopped.execute("UPDATE messages SET create_time = create_time - 3600000000").await;
    stopped.check(&[]).await.assert_well();
    stopped.execute("INSERT INTO seaql_migrations (version, applied_at) VALUES ('m29990101_000001_later', 0)").await;
    let report = stopped.check(&[]).await;
    report.assert_has("database.schema", "failure");
    assert!(report.text.contains("m29990101_000001_later"), "{}", report.text);

    let file = stopped.folder().join("no-database");
    fs::write(&file, "no database".repeat(100)).unwrap();
    let url = format!("sqlite://{}", file.display());
    stopped_report(&["--database-url", &url]).await.assert_has("database.unreachable", "failure");
    let nowhere = format!("postgres://u:canary-password@127.0.0.1:{}/db", free_port());
    let report = stopped_report(&["--database-url", &nowhere]).await;
    report.assert_has("database.unreachable", "failure");
    report.assert_has("settings.secret-on-command-line", "warning");
    assert!(!report.text.contains("canary-password"), "{}", report.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_environment_file_of_the_unit_has_settings_of_the_role_only() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/systemd/mayfly.env");
    let text = fs::read_to_string(file).unwrap();
    let lines = text.lines().map(|line| line.trim_start_matches('#')).filter_map(|line| line.split_once('='));
    let variables: Vec<_> = lines.collect();
    assert!(variables.len() > 3 && variables.iter().all(|(name, _)| name.starts_with("MAYFLY_")), "{variables:?}");
    let report = Report::with_variables("up", &[], &variables).await;
    for id in ["mistyped-variable", "unknown-variable", "ineffective-variable", "public-url", "webhook-port"] {
        assert_eq!(report.severities(&format!("settings.{id}")), [""; 0], "{:#}", report.json);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_another_user_are_told_once() {
    // Only root can give files away.
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let stopped = Stopped::new().await;
    for path in [stopped.system.data.clone(), stopped.system.data.join("keyring.json")] {
        std::os::unix::fs::chown(&path, Some(65_534), None).unwrap();
    }
    let report = stopped.check(&[]).await;
    report.assert_has("files.owner", "warning");
    assert_eq!(report.severities("files.owner").len(), 1, "{:#}", report.json);
}

/// Checks a store with a new data directory.
async fn stopped_report(arguments: &[&str]) -> Report {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("data").display().to_string();
    let listen = format!("127.0.0.1:{}", free_port());
    Report::of("store", &[&["--data-dir", &data, "--store-listen", &listen], arguments].concat()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn each_fault_of_the_settings_is_found() {
    let stopped = Stopped::new().await;
    let port = free_port();
    let open = format!("0.0.0.0:{port}");
    let cases: [(&[&str], &str, &str); 13] = [
        (&["--default-ttl", "91d"], "settings.contradiction", "failure"),
        (&["--database-url-file", "/no-such-file"], "settings.database", "failure"),
        (&["--trusted-gateways", "0.0.0.0/0"], "settings.trusted-gateways", "warning"),
        (&["--public-url", "http://mayfly.example.org"], "settings.public-url", "warning"),
        (&["--public-url", "https://mayfly.example.org"], "settings.trusted-proxies", "warning"),
        (&["--trusted-proxies", "1"], "settings.public-url", "note"),
        (&["--public-url", "https://mayfly.example.org"], "settings.create-access", "note"),
        (&["--admin-token", "0123456789012345678901234567890123456789"], "settings.secret-on-command-line", "warning"),
        (&["--creations-per-minute", "0"], "settings.no-rate-limit", "note"),
        (
            &["--telegram-api-url", "https://api.telegram.org", "--webhook-url", "https://a.example:444/telegram"],
            "settings.webhook-port",
            "failure",
        ),
        (
            &["--telegram-api-url", "https://api.telegram.org", "--webhook-url", "http://a.example:80/telegram"],
            "settings.webhook-url",
            "failure",
        ),
        (&["--gateway-listen", &open], "settings.no-tls", "warning"),
        (&["--gateway-listen", &open, "--trusted-proxies", "1"], "settings.no-tls", "note"),
    ];
    for (arguments, id, severity) in cases {
        // These settings may not be given twice.
        let given: Vec<_> = stopped.arguments.chunks(2).filter(|pair| !replaces(arguments, &pair[0])).collect();
        let given = given.concat();
        let all: Vec<_> = given.iter().map(String::as_str).chain(arguments.iter().copied()).collect();
        Report::of("up", &all).await.assert_has(id, severity);
    }
    let clear = ["--store-url", "http://192.0.2.1:50051", "--gateway-listen", &format!("127.0.0.1:{port}")];
    let gateway = run_in(&[], &[&["doctor", "gateway", "--json"], &clear[..]].concat()).await;
    assert!(gateway.out.contains("settings.clear-url"), "{}", gateway.out);

    for (variable, value, id, severity) in [
        ("MAYFLY_DATABSE_URL", "x", "settings.mistyped-variable", "warning"),
        ("MAYFYL_DATA_DIR", "x", "settings.mistyped-variable", "warning"),
        ("MAYFLY_FAVOURITE_COLOUR", "x", "settings.unknown-variable", "note"),
        ("MAYFLY_RETRY_FOR", "5s", "settings.replaced-variable", "warning"),
        ("MAYFLY_BOT_URL", "http://192.0.2.1:5555", "settings.ineffective-variable", "note"),
    ] {
        let report = stopped.check_with_variables(&[], &[(variable, value)]).await;
        report.assert_has(id, severity);
        assert!(report.text.contains(variable), "{}", report.text);
    }
    // A value that the role does not take either.
    let output = run_in(&[("MAYFLY_MAX_TTL", "soon")], &["doctor", "up"]).await;
    assert!(output.code == 2 && output.err.contains("--max-ttl"), "{}", output.err);
}

fn replaces(arguments: &[&str], given: &str) -> bool {
    arguments.contains(&given) || (given == "--database-url" && arguments.contains(&"--database-url-file"))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bot_is_checked_at_telegram_without_taking_its_updates_or_showing_its_token() {
    let telegram = FakeTelegram::start(BOT_TOKEN).await.unwrap();
    let options = Options { telegram: Some(telegram.url()), ..Options::default() };
    let stopped = Stopped::with(options, async |system| add_config(system, "first", BOT_TOKEN).await).await;
    let data = &stopped.system.data;
    let read = |name: &str| fs::read_to_string(data.join(name)).unwrap().trim().to_owned();
    let keyring = read("keyring.json");
    let key = keyring.split('"').find(|part| part.len() == 64).unwrap();
    let secrets = [BOT_TOKEN, key, &read("admin.token"), &read("service.token")];
    let assert_no_leak = |report: &Report| {
        let leak = find_leak(report.text.as_bytes(), &secrets);
        assert_eq!(leak, None, "{}", report.text);
    };
    telegram.user_says(7, "hello");
    let polls = telegram.calls("getupdates").len();
    let before = snapshot(stopped.folder());
    let report = stopped.check(&[]).await;
    report.assert_well();
    report.assert_has("telegram.token", "ok");
    report.assert_has("telegram.webhook", "ok");
    assert_no_leak(&report);
    assert_eq!(snapshot(stopped.folder()), before);
    assert_eq!(telegram.calls("getupdates").len(), polls, "updates are for the bot");
    assert_eq!(telegram.pending_updates().len(), 1);

    let webhook = ["--webhook-url", "https://mayfly.example.org/telegram"];
    stopped.check(&webhook).await.assert_has("telegram.webhook", "note");
    telegram.set_webhook("https://other.example/a-secret-path");
    for arguments in [&[][..], &webhook] {
        let report = stopped.check(arguments).await;
        report.assert_has("telegram.webhook", "warning");
        assert!(report.text.contains("other.example") && !report.text.contains("a-secret-path"), "{}", report.text);
        assert_no_leak(&report);
    }
    for _ in 0..100 {
        telegram.user_says(7, "hello");
    }
    stopped.check(&[]).await.assert_has("telegram.pending-updates", "warning");
    telegram.revoke_token();
    let report = stopped.check(&[]).await;
    report.assert_has("telegram.token", "failure");
    assert_no_leak(&report);
    let nowhere = ["--telegram-api-url".to_owned(), format!("http://127.0.0.1:{}", free_port())];
    let given: Vec<_> = stopped.arguments.iter().filter(|argument| *argument != "--telegram-api-url").collect();
    let given: Vec<_> = given.into_iter().filter(|argument| *argument != telegram.url()).chain(&nowhere).collect();
    let report = Report::of("up", &given.into_iter().map(String::as_str).collect::<Vec<_>>()).await;
    report.assert_has("telegram.token", "failure");
    assert_no_leak(&report);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_roles_that_a_role_calls_are_checked() {
    let telegram = FakeTelegram::start(BOT_TOKEN).await.unwrap();
    let database = TestDatabase::sqlite().unwrap();
    let options = Options { telegram: Some(telegram.url()), ..Options::default() };
    let mut system = System::start(Layout::Three, &database, options).await;
    add_config(&system, "first", BOT_TOKEN).await;
    let data = system.data.display().to_string();
    let address = |url: &str| url.replace("http://", "");
    let (gateway, bot) = (address(&system.gateway_url), address(&system.bot_url));
    let urls = ["--store-url", &system.store_url, "--bot-url", &system.bot_url];
    let gateway = [&["--gateway-listen", &gateway], &urls[..]].concat();
    let bot = [
        "--data-dir",
        &data,
        "--bot-listen",
        &bot,
        "--store-url",
        &system.store_url,
        "--telegram-api-url",
        telegram.url(),
    ];
    let report = Report::of("gateway", &gateway).await;
    report.assert_well();
    assert_eq!(report.severities("reachability.called-role"), ["ok"; 2]);
    wait_until("the bot is connected", async || {
        let report = Report::of("bot", &bot).await;
        report.assert_has("reachability.service-token", "ok");
        report.assert_has("telegram.token", "ok");
        report.severities("reachability.bot-state") == ["ok"]
    })
    .await;

    let signed_in = ["--trusted-user-header", "Remote-User", "--trusted-proxies", "1", "--gateway-token"];
    for (scope, severity) in [("create", "ok"), ("metrics", "failure")] {
        let token = system.client(&["tokens", "add", scope, "--scope", scope, "--data-dir", &data]).await;
        assert_eq!(token.code, 0, "{}", token.err);
        let report = Report::of("gateway", &[&gateway[..], &signed_in, &[token.out.trim()]].concat()).await;
        report.assert_has("reachability.gateway-token", severity);
    }

    let wrong = database.folder().join("wrong.token");
    fs::write(&wrong, "0123456789".repeat(4)).unwrap();
    let wrong = wrong.display().to_string();
    let report = Report::of("bot", &[&bot[..], &["--service-token-file", &wrong]].concat()).await;
    report.assert_has("reachability.service-token", "failure");
    report.assert_has("telegram.not-checked", "note");
    // What listens there is another role.
    let store = ["--data-dir", &data, "--database-url", database.url(), "--store-listen", bot[3]];
    Report::of("store", &store).await.assert_has("reachability.listener", "failure");

    system.processes[2].terminate();
    system.processes[2].wait().await;
    Report::of("gateway", &gateway).await.assert_has("reachability.called-role", "warning");
    system.processes[0].terminate();
    system.processes[0].wait().await;
    let report = Report::of("gateway", &gateway).await;
    report.assert_has("reachability.called-role", "failure");
    report.assert_has("reachability.listener", "failure");
    Report::of("bot", &bot).await.assert_has("telegram.not-checked", "note");
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_that_do_not_fit_or_end_soon_are_found() {
    let folder = TempDir::new().unwrap();
    let dir = folder.path().join("certs").display().to_string();
    assert_eq!(run(&["certs", "--dir", &dir]).await.code, 0);
    let port = format!("127.0.0.1:{}", free_port());
    let check = async |certificate: &str, key: &str, more: &[&str]| {
        let file = |name: &str| if name.starts_with('/') { name.to_owned() } else { format!("{dir}/{name}") };
        let (certificate, key) = (file(certificate), file(key));
        let tls = ["--gateway-listen", &port, "--tls-cert", &certificate, "--tls-key", &key];
        Report::of("gateway", &[&tls[..], more].concat()).await
    };
    let (certificate, key) = ("gateway/cert.pem", "gateway/key.pem");
    let good = check(certificate, key, &[]).await;
    good.assert_has("tls.valid", "ok");
    good.assert_has("tls.name", "ok");
    let public = ["--public-url", "https://mayfly.example.org"];
    check(certificate, key, &public).await.assert_has("tls.name", "failure");
    check(certificate, "bot/key.pem", &[]).await.assert_has("tls.file", "failure");
    let with_ca = check(certificate, key, &["--tls-client-ca", &format!("{dir}/gateway/key.pem")]).await;
    with_ca.assert_has("tls.file", "failure");
    let https = ["--store-url", "https://127.0.0.1:1", "--ca", "/no-such-file"];
    check(certificate, key, &https).await.assert_has("tls.file", "failure");
    set_mode(Path::new(&format!("{dir}/{key}")), 0o644);
    check(certificate, key, &[]).await.assert_has("tls.file", "failure");

    let soon = folder.path().join("soon").display().to_string();
    assert_eq!(run(&["certs", "--dir", &soon, "--days", "90"]).await.code, 0);
    check(&format!("{soon}/{certificate}"), &format!("{soon}/{key}"), &[]).await.assert_has("tls.valid", "ok");
    let write = |name: &str, content: String| {
        let path = folder.path().join(name);
        fs::write(&path, content).unwrap();
        set_mode(&path, 0o600);
        path.display().to_string()
    };
    for (year, id) in [(2020, "tls.file"), (0, "tls.expires")] {
        let mut params = CertificateParams::new(vec!["mayfly.example.org".to_owned()]).unwrap();
        params.not_before = date_time_ymd(2019, 1, 1);
        params.not_after = match year {
            0 => (SystemTime::now() + std::time::Duration::from_secs(5 * 86_400)).into(),
            year => date_time_ymd(year, 1, 1),
        };
        let key = KeyPair::generate().unwrap();
        let certificate = write("cert.pem", params.self_signed(&key).unwrap().pem());
        let report = check(&certificate, &write("key.pem", key.serialize_pem()), &[]).await;
        report.assert_has(id, if year == 0 { "warning" } else { "failure" });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn postgresql_is_checked_and_not_changed() {
    let database = TestDatabase::postgres().await.unwrap();
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("data").display().to_string();
    let url = folder.path().join("url");
    fs::write(&url, database.url()).unwrap();
    set_mode(&url, 0o600);
    let (url, listen) = (url.display().to_string(), format!("127.0.0.1:{}", free_port()));
    let settings = ["--data-dir", &data, "--database-url-file", &url, "--store-listen", &listen];
    let report = Report::of("store", &settings).await;
    report.assert_has("database.version", "ok");
    report.assert_has("database.schema", "note");
    report.assert_has("database.superuser", "warning");
    report.assert_has("clock.postgres", "ok");
    let connection = database.connect().await.unwrap();
    let tables = connection.execute_unprepared("SELECT 1 FROM seaql_migrations").await;
    assert!(tables.is_err(), "no table was created");
    assert!(!Path::new(&data).exists());

    let mut system = System::start(Layout::One, &database, Options::default()).await;
    system.stop().await;
    let of_system = system.data.display().to_string();
    let settings = ["--data-dir", &of_system, "--database-url-file", &url, "--store-listen", &listen];
    let report = Report::of("store", &settings).await;
    // The server for tests may have it off.
    let failures: Vec<_> = report.ids("failure").into_iter().filter(|id| *id != "database.fsync").collect();
    assert_eq!(failures, [""; 0], "{:#}", report.json);
    for id in ["database.schema", "keyring.fits", "clock.postgres", "clock.newest-row", "space.messages"] {
        report.assert_has(id, "ok");
    }
    let pooler = PgBouncer::start(database.url(), "transaction").await.unwrap();
    let report = Report::of("store", &["--data-dir", &of_system, "--database-url", pooler.url()]).await;
    report.assert_has("database.unreachable", "failure");
    assert!(report.text.contains("pool_mode = session"), "{}", report.text);
    let newer = "INSERT INTO seaql_migrations (version, applied_at) VALUES ('m29990101_000001_later', 0)";
    connection.execute_unprepared(newer).await.unwrap();
    Report::of("store", &settings).await.assert_has("database.schema", "failure");
}
