//! [`Writer`]: makes every change to messages, except for the retirement of a key.
//!
//! The task of the write lane takes all queued work, runs it as one explicit transaction, and returns each result only
//! after COMMIT succeeded. So the work that arrives during a commit shares the next one, without a timer or added
//! latency. A caller that disconnects cannot cancel half a change, and a failed COMMIT is never reported as success.
//!
//! The lane has a thread of its own. Among the tasks of the requests, each statement would wait until all requests that
//! arrived meanwhile were parsed or rejected, so the more requests are rejected, the fewer would be served.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use backon::{BackoffBuilder as _, ExponentialBuilder};
use mayfly_bootstrap::{
    ErrorChain,
    trace::{Span, SpanHandle, within},
};
use tokio::{
    runtime,
    sync::{broadcast, mpsc, oneshot},
};
use tokio_util::sync::CancellationToken;

use super::{
    batch::{self, BatchContext, BatchError, BatchOutcome, Output, Retention, Work},
    capacity::Capacity,
    database::Database,
    db_error::DbErrorKind,
    lane_connection::LaneConnection,
    sqlite_connection::SqliteConnection,
    usage::{self, UsageChanges},
};
use crate::{
    domain::{Clock, MessageId, SharedKeyring, random},
    error::StoreError,
    metrics::{Limit, MessageCounts, StoreMetrics, TransactionResult},
};

/// How much work the lane may queue before it rejects more.
const QUEUE_LENGTH: usize = 1024;
/// The most work in a transaction. SQLite nests a condition for each piece of work, up to 1,000; see `batch/erase.rs`.
const BATCH_LENGTH: usize = 256;
/// The most bytes of contents in a transaction, which needs several times as much memory.
const BATCH_BYTES: usize = 16 << 20;
/// The most bytes of contents that the lane may queue.
const QUEUE_BYTES: usize = 64 << 20;
/// The most work in a transaction while the disk is low. Each transaction is followed by a checkpoint.
const LOW_DISK_BATCH_LENGTH: usize = 16;
/// Above this size, a write-ahead log that cannot be emptied is logged.
const LARGE_WAL_BYTES: u64 = 64 << 20;
/// The delays between attempts of a batch that was rolled back, or whose connection broke before COMMIT: 10, 20, 40 and
/// 80 milliseconds. Jitter keeps lanes that conflicted from doing so again.
const RETRY_BACKOFF: ExponentialBuilder = ExponentialBuilder::new()
    .with_min_delay(Duration::from_millis(10))
    .with_max_delay(Duration::from_millis(80))
    .with_max_times(4)
    .with_jitter();
/// How many ended messages a slow subscriber may lag behind. After that it needs to read their status.
const ENDED_CHANNEL_LENGTH: usize = 1024;
/// How long work may be queued. A caller that waited longer is about to time out, and a view without a `view_id` would
/// then lose its text.
const QUEUE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a batch may take with all attempts. After that the connection is closed and the outcome is unknown.
///
/// SQLite blocks the lane, so its batches are not interrupted. Only a disk that does not respond takes as long.
const BATCH_TIMEOUT: Duration = Duration::from_secs(15);
/// How long a caller waits for its result. After that the outcome is unknown. Less than the timeout of clients (30
/// seconds, see `StoreChannel`).
const RESULT_TIMEOUT: Duration = Duration::from_secs(25);

/// The queue of the write lane. Cheap to clone. The lane ends after the last clone was dropped and its work is done.
#[derive(Clone)]
pub(crate) struct Writer {
    queue: mpsc::Sender<Job>,
    ended: broadcast::Sender<MessageId>,
    lane_ended: CancellationToken,
    health: Arc<WriteHealth>,
    metrics: StoreMetrics,
}

type ResultSender = oneshot::Sender<Result<Output, StoreError>>;

/// What the lane uses.
pub(super) struct WriterContext {
    pub(super) clock: Arc<dyn Clock>,
    pub(super) keyring: SharedKeyring,
    pub(super) retention: Retention,
    pub(super) capacity: Capacity,
    /// The longest text, in bytes.
    pub(super) max_text_bytes: usize,
    pub(super) metrics: StoreMetrics,
}

/// A queued piece of work.
struct Job {
    work: Work,
    result_sender: ResultSender,
    queued_at: Instant,
    /// The span of the request, if it is recorded.
    span: Option<SpanHandle>,
}

