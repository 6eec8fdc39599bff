//! Attacks by untrusted callers while users create and view messages. All calls of the users must succeed, with bounded
//! memory.
//!
//! Each test prints a row of the table in `docs/guarantees.md`. With fewer than [`FULL_SIZE_ROUNDS`] rounds the attacks
//! are smaller. `MAYFLY_TEST_PROGRAM` names another program to attack, such as a release build.

use std::{
    any::Any,
    net::{IpAddr, Ipv4Addr},
    os::unix::fs::MetadataExt as _,
    path::Path,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures_util::{
    future::join_all,
    stream::{self, StreamExt as _},
};
use mayfly_contracts::message::WatchMessageRequest;
use mayfly_testkit::{RawHttp2, RawStream, SmallDisk, TestDatabase, grpc_frame, grpc_frame_header};
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt as _, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use tonic_health::pb::HealthCheckRequest;
use tonic_reflection::pb::v1::{ServerReflectionRequest, server_reflection_request::MessageRequest};
use uuid::Uuid;

use super::load_run::rounds;
use crate::harness::{Layout, MAX_MEMORY_MIB, Options, System, connect_from};

/// From this number of rounds on, attacks have their full size.
const FULL_SIZE_ROUNDS: u64 = 50;
/// The number of users who create and view concurrently, each from its own address.
const USERS: u8 = 4;
/// The pause of a user between two messages.
const USER_PAUSE: Duration = Duration::from_millis(20);
/// The timeout of a user, which is that of the gateway for the store.
const USER_TIMEOUT: Duration = Duration::from_secs(30);
/// The timeout of an attack with its measurements.
const ATTACK_TIMEOUT: Duration = Duration::from_secs(240);

const HOSTILE: IpAddr = hostile(0);
const CREATE: &str = "/mayfly.message.v1.MessageService/CreateMessage";
const WATCH: &str = "/mayfly.message.v1.MessageService/WatchMessage";
const REFLECTION: &str = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
const HEALTH_WATCH: &str = "/grpc.health.v1.Health/Watch";

/// The n-th address of the attackers.
const fn hostile(number: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(127, 0, 1, number + 1))
}

fn is_full_size() -> bool {
    rounds() >= FULL_SIZE_ROUNDS
}

/// The size of an attack: `full` with many rounds, else `small`.
fn scaled(small: usize, full: usize) -> usize {
    if is_full_size() { full } else { small }
}

fn client_at(address: IpAddr) -> Client {
    Client::builder().local_address(address).timeout(Duration::from_secs(60)).build().unwrap()
}

fn api(system: &System, path: &str) -> String {
    format!("{}/api/v1/{path}", system.gateway_url)
}

/// Creates a message. The response contains its id and token.
async fn create(client: &Client, system: &System, fields: &Value) -> reqwest::Result<(StatusCode, Value)> {
    let response = client.post(api(system, "create_message")).json(fields).send().await?;
    Ok((response.status(), response.json().await.unwrap_or_default()))
}

/// Views a message that `create` returned.
async fn view(client: &Client, system: &System, message: &Value) -> reqwest::Result<(StatusCode, Value)> {
    let response = client.post(api(system, "view_message")).json(message).send().await?;
    Ok((response.status(), response.json().await.unwrap_or_default()))
}

async fn view_with_key(
    client: &Client,
    system: &System,
    message: &Value,
    key: &str,
) -> reqwest::Result<(StatusCode, Value)> {
    let request = client.post(api(system, "view_message")).header("idempotency-key", key).json(message);
    let response = request.send().await?;
    Ok((response.status(), response.json().await.unwrap_or_default()))
}

