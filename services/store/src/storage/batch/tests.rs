//! Results of callers in a batch that want the same message, in every order.

use std::{path::Path, time::Duration};

use sea_orm::{ConnectionTrait as _, Database, DbBackend, Statement};

use super::super::{
    capacity::Budget, lane_connection::Transaction, sqlite_connection::SqliteConnection, usage::UsageChanges,
};
use super::*;
use crate::{
    domain::{
        AccessToken, Argon2Memory, Clock, ContentKind, Keyring, Lifetime, MessageContent, MessageLimits, MessageSeal,
        MessageText, Outcome, Passphrase, PassphraseKey, Receipt, RequestId, SealedContent, Timestamp, Verifier,
        ViewId,
    },
    metrics::MessageCounts,
};

const NOW: Timestamp = Timestamp::from_micros(1_000_000);
const HOUR: Duration = Duration::from_secs(3600);
const TEXT: &str = "hello";
const LIMITS: MessageLimits =
    MessageLimits { max_text_bytes: 5, default_ttl: Lifetime::Never, max_ttl: Lifetime::Never };

/// A kind of caller that views the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Caller {
    /// Accepts any content, and sends the passphrase if there is one.
    Reader,
    /// Like the reader, with a view id.
    Claimer,
    /// Does not accept sealed content.
    TextOnly,
    /// Sends a wrong passphrase.
    Guesser,
    /// Sends no passphrase.
    NoPassphrase,
}

struct Fixture {
    keyring: Keyring,
    token: AccessToken,
    kind: ContentKind,
    passphrase: Option<&'static str>,
    request: Option<RequestId>,
}

impl Fixture {
    fn new(kind: ContentKind, passphrase: Option<&'static str>) -> Self {
        Self::with_keyring(Keyring::generate().unwrap(), kind, passphrase)
    }

    fn with_keyring(keyring: Keyring, kind: ContentKind, passphrase: Option<&'static str>) -> Self {
        Self { keyring, token: AccessToken::generate().unwrap(), kind, passphrase, request: None }
    }

    /// A message whose creation can be repeated.
    fn repeatable(keyring: &Keyring, id: &str) -> Self {
        let request = RequestId::parse(id).unwrap();
        let token = AccessToken::for_request(keyring.sealing(NOW), request.unwrap());
        let fixture = Self::with_keyring(keyring.clone(), ContentKind::Text, None);
        Self { token, request, ..fixture }
    }

    fn stretch(&self, text: &str) -> PassphraseKey {
        PassphraseKey::derive(
            &Passphrase::parse(text.to_owned()).unwrap().unwrap(),
            &self.token,
            &mut Argon2Memory::default(),
        )
        .unwrap()
    }

    fn content(&self) -> MessageContent {
        match self.kind {
            ContentKind::Text => MessageContent::Text(MessageText::parse(TEXT.to_owned(), &LIMITS).unwrap()),
            ContentKind::Sealed => MessageContent::Sealed(SealedContent::parse(TEXT.into(), &LIMITS).unwrap()),
        }
    }

    fn creation(&self) -> Work {
        self.creation_of(&self.content(), None)
    }

    fn creation_of(&self, content: &MessageContent, ttl: Option<Duration>) -> Work {
        let key = self.keyring.sealing(NOW);
        let passphrase = self.passphrase.map(|text| self.stretch(text));
        let seal = MessageSeal::new(key, &self.token, passphrase.as_ref());
        Work::Create(Box::new(Creation {
            verifier: Verifier::of_token(&self.token),
            key_id: key.id().clone(),
            content_kind: self.kind,
            sealed_content: seal.seal(content, None).unwrap(),
            create_time: NOW,
            expire_time: None,
            passphrase_verifier: passphrase.map(|passphrase| Verifier::of_passphrase(&self.token, &passphrase)),
            request: self.request.map(|request| CreationRequest {
                hash: Verifier::of_request(request),
                content_tag: seal.content_tag(content, ttl),
            }),
        }))
    }

