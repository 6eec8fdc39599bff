//! What users see.

use serde_json::json;

use super::harness::{ANN, BOB, BOT_TOKEN, VIEWED, VIEWED_HERE, fakes, fixture, start};
use crate::conversation::{language::Language, texts::Phrase, wording};

#[tokio::test]
async fn a_text_is_kept_and_shown_once() {
    let fixture = fixture().await;
    let key = fixture.ask(ANN, "new:hello").await;
    assert_eq!(key, format!("1:{:064x}", 1));
    assert_eq!(fixture.ask(BOB, &key).await, "hello");
    assert_eq!(fixture.ask(BOB, &key).await, VIEWED_HERE);
    assert_eq!(fixture.telegram.replies(ANN).len(), 1, "one message, nothing around it");
    assert_eq!(fixture.ask(ANN, &key).await, VIEWED);
    assert_eq!(fixture.ask(BOB, &key).await, VIEWED_HERE, "another reader in between");
}

#[tokio::test]
async fn everything_after_the_first_colon_is_kept() {
    let fixture = fixture().await;
    let key = fixture.ask(ANN, "NEW:a:b").await;
    assert_eq!(fixture.ask(ANN, &format!(" {key}\n")).await, "a:b");
}

#[tokio::test]
async fn a_text_full_of_markdown_is_shown_byte_for_byte_with_no_markup_and_no_preview() {
    let fixture = fixture().await;
    let piece = "*a_ `b [c](http://example.org <d> & e\\ 🎲\n";
    let mut text = piece.repeat(4096 / piece.encode_utf16().count());
    text.extend(std::iter::repeat_n('_', 4096 - text.encode_utf16().count()));
    let key = fixture.store.put(&text);

    fixture.telegram.user_says(ANN, &key);
    let reply = fixture.telegram.next_reply(ANN).await.unwrap();
    assert_eq!(reply.text, text);
    assert_eq!(reply.document, None);
    let params = reply.params.as_object().unwrap();
    assert!(params["link_preview_options"]["is_disabled"].as_bool().unwrap());
    for absent in ["parse_mode", "entities", "reply_markup", "reply_parameters"] {
        assert!(!params.contains_key(absent), "{absent}");
    }
}

#[tokio::test]
async fn a_text_too_long_for_a_message_comes_as_a_document() {
    let fixture = fixture().await;
    // Telegram counts UTF-16 code units: 2049 characters, but 4098 units.
    let text = "🎲".repeat(2049);
    fixture.telegram.user_says(ANN, &fixture.store.put(&text));
    let reply = fixture.telegram.next_reply(ANN).await.unwrap();
    assert_eq!(reply.document.as_deref(), Some("message.txt"));
    assert_eq!(reply.text, text);
    assert!(fixture.telegram.calls("sendMessage").is_empty());
}

#[tokio::test]
async fn a_text_that_telegram_would_refuse_or_change_comes_as_a_document() {
    let fixture = fixture().await;
    for text in [
        " \n ",
        "a password that ends in a blank ",
        "-----BEGIN-----\nkey\n-----END-----\n",
        "a\tb",
        "a\r\nb",
        "a\u{202e}b",
        "a\u{2028}b",
        "A\u{30a}",
        "a\u{1b}[0mb",
    ] {
        fixture.telegram.user_says(ANN, &fixture.store.put(text));
        let reply = fixture.telegram.next_reply(ANN).await.unwrap();
        assert_eq!((reply.text.as_str(), reply.document.as_deref()), (text, Some("message.txt")), "{text:?}");
    }
    assert!(fixture.telegram.calls("sendMessage").is_empty());
    for text in ["two\nlines", "a  b", "\u{200f}שלום", "Å", "🎲"] {
        fixture.telegram.user_says(ANN, &fixture.store.put(text));
        let reply = fixture.telegram.next_reply(ANN).await.unwrap();
        assert_eq!((reply.text.as_str(), reply.document), (text, None), "{text:?}");
    }
}

#[tokio::test]
async fn unknown_texts_get_the_help() {
    let fixture = fixture().await;
    for text in ["/start", "/help", "/start@fake_1000000000_bot payload", "hello", "old:text", ":"] {
        assert_eq!(fixture.ask(ANN, text).await, wording::help(Language::English), "{text}");
    }
}

#[tokio::test]
async fn messages_without_text_get_an_explanation() {
    let fixture = fixture().await;
    fixture.telegram.user_sends_sticker(ANN);
    assert_eq!(fixture.reply(ANN).await, Language::English.text(Phrase::TextOnly));
}

#[tokio::test]
async fn a_text_with_formatting_unknown_to_the_library_is_understood() {
    let fixture = fixture().await;
    // Makes the chat known.
    fixture.ask(ANN, "hello").await;
    let entity = json!({ "type": "newer_than_the_library", "offset": 0, "length": 3 });
    fixture.telegram.push_update(json!({ "message": {
        "message_id": 9, "date": 1_637_568_164, "text": "new:hello", "entities": [entity],
        "chat": { "id": ANN, "type": "private", "first_name": "Ann" },
        "from": { "id": ANN, "is_bot": false, "first_name": "Ann" },
    } }));
    assert!(fixture.reply(ANN).await.starts_with("1:"));
}

#[tokio::test]
async fn a_token_that_is_none_is_mistyped() {
    let fixture = fixture().await;
    assert_eq!(fixture.ask(ANN, "1:not a token").await, Language::English.text(Phrase::MessageRefInvalid));
    assert_eq!(fixture.ask(ANN, "0:x").await, Language::English.text(Phrase::MessageRefInvalid));
}

#[tokio::test]
async fn a_message_that_is_not_there_is_long_gone() {
    let fixture = fixture().await;
    let unknown = format!("9:{:064x}", 9);
    assert_eq!(fixture.ask(ANN, &unknown).await, "There is no such message, or it is long gone.");
}

#[tokio::test]
async fn an_empty_text_is_explained() {
    let fixture = fixture().await;
    let said = fixture.ask(ANN, "new:").await;
    assert_eq!(said, Language::English.text(Phrase::NoText));
}

#[tokio::test]
async fn groups_are_ignored_but_confirmed() {
    let (telegram, store) = fakes().await;
    store.set_bot(BOT_TOKEN);
    let group = -100;
    let said = telegram.group_says(group, "new:group");
    let bot = start(&telegram, &store).await;
    telegram.wait_until_confirmed(said).await.unwrap();
    bot.stop().await;
    assert_eq!((store.messages(), telegram.replies(group).len()), (0, 0));
}

#[tokio::test]
async fn only_messages_and_posts_and_pressed_buttons_are_asked_for() {
    let fixture = fixture().await;
    fixture.telegram.wait_for_calls("getUpdates", 1).await.unwrap();
    assert_eq!(
        fixture.telegram.calls("getUpdates")[0]["allowed_updates"],
        json!(["message", "edited_message", "channel_post", "callback_query"])
    );
}
