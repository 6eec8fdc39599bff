//! [`Messages`]: seals new messages, stretches passphrases, and opens messages for their readers.

mod stretcher;

use std::{sync::Arc, time::Duration};

use sea_orm::DatabaseConnection;
use tokio::{sync::broadcast, time::Instant};

use self::stretcher::{PassphraseStretcher, StretchPermit, StretchQueue};
use crate::{
    domain::{
        AccessToken, CallerTag, Clock, ContentKind, Key, KeyId, MessageContent, MessageId, MessageSeal, MessageStatus,
        Passphrase, PassphraseKey, RequestId, SealError, SharedKeyring, Timestamp, TryLimits, Verifier, ViewId,
    },
    error::StoreError,
    metrics::{Limit, StoreMetrics, SweptRow},
    storage::{
        Acknowledgement, Creation, CreationRequest, Database, Erasure, ErasureReason, MessageTable, MessagesSettings,
        Output, PassphraseTry, ProtectedMessage, Swept, Work,
    },
};

/// How often a creation is resealed because its key was retired, or because its request has another key.
const MAX_SEAL_ATTEMPTS: usize = 4;

/// All messages of a store.
#[derive(Clone)]
pub(crate) struct Messages {
    table: MessageTable,
    keyring: SharedKeyring,
    clock: Arc<dyn Clock>,
    stretcher: PassphraseStretcher,
}

/// A message to store.
pub(crate) struct NewMessage {
    pub(crate) content: MessageContent,
    pub(crate) create_time: Timestamp,
    /// The requested lifetime. `None`: the store's default.
    pub(crate) ttl: Option<Duration>,
    /// `None`: never.
    pub(crate) expire_time: Option<Timestamp>,
    /// `None`: this creation cannot be repeated.
    pub(crate) request: Option<RequestId>,
    pub(crate) passphrase: Option<Passphrase>,
}

/// A view of a message.
pub(crate) struct ViewRequest<'call> {
    pub(crate) id: MessageId,
    pub(crate) token: AccessToken,
    /// `None`: this view cannot be repeated.
    pub(crate) view_id: Option<ViewId>,
    pub(crate) passphrase: Option<Passphrase>,
    /// `true` if the reader can decrypt content that its creator encrypted.
    pub(crate) accepts_sealed: bool,
    /// Identifies the caller, whose tries of passphrases are counted.
    pub(crate) caller: &'call str,
}

/// A viewed message.
pub(crate) struct ViewedMessage {
    pub(crate) content: MessageContent,
    pub(crate) create_time: Timestamp,
    /// Until when the reader can repeat the view; `None`: it cannot.
    pub(crate) repeat_until: Option<Timestamp>,
}

/// The result of a creation with one key.
enum InsertOutcome {
    Stored(StoredMessage),
    UnderOtherKey(KeyId),
    KeyRetired,
}

/// A stored message.
pub(crate) struct StoredMessage {
    pub(crate) id: MessageId,
    pub(crate) token: AccessToken,
    pub(crate) create_time: Timestamp,
    pub(crate) expire_time: Option<Timestamp>,
}

