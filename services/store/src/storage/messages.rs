//! The messages.

use std::{sync::Arc, time::Duration};

use sea_orm::{ColumnTrait as _, DatabaseConnection, DbErr, EntityTrait as _, QueryFilter as _};

use super::{
    batch::{Answer, Creation, Erasure, ErasureReason, Work},
    database::Database,
    entities::{messages, receipts},
    failure::report,
    writer::Writer,
};
use crate::{
    StoreError,
    domain::{
        AccessToken, Clock, Keyring, Lookup, MessageId, MessageSeal, MessageText, Outcome, Receipt, RequestId,
        SealError, Timestamp,
    },
};

/// How many messages or receipts one transaction sweeps.
const SWEEP_LIMIT: u64 = 500;

/// All messages of a store.
#[derive(Clone)]
pub(crate) struct Messages {
    readers: DatabaseConnection,
    writer: Writer,
    keyring: Arc<Keyring>,
    clock: Arc<dyn Clock>,
    receipt_retention: Duration,
}

/// A message to be stored.
pub(crate) struct NewMessage {
    pub(crate) text: MessageText,
    pub(crate) create_time: Timestamp,
    /// `None`: never.
    pub(crate) expire_time: Option<Timestamp>,
    /// `None`: this creation is not repeated.
    pub(crate) request: Option<RequestId>,
}

/// A message that is stored.
pub(crate) struct Stored {
    pub(crate) id: MessageId,
    pub(crate) token: AccessToken,
    pub(crate) create_time: Timestamp,
    pub(crate) expire_time: Option<Timestamp>,
}

impl Messages {
    /// Opens the messages in `database`, whose schema is up to date.
    pub(crate) fn open(
        database: &Database,
        readers: DatabaseConnection,
        keyring: Arc<Keyring>,
        clock: Arc<dyn Clock>,
        receipt_retention: Duration,
    ) -> Self {
        let writer = Writer::start(database, &clock);
        Self { readers, writer, keyring, clock, receipt_retention }
    }

    /// Seals and stores a message; a repeated request finds the message of the first.
    pub(crate) async fn insert(&self, message: NewMessage) -> Result<Stored, StoreError> {
        let key = self.keyring.newest();
        let token = match message.request {
            None => AccessToken::generate().map_err(|error| cannot_seal(&error.into()))?,
            Some(request) => AccessToken::for_request(key, request, message.text.as_str()),
        };
        if let Some(earlier) = self.stored_under_older_key(&message).await? {
            return Ok(earlier);
        }
        let seal = MessageSeal::new(key, &token);
        let creation = Creation {
            verifier: seal.verifier(),
            key_id: seal.key_id().clone(),
            sealed_text: seal.seal(&message.text, message.expire_time).map_err(|error| cannot_seal(&error))?,
            create_time: message.create_time,
            expire_time: message.expire_time,
            is_repeatable: message.request.is_some(),
        };
        match self.writer.perform(Work::Create(creation)).await? {
            Answer::Stored { id, create_time, expire_time } => Ok(Stored { id, token, create_time, expire_time }),
            _ => Err(wrong_answer()),
        }
    }

    /// Erases an unread message and answers its text and the time it was stored.
    pub(crate) async fn take(
        &self,
        id: MessageId,
        token: &AccessToken,
    ) -> Result<(MessageText, Timestamp), StoreError> {
        match self.erase(id, token, ErasureReason::View).await? {
            Answer::Viewed { text, create_time } => Ok((text, create_time)),
            _ => Err(wrong_answer()),
        }
    }

    /// Erases an unread message; answers when that was done first.
    pub(crate) async fn burn(&self, id: MessageId, token: &AccessToken) -> Result<Timestamp, StoreError> {
        match self.erase(id, token, ErasureReason::Burn).await? {
            Answer::Burned { time } => Ok(time),
            _ => Err(wrong_answer()),
        }
    }

    /// Where a message stands.
    pub(crate) async fn lookup(&self, id: MessageId, token: &AccessToken) -> Result<Lookup, StoreError> {
        let verifiers = self.seals(token).iter().map(|seal| seal.verifier().to_column()).collect();
        let found = self.find(id, verifiers).await.map_err(|error| report("looking a message up", &error))?;
        found.ok_or(StoreError::MessageNotFound)
    }