impl Writer {
    /// Starts the lane of `database`.
    ///
    /// # Errors
    ///
    /// When the system permits no other thread, or no other file.
    pub(super) fn start(database: &Database, context: WriterContext) -> io::Result<Self> {
        let (ended, _) = broadcast::channel(ENDED_CHANNEL_LENGTH);
        let lane_ended = CancellationToken::new();
        let health = Arc::new(WriteHealth::default());
        let metrics = context.metrics.clone();
        let queue_length = (QUEUE_BYTES / context.max_text_bytes).clamp(BATCH_LENGTH, QUEUE_LENGTH);
        let (sender, queue) = mpsc::channel(queue_length);
        let lane = Lane {
            database: database.clone(),
            connection: LaneConnection::new(database.clone()),
            shard: random_shard(),
            context,
            ended: ended.clone(),
            health: Arc::clone(&health),
            last_warned_wal_bytes: 0,
        };
        // Dropped when the lane ends, even by a panic, so that the store does not continue without the lane.
        let guard = lane_ended.clone().drop_guard();
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        thread::Builder::new().name("write lane".to_owned()).spawn(move || {
            runtime.block_on(lane.run(queue));
            drop(guard);
        })?;
        Ok(Self { queue: sender, ended, lane_ended, health, metrics })
    }

    /// The messages that end from now on, through this writer.
    pub(super) fn ended(&self) -> broadcast::Receiver<MessageId> {
        self.ended.subscribe()
    }

    /// Completes when the lane has ended. Unless it panics, it runs until the last clone of the writer is dropped.
    pub(super) async fn lane_ended(&self) {
        self.lane_ended.cancelled().await;
    }

    /// Returns `true` if the last transaction could not be written, or is longer ago than `idle`.
    pub(super) fn needs_probe(&self, idle: Duration) -> bool {
        self.health.needs_probe(idle)
    }

    /// How much work is queued, and how much the lane may queue.
    pub(super) fn queue(&self) -> (usize, usize) {
        let limit = self.queue.max_capacity();
        (limit.saturating_sub(self.queue.capacity()), limit)
    }

    /// Does `work` in a transaction with other work. Completes when the result is durable.
    ///
    /// Dropping the future cancels work that has not begun. Work that has begun is finished.
    ///
    /// # Errors
    ///
    /// [`StoreError::Overloaded`] when the queue is full; [`StoreError::Unavailable`] when the database cannot do it,
    /// with an unknown outcome if the connection broke during COMMIT; and the errors of the work itself.
    pub(super) async fn perform(&self, work: Work) -> Result<Output, StoreError> {
        self.reserve()?.perform(work).await
    }

    /// Reserves a slot in the queue.
    ///
    /// # Errors
    ///
    /// [`StoreError::Overloaded`] when the queue is full.
    pub(super) fn reserve(&self) -> Result<QueueSlot<'_>, StoreError> {
        self.queue.try_reserve().map(QueueSlot).map_err(|error| match error {
            mpsc::error::TrySendError::Full(()) => {
                self.metrics.refusals.inc(Limit::WriteQueue);
                StoreError::Overloaded
            }
            mpsc::error::TrySendError::Closed(()) => lane_ended_error(),
        })
    }
}

/// A slot in the queue. Work with a slot is not rejected.
pub(crate) struct QueueSlot<'writer>(mpsc::Permit<'writer, Job>);

impl QueueSlot<'_> {
    /// See [`Writer::perform`].
    pub(crate) async fn perform(self, work: Work) -> Result<Output, StoreError> {
        let (result_sender, result) = oneshot::channel();
        self.0.send(Job { work, result_sender, queued_at: Instant::now(), span: SpanHandle::current() });
        match tokio::time::timeout(RESULT_TIMEOUT, result).await {
            Ok(result) => result.unwrap_or_else(|_| Err(lane_ended_error())),
            Err(_) => {
                tracing::error!("the write lane did not respond in time; the outcome is unknown");
                Err(StoreError::Unavailable)
            }
        }
    }
}

fn lane_ended_error() -> StoreError {
    tracing::error!("the write lane has ended");
    StoreError::Internal
}

/// When the last transaction ended, and whether the database could be written.
#[derive(Default)]
struct WriteHealth(Mutex<Option<(Instant, bool)>>);

