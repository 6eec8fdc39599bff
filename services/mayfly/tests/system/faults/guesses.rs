//! Untrusted callers without the token.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use base64::{Engine as _, prelude::BASE64_STANDARD_NO_PAD};
use mayfly_contracts::{
    StoreChannel,
    message::{
        BurnMessageRequest, CreateMessageRequest, CreateMessageResponse, LookupMessageRequest, MessageState,
        ViewMessageRequest, ViewMessageResponse, message_service_client::MessageServiceClient,
    },
};
use mayfly_testkit::{grpc_web, on_each_database};
use sha2::{Digest as _, Sha256};
use tonic::Status;

use super::load_run::{Recorder, name_on, rounds};
use crate::harness::{Layout, Options, System, wait_until};

/// The number of concurrent guesses.
const CONCURRENT_GUESSES: u64 = 32;
/// The number of guesses per round and protocol.
const GUESSES_PER_ROUND: u64 = 512;
/// The number of timed calls per round and kind of message.
const TIMED_CALLS: u64 = 100;
/// In seconds. Longer than any test.
const A_DAY: i64 = 24 * 3600;
/// The number of messages of each kind.
const MESSAGES_PER_KIND: usize = 4;

/// The `number`th well-formed token: 28 bytes, and the first 4 bytes of their SHA-256.
fn token(number: u64) -> String {
    let secret: Vec<u8> = number.to_be_bytes().into_iter().cycle().take(28).collect();
    let checksum = Sha256::new().chain_update(b"mayfly access token checksum v1").chain_update(&secret).finalize();
    hex::encode([&secret, &checksum[..4]].concat())
}

/// A caller that guesses, with its clients.
#[derive(Clone)]
struct UntrustedCaller {
    messages: MessageServiceClient<StoreChannel>,
    http: reqwest::Client,
    gateway_url: String,
}

/// The distinct responses for each protocol, without dates and request ids.
type ResponsesByProtocol = BTreeMap<&'static str, BTreeSet<String>>;

impl UntrustedCaller {
    async fn call_every_protocol(mut self, number: u64, id: i64, access_token: String) -> Vec<(&'static str, String)> {
        let view = ViewMessageRequest { id, access_token: access_token.clone(), ..ViewMessageRequest::default() };
        let burn = BurnMessageRequest { id, access_token: access_token.clone() };
        let lookup = LookupMessageRequest { id, access_token: access_token.clone() };
        let web = grpc_web::call::<ViewMessageResponse>(
            &self.gateway_url,
            "/mayfly.message.v1.MessageService/ViewMessage",
            &view,
        );
        let web = web.await.unwrap();
        assert!(web.messages.is_empty(), "an untrusted caller got a text");
        vec![
            ("gRPC ViewMessage", of_status(self.messages.view_message(view).await.map(drop).unwrap_err())),
            ("gRPC BurnMessage", of_status(self.messages.burn_message(burn).await.map(drop).unwrap_err())),
            ("gRPC LookupMessage", of_status(self.messages.lookup_message(lookup).await.map(drop).unwrap_err())),
            ("REST view_message", self.call_rest(number, id, &access_token).await),
            ("gRPC-Web ViewMessage", of_trailers(&web.trailers)),
        ]
    }

    async fn call_rest(&self, number: u64, id: i64, access_token: &str) -> String {
        let body = serde_json::json!({ "id": id, "access_token": access_token });
        let request = self.http.post(format!("{}/api/v1/view_message", self.gateway_url)).json(&body);
        // Every second caller claims another address.
        let address = format!("10.{}.{}.{}", number >> 16 & 0xff, number >> 8 & 0xff, number & 0xff);
        let request = if number.is_multiple_of(2) { request } else { request.header("X-Forwarded-For", address) };
        let response = request.send().await.unwrap();
        let (status, mut headers) = (response.status(), response.headers().clone());
        headers.remove("date");
        headers.remove("x-request-id").unwrap();
        format!("{status} {headers:?} {:?}", response.bytes().await.unwrap())
    }
}

