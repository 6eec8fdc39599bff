//! Updates that take long, while others wait behind them at Telegram.

use std::{fs, path::Path};

use super::harness::{ANN, NEW_BOT_TOKEN, World, start, world};
use crate::{language::Language, replies};

/// More than a poll brings.
const MANY: i64 = 150;

fn files(folder: &Path) -> usize {
    let folders = fs::read_dir(folder).unwrap();
    folders.map(|folder| fs::read_dir(folder.unwrap().path()).unwrap().count()).sum()
}

/// A bot with more updates in hand than a poll brings, since the store is away, and still open to others.
async fn world_with_many_that_wait() -> World {
    let world = world().await;
    world.telegram.called("getUpdates", 1).await.unwrap();
    world.store.set_away(true);
    for chat in 1..=MANY {
        world.telegram.user_says(chat, &format!("new:needle {chat}"));
    }
    assert_eq!(world.ask(ANN, "/help").await, replies::help(Language::English));
    assert!(files(&world.store.folder()) >= 100);
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
    world.telegram.all_confirmed().await.unwrap();
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
