//! The load generator. It runs each message from its creation to a last reader who finds it gone.

use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use futures_util::future::{try_join, try_join_all};
use mayfly_contracts::MessageRef;
use tokio::{
    task::{JoinHandle, JoinSet},
    time::Instant,
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    client::{Request, Response, Target},
    history::{Call, History, Outcome},
};

/// How long a client retries one call. Longer than any fault lasts.
const RETRY_TIMEOUT: Duration = Duration::from_secs(300);
/// The pause between two attempts of one call.
const RETRY_INTERVAL: Duration = Duration::from_millis(5);
/// The number of the reader that comes after all others.
const LATE_READER: u64 = 3;

/// What the clients do.
#[derive(Clone, Copy, Debug)]
pub struct Workload {
    /// Whether clients send idempotency keys, and retry each call until its outcome is known.
    pub idempotency_keys: bool,
    /// At most this many copies of a call are sent at once, as a double click or a network may do.
    pub duplicates: u64,
    /// The length of a text, in bytes. The number of the message is always in it.
    pub text_bytes: usize,
    /// Whether the clients only create, view, guess and look up, in the ratio 4 to 4 to 1 to 1. The texts have 16 bytes
    /// to 64 KiB, each power of two equally often. This measures performance; the default workload finds faults.
    pub is_mixed: bool,
}

impl Default for Workload {
    fn default() -> Self {
        Self { idempotency_keys: true, duplicates: 1, text_bytes: 64, is_mixed: false }
    }
}

/// A load generator. It records all of its calls.
pub struct LoadGenerator<T> {
    targets: Vec<T>,
    history: History,
    workload: Workload,
    seed: u64,
    counters: Counters,
}

#[derive(Default)]
struct Counters {
    next_message: AtomicU64,
    next_target: AtomicU64,
    sent: AtomicU64,
    known_outcomes: AtomicU64,
    unknown_outcomes: AtomicU64,
}

impl<T: Target> LoadGenerator<T> {
    /// A load generator that calls all of `targets` in turn. The seed determines texts and keys, so each load on one
    /// system needs its own.
    pub fn new(targets: Vec<T>, history: History, workload: Workload, seed: u64) -> Arc<Self> {
        Arc::new(Self { targets, history, workload, seed, counters: Counters::default() })
    }

    /// The record of this load.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// The number of calls with a known outcome so far.
    pub fn known_outcomes(&self) -> u64 {
        self.counters.known_outcomes.load(Ordering::Relaxed)
    }

    /// The number of attempts with an unknown outcome so far.
    pub fn unknown_outcomes(&self) -> u64 {
        self.counters.unknown_outcomes.load(Ordering::Relaxed)
    }

    /// The number of calls in flight.
    pub fn in_flight(&self) -> u64 {
        self.counters.sent.load(Ordering::Relaxed).saturating_sub(self.known_outcomes() + self.unknown_outcomes())
    }

    /// Starts the load: `rate` messages per second, or else `workers` messages at a time, until `stop`.
    pub fn start(
        self: Arc<Self>,
        rate: Option<f64>,
        workers: usize,
        stop: CancellationToken,
    ) -> JoinHandle<io::Result<()>> {
        tokio::spawn(async move {
            match rate {
                Some(rate) => self.run_at(rate, stop).await,
                None => self.run(workers, stop).await,
            }
        })
    }

    /// Runs `workers` messages at a time until `stop`, then completes those that have begun.
    ///
    /// # Errors
    ///
    /// Returns an error if the history cannot be written.
    pub async fn run(self: Arc<Self>, workers: usize, stop: CancellationToken) -> io::Result<()> {
        let mut running = JoinSet::new();
        for _ in 0..workers {
            let (load, stop) = (Arc::clone(&self), stop.clone());
            running.spawn(async move {
                while !stop.is_cancelled() {
                    load.run_message().await?;
                }
                Ok(())
            });
        }
        wait_for_all(running).await
    }