fn of_status(status: Status) -> String {
    let headers: BTreeSet<_> = status.metadata().keys().map(|key| format!("{key:?}")).collect();
    let id = status.metadata().get("x-request-id").unwrap().to_str().unwrap();
    let details = without_id(status.details(), id);
    format!("{:?} {} {details} {headers:?}", status.code(), status.message())
}

fn of_trailers(trailers: &str) -> String {
    let fields: BTreeMap<_, _> = trailers.lines().filter_map(|line| line.split_once(':')).collect();
    let described = fields.iter().map(|(name, value)| match *name {
        "date" | "x-request-id" => String::new(),
        "grpc-status-details-bin" => {
            let details = BASE64_STANDARD_NO_PAD.decode(value.trim().trim_end_matches('=')).unwrap();
            without_id(&details, fields["x-request-id"].trim())
        }
        name => format!("{name}:{value}\n"),
    });
    described.collect()
}

/// The details of an error without the request's id, which differs for each call.
fn without_id(details: &[u8], id: &str) -> String {
    let details = format!("{:?}", String::from_utf8_lossy(details));
    assert!(details.contains(id), "{details}");
    details.replace(id, "(id)")
}

/// The latencies of calls for each kind of message, in microseconds.
type Times<'kind> = Vec<(&'kind str, Vec<f64>)>;

/// The number, mean and variance of those `times` that are below `limit`.
fn mean_and_variance(times: &[f64], limit: f64) -> (f64, f64, f64) {
    let kept = || times.iter().filter(|time| **time < limit);
    let count = kept().count() as f64;
    let mean = kept().sum::<f64>() / count;
    (count, mean, kept().map(|time| (time - mean).powi(2)).sum::<f64>() / (count - 1.0))
}

/// Prints how the latencies of each kind differ from those of the first, with Welch's t-test as in dudect (Reparaz,
/// Balasch and Verbauwhede, 2017). A difference is significant if t exceeds 4.5.
fn compare(times: &Times<'_>) {
    let mut all: Vec<_> = times.iter().flat_map(|(_, times)| times).copied().collect();
    all.sort_by(f64::total_cmp);
    // Drops the slowest tenth, which is noise of the machine. One limit for all kinds, since separate limits would look
    // like a difference.
    let limit = all[all.len() * 9 / 10];
    let (baseline, first) = &times[0];
    let (count, mean, variance) = mean_and_variance(first, limit);
    for (kind, times) in &times[1..] {
        let (other_count, other_mean, other_variance) = mean_and_variance(times, limit);
        let difference = other_mean - mean;
        let t = difference / (variance / count + other_variance / other_count).sqrt();
        println!(
            "timing: {kind} against {baseline} ({mean:.0} µs): {difference:+.1} µs, t = {t:+.1}, \
             {other_count:.0} samples"
        );
    }
}

