//! Chats that write too fast.

use std::time::Duration;

use super::harness::{ANN, BOB, BOT_TOKEN, Fixture, Mode, fakes, in_both_modes, quick, start_of};
use crate::{
    conversation::{language::Language, texts::Phrase},
    gcra::Rate,
    timeouts::Timeouts,
};

in_both_modes! {
    a_chat_that_floods_is_notified_once_and_the_rest_is_ignored,
    events_sent_during_an_outage_of_the_bot_are_no_flood,
    redelivered_postponed_events_are_no_flood,
    a_chat_that_floods_does_not_slow_another,
    a_group_gets_no_flood_notification_and_commands_for_other_bots_do_not_count,
    a_chat_that_floods_and_is_stuck_does_not_hold_up_another,
    a_crowd_that_writes_faster_than_the_bot_may_reply_is_served_in_full,
}

const GROUP: i64 = -5;

/// A chat may write three messages, and then no more for as long as a test lasts.
async fn fixture(mode: Mode) -> Fixture {
    let (telegram, store) = fakes().await;
    store.set_bot(BOT_TOKEN);
    let inbound_chat_rate = Rate { burst: 3, interval: Duration::from_secs(600) };
    let bot = start_of(mode, &telegram, &store, Timeouts { inbound_chat_rate, ..quick() }).await;
    Fixture { telegram, store, bot }
}

async fn a_chat_that_floods_is_notified_once_and_the_rest_is_ignored(mode: Mode) {
    let fixture = fixture(mode).await;
    for number in 1..=20 {
        fixture.telegram.user_says(ANN, &format!("new:{number}"));
    }
    for number in 1..=3 {
        assert_eq!(fixture.reply(ANN).await, format!("{number}:{number:064x}"));
    }
    assert_eq!(fixture.reply(ANN).await, Language::English.text(Phrase::FloodLimitExceeded));
    fixture.telegram.wait_until_all_confirmed().await.unwrap();
    assert_eq!(fixture.telegram.replies(ANN).len(), 4);
    assert_eq!(fixture.store.messages(), 3);
    let errors = fixture.bot.status().await["errors"].to_string();
    assert!(errors.contains("a chat writes faster than it may"), "{errors}");
}

async fn events_sent_during_an_outage_of_the_bot_are_no_flood(mode: Mode) {
    let fixture = fixture(mode).await;
    for age in (0..20).rev() {
        fixture.telegram.user_said(ANN, "new:hello", age * 600);
    }
    fixture.telegram.wait_until_all_confirmed().await.unwrap();
    assert_eq!((fixture.telegram.replies(ANN).len(), fixture.store.messages()), (20, 20));
}

async fn redelivered_postponed_events_are_no_flood(mode: Mode) {
    let fixture = fixture(mode).await;
    fixture.store.hold("slow");
    for text in ["new:slow", "new:second", "new:third"] {
        fixture.telegram.user_says(ANN, text);
    }
    fixture.store.until(|data| data.create_calls == ["slow"]).await;
    fixture.telegram.revoke_token();
    fixture.store.release("slow");
    fixture.bot.shows_that(|status| status["queued_updates"] == 0).await;
    fixture.telegram.restore_token();
    for _ in 0..3 {
        let reply = fixture.reply(ANN).await;
        assert!(reply.split_once(':').is_some_and(|(_, token)| token.len() == 64), "{reply}");
    }
    assert_eq!(fixture.store.messages(), 3);
}

async fn a_group_gets_no_flood_notification_and_commands_for_other_bots_do_not_count(mode: Mode) {
    let fixture = fixture(mode).await;
    for _ in 0..10 {
        fixture.telegram.group_says(GROUP, "/weather");
    }
    for _ in 0..10 {
        fixture.telegram.group_says(GROUP, "/new secret");
    }
    fixture.telegram.wait_until_all_confirmed().await.unwrap();
    let replies: Vec<_> = fixture.telegram.replies(GROUP).into_iter().map(|reply| reply.text).collect();
    assert_eq!(replies, vec![Language::English.text(Phrase::PrivateChatOnly); 3]);
}

async fn a_chat_that_floods_does_not_slow_another(mode: Mode) {
    let fixture = fixture(mode).await;
    for _ in 0..500 {
        fixture.telegram.user_says(ANN, "new:flood");
    }
    fixture.ask(BOB, "new:hello").await;
    fixture.telegram.wait_until_all_confirmed().await.unwrap();
    assert_eq!(fixture.telegram.replies(ANN).len(), 4);
    assert_eq!(fixture.store.messages(), 4);
}

async fn a_chat_that_floods_and_is_stuck_does_not_hold_up_another(mode: Mode) {
    let fixture = fixture(mode).await;
    fixture.store.hold("stuck");
    for _ in 0..500 {
        fixture.telegram.user_says(ANN, "new:stuck");
    }
    fixture.ask(BOB, "new:hello").await;
    assert!(fixture.telegram.replies(ANN).is_empty());
    fixture.store.release("stuck");
    fixture.telegram.wait_until_all_confirmed().await.unwrap();
    fixture.reply(ANN).await;
}

async fn a_crowd_that_writes_faster_than_the_bot_may_reply_is_served_in_full(mode: Mode) {
    let (telegram, store) = fakes().await;
    store.set_bot(BOT_TOKEN);
    let timeouts = Timeouts { outbound_total_rate: Rate::per_second(100), ..quick() };
    let bot = start_of(mode, &telegram, &store, timeouts).await;
    let crowd = 1..=100;
    for number in 1..=3 {
        for chat in crowd.clone() {
            telegram.user_says(chat, &format!("new:{number}"));
        }
    }
    telegram.wait_until_all_confirmed().await.unwrap();
    for chat in crowd {
        // A slow update is confirmed once it is on disk, before its reply.
        for _ in 1..=3 {
            let text = telegram.next_reply(chat).await.unwrap().text;
            assert!(text.split_once(':').is_some_and(|(_, token)| token.len() == 64), "{text}");
        }
        assert_eq!(telegram.replies(chat).len(), 3);
    }
    assert_eq!(store.messages(), 300);
    bot.stop().await;
}
