//! The messages.

use std::{sync::Arc, time::Duration};

use sea_orm::{
    ColumnTrait as _, Condition, DatabaseConnection, DbErr, EntityTrait as _, QueryFilter as _, QuerySelect as _,
};
use tokio::sync::broadcast;

use super::{
    batch::{Acknowledgement, Creation, CreationRequest, Erasure, ErasureReason, Output, Swept, Work},
    capacity::{Capacity, StorageLimits},
    database::Database,
    entities::{content_kind, messages, receipts},
    failure::read,
    passphrase_tries::PassphraseTry,
    usage::{self, Usage},
    writer::{Writer, WriterParts},
};
use crate::{
    StoreError,
    domain::{
        AccessToken, CallerTag, Clock, ContentKind, Key, KeyId, Lookup, MessageContent, MessageId, MessageSeal,
        Outcome, Passphrase, PassphraseKey, Receipt, RequestId, SealError, Timestamp, TryLimits, Verifier, ViewId,
    },
    keys::SharedKeyring,
    stretcher::Stretcher,
};

/// How often a creation is sealed anew because its key was retired, or is another one.
const SEAL_TRIES: usize = 4;
/// After how long without a write it is tried whether one is possible.
const PROBE_INTERVAL: Duration = Duration::from_secs(60);

/// All messages of a store.
#[derive(Clone)]
pub(crate) struct Messages {
    readers: DatabaseConnection,
    writer: Writer,
    keyring: SharedKeyring,
    clock: Arc<dyn Clock>,
    stretcher: Stretcher,
    capacity: Capacity,
}

/// How long what is left of a message is kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Retention {
    /// A content that its reader may ask for again.
    pub(crate) view_grace: Duration,
    /// A receipt.
    pub(crate) receipts: Duration,
}

/// What messages are kept with.
pub(crate) struct MessagesSettings {
    pub(crate) retention: Retention,
    pub(crate) storage: StorageLimits,
    /// The longest text, in bytes.
    pub(crate) max_text_bytes: usize,
}

/// A message to be stored.
pub(crate) struct NewMessage {
    pub(crate) content: MessageContent,
    pub(crate) create_time: Timestamp,
    /// The lifetime as the caller asked for it. `None`: the store's default.
    pub(crate) ttl: Option<Duration>,
    /// `None`: never.
    pub(crate) expire_time: Option<Timestamp>,
    /// `None`: this creation is not repeated.
    pub(crate) request: Option<RequestId>,
    pub(crate) passphrase: Option<Passphrase>,
}

/// Who wants to read which message.
pub(crate) struct View<'call> {
    pub(crate) id: MessageId,
    pub(crate) token: AccessToken,
    /// `None`: this view is not repeated.
    pub(crate) view_id: Option<ViewId>,
    pub(crate) passphrase: Option<Passphrase>,
    /// Whether the reader can open what its creator has encrypted.
    pub(crate) accepts_sealed: bool,
    /// What tells callers apart who try passphrases.
    pub(crate) caller: &'call str,
}

/// A content that was handed over.
pub(crate) struct Viewed {
    pub(crate) content: MessageContent,
    pub(crate) create_time: Timestamp,
    /// Until when the same view can be repeated; `None`: it cannot.
    pub(crate) repeat_until: Option<Timestamp>,
}

/// A message that has a passphrase.
struct Protected {
    key_id: KeyId,
    content_kind: ContentKind,
}

