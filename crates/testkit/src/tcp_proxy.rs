//! A TCP proxy that misbehaves on demand.

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

/// A proxy on a free port of 127.0.0.1. Ends, with all its connections, when dropped.
pub struct TcpProxy {
    address: SocketAddr,
    weather: watch::Sender<Weather>,
    counters: Arc<Counters>,
    _stop: DropGuard,
}

/// What a proxy does to the bytes of its connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weather {
    /// Hands all of them on.
    Fair,
    /// Hands all of them on, each by itself.
    Trickle,
    /// Keeps all of them, as a frozen peer does, until the weather is another.
    Still,
    /// Keeps what the server sends, until the weather is another.
    Mute,
    /// Keeps what the client sends from these words on, until the weather is another.
    HoldRequest(&'static str),
    /// Keeps what the server sends after the client sent these words, until the weather is another.
    HoldReplyTo(&'static str),
    /// On each connection, hands on so many more bytes of what the client sends, then resets it on both sides.
    CutRequest(usize),
    /// On each connection, hands on so many more bytes of what the client sends, then tells the server that this was all. What the
    /// server sends is handed on until it ends.
    HalfClose(usize),
    /// On each connection, hands on so many more bytes of what the server sends, then resets it on both sides.
    CutReply(usize),
    /// On each connection on which the client sends these words, hands on so many more bytes of what the server sends, then
    /// resets it on both sides.
    CutReplyTo(&'static str, usize),
}

/// Which way bytes go.
#[derive(Clone, Copy)]
enum Direction {
    Request,
    Reply,
}

#[derive(Default)]
struct Counters {
    /// Connections that were reset or half closed.
    cuts: AtomicU64,
    /// Connections of which something is kept back now, each direction by itself.
    held: AtomicU64,
}

impl TcpProxy {
    /// A proxy in front of `target` (`host:port`), in fair weather.
    ///
    /// # Errors
    ///
    /// When no port can be bound.
    pub async fn start(target: &str) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (weather, changes) = watch::channel(Weather::Fair);
        let (stop, counters, target) = (CancellationToken::new(), Arc::<Counters>::default(), target.to_owned());
        let (stopped, counted) = (stop.clone(), Arc::clone(&counters));
        tokio::spawn(async move {
            while let Some(Ok((client, _))) = stopped.run_until_cancelled(listener.accept()).await {
                let (target, changes, counted) = (target.clone(), changes.clone(), Arc::clone(&counted));
                let carried = stopped.clone();
                tokio::spawn(async move {
                    // A connection that breaks is what a proxy is for.
                    drop(carried.run_until_cancelled(carry(client, &target, changes, &counted)).await);
                });
            }
        });
        Ok(Self { address, weather, counters, _stop: stop.drop_guard() })
    }

    /// Where it listens: `127.0.0.1:port`.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Changes the weather.
    pub fn set(&self, weather: Weather) {
        self.weather.send_replace(weather);
    }

    /// How many connections it has reset or half closed so far.
    #[must_use]
    pub fn cuts(&self) -> u64 {
        self.counters.cuts.load(Ordering::Relaxed)
    }

    /// On how many connections it keeps something back now.
    #[must_use]
    pub fn held(&self) -> u64 {
        self.counters.held.load(Ordering::Relaxed)
    }
}

async fn carry(
    client: TcpStream,
    target: &str,
    weather: watch::Receiver<Weather>,
    counters: &Counters,
) -> io::Result<()> {
    let server = TcpStream::connect(target).await?;
    // What is dropped unread or unsent is answered with a reset rather than with an orderly end.
    client.set_zero_linger()?;
    server.set_zero_linger()?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    let heard = Mutex::new(None);
    let pump = |direction| Pump { direction, weather: weather.clone(), heard: &heard, counters };
    let was_cut = tokio::select! {
        was_cut = pump(Direction::Request).run(from_client, to_server) => was_cut?,
        was_cut = pump(Direction::Reply).run(from_server, to_client) => was_cut?,
    };
    if was_cut {
        counters.cuts.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

/// One direction of a connection.
struct Pump<'connection> {
    direction: Direction,
    weather: watch::Receiver<Weather>,
    /// The weather in which the client sent the words that this weather waits for.
    heard: &'connection Mutex<Option<Weather>>,
    counters: &'connection Counters,
}

impl Pump<'_> {
    /// Hands bytes on until the end, or until the weather cuts the connection; whether it was the latter.
    async fn run(mut self, mut from: tcp::OwnedReadHalf, mut to: tcp::OwnedWriteHalf) -> io::Result<bool> {
        let mut buffer = vec![0; 16 << 10];
        let (mut known, mut handed_on) = (*self.weather.borrow(), 0);
        loop {
            let length = from.read(&mut buffer).await?;
            if length == 0 {
                return Ok(false);
            }
            let chunk = buffer.get(..length).unwrap_or_default();
            let present = self.let_through(chunk).await?;
            if present != known {
                (known, handed_on) = (present, 0);
            }
            let limit = match (present, self.direction) {
                (Weather::CutRequest(bytes) | Weather::HalfClose(bytes), Direction::Request)
                | (Weather::CutReply(bytes), Direction::Reply) => bytes,
                (Weather::CutReplyTo(_, bytes), Direction::Reply) if self.has_heard(present) => bytes,
                (Weather::Trickle, _) => {
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
            let allowed = limit.saturating_sub(handed_on);
            to.write_all(chunk.get(..allowed).unwrap_or(chunk)).await?;
            handed_on += length;
            if length >= allowed && matches!(present, Weather::HalfClose(_)) {
                to.shutdown().await?;
                self.counters.cuts.fetch_add(1, Ordering::Relaxed);
                // The other direction says when the connection ends.
                return std::future::pending().await;
            }
            if length >= allowed {
                return Ok(true);
            }
        }
    }

    /// Waits for a weather in which `chunk` may be handed on, and answers which one that is.
    async fn let_through(&mut self, chunk: &[u8]) -> io::Result<Weather> {
        let mut weather = self.weather.clone();
        let present = *weather.borrow_and_update();
        if !self.holds_back(present, chunk) {
            return Ok(present);
        }
        let _held = Held::count(&self.counters.held);
        let later = weather.wait_for(|weather| !self.holds_back(*weather, chunk)).await;
        later.map(|later| *later).map_err(io::Error::other)
    }

    fn holds_back(&self, weather: Weather, chunk: &[u8]) -> bool {
        let has = |words: &str| chunk.windows(words.len()).any(|window| window == words.as_bytes());
        match (weather, self.direction) {
            (Weather::Still, _) | (Weather::Mute, Direction::Reply) => true,
            (Weather::HoldRequest(words), Direction::Request) => has(words),
            (Weather::HoldReplyTo(words) | Weather::CutReplyTo(words, _), Direction::Request) => {
                if has(words) {
                    *self.heard.lock().unwrap_or_else(PoisonError::into_inner) = Some(weather);
                }
                false
            }
            (Weather::HoldReplyTo(_), Direction::Reply) => self.has_heard(weather),
            _ => false,
        }
    }

    fn has_heard(&self, weather: Weather) -> bool {
        *self.heard.lock().unwrap_or_else(PoisonError::into_inner) == Some(weather)
    }
}

/// Counts one up for as long as it lives.
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
