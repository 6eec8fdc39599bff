//! The lifecycle of a message, on both databases.

#![cfg(test)]

use std::{collections::HashSet, time::Duration};

use mayfly_contracts::{
    ErrorInfo,
    error::ErrorReason,
    message::{CreateMessageRequest, CreateMessageResponse, GetLimitsRequest, MessageState, ViewMessageRequest},
};
use mayfly_testkit::{TestClock, TestDatabase, TestStore, on_each_database};
use sea_orm::{ConnectionTrait as _, Statement, TransactionTrait as _};
use tonic::{Code, Status};

const DAY: Duration = Duration::from_secs(24 * 3600);
const REQUEST_ID: &str = "3f1c2a9e-7d56-4f0e-8b0a-1c6a2f9d4e11";

fn reason(status: &Status) -> ErrorReason {
    ErrorInfo::from_status(status).reason
}

fn other_token(message: &CreateMessageResponse, other: &CreateMessageResponse) -> CreateMessageResponse {
    CreateMessageResponse { access_token: other.access_token.clone(), ..message.clone() }
}

async fn count(database: &TestDatabase, table: &str) -> i64 {
    let connection = database.connect().await.unwrap();
    let counted =
        sea_orm::Statement::from_string(connection.get_database_backend(), format!("SELECT count(*) FROM {table}"));
    connection.query_one_raw(counted).await.unwrap().unwrap().try_get_by_index(0).unwrap()
}

fn repeatable(text: &str) -> CreateMessageRequest {
    CreateMessageRequest { request_id: REQUEST_ID.into(), ..CreateMessageRequest::from_text(text) }
}

