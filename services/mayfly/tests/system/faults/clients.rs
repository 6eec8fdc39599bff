//! Clients that go away, cannot wait, or ask again and again.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use bytes::Bytes;
use mayfly_check::{Client, Request, Response, Target, Workload};
use mayfly_contracts::message::{
    AcknowledgeViewRequest, BurnMessageRequest, CreateMessageRequest, LookupMessageRequest, ViewMessageRequest,
};
use mayfly_testkit::{NetworkFault, TcpProxy, on_each_database};
use prost::Message as _;
use tokio::net::TcpStream;
use uuid::Uuid;

use super::load_run::{Run, all_clients, assert_guarantees, name_on, rounds, slow_rounds};
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
async fn cut(run: &Run, proxies: &[TcpProxy], rounds: u64) {
    for round in 0..rounds * 8 {
        let bytes = 1 + usize::try_from(if round < 256 { round } else { 256 + (round - 256) * 37 % 4096 }).unwrap();
        for fault in
            [NetworkFault::ResetInRequest(bytes), NetworkFault::ResetInReply(bytes), NetworkFault::HalfClose(bytes)]
        {
            run.fault(&format!("{fault:?} on every connection"));
            let before: u64 = proxies.iter().map(TcpProxy::resets).sum();
            proxies.iter().for_each(|proxy| proxy.set_fault(fault));
            until("connections were reset", async || proxies.iter().map(TcpProxy::resets).sum::<u64>() > before).await;
        }
        run.fault("every byte comes by itself");
        for fault in [NetworkFault::Trickle, NetworkFault::None] {
            proxies.iter().for_each(|proxy| proxy.set_fault(fault));
            run.wait_for_outcomes(3).await;
        }
    }
}

async fn clients_behind(urls: [&str; 2]) -> (Vec<TcpProxy>, Vec<Client>) {
    let [store, gateway] = urls.map(|url| url.trim_start_matches("http://"));
    let proxies = [TcpProxy::start(store).await.unwrap(), TcpProxy::start(gateway).await.unwrap()];
    let [store, gateway] = [0, 1].map(|proxy: usize| format!("http://{}", proxies[proxy].address()));
    (proxies.into(), vec![Client::grpc(&store).unwrap(), Client::rest(&gateway).unwrap()])
}

/// Beyond the last byte of any request or answer here.
const LONGEST: usize = 400;
/// How long an abandoned call may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// A client of gRPC that goes away from every second call: with RST_STREAM after so many bytes of the request, or of the answer,
/// one more each time.
struct CancellingClient {
    address: String,
    steady: Client,
    turn: AtomicUsize,
}

impl CancellingClient {
    fn at(url: &str) -> Self {
        let address = url.trim_start_matches("http://").to_owned();
        Self { address, steady: Client::grpc(url).unwrap(), turn: AtomicUsize::new(0) }
    }

    async fn abandon(&self, request: &Request, bytes: usize, is_of_the_request: bool) -> anyhow::Result<()> {
        let (method, message) = encode(request);
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

fn encode(request: &Request) -> (&'static str, Vec<u8>) {
    let key = |key: &Option<Uuid>| key.map(|key| key.to_string()).unwrap_or_default();
    match request {
        Request::Create { text, request_id } => {
            let request = CreateMessageRequest { request_id: key(request_id), ..CreateMessageRequest::of_text(text) };
            ("CreateMessage", request.encode_to_vec())
        }
        Request::View { message_ref, view_id } => {
            let (id, access_token) = (message_ref.id, message_ref.access_token.clone());
            let request = ViewMessageRequest { id, access_token, view_id: key(view_id), ..Default::default() };
            ("ViewMessage", request.encode_to_vec())
        }
        Request::Acknowledge { message_ref, view_id } => {
            let (id, access_token) = (message_ref.id, message_ref.access_token.clone());
            let request = AcknowledgeViewRequest { id, access_token, view_id: view_id.to_string() };
            ("AcknowledgeView", request.encode_to_vec())
        }
        Request::Lookup { message_ref } => {
            let request = LookupMessageRequest { id: message_ref.id, access_token: message_ref.access_token.clone() };
            ("LookupMessage", request.encode_to_vec())
        }
        Request::Burn { message_ref } => {
            let request = BurnMessageRequest { id: message_ref.id, access_token: message_ref.access_token.clone() };
            ("BurnMessage", request.encode_to_vec())
        }
    }
}

impl Target for CancellingClient {
    async fn call(&self, request: &Request) -> Response {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        if turn.is_multiple_of(2) {
            return self.steady.call(request).await;
        }
        let (bytes, is_of_the_request) = (turn / 4 % LONGEST, (turn / 2).is_multiple_of(2));
        // Whoever goes away hears of no failure either.
        drop(tokio::time::timeout(PATIENCE, self.abandon(request, bytes, is_of_the_request)).await);
        Response::Unknown
    }
}

on_each_database! {
    async fn connections_are_reset_at_any_byte(database: TestDatabase) {
        // Between client and store it makes no difference what is behind the store: there, once for each byte is enough.
        let rounds = if database.url().starts_with("sqlite") { rounds() } else { slow_rounds() };
        let system = System::start(Layout::Three, &database, Options::default()).await;
        let before = connections(&system.store_url);
        for (name, idempotency_keys) in [("reset", true), ("reset-without-keys.control", false)] {
            let (proxies, clients) = clients_behind([&system.store_url, &system.gateway_url]).await;
            let run = Run::begin(&name_on(&database, name), clients, Workload { idempotency_keys, ..Workload::default() });
            cut(&run, &proxies, rounds).await;
            let verdict = run.verdict().await;
            if idempotency_keys {
                assert_guarantees(verdict, rounds * CUTS);
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
        for (name, idempotency_keys) in [("streams-reset", true), ("streams-reset-without-keys.control", false)] {
            let clients = vec![CancellingClient::at(&system.store_url), CancellingClient::at(&system.gateway_url)];
            let run = Run::begin(&name_on(&database, name), clients, Workload { idempotency_keys, ..Workload::default() });
            for _ in 0..rounds() {
                run.fault("streams reset after so many bytes");
                run.wait_for_unknown_outcomes(40).await;
            }
            let verdict = run.verdict().await;
            if idempotency_keys {
                assert_guarantees(verdict, rounds());
            } else {
                // Control: without a key the text goes with the answer, and that is seen.
                assert!(verdict.is_valid() && verdict.forfeited > 0, "{verdict}");
            }
        }
        until_none_is_left_behind(&system, before).await;
    }

    async fn clients_have_no_time(database: TestDatabase) {
        let system = System::start(Layout::Three, &database, Options::default()).await;
        let hurried = |url: &str| Client::grpc_with_short_deadlines(url).unwrap();
        let run = Run::begin(&name_on(&database, "no-time"), vec![hurried(&system.store_url), hurried(&system.gateway_url)], Workload::default());
        for _ in 0..rounds() {
            run.fault("clients have no time");
            run.wait_for_unknown_outcomes(50).await;
        }
        assert_guarantees(run.verdict().await, rounds());
    }

    async fn every_call_comes_several_times(database: TestDatabase) {
        let mut system = System::start(Layout::Three, &database, Options::default()).await;
        let run = Run::begin(&name_on(&database, "copies"), all_clients(&system), Workload { duplicates: 5, ..Workload::default() });
        for _ in 0..rounds() {
            run.wait_for_outcomes(100).await;
            run.fault("restart of the store");
            system.processes[0].terminate().await;
            system.processes[0].ended().await;
            system.processes[0].restart();
        }
        system.ready().await;
        assert_guarantees(run.verdict().await, rounds());
    }
}
