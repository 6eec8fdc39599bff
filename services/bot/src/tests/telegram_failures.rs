//! A Telegram that refuses, fails or breaks off.
//!
//! The tests with server errors take 10 seconds each: teloxide waits that long by itself.

use std::time::Duration;

use mayfly_testkit::telegram::Fault;
use serde_json::Value;
use teloxide::{ApiError, Bot, RequestError, payloads::GetUpdatesSetters as _, requests::Requester as _};

use super::harness::{ANN, BOB, BOT_TOKEN, fakes, fixture, fixture_with, quick, start};
use crate::timeouts::Timeouts;

const FLOOD: Fault = Fault::TooManyRequests { retry_after: 1 };

#[tokio::test]
async fn a_reply_is_sent_again_after_flood_control_and_broken_connections() {
    let fixture = fixture().await;
    fixture.telegram.fail_next("sendMessage", 1, FLOOD);
    fixture.telegram.fail_next("sendMessage", 3, Fault::DisconnectBefore);
    assert!(fixture.ask(ANN, "new:hello").await.starts_with("1:"));
    fixture.bot.stop().await;
    assert_eq!(fixture.telegram.replies(ANN).len(), 1);
    assert_eq!(fixture.store.messages(), 1);
}

#[tokio::test]
async fn a_reply_whose_confirmation_got_lost_arrives_twice_rather_than_never() {
    let fixture = fixture().await;
    fixture.telegram.fail_next("sendMessage", 1, Fault::DisconnectAfter);
    let key = fixture.store.put("hello");
    assert_eq!(fixture.ask(ANN, &key).await, "hello");
    assert_eq!(fixture.reply(ANN).await, "hello");
}

#[tokio::test]
async fn a_reply_is_sent_again_after_a_server_error() {
    let fixture = fixture().await;
    fixture.telegram.fail_next("sendMessage", 1, Fault::ServerError);
    let key = fixture.store.put("hello");
    assert_eq!(fixture.ask(ANN, &key).await, "hello");
}

#[tokio::test]
async fn a_reply_outlives_any_outage_of_telegram() {
    let fixture = fixture_with(Timeouts { send_timeout: Duration::ZERO, ..quick() }).await;
    let key = fixture.store.put("hello");
    fixture.telegram.wait_for_calls("getUpdates", 1).await.unwrap();
    fixture.telegram.fail_next("sendMessage", 10, Fault::DisconnectBefore);
    fixture.telegram.fail_next("getUpdates", 50, Fault::DisconnectBefore);
    assert_eq!(fixture.ask(ANN, &key).await, "hello");
}

#[tokio::test]
async fn a_reply_that_telegram_rejects_only_for_this_chat_is_given_up_and_can_be_requested_again() {
    let fixture = fixture_with(Timeouts { send_timeout: Duration::ZERO, ..quick() }).await;
    let key = fixture.store.put("hello");
    fixture.telegram.fail_next("sendMessage", 20, Fault::DisconnectBefore);
    let update = fixture.telegram.user_says(ANN, &key);
    fixture.telegram.wait_until_confirmed(update).await.unwrap();
    assert!(fixture.telegram.calls("sendMessage").len() < 20);
    fixture.telegram.clear_faults("sendMessage");
    assert_eq!(fixture.ask(ANN, &key).await, "hello");
}

#[tokio::test]
async fn a_reply_that_a_revoked_token_prevents_is_sent_when_the_token_works_again() {
    let fixture = fixture().await;
    let key = fixture.store.put("hello");
    fixture.store.hold("slow");
    fixture.telegram.user_says(ANN, "new:slow");
    fixture.telegram.user_says(ANN, &key);
    fixture.store.until(|data| data.create_calls == ["slow"]).await;
    fixture.telegram.revoke_token();
    fixture.store.release("slow");
    fixture.bot.shows("the bot token is refused").await;
    fixture.telegram.restore_token();
    assert!(fixture.reply(ANN).await.starts_with("2:"));
    assert_eq!(fixture.reply(ANN).await, "hello");
    assert_eq!(fixture.store.messages(), 2);
}

