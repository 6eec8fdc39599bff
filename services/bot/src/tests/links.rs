//! Links to a message: what opening one does, and what it does not.

use mayfly_contracts::error::ErrorReason;
use mayfly_testkit::telegram::{Fault, Message};

use super::harness::{
    ANN, BOB, Mode, OPENED_HERE, VIEWED, World, in_both_modes, start_in, world, world_in, world_with_flags,
};
use crate::conversation::message_ref::MessageRef;

in_both_modes! {
    opening_a_link_consumes_nothing_and_reveal_shows_the_text_once,
    a_text_that_was_revealed_but_never_sent_is_sent_after_a_crash,
    pressing_reveal_twice_shows_the_text_once_and_raises_no_alarm,
}

const REVEAL: [&str; 1] = ["Reveal"];

/// What `t.me/bot?start=` is followed by in the link to this message.
fn link(key: &str) -> String {
    MessageRef::parse(key).unwrap().to_link().unwrap()
}

async fn open(world: &World, chat: i64, key: &str) -> Message {
    world.ask_message(chat, &format!("/start {}", link(key))).await
}

/// Waits until the message has this text and no buttons.
async fn until_text(world: &World, chat: i64, message_id: i64, text: &str) {
    let is_so = |messages: &[Message]| {
        let mut found = messages.iter().filter(|found| found.message_id == message_id);
        found.any(|found| found.text == text && found.reply_markup.is_none())
    };
    world.telegram.wait_for_messages(chat, is_so).await.unwrap();
}

async fn opening_a_link_consumes_nothing_and_reveal_shows_the_text_once(mode: Mode) {
    let world = world_in(mode).await;
    let kept = world.ask_message(ANN, "new:hello").await;
    let share = kept.button("Share").unwrap()["url"].as_str().unwrap();
    let payload = share.split("?start=").nth(1).unwrap();
    assert!(payload.len() <= 64 && payload == link(&kept.text));

    let offered = world.ask_message(BOB, &format!("/start {payload}")).await;
    assert!(
        offered.text.starts_with("Somebody has left a text for you, until 2026-12-22 08:02 UTC."),
        "{}",
        offered.text
    );
    assert_eq!(offered.labels(), REVEAL);
    assert_eq!(open(&world, BOB, &kept.text).await.labels(), REVEAL, "again");
    world.store.until(|data| data.view_calls == 0).await;

    assert_eq!(world.press(BOB, &offered, "Reveal").await, None);
    let shown = world.telegram.replies(BOB).pop().unwrap();
    assert_eq!((shown.text.as_str(), shown.params.get("reply_markup")), ("hello", None));
    until_text(&world, BOB, offered.message_id, "Here it is. It is erased, and nobody can read it again.").await;
    assert_eq!(world.store.texts(), 0, "acknowledged");
    assert_eq!(world.ask(ANN, &format!("/start {payload}")).await, VIEWED);
}

async fn a_text_that_was_revealed_but_never_sent_is_sent_after_a_crash(mode: Mode) {
    let world = world_in(mode).await;
    let key = world.store.put("hello");
    let offered = open(&world, ANN, &key).await;
    world.telegram.fail_next("sendMessage", 1, Fault::NoResponse);
    let (_, update) = world.telegram.begin_press(ANN, offered.message_id, "Reveal").unwrap();
    world.telegram.wait_for_calls("sendMessage", 2).await.unwrap();
    world.bot.kill().await;
    let bot = start_in(mode, &world.telegram, &world.store).await;
    assert_eq!(world.telegram.next_reply(ANN).await.unwrap().text, "hello");
    until_text_in(&world.telegram, offered.message_id).await;
    world.telegram.wait_until_confirmed(update).await.unwrap();
    bot.stop().await;
}

async fn until_text_in(telegram: &mayfly_testkit::FakeTelegram, message_id: i64) {
    let is_so = |messages: &[Message]| {
        messages.iter().any(|found| found.message_id == message_id && found.text.starts_with("Here it is."))
    };
    telegram.wait_for_messages(ANN, is_so).await.unwrap();
}

