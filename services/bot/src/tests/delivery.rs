//! No update is lost, none has its effect twice, and their order is kept.

use std::time::Duration;

use mayfly_testkit::telegram::{DeliveryFault, Fault};

use super::{
    fake_store::PANIC,
    harness::{
        ANN, BOB, BOT_TOKEN, Fixture, Mode, NEW_BOT_TOKEN, VIEWED, VIEWED_HERE, fakes, fixture, fixture_in, fixture_of,
        in_both_modes, quick, start, start_in, start_of,
    },
};
use crate::{
    conversation::{language::Language, texts::Phrase},
    timeouts::Timeouts,
};

in_both_modes! {
    a_redelivered_creation_returns_the_same_message,
    a_text_that_was_read_but_never_sent_is_sent_after_a_crash,
    a_redelivered_view_after_a_crash_does_not_blame_another_reader,
    a_text_that_cannot_be_sent_stays_with_its_reader,
    a_chat_that_blocked_the_bot_reads_nothing,
    a_text_waits_out_a_flood_wait_longer_than_all_timeouts_and_keeps_its_claim,
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
    a_stopping_bot_drains_and_confirms_the_updates_in_flight,
    a_stopping_bot_leaves_new_updates_to_its_successor,
    a_stopping_bot_finishes_many_chats,
}

async fn a_redelivered_creation_returns_the_same_message(mode: Mode) {
    let fixture = fixture_in(mode).await;
    fixture.store.hold("hello");
    let update = fixture.telegram.user_says(ANN, "new:hello");
    fixture.store.until(|data| data.create_calls.len() == 1).await;
    fixture.bot.kill().await;
    assert_eq!(fixture.telegram.pending_updates(), [update], "not confirmed before it is handled");
    assert!(fixture.telegram.replies(ANN).is_empty());

    fixture.store.release("hello");
    let bot = start_in(mode, &fixture.telegram, &fixture.store).await;
    assert_eq!(fixture.telegram.next_reply(ANN).await.unwrap().text, format!("1:{:064x}", 1));
    assert_eq!(fixture.store.messages(), 1);
    bot.stop().await;
    fixture.telegram.wait_until_confirmed(update).await.unwrap();
}

#[tokio::test]
async fn an_update_that_was_answered_but_not_confirmed_gives_the_same_answer_again() {
    let fixture = fixture().await;
    fixture.telegram.wait_for_calls("getUpdates", 1).await.unwrap();
    // The poll that waits brings the update; the next, which would confirm it, never arrives.
    fixture.telegram.fail_next("getUpdates", 1, Fault::NoResponse);
    fixture.telegram.user_says(ANN, "new:hello");
    let first = fixture.telegram.next_reply(ANN).await.unwrap();
    fixture.telegram.wait_for_calls("getUpdates", 2).await.unwrap();
    fixture.bot.kill().await;

    let bot = start(&fixture.telegram, &fixture.store).await;
    assert_eq!(fixture.telegram.next_reply(ANN).await.unwrap().text, first.text);
    assert_eq!(fixture.store.messages(), 1);
    bot.stop().await;
}

async fn a_text_that_was_read_but_never_sent_is_sent_after_a_crash(mode: Mode) {
    let fixture = fixture_in(mode).await;
    let key = fixture.store.put("hello");
    fixture.telegram.fail_next("sendMessage", 1, Fault::NoResponse);
    let update = fixture.telegram.user_says(ANN, &key);
    fixture.telegram.wait_for_calls("sendMessage", 1).await.unwrap();
    fixture.bot.kill().await;
    assert_eq!(fixture.store.texts(), 1, "not acknowledged before Telegram has it");

    let bot = start_in(mode, &fixture.telegram, &fixture.store).await;
    assert_eq!(fixture.telegram.next_reply(ANN).await.unwrap().text, "hello");
    bot.stop().await;
    assert_eq!(fixture.store.texts(), 0);
    fixture.telegram.wait_until_confirmed(update).await.unwrap();
}

