//! [`StoreMetrics`]: what a store counts and measures. `store.rs` registers it.

use std::sync::{Arc, Mutex, PoisonError, atomic::AtomicBool};

use mayfly_bootstrap::{
    label_values,
    metrics::{Counters, Metrics, duration_histogram, histogram},
};
use prometheus_client::metrics::{counter::Counter, histogram::Histogram};

use crate::domain::{ContentKind, Timestamp};

/// The sizes of batches, up to the most work in a transaction.
const BATCH_BUCKETS: [f64; 9] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];

label_values! {
    /// A limit of the store that rejected a call.
    pub(crate) enum Limit: "limit" {
        CallerCreationRate = "caller_creation_rate",
        CreationRate = "creation_rate",
        CallerFailedReadRate = "caller_failed_read_rate",
        FailedReadRate = "failed_read_rate",
        CallerPassphrases = "caller_passphrases",
        Passphrases = "passphrases",
        PassphraseTries = "passphrase_tries",
        WriteQueue = "write_queue",
        QueueTime = "queue_time",
        Storage = "storage",
    }
}

label_values! {
    /// The kind of a created message.
    pub(crate) enum Content: "content" {
        Text = "text",
        Sealed = "sealed",
    }
}

impl From<ContentKind> for Content {
    fn from(kind: ContentKind) -> Self {
        match kind {
            ContentKind::Text => Self::Text,
            ContentKind::Sealed => Self::Sealed,
        }
    }
}

label_values! {
    /// How an attempt of a transaction ended.
    pub(crate) enum TransactionResult: "result" {
        Committed = "committed",
        Conflict = "conflict",
        Disconnected = "disconnected",
        Unavailable = "unavailable",
        Unexpected = "unexpected",
        Unreadable = "unreadable",
        TimedOut = "timed_out",
    }
}

label_values! {
    /// What a sweep deleted.
    pub(crate) enum SweptRow: "kind" {
        Message = "message",
        Claim = "claim",
        Receipt = "receipt",
    }
}

/// The messages that a transaction created and ended.
#[derive(Debug, Default)]
pub(crate) struct MessageCounts {
    pub(crate) created_texts: u64,
    pub(crate) created_sealed: u64,
    pub(crate) viewed: u64,
    pub(crate) burned: u64,
    pub(crate) expired: u64,
}

impl MessageCounts {
    pub(crate) fn add_created(&mut self, kind: ContentKind) {
        match kind {
            ContentKind::Text => self.created_texts += 1,
            ContentKind::Sealed => self.created_sealed += 1,
        }
    }
}

/// The counters and histograms of a store. Clones share them.
#[derive(Clone)]
pub(crate) struct StoreMetrics(Arc<Shared>);

/// See [`StoreMetrics`].
pub(crate) struct Shared {
    created: Counters<Content>,
    viewed: Counter,
    burned: Counter,
    expired: Counter,
    pub(crate) transactions: Counters<TransactionResult>,
    pub(crate) batch_size: Histogram,
    pub(crate) batch_seconds: Histogram,
    pub(crate) commit_seconds: Histogram,
    pub(crate) passphrase_tries: Counter,
    pub(crate) wrong_passphrases: Counter,
    pub(crate) refusals: Counters<Limit>,
    pub(crate) swept: Counters<SweptRow>,
    pub(crate) sweep_seconds: Histogram,
    pub(crate) failed_sweeps: Counter,
    last_sweep: Mutex<Option<Timestamp>>,
    pub(crate) is_ready: AtomicBool,
    pub(crate) is_keyring_usable: AtomicBool,
}

impl Default for StoreMetrics {
    fn default() -> Self {
        Self(Arc::new(Shared {
            created: Counters::default(),
            viewed: Counter::default(),
            burned: Counter::default(),
            expired: Counter::default(),
            transactions: Counters::default(),
            batch_size: histogram(BATCH_BUCKETS),
            batch_seconds: duration_histogram(),
            commit_seconds: duration_histogram(),
            passphrase_tries: Counter::default(),
            wrong_passphrases: Counter::default(),
            refusals: Counters::default(),
            swept: Counters::default(),
            sweep_seconds: duration_histogram(),
            failed_sweeps: Counter::default(),
            last_sweep: Mutex::default(),
            is_ready: AtomicBool::new(true),
            is_keyring_usable: AtomicBool::new(true),
        }))
    }
}

