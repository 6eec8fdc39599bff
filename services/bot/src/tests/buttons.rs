//! The buttons under `id:token`.

use mayfly_testkit::telegram::Message;
use serde_json::json;

use super::{
    fake_store::PANIC,
    harness::{
        ANN, BOB, Fixture, Mode, VIEWED, fixture, fixture_in, fixture_with, fixture_with_flags, in_both_modes, quick,
    },
};
use crate::{
    conversation::{language::Language, texts::Phrase},
    timeouts::Timeouts,
};

in_both_modes! {
    under_what_was_kept_are_buttons_and_its_text_is_nothing_but_the_opener,
    the_state_of_a_message_is_shown_in_an_alert,
    burning_asks_for_confirmation_and_can_be_cancelled,
    a_message_that_was_burned_has_no_buttons_left,
    a_press_is_answered_although_its_handler_panics,
}

const BUTTONS: [&str; 4] = ["Copy", "Share", "Read yet?", "Burn"];

/// Waits until these are the buttons under a message.
async fn until_labels(fixture: &Fixture, message: &Message, labels: &[&str]) {
    let is_so = |messages: &[Message]| {
        messages.iter().any(|found| found.message_id == message.message_id && found.labels() == labels)
    };
    fixture.telegram.wait_for_messages(ANN, is_so).await.unwrap();
}

async fn under_what_was_kept_are_buttons_and_its_text_is_nothing_but_the_opener(mode: Mode) {
    let fixture = fixture_in(mode).await;
    let message = fixture.ask_message(ANN, "new:hello").await;
    assert_eq!(message.text, format!("1:{:064x}", 1));
    assert_eq!(message.labels(), BUTTONS);
    assert_eq!(message.button("Copy").unwrap()["copy_text"]["text"], message.text);
    let share = message.button("Share").unwrap()["url"].as_str().unwrap();
    assert!(share.starts_with("https://t.me/share/url?url=https://t.me/fake_1000000000_bot?start="), "{share}");
    assert!(!message.is_protected);
}

#[tokio::test]
async fn a_gateway_with_a_public_url_has_a_button_and_what_is_secret_is_behind_the_hash() {
    let fixture = fixture_with_flags(Mode::Polling, &["--public-url", "https://mayfly.example.org/"]).await;
    let message = fixture.ask_message(ANN, "new:hello").await;
    assert_eq!(message.labels(), ["Copy", "Share", "Open in browser", "Read yet?", "Burn"]);
    let token = message.text.split_once(':').unwrap().1;
    let url = format!("https://mayfly.example.org/m/1#{token}");
    assert_eq!(message.button("Open in browser").unwrap()["url"], url);
}

#[tokio::test]
async fn a_text_whose_buttons_telegram_refuses_is_sent_without_them() {
    let fixture = fixture_with_flags(Mode::Polling, &["--public-url", "http://localhost:8001"]).await;
    let message = fixture.ask_message(ANN, "new:hello").await;
    assert_eq!((message.text, message.reply_markup), (format!("1:{:064x}", 1), None));
    assert_eq!(fixture.telegram.calls("sendMessage").len(), 2);
}

async fn the_state_of_a_message_is_shown_in_an_alert(mode: Mode) {
    let fixture = fixture_in(mode).await;
    let message = fixture.ask_message(ANN, "new:hello").await;
    let unread = "Not read yet. It expires on 2026-12-22 08:02 UTC.";
    assert_eq!(fixture.press(ANN, &message, "Read yet?").await.as_deref(), Some(unread));
    assert_eq!(fixture.message(ANN, message.message_id), message, "nothing has changed");
    assert_eq!(fixture.ask(BOB, &message.text).await, "hello");
    assert_eq!(fixture.press(ANN, &message, "Read yet?").await.as_deref(), Some(VIEWED));
    until_labels(&fixture, &message, &[]).await;
    assert_eq!(fixture.message(ANN, message.message_id).text, message.text);
    assert_eq!(fixture.telegram.replies(ANN).len(), 1, "the chat stays as it is");
}

#[tokio::test]
async fn a_message_of_which_nothing_is_known_any_more_has_no_buttons_left() {
    let fixture = fixture().await;
    let message = fixture.ask_message(ANN, "new:hello").await;
    fixture.store.purge();
    let sentence = Language::English.text(Phrase::NotFound);
    assert_eq!(fixture.press(ANN, &message, "Read yet?").await, Some(sentence));
    until_labels(&fixture, &message, &[]).await;
}

