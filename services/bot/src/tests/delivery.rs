//! No update is lost, none has its effect twice, and their order is kept.

use std::time::Duration;

use mayfly_testkit::telegram::{DeliveryFault, Fault};

use super::{
    fake_store::PANIC,
    harness::{
        ANN, BOB, BOT_TOKEN, Mode, NEW_BOT_TOKEN, OPENED_HERE, VIEWED, World, fakes, in_both_modes, quick, start,
        start_in, start_of, world, world_in, world_of,
    },
};
use crate::{
    conversation::{language::Language, texts::Phrase},
    timeouts::Timeouts,
};

in_both_modes! {
    an_update_that_was_stored_but_not_answered_comes_again_and_gives_the_same_message,
    a_text_that_was_read_but_never_sent_is_sent_after_a_crash,
    who_was_shown_a_text_before_a_crash_is_not_told_afterwards_that_others_read_it,
    a_text_that_cannot_be_sent_is_left_to_its_reader,
    a_chat_that_blocked_the_bot_reads_nothing,
    a_text_waits_out_a_flood_wait_longer_than_all_patience_and_keeps_its_claim,
    a_text_that_waits_for_the_end_of_a_flood_wait_is_sent_by_the_next_process,
    a_chat_that_must_wait_reads_nothing_before_it_can_be_written_to,
    an_outage_of_telegram_reads_nothing,
    a_text_that_was_read_but_never_sent_is_sent_under_a_new_token_of_the_same_bot,
    a_text_that_was_stored_but_not_answered_is_stored_once_under_a_new_token_of_the_same_bot,
    one_slow_chat_does_not_hold_up_another,
    a_telegram_that_is_slow_for_one_chat_does_not_hold_up_another,
    messages_of_one_chat_are_handled_in_their_order,
    a_thousand_chats_at_once_are_served_each_in_its_order,
    updates_out_of_order_are_all_answered_once,
    a_panic_concerns_only_its_update,
    a_stopping_bot_answers_and_confirms_what_it_has_in_hand,
    a_stopping_bot_leaves_what_arrives_for_its_successor,
    a_stopping_bot_finishes_many_chats,
}

async fn an_update_that_was_stored_but_not_answered_comes_again_and_gives_the_same_message(mode: Mode) {
    let world = world_in(mode).await;
    world.store.hold("hello");
    let update = world.telegram.user_says(ANN, "new:hello");
    world.store.until(|data| data.create_calls.len() == 1).await;
    world.bot.kill().await;
    assert_eq!(world.telegram.pending_updates(), [update], "not confirmed before it is handled");
    assert!(world.telegram.replies(ANN).is_empty());

    world.store.release("hello");
    let bot = start_in(mode, &world.telegram, &world.store).await;
    assert_eq!(world.telegram.next_reply(ANN).await.unwrap().text, format!("1:{:064x}", 1));
    assert_eq!(world.store.messages(), 1);
    bot.stop().await;
    world.telegram.wait_until_confirmed(update).await.unwrap();
}

#[tokio::test]
async fn an_update_that_was_answered_but_not_confirmed_gives_the_same_answer_again() {
    let world = world().await;
    world.telegram.wait_for_calls("getUpdates", 1).await.unwrap();
    // The poll that waits brings the update; the next, which would confirm it, never arrives.
    world.telegram.fail_next("getUpdates", 1, Fault::NoResponse);
    world.telegram.user_says(ANN, "new:hello");
    let first = world.telegram.next_reply(ANN).await.unwrap();
    world.telegram.wait_for_calls("getUpdates", 2).await.unwrap();
    world.bot.kill().await;

    let bot = start(&world.telegram, &world.store).await;
    assert_eq!(world.telegram.next_reply(ANN).await.unwrap().text, first.text);
    assert_eq!(world.store.messages(), 1);
    bot.stop().await;
}

