//! The metrics of all roles, the alerts and the dashboard that read them, and their documentation.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Stdio,
};

use mayfly_testkit::{FakeTelegram, TestDatabase};
use reqwest::header::{ACCEPT, CONTENT_TYPE, HOST};
use tokio::{io::AsyncWriteExt as _, process::Command};

use crate::{
    chat::{BOT_TOKEN, add_config},
    harness::{Layout, Options, System, free_port, run, wait_until},
};

/// What no label value may contain.
const CANARY: &str = "canary";
const ANN: i64 = 7;

/// A system whose processes serve metrics.
struct Measured {
    system: System,
    telegram: FakeTelegram,
    /// The URLs of the metrics: one, or those of the store, the gateway and the bot.
    urls: Vec<String>,
}

impl Measured {
    async fn start(layout: Layout) -> Self {
        Self::start_with(layout, "open").await
    }

    /// With a value of `--metrics-access`.
    async fn start_with(layout: Layout, access: &str) -> Self {
        let telegram = FakeTelegram::start(BOT_TOKEN).await.unwrap();
        let addresses = [(); 3].map(|()| format!("127.0.0.1:{}", free_port()));
        let environments = addresses
            .each_ref()
            .map(|address| [("MAYFLY_METRICS_LISTEN", address.as_str()), ("MAYFLY_METRICS_ACCESS", access)]);
        let options = Options {
            telegram: Some(telegram.url()),
            store_environment: &environments[0],
            gateway_environment: &environments[1],
            bot_environment: &environments[2],
            ..Options::default()
        };
        let system = System::start(layout, &TestDatabase::sqlite().unwrap(), options).await;
        let processes = system.processes.len();
        let urls = addresses.iter().take(processes).map(|address| format!("http://{address}/metrics")).collect();
        add_config(&system, "first", BOT_TOKEN).await;
        Self { system, telegram, urls }
    }

    /// The metrics of all processes, in the text format.
    async fn scrape(&self) -> String {
        let mut all = String::new();
        for url in &self.urls {
            let response = reqwest::get(url).await.unwrap();
            assert_eq!(response.headers()[CONTENT_TYPE], "text/plain; version=0.0.4; charset=utf-8");
            all += &response.text().await.unwrap();
        }
        all
    }

    async fn samples(&self) -> Vec<Sample> {
        self.scrape().await.lines().filter(|line| !line.starts_with('#')).map(Sample::parse).collect()
    }

    /// Uses each feature a known number of times.
    async fn use_everything(&self) {
        let http = reqwest::Client::new();
        let url = |path: &str| format!("{}/api/v1/{path}", self.system.gateway_url);
        let post = async |path: &str, fields: &[(&str, &str)]| {
            let sent = http.post(url(path)).form(fields).send().await.unwrap();
            (sent.status().as_u16(), sent.text().await.unwrap())
        };
        let create = async |fields: &[(&str, &str)]| {
            let (status, body) = post("create_message", fields).await;
            assert_eq!(status, 201);
            let created: serde_json::Value = serde_json::from_str(&body).unwrap();
            (created["id"].to_string(), created["access_token"].as_str().unwrap().to_owned())
        };
        // Four messages are created, two viewed, one burned, and one with a passphrase stays.
        for _ in 0..2 {
            let (id, token) = create(&[("text", CANARY)]).await;
            for status in [200, 204] {
                assert_eq!(post("view_message", &[("id", &id), ("access_token", &token)]).await.0, status);
            }
        }
        let (id, token) = create(&[("text", CANARY)]).await;
        for _ in 0..2 {
            assert_eq!(post("burn_message", &[("id", &id), ("access_token", &token)]).await.0, 200);
        }
        let (id, token) = create(&[("text", CANARY), ("passphrase", CANARY)]).await;
        for _ in 0..2 {
            let fields = [("id", id.as_str()), ("access_token", &token), ("passphrase", "canary-wrong")];
            assert_eq!(post("view_message", &fields).await.0, 403);
        }
        // A fifth one is created and viewed in a chat.
        self.telegram.user_says(ANN, "new:canary in a chat");
        let message_ref = self.telegram.next_reply(ANN).await.unwrap().text;
        self.telegram.user_says(ANN, &message_ref);
        assert_eq!(self.telegram.next_reply(ANN).await.unwrap().text, "canary in a chat");
    }

