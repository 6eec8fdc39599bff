//! The writer: owns every change to messages, but for the retirement of a key.
//!
//! One task per write lane takes all the work that waits, runs it as one explicit transaction, and answers each caller only
//! after COMMIT succeeded. So a commit is shared by whoever came while the last one was under way, with no timer and no
//! added latency; a caller that goes away cannot cancel half a change; and a failed COMMIT is never reported as success.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use mayfly_bootstrap::ErrorChain;
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::{
    batch::{Batch, BatchError, Done, Output, Work},
    capacity::Capacity,
    database::{Database, WriteConnection},
    failure::Failure,
    messages::Retention,
    usage::{self, UsageChanges},
};
use crate::{
    StoreError,
    domain::{Clock, MessageId, random},
    keys::SharedKeyring,
};

/// Work that may wait for one lane before callers are turned away.
const QUEUE_LENGTH: usize = 1024;
/// Work in one transaction. SQLite nests one condition per piece of work and takes 1,000; see `batch/erase.rs`.
const BATCH_LENGTH: usize = 256;
/// Contents of the longest kind that one transaction may hold. It keeps them in memory a few times over.
const BATCH_BYTES: usize = 16 << 20;
/// Contents of the longest kind that may wait for one lane.
const QUEUE_BYTES: usize = 64 << 20;
/// Work in one transaction while the disk is low: its write-ahead log is emptied after each.
const LOW_DISK_BATCH_LENGTH: usize = 16;
/// Above this size it is said that the write-ahead log does not get empty.
const LARGE_LOG: u64 = 64 << 20;
/// How often a batch is tried that the database undid, or whose connection was gone before COMMIT.
const TRIES: u32 = 5;
/// News of ended messages that a slow listener may be behind before it has to look for itself.
const NEWS_LENGTH: usize = 1024;
/// How long work may wait for its turn. Whoever waited longer is about to give up, and a view without a `view_id` would be lost on it.
const QUEUE_LIMIT: Duration = Duration::from_secs(10);
/// How long a batch may take, all tries together. Past it the connection is dropped and its outcome unknown. Together with
/// [`QUEUE_LIMIT`] less than clients wait for an answer (30 seconds, see `StoreChannel`).
const BATCH_LIMIT: Duration = Duration::from_secs(15);
/// How long emptying the write-ahead log may keep a lane from its work.
const CHECKPOINT_LIMIT: Duration = Duration::from_secs(5);

/// The way to the lanes. Cheap to clone; the lanes end when the last clone is gone and their work is done.
#[derive(Clone)]
pub(super) struct Writer {
    lanes: Arc<[mpsc::Sender<Job>]>,
    ended: broadcast::Sender<MessageId>,
    lane_ended: CancellationToken,
    health: Arc<WriteHealth>,
}

type Caller = oneshot::Sender<Result<Output, StoreError>>;

/// What a writer works with.
pub(super) struct WriterParts {
    pub(super) clock: Arc<dyn Clock>,
    pub(super) keyring: SharedKeyring,
    pub(super) retention: Retention,
    pub(super) capacity: Capacity,
    /// The longest text, in bytes.
    pub(super) max_text_bytes: usize,
}

/// One piece of work and whoever waits for it.
struct Job {
    work: Work,
    caller: Caller,
    since: Instant,
}

impl Writer {
    /// Starts the lanes of `database`.
    pub(super) fn start(database: &Database, parts: WriterParts) -> Self {
        let (ended, _) = broadcast::channel(NEWS_LENGTH);
        let lane_ended = CancellationToken::new();
        let health = Arc::new(WriteHealth::default());
        let parts = Arc::new(parts);
        let queue_length = (QUEUE_BYTES / parts.max_text_bytes).clamp(BATCH_LENGTH, QUEUE_LENGTH);
        let lanes = (0..database.lanes()).map(|_| {
            let (sender, queue) = mpsc::channel(queue_length);
            let lane = Lane {
                database: database.clone(),
                connection: WriteConnection::new(database.clone()),
                shard: random_shard(),
                parts: Arc::clone(&parts),
                ended: ended.clone(),
                health: Arc::clone(&health),
                last_log_warning: 0,
            };
            // Dropped with the lane, however it ends: a panic must not leave a store behind that looks alive.
            let guard = lane_ended.clone().drop_guard();
            tokio::spawn(async move {
                lane.run(queue).await;
                drop(guard);
            });
            sender
        });
        Self { lanes: lanes.collect(), ended, lane_ended, health }
    }