async fn pressing_reveal_twice_shows_the_text_once_and_raises_no_alarm(mode: Mode) {
    let world = world_in(mode).await;
    let key = world.store.put("hello");
    let offered = open(&world, ANN, &key).await;
    world.telegram.begin_press(ANN, offered.message_id, "Reveal").unwrap();
    let second = world.press(ANN, &offered, "Reveal").await;
    assert_eq!(second.as_deref(), Some(OPENED_HERE));
    assert_eq!(world.telegram.replies(ANN).iter().filter(|reply| reply.text == "hello").count(), 1);
}

#[tokio::test]
async fn somebody_elses_reading_is_told_in_place_of_the_text() {
    let world = world().await;
    let key = world.store.put("hello");
    let offered = open(&world, ANN, &key).await;
    assert_eq!(world.ask(BOB, &key).await, "hello");
    assert_eq!(world.press(ANN, &offered, "Reveal").await.as_deref(), Some(VIEWED));
    until_text(&world, ANN, offered.message_id, VIEWED).await;
}

#[tokio::test]
async fn what_cannot_be_sent_is_not_said_to_stand_below() {
    let world = world().await;
    let key = world.store.put("hello");
    let offered = open(&world, ANN, &key).await;
    world.telegram.user_blocks(ANN);
    assert_eq!(world.press(ANN, &offered, "Reveal").await, None);
    assert_eq!(world.message(ANN, offered.message_id), offered);
    assert_eq!(world.store.view_calls(), 0, "nothing was read");
    world.telegram.user_unblocks(ANN);
    world.store.block_on_next_view(&world.telegram, ANN);
    assert_eq!(world.press(ANN, &offered, "Reveal").await, None);
    assert_eq!(world.message(ANN, offered.message_id), offered);
    world.telegram.user_unblocks(ANN);
    assert_eq!(world.press(ANN, &offered, "Reveal").await, None);
    assert_eq!(world.telegram.next_reply(ANN).await.unwrap().text, "hello", "still theirs");
}

#[tokio::test]
async fn a_damaged_link_is_said_to_be_damaged_and_asks_nobody() {
    let world = world().await;
    let link = link(&world.store.put("hello"));
    let said = world.ask(ANN, &format!("/start {}", &link[..50])).await;
    assert_eq!(said, "This link is damaged: open it again as you got it, or ask for a new one. Nothing was read.");
    assert_eq!(world.store.texts(), 1);
}

#[tokio::test]
async fn a_link_to_what_no_chat_shows_says_where_to_read_it() {
    let world = world_with_flags(Mode::Polling, &["--public-url", "https://mayfly.example.org"]).await;
    let sealed = world.store.put_refused("sealed", ErrorReason::MessageSealed);
    let offered = open(&world, ANN, &sealed).await;
    assert!(offered.text.contains("Open it in a browser, by its link."), "{}", offered.text);
    assert!(offered.labels().is_empty(), "its link has a key that the bot does not have");

    let locked = world.store.put_refused("locked", ErrorReason::PassphraseRequired);
    let offered = open(&world, ANN, &locked).await;
    assert!(offered.text.ends_with("read it in a browser."), "{}", offered.text);
    let (id, token) = locked.split_once(':').unwrap();
    assert_eq!(offered.button("Open in browser").unwrap()["url"], format!("https://mayfly.example.org/m/{id}#{token}"));
    assert_eq!(world.ask_message(ANN, &locked).await.labels(), ["Open in browser"]);
    assert_eq!(world.store.texts(), 2);
}

#[tokio::test]
async fn without_a_page_a_message_with_a_passphrase_is_read_elsewhere() {
    let world = world().await;
    let locked = world.store.put_refused("locked", ErrorReason::PassphraseRequired);
    let said = world.ask_message(ANN, &locked).await;
    assert!(said.text.ends_with("read it with mayfly view, or over REST."), "{}", said.text);
    assert!(said.labels().is_empty());
}
