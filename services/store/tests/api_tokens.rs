//! API tokens: who may make them, what they allow, and that they end.

#![cfg(test)]

use std::{fs, time::Duration};

use mayfly_contracts::{
    ErrorInfo,
    auth::{
        ApiToken, ApiTokenScope, CheckScopeRequest, CreateApiTokenRequest, ListApiTokensRequest, RevokeApiTokenRequest,
    },
    config::{
        AppConfig, CreateAppConfigRequest, GetLastActiveAppConfigRequest, ListAppConfigsRequest,
        WatchLastActiveAppConfigRequest,
    },
    error::ErrorReason,
    message::{CreateMessageRequest, GetLimitsRequest},
};
use mayfly_testkit::{ADMIN_TOKEN, SERVICE_TOKEN, TestClock, TestDatabase, TestStore, bearer, on_each_database};
use sea_orm::{ConnectionTrait as _, Statement};
use tonic::{Code, Request, Status};

const DAY: Duration = Duration::from_hours(24);
/// A token with a wrong checksum.
const UNKNOWN: &str = "mayfly_000000000000000000000000000000000000000000000000000000000000000000000000";
const REQUIRE_TOKEN: [&str; 2] = ["--create-access", "token"];

async fn open(database: TestDatabase, arguments: &[&str]) -> TestStore {
    TestStore::open_with(database, TestClock::default(), arguments).await.unwrap()
}

fn new(name: &str, scopes: &[ApiTokenScope]) -> CreateApiTokenRequest {
    let scopes = scopes.iter().map(|scope| i32::from(*scope)).collect();
    CreateApiTokenRequest { name: name.to_owned(), scopes, ttl: None }
}

async fn add(store: &TestStore, request: CreateApiTokenRequest) -> Result<String, Status> {
    Ok(store.api_tokens().create_api_token(bearer(ADMIN_TOKEN, request)).await?.into_inner().secret)
}

async fn revoke(store: &TestStore, name: &str) -> Result<(), Status> {
    let request = RevokeApiTokenRequest { name: name.to_owned() };
    store.api_tokens().revoke_api_token(bearer(ADMIN_TOKEN, request)).await.map(drop)
}

async fn list(store: &TestStore) -> Vec<ApiToken> {
    let request = bearer(ADMIN_TOKEN, ListApiTokensRequest::default());
    store.api_tokens().list_api_tokens(request).await.unwrap().into_inner().api_tokens
}

async fn names(store: &TestStore) -> Vec<String> {
    list(store).await.into_iter().map(|token| token.name).collect()
}

async fn check(store: &TestStore, token: &str, scope: ApiTokenScope) -> Result<(), Status> {
    let request = bearer(token, CheckScopeRequest { scope: scope.into() });
    store.api_tokens().check_scope(request).await.map(drop)
}

/// Creates a message with this token.
async fn create(store: &TestStore, token: &str) -> Result<(), Status> {
    store.messages().create_message(bearer(token, CreateMessageRequest::from_text("hello"))).await.map(drop)
}

fn reason(status: &Status) -> (Code, ErrorReason) {
    (status.code(), ErrorInfo::from_status(status).reason)
}

/// Waits for what a store does in the background.
async fn wait_until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), waiting).await.unwrap_or_else(|_| panic!("waited until {what}"));
}

