//! The messages.

use std::{sync::Arc, time::Duration};

use sea_orm::{
    ColumnTrait as _, Condition, DatabaseConnection, DbErr, EntityTrait as _, QueryFilter as _, QuerySelect as _,
};
use tokio::sync::broadcast;

use super::{
    batch::{Acknowledgement, Answer, Creation, Erasure, ErasureReason, Work},
    database::Database,
    entities::{content_kind, messages, receipts},
    failure::read,
    passphrase_tries::PassphraseTry,
    writer::Writer,
};
use crate::{
    StoreError,
    domain::{
        AccessToken, CallerTag, ClaimSeal, Clock, ContentKind, Key, KeyId, Keyring, Lookup, MessageContent, MessageId,
        MessageSeal, Outcome, Passphrase, PassphraseSalt, Receipt, RequestId, SealError, Timestamp, TryLimits, ViewId,
    },
    keys::SharedKeyring,
    stretcher::Stretcher,
};

/// How many messages, claims or receipts one transaction sweeps.
const SWEEP_LIMIT: u64 = 500;

/// All messages of a store.
#[derive(Clone)]
pub(crate) struct Messages {
    readers: DatabaseConnection,
    writer: Writer,
    keyring: SharedKeyring,
    clock: Arc<dyn Clock>,
    stretcher: Stretcher,
    times: Retention,
}

/// How long what is left of a message is kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Retention {
    /// A text that its reader may ask for again.
    pub(crate) view_grace: Duration,
    /// A receipt.
    pub(crate) receipts: Duration,
}