on_each_database! {
    async fn a_text_is_read_once_byte_for_byte(database: TestDatabase) {
        let store = TestStore::open(database).await.unwrap();
        for text in ["hello", " a:b\r\n\t", "*_`[\u{1f511}\u{202e}", &"x".repeat(65_536)] {
            let message = store.create(text).await.unwrap();
            assert_eq!(store.view(&message).await.unwrap().text(), Some(text));
            let again = store.view(&message).await.unwrap_err();
            assert_eq!((again.code(), reason(&again)), (Code::NotFound, ErrorReason::MessageViewed));
        }
    }

    async fn a_store_enforces_the_limits_that_it_reports(database: TestDatabase) {
        let settings = ["--max-text-bytes", "1000", "--max-ttl", "1d", "--default-ttl", "1h"];
        let store = TestStore::open_with(database, TestClock::default(), &settings).await.unwrap();
        let limits = store.messages().get_limits(GetLimitsRequest {}).await.unwrap().into_inner();
        let longest = usize::try_from(limits.max_text_bytes).unwrap();
        let lifetimes = [limits.max_ttl, limits.default_ttl].map(|ttl| Duration::try_from(ttl.unwrap()).unwrap());
        assert_eq!((longest, lifetimes), (1000, [DAY, DAY / 24]));

        assert!(store.create_for(&"x".repeat(longest), lifetimes[0]).await.is_ok());
        assert!(store.create_with(CreateMessageRequest::from_sealed(vec![1; longest + 256])).await.is_ok());
        for rejected in [
            store.create(&"x".repeat(longest + 1)).await,
            store.create_with(CreateMessageRequest::from_sealed(vec![1; longest + 257])).await,
            store.create_for("x", lifetimes[0] + Duration::from_micros(1)).await,
        ] {
            assert_eq!(rejected.unwrap_err().code(), Code::InvalidArgument);
        }
    }

    async fn a_store_without_lifetime_limits_reports_none(database: TestDatabase) {
        let settings = ["--max-ttl", "never", "--default-ttl", "never"];
        let store = TestStore::open_with(database, TestClock::default(), &settings).await.unwrap();
        let limits = store.messages().get_limits(GetLimitsRequest {}).await.unwrap().into_inner();
        assert_eq!((limits.max_ttl, limits.default_ttl), (None, None));
        assert_eq!(store.create("x").await.unwrap().expire_time, None);
    }

    async fn ids_are_never_reused_and_reveal_no_order(database: TestDatabase) {
        let store = TestStore::open(database).await.unwrap();
        let mut messages = Vec::new();
        for _ in 0..30 {
            let message = store.create("hello").await.unwrap();
            store.view(&message).await.unwrap();
            messages.push(message);
        }
        let distinct: HashSet<_> = messages.iter().map(|message| (message.id, &message.access_token)).collect();
        assert_eq!(distinct.len(), messages.len());
        assert!(!messages.is_sorted_by_key(|message| message.id), "the ids reveal the number of messages");
        assert!(messages.iter().all(|message| (1..1 << 40).contains(&message.id)), "short enough to type");
    }

    async fn a_caller_with_the_token_gets_the_status_of_a_message(database: TestDatabase) {
        let store = TestStore::open(database).await.unwrap();
        let message = store.create("hello").await.unwrap();
        let found = store.lookup(&message).await.unwrap();
        assert_eq!(found.state(), MessageState::Unread);
        assert_eq!((found.state_time, found.expire_time), (message.create_time, message.expire_time));

        store.clock.advance(DAY);
        store.view(&message).await.unwrap();
        store.clock.advance(DAY);
        let found = store.lookup(&message).await.unwrap();
        assert_eq!((found.state(), found.expire_time), (MessageState::Viewed, None));
        let time = ErrorInfo::from_status(&store.view(&message).await.unwrap_err()).metadata["time"].clone();
        assert_eq!(time, "2026-01-02T00:00:00.000000Z");
    }

    async fn a_burned_message_cannot_be_read_and_burning_is_idempotent(database: TestDatabase) {
        let store = TestStore::open(database).await.unwrap();
        let message = store.create("hello").await.unwrap();
        let burned = store.burn(&message).await.unwrap();
        store.clock.advance(DAY);
        assert_eq!(store.burn(&message).await.unwrap(), burned);
        assert_eq!(reason(&store.view(&message).await.unwrap_err()), ErrorReason::MessageBurned);
        assert_eq!(store.lookup(&message).await.unwrap().state(), MessageState::Burned);
    }

    async fn a_viewed_message_cannot_be_burned(database: TestDatabase) {
        let store = TestStore::open(database).await.unwrap();
        let message = store.create("hello").await.unwrap();
        store.view(&message).await.unwrap();
        assert_eq!(reason(&store.burn(&message).await.unwrap_err()), ErrorReason::MessageViewed);
    }

    async fn an_expired_message_cannot_be_read_before_or_after_the_sweep(database: TestDatabase) {
        let store = TestStore::open(database).await.unwrap();
        let message = store.create_for("hello", Duration::from_secs(60)).await.unwrap();
        store.clock.advance(Duration::from_secs(60));
        for _ in ["before", "after"] {
            assert_eq!(reason(&store.view(&message).await.unwrap_err()), ErrorReason::MessageExpired);
            assert_eq!(reason(&store.burn(&message).await.unwrap_err()), ErrorReason::MessageExpired);
            let found = store.lookup(&message).await.unwrap();
            assert_eq!((found.state(), found.state_time), (MessageState::Expired, message.expire_time));
            store.store.sweep().await.unwrap();
        }
        assert_eq!(count(&store.database, "messages").await, 0);
    }

    async fn a_message_is_readable_until_the_last_microsecond(database: TestDatabase) {
        let store = TestStore::open(database).await.unwrap();
        let message = store.create_for("hello", Duration::from_secs(60)).await.unwrap();
        store.clock.advance(Duration::from_micros(59_999_999));
        store.store.sweep().await.unwrap();
        assert_eq!(store.view(&message).await.unwrap().text(), Some("hello"));
    }

    async fn receipts_are_purged_after_their_retention(database: TestDatabase) {
        let store = TestStore::open(database).await.unwrap();
        let message = store.create("hello").await.unwrap();
        store.view(&message).await.unwrap();
        store.clock.advance(30 * DAY);
        store.store.sweep().await.unwrap();
        let again = store.view(&message).await.unwrap_err();
        assert_eq!((again.code(), reason(&again)), (Code::NotFound, ErrorReason::MessageNotFound));
        assert_eq!(reason(&store.lookup(&message).await.unwrap_err()), ErrorReason::MessageNotFound);
        assert_eq!(count(&store.database, "receipts").await, 0);
    }

    async fn a_sweep_takes_as_many_transactions_as_it_needs(database: TestDatabase) {
        let store = TestStore::open(database).await.unwrap();
        for _ in 0..3 {
            let creations = (0..400).map(|_| store.create_for("hello", Duration::from_secs(1)));
            futures_util::future::try_join_all(creations).await.unwrap();
        }
        store.clock.advance(Duration::from_secs(1));
        store.store.sweep().await.unwrap();
        assert_eq!((count(&store.database, "messages").await, count(&store.database, "receipts").await), (0, 1_200));
    }

    async fn a_message_with_no_lifetime_limit_never_expires(database: TestDatabase) {
        let arguments = ["--default-ttl", "never", "--max-ttl", "never"];
        let store = TestStore::open_with(database, TestClock::default(), &arguments).await.unwrap();
        let message = store.create("hello").await.unwrap();
        assert_eq!(message.expire_time, None);
        store.clock.advance(10_000 * DAY);
        store.store.sweep().await.unwrap();
        assert_eq!(store.view(&message).await.unwrap().text(), Some("hello"));
    }

    async fn a_wrong_token_reveals_nothing_and_changes_nothing(database: TestDatabase) {
        let store = TestStore::open(database).await.unwrap();
        let message = store.create("hello").await.unwrap();
        let other = store.create("other").await.unwrap();
        let wrong = other_token(&message, &other);
        let unknown = CreateMessageResponse { id: 1_000_000, ..message.clone() };
        for unauthorized in [&wrong, &unknown] {
            let errors = [
                store.view(unauthorized).await.unwrap_err(),
                store.burn(unauthorized).await.unwrap_err(),
                store.lookup(unauthorized).await.unwrap_err(),
            ];
            for error in errors {
                assert_eq!((error.code(), reason(&error)), (Code::NotFound, ErrorReason::MessageNotFound));
            }
        }
        assert_eq!(store.view(&message).await.unwrap().text(), Some("hello"));
        assert_eq!(store.view(&other).await.unwrap().text(), Some("other"));
    }

    async fn swapped_tokens_in_one_batch_are_rejected(database: TestDatabase) {
        let store = TestStore::open(database).await.unwrap();
        let (one, two) = (store.create("one").await.unwrap(), store.create("two").await.unwrap());
        for _ in 0..20 {
            let (swapped, swapped_too) = (other_token(&one, &two), other_token(&two, &one));
            let (first, second) = tokio::join!(store.view(&swapped), store.view(&swapped_too));
            assert_eq!(reason(&first.unwrap_err()), ErrorReason::MessageNotFound);
            assert_eq!(reason(&second.unwrap_err()), ErrorReason::MessageNotFound);
        }
        assert_eq!(store.view(&one).await.unwrap().text(), Some("one"));
        assert_eq!(store.view(&two).await.unwrap().text(), Some("two"));
    }

    async fn a_repeated_request_creates_one_message(database: TestDatabase) {
        let store = TestStore::open(database.clone()).await.unwrap();
        let first = store.create_with(repeatable("hello")).await.unwrap();
        store.clock.advance(DAY);
        assert_eq!(store.create_with(repeatable("hello")).await.unwrap(), first);

        let restarted = TestStore::open_with(database, store.clock.clone(), &[]).await.unwrap();
        assert_eq!(restarted.create_with(repeatable("hello")).await.unwrap(), first);
        assert_eq!(count(&store.database, "messages").await, 1);

        assert_eq!(store.view(&first).await.unwrap().text(), Some("hello"));
    }

    async fn a_request_id_with_other_fields_is_a_conflict_that_changes_nothing(database: TestDatabase) {
        let store = TestStore::open(database).await.unwrap();
        let first = store.create_with(repeatable("hello")).await.unwrap();
        let ttl = Some(prost_types::Duration { seconds: 60, nanos: 0 });
        let sealed = CreateMessageRequest::from_sealed(*b"hello").content;
        let others = [
            repeatable("another text"),
            CreateMessageRequest { ttl, ..repeatable("hello") },
            CreateMessageRequest { passphrase: "x".into(), ..repeatable("hello") },
            CreateMessageRequest { content: sealed, ..repeatable("hello") },
        ];
        for other in others {
            let rejected = store.create_with(other).await.unwrap_err();
            assert_eq!((rejected.code(), reason(&rejected)), (Code::FailedPrecondition, ErrorReason::RequestConflict));
        }
        assert_eq!(count(&store.database, "messages").await, 1);
        assert_eq!(store.lookup(&first).await.unwrap().expire_time, first.expire_time);
        assert_eq!(store.view(&first).await.unwrap().text(), Some("hello"));
        // The request's fields are forgotten with the message; the id and the token are the same.
        assert_eq!(store.create_with(repeatable("another text")).await.unwrap(), first);
        assert_eq!(reason(&store.view(&first).await.unwrap_err()), ErrorReason::MessageViewed);
    }

    /// An attacker has the database, the keyring and the request id, and guesses. No receipt depends on the guess.
    async fn nothing_that_outlives_a_message_depends_on_its_content_or_passphrase(database: TestDatabase) {
        let store = TestStore::open(database.clone()).await.unwrap();
        let connection = database.connect().await.unwrap();
        let mut receipts = HashSet::new();
        for (text, passphrase) in [("0417", ""), ("9999", ""), ("0417", "sesame"), ("0417", "open")] {
            let request = CreateMessageRequest { passphrase: passphrase.into(), ..repeatable(text) };
            let CreateMessageResponse { id, access_token, .. } = store.create_with(request).await.unwrap();
            let view_id = REQUEST_ID.into();
            let view =
                ViewMessageRequest { id, access_token, view_id, passphrase: passphrase.into(), ..Default::default() };
            store.messages().view_message(view).await.unwrap();
            connection.execute_unprepared("DELETE FROM claims; UPDATE receipts SET message_id = 0").await.unwrap();
            let all = Statement::from_string(connection.get_database_backend(), "SELECT * FROM receipts");
            let row = connection.query_one_raw(all).await.unwrap().unwrap();
            let bytes = |column: &str| row.try_get::<Option<Vec<u8>>>("", column).unwrap();
            receipts.insert(["verifier", "request_hash", "claim_verifier"].map(bytes));
            let columns = row.column_names();
            assert_eq!(columns.len(), 10, "a new column that may depend on the content: {columns:?}");
            connection.execute_unprepared("DELETE FROM receipts").await.unwrap();
        }
        assert_eq!(receipts.len(), 1);
    }

    async fn a_request_repeated_after_the_message_was_read_stores_nothing(database: TestDatabase) {
        let store = TestStore::open(database).await.unwrap();
        let first = store.create_with(repeatable("hello")).await.unwrap();
        store.view(&first).await.unwrap();
        let again = store.create_with(repeatable("hello")).await.unwrap();
        assert_eq!(again, first);
        assert_eq!(count(&store.database, "messages").await, 0);
        assert_eq!(reason(&store.view(&again).await.unwrap_err()), ErrorReason::MessageViewed);
    }

    async fn a_request_repeated_after_the_message_expired_returns_the_same_message(database: TestDatabase) {
        let store = TestStore::open(database).await.unwrap();
        let first = store.create_with(repeatable("hello")).await.unwrap();
        store.clock.advance(30 * DAY);
        store.store.sweep().await.unwrap();
        assert_eq!(count(&store.database, "receipts").await, 1);
        assert_eq!(store.create_with(repeatable("hello")).await.unwrap(), first);
    }

    async fn concurrent_repeats_of_a_request_create_one_message(database: TestDatabase) {
        let one = TestStore::open(database.clone()).await.unwrap();
        let two = TestStore::open_with(database, one.clock.clone(), &[]).await.unwrap();
        let created = futures_util::future::try_join_all((0..64).map(|number| {
            let store = if number % 2 == 0 { &one } else { &two };
            store.create_with(repeatable("hello"))
        }));
        let responses: HashSet<_> =
            created.await.unwrap().into_iter().map(|message| (message.id, message.access_token)).collect();
        assert_eq!(responses.len(), 1);
        assert_eq!(count(&one.database, "messages").await, 1);
    }

    async fn invalid_input_names_the_field_and_changes_nothing(database: TestDatabase) {
        let store = TestStore::open(database).await.unwrap();
        let request = |text: &str| CreateMessageRequest::from_text(text);
        let ttl = |seconds, nanos| Some(prost_types::Duration { seconds, nanos });
        let creations = [
            ("text", request("")),
            ("text", request(&"x".repeat(65_537))),
            ("ttl", CreateMessageRequest { ttl: ttl(0, 999_999_999), ..request("x") }),
            ("ttl", CreateMessageRequest { ttl: ttl(-1, 0), ..request("x") }),
            ("ttl", CreateMessageRequest { ttl: ttl(90 * 24 * 3600, 1_000), ..request("x") }),
            ("ttl", CreateMessageRequest { ttl: ttl(i64::MAX, 0), ..request("x") }),
            ("request_id", CreateMessageRequest { request_id: "no uuid".into(), ..request("x") }),
        ];
        for (field, creation) in creations {
            let rejected = store.create_with(creation).await.unwrap_err();
            assert_eq!(rejected.code(), Code::InvalidArgument, "{field}");
            assert_eq!(ErrorInfo::from_status(&rejected).fields[0].field, field);
        }
        assert_eq!(count(&store.database, "messages").await, 0);

        let message = store.create("hello").await.unwrap();
        for id in [0, -1, i64::MIN] {
            let rejected = store.view(&CreateMessageResponse { id, ..message.clone() }).await.unwrap_err();
            assert_eq!(ErrorInfo::from_status(&rejected).fields[0].field, "id");
        }
        let token = &message.access_token;
        for access_token in [String::new(), token.to_uppercase() + "A", token[1..].to_owned(), "\u{663}".repeat(64)] {
            let rejected = store.view(&CreateMessageResponse { access_token, ..message.clone() }).await.unwrap_err();
            assert_eq!((rejected.code(), reason(&rejected)), (Code::Unauthenticated, ErrorReason::AccessTokenInvalid));
        }
        assert_eq!(store.view(&message).await.unwrap().text(), Some("hello"));
    }

    async fn an_internal_error_has_a_constant_text(database: TestDatabase) {
        let store = TestStore::open(database).await.unwrap();
        let message = store.create("hello").await.unwrap();
        store
            .database
            .connect()
            .await
            .unwrap()
            .execute_unprepared("DROP TABLE passphrase_tries; DROP TABLE messages")
            .await
            .unwrap();
        let failures = [
            store.view(&message).await.unwrap_err(),
            store.lookup(&message).await.unwrap_err(),
            store.create("hello").await.unwrap_err(),
        ];
        for failure in failures {
            assert_eq!((failure.code(), failure.message()), (Code::Internal, "internal error"));
        }
    }

    async fn a_text_that_cannot_be_opened_is_not_consumed_and_affects_no_other(database: TestDatabase) {
        let store = TestStore::open(database).await.unwrap();
        let (damaged, intact) = (store.create("damaged").await.unwrap(), store.create("intact").await.unwrap());
        let damage = "UPDATE messages SET expire_time = expire_time + 1 WHERE id = (SELECT MIN(id) FROM messages)";
        store.database.connect().await.unwrap().execute_unprepared(damage).await.unwrap();
        let (first, second) = tokio::join!(store.view(&damaged), store.view(&intact));
        assert_eq!(first.unwrap_err().code(), Code::Internal);
        assert_eq!(second.unwrap().text(), Some("intact"));
        assert_eq!(store.lookup(&damaged).await.unwrap().state(), MessageState::Unread);
    }
}