impl Messages {
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
        let table = MessageTable::open(database, readers, keyring.clone(), Arc::clone(&clock), settings).await?;
        Ok(Self { table, keyring, clock, stretcher: PassphraseStretcher::new() })
    }

    /// Seals and stores a message. A repeated request returns the message of the first one.
    pub(crate) async fn insert(&self, message: NewMessage) -> Result<StoredMessage, StoreError> {
        if message.request.is_none() {
            self.table.check_capacity(message.content.as_bytes().len())?;
        }
        let random_token = AccessToken::generate().map_err(|error| log_seal_error(&error.into()))?;
        let mut key = self.keyring.load().sealing(message.create_time).clone();
        let mut stretched = None;
        for _ in 0..MAX_SEAL_ATTEMPTS {
            let token = match message.request {
                None => random_token.clone(),
                Some(request) => AccessToken::for_request(&key, request),
            };
            if let Some(passphrase) = message.passphrase.as_ref()
                && stretched.as_ref().is_none_or(|(stretched_for, _)| *stretched_for != token)
            {
                let permit = self.reserve_stretch(&self.stretcher.creators)?;
                stretched = Some((token.clone(), permit.stretch(passphrase.clone(), token.clone()).await?));
            }
            let passphrase = stretched.as_ref().map(|(_, passphrase)| passphrase);
            match self.insert_under(&key, token, passphrase, &message).await? {
                InsertOutcome::Stored(stored) => return Ok(stored),
                InsertOutcome::UnderOtherKey(id) => match self.keyring.load().key(&id) {
                    Some(other) => key = other.clone(),
                    None => {
                        tracing::warn!(key = id.as_str(), "the keyring lacks the key of a repeated creation");
                        return Err(StoreError::Unavailable);
                    }
                },
                InsertOutcome::KeyRetired => {
                    self.keyring.exclude(key.id());
                    key = self.keyring.load().sealing(message.create_time).clone();
                }
            }
        }
        tracing::warn!("no usable key was found for a creation");
        Err(StoreError::Unavailable)
    }

    async fn insert_under(
        &self,
        key: &Key,
        token: AccessToken,
        passphrase: Option<&PassphraseKey>,
        message: &NewMessage,
    ) -> Result<InsertOutcome, StoreError> {
        // Reserve a slot first, so that an overloaded store seals nothing in vain.
        let slot = self.table.reserve()?;
        let creation = Box::new(seal_creation(key, &token, passphrase, message)?);
        match slot.perform(Work::Create(creation)).await? {
            Output::Stored { id, create_time, expire_time } => {
                Ok(InsertOutcome::Stored(StoredMessage { id, token, create_time, expire_time }))
            }
            Output::UnderOtherKey(key_id) => Ok(InsertOutcome::UnderOtherKey(key_id)),
            Output::KeyRetired => Ok(InsertOutcome::KeyRetired),
            _ => Err(unexpected_output()),
        }
    }

    /// Deletes an unread message and returns its content. With a view id, the reader may repeat the view for a while.
    pub(crate) async fn view(&self, request: ViewRequest<'_>) -> Result<ViewedMessage, StoreError> {
        // Reserve a slot first, so that an overloaded store rejects the reader before it counts a try of a passphrase.
        let slot = self.table.reserve()?;
        let passphrase = self.try_passphrase(&request).await?;
        let ViewRequest { id, token, view_id, accepts_sealed, .. } = request;
        let erasure = Erasure::new(id, token, passphrase, ErasureReason::View { view_id, accepts_sealed });
        let erased = slot.perform(Work::Erase(Box::new(erasure))).await;
        if matches!(erased, Err(StoreError::PassphraseWrong)) {
            self.metrics().wrong_passphrases.inc();
        }
        match erased? {
            Output::Viewed { content, create_time, repeat_until } => {
                Ok(ViewedMessage { content, create_time, repeat_until })
            }
            _ => Err(unexpected_output()),
        }
    }

    /// Erases a content that its reader has received. Returns when it was viewed.
    pub(crate) async fn acknowledge(
        &self,
        id: MessageId,
        token: &AccessToken,
        view_id: ViewId,
    ) -> Result<Timestamp, StoreError> {
        let (verifier, claim_verifier) = (Verifier::of_token(token), Verifier::of_claim(token, view_id));
        let acknowledgement = Acknowledgement { id, verifier, claim_verifier };
        match self.table.perform(Work::Acknowledge(acknowledgement)).await? {
            Output::Acknowledged { view_time } => Ok(view_time),
            _ => Err(unexpected_output()),
        }
    }

    /// Erases an unread message. Returns when it was burned, by this call or by an earlier one.
    pub(crate) async fn burn(&self, id: MessageId, token: AccessToken) -> Result<Timestamp, StoreError> {
        let erasure = Erasure::new(id, token, None, ErasureReason::Burn);
        match self.table.perform(Work::Erase(Box::new(erasure))).await? {
            Output::Burned { time } => Ok(time),
            _ => Err(unexpected_output()),
        }
    }

    /// The status of a message.
    pub(crate) async fn lookup(&self, id: MessageId, token: &AccessToken) -> Result<MessageStatus, StoreError> {
        self.table.status(id, Verifier::of_token(token)).await
    }

    /// The messages that end from now on, through this store.
    pub(crate) fn ended(&self) -> broadcast::Receiver<MessageId> {
        self.table.ended()
    }

    /// Replaces expired messages by receipts, purges forfeited claims and old receipts, and frees disk space, in small
    /// steps until nothing is left. Pauses after each step for as long as it took, so that callers have half of the time.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when the database fails.
    pub(crate) async fn sweep(&self) -> Result<(), StoreError> {
        loop {
            let began = Instant::now();
            match self.table.perform(Work::Sweep).await? {
                Output::Swept(Swept { expired, forfeited, purged, has_more }) => {
                    for (row, count) in
                        [(SweptRow::Message, expired), (SweptRow::Claim, forfeited), (SweptRow::Receipt, purged)]
                    {
                        self.metrics().swept.inc_by(row, count as u64);
                    }
                    if expired + forfeited + purged > 0 {
                        tracing::debug!(expired, forfeited, purged, "swept");
                    }
                    if !has_more {
                        return Ok(());
                    }
                    tokio::time::sleep(began.elapsed()).await;
                }
                _ => return Err(unexpected_output()),
            }
        }
    }

    /// The messages in the database, for metrics.
    pub(crate) fn table(&self) -> &MessageTable {
        &self.table
    }

    /// The counters of this store.
    pub(crate) fn metrics(&self) -> &StoreMetrics {
        self.table.metrics()
    }

    /// The passphrases that are being stretched now, and those that wait or are being stretched for readers and for
    /// creators.
    pub(crate) fn stretches(&self) -> (usize, [usize; 2]) {
        let PassphraseStretcher { readers, creators } = &self.stretcher;
        (readers.running(), [readers.length(), creators.length()])
    }

    fn reserve_stretch(&self, queue: &StretchQueue) -> Result<StretchPermit, StoreError> {
        queue.reserve().inspect_err(|_| self.metrics().refusals.inc(Limit::Passphrases))
    }

    /// Measures how much all stores of the database have stored.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when the database fails.
    pub(crate) async fn measure(&self) -> Result<(), StoreError> {
        self.table.measure().await
    }

    /// Completes when a write lane has ended, which happens only after a panic.
    pub(crate) async fn lane_ended(&self) {
        self.table.lane_ended().await;
    }

    /// Returns `true` if the database responds and can be written.
    pub(crate) async fn is_available(&self) -> bool {
        let key_id = self.keyring.load().sealing(self.clock.now()).id().clone();
        self.table.is_available(key_id).await
    }

    /// The stretched passphrase, if the message has one and the reader sent one.
    ///
    /// Reserves the stretching first, so that an overloaded store counts no try. Counts the try before it stretches.
    async fn try_passphrase(&self, request: &ViewRequest<'_>) -> Result<Option<PassphraseKey>, StoreError> {
        let Some(passphrase) = &request.passphrase else { return Ok(None) };
        let verifier = Verifier::of_token(&request.token);
        let Some(ProtectedMessage { key_id, content_kind }) = self.table.protected(request.id, verifier).await? else {
            return Ok(None);
        };
        // A reader that does not accept the content gets that error, and no try is counted.
        if content_kind == ContentKind::Sealed && !request.accepts_sealed {
            return Ok(None);
        }
        let keyring = self.keyring.load();
        let Some(key) = keyring.key(&key_id) else { return Ok(None) };
        let permit = self.reserve_stretch(&self.stretcher.readers)?;
        let passphrase_try = PassphraseTry {
            id: request.id,
            verifier,
            caller: CallerTag::new(key, &request.token, request.caller),
            limits: TryLimits::DEFAULT,
        };
        let counted = self.table.perform(Work::CountTry(passphrase_try)).await;
        if matches!(counted, Err(StoreError::PassphraseLocked { .. })) {
            self.metrics().refusals.inc(Limit::PassphraseTries);
        }
        match counted? {
            Output::TryCounted => {
                self.metrics().passphrase_tries.inc();
            }
            _ => return Err(unexpected_output()),
        }
        Ok(Some(permit.stretch(passphrase.clone(), request.token.clone()).await?))
    }
}