    fn view(&self, id: MessageId, caller: Caller) -> Work {
        let passphrase = match caller {
            Caller::Reader | Caller::Claimer | Caller::TextOnly => self.passphrase,
            Caller::Guesser => Some("wrong"),
            Caller::NoPassphrase => None,
        };
        let view_id = ViewId::parse("3f1c2a9e-7d56-4f0e-8b0a-1c6a2f9d4e11").unwrap();
        let view_id = view_id.filter(|_| caller == Caller::Claimer);
        let reason = ErasureReason::View { view_id, accepts_sealed: caller != Caller::TextOnly };
        let passphrase = passphrase.map(|text| self.stretch(text));
        Work::Erase(Box::new(Erasure::new(id, self.token.clone(), passphrase, reason)))
    }

    /// Stores the message, and lets all of `callers` view it in one batch.
    async fn view_as(&self, callers: &[Caller]) -> Vec<Result<Output, StoreError>> {
        let database = begin(&self.keyring).await;
        let id = stored(&batch(&self.keyring, &database, &[self.creation()]).await[0]);
        let work: Vec<_> = callers.iter().map(|caller| self.view(id, *caller)).collect();
        batch(&self.keyring, &database, &work).await
    }
}

/// A transaction on a new database with the keys.
async fn begin(keyring: &Keyring) -> SqliteConnection {
    let migrated = Database::connect("sqlite::memory:").await.unwrap();
    mayfly_migrations::apply(&migrated).await.unwrap();
    let schema = "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%'";
    let schema = migrated.query_all_raw(Statement::from_string(DbBackend::Sqlite, schema)).await.unwrap();
    let database = SqliteConnection::open(Path::new(":memory:"), Duration::ZERO).unwrap();
    for row in schema {
        database.run(&row.try_get_by_index::<String>(0).unwrap()).unwrap();
    }
    for key in keyring.keys() {
        let insert = format!("INSERT INTO sealing_keys (key_id, create_time) VALUES ('{}', 0)", key.id().as_str());
        database.run(&insert).unwrap();
    }
    database.run("BEGIN").unwrap();
    database
}

fn stored(result: &Result<Output, StoreError>) -> MessageId {
    let Ok(Output::Stored { id, .. }) = result else { panic!("nothing was stored: {:?}", result.as_ref().err()) };
    *id
}

/// A clock that always shows the same time.
struct FixedClock;

impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        NOW
    }
}

async fn batch(keyring: &Keyring, database: &SqliteConnection, work: &[Work]) -> Vec<Result<Output, StoreError>> {
    batch_in(Budget::unlimited(), &FixedClock, keyring, database, work).await.results
}

async fn batch_in(
    budget: Budget,
    clock: &dyn Clock,
    keyring: &Keyring,
    database: &SqliteConnection,
    work: &[Work],
) -> BatchOutcome {
    let retention = Retention { view_grace: HOUR, receipts: HOUR };
    let transaction = &Transaction::Sqlite(database);
    let (usage, ended, counts) = (UsageChanges::default(), Vec::new(), MessageCounts::default());
    let context = BatchContext { transaction, keyring, clock, retention, budget, shard: 0, usage, ended, counts };
    match run(context, work, &[]).await {
        Ok(done) => done,
        Err(BatchError::HandOver { index, .. }) => panic!("the content for the work at {index} cannot be opened"),
        Err(BatchError::Database { error, .. }) => panic!("{error}"),
    }
}

fn has_content(result: &Result<Output, StoreError>) -> bool {
    matches!(result, Ok(Output::Viewed { content, .. }) if content.as_bytes() == TEXT.as_bytes())
}

fn is_too_late(result: &Result<Output, StoreError>) -> bool {
    matches!(result, Err(StoreError::MessageGone(Receipt { outcome: Outcome::Viewed, .. })))
}

