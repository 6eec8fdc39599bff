//! A TCP proxy with network faults, which can capture what it forwards.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream, tcp},
    sync::watch,
};
use tokio_util::sync::{CancellationToken, DropGuard};

/// A proxy on a free port of 127.0.0.1. Stops, with all its connections, when dropped.
pub struct TcpProxy {
    address: SocketAddr,
    fault: watch::Sender<NetworkFault>,
    counters: Arc<Counters>,
    capture: Option<Arc<Capture>>,
    _stop: DropGuard,
}

/// All bytes of each direction.
#[derive(Default)]
struct Capture {
    requests: Mutex<Vec<u8>>,
    replies: Mutex<Vec<u8>>,
}

/// A network fault of a proxy. It applies to all connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NetworkFault {
    /// Forwards all bytes.
    None,
    /// Forwards all bytes one by one.
    Trickle,
    /// Holds all bytes until the fault changes, as a frozen peer does.
    Stall,
    /// Holds the bytes of the server until the fault changes.
    StallReplies,
    /// Holds the bytes of the client from this pattern on, until the fault changes.
    HoldRequest(&'static str),
    /// Holds the bytes of the server after the client has sent this pattern, until the fault changes.
    HoldReplyTo(&'static str),
    /// Resets each connection on both sides after this many more bytes of the client.
    ResetInRequest(usize),
    /// Closes the client's side of each connection after this many more bytes of the client. The bytes of the server
    /// are still forwarded.
    HalfClose(usize),
    /// Resets each connection on both sides after this many more bytes of the server.
    ResetInReply(usize),
    /// Resets each connection on which the client sends this pattern, after this many more bytes of the server.
    ResetInReplyTo(&'static str, usize),
}

/// The direction of bytes.
#[derive(Clone, Copy)]
enum Direction {
    Request,
    Reply,
}

#[derive(Default)]
struct Counters {
    /// Connections that were reset or half closed.
    resets: AtomicU64,
    /// Directions of connections in which bytes are held now.
    held: AtomicU64,
}

impl TcpProxy {
    /// Starts a proxy in front of `target` (`host:port`), without a fault.
    ///
    /// # Errors
    ///
    /// Returns an error if no port can be bound.
    pub async fn start(target: &str) -> io::Result<Self> {
        Self::start_with(target, None).await
    }

    /// Starts a proxy that keeps all bytes that it forwards.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start).
    pub async fn start_capturing(target: &str) -> io::Result<Self> {
        Self::start_with(target, Some(Arc::default())).await
    }

    async fn start_with(target: &str, capture: Option<Arc<Capture>>) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (fault, changes) = watch::channel(NetworkFault::None);
        let (stop, counters, target) = (CancellationToken::new(), Arc::<Counters>::default(), target.to_owned());
        let (stopped, counted, captured) = (stop.clone(), Arc::clone(&counters), capture.clone());
        tokio::spawn(async move {
            while let Some(Ok((client, _))) = stopped.run_until_cancelled(listener.accept()).await {
                let (target, changes, counted) = (target.clone(), changes.clone(), Arc::clone(&counted));
                let captured = captured.clone();
                let stopped_connection = stopped.clone();
                tokio::spawn(async move {
                    // Broken connections are expected.
                    let forwarding = forward(client, &target, changes, &counted, captured.as_deref());
                    drop(stopped_connection.run_until_cancelled(forwarding).await);
                });
            }
        });
        Ok(Self { address, fault, counters, capture, _stop: stop.drop_guard() })
    }

    /// The address of the proxy: `127.0.0.1:port`.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What clients and the server sent so far: all bytes of the clients, then all of the server. Empty unless the
    /// proxy captures.
    #[must_use]
    pub fn captured(&self) -> Vec<u8> {
        let Some(Capture { requests, replies }) = self.capture.as_deref() else { return Vec::new() };
        let bytes = |of: &Mutex<Vec<u8>>| of.lock().unwrap_or_else(PoisonError::into_inner).clone();
        [bytes(requests), bytes(replies)].concat()
    }

    /// Changes the fault.
    pub fn set_fault(&self, fault: NetworkFault) {
        self.fault.send_replace(fault);
    }

    /// The number of connections that were reset or half closed so far.
    #[must_use]
    pub fn resets(&self) -> u64 {
        self.counters.resets.load(Ordering::Relaxed)
    }

    /// The number of directions of connections in which bytes are held now.
    #[must_use]
    pub fn held(&self) -> u64 {
        self.counters.held.load(Ordering::Relaxed)
    }
}

async fn forward(
    client: TcpStream,
    target: &str,
    fault: watch::Receiver<NetworkFault>,
    counters: &Counters,
    capture: Option<&Capture>,
) -> io::Result<()> {
    let server = TcpStream::connect(target).await?;
    // With a linger of zero, a drop sends a reset instead of an orderly close.
    client.set_zero_linger()?;
    server.set_zero_linger()?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    let trigger = Mutex::new(None);
    let relay = |direction| Relay { direction, fault: fault.clone(), trigger: &trigger, counters, capture };
    let was_reset = tokio::select! {
        was_reset = relay(Direction::Request).run(from_client, to_server) => was_reset?,
        was_reset = relay(Direction::Reply).run(from_server, to_client) => was_reset?,
    };
    if was_reset {
        counters.resets.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

/// One direction of a connection.
struct Relay<'connection> {
    direction: Direction,
    fault: watch::Receiver<NetworkFault>,
    /// The fault under which the client sent the pattern.
    trigger: &'connection Mutex<Option<NetworkFault>>,
    counters: &'connection Counters,
    capture: Option<&'connection Capture>,
}

impl Relay<'_> {
    /// Forwards bytes until the connection ends. Returns `true` if a fault ended it.
    async fn run(mut self, mut from: tcp::OwnedReadHalf, mut to: tcp::OwnedWriteHalf) -> io::Result<bool> {
        let mut buffer = vec![0; 16 << 10];
        let (mut previous, mut forwarded) = (*self.fault.borrow(), 0);
        loop {
            let length = from.read(&mut buffer).await?;
            if length == 0 {
                return Ok(false);
            }
            let chunk = buffer.get(..length).unwrap_or_default();
            if let Some(capture) = self.capture {
                let kept =
                    if matches!(self.direction, Direction::Request) { &capture.requests } else { &capture.replies };
                kept.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(chunk);
            }
            let current = self.wait_until_forwarded(chunk).await?;
            if current != previous {
                (previous, forwarded) = (current, 0);
            }
            let limit = match (current, self.direction) {
                (NetworkFault::ResetInRequest(bytes) | NetworkFault::HalfClose(bytes), Direction::Request)
                | (NetworkFault::ResetInReply(bytes), Direction::Reply) => bytes,
                (NetworkFault::ResetInReplyTo(_, bytes), Direction::Reply) if self.was_triggered(current) => bytes,
                (NetworkFault::Trickle, _) => {
                    for byte in chunk {
                        to.write_all(std::slice::from_ref(byte)).await?;
                        tokio::task::yield_now().await;
                    }
                    continue;
                }
                _ => {
                    to.write_all(chunk).await?;
                    continue;
                }
            };
            let allowed = limit.saturating_sub(forwarded);
            to.write_all(chunk.get(..allowed).unwrap_or(chunk)).await?;
            forwarded += length;
            if length >= allowed && matches!(current, NetworkFault::HalfClose(_)) {
                to.shutdown().await?;
                self.counters.resets.fetch_add(1, Ordering::Relaxed);
                // The other direction determines when the connection ends.
                return std::future::pending().await;
            }
            if length >= allowed {
                return Ok(true);
            }
        }
    }

    /// Waits until `chunk` may be forwarded. Returns the fault at that time.
    async fn wait_until_forwarded(&mut self, chunk: &[u8]) -> io::Result<NetworkFault> {
        let mut fault = self.fault.clone();
        let current = *fault.borrow_and_update();
        if !self.is_held(current, chunk) {
            return Ok(current);
        }
        let _held = Held::count(&self.counters.held);
        let later = fault.wait_for(|fault| !self.is_held(*fault, chunk)).await;
        later.map(|later| *later).map_err(io::Error::other)
    }

    fn is_held(&self, fault: NetworkFault, chunk: &[u8]) -> bool {
        let has_pattern = |pattern: &str| chunk.windows(pattern.len()).any(|window| window == pattern.as_bytes());
        match (fault, self.direction) {
            (NetworkFault::Stall, _) | (NetworkFault::StallReplies, Direction::Reply) => true,
            (NetworkFault::HoldRequest(pattern), Direction::Request) => has_pattern(pattern),
            (NetworkFault::HoldReplyTo(pattern) | NetworkFault::ResetInReplyTo(pattern, _), Direction::Request) => {
                if has_pattern(pattern) {
                    *self.trigger.lock().unwrap_or_else(PoisonError::into_inner) = Some(fault);
                }
                false
            }
            (NetworkFault::HoldReplyTo(_), Direction::Reply) => self.was_triggered(fault),
            _ => false,
        }
    }

    fn was_triggered(&self, fault: NetworkFault) -> bool {
        *self.trigger.lock().unwrap_or_else(PoisonError::into_inner) == Some(fault)
    }
}

/// Increments a counter during its lifetime.
struct Held<'counter>(&'counter AtomicU64);

impl<'counter> Held<'counter> {
    fn count(counter: &'counter AtomicU64) -> Self {
        counter.fetch_add(1, Ordering::Relaxed);
        Self(counter)
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