async fn a_text_that_was_read_but_never_sent_is_sent_after_a_crash(mode: Mode) {
    let world = world_in(mode).await;
    let key = world.store.put("hello");
    world.telegram.fail_next("sendMessage", 1, Fault::NoResponse);
    let update = world.telegram.user_says(ANN, &key);
    world.telegram.wait_for_calls("sendMessage", 1).await.unwrap();
    world.bot.kill().await;
    assert_eq!(world.store.texts(), 1, "not acknowledged before Telegram has it");

    let bot = start_in(mode, &world.telegram, &world.store).await;
    assert_eq!(world.telegram.next_reply(ANN).await.unwrap().text, "hello");
    bot.stop().await;
    assert_eq!(world.store.texts(), 0);
    world.telegram.wait_until_confirmed(update).await.unwrap();
}

async fn who_was_shown_a_text_before_a_crash_is_not_told_afterwards_that_others_read_it(mode: Mode) {
    let world = world_in(mode).await;
    let key = world.store.put("hello");
    // It is handled, but Telegram does not learn that.
    world.telegram.fail_next_deliveries(1_000, DeliveryFault::LoseResponse);
    if mode == Mode::Polling {
        world.telegram.wait_for_calls("getUpdates", 1).await.unwrap();
        world.telegram.fail_next("getUpdates", 1, Fault::NoResponse);
    }
    world.telegram.user_says(ANN, &key);
    assert_eq!(world.reply(ANN).await, "hello");
    world.store.until(|data| data.texts() == 0).await;
    world.bot.kill().await;

    let bot = start_in(mode, &world.telegram, &world.store).await;
    assert_eq!(world.telegram.next_reply(ANN).await.unwrap().text, OPENED_HERE);
    bot.stop().await;
}

async fn a_chat_that_blocked_the_bot_reads_nothing(mode: Mode) {
    let world = world_in(mode).await;
    let key = world.store.put("hello");
    world.ask(ANN, "/help").await;
    world.telegram.user_blocks(ANN);
    let update = world.telegram.user_says(ANN, &key);
    world.telegram.wait_until_confirmed(update).await.unwrap();
    assert_eq!(world.store.view_calls(), 0);
    assert_eq!(world.ask(BOB, &key).await, "hello", "it is unread");
}

const CAROL: i64 = 700_000_003;

/// Gives up on anything but messages as soon as Telegram asks for a pause.
fn impatient() -> Timeouts {
    let (claim_renewal_interval, flood_check_interval) = (Duration::from_millis(20), Duration::from_millis(50));
    Timeouts { flood_timeout: Duration::ZERO, claim_renewal_interval, flood_check_interval, ..quick() }
}

const FLOOD: Fault = Fault::TooManyRequests { retry_after: 1 };

async fn a_text_waits_out_a_flood_wait_longer_than_all_patience_and_keeps_its_claim(mode: Mode) {
    let world = world_of(mode, impatient()).await;
    for (method, text) in [("sendMessage", "hello"), ("sendDocument", " hello ")] {
        let key = world.store.put(text);
        world.telegram.fail_next(method, 1, FLOOD);
        let before = world.store.view_calls();
        assert_eq!(world.ask(ANN, &key).await, text);
        assert!(world.store.view_calls() > before + 2, "the claim was kept meanwhile");
    }
    world.store.until(|data| data.texts() == 0).await;
}

async fn a_text_that_waits_for_the_end_of_a_flood_wait_is_sent_by_the_next_process(mode: Mode) {
    let world = world_of(mode, impatient()).await;
    let key = world.store.put("hello");
    world.telegram.fail_next("sendMessage", 1, Fault::TooManyRequests { retry_after: 700 });
    world.telegram.user_says(ANN, &key);
    world.telegram.wait_for_calls("sendMessage", 1).await.unwrap();
    world.store.until(|data| data.view_calls > 2).await;
    world.bot.kill().await;
    let bot = start_of(mode, &world.telegram, &world.store, impatient()).await;
    assert_eq!(world.telegram.next_reply(ANN).await.unwrap().text, "hello");
    bot.stop().await;
}

