//! The webhook: who comes in, what is answered, and that it stays set.

use std::time::Duration;

use mayfly_testkit::{FakeTelegram, telegram::DeliveryFault};
use serde_json::{Value, json};

use super::harness::{
    ANN, BOB, BOT_TOKEN, Mode, OPENED_HERE, OTHER_BOT_TOKEN, RunningBot, WEBHOOK_PATH, World, fakes, quick, start_in,
    world_in, world_of, world_with_flags,
};
use crate::{
    conversation::{language::Language, wording},
    timeouts::Timeouts,
};

async fn world() -> World {
    let world = world_in(Mode::Webhook).await;
    world.telegram.wait_for_calls("setWebhook", 1).await.unwrap();
    world
}

/// What the webhook answers to `body`, brought with `secret`.
async fn bring(bot: &RunningBot, secret: Option<&str>, body: impl Into<String>) -> (u16, Option<String>) {
    let client = teloxide::net::default_reqwest_settings().build().unwrap();
    let mut request = client.post(format!("{}{WEBHOOK_PATH}", bot.url)).body(body.into());
    if let Some(secret) = secret {
        request = request.header("X-Telegram-Bot-Api-Secret-Token", secret);
    }
    let answer = request.send().await.unwrap();
    let after = answer.headers().get("retry-after").map(|after| after.to_str().unwrap().to_owned());
    (answer.status().as_u16(), after)
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
async fn telegram_is_told_where_and_how_to_bring_updates() {
    let world = world().await;
    let secret = world.telegram.webhook_secret().unwrap();
    assert_eq!(secret.len(), 64);
    let calls = set_webhook_calls(&world.telegram);
    let expected = json!({
        "url": format!("{}{WEBHOOK_PATH}", world.bot.url), "max_connections": 40, "drop_pending_updates": false,
        "allowed_updates": ["message", "edited_message", "channel_post", "callback_query"], "secret_token": secret,
    });
    assert_eq!(calls, [expected]);
    world.bot.shows("serving").await;
    assert_eq!(world.bot.status().await["mode"], "webhook");
    assert!(world.telegram.calls("getUpdates").is_empty());
}

#[tokio::test]
async fn a_conversation_works_as_by_polling() {
    let world = world().await;
    let key = world.ask(ANN, "new:hello").await;
    assert_eq!(world.ask(BOB, &key).await, "hello");
    assert_eq!(world.ask(BOB, &key).await, OPENED_HERE);
    world.bot.stop().await;
    world.telegram.wait_until_all_confirmed().await.unwrap();
}

#[tokio::test]
async fn who_does_not_know_the_secret_gets_nothing_read_and_nothing_done() {
    let world = world().await;
    let secret = world.telegram.webhook_secret().unwrap();
    let almost = format!("{}x", &secret[..63]);
    for wrong in [None, Some(""), Some("x"), Some(&almost), Some(&secret[..63])] {
        assert_eq!(bring(&world.bot, wrong, new_message(5, "new:forged")).await.0, 401);
        assert_eq!(bring(&world.bot, wrong, "x".repeat(3 << 20)).await.0, 401, "whatever it is");
    }
    // Control: with the secret it would have been done.
    world.ask(ANN, "hello").await;
    assert_eq!(bring(&world.bot, Some(&secret), new_message(5, "new:real")).await.0, 200);
    world.store.until(|data| data.create_calls == ["real"]).await;
}

#[tokio::test]
async fn what_is_no_update_is_refused_and_read_only_so_far() {
    let world = world().await;
    let secret = world.telegram.webhook_secret();
    for nonsense in ["", "{", "[]", "{}", r#"{"update_id":"7"}"#] {
        assert_eq!(bring(&world.bot, secret.as_deref(), nonsense).await.0, 400, "{nonsense}");
    }
    let update = new_message(7, &"x".repeat(2 << 20));
    assert_eq!(bring(&world.bot, secret.as_deref(), update).await.0, 413);
    assert_eq!(world.bot.page(WEBHOOK_PATH).await.0, 405);
    assert_eq!(world.store.messages(), 0);
}

#[tokio::test]
async fn an_update_is_answered_only_after_its_effect() {
    let world = world_of(Mode::Webhook, Timeouts { webhook_hold_timeout: Duration::from_millis(100), ..quick() }).await;
    world.store.hold("slow");
    let update = world.telegram.user_says(ANN, "new:slow");
    // Not handled in the time that a request is held: Telegram brings it again, and nothing is done twice.
    world.telegram.wait_for_deliveries(3).await.unwrap();
    assert_eq!(world.telegram.pending_updates(), [update]);
    world.store.until(|data| data.create_calls == ["slow"]).await;
    world.store.release("slow");
    world.telegram.wait_until_confirmed(update).await.unwrap();
    assert_eq!(world.telegram.replies(ANN).len(), 1);
}

#[tokio::test]
async fn an_update_that_is_brought_again_is_answered_once() {
    for fault in [DeliveryFault::Duplicate, DeliveryFault::LoseResponse, DeliveryFault::Disconnect] {
        let world = world().await;
        world.telegram.fail_next_deliveries(1, fault);
        let key = world.ask(ANN, "new:hello").await;
        world.telegram.fail_next_deliveries(1, fault);
        assert_eq!(world.ask(BOB, &key).await, "hello", "{fault:?}");
        let last = world.telegram.user_says(BOB, "/help");
        world.telegram.wait_until_confirmed(last).await.unwrap();
        assert_eq!(world.telegram.replies(ANN).len(), 1, "{fault:?}");
        assert_eq!(world.telegram.replies(BOB).len(), 2, "{fault:?}");
        assert_eq!(world.store.messages(), 1, "{fault:?}");
        world.bot.stop().await;
    }
}

#[tokio::test]
async fn more_requests_than_there_are_places_are_told_to_try_again() {
    let world = world().await;
    let secret = world.telegram.webhook_secret();
    world.ask(ANN, "hello").await;
    world.store.hold("slow");
    // From one chat, so that only the first of them asks the store.
    let held: Vec<_> = (1..=40)
        .map(|id| {
            let (url, secret) = (world.bot.url.clone(), secret.clone().unwrap());
            tokio::spawn(async move {
                let client = teloxide::net::default_reqwest_settings().build().unwrap();
                let request = client.post(format!("{url}{WEBHOOK_PATH}")).body(new_message(id, "new:slow"));
                let answer = request.header("X-Telegram-Bot-Api-Secret-Token", secret).send().await.unwrap();
                answer.status().as_u16()
            })
        })
        .collect();
    world.bot.shows_that(|status| status["queued_updates"] == 40).await;
    let refused = bring(&world.bot, secret.as_deref(), new_message(41, "new:late")).await;
    assert_eq!(refused, (503, Some("1".to_owned())));
    world.store.release("slow");
    for held in held {
        assert_eq!(held.await.unwrap(), 200);
    }
    assert_eq!(bring(&world.bot, secret.as_deref(), new_message(41, "new:late")).await.0, 200);
    assert_eq!(world.store.messages(), 41);
}

#[tokio::test]
async fn before_there_is_a_bot_to_serve_updates_are_told_to_come_again() {
    let (telegram, store) = fakes().await;
    let bot = start_in(Mode::Webhook, &telegram, &store).await;
    bot.shows("waiting for a config").await;
    assert_eq!(bring(&bot, Some("any"), new_message(1, "new:x")).await, (503, Some("1".to_owned())));
    bot.stop().await;
}

#[tokio::test]
async fn a_webhook_that_another_program_takes_away_is_set_again() {
    let world =
        world_of(Mode::Webhook, Timeouts { webhook_check_interval: Duration::from_millis(20), ..quick() }).await;
    world.telegram.wait_for_calls("setWebhook", 1).await.unwrap();
    let ours = world.telegram.webhook();
    world.telegram.set_webhook("https://example.org/hook");
    world.telegram.wait_for_calls("setWebhook", 2).await.unwrap();
    assert_eq!(world.telegram.webhook(), ours);
    assert!(world.ask(ANN, "new:hello").await.starts_with("1:"));
    world.bot.shows("serving").await;
    let errors = world.bot.status().await["errors"].to_string();
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
    let world = world().await;
    let mut bot = world.bot;
    for round in 0..3 {
        let chats = round * 100..round * 100 + 50;
        for chat in chats.clone() {
            world.telegram.user_says(chat + 1, &format!("new:{chat}"));
        }
        // The successor starts beside it, and then it goes.
        let successor = start_in(Mode::Webhook, &world.telegram, &world.store).await;
        world.telegram.wait_for_calls("setWebhook", usize::try_from(round).unwrap() + 2).await.unwrap();
        std::mem::replace(&mut bot, successor).stop().await;
        for chat in chats {
            let key = world.telegram.next_reply(chat + 1).await.unwrap().text;
            let id = key.split_once(':').unwrap().0.parse().unwrap();
            assert_eq!(world.store.text(id), Some(chat.to_string()));
        }
    }
    bot.stop().await;
    assert!(world.telegram.calls("deleteWebhook").is_empty());
    assert_eq!(world.store.messages(), 150);
}

#[tokio::test]
async fn the_setting_alone_switches_between_polling_and_the_webhook() {
    let (telegram, store) = fakes().await;
    store.set_bot(BOT_TOKEN);
    for (mode, key) in [(Mode::Polling, "1:"), (Mode::Webhook, "2:"), (Mode::Polling, "3:"), (Mode::Webhook, "4:")] {
        // Written while no bot runs.
        telegram.user_says(ANN, "new:hello");
        let bot = start_in(mode, &telegram, &store).await;
        assert!(telegram.next_reply(ANN).await.unwrap().text.starts_with(key));
        bot.stop().await;
        telegram.wait_until_all_confirmed().await.unwrap();
        assert_eq!(telegram.webhook().is_some(), mode == Mode::Webhook);
    }
}

#[tokio::test]
async fn another_config_is_received_for_after_the_updates_in_hand() {
    let world = world().await;
    let other = world.telegram.add_token(OTHER_BOT_TOKEN);
    world.store.hold("slow");
    world.telegram.user_says(ANN, "new:slow");
    world.store.until(|data| data.create_calls == ["slow"]).await;
    world.store.set_bot(OTHER_BOT_TOKEN);
    other.user_says(BOB, "new:other");
    world.store.release("slow");
    assert!(world.reply(ANN).await.starts_with("1:"));
    assert!(other.next_reply(BOB).await.unwrap().text.starts_with("2:"));
    assert_ne!(other.webhook_secret(), world.telegram.webhook_secret());
}

#[tokio::test]
async fn a_store_that_is_away_holds_updates_back_and_nobody_else_up() {
    // For all chats together Telegram has one connection, which it has after ten seconds without a success.
    let world = world_with_flags(Mode::Webhook, &["--webhook-connections", "1"]).await;
    world.telegram.wait_for_calls("setWebhook", 1).await.unwrap();
    world.store.set_away(true);
    let chats = 1..=12;
    let waiting: Vec<_> = chats.clone().map(|chat| world.telegram.user_says(chat, "new:waits")).collect();
    for _ in 0..3 {
        assert_eq!(world.ask(ANN, "/help").await, wording::help(Language::English));
    }
    world.store.until(|data| data.create_calls.len() >= 12).await;
    assert!(world.telegram.pending_updates().starts_with(&waiting), "none of them is confirmed");
    world.store.set_away(false);
    for chat in chats {
        assert!(world.reply(chat).await.contains(':'));
        assert_eq!(world.telegram.replies(chat).len(), 1);
    }
    world.telegram.wait_until_all_confirmed().await.unwrap();
    assert_eq!(world.store.messages(), 12);
}