    /// Begins `per_second` messages per second until `stop`, whatever the latency of the system. Then completes them.
    ///
    /// # Errors
    ///
    /// Returns an error if the history cannot be written.
    async fn run_at(self: Arc<Self>, per_second: f64, stop: CancellationToken) -> io::Result<()> {
        let mut running = JoinSet::new();
        let mut interval = tokio::time::interval(Duration::from_secs_f64(1.0 / per_second));
        while stop.run_until_cancelled(interval.tick()).await.is_some() {
            let load = Arc::clone(&self);
            running.spawn(async move { load.run_message().await });
        }
        wait_for_all(running).await
    }

    /// Runs the calls of one message.
    async fn run_message(&self) -> io::Result<()> {
        let message = self.counters.next_message.fetch_add(1, Ordering::Relaxed);
        let Some(message_ref) = self.create(message).await? else { return Ok(()) };
        if self.workload.is_mixed {
            return self.run_mixed_message(message, &message_ref).await;
        }
        // Each message has two concurrent readers. One message in eight is guessed as well, one is looked up during and
        // after the reads, and one is burned and looked up.
        let others = async {
            match message % 8 {
                3 => self.guess(message, &message_ref).await,
                5 => self.look_up(message, &message_ref).await,
                7 => self.burn(message, &message_ref).await,
                _ => Ok(()),
            }
        };
        try_join(try_join(self.read(message, &message_ref, 1), self.read(message, &message_ref, 2)), others).await?;
        self.view(message, &message_ref, Some(LATE_READER)).await?;
        if message % 8 >= 5 { self.look_up(message, &message_ref).await } else { Ok(()) }
    }

    /// Runs two calls for a message, and four for every fourth message.
    async fn run_mixed_message(&self, message: u64, message_ref: &MessageRef) -> io::Result<()> {
        if message.is_multiple_of(4) {
            self.look_up(message, message_ref).await?;
            self.guess(message, message_ref).await?;
        }
        self.view(message, message_ref, Some(1)).await.map(drop)
    }

    async fn create(&self, message: u64) -> io::Result<Option<MessageRef>> {
        let request_id = self.workload.idempotency_keys.then(|| self.key(message, 0));
        let request = Request::Create { text: self.text_of(message), request_id };
        let responses = self.retry_until_known(message, Call::Create, request, request_id.is_some()).await?;
        Ok(responses.into_iter().find_map(|response| match response {
            Response::Created(message_ref) => Some(message_ref),
            _ => None,
        }))
    }

    /// Reads the message twice, acknowledges it, and tries to read it again.
    async fn read(&self, message: u64, message_ref: &MessageRef, reader: u64) -> io::Result<()> {
        if !self.workload.idempotency_keys {
            return self.view(message, message_ref, None).await.map(drop);
        }
        if self.view(message, message_ref, Some(reader)).await? {
            self.view(message, message_ref, Some(reader)).await?;
            let request = Request::Acknowledge { message_ref: message_ref.clone(), view_id: self.key(message, reader) };
            self.retry_until_known(message, Call::Acknowledge { reader }, request, true).await?;
            self.view(message, message_ref, Some(reader)).await?;
        }
        Ok(())
    }

    /// Reads the message. Returns `true` if a response had the text.
    async fn view(&self, message: u64, message_ref: &MessageRef, reader: Option<u64>) -> io::Result<bool> {
        let view_id = reader.map(|reader| self.key(message, reader));
        let request = Request::View { message_ref: message_ref.clone(), view_id };
        let responses = self.retry_until_known(message, Call::View { reader }, request, reader.is_some()).await?;
        Ok(responses.iter().any(|response| matches!(response, Response::Text(_))))
    }

    async fn guess(&self, message: u64, message_ref: &MessageRef) -> io::Result<()> {
        let request = Request::View { message_ref: mistyped(message_ref), view_id: None };
        self.retry_until_known(message, Call::Guess, request, true).await.map(drop)
    }

    async fn look_up(&self, message: u64, message_ref: &MessageRef) -> io::Result<()> {
        self.retry_until_known(message, Call::Lookup, Request::Lookup { message_ref: message_ref.clone() }, true)
            .await
            .map(drop)
    }

