//! Links to messages: what opening one does, and what it does not.

use mayfly_contracts::{MessageRef, error::ErrorReason};
use mayfly_testkit::telegram::{Fault, Message};

use super::harness::{
    ANN, BOB, Fixture, Mode, VIEWED, VIEWED_HERE, fixture, fixture_in, fixture_with_flags, in_both_modes, start_in,
};
use crate::conversation::link;

in_both_modes! {
    opening_a_link_consumes_nothing_and_reveal_shows_the_text_once,
    a_text_that_was_revealed_but_never_sent_is_sent_after_a_crash,
    pressing_reveal_twice_shows_the_text_once_and_raises_no_alarm,
}

const REVEAL: [&str; 1] = ["Reveal"];

/// Returns the payload after `t.me/bot?start=` in the link to this message.
fn link(key: &str) -> String {
    link::encode(&MessageRef::parse(key).unwrap()).unwrap()
}

async fn open(fixture: &Fixture, chat: i64, key: &str) -> Message {
    fixture.ask_message(chat, &format!("/start {}", link(key))).await
}

/// Waits until the message has this text and no buttons.
async fn until_text(fixture: &Fixture, chat: i64, message_id: i64, text: &str) {
    let is_so = |messages: &[Message]| {
        let mut found = messages.iter().filter(|found| found.message_id == message_id);
        found.any(|found| found.text == text && found.reply_markup.is_none())
    };
    fixture.telegram.wait_for_messages(chat, is_so).await.unwrap();
}

async fn opening_a_link_consumes_nothing_and_reveal_shows_the_text_once(mode: Mode) {
    let fixture = fixture_in(mode).await;
    let kept = fixture.ask_message(ANN, "new:hello").await;
    let share = kept.button("Share").unwrap()["url"].as_str().unwrap();
    let payload = share.split("?start=").nth(1).unwrap();
    assert!(payload.len() <= 64 && payload == link(&kept.text));

    let offered = fixture.ask_message(BOB, &format!("/start {payload}")).await;
    assert!(
        offered.text.starts_with("Somebody has left a text for you, until 2026-12-22 08:02 UTC."),
        "{}",
        offered.text
    );
    assert_eq!(offered.labels(), REVEAL);
    assert_eq!(open(&fixture, BOB, &kept.text).await.labels(), REVEAL, "again");
    fixture.store.until(|data| data.view_calls == 0).await;

    assert_eq!(fixture.press(BOB, &offered, "Reveal").await, None);
    let shown = fixture.telegram.replies(BOB).pop().unwrap();
    assert_eq!((shown.text.as_str(), shown.params.get("reply_markup")), ("hello", None));
    until_text(&fixture, BOB, offered.message_id, "Here it is. It is erased, and nobody can read it again.").await;
    assert_eq!(fixture.store.texts(), 0, "acknowledged");
    assert_eq!(fixture.ask(ANN, &format!("/start {payload}")).await, VIEWED);
}

async fn a_text_that_was_revealed_but_never_sent_is_sent_after_a_crash(mode: Mode) {
    let fixture = fixture_in(mode).await;
    let key = fixture.store.put("hello");
    let offered = open(&fixture, ANN, &key).await;
    fixture.telegram.fail_next("sendMessage", 1, Fault::NoResponse);
    let (_, update) = fixture.telegram.begin_press(ANN, offered.message_id, "Reveal").unwrap();
    fixture.telegram.wait_for_calls("sendMessage", 2).await.unwrap();
    fixture.bot.kill().await;
    let bot = start_in(mode, &fixture.telegram, &fixture.store).await;
    assert_eq!(fixture.telegram.next_reply(ANN).await.unwrap().text, "hello");
    until_text_in(&fixture.telegram, offered.message_id).await;
    fixture.telegram.wait_until_confirmed(update).await.unwrap();
    bot.stop().await;
}

async fn until_text_in(telegram: &mayfly_testkit::FakeTelegram, message_id: i64) {
    let is_so = |messages: &[Message]| {
        messages.iter().any(|found| found.message_id == message_id && found.text.starts_with("Here it is."))
    };
    telegram.wait_for_messages(ANN, is_so).await.unwrap();
}

