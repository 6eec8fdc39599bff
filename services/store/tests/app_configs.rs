//! App configs, on both databases.

#![cfg(test)]

use mayfly_contracts::{
    ErrorInfo,
    config::{
        AppConfig, CreateAppConfigRequest, DeleteAppConfigRequest, GetAppConfigRequest, GetLastActiveAppConfigRequest,
        ListAppConfigsRequest, RevealAppConfigRequest, UpdateAppConfigRequest, WatchLastActiveAppConfigRequest,
        WatchLastActiveAppConfigResponse,
    },
    error::ErrorReason,
};
use mayfly_testkit::{ADMIN_TOKEN, SERVICE_TOKEN, TestStore, bearer, on_each_database};
use prost_types::FieldMask;
use tonic::{Code, Status, Streaming};

const API_HASH: &str = "b1946ac92492d2347c6235b4d2611184";
const BOT_TOKEN: &str = "1000000000:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw";

fn config(session_name: &str) -> AppConfig {
    AppConfig {
        session_name: session_name.to_owned(),
        api_id: 7_278_174,
        api_hash: API_HASH.to_owned(),
        bot_token: BOT_TOKEN.to_owned(),
        ..AppConfig::default()
    }
}

async fn add(store: &TestStore, app_config: AppConfig) -> Result<AppConfig, Status> {
    let request = CreateAppConfigRequest { app_config: Some(app_config) };
    let response = store.configs().create_app_config(bearer(ADMIN_TOKEN, request)).await?;
    Ok(response.into_inner().app_config.unwrap())
}

async fn update(store: &TestStore, app_config: AppConfig, paths: &[&str]) -> Result<AppConfig, Status> {
    let update_mask = Some(FieldMask { paths: paths.iter().map(ToString::to_string).collect() });
    let request = UpdateAppConfigRequest { app_config: Some(app_config), update_mask };
    let response = store.configs().update_app_config(bearer(ADMIN_TOKEN, request)).await?;
    Ok(response.into_inner().app_config.unwrap())
}

async fn delete(store: &TestStore, id: i64) -> Result<(), Status> {
    store.configs().delete_app_config(bearer(ADMIN_TOKEN, DeleteAppConfigRequest { id })).await.map(drop)
}

async fn last_active(store: &TestStore, token: Option<&str>) -> Result<AppConfig, Status> {
    let request = GetLastActiveAppConfigRequest {};
    let request = match token {
        Some(token) => bearer(token, request),
        None => tonic::Request::new(request),
    };
    Ok(store.configs().get_last_active_app_config(request).await?.into_inner().app_config.unwrap())
}

async fn next(stream: &mut Streaming<WatchLastActiveAppConfigResponse>) -> Option<AppConfig> {
    stream.message().await.unwrap().unwrap().app_config
}

fn field(rejected: &Status) -> String {
    ErrorInfo::from_status(rejected).fields[0].field.clone()
}