    async fn burn(&self, message: u64, message_ref: &MessageRef) -> io::Result<()> {
        self.retry_until_known(message, Call::Burn, Request::Burn { message_ref: message_ref.clone() }, true)
            .await
            .map(drop)
    }

    /// Sends the call, perhaps several times at once. Retries each copy until its outcome is known, if the call is
    /// idempotent.
    async fn retry_until_known(
        &self,
        message: u64,
        call: Call,
        request: Request,
        is_idempotent: bool,
    ) -> io::Result<Vec<Response>> {
        let duplicates = if is_idempotent { 1 + message % self.workload.duplicates } else { 1 };
        let request = &request;
        try_join_all((0..duplicates).map(|_| async move {
            let end = Instant::now() + RETRY_TIMEOUT;
            loop {
                let response = self.call(message, call, request).await?;
                if response != Response::Unknown || !is_idempotent || Instant::now() > end {
                    return Ok(response);
                }
                tokio::time::sleep(RETRY_INTERVAL).await;
            }
        }))
        .await
    }

    async fn call(&self, message: u64, call: Call, request: &Request) -> io::Result<Response> {
        // Each attempt may use another target.
        let turn = usize::try_from(self.counters.next_target.fetch_add(1, Ordering::Relaxed)).unwrap_or_default();
        let target = turn.checked_rem(self.targets.len()).and_then(|turn| self.targets.get(turn));
        let target = target.ok_or_else(|| io::Error::other("a load needs at least one target"))?;
        let call_id = self.history.record_invocation(message, call)?;
        self.counters.sent.fetch_add(1, Ordering::Relaxed);
        let response = target.call(request).await;
        let outcome = self.outcome_of(&response);
        self.history.record_outcome(call_id, outcome)?;
        let count =
            if outcome == Outcome::Unknown { &self.counters.unknown_outcomes } else { &self.counters.known_outcomes };
        count.fetch_add(1, Ordering::Relaxed);
        Ok(response)
    }

    fn outcome_of(&self, response: &Response) -> Outcome {
        match response {
            Response::Created(message_ref) => {
                let mut hasher = DefaultHasher::new();
                message_ref.hash(&mut hasher);
                Outcome::Created(hasher.finish())
            }
            Response::Text(text) => {
                let number = text.split(' ').nth(1).and_then(|number| number.parse().ok());
                Outcome::Text(number.filter(|number| self.text_of(*number) == *text))
            }
            Response::Gone => Outcome::Gone,
            Response::Done => Outcome::Done,
            Response::Found(state) => Outcome::Found(*state),
            Response::Rejected => Outcome::Rejected,
            Response::Unknown => Outcome::Unknown,
        }
    }

    /// The text of a message: unique, and recognizable from its number.
    fn text_of(&self, message: u64) -> String {
        let prefix = format!("{} {message} ", self.seed);
        let width = match self.workload.is_mixed {
            // From 16 bytes to 64 KiB, in powers of two.
            true => (16_usize << (message % 13)).saturating_sub(prefix.len()),
            false => self.workload.text_bytes,
        };
        prefix + &".".repeat(width)
    }

    fn key(&self, message: u64, reader: u64) -> Uuid {
        Uuid::from_u64_pair(self.seed, (message << 2) | reader)
    }
}

/// The same reference with another first digit of the token.
fn mistyped(MessageRef { id, access_token }: &MessageRef) -> MessageRef {
    let first = if access_token.starts_with('0') { '1' } else { '0' };
    MessageRef { id: *id, access_token: std::iter::once(first).chain(access_token.chars().skip(1)).collect() }
}

async fn wait_for_all(mut running: JoinSet<io::Result<()>>) -> io::Result<()> {
    while let Some(ended) = running.join_next().await {
        ended.map_err(io::Error::other)??;
    }
    Ok(())
}

/// A seed that differs for each process and time.
#[must_use]
pub fn new_seed() -> u64 {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let nanos = u64::try_from(since_1970.as_nanos()).unwrap_or(u64::MAX);
    nanos.rotate_left(20) ^ u64::from(std::process::id())
}