async fn a_redelivered_view_after_a_crash_does_not_blame_another_reader(mode: Mode) {
    let fixture = fixture_in(mode).await;
    let key = fixture.store.put("hello");
    // It is handled, but Telegram does not learn that.
    fixture.telegram.fail_next_deliveries(1_000, DeliveryFault::LoseResponse);
    if mode == Mode::Polling {
        fixture.telegram.wait_for_calls("getUpdates", 1).await.unwrap();
        fixture.telegram.fail_next("getUpdates", 1, Fault::NoResponse);
    }
    fixture.telegram.user_says(ANN, &key);
    assert_eq!(fixture.reply(ANN).await, "hello");
    fixture.store.until(|data| data.texts() == 0).await;
    fixture.bot.kill().await;

    let bot = start_in(mode, &fixture.telegram, &fixture.store).await;
    assert_eq!(fixture.telegram.next_reply(ANN).await.unwrap().text, VIEWED_HERE);
    bot.stop().await;
}

async fn a_chat_that_blocked_the_bot_reads_nothing(mode: Mode) {
    let fixture = fixture_in(mode).await;
    let key = fixture.store.put("hello");
    fixture.ask(ANN, "/help").await;
    fixture.telegram.user_blocks(ANN);
    let update = fixture.telegram.user_says(ANN, &key);
    fixture.telegram.wait_until_confirmed(update).await.unwrap();
    assert_eq!(fixture.store.view_calls(), 0);
    assert_eq!(fixture.ask(BOB, &key).await, "hello", "it is unread");
}

const CAROL: i64 = 700_000_003;

/// Gives up on anything but messages as soon as Telegram asks for a pause.
fn impatient() -> Timeouts {
    let (claim_renewal_interval, flood_check_interval) = (Duration::from_millis(20), Duration::from_millis(50));
    Timeouts { flood_timeout: Duration::ZERO, claim_renewal_interval, flood_check_interval, ..quick() }
}

const FLOOD: Fault = Fault::TooManyRequests { retry_after: 1 };

async fn a_text_waits_out_a_flood_wait_longer_than_all_timeouts_and_keeps_its_claim(mode: Mode) {
    let fixture = fixture_of(mode, impatient()).await;
    for (method, text) in [("sendMessage", "hello"), ("sendDocument", " hello ")] {
        let key = fixture.store.put(text);
        fixture.telegram.fail_next(method, 1, FLOOD);
        let before = fixture.store.view_calls();
        assert_eq!(fixture.ask(ANN, &key).await, text);
        assert!(fixture.store.view_calls() > before + 2, "the claim was kept meanwhile");
    }
    fixture.store.until(|data| data.texts() == 0).await;
}

async fn a_text_that_waits_for_the_end_of_a_flood_wait_is_sent_by_the_next_process(mode: Mode) {
    let fixture = fixture_of(mode, impatient()).await;
    let key = fixture.store.put("hello");
    fixture.telegram.fail_next("sendMessage", 1, Fault::TooManyRequests { retry_after: 700 });
    fixture.telegram.user_says(ANN, &key);
    fixture.telegram.wait_for_calls("sendMessage", 1).await.unwrap();
    fixture.store.until(|data| data.view_calls > 2).await;
    fixture.bot.kill().await;
    let bot = start_of(mode, &fixture.telegram, &fixture.store, impatient()).await;
    assert_eq!(fixture.telegram.next_reply(ANN).await.unwrap().text, "hello");
    bot.stop().await;
}