impl std::ops::Deref for StoreMetrics {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

impl StoreMetrics {
    /// Counts the messages of a committed transaction.
    pub(crate) fn record_messages(&self, counts: &MessageCounts) {
        let MessageCounts { created_texts, created_sealed, viewed, burned, expired } = counts;
        self.created.inc_by(Content::Text, *created_texts);
        self.created.inc_by(Content::Sealed, *created_sealed);
        for (counter, count) in [(&self.viewed, viewed), (&self.burned, burned), (&self.expired, expired)] {
            counter.inc_by(*count);
        }
    }

    /// Records a sweep that succeeded at the time `now`.
    pub(crate) fn record_sweep(&self, now: Timestamp) {
        *self.last_sweep.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
    }

    fn last_sweep(&self) -> Option<Timestamp> {
        *self.last_sweep.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The created messages by content; the viewed, burned and expired ones.
    #[cfg(test)]
    pub(crate) fn message_counts(&self) -> (String, [u64; 3]) {
        (format!("{:?}", self.created), [self.viewed.get(), self.burned.get(), self.expired.get()])
    }

    /// Registers the counters and histograms.
    pub(crate) fn register(&self, metrics: &mut Metrics) {
        let shared = &*self.0;
        for (name, help, counter) in [
            ("mayfly_messages_viewed", "Messages that were read, through this store", &shared.viewed),
            ("mayfly_messages_burned", "Messages that were burned unread, through this store", &shared.burned),
            ("mayfly_messages_expired", "Messages that expired unread, found by this store", &shared.expired),
            ("mayfly_passphrase_tries", "Passphrases that readers tried", &shared.passphrase_tries),
            ("mayfly_passphrase_failures", "Tried passphrases that were wrong", &shared.wrong_passphrases),
            ("mayfly_sweep_failures", "Sweeps that failed", &shared.failed_sweeps),
        ] {
            metrics.register(name, help, counter.clone());
        }
        for (name, help, histogram) in [
            ("mayfly_write_batch_operations", "Pieces of work in a transaction", &shared.batch_size),
            ("mayfly_write_batch_duration_seconds", "How long transactions took, with retries", &shared.batch_seconds),
            ("mayfly_commit_duration_seconds", "How long the commits of transactions took", &shared.commit_seconds),
            ("mayfly_sweep_duration_seconds", "How long sweeps took", &shared.sweep_seconds),
        ] {
            metrics.register(name, help, histogram.clone());
        }
        let help = "Messages that were created through this store, without repeated requests";
        metrics.register("mayfly_messages_created", help, shared.created.clone());
        let help = "Attempts of transactions, by their result";
        metrics.register("mayfly_write_transactions", help, shared.transactions.clone());
        metrics.register("mayfly_store_refusals", "Calls that a limit of the store rejected", shared.refusals.clone());
        metrics.register("mayfly_swept_rows", "Rows that sweeps deleted, by their kind", shared.swept.clone());
        let store = self.clone();
        let help = "When a sweep last succeeded, in seconds since 1970";
        metrics.optional_gauge("mayfly_sweep_last_success_timestamp_seconds", help, move || {
            store.last_sweep().map(seconds)
        });
        let flag = |metrics: &mut Metrics, name, help, read: fn(&Shared) -> &AtomicBool| {
            let store = self.clone();
            let read = move || if read(&store).load(std::sync::atomic::Ordering::Relaxed) { 1.0 } else { 0.0 };
            metrics.gauge(name, help, read);
        };
        let help = "1 while the database responds and can be written, else 0";
        flag(metrics, "mayfly_store_ready", help, |shared| &shared.is_ready);
        let help = "1 while the keyring file can be used, 0 while the store keeps the keys before";
        flag(metrics, "mayfly_keyring_usable", help, |shared| &shared.is_keyring_usable);
    }
}

/// A time in seconds since 1970.
pub(crate) fn seconds(time: Timestamp) -> f64 {
    time.micros() as f64 / 1e6
}