#[tokio::test]
async fn the_first_caller_that_may_view_the_message_gets_it() {
    let fixtures = [
        (Fixture::new(ContentKind::Sealed, None), Caller::TextOnly),
        (Fixture::new(ContentKind::Text, Some("right")), Caller::Guesser),
        (Fixture::new(ContentKind::Text, Some("right")), Caller::NoPassphrase),
        (Fixture::new(ContentKind::Sealed, Some("right")), Caller::TextOnly),
        (Fixture::new(ContentKind::Sealed, Some("right")), Caller::Guesser),
    ];
    for (fixture, other) in fixtures {
        for winner in [Caller::Reader, Caller::Claimer] {
            for callers in [[other, winner, other], [winner, other, winner], [other, other, winner]] {
                let results = fixture.view_as(&callers).await;
                let first = callers.iter().position(|caller| *caller == winner).unwrap();
                for (index, (caller, result)) in callers.iter().zip(&results).enumerate() {
                    // A repeated view is not a second reader.
                    let may_have_it = index == first || *caller == Caller::Claimer;
                    let as_expected = if may_have_it { has_content(result) } else { is_too_late(result) };
                    assert!(as_expected, "{index} of {callers:?}");
                }
            }
        }
    }
}

#[tokio::test]
async fn callers_that_may_not_view_the_message_get_the_reason() {
    let sealed = Fixture::new(ContentKind::Sealed, None).view_as(&[Caller::TextOnly, Caller::TextOnly]).await;
    assert!(sealed.iter().all(|result| matches!(result, Err(StoreError::MessageSealed))));
    let guarded =
        Fixture::new(ContentKind::Text, Some("right")).view_as(&[Caller::Guesser, Caller::NoPassphrase]).await;
    assert!(matches!(guarded.as_slice(), [Err(StoreError::PassphraseWrong), Err(StoreError::PassphraseRequired)]));
}

const REQUEST_ID: &str = "3f1c2a9e-7d56-4f0e-8b0a-1c6a2f9d4e12";

#[tokio::test]
async fn a_creation_in_the_same_batch_as_a_repeated_one_is_stored() {
    let keyring = Keyring::generate().unwrap();
    let text = || Fixture::with_keyring(keyring.clone(), ContentKind::Text, None);
    let (repeated, single) = (Fixture::repeatable(&keyring, REQUEST_ID), text());
    let database = begin(&keyring).await;
    let first = stored(&batch(&keyring, &database, &[repeated.creation()]).await[0]);
    let both = batch(&keyring, &database, &[single.creation(), repeated.creation()]).await;
    assert!(stored(&both[0]) > first);
    assert_eq!(stored(&both[1]), first);

    assert!(has_content(&batch(&keyring, &database, &[repeated.view(first, Caller::Reader)]).await[0]));
    let both = batch(&keyring, &database, &[repeated.creation(), text().creation()]).await;
    assert_eq!(stored(&both[0]), first, "from the receipt");
    assert!(stored(&both[1]) > first);
}

#[tokio::test]
async fn a_request_in_one_batch_is_one_message_and_another_content_is_a_conflict() {
    let keyring = Keyring::generate().unwrap();
    let fixture = Fixture::repeatable(&keyring, REQUEST_ID);
    let other = MessageContent::Text(MessageText::parse("other".to_owned(), &LIMITS).unwrap());
    let conflicts = |result: &Result<Output, StoreError>| matches!(result, Err(StoreError::RequestConflict));
    let database = begin(&keyring).await;
    let work = [fixture.creation(), fixture.creation(), fixture.creation_of(&other, None)];
    let done = batch_in(Budget::unlimited(), &FixedClock, &keyring, &database, &work).await;
    assert_eq!(done.change.messages, 1, "one message is counted");
    let first = stored(&done.results[0]);
    assert_eq!(stored(&done.results[1]), first);
    assert!(conflicts(&done.results[2]));
    let again =
        [fixture.creation(), fixture.creation_of(&other, None), fixture.creation_of(&fixture.content(), Some(HOUR))];
    let done = batch_in(Budget::unlimited(), &FixedClock, &keyring, &database, &again).await;
    assert_eq!((stored(&done.results[0]), done.change), (first, Usage::default()));
    assert!(conflicts(&done.results[1]) && conflicts(&done.results[2]), "another text, another lifetime");
    // The content tag is deleted with the message.
    batch(&keyring, &database, &[fixture.view(first, Caller::Reader)]).await;
    assert_eq!(stored(&batch(&keyring, &database, &again[1..2]).await[0]), first);
}

