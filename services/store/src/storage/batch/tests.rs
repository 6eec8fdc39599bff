//! What callers in one batch get who want the same message, in every order.

use sea_orm::{Database, TransactionTrait as _};

use super::*;
use crate::domain::{
    AccessToken, ClaimSeal, ContentKind, Key, Lifetime, Limits, MessageSeal, MessageText, Passphrase, PassphraseKey,
    PassphraseSalt, SealedContent, ViewId,
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
    key: Key,
    token: AccessToken,
    kind: ContentKind,
    passphrase: Option<(PassphraseSalt, PassphraseKey)>,
    wrong_passphrase: PassphraseKey,
}

fn stretch(text: &str, salt: PassphraseSalt) -> PassphraseKey {
    PassphraseKey::derive(&Passphrase::parse(text.to_owned()).unwrap().unwrap(), salt).unwrap()
}

impl World {
    fn new(kind: ContentKind, passphrase: Option<&str>) -> Self {
        let salt = PassphraseSalt::generate().unwrap();
        Self {
            key: Key::generate(None).unwrap(),
            token: AccessToken::generate().unwrap(),
            kind,
            passphrase: passphrase.map(|passphrase| (salt, stretch(passphrase, salt))),
            wrong_passphrase: stretch("wrong", salt),
        }
    }

    fn seal(&self, passphrase: Option<&PassphraseKey>) -> MessageSeal {
        MessageSeal::new(&self.key, &self.token, passphrase)
    }

    fn content(&self) -> MessageContent {
        match self.kind {
            ContentKind::Text => MessageContent::Text(MessageText::parse(TEXT.to_owned(), &LIMITS).unwrap()),
            ContentKind::Sealed => MessageContent::Sealed(SealedContent::parse(TEXT.into(), &LIMITS).unwrap()),
        }
    }

    fn creation(&self, is_repeatable: bool) -> Work {
        let seal = self.seal(self.passphrase.as_ref().map(|(_, key)| key));
        Work::Create(Creation {
            verifier: seal.verifier(),
            key_id: seal.key_id().clone(),
            content_kind: self.kind,
            sealed_text: seal.seal(&self.content(), None).unwrap(),
            create_time: NOW,
            expire_time: None,
            passphrase: self.passphrase.as_ref().map(|(salt, _)| *salt).zip(seal.passphrase_verifier()),
            is_repeatable,
        })
    }

    fn view(&self, id: MessageId, caller: Caller) -> Work {
        let right = self.passphrase.as_ref().map(|(_, key)| key);
        let passphrase = match caller {
            Caller::Reader | Caller::Claimer | Caller::TextOnly => right,
            Caller::Guesser => Some(&self.wrong_passphrase),
            Caller::Unaware => None,
        };
        let view_id = ViewId::parse("3f1c2a9e-7d56-4f0e-8b0a-1c6a2f9d4e11").unwrap().unwrap();
        let claims =
            if caller == Caller::Claimer { vec![ClaimSeal::new(&self.key, &self.token, view_id)] } else { Vec::new() };
        let accepts_sealed = caller != Caller::TextOnly;
        Work::Erase(Erasure {
            id,
            seals: vec![self.seal(passphrase)],
            reason: ErasureReason::View { claims, grace: HOUR, accepts_sealed },
            receipt_retention: HOUR,
        })
    }

    /// Stores the message, and lets all of `callers` ask for it in one batch.
    async fn ask(&self, callers: &[Caller]) -> Vec<Result<Answer, StoreError>> {
        let transaction = begin().await;
        let id = stored(&batch(&transaction, &[self.creation(false)]).await[0]);
        let work: Vec<_> = callers.iter().map(|caller| self.view(id, *caller)).collect();
        batch(&transaction, &work).await
    }
}

/// A transaction on a database of its own.
async fn begin() -> DatabaseTransaction {
    let database = Database::connect("sqlite::memory:").await.unwrap();
    mayfly_migrations::apply(&database).await.unwrap();
    database.begin().await.unwrap()
}

fn stored(answer: &Result<Answer, StoreError>) -> MessageId {
    let Ok(Answer::Stored { id, .. }) = answer else { panic!("nothing was stored") };
    *id
}

async fn batch(transaction: &DatabaseTransaction, work: &[Work]) -> Vec<Result<Answer, StoreError>> {
    match perform(transaction, work, &[], NOW).await {
        Ok(done) => done.answers,
        Err(BatchError::Unreadable(index)) => panic!("the work at {index} took what it cannot open"),
        Err(BatchError::Database { error, .. }) => panic!("{error}"),
    }
}

fn has_it(answer: &Result<Answer, StoreError>) -> bool {
    matches!(answer, Ok(Answer::Viewed { content, .. }) if content.as_bytes() == TEXT.as_bytes())
}

fn comes_too_late(answer: &Result<Answer, StoreError>) -> bool {
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

#[tokio::test]
async fn whoever_stores_beside_one_who_repeats_is_answered_too() {
    let text = || World::new(ContentKind::Text, None);
    let (repeated, single) = (text(), text());
    let transaction = begin().await;
    let first = stored(&batch(&transaction, &[repeated.creation(true)]).await[0]);
    let both = batch(&transaction, &[single.creation(false), repeated.creation(true)]).await;
    assert!(stored(&both[0]) > first);
    assert_eq!(stored(&both[1]), first);

    assert!(has_it(&batch(&transaction, &[repeated.view(first, Caller::Reader)]).await[0]));
    let both = batch(&transaction, &[repeated.creation(true), text().creation(false)]).await;
    assert_eq!(stored(&both[0]), first, "the receipt answers");
    assert!(stored(&both[1]) > first);
}