/// The reader's statement waits for a transaction that locks the row until the message expires.
#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_expires_during_a_wait_for_its_row_is_not_returned_on_postgres() {
    let database = TestDatabase::postgres().await.unwrap();
    let store = TestStore::open(database.clone()).await.unwrap();
    let message = store.create_for("hello", DAY).await.unwrap();
    let blocker = database.connect().await.unwrap().begin().await.unwrap();
    blocker.execute_unprepared("SELECT * FROM messages FOR UPDATE").await.unwrap();
    let observer = database.connect().await.unwrap();
    let released = async {
        let waiting = "SELECT COUNT(*) FROM pg_stat_activity \
                       WHERE datname = current_database() AND wait_event_type = 'Lock'";
        let waiting = Statement::from_string(observer.get_database_backend(), waiting);
        let is_waiting = async || {
            let row = observer.query_one_raw(waiting.clone()).await.unwrap().unwrap();
            row.try_get_by_index::<i64>(0).unwrap() > 0
        };
        while !is_waiting().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        store.clock.advance(DAY);
        blocker.rollback().await.unwrap();
    };
    let (viewed, ()) = tokio::join!(store.view(&message), released);
    assert_eq!(reason(&viewed.unwrap_err()), ErrorReason::MessageExpired);
    assert_eq!(store.lookup(&message).await.unwrap().state(), MessageState::Expired);
}
