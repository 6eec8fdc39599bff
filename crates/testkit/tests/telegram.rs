//! Tests of the fake Bot API over plain HTTP.

#![cfg(test)]

use std::time::Duration;

use mayfly_testkit::{FakeTelegram, telegram::Fault};
use serde_json::{Value, json};

const TOKEN: &str = "1000000000:AAH";
const ANN: i64 = 7;

async fn call(telegram: &FakeTelegram, method: &str, params: Value) -> Value {
    let url = format!("{}/bot{TOKEN}/{method}", telegram.url());
    let response = reqwest::Client::new().post(url).json(&params).send().await.unwrap();
    let code = response.status().as_u16();
    let body: Value = response.json().await.unwrap();
    assert_eq!(code, body["error_code"].as_u64().map_or(200, |code| code as u16));
    body
}

fn ids(polled: &Value) -> Vec<i64> {
    polled["result"].as_array().unwrap().iter().map(|update| update["update_id"].as_i64().unwrap()).collect()
}

async fn poll(telegram: &FakeTelegram, params: Value) -> Vec<i64> {
    ids(&call(telegram, "getUpdates", params).await)
}

#[tokio::test]
async fn an_update_is_sent_until_a_higher_offset_confirms_it() {
    let telegram = FakeTelegram::start(TOKEN).await.unwrap();
    let first = telegram.user_says(ANN, "one");
    let second = telegram.user_says(ANN, "two");
    assert_eq!(poll(&telegram, json!({})).await, [first, second]);
    assert_eq!(poll(&telegram, json!({ "offset": first, "limit": 1 })).await, [first]);
    assert_eq!(telegram.confirmed_up_to(), None);
    assert_eq!(poll(&telegram, json!({ "offset": first + 1 })).await, [second]);
    assert_eq!((telegram.confirmed_up_to(), telegram.pending_updates()), (Some(first), vec![second]));
}

#[tokio::test]
async fn a_negative_offset_confirms_all_but_the_last_updates() {
    let telegram = FakeTelegram::start(TOKEN).await.unwrap();
    let ids: Vec<_> = ["one", "two", "three"].map(|text| telegram.user_says(ANN, text)).into();
    assert_eq!(poll(&telegram, json!({ "offset": -2 })).await, ids[1..]);
    assert_eq!(telegram.pending_updates(), ids[1..]);
}

#[tokio::test]
async fn a_long_poll_waits_for_an_update() {
    let telegram = FakeTelegram::start(TOKEN).await.unwrap();
    let (polled, update_id) = tokio::join!(poll(&telegram, json!({ "timeout": 30 })), async {
        telegram.wait_for_calls("getUpdates", 1).await.unwrap();
        telegram.user_says(ANN, "hello")
    });
    assert_eq!(polled, [update_id]);
}

#[tokio::test]
async fn the_older_of_two_polls_is_terminated() {
    let telegram = FakeTelegram::start(TOKEN).await.unwrap();
    let (older, newer) = tokio::join!(call(&telegram, "getUpdates", json!({ "timeout": 30 })), async {
        telegram.wait_for_calls("getUpdates", 1).await.unwrap();
        call(&telegram, "getUpdates", json!({ "timeout": 0 })).await
    });
    assert_eq!(older["error_code"], 409);
    assert!(older["description"].as_str().unwrap().starts_with("Conflict: terminated by other getUpdates request"));
    assert_eq!(newer["ok"], true);
}

#[tokio::test]
async fn a_webhook_prevents_polls() {
    let telegram = FakeTelegram::start(TOKEN).await.unwrap();
    telegram.user_says(ANN, "hello");
    call(&telegram, "setWebhook", json!({ "url": "https://example.org" })).await;
    assert_eq!(call(&telegram, "getWebhookInfo", json!({})).await["result"]["url"], "https://example.org");
    assert_eq!(call(&telegram, "getUpdates", json!({})).await["error_code"], 409);
    call(&telegram, "deleteWebhook", json!({})).await;
    assert_eq!(poll(&telegram, json!({})).await.len(), 1);
}

#[tokio::test]
async fn only_allowed_kinds_of_updates_are_sent() {
    let telegram = FakeTelegram::start(TOKEN).await.unwrap();
    poll(&telegram, json!({ "allowed_updates": ["message"] })).await;
    telegram.user_edits(ANN, "edited");
    assert!(telegram.pending_updates().is_empty());
    telegram.user_says(ANN, "new");
    assert_eq!(telegram.pending_updates().len(), 1);
}