    /// Sends what no route, rpc or method matches.
    async fn attack(&self) {
        let http = reqwest::Client::new();
        let large = "x".repeat(8 << 20);
        for base in [&self.system.gateway_url, &self.system.bot_url, &self.system.store_url] {
            for path in [
                "/canary",
                "/m/canary",
                "/api/v1/canary",
                "/api/v1/get_message/1/canary",
                "/assets/canary",
                "/mayfly.message.v1.MessageService/Canary",
                "/mayfly.message.v1.Canary/CreateMessage",
                "/canary.v1.Canary/Canary",
            ] {
                let method = reqwest::Method::from_bytes(b"CANARY").unwrap();
                // The store's listener speaks gRPC; it rejects most of this, which is no failure of the test.
                for request in [
                    http.get(format!("{base}{path}?canary=canary")),
                    http.request(method, format!("{base}{path}")).header("canary", "canary"),
                    http.post(format!("{base}{path}")).header(CONTENT_TYPE, "application/grpc-web+proto").body(CANARY),
                    http.post(format!("{base}{path}")).header(CONTENT_TYPE, "application/grpc").body(CANARY),
                    http.get(format!("{base}{path}")).header(HOST, "canary.example.org"),
                ] {
                    drop(request.send().await);
                }
            }
            drop(http.post(format!("{base}/api/v1/create_message")).body(large.clone()).send().await);
        }
    }
}

/// Some labels of a sample.
type Labels<'test> = &'test [(&'test str, &'test str)];

/// A line of the text format.
#[derive(Debug)]
struct Sample {
    name: String,
    labels: BTreeMap<String, String>,
    value: f64,
}

impl Sample {
    fn parse(line: &str) -> Self {
        let (series, value) = line.rsplit_once(' ').unwrap();
        let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
        let labels = labels.strip_suffix('}').unwrap().split_terminator("\",").map(|label| {
            let (name, value) = label.split_once("=\"").unwrap();
            (name.to_owned(), value.trim_end_matches('"').to_owned())
        });
        Self { name: name.to_owned(), labels: labels.collect(), value: value.parse().unwrap() }
    }
}

/// The sum of the samples of `name` that have all of `labels`. `None` without any.
fn sum(samples: &[Sample], name: &str, labels: Labels<'_>) -> Option<f64> {
    let matches = |sample: &&Sample| {
        let has = |(label, value): &(&str, &str)| sample.labels.get(*label).is_some_and(|found| found == value);
        sample.name == name && labels.iter().all(has)
    };
    let found: Vec<_> = samples.iter().filter(matches).map(|sample| sample.value).collect();
    (!found.is_empty()).then(|| found.iter().sum())
}

