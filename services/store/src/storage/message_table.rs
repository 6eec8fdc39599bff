//! [`MessageTable`]: the messages in the database, sealed, with their claims and receipts.

use std::{sync::Arc, time::Duration};

use mayfly_bootstrap::ErrorChain;
use sea_orm::{
    ColumnTrait as _, Condition, DatabaseConnection, DbBackend, DbErr, EntityTrait as _, QueryFilter as _,
    QuerySelect as _,
};
use tokio::sync::broadcast;

use super::{
    batch::{Output, Retention, Work},
    capacity::{Capacity, StorageLimits},
    database::Database,
    db_error::read_with_timeout,
    entities::{content_kind, messages, receipts},
    sealing_keys::{self, KeyTimes},
    traced::traced,
    usage::{self, Usage},
    writer::{QueueSlot, Writer, WriterContext},
};
use crate::{
    domain::{
        Clock, ContentKind, KeyId, MessageId, MessageStatus, Outcome, Receipt, SharedKeyring, Timestamp, Verifier,
    },
    error::StoreError,
    metrics::{Limit, StoreMetrics},
};

/// After how long without a write the health check probes whether the database can be written.
const PROBE_INTERVAL: Duration = Duration::from_secs(60);

/// The messages of a database. Reads directly; writes through the [`Writer`].
#[derive(Clone)]
pub(crate) struct MessageTable {
    readers: DatabaseConnection,
    writer: Writer,
    clock: Arc<dyn Clock>,
    capacity: Capacity,
    metrics: StoreMetrics,
}

/// The settings of a message table.
pub(crate) struct MessagesSettings {
    pub(crate) retention: Retention,
    pub(crate) storage: StorageLimits,
    /// The longest text, in bytes.
    pub(crate) max_text_bytes: usize,
}

/// An unread message with a passphrase.
pub(crate) struct ProtectedMessage {
    pub(crate) key_id: KeyId,
    pub(crate) content_kind: ContentKind,
}

impl MessageTable {
    /// Opens the messages in `database`, whose schema is up to date.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when the database fails.
    pub(crate) async fn open(
        database: &Database,
        readers: DatabaseConnection,
        keyring: SharedKeyring,
        clock: Arc<dyn Clock>,
        settings: MessagesSettings,
    ) -> Result<Self, StoreError> {
        let MessagesSettings { retention, storage, max_text_bytes } = settings;
        let capacity = Capacity::new(storage, database.dir());
        let metrics = StoreMetrics::default();
        let context = WriterContext {
            clock: Arc::clone(&clock),
            keyring,
            retention,
            capacity: capacity.clone(),
            max_text_bytes,
            metrics: metrics.clone(),
        };
        let writer = Writer::start(database, context).map_err(|error| {
            tracing::error!(error = %ErrorChain(&error), "the write lane cannot be started");
            StoreError::Internal
        })?;
        let table = Self { readers, writer, clock, capacity, metrics };
        table.measure().await?;
        Ok(table)
    }

    /// Does `work` in a transaction. See [`Writer::perform`].
    pub(crate) async fn perform(&self, work: Work) -> Result<Output, StoreError> {
        self.writer.perform(work).await
    }