async fn a_chat_that_must_wait_reads_nothing_before_it_can_be_written_to(mode: Mode) {
    let fixture = fixture_of(mode, impatient()).await;
    let key = fixture.store.put("hello");
    // Two chats that have to wait, from which the bot knows.
    fixture.telegram.flood_wait(None, Duration::from_secs(700));
    for chat in [BOB, CAROL] {
        fixture.telegram.user_says(chat, "/help");
    }
    fixture.telegram.wait_for_calls("sendMessage", 2).await.unwrap();
    fixture.telegram.user_says(ANN, &key);
    fixture.bot.shows_that(|status| status["queued_updates"] == 3).await;
    fixture.bot.kill().await;
    assert_eq!(fixture.store.view_calls(), 0);
    // The next request reaches Telegram.
    fixture.telegram.flood_wait(None, Duration::ZERO);
    fixture.telegram.fail_next("sendChatAction", 1, FLOOD);
    let bot = start_of(mode, &fixture.telegram, &fixture.store, impatient()).await;
    assert_eq!(fixture.telegram.next_reply(ANN).await.unwrap().text, "hello");
    assert_eq!(fixture.telegram.calls("sendChatAction").len(), 2);
    bot.stop().await;
}

#[tokio::test]
async fn a_chat_that_must_wait_for_long_uses_up_no_more_than_its_share() {
    let fixture = fixture_of(Mode::Polling, impatient()).await;
    let key = fixture.store.put("hello");
    fixture.telegram.fail_next("sendMessage", 1, Fault::TooManyRequests { retry_after: 700 });
    fixture.telegram.user_says(ANN, &key);
    fixture.telegram.wait_for_calls("sendMessage", 1).await.unwrap();
    for _ in 0..150 {
        fixture.telegram.user_says(ANN, "/help");
    }
    // It was sent last, so all others are handled.
    fixture.ask(BOB, "look:1:x").await;
    fixture.bot.shows_that(|status| status["queued_updates"] == 101).await;
}

async fn an_outage_of_telegram_reads_nothing(mode: Mode) {
    let fixture = fixture_in(mode).await;
    let key = fixture.store.put("hello");
    let help = fixture.telegram.user_says(ANN, "/help");
    // Confirmed by the poll that is held, which brings the next update before the outage reaches polls.
    fixture.telegram.wait_until_confirmed(help).await.unwrap();
    fixture.reply(ANN).await;
    fixture.telegram.wait_for_calls("setMyCommands", Language::ALL.len()).await.unwrap();
    for method in ["sendChatAction", "getUpdates", "getWebhookInfo", "sendMessage"] {
        fixture.telegram.fail_next(method, 1_000, Fault::DisconnectBefore);
    }
    let calls = fixture.telegram.calls("sendChatAction").len();
    fixture.telegram.user_says(ANN, &key);
    fixture.telegram.wait_for_calls("sendChatAction", calls + 5).await.unwrap();
    assert_eq!(fixture.store.view_calls(), 0);
    for method in ["sendChatAction", "getUpdates", "getWebhookInfo", "sendMessage"] {
        fixture.telegram.clear_faults(method);
    }
    assert_eq!(fixture.reply(ANN).await, "hello");
}

async fn a_text_that_cannot_be_sent_stays_with_its_reader(mode: Mode) {
    let fixture = fixture_in(mode).await;
    let key = fixture.store.put("hello");
    fixture.telegram.user_says(ANN, "/help");
    fixture.reply(ANN).await;
    // Blocked between the check and the message.
    fixture.store.block_on_next_view(&fixture.telegram, ANN);
    let update = fixture.telegram.user_says(ANN, &key);
    fixture.telegram.wait_until_confirmed(update).await.unwrap();
    assert_eq!(fixture.store.texts(), 1);
    assert_eq!(fixture.ask(BOB, &key).await, VIEWED, "nobody else gets it");
    fixture.telegram.user_unblocks(ANN);
    assert_eq!(fixture.ask(ANN, &key).await, "hello", "asked for with another update");
    assert_eq!(fixture.ask(ANN, &key).await, VIEWED_HERE);
}