async fn a_chat_that_must_wait_reads_nothing_before_it_can_be_written_to(mode: Mode) {
    let world = world_of(mode, impatient()).await;
    let key = world.store.put("hello");
    // Two chats that have to wait, from which the bot knows.
    world.telegram.flood_wait(None, Duration::from_secs(700));
    for chat in [BOB, CAROL] {
        world.telegram.user_says(chat, "/help");
    }
    world.telegram.wait_for_calls("sendMessage", 2).await.unwrap();
    world.telegram.user_says(ANN, &key);
    world.bot.shows_that(|status| status["queued_updates"] == 3).await;
    world.bot.kill().await;
    assert_eq!(world.store.view_calls(), 0);
    // Whoever comes next asks Telegram.
    world.telegram.flood_wait(None, Duration::ZERO);
    world.telegram.fail_next("sendChatAction", 1, FLOOD);
    let bot = start_of(mode, &world.telegram, &world.store, impatient()).await;
    assert_eq!(world.telegram.next_reply(ANN).await.unwrap().text, "hello");
    assert_eq!(world.telegram.calls("sendChatAction").len(), 2);
    bot.stop().await;
}

#[tokio::test]
async fn a_chat_that_must_wait_for_long_uses_up_no_more_than_its_share() {
    let world = world_of(Mode::Polling, impatient()).await;
    let key = world.store.put("hello");
    world.telegram.fail_next("sendMessage", 1, Fault::TooManyRequests { retry_after: 700 });
    world.telegram.user_says(ANN, &key);
    world.telegram.wait_for_calls("sendMessage", 1).await.unwrap();
    for _ in 0..150 {
        world.telegram.user_says(ANN, "/help");
    }
    // It came last, so all before it were looked at.
    world.ask(BOB, "look:1:x").await;
    world.bot.shows_that(|status| status["queued_updates"] == 101).await;
}

async fn an_outage_of_telegram_reads_nothing(mode: Mode) {
    let world = world_in(mode).await;
    let key = world.store.put("hello");
    let help = world.telegram.user_says(ANN, "/help");
    // Confirmed by the poll that is held, which brings the next update before the outage reaches polls.
    world.telegram.wait_until_confirmed(help).await.unwrap();
    world.reply(ANN).await;
    world.telegram.wait_for_calls("setMyCommands", Language::ALL.len()).await.unwrap();
    for method in ["sendChatAction", "getUpdates", "getWebhookInfo", "sendMessage"] {
        world.telegram.fail_next(method, 1_000, Fault::DisconnectBefore);
    }
    let calls = world.telegram.calls("sendChatAction").len();
    world.telegram.user_says(ANN, &key);
    world.telegram.wait_for_calls("sendChatAction", calls + 5).await.unwrap();
    assert_eq!(world.store.view_calls(), 0);
    for method in ["sendChatAction", "getUpdates", "getWebhookInfo", "sendMessage"] {
        world.telegram.clear_faults(method);
    }
    assert_eq!(world.reply(ANN).await, "hello");
}

async fn a_text_that_cannot_be_sent_is_left_to_its_reader(mode: Mode) {
    let world = world_in(mode).await;
    let key = world.store.put("hello");
    world.telegram.user_says(ANN, "/help");
    world.reply(ANN).await;
    // Blocked between the check and the message.
    world.store.block_on_next_view(&world.telegram, ANN);
    let update = world.telegram.user_says(ANN, &key);
    world.telegram.wait_until_confirmed(update).await.unwrap();
    assert_eq!(world.store.texts(), 1);
    assert_eq!(world.ask(BOB, &key).await, VIEWED, "nobody else gets it");
    world.telegram.user_unblocks(ANN);
    assert_eq!(world.ask(ANN, &key).await, "hello", "asked for with another update");
    assert_eq!(world.ask(ANN, &key).await, OPENED_HERE);
}

/// What becomes of an update that has its effect, and whose answer Telegram does not take until the bot has another
/// token.
async fn renewed_before_the_answer(world: World, text: &str) -> World {
    world.telegram.fail_next("sendMessage", 10_000, Fault::DisconnectBefore);
    world.telegram.user_says(ANN, text);
    world.telegram.wait_for_calls("sendMessage", 1).await.unwrap();
    let telegram = world.telegram.replace_token(NEW_BOT_TOKEN);
    telegram.clear_faults("sendMessage");
    world.store.set_bot(NEW_BOT_TOKEN);
    World { telegram, ..world }
}