async fn burning_asks_for_confirmation_and_can_be_cancelled(mode: Mode) {
    let fixture = fixture_in(mode).await;
    let message = fixture.ask_message(ANN, "new:hello").await;
    assert_eq!(fixture.press(ANN, &message, "Burn").await, None);
    until_labels(&fixture, &message, &["Yes, burn it unread", "Keep it"]).await;
    assert_eq!(fixture.press(ANN, &message, "Keep it").await, None);
    until_labels(&fixture, &message, &BUTTONS).await;
    assert_eq!(fixture.message(ANN, message.message_id), message);
    assert_eq!(fixture.ask(BOB, &message.text).await, "hello");
}

async fn a_message_that_was_burned_has_no_buttons_left(mode: Mode) {
    let fixture = fixture_in(mode).await;
    let message = fixture.ask_message(ANN, "new:hello").await;
    fixture.press(ANN, &message, "Burn").await;
    until_labels(&fixture, &message, &["Yes, burn it unread", "Keep it"]).await;
    let said = fixture.press(ANN, &message, "Yes, burn it unread").await;
    assert_eq!(said.as_deref(), Some("Burned: nobody can read it any more."));
    until_labels(&fixture, &message, &[]).await;
    assert_eq!(fixture.message(ANN, message.message_id).text, message.text);
    assert_eq!(fixture.store.texts(), 0);
    assert!(fixture.ask(BOB, &message.text).await.starts_with("This message was burned unread"));
}

#[tokio::test]
async fn a_viewed_message_cannot_be_burned() {
    let fixture = fixture().await;
    let message = fixture.ask_message(ANN, "new:hello").await;
    fixture.press(ANN, &message, "Burn").await;
    until_labels(&fixture, &message, &["Yes, burn it unread", "Keep it"]).await;
    assert_eq!(fixture.ask(BOB, &message.text).await, "hello");
    assert_eq!(fixture.press(ANN, &message, "Yes, burn it unread").await.as_deref(), Some(VIEWED));
    until_labels(&fixture, &message, &[]).await;
}

#[tokio::test]
async fn a_press_is_answered_although_the_store_is_away_and_its_button_stays() {
    let fixture = fixture_with(Timeouts { store_timeout: std::time::Duration::ZERO, ..quick() }).await;
    let message = fixture.ask_message(ANN, "new:hello").await;
    fixture.store.set_away(true);
    let said = fixture.press(ANN, &message, "Read yet?").await.unwrap();
    assert_eq!(said, "I cannot reach the place where messages are kept. Please try again later.");
    assert_eq!(fixture.message(ANN, message.message_id).labels(), BUTTONS);
}

async fn a_press_is_answered_although_its_handler_panics(mode: Mode) {
    let fixture = fixture_in(mode).await;
    let key = fixture.store.put(PANIC);
    fixture.ask(ANN, "hello").await;
    // The link in the callback data.
    let link = crate::conversation::link::encode(&mayfly_contracts::MessageRef::parse(&key).unwrap()).unwrap();
    let offered = fixture.ask_message(ANN, "new:hello").await;
    let data = offered.button("Read yet?").unwrap()["callback_data"].as_str().unwrap().to_owned();
    assert_eq!(data.len(), link.len() + 1);
    fixture.telegram.push_update(json!({ "callback_query": {
        "id": "panicking", "chat_instance": "c", "data": format!("l{link}"),
        "from": { "id": ANN, "is_bot": false, "first_name": "Ann" },
        "message": { "message_id": offered.message_id, "date": 1, "chat": { "id": ANN, "type": "private" } },
    } }));
    fixture.telegram.wait_for_calls("answerCallbackQuery", 1).await.unwrap();
    let alert = fixture.telegram.calls("answerCallbackQuery").remove(0);
    assert_eq!(alert["callback_query_id"], "panicking");
    assert!(alert["text"].as_str().unwrap().starts_with("Something went wrong on our side."));
}

#[tokio::test]
async fn a_button_that_is_none_of_ours_is_answered_all_the_same() {
    let fixture = fixture().await;
    fixture.ask(ANN, "hello").await;
    for data in ["", "x", "l", "lAQ", "\u{200f}"] {
        fixture.telegram.push_update(json!({ "callback_query": {
            "id": data, "chat_instance": "c", "data": data, "from": { "id": ANN, "is_bot": false, "first_name": "Ann" },
        } }));
    }
    fixture.telegram.wait_for_calls("answerCallbackQuery", 5).await.unwrap();
    for alert in fixture.telegram.calls("answerCallbackQuery") {
        assert_eq!(alert["text"], "This button does nothing any more. Send /help to see what I can do.");
    }
}
