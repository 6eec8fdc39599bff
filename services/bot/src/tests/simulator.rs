//! The simulated chat on the bot's page, over its listener.

use serde_json::{Value, json};

use super::{
    fake_store::{FakeStore, PANIC},
    harness::{HttpResponse, RunningBot, SIMULATOR_TOKEN, VIEWED_HERE, fakes, quick, start, start_with_flags},
};

/// A bot with a simulator and no app config.
async fn bot() -> (RunningBot, FakeStore) {
    let (telegram, store) = fakes().await;
    let bot = start_with_flags(&telegram, &store, quick(), &["--simulator"]).await;
    bot.shows("waiting for a config").await;
    (bot, store)
}

/// The example in the documentation of the replaced system, with another text.
fn message(text: &str) -> Value {
    json!({
        "_": "Message", "message_id": 6,
        "from_user": {
            "_": "User", "id": 1_948_897_779, "is_self": false, "is_contact": false, "is_mutual_contact": false,
            "is_deleted": false, "is_bot": false, "is_verified": false, "is_restricted": false, "is_scam": false,
            "is_fake": false, "is_support": false, "first_name": "han", "status": "recently", "language_code": "en",
        },
        "date": "2021-08-01 08:23:28",
        "chat": {
            "_": "Chat", "id": 1_948_897_779, "type": "private", "is_verified": false, "is_restricted": false,
            "is_scam": false, "is_fake": false, "is_support": false, "first_name": "han",
        },
        "mentioned": false, "scheduled": false, "from_scheduled": false, "text": text, "outgoing": false,
    })
}

async fn post(bot: &RunningBot, body: &Value, headers: &[(&str, &str)]) -> HttpResponse {
    let authorization = format!("Bearer {SIMULATOR_TOKEN}");
    let mut all = vec![("content-type", "application/json"), ("authorization", authorization.as_str())];
    all.extend_from_slice(headers);
    bot.send("POST", "/simulator", &all, body.to_string()).await
}

async fn done(bot: &RunningBot, body: &Value) -> Vec<Value> {
    let response = post(bot, body, &[]).await;
    assert_eq!(response.status, 200, "{}", response.body);
    serde_json::from_str(&response.body).unwrap()
}

