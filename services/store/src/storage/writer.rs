//! The writer: owns every change to messages, but for the retirement of a key.
//!
//! One task per write lane takes all the work that waits, runs it as one explicit transaction, and answers each caller only
//! after COMMIT succeeded. So a commit is shared by whoever came while the last one was under way, with no timer and no
//! added latency; a caller that goes away cannot cancel half a change; and a failed COMMIT is never reported as success.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use mayfly_bootstrap::ErrorChain;
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::{
    batch::{self, Answer, BatchError, Done, Work},
    database::{Database, WriteConnection},
    failure::Failure,
};
use crate::{
    StoreError,
    domain::{Clock, MessageId},
};

/// Work that may wait for one lane before callers are turned away.
const QUEUE_LENGTH: usize = 1024;
/// Work in one transaction. SQLite nests one condition per piece of work and takes 1,000; see `batch/erase.rs`.
const BATCH_LENGTH: usize = 256;
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
}

type Caller = oneshot::Sender<Result<Answer, StoreError>>;

/// One piece of work and whoever waits for it.
struct Job {
    work: Work,
    caller: Caller,
    since: Instant,
}

impl Writer {
    /// Starts the lanes of `database`.
    pub(super) fn start(database: &Database, clock: &Arc<dyn Clock>) -> Self {
        let (ended, _) = broadcast::channel(NEWS_LENGTH);
        let lane_ended = CancellationToken::new();
        let lanes = (0..database.lanes()).map(|_| {
            let (sender, queue) = mpsc::channel(QUEUE_LENGTH);
            let connection = WriteConnection::new(database.clone());
            let lane = Lane { connection, clock: Arc::clone(clock), ended: ended.clone() };
            // Dropped with the lane, however it ends: a panic must not leave a store behind that looks alive.
            let guard = lane_ended.clone().drop_guard();
            tokio::spawn(async move {
                lane.run(queue).await;
                drop(guard);
            });
            sender
        });
        Self { lanes: lanes.collect(), ended, lane_ended }
    }

    /// The messages that end from now on, through this writer.
    pub(super) fn ended(&self) -> broadcast::Receiver<MessageId> {
        self.ended.subscribe()
    }

    /// Comes back when a lane has ended, which none does before the last clone of this is gone.
    pub(super) async fn lane_ended(&self) {
        self.lane_ended.cancelled().await;
    }

    /// Has `work` done, together with other work, and answers when it is durable.
    ///
    /// Dropping the future before the work began leaves it undone; once begun it is finished.
    ///
    /// # Errors
    ///
    /// [`StoreError::Overloaded`] when too much is waiting; [`StoreError::Unavailable`] when the database cannot do it,
    /// where the outcome is unknown if the connection broke during COMMIT; and what the work itself comes to.
    pub(super) async fn perform(&self, work: Work) -> Result<Answer, StoreError> {
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
    pub(super) async fn perform(self, work: Work) -> Result<Answer, StoreError> {
        let (caller, answer) = oneshot::channel();
        self.0.send(Job { work, caller, since: Instant::now() });
        answer.await.unwrap_or_else(|_| Err(lane_is_gone()))
    }
}

fn lane_is_gone() -> StoreError {
    tracing::error!("a write lane has ended");
    StoreError::Internal
}

struct Lane {
    connection: WriteConnection,
    clock: Arc<dyn Clock>,
    ended: broadcast::Sender<MessageId>,
}

impl Lane {
    async fn run(mut self, mut queue: mpsc::Receiver<Job>) {
        let mut jobs = Vec::with_capacity(BATCH_LENGTH);
        while queue.recv_many(&mut jobs, BATCH_LENGTH).await > 0 {
            // Whoever went away while waiting gets nothing, and so loses nothing.
            jobs.retain(|job| !job.caller.is_closed());
            for late in jobs.extract_if(.., |job| job.since.elapsed() > QUEUE_LIMIT) {
                tell(late.caller, Err(StoreError::Unavailable));
            }
            if jobs.is_empty() {
                continue;
            }
            let (work, callers): (Vec<_>, Vec<_>) = jobs.drain(..).map(|job| (job.work, job.caller)).unzip();
            let answers = self.perform_all(&work).await;
            let answered = work.iter().zip(callers.into_iter().zip(answers));
            // What was swept is swept when it is gone from the disk as well; nobody else waits for that.
            let (sweeps, others): (Vec<_>, Vec<_>) = answered.partition(|(work, _)| matches!(work, Work::Sweep { .. }));
            others.into_iter().for_each(|(_, (caller, answer))| tell(caller, answer));
            if !sweeps.is_empty() {
                self.checkpoint().await;
            }
            sweeps.into_iter().for_each(|(_, (caller, answer))| tell(caller, answer));
        }
    }

