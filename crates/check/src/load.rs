//! The load generator: messages that live their whole life, from creation to the last reader who comes too late.

use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::future::{try_join, try_join_all};
use tokio::{task::JoinSet, time::Instant};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    client::{MessageRef, Request, Response, Target},
    history::{Call, History, Outcome},
};

/// How long one call is repeated before its message is left as it is: longer than any fault lasts.
const RETRY_TIMEOUT: Duration = Duration::from_secs(300);
/// Between two tries of one call.
const RETRY_INTERVAL: Duration = Duration::from_millis(5);
/// The reader that comes when all is over.
const LATE_READER: u64 = 3;

/// What kind of users there are.
#[derive(Clone, Copy, Debug)]
pub struct Workload {
    /// Whether they make a key for each call that changes something, and repeat it until it is answered.
    pub idempotency_keys: bool,
    /// How often they send a call at once, as an impatient finger or a network does.
    pub duplicates: u64,
    /// The length of a text, in bytes; at least its number is in it.
    pub text_bytes: usize,
    /// Whether they only create, read, guess and look up, as 4 to 4 to 1 to 1, with texts of 16 bytes to 64 KiB of all
    /// magnitudes alike: a load to measure with, rather than one to find faults with.
    pub is_mixed: bool,
}

impl Default for Workload {
    fn default() -> Self {
        Self { idempotency_keys: true, duplicates: 1, text_bytes: 64, is_mixed: false }
    }
}

/// Users of a system, all of whom write down what they do.
pub struct LoadGenerator<T> {
    targets: Vec<T>,
    history: History,
    workload: Workload,
    seed: u64,
    next_message: AtomicU64,
    next_target: AtomicU64,
    sent: AtomicU64,
    known_outcomes: AtomicU64,
    unknown_outcomes: AtomicU64,
}

impl<T: Target> LoadGenerator<T> {
    /// Users who reach the system through all of `targets` in turn. The same seed makes the same texts and keys, so it must
    /// be another one for each run on the same system.
    pub fn new(targets: Vec<T>, history: History, workload: Workload, seed: u64) -> Arc<Self> {
        let (next_message, next_target, sent, known_outcomes, unknown_outcomes) = Default::default();
        Arc::new(Self {
            targets,
            history,
            workload,
            seed,
            next_message,
            next_target,
            sent,
            known_outcomes,
            unknown_outcomes,
        })
    }

    /// Where it is written down.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// How many calls had a certain answer so far.
    pub fn known_outcomes(&self) -> u64 {
        self.known_outcomes.load(Ordering::Relaxed)
    }

    /// How many tries had none so far.
    pub fn unknown_outcomes(&self) -> u64 {
        self.unknown_outcomes.load(Ordering::Relaxed)
    }

    /// How many calls are on their way now.
    pub fn in_flight(&self) -> u64 {
        self.sent.load(Ordering::Relaxed).saturating_sub(self.known_outcomes() + self.unknown_outcomes())
    }

    /// Keeps so many messages going at a time until `stop`, then brings these to their end.
    ///
    /// # Errors
    ///
    /// When the history cannot be written.
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

    /// Begins so many messages a second, however the system is doing, until `stop`; then brings them to their end.
    ///
    /// # Errors
    ///
    /// When the history cannot be written.
    pub async fn run_at(self: Arc<Self>, per_second: f64, stop: CancellationToken) -> io::Result<()> {
        let mut running = JoinSet::new();
        let mut interval = tokio::time::interval(Duration::from_secs_f64(1.0 / per_second));
        while stop.run_until_cancelled(interval.tick()).await.is_some() {
            let load = Arc::clone(&self);
            running.spawn(async move { load.run_message().await });
        }
        wait_for_all(running).await
    }

    /// The life of one message.
    async fn run_message(&self) -> io::Result<()> {
        let message = self.next_message.fetch_add(1, Ordering::Relaxed);
        let Some(message_ref) = self.create(message).await? else { return Ok(()) };
        if self.workload.is_mixed {
            return self.run_mixed_message(message, &message_ref).await;
        }
        // Each message has two readers at once; every eighth somebody who guesses as well, every eighth somebody who looks it up, now and
        // when all is over, every eighth somebody who burns it.
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

    /// A life of two calls, and of four for every fourth.
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

    /// Reads; once more, because nobody trusts a first time; then says that the text has arrived.
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

    /// Whether there was a text.
    async fn view(&self, message: u64, message_ref: &MessageRef, reader: Option<u64>) -> io::Result<bool> {
        let view_id = reader.map(|reader| self.key(message, reader));
        let request = Request::View { message_ref: message_ref.clone(), view_id };
        let responses = self.retry_until_known(message, Call::View { reader }, request, reader.is_some()).await?;
        Ok(responses.iter().any(|response| matches!(response, Response::Text(_))))
    }

    async fn guess(&self, message: u64, message_ref: &MessageRef) -> io::Result<()> {
        let request = Request::View { message_ref: message_ref.mistyped(), view_id: None };
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

    /// Asks, in so many copies as is the users' habit, each again and again if that is allowed until its answer is certain.
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
        // Every try may take another way in.
        let turn = usize::try_from(self.next_target.fetch_add(1, Ordering::Relaxed)).unwrap_or_default();
        let target = turn.checked_rem(self.targets.len()).and_then(|turn| self.targets.get(turn));
        let target = target.ok_or_else(|| io::Error::other("a load needs a target"))?;
        let call_id = self.history.record_invocation(message, call)?;
        self.sent.fetch_add(1, Ordering::Relaxed);
        let response = target.call(request).await;
        let outcome = self.outcome_of(&response);
        self.history.record_outcome(call_id, outcome)?;
        let count = if outcome == Outcome::Unknown { &self.unknown_outcomes } else { &self.known_outcomes };
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

    /// Tells its number, and cannot be mistaken for another, whole or in part.
    fn text_of(&self, message: u64) -> String {
        let prefix = format!("{} {message} ", self.seed);
        let width = match self.workload.is_mixed {
            // From 16 bytes to 64 KiB, each twice as long as the last.
            true => (16_usize << (message % 13)).saturating_sub(prefix.len()),
            false => self.workload.text_bytes,
        };
        prefix + &".".repeat(width)
    }

    fn key(&self, message: u64, reader: u64) -> Uuid {
        Uuid::from_u64_pair(self.seed, (message << 2) | reader)
    }
}

async fn wait_for_all(mut running: JoinSet<io::Result<()>>) -> io::Result<()> {
    while let Some(ended) = running.join_next().await {
        ended.map_err(io::Error::other)??;
    }
    Ok(())
}