impl WriteHealth {
    fn record(&self, is_writable: bool) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), is_writable));
    }

    fn needs_probe(&self, idle: Duration) -> bool {
        let last = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        last.is_none_or(|(time, is_writable)| !is_writable || time.elapsed() > idle)
    }
}

/// A random shard, which spreads the writers of all stores over the rows of the usage.
fn random_shard() -> i32 {
    // Without randomness all writers share a row, and wait for each other.
    random::<1>().map_or(0, |bytes| bytes.iter().map(|byte| i32::from(*byte)).sum::<i32>() % usage::SHARDS)
}

struct Lane {
    database: Database,
    connection: LaneConnection,
    shard: i32,
    context: WriterContext,
    ended: broadcast::Sender<MessageId>,
    health: Arc<WriteHealth>,
    /// The size of the write-ahead log when it was last logged.
    last_warned_wal_bytes: u64,
}

impl Lane {
    async fn run(mut self, mut queue: mpsc::Receiver<Job>) {
        let mut jobs = Vec::with_capacity(BATCH_LENGTH);
        while self.receive(&mut queue, &mut jobs).await {
            // A caller that disconnected before its work began loses nothing.
            jobs.retain(|job| !job.result_sender.is_closed());
            for late in jobs.extract_if(.., |job| job.queued_at.elapsed() > QUEUE_TIMEOUT) {
                self.context.metrics.refusals.inc(Limit::QueueTime);
                send_result(late.result_sender, Err(StoreError::Unavailable));
            }
            if jobs.is_empty() {
                continue;
            }
            let span = Span::batch("write batch", jobs.iter().filter_map(|job| job.span.as_ref()));
            let (work, senders): (Vec<_>, Vec<_>) = jobs.drain(..).map(|job| (job.work, job.result_sender)).unzip();
            let results = within(span.as_ref(), self.run_batch(&work)).await;
            end_span(span, &results);
            let finished = work.into_iter().zip(senders.into_iter().zip(results));
            // A sweep is complete only after the checkpoint, which removes the data from the disk. Other work does not
            // wait.
            let (sweeps, others): (Vec<_>, Vec<_>) = finished.partition(|(work, _)| matches!(work, Work::Sweep));
            others.into_iter().for_each(|(_, (sender, result))| send_result(sender, result));
            let must_vacuum = if sweeps.is_empty() {
                if self.context.capacity.is_disk_low() {
                    self.checkpoint();
                }
                false
            } else {
                self.reclaim_space()
            };
            for (_, (sender, mut result)) in sweeps {
                if let Ok(Output::Swept(swept)) = &mut result {
                    swept.has_more |= must_vacuum;
                }
                send_result(sender, result);
            }
        }
    }

    /// Waits for work, and receives what is queued. Returns `false` when no more work can come.
    async fn receive(&self, queue: &mut mpsc::Receiver<Job>, jobs: &mut Vec<Job>) -> bool {
        let length = self.batch_length();
        if queue.recv_many(jobs, length).await == 0 {
            return false;
        }
        // Lets the threads that can run now queue their work first. A single caller waits for no other one, and on a
        // busy machine more callers share a transaction.
        thread::yield_now();
        while jobs.len() < length
            && let Ok(job) = queue.try_recv()
        {
            jobs.push(job);
        }
        true
    }

    /// The most work of the next transaction.
    fn batch_length(&self) -> usize {
        let length = (BATCH_BYTES / self.context.max_text_bytes).clamp(LOW_DISK_BATCH_LENGTH, BATCH_LENGTH);
        if self.context.capacity.is_disk_low() { LOW_DISK_BATCH_LENGTH } else { length }
    }

    /// Runs `work` in one transaction, with retries. Returns a result for each piece of work, in order.
    async fn run_batch(&mut self, work: &[Work]) -> Vec<Result<Output, StoreError>> {
        let began = Instant::now();
        let timed = tokio::time::timeout(BATCH_TIMEOUT, self.run_with_retries(work)).await;
        let metrics = &self.context.metrics;
        metrics.batch_size.observe(work.len() as f64);
        metrics.batch_seconds.observe(began.elapsed().as_secs_f64());
        let results = timed.unwrap_or_else(|_| {
            metrics.transactions.inc(TransactionResult::TimedOut);
            tracing::error!(work = work.len(), "a transaction timed out; its outcome is unknown");
            self.connection.discard();
            vec![Err(StoreError::Unavailable); work.len()]
        });
        if results.iter().any(|result| matches!(result, Err(StoreError::Unavailable))) {
            self.health.record(false);
        } else if results.iter().any(Result::is_ok) {
            // A transaction in which all work failed wrote nothing.
            self.health.record(true);
        }
        let rejected = results.iter().filter(|result| matches!(result, Err(StoreError::StorageFull))).count();
        if rejected > 0 {
            metrics.refusals.inc_by(Limit::Storage, rejected as u64);
            self.context.capacity.record_full(true);
        } else if results.iter().any(|result| matches!(result, Ok(Output::Stored { .. }))) {
            self.context.capacity.record_full(false);
        }
        tracing::trace!(work = work.len(), duration_us = began.elapsed().as_micros(), "transaction");
        results
    }

