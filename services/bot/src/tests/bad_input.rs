//! Every input of users and their apps has a defined reply.

use serde_json::{Value, json};

use super::harness::{ANN, BOB, Fixture, Mode, fixture_in, in_both_modes};
use crate::conversation::{language::Language, texts::Phrase, wording};

in_both_modes! {
    texts_that_say_nothing_are_answered_with_help,
    a_token_that_an_app_has_broken_is_accepted,
    messages_without_text_get_an_explanation,
    a_keyword_without_a_text_is_explained,
    long_texts_are_kept_whole,
    a_million_colons_are_nothing,
    the_rest_of_a_text_that_was_cut_in_two_is_recognized,
    marks_in_a_text_are_kept_and_those_around_a_keyword_are_not,
    a_forwarded_message_is_read_as_if_it_was_written,
    a_message_without_a_sender_is_answered_in_its_private_chat,
    a_message_that_is_nested_too_deep_gets_a_reply_and_keeps_no_other_from_theirs,
    commands_in_groups_are_answered_and_nothing_else_there,
    commands_in_channels_are_answered_and_nothing_else_there,
    a_message_in_the_name_of_a_group_gets_a_reply_and_one_of_another_bot_does_not,
}

fn english(phrase: Phrase) -> String {
    Language::English.text(phrase)
}

/// Delivers a message unchanged, which the fake Bot API would not. The user must be known.
async fn send(fixture: &Fixture, message: Value) -> String {
    let mut whole = json!({
        "message_id": 1000, "date": 1_637_568_164,
        "chat": { "id": ANN, "type": "private", "first_name": "Ann" },
        "from": { "id": ANN, "is_bot": false, "first_name": "Ann" },
    });
    whole.as_object_mut().unwrap().extend(message.as_object().unwrap().clone());
    fixture.telegram.push_update(json!({ "message": whole }));
    fixture.reply(ANN).await
}

async fn texts_that_say_nothing_are_answered_with_help(mode: Mode) {
    let fixture = fixture_in(mode).await;
    fixture.ask(ANN, "hello").await;
    for text in ["", " \n\t ", "\u{200b}\u{feff}", "\u{200f}", ":", "::::", "🎲", "/", "//", "/unknown", "new", "burn"]
    {
        assert_eq!(send(&fixture, json!({ "text": text })).await, wording::help(Language::English), "{text:?}");
    }
}

async fn a_keyword_without_a_text_is_explained(mode: Mode) {
    let fixture = fixture_in(mode).await;
    fixture.ask(ANN, "hello").await;
    for text in ["new:", "new: ", "new:\n\n", "new:\u{200b}", "NEW 1h:", "/new", "/new \u{200f}"] {
        assert_eq!(send(&fixture, json!({ "text": text })).await, english(Phrase::NoText), "{text:?}");
    }
    assert_eq!(fixture.store.messages(), 0);
}

async fn long_texts_are_kept_whole(mode: Mode) {
    let fixture = fixture_in(mode).await;
    fixture.ask(ANN, "hello").await;
    // A client of its own making may send more than Telegram's apps do.
    for text in ["x".repeat(4097), "🎲".repeat(2049), ":".repeat(60_000)] {
        let key = send(&fixture, json!({ "text": format!("new:{text}") })).await;
        fixture.telegram.user_says(ANN, &key);
        let reply = fixture.telegram.next_reply(ANN).await.unwrap();
        assert_eq!((reply.text == text, reply.document.as_deref()), (true, Some("message.txt")));
    }
}

async fn a_million_colons_are_nothing(mode: Mode) {
    let fixture = fixture_in(mode).await;
    fixture.ask(ANN, "hello").await;
    let said = send(&fixture, json!({ "text": ":".repeat(1_000_000) })).await;
    assert!(said.ends_with(&wording::help(Language::English)), "{said}");
    assert!(
        send(&fixture, json!({ "text": format!("1{}", ":".repeat(1_000_000)) })).await
            == english(Phrase::MessageRefInvalid)
    );
    assert!(
        send(&fixture, json!({ "text": format!("burn{}", ":".repeat(1_000_000)) })).await
            == english(Phrase::MessageRefInvalid)
    );
}

async fn the_rest_of_a_text_that_was_cut_in_two_is_recognized(mode: Mode) {
    let fixture = fixture_in(mode).await;
    let expected = format!("{}\n\n{}", english(Phrase::SplitText), wording::help(Language::English));
    assert_eq!(fixture.ask(ANN, &"the rest of it ".repeat(50)).await, expected);
    assert_eq!(send(&fixture, json!({ "text": "x".repeat(4097) })).await, expected);
}

async fn a_token_that_an_app_has_broken_is_accepted(mode: Mode) {
    let fixture = fixture_in(mode).await;
    let spoil: [fn(&str) -> String; 6] = [
        |key| key.replacen(':', ":\n", 1),
        |key| format!("{}\n{}", &key[..30], &key[30..]),
        |key| format!(" {} \r\n {}", &key[..40], &key[40..]),
        |key| format!("\u{200f}{key}\u{200e}"),
        |key| format!("\u{2068}{}\u{200b}{}\u{2069}\u{feff}", &key[..20], &key[20..]),
        |key| key.chars().flat_map(|character| [character, '\u{ad}']).collect(),
    ];
    for spoil in spoil {
        let key = fixture.store.put("hello");
        assert_eq!(fixture.ask(ANN, &spoil(&key)).await, "hello", "{:?}", spoil(&key));
    }
}