on_each_database! {
    async fn a_token_is_listed_without_its_secret_and_revoked(database: TestDatabase) {
        let store = open(database, &[]).await;
        let secret = add(&store, new("ci", &[ApiTokenScope::Metrics, ApiTokenScope::Create])).await.unwrap();
        assert!(secret.starts_with("mayfly_") && secret.len() == 79);
        let [token] = list(&store).await.try_into().unwrap();
        let scopes: Vec<_> = token.scopes().collect();
        assert_eq!((token.name.as_str(), scopes), ("ci", vec![ApiTokenScope::Create, ApiTokenScope::Metrics]));
        assert!(token.create_time.is_some() && token.expire_time.is_none() && token.last_use_time.is_none());

        check(&store, &secret, ApiTokenScope::Create).await.unwrap();
        revoke(&store, "ci").await.unwrap();
        assert_eq!(list(&store).await, []);
        let rejected = check(&store, &secret, ApiTokenScope::Create).await.unwrap_err();
        assert_eq!(reason(&rejected), (Code::Unauthenticated, ErrorReason::ApiTokenRevoked));
        assert!(rejected.message().contains("was revoked"), "{}", rejected.message());
        assert_eq!(reason(&revoke(&store, "ci").await.unwrap_err()), (Code::NotFound, ErrorReason::ApiTokenNotFound));
    }

    async fn the_database_does_not_have_the_secret(database: TestDatabase) {
        let store = open(database.clone(), &[]).await;
        let secret = add(&store, new("ci", &[ApiTokenScope::Create])).await.unwrap();
        let connection = database.connect().await.unwrap();
        let read = Statement::from_string(connection.get_database_backend(), "SELECT verifier FROM api_tokens");
        let row = connection.query_one_raw(read).await.unwrap().unwrap();
        let verifier: Vec<u8> = row.try_get_by_index(0).unwrap();
        assert_eq!(verifier.len(), 32);
        assert!(!secret.contains(&hex::encode(verifier)));
    }

    async fn names_that_reverse_a_line_and_lifetimes_without_end_are_rejected(database: TestDatabase) {
        let store = open(database, &[]).await;
        let ttl = |days: i64| Some(prost_types::Duration { seconds: days * 86_400, nanos: 0 });
        let named = |name: &str| new(name, &[ApiTokenScope::Create]);
        for (request, field) in [
            (named("\u{202e}evil"), "name"),
            (named("a\u{2066}b"), "name"),
            (CreateApiTokenRequest { ttl: ttl(36_601), ..named("ci") }, "ttl"),
            (CreateApiTokenRequest { ttl: ttl(1_000_000_000), ..named("ci") }, "ttl"),
            (CreateApiTokenRequest { ttl: Some(prost_types::Duration::default()), ..named("ci") }, "ttl"),
        ] {
            let rejected = add(&store, request).await.unwrap_err();
            assert_eq!(ErrorInfo::from_status(&rejected).fields[0].field, field);
        }
        assert!(names(&store).await.is_empty());
        let one_second = Some(prost_types::Duration { seconds: 1, nanos: 0 });
        for (name, ttl) in [("éß 日本", ttl(36_600)), ("short", one_second)] {
            add(&store, CreateApiTokenRequest { ttl, ..named(name) }).await.unwrap();
        }
    }

    async fn a_name_twice_is_rejected_and_changes_nothing(database: TestDatabase) {
        let store = open(database, &[]).await;
        let secret = add(&store, new("ci", &[ApiTokenScope::Create])).await.unwrap();
        let rejected = add(&store, new("ci", &[ApiTokenScope::Admin])).await.unwrap_err();
        assert_eq!(reason(&rejected), (Code::AlreadyExists, ErrorReason::ApiTokenNameTaken));
        assert_eq!(ErrorInfo::from_status(&rejected).fields[0].field, "name");
        assert_eq!(names(&store).await, ["ci"]);
        check(&store, &secret, ApiTokenScope::Create).await.unwrap();
        assert_eq!(check(&store, &secret, ApiTokenScope::Admin).await.unwrap_err().code(), Code::PermissionDenied);

        // After a revocation, the name is free. The old secret stays revoked.
        revoke(&store, "ci").await.unwrap();
        let other = add(&store, new("ci", &[ApiTokenScope::Admin])).await.unwrap();
        check(&store, &other, ApiTokenScope::Admin).await.unwrap();
        let rejected = check(&store, &secret, ApiTokenScope::Create).await.unwrap_err();
        assert_eq!(reason(&rejected).1, ErrorReason::ApiTokenRevoked);
    }

    async fn one_of_many_concurrent_tokens_gets_the_name(database: TestDatabase) {
        let (store, other) = (open(database.clone(), &[]).await, open(database, &[]).await);
        let adding = (0..8).map(|number| {
            let store = if number % 2 == 0 { &store } else { &other };
            add(store, new("ci", &[ApiTokenScope::Create]))
        });
        let added = futures_util::future::join_all(adding).await;
        assert_eq!(added.iter().filter(|added| added.is_ok()).count(), 1);
        for rejected in added.into_iter().filter_map(Result::err) {
            assert_eq!(reason(&rejected).1, ErrorReason::ApiTokenNameTaken);
        }
        assert_eq!(names(&store).await, ["ci"]);
    }

    async fn a_revocation_takes_effect_at_once_in_all_stores(database: TestDatabase) {
        let (store, other) = (open(database.clone(), &[]).await, open(database, &[]).await);
        let secret = add(&store, new("ci", &[ApiTokenScope::Create])).await.unwrap();
        check(&other, &secret, ApiTokenScope::Create).await.unwrap();
        revoke(&store, "ci").await.unwrap();
        let rejected = check(&other, &secret, ApiTokenScope::Create).await.unwrap_err();
        assert_eq!(reason(&rejected).1, ErrorReason::ApiTokenRevoked);
    }

    async fn a_token_expires(database: TestDatabase) {
        let store = open(database, &[]).await;
        let ttl = Some(prost_types::Duration { seconds: 60, nanos: 0 });
        let secret = add(&store, CreateApiTokenRequest { ttl, ..new("ci", &[ApiTokenScope::Create]) }).await.unwrap();
        store.clock.advance(Duration::from_secs(59));
        check(&store, &secret, ApiTokenScope::Create).await.unwrap();
        store.clock.advance(Duration::from_secs(1));
        let rejected = check(&store, &secret, ApiTokenScope::Create).await.unwrap_err();
        assert_eq!(reason(&rejected), (Code::Unauthenticated, ErrorReason::ApiTokenExpired));
        assert!(rejected.message().contains("has expired"), "{}", rejected.message());
        assert_eq!(names(&store).await, ["ci"], "it keeps its name until it is revoked");
    }

    async fn the_day_of_the_last_use_is_recorded(database: TestDatabase) {
        let store = open(database, &[]).await;
        let secret = add(&store, new("ci", &[ApiTokenScope::Create])).await.unwrap();
        let last_use = async || list(&store).await[0].last_use_time;
        store.clock.advance(DAY / 3);
        let mut before = None;
        for _ in 0..2 {
            check(&store, &secret, ApiTokenScope::Create).await.unwrap();
            wait_until("the use is recorded", async || last_use().await != before).await;
            let day = last_use().await.unwrap();
            assert_eq!((day.seconds % 86_400, day.nanos), (0, 0), "no time of the day");
            before = Some(day);
            store.clock.advance(DAY);
        }
    }

    async fn invalid_fields_are_named_and_change_nothing(database: TestDatabase) {
        let store = open(database, &[]).await;
        let create = &[ApiTokenScope::Create][..];
        let ttl = |seconds, nanos| Some(prost_types::Duration { seconds, nanos });
        for (field, request) in [
            ("name", new("", create)),
            ("name", new(" ci", create)),
            ("name", new("c\ni", create)),
            ("name", new(&"x".repeat(65), create)),
            ("scopes", new("ci", &[])),
            ("scopes", new("ci", &[ApiTokenScope::Unspecified])),
            ("scopes", CreateApiTokenRequest { scopes: vec![1, 99], ..new("ci", create) }),
            ("ttl", CreateApiTokenRequest { ttl: ttl(0, 1), ..new("ci", create) }),
            ("ttl", CreateApiTokenRequest { ttl: ttl(-1, 0), ..new("ci", create) }),
        ] {
            let rejected = add(&store, request).await.unwrap_err();
            assert_eq!(reason(&rejected), (Code::InvalidArgument, ErrorReason::FieldInvalid));
            assert_eq!(ErrorInfo::from_status(&rejected).fields[0].field, field);
        }
        let rejected = check(&store, ADMIN_TOKEN, ApiTokenScope::Unspecified).await.unwrap_err();
        assert_eq!(ErrorInfo::from_status(&rejected).fields[0].field, "scope");
        assert_eq!(list(&store).await, []);
    }

    async fn lists_are_paginated(database: TestDatabase) {
        let store = open(database, &[]).await;
        for number in 0..5 {
            add(&store, new(&number.to_string(), &[ApiTokenScope::Create])).await.unwrap();
        }
        let (mut page_token, mut names) = (String::new(), String::new());
        for expected in [2, 2, 1] {
            let request = bearer(ADMIN_TOKEN, ListApiTokensRequest { page_size: 2, page_token });
            let page = store.api_tokens().list_api_tokens(request).await.unwrap().into_inner();
            assert_eq!(page.api_tokens.len(), expected);
            names.extend(page.api_tokens.into_iter().map(|token| token.name));
            page_token = page.next_page_token;
        }
        assert_eq!((page_token.as_str(), names.as_str()), ("", "01234"));
    }

    async fn only_admins_manage_tokens(database: TestDatabase) {
        let store = open(database, &[]).await;
        let admin = add(&store, new("admin", &[ApiTokenScope::Admin])).await.unwrap();
        let creator = add(&store, new("creator", &[ApiTokenScope::Create])).await.unwrap();
        for (token, code) in [
            (creator.as_str(), Code::PermissionDenied),
            (SERVICE_TOKEN, Code::PermissionDenied),
            (UNKNOWN, Code::Unauthenticated),
        ] {
            let mut client = store.api_tokens();
            let errors = [
                client.create_api_token(bearer(token, new("other", &[ApiTokenScope::Create]))).await.map(drop),
                client.list_api_tokens(bearer(token, ListApiTokensRequest::default())).await.map(drop),
                client.revoke_api_token(bearer(token, RevokeApiTokenRequest { name: "admin".into() })).await.map(drop),
            ];
            for error in errors {
                assert_eq!(error.unwrap_err().code(), code);
            }
        }
        let anonymous = store.api_tokens().list_api_tokens(ListApiTokensRequest::default()).await.unwrap_err();
        assert_eq!(reason(&anonymous), (Code::Unauthenticated, ErrorReason::CredentialsInvalid));

        // A token for admins does what the admin token does.
        let made = store.api_tokens().create_api_token(bearer(&admin, new("other", &[ApiTokenScope::Create]))).await;
        assert!(made.is_ok());
        store.configs().list_app_configs(bearer(&admin, ListAppConfigsRequest::default())).await.unwrap();
        assert_eq!(names(&store).await, ["admin", "creator", "other"]);
        let configs = store.configs().list_app_configs(bearer(&creator, ListAppConfigsRequest::default())).await;
        assert_eq!(configs.unwrap_err().code(), Code::PermissionDenied);
        let watch = bearer(&creator, WatchLastActiveAppConfigRequest {});
        let watch = store.configs().watch_last_active_app_config(watch).await;
        assert_eq!(watch.unwrap_err().code(), Code::PermissionDenied);
    }

    async fn each_token_has_its_scopes(database: TestDatabase) {
        let store = open(database, &[]).await;
        let scopes = [ApiTokenScope::Create, ApiTokenScope::Admin, ApiTokenScope::Metrics];
        let allowed = async |token: &str| {
            let mut allowed = Vec::new();
            for scope in scopes {
                allowed.push(check(&store, token, scope).await.is_ok());
            }
            allowed
        };
        for (name, scope, expected) in [
            ("creator", ApiTokenScope::Create, [true, false, false]),
            ("admin", ApiTokenScope::Admin, [true, true, true]),
            ("metrics", ApiTokenScope::Metrics, [false, false, true]),
        ] {
            let token = add(&store, new(name, &[scope])).await.unwrap();
            assert_eq!(allowed(&token).await, expected, "{name}");
        }
        assert_eq!(allowed(ADMIN_TOKEN).await, [true, true, true]);
        assert_eq!(allowed(SERVICE_TOKEN).await, [true, false, false]);
        assert_eq!(allowed(UNKNOWN).await, [false, false, false]);
    }

    async fn creating_needs_a_token_only_if_the_store_says_so(database: TestDatabase) {
        let everybody = open(database.clone(), &[]).await;
        create(&everybody, "any other token is ignored").await.unwrap();
        let store = open(database, &REQUIRE_TOKEN).await;
        let rejected = store.create("hello").await.unwrap_err();
        assert_eq!(reason(&rejected), (Code::Unauthenticated, ErrorReason::ApiTokenRequired));
        let creator = add(&store, new("creator", &[ApiTokenScope::Create])).await.unwrap();
        let admin = add(&store, new("admin", &[ApiTokenScope::Admin])).await.unwrap();
        let metrics = add(&store, new("metrics", &[ApiTokenScope::Metrics])).await.unwrap();
        for allowed in [creator.as_str(), &admin, ADMIN_TOKEN, SERVICE_TOKEN] {
            create(&store, allowed).await.unwrap();
        }
        let rejected = create(&store, &metrics).await.unwrap_err();
        assert_eq!(reason(&rejected), (Code::PermissionDenied, ErrorReason::PermissionDenied));
        let foreign = TestStore::open(TestDatabase::sqlite().unwrap()).await.unwrap();
        let foreign = foreign.add_api_token("creator", ApiTokenScope::Create).await.unwrap();
        for unknown in [UNKNOWN, "unknown", &foreign] {
            let rejected = create(&store, unknown).await.unwrap_err();
            assert_eq!(reason(&rejected), (Code::Unauthenticated, ErrorReason::CredentialsInvalid));
        }
        revoke(&store, "creator").await.unwrap();
        let rejected = create(&store, &creator).await.unwrap_err();
        assert_eq!(reason(&rejected), (Code::Unauthenticated, ErrorReason::ApiTokenRevoked));
        assert_eq!(store.unread_messages().await.unwrap(), 5, "nothing else was stored");
    }

    async fn reading_never_needs_a_token(database: TestDatabase) {
        let message = open(database.clone(), &[]).await.create("hello").await.unwrap();
        let burned = open(database.clone(), &[]).await.create("burned").await.unwrap();
        let store = open(database, &REQUIRE_TOKEN).await;
        store.lookup(&message).await.unwrap();
        assert_eq!(store.view(&message).await.unwrap().text(), Some("hello"));
        store.burn(&burned).await.unwrap();
    }

    async fn the_limits_tell_whether_this_caller_needs_a_token(database: TestDatabase) {
        let open_store = open(database.clone(), &[]).await;
        let store = open(database, &REQUIRE_TOKEN).await;
        let creator = add(&store, new("creator", &[ApiTokenScope::Create])).await.unwrap();
        let metrics = add(&store, new("metrics", &[ApiTokenScope::Metrics])).await.unwrap();
        let needs = async |store: &TestStore, request: Request<GetLimitsRequest>| {
            store.messages().get_limits(request).await.unwrap().into_inner().create_needs_token
        };
        assert!(!needs(&open_store, Request::new(GetLimitsRequest {})).await);
        assert!(needs(&store, Request::new(GetLimitsRequest {})).await);
        for (token, needs_another) in [(creator.as_str(), false), (SERVICE_TOKEN, false), (&metrics, true), (UNKNOWN, true)] {
            assert_eq!(needs(&store, bearer(token, GetLimitsRequest {})).await, needs_another);
        }
    }

    async fn wrong_tokens_count_as_failed_tries(database: TestDatabase) {
        let store = open(database, &["--total-failed-reads-per-minute", "2", REQUIRE_TOKEN[0], REQUIRE_TOKEN[1]]).await;
        let creator = add(&store, new("creator", &[ApiTokenScope::Create])).await.unwrap();
        for _ in 0..2 {
            assert_eq!(create(&store, UNKNOWN).await.unwrap_err().code(), Code::Unauthenticated);
        }
        let limited = create(&store, UNKNOWN).await.unwrap_err();
        assert_eq!(reason(&limited), (Code::ResourceExhausted, ErrorReason::RateLimited));
        let list = store.configs().list_app_configs(bearer("unknown", ListAppConfigsRequest::default())).await;
        assert_eq!(reason(&list.unwrap_err()).1, ErrorReason::RateLimited);
        // Right tokens are never limited.
        create(&store, &creator).await.unwrap();
        store.configs().list_app_configs(bearer(ADMIN_TOKEN, ListAppConfigsRequest::default())).await.unwrap();
    }

    async fn a_token_without_rights_sees_masked_secrets(database: TestDatabase) {
        let store = open(database, &[]).await;
        let admin = add(&store, new("admin", &[ApiTokenScope::Admin])).await.unwrap();
        let creator = add(&store, new("creator", &[ApiTokenScope::Create])).await.unwrap();
        let api_hash = "0123456789abcdef0123456789abcdef";
        let app_config = Some(AppConfig {
            session_name: "bot".into(),
            api_id: 1,
            api_hash: api_hash.into(),
            bot_token: "1:secret".into(),
            ..AppConfig::default()
        });
        store.configs().create_app_config(bearer(&admin, CreateAppConfigRequest { app_config })).await.unwrap();
        let shown = async |token: &str| {
            let request = bearer(token, GetLastActiveAppConfigRequest {});
            let response = store.configs().get_last_active_app_config(request).await.unwrap();
            response.into_inner().app_config.unwrap().api_hash
        };
        assert_eq!(shown(&admin).await, api_hash);
        assert_eq!(shown(&creator).await, format!("01{}", "x".repeat(30)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_admin_token_follows_its_file() {
    let database = TestDatabase::sqlite().unwrap();
    let file = database.folder().join("token");
    let [first, second] = ["first", "second"].map(|name| name.repeat(8));
    fs::write(&file, &first).unwrap();
    let store = TestStore::open_with_admin_token_file(database, &file.display().to_string()).await.unwrap();
    let is_admin = async |token: &str| check(&store, token, ApiTokenScope::Admin).await.is_ok();
    assert!(is_admin(&first).await && !is_admin(&second).await);
    assert!(!store.store.reload_admin_token().unwrap());
    fs::write(&file, &second).unwrap();
    assert!(store.store.reload_admin_token().unwrap());
    assert!(!is_admin(&first).await && is_admin(&second).await);
    for unusable in ["", "short"] {
        fs::write(&file, unusable).unwrap();
        assert!(store.store.reload_admin_token().is_err());
    }
    fs::remove_file(&file).unwrap();
    assert!(store.store.reload_admin_token().is_err());
    assert!(is_admin(&second).await, "the store keeps its token");
}
