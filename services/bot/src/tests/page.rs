//! The page on the bot's port.

use mayfly_testkit::telegram::Fault;
use serde_json::json;

use super::{
    fake_store::PANIC,
    harness::{ANN, BOT_TOKEN, fakes, start, world},
};

#[tokio::test]
async fn the_page_begins_with_the_status_and_shows_the_bot() {
    let (telegram, store) = fakes().await;
    store.set_bot(BOT_TOKEN);
    let bot = start(&telegram, &store).await;
    bot.shows("serving").await;
    let (code, body) = bot.page("/").await;
    assert_eq!(code, 200);
    assert!(body.starts_with(r#"{"status":200,"#), "{body}");
    let expected = json!({
        "status": 200, "bot": "fake_1000000000_bot", "state": "serving", "mode": "polling", "app_config_id": 1,
        "is_store_connected": true, "last_update_time": null, "queued_updates": 0, "failed_updates": 0, "errors": [],
        "version": env!("CARGO_PKG_VERSION"),
    });
    assert_eq!(bot.status().await, expected);
}

#[tokio::test]
async fn updates_in_hand_and_the_time_of_the_last_one_are_shown() {
    let world = world().await;
    world.store.hold("slow");
    world.telegram.user_says(ANN, "new:slow");
    world.store.until(|data| data.create_calls == ["slow"]).await;
    let status = world.bot.status().await;
    assert_eq!(status["queued_updates"], 1);
    assert!(status["last_update_time"].as_str().is_some_and(|time| time.ends_with('Z')), "{status}");
    world.store.release("slow");
    world.reply(ANN).await;
    world.bot.shows_that(|status| status["queued_updates"] == 0).await;
}

#[tokio::test]
async fn updates_that_failed_are_counted_with_their_reason() {
    let world = world().await;
    world.ask(ANN, &format!("new:{PANIC}")).await;
    let status = world.bot.status().await;
    assert_eq!(status["failed_updates"], 1);
    assert_eq!(status["errors"][0]["what"], "a handler panicked");
}

#[tokio::test]
async fn what_went_wrong_stays_on_the_page_after_it_has_passed() {
    let world = world().await;
    world.telegram.fail_next("getUpdates", 2, Fault::BadGateway);
    world.ask(ANN, "hello").await;
    world.bot.shows("serving").await;
    world.bot.shows_that(|status| status["errors"][0]["count"] == 2).await;
}
