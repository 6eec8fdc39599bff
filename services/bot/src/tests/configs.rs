//! App configs that come, change and go while the bot runs.

use mayfly_contracts::config::AppConfig;

use super::harness::{ANN, BOB, BOT_TOKEN, OTHER_BOT_TOKEN, fakes, fixture, start};

#[tokio::test]
async fn a_config_added_while_the_bot_runs_is_used() {
    let (telegram, store) = fakes().await;
    telegram.user_says(ANN, "new:early");
    let bot = start(&telegram, &store).await;
    bot.shows("waiting for a config").await;
    assert!(bot.is_ready().await, "waiting for a config is what it should do");
    store.set_bot(BOT_TOKEN);
    telegram.next_reply(ANN).await.unwrap();
    bot.stop().await;
}

#[tokio::test]
async fn a_replacing_config_is_used_after_the_updates_in_flight_are_handled() {
    let fixture = fixture().await;
    let other = fixture.telegram.add_token(OTHER_BOT_TOKEN);
    fixture.store.hold("slow");
    let slow = fixture.telegram.user_says(ANN, "new:slow");
    fixture.store.until(|data| data.create_calls == ["slow"]).await;

    fixture.store.set_bot(OTHER_BOT_TOKEN);
    other.user_says(BOB, "new:other");
    fixture.store.release("slow");
    assert!(fixture.reply(ANN).await.starts_with("1:"));
    assert!(other.next_reply(BOB).await.unwrap().text.starts_with("2:"));
    fixture.telegram.wait_until_confirmed(slow).await.unwrap();

    let polls = fixture.telegram.calls("getUpdates").len();
    other.user_says(BOB, "hello");
    other.next_reply(BOB).await.unwrap();
    assert_eq!(fixture.telegram.calls("getUpdates").len(), polls, "the old bot is left alone");
}

#[tokio::test]
async fn a_deactivated_config_is_left_until_it_is_active_again() {
    let fixture = fixture().await;
    fixture.ask(ANN, "hello").await;
    fixture.store.deactivate();
    fixture.bot.shows("waiting for a config").await;
    fixture.telegram.user_says(ANN, "new:later");
    fixture.store.set_bot(BOT_TOKEN);
    assert!(fixture.reply(ANN).await.starts_with("1:"));
}

#[tokio::test]
async fn a_config_that_is_no_bots_is_not_used() {
    let (telegram, store) = fakes().await;
    let person = AppConfig { bot_token: BOT_TOKEN.to_owned(), is_bot: Some(false), ..AppConfig::default() };
    store.set_config(person);
    let bot = start(&telegram, &store).await;
    bot.shows("waiting for a config").await;
    assert!(telegram.calls("getMe").is_empty());
    bot.stop().await;
}

#[tokio::test]
async fn a_broken_config_stream_is_followed_again_and_the_chats_go_on_meanwhile() {
    let fixture = fixture().await;
    fixture.ask(ANN, "hello").await;
    fixture.store.set_away(true);
    fixture.store.break_config_streams();
    fixture.store.until(|data| data.watch_calls >= 3).await;
    assert!(!fixture.bot.is_ready().await);
    fixture.ask(ANN, "hello").await;

    let other = fixture.telegram.add_token(OTHER_BOT_TOKEN);
    fixture.store.set_bot(OTHER_BOT_TOKEN);
    fixture.store.set_away(false);
    other.user_says(ANN, "hello");
    other.next_reply(ANN).await.unwrap();
    assert!(fixture.bot.is_ready().await);
}

#[tokio::test]
async fn a_store_that_is_away_at_the_start_is_waited_for() {
    let (telegram, store) = fakes().await;
    store.set_away(true);
    store.set_bot(BOT_TOKEN);
    let bot = start(&telegram, &store).await;
    store.until(|data| data.watch_calls >= 2).await;
    bot.shows("waiting for the store").await;
    assert_eq!(bot.page("/healthz").await.0, 200);
    store.set_away(false);
    telegram.wait_for_calls("getUpdates", 1).await.unwrap();
    bot.stop().await;
}

#[tokio::test]
async fn a_token_that_telegram_refuses_is_tried_again_and_can_be_replaced() {
    let (telegram, store) = fakes().await;
    telegram.revoke_token();
    store.set_bot(BOT_TOKEN);
    let bot = start(&telegram, &store).await;
    bot.shows("the bot token is refused").await;
    telegram.restore_token();
    telegram.user_says(ANN, "hello");
    telegram.next_reply(ANN).await.unwrap();

    telegram.revoke_token();
    telegram.user_says(ANN, "hello again");
    bot.shows("the bot token is refused").await;
    let other = telegram.add_token(OTHER_BOT_TOKEN);
    store.set_bot(OTHER_BOT_TOKEN);
    other.user_says(BOB, "hello");
    other.next_reply(BOB).await.unwrap();
    bot.stop().await;
}
