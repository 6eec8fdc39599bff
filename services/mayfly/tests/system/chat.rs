//! A chat with the bot of a running system.

use mayfly_testkit::{FakeTelegram, TestDatabase};

use crate::harness::{Layout, Options, System};

pub(crate) const BOT_TOKEN: &str = "1000000000:AAHfirst-bot-first-bot-first-bot-00";
const OTHER_TOKEN: &str = "2000000000:AAHother-bot-other-bot-other-bot-0";
const ANN: i64 = 7;
const BOB: i64 = 8;
const GROUP: i64 = -100;

pub(crate) async fn add_config(system: &System, name: &str, token: &str) {
    let hash = "0123456789abcdef0123456789abcdef";
    let fields = ["add", "--session-name", name, "--api-id", "1", "--api-hash", hash, "--bot-token", token];
    let added = system.config(&fields).await;
    assert_eq!(added.code, 0, "{}", added.err);
}

async fn ask(telegram: &FakeTelegram, chat: i64, text: &str) -> String {
    telegram.user_says(chat, text);
    telegram.next_reply(chat).await.unwrap().text
}

async fn chat(layout: Layout, uses_webhook: bool) {
    let telegram = FakeTelegram::start(BOT_TOKEN).await.unwrap();
    let options = Options { telegram: Some(telegram.url()), uses_webhook, ..Options::default() };
    let database = TestDatabase::sqlite().unwrap();
    let mut system = System::start(layout, &database, options).await;
    // The bot already runs. It starts to serve when a config becomes active.
    add_config(&system, "first", BOT_TOKEN).await;

    let message_ref = ask(&telegram, ANN, "new:hello").await;
    let (id, token) = message_ref.split_once(':').unwrap();
    assert!(id.parse::<i64>().unwrap() > 0 && token.len() == 64, "the reply is only id:token");
    assert_eq!(ask(&telegram, BOB, &message_ref).await, "hello");
    assert!(ask(&telegram, BOB, &message_ref).await.contains("was read on"));
    let message_ref = ask(&telegram, ANN, "new:a:b").await;
    assert_eq!(ask(&telegram, ANN, &message_ref).await, "a:b");

    let piece = "*a_ `b` [c](http://example.org) <d> & e\\ \u{1f3b2}\n";
    let text: String = piece.chars().cycle().take(4095).chain(['.']).collect();
    assert_eq!(text.chars().count(), 4096);
    // With the keyword the text would exceed Telegram's limit, so another client stores it.
    let stored = system.client(&["new", &text]).await.out;
    assert_eq!(ask(&telegram, ANN, stored.trim()).await, text);

    let message_ref = ask(&telegram, ANN, "new:still here").await;
    telegram.group_says(GROUP, &message_ref);
    telegram.user_edits(ANN, &message_ref);
    let reply = telegram.next_reply(ANN).await.unwrap().text;
    assert!(reply.starts_with("I do not act on edited messages"), "{reply}");
    assert_eq!(ask(&telegram, ANN, &message_ref).await, "still here", "neither the group nor the edit consumed it");
    assert!(telegram.replies(GROUP).is_empty());

    // The last active config takes effect while the bot runs.
    let other = telegram.add_token(OTHER_TOKEN);
    add_config(&system, "other", OTHER_TOKEN).await;
    let message_ref = ask(&other, ANN, "new:through the other bot").await;
    assert_eq!(ask(&other, ANN, &message_ref).await, "through the other bot");
    assert_eq!(system.config(&["deactivate", "2"]).await.code, 0);
    assert!(ask(&telegram, ANN, "/help").await.contains("new:"), "the first config is active again");
    system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chat_with_the_bot_in_one_process() {
    chat(Layout::One, false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chat_with_the_bot_in_its_own_process() {
    chat(Layout::Three, false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chat_with_a_bot_with_a_webhook() {
    chat(Layout::One, true).await;
    chat(Layout::Three, true).await;
}
