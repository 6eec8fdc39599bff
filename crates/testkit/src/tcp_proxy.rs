//! A TCP proxy that misbehaves on demand.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
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
    cuts: Arc<AtomicU64>,
    _stop: DropGuard,
}

/// What a proxy does to the bytes of its connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weather {
    /// Hands all of them on.
    Fair,
    /// Keeps all of them, as a frozen peer does, until the weather is another.
    Still,
    /// On each connection, hands on so many more bytes of what the client sends, then resets it on both sides.
    CutRequest(usize),
    /// On each connection, hands on so many more bytes of what the server sends, then resets it on both sides.
    CutReply(usize),
}

/// Which way bytes go.
#[derive(Clone, Copy)]
enum Direction {
    Request,
    Reply,
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
        let (stop, cuts, target) = (CancellationToken::new(), Arc::<AtomicU64>::default(), target.to_owned());
        let (stopped, counted) = (stop.clone(), Arc::clone(&cuts));
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
        Ok(Self { address, weather, cuts, _stop: stop.drop_guard() })
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

    /// How many connections it has reset so far.
    #[must_use]
    pub fn cuts(&self) -> u64 {
        self.cuts.load(Ordering::Relaxed)
    }
}

async fn carry(client: TcpStream, target: &str, weather: watch::Receiver<Weather>, cuts: &AtomicU64) -> io::Result<()> {
    let server = TcpStream::connect(target).await?;
    // What is dropped unread or unsent is answered with a reset rather than with an orderly end.
    client.set_zero_linger()?;
    server.set_zero_linger()?;
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    let was_cut = tokio::select! {
        was_cut = pump(from_client, to_server, Direction::Request, weather.clone()) => was_cut?,
        was_cut = pump(from_server, to_client, Direction::Reply, weather) => was_cut?,
    };
    if was_cut {
        cuts.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

/// Hands bytes on until the end, or until the weather cuts the connection; whether it was the latter.
async fn pump(
    mut from: tcp::OwnedReadHalf,
    mut to: tcp::OwnedWriteHalf,
    direction: Direction,
    mut weather: watch::Receiver<Weather>,
) -> io::Result<bool> {
    let mut buffer = vec![0; 16 << 10];
    let (mut known, mut handed_on) = (*weather.borrow(), 0);
    loop {
        let length = from.read(&mut buffer).await?;
        if length == 0 {
            return Ok(false);
        }
        let present = *weather.wait_for(|weather| *weather != Weather::Still).await.map_err(io::Error::other)?;
        if present != known {
            (known, handed_on) = (present, 0);
        }
        let allowed = match (present, direction) {
            (Weather::CutRequest(bytes), Direction::Request) | (Weather::CutReply(bytes), Direction::Reply) => {
                bytes.saturating_sub(handed_on)
            }
            _ => usize::MAX,
        };
        to.write_all(buffer.get(..length.min(allowed)).unwrap_or_default()).await?;
        handed_on += length;
        if length >= allowed {
            return Ok(true);
        }
    }
}
