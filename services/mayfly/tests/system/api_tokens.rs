//! API tokens: the commands that manage them, creations that need one, and users that a proxy has signed in.

use std::fs;

use mayfly_testkit::{FakeTelegram, TestDatabase};
use serde_json::{Value, json};

use crate::{
    chat::{BOT_TOKEN, add_config},
    harness::{CommandOutput, Layout, Options, System, run, run_in, wait_until},
};

const REQUIRE_TOKEN: (&str, &str) = ("MAYFLY_CREATE_ACCESS", "token");
const GONE: i32 = 3;
const REFUSED: i32 = 4;

async fn system(environment: &[(&str, &str)]) -> System {
    let options = Options { store_environment: environment, ..Options::default() };
    System::start(Layout::One, &TestDatabase::sqlite().unwrap(), options).await
}

/// Runs `mayfly tokens` as an admin.
async fn tokens(system: &System, arguments: &[&str]) -> CommandOutput {
    let data = system.data.display().to_string();
    system.client(&[&["tokens"], arguments, &["--data-dir", &data]].concat()).await
}

async fn add(system: &System, arguments: &[&str]) -> String {
    let added = tokens(system, &[&["add"], arguments].concat()).await;
    assert_eq!((added.code, added.err.as_str()), (0, ""));
    added.out.trim().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_added_listed_and_revoked() {
    let system = system(&[]).await;
    assert!(tokens(&system, &["list"]).await.out.contains("there is no API token"));
    let added = tokens(&system, &["add", "ci", "--scope", "create,metrics"]).await;
    assert_eq!((added.code, added.out.lines().count()), (0, 1), "{}", added.err);
    let secret = added.out.trim();
    assert!(secret.starts_with("mayfly_"), "{secret}");
    let added = tokens(&system, &["add", "root", "--scope", "admin", "--expires-in", "90d", "--json"]).await;
    let root: Value = serde_json::from_str(&added.out).unwrap();
    assert_eq!((&root["name"], &root["scopes"]), (&json!("root"), &json!(["admin"])));
    assert!(root["expire_time"].is_string() && root["last_use_time"].is_null());

    let again = tokens(&system, &["add", "ci", "--scope", "admin"]).await;
    assert_eq!((again.code, again.out.as_str()), (REFUSED, ""));
    assert!(
        again.err.contains("name is taken by an API token that is not revoked: revoke it, or choose another name"),
        "{}",
        again.err
    );
    // A token for admins does what the admin token does.
    let listed = system.client(&["tokens", "list", "--json", "--admin-token", root["secret"].as_str().unwrap()]).await;
    assert_eq!(listed.code, 0, "{}", listed.err);
    assert!(!listed.out.contains(secret) && !listed.out.contains("secret"), "{}", listed.out);
    let names: Vec<Value> = serde_json::from_str(&listed.out).unwrap();
    assert_eq!(names.iter().map(|token| &token["name"]).collect::<Vec<_>>(), ["ci", "root"]);
    let text = tokens(&system, &["list"]).await.out;
    assert!(text.starts_with("ci  create,metrics  created "), "{text}");

    let revoked = tokens(&system, &["revoke", "root"]).await;
    assert_eq!((revoked.code, revoked.out.trim()), (0, "the API token root is revoked"));
    assert_eq!(tokens(&system, &["revoke", "root"]).await.code, GONE);
    let refused = system.client(&["config", "list", "--admin-token", root["secret"].as_str().unwrap()]).await;
    assert_eq!(refused.code, REFUSED);
    assert!(refused.err.contains("was revoked"), "{}", refused.err);
    assert!(!contains(&system.output(), secret), "the secret is in the log");
}

fn contains(output: &[u8], pattern: &str) -> bool {
    String::from_utf8_lossy(output).contains(pattern)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_requires_a_token_accepts_it_from_a_flag_a_variable_or_a_file() {
    let system = system(&[REQUIRE_TOKEN]).await;
    let refused = system.client(&["new", "hello"]).await;
    assert_eq!((refused.code, refused.out.as_str()), (REFUSED, ""));
    assert!(refused.err.contains("needs an API token") && refused.err.contains("--token-file"), "{}", refused.err);
    let unknown = system.client(&["new", "hello", "--token", "unknown"]).await;
    assert!(unknown.code == REFUSED && unknown.err.contains("--token"), "{}", unknown.err);

    let token = add(&system, &["ci", "--scope", "create"]).await;
    let file = system.data.join("token");
    fs::write(&file, format!("{token}\n")).unwrap();
    let file = file.display().to_string();
    let created = system.client(&["new", "hello", "--token", &token]).await;
    assert_eq!(created.code, 0, "{}", created.err);
    assert_eq!(system.client(&["view", created.out.trim()]).await.out, "hello", "reading needs no token");
    let from_file = system.client(&["new", "hello", "--token-file", &file]).await;
    assert_eq!(from_file.code, 0, "{}", from_file.err);
    // Through the gateway too.
    let from_variable = ["new", "hello", "--store-url", &system.gateway_url];
    let from_variable = run_in(&[("MAYFLY_TOKEN", &token)], &from_variable).await;
    assert_eq!(from_variable.code, 0, "{}", from_variable.err);
    let missing = system.client(&["new", "hello", "--token-file", "/nonexistent"]).await;
    assert!(missing.code == 2 && missing.err.contains("--token-file"), "{}", missing.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bot_creates_messages_for_its_users() {
    for layout in [Layout::One, Layout::Three] {
        let telegram = FakeTelegram::start(BOT_TOKEN).await.unwrap();
        let environment = [REQUIRE_TOKEN];
        let options = Options { telegram: Some(telegram.url()), store_environment: &environment, ..Options::default() };
        let mut system = System::start(layout, &TestDatabase::sqlite().unwrap(), options).await;
        add_config(&system, "bot", BOT_TOKEN).await;
        telegram.user_says(7, "new:hello");
        let message_ref = telegram.next_reply(7).await.unwrap().text;
        assert_eq!(system.client(&["view", &message_ref]).await.out, "hello", "{message_ref}");
        system.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn users_that_a_proxy_has_signed_in_need_no_token() {
    let users = [REQUIRE_TOKEN, ("MAYFLY_TRUSTED_PROXIES", "1"), ("MAYFLY_TRUSTED_USER_HEADER", "Remote-User")];
    let system = system(&users).await;
    let create = |user: Option<&'static str>| {
        let request = reqwest::Client::new().post(format!("{}/api/v1/create_message", system.gateway_url));
        let request = request.form(&[("text", "hello")]);
        user.map_or(request.try_clone().unwrap(), |user| request.header("Remote-User", user)).send()
    };
    assert_eq!(create(None).await.unwrap().status(), 401);
    assert_eq!(create(Some("canary-user")).await.unwrap().status(), 201);
    assert!(!contains(&system.output(), "canary-user"), "the name of the user is in the log");
    for file in fs::read_dir(system.database.folder()).unwrap().map(|file| file.unwrap().path()) {
        if file.is_file() {
            assert!(!contains(&fs::read(&file).unwrap(), "canary-user"), "{}", file.display());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_header_without_a_proxy_or_a_token_is_rejected_at_the_start() {
    let header = ["gateway", "--gateway-listen=127.0.0.1:0", "--trusted-user-header"];
    for (arguments, patterns) in [
        (&["Remote-User"][..], &["--trusted-user-header needs --trusted-proxies"][..]),
        (&["Remote-User", "--trusted-proxies=1"], &["--gateway-token", "mayfly tokens add"]),
        (&["Remote-User", "--trusted-proxies=1", "--gateway-token-file=/nonexistent"], &["--gateway-token-file"]),
        (&["Authorization", "--trusted-proxies=1", "--gateway-token=x"], &["--trusted-user-header", "authorization"]),
        (&["Remote User", "--trusted-proxies=1", "--gateway-token=x"], &["--trusted-user-header"]),
        (&["R", "--trusted-proxies=1", "--gateway-token=x", "--trusted-user-proxies=all"], &["--trusted-user-proxies"]),
    ] {
        let rejected = run(&[&header[..], arguments].concat()).await;
        assert_ne!(rejected.code, 0, "{arguments:?}");
        for pattern in patterns {
            assert!(rejected.err.contains(pattern), "{pattern}: {}", rejected.err);
        }
    }
    let checked = run(&[&["doctor"], &header[..], &["Remote-User"]].concat()).await;
    assert_eq!(checked.code, 1);
    assert!(checked.out.contains("--trusted-user-header needs --trusted-proxies"), "{}", checked.out);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_admin_token_in_its_file_is_taken_up_without_a_restart() {
    let system = system(&[]).await;
    let file = system.data.join("admin.token");
    let old = fs::read_to_string(&file).unwrap();
    let new = "n".repeat(64);
    fs::write(&file, &new).unwrap();
    wait_until("the new token is accepted", async || tokens(&system, &["list"]).await.code == 0).await;
    let refused = system.client(&["tokens", "list", "--admin-token", old.trim()]).await;
    assert_eq!(refused.code, REFUSED, "{}", refused.out);
}
