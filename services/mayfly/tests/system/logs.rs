//! No secret leaks: neither into logs at the most verbose level, nor into error responses, the bot's page or `/proc`.

use std::fs;

use mayfly_contracts::{
    StoreChannel,
    message::{LookupMessageRequest, message_service_client::MessageServiceClient},
};
use mayfly_testkit::{FakeTelegram, OtlpReceiver, TestDatabase, leak_scan::find_leak};
use reqwest::{Method, StatusCode};

use crate::harness::{Layout, Options, System};

const TEXT: &str = "canary-text-canary-text";
const BOT_TOKEN: &str = "1000000000:AAHcanary-canary-canary-canary-0000";
const API_HASH: &str = "0123456789abcdef0123456789abcdee";
const PASSPHRASE: &str = "canary-passphrase-canary";
const VIEW_ID: &str = "3f1c2a9e-7d56-4f0e-8b0a-1c6a2f9d4e11";
const ANN: i64 = 7;

/// Uses all features, correctly and incorrectly. Returns the secrets, and the error responses.
async fn use_everything(system: &System, telegram: &FakeTelegram) -> (Vec<String>, Vec<u8>) {
    let mut responses = Vec::new();
    let fields = ["add", "--session-name", "s", "--api-id", "1", "--api-hash", API_HASH, "--bot-token", BOT_TOKEN];
    assert_eq!(system.config(&fields).await.code, 0);
    telegram.user_says(ANN, &format!("new:{TEXT}"));
    let reply = telegram.next_reply(ANN).await.unwrap().text;
    telegram.user_says(ANN, &reply);
    assert_eq!(telegram.next_reply(ANN).await.unwrap().text, TEXT);
    telegram.user_says(ANN, TEXT);
    telegram.next_reply(ANN).await.unwrap();

    let message_ref = system.client(&["new", TEXT]).await.out.trim().to_owned();
    let (id, token) = message_ref.split_once(':').unwrap();
    let http = reqwest::Client::new();
    let url = |path: &str| format!("{}/api/v1/{path}", system.gateway_url);
    let mut statuses = Vec::new();
    for path in [
        format!("get_message/{id}/{token}/"),
        format!("get_message/{id}/{token}"),
        format!("get_message/{id}/{token}0/"),
        format!("get_message/{TEXT}/{token}/"),
        format!("get_message/{id}/{token}/{TEXT}"),
        format!("get_last_active_app_config/?{TEXT}"),
        format!("{TEXT}/{token}"),
    ] {
        statuses.push(
            http.get(url(&path)).header("authorization", format!("Bearer {TEXT}")).send().await.unwrap().status(),
        );
    }
    assert_eq!(statuses[..3], [StatusCode::OK, StatusCode::NO_CONTENT, StatusCode::UNAUTHORIZED]);
    for body in [format!("{{\"text\":\"{TEXT}\""), format!("{{\"text\":\"{TEXT}\",\"ttl\":\"{TEXT}\"}}")] {
        let rejected = http.post(url("create_message/")).header("content-type", "application/json").body(body);
        let rejected = rejected.send().await.unwrap();
        assert_eq!(rejected.status(), 400);
        responses.extend(format!("{:?}", rejected.headers()).into_bytes());
        responses.extend(rejected.bytes().await.unwrap());
    }
    for secret in [TEXT, token, BOT_TOKEN] {
        responses.extend(send_everywhere(system, secret).await);
    }
    let guarded = system.client(&["new", TEXT, "--passphrase", PASSPHRASE]).await.out;
    let (guarded_id, guarded_token) = guarded.trim().split_once(':').unwrap();
    for (passphrase, status) in [("", 428), ("canary-wrong-canary", 403), (PASSPHRASE, 200)] {
        let message_ref = [("id", guarded_id), ("access_token", guarded_token), ("passphrase", passphrase)];
        let response =
            http.post(url("view_message")).header("Idempotency-Key", VIEW_ID).form(&message_ref).send().await.unwrap();
        assert_eq!(response.status(), status);
        if status != 200 {
            responses.extend(format!("{:?}", response.headers()).into_bytes());
            responses.extend(response.bytes().await.unwrap());
        }
    }
    for kind in ["text/html", "application/json"] {
        let page = http.get(&system.bot_url).header("accept", kind).send().await.unwrap();
        assert_eq!(page.status(), 200);
        responses.extend(page.bytes().await.unwrap());
    }
    let rejected = system.client(&["config", "list", "--admin-token", TEXT]).await;
    assert_ne!(rejected.code, 0);
    assert_eq!(find_leak(rejected.err.as_bytes(), &[TEXT]), None);

    let data = system.data.display().to_string();
    let api_token = system.client(&["tokens", "add", "ci", "--scope", "create", "--data-dir", &data]).await.out;
    let api_token = api_token.trim().to_owned();
    for (action, code) in [("list", 4), ("revoke", 0), ("list", 4)] {
        let tokens = match action {
            "list" => system.client(&["tokens", "list", "--admin-token", &api_token]).await,
            _ => system.client(&["tokens", "revoke", "ci", "--data-dir", &data]).await,
        };
        assert_eq!(tokens.code, code, "{}", tokens.err);
        responses.extend(tokens.err.into_bytes());
    }

    let file = |name: &str| fs::read_to_string(system.data.join(name)).unwrap().trim().to_owned();
    let keyring: serde_json::Value = serde_json::from_str(&file("keyring.json")).unwrap();
    let key = keyring["keys"][0]["key"].as_str().unwrap().to_owned();
    let reply_token = reply.split_once(':').unwrap().1.to_owned();
    let tokens = [token, &reply_token, guarded_token, &file("admin.token"), &file("service.token"), &api_token];
    let secrets =
        [&[TEXT, BOT_TOKEN, API_HASH, PASSPHRASE, "canary-wrong-canary", VIEW_ID, &key][..], &tokens].concat();
    (secrets.into_iter().map(str::to_owned).collect(), responses)
}

