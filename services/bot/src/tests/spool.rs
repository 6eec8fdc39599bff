//! Updates that take long, while others wait behind them at Telegram.

use std::{fs, path::Path, time::Duration};

use mayfly_testkit::telegram::{Fault, Message};

use super::harness::{ANN, BOB, Mode, NEW_BOT_TOKEN, World, quick, start, start_in, start_of, world};
use crate::{
    conversation::{language::Language, wording},
    gcra::Rate,
    timeouts::Timeouts,
};

/// More than a poll brings.
const MANY: i64 = 150;
/// So many of these must be set aside, at least, before a poll brings one more.
const IN_THE_WAY: usize = 51;

fn files(folder: &Path) -> usize {
    let folders = fs::read_dir(folder).unwrap();
    folders.map(|folder| fs::read_dir(folder.unwrap().path()).unwrap().count()).sum()
}

/// A bot with more updates in hand than a poll brings, since the store is away, and still open to others.
async fn world_with_many_that_wait() -> World {
    let world = world().await;
    world.telegram.wait_for_calls("getUpdates", 1).await.unwrap();
    world.store.set_away(true);
    for chat in 1..=MANY {
        world.telegram.user_says(chat, &format!("new:needle {chat}"));
    }
    assert_eq!(world.ask(ANN, "/help").await, wording::help(Language::English));
    assert!(files(&world.store.folder()) >= IN_THE_WAY);
    world
}

async fn all_are_answered(world: &World) {
    for chat in 1..=MANY {
        let key = world.reply(chat).await;
        let id = key.split_once(':').unwrap().0.parse().unwrap();
        assert_eq!(world.store.text(id), Some(format!("needle {chat}")));
    }
    assert_eq!(world.store.messages(), usize::try_from(MANY).unwrap());
}

#[tokio::test]
async fn what_waits_for_the_store_holds_up_nobody_who_does_not() {
    let world = world_with_many_that_wait().await;
    world.store.set_away(false);
    all_are_answered(&world).await;
    world.bot.stop().await;
    world.telegram.wait_until_all_confirmed().await.unwrap();
    assert_eq!(files(&world.store.folder()), 0, "nothing is kept that was handled");
}

#[tokio::test]
async fn what_was_set_aside_is_not_lost_with_the_process() {
    let world = world_with_many_that_wait().await;
    let pending = world.telegram.pending_updates().len();
    assert!(pending < usize::try_from(MANY).unwrap(), "confirmed, though nobody has an answer: {pending}");
    let folder = world.store.folder();
    for entry in fs::read_dir(&folder).unwrap().flat_map(|folder| fs::read_dir(folder.unwrap().path()).unwrap()) {
        let file = fs::read(entry.unwrap().path()).unwrap();
        assert!(!String::from_utf8_lossy(&file).contains("needle"));
    }
    world.bot.kill().await;
    world.store.set_away(false);
    let bot = start(&world.telegram, &world.store).await;
    let world = World { bot, telegram: world.telegram, store: world.store };
    all_are_answered(&world).await;
    world.bot.stop().await;
    assert_eq!(files(&folder), 0);
}

#[tokio::test]
async fn a_stopping_bot_leaves_what_was_set_aside_to_its_successor() {
    let world = world_with_many_that_wait().await;
    world.bot.stop().await;
    world.store.set_away(false);
    let bot = start(&world.telegram, &world.store).await;
    let world = World { bot, telegram: world.telegram, store: world.store };
    all_are_answered(&world).await;
    world.bot.stop().await;
    assert_eq!(files(&world.store.folder()), 0);
}

#[tokio::test]
async fn what_was_set_aside_is_taken_up_by_a_bot_with_a_webhook() {
    let world = world_with_many_that_wait().await;
    world.bot.kill().await;
    let chats: Vec<i64> = (1..=MANY).collect();
    for chat in &chats {
        world.telegram.user_says(*chat, "/help");
    }
    world.store.set_away(false);
    let bot = start_in(Mode::Webhook, &world.telegram, &world.store).await;
    let world = World { bot, telegram: world.telegram, store: world.store };
    all_are_answered(&world).await;
    for chat in &chats {
        assert_eq!(world.reply(*chat).await, wording::help(Language::English), "after what was written before it");
    }
    world.telegram.wait_until_all_confirmed().await.unwrap();
    world.bot.stop().await;
    assert_eq!(files(&world.store.folder()), 0);
    for chat in chats {
        assert_eq!(world.telegram.replies(chat).len(), 2, "each was answered once");
    }
}

#[tokio::test]
async fn what_was_set_aside_and_a_bot_with_a_webhook_cannot_answer_is_taken_up_again() {
    let world = world_with_many_that_wait().await;
    world.bot.kill().await;
    world.store.set_away(false);
    world.telegram.fail_next("sendMessage", 100_000, Fault::DisconnectBefore);
    let timeouts = Timeouts { rejected_retry_interval: Duration::from_millis(500), ..quick() };
    let bot = start_of(Mode::Webhook, &world.telegram, &world.store, timeouts).await;
    let calls = world.telegram.calls("sendMessage").len();
    world.telegram.wait_for_calls("sendMessage", calls + 1).await.unwrap();
    world.telegram.revoke_token();
    bot.shows_that(|status| status["queued_updates"] == 0).await;
    assert!(files(&world.store.folder()) >= IN_THE_WAY, "left, not given up");
    world.telegram.clear_faults("sendMessage");
    world.telegram.restore_token();
    let world = World { bot, telegram: world.telegram, store: world.store };
    all_are_answered(&world).await;
    world.telegram.wait_until_all_confirmed().await.unwrap();
    world.bot.stop().await;
    assert_eq!(files(&world.store.folder()), 0);
}

#[tokio::test]
async fn what_was_set_aside_is_not_too_much_when_it_is_taken_up() {
    for mode in [Mode::Polling, Mode::Webhook] {
        let world = world().await;
        world.telegram.wait_for_calls("getUpdates", 1).await.unwrap();
        world.store.set_away(true);
        for number in 1..=MANY {
            world.telegram.user_says(ANN, &format!("new:{number}"));
        }
        assert_eq!(world.ask(BOB, "/help").await, wording::help(Language::English));
        let spool = files(&world.store.folder());
        assert!(spool >= IN_THE_WAY, "{spool}");
        world.bot.kill().await;
        world.store.set_away(false);
        let inbound_chat_rate = Rate::per_minute(1, 1);
        let bot = start_of(mode, &world.telegram, &world.store, Timeouts { inbound_chat_rate, ..quick() }).await;
        let is_key = |message: &&Message| message.text.split_once(':').is_some_and(|(id, _)| id.parse::<i64>().is_ok());
        let keys = |messages: &[Message]| messages.iter().filter(is_key).count();
        world.telegram.wait_for_messages(ANN, |messages| keys(messages) >= spool).await.unwrap();
        world.telegram.wait_until_all_confirmed().await.unwrap();
        bot.stop().await;
        assert_eq!(files(&world.store.folder()), 0, "{mode:?}");
    }
}

#[tokio::test]
async fn what_was_set_aside_is_taken_up_under_a_new_token_of_the_same_bot() {
    let world = world_with_many_that_wait().await;
    world.bot.kill().await;
    let telegram = world.telegram.replace_token(NEW_BOT_TOKEN);
    world.store.set_bot(NEW_BOT_TOKEN);
    world.store.set_away(false);
    let bot = start(&telegram, &world.store).await;
    let world = World { bot, telegram, store: world.store };
    all_are_answered(&world).await;
    world.bot.stop().await;
    assert_eq!(files(&world.store.folder()), 0);
}