    /// Reserves a slot in the queue. See [`Writer::reserve`].
    pub(crate) fn reserve(&self) -> Result<QueueSlot<'_>, StoreError> {
        self.writer.reserve()
    }

    /// Checks that a new message with a content of `content_bytes` may be stored.
    ///
    /// # Errors
    ///
    /// [`StoreError::StorageFull`]
    pub(crate) fn check_capacity(&self, content_bytes: usize) -> Result<(), StoreError> {
        if self.capacity.budget().take(Usage::message(content_bytes)) {
            return Ok(());
        }
        self.capacity.record_full(true);
        self.metrics.refusals.inc(Limit::Storage);
        Err(StoreError::StorageFull)
    }

    /// The counters of this store.
    pub(crate) fn metrics(&self) -> &StoreMetrics {
        &self.metrics
    }

    /// How full the store is.
    pub(crate) fn capacity(&self) -> &Capacity {
        &self.capacity
    }

    /// When the keys of the database were made.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when the database fails.
    pub(crate) async fn key_times(&self) -> Result<Vec<KeyTimes>, StoreError> {
        sealing_keys::times(&self.readers).await
    }

    /// See [`Writer::queue`].
    pub(crate) fn queue(&self) -> (usize, usize) {
        self.writer.queue()
    }

    /// The connections for reading: in use, and idle.
    pub(crate) fn reader_connections(&self) -> (u32, u32) {
        let (size, idle) = match self.readers.get_database_backend() {
            DbBackend::Postgres => {
                let pool = self.readers.get_postgres_connection_pool();
                (pool.size(), pool.num_idle())
            }
            _ => {
                let pool = self.readers.get_sqlite_connection_pool();
                (pool.size(), pool.num_idle())
            }
        };
        let idle = u32::try_from(idle).unwrap_or(size).min(size);
        (size - idle, idle)
    }

    /// The messages that end from now on, through this store.
    pub(crate) fn ended(&self) -> broadcast::Receiver<MessageId> {
        self.writer.ended()
    }

    /// Completes when a write lane has ended, which happens only after a panic.
    pub(crate) async fn lane_ended(&self) {
        self.writer.lane_ended().await;
    }

    /// Measures how much all stores of the database have stored.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when the database fails.
    pub(crate) async fn measure(&self) -> Result<(), StoreError> {
        self.capacity.set_usage(read_with_timeout("measuring the usage", Box::pin(usage::total(&self.readers))).await?);
        Ok(())
    }

    /// Returns `true` if the database responds and can be written. Probes with a write of `key_id` if the last write
    /// failed or was long ago.
    pub(crate) async fn is_available(&self, key_id: KeyId) -> bool {
        if self.readers.ping().await.is_err() {
            return false;
        }
        if !self.writer.needs_probe(PROBE_INTERVAL) {
            return true;
        }
        match self.writer.perform(Work::Probe(key_id)).await {
            // An overloaded writer does write.
            Ok(_) | Err(StoreError::Overloaded) => true,
            Err(_) => false,
        }
    }

    /// The status of a message.
    ///
    /// # Errors
    ///
    /// [`StoreError::MessageNotFound`], or another one when the database fails.
    pub(crate) async fn status(&self, id: MessageId, verifier: Verifier) -> Result<MessageStatus, StoreError> {
        let status = read_with_timeout("looking a message up", Box::pin(self.find_status(id, verifier))).await?;
        status.ok_or(StoreError::MessageNotFound)
    }

    /// The unread message, if it has a passphrase. An expired message is not found, because it is reported as expired.
    pub(crate) async fn protected(
        &self,
        id: MessageId,
        verifier: Verifier,
    ) -> Result<Option<ProtectedMessage>, StoreError> {
        read_with_timeout("looking for a passphrase", Box::pin(self.find_protected(id, verifier))).await
    }

    async fn find_protected(&self, id: MessageId, verifier: Verifier) -> Result<Option<ProtectedMessage>, DbErr> {
        let unexpired = Condition::any()
            .add(messages::Column::ExpireTime.is_null())
            .add(messages::Column::ExpireTime.gt(self.clock.now().micros()));
        let row = messages::Entity::find_by_id(id.get())
            .select_only()
            .columns([messages::Column::KeyId, messages::Column::ContentKind])
            .filter(messages::Column::Verifier.eq(verifier.to_column()))
            .filter(messages::Column::PassphraseVerifier.is_not_null())
            .filter(unexpired)
            .into_tuple()
            .one(&self.readers);
        let row: Option<(String, content_kind::ContentKind)> = self.traced_read("messages", row).await?;
        Ok(row.map(|(key_id, content_kind)| ProtectedMessage {
            key_id: KeyId::from_column(key_id),
            content_kind: content_kind.into(),
        }))
    }

    async fn traced_read<T>(
        &self,
        table: &'static str,
        reading: impl Future<Output = Result<T, DbErr>>,
    ) -> Result<T, DbErr> {
        traced(self.readers.get_database_backend(), "SELECT", table, reading).await
    }

    /// Reads messages before receipts: a message that ends in between already has its receipt.
    async fn find_status(&self, id: MessageId, verifier: Verifier) -> Result<Option<MessageStatus>, DbErr> {
        let unread = messages::Entity::find_by_id(id.get())
            .select_only()
            .columns([messages::Column::CreateTime, messages::Column::ExpireTime, messages::Column::ContentKind])
            .expr(messages::Column::PassphraseVerifier.is_not_null())
            .filter(messages::Column::Verifier.eq(verifier.to_column()))
            .into_tuple()
            .one(&self.readers);
        let unread: Option<(i64, Option<i64>, content_kind::ContentKind, bool)> =
            self.traced_read("messages", unread).await?;
        if let Some((create_time, expire_time, content_kind, needs_passphrase)) = unread {
            let expire_time = expire_time.map(Timestamp::from_micros);
            return Ok(Some(match expire_time.filter(|expire_time| *expire_time <= self.clock.now()) {
                Some(time) => MessageStatus::Gone(Receipt { outcome: Outcome::Expired, time }),
                None => MessageStatus::Unread {
                    create_time: Timestamp::from_micros(create_time),
                    expire_time,
                    needs_passphrase,
                    content_kind: content_kind.into(),
                },
            }));
        }
        let gone = receipts::Entity::find_by_id(id.get())
            .filter(receipts::Column::Verifier.eq(verifier.to_column()))
            .one(&self.readers);
        let gone = self.traced_read("receipts", gone).await?;
        Ok(gone.map(|receipt| MessageStatus::Gone(Receipt::from(&receipt))))
    }

    #[cfg(test)]
    pub(crate) async fn count_tries(&self) -> u64 {
        use sea_orm::PaginatorTrait as _;

        use super::entities::passphrase_tries;
        passphrase_tries::Entity::find().count(&self.readers).await.unwrap_or_default()
    }
}
