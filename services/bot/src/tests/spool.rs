//! Updates that take long, while others wait behind them at Telegram.

use std::{fs, path::Path, time::Duration};

use mayfly_bootstrap::Secret;
use mayfly_testkit::telegram::{Fault, Message};
use serde_json::json;

use super::harness::{
    ANN, BOB, BOT_TOKEN, Fixture, Mode, NEW_BOT_TOKEN, SERVICE_TOKEN, fakes, fixture, quick, start, start_in, start_of,
};
use crate::{
    bot_key::{BotKey, bot_of},
    conversation::{language::Language, wording},
    gcra::Rate,
    telegram::update::Update,
    timeouts::Timeouts,
    updates::spool::Spool,
};

/// More than a poll brings.
const MANY: i64 = 150;
/// This many updates must be spooled before a poll returns another one.
const IN_THE_WAY: usize = 51;

fn files(folder: &Path) -> usize {
    let folders = fs::read_dir(folder).unwrap();
    folders.map(|folder| fs::read_dir(folder.unwrap().path()).unwrap().count()).sum()
}

/// A bot with more updates in flight than a poll returns, because the store is unreachable.
async fn fixture_with_many_that_wait() -> Fixture {
    let fixture = fixture().await;
    fixture.telegram.wait_for_calls("getUpdates", 1).await.unwrap();
    fixture.store.set_away(true);
    for chat in 1..=MANY {
        fixture.telegram.user_says(chat, &format!("new:needle {chat}"));
    }
    assert_eq!(fixture.ask(ANN, "/help").await, wording::help(Language::English));
    assert!(files(&fixture.store.folder()) >= IN_THE_WAY);
    fixture
}

async fn all_are_answered(fixture: &Fixture) {
    for chat in 1..=MANY {
        let key = fixture.reply(chat).await;
        let id = key.split_once(':').unwrap().0.parse().unwrap();
        assert_eq!(fixture.store.text(id), Some(format!("needle {chat}")));
    }
    assert_eq!(fixture.store.messages(), usize::try_from(MANY).unwrap());
}

#[tokio::test]
async fn events_that_wait_for_the_store_do_not_delay_others() {
    let fixture = fixture_with_many_that_wait().await;
    fixture.store.set_away(false);
    all_are_answered(&fixture).await;
    fixture.bot.stop().await;
    fixture.telegram.wait_until_all_confirmed().await.unwrap();
    assert_eq!(files(&fixture.store.folder()), 0, "nothing is kept that was handled");
}

#[tokio::test]
async fn spooled_updates_survive_the_process() {
    let fixture = fixture_with_many_that_wait().await;
    let pending = fixture.telegram.pending_updates().len();
    assert!(pending < usize::try_from(MANY).unwrap(), "confirmed, though nobody has an answer: {pending}");
    let folder = fixture.store.folder();
    for entry in fs::read_dir(&folder).unwrap().flat_map(|folder| fs::read_dir(folder.unwrap().path()).unwrap()) {
        let file = fs::read(entry.unwrap().path()).unwrap();
        assert!(!String::from_utf8_lossy(&file).contains("needle"));
    }
    fixture.bot.kill().await;
    fixture.store.set_away(false);
    let bot = start(&fixture.telegram, &fixture.store).await;
    let fixture = Fixture { bot, telegram: fixture.telegram, store: fixture.store };
    all_are_answered(&fixture).await;
    fixture.bot.stop().await;
    assert_eq!(files(&folder), 0);
}

#[tokio::test]
async fn a_stopping_bot_leaves_spooled_updates_to_its_successor() {
    let fixture = fixture_with_many_that_wait().await;
    fixture.bot.stop().await;
    fixture.store.set_away(false);
    let bot = start(&fixture.telegram, &fixture.store).await;
    let fixture = Fixture { bot, telegram: fixture.telegram, store: fixture.store };
    all_are_answered(&fixture).await;
    fixture.bot.stop().await;
    assert_eq!(files(&fixture.store.folder()), 0);
}

#[tokio::test]
async fn spooled_updates_are_resumed_by_a_webhook_bot() {
    let fixture = fixture_with_many_that_wait().await;
    fixture.bot.kill().await;
    let chats: Vec<i64> = (1..=MANY).collect();
    for chat in &chats {
        fixture.telegram.user_says(*chat, "/help");
    }
    fixture.store.set_away(false);
    let bot = start_in(Mode::Webhook, &fixture.telegram, &fixture.store).await;
    let fixture = Fixture { bot, telegram: fixture.telegram, store: fixture.store };
    all_are_answered(&fixture).await;
    for chat in &chats {
        assert_eq!(fixture.reply(*chat).await, wording::help(Language::English), "after what was written before it");
    }
    fixture.telegram.wait_until_all_confirmed().await.unwrap();
    fixture.bot.stop().await;
    assert_eq!(files(&fixture.store.folder()), 0);
    for chat in chats {
        assert_eq!(fixture.telegram.replies(chat).len(), 2, "each was answered once");
    }
}