/// Sends a secret in the parts of a request that logs often contain. Returns the headers and bodies of the responses.
async fn send_everywhere(system: &System, secret: &str) -> Vec<u8> {
    let http = reqwest::Client::new();
    let mut responses = Vec::new();
    let half = secret.bytes().take(16).map(|byte| format!("{byte:02x}")).collect::<String>();
    let traceparent = format!("00-{half}-{}-01", &half[..16]);
    for url in [&system.gateway_url, &system.bot_url] {
        for path in
            ["/healthz", "/api/v1/lookup_message", "/mayfly.message.v1.MessageService/", "/grpc.health.v1.Health/"]
        {
            let path = if path.ends_with('/') { format!("{path}{secret}") } else { format!("{path}?token={secret}") };
            for method in [Method::POST, Method::HEAD, Method::from_bytes(token_of(secret).as_bytes()).unwrap()] {
                let mut request = http.request(method, format!("{url}{path}")).header("traceparent", &traceparent);
                for name in ["user-agent", "x-request-id", "referer", "cookie", "x-forwarded-for", "content-type"] {
                    request = request.header(name, secret);
                }
                for name in ["tracestate", "baggage"] {
                    request = request.header(name, format!("mayfly={secret}"));
                }
                let response = request.send().await.unwrap();
                responses.extend(format!("{:?}", response.headers()).into_bytes());
                responses.extend(response.bytes().await.unwrap());
            }
        }
    }
    for url in [&system.store_url, &system.gateway_url] {
        let mut request = tonic::Request::new(LookupMessageRequest { id: 1, access_token: secret.to_owned() });
        for (name, value) in [("x-request-id", secret), ("traceparent", &traceparent), ("baggage", secret)] {
            request.metadata_mut().insert(name, value.parse().unwrap());
        }
        request.metadata_mut().insert("authorization", format!("Bearer {secret}").parse().unwrap());
        let mut client = MessageServiceClient::new(StoreChannel::remote(url).unwrap());
        let error = client.lookup_message(request).await.unwrap_err();
        responses.extend(format!("{:?} {error:?}", error.metadata()).into_bytes());
        responses.extend(error.details());
    }
    responses
}

/// The part of a secret that can be the method of a request.
fn token_of(secret: &str) -> String {
    secret.replace(':', "-")
}