/// What became of a creation under one key.
enum Inserted {
    Stored(Stored),
    UnderOtherKey(KeyId),
    KeyRetired,
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
        let capacity = Capacity::new(storage, database.folder());
        let parts = WriterParts {
            clock: Arc::clone(&clock),
            keyring: keyring.clone(),
            retention,
            capacity: capacity.clone(),
            max_text_bytes,
        };
        let writer = Writer::start(database, parts);
        let messages = Self { readers, writer, keyring, clock, stretcher: Stretcher::new(), capacity };
        messages.measure().await?;
        Ok(messages)
    }

    /// Seals and stores a message; a repeated request finds the message of the first.
    pub(crate) async fn insert(&self, message: NewMessage) -> Result<Stored, StoreError> {
        if message.request.is_none() && !self.capacity.room().take(Usage::message(message.content.as_bytes().len())) {
            self.capacity.note_full(true);
            return Err(StoreError::StorageFull);
        }
        let fresh_token = AccessToken::generate().map_err(|error| cannot_seal(&error.into()))?;
        let mut key = self.keyring.load().sealing(message.create_time).clone();
        let mut stretched = None;
        for _ in 0..SEAL_TRIES {
            let token = match message.request {
                None => fresh_token.clone(),
                Some(request) => AccessToken::for_request(&key, request),
            };
            if let Some(passphrase) = message.passphrase.as_ref()
                && stretched.as_ref().is_none_or(|(stretched_for, _)| *stretched_for != token)
            {
                let place = self.stretcher.creators.take_place()?;
                stretched = Some((token.clone(), place.stretch(passphrase.clone(), token.clone()).await?));
            }
            let passphrase = stretched.as_ref().map(|(_, passphrase)| passphrase);
            match self.insert_under(&key, token, passphrase, &message).await? {
                Inserted::Stored(stored) => return Ok(stored),
                Inserted::UnderOtherKey(id) => match self.keyring.load().key(&id) {
                    Some(other) => key = other.clone(),
                    None => {
                        tracing::warn!(key = id.as_str(), "the keyring lacks the key of a repeated creation");
                        return Err(StoreError::Unavailable);
                    }
                },
                Inserted::KeyRetired => {
                    self.keyring.exclude(key.id());
                    key = self.keyring.load().sealing(message.create_time).clone();
                }
            }
        }
        tracing::warn!("a creation found no key that seals");
        Err(StoreError::Unavailable)
    }

    async fn insert_under(
        &self,
        key: &Key,
        token: AccessToken,
        passphrase: Option<&PassphraseKey>,
        message: &NewMessage,
    ) -> Result<Inserted, StoreError> {
        let NewMessage { content, create_time, ttl, expire_time, request, passphrase: _ } = message;
        let seal = MessageSeal::new(key, &token, passphrase);
        let creation = Creation {
            verifier: Verifier::of_token(&token),
            key_id: key.id().clone(),
            content_kind: content.kind(),
            sealed_content: seal.seal(content, *expire_time).map_err(|error| cannot_seal(&error))?,
            create_time: *create_time,
            expire_time: *expire_time,
            passphrase_verifier: passphrase.map(|passphrase| Verifier::of_passphrase(&token, passphrase)),
            request: request.map(|request| CreationRequest {
                hash: Verifier::of_request(request),
                content_tag: seal.content_tag(content, *ttl),
            }),
        };
        match self.writer.perform(Work::Create(Box::new(creation))).await? {
            Output::Stored { id, create_time, expire_time } => {
                Ok(Inserted::Stored(Stored { id, token, create_time, expire_time }))
            }
            Output::UnderOtherKey(key_id) => Ok(Inserted::UnderOtherKey(key_id)),
            Output::KeyRetired => Ok(Inserted::KeyRetired),
            _ => Err(wrong_output()),
        }
    }

    /// Erases an unread message and returns its content; with a view id it keeps that for this reader for a while.
    pub(crate) async fn view(&self, view: View<'_>) -> Result<Viewed, StoreError> {
        // A reader who has to be turned away is turned away here, before a try of a passphrase is counted.
        let turn = self.writer.reserve(view.id.affinity())?;
        let passphrase = self.try_passphrase(&view).await?;
        let View { id, token, view_id, accepts_sealed, .. } = view;
        let erasure = Erasure::new(id, token, passphrase, ErasureReason::View { view_id, accepts_sealed });
        match turn.perform(Work::Erase(Box::new(erasure))).await? {
            Output::Viewed { content, create_time, repeat_until } => Ok(Viewed { content, create_time, repeat_until }),
            _ => Err(wrong_output()),
        }
    }

    /// Erases a content that its reader has; returns when it was viewed.
    pub(crate) async fn acknowledge(
        &self,
        id: MessageId,
        token: &AccessToken,
        view_id: ViewId,
    ) -> Result<Timestamp, StoreError> {
        let (verifier, claim_verifier) = (Verifier::of_token(token), Verifier::of_claim(token, view_id));
        let acknowledgement = Acknowledgement { id, verifier, claim_verifier };
        match self.writer.perform(Work::Acknowledge(acknowledgement)).await? {
            Output::Acknowledged { view_time } => Ok(view_time),
            _ => Err(wrong_output()),
        }
    }

    /// Erases an unread message; returns when that was done first.
    pub(crate) async fn burn(&self, id: MessageId, token: AccessToken) -> Result<Timestamp, StoreError> {
        let erasure = Erasure::new(id, token, None, ErasureReason::Burn);
        match self.writer.perform(Work::Erase(Box::new(erasure))).await? {
            Output::Burned { time } => Ok(time),
            _ => Err(wrong_output()),
        }
    }

    /// Where a message stands.
    pub(crate) async fn lookup(&self, id: MessageId, token: &AccessToken) -> Result<Lookup, StoreError> {
        let found = read("looking a message up", self.find(id, Verifier::of_token(token))).await?;
        found.ok_or(StoreError::MessageNotFound)
    }

    /// The messages that end from now on, through this store.
    pub(crate) fn ended(&self) -> broadcast::Receiver<MessageId> {
        self.writer.ended()
    }

    /// Turns expired messages into receipts, purges forfeited claims and old receipts, and gives free space back, in small
    /// steps, until none is left.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when the database fails.
    pub(crate) async fn sweep(&self) -> Result<(), StoreError> {
        loop {
            match self.writer.perform(Work::Sweep).await? {
                Output::Swept(Swept { expired, forfeited, purged, has_more }) => {
                    if expired + forfeited + purged > 0 {
                        tracing::debug!(expired, forfeited, purged, "swept");
                    }
                    if !has_more {
                        return Ok(());
                    }
                }
                _ => return Err(wrong_output()),
            }
        }
    }

    /// Measures how much is stored, by all stores.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when the database fails.
    pub(crate) async fn measure(&self) -> Result<(), StoreError> {
        self.capacity.measured(read("measuring what is stored", usage::total(&self.readers)).await?);
        Ok(())
    }

    /// Ends when a write lane has, which none does by itself.
    pub(crate) async fn lane_ended(&self) {
        self.writer.lane_ended().await;
    }

    /// Whether the database answers, and can be written to. That is tried when the last write failed, or was long ago.
    pub(crate) async fn is_available(&self) -> bool {
        if self.readers.ping().await.is_err() {
            return false;
        }
        if !self.writer.needs_probe(PROBE_INTERVAL) {
            return true;
        }
        let key_id = self.keyring.load().sealing(self.clock.now()).id().clone();
        match self.writer.perform(Work::Probe(key_id)).await {
            // A writer with too much to do is one that writes.
            Ok(_) | Err(StoreError::Overloaded) => true,
            Err(_) => false,
        }
    }

    /// The stretched passphrase, if the message has one and one was given. The try is counted before it is stretched, and a
    /// place to stretch it is taken before that: a reader who is turned away has tried nothing.
    async fn try_passphrase(&self, view: &View<'_>) -> Result<Option<PassphraseKey>, StoreError> {
        let Some(passphrase) = &view.passphrase else { return Ok(None) };
        let verifier = Verifier::of_token(&view.token);
        let protected = read("looking for a passphrase", self.find_protected(view.id, verifier)).await?;
        let Some(Protected { key_id, content_kind }) = protected else { return Ok(None) };
        // A reader who cannot open the content is told so, and has tried nothing.
        if content_kind == ContentKind::Sealed && !view.accepts_sealed {
            return Ok(None);
        }
        let keyring = self.keyring.load();
        let Some(key) = keyring.key(&key_id) else { return Ok(None) };
        let place = self.stretcher.readers.take_place()?;
        let passphrase_try = PassphraseTry {
            id: view.id,
            verifier,
            caller: CallerTag::new(key, &view.token, view.caller),
            limits: TryLimits::DEFAULT,
        };
        match self.writer.perform(Work::CountTry(passphrase_try)).await? {
            Output::TryCounted => {}
            _ => return Err(wrong_output()),
        }
        Ok(Some(place.stretch(passphrase.clone(), view.token.clone()).await?))
    }

    /// What is known of an unread message that has a passphrase. An expired message asks for none: it is said to be gone.
    async fn find_protected(&self, id: MessageId, verifier: Verifier) -> Result<Option<Protected>, DbErr> {
        let unexpired = Condition::any()
            .add(messages::Column::ExpireTime.is_null())
            .add(messages::Column::ExpireTime.gt(self.clock.now().micros()));
        let row: Option<(String, content_kind::ContentKind)> = messages::Entity::find_by_id(id.get())
            .select_only()
            .columns([messages::Column::KeyId, messages::Column::ContentKind])
            .filter(messages::Column::Verifier.eq(verifier.to_column()))
            .filter(messages::Column::PassphraseVerifier.is_not_null())
            .filter(unexpired)
            .into_tuple()
            .one(&self.readers)
            .await?;
        Ok(row.map(|(key_id, content_kind)| Protected {
            key_id: KeyId::from_column(key_id),
            content_kind: content_kind.into(),
        }))
    }

    /// Messages first, then receipts: a message that ends in between has its receipt by then.
    async fn find(&self, id: MessageId, verifier: Verifier) -> Result<Option<Lookup>, DbErr> {
        let unread: Option<(i64, Option<i64>, content_kind::ContentKind, bool)> =
            messages::Entity::find_by_id(id.get())
                .select_only()
                .columns([messages::Column::CreateTime, messages::Column::ExpireTime, messages::Column::ContentKind])
                .expr(messages::Column::PassphraseVerifier.is_not_null())
                .filter(messages::Column::Verifier.eq(verifier.to_column()))
                .into_tuple()
                .one(&self.readers)
                .await?;
        if let Some((create_time, expire_time, content_kind, needs_passphrase)) = unread {
            let expire_time = expire_time.map(Timestamp::from_micros);
            return Ok(Some(match expire_time.filter(|expire_time| *expire_time <= self.clock.now()) {
                Some(time) => Lookup::Gone(Receipt { outcome: Outcome::Expired, time }),
                None => Lookup::Unread {
                    create_time: Timestamp::from_micros(create_time),
                    expire_time,
                    needs_passphrase,
                    content_kind: content_kind.into(),
                },
            }));
        }
        let gone = receipts::Entity::find_by_id(id.get())
            .filter(receipts::Column::Verifier.eq(verifier.to_column()))
            .one(&self.readers)
            .await?;
        Ok(gone.map(|receipt| Lookup::Gone(Receipt::from(&receipt))))
    }
}

