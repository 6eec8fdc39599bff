//! A store that is away.

use std::time::Duration;

use super::harness::{
    ANN, BOB, TIMEOUT, VIEWED, VIEWED_HERE, backoff_without_jitter, fixture, fixture_with, quick, start,
};
use crate::{
    conversation::{language::Language, wording},
    timeouts::Timeouts,
};

#[tokio::test]
async fn a_text_waits_for_a_store_that_comes_back() {
    let fixture = fixture().await;
    fixture.telegram.wait_for_calls("getUpdates", 1).await.unwrap();
    fixture.store.set_away(true);
    fixture.telegram.user_says(ANN, "new:hello");
    fixture.store.until(|data| data.create_calls.len() >= 3).await;
    fixture.store.set_away(false);
    assert!(fixture.reply(ANN).await.starts_with("1:"));
    assert_eq!(fixture.store.messages(), 1);
}

#[tokio::test]
async fn a_store_that_stays_away_is_reported_plainly() {
    let timeout = Duration::from_millis(50);
    let fixture = fixture_with(Timeouts { store_timeout: timeout, ..quick() }).await;
    fixture.telegram.wait_for_calls("getUpdates", 1).await.unwrap();
    let key = fixture.store.put("hello");
    fixture.store.set_away(true);
    let said = fixture.ask(ANN, "new:hello").await;
    assert!(said.contains("Nothing was stored; please try again later."), "{said}");
    let said = fixture.ask(ANN, &key).await;
    assert!(said.contains("I have nothing to show you; please try again later."), "{said}");
    fixture.store.set_away(false);
    assert_eq!(fixture.ask(ANN, &key).await, "hello");
}

#[tokio::test]
async fn a_view_whose_answer_got_lost_is_repeated() {
    let fixture = fixture().await;
    let key = fixture.store.put("hello");
    fixture.store.lose_next_view();
    assert_eq!(fixture.ask(ANN, &key).await, "hello");
    fixture.store.until(|data| data.view_calls == 2).await;
}

#[tokio::test]
async fn calls_during_a_long_outage_of_the_store_fail_at_once() {
    let timeout = Duration::from_millis(500);
    let backoff = backoff_without_jitter(200, 200);
    let fixture = fixture_with(Timeouts { store_timeout: timeout, store_backoff: backoff, ..quick() }).await;
    fixture.telegram.wait_for_calls("getUpdates", 1).await.unwrap();
    fixture.store.set_away(true);
    assert!(fixture.ask(ANN, "new:first").await.contains("Nothing was stored"));
    fixture.store.until(|data| data.create_calls.len() >= 2).await;
    assert!(fixture.ask(BOB, "new:second").await.contains("Nothing was stored"));
    fixture.store.until(|data| data.create_calls.iter().filter(|text| *text == "second").count() == 1).await;

    // After a recovery, the next outage has the whole timeout again.
    fixture.store.set_away(false);
    fixture.ask(ANN, "new:third").await;
    fixture.store.set_away(true);
    assert!(fixture.ask(BOB, "new:fourth").await.contains("Nothing was stored"));
    fixture.store.until(|data| data.create_calls.iter().filter(|text| *text == "fourth").count() >= 2).await;
}

#[tokio::test]
async fn chats_that_wait_for_the_store_do_not_delay_replies_without_it() {
    let fixture = fixture().await;
    fixture.telegram.wait_for_calls("getUpdates", 1).await.unwrap();
    fixture.store.set_away(true);
    for chat in 1..=60 {
        fixture.telegram.user_says(chat, "new:waits");
    }
    fixture.store.until(|data| data.create_calls.len() >= 60).await;
    assert_eq!(fixture.ask(ANN, "/help").await, wording::help(Language::English));
    fixture.store.set_away(false);
    for chat in 1..=60 {
        fixture.reply(chat).await;
    }
    assert_eq!(fixture.store.messages(), 60);
}

#[tokio::test]
async fn a_claimed_text_stays_with_its_reader_after_a_failed_attempt() {
    let fixture = fixture_with(Timeouts { store_timeout: Duration::ZERO, ..quick() }).await;
    let key = fixture.store.put("hello");
    fixture.store.lose_next_view();
    let said = fixture.ask(ANN, &key).await;
    assert!(said.contains("I have nothing to show you; please try again later."), "{said}");
    assert_eq!(fixture.ask(BOB, &key).await, VIEWED);
    assert_eq!(fixture.ask(ANN, &key).await, "hello");
}

#[tokio::test]
async fn a_text_erased_before_it_was_shown_is_not_reported_as_read_by_others() {
    let fixture = fixture_with(Timeouts { store_timeout: Duration::ZERO, ..quick() }).await;
    let key = fixture.store.put("hello");
    fixture.store.lose_next_view();
    assert!(fixture.ask(ANN, &key).await.contains("I have nothing to show you"));
    fixture.store.end_grace();
    assert_eq!(fixture.ask(ANN, &key).await, VIEWED_HERE);
    assert_eq!(fixture.ask(BOB, &key).await, VIEWED);
}

#[tokio::test]
async fn a_stopping_bot_does_not_wait_for_the_store_and_postpones_the_update() {
    let fixture = fixture_with(Timeouts { stop_drain_timeout: TIMEOUT * 2, ..quick() }).await;
    fixture.telegram.wait_for_calls("getUpdates", 1).await.unwrap();
    fixture.store.set_away(true);
    let update = fixture.telegram.user_says(ANN, "new:hello");
    // Needs no store, but is handled after the earlier message.
    let next = fixture.telegram.user_says(ANN, "/help");
    fixture.store.until(|data| data.create_calls.len() >= 2).await;
    fixture.bot.stop().await;
    assert_eq!(fixture.telegram.pending_updates(), [update, next]);
    assert!(fixture.telegram.replies(ANN).is_empty());

    fixture.store.set_away(false);
    let _bot = start(&fixture.telegram, &fixture.store).await;
    assert!(fixture.telegram.next_reply(ANN).await.unwrap().text.starts_with("1:"));
    assert_eq!(fixture.telegram.next_reply(ANN).await.unwrap().text, wording::help(Language::English));
}
