//! Loads over REST: clients that create a message and view it, in turn. One thread generates the whole load.

use std::{
    collections::VecDeque,
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use tokio::{sync::mpsc, task::JoinSet};

use super::{
    http1::{self, CREATE, Connection},
    statistics::{Outcome, Sample},
};

/// How often requests of a load with a rate become due. A finer interval would cost the processor more.
const TICK: Duration = Duration::from_millis(1);
/// How long a load may take to end after its duration.
const END_LIMIT: Duration = Duration::from_secs(30);

/// A load over REST.
#[derive(Clone, Copy, Debug)]
pub(super) struct RestLoad {
    pub(super) server: SocketAddr,
    pub(super) connections: usize,
    pub(super) duration: Duration,
    /// Requests per second, whatever the latency of the server. `None`: each connection sends its next request after
    /// the response to the last one.
    pub(super) rate: Option<f64>,
    /// With a rate: whether requests wait until a connection is free. Otherwise they are not sent.
    pub(super) waits: bool,
}

impl RestLoad {
    /// A load without a rate.
    pub(super) fn closed(server: SocketAddr, connections: usize, duration: Duration) -> Self {
        Self { server, connections, duration, rate: None, waits: true }
    }

    /// Runs the load on a thread of its own.
    ///
    /// # Errors
    ///
    /// Returns an error if the server cannot be connected, or the load does not end.
    pub(super) async fn run(self) -> anyhow::Result<Outcome> {
        on_one_thread(self.duration, async move {
            let mut connections = Vec::new();
            for number in 0..self.connections {
                connections.push(Connection::open(self.server, number).await?);
            }
            match self.rate {
                None => run_closed(connections, self.duration).await,
                Some(rate) => self.run_open(connections, rate).await,
            }
        })
        .await
    }

    /// Sends requests when they are due. Latencies count from that time, so they contain the wait for a connection.
    async fn run_open(self, connections: Vec<Connection>, rate: f64) -> anyhow::Result<Outcome> {
        let (due, receiver) = mpsc::unbounded_channel();
        let receiver = Arc::new(tokio::sync::Mutex::new(receiver));
        let in_flight = Arc::new(AtomicUsize::new(0));
        let views = Arc::new(Mutex::new(VecDeque::new()));
        let start = Instant::now();
        let mut running = JoinSet::new();
        for (number, mut connection) in connections.into_iter().enumerate() {
            let (receiver, in_flight, views) = (Arc::clone(&receiver), Arc::clone(&in_flight), Arc::clone(&views));
            running.spawn(async move {
                let mut outcome = Outcome::default();
                let mut view_buffer = Vec::new();
                loop {
                    let next = receiver.lock().await.recv().await;
                    let Some(Due { at, is_view }) = next else { break };
                    let second = at.duration_since(start).as_secs();
                    let view: Option<Vec<u8>> = match is_view {
                        true => lock(&views).pop_front(),
                        false => None,
                    };
                    let (request, expected) = view.as_deref().map_or((CREATE, 201), |view| (view, 200));
                    let is_over = match connection.call(request).await {
                        Ok(response) => {
                            let sample = Sample::new(second, at.elapsed());
                            match response.status {
                                status if status == expected => outcome.succeeded.push(sample),
                                429 | 503 => outcome.rejected.push(sample),
                                status => outcome.fail(status),
                            }
                            if response.status == 201 && http1::write_view(response.body, &mut view_buffer) {
                                lock(&views).push_back(view_buffer.clone());
                            }
                            response.closes
                        }
                        Err(error) => {
                            outcome.break_off(error);
                            true
                        }
                    };
                    in_flight.fetch_sub(1, Ordering::Relaxed);
                    if is_over {
                        match Connection::open(self.server, number).await {
                            Ok(opened) => connection = opened,
                            Err(error) => {
                                outcome.break_off(error);
                                break;
                            }
                        }
                    }
                }
                outcome
            });
        }
        let pacer = thread::spawn(move || self.pace(rate, start, &due, &in_flight));
        let mut outcome = collect(running).await?;
        outcome.elapsed = start.elapsed();
        outcome.unsent = pacer.join().map_err(|_| io::Error::other("the pacer ended"))?;
        Ok(outcome)
    }

    /// Says when requests are due. Returns how many were not sent.
    fn pace(self, rate: f64, start: Instant, due: &mpsc::UnboundedSender<Due>, in_flight: &AtomicUsize) -> u64 {
        let (mut sent, mut unsent, mut at) = (0_u64, 0, start);
        while at < start + self.duration {
            at += TICK;
            // Not a wait for a condition: this is the clock of the load.
            thread::sleep(at.saturating_duration_since(Instant::now()));
            let until_now = (rate * at.duration_since(start).as_secs_f64()) as u64;
            while sent < until_now {
                sent += 1;
                if !self.waits && in_flight.load(Ordering::Relaxed) >= self.connections {
                    unsent += 1;
                    continue;
                }
                in_flight.fetch_add(1, Ordering::Relaxed);
                if due.send(Due { at, is_view: sent.is_multiple_of(2) }).is_err() {
                    return unsent;
                }
            }
        }
        unsent
    }
}

/// A request that is due.
struct Due {
    at: Instant,
    is_view: bool,
}

async fn run_closed(connections: Vec<Connection>, duration: Duration) -> anyhow::Result<Outcome> {
    let start = Instant::now();
    let mut running = JoinSet::new();
    for mut connection in connections {
        running.spawn(async move {
            let (mut outcome, mut view) = (Outcome::default(), Vec::new());
            // A connection that broke sends nothing more.
            if let Err(error) = create_and_view(&mut connection, start, duration, &mut outcome, &mut view).await {
                outcome.break_off(error);
            }
            outcome
        });
    }
    let mut outcome = collect(running).await?;
    outcome.elapsed = start.elapsed();
    Ok(outcome)
}

async fn create_and_view(
    connection: &mut Connection,
    start: Instant,
    duration: Duration,
    outcome: &mut Outcome,
    view: &mut Vec<u8>,
) -> io::Result<()> {
    let mut began = Instant::now();
    let mut is_view = false;
    while began.duration_since(start) < duration {
        let (request, expected) = if is_view { (view.as_slice(), 200) } else { (CREATE, 201) };
        let response = connection.call(request).await?;
        let ended = Instant::now();
        let sample = Sample::new(began.duration_since(start).as_secs(), ended.duration_since(began));
        match response.status {
            status if status == expected => outcome.succeeded.push(sample),
            429 | 503 => outcome.rejected.push(sample),
            status => outcome.fail(status),
        }
        is_view = response.status == 201 && http1::write_view(response.body, view);
        began = ended;
    }
    Ok(())
}

async fn collect(mut running: JoinSet<Outcome>) -> io::Result<Outcome> {
    let mut outcome = Outcome::default();
    while let Some(ended) = running.join_next().await {
        outcome.merge(ended.map_err(io::Error::other)?);
    }
    Ok(outcome)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs a load of `duration` on a thread of its own.
///
/// # Errors
///
/// Returns the error of the load, or an error if it does not end.
pub(super) async fn on_one_thread(
    duration: Duration,
    load: impl Future<Output = anyhow::Result<Outcome>> + Send + 'static,
) -> anyhow::Result<Outcome> {
    tokio::task::spawn_blocking(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async { tokio::time::timeout(duration + END_LIMIT, load).await })?
    })
    .await?
}
