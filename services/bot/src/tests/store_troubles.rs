//! A store that is away.

use std::time::Duration;

use super::harness::{ANN, BOB, OPENED_HERE, PATIENCE, VIEWED, quick, start, world, world_with};
use crate::{
    conversation::{language::Language, wording},
    timeouts::{BackoffPolicy, Timeouts},
};

#[tokio::test]
async fn a_text_waits_for_a_store_that_comes_back() {
    let world = world().await;
    world.telegram.wait_for_calls("getUpdates", 1).await.unwrap();
    world.store.set_away(true);
    world.telegram.user_says(ANN, "new:hello");
    world.store.until(|data| data.create_calls.len() >= 3).await;
    world.store.set_away(false);
    assert!(world.reply(ANN).await.starts_with("1:"));
    assert_eq!(world.store.messages(), 1);
}

#[tokio::test]
async fn a_store_that_stays_away_is_reported_plainly() {
    let patience = Duration::from_millis(50);
    let world = world_with(Timeouts { store_timeout: patience, ..quick() }).await;
    world.telegram.wait_for_calls("getUpdates", 1).await.unwrap();
    let key = world.store.put("hello");
    world.store.set_away(true);
    let said = world.ask(ANN, "new:hello").await;
    assert!(said.contains("Nothing was stored; please try again later."), "{said}");
    let said = world.ask(ANN, &key).await;
    assert!(said.contains("I have nothing to show you; please try again later."), "{said}");
    world.store.set_away(false);
    assert_eq!(world.ask(ANN, &key).await, "hello");
}

#[tokio::test]
async fn a_view_whose_answer_got_lost_is_repeated() {
    let world = world().await;
    let key = world.store.put("hello");
    world.store.lose_next_view();
    assert_eq!(world.ask(ANN, &key).await, "hello");
    world.store.until(|data| data.view_calls == 2).await;
}

#[tokio::test]
async fn who_writes_when_the_store_has_been_away_for_long_is_told_at_once() {
    let patience = Duration::from_millis(500);
    let pauses = BackoffPolicy { initial: Duration::from_millis(200), max: Duration::from_millis(200) };
    let world = world_with(Timeouts { store_timeout: patience, store_backoff: pauses, ..quick() }).await;
    world.telegram.wait_for_calls("getUpdates", 1).await.unwrap();
    world.store.set_away(true);
    assert!(world.ask(ANN, "new:first").await.contains("Nothing was stored"));
    world.store.until(|data| data.create_calls.len() >= 2).await;
    assert!(world.ask(BOB, "new:second").await.contains("Nothing was stored"));
    world.store.until(|data| data.create_calls.iter().filter(|text| *text == "second").count() == 1).await;

    // It comes back and goes away again: then it has its whole time again.
    world.store.set_away(false);
    world.ask(ANN, "new:third").await;
    world.store.set_away(true);
    assert!(world.ask(BOB, "new:fourth").await.contains("Nothing was stored"));
    world.store.until(|data| data.create_calls.iter().filter(|text| *text == "fourth").count() >= 2).await;
}

#[tokio::test]
async fn chats_that_wait_for_the_store_keep_nobody_from_an_answer_that_needs_none() {
    let world = world().await;
    world.telegram.wait_for_calls("getUpdates", 1).await.unwrap();
    world.store.set_away(true);
    for chat in 1..=60 {
        world.telegram.user_says(chat, "new:waits");
    }
    world.store.until(|data| data.create_calls.len() >= 60).await;
    assert_eq!(world.ask(ANN, "/help").await, wording::help(Language::English));
    world.store.set_away(false);
    for chat in 1..=60 {
        world.reply(chat).await;
    }
    assert_eq!(world.store.messages(), 60);
}

#[tokio::test]
async fn a_text_that_was_claimed_for_a_reader_who_was_told_to_try_again_is_still_theirs() {
    let world = world_with(Timeouts { store_timeout: Duration::ZERO, ..quick() }).await;
    let key = world.store.put("hello");
    world.store.lose_next_view();
    let said = world.ask(ANN, &key).await;
    assert!(said.contains("I have nothing to show you; please try again later."), "{said}");
    assert_eq!(world.ask(BOB, &key).await, VIEWED);
    assert_eq!(world.ask(ANN, &key).await, "hello");
}

#[tokio::test]
async fn a_text_that_the_store_had_to_erase_before_it_could_be_shown_is_not_said_to_be_read_by_others() {
    let world = world_with(Timeouts { store_timeout: Duration::ZERO, ..quick() }).await;
    let key = world.store.put("hello");
    world.store.lose_next_view();
    assert!(world.ask(ANN, &key).await.contains("I have nothing to show you"));
    world.store.end_grace();
    assert_eq!(world.ask(ANN, &key).await, OPENED_HERE);
    assert_eq!(world.ask(BOB, &key).await, VIEWED);
}

#[tokio::test]
async fn a_stopping_bot_does_not_wait_for_the_store_and_leaves_the_update_for_later() {
    let world = world_with(Timeouts { stop_drain_timeout: PATIENCE * 2, ..quick() }).await;
    world.telegram.wait_for_calls("getUpdates", 1).await.unwrap();
    world.store.set_away(true);
    let update = world.telegram.user_says(ANN, "new:hello");
    // Would need no store, but is not answered before what was written before it.
    let next = world.telegram.user_says(ANN, "/help");
    world.store.until(|data| data.create_calls.len() >= 2).await;
    world.bot.stop().await;
    assert_eq!(world.telegram.pending_updates(), [update, next]);
    assert!(world.telegram.replies(ANN).is_empty());

    world.store.set_away(false);
    let _bot = start(&world.telegram, &world.store).await;
    assert!(world.telegram.next_reply(ANN).await.unwrap().text.starts_with("1:"));
    assert_eq!(world.telegram.next_reply(ANN).await.unwrap().text, wording::help(Language::English));
}
