//! The webhook: authentication, responses, and registration.

use std::time::Duration;

use mayfly_testkit::{FakeTelegram, telegram::DeliveryFault};
use serde_json::{Value, json};

use super::harness::{
    ANN, BOB, BOT_TOKEN, Fixture, Mode, OTHER_BOT_TOKEN, RunningBot, VIEWED_HERE, WEBHOOK_PATH, fakes, fixture_in,
    fixture_of, fixture_with_flags, quick, start_in,
};
use crate::{
    conversation::{language::Language, wording},
    timeouts::Timeouts,
};

async fn fixture() -> Fixture {
    let fixture = fixture_in(Mode::Webhook).await;
    fixture.telegram.wait_for_calls("setWebhook", 1).await.unwrap();
    fixture
}

/// Posts `body` to the webhook with `secret` and returns the response.
async fn bring(bot: &RunningBot, secret: Option<&str>, body: impl Into<String>) -> (u16, Option<String>) {
    let client = teloxide::net::default_reqwest_settings().build().unwrap();
    let mut request = client.post(format!("{}{WEBHOOK_PATH}", bot.url)).body(body.into());
    if let Some(secret) = secret {
        request = request.header("X-Telegram-Bot-Api-Secret-Token", secret);
    }
    let response = request.send().await.unwrap();
    let after = response.headers().get("retry-after").map(|after| after.to_str().unwrap().to_owned());
    (response.status().as_u16(), after)
}

fn new_message(update_id: u32, text: &str) -> String {
    json!({ "update_id": update_id, "message": {
        "message_id": 9, "date": 1_637_568_164, "text": text,
        "chat": { "id": ANN, "type": "private", "first_name": "Ann" },
        "from": { "id": ANN, "is_bot": false, "first_name": "Ann" },
    } })
    .to_string()
}

fn set_webhook_calls(telegram: &FakeTelegram) -> Vec<Value> {
    telegram.calls("setWebhook")
}

#[tokio::test]
async fn the_webhook_is_set_with_all_its_settings() {
    let fixture = fixture().await;
    let secret = fixture.telegram.webhook_secret().unwrap();
    assert_eq!(secret.len(), 64);
    let calls = set_webhook_calls(&fixture.telegram);
    let expected = json!({
        "url": format!("{}{WEBHOOK_PATH}", fixture.bot.url), "max_connections": 40, "drop_pending_updates": false,
        "allowed_updates": ["message", "edited_message", "channel_post", "callback_query"], "secret_token": secret,
    });
    assert_eq!(calls, [expected]);
    fixture.bot.shows("serving").await;
    assert_eq!(fixture.bot.status().await["mode"], "webhook");
    assert!(fixture.telegram.calls("getUpdates").is_empty());
}

#[tokio::test]
async fn a_conversation_works_as_by_polling() {
    let fixture = fixture().await;
    let key = fixture.ask(ANN, "new:hello").await;
    assert_eq!(fixture.ask(BOB, &key).await, "hello");
    assert_eq!(fixture.ask(BOB, &key).await, VIEWED_HERE);
    fixture.bot.stop().await;
    fixture.telegram.wait_until_all_confirmed().await.unwrap();
}

#[tokio::test]
async fn requests_without_the_secret_are_rejected_unread() {
    let fixture = fixture().await;
    let secret = fixture.telegram.webhook_secret().unwrap();
    let almost = format!("{}x", &secret[..63]);
    for wrong in [None, Some(""), Some("x"), Some(&almost), Some(&secret[..63])] {
        assert_eq!(bring(&fixture.bot, wrong, new_message(5, "new:forged")).await.0, 401);
        assert_eq!(bring(&fixture.bot, wrong, "x".repeat(3 << 20)).await.0, 401, "whatever it is");
    }
    // Control: with the secret it would have been done.
    fixture.ask(ANN, "hello").await;
    assert_eq!(bring(&fixture.bot, Some(&secret), new_message(5, "new:real")).await.0, 200);
    fixture.store.until(|data| data.create_calls == ["real"]).await;
}

#[tokio::test]
async fn malformed_and_large_updates_are_rejected() {
    let fixture = fixture().await;
    let secret = fixture.telegram.webhook_secret();
    for nonsense in ["", "{", "[]", "{}", r#"{"update_id":"7"}"#] {
        assert_eq!(bring(&fixture.bot, secret.as_deref(), nonsense).await.0, 400, "{nonsense}");
    }
    let update = new_message(7, &"x".repeat(2 << 20));
    assert_eq!(bring(&fixture.bot, secret.as_deref(), update).await.0, 413);
    assert_eq!(fixture.bot.page(WEBHOOK_PATH).await.0, 405);
    assert_eq!(fixture.store.messages(), 0);
}

