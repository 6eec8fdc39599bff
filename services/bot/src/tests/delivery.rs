//! No update is lost, none has its effect twice, and their order is kept.

use mayfly_testkit::telegram::Fault;

use super::{
    fake_store::PANIC,
    harness::{ANN, BOB, VIEWED, start, world},
};
use crate::replies;

#[tokio::test]
async fn an_update_that_was_stored_but_not_answered_comes_again_and_gives_the_same_message() {
    let world = world().await;
    world.store.hold("hello");
    let update = world.telegram.user_says(ANN, "new:hello");
    world.store.until(|data| data.create_calls.len() == 1).await;
    world.bot.kill().await;
    assert_eq!(world.telegram.pending_updates(), [update], "not confirmed before it is handled");
    assert!(world.telegram.replies(ANN).is_empty());

    world.store.release("hello");
    let bot = start(&world.telegram, &world.store).await;
    assert_eq!(world.telegram.next_reply(ANN).await.unwrap().text, format!("1:{:064x}", 1));
    assert_eq!(world.store.messages(), 1);
    bot.stop().await;
    assert_eq!(world.telegram.confirmed_up_to(), Some(update));
}

#[tokio::test]
async fn an_update_that_was_answered_but_not_confirmed_gives_the_same_answer_again() {
    let world = world().await;
    world.telegram.called("getUpdates", 1).await.unwrap();
    // The poll that waits brings the update; the next, which would confirm it, never arrives.
    world.telegram.fail_next("getUpdates", 1, Fault::Hang);
    world.telegram.user_says(ANN, "new:hello");
    let first = world.telegram.next_reply(ANN).await.unwrap();
    world.telegram.called("getUpdates", 2).await.unwrap();
    world.bot.kill().await;

    let bot = start(&world.telegram, &world.store).await;
    assert_eq!(world.telegram.next_reply(ANN).await.unwrap().text, first.text);
    assert_eq!(world.store.messages(), 1);
    bot.stop().await;
}

#[tokio::test]
async fn a_text_that_was_read_but_never_sent_is_sent_after_a_crash() {
    let world = world().await;
    let key = world.store.put("hello");
    world.telegram.fail_next("sendMessage", 1, Fault::Hang);
    let update = world.telegram.user_says(ANN, &key);
    world.telegram.called("sendMessage", 1).await.unwrap();
    world.bot.kill().await;
    assert_eq!(world.store.texts(), 1, "not acknowledged before Telegram has it");

    let bot = start(&world.telegram, &world.store).await;
    assert_eq!(world.telegram.next_reply(ANN).await.unwrap().text, "hello");
    bot.stop().await;
    assert_eq!((world.store.texts(), world.telegram.confirmed_up_to()), (0, Some(update)));
}

#[tokio::test]
async fn a_text_that_cannot_be_sent_is_left_to_its_reader() {
    let world = world().await;
    let key = world.store.put("hello");
    world.telegram.user_says(ANN, "/help");
    world.reply(ANN).await;
    world.telegram.user_blocks(ANN);
    let update = world.telegram.user_says(ANN, &key);
    world.telegram.confirmed(update).await.unwrap();
    assert_eq!(world.store.texts(), 1);
    assert_eq!(world.ask(BOB, &key).await, VIEWED, "nobody else gets it");
    world.telegram.user_unblocks(ANN);
    assert_eq!(world.ask(ANN, &key).await, "hello", "asked for with another update");
    assert_eq!(world.ask(ANN, &key).await, VIEWED);
}

#[tokio::test]
async fn one_slow_chat_does_not_hold_up_another() {
    let world = world().await;
    world.store.hold("slow");
    let slow = world.telegram.user_says(ANN, "new:slow");
    world.store.until(|data| data.create_calls == ["slow"]).await;
    for _ in 0..3 {
        world.ask(BOB, "new:quick").await;
    }
    assert_eq!(world.telegram.confirmed_up_to(), None);
    assert_eq!(world.telegram.pending_updates()[0], slow, "nothing above it is confirmed either");
    world.store.release("slow");
    world.telegram.confirmed(slow + 3).await.unwrap();
}

#[tokio::test]
async fn updates_in_hand_are_not_handled_again_when_telegram_repeats_them() {
    let world = world().await;
    world.store.hold("slow");
    world.telegram.user_says(ANN, "new:slow");
    world.ask(BOB, "new:quick").await;
    let polls = world.telegram.calls("getUpdates").len();
    world.telegram.called("getUpdates", polls + 5).await.unwrap();
    world.store.release("slow");
    world.reply(ANN).await;
    world.bot.stop().await;
    world.store.until(|data| data.create_calls == ["slow", "quick"]).await;
}

#[tokio::test]
async fn messages_of_one_chat_are_handled_in_their_order() {
    let world = world().await;
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

#[tokio::test]
async fn many_chats_are_all_served() {
    let world = world().await;
    let chats = 1..=250;
    for chat in chats.clone() {
        world.telegram.user_says(chat, "new:one");
        world.telegram.user_says(chat, "new:two");
    }
    for chat in chats {
        assert_ne!(world.reply(chat).await, world.reply(chat).await);
    }
    assert_eq!(world.store.messages(), 500);
}

#[tokio::test]
async fn a_panic_concerns_only_its_update() {
    let world = world().await;
    assert_eq!(world.ask(ANN, &format!("new:{PANIC}")).await, replies::WENT_WRONG);
    assert!(world.ask(ANN, "new:hello").await.starts_with("1:"));
    assert!(world.ask(BOB, "new:hello").await.starts_with("2:"));
    world.bot.stop().await;
    assert!(world.telegram.pending_updates().is_empty());
}

#[tokio::test]
async fn a_stopping_bot_answers_and_confirms_what_it_has_in_hand() {
    let world = world().await;
    world.store.hold("slow");
    let update = world.telegram.user_says(ANN, "new:slow");
    world.store.until(|data| data.create_calls == ["slow"]).await;
    world.bot.begin_stop();
    world.store.release("slow");
    world.bot.ended().await;

    assert_eq!(world.telegram.replies(ANN).len(), 1);
    assert_eq!(world.telegram.confirmed_up_to(), Some(update));
    let last_poll = world.telegram.calls("getUpdates").pop().unwrap();
    assert_eq!((last_poll["limit"].as_u64(), last_poll["timeout"].as_u64()), (Some(1), Some(0)));
}

#[tokio::test]
async fn a_stopping_bot_leaves_what_arrives_for_its_successor() {
    let world = world().await;
    world.ask(ANN, "hello").await;
    world.bot.stop().await;
    let update = world.telegram.user_says(ANN, "new:late");
    assert_eq!(world.telegram.pending_updates(), [update]);
    let _bot = start(&world.telegram, &world.store).await;
    assert!(world.telegram.next_reply(ANN).await.unwrap().text.starts_with("1:"));
}
