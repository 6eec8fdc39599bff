//! Keywords, and the commands that stand for them.

use super::harness::{ANN, BOB, Mode, VIEWED, fixture, fixture_in, in_both_modes};
use crate::conversation::{language::Language, texts::Phrase};

in_both_modes! {
    looking_changes_nothing_and_burning_erases,
}

async fn looking_changes_nothing_and_burning_erases(mode: Mode) {
    let fixture = fixture_in(mode).await;
    let key = fixture.ask(ANN, "new:hello").await;
    let unread = "Not read yet. It expires on 2026-12-22 08:02 UTC.";
    assert_eq!(fixture.ask(ANN, &format!("look:{key}")).await, unread);
    assert_eq!(fixture.ask(ANN, &format!("/look {key}")).await, unread);
    assert_eq!(fixture.ask(ANN, &format!("Burn: {key}")).await, "Burned: nobody can read it any more.");
    assert_eq!(fixture.ask(ANN, &format!("burn:{key}")).await, "Burned: nobody can read it any more.", "once more");
    let burned = "This message was burned unread on 2026-11-22 08:02 UTC.";
    assert_eq!(fixture.ask(ANN, &format!("LOOK:{key}")).await, burned);
    assert_eq!(fixture.store.texts(), 0);
}

#[tokio::test]
async fn the_creator_can_ask_when_a_message_was_read() {
    let fixture = fixture().await;
    let key = fixture.ask(ANN, "new:hello").await;
    assert_eq!(fixture.ask(BOB, &key).await, "hello");
    assert_eq!(fixture.ask(ANN, &format!("look:{key}")).await, VIEWED);
    assert_eq!(fixture.ask(ANN, &format!("burn:{key}")).await, VIEWED);
}

#[tokio::test]
async fn a_lifetime_can_be_given_and_is_not_part_of_the_text() {
    let fixture = fixture().await;
    for (asked, seconds) in
        [("new 1h:a:b", Some(3600)), ("NEW 2D :a:b", Some(172_800)), ("/new 30m:a:b", Some(1800)), ("new:a:b", None)]
    {
        let key = fixture.ask(ANN, asked).await;
        assert_eq!(fixture.store.last_lifetime(), seconds, "{asked}");
        assert_eq!(fixture.ask(ANN, &key).await, "a:b", "{asked}");
    }
}

#[tokio::test]
async fn an_invalid_lifetime_is_explained_and_nothing_is_stored() {
    let fixture = fixture().await;
    let said = fixture.ask(ANN, "new soon:hello").await;
    assert!(
        said.starts_with("\u{201c}soon\u{201d} is no lifetime.") && said.ends_with("Nothing was stored."),
        "{said}"
    );
    let said = fixture.ask(ANN, "new 100d:hello").await;
    assert_eq!(said, "The lifetime does not fit: must be at most 90days. Nothing was stored.");
    assert_eq!(fixture.store.messages(), 0);
}

#[tokio::test]
async fn a_text_that_follows_a_command_at_once_is_kept_whole() {
    let fixture = fixture().await;
    for (command, text) in [("/new-s3cret", "-s3cret"), ("/new🎲dice", "🎲dice"), ("/new  x", " x"), ("/new::x", ":x")]
    {
        let key = fixture.ask(ANN, command).await;
        fixture.telegram.user_says(ANN, &key);
        assert_eq!(fixture.telegram.next_reply(ANN).await.unwrap().text, text, "{command}");
    }
}

#[tokio::test]
async fn the_command_keeps_a_text_too() {
    let fixture = fixture().await;
    let key = fixture.ask(ANN, "/new@fake_1000000000_bot buy milk: two bottles").await;
    assert_eq!(fixture.ask(ANN, &key).await, "buy milk: two bottles");
    assert_eq!(fixture.ask(ANN, "/new").await, Language::English.text(Phrase::NoText));
    assert_eq!(fixture.ask(ANN, "/burn").await, Language::English.text(Phrase::MessageRefInvalid));
}

#[tokio::test]
async fn the_menu_has_every_keyword_in_every_language() {
    let fixture = fixture().await;
    fixture.telegram.wait_for_calls("setMyCommands", Language::ALL.len()).await.unwrap();
    // The last call is answered after it was counted.
    fixture.ask(ANN, "hello").await;
    for language in Language::ALL {
        let code = if language == Language::English { "" } else { language.code() };
        let menu = fixture.telegram.commands(code);
        let names: Vec<_> = menu.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["new", "look", "burn", "help"], "{language:?}");
        assert_eq!(menu[0].1, language.text(Phrase::NewCommand));
    }
    for call in fixture.telegram.calls("setMyCommands") {
        assert_eq!(call["scope"]["type"], "all_private_chats");
    }
}