    /// The messages that end from now on, through this writer.
    pub(super) fn ended(&self) -> broadcast::Receiver<MessageId> {
        self.ended.subscribe()
    }

    /// Comes back when a lane has ended, which none does before the last clone of this is gone.
    pub(super) async fn lane_ended(&self) {
        self.lane_ended.cancelled().await;
    }

    /// Whether the last transaction failed because the database could not write, or none was made for so long.
    pub(super) fn needs_probe(&self, idle: Duration) -> bool {
        self.health.needs_probe(idle)
    }

    /// Has `work` done, together with other work, and answers when it is durable.
    ///
    /// Dropping the future before the work began leaves it undone; once begun it is finished.
    ///
    /// # Errors
    ///
    /// [`StoreError::Overloaded`] when too much is waiting; [`StoreError::Unavailable`] when the database cannot do it,
    /// where the outcome is unknown if the connection broke during COMMIT; and what the work itself comes to.
    pub(super) async fn perform(&self, work: Work) -> Result<Output, StoreError> {
        self.reserve(work.affinity())?.perform(work).await
    }

    /// A turn for work with this affinity, to be taken later; until then it fills a place in the queue.
    ///
    /// # Errors
    ///
    /// [`StoreError::Overloaded`] when too much is waiting.
    pub(super) fn reserve(&self, affinity: u64) -> Result<Turn<'_>, StoreError> {
        // The same message always goes to the same lane, so its work does not wait on row locks of other lanes.
        let lane = usize::try_from(affinity).unwrap_or_default().checked_rem(self.lanes.len());
        let lane = lane.and_then(|lane| self.lanes.get(lane)).ok_or(StoreError::Internal)?;
        lane.try_reserve().map(Turn).map_err(|refused| match refused {
            mpsc::error::TrySendError::Full(()) => StoreError::Overloaded,
            mpsc::error::TrySendError::Closed(()) => lane_is_gone(),
        })
    }
}

/// A place in the queue of a lane: work that has one is not turned away.
pub(super) struct Turn<'writer>(mpsc::Permit<'writer, Job>);

impl Turn<'_> {
    /// As [`Writer::perform`].
    pub(super) async fn perform(self, work: Work) -> Result<Output, StoreError> {
        let (caller, answer) = oneshot::channel();
        self.0.send(Job { work, caller, since: Instant::now() });
        answer.await.unwrap_or_else(|_| Err(lane_is_gone()))
    }
}

fn lane_is_gone() -> StoreError {
    tracing::error!("a write lane has ended");
    StoreError::Internal
}

/// How the last transaction of all lanes ended.
#[derive(Default)]
struct WriteHealth(Mutex<Option<(Instant, bool)>>);

impl WriteHealth {
    fn note(&self, is_writable: bool) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), is_writable));
    }

    fn needs_probe(&self, idle: Duration) -> bool {
        let last = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        last.is_none_or(|(time, is_writable)| !is_writable || time.elapsed() > idle)
    }
}

/// Spreads the writers of all stores over the rows of the usage.
fn random_shard() -> i32 {
    // Without randomness all writers share one row, and wait for each other.
    random::<1>().map_or(0, |bytes| bytes.iter().map(|byte| i32::from(*byte)).sum::<i32>() % usage::SHARDS)
}

struct Lane {
    database: Database,
    connection: WriteConnection,
    shard: i32,
    parts: Arc<WriterParts>,
    ended: broadcast::Sender<MessageId>,
    health: Arc<WriteHealth>,
    /// How large the write-ahead log was when its size was last logged.
    last_log_warning: u64,
}