on_each_database! {
    async fn the_last_active_config_is_the_active_one_with_the_highest_id(database: TestDatabase) {
        let store = TestStore::open(database).await.unwrap();
        let none = last_active(&store, None).await.unwrap_err();
        assert_eq!(
            (none.code(), ErrorInfo::from_status(&none).reason),
            (Code::NotFound, ErrorReason::AppConfigNotFound)
        );

        let first = add(&store, config("first")).await.unwrap();
        let second = add(&store, config("second")).await.unwrap();
        add(&store, AppConfig { is_active: Some(false), ..config("third") }).await.unwrap();
        assert_eq!(last_active(&store, None).await.unwrap().id, second.id);
        update(&store, AppConfig { id: second.id, is_active: Some(false), ..AppConfig::default() }, &["is_active"])
            .await
            .unwrap();
        assert_eq!(last_active(&store, None).await.unwrap().id, first.id);
        delete(&store, first.id).await.unwrap();
        assert_eq!(last_active(&store, None).await.unwrap_err().code(), Code::NotFound);
    }

    async fn secrets_are_returned_only_to_callers_with_a_token(database: TestDatabase) {
        let store = TestStore::open(database).await.unwrap();
        let stored = add(&store, config("bot")).await.unwrap();
        let masked = (format!("b1{}", "x".repeat(30)), format!("1000000000:AAH{}", "x".repeat(32)));
        let secrets = |config: AppConfig| (config.api_hash, config.bot_token);
        let recognizable = (format!("b1{}1184", "x".repeat(26)), format!("1000000000:AAH{}Dsaw", "x".repeat(28)));
        assert_eq!(secrets(stored.clone()), recognizable);
        assert_eq!(secrets(last_active(&store, None).await.unwrap()), masked);
        for token in [ADMIN_TOKEN, SERVICE_TOKEN] {
            let shown = last_active(&store, Some(token)).await.unwrap();
            assert_eq!(secrets(shown), (API_HASH.to_owned(), BOT_TOKEN.to_owned()));
        }
        assert_eq!(last_active(&store, Some("unknown")).await.unwrap_err().code(), Code::Unauthenticated);

        let got = store.configs().get_app_config(bearer(ADMIN_TOKEN, GetAppConfigRequest { id: stored.id })).await;
        assert_eq!(secrets(got.unwrap().into_inner().app_config.unwrap()), recognizable);
    }

    async fn only_the_admin_token_permits_management(database: TestDatabase) {
        let store = TestStore::open(database).await.unwrap();
        let id = add(&store, config("bot")).await.unwrap().id;
        for (token, code) in [(SERVICE_TOKEN, Code::PermissionDenied), ("unknown", Code::Unauthenticated)] {
            let create = CreateAppConfigRequest { app_config: Some(config("other")) };
            let change = AppConfig { id, session_name: "other".into(), ..AppConfig::default() };
            let update_mask = Some(FieldMask { paths: vec!["session_name".into()] });
            let change = UpdateAppConfigRequest { app_config: Some(change), update_mask };
            let errors = [
                store.configs().create_app_config(bearer(token, create)).await.map(drop),
                store.configs().get_app_config(bearer(token, GetAppConfigRequest { id })).await.map(drop),
                store.configs().list_app_configs(bearer(token, ListAppConfigsRequest::default())).await.map(drop),
                store.configs().update_app_config(bearer(token, change)).await.map(drop),
                store.configs().delete_app_config(bearer(token, DeleteAppConfigRequest { id })).await.map(drop),
            ];
            for error in errors {
                assert_eq!(error.unwrap_err().code(), code);
            }
        }
        let watch = store.configs().watch_last_active_app_config(WatchLastActiveAppConfigRequest {}).await;
        assert_eq!(watch.unwrap_err().code(), Code::Unauthenticated);
        assert_eq!(last_active(&store, None).await.unwrap().session_name, "bot");
    }

    async fn only_the_service_token_permits_revealing_secrets(database: TestDatabase) {
        let store = TestStore::open(database).await.unwrap();
        let inactive = add(&store, AppConfig { is_active: Some(false), ..config("inactive") }).await.unwrap();
        add(&store, AppConfig { bot_token: "2:other".into(), ..config("active") }).await.unwrap();
        let reveal = async |request| store.configs().reveal_app_config(request).await.map(tonic::Response::into_inner);
        let request = RevealAppConfigRequest { id: inactive.id };
        let revealed = reveal(bearer(SERVICE_TOKEN, request)).await.unwrap().app_config.unwrap();
        assert_eq!((revealed.api_hash.as_str(), revealed.bot_token.as_str()), (API_HASH, BOT_TOKEN));
        assert_eq!((revealed.id, revealed.is_active), (inactive.id, Some(false)));

        let errors = [
            (Code::PermissionDenied, ErrorReason::PermissionDenied, bearer(ADMIN_TOKEN, request)),
            (Code::Unauthenticated, ErrorReason::CredentialsInvalid, bearer("unknown", request)),
            (Code::Unauthenticated, ErrorReason::CredentialsInvalid, tonic::Request::new(request)),
            (
                Code::NotFound,
                ErrorReason::AppConfigNotFound,
                bearer(SERVICE_TOKEN, RevealAppConfigRequest { id: 1_000 }),
            ),
            (Code::InvalidArgument, ErrorReason::FieldInvalid, bearer(SERVICE_TOKEN, RevealAppConfigRequest { id: 0 })),
        ];
        for (code, reason, request) in errors {
            let rejected = reveal(request).await.unwrap_err();
            assert_eq!((rejected.code(), ErrorInfo::from_status(&rejected).reason), (code, reason));
        }
    }

    async fn an_update_changes_only_the_fields_in_its_mask(database: TestDatabase) {
        let store = TestStore::open(database).await.unwrap();
        let stored = add(&store, config("bot")).await.unwrap();
        store.clock.advance(std::time::Duration::from_secs(1));
        let change = AppConfig { id: stored.id, session_name: "renamed".into(), api_id: 5, ..AppConfig::default() };
        let changed = update(&store, change, &["session_name"]).await.unwrap();
        assert_eq!((changed.session_name.as_str(), changed.api_id), ("renamed", stored.api_id));
        assert_ne!(changed.update_time, stored.update_time);

        let change = AppConfig { id: stored.id, bot_token: "2:other".into(), ..AppConfig::default() };
        update(&store, change, &["bot_token"]).await.unwrap();
        let shown = last_active(&store, Some(SERVICE_TOKEN)).await.unwrap();
        assert_eq!((shown.bot_token.as_str(), shown.api_hash.as_str()), ("2:other", API_HASH));
    }

    async fn invalid_fields_are_named_and_change_nothing(database: TestDatabase) {
        let store = TestStore::open(database).await.unwrap();
        let creations = [
            ("app_config.session_name", AppConfig { session_name: " ".into(), ..config("bot") }),
            ("app_config.session_name", config(&"x".repeat(256))),
            ("app_config.api_id", AppConfig { api_id: 0, ..config("bot") }),
            ("app_config.api_id", AppConfig { api_id: -1, ..config("bot") }),
            ("app_config.api_id", AppConfig { api_id: i64::MAX, ..config("bot") }),
            ("app_config.api_hash", AppConfig { api_hash: String::new(), ..config("bot") }),
            ("app_config.bot_token", AppConfig { bot_token: "no token".into(), ..config("bot") }),
        ];
        for (name, creation) in creations {
            assert_eq!(field(&add(&store, creation).await.unwrap_err()), name);
        }
        let list = store.configs().list_app_configs(bearer(ADMIN_TOKEN, ListAppConfigsRequest::default())).await;
        assert_eq!(list.unwrap().into_inner().app_configs, []);

        let stored = add(&store, config("bot")).await.unwrap();
        for (name, paths) in [("update_mask", &[][..]), ("update_mask", &["id"]), ("app_config.api_id", &["api_id"])] {
            let change = AppConfig { id: stored.id, ..AppConfig::default() };
            assert_eq!(field(&update(&store, change, paths).await.unwrap_err()), name);
        }
        assert_eq!(field(&delete(&store, 0).await.unwrap_err()), "id");
        assert_eq!(delete(&store, stored.id + 1).await.unwrap_err().code(), Code::NotFound);
        let got = store.configs().get_app_config(bearer(ADMIN_TOKEN, GetAppConfigRequest { id: stored.id })).await;
        assert_eq!(got.unwrap().into_inner().app_config, Some(stored));
    }

    async fn lists_are_paginated(database: TestDatabase) {
        let store = TestStore::open(database).await.unwrap();
        for number in 0..5 {
            add(&store, config(&number.to_string())).await.unwrap();
        }
        let mut page_token = String::new();
        let mut names = Vec::new();
        for expected in [2, 2, 1] {
            let request = ListAppConfigsRequest { page_size: 2, page_token };
            let page = store.configs().list_app_configs(bearer(ADMIN_TOKEN, request)).await.unwrap().into_inner();
            assert_eq!(page.app_configs.len(), expected);
            names.extend(page.app_configs.into_iter().map(|config| config.session_name));
            page_token = page.next_page_token;
        }
        assert_eq!((page_token.as_str(), names.concat().as_str()), ("", "01234"));
        for request in [
            ListAppConfigsRequest { page_size: -1, ..ListAppConfigsRequest::default() },
            ListAppConfigsRequest { page_token: "x".into(), ..ListAppConfigsRequest::default() },
        ] {
            let rejected = store.configs().list_app_configs(bearer(ADMIN_TOKEN, request)).await.unwrap_err();
            assert_eq!(rejected.code(), Code::InvalidArgument);
        }
    }

    async fn a_watch_reports_every_change_including_those_by_another_store(database: TestDatabase) {
        let store = TestStore::open(database.clone()).await.unwrap();
        let other = TestStore::open_with(database, store.clock.clone(), &[]).await.unwrap();
        let watch = bearer(SERVICE_TOKEN, WatchLastActiveAppConfigRequest {});
        let mut stream = store.configs().watch_last_active_app_config(watch).await.unwrap().into_inner();
        assert_eq!(next(&mut stream).await, None);

        let first = add(&store, config("first")).await.unwrap();
        let seen = next(&mut stream).await.unwrap();
        assert_eq!((seen.id, seen.bot_token.as_str()), (first.id, BOT_TOKEN));
        let second = add(&other, config("second")).await.unwrap();
        assert_eq!(next(&mut stream).await.unwrap().id, second.id);
        delete(&store, second.id).await.unwrap();
        assert_eq!(next(&mut stream).await.unwrap().id, first.id);
    }

    async fn a_watch_ends_when_the_store_stops(database: TestDatabase) {
        let store = TestStore::open(database).await.unwrap();
        let watch = bearer(SERVICE_TOKEN, WatchLastActiveAppConfigRequest {});
        let mut stream = store.configs().watch_last_active_app_config(watch).await.unwrap().into_inner();
        assert_eq!(next(&mut stream).await, None);
        drop(store);
        assert_eq!(stream.message().await.unwrap(), None);
    }
}