#[tokio::test]
async fn a_request_with_another_key_returns_that_key() {
    let old = Keyring::generate().unwrap();
    let new = old.clone().with(crate::domain::Key::generate(None).unwrap());
    let (before, after) = (Fixture::repeatable(&old, REQUEST_ID), Fixture::repeatable(&new, REQUEST_ID));
    let key = old.sealing(NOW).id().clone();
    let returns_key =
        |result: &Result<Output, StoreError>| matches!(result, Ok(Output::UnderOtherKey(other)) if *other == key);
    let database = begin(&new).await;
    let first = stored(&batch(&new, &database, &[before.creation()]).await[0]);
    assert!(returns_key(&batch(&new, &database, &[after.creation()]).await[0]));
    assert_eq!(stored(&batch(&new, &database, &[before.creation()]).await[0]), first);
    batch(&new, &database, &[before.view(first, Caller::Reader)]).await;
    let done = batch_in(Budget::unlimited(), &FixedClock, &new, &database, &[after.creation()]).await;
    assert!(returns_key(&done.results[0]));
    assert_eq!(done.change, Usage::default(), "nothing new is stored");
}

#[tokio::test]
async fn nothing_is_stored_under_a_key_that_is_being_retired() {
    let fixture = Fixture::new(ContentKind::Text, None);
    let database = begin(&fixture.keyring).await;
    database.run("UPDATE sealing_keys SET retire_time = 1").unwrap();
    assert!(matches!(batch(&fixture.keyring, &database, &[fixture.creation()]).await[0], Ok(Output::KeyRetired)));
    database.run("UPDATE sealing_keys SET retire_time = NULL").unwrap();
    stored(&batch(&fixture.keyring, &database, &[fixture.creation()]).await[0]);
}

#[tokio::test]
async fn a_full_store_rejects_new_messages_and_finds_repeated_ones() {
    let keyring = Keyring::generate().unwrap();
    let fixture = Fixture::repeatable(&keyring, REQUEST_ID);
    let database = begin(&keyring).await;
    let first = stored(&batch(&keyring, &database, &[fixture.creation()]).await[0]);
    let new = Fixture::with_keyring(keyring.clone(), ContentKind::Text, None);
    let none = Budget::none();
    let done = batch_in(none, &FixedClock, &keyring, &database, &[new.creation(), fixture.creation()]).await;
    assert!(matches!(done.results[0], Err(StoreError::StorageFull)));
    assert_eq!(stored(&done.results[1]), first);
    assert!(has_content(&batch(&keyring, &database, &[fixture.view(first, Caller::Reader)]).await[0]));
}

/// A clock that advances by an hour with each call.
struct AdvancingClock(std::sync::atomic::AtomicI64);

impl Clock for AdvancingClock {
    fn now(&self) -> Timestamp {
        let hours = self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        NOW.after(HOUR * u32::try_from(hours).unwrap())
    }
}