async fn marks_in_a_text_are_kept_and_those_around_a_keyword_are_not(mode: Mode) {
    let fixture = fixture_in(mode).await;
    let text = "\u{200f}שלום\u{200e} \u{200b}x\u{feff}";
    let key = fixture.ask(ANN, &format!("\u{200f}new\u{200b}:{text}")).await;
    assert_eq!(fixture.ask(ANN, &key).await, text);
}

async fn messages_without_text_get_an_explanation(mode: Mode) {
    let fixture = fixture_in(mode).await;
    fixture.telegram.user_sends_sticker(ANN);
    assert_eq!(fixture.reply(ANN).await, english(Phrase::TextOnly));
    for content in [
        json!({
            "photo": [{ "file_id": "p", "file_unique_id": "p", "width": 1, "height": 1 }], "caption": "new:hello",
        }),
        json!({ "voice": { "file_id": "v" } }),
        json!({ "location": { "latitude": 1, "longitude": 1 } }),
    ] {
        assert_eq!(send(&fixture, content).await, english(Phrase::TextOnly));
    }
    assert_eq!(fixture.store.messages(), 0, "a caption is not kept without its photo");
}

async fn a_forwarded_message_is_read_as_if_it_was_written(mode: Mode) {
    let fixture = fixture_in(mode).await;
    fixture.ask(ANN, "hello").await;
    let key = fixture.store.put("hello");
    let origin =
        json!({ "type": "user", "date": 1, "sender_user": { "id": BOB, "is_bot": false, "first_name": "Bob" } });
    assert_eq!(send(&fixture, json!({ "text": key, "forward_origin": origin })).await, "hello");
    let hidden = json!({ "type": "hidden_user", "date": 1, "sender_user_name": "Bob" });
    assert!(send(&fixture, json!({ "text": "new:hello", "forward_origin": hidden })).await.starts_with("2:"));
}

async fn a_message_without_a_sender_is_answered_in_its_private_chat(mode: Mode) {
    let fixture = fixture_in(mode).await;
    fixture.ask(ANN, "hello").await;
    assert!(send(&fixture, json!({ "text": "new:hello", "from": null })).await.starts_with("1:"));
}

async fn a_message_that_is_nested_too_deep_gets_a_reply_and_keeps_no_other_from_theirs(mode: Mode) {
    let fixture = fixture_in(mode).await;
    fixture.ask(ANN, "hello").await;
    let deep = (0..500).fold(json!("new:x"), |text, _| json!([text]));
    fixture.telegram.push_update(json!({ "message": {
        "message_id": 9, "date": 1, "rich_message": deep, "message_thread_id": 5,
        "chat": { "id": ANN, "type": "private" }, "from": { "id": ANN, "is_bot": false, "language_code": "de" },
    } }));
    let said = fixture.telegram.user_says(BOB, "new:hello");
    let reply = fixture.telegram.next_reply(ANN).await.unwrap();
    assert_eq!((reply.text, &reply.params["message_thread_id"]), (Language::German.text(Phrase::TextOnly), &json!(5)));
    assert!(fixture.reply(BOB).await.starts_with("1:"));
    fixture.telegram.wait_until_confirmed(said).await.unwrap();
}

async fn commands_in_groups_are_answered_and_nothing_else_there(mode: Mode) {
    let fixture = fixture_in(mode).await;
    let group = -100;
    for text in ["new:hello", "hello", "/help@other_bot", "/unknown"] {
        let update = fixture.telegram.group_says(group, text);
        fixture.telegram.wait_until_confirmed(update).await.unwrap();
    }
    assert!(fixture.telegram.replies(group).is_empty());
    for text in ["/help", "/start@fake_1000000000_bot", "/new hello"] {
        fixture.telegram.group_says(group, text);
        assert_eq!(fixture.reply(group).await, english(Phrase::PrivateChatOnly), "{text}");
    }
    assert_eq!(fixture.store.messages(), 0);
}

async fn commands_in_channels_are_answered_and_nothing_else_there(mode: Mode) {
    let fixture = fixture_in(mode).await;
    let channel = -200;
    for text in ["new:hello", "hello", "/help@other_bot"] {
        let update = fixture.telegram.channel_posts(channel, text);
        fixture.telegram.wait_until_confirmed(update).await.unwrap();
    }
    assert!(fixture.telegram.replies(channel).is_empty());
    fixture.telegram.channel_posts(channel, "/new hello");
    assert_eq!(fixture.reply(channel).await, english(Phrase::PrivateChatOnly));
    assert_eq!(fixture.store.messages(), 0);
}

async fn a_message_in_the_name_of_a_group_gets_a_reply_and_one_of_another_bot_does_not(mode: Mode) {
    let fixture = fixture_in(mode).await;
    let group = -100;
    fixture.telegram.group_says(group, "hello");
    let command = |sender: Value| {
        let chat = json!({ "id": group, "type": "supergroup", "title": "g" });
        let from = json!({ "id": 1_087_968_824, "is_bot": true, "first_name": "Group" });
        let mut message = json!({ "message_id": 7, "date": 1, "chat": chat, "from": from, "text": "/help" });
        message.as_object_mut().unwrap().extend(sender.as_object().unwrap().clone());
        fixture.telegram.push_update(json!({ "message": message }))
    };
    let robot = command(json!({}));
    fixture.telegram.wait_until_confirmed(robot).await.unwrap();
    assert!(fixture.telegram.replies(group).is_empty());
    command(json!({ "sender_chat": { "id": group, "type": "supergroup", "title": "g" } }));
    assert_eq!(fixture.reply(group).await, english(Phrase::PrivateChatOnly));
}