    async fn run_with_retries(&mut self, work: &[Work]) -> Vec<Result<Output, StoreError>> {
        let mut excluded = Vec::new();
        let mut delays = RETRY_BACKOFF.build();
        loop {
            match self.attempt(work, &excluded).await {
                Ok(outcome) => {
                    self.context.capacity.add_usage(outcome.change);
                    self.context.metrics.record_messages(&outcome.counts);
                    for id in outcome.ended {
                        // There may be no subscriber.
                        drop(self.ended.send(id));
                    }
                    return outcome.results;
                }
                // Nothing was consumed. Retry the batch without this work.
                Err(BatchError::HandOver { index, error }) => excluded.push((index, error)),
                Err(BatchError::Database { error, during_commit }) => {
                    let kind = DbErrorKind::of(&error);
                    let is_retryable = match kind {
                        DbErrorKind::Conflict => true,
                        // A connection that breaks before COMMIT rolls back the transaction.
                        DbErrorKind::Disconnected => !during_commit,
                        DbErrorKind::Unavailable | DbErrorKind::Unexpected => false,
                    };
                    if is_retryable && let Some(delay) = delays.next() {
                        tracing::warn!(?delay, error = %ErrorChain(&error), "a transaction is retried");
                        tokio::time::sleep(delay).await;
                        continue;
                    }
                    let error = ErrorChain(&error);
                    tracing::error!(work = work.len(), during_commit, ?kind, %error, "a transaction failed");
                    return vec![Err(kind.to_store_error()); work.len()];
                }
            }
        }
    }

    async fn attempt(&mut self, work: &[Work], excluded: &[(usize, StoreError)]) -> Result<BatchOutcome, BatchError> {
        let attempt = async {
            let transaction = self.connection.begin().await?;
            let keyring = self.context.keyring.load();
            let context = BatchContext {
                transaction: &transaction,
                keyring: &keyring,
                clock: &*self.context.clock,
                retention: self.context.retention,
                budget: self.context.capacity.budget(),
                shard: self.shard,
                usage: UsageChanges::default(),
                ended: Vec::new(),
                counts: MessageCounts::default(),
            };
            let outcome = batch::run(context, work, excluded).await?;
            let began = Instant::now();
            let committed = transaction.commit().await;
            self.context.metrics.commit_seconds.observe(began.elapsed().as_secs_f64());
            committed.map_err(|error| BatchError::Database { error, during_commit: true })?;
            Ok(outcome)
        };
        let attempted = attempt.await;
        self.context.metrics.transactions.inc(transaction_result(&attempted));
        if attempted.is_err() {
            self.connection.discard();
        }
        attempted
    }

    /// Empties the write-ahead log of SQLite, which still contains deleted rows.
    fn checkpoint(&mut self) {
        match self.connection.sqlite().map(SqliteConnection::checkpoint) {
            None => {}
            Some(Ok(true)) => self.last_warned_wal_bytes = 0,
            Some(Ok(false)) => self.warn_of_large_wal(),
            Some(Err(error)) => {
                tracing::warn!(error = %ErrorChain(&error), "the write-ahead log was not emptied");
                self.connection.discard();
            }
        }
    }

    /// Logs the size of a write-ahead log that is in use, when it becomes large and each time it doubles.
    fn warn_of_large_wal(&mut self) {
        let bytes = self.database.wal_bytes();
        if bytes < LARGE_WAL_BYTES.max(self.last_warned_wal_bytes.saturating_mul(2)) {
            tracing::debug!(bytes, "the write-ahead log is in use; the next sweep tries to empty it");
            return;
        }
        self.last_warned_wal_bytes = bytes;
        tracing::warn!(
            bytes,
            "the write-ahead log grows, because another program keeps reading the database file: end that program"
        );
    }