    /// Does all of `work` in one transaction, as often as it takes; an answer for each, in order.
    async fn perform_all(&mut self, work: &[Work]) -> Vec<Result<Answer, StoreError>> {
        let began = Instant::now();
        let limited = tokio::time::timeout(BATCH_LIMIT, self.try_repeatedly(work)).await;
        let answers = limited.unwrap_or_else(|_| {
            tracing::error!(work = work.len(), "a transaction took too long and was given up; its outcome is unknown");
            self.connection.discard();
            vec![Err(StoreError::Unavailable); work.len()]
        });
        tracing::trace!(work = work.len(), duration_us = began.elapsed().as_micros(), "transaction");
        answers
    }

    async fn try_repeatedly(&mut self, work: &[Work]) -> Vec<Result<Answer, StoreError>> {
        let mut unreadable = Vec::new();
        let mut tries = 0;
        loop {
            match self.try_once(work, &unreadable).await {
                Ok(done) => {
                    for id in done.ended {
                        // Nobody may be listening.
                        drop(self.ended.send(id));
                    }
                    return done.answers;
                }
                Err(BatchError::Unreadable(index)) => {
                    // Nothing was consumed: the rest of the batch is done again without it.
                    tracing::error!("a stored text does not open and was left where it is");
                    unreadable.push(index);
                }
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

    async fn try_once(&mut self, work: &[Work], unreadable: &[usize]) -> Result<Done, BatchError> {
        let attempt = async {
            let transaction = self.connection.begin().await?;
            let done = batch::perform(&transaction, work, unreadable, self.clock.now()).await?;
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
        match tokio::time::timeout(CHECKPOINT_LIMIT, self.connection.checkpoint()).await {
            Ok(Ok(true)) => {}
            Ok(Ok(false)) => {
                tracing::debug!("the write-ahead log was in use and waits for the next sweep to be emptied")
            }
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
}

/// A caller that left meanwhile is not there to be told; its work is done all the same.
fn tell(caller: Caller, answer: Result<Answer, StoreError>) {
    drop(caller.send(answer));
}

/// 10, 20, 40, 80 milliseconds.
fn pause_before(tries: u32) -> Duration {
    Duration::from_millis(5) * 2_u32.saturating_pow(tries)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::SystemClock;

    #[tokio::test]
    async fn work_that_waited_too_long_is_not_done() {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::sqlite_file(&folder.path().join("mayfly.db"));
        database.migrate().await.unwrap();
        let (ended, _) = broadcast::channel(1);
        let lane = Lane { connection: WriteConnection::new(database), clock: Arc::new(SystemClock), ended };
        let (sender, queue) = mpsc::channel(2);
        let job = |since| {
            let (caller, answer) = oneshot::channel();
            let work = Work::Sweep { limit: 1, receipt_retention: Duration::ZERO };
            assert!(sender.try_send(Job { work, caller, since }).is_ok());
            answer
        };
        let late = job(Instant::now() - QUEUE_LIMIT - Duration::from_secs(1));
        let in_time = job(Instant::now());
        drop(sender);
        lane.run(queue).await;
        assert!(matches!(late.await.unwrap(), Err(StoreError::Unavailable)));
        assert!(matches!(in_time.await.unwrap(), Ok(Answer::Swept { .. })));
    }
}