    /// Turns expired messages into receipts and purges old receipts, in small transactions, until none is left.
    pub(crate) async fn sweep(&self) -> Result<(), StoreError> {
        loop {
            let work = Work::Sweep { limit: SWEEP_LIMIT, receipt_retention: self.receipt_retention };
            match self.writer.perform(work).await? {
                Answer::Swept { expired, purged } => {
                    if expired + purged > 0 {
                        tracing::debug!(expired, purged, "swept");
                    }
                    if expired.max(purged) < SWEEP_LIMIT {
                        return Ok(());
                    }
                }
                _ => return Err(wrong_answer()),
            }
        }
    }

    /// Whether the database answers.
    pub(crate) async fn ping(&self) -> bool {
        self.readers.ping().await.is_ok()
    }

    async fn erase(&self, id: MessageId, token: &AccessToken, reason: ErasureReason) -> Result<Answer, StoreError> {
        let receipt_retention = self.receipt_retention;
        self.writer.perform(Work::Erase(Erasure { id, seals: self.seals(token), reason, receipt_retention })).await
    }

    /// What `token` makes of each key: the message says only after it was found which one it was sealed with.
    fn seals(&self, token: &AccessToken) -> Vec<MessageSeal> {
        self.keyring.keys().map(|key| MessageSeal::new(key, token)).collect()
    }

    /// A request that was made first before the newest key was added has its token from an older one.
    async fn stored_under_older_key(&self, message: &NewMessage) -> Result<Option<Stored>, StoreError> {
        let Some(request) = message.request else { return Ok(None) };
        for key in self.keyring.keys().filter(|key| key.id() != self.keyring.newest().id()) {
            let token = AccessToken::for_request(key, request, message.text.as_str());
            let verifier = MessageSeal::new(key, &token).verifier().to_column();
            let found = self.find_created(verifier).await.map_err(|error| report("looking for a request", &error))?;
            if let Some((id, create_time, expire_time)) = found {
                return Ok(Some(Stored { id, token, create_time, expire_time }));
            }
        }
        Ok(None)
    }

    async fn find_created(
        &self,
        verifier: Vec<u8>,
    ) -> Result<Option<(MessageId, Timestamp, Option<Timestamp>)>, DbErr> {
        let unread = messages::Entity::find().filter(messages::Column::Verifier.eq(verifier.clone()));
        if let Some(row) = unread.one(&self.readers).await? {
            let times = (Timestamp::from_micros(row.create_time), row.expire_time.map(Timestamp::from_micros));
            return Ok(Some((MessageId::from_column(row.id), times.0, times.1)));
        }
        let gone = receipts::Entity::find().filter(receipts::Column::Verifier.eq(verifier));
        let row = gone.one(&self.readers).await?;
        Ok(row.map(|row| (MessageId::from_column(row.message_id), Timestamp::from_micros(row.create_time), None)))
    }

    /// Messages first, then receipts: a message that ends in between has its receipt by then.
    async fn find(&self, id: MessageId, verifiers: Vec<Vec<u8>>) -> Result<Option<Lookup>, DbErr> {
        let unread = messages::Entity::find_by_id(id.get())
            .filter(messages::Column::Verifier.is_in(verifiers.clone()))
            .one(&self.readers)
            .await?;
        if let Some(row) = unread {
            let expire_time = row.expire_time.map(Timestamp::from_micros);
            return Ok(Some(match expire_time.filter(|expire_time| *expire_time <= self.clock.now()) {
                Some(time) => Lookup::Gone(Receipt { outcome: Outcome::Expired, time }),
                None => Lookup::Unread { create_time: Timestamp::from_micros(row.create_time), expire_time },
            }));
        }
        let gone = receipts::Entity::find_by_id(id.get())
            .filter(receipts::Column::Verifier.is_in(verifiers))
            .one(&self.readers)
            .await?;
        Ok(gone.map(|receipt| Lookup::Gone(Receipt::from(&receipt))))
    }
}

fn cannot_seal(error: &SealError) -> StoreError {
    tracing::error!(error = %mayfly_bootstrap::ErrorChain(error), "a text cannot be sealed");
    StoreError::Internal
}

fn wrong_answer() -> StoreError {
    tracing::error!("the writer gave the answer to another question");
    StoreError::Internal
}