    /// Empties the write-ahead log and returns free pages to the file system. Returns `true` if there are more free
    /// pages.
    fn reclaim_space(&mut self) -> bool {
        self.checkpoint();
        match self.connection.sqlite().map(SqliteConnection::vacuum) {
            None => false,
            Some(Ok(has_more)) => has_more,
            Some(Err(error)) => {
                tracing::warn!(error = %ErrorChain(&error), "free pages were not returned to the file system");
                self.connection.discard();
                false
            }
        }
    }
}

fn transaction_result(attempted: &Result<BatchOutcome, BatchError>) -> TransactionResult {
    match attempted {
        Ok(_) => TransactionResult::Committed,
        Err(BatchError::HandOver { .. }) => TransactionResult::Unreadable,
        Err(BatchError::Database { error, .. }) => match DbErrorKind::of(error) {
            DbErrorKind::Conflict => TransactionResult::Conflict,
            DbErrorKind::Disconnected => TransactionResult::Disconnected,
            DbErrorKind::Unavailable => TransactionResult::Unavailable,
            DbErrorKind::Unexpected => TransactionResult::Unexpected,
        },
    }
}

/// Ends the span of a batch.
fn end_span(span: Option<Span>, results: &[Result<Output, StoreError>]) {
    let Some(span) = span else { return };
    span.set("mayfly.batch.size", i64::try_from(results.len()).unwrap_or(i64::MAX));
    if results.iter().any(|result| matches!(result, Err(StoreError::Unavailable | StoreError::Internal))) {
        span.fail("database");
    }
}

/// Sends a result. The caller may have disconnected.
fn send_result(sender: ResultSender, result: Result<Output, StoreError>) {
    drop(sender.send(result));
}

#[cfg(test)]
mod tests {
    use super::{super::capacity::StorageLimits, *};
    use crate::domain::{Keyring, SystemClock};

    #[test]
    fn a_batch_is_retried_four_times_with_growing_delays() {
        let delays: Vec<_> = RETRY_BACKOFF.build().collect();
        assert_eq!(delays.len(), 4);
        for (delay, min_ms) in delays.iter().zip([10, 20, 40, 80]) {
            assert!((min_ms..=2 * min_ms).contains(&delay.as_millis()), "{delays:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_caller_does_not_wait_forever_for_a_lane_that_does_not_respond() {
        let (queue, _never_received) = mpsc::channel(1);
        let slot = QueueSlot(queue.try_reserve().unwrap());
        assert!(matches!(slot.perform(Work::Sweep).await, Err(StoreError::Unavailable)));
    }

    #[tokio::test]
    async fn work_that_was_queued_too_long_is_not_done() {
        let dir = tempfile::tempdir().unwrap();
        let database = Database::sqlite_file(&dir.path().join("mayfly.db"));
        database.migrate().await.unwrap();
        let (ended, _) = broadcast::channel(1);
        let limits = StorageLimits { max_messages: 1, max_bytes: 1, min_free_bytes: 0 };
        let context = WriterContext {
            clock: Arc::new(SystemClock),
            keyring: SharedKeyring::new(Keyring::generate().unwrap()),
            retention: Retention { view_grace: Duration::ZERO, receipts: Duration::ZERO },
            capacity: Capacity::new(limits, None),
            max_text_bytes: 1,
            metrics: StoreMetrics::default(),
        };
        let lane = Lane {
            connection: LaneConnection::new(database.clone()),
            database,
            shard: 0,
            context,
            ended,
            health: Arc::default(),
            last_warned_wal_bytes: 0,
        };
        let (sender, queue) = mpsc::channel(2);
        let job = |queued_at| {
            let (result_sender, result) = oneshot::channel();
            assert!(sender.try_send(Job { work: Work::Sweep, result_sender, queued_at, span: None }).is_ok());
            result
        };
        let late = job(Instant::now() - QUEUE_TIMEOUT - Duration::from_secs(1));
        let in_time = job(Instant::now());
        drop(sender);
        lane.run(queue).await;
        assert!(matches!(late.await.unwrap(), Err(StoreError::Unavailable)));
        assert!(matches!(in_time.await.unwrap(), Ok(Output::Swept(_))));
    }
}