/// Handles an update whose reply Telegram rejects until the bot has another token.
async fn renewed_before_the_answer(fixture: Fixture, text: &str) -> Fixture {
    fixture.telegram.fail_next("sendMessage", 10_000, Fault::DisconnectBefore);
    fixture.telegram.user_says(ANN, text);
    fixture.telegram.wait_for_calls("sendMessage", 1).await.unwrap();
    let telegram = fixture.telegram.replace_token(NEW_BOT_TOKEN);
    telegram.clear_faults("sendMessage");
    fixture.store.set_bot(NEW_BOT_TOKEN);
    Fixture { telegram, ..fixture }
}

async fn a_text_that_was_read_but_never_sent_is_sent_under_a_new_token_of_the_same_bot(mode: Mode) {
    let fixture = fixture_in(mode).await;
    let key = fixture.store.put("hello");
    let fixture = renewed_before_the_answer(fixture, &key).await;
    assert_eq!(fixture.reply(ANN).await, "hello");
    fixture.telegram.wait_until_all_confirmed().await.unwrap();
    fixture.bot.stop().await;
    assert_eq!(fixture.telegram.replies(ANN).len(), 1, "and no alarm");
    assert_eq!(fixture.store.texts(), 0);
}

async fn a_text_that_was_stored_but_not_answered_is_stored_once_under_a_new_token_of_the_same_bot(mode: Mode) {
    let fixture = renewed_before_the_answer(fixture_in(mode).await, "new:hello").await;
    assert_eq!(fixture.reply(ANN).await, format!("1:{:064x}", 1));
    fixture.telegram.wait_until_all_confirmed().await.unwrap();
    fixture.bot.stop().await;
    assert_eq!(fixture.store.messages(), 1);
}

async fn one_slow_chat_does_not_hold_up_another(mode: Mode) {
    let fixture = fixture_in(mode).await;
    fixture.store.hold("slow");
    let slow = fixture.telegram.user_says(ANN, "new:slow");
    fixture.store.until(|data| data.create_calls == ["slow"]).await;
    for _ in 0..3 {
        fixture.ask(BOB, "new:quick").await;
    }
    assert!(fixture.telegram.confirmed_up_to() < Some(slow));
    assert_eq!(fixture.telegram.pending_updates()[0], slow, "nothing above it is confirmed either");
    fixture.store.release("slow");
    fixture.telegram.wait_until_confirmed(slow + 3).await.unwrap();
}

async fn a_telegram_that_is_slow_for_one_chat_does_not_hold_up_another(mode: Mode) {
    let fixture = fixture_in(mode).await;
    fixture.telegram.fail_next("sendMessage", 1, Fault::NoResponse);
    let slow = fixture.telegram.user_says(ANN, "new:slow");
    fixture.telegram.wait_for_calls("sendMessage", 1).await.unwrap();
    for _ in 0..3 {
        fixture.ask(BOB, "new:quick").await;
    }
    assert!(fixture.telegram.replies(ANN).is_empty());
    assert!(fixture.telegram.pending_updates().contains(&slow), "not confirmed before it is answered");
    // The user requests the reply again.
    fixture.reply(ANN).await;
    fixture.telegram.wait_until_confirmed(slow).await.unwrap();
    assert_eq!(fixture.store.messages(), 4);
}

#[tokio::test]
async fn updates_in_flight_are_not_handled_again_when_telegram_repeats_them() {
    let fixture = fixture().await;
    fixture.store.hold("slow");
    fixture.telegram.user_says(ANN, "new:slow");
    fixture.ask(BOB, "new:quick").await;
    let polls = fixture.telegram.calls("getUpdates").len();
    fixture.telegram.wait_for_calls("getUpdates", polls + 5).await.unwrap();
    fixture.store.release("slow");
    fixture.reply(ANN).await;
    fixture.bot.stop().await;
    fixture.store.until(|data| data.create_calls == ["slow", "quick"]).await;
}

