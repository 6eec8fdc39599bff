//! Messages that people change after they have sent them.

use serde_json::{Value, json};

use super::harness::{ANN, Fixture, Mode, fixture_in, in_both_modes, start_in};
use crate::conversation::{language::Language, texts::Phrase};

in_both_modes! {
    an_edited_message_gets_an_explanation_and_has_no_effect,
    an_edited_message_is_answered_in_the_language_and_in_the_topic_of_its_sender,
    an_edit_that_waited_while_the_bot_was_away_creates_nothing_more,
    each_edit_of_a_text_is_answered_once_and_those_of_anything_else_together,
    automatic_edits_get_no_reply,
}

/// A person changes message 7, or Telegram does.
fn edited(content: Value) -> Value {
    let mut message = json!({
        "message_id": 7, "date": 1_637_568_164, "edit_date": 1_637_568_170,
        "chat": { "id": ANN, "type": "private", "first_name": "Ann" },
        "from": { "id": ANN, "is_bot": false, "first_name": "Ann" },
    });
    message.as_object_mut().unwrap().extend(content.as_object().unwrap().clone());
    json!({ "edited_message": message })
}

fn edited_text() -> String {
    Language::English.text(Phrase::EditIgnored)
}

async fn an_edited_message_gets_an_explanation_and_has_no_effect(mode: Mode) {
    let fixture = fixture_in(mode).await;
    let key = fixture.ask(ANN, "new:hello").await;
    for text in ["new:other", "/new other", &key, &format!("burn:{key}"), "/help", "hello"] {
        fixture.telegram.user_edits(ANN, text);
        assert_eq!(fixture.reply(ANN).await, edited_text(), "{text}");
    }
    assert_eq!((fixture.store.messages(), fixture.store.view_calls()), (1, 0));
    assert_eq!(fixture.ask(ANN, &key).await, "hello", "as it was first");
}

async fn an_edited_message_is_answered_in_the_language_and_in_the_topic_of_its_sender(mode: Mode) {
    let fixture = fixture_in(mode).await;
    fixture.ask(ANN, "hello").await;
    for language in Language::ALL {
        let from = json!({ "id": ANN, "is_bot": false, "first_name": "Ann", "language_code": language.code() });
        let change = json!({ "text": language.code(), "message_id": 10 + language as u8, "from": from });
        let mut update = edited(change);
        update["edited_message"]["message_thread_id"] = json!(5);
        fixture.telegram.push_update(update);
        let reply = fixture.telegram.next_reply(ANN).await.unwrap();
        assert_eq!((reply.text, &reply.params["message_thread_id"]), (language.text(Phrase::EditIgnored), &json!(5)));
    }
}

async fn an_edit_that_waited_while_the_bot_was_away_creates_nothing_more(mode: Mode) {
    let Fixture { telegram, store, bot } = fixture_in(mode).await;
    telegram.user_says(ANN, "/help");
    telegram.next_reply(ANN).await.unwrap();
    telegram.wait_until_all_confirmed().await.unwrap();
    bot.stop().await;
    telegram.user_says(ANN, "new:helo");
    telegram.user_edits(ANN, "new:hello");
    let bot = start_in(mode, &telegram, &store).await;
    let fixture = Fixture { telegram, store, bot };
    let key = fixture.reply(ANN).await;
    assert_eq!(fixture.reply(ANN).await, edited_text());
    assert_eq!(fixture.store.messages(), 1);
    assert_eq!(fixture.ask(ANN, &key).await, "helo");
}

async fn each_edit_of_a_text_is_answered_once_and_those_of_anything_else_together(mode: Mode) {
    let fixture = fixture_in(mode).await;
    fixture.ask(ANN, "hello").await;
    let changes = [
        (json!({ "text": "new:a" }), true),
        // Telegram brings it again, for something else that changed.
        (json!({ "text": "new:a", "reply_markup": {} }), false),
        (json!({ "text": "new:b", "edit_date": 1_637_568_175 }), true),
        (json!({ "message_id": 8, "caption": "new:c", "photo": [] }), true),
        (json!({ "message_id": 8, "caption": "new:d", "photo": [], "edit_date": 1_637_568_175 }), false),
        (json!({ "message_id": 9, "hologram": {} }), true),
    ];
    for (change, is_answered) in changes {
        let update = fixture.telegram.push_update(edited(change.clone()));
        let before = fixture.telegram.replies(ANN).len();
        fixture.telegram.wait_until_confirmed(update).await.unwrap();
        assert_eq!(fixture.telegram.replies(ANN).len() > before, is_answered, "{change}");
    }
    assert_eq!(fixture.store.messages(), 0);
}

async fn automatic_edits_get_no_reply(mode: Mode) {
    let fixture = fixture_in(mode).await;
    fixture.ask(ANN, "hello").await;
    let mut update = 0;
    for change in [
        json!({ "text": "new:a", "edit_date": null }),
        json!({ "location": { "latitude": 1, "longitude": 1, "live_period": 60 } }),
        json!({ "text": "/help", "chat": { "id": -7, "type": "group", "title": "g" } }),
    ] {
        update = fixture.telegram.push_update(edited(change));
    }
    fixture.telegram.wait_until_confirmed(update).await.unwrap();
    assert_eq!((fixture.telegram.replies(ANN).len(), fixture.telegram.replies(-7).len()), (1, 0));
}