async fn ask(bot: &RunningBot, text: &str) -> String {
    done(bot, &message(text)).await[0]["text"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_bot_that_waits_for_its_config_keeps_and_shows_texts_in_the_simulator() {
    let (bot, store) = bot().await;
    let key = ask(&bot, "new:hello").await;
    assert!(key.starts_with("1:"), "{key}");
    assert_eq!(ask(&bot, &key).await, "hello");
    assert_eq!(store.texts(), 0, "acknowledged");
    assert_eq!(ask(&bot, &key).await, VIEWED_HERE);
}

#[tokio::test]
async fn every_message_is_an_update_of_its_own() {
    let (bot, store) = bot().await;
    assert_ne!(ask(&bot, "new:same").await, ask(&bot, "new:same").await);
    assert_eq!(store.messages(), 2);
}

#[tokio::test]
async fn a_reply_has_the_documented_form() {
    let (bot, _) = bot().await;
    let response = post(&bot, &message("new:hello"), &[]).await.body;
    let keys = ["_", "message_id", "from_user", "date", "chat", "mentioned", "scheduled", "from_scheduled", "text"];
    let positions: Vec<_> = keys.map(|key| response.find(&format!("\"{key}\":")).expect(key)).into();
    assert!(positions.is_sorted(), "{response}");
    let response: Vec<Value> = serde_json::from_str(&response).unwrap();
    let response = &response[0];
    assert_eq!(
        (&response["_"], &response["message_id"], &response["outgoing"]),
        (&json!("Message"), &json!(7), &json!(true))
    );
    assert_eq!(response["chat"], message("")["chat"]);
    assert_eq!(response["from_user"]["is_bot"], true);
    let date = response["date"].as_str().unwrap();
    assert!(chrono::NaiveDateTime::parse_from_str(date, "%Y-%m-%d %H:%M:%S").is_ok(), "{date}");
}

/// Presses the button with this label under `message`.
async fn press(bot: &RunningBot, under: &Value, label: &str) -> Vec<Value> {
    let pressed = button(under, label)["callback_data"].clone();
    let query = json!({
        "_": "CallbackQuery", "id": "1", "from_user": message("")["from_user"], "message": under, "chat_instance": "1",
        "data": pressed,
    });
    done(bot, &query).await
}

fn button(under: &Value, label: &str) -> Value {
    let rows = under["reply_markup"]["inline_keyboard"].as_array().unwrap();
    let mut buttons = rows.iter().flat_map(|row| row.as_array().unwrap());
    buttons.find(|button| button["text"] == label).unwrap_or_else(|| panic!("no button {label}: {under}")).clone()
}

#[tokio::test]
async fn buttons_have_the_documented_form_and_can_be_pressed() {
    let (bot, store) = bot().await;
    let kept = done(&bot, &message("new:hello")).await.remove(0);
    assert_eq!(button(&kept, "Copy")["copy_text"], kept["text"]);

    let asked = press(&bot, &kept, "Burn").await.pop().unwrap();
    assert_eq!(
        (&asked["message_id"], &asked["text"]),
        (&kept["message_id"], &kept["text"]),
        "the same message, changed"
    );
    assert!(asked["edit_date"].is_string(), "{asked}");
    assert_eq!(store.texts(), 1, "not without a second press");
    let kept_after_all = press(&bot, &asked, "Keep it").await.pop().unwrap();
    assert_eq!(kept_after_all["reply_markup"], kept["reply_markup"]);
}

#[tokio::test]
async fn a_link_to_share_leads_to_no_bot_of_telegrams() {
    let (bot, _) = bot().await;
    let kept = done(&bot, &message("new:hello")).await.remove(0);
    let share = button(&kept, "Share")["url"].as_str().unwrap().to_owned();
    assert!(share.contains("https://t.me/-?start="), "{share}");
}

#[tokio::test]
async fn the_simulator_ignores_what_the_bot_ignores() {
    let (bot, store) = bot().await;
    let mut group = message("new:hello");
    group["chat"]["type"] = json!("group");
    let mut robot = message("new:hello");
    robot["from_user"]["is_bot"] = json!(true);
    for ignored in [group, robot] {
        assert_eq!(done(&bot, &ignored).await, Vec::<Value>::new());
    }
    assert_eq!(store.messages(), 0);
}

#[tokio::test]
async fn a_panic_of_a_handler_gets_a_reply() {
    let (bot, _) = bot().await;
    assert!(ask(&bot, &format!("new:{PANIC}")).await.starts_with("Something went wrong"));
    assert!(ask(&bot, "new:hello").await.starts_with("1:"));
}

#[tokio::test]
async fn malformed_objects_are_rejected() {
    let (bot, _) = bot().await;
    for odd in [json!({}), json!([]), json!({ "_": "Message", "text": "new:x" }), json!({ "_": "Poll" }), json!(7)] {
        assert_eq!(post(&bot, &odd, &[]).await.status, 400, "{odd}");
    }
}

#[tokio::test]
async fn a_body_that_is_not_utf_8_is_rejected_with_a_clear_error() {
    let (bot, store) = bot().await;
    let authorization = format!("Bearer {SIMULATOR_TOKEN}");
    let headers = [("content-type", "application/json"), ("authorization", authorization.as_str())];
    let text = message("new:café").to_string();
    let utf_16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let latin_1 = text.replace('é', "#").into_bytes().into_iter().map(|byte| if byte == b'#' { 0xe9 } else { byte });
    for body in [[b"\xff\xfe", utf_16.as_slice()].concat(), utf_16, latin_1.collect()] {
        let refused = bot.send("POST", "/simulator", &headers, body).await;
        assert_eq!((refused.status, refused.body.as_str()), (400, "the body must be UTF-8\n"));
    }
    let refused = post(&bot, &message("new:hello"), &[("content-encoding", "gzip")]).await;
    assert!(refused.status == 415 && refused.body.contains("gzip"), "{}", refused.body);
    assert_eq!(store.messages(), 0);
    let marked = bot.send("POST", "/simulator", &headers, format!("\u{feff}{text}")).await;
    assert_eq!((marked.status, store.messages()), (200, 1), "{}", marked.body);
}

#[tokio::test]
async fn only_callers_with_the_token_are_served_wherever_they_come_from() {
    let (bot, store) = bot().await;
    // As from a page of another site, or through a proxy on this machine that adds nothing: from the loopback
    // interface.
    let longer = format!("Bearer {SIMULATOR_TOKEN}x");
    let without_scheme = SIMULATOR_TOKEN.to_owned();
    for shown in [None, Some("Bearer "), Some("Bearer other"), Some(longer.as_str()), Some(without_scheme.as_str())] {
        let mut headers = vec![("content-type", "application/json")];
        headers.extend(shown.map(|shown| ("authorization", shown)));
        let refused = bot.send("POST", "/simulator", &headers, message("new:hello").to_string()).await;
        assert_eq!((refused.status, refused.header("www-authenticate")), (401, "Bearer"), "{shown:?}");
    }
    assert_eq!(store.messages(), 0);
    assert_eq!(post(&bot, &message("new:hello"), &[("x-forwarded-for", "203.0.113.9")]).await.status, 200);
    // Behind a proxy that asks for a password.
    let token = format!("Bearer {SIMULATOR_TOKEN}");
    let mut headers = vec![("content-type", "application/json"), ("authorization", "Basic YTpi")];
    headers.push(("mayfly-authorization", &token));
    assert_eq!(bot.send("POST", "/simulator", &headers, message("new:hello").to_string()).await.status, 200);
}

#[tokio::test]
async fn a_page_under_a_rebound_name_reads_nothing_of_the_bot() {
    let (bot, _) = bot().await;
    for path in ["/", "/healthz", "/readyz", "/page/simulator.js"] {
        let refused = bot.get(path, &[("host", "evil.example"), ("sec-fetch-site", "same-origin")]).await;
        assert_eq!(refused.status, 421, "{path}");
        assert_eq!(bot.get(path, &[("host", "localhost:5555")]).await.status, 200, "{path}");
    }
    assert_eq!(post(&bot, &message("new:hello"), &[("host", "evil.example")]).await.status, 421);
}

#[tokio::test]
async fn the_page_has_the_chat_and_not_its_token() {
    let (bot, _) = bot().await;
    let page = bot.get("/", &[("accept", "text/html")]).await.body;
    assert!(page.contains("/page/simulator.js"), "{page}");
    assert!(!page.contains(SIMULATOR_TOKEN), "{page}");
}

#[tokio::test]
async fn there_is_no_simulator_unless_it_is_asked_for() {
    let (telegram, store) = fakes().await;
    let bot = start(&telegram, &store).await;
    assert_eq!(post(&bot, &message("new:hello"), &[]).await.status, 404);
    assert_eq!(bot.get("/page/simulator.js", &[]).await.status, 404);
    assert!(!bot.get("/", &[("accept", "text/html")]).await.body.contains("simulator"));
}

#[tokio::test]
async fn the_simulator_soon_reports_an_outage_of_the_store() {
    let (telegram, store) = fakes().await;
    let timeouts = crate::timeouts::Timeouts { simulator_store_timeout: std::time::Duration::ZERO, ..quick() };
    let bot = start_with_flags(&telegram, &store, timeouts, &["--simulator"]).await;
    bot.shows("waiting for a config").await;
    store.set_away(true);
    assert!(ask(&bot, "new:hello").await.contains("Nothing was stored"));
}