async fn a_text_that_was_read_but_never_sent_is_sent_under_a_new_token_of_the_same_bot(mode: Mode) {
    let world = world_in(mode).await;
    let key = world.store.put("hello");
    let world = renewed_before_the_answer(world, &key).await;
    assert_eq!(world.reply(ANN).await, "hello");
    world.telegram.wait_until_all_confirmed().await.unwrap();
    world.bot.stop().await;
    assert_eq!(world.telegram.replies(ANN).len(), 1, "and no alarm");
    assert_eq!(world.store.texts(), 0);
}

async fn a_text_that_was_stored_but_not_answered_is_stored_once_under_a_new_token_of_the_same_bot(mode: Mode) {
    let world = renewed_before_the_answer(world_in(mode).await, "new:hello").await;
    assert_eq!(world.reply(ANN).await, format!("1:{:064x}", 1));
    world.telegram.wait_until_all_confirmed().await.unwrap();
    world.bot.stop().await;
    assert_eq!(world.store.messages(), 1);
}

async fn one_slow_chat_does_not_hold_up_another(mode: Mode) {
    let world = world_in(mode).await;
    world.store.hold("slow");
    let slow = world.telegram.user_says(ANN, "new:slow");
    world.store.until(|data| data.create_calls == ["slow"]).await;
    for _ in 0..3 {
        world.ask(BOB, "new:quick").await;
    }
    assert!(world.telegram.confirmed_up_to() < Some(slow));
    assert_eq!(world.telegram.pending_updates()[0], slow, "nothing above it is confirmed either");
    world.store.release("slow");
    world.telegram.wait_until_confirmed(slow + 3).await.unwrap();
}

async fn a_telegram_that_is_slow_for_one_chat_does_not_hold_up_another(mode: Mode) {
    let world = world_in(mode).await;
    world.telegram.fail_next("sendMessage", 1, Fault::NoResponse);
    let slow = world.telegram.user_says(ANN, "new:slow");
    world.telegram.wait_for_calls("sendMessage", 1).await.unwrap();
    for _ in 0..3 {
        world.ask(BOB, "new:quick").await;
    }
    assert!(world.telegram.replies(ANN).is_empty());
    assert!(world.telegram.pending_updates().contains(&slow), "not confirmed before it is answered");
    // Who gives up on Telegram asks it again.
    world.reply(ANN).await;
    world.telegram.wait_until_confirmed(slow).await.unwrap();
    assert_eq!(world.store.messages(), 4);
}

#[tokio::test]
async fn updates_in_hand_are_not_handled_again_when_telegram_repeats_them() {
    let world = world().await;
    world.store.hold("slow");
    world.telegram.user_says(ANN, "new:slow");
    world.ask(BOB, "new:quick").await;
    let polls = world.telegram.calls("getUpdates").len();
    world.telegram.wait_for_calls("getUpdates", polls + 5).await.unwrap();
    world.store.release("slow");
    world.reply(ANN).await;
    world.bot.stop().await;
    world.store.until(|data| data.create_calls == ["slow", "quick"]).await;
}

async fn messages_of_one_chat_are_handled_in_their_order(mode: Mode) {
    let world = world_in(mode).await;
    world.store.hold("0");
    for number in 0..10 {
        world.telegram.user_says(ANN, &format!("new:{number}"));
    }
    world.store.until(|data| data.create_calls == ["0"]).await;
    world.store.release("0");
    for number in 1..=10 {
        assert_eq!(world.reply(ANN).await, format!("{number}:{number:064x}"));
    }
    let in_order: Vec<_> = (0..10).map(|number| number.to_string()).collect();
    world.store.until(|data| data.create_calls == in_order).await;
}