#[tokio::test]
async fn a_postponed_spooled_update_is_resumed_by_a_webhook_bot() {
    let fixture = fixture_with_many_that_wait().await;
    fixture.bot.kill().await;
    fixture.store.set_away(false);
    fixture.telegram.fail_next("sendMessage", 100_000, Fault::DisconnectBefore);
    let timeouts = Timeouts { rejected_retry_interval: Duration::from_millis(500), ..quick() };
    let bot = start_of(Mode::Webhook, &fixture.telegram, &fixture.store, timeouts).await;
    let calls = fixture.telegram.calls("sendMessage").len();
    fixture.telegram.wait_for_calls("sendMessage", calls + 1).await.unwrap();
    fixture.telegram.revoke_token();
    bot.shows_that(|status| status["queued_updates"] == 0).await;
    assert!(files(&fixture.store.folder()) >= IN_THE_WAY, "left, not given up");
    fixture.telegram.clear_faults("sendMessage");
    fixture.telegram.restore_token();
    let fixture = Fixture { bot, telegram: fixture.telegram, store: fixture.store };
    all_are_answered(&fixture).await;
    fixture.telegram.wait_until_all_confirmed().await.unwrap();
    fixture.bot.stop().await;
    assert_eq!(files(&fixture.store.folder()), 0);
}

#[tokio::test]
async fn resumed_spooled_updates_are_no_flood() {
    for mode in [Mode::Polling, Mode::Webhook] {
        let fixture = fixture().await;
        fixture.telegram.wait_for_calls("getUpdates", 1).await.unwrap();
        fixture.store.set_away(true);
        for number in 1..=MANY {
            fixture.telegram.user_says(ANN, &format!("new:{number}"));
        }
        assert_eq!(fixture.ask(BOB, "/help").await, wording::help(Language::English));
        let spool = files(&fixture.store.folder());
        assert!(spool >= IN_THE_WAY, "{spool}");
        fixture.bot.kill().await;
        fixture.store.set_away(false);
        let inbound_chat_rate = Rate::per_minute(1, 1);
        let bot = start_of(mode, &fixture.telegram, &fixture.store, Timeouts { inbound_chat_rate, ..quick() }).await;
        let is_key = |message: &&Message| message.text.split_once(':').is_some_and(|(id, _)| id.parse::<i64>().is_ok());
        let keys = |messages: &[Message]| messages.iter().filter(is_key).count();
        fixture.telegram.wait_for_messages(ANN, |messages| keys(messages) >= spool).await.unwrap();
        fixture.telegram.wait_until_all_confirmed().await.unwrap();
        bot.stop().await;
        assert_eq!(files(&fixture.store.folder()), 0, "{mode:?}");
    }
}

#[tokio::test]
async fn spooled_updates_are_resumed_under_a_new_token_of_the_same_bot() {
    let fixture = fixture_with_many_that_wait().await;
    fixture.bot.kill().await;
    let telegram = fixture.telegram.replace_token(NEW_BOT_TOKEN);
    fixture.store.set_bot(NEW_BOT_TOKEN);
    fixture.store.set_away(false);
    let bot = start(&telegram, &fixture.store).await;
    let fixture = Fixture { bot, telegram, store: fixture.store };
    all_are_answered(&fixture).await;
    fixture.bot.stop().await;
    assert_eq!(files(&fixture.store.folder()), 0);
}

#[tokio::test]
async fn a_spooled_update_that_telegram_delivers_again_is_handled_once() {
    for mode in [Mode::Polling, Mode::Webhook] {
        let (telegram, store) = fakes().await;
        store.set_bot(BOT_TOKEN);
        let id = telegram.user_says(ANN, "new:spooled");
        // As by a process that died before it confirmed the update.
        let message = json!({ "message_id": 1, "text": "new:spooled", "chat": { "id": ANN, "type": "private" } });
        let update = json!({ "update_id": id, "message": message }).to_string();
        let secret = |token: &str| Secret::new(token.to_owned());
        let key = BotKey::of(&secret(SERVICE_TOKEN), bot_of(&secret(BOT_TOKEN)));
        let spool = Spool::new(&store.folder(), &key);
        spool.put(vec![Update::from_json(update.as_bytes()).unwrap()]).await.unwrap();
        store.hold("spooled");
        let bot = start_in(mode, &telegram, &store).await;
        if mode == Mode::Polling {
            telegram.wait_until_confirmed(id).await.unwrap();
        } else {
            telegram.wait_for_deliveries(1).await.unwrap();
        }
        assert!(telegram.replies(ANN).is_empty());
        store.release("spooled");
        telegram.next_reply(ANN).await.unwrap();
        telegram.wait_until_all_confirmed().await.unwrap();
        bot.stop().await;
        assert_eq!((telegram.replies(ANN).len(), store.messages(), files(&store.folder())), (1, 1, 0), "{mode:?}");
    }
}
