//! What callers in one batch get who want the same message, in every order.

use std::time::Duration;

use sea_orm::{ConnectionTrait as _, Database, TransactionTrait as _};

use super::*;
use crate::domain::{
    AccessToken, ContentKind, Lifetime, Limits, MessageSeal, MessageText, Passphrase, PassphraseKey, RequestId,
    SealedContent, StretchMemory, Verifier, ViewId,
};

const NOW: Timestamp = Timestamp::from_micros(1_000_000);
const HOUR: Duration = Duration::from_secs(3600);
const TEXT: &str = "hello";
const LIMITS: Limits = Limits { max_text_bytes: 5, default_ttl: Lifetime::Never, max_ttl: Lifetime::Never };

/// What one caller wants of the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Caller {
    /// Can open anything, and knows the passphrase if there is one.
    Reader,
    /// As the reader, with a view id.
    Claimer,
    /// Can open no sealed content.
    TextOnly,
    /// Gives another passphrase.
    Guesser,
    /// Gives none.
    Unaware,
}

struct World {
    keyring: Keyring,
    token: AccessToken,
    kind: ContentKind,
    passphrase: Option<&'static str>,
    request: Option<RequestId>,
}

impl World {
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
        let world = Self::with_keyring(keyring.clone(), ContentKind::Text, None);
        Self { token, request, ..world }
    }

    fn stretch(&self, text: &str) -> PassphraseKey {
        PassphraseKey::derive(
            &Passphrase::parse(text.to_owned()).unwrap().unwrap(),
            &self.token,
            &mut StretchMemory::default(),
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
            Caller::Unaware => None,
        };
        let view_id = ViewId::parse("3f1c2a9e-7d56-4f0e-8b0a-1c6a2f9d4e11").unwrap();
        let view_id = view_id.filter(|_| caller == Caller::Claimer);
        let reason = ErasureReason::View { view_id, accepts_sealed: caller != Caller::TextOnly };
        let passphrase = passphrase.map(|text| self.stretch(text));
        Work::Erase(Box::new(Erasure::new(id, self.token.clone(), passphrase, reason)))
    }

    /// Stores the message, and lets all of `callers` ask for it in one batch.
    async fn ask(&self, callers: &[Caller]) -> Vec<Result<Output, StoreError>> {
        let transaction = begin(&self.keyring).await;
        let id = stored(&batch(&self.keyring, &transaction, &[self.creation()]).await[0]);
        let work: Vec<_> = callers.iter().map(|caller| self.view(id, *caller)).collect();
        batch(&self.keyring, &transaction, &work).await
    }
}

/// A transaction on a database of its own that knows the keys.
async fn begin(keyring: &Keyring) -> DatabaseTransaction {
    let database = Database::connect("sqlite::memory:").await.unwrap();
    mayfly_migrations::apply(&database).await.unwrap();
    for key in keyring.keys() {
        let note = format!("INSERT INTO sealing_keys (key_id, create_time) VALUES ('{}', 0)", key.id().as_str());
        database.execute_unprepared(&note).await.unwrap();
    }
    database.begin().await.unwrap()
}

fn stored(result: &Result<Output, StoreError>) -> MessageId {
    let Ok(Output::Stored { id, .. }) = result else { panic!("nothing was stored: {:?}", result.as_ref().err()) };
    *id
}

/// A clock that stands still.
struct Standing;

impl Clock for Standing {
    fn now(&self) -> Timestamp {
        NOW
    }
}

async fn batch(keyring: &Keyring, transaction: &DatabaseTransaction, work: &[Work]) -> Vec<Result<Output, StoreError>> {
    batch_in(Room::endless(), &Standing, keyring, transaction, work).await.results
}

async fn batch_in(
    room: Room,
    clock: &dyn Clock,
    keyring: &Keyring,
    transaction: &DatabaseTransaction,
    work: &[Work],
) -> Done {
    let retention = Retention { view_grace: HOUR, receipts: HOUR };
    let (usage, ended) = (UsageChanges::default(), Vec::new());
    let batch = Batch { transaction, keyring, clock, retention, room, shard: 0, usage, ended };
    match batch.perform(work, &[]).await {
        Ok(done) => done,
        Err(BatchError::CannotHandOver { index, .. }) => panic!("the work at {index} took what it cannot open"),
        Err(BatchError::Database { error, .. }) => panic!("{error}"),
    }
}