impl Lane {
    async fn run(mut self, mut queue: mpsc::Receiver<Job>) {
        let mut jobs = Vec::with_capacity(BATCH_LENGTH);
        while queue.recv_many(&mut jobs, self.batch_length()).await > 0 {
            // A caller that went away while its work waited gets nothing, and so loses nothing.
            jobs.retain(|job| !job.caller.is_closed());
            for late in jobs.extract_if(.., |job| job.since.elapsed() > QUEUE_LIMIT) {
                tell(late.caller, Err(StoreError::Unavailable));
            }
            if jobs.is_empty() {
                continue;
            }
            let (work, callers): (Vec<_>, Vec<_>) = jobs.drain(..).map(|job| (job.work, job.caller)).unzip();
            let results = self.perform_all(&work).await;
            let finished = work.into_iter().zip(callers.into_iter().zip(results));
            // What was swept is swept when it is gone from the disk as well; nobody else waits for that.
            let (sweeps, others): (Vec<_>, Vec<_>) = finished.partition(|(work, _)| matches!(work, Work::Sweep));
            others.into_iter().for_each(|(_, (caller, result))| tell(caller, result));
            let must_vacuum = if sweeps.is_empty() {
                if self.parts.capacity.is_disk_low() {
                    self.checkpoint().await;
                }
                false
            } else {
                self.give_space_back().await
            };
            for (_, (caller, mut result)) in sweeps {
                if let Ok(Output::Swept(swept)) = &mut result {
                    swept.has_more |= must_vacuum;
                }
                tell(caller, result);
            }
        }
    }

    /// How much work the next transaction takes.
    fn batch_length(&self) -> usize {
        let length = (BATCH_BYTES / self.parts.max_text_bytes).clamp(LOW_DISK_BATCH_LENGTH, BATCH_LENGTH);
        if self.parts.capacity.is_disk_low() { LOW_DISK_BATCH_LENGTH } else { length }
    }

    /// Does all of `work` in one transaction, as often as it takes; a result for each, in order.
    async fn perform_all(&mut self, work: &[Work]) -> Vec<Result<Output, StoreError>> {
        let began = Instant::now();
        let limited = tokio::time::timeout(BATCH_LIMIT, self.try_repeatedly(work)).await;
        let results = limited.unwrap_or_else(|_| {
            tracing::error!(work = work.len(), "a transaction took too long and was given up; its outcome is unknown");
            self.connection.discard();
            vec![Err(StoreError::Unavailable); work.len()]
        });
        if results.iter().any(|result| matches!(result, Err(StoreError::Unavailable))) {
            self.health.note(false);
        } else if results.iter().any(Result::is_ok) {
            // A transaction that refused everything wrote nothing.
            self.health.note(true);
        }
        if results.iter().any(|result| matches!(result, Err(StoreError::StorageFull))) {
            self.parts.capacity.note_full(true);
        } else if results.iter().any(|result| matches!(result, Ok(Output::Stored { .. }))) {
            self.parts.capacity.note_full(false);
        }
        tracing::trace!(work = work.len(), duration_us = began.elapsed().as_micros(), "transaction");
        results
    }

    async fn try_repeatedly(&mut self, work: &[Work]) -> Vec<Result<Output, StoreError>> {
        let mut refused = Vec::new();
        let mut tries = 0;
        loop {
            match self.try_once(work, &refused).await {
                Ok(done) => {
                    self.parts.capacity.changed(done.change);
                    for id in done.ended {
                        // There may be no listener.
                        drop(self.ended.send(id));
                    }
                    return done.results;
                }
                // Nothing was consumed: the rest of the batch is done again without it.
                Err(BatchError::CannotHandOver { index, error }) => refused.push((index, error)),
                Err(BatchError::Database { error, during_commit }) => {
                    tries += 1;
                    let failure = Failure::of(&error);
                    let harmless = match failure {
                        Failure::Conflict => true,
                        // Before COMMIT a lost connection is a transaction undone.
                        Failure::Disconnected => !during_commit,
                        Failure::Unavailable | Failure::Fault => false,
                    };
                    if harmless && tries < TRIES {
                        tracing::warn!(tries, error = %ErrorChain(&error), "a transaction is tried again");
                        tokio::time::sleep(pause_before(tries)).await;
                        continue;
                    }
                    let error = ErrorChain(&error);
                    tracing::error!(work = work.len(), during_commit, ?failure, %error, "a transaction failed");
                    return vec![Err(failure.situation()); work.len()];
                }
            }
        }
    }