#[tokio::test]
async fn texts_are_trimmed_counted_and_parsed() {
    let telegram = FakeTelegram::start(TOKEN).await.unwrap();
    telegram.user_says(ANN, "hello");
    let send = async |text: &str, mode: Value| {
        let mut params = json!({ "chat_id": ANN, "text": text });
        if !mode.is_null() {
            params["parse_mode"] = mode;
        }
        call(&telegram, "SendMessage", params).await
    };
    assert_eq!(send(" a\n", Value::Null).await["result"]["text"], "a");
    assert_eq!(send(" \n", Value::Null).await["description"], "Bad Request: message text is empty");
    assert_eq!(send(&"x".repeat(4096), Value::Null).await["ok"], true);
    assert_eq!(send(&"🎲".repeat(2049), Value::Null).await["description"], "Bad Request: message is too long");
    assert_eq!(send("snake_case", Value::Null).await["ok"], true);
    assert_eq!(send("snake_case", json!("Markdown")).await["error_code"], 400);
    assert_eq!(telegram.replies(ANN).len(), 3);
}

#[tokio::test]
async fn a_bot_sends_only_to_chats_that_allow_it() {
    let telegram = FakeTelegram::start(TOKEN).await.unwrap();
    let send = async || call(&telegram, "sendMessage", json!({ "chat_id": ANN, "text": "hi" })).await;
    assert_eq!(send().await["description"], "Bad Request: chat not found");
    telegram.user_says(ANN, "hello");
    assert_eq!(send().await["ok"], true);
    telegram.user_blocks(ANN);
    assert_eq!(send().await["error_code"], 403);
}

#[tokio::test]
async fn an_unknown_token_is_rejected() {
    let telegram = FakeTelegram::start("2000000000:AAH").await.unwrap();
    let refused = call(&telegram, "getMe", json!({})).await;
    assert_eq!(refused, json!({ "ok": false, "error_code": 401, "description": "Unauthorized" }));
}

#[tokio::test]
async fn faults_occur_in_order_and_then_end() {
    let telegram = FakeTelegram::start(TOKEN).await.unwrap();
    telegram.user_says(ANN, "hello");
    telegram.fail_next("sendMessage", 1, Fault::TooManyRequests { retry_after: 3 });
    telegram.fail_next("sendMessage", 1, Fault::ServerError);
    let send = async || call(&telegram, "sendMessage", json!({ "chat_id": ANN, "text": "hi" })).await;
    assert_eq!(send().await["parameters"]["retry_after"], 3);
    assert_eq!(send().await["error_code"], 500);
    assert_eq!(send().await["ok"], true);
    assert_eq!(telegram.calls("SENDMESSAGE").len(), 3);
}

#[tokio::test]
async fn a_connection_breaks_before_or_after_the_effect_of_a_call() {
    let telegram = FakeTelegram::start(TOKEN).await.unwrap();
    telegram.user_says(ANN, "hello");
    telegram.fail_next("sendMessage", 1, Fault::DisconnectBefore);
    telegram.fail_next("sendMessage", 1, Fault::DisconnectAfter);
    for replies in [0, 1] {
        let url = format!("{}/bot{TOKEN}/sendMessage", telegram.url());
        let request = reqwest::Client::new().post(url).json(&json!({ "chat_id": ANN, "text": "hi" }));
        let response = async { request.send().await?.text().await };
        assert!(response.await.is_err());
        assert_eq!(telegram.replies(ANN).len(), replies);
    }
}

#[tokio::test]
async fn a_document_is_sent_as_multipart() {
    let telegram = FakeTelegram::start(TOKEN).await.unwrap();
    telegram.user_says(ANN, "hello");
    let part = reqwest::multipart::Part::bytes(b"content".to_vec()).file_name("message.txt");
    let form = reqwest::multipart::Form::new().text("chat_id", ANN.to_string()).part("document", part);
    let url = format!("{}/bot{TOKEN}/sendDocument", telegram.url());
    let response = reqwest::Client::new().post(url).multipart(form).send().await.unwrap();
    assert_eq!(response.status(), 200);
    let reply = telegram.next_reply(ANN).await.unwrap();
    assert_eq!((reply.document.as_deref(), reply.text.as_str()), (Some("message.txt"), "content"));
}

/// Sends a message with these buttons. Returns the response.
async fn send_buttons(telegram: &FakeTelegram, buttons: Value) -> Value {
    let keyboard = json!({ "inline_keyboard": [buttons] });
    call(telegram, "sendMessage", json!({ "chat_id": ANN, "text": "hi", "reply_markup": keyboard })).await
}