async fn pressing_reveal_twice_shows_the_text_once_and_raises_no_alarm(mode: Mode) {
    let fixture = fixture_in(mode).await;
    let key = fixture.store.put("hello");
    let offered = open(&fixture, ANN, &key).await;
    fixture.telegram.begin_press(ANN, offered.message_id, "Reveal").unwrap();
    let second = fixture.press(ANN, &offered, "Reveal").await;
    assert_eq!(second.as_deref(), Some(VIEWED_HERE));
    assert_eq!(fixture.telegram.replies(ANN).iter().filter(|reply| reply.text == "hello").count(), 1);
}

#[tokio::test]
async fn a_text_that_another_chat_viewed_is_reported_as_read() {
    let fixture = fixture().await;
    let key = fixture.store.put("hello");
    let offered = open(&fixture, ANN, &key).await;
    assert_eq!(fixture.ask(BOB, &key).await, "hello");
    assert_eq!(fixture.press(ANN, &offered, "Reveal").await.as_deref(), Some(VIEWED));
    until_text(&fixture, ANN, offered.message_id, VIEWED).await;
}

#[tokio::test]
async fn a_message_is_not_edited_if_the_text_cannot_be_sent() {
    let fixture = fixture().await;
    let key = fixture.store.put("hello");
    let offered = open(&fixture, ANN, &key).await;
    fixture.telegram.user_blocks(ANN);
    assert_eq!(fixture.press(ANN, &offered, "Reveal").await, None);
    assert_eq!(fixture.message(ANN, offered.message_id), offered);
    assert_eq!(fixture.store.view_calls(), 0, "nothing was read");
    fixture.telegram.user_unblocks(ANN);
    fixture.store.block_on_next_view(&fixture.telegram, ANN);
    assert_eq!(fixture.press(ANN, &offered, "Reveal").await, None);
    assert_eq!(fixture.message(ANN, offered.message_id), offered);
    fixture.telegram.user_unblocks(ANN);
    assert_eq!(fixture.press(ANN, &offered, "Reveal").await, None);
    assert_eq!(fixture.telegram.next_reply(ANN).await.unwrap().text, "hello", "still theirs");
}

#[tokio::test]
async fn a_damaged_link_is_said_to_be_damaged_and_asks_nobody() {
    let fixture = fixture().await;
    let link = link(&fixture.store.put("hello"));
    let said = fixture.ask(ANN, &format!("/start {}", &link[..50])).await;
    assert_eq!(said, "This link is damaged: open it again as you got it, or ask for a new one. Nothing was read.");
    assert_eq!(fixture.store.texts(), 1);
}

#[tokio::test]
async fn a_link_to_what_no_chat_shows_says_where_to_read_it() {
    let fixture = fixture_with_flags(Mode::Polling, &["--public-url", "https://mayfly.example.org"]).await;
    let sealed = fixture.store.put_refused("sealed", ErrorReason::MessageSealed);
    let offered = open(&fixture, ANN, &sealed).await;
    assert!(offered.text.contains("Open it in a browser, by its link."), "{}", offered.text);
    assert!(offered.labels().is_empty(), "its link has a key that the bot does not have");

    let locked = fixture.store.put_refused("locked", ErrorReason::PassphraseRequired);
    let offered = open(&fixture, ANN, &locked).await;
    assert!(offered.text.ends_with("read it in a browser."), "{}", offered.text);
    let (id, token) = locked.split_once(':').unwrap();
    assert_eq!(offered.button("Open in browser").unwrap()["url"], format!("https://mayfly.example.org/m/{id}#{token}"));
    assert_eq!(fixture.ask_message(ANN, &locked).await.labels(), ["Open in browser"]);
    assert_eq!(fixture.store.texts(), 2);
}

#[tokio::test]
async fn without_a_page_a_message_with_a_passphrase_is_read_elsewhere() {
    let fixture = fixture().await;
    let locked = fixture.store.put_refused("locked", ErrorReason::PassphraseRequired);
    let said = fixture.ask_message(ANN, &locked).await;
    assert!(said.text.ends_with("read it with mayfly view, or over REST."), "{}", said.text);
    assert!(said.labels().is_empty());
}
