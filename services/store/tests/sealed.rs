//! Sealed messages, which their creators encrypted: returned to readers that accept them, and rejected for others
//! without consuming anything.

#![cfg(test)]

use mayfly_contracts::{
    ErrorInfo,
    error::ErrorReason,
    message::{
        AcknowledgeViewRequest, CreateMessageRequest, CreateMessageResponse, MessageState, ViewMessageRequest,
        ViewMessageResponse,
    },
};
use mayfly_testkit::{TestClock, TestStore, on_each_database, race};
use tonic::{Code, Response, Status};

/// Not valid UTF-8.
const SEALED: &[u8] = b"\x01\xff\x00 encrypted by its creator";
const VIEW_ID: &str = "3f1c2a9e-7d56-4f0e-8b0a-1c6a2f9d4e11";
const REQUEST_ID: &str = "3f1c2a9e-7d56-4f0e-8b0a-1c6a2f9d4e12";
const OTHER_REQUEST_ID: &str = "3f1c2a9e-7d56-4f0e-8b0a-1c6a2f9d4e13";

async fn create(store: &TestStore) -> CreateMessageResponse {
    store.create_with(CreateMessageRequest::from_sealed(SEALED)).await.unwrap()
}

/// A reader that accepts sealed content.
fn accepting(message: &CreateMessageResponse) -> ViewMessageRequest {
    ViewMessageRequest {
        id: message.id,
        access_token: message.access_token.clone(),
        accepts_sealed: true,
        ..ViewMessageRequest::default()
    }
}

/// A reader that does not accept sealed content.
fn text_only(message: &CreateMessageResponse) -> ViewMessageRequest {
    ViewMessageRequest { accepts_sealed: false, view_id: VIEW_ID.into(), ..accepting(message) }
}

async fn view(store: &TestStore, request: ViewMessageRequest) -> Result<ViewMessageResponse, Status> {
    store.messages().view_message(request).await.map(Response::into_inner)
}

fn reason<T: std::fmt::Debug>(response: Result<T, Status>) -> ErrorReason {
    ErrorInfo::from_status(&response.unwrap_err()).reason
}