async fn a_thousand_chats_at_once_are_served_each_in_its_order(mode: Mode) {
    let world = world_in(mode).await;
    let chats = 1..=1_000;
    let texts = |chat: i64| ["first", "second", "third"].map(|word| format!("{word} of {chat}"));
    for word in 0..3 {
        for chat in chats.clone() {
            world.telegram.user_says(chat, &format!("new:{}", texts(chat)[word]));
        }
    }
    for chat in chats {
        for text in texts(chat) {
            let key = world.reply(chat).await;
            let id = key.split_once(':').unwrap().0.parse().unwrap();
            assert_eq!(world.store.text(id), Some(text));
        }
    }
    assert_eq!(world.store.messages(), 3_000);
    world.bot.stop().await;
    world.telegram.wait_until_all_confirmed().await.unwrap();
}

async fn updates_out_of_order_are_all_answered_once(mode: Mode) {
    let (telegram, store) = fakes().await;
    store.set_bot(BOT_TOKEN);
    telegram.deliver_out_of_order();
    let chats = 1..=60;
    for chat in chats.clone() {
        for text in ["one", "two", "three"] {
            telegram.user_says(chat, &format!("new:{text} of {chat}"));
        }
    }
    let bot = start_in(mode, &telegram, &store).await;
    for chat in chats.clone() {
        for _ in 0..3 {
            assert!(telegram.next_reply(chat).await.unwrap().text.contains(':'));
        }
    }
    bot.stop().await;
    telegram.wait_until_all_confirmed().await.unwrap();
    assert_eq!(store.messages(), 180);
    for chat in chats {
        assert_eq!(telegram.replies(chat).len(), 3);
    }
}

async fn a_panic_concerns_only_its_update(mode: Mode) {
    let world = world_in(mode).await;
    assert_eq!(world.ask(ANN, &format!("new:{PANIC}")).await, Language::English.text(Phrase::WentWrong));
    assert!(world.ask(ANN, "new:hello").await.starts_with("1:"));
    assert!(world.ask(BOB, "new:hello").await.starts_with("2:"));
    world.bot.stop().await;
    world.telegram.wait_until_all_confirmed().await.unwrap();
}

async fn a_stopping_bot_answers_and_confirms_what_it_has_in_hand(mode: Mode) {
    let world = world_in(mode).await;
    world.store.hold("slow");
    let update = world.telegram.user_says(ANN, "new:slow");
    world.store.until(|data| data.create_calls == ["slow"]).await;
    world.bot.begin_stop();
    world.store.release("slow");
    world.bot.ended().await;

    assert_eq!(world.telegram.replies(ANN).len(), 1);
    world.telegram.wait_until_confirmed(update).await.unwrap();
    if mode == Mode::Polling {
        let last_poll = world.telegram.calls("getUpdates").pop().unwrap();
        assert_eq!((last_poll["limit"].as_u64(), last_poll["timeout"].as_u64()), (Some(1), Some(0)));
    }
}

async fn a_stopping_bot_finishes_many_chats(mode: Mode) {
    let world = world_in(mode).await;
    world.store.hold("slow");
    let chats = 1..=20;
    for chat in chats.clone() {
        world.telegram.user_says(chat, "new:slow");
    }
    world.store.until(|data| data.create_calls.len() == 20).await;
    world.bot.begin_stop();
    world.store.release("slow");
    world.bot.ended().await;
    for chat in chats {
        assert_eq!(world.telegram.replies(chat).len(), 1);
    }
    world.telegram.wait_until_all_confirmed().await.unwrap();
}

async fn a_stopping_bot_leaves_what_arrives_for_its_successor(mode: Mode) {
    let world = world_in(mode).await;
    world.ask(ANN, "hello").await;
    world.bot.stop().await;
    world.telegram.wait_until_all_confirmed().await.unwrap();
    let update = world.telegram.user_says(ANN, "new:late");
    assert_eq!(world.telegram.pending_updates(), [update]);
    let _bot = start_in(mode, &world.telegram, &world.store).await;
    assert!(world.telegram.next_reply(ANN).await.unwrap().text.starts_with("1:"));
}