#[tokio::test]
async fn an_update_is_answered_only_after_its_effect() {
    let fixture =
        fixture_of(Mode::Webhook, Timeouts { webhook_hold_timeout: Duration::from_millis(100), ..quick() }).await;
    fixture.store.hold("slow");
    let update = fixture.telegram.user_says(ANN, "new:slow");
    // Not handled in the time that a request is held: Telegram brings it again, and nothing is done twice.
    fixture.telegram.wait_for_deliveries(3).await.unwrap();
    assert_eq!(fixture.telegram.pending_updates(), [update]);
    fixture.store.until(|data| data.create_calls == ["slow"]).await;
    fixture.store.release("slow");
    fixture.telegram.wait_until_confirmed(update).await.unwrap();
    assert_eq!(fixture.telegram.replies(ANN).len(), 1);
}

#[tokio::test]
async fn a_redelivered_update_gets_one_reply() {
    for fault in [DeliveryFault::Duplicate, DeliveryFault::LoseResponse, DeliveryFault::Disconnect] {
        let fixture = fixture().await;
        fixture.telegram.fail_next_deliveries(1, fault);
        let key = fixture.ask(ANN, "new:hello").await;
        fixture.telegram.fail_next_deliveries(1, fault);
        assert_eq!(fixture.ask(BOB, &key).await, "hello", "{fault:?}");
        let last = fixture.telegram.user_says(BOB, "/help");
        fixture.telegram.wait_until_confirmed(last).await.unwrap();
        assert_eq!(fixture.telegram.replies(ANN).len(), 1, "{fault:?}");
        assert_eq!(fixture.telegram.replies(BOB).len(), 2, "{fault:?}");
        assert_eq!(fixture.store.messages(), 1, "{fault:?}");
        fixture.bot.stop().await;
    }
}

#[tokio::test]
async fn requests_above_the_connection_limit_are_rejected_with_a_retry() {
    let fixture = fixture().await;
    let secret = fixture.telegram.webhook_secret();
    fixture.ask(ANN, "hello").await;
    fixture.store.hold("slow");
    // From one chat, so that only the first one calls the store.
    let held: Vec<_> = (1..=40)
        .map(|id| {
            let (url, secret) = (fixture.bot.url.clone(), secret.clone().unwrap());
            tokio::spawn(async move {
                let client = teloxide::net::default_reqwest_settings().build().unwrap();
                let request = client.post(format!("{url}{WEBHOOK_PATH}")).body(new_message(id, "new:slow"));
                let response = request.header("X-Telegram-Bot-Api-Secret-Token", secret).send().await.unwrap();
                response.status().as_u16()
            })
        })
        .collect();
    fixture.bot.shows_that(|status| status["queued_updates"] == 40).await;
    let refused = bring(&fixture.bot, secret.as_deref(), new_message(41, "new:late")).await;
    assert_eq!(refused, (503, Some("1".to_owned())));
    fixture.store.release("slow");
    for held in held {
        assert_eq!(held.await.unwrap(), 200);
    }
    assert_eq!(bring(&fixture.bot, secret.as_deref(), new_message(41, "new:late")).await.0, 200);
    assert_eq!(fixture.store.messages(), 41);
}

#[tokio::test]
async fn an_update_beyond_those_that_may_be_in_flight_is_rejected_with_a_retry() {
    let hold = Timeouts { webhook_hold_timeout: Duration::from_millis(1), ..quick() };
    let fixture = fixture_of(Mode::Webhook, hold).await;
    fixture.telegram.wait_for_calls("setWebhook", 1).await.unwrap();
    let secret = fixture.telegram.webhook_secret();
    fixture.store.hold("slow");
    for id in 1..=1_000 {
        assert_eq!(bring(&fixture.bot, secret.as_deref(), new_message(id, "new:slow")).await.0, 503);
    }
    fixture.bot.shows_that(|status| status["queued_updates"] == 1_000).await;
    assert_eq!(bring(&fixture.bot, secret.as_deref(), new_message(1_001, "new:slow")).await.0, 503);
    fixture.store.release("slow");
    fixture.bot.shows_that(|status| status["queued_updates"] == 0).await;
    assert_eq!(fixture.store.messages(), 1_000, "the last one was not accepted");
    while bring(&fixture.bot, secret.as_deref(), new_message(1_001, "new:slow")).await.0 != 200 {}
    assert_eq!(fixture.store.messages(), 1_001);
}

#[tokio::test]
async fn without_a_config_updates_are_rejected_with_a_retry() {
    let (telegram, store) = fakes().await;
    let bot = start_in(Mode::Webhook, &telegram, &store).await;
    bot.shows("waiting for a config").await;
    assert_eq!(bring(&bot, Some("any"), new_message(1, "new:x")).await, (503, Some("1".to_owned())));
    bot.stop().await;
}