/// What users of the machine can read about the processes: their command lines, environments and status.
fn proc_files(system: &System) -> Vec<u8> {
    let mut contents = Vec::new();
    for process in &system.processes {
        for name in ["cmdline", "environ", "status"] {
            contents.extend(fs::read(format!("/proc/{}/{name}", process.id())).unwrap());
        }
    }
    contents
}

/// Each of the logs has lines, so their scan means something.
fn assert_lines(output: &str, format: &str) {
    let field = |name: &str, value: &str| match format {
        "json" => format!("\"{name}\":\"{value}\""),
        _ => format!("{name}=\"{value}\""),
    };
    for (target, fields) in [
        ("mayfly::access", [("listener", "gateway"), ("route", "/api/v1/get_message/{id}/{token}")]),
        ("mayfly::access", [("listener", "store"), ("route", "mayfly.message.v1.MessageService/LookupMessage")]),
        ("mayfly::access", [("listener", "bot"), ("route", "/healthz")]),
        ("mayfly::access", [("method", "_OTHER"), ("route", "(none)")]),
        ("mayfly::access", [("method", "POST"), ("code", "UNAUTHENTICATED")]),
        ("mayfly::audit", [("action", "app_config.create"), ("outcome", "success")]),
        ("mayfly::audit", [("action", "authenticate"), ("outcome", "refused")]),
    ] {
        let has_all = |line: &&str| {
            line.contains(target) && fields.iter().all(|(name, value)| line.contains(&field(name, value)))
        };
        assert!(output.lines().any(|line| has_all(&line)), "{target} {fields:?} in {output}");
    }
}

async fn assert_no_secret_is_logged(layout: Layout, database: TestDatabase, format: &str) {
    let telegram = FakeTelegram::start(BOT_TOKEN).await.unwrap();
    let receiver = OtlpReceiver::start().await.unwrap();
    let logs = ["--log", "trace", "--log-format", format, "--access-log", "all", "--access-log-callers"];
    let extra_arguments = [&logs[..], &["--otlp-endpoint", receiver.url()]].concat();
    let options = Options { telegram: Some(telegram.url()), extra_arguments: &extra_arguments, ..Options::default() };
    let mut system = System::start(layout, &database, options).await;
    let (mut secrets, responses) = use_everything(&system, &telegram).await;
    for (output, source) in [(responses, "responses"), (proc_files(&system), "/proc")] {
        assert!(!output.is_empty());
        let secrets: Vec<_> = secrets.iter().map(String::as_str).collect();
        assert_eq!(find_leak(&output, &secrets), None, "{source}: {}", String::from_utf8_lossy(&output));
    }
    system.stop().await;
    // The part of the URL that may contain a password.
    secrets.push(database.url().trim_start_matches("sqlite://").to_owned());
    let output = system.output();
    if database.url().starts_with("sqlite") {
        // The banner contains the path of the database, which is no secret.
        secrets.pop();
    }
    let secrets: Vec<_> = secrets.iter().map(String::as_str).collect();
    assert_eq!(find_leak(&output, &secrets), None, "{}", String::from_utf8_lossy(&output));
    let spans = receiver.spans();
    assert_eq!(find_leak(&receiver.bytes(), &secrets), None, "{spans:#?}");
    for name in
        ["POST (none)", "_OTHER (none)", "GET /api/v1/get_message/{id}/{token}", "DELETE messages", "SendMessage"]
    {
        assert!(spans.iter().any(|span| span.name == name), "{name}: {spans:#?}");
    }

    // Negative control: the scan finds a secret that is there.
    assert!(
        system
            .processes
            .iter()
            .any(|process| process.has_printed("TRACE") || process.has_printed("\"level\":\"TRACE\""))
    );
    let text = String::from_utf8_lossy(&output);
    assert_lines(&text, format);
    let leaky = [&output, API_HASH.as_bytes()].concat();
    assert_eq!(find_leak(&leaky, &secrets), Some(API_HASH));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_secret_is_logged_as_text_on_sqlite() {
    assert_no_secret_is_logged(Layout::One, TestDatabase::sqlite().unwrap(), "text").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_secret_is_logged_as_json_on_postgres() {
    assert_no_secret_is_logged(Layout::Three, TestDatabase::postgres().await.unwrap(), "json").await;
}