fn has_it(answer: &Result<Output, StoreError>) -> bool {
    matches!(answer, Ok(Output::Viewed { content, .. }) if content.as_bytes() == TEXT.as_bytes())
}

fn comes_too_late(answer: &Result<Output, StoreError>) -> bool {
    matches!(answer, Err(StoreError::MessageGone(Receipt { outcome: Outcome::Viewed, .. })))
}

#[tokio::test]
async fn what_the_first_may_not_have_goes_to_the_next_who_may() {
    let worlds = [
        (World::new(ContentKind::Sealed, None), Caller::TextOnly),
        (World::new(ContentKind::Text, Some("right")), Caller::Guesser),
        (World::new(ContentKind::Text, Some("right")), Caller::Unaware),
        (World::new(ContentKind::Sealed, Some("right")), Caller::TextOnly),
        (World::new(ContentKind::Sealed, Some("right")), Caller::Guesser),
    ];
    for (world, refused) in worlds {
        for winner in [Caller::Reader, Caller::Claimer] {
            for callers in [[refused, winner, refused], [winner, refused, winner], [refused, refused, winner]] {
                let answers = world.ask(&callers).await;
                let first = callers.iter().position(|caller| *caller == winner).unwrap();
                for (index, (caller, answer)) in callers.iter().zip(&answers).enumerate() {
                    // The same view again is no second reader.
                    let may_have_it = index == first || *caller == Caller::Claimer;
                    let as_expected = if may_have_it { has_it(answer) } else { comes_too_late(answer) };
                    assert!(as_expected, "{index} of {callers:?}");
                }
            }
        }
    }
}

#[tokio::test]
async fn those_who_may_not_have_it_are_all_told_why() {
    let sealed = World::new(ContentKind::Sealed, None).ask(&[Caller::TextOnly, Caller::TextOnly]).await;
    assert!(sealed.iter().all(|answer| matches!(answer, Err(StoreError::MessageSealed))));
    let guarded = World::new(ContentKind::Text, Some("right")).ask(&[Caller::Guesser, Caller::Unaware]).await;
    assert!(matches!(guarded.as_slice(), [Err(StoreError::PassphraseWrong), Err(StoreError::PassphraseRequired)]));
}

const REQUEST_ID: &str = "3f1c2a9e-7d56-4f0e-8b0a-1c6a2f9d4e12";

#[tokio::test]
async fn a_creation_beside_a_repeated_one_is_stored_too() {
    let keyring = Keyring::generate().unwrap();
    let text = || World::with_keyring(keyring.clone(), ContentKind::Text, None);
    let (repeated, single) = (World::repeatable(&keyring, REQUEST_ID), text());
    let transaction = begin(&keyring).await;
    let first = stored(&batch(&keyring, &transaction, &[repeated.creation()]).await[0]);
    let both = batch(&keyring, &transaction, &[single.creation(), repeated.creation()]).await;
    assert!(stored(&both[0]) > first);
    assert_eq!(stored(&both[1]), first);

    assert!(has_it(&batch(&keyring, &transaction, &[repeated.view(first, Caller::Reader)]).await[0]));
    let both = batch(&keyring, &transaction, &[repeated.creation(), text().creation()]).await;
    assert_eq!(stored(&both[0]), first, "the receipt answers");
    assert!(stored(&both[1]) > first);
}