fn cannot_seal(error: &SealError) -> StoreError {
    tracing::error!(error = %mayfly_bootstrap::ErrorChain(error), "a text cannot be sealed");
    StoreError::Internal
}

fn wrong_output() -> StoreError {
    tracing::error!("the writer returned the output of other work");
    StoreError::Internal
}

#[cfg(test)]
mod tests {
    use sea_orm::PaginatorTrait as _;

    use super::{
        super::{entities::passphrase_tries, sealing_keys::claim_database},
        *,
    };
    use crate::domain::{Keyring, Lifetime, Limits, MessageText, SystemClock};

    const LIMITS: Limits = Limits { max_text_bytes: 5, default_ttl: Lifetime::Never, max_ttl: Lifetime::Never };

    async fn open(folder: &tempfile::TempDir) -> Messages {
        let database = Database::sqlite_file(&folder.path().join("mayfly.db"));
        database.migrate().await.unwrap();
        let keyring = Keyring::generate().unwrap();
        claim_database(&database, &keyring, SystemClock.now()).await.unwrap().unwrap();
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

    async fn insert(messages: &Messages, passphrase: Option<Passphrase>) -> Result<Stored, StoreError> {
        let content = MessageContent::Text(MessageText::parse("hello".to_owned(), &LIMITS).unwrap());
        let create_time = SystemClock.now();
        let (ttl, expire_time, request) = (None, None, None);
        messages.insert(NewMessage { content, create_time, ttl, expire_time, request, passphrase }).await
    }

    async fn view(messages: &Messages, stored: &Stored) -> Result<Viewed, StoreError> {
        let Stored { id, token, .. } = stored;
        let (token, passphrase) = (token.clone(), passphrase());
        let view = View { id: *id, token, view_id: None, passphrase, accepts_sealed: false, caller: "a" };
        messages.view(view).await
    }

    #[tokio::test]
    async fn a_reader_who_is_turned_away_has_tried_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let messages = open(&folder).await;
        let stored = insert(&messages, passphrase()).await.unwrap();
        let all = messages.stretcher.readers.fill();
        for _ in 0..=TryLimits::DEFAULT.per_caller {
            assert_eq!(view(&messages, &stored).await.err(), Some(StoreError::Overloaded));
        }
        drop(all);
        assert!(view(&messages, &stored).await.is_ok());
    }

