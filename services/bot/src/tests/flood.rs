//! Chats that write too fast.

use std::time::Duration;

use super::harness::{ANN, BOB, BOT_TOKEN, Mode, World, fakes, in_both_modes, quick, start_of};
use crate::{
    conversation::{language::Language, texts::Phrase},
    gcra::Rate,
    timeouts::Timeouts,
};

in_both_modes! {
    a_chat_that_floods_is_told_once_and_the_rest_is_not_served,
    what_was_written_while_the_bot_was_away_is_no_flood,
    what_was_left_for_later_and_comes_again_is_no_flood,
    a_chat_that_floods_does_not_slow_another,
    a_group_is_not_told_of_floods_and_commands_for_other_bots_are_none,
    a_chat_that_floods_and_is_stuck_does_not_hold_up_another,
    when_all_write_too_much_who_was_quiet_is_served_and_who_was_not_is_told_once,
}

const GROUP: i64 = -5;

/// A chat may write three messages, and then no more for as long as a test lasts.
async fn world(mode: Mode) -> World {
    let (telegram, store) = fakes().await;
    store.set_bot(BOT_TOKEN);
    let inbound_chat_rate = Rate { burst: 3, interval: Duration::from_secs(600) };
    let bot = start_of(mode, &telegram, &store, Timeouts { inbound_chat_rate, ..quick() }).await;
    World { telegram, store, bot }
}

async fn a_chat_that_floods_is_told_once_and_the_rest_is_not_served(mode: Mode) {
    let world = world(mode).await;
    for number in 1..=20 {
        world.telegram.user_says(ANN, &format!("new:{number}"));
    }
    for number in 1..=3 {
        assert_eq!(world.reply(ANN).await, format!("{number}:{number:064x}"));
    }
    assert_eq!(world.reply(ANN).await, Language::English.text(Phrase::TooFast));
    world.telegram.wait_until_all_confirmed().await.unwrap();
    assert_eq!(world.telegram.replies(ANN).len(), 4);
    assert_eq!(world.store.messages(), 3);
    let errors = world.bot.status().await["errors"].to_string();
    assert!(errors.contains("a chat writes faster than it may"), "{errors}");
}

async fn what_was_written_while_the_bot_was_away_is_no_flood(mode: Mode) {
    let world = world(mode).await;
    for age in (0..20).rev() {
        world.telegram.user_said(ANN, "new:hello", age * 600);
    }
    world.telegram.wait_until_all_confirmed().await.unwrap();
    assert_eq!((world.telegram.replies(ANN).len(), world.store.messages()), (20, 20));
}

async fn what_was_left_for_later_and_comes_again_is_no_flood(mode: Mode) {
    let world = world(mode).await;
    world.store.hold("slow");
    for text in ["new:slow", "new:second", "new:third"] {
        world.telegram.user_says(ANN, text);
    }
    world.store.until(|data| data.create_calls == ["slow"]).await;
    world.telegram.revoke_token();
    world.store.release("slow");
    world.bot.shows_that(|status| status["queued_updates"] == 0).await;
    world.telegram.restore_token();
    for _ in 0..3 {
        let reply = world.reply(ANN).await;
        assert!(reply.split_once(':').is_some_and(|(_, token)| token.len() == 64), "{reply}");
    }
    assert_eq!(world.store.messages(), 3);
}

async fn a_group_is_not_told_of_floods_and_commands_for_other_bots_are_none(mode: Mode) {
    let world = world(mode).await;
    for _ in 0..10 {
        world.telegram.group_says(GROUP, "/weather");
    }
    for _ in 0..10 {
        world.telegram.group_says(GROUP, "/new secret");
    }
    world.telegram.wait_until_all_confirmed().await.unwrap();
    let replies: Vec<_> = world.telegram.replies(GROUP).into_iter().map(|reply| reply.text).collect();
    assert_eq!(replies, vec![Language::English.text(Phrase::PrivateOnly); 3]);
}

async fn a_chat_that_floods_does_not_slow_another(mode: Mode) {
    let world = world(mode).await;
    for _ in 0..500 {
        world.telegram.user_says(ANN, "new:flood");
    }
    world.ask(BOB, "new:hello").await;
    world.telegram.wait_until_all_confirmed().await.unwrap();
    assert_eq!(world.telegram.replies(ANN).len(), 4);
    assert_eq!(world.store.messages(), 4);
}

async fn a_chat_that_floods_and_is_stuck_does_not_hold_up_another(mode: Mode) {
    let world = world(mode).await;
    world.store.hold("stuck");
    for _ in 0..500 {
        world.telegram.user_says(ANN, "new:stuck");
    }
    world.ask(BOB, "new:hello").await;
    assert!(world.telegram.replies(ANN).is_empty());
    world.store.release("stuck");
    world.telegram.wait_until_all_confirmed().await.unwrap();
    world.reply(ANN).await;
}

async fn when_all_write_too_much_who_was_quiet_is_served_and_who_was_not_is_told_once(mode: Mode) {
    let (telegram, store) = fakes().await;
    store.set_bot(BOT_TOKEN);
    // All together may write fifty messages, and then no more for as long as a test lasts.
    let inbound_total_rate = Rate { burst: 50, interval: Duration::from_secs(600) };
    let bot = start_of(mode, &telegram, &store, Timeouts { inbound_total_rate, ..quick() }).await;
    let crowd = 1..=100;
    for number in 1..=3 {
        for chat in crowd.clone() {
            telegram.user_says(chat, &format!("new:{number}"));
        }
    }
    telegram.user_says(ANN, "new:hello");
    assert!(telegram.next_reply(ANN).await.unwrap().text.contains(':'), "her first");
    telegram.wait_until_all_confirmed().await.unwrap();
    for chat in crowd {
        let replies: Vec<_> = telegram.replies(chat).into_iter().map(|reply| reply.text).collect();
        let [created, told] = replies.as_slice() else { panic!("{replies:?}") };
        assert!(created.split_once(':').is_some_and(|(_, token)| token.len() == 64), "{created}");
        assert_eq!(*told, Language::English.text(Phrase::TooCrowded));
    }
    assert_eq!(store.messages(), 101);
    let errors = bot.status().await["errors"].to_string();
    assert!(errors.contains("all chats together write more than the bot may answer"), "{errors}");
    bot.stop().await;
}