/// Users of the service before and during an attack.
struct Users {
    measured: Arc<Measured>,
    stop: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Measured {
    times: Mutex<Vec<Duration>>,
    /// Errors that a user got.
    wrong: Mutex<Vec<String>>,
}

/// Creates a message and views it without an idempotency key, so that a lost response loses the text.
async fn use_once(client: &Client, base: &str, number: usize, times: &Mutex<Vec<Duration>>) -> Result<(), String> {
    let text = format!("text {number}");
    let began = Instant::now();
    let created = client.post(format!("{base}/create_message")).form(&[("text", &text)]).send().await;
    let created = created.map_err(|error| format!("create: {error:?}"))?;
    let status = created.status();
    let message: Value = created.json().await.map_err(|error| format!("create: {status}, {error:?}"))?;
    if status != StatusCode::CREATED {
        return Err(format!("create: {status}, {message}"));
    }
    times.lock().unwrap().push(began.elapsed());
    let began = Instant::now();
    let token = message["access_token"].as_str().unwrap();
    let viewed = client.get(format!("{base}/get_message/{}/{token}", message["id"])).send().await;
    let viewed = viewed.map_err(|error| format!("view: {error:?}"))?;
    let status = viewed.status();
    let shown: Value = viewed.json().await.map_err(|error| format!("view: {status}, {error:?}"))?;
    if shown["text"] != text.as_str() {
        return Err(format!("view: {status}, {shown}"));
    }
    times.lock().unwrap().push(began.elapsed());
    Ok(())
}

impl Users {
    fn begin(system: &System) -> Self {
        let (measured, stop) = (Arc::<Measured>::default(), CancellationToken::new());
        let task = |user: u8| {
            let (measured, stop) = (Arc::clone(&measured), stop.clone());
            let base = format!("{}/api/v1", system.gateway_url);
            let address = IpAddr::V4(Ipv4Addr::new(127, 0, 2, user + 1));
            // Every second user opens a connection for each call, so that new connections are tested too.
            let client = Client::builder().local_address(address).pool_max_idle_per_host(usize::from(user % 2));
            let client = client.timeout(USER_TIMEOUT).build().unwrap();
            tokio::spawn(async move {
                let mut number = 0;
                while stop.run_until_cancelled(tokio::time::sleep(USER_PAUSE)).await.is_some() {
                    if let Err(wrong) = use_once(&client, &base, number, &measured.times).await {
                        measured.wrong.lock().unwrap().push(wrong);
                    }
                    number += 1;
                }
            })
        };
        let tasks = (0..USERS).map(task).collect();
        Self { measured, stop, tasks }
    }

    /// Waits until this many more calls succeeded, or one failed.
    async fn wait_for_outcomes(&self, calls: usize) {
        let goal = self.measured.times.lock().unwrap().len() + calls;
        let is_there =
            || self.measured.times.lock().unwrap().len() >= goal || !self.measured.wrong.lock().unwrap().is_empty();
        while !is_there() {
            tokio::time::sleep(USER_PAUSE).await;
        }
    }

    /// The 99th percentile of the latencies since the last call of this method.
    fn p99(&self) -> Duration {
        let mut times = std::mem::take(&mut *self.measured.times.lock().unwrap());
        times.sort_unstable();
        times.get(times.len() * 99 / 100).copied().unwrap_or_default()
    }

    /// Stops the users and waits until they have finished. No call may have failed.
    async fn end(self) {
        self.stop.cancel();
        for task in self.tasks {
            task.await.unwrap();
        }
        let wrong = self.measured.wrong.lock().unwrap();
        assert!(wrong.is_empty(), "{} calls: {:?}", wrong.len(), wrong.first());
    }
}

/// The size of an attack, and its open connections.
struct Attack {
    requests: usize,
    bytes: usize,
    /// Connections and streams that stay open during the measurement.
    open: Vec<Box<dyn Any + Send>>,
}

impl Attack {
    fn of(requests: usize, bytes: usize) -> Self {
        Self { requests, bytes, open: Vec::new() }
    }

