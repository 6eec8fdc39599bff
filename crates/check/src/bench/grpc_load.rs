//! A load over gRPC: streams that create messages. It speaks HTTP/2 itself, because a generated client costs as much as
//! the server that does nothing.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use bytes::{BufMut as _, Bytes, BytesMut};
use h2::client::SendRequest;
use http::{HeaderMap, Request, header};
use mayfly_contracts::message::{CreateMessageRequest, message_service_server::SERVICE_NAME};
use prost::Message as _;
use tokio::{net::TcpStream, task::JoinSet};

use super::{
    rest_load::on_one_thread,
    statistics::{Outcome, Sample},
};

/// The text of each message.
const TEXT: &str = "a password of ordinary length, 40 bytes.";
/// gRPC's statuses of a server under too much load: RESOURCE_EXHAUSTED and UNAVAILABLE.
const REJECTED: [&[u8]; 2] = [b"8", b"14"];
/// How many unread bytes the server may send on a connection.
const WINDOW: u32 = 4 << 20;

/// A load over gRPC.
#[derive(Clone, Copy, Debug)]
pub(super) struct GrpcLoad {
    pub(super) server: SocketAddr,
    pub(super) connections: usize,
    /// Concurrent calls of each connection.
    pub(super) streams: usize,
    pub(super) duration: Duration,
}

impl GrpcLoad {
    /// Runs the load on a thread of its own. Each stream sends its next request after the response to the last one.
    ///
    /// # Errors
    ///
    /// Returns an error if the server cannot be connected, or the load does not end.
    pub(super) async fn run(self) -> anyhow::Result<Outcome> {
        on_one_thread(self.duration, async move {
            let mut builder = h2::client::Builder::new();
            builder.initial_window_size(WINDOW).initial_connection_window_size(WINDOW);
            let mut senders = Vec::new();
            for _ in 0..self.connections {
                let stream = TcpStream::connect(self.server).await?;
                stream.set_nodelay(true)?;
                let (sender, connection) = builder.handshake::<_, Bytes>(stream).await?;
                // An error of the connection is also one of its streams.
                tokio::spawn(connection);
                senders.push(sender);
            }
            let (request, body) = create_message(self.server)?;
            let start = Instant::now();
            let mut running = JoinSet::new();
            for sender in senders.iter().flat_map(|sender| vec![sender; self.streams]) {
                let (sender, request, body) = (sender.clone(), request.clone(), body.clone());
                running.spawn(async move {
                    let mut outcome = Outcome::default();
                    if let Err(error) = self.call(sender, &request, &body, start, &mut outcome).await {
                        outcome.break_off(error);
                    }
                    outcome
                });
            }
            let mut outcome = Outcome::default();
            while let Some(ended) = running.join_next().await {
                outcome.merge(ended?);
            }
            outcome.elapsed = start.elapsed();
            Ok(outcome)
        })
        .await
    }

    async fn call(
        self,
        mut sender: SendRequest<Bytes>,
        request: &Request<()>,
        body: &Bytes,
        start: Instant,
        outcome: &mut Outcome,
    ) -> anyhow::Result<()> {
        let mut began = Instant::now();
        while began.duration_since(start) < self.duration {
            sender = sender.ready().await?;
            let (response, mut stream) = sender.send_request(request.clone(), false)?;
            stream.send_data(body.clone(), true)?;
            let (head, mut body) = response.await?.into_parts();
            while let Some(chunk) = body.data().await {
                body.flow_control().release_capacity(chunk?.len())?;
            }
            let trailers = body.trailers().await?;
            let ended = Instant::now();
            let sample = Sample::new(began.duration_since(start).as_secs(), ended.duration_since(began));
            // A response without a message has its status in the headers.
            match status(trailers.as_ref().unwrap_or(&head.headers)) {
                b"0" => outcome.succeeded.push(sample),
                status if REJECTED.contains(&status) => outcome.rejected.push(sample),
                status => outcome.fail(String::from_utf8_lossy(status)),
            }
            began = ended;
        }
        Ok(())
    }
}

fn status(headers: &HeaderMap) -> &[u8] {
    headers.get("grpc-status").map(http::HeaderValue::as_bytes).unwrap_or_default()
}

/// The request of CreateMessage, and its body with gRPC's prefix.
fn create_message(server: SocketAddr) -> anyhow::Result<(Request<()>, Bytes)> {
    let request = Request::post(format!("http://{server}/{SERVICE_NAME}/CreateMessage"))
        .header(header::CONTENT_TYPE, "application/grpc")
        .header(header::TE, "trailers")
        .body(())?;
    let message = CreateMessageRequest::from_text(TEXT);
    let mut body = BytesMut::new();
    body.put_u8(0);
    body.put_u32(u32::try_from(message.encoded_len()).context("the message is too long")?);
    message.encode(&mut body)?;
    Ok((request, body.freeze()))
}
