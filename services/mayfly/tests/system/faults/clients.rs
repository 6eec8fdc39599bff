//! Clients that disconnect, have short deadlines, or send calls several times.

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
use crate::harness::{Layout, Options, System, wait_until};

/// The number of open connections to the listener at `url`. Open files would include connections to the database, which
/// vary.
fn connections(url: &str) -> usize {
    let port = url.rsplit(':').next().unwrap().parse::<u16>().unwrap();
    let is_open = |line: &&str| match line.split_whitespace().collect::<Vec<_>>()[..] {
        // State 0A is LISTEN. A connection without an inode is closed.
        [_, local, _, state, _, _, _, _, _, inode, ..] => {
            local.ends_with(&format!(":{port:04X}")) && state != "0A" && inode != "0"
        }
        _ => false,
    };
    std::fs::read_to_string("/proc/net/tcp").unwrap().lines().filter(is_open).count()
}

/// Waits until the store has about as many connections as `before`, plus that of the gateway.
async fn wait_until_connections_are_closed(system: &System, before: usize) {
    let is_so = async || (1..=before + 4).contains(&connections(&system.store_url));
    wait_until("the store closed its connections", is_so).await;
}

/// The number of faults that [`inject_resets`] injects per round.
const FAULTS_PER_ROUND: u64 = 32;