/// A message to be stored.
pub(crate) struct NewMessage {
    pub(crate) content: MessageContent,
    pub(crate) create_time: Timestamp,
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
    salt: PassphraseSalt,
    content_kind: ContentKind,
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
        keyring: SharedKeyring,
        clock: Arc<dyn Clock>,
        times: Retention,
    ) -> Self {
        let writer = Writer::start(database, &clock);
        Self { readers, writer, keyring, clock, stretcher: Stretcher::new(), times }
    }

    /// Seals and stores a message; a repeated request finds the message of the first.
    pub(crate) async fn insert(&self, message: NewMessage) -> Result<Stored, StoreError> {
        let keyring = self.keyring.load();
        let key = keyring.sealing(message.create_time);
        let token = match message.request {
            None => AccessToken::generate().map_err(|error| cannot_seal(&error.into()))?,
            Some(request) => AccessToken::for_request(key, request, &message.content, message.passphrase.as_ref()),
        };
        if let Some(earlier) = self.stored_under_another_key(&keyring, key, &message).await? {
            return Ok(earlier);
        }
        let passphrase = match message.passphrase {
            None => None,
            Some(passphrase) => {
                let salt = PassphraseSalt::generate().map_err(|error| cannot_seal(&error.into()))?;
                Some((salt, self.stretcher.creators.take_place()?.stretch(passphrase, salt).await?))
            }
        };
        let seal = MessageSeal::new(key, &token, passphrase.as_ref().map(|(_, key)| key));
        let creation = Creation {
            verifier: seal.verifier(),
            key_id: seal.key_id().clone(),
            content_kind: message.content.kind(),
            sealed_text: seal.seal(&message.content, message.expire_time).map_err(|error| cannot_seal(&error))?,
            create_time: message.create_time,
            expire_time: message.expire_time,
            passphrase: passphrase.map(|(salt, _)| salt).zip(seal.passphrase_verifier()),
            is_repeatable: message.request.is_some(),
        };
        match self.writer.perform(Work::Create(creation)).await? {
            Answer::Stored { id, create_time, expire_time } => Ok(Stored { id, token, create_time, expire_time }),
            _ => Err(wrong_answer()),
        }
    }

    /// Erases an unread message and answers its content; with a view id it keeps that for this reader for a while.
    pub(crate) async fn view(&self, view: View<'_>) -> Result<Viewed, StoreError> {
        // Whoever has to be turned away is turned away here, before a try of a passphrase is counted.
        let turn = self.writer.reserve(view.id.affinity())?;
        let seals = match self.seal_behind_passphrase(&view).await? {
            Some(seal) => vec![seal],
            None => self.seals(&view.token),
        };
        let claims = view.view_id.map(|view_id| self.claims(&view.token, view_id)).unwrap_or_default();
        let reason = ErasureReason::View { claims, grace: self.times.view_grace, accepts_sealed: view.accepts_sealed };
        match turn.perform(self.erasure(view.id, seals, reason)).await? {
            Answer::Viewed { content, create_time, repeat_until } => Ok(Viewed { content, create_time, repeat_until }),
            _ => Err(wrong_answer()),
        }
    }

    /// Erases a text that its reader has; answers when it was viewed.
    pub(crate) async fn acknowledge(
        &self,
        id: MessageId,
        token: &AccessToken,
        view_id: ViewId,
    ) -> Result<Timestamp, StoreError> {
        let verifiers = self.seals(token).iter().map(MessageSeal::verifier).collect();
        let claim_verifiers = self.claims(token, view_id).iter().map(ClaimSeal::verifier).collect();
        let acknowledgement = Acknowledgement { id, verifiers, claim_verifiers };
        match self.writer.perform(Work::Acknowledge(acknowledgement)).await? {
            Answer::Acknowledged { view_time } => Ok(view_time),
            _ => Err(wrong_answer()),
        }
    }

    /// Erases an unread message; answers when that was done first.
    pub(crate) async fn burn(&self, id: MessageId, token: &AccessToken) -> Result<Timestamp, StoreError> {
        match self.writer.perform(self.erasure(id, self.seals(token), ErasureReason::Burn)).await? {
            Answer::Burned { time } => Ok(time),
            _ => Err(wrong_answer()),
        }
    }

    /// Where a message stands.
    pub(crate) async fn lookup(&self, id: MessageId, token: &AccessToken) -> Result<Lookup, StoreError> {
        let verifiers = self.seals(token).iter().map(|seal| seal.verifier().to_column()).collect();
        let found = read("looking a message up", self.find(id, verifiers)).await?;
        found.ok_or(StoreError::MessageNotFound)
    }

    /// The messages that end from now on, through this store.
    pub(crate) fn ended(&self) -> broadcast::Receiver<MessageId> {
        self.writer.ended()
    }

    /// Turns expired messages into receipts, and purges forfeited claims and old receipts, in small transactions, until none
    /// is left.
    pub(crate) async fn sweep(&self) -> Result<(), StoreError> {
        loop {
            let work = Work::Sweep { limit: SWEEP_LIMIT, receipt_retention: self.times.receipts };
            match self.writer.perform(work).await? {
                Answer::Swept { expired, forfeited, purged } => {
                    if expired + forfeited + purged > 0 {
                        tracing::debug!(expired, forfeited, purged, "swept");
                    }
                    if expired.max(forfeited).max(purged) < SWEEP_LIMIT {
                        return Ok(());
                    }
                }
                _ => return Err(wrong_answer()),
            }
        }
    }

    /// Ends when a write lane has, which none does by itself.
    pub(crate) async fn lane_ended(&self) {
        self.writer.lane_ended().await;
    }

    /// Whether the database answers.
    pub(crate) async fn ping(&self) -> bool {
        self.readers.ping().await.is_ok()
    }

    fn erasure(&self, id: MessageId, seals: Vec<MessageSeal>, reason: ErasureReason) -> Work {
        Work::Erase(Erasure { id, seals, reason, receipt_retention: self.times.receipts })
    }

    /// What `token` makes of each key: the message says only after it was found which one it was sealed with.
    fn seals(&self, token: &AccessToken) -> Vec<MessageSeal> {
        self.keyring.load().keys().map(|key| MessageSeal::new(key, token, None)).collect()
    }

    fn claims(&self, token: &AccessToken, view_id: ViewId) -> Vec<ClaimSeal> {
        self.keyring.load().keys().map(|key| ClaimSeal::new(key, token, view_id)).collect()
    }

    /// The seal that the passphrase makes, if the message has one and one was given. The try is counted before it is made, and
    /// a place to stretch the passphrase is taken before that: whoever is turned away has tried nothing.
    async fn seal_behind_passphrase(&self, view: &View<'_>) -> Result<Option<MessageSeal>, StoreError> {
        let Some(passphrase) = &view.passphrase else { return Ok(None) };
        let protected = read("looking for a passphrase", self.find_salt(view.id, &view.token)).await?;
        let Some(Protected { key_id, salt, content_kind }) = protected else { return Ok(None) };
        // Whoever cannot open the content is told so, and has tried nothing.
        if content_kind == ContentKind::Sealed && !view.accepts_sealed {
            return Ok(None);
        }
        let keyring = self.keyring.load();
        let Some(key) = keyring.key(&key_id) else { return Ok(None) };
        let place = self.stretcher.readers.take_place()?;
        let passphrase_try = PassphraseTry {
            id: view.id,
            verifier: MessageSeal::new(key, &view.token, None).verifier(),
            caller: CallerTag::new(key, &view.token, view.caller),
            limits: TryLimits::DEFAULT,
        };
        match self.writer.perform(Work::CountTry(passphrase_try)).await? {
            Answer::TryCounted => {}
            _ => return Err(wrong_answer()),
        }
        let stretched = place.stretch(passphrase.clone(), salt).await?;
        Ok(Some(MessageSeal::new(key, &view.token, Some(&stretched))))
    }

    /// What is known of an unread message that has a passphrase. What expired asks for none: it is said to be gone.
    async fn find_salt(&self, id: MessageId, token: &AccessToken) -> Result<Option<Protected>, DbErr> {
        let verifiers = self.seals(token).into_iter().map(|seal| seal.verifier().to_column());
        let unexpired = Condition::any()
            .add(messages::Column::ExpireTime.is_null())
            .add(messages::Column::ExpireTime.gt(self.clock.now().micros()));
        let row: Option<(String, Option<Vec<u8>>, content_kind::ContentKind)> = messages::Entity::find_by_id(id.get())
            .select_only()
            .columns([messages::Column::KeyId, messages::Column::PassphraseSalt, messages::Column::ContentKind])
            .filter(messages::Column::Verifier.is_in(verifiers))
            .filter(unexpired)
            .into_tuple()
            .one(&self.readers)
            .await?;
        Ok(row.and_then(|(key_id, salt, content_kind)| {
            let salt = PassphraseSalt::from_column(salt?.as_slice())?;
            Some(Protected { key_id: KeyId::from_column(key_id), salt, content_kind: content_kind.into() })
        }))
    }

    /// A request that was made first before `sealing` became the key to seal with has its token from another one.
    async fn stored_under_another_key(
        &self,
        keyring: &Keyring,
        sealing: &Key,
        message: &NewMessage,
    ) -> Result<Option<Stored>, StoreError> {
        let Some(request) = message.request else { return Ok(None) };
        for key in keyring.keys().filter(|key| key.id() != sealing.id()) {
            let token = AccessToken::for_request(key, request, &message.content, message.passphrase.as_ref());
            let verifier = MessageSeal::new(key, &token, None).verifier().to_column();
            let found = read("looking for a request", self.find_created(verifier)).await?;
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
        let created = |id, create_time, expire_time: Option<i64>| {
            let times = (Timestamp::from_micros(create_time), expire_time.map(Timestamp::from_micros));
            (MessageId::from_column(id), times.0, times.1)
        };
        let unread = messages::Entity::find().filter(messages::Column::Verifier.eq(verifier.clone()));
        if let Some(row) = unread.one(&self.readers).await? {
            return Ok(Some(created(row.id, row.create_time, row.expire_time)));
        }
        let gone = receipts::Entity::find().filter(receipts::Column::Verifier.eq(verifier));
        let row = gone.one(&self.readers).await?;
        Ok(row.map(|row| created(row.message_id, row.create_time, row.expire_time)))
    }

    /// Messages first, then receipts: a message that ends in between has its receipt by then.
    async fn find(&self, id: MessageId, verifiers: Vec<Vec<u8>>) -> Result<Option<Lookup>, DbErr> {
        let unread: Option<(i64, Option<i64>, content_kind::ContentKind, bool)> =
            messages::Entity::find_by_id(id.get())
                .select_only()
                .columns([messages::Column::CreateTime, messages::Column::ExpireTime, messages::Column::ContentKind])
                .expr(messages::Column::PassphraseSalt.is_not_null())
                .filter(messages::Column::Verifier.is_in(verifiers.clone()))
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

#[cfg(test)]
mod tests {
    use sea_orm::PaginatorTrait as _;

    use super::{super::entities::passphrase_tries, *};
    use crate::domain::{Lifetime, Limits, MessageText, SystemClock};

    const LIMITS: Limits = Limits { max_text_bytes: 5, default_ttl: Lifetime::Never, max_ttl: Lifetime::Never };

    async fn open(folder: &tempfile::TempDir) -> Messages {
        let database = Database::sqlite_file(&folder.path().join("mayfly.db"));
        database.migrate().await.unwrap();
        let keyring = SharedKeyring::new(Keyring::generate().unwrap());
        let times = Retention { view_grace: Duration::from_secs(600), receipts: Duration::from_secs(3600) };
        Messages::open(&database, database.connect_readers().await.unwrap(), keyring, Arc::new(SystemClock), times)
    }

    fn passphrase() -> Option<Passphrase> {
        Passphrase::parse("right".to_owned()).unwrap()
    }

    async fn insert(messages: &Messages, passphrase: Option<Passphrase>) -> Result<Stored, StoreError> {
        let content = MessageContent::Text(MessageText::parse("hello".to_owned(), &LIMITS).unwrap());
        let create_time = SystemClock.now();
        messages.insert(NewMessage { content, create_time, expire_time: None, request: None, passphrase }).await
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
