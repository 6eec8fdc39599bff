//! Messages with a passphrase: nothing is consumed without it, and the number of tries is limited.

#![cfg(test)]

use std::time::Duration;

use mayfly_contracts::{
    CALLER_METADATA, ErrorInfo,
    error::ErrorReason,
    message::{
        CreateMessageRequest, CreateMessageResponse, MessageState, ViewMessageRequest,
        message_service_client::MessageServiceClient,
    },
};
use mayfly_testkit::{TestStore, on_each_database};
use tokio::task::JoinSet;
use tonic::{Code, Request, Status};

const RIGHT: &str = "correct horse battery staple";
const VIEW_ID: &str = "3f1c2a9e-7d56-4f0e-8b0a-1c6a2f9d4e11";

async fn create(store: &TestStore) -> CreateMessageResponse {
    let request = CreateMessageRequest { passphrase: RIGHT.into(), ..CreateMessageRequest::from_text("hello") };
    store.create_with(request).await.unwrap()
}

fn request(message: &CreateMessageResponse, caller: &str, passphrase: &str) -> Request<ViewMessageRequest> {
    let mut request = Request::new(ViewMessageRequest {
        id: message.id,
        access_token: message.access_token.clone(),
        passphrase: passphrase.to_owned(),
        ..ViewMessageRequest::default()
    });
    // A caller is identified by its address.
    let address = format!("10.0.0.{}", caller.bytes().last().unwrap_or_default());
    request.metadata_mut().insert(CALLER_METADATA, address.parse().unwrap());
    request
}

async fn try_as(
    store: &TestStore,
    message: &CreateMessageResponse,
    caller: &str,
    passphrase: &str,
) -> Result<String, Status> {
    let viewed = store.messages().view_message(request(message, caller, passphrase)).await?;
    viewed.into_inner().into_text()
}

fn reason<T: std::fmt::Debug>(response: Result<T, Status>) -> ErrorReason {
    ErrorInfo::from_status(&response.unwrap_err()).reason
}