#[tokio::test]
async fn a_callback_query_arrives_and_is_answered_once() {
    let telegram = FakeTelegram::start(TOKEN).await.unwrap();
    telegram.user_says(ANN, "hello");
    telegram.user_speaks(ANN, "ko");
    let sent = send_buttons(&telegram, json!([{ "text": "Look", "callback_data": "l" }])).await;
    let message_id = sent["result"]["message_id"].as_i64().unwrap();
    assert!(telegram.begin_press(ANN, message_id, "Burn").is_err(), "no such button");
    let (query_id, update_id) = telegram.begin_press(ANN, message_id, "Look").unwrap();

    let polled = call(&telegram, "getUpdates", json!({ "offset": update_id })).await;
    let query = &polled["result"][0]["callback_query"];
    assert_eq!((&query["id"], &query["data"]), (&json!(query_id), &json!("l")));
    assert_eq!((&query["message"]["message_id"], &query["from"]["language_code"]), (&json!(message_id), &json!("ko")));

    let response = json!({ "callback_query_id": query_id, "text": "x".repeat(201) });
    assert_eq!(call(&telegram, "answerCallbackQuery", response).await["description"], "Bad Request: MESSAGE_TOO_LONG");
    let response = json!({ "callback_query_id": query_id });
    assert_eq!(call(&telegram, "answerCallbackQuery", response.clone()).await["ok"], true);
    assert_eq!(call(&telegram, "answerCallbackQuery", response).await["error_code"], 400, "already answered");
}

#[tokio::test]
async fn invalid_buttons_are_rejected() {
    let telegram = FakeTelegram::start(TOKEN).await.unwrap();
    telegram.user_says(ANN, "hello");
    let refused = send_buttons(&telegram, json!([{ "text": "Look", "callback_data": "x".repeat(65) }])).await;
    assert_eq!(refused["description"], "Bad Request: BUTTON_DATA_INVALID");
    let refused = send_buttons(&telegram, json!([{ "text": "Open", "url": "http://localhost:8001" }])).await;
    assert_eq!(refused["error_code"], 400);
    assert!(telegram.replies(ANN).is_empty());
}

#[tokio::test]
async fn only_existing_messages_can_be_edited_or_deleted() {
    let telegram = FakeTelegram::start(TOKEN).await.unwrap();
    telegram.user_says(ANN, "hello");
    let theirs = telegram.messages(ANN)[0].message_id;
    let sent = call(&telegram, "sendMessage", json!({ "chat_id": ANN, "text": "hi" })).await;
    let ours = sent["result"]["message_id"].as_i64().unwrap();
    let edit = async |message_id: i64, text: &str| {
        let edited = json!({ "chat_id": ANN, "message_id": message_id, "text": text });
        call(&telegram, "editMessageText", edited).await
    };
    assert_eq!(edit(ours, "bye").await["ok"], true);
    assert!(edit(ours, "bye").await["description"].as_str().unwrap().contains("message is not modified"));
    assert_eq!(edit(theirs, "bye").await["description"], "Bad Request: message can't be edited");
    assert_eq!(edit(99, "bye").await["description"], "Bad Request: message to edit not found");

    let delete = async |message_id: i64| {
        call(&telegram, "deleteMessage", json!({ "chat_id": ANN, "message_id": message_id })).await
    };
    assert_eq!(delete(theirs).await["result"], true);
    assert_eq!(delete(theirs).await["description"], "Bad Request: message to delete not found");
    assert_eq!(telegram.messages(ANN).iter().map(|left| left.text.as_str()).collect::<Vec<_>>(), ["bye"]);
}

#[tokio::test]
async fn a_menu_accepts_only_valid_command_names() {
    let telegram = FakeTelegram::start(TOKEN).await.unwrap();
    let set = async |command: &str, description: &str| {
        let commands = json!([{ "command": command, "description": description }]);
        call(&telegram, "setMyCommands", json!({ "commands": commands, "language_code": "ko" })).await
    };
    assert_eq!(set("Help", "x").await["description"], "Bad Request: BOT_COMMAND_INVALID");
    assert_eq!(set("help", "").await["description"], "Bad Request: BOT_COMMAND_DESCRIPTION_INVALID");
    assert_eq!(set("help", "x").await["ok"], true);
    assert_eq!(telegram.commands("ko"), [("help".to_owned(), "x".to_owned())]);
}

#[tokio::test]
async fn a_flood_wait_rejects_messages_with_the_remaining_time() {
    let telegram = FakeTelegram::start(TOKEN).await.unwrap();
    for chat in [ANN, ANN + 1] {
        telegram.user_says(chat, "hello");
    }
    let send = async |chat: i64| {
        let sent = call(&telegram, "sendMessage", json!({ "chat_id": chat, "text": "hello" })).await;
        sent["parameters"]["retry_after"].as_u64()
    };
    telegram.flood_wait(Some(ANN), Duration::from_secs(700));
    assert!(send(ANN).await.is_some_and(|rest| (600..=700).contains(&rest)));
    assert_eq!(send(ANN + 1).await, None, "another chat");
    telegram.flood_wait(None, Duration::from_secs(700));
    assert!(send(ANN + 1).await.is_some());
    for chat in [Some(ANN), None] {
        telegram.flood_wait(chat, Duration::ZERO);
    }
    assert_eq!((send(ANN).await, telegram.replies(ANN).len()), (None, 1));
}
