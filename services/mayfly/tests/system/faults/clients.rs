//! Clients that go away, cannot wait, or ask again and again.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use bytes::Bytes;
use mayfly_check::{Door, Habits, Question, Reply, Target};
use mayfly_contracts::message::{
    AcknowledgeViewRequest, BurnMessageRequest, CreateMessageRequest, LookupMessageRequest, ViewMessageRequest,
};
use mayfly_testkit::{TcpProxy, Weather, on_each_database};
use prost::Message as _;
use tokio::net::TcpStream;
use uuid::Uuid;

use super::trial::{Trial, all_doors, assert_kept, name_on, rounds, slow_rounds};
use crate::harness::{Layout, Options, System, until};

/// How many connections whoever listens at `url` has open. Not how many files: the store's own, to its database, come and go.
fn connections(url: &str) -> usize {
    let port = url.rsplit(':').next().unwrap().parse::<u16>().unwrap();
    let is_open = |line: &&str| match line.split_whitespace().collect::<Vec<_>>()[..] {
        // What only listens has the state 0A; what nobody has open any more has no inode.
        [_, local, _, state, _, _, _, _, _, inode, ..] => {
            local.ends_with(&format!(":{port:04X}")) && state != "0A" && inode != "0"
        }
        _ => false,
    };
    std::fs::read_to_string("/proc/net/tcp").unwrap().lines().filter(is_open).count()
}

/// Waits until the store has no more connections than `before` and a few, of which the gateway's is one.
async fn until_none_is_left_behind(system: &System, before: usize) {
    let is_so = async || (1..=before + 4).contains(&connections(&system.store_url));
    until("the store closed its connections", is_so).await;
}

/// What [`cut`] does to connections in each round.
const CUTS: u64 = 32;

/// Resets the connection at each byte of request and reply, and half closes it at each of the request: the first bytes one after
/// the other, later ones in steps. In between it is slow.
async fn cut(trial: &Trial, proxies: &[TcpProxy], rounds: u64) {
    for round in 0..rounds * 8 {
        let bytes = 1 + usize::try_from(if round < 256 { round } else { 256 + (round - 256) * 37 % 4096 }).unwrap();
        for weather in [Weather::CutRequest(bytes), Weather::CutReply(bytes), Weather::HalfClose(bytes)] {
            trial.fault(&format!("{weather:?} on every connection"));
            let before: u64 = proxies.iter().map(TcpProxy::cuts).sum();
            proxies.iter().for_each(|proxy| proxy.set(weather));
            until("connections were reset", async || proxies.iter().map(TcpProxy::cuts).sum::<u64>() > before).await;
        }
        trial.fault("every byte comes by itself");
        for weather in [Weather::Trickle, Weather::Fair] {
            proxies.iter().for_each(|proxy| proxy.set(weather));
            trial.progress(3).await;
        }
    }
}

async fn doors_behind(urls: [&str; 2]) -> (Vec<TcpProxy>, Vec<Door>) {
    let [store, gateway] = urls.map(|url| url.trim_start_matches("http://"));
    let proxies = [TcpProxy::start(store).await.unwrap(), TcpProxy::start(gateway).await.unwrap()];
    let [store, gateway] = [0, 1].map(|proxy: usize| format!("http://{}", proxies[proxy].address()));
    (proxies.into(), vec![Door::grpc(&store).unwrap(), Door::rest(&gateway).unwrap()])
}

/// Beyond the last byte of any request or answer here.
const LONGEST: usize = 400;
/// How long an abandoned call may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// A client of gRPC that goes away from every second call: with RST_STREAM after so many bytes of the request, or of the answer,
/// one more each time.
struct FickleDoor {
    address: String,
    steady: Door,
    turn: AtomicUsize,
}

impl FickleDoor {
    fn at(url: &str) -> Self {
        let address = url.trim_start_matches("http://").to_owned();
        Self { address, steady: Door::grpc(url).unwrap(), turn: AtomicUsize::new(0) }
    }

    async fn abandon(&self, question: &Question, bytes: usize, is_of_the_request: bool) -> anyhow::Result<()> {
        let (method, message) = encode(question);
        let frame = [&[0], &u32::try_from(message.len())?.to_be_bytes()[..], &message].concat();
        let (sent, window) = if is_of_the_request { (bytes.min(frame.len()), 65_535) } else { (frame.len(), bytes) };
        let connection = TcpStream::connect(&self.address).await?;
        // The window is what the client is willing to take: the server stops at that byte.
        let window = u32::try_from(window)?;
        let (client, mut connection) =
            h2::client::Builder::new().initial_window_size(window).handshake::<_, Bytes>(connection).await?;
        let mut pings = connection.ping_pong().ok_or_else(|| anyhow::anyhow!("no pings"))?;
        let driver = tokio::spawn(connection);
        let url = format!("http://{}/mayfly.message.v1.MessageService/{method}", self.address);
        let request = http::Request::post(url).header("content-type", "application/grpc").header("te", "trailers");
        let (answer, mut stream) = client.ready().await?.send_request(request.body(())?, false)?;
        stream.send_data(Bytes::copy_from_slice(&frame[..sent]), !is_of_the_request)?;
        if is_of_the_request {
            // What was not written yet is not sent any more after a reset.
            pings.ping(h2::Ping::opaque()).await?;
            drop(answer);
        } else {
            let (mut body, mut received) = (answer.await?.into_body(), 0);
            while received < bytes
                && let Some(data) = body.data().await
            {
                received += data?.len();
            }
        }
        stream.send_reset(h2::Reason::CANCEL);
        drop((stream, pings));
        Ok(driver.await??)
    }
}