on_each_database! {
    async fn a_reader_that_accepts_it_reads_it_once_byte_for_byte(database: TestDatabase) {
        let store = TestStore::open(database).await.unwrap();
        let longest = vec![0xff; 65_536 + 256];
        for sealed in [SEALED, &[0], &longest] {
            let message = store.create_with(CreateMessageRequest::from_sealed(sealed)).await.unwrap();
            let viewed = view(&store, accepting(&message)).await.unwrap();
            assert_eq!((viewed.sealed(), viewed.text()), (Some(sealed), None));
            assert_eq!(reason(view(&store, accepting(&message)).await), ErrorReason::MessageViewed);
        }
    }

    async fn a_reader_that_does_not_accept_it_gets_an_error_and_consumes_nothing(database: TestDatabase) {
        let store = TestStore::open(database).await.unwrap();
        let message = create(&store).await;
        for request in [text_only(&message), ViewMessageRequest { view_id: String::new(), ..text_only(&message) }] {
            let rejected = view(&store, request).await.unwrap_err();
            let error_info = ErrorInfo::from_status(&rejected);
            assert_eq!((rejected.code(), error_info.reason), (Code::FailedPrecondition, ErrorReason::MessageSealed));
        }
        let found = store.lookup(&message).await.unwrap();
        assert_eq!((found.state(), found.is_sealed), (MessageState::Unread, true));
        assert_eq!(view(&store, accepting(&message)).await.unwrap().sealed(), Some(SEALED));
        let found = store.lookup(&message).await.unwrap();
        assert_eq!((found.state(), found.is_sealed), (MessageState::Viewed, false));
        assert_eq!(
            reason(view(&store, text_only(&message)).await),
            ErrorReason::MessageViewed,
            "that it is gone takes precedence"
        );
    }

    async fn a_text_is_read_by_a_reader_that_accepts_sealed_content(database: TestDatabase) {
        let store = TestStore::open(database).await.unwrap();
        let message = store.create("hello").await.unwrap();
        assert!(!store.lookup(&message).await.unwrap().is_sealed);
        assert_eq!(view(&store, accepting(&message)).await.unwrap().text(), Some("hello"));
    }

    async fn a_repeated_view_returns_the_same_kind_only_to_a_reader_that_accepts_it(database: TestDatabase) {
        let store = TestStore::open(database.clone()).await.unwrap();
        let message = create(&store).await;
        let request = ViewMessageRequest { view_id: VIEW_ID.into(), ..accepting(&message) };
        let first = view(&store, request.clone()).await.unwrap();
        assert_eq!(first.sealed(), Some(SEALED));
        assert_eq!(reason(view(&store, text_only(&message)).await), ErrorReason::MessageSealed);

        let restarted = TestStore::open_with(database, store.clock.clone(), &[]).await.unwrap();
        assert_eq!(view(&restarted, request.clone()).await.unwrap(), first);
        let CreateMessageResponse { id, access_token, .. } = message;
        let acknowledgement = AcknowledgeViewRequest { id, access_token, view_id: VIEW_ID.into() };
        store.messages().acknowledge_view(acknowledgement).await.unwrap();
        assert_eq!(reason(view(&store, request).await), ErrorReason::MessageViewed);
    }

    async fn no_try_is_counted_for_a_reader_that_does_not_accept_it(database: TestDatabase) {
        let store = TestStore::open(database).await.unwrap();
        let request = CreateMessageRequest { passphrase: "right".into(), ..CreateMessageRequest::from_sealed(SEALED) };
        let message = store.create_with(request).await.unwrap();
        for passphrase in ["", "wrong", "right"].repeat(3) {
            let request = ViewMessageRequest { passphrase: passphrase.into(), ..text_only(&message) };
            assert_eq!(reason(view(&store, request).await), ErrorReason::MessageSealed, "{passphrase}");
        }
        assert_eq!(reason(view(&store, accepting(&message)).await), ErrorReason::PassphraseRequired);
        let request = ViewMessageRequest { passphrase: "right".into(), ..accepting(&message) };
        assert_eq!(view(&store, request).await.unwrap().sealed(), Some(SEALED));
    }

    async fn burning_and_expiry_do_not_depend_on_the_kind(database: TestDatabase) {
        let store = TestStore::open(database).await.unwrap();
        let (burned, expired) = (create(&store).await, create(&store).await);
        store.burn(&burned).await.unwrap();
        assert_eq!(reason(view(&store, text_only(&burned)).await), ErrorReason::MessageBurned);
        store.clock.advance(std::time::Duration::from_secs(30 * 86_400));
        for _ in ["before the sweep", "after it"] {
            assert_eq!(reason(view(&store, text_only(&expired)).await), ErrorReason::MessageExpired);
            store.store.sweep().await.unwrap();
        }
    }

    async fn a_repeated_creation_is_one_message_and_a_text_with_the_same_bytes_is_a_conflict(database: TestDatabase) {
        let store = TestStore::open(database.clone()).await.unwrap();
        let repeatable = |content| CreateMessageRequest { request_id: REQUEST_ID.into(), ..content };
        let sealed = || repeatable(CreateMessageRequest::from_sealed(*b"hello"));
        let first = store.create_with(sealed()).await.unwrap();
        assert_eq!(store.create_with(sealed()).await.unwrap(), first);
        let text = store.create_with(repeatable(CreateMessageRequest::from_text("hello"))).await;
        assert_eq!(reason(text), ErrorReason::RequestConflict);
        let other = CreateMessageRequest { request_id: OTHER_REQUEST_ID.into(), ..sealed() };
        assert_ne!(store.create_with(other).await.unwrap().id, first.id);

        view(&store, accepting(&first)).await.unwrap();
        assert_eq!(store.create_with(sealed()).await.unwrap().id, first.id, "after it was read");
    }

    async fn its_length_is_limited_and_the_error_names_the_field(database: TestDatabase) {
        let arguments = ["--max-text-bytes", "10"];
        let store = TestStore::open_with(database, TestClock::default(), &arguments).await.unwrap();
        for (length, expected) in [(0, ErrorReason::FieldInvalid), (10 + 257, ErrorReason::TextTooLong)] {
            let request = CreateMessageRequest::from_sealed(vec![7; length]);
            let rejected = store.create_with(request).await.unwrap_err();
            let error_info = ErrorInfo::from_status(&rejected);
            assert_eq!((rejected.code(), error_info.reason), (Code::InvalidArgument, expected));
            assert_eq!(error_info.fields[0].field, "sealed");
        }
        store.create_with(CreateMessageRequest::from_sealed(vec![7; 10 + 256])).await.unwrap();
    }

    async fn a_kind_that_was_changed_in_the_database_is_detected_and_consumes_nothing(database: TestDatabase) {
        use sea_orm::ConnectionTrait as _;
        let store = TestStore::open(database.clone()).await.unwrap();
        let message = store.create("hello").await.unwrap();
        let connection = database.connect().await.unwrap();
        let set = async |kind: &str| {
            connection.execute_unprepared(&format!("UPDATE messages SET content_kind = '{kind}'")).await.unwrap();
        };
        set("sealed").await;
        assert_eq!(reason(view(&store, accepting(&message)).await), ErrorReason::Internal);
        set("text").await;
        assert_eq!(view(&store, accepting(&message)).await.unwrap().text(), Some("hello"));
    }

    async fn one_of_many_readers_that_accept_it_gets_it(database: TestDatabase) {
        let store = TestStore::open(database).await.unwrap();
        for _ in 0..10 {
            let message = create(&store).await;
            let read = |reader| {
                let request = if reader % 2 == 0 { accepting(&message) } else { text_only(&message) };
                let mut client = store.messages();
                async move {
                    match client.view_message(request).await {
                        Ok(_) if reader % 2 == 1 => Err(anyhow::anyhow!("a reader that does not accept it got it")),
                        Ok(response) => Ok(response.into_inner().sealed() == Some(SEALED)),
                        Err(status) => match ErrorInfo::from_status(&status).reason {
                            ErrorReason::MessageViewed | ErrorReason::MessageSealed => Ok(false),
                            _ => Err(status.into()),
                        },
                    }
                }
            };
            assert_eq!(race(16, read).await.unwrap(), 1);
        }
    }
}