fn seal_creation(
    key: &Key,
    token: &AccessToken,
    passphrase: Option<&PassphraseKey>,
    message: &NewMessage,
) -> Result<Creation, StoreError> {
    let NewMessage { content, create_time, ttl, expire_time, request, passphrase: _ } = message;
    let seal = MessageSeal::new(key, token, passphrase);
    Ok(Creation {
        verifier: Verifier::of_token(token),
        key_id: key.id().clone(),
        content_kind: content.kind(),
        sealed_content: seal.seal(content, *expire_time).map_err(|error| log_seal_error(&error))?,
        create_time: *create_time,
        expire_time: *expire_time,
        passphrase_verifier: passphrase.map(|passphrase| Verifier::of_passphrase(token, passphrase)),
        request: request.map(|request| CreationRequest {
            hash: Verifier::of_request(request),
            content_tag: seal.content_tag(content, *ttl),
        }),
    })
}

fn log_seal_error(error: &SealError) -> StoreError {
    tracing::error!(error = %mayfly_bootstrap::ErrorChain(error), "a message cannot be sealed");
    StoreError::Internal
}

fn unexpected_output() -> StoreError {
    tracing::error!("the writer returned the output of other work");
    StoreError::Internal
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::{Keyring, Lifetime, MessageLimits, MessageText, SystemClock},
        storage::{Retention, StorageLimits, register_keys},
    };

    const LIMITS: MessageLimits =
        MessageLimits { max_text_bytes: 5, default_ttl: Lifetime::Never, max_ttl: Lifetime::Never };

    async fn open(dir: &tempfile::TempDir) -> Messages {
        let database = Database::sqlite_file(&dir.path().join("mayfly.db"));
        database.migrate().await.unwrap();
        let keyring = Keyring::generate().unwrap();
        register_keys(&database, &keyring, SystemClock.now()).await.unwrap().unwrap();
        let settings = MessagesSettings {
            retention: Retention { view_grace: Duration::from_secs(600), receipts: Duration::from_secs(3600) },
            storage: StorageLimits { max_messages: 1000, max_bytes: 1 << 30, min_free_bytes: 0 },
            max_text_bytes: LIMITS.max_text_bytes,
        };
        let readers = database.connect_readers().await.unwrap();
        let keyring = SharedKeyring::new(keyring);
        Messages::open(&database, readers, keyring, Arc::new(SystemClock), settings).await.unwrap()
    }

    fn passphrase() -> Option<Passphrase> {
        Passphrase::parse("right".to_owned()).unwrap()
    }

    fn new_message(expire_time: Option<Timestamp>, request: Option<RequestId>) -> NewMessage {
        let content = MessageContent::Text(MessageText::parse("hello".to_owned(), &LIMITS).unwrap());
        let (create_time, ttl, passphrase) = (SystemClock.now(), None, None);
        NewMessage { content, create_time, ttl, expire_time, request, passphrase }
    }

    async fn insert(messages: &Messages, passphrase: Option<Passphrase>) -> Result<StoredMessage, StoreError> {
        let content = MessageContent::Text(MessageText::parse("hello".to_owned(), &LIMITS).unwrap());
        let create_time = SystemClock.now();
        let (ttl, expire_time, request) = (None, None, None);
        messages.insert(NewMessage { content, create_time, ttl, expire_time, request, passphrase }).await
    }

    async fn view(messages: &Messages, stored: &StoredMessage) -> Result<ViewedMessage, StoreError> {
        let StoredMessage { id, token, .. } = stored;
        let (token, passphrase) = (token.clone(), passphrase());
        let request = ViewRequest { id: *id, token, view_id: None, passphrase, accepts_sealed: false, caller: "a" };
        messages.view(request).await
    }

    #[tokio::test]
    async fn messages_are_counted_once_and_repeats_are_not() {
        let dir = tempfile::tempdir().unwrap();
        let messages = open(&dir).await;
        let request = RequestId::parse("3f1c2a9e-7d56-4f0e-8b0a-1c6a2f9d4e11").unwrap();
        let stored = messages.insert(new_message(None, request)).await.unwrap();
        messages.insert(new_message(None, request)).await.unwrap();
        messages.insert(new_message(Some(SystemClock.now()), None)).await.unwrap();
        assert!(view(&messages, &stored).await.is_ok() && view(&messages, &stored).await.is_err());
        messages.insert(new_message(None, request)).await.unwrap();
        let burned = messages.insert(new_message(None, None)).await.unwrap();
        for _ in 0..2 {
            messages.burn(burned.id, burned.token.clone()).await.unwrap();
        }
        for _ in 0..2 {
            messages.sweep().await.unwrap();
        }
        let created = "{\"text\": 3, \"sealed\": 0}";
        assert_eq!(messages.metrics().message_counts(), (created.to_owned(), [1, 1, 1]));
        assert_eq!(format!("{:?}", messages.metrics().swept), "{\"message\": 1, \"claim\": 0, \"receipt\": 0}");
    }

    #[tokio::test]
    async fn no_try_is_counted_for_a_reader_that_is_rejected_by_overload() {
        let dir = tempfile::tempdir().unwrap();
        let messages = open(&dir).await;
        let stored = insert(&messages, passphrase()).await.unwrap();
        let all = messages.stretcher.readers.reserve_all();
        for _ in 0..=TryLimits::DEFAULT.per_caller {
            assert_eq!(view(&messages, &stored).await.err(), Some(StoreError::Overloaded));
        }
        drop(all);
        assert!(view(&messages, &stored).await.is_ok());
    }

    #[tokio::test]
    async fn many_creators_cause_no_reader_to_be_rejected() {
        let dir = tempfile::tempdir().unwrap();
        let messages = open(&dir).await;
        let stored = insert(&messages, passphrase()).await.unwrap();
        let _all = messages.stretcher.creators.reserve_all();
        assert_eq!(insert(&messages, passphrase()).await.err(), Some(StoreError::Overloaded));
        assert!(insert(&messages, None).await.is_ok(), "without a passphrase there is nothing to stretch");
        assert!(view(&messages, &stored).await.is_ok());
    }

    #[tokio::test]
    async fn a_reader_whose_try_was_counted_is_not_rejected_by_later_overload() {
        let dir = tempfile::tempdir().unwrap();
        let messages = open(&dir).await;
        let stored = insert(&messages, passphrase()).await.unwrap();
        let occupied = messages.stretcher.readers.occupy_cores();
        let counted = async {
            while messages.table.count_tries().await == 0 {
                tokio::task::yield_now().await;
            }
            let slots: Vec<_> = std::iter::from_fn(|| messages.table.reserve().ok()).collect();
            assert_eq!(view(&messages, &stored).await.err(), Some(StoreError::Overloaded), "a later reader");
            drop(occupied);
            slots
        };
        let (viewed, _slots) = tokio::join!(view(&messages, &stored), counted);
        assert!(viewed.is_ok(), "{:?}", viewed.err());
    }
}