fn encode(question: &Question) -> (&'static str, Vec<u8>) {
    let key = |key: &Option<Uuid>| key.map(|key| key.to_string()).unwrap_or_default();
    match question {
        Question::Create { text, request_id } => {
            let request = CreateMessageRequest { request_id: key(request_id), ..CreateMessageRequest::from_text(text) };
            ("CreateMessage", request.encode_to_vec())
        }
        Question::View { opener, view_id } => {
            let (id, access_token) = (opener.id, opener.access_token.clone());
            let request = ViewMessageRequest { id, access_token, view_id: key(view_id), ..Default::default() };
            ("ViewMessage", request.encode_to_vec())
        }
        Question::Acknowledge { opener, view_id } => {
            let (id, access_token) = (opener.id, opener.access_token.clone());
            let request = AcknowledgeViewRequest { id, access_token, view_id: view_id.to_string() };
            ("AcknowledgeView", request.encode_to_vec())
        }
        Question::Lookup { opener } => {
            let request = LookupMessageRequest { id: opener.id, access_token: opener.access_token.clone() };
            ("LookupMessage", request.encode_to_vec())
        }
        Question::Burn { opener } => {
            let request = BurnMessageRequest { id: opener.id, access_token: opener.access_token.clone() };
            ("BurnMessage", request.encode_to_vec())
        }
    }
}

impl Target for FickleDoor {
    async fn ask(&self, question: &Question) -> Reply {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        if turn.is_multiple_of(2) {
            return self.steady.ask(question).await;
        }
        let (bytes, is_of_the_request) = (turn / 4 % LONGEST, (turn / 2).is_multiple_of(2));
        // Whoever goes away hears of no failure either.
        drop(tokio::time::timeout(PATIENCE, self.abandon(question, bytes, is_of_the_request)).await);
        Reply::Unknown
    }
}

on_each_database! {
    async fn connections_are_reset_at_any_byte(database: TestDatabase) {
        // Between client and store it makes no difference what is behind the store: there, once for each byte is enough.
        let rounds = if database.url().starts_with("sqlite") { rounds() } else { slow_rounds() };
        let system = System::start(Layout::Three, &database, Options::default()).await;
        let before = connections(&system.store_url);
        for (name, have_keys) in [("reset", true), ("reset-without-keys.control", false)] {
            let (proxies, doors) = doors_behind([&system.store_url, &system.gateway_url]).await;
            let trial = Trial::begin(&name_on(&database, name), doors, Habits { have_keys, ..Habits::default() });
            cut(&trial, &proxies, rounds).await;
            let verdict = trial.verdict().await;
            if have_keys {
                assert_kept(verdict, rounds * CUTS);
            } else {
                // Control: without a key the text goes with the answer, and that is seen.
                assert!(verdict.is_valid() && verdict.forfeited > 0, "{verdict}");
            }
        }
        until_none_is_left_behind(&system, before).await;
    }

    async fn streams_are_reset_at_any_byte(database: TestDatabase) {
        let system = System::start(Layout::Three, &database, Options::default()).await;
        let before = connections(&system.store_url);
        for (name, have_keys) in [("streams-reset", true), ("streams-reset-without-keys.control", false)] {
            let doors = vec![FickleDoor::at(&system.store_url), FickleDoor::at(&system.gateway_url)];
            let trial = Trial::begin(&name_on(&database, name), doors, Habits { have_keys, ..Habits::default() });
            for _ in 0..rounds() {
                trial.fault("streams reset after so many bytes");
                trial.trouble(40).await;
            }
            let verdict = trial.verdict().await;
            if have_keys {
                assert_kept(verdict, rounds());
            } else {
                // Control: without a key the text goes with the answer, and that is seen.
                assert!(verdict.is_valid() && verdict.forfeited > 0, "{verdict}");
            }
        }
        until_none_is_left_behind(&system, before).await;
    }

    async fn clients_have_no_time(database: TestDatabase) {
        let system = System::start(Layout::Three, &database, Options::default()).await;
        let hurried = |url: &str| Door::hurried_grpc(url).unwrap();
        let trial = Trial::begin(&name_on(&database, "no-time"), vec![hurried(&system.store_url), hurried(&system.gateway_url)], Habits::default());
        for _ in 0..rounds() {
            trial.fault("clients have no time");
            trial.trouble(50).await;
        }
        assert_kept(trial.verdict().await, rounds());
    }

    async fn every_call_comes_several_times(database: TestDatabase) {
        let mut system = System::start(Layout::Three, &database, Options::default()).await;
        let trial = Trial::begin(&name_on(&database, "copies"), all_doors(&system), Habits { copies: 5, ..Habits::default() });
        for _ in 0..rounds() {
            trial.progress(100).await;
            trial.fault("restart of the store");
            system.processes[0].terminate().await;
            system.processes[0].ended().await;
            system.processes[0].start_again();
        }
        system.ready().await;
        assert_kept(trial.verdict().await, rounds());
    }
}