#[tokio::test]
async fn one_request_in_one_batch_is_one_message_and_another_content_a_conflict() {
    let keyring = Keyring::generate().unwrap();
    let world = World::repeatable(&keyring, REQUEST_ID);
    let other = MessageContent::Text(MessageText::parse("other".to_owned(), &LIMITS).unwrap());
    let conflicts = |result: &Result<Output, StoreError>| matches!(result, Err(StoreError::RequestConflict));
    let transaction = begin(&keyring).await;
    let work = [world.creation(), world.creation(), world.creation_of(&other, None)];
    let done = batch_in(Room::endless(), &Standing, &keyring, &transaction, &work).await;
    assert_eq!(done.change.messages, 1, "one message is counted");
    let first = stored(&done.results[0]);
    assert_eq!(stored(&done.results[1]), first);
    assert!(conflicts(&done.results[2]));
    let again = [world.creation(), world.creation_of(&other, None), world.creation_of(&world.content(), Some(HOUR))];
    let done = batch_in(Room::endless(), &Standing, &keyring, &transaction, &again).await;
    assert_eq!((stored(&done.results[0]), done.change), (first, Usage::default()));
    assert!(conflicts(&done.results[1]) && conflicts(&done.results[2]), "another text, another lifetime");
    // What would tell goes with the message.
    batch(&keyring, &transaction, &[world.view(first, Caller::Reader)]).await;
    assert_eq!(stored(&batch(&keyring, &transaction, &again[1..2]).await[0]), first);
}

#[tokio::test]
async fn a_request_under_another_key_is_pointed_to_its_key() {
    let old = Keyring::generate().unwrap();
    let new = old.clone().with(crate::domain::Key::generate(None).unwrap());
    let (before, after) = (World::repeatable(&old, REQUEST_ID), World::repeatable(&new, REQUEST_ID));
    let key = old.sealing(NOW).id().clone();
    let points_to_key =
        |result: &Result<Output, StoreError>| matches!(result, Ok(Output::UnderOtherKey(other)) if *other == key);
    let transaction = begin(&new).await;
    let first = stored(&batch(&new, &transaction, &[before.creation()]).await[0]);
    assert!(points_to_key(&batch(&new, &transaction, &[after.creation()]).await[0]));
    assert_eq!(stored(&batch(&new, &transaction, &[before.creation()]).await[0]), first);
    batch(&new, &transaction, &[before.view(first, Caller::Reader)]).await;
    let done = batch_in(Room::endless(), &Standing, &new, &transaction, &[after.creation()]).await;
    assert!(points_to_key(&done.results[0]));
    assert_eq!(done.change, Usage::default(), "nothing new is stored");
}

#[tokio::test]
async fn nothing_is_stored_under_a_key_that_is_being_retired() {
    let world = World::new(ContentKind::Text, None);
    let transaction = begin(&world.keyring).await;
    transaction.execute_unprepared("UPDATE sealing_keys SET retire_time = 1").await.unwrap();
    assert!(matches!(batch(&world.keyring, &transaction, &[world.creation()]).await[0], Ok(Output::KeyRetired)));
    transaction.execute_unprepared("UPDATE sealing_keys SET retire_time = NULL").await.unwrap();
    stored(&batch(&world.keyring, &transaction, &[world.creation()]).await[0]);
}

#[tokio::test]
async fn a_full_store_refuses_what_is_new_and_still_finds_what_is_repeated() {
    let keyring = Keyring::generate().unwrap();
    let world = World::repeatable(&keyring, REQUEST_ID);
    let transaction = begin(&keyring).await;
    let first = stored(&batch(&keyring, &transaction, &[world.creation()]).await[0]);
    let new = World::with_keyring(keyring.clone(), ContentKind::Text, None);
    let none = Room::none();
    let done = batch_in(none, &Standing, &keyring, &transaction, &[new.creation(), world.creation()]).await;
    assert!(matches!(done.results[0], Err(StoreError::StorageFull)));
    assert_eq!(stored(&done.results[1]), first);
    assert!(has_it(&batch(&keyring, &transaction, &[world.view(first, Caller::Reader)]).await[0]));
}

/// A clock that moves on by an hour with each look at it.
struct Hurrying(std::sync::atomic::AtomicI64);

impl Clock for Hurrying {
    fn now(&self) -> Timestamp {
        let hours = self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        NOW.after(HOUR * u32::try_from(hours).unwrap())
    }
}