/// As if the statement waited for the row lock of another database.
#[tokio::test]
async fn a_message_that_expires_during_a_wait_for_its_row_is_not_returned() {
    let fixture = Fixture::new(ContentKind::Text, None);
    let database = begin(&fixture.keyring).await;
    let id = stored(&batch(&fixture.keyring, &database, &[fixture.creation()]).await[0]);
    let expire_time = NOW.after(HOUR / 2);
    let expire = format!("UPDATE messages SET expire_time = {}", expire_time.micros());
    database.run(&expire).unwrap();
    let clock = AdvancingClock(std::sync::atomic::AtomicI64::new(0));
    let work = [fixture.view(id, Caller::Reader)];
    let done = batch_in(Budget::unlimited(), &clock, &fixture.keyring, &database, &work).await;
    let expired = Receipt { outcome: Outcome::Expired, time: expire_time };
    assert!(matches!(done.results[0], Err(StoreError::MessageGone(receipt)) if receipt == expired));
    assert_eq!((done.change.messages, done.change.receipts, done.ended.len()), (-1, 1, 1));
}

/// The recorded usage and the actual usage.
fn recorded_and_actual(database: &SqliteConnection) -> [[i64; 4]; 2] {
    let read = |select: &str| {
        let select = Statement::from_string(DbBackend::Sqlite, select);
        let rows = database.query(&select, |row| Ok([0, 1, 2, 3].map(|column| row.get(column).unwrap())));
        rows.unwrap()[0]
    };
    let recorded = read("SELECT SUM(messages), SUM(claims), SUM(receipts), SUM(bytes) FROM usage");
    let actual = read(
        "SELECT (SELECT COUNT(*) FROM messages), (SELECT COUNT(*) FROM claims), (SELECT COUNT(*) FROM receipts),
         (SELECT COALESCE(SUM(LENGTH(sealed_content) + 384), 0) FROM messages)
         + (SELECT COALESCE(SUM(LENGTH(sealed_content) + 384), 0) FROM claims) + (SELECT COUNT(*) * 320 FROM receipts)",
    );
    [recorded, actual]
}

#[tokio::test]
async fn the_recorded_usage_equals_the_actual_usage() {
    let keyring = Keyring::generate().unwrap();
    let fixtures: Vec<_> = (0..5).map(|_| Fixture::with_keyring(keyring.clone(), ContentKind::Text, None)).collect();
    let database = begin(&keyring).await;
    let creations: Vec<_> = fixtures.iter().map(Fixture::creation).collect();
    let ids: Vec<_> = batch(&keyring, &database, &creations).await.iter().map(stored).collect();
    let view_id = ViewId::parse("3f1c2a9e-7d56-4f0e-8b0a-1c6a2f9d4e11").unwrap().unwrap();
    let acknowledgement = Acknowledgement {
        id: ids[1],
        verifier: Verifier::of_token(&fixtures[1].token),
        claim_verifier: Verifier::of_claim(&fixtures[1].token, view_id),
    };
    let burn = Erasure::new(ids[3], fixtures[3].token.clone(), None, ErasureReason::Burn);
    let steps = [
        fixtures[0].view(ids[0], Caller::Reader),
        fixtures[1].view(ids[1], Caller::Claimer),
        fixtures[2].view(ids[2], Caller::Claimer),
        Work::Acknowledge(acknowledgement),
        Work::Erase(Box::new(burn)),
        Work::Sweep,
    ];
    for step in steps {
        batch(&keyring, &database, &[step]).await;
        let [recorded, actual] = recorded_and_actual(&database);
        assert_eq!(recorded, actual);
    }
    database.run("UPDATE messages SET expire_time = 1").unwrap();
    database.run("UPDATE claims SET forfeit_time = 1").unwrap();
    batch(&keyring, &database, &[Work::Sweep]).await;
    let [recorded, actual] = recorded_and_actual(&database);
    assert_eq!(recorded, actual);
    assert_eq!(recorded[..3], [0, 0, 5]);
    database.run("UPDATE receipts SET purge_time = 1").unwrap();
    batch(&keyring, &database, &[Work::Sweep]).await;
    let [recorded, actual] = recorded_and_actual(&database);
    assert_eq!((recorded, actual), ([0; 4], [0; 4]));
}