async fn messages_of_one_chat_are_handled_in_their_order(mode: Mode) {
    let fixture = fixture_in(mode).await;
    fixture.store.hold("0");
    for number in 0..10 {
        fixture.telegram.user_says(ANN, &format!("new:{number}"));
    }
    fixture.store.until(|data| data.create_calls == ["0"]).await;
    fixture.store.release("0");
    for number in 1..=10 {
        assert_eq!(fixture.reply(ANN).await, format!("{number}:{number:064x}"));
    }
    let in_order: Vec<_> = (0..10).map(|number| number.to_string()).collect();
    fixture.store.until(|data| data.create_calls == in_order).await;
}

async fn a_thousand_chats_at_once_are_served_each_in_its_order(mode: Mode) {
    let fixture = fixture_in(mode).await;
    let chats = 1..=1_000;
    let texts = |chat: i64| ["first", "second", "third"].map(|word| format!("{word} of {chat}"));
    for word in 0..3 {
        for chat in chats.clone() {
            fixture.telegram.user_says(chat, &format!("new:{}", texts(chat)[word]));
        }
    }
    for chat in chats {
        for text in texts(chat) {
            let key = fixture.reply(chat).await;
            let id = key.split_once(':').unwrap().0.parse().unwrap();
            assert_eq!(fixture.store.text(id), Some(text));
        }
    }
    assert_eq!(fixture.store.messages(), 3_000);
    fixture.bot.stop().await;
    fixture.telegram.wait_until_all_confirmed().await.unwrap();
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
    let fixture = fixture_in(mode).await;
    assert_eq!(fixture.ask(ANN, &format!("new:{PANIC}")).await, Language::English.text(Phrase::InternalError));
    assert!(fixture.ask(ANN, "new:hello").await.starts_with("1:"));
    assert!(fixture.ask(BOB, "new:hello").await.starts_with("2:"));
    fixture.bot.stop().await;
    fixture.telegram.wait_until_all_confirmed().await.unwrap();
}

async fn a_stopping_bot_drains_and_confirms_the_updates_in_flight(mode: Mode) {
    let fixture = fixture_in(mode).await;
    fixture.store.hold("slow");
    let update = fixture.telegram.user_says(ANN, "new:slow");
    fixture.store.until(|data| data.create_calls == ["slow"]).await;
    fixture.bot.begin_stop();
    fixture.store.release("slow");
    fixture.bot.ended().await;

    assert_eq!(fixture.telegram.replies(ANN).len(), 1);
    fixture.telegram.wait_until_confirmed(update).await.unwrap();
    if mode == Mode::Polling {
        let last_poll = fixture.telegram.calls("getUpdates").pop().unwrap();
        assert_eq!((last_poll["limit"].as_u64(), last_poll["timeout"].as_u64()), (Some(1), Some(0)));
    }
}

async fn a_stopping_bot_finishes_many_chats(mode: Mode) {
    let fixture = fixture_in(mode).await;
    fixture.store.hold("slow");
    let chats = 1..=20;
    for chat in chats.clone() {
        fixture.telegram.user_says(chat, "new:slow");
    }
    fixture.store.until(|data| data.create_calls.len() == 20).await;
    fixture.bot.begin_stop();
    fixture.store.release("slow");
    fixture.bot.ended().await;
    for chat in chats {
        assert_eq!(fixture.telegram.replies(chat).len(), 1);
    }
    fixture.telegram.wait_until_all_confirmed().await.unwrap();
}

async fn a_stopping_bot_leaves_new_updates_to_its_successor(mode: Mode) {
    let fixture = fixture_in(mode).await;
    fixture.ask(ANN, "hello").await;
    fixture.bot.stop().await;
    fixture.telegram.wait_until_all_confirmed().await.unwrap();
    let update = fixture.telegram.user_says(ANN, "new:late");
    assert_eq!(fixture.telegram.pending_updates(), [update]);
    let _bot = start_in(mode, &fixture.telegram, &fixture.store).await;
    assert!(fixture.telegram.next_reply(ANN).await.unwrap().text.starts_with("1:"));
}