#[tokio::test]
async fn a_webhook_that_another_program_changes_is_set_again() {
    let fixture =
        fixture_of(Mode::Webhook, Timeouts { webhook_check_interval: Duration::from_millis(20), ..quick() }).await;
    fixture.telegram.wait_for_calls("setWebhook", 1).await.unwrap();
    let ours = fixture.telegram.webhook();
    fixture.telegram.set_webhook("https://example.org/hook");
    fixture.telegram.wait_for_calls("setWebhook", 2).await.unwrap();
    assert_eq!(fixture.telegram.webhook(), ours);
    assert!(fixture.ask(ANN, "new:hello").await.starts_with("1:"));
    fixture.bot.shows("serving").await;
    let errors = fixture.bot.status().await["errors"].to_string();
    assert!(errors.contains("another program changed the webhook"), "{errors}");
}

#[tokio::test]
async fn a_webhook_that_telegram_refuses_is_shown_and_tried_again() {
    let (telegram, store) = fakes().await;
    store.set_bot(BOT_TOKEN);
    telegram.reject_webhooks(true);
    let bot = start_in(Mode::Webhook, &telegram, &store).await;
    bot.shows("Telegram refuses the webhook").await;
    telegram.reject_webhooks(false);
    telegram.user_says(ANN, "new:hello");
    assert!(telegram.next_reply(ANN).await.unwrap().text.starts_with("1:"));
    bot.stop().await;
}

#[tokio::test]
async fn a_rolling_restart_loses_nothing_and_never_takes_the_webhook_away() {
    let fixture = fixture().await;
    let mut bot = fixture.bot;
    for round in 0..3 {
        let chats = round * 100..round * 100 + 50;
        for chat in chats.clone() {
            fixture.telegram.user_says(chat + 1, &format!("new:{chat}"));
        }
        // The successor starts beside it, and then it goes.
        let successor = start_in(Mode::Webhook, &fixture.telegram, &fixture.store).await;
        fixture.telegram.wait_for_calls("setWebhook", usize::try_from(round).unwrap() + 2).await.unwrap();
        std::mem::replace(&mut bot, successor).stop().await;
        for chat in chats {
            let key = fixture.telegram.next_reply(chat + 1).await.unwrap().text;
            let id = key.split_once(':').unwrap().0.parse().unwrap();
            assert_eq!(fixture.store.text(id), Some(chat.to_string()));
        }
    }
    bot.stop().await;
    assert!(fixture.telegram.calls("deleteWebhook").is_empty());
    assert_eq!(fixture.store.messages(), 150);
}

#[tokio::test]
async fn the_setting_alone_switches_between_polling_and_the_webhook() {
    let (telegram, store) = fakes().await;
    store.set_bot(BOT_TOKEN);
    for (mode, key) in [(Mode::Polling, "1:"), (Mode::Webhook, "2:"), (Mode::Polling, "3:"), (Mode::Webhook, "4:")] {
        // Sent while no bot runs.
        telegram.user_says(ANN, "new:hello");
        let bot = start_in(mode, &telegram, &store).await;
        assert!(telegram.next_reply(ANN).await.unwrap().text.starts_with(key));
        bot.stop().await;
        telegram.wait_until_all_confirmed().await.unwrap();
        assert_eq!(telegram.webhook().is_some(), mode == Mode::Webhook);
    }
}

#[tokio::test]
async fn the_webhook_moves_to_another_config_after_the_updates_in_flight_are_handled() {
    let fixture = fixture().await;
    let other = fixture.telegram.add_token(OTHER_BOT_TOKEN);
    fixture.store.hold("slow");
    fixture.telegram.user_says(ANN, "new:slow");
    fixture.store.until(|data| data.create_calls == ["slow"]).await;
    fixture.store.set_bot(OTHER_BOT_TOKEN);
    other.user_says(BOB, "new:other");
    fixture.store.release("slow");
    assert!(fixture.reply(ANN).await.starts_with("1:"));
    assert!(other.next_reply(BOB).await.unwrap().text.starts_with("2:"));
    assert_ne!(other.webhook_secret(), fixture.telegram.webhook_secret());
}

#[tokio::test]
async fn an_outage_of_the_store_holds_back_only_the_updates_that_need_it() {
    // For all chats together Telegram has one connection, which it has after ten seconds without a success.
    let fixture = fixture_with_flags(Mode::Webhook, &["--webhook-connections", "1"]).await;
    fixture.telegram.wait_for_calls("setWebhook", 1).await.unwrap();
    fixture.store.set_away(true);
    let chats = 1..=12;
    let waiting: Vec<_> = chats.clone().map(|chat| fixture.telegram.user_says(chat, "new:waits")).collect();
    for _ in 0..3 {
        assert_eq!(fixture.ask(ANN, "/help").await, wording::help(Language::English));
    }
    fixture.store.until(|data| data.create_calls.len() >= 12).await;
    assert!(fixture.telegram.pending_updates().starts_with(&waiting), "none of them is confirmed");
    fixture.store.set_away(false);
    for chat in chats {
        assert!(fixture.reply(chat).await.contains(':'));
        assert_eq!(fixture.telegram.replies(chat).len(), 1);
    }
    fixture.telegram.wait_until_all_confirmed().await.unwrap();
    assert_eq!(fixture.store.messages(), 12);
}