#[tokio::test]
async fn a_postponed_update_that_telegram_lost_blocks_no_other() {
    let fixture = fixture().await;
    fixture.store.hold("slow");
    fixture.telegram.user_says(ANN, "new:slow");
    fixture.store.until(|data| data.create_calls == ["slow"]).await;
    fixture.telegram.revoke_token();
    fixture.store.release("slow");
    fixture.bot.shows_that(|status| status["queued_updates"] == 0).await;
    fixture.telegram.drop_updates();
    // More than a poll brings.
    let updates: Vec<_> = (1..=150).map(|chat| fixture.telegram.user_says(chat, "hello")).collect();
    let last = updates.last().copied().unwrap();
    fixture.telegram.restore_token();
    for chat in 1..=150 {
        fixture.reply(chat).await;
    }
    fixture.telegram.wait_until_confirmed(last).await.unwrap();
    let rests = |poll: &Value| poll["offset"].as_i64() == Some(last + 1) && poll["timeout"].as_u64() > Some(0);
    assert!(fixture.telegram.calls("getUpdates").last().is_some_and(rests), "it waits for what comes next");
    fixture.bot.shows_that(|status| status["failed_updates"] == 1).await;
    assert!(fixture.telegram.replies(ANN).is_empty());
}

#[tokio::test]
async fn a_document_is_sent_again_too() {
    let fixture = fixture().await;
    fixture.telegram.fail_next("sendDocument", 2, Fault::DisconnectBefore);
    let text = "x".repeat(5000);
    assert_eq!(fixture.ask(ANN, &fixture.store.put(&text)).await, text);
}

#[tokio::test]
async fn polling_goes_on_after_flood_control_and_broken_connections() {
    let fixture = fixture().await;
    fixture.telegram.wait_for_calls("getUpdates", 1).await.unwrap();
    for fault in [FLOOD, Fault::DisconnectBefore, Fault::DisconnectAfter, Fault::DisconnectBefore] {
        fixture.telegram.fail_next("getUpdates", 1, fault);
    }
    assert!(fixture.ask(ANN, "new:first").await.starts_with("1:"));
    let last = fixture.telegram.user_says(ANN, "new:second");
    assert!(fixture.reply(ANN).await.starts_with("2:"));
    fixture.telegram.wait_until_confirmed(last).await.unwrap();
    assert_eq!(fixture.store.messages(), 2);
}

#[tokio::test]
async fn polling_goes_on_after_a_server_error() {
    let (telegram, store) = fakes().await;
    store.set_bot(BOT_TOKEN);
    telegram.fail_next("getUpdates", 1, Fault::ServerError);
    let bot = start(&telegram, &store).await;
    telegram.user_says(ANN, "new:hello");
    telegram.next_reply(ANN).await.unwrap();
    bot.stop().await;
}

#[tokio::test]
async fn polling_goes_on_after_a_proxys_error_page() {
    let (telegram, store) = fakes().await;
    store.set_bot(BOT_TOKEN);
    telegram.fail_next("getUpdates", 1, Fault::BadGateway);
    let bot = start(&telegram, &store).await;
    telegram.user_says(ANN, "new:hello");
    telegram.next_reply(ANN).await.unwrap();
    bot.stop().await;
}

#[tokio::test]
async fn another_program_that_polls_does_not_end_the_bot() {
    let fixture = fixture().await;
    fixture.telegram.wait_for_calls("getUpdates", 1).await.unwrap();
    let rival = Bot::new(BOT_TOKEN).set_api_url(fixture.telegram.url().parse().unwrap());
    let ended = rival.get_updates().timeout(10).await.unwrap_err();
    assert!(matches!(ended, RequestError::Api(ApiError::TerminatedByOtherGetUpdates)));
    assert!(fixture.ask(ANN, "new:hello").await.starts_with("1:"));
}

#[tokio::test]
async fn a_webhook_is_deleted_without_the_updates_that_wait() {
    let (telegram, store) = fakes().await;
    store.set_bot(BOT_TOKEN);
    telegram.set_webhook("https://example.org/hook");
    telegram.user_says(ANN, "new:hello");
    let bot = start(&telegram, &store).await;
    assert!(telegram.next_reply(ANN).await.unwrap().text.starts_with("1:"));
    assert_eq!(telegram.webhook(), None);
    assert_eq!(telegram.calls("deleteWebhook")[0]["drop_pending_updates"], false);
    bot.stop().await;
}

#[tokio::test]
async fn a_user_who_blocked_the_bot_is_given_up_on() {
    let fixture = fixture().await;
    fixture.telegram.user_blocks(ANN);
    let update = fixture.telegram.user_says(ANN, "new:hello");
    fixture.telegram.wait_until_confirmed(update).await.unwrap();
    assert_eq!(fixture.telegram.calls("sendMessage").len(), 1);
    fixture.ask(BOB, "new:hello").await;
}