    fn hold(mut self, open: impl Any + Send) -> Self {
        self.open.push(Box::new(open));
        self
    }
}

/// The size of the database's files on disk.
fn disk_bytes(database: &TestDatabase) -> u64 {
    let file = database.url().trim_start_matches("sqlite://").trim_end_matches("?mode=rwc");
    let size = |suffix: &str| Path::new(&format!("{file}{suffix}")).metadata().map_or(0, |file| file.blocks() * 512);
    size("") + size("-wal")
}

/// Attacks `system` while users call it. Asserts that all their calls succeed.
async fn attack(name: &str, system: &System, layout: Layout, attack: impl AsyncFnOnce(&System) -> Attack) {
    let calls = scaled(40, 1000);
    let users = Users::begin(system);
    let attacked = async {
        users.wait_for_outcomes(calls).await;
        let before = users.p99();
        let began = Instant::now();
        let attack = attack(system).await;
        users.wait_for_outcomes(calls).await;
        (before, users.p99(), began.elapsed(), attack)
    };
    let attacked = tokio::time::timeout(ATTACK_TIMEOUT, attacked).await;
    let (before, meanwhile, duration, attack) = attacked.expect("the attack and the users end in time");
    let (memory, disk) = (system.peak_memory_mib(), disk_bytes(&system.database) >> 20);
    println!(
        "| {name}, {layout:?} | {} requests, {} KiB, {:.0} s | {:.0} / {:.0} ms | {memory} MiB | {disk} MiB |",
        attack.requests,
        attack.bytes >> 10,
        duration.as_secs_f64(),
        before.as_secs_f64() * 1000.0,
        meanwhile.as_secs_f64() * 1000.0,
    );
    users.end().await;
    drop(attack.open);
    assert!(memory < MAX_MEMORY_MIB, "{name}: {memory} MiB");
    let output = system.output();
    assert!(!String::from_utf8_lossy(&output).contains("panicked"), "{name}: {}", String::from_utf8_lossy(&output));
}

async fn start(layout: Layout, extra_arguments: &[&str]) -> System {
    System::start(layout, &TestDatabase::sqlite().unwrap(), Options { extra_arguments, ..Options::default() }).await
}

/// Runs an attack in one process and in three.
async fn in_both_layouts(name: &str, is_attack: impl AsyncFn(&System) -> Attack) {
    for layout in [Layout::One, Layout::Three] {
        let system = start(layout, &[]).await;
        attack(name, &system, layout, async |system| is_attack(system).await).await;
    }
}

/// Opens streams on one connection without reading their responses.
async fn unread_streams(url: &str, from: IpAddr, count: usize, path: &str, body: &Bytes, is_whole: bool) -> Attack {
    let connection = RawHttp2::connect(url, from, 0).await.unwrap();
    let mut open: Vec<RawStream> = Vec::new();
    for _ in 0..count {
        let Ok(stream) = connection.call(path, body.clone(), is_whole).await else { break };
        open.push(stream);
    }
    Attack::of(count, count * body.len()).hold((connection, open))
}

fn join(attacks: impl IntoIterator<Item = Attack>) -> Attack {
    let mut all = Attack::of(0, 0);
    for attack in attacks {
        all.requests += attack.requests;
        all.bytes += attack.bytes;
        all.open.extend(attack.open);
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn reflection_streams_that_nobody_reads() {
    let symbol = MessageRequest::FileContainingSymbol("mayfly.message.v1.MessageService".to_owned());
    let question = grpc_frame(&ServerReflectionRequest { host: String::new(), message_request: Some(symbol) });
    let questions = Bytes::from(question.repeat(600));
    in_both_layouts("6 reflection streams of 600 requests, unread", async |system: &System| {
        let urls = [&system.gateway_url, &system.store_url];
        join(join_all(urls.map(|url| unread_streams(url, HOSTILE, 6, REFLECTION, &questions, false))).await)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn health_streams_of_many_addresses() {
    let request = grpc_frame(&HealthCheckRequest::default());
    in_both_layouts("1,024 streams of Health/Watch from 21 addresses", async |system: &System| {
        let of_one = |number| unread_streams(&system.gateway_url, hostile(number), 49, HEALTH_WATCH, &request, true);
        join(join_all((0..21).map(of_one)).await)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn health_streams_of_one_connection() {
    let request = grpc_frame(&HealthCheckRequest::default());
    in_both_layouts("1,024 streams of Health/Watch on 4 connections", async |system: &System| {
        let of_one = |_| unread_streams(&system.gateway_url, HOSTILE, 256, HEALTH_WATCH, &request, true);
        join(join_all((0..4).map(of_one)).await)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_that_announce_large_messages_and_never_finish() {
    let role = Bytes::from(vec![0; 1 << 20]);
    in_both_layouts("256 streams that announce 4 MiB, send 1 and stop", async |system: &System| {
        let mut sent = Attack::of(0, 0);
        for url in [&system.store_url, &system.gateway_url] {
            let connection = RawHttp2::connect(url, HOSTILE, 1 << 16).await.unwrap();
            for _ in 0..256 {
                let header = grpc_frame_header(4 << 20).freeze();
                let Ok(mut stream) = connection.call(CREATE, header, false).await else { break };
                // The connection accepts as much of it as flow control allows.
                stream.request.send_data(role.clone(), false).unwrap_or_default();
                sent = join([sent, Attack::of(1, role.len()).hold(stream)]);
            }
        }
        sent
    })
    .await;
}

/// A text of the maximum size. It is incompressible, so that no layer shrinks it.
fn large_text() -> String {
    let mut state = 1_u64;
    let letter = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        char::from(b'a' + u8::try_from((state >> 33) % 26).unwrap())
    };
    (0..1 << 20).map(letter).collect()
}

async fn start_for_large_texts(layout: Layout) -> System {
    let environment = &[("MAYFLY_MAX_TEXT_BYTES", "1048576")];
    let options = Options { store_environment: environment, gateway_environment: environment, ..Options::default() };
    System::start(layout, &TestDatabase::sqlite().unwrap(), options).await
}

/// Creates large messages from many addresses, four at a time.
async fn create_large(system: &System, count: usize, ttl_seconds: u64) -> Vec<Value> {
    let text = large_text();
    let clients: Vec<_> = (0..4).map(|number| client_at(hostile(number))).collect();
    let create_one = |number: usize| {
        let (client, fields) = (&clients[number % 4], json!({ "text": text, "ttl": ttl_seconds }));
        async move {
            loop {
                let (status, mut message) = create(client, system, &fields).await.unwrap();
                if status == StatusCode::CREATED {
                    message["text"].take();
                    break message;
                }
                assert!(matches!(status.as_u16(), 429 | 503), "{status}");
            }
        }
    };
    stream::iter(0..count).map(create_one).buffer_unordered(4).collect().await
}

async fn unread(system: &System) -> i64 {
    use sea_orm::{ConnectionTrait as _, DatabaseBackend, Statement};
    let database = system.database.connect().await.unwrap();
    let count = Statement::from_string(DatabaseBackend::Sqlite, "SELECT count(*) FROM messages");
    let count = database.query_one_raw(count).await.unwrap().unwrap().try_get_by_index(0).unwrap();
    database.close().await.unwrap();
    count
}

#[tokio::test(flavor = "multi_thread")]
async fn json_with_unknown_fields() {
    // The largest body with a limit of 1 MiB for texts. Parsed into a tree of values it takes ninety times the space.
    let values = ["{\"\":0}"; 700_000].join(",");
    let body = Bytes::from(format!("{{\"unknown\":[{values}],\"text\":\"hello\"}}"));
    let count = scaled(16 << 20, 64 << 20) / body.len();
    for layout in [Layout::One, Layout::Three] {
        let system = start_for_large_texts(layout).await;
        attack("JSON with unknown fields from 16 addresses", &system, layout, async |system| {
            let clients: Vec<_> = (0..16).map(|number| client_at(hostile(number))).collect();
            let send = |number: usize| {
                let request = clients[number % clients.len()].post(api(system, "create_message"));
                let request = request.header("content-type", "application/json").body(body.clone());
                async move { request.send().await.is_ok_and(|response| response.status() == StatusCode::CREATED) }
            };
            assert!(join_all((0..count).map(send)).await.contains(&true));
            Attack::of(count, count * body.len())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sweep_of_large_messages_beside_readers_of_large_messages() {
    let count = scaled(20, 1000);
    let readers = scaled(8, 256);
    let ttl = scaled(10, 40) as u64;
    for layout in [Layout::One, Layout::Three] {
        let system = start_for_large_texts(layout).await;
        attack("a sweep of texts of 1 MiB, readers of such at once", &system, layout, async |system| {
            create_large(system, count, ttl).await;
            let messages = create_large(system, readers, 3600).await;
            // More addresses could occupy the whole budget for unread responses. Then all readers get a retry response.
            let clients: Vec<_> = (0..3).map(|number| client_at(hostile(number))).collect();
            let read = |(number, message): (usize, &Value)| {
                let (client, message) = (&clients[number % clients.len()], message.clone());
                // On a slow machine a view can time out after it has taken effect; with a key it can be repeated.
                let key = Uuid::from_u128(1 + number as u128).to_string();
                async move {
                    loop {
                        let (status, viewed) = view_with_key(client, system, &message, &key).await.unwrap();
                        if status == StatusCode::OK {
                            break viewed["text"].as_str().unwrap().len();
                        }
                        assert!(matches!(status.as_u16(), 429 | 503), "{status} {viewed}");
                        tokio::time::sleep(USER_PAUSE).await;
                    }
                }
            };
            let lengths = join_all(messages.iter().enumerate().map(read)).await;
            assert!(lengths.iter().all(|length| *length == 1 << 20));
            while unread(system).await > 100 {
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            let requests = count + readers * 2;
            Attack::of(requests, requests << 20)
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_of_large_messages_that_do_not_read() {
    let count = scaled(24, 256);
    for layout in [Layout::One, Layout::Three] {
        let system = start_for_large_texts(layout).await;
        attack("views of 1 MiB, unread", &system, layout, async |system| {
            let messages = create_large(system, count, 3600).await;
            let connections = join_all((0..3).map(|n| RawHttp2::connect(&system.gateway_url, hostile(n), 0))).await;
            let mut open = Vec::new();
            for (number, message) in messages.iter().enumerate() {
                let request = mayfly_contracts::message::ViewMessageRequest {
                    id: message["id"].as_i64().unwrap(),
                    access_token: message["access_token"].as_str().unwrap().to_owned(),
                    ..Default::default()
                };
                let connection = connections[number % connections.len()].as_ref().unwrap();
                let path = "/mayfly.message.v1.MessageService/ViewMessage";
                let mut stream = connection.call(path, grpc_frame(&request), true).await.unwrap();
                // Views beyond the caller's budget for unread responses are rejected and consume nothing.
                (&mut stream.response).await.unwrap();
                open.push(stream);
            }
            Attack::of(count * 2, count << 20).hold((connections, open))
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_bodies_of_one_address() {
    let head = "POST /api/v1/create_message HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
                content-length: 400000\r\n\r\n";
    in_both_layouts("180 slow bodies from one address", async |system: &System| {
        let mut slow = Vec::new();
        for _ in 0..180 {
            let mut connection = connect_from(HOSTILE, &system.gateway_url).await;
            connection.write_all(head.as_bytes()).await.unwrap_or_default();
            // Connections beyond the caller's limit are rejected and closed.
            connection.write_all(&vec![b' '; 390_000]).await.unwrap_or_default();
            slow.push(connection);
        }
        Attack::of(180, 180 * 390_000).hold(slow)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_wrong_passphrases() {
    let messages = scaled(20, 200);
    let honest = scaled(5, 40);
    in_both_layouts("wrong passphrases at once from one address", async |system: &System| {
        let hostile = client_at(HOSTILE);
        let user = client_at(IpAddr::V4(Ipv4Addr::new(127, 0, 2, 100)));
        let fields = json!({ "text": "hello", "passphrase": "right" });
        let with = |mut message: Value, passphrase: &str| {
            message["passphrase"] = passphrase.into();
            message
        };
        let mut wrong = Vec::new();
        for _ in 0..messages {
            // The creator has another address, with its own limit for passphrases.
            let (status, message) = create(&user, system, &fields).await.unwrap();
            assert_eq!(status, StatusCode::CREATED);
            wrong.extend((0..5).map(|_| with(message.clone(), "wrong")));
        }
        let mut right = Vec::new();
        for _ in 0..honest {
            right.push(with(create(&user, system, &fields).await.unwrap().1, "right"));
        }
        let flood = join_all(wrong.iter().map(|message| view(&hostile, system, message)));
        let reading = async {
            for message in &right {
                let (status, viewed) = view(&user, system, message).await.unwrap();
                assert_eq!((status, &viewed["text"]), (StatusCode::OK, &json!("hello")));
            }
        };
        let (flood, ()) = tokio::join!(flood, reading);
        assert!(flood.iter().flatten().all(|(status, _)| matches!(status.as_u16(), 403 | 429 | 503)));
        Attack::of(wrong.len(), wrong.len() * 200)
    })
    .await;
}

/// The addresses come from a proxy header, since the machine need not have twenty addresses in one network.
#[tokio::test(flavor = "multi_thread")]
async fn watchers_of_one_ipv6_network() {
    let system = start(Layout::One, &["--trusted-proxies", "1"]).await;
    attack("1,000 watchers from 20 addresses of one IPv6 /64", &system, Layout::One, async |system| {
        let (status, message) = create(&client_at(HOSTILE), system, &json!({ "text": "hello" })).await.unwrap();
        assert_eq!(status, StatusCode::CREATED);
        let request = grpc_frame(&WatchMessageRequest {
            id: message["id"].as_i64().unwrap(),
            access_token: message["access_token"].as_str().unwrap().to_owned(),
        });
        let clients: Vec<_> = (0..20).map(|_| Client::builder().http2_prior_knowledge().build().unwrap()).collect();
        let watch = async |client: &Client, address: String| {
            let response = client
                .post(format!("{}{WATCH}", system.gateway_url))
                .header("content-type", "application/grpc")
                .header("te", "trailers")
                .header("x-forwarded-for", address)
                .body(request.clone())
                .send()
                .await
                .unwrap();
            // An error arrives with the headers. An open stream has no status yet.
            (!response.headers().contains_key("grpc-status")).then_some(response)
        };
        let mut open = Vec::new();
        for number in 0..1000 {
            open.extend(watch(&clients[number % 20], format!("2001:db8::{}", number % 20 + 1)).await);
        }
        assert_eq!(open.len(), 50, "watchers of one network");
        let other = watch(&clients[0], "2001:db8:0:1::1".to_owned()).await;
        assert!(other.is_some(), "a watcher of another network is rejected");
        Attack::of(1000, 1000 * request.len()).hold((open, other))
    })
    .await;
}

/// Returns `true` if a server of this machine has an established connection from `client`.
fn is_served(client: IpAddr, url: &str) -> bool {
    let IpAddr::V4(client) = client else { return false };
    let port: u16 = url.rsplit(':').next().unwrap().parse().unwrap();
    // The kernel prints addresses in little-endian order. 01 is ESTABLISHED.
    let client = format!("{:08X}", u32::from_le_bytes(client.octets()));
    std::fs::read_to_string("/proc/net/tcp").unwrap().lines().any(|line| {
        let mut columns = line.split_whitespace().skip(1);
        let [local, remote, state] = [(); 3].map(|()| columns.next().unwrap_or_default());
        local.ends_with(&format!(":{port:04X}")) && remote.starts_with(&client) && state == "01"
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_never_read() {
    let system = start(Layout::One, &[]).await;
    attack("20 clients that never read", &system, Layout::One, async |system| {
        let request = "GET /api/openapi.json HTTP/1.1\r\nhost: x\r\n\r\n".repeat(2000);
        let mut open = Vec::new();
        for _ in 0..20 {
            let mut connection = connect_from(HOSTILE, &system.gateway_url).await;
            // Until the buffers of both sides are full.
            let writing = connection.write_all(request.as_bytes());
            tokio::time::timeout(Duration::from_millis(500), writing).await.ok();
            open.push(connection);
        }
        if is_full_size() {
            while is_served(HOSTILE, &system.gateway_url) {
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }
        Attack::of(20 * 2000, 20 * request.len()).hold(open)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn more_idle_connections_than_the_soft_limit_of_files() {
    for layout in [Layout::One, Layout::Three] {
        let options = Options { wrapper: &["prlimit", "--nofile=1024:"], ..Options::default() };
        let system = System::start(layout, &TestDatabase::sqlite().unwrap(), options).await;
        for process in &system.processes {
            let limits = std::fs::read_to_string(format!("/proc/{}/limits", process.id())).unwrap();
            let open_files = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
            let [soft, hard] = [3, 4].map(|column| open_files.split_whitespace().nth(column).unwrap());
            assert_eq!(soft, hard, "the soft limit was not raised");
        }
        attack("1,500 idle connections, soft limit of 1,024 files", &system, layout, async |system| {
            let mut open = Vec::new();
            for number in (0..20).cycle().take(1500) {
                open.push(connect_from(hostile(number), &system.gateway_url).await);
            }
            Attack::of(1500, 0).hold(open)
        })
        .await;
        let output = system.output();
        let lines = String::from_utf8_lossy(&output).matches("cannot accept").count();
        assert!(lines <= 3, "{lines} lines");
    }
}

/// Creates messages until the store is full, and beyond. Returns the messages, and the number of rejected creations.
async fn fill(system: &System) -> (Vec<Value>, usize) {
    let client = client_at(HOSTILE);
    let fields = json!({ "text": "x".repeat(60_000) });
    let (mut created, mut refused) = (Vec::new(), 0);
    while refused < 200 {
        let responses = join_all((0..16).map(|_| create(&client, system, &fields))).await;
        for (status, mut message) in responses.into_iter().flatten() {
            match status {
                StatusCode::CREATED => {
                    message["text"].take();
                    created.push(message);
                }
                StatusCode::INSUFFICIENT_STORAGE => refused += 1,
                status => panic!("{status}"),
            }
        }
    }
    (created, refused)
}

/// SQLite keeps 16 MiB of free pages, and the file contains more than those.
const KEPT_BYTES: u64 = 20 << 20;

/// Fills a store. Views, burns, sweeps and health checks must still work, and the file must shrink afterwards.
async fn fill_and_use(name: &str, layout: Layout, disk_size: &str, environment: &[(&str, &str)]) {
    let disk = SmallDisk::mount(disk_size).unwrap();
    let url = format!("sqlite://{}?mode=rwc", disk.path().join("mayfly.db").display());
    let database = TestDatabase::at_url(&url).unwrap();
    let system =
        System::start(layout, &database, Options { store_environment: environment, ..Options::default() }).await;
    let user = client_at(IpAddr::V4(Ipv4Addr::new(127, 0, 2, 1)));
    let count = scaled(20, 100);
    let mut messages = Vec::new();
    for _ in 0..count * 2 {
        messages.push(create(&user, &system, &json!({ "text": "hello" })).await.unwrap().1);
    }
    let began = Instant::now();
    let (created, refused) = fill(&system).await;
    let full = disk_bytes(&database);
    assert!(full > KEPT_BYTES, "{full}");
    let mut times = Vec::new();
    let using = async {
        for (number, message) in messages.iter().enumerate() {
            let began = Instant::now();
            if number % 2 == 0 {
                let (status, viewed) = view(&user, &system, message).await.unwrap();
                assert_eq!((status, &viewed["text"]), (StatusCode::OK, &json!("hello")));
            } else {
                let burned = user.post(api(&system, "burn_message")).json(message).send().await.unwrap();
                assert_eq!(burned.status(), StatusCode::OK);
            }
            times.push(began.elapsed());
            let ready = user.get(format!("{}/readyz", system.gateway_url)).send().await.unwrap();
            assert_eq!(ready.status(), StatusCode::OK);
        }
    };
    let flood = async {
        let client = client_at(HOSTILE);
        let fields = json!({ "text": "x".repeat(60_000), "ttl": 2 });
        for _ in 0..count {
            join_all((0..8).map(|_| create(&client, &system, &fields))).await;
        }
    };
    tokio::join!(using, flood);
    times.sort_unstable();
    let burn = async |message: &Value| {
        let burned = user.post(api(&system, "burn_message")).json(message).send().await.unwrap();
        assert_eq!(burned.status(), StatusCode::OK);
    };
    stream::iter(&created).for_each_concurrent(16, burn).await;
    let swept = async {
        while unread(&system).await > 0 || disk_bytes(&database) > KEPT_BYTES {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(120), swept).await.expect("expired messages are removed from the file");
    let created_again = create(&user, &system, &json!({ "text": "hello" })).await.unwrap().0;
    assert_eq!(created_again, StatusCode::CREATED);
    let requests = created.len() + refused + count * 8;
    println!(
        "| {name}, {layout:?} | {} requests, {} KiB, {:.0} s | - / {:.0} ms | {} MiB | {} MiB, then {} MiB |",
        requests,
        (requests * 60_000) >> 10,
        began.elapsed().as_secs_f64(),
        times[times.len() * 99 / 100].as_secs_f64() * 1000.0,
        system.peak_memory_mib(),
        full >> 20,
        disk_bytes(&database) >> 20,
    );
    assert!(system.peak_memory_mib() < MAX_MEMORY_MIB, "{} MiB", system.peak_memory_mib());
}

#[tokio::test(flavor = "multi_thread")]
async fn creations_until_the_maximum_of_stored_bytes_as_root() {
    for layout in [Layout::One, Layout::Three] {
        let environment = [("MAYFLY_MAX_STORED_BYTES", if is_full_size() { "100000000" } else { "40000000" })];
        fill_and_use("creations until --max-stored-bytes", layout, "256m", &environment).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn creations_until_the_reserve_of_the_disk_as_root() {
    let size = if is_full_size() { "128m" } else { "48m" };
    for layout in [Layout::One, Layout::Three] {
        fill_and_use("creations until the reserve of a disk", layout, size, &[]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn creations_and_guesses_beyond_the_rates() {
    let rates = ["--creations-per-minute", "300", "--failed-reads-per-minute", "120"];
    // The proxy header separates attackers and users.
    let extra_arguments = [&rates[..], &["--trusted-proxies", "1"]].concat();
    let system = start(Layout::One, &extra_arguments).await;
    let client = Client::new();
    let call = async |path: &str, body: &Value| {
        let request = client.post(api(&system, path)).header("x-forwarded-for", "192.0.2.1").json(body);
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        if status == StatusCode::TOO_MANY_REQUESTS {
            let seconds: u64 = headers["retry-after"].to_str().unwrap().parse().unwrap();
            assert!((1..=61).contains(&seconds), "{seconds}");
        }
        (status, response.json::<Value>().await.unwrap_or_default())
    };
    let mut messages = Vec::new();
    let mut refused = 0;
    // On a slow machine the limit refills meanwhile, so more creations are needed until one is refused.
    while messages.len() + refused < scaled(400, 2000) || refused == 0 {
        let (status, message) = call("create_message", &json!({ "text": "hello" })).await;
        if status == StatusCode::CREATED { messages.push(message) } else { refused += 1 }
    }
    assert!(refused > 0 && messages.len() >= 300);
    let (mut guess_refused, mut viewed) = (0, 0);
    for (number, message) in messages.iter().enumerate() {
        let wrong = json!({ "id": 1, "access_token": message["access_token"] });
        guess_refused += u32::from(call("view_message", &wrong).await.0 == StatusCode::TOO_MANY_REQUESTS);
        let (status, shown) = call("view_message", message).await;
        assert_eq!((status, &shown["text"]), (StatusCode::OK, &json!("hello")), "{number}");
        viewed += 1;
    }
    assert!(guess_refused > 0);
    println!("| creations and guesses beyond the rates | {refused} and {guess_refused} refused, {viewed} viewed | | |");
}
