//! Registers the metrics of a store: its counters, and gauges that are read at a scrape.

use std::sync::{Arc, Mutex, PoisonError};

use mayfly_bootstrap::metrics::Metrics;

use super::Store;
use crate::{
    domain::Key,
    messages::Messages,
    metrics::seconds,
    storage::{Capacity, FreeSpace, KeyTimes},
};

/// The keys of the database, as a scrape last read them.
type KnownKeys = Arc<Mutex<Vec<KeyTimes>>>;

impl Store {
    /// Registers the metrics of this store.
    pub fn register(&self, metrics: &mut Metrics) {
        self.rpcs.register(metrics, "mayfly_store");
        self.messages.metrics().register(metrics);
        self.register_usage(metrics);
        self.register_queues(metrics);
        self.register_keys(metrics);
    }

    /// How much is stored, and how much may be.
    fn register_usage(&self, metrics: &mut Metrics) {
        let capacity = self.messages.table().capacity();
        let gauge = |metrics: &mut Metrics, name: &str, help: &str, read: fn(&Capacity) -> f64| {
            let capacity = capacity.clone();
            metrics.gauge(name, help, move || read(&capacity));
        };
        let help = "Unread messages in the database";
        gauge(metrics, "mayfly_messages_unread", help, |capacity| capacity.usage().messages as f64);
        let help = "The most unread messages (--max-messages)";
        gauge(metrics, "mayfly_messages_unread_limit", help, |capacity| capacity.limits().max_messages as f64);
        let help = "Texts that were viewed and that their readers may read again";
        gauge(metrics, "mayfly_claims_open", help, |capacity| capacity.usage().claims as f64);
        let help = "Receipts of messages that ended";
        gauge(metrics, "mayfly_receipts_stored", help, |capacity| capacity.usage().receipts as f64);
        let help = "Bytes of messages, claims and receipts in the database";
        gauge(metrics, "mayfly_stored_bytes", help, |capacity| capacity.usage().bytes as f64);
        let help = "The most bytes of messages, claims and receipts (--max-stored-bytes)";
        gauge(metrics, "mayfly_stored_bytes_limit", help, |capacity| capacity.limits().max_bytes as f64);
        let help = "1 while creations are rejected because a limit of storage is reached, else 0";
        gauge(metrics, "mayfly_store_full", help, |capacity| f64::from(u8::from(capacity.is_full())));
        let disk = |metrics: &mut Metrics, name: &str, help: &str, read: fn((FreeSpace, u64)) -> u64| {
            let capacity = capacity.clone();
            metrics.optional_gauge(name, help, move || capacity.disk_space().map(|space| read(space) as f64));
        };
        let help = "Free bytes of the file system with the SQLite database";
        disk(metrics, "mayfly_disk_free_bytes", help, |(space, _)| space.bytes);
        let help = "The size of the file system with the SQLite database";
        disk(metrics, "mayfly_disk_size_bytes", help, |(space, _)| space.total_bytes);
        let help = "The free bytes below which creations are rejected (--min-free-bytes)";
        disk(metrics, "mayfly_disk_reserve_bytes", help, |(_, reserve)| reserve);
        let database = self.database.clone();
        let help = "The size of SQLite's write-ahead log; 0 on PostgreSQL";
        metrics.gauge("mayfly_database_wal_bytes", help, move || database.wal_bytes() as f64);
    }

    /// What waits for the writer, for connections, and for cores.
    fn register_queues(&self, metrics: &mut Metrics) {
        let gauge = |metrics: &mut Metrics, name: &str, help: &str, read: fn(&Messages) -> usize| {
            let messages = self.messages.clone();
            metrics.gauge(name, help, move || read(&messages) as f64);
        };
        let help = "Work that waits for the writer";
        gauge(metrics, "mayfly_write_queue_length", help, |messages| messages.table().queue().0);
        let help = "How much work may wait for the writer";
        gauge(metrics, "mayfly_write_queue_limit", help, |messages| messages.table().queue().1);
        let help = "Passphrases that are being stretched";
        gauge(metrics, "mayfly_passphrase_stretches_running", help, |messages| messages.stretches().0);
        let messages = self.messages.clone();
        let help = "Passphrases that wait or are being stretched, of creators and of readers";
        metrics.gauges("mayfly_passphrase_stretches_queued", help, "queue", move || {
            let (_, [readers, creators]) = messages.stretches();
            vec![("readers", readers as f64), ("creators", creators as f64)]
        });
        let messages = self.messages.clone();
        let help = "Connections to the database for reading";
        metrics.gauges("mayfly_database_connections", help, "state", move || {
            let (in_use, idle) = messages.table().reader_connections();
            vec![("in_use", f64::from(in_use)), ("idle", f64::from(idle))]
        });
    }

    /// The keys, by what they do now.
    fn register_keys(&self, metrics: &mut Metrics) {
        let all_known = KnownKeys::default();
        let (messages, known) = (self.messages.clone(), Arc::clone(&all_known));
        metrics.probe(move || {
            let (messages, known) = (messages.clone(), Arc::clone(&known));
            async move {
                if let Ok(keys) = messages.table().key_times().await {
                    *known.lock().unwrap_or_else(PoisonError::into_inner) = keys;
                }
            }
        });
        let (keyring, clock, known) = (self.keyring.shared.clone(), Arc::clone(&self.clock), Arc::clone(&all_known));
        let help = "Keys: one seals new messages, pending ones will, old ones open messages, retiring ones are being \
                    destroyed";
        metrics.gauges("mayfly_keys", help, "state", move || {
            let (keyring, now) = (keyring.load(), clock.now());
            let is_pending = |key: &&Key| key.active_from().is_some_and(|active_from| active_from > now);
            let pending = keyring.keys().filter(is_pending).count();
            let old = keyring.keys().count().saturating_sub(pending + 1);
            let known = known.lock().unwrap_or_else(PoisonError::into_inner);
            let retiring = known.iter().filter(|key| key.is_retiring).count();
            let count = |count: usize| count as f64;
            vec![("sealing", 1.0), ("pending", count(pending)), ("old", count(old)), ("retiring", count(retiring))]
        });
        let (keyring, clock, known) = (self.keyring.shared.clone(), Arc::clone(&self.clock), all_known);
        let help = "When the key that seals new messages was made, in seconds since 1970";
        metrics.optional_gauge("mayfly_sealing_key_create_timestamp_seconds", help, move || {
            let keyring = keyring.load();
            let id = keyring.sealing(clock.now()).id();
            let known = known.lock().unwrap_or_else(PoisonError::into_inner);
            known.iter().find(|key| key.id == *id).map(|key| seconds(key.create_time))
        });
    }
}