/// Resets connections at each byte of request and response, and half closes them at each byte of the request: byte by
/// byte at first, later in steps. In between, bytes are delivered one by one.
async fn inject_resets(run: &Run, proxies: &[TcpProxy], rounds: u64) {
    for round in 0..rounds * 8 {
        let bytes = 1 + usize::try_from(if round < 256 { round } else { 256 + (round - 256) * 37 % 4096 }).unwrap();
        for fault in
            [NetworkFault::ResetInRequest(bytes), NetworkFault::ResetInReply(bytes), NetworkFault::HalfClose(bytes)]
        {
            run.fault(&format!("{fault:?} on every connection"));
            let before: u64 = proxies.iter().map(TcpProxy::resets).sum();
            proxies.iter().for_each(|proxy| proxy.set_fault(fault));
            wait_until("connections were reset", async || proxies.iter().map(TcpProxy::resets).sum::<u64>() > before)
                .await;
        }
        run.fault("bytes are delivered one by one");
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

/// More than the number of bytes of any request or response here.
const MAX_BYTES: usize = 400;
/// The timeout of a cancelled call.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A gRPC client that cancels every second call with RST_STREAM, after an increasing number of bytes of the request or
/// of the response.
struct CancellingClient {
    address: String,
    client: Client,
    turn: AtomicUsize,
}

impl CancellingClient {
    fn at(url: &str) -> Self {
        let address = url.trim_start_matches("http://").to_owned();
        Self { address, client: Client::grpc(url).unwrap(), turn: AtomicUsize::new(0) }
    }

    async fn cancel(&self, request: &Request, bytes: usize, in_request: bool) -> anyhow::Result<()> {
        let (method, message) = encode(request);
        let frame = [&[0], &u32::try_from(message.len())?.to_be_bytes()[..], &message].concat();
        let (sent, window) = if in_request { (bytes.min(frame.len()), 65_535) } else { (frame.len(), bytes) };
        let connection = TcpStream::connect(&self.address).await?;
        // The server stops sending when the window is exhausted.
        let window = u32::try_from(window)?;
        let (client, mut connection) =
            h2::client::Builder::new().initial_window_size(window).handshake::<_, Bytes>(connection).await?;
        let mut pings = connection.ping_pong().ok_or_else(|| anyhow::anyhow!("no pings"))?;
        let driver = tokio::spawn(connection);
        let url = format!("http://{}/mayfly.message.v1.MessageService/{method}", self.address);
        let request = http::Request::post(url).header("content-type", "application/grpc").header("te", "trailers");
        let (response, mut stream) = client.ready().await?.send_request(request.body(())?, false)?;
        stream.send_data(Bytes::copy_from_slice(&frame[..sent]), !in_request)?;
        if in_request {
            // A reset discards data that is not written yet, so this waits until it is written.
            pings.ping(h2::Ping::opaque()).await?;
            drop(response);
        } else {
            let (mut body, mut received) = (response.await?.into_body(), 0);
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
            let request = CreateMessageRequest { request_id: key(request_id), ..CreateMessageRequest::from_text(text) };
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
            return self.client.call(request).await;
        }
        let (bytes, in_request) = (turn / 4 % MAX_BYTES, (turn / 2).is_multiple_of(2));
        // The client ignores the result of a cancelled call.
        drop(tokio::time::timeout(TIMEOUT, self.cancel(request, bytes, in_request)).await);
        Response::Unknown
    }
}

on_each_database! {
    async fn connections_are_reset_at_any_byte(database: TestDatabase) {
        // The database does not matter for connections between client and store, so fewer rounds are enough on
        // PostgreSQL.
        let rounds = if database.url().starts_with("sqlite") { rounds() } else { slow_rounds() };
        let system = System::start(Layout::Three, &database, Options::default()).await;
        let before = connections(&system.store_url);
        for (name, idempotency_keys) in [("reset", true), ("reset-without-keys.control", false)] {
            let (proxies, clients) = clients_behind([&system.store_url, &system.gateway_url]).await;
            let workload = Workload { idempotency_keys, ..Workload::default() };
            let run = Run::begin(&name_on(&database, name), clients, workload);
            inject_resets(&run, &proxies, rounds).await;
            let verdict = run.verdict().await;
            if idempotency_keys {
                assert_guarantees(verdict, rounds * FAULTS_PER_ROUND);
            } else {
                // Negative control: without idempotency keys texts are lost with responses, and the verifier counts
                // them.
                assert!(verdict.is_valid() && verdict.forfeited > 0, "{verdict}");
            }
        }
        wait_until_connections_are_closed(&system, before).await;
    }

    async fn streams_are_reset_at_any_byte(database: TestDatabase) {
        let system = System::start(Layout::Three, &database, Options::default()).await;
        let before = connections(&system.store_url);
        for (name, idempotency_keys) in [("streams-reset", true), ("streams-reset-without-keys.control", false)] {
            let clients = vec![CancellingClient::at(&system.store_url), CancellingClient::at(&system.gateway_url)];
            let workload = Workload { idempotency_keys, ..Workload::default() };
            let run = Run::begin(&name_on(&database, name), clients, workload);
            for _ in 0..rounds() {
                run.fault("streams are reset after some bytes");
                run.wait_for_unknown_outcomes(40).await;
            }
            let verdict = run.verdict().await;
            if idempotency_keys {
                assert_guarantees(verdict, rounds());
            } else {
                // Negative control: without idempotency keys texts are lost with responses, and the verifier counts
                // them.
                assert!(verdict.is_valid() && verdict.forfeited > 0, "{verdict}");
            }
        }
        wait_until_connections_are_closed(&system, before).await;
    }

    async fn clients_have_short_deadlines(database: TestDatabase) {
        let system = System::start(Layout::Three, &database, Options::default()).await;
        let urls = [&system.store_url, &system.gateway_url];
        let clients = urls.map(|url| Client::grpc_with_short_deadlines(url).unwrap());
        let run = Run::begin(&name_on(&database, "no-time"), clients.into(), Workload::default());
        for _ in 0..rounds() {
            run.fault("clients have short deadlines");
            run.wait_for_unknown_outcomes(50).await;
        }
        assert_guarantees(run.verdict().await, rounds());
    }

    async fn every_call_is_sent_several_times(database: TestDatabase) {
        let mut system = System::start(Layout::Three, &database, Options::default()).await;
        let workload = Workload { duplicates: 5, ..Workload::default() };
        let run = Run::begin(&name_on(&database, "copies"), all_clients(&system), workload);
        for _ in 0..rounds() {
            run.wait_for_outcomes(100).await;
            run.fault("restart of the store");
            system.processes[0].terminate();
            system.processes[0].wait().await;
            system.processes[0].restart();
        }
        system.wait_until_ready().await;
        assert_guarantees(run.verdict().await, rounds());
    }
}