on_each_database! {
    async fn a_passphrase_is_required_before_anything_is_consumed(database: TestDatabase) {
        let store = TestStore::open(database).await.unwrap();
        let message = create(&store).await;
        assert!(store.lookup(&message).await.unwrap().needs_passphrase);
        let rejected = try_as(&store, &message, "a", "").await.unwrap_err();
        assert_eq!(
            (rejected.code(), ErrorInfo::from_status(&rejected).reason),
            (Code::FailedPrecondition, ErrorReason::PassphraseRequired)
        );
        let rejected = try_as(&store, &message, "a", "wrong").await.unwrap_err();
        assert_eq!(
            (rejected.code(), ErrorInfo::from_status(&rejected).reason),
            (Code::PermissionDenied, ErrorReason::PassphraseWrong)
        );
        assert_eq!(store.lookup(&message).await.unwrap().state(), MessageState::Unread);
        assert_eq!(try_as(&store, &message, "a", RIGHT).await.unwrap(), "hello");
        assert_eq!(reason(try_as(&store, &message, "a", RIGHT).await), ErrorReason::MessageViewed);
        assert_eq!(reason(try_as(&store, &message, "a", "").await), ErrorReason::MessageViewed);
    }

    async fn a_passphrase_is_accepted_in_other_unicode_encodings(database: TestDatabase) {
        let store = TestStore::open(database).await.unwrap();
        let passphrase = "caf\u{e9} au\u{a0}lait".into();
        let request = CreateMessageRequest { passphrase, ..CreateMessageRequest::from_text("hello") };
        let message = store.messages().create_message(request).await.unwrap().into_inner();
        assert_eq!(try_as(&store, &message, "a", "cafe\u{301} au lait").await.unwrap(), "hello");
    }

    async fn a_claim_is_repeated_without_the_passphrase(database: TestDatabase) {
        let store = TestStore::open(database).await.unwrap();
        let message = create(&store).await;
        let mut view = request(&message, "a", RIGHT);
        view.get_mut().view_id = VIEW_ID.to_owned();
        assert_eq!(store.messages().view_message(view).await.unwrap().into_inner().text(), Some("hello"));
        for passphrase in [RIGHT, "", "wrong"] {
            let mut again = request(&message, "a", passphrase);
            again.get_mut().view_id = VIEW_ID.to_owned();
            assert_eq!(
                store.messages().view_message(again).await.unwrap().into_inner().text(),
                Some("hello"),
                "{passphrase}"
            );
        }
    }

    async fn a_caller_has_five_tries_and_all_callers_together_twenty(database: TestDatabase) {
        let store = TestStore::open(database).await.unwrap();
        let message = create(&store).await;
        for caller in ["a", "b", "c", "d"] {
            for _ in 0..5 {
                assert_eq!(reason(try_as(&store, &message, caller, "wrong").await), ErrorReason::PassphraseWrong);
            }
            let locked = try_as(&store, &message, caller, RIGHT).await.unwrap_err();
            assert_eq!(
                (locked.code(), ErrorInfo::from_status(&locked).reason),
                (Code::ResourceExhausted, ErrorReason::PassphraseLocked)
            );
            assert_eq!(ErrorInfo::from_status(&locked).retry_after, Some(Duration::from_secs(3600)));
        }
        assert_eq!(reason(try_as(&store, &message, "e", RIGHT).await), ErrorReason::PassphraseLocked, "20 in total");
        assert_eq!(store.lookup(&message).await.unwrap().state(), MessageState::Unread, "locked, but not lost");
        store.clock.advance(Duration::from_secs(3599));
        assert_eq!(reason(try_as(&store, &message, "e", RIGHT).await), ErrorReason::PassphraseLocked);
        store.clock.advance(Duration::from_secs(1));
        assert_eq!(try_as(&store, &message, "e", RIGHT).await.unwrap(), "hello");
    }

    async fn concurrent_tries_through_two_stores_are_limited(database: TestDatabase) {
        let first = TestStore::open(database.clone()).await.unwrap();
        let second = TestStore::open_with(database, first.clock.clone(), &[]).await.unwrap();
        let message = create(&first).await;
        let mut tries = JoinSet::new();
        for number in 0..60 {
            let store = if number % 2 == 0 { &first } else { &second };
            let mut client = MessageServiceClient::new(store.channel());
            let request = request(&message, &format!("caller {}", number % 10), &format!("guess {number}"));
            tries.spawn(async move { client.view_message(request).await.map(drop) });
        }
        let mut wrong = 0;
        while let Some(tried) = tries.join_next().await {
            wrong += usize::from(reason(tried.unwrap()) == ErrorReason::PassphraseWrong);
        }
        assert_eq!(wrong, 20, "no other try was checked");
    }

    async fn burning_and_expiry_require_no_passphrase(database: TestDatabase) {
        let store = TestStore::open(database).await.unwrap();
        let (burned, expired) = (create(&store).await, create(&store).await);
        assert_eq!(reason(try_as(&store, &burned, "a", "wrong").await), ErrorReason::PassphraseWrong);
        store.burn(&burned).await.unwrap();
        assert_eq!(reason(try_as(&store, &burned, "a", RIGHT).await), ErrorReason::MessageBurned);
        store.clock.advance(Duration::from_secs(30 * 86_400 - 1));
        for _ in 0..5 {
            assert_eq!(reason(try_as(&store, &expired, "a", "wrong").await), ErrorReason::PassphraseWrong);
        }
        assert_eq!(reason(try_as(&store, &expired, "a", RIGHT).await), ErrorReason::PassphraseLocked);
        store.clock.advance(Duration::from_secs(1));
        assert_eq!(
            reason(try_as(&store, &expired, "a", RIGHT).await),
            ErrorReason::MessageExpired,
            "and not locked any more"
        );
        store.store.sweep().await.unwrap();
        assert_eq!(reason(try_as(&store, &expired, "a", RIGHT).await), ErrorReason::MessageExpired);
    }

    async fn a_repeated_creation_finds_its_message_and_another_passphrase_is_a_conflict(database: TestDatabase) {
        let store = TestStore::open(database).await.unwrap();
        let request = |passphrase: &str| CreateMessageRequest {
            passphrase: passphrase.into(),
            request_id: VIEW_ID.into(),
            ..CreateMessageRequest::from_text("hello")
        };
        let first = store.create_with(request(RIGHT)).await.unwrap();
        assert_eq!(store.create_with(request(RIGHT)).await.unwrap(), first);
        for other in ["other", ""] {
            let rejected = store.create_with(request(other)).await.unwrap_err();
            assert_eq!(ErrorInfo::from_status(&rejected).reason, ErrorReason::RequestConflict);
        }
        assert_eq!(try_as(&store, &first, "a", RIGHT).await.unwrap(), "hello");
    }

    async fn an_unneeded_passphrase_is_ignored_and_one_too_long_is_rejected(database: TestDatabase) {
        let store = TestStore::open(database).await.unwrap();
        let message = store.create("hello").await.unwrap();
        let rejected = try_as(&store, &message, "a", &"x".repeat(1025)).await.unwrap_err();
        assert_eq!(ErrorInfo::from_status(&rejected).fields[0].field, "passphrase");
        assert_eq!(try_as(&store, &message, "a", "whatever").await.unwrap(), "hello");
    }
}