/// As when the statement waits for another transaction's row.
#[tokio::test]
async fn a_message_that_expires_while_its_row_is_waited_for_is_not_handed_out() {
    let world = World::new(ContentKind::Text, None);
    let transaction = begin(&world.keyring).await;
    let id = stored(&batch(&world.keyring, &transaction, &[world.creation()]).await[0]);
    let expire_time = NOW.after(HOUR / 2);
    let expire = format!("UPDATE messages SET expire_time = {}", expire_time.micros());
    transaction.execute_unprepared(&expire).await.unwrap();
    let clock = Hurrying(std::sync::atomic::AtomicI64::new(0));
    let work = [world.view(id, Caller::Reader)];
    let done = batch_in(Room::endless(), &clock, &world.keyring, &transaction, &work).await;
    let expired = Receipt { outcome: Outcome::Expired, time: expire_time };
    assert!(matches!(done.results[0], Err(StoreError::MessageGone(receipt)) if receipt == expired));
    assert_eq!((done.change.messages, done.change.receipts, done.ended.len()), (-1, 1, 1));
}

/// The usage that the transactions noted, and what is there.
async fn noted_and_counted(transaction: &DatabaseTransaction) -> [[i64; 4]; 2] {
    let read = async |select: &str| {
        let select = sea_orm::Statement::from_string(sea_orm::DbBackend::Sqlite, select);
        let row = transaction.query_one_raw(select).await.unwrap().unwrap();
        [0, 1, 2, 3].map(|column| row.try_get_by_index::<i64>(column).unwrap())
    };
    let noted = read("SELECT SUM(messages), SUM(claims), SUM(receipts), SUM(bytes) FROM usage").await;
    let counted = read(
        "SELECT (SELECT COUNT(*) FROM messages), (SELECT COUNT(*) FROM claims), (SELECT COUNT(*) FROM receipts),
         (SELECT COALESCE(SUM(LENGTH(sealed_content) + 384), 0) FROM messages)
         + (SELECT COALESCE(SUM(LENGTH(sealed_content) + 384), 0) FROM claims) + (SELECT COUNT(*) * 320 FROM receipts)",
    )
    .await;
    [noted, counted]
}

#[tokio::test]
async fn the_usage_is_what_is_stored() {
    let keyring = Keyring::generate().unwrap();
    let worlds: Vec<_> = (0..5).map(|_| World::with_keyring(keyring.clone(), ContentKind::Text, None)).collect();
    let transaction = begin(&keyring).await;
    let creations: Vec<_> = worlds.iter().map(World::creation).collect();
    let ids: Vec<_> = batch(&keyring, &transaction, &creations).await.iter().map(stored).collect();
    let view_id = ViewId::parse("3f1c2a9e-7d56-4f0e-8b0a-1c6a2f9d4e11").unwrap().unwrap();
    let acknowledgement = Acknowledgement {
        id: ids[1],
        verifier: Verifier::of_token(&worlds[1].token),
        claim_verifier: Verifier::of_claim(&worlds[1].token, view_id),
    };
    let burn = Erasure::new(ids[3], worlds[3].token.clone(), None, ErasureReason::Burn);
    let steps = [
        worlds[0].view(ids[0], Caller::Reader),
        worlds[1].view(ids[1], Caller::Claimer),
        worlds[2].view(ids[2], Caller::Claimer),
        Work::Acknowledge(acknowledgement),
        Work::Erase(Box::new(burn)),
        Work::Sweep,
    ];
    for step in steps {
        batch(&keyring, &transaction, &[step]).await;
        let [noted, counted] = noted_and_counted(&transaction).await;
        assert_eq!(noted, counted);
    }
    transaction.execute_unprepared("UPDATE messages SET expire_time = 1").await.unwrap();
    transaction.execute_unprepared("UPDATE claims SET forfeit_time = 1").await.unwrap();
    batch(&keyring, &transaction, &[Work::Sweep]).await;
    let [noted, counted] = noted_and_counted(&transaction).await;
    assert_eq!(noted, counted);
    assert_eq!(noted[..3], [0, 0, 5]);
    transaction.execute_unprepared("UPDATE receipts SET purge_time = 1").await.unwrap();
    batch(&keyring, &transaction, &[Work::Sweep]).await;
    let [noted, counted] = noted_and_counted(&transaction).await;
    assert_eq!((noted, counted), ([0; 4], [0; 4]));
}