/// The ids of each kind of message.
type Kinds = [(&'static str, Vec<i64>); 5];

/// Times calls for messages of every kind with wrong tokens, one at a time.
async fn measure(system: &System, kinds: &Kinds) {
    let mut messages = system.messages();
    let mut times: Times<'_> = kinds.iter().map(|(kind, _)| (*kind, Vec::new())).collect();
    for number in 0..rounds() * TIMED_CALLS * kinds.len() as u64 {
        // In random order, so that side effects of one kind do not always affect the same other kind.
        let random = Sha256::digest(number.to_be_bytes());
        let kind = usize::from(random[0]) % kinds.len();
        let id = kinds[kind].1[usize::from(random[1]) % MESSAGES_PER_KIND];
        let request = ViewMessageRequest { id, access_token: token(!number), ..Default::default() };
        let began = Instant::now();
        messages.view_message(request).await.map(drop).unwrap_err();
        times[kind].1.push(began.elapsed().as_secs_f64() * 1e6);
    }
    compare(&times);
}

async fn create(messages: &mut MessageServiceClient<StoreChannel>, seconds: i64) -> Vec<CreateMessageResponse> {
    let mut created = Vec::new();
    for _ in 0..MESSAGES_PER_KIND {
        let ttl = Some(prost_types::Duration { seconds, nanos: 0 });
        let request = CreateMessageRequest { ttl, ..CreateMessageRequest::from_text("hello") };
        created.push(messages.create_message(request).await.unwrap().into_inner());
    }
    created
}

async fn state(messages: &mut MessageServiceClient<StoreChannel>, message: &CreateMessageResponse) -> MessageState {
    let lookup = LookupMessageRequest { id: message.id, access_token: message.access_token.clone() };
    messages.lookup_message(lookup).await.unwrap().into_inner().state()
}

on_each_database! {
    async fn an_untrusted_caller_gets_identical_responses_for_all_messages(database: TestDatabase) {
        let system = System::start(Layout::Three, &database, Options::default()).await;
        let mut messages = system.messages();
        let mut stored = Vec::new();
        for lifetime in [A_DAY, A_DAY, A_DAY, 1] {
            stored.push(create(&mut messages, lifetime).await);
        }
        let [unread, viewed, burned, expired] = stored.try_into().unwrap();
        let message_ref = |message: &CreateMessageResponse| (message.id, message.access_token.clone());
        for message in &viewed {
            let (id, access_token) = message_ref(message);
            let view = ViewMessageRequest { id, access_token, ..ViewMessageRequest::default() };
            messages.view_message(view).await.unwrap();
        }
        for message in &burned {
            let (id, access_token) = message_ref(message);
            messages.burn_message(BurnMessageRequest { id, access_token }).await.unwrap();
        }
        for message in &expired {
            let has_expired = async || state(&mut messages, message).await == MessageState::Expired;
            wait_until("the message has expired", has_expired).await;
        }
        let ids = |messages: &[CreateMessageResponse]| messages.iter().map(|message| message.id).collect();
        let unknown = ("unknown", (1_000_000..).take(MESSAGES_PER_KIND).collect());
        let kinds: Kinds = [
            unknown,
            ("unread", ids(&unread)),
            ("viewed", ids(&viewed)),
            ("burned", ids(&burned)),
            ("expired", ids(&expired)),
        ];

        let recorder = Recorder::begin(&name_on(&database, "guesses"));
        let gateway_url = system.gateway_url.clone();
        // The gateway closes idle connections, and a call on a connection that it just closes would fail.
        let http = reqwest::Client::builder().pool_idle_timeout(Duration::from_secs(5)).build().unwrap();
        let untrusted = UntrustedCaller { messages: messages.clone(), http, gateway_url };
        let mut seen = ResponsesByProtocol::new();
        for first in (0..rounds() * GUESSES_PER_ROUND).step_by(usize::try_from(CONCURRENT_GUESSES).unwrap()) {
            let guesses = (first..first + CONCURRENT_GUESSES).map(|number| {
                let index = usize::try_from(number).unwrap();
                let (turn, kind) = (index / kinds.len(), index % kinds.len());
                let id = kinds[kind].1[turn % MESSAGES_PER_KIND];
                untrusted.clone().call_every_protocol(number, id, token(number + 1))
            });
            let responses = futures_util::future::join_all(guesses).await.into_iter().flatten();
            let mut rejected = 0;
            for (protocol, response) in responses {
                seen.entry(protocol).or_default().insert(response);
                rejected += 1;
            }
            recorder.history().record_rejected_guesses(rejected).unwrap();
        }
        for (protocol, responses) in &seen {
            assert_eq!(responses.len(), 1, "{protocol}: {responses:?}");
        }
        assert!(seen["gRPC ViewMessage"].iter().all(|response| response.starts_with("NotFound")), "{seen:?}");
        assert!(seen["REST view_message"].iter().all(|response| response.starts_with("204")), "{seen:?}");
        // Negative control: with the token the responses differ, and the comparison detects that.
        let mut distinct = BTreeSet::new();
        for message in [&viewed[0], &burned[0], &expired[0]] {
            let (id, access_token) = message_ref(message);
            let view = ViewMessageRequest { id, access_token, ..ViewMessageRequest::default() };
            distinct.insert(of_status(messages.view_message(view).await.map(drop).unwrap_err()));
        }
        assert_eq!(distinct.len(), 3, "{distinct:?}");
        recorder.verdict();
        measure(&system, &kinds).await;

        for message in &unread {
            let state = state(&mut messages, message).await;
            assert_eq!(state, MessageState::Unread, "guesses do not affect the holder of the token");
        }
    }
}