    async fn try_once(&mut self, work: &[Work], refused: &[(usize, StoreError)]) -> Result<Done, BatchError> {
        let attempt = async {
            let transaction = self.connection.begin().await?;
            let keyring = self.parts.keyring.load();
            let batch = Batch {
                transaction: &transaction,
                keyring: &keyring,
                clock: &*self.parts.clock,
                retention: self.parts.retention,
                room: self.parts.capacity.room(),
                shard: self.shard,
                usage: UsageChanges::default(),
                ended: Vec::new(),
            };
            let done = batch.perform(work, refused).await?;
            transaction.commit().await.map_err(|error| BatchError::Database { error, during_commit: true })?;
            Ok(done)
        };
        let attempted = attempt.await;
        if attempted.is_err() {
            self.connection.discard();
        }
        attempted
    }

    /// Empties the write-ahead log of SQLite, so that what was deleted is gone from the disk as well.
    async fn checkpoint(&mut self) {
        let emptied = tokio::time::timeout(CHECKPOINT_LIMIT, self.connection.checkpoint()).await;
        match emptied {
            Ok(Ok(true)) => self.last_log_warning = 0,
            Ok(Ok(false)) => self.warn_of_large_log(),
            Ok(Err(error)) => {
                tracing::warn!(error = %ErrorChain(&error), "the write-ahead log was not emptied");
                self.connection.discard();
            }
            Err(_) => {
                tracing::warn!("the write-ahead log was not emptied in time");
                self.connection.discard();
            }
        }
    }

    /// Logs the size of a write-ahead log that is in use, when it is large and each time it has doubled.
    fn warn_of_large_log(&mut self) {
        let bytes = self.database.write_ahead_log_bytes();
        if bytes < LARGE_LOG.max(self.last_log_warning.saturating_mul(2)) {
            tracing::debug!(bytes, "the write-ahead log is in use and waits for the next sweep to be emptied");
            return;
        }
        self.last_log_warning = bytes;
        tracing::warn!(
            bytes,
            "the write-ahead log grows, because another program has been reading the database file for long: end that program"
        );
    }

    /// Empties the write-ahead log, and gives free pages back to the file system. Returns whether there are more of them.
    async fn give_space_back(&mut self) -> bool {
        self.checkpoint().await;
        match self.connection.vacuum().await {
            Ok(has_more) => has_more,
            Err(error) => {
                tracing::warn!(error = %ErrorChain(&error), "free pages were not given back to the file system");
                self.connection.discard();
                false
            }
        }
    }
}

/// A caller that left meanwhile is not there to be told; its work is done all the same.
fn tell(caller: Caller, answer: Result<Output, StoreError>) {
    drop(caller.send(answer));
}

/// 10, 20, 40, 80 milliseconds.
fn pause_before(tries: u32) -> Duration {
    Duration::from_millis(5) * 2_u32.saturating_pow(tries)
}

#[cfg(test)]
mod tests {
    use super::{super::capacity::StorageLimits, *};
    use crate::domain::{Keyring, SystemClock};

    #[tokio::test]
    async fn work_that_waited_too_long_is_not_done() {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::sqlite_file(&folder.path().join("mayfly.db"));
        database.migrate().await.unwrap();
        let (ended, _) = broadcast::channel(1);
        let limits = StorageLimits { max_messages: 1, max_bytes: 1, min_free_bytes: 0 };
        let parts = WriterParts {
            clock: Arc::new(SystemClock),
            keyring: SharedKeyring::new(Keyring::generate().unwrap()),
            retention: Retention { view_grace: Duration::ZERO, receipts: Duration::ZERO },
            capacity: Capacity::new(limits, None),
            max_text_bytes: 1,
        };
        let lane = Lane {
            connection: WriteConnection::new(database.clone()),
            database,
            shard: 0,
            parts: Arc::new(parts),
            ended,
            health: Arc::default(),
            last_log_warning: 0,
        };
        let (sender, queue) = mpsc::channel(2);
        let job = |since| {
            let (caller, result) = oneshot::channel();
            assert!(sender.try_send(Job { work: Work::Sweep, caller, since }).is_ok());
            result
        };
        let late = job(Instant::now() - QUEUE_LIMIT - Duration::from_secs(1));
        let in_time = job(Instant::now());
        drop(sender);
        lane.run(queue).await;
        assert!(matches!(late.await.unwrap(), Err(StoreError::Unavailable)));
        assert!(matches!(in_time.await.unwrap(), Ok(Output::Swept(_))));
    }
}