async fn what_happens_is_counted(layout: Layout) {
    let mut measured = Measured::start(layout).await;
    measured.use_everything().await;
    // The acknowledgement of the chat's text follows its delivery.
    wait_until("no claim is open", async || sum(&measured.samples().await, "mayfly_claims_open", &[]) == Some(0.0))
        .await;
    let samples = measured.samples().await;
    let create = ("route", "/api/v1/create_message");
    let create_rpc = ("rpc", "mayfly.message.v1.MessageService/CreateMessage");
    let exact: &[(&str, Labels<'_>, f64)] = &[
        ("mayfly_messages_created_total", &[("content", "text")], 5.0),
        ("mayfly_messages_created_total", &[("content", "sealed")], 0.0),
        ("mayfly_messages_viewed_total", &[], 3.0),
        ("mayfly_messages_burned_total", &[], 1.0),
        ("mayfly_messages_expired_total", &[], 0.0),
        ("mayfly_messages_unread", &[], 1.0),
        ("mayfly_receipts_stored", &[], 4.0),
        ("mayfly_passphrase_tries_total", &[], 2.0),
        ("mayfly_passphrase_failures_total", &[], 2.0),
        ("mayfly_passphrase_stretches_running", &[], 0.0),
        ("mayfly_swept_rows_total", &[("kind", "message")], 0.0),
        ("mayfly_sweep_failures_total", &[], 0.0),
        ("mayfly_keys", &[("state", "sealing")], 1.0),
        ("mayfly_keys", &[("state", "old")], 0.0),
        ("mayfly_store_ready", &[], 1.0),
        ("mayfly_store_full", &[], 0.0),
        ("mayfly_keyring_usable", &[], 1.0),
        ("mayfly_gateway_store_reachable", &[], 1.0),
        ("mayfly_bot_store_reachable", &[], 1.0),
        ("mayfly_bot_state", &[("state", "serving")], 1.0),
        ("mayfly_bot_state", &[], 1.0),
        ("mayfly_bot_updates_total", &[("result", "handled")], 2.0),
        ("mayfly_bot_updates_in_flight", &[], 0.0),
        ("mayfly_bot_updates_spooled", &[], 0.0),
        ("mayfly_bot_update_lag_seconds_count", &[], 2.0),
        ("mayfly_gateway_http_requests_total", &[create, ("code", "201")], 4.0),
        ("mayfly_gateway_http_request_duration_seconds_count", &[create], 4.0),
        ("mayfly_gateway_http_requests_total", &[("route", "/api/v1/view_message"), ("code", "403")], 2.0),
        ("mayfly_store_rpcs_total", &[create_rpc, ("code", "OK")], 5.0),
        ("mayfly_store_rpc_duration_seconds_count", &[create_rpc], 5.0),
        ("mayfly_store_rpcs_total", &[("code", "PERMISSION_DENIED")], 2.0),
        ("mayfly_telegram_calls_total", &[("method", "sendMessage"), ("result", "ok")], 2.0),
        ("mayfly_write_transactions_total", &[("result", "unexpected")], 0.0),
        ("mayfly_bot_rpcs_total", &[], 0.0),
    ];
    for (name, labels, expected) in exact {
        assert_eq!(sum(&samples, name, labels), Some(*expected), "{name} {labels:?}");
    }
    let positive: &[(&str, Labels<'_>)] = &[
        ("mayfly_build_info", &[("version", env!("CARGO_PKG_VERSION"))]),
        ("mayfly_stored_bytes", &[]),
        ("mayfly_messages_unread_limit", &[]),
        ("mayfly_disk_free_bytes", &[]),
        ("mayfly_database_connections", &[]),
        ("mayfly_write_queue_limit", &[]),
        ("mayfly_write_transactions_total", &[("result", "committed")]),
        ("mayfly_write_batch_operations_sum", &[]),
        ("mayfly_commit_duration_seconds_sum", &[]),
        ("mayfly_sweep_duration_seconds_count", &[]),
        ("mayfly_telegram_calls_total", &[("method", "getUpdates"), ("result", "ok")]),
        ("mayfly_telegram_call_duration_seconds_count", &[("method", "getMe")]),
        ("mayfly_bot_updates_received_total", &[]),
        ("mayfly_connections_limit", &[]),
        ("mayfly_bot_http_requests_total", &[("route", "/readyz"), ("code", "200")]),
        ("process_cpu_seconds_total", &[]),
        ("process_resident_memory_bytes", &[]),
        ("process_open_fds", &[]),
        ("process_threads", &[]),
    ];
    for (name, labels) in positive {
        assert!(sum(&samples, name, labels).is_some_and(|value| value > 0.0), "{name} {labels:?}");
    }
    // Times are of this day.
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64();
    let processes = measured.urls.len() as f64;
    for (name, processes) in [
        ("mayfly_sweep_last_success_timestamp_seconds", 1.0),
        ("mayfly_sealing_key_create_timestamp_seconds", 1.0),
        ("process_start_time_seconds", processes),
    ] {
        let time = sum(&samples, name, &[]).unwrap() / processes;
        assert!((now - 3600.0..now + 60.0).contains(&time), "{name}: {time}");
    }
    measured.system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_in_one_process_is_counted() {
    what_happens_is_counted(Layout::One).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_in_three_processes_is_counted() {
    what_happens_is_counted(Layout::Three).await;
}

/// The values that each label may have.
fn is_in_closed_set(label: &str, value: &str) -> bool {
    let rpcs = [
        "mayfly.message.v1.",
        "mayfly.config.v1.",
        "mayfly.auth.v1.",
        "mayfly.bot.v1.",
        "grpc.health.v1.",
        "grpc.reflection.",
    ];
    match label {
        "version" => value == env!("CARGO_PKG_VERSION"),
        "le" => value == "+Inf" || value.parse::<f64>().is_ok(),
        "code" => value == "other" || value.parse::<u16>().is_ok_and(|code| code < 600) || is_name(value, 'A'..='Z'),
        // Templates have names where paths have values.
        "route" => value == "other" || value.starts_with('/'),
        "rpc" => value == "other" || rpcs.iter().any(|service| value.starts_with(service)),
        "method" => value.chars().all(|letter| letter.is_ascii_alphabetic()),
        "limit" | "content" | "result" | "kind" | "state" | "queue" => is_name(value, 'a'..='z'),
        _ => false,
    }
}

fn is_name(value: &str, letters: std::ops::RangeInclusive<char>) -> bool {
    value.chars().all(|letter| letters.contains(&letter) || letter == '_')
}

async fn hostile_requests_add_no_label_value(layout: Layout) {
    let mut measured = Measured::start(layout).await;
    measured.attack().await;
    let before = measured.samples().await;
    measured.attack().await;
    measured.use_everything().await;
    let text = measured.scrape().await;
    assert!(!text.contains(CANARY) && !text.contains("Canary") && !text.contains("CANARY"), "{text}");
    assert!(!text.contains(BOT_TOKEN) && !text.contains("127.0.0.1"), "{text}");
    let after = measured.samples().await;
    for Sample { name, labels, .. } in &after {
        for (label, value) in labels {
            assert!(is_in_closed_set(label, value), "{name}: {label}={value}");
        }
    }
    // The same attack a second time adds only counts.
    let series = |samples: &[Sample]| -> BTreeSet<String> {
        let routes = samples.iter().filter_map(|sample| sample.labels.get("route").or(sample.labels.get("rpc")));
        routes.cloned().collect()
    };
    let added: Vec<_> = series(&after).difference(&series(&before)).cloned().collect();
    assert!(added.iter().all(|route| route.starts_with("/api/v1/")), "{added:?}");
    assert!(sum(&after, "mayfly_gateway_http_requests_total", &[("route", "other"), ("code", "404")]) > Some(1.0));
    assert!(sum(&after, "mayfly_gateway_rpcs_total", &[("rpc", "other")]) > Some(1.0));
    assert!(sum(&after, "mayfly_store_rpcs_total", &[("rpc", "other"), ("code", "UNIMPLEMENTED")]) > Some(1.0));
    assert!(sum(&after, "mayfly_listener_refusals_total", &[("limit", "body_size")]) > Some(1.0));
    measured.system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_requests_to_one_process_add_no_label_value() {
    hostile_requests_add_no_label_value(Layout::One).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_requests_to_three_processes_add_no_label_value() {
    hostile_requests_add_no_label_value(Layout::Three).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_listener_serves_only_metrics_and_only_under_names_that_nobody_can_rebind() {
    let mut measured = Measured::start(Layout::One).await;
    let (http, url) = (reqwest::Client::new(), &measured.urls[0]);
    for (request, status) in [
        (http.get(url).header(ACCEPT, "application/openmetrics-text; version=1.0.0"), 200),
        (http.head(url), 200),
        (http.get(url).header(HOST, "prometheus.internal"), 200),
        (http.get(url).header(HOST, "attacker.example.org"), 421),
        (http.post(url), 405),
        (http.get(url.replace("/metrics", "/")), 404),
        (http.get(url.replace("/metrics", "/canary")), 404),
        (http.get(url.replace("/metrics", "/api/v1/create_message")), 404),
    ] {
        let response = http.execute(request.build().unwrap()).await.unwrap();
        assert_eq!(response.status(), status, "{response:?}");
        assert_eq!(response.headers()["cache-control"], "no-store");
    }
    let openmetrics = http.get(url).header(ACCEPT, "application/openmetrics-text").send().await.unwrap();
    assert!(openmetrics.headers()[CONTENT_TYPE].to_str().unwrap().starts_with("application/openmetrics-text"));
    assert!(openmetrics.text().await.unwrap().ends_with("# EOF\n"));
    measured.system.stop().await;
}

/// Each role asks the store about the token.
async fn a_scrape_needs_a_token(layout: Layout) {
    let measured = Measured::start_with(layout, "token").await;
    let data = measured.system.data.display().to_string();
    let tokens = async |arguments: &[&str]| {
        let done = measured.system.client(&[&["tokens"], arguments, &["--data-dir", &data]].concat()).await;
        assert_eq!(done.code, 0, "{}", done.err);
        done.out.trim().to_owned()
    };
    let reader = tokens(&["add", "prometheus", "--scope", "metrics"]).await;
    let creator = tokens(&["add", "ci", "--scope", "create"]).await;
    let admin = tokens(&["add", "root", "--scope", "admin"]).await;
    let scrape = async |url: &str, token: Option<&str>| {
        let request = reqwest::Client::new().get(url);
        let request = if let Some(token) = token { request.bearer_auth(token) } else { request };
        let response = request.send().await.unwrap();
        let has_metrics = response.status() == 200;
        assert_eq!(response.headers().contains_key("www-authenticate"), response.status() == 401);
        let status = response.status().as_u16();
        assert_eq!(response.text().await.unwrap().contains("mayfly_build_info"), has_metrics);
        status
    };
    for url in &measured.urls {
        for (token, status) in
            [(None, 401), (Some("wrong"), 401), (Some(&*creator), 403), (Some(&*reader), 200), (Some(&*admin), 200)]
        {
            assert_eq!(scrape(url, token).await, status, "{url}");
        }
    }
    tokens(&["revoke", "prometheus"]).await;
    for url in &measured.urls {
        assert_eq!(scrape(url, Some(&reader)).await, 401, "{url}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scrape_needs_a_token_of_one_process() {
    a_scrape_needs_a_token(Layout::One).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scrape_needs_a_token_of_three_processes() {
    a_scrape_needs_a_token(Layout::Three).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scrape_with_a_token_fails_while_the_store_cannot_be_reached() {
    let mut measured = Measured::start_with(Layout::Three, "token").await;
    let admin = fs::read_to_string(measured.system.data.join("admin.token")).unwrap();
    let scrape = async |url: &str| {
        reqwest::Client::new().get(url).bearer_auth(admin.trim()).send().await.unwrap().status().as_u16()
    };
    let [_, gateway, bot] = measured.urls.as_slice() else { panic!("{:?}", measured.urls) };
    assert_eq!((scrape(gateway).await, scrape(bot).await), (200, 200));
    measured.system.processes[0].kill().await;
    assert_eq!((scrape(gateway).await, scrape(bot).await), (503, 503));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_keyring_that_cannot_be_used_is_measured_until_it_is_repaired() {
    let measured = Measured::start(Layout::One).await;
    let keyring = measured.system.data.join("keyring.json");
    let intact = fs::read(&keyring).unwrap();
    let is_usable = async || measured.scrape().await.contains("\nmayfly_keyring_usable 1");
    assert!(is_usable().await);
    fs::write(&keyring, "damaged").unwrap();
    wait_until("the damaged file is noticed", async || !is_usable().await).await;
    fs::write(&keyring, intact).unwrap();
    wait_until("the repaired file is noticed", is_usable).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_in_use_is_one_sentence_that_names_the_setting() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let folder = tempfile::TempDir::new().unwrap();
    let data = folder.path().join("data").display().to_string();
    let free = || format!("127.0.0.1:{}", free_port());
    let (store, gateway, bot) = (free(), free(), free());
    let metrics = ["--metrics-listen", address.as_str()];
    for role in [
        &["store", "--data-dir", &data, "--store-listen", &store][..],
        &["gateway", "--gateway-listen", &gateway],
        &["up", "--data-dir", &data, "--store-listen", &store, "--gateway-listen", &gateway, "--bot-listen", &bot],
    ] {
        let ended = run(&[role, &metrics].concat()).await;
        let expected = format!("mayfly: cannot listen on {address} (--metrics-listen): ");
        assert!(ended.code == 1 && ended.err.contains(&expected), "{role:?}: {}", ended.err);
    }
    assert!(!Path::new(&data).exists(), "nothing was created");
}

fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(file: &str) -> String {
    fs::read_to_string(repository().join(file)).unwrap()
}

/// The names of Mayfly's metrics, and of its process, in a text.
fn metric_names(text: &str) -> BTreeSet<String> {
    let words = text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
    let is_metric = |word: &&str| word.starts_with("mayfly_") || word.starts_with("process_");
    words.filter(is_metric).map(str::to_owned).collect()
}

/// The metrics of a gauge that exists only with TLS.
const ONLY_WITH_TLS: &str = "mayfly_tls_certificate_expiry_timestamp_seconds";

#[tokio::test(flavor = "multi_thread")]
async fn the_dashboard_the_alerts_and_the_documentation_name_metrics_that_exist() {
    let mut measured = Measured::start(Layout::One).await;
    measured.use_everything().await;
    let text = measured.scrape().await;
    let mut names: BTreeSet<_> = measured.samples().await.into_iter().map(|sample| sample.name).collect();
    names.insert(ONLY_WITH_TLS.to_owned());
    let dashboard: serde_json::Value = serde_json::from_str(&read("deploy/grafana/mayfly.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap().iter();
    let targets = panels.flat_map(|panel| panel["targets"].as_array().cloned().unwrap_or_default());
    let queries: Vec<_> = targets.map(|target| target["expr"].as_str().unwrap().to_owned()).collect();
    assert!(queries.len() > 40, "{}", queries.len());
    for source in [queries.join("\n"), read("deploy/prometheus/rules/mayfly.yml")] {
        let unknown: Vec<_> = metric_names(&source).difference(&names).cloned().collect();
        assert!(unknown.is_empty(), "{unknown:?}");
    }

    let families = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
    let mut families: BTreeSet<_> = families.map(str::to_owned).collect();
    families.insert(ONLY_WITH_TLS.to_owned());
    let guide = read("docs/monitoring.md");
    let rows = guide.lines().filter(|line| line.starts_with("| `mayfly_") || line.starts_with("| `process_"));
    let documented = rows.flat_map(|row| metric_names(row.split('|').nth(1).unwrap())).collect();
    assert_eq!(families, documented, "the table of metrics in docs/monitoring.md");

    let alerts: Vec<_> = read("deploy/prometheus/rules/mayfly.yml").lines().filter_map(alert_name).collect();
    assert!(alerts.len() > 10);
    let rules = read("deploy/prometheus/rules/mayfly.yml");
    for alert in alerts {
        assert!(guide.contains(&format!("### {alert}\n")), "{alert} has no section in docs/monitoring.md");
        assert!(rules.contains(&format!("runbook: docs/monitoring.md#{}\n", alert.to_lowercase())), "{alert}");
    }
    measured.system.stop().await;
}

fn alert_name(line: &str) -> Option<String> {
    Some(line.trim().strip_prefix("- alert: ")?.to_owned())
}

/// Runs promtool with `input`. It must succeed, and print nothing if `is_silent`.
async fn promtool(arguments: &[&str], input: &str, is_silent: bool) {
    let mut command = Command::new("promtool");
    command.current_dir(repository()).args(arguments).kill_on_drop(true);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("promtool is not installed: {error}"));
    child.stdin.take().unwrap().write_all(input.as_bytes()).await.unwrap();
    let output = child.wait_with_output().await.unwrap();
    let printed = [output.stdout, output.stderr].concat();
    let printed = String::from_utf8_lossy(&printed);
    assert!(output.status.success() && (printed.is_empty() || !is_silent), "{arguments:?}: {printed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_metrics_of_each_role_and_the_alerts_are_checked_with_promtool() {
    let mut measured = Measured::start(Layout::Three).await;
    measured.use_everything().await;
    for url in &measured.urls {
        promtool(&["check", "metrics"], &reqwest::get(url).await.unwrap().text().await.unwrap(), true).await;
    }
    promtool(&["check", "rules", "deploy/prometheus/rules/mayfly.yml"], "", false).await;
    promtool(&["test", "rules", "deploy/prometheus/tests/mayfly.yml"], "", false).await;
    // The files of its certificates exist only in the container.
    promtool(&["check", "config", "--syntax-only", "deploy/prometheus/prometheus.yml"], "", false).await;
    let tests = read("deploy/prometheus/tests/mayfly.yml");
    for alert in read("deploy/prometheus/rules/mayfly.yml").lines().filter_map(alert_name) {
        for outcome in ["fires", "does not fire"] {
            assert!(tests.contains(&format!("name: {alert} {outcome}\n")), "no test in which {alert} {outcome}");
        }
    }
    measured.system.stop().await;
}