    #[tokio::test]
    async fn a_crowd_of_creators_turns_no_reader_away() {
        let folder = tempfile::tempdir().unwrap();
        let messages = open(&folder).await;
        let stored = insert(&messages, passphrase()).await.unwrap();
        let _all = messages.stretcher.creators.fill();
        assert_eq!(insert(&messages, passphrase()).await.err(), Some(StoreError::Overloaded));
        assert!(insert(&messages, None).await.is_ok(), "who needs no place waits for none");
        assert!(view(&messages, &stored).await.is_ok());
    }

    #[tokio::test]
    async fn whose_try_was_counted_is_not_turned_away_afterwards() {
        let folder = tempfile::tempdir().unwrap();
        let messages = open(&folder).await;
        let stored = insert(&messages, passphrase()).await.unwrap();
        let occupied = messages.stretcher.readers.occupy_cores();
        let counted = async {
            while passphrase_tries::Entity::find().count(&messages.readers).await.unwrap() == 0 {
                tokio::task::yield_now().await;
            }
            let crowd: Vec<_> = std::iter::from_fn(|| messages.writer.reserve(stored.id.affinity()).ok()).collect();
            assert_eq!(view(&messages, &stored).await.err(), Some(StoreError::Overloaded), "whoever comes now");
            drop(occupied);
            crowd
        };
        let (viewed, _crowd) = tokio::join!(view(&messages, &stored), counted);
        assert!(viewed.is_ok(), "{:?}", viewed.err());
    }
}
