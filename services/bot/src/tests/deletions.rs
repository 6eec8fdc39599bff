//! The messages that the bot deletes from chats, and those that it protects.

use std::time::Duration;

use mayfly_testkit::telegram::{Fault, Message};

use super::harness::{
    ANN, BOB, BOT_TOKEN, Mode, fakes, fixture, fixture_with_flags, in_both_modes, quick, start, start_with_flags,
};

in_both_modes! {
    a_users_message_is_deleted_once_its_text_is_stored_and_no_other,
    a_text_that_was_shown_is_deleted_after_a_while,
}

fn texts(messages: &[Message]) -> Vec<&str> {
    messages.iter().map(|message| message.text.as_str()).collect()
}

async fn a_users_message_is_deleted_once_its_text_is_stored_and_no_other(mode: Mode) {
    let fixture = fixture_with_flags(mode, &["--delete-user-messages"]).await;
    let help = fixture.ask(ANN, "hello").await;
    let empty = fixture.ask(ANN, "new:").await;
    let key = fixture.ask(ANN, "new:secret").await;
    let expected = ["hello", &help, "new:", &empty, &key];
    fixture.telegram.wait_for_messages(ANN, |messages| texts(messages) == expected).await.unwrap();
    assert_eq!(fixture.ask(ANN, &key).await, "secret");
    fixture.telegram.wait_for_messages(ANN, |messages| texts(messages).ends_with(&[&key, "secret"])).await.unwrap();
}

#[tokio::test]
async fn nothing_is_deleted_unless_that_is_asked_for() {
    let fixture = fixture().await;
    let key = fixture.ask(ANN, "new:secret").await;
    assert_eq!(fixture.ask(ANN, &key).await, "secret");
    let update = fixture.telegram.user_says(ANN, "hello");
    fixture.telegram.wait_until_confirmed(update).await.unwrap();
    assert!(fixture.telegram.calls("deleteMessage").is_empty());
    assert!(fixture.telegram.messages(ANN).iter().all(|message| !message.is_protected));
}

async fn a_text_that_was_shown_is_deleted_after_a_while(mode: Mode) {
    let fixture = fixture_with_flags(mode, &["--delete-revealed-after", "1s"]).await;
    let key = fixture.ask(ANN, "new:secret").await;
    assert_eq!(fixture.ask(BOB, &key).await, "secret");
    fixture.telegram.wait_for_messages(BOB, |messages| texts(messages) == [key.as_str()]).await.unwrap();
    assert_eq!(texts(&fixture.telegram.messages(ANN)), ["new:secret", &key], "what was not revealed stays");
}

#[tokio::test]
async fn scheduled_deletions_survive_a_restart_and_an_outage_of_telegram() {
    let (telegram, store) = fakes().await;
    store.set_bot(BOT_TOKEN);
    let flags = ["--delete-revealed-after", "1s"];
    let bot = start_with_flags(&telegram, &store, quick(), &flags).await;
    let key = store.put("secret");
    telegram.fail_next("deleteMessage", 1, Fault::NoResponse);
    telegram.user_says(ANN, &key);
    assert_eq!(telegram.next_reply(ANN).await.unwrap().text, "secret");
    telegram.wait_for_calls("deleteMessage", 1).await.unwrap();
    bot.kill().await;
    assert_eq!(texts(&telegram.messages(ANN)), [key.as_str(), "secret"]);
    let noted = std::fs::read_dir(store.folder().join("deletions")).unwrap().count();
    assert_eq!(noted, 1);

    let bot = start_with_flags(&telegram, &store, quick(), &flags).await;
    telegram.wait_for_messages(ANN, |messages| texts(messages) == [key.as_str()]).await.unwrap();
    bot.stop().await;
    assert_eq!(std::fs::read_dir(store.folder().join("deletions")).unwrap().count(), 0);
}

#[tokio::test]
async fn scheduled_deletions_run_after_the_setting_is_removed() {
    let (telegram, store) = fakes().await;
    store.set_bot(BOT_TOKEN);
    let bot = start_with_flags(&telegram, &store, quick(), &["--delete-revealed-after", "1s"]).await;
    let (first, second) = (store.put("first"), store.put("second"));
    telegram.fail_next("deleteMessage", 1, Fault::NoResponse);
    telegram.user_says(ANN, &first);
    telegram.wait_for_calls("deleteMessage", 1).await.unwrap();
    bot.kill().await;

    let bot = start(&telegram, &store).await;
    telegram.wait_for_messages(ANN, |messages| texts(messages) == [first.as_str()]).await.unwrap();
    telegram.user_says(BOB, &second);
    telegram.wait_for_messages(BOB, |messages| texts(messages) == [second.as_str(), "second"]).await.unwrap();
    bot.stop().await;
    let noted = std::fs::read_dir(store.folder().join("deletions")).unwrap().count();
    assert_eq!(noted, 0, "neither the one that is done, nor one that nobody asked for");
}

#[tokio::test]
async fn deletions_do_not_wait_for_the_command_menu() {
    let (telegram, store) = fakes().await;
    store.set_bot(BOT_TOKEN);
    telegram.fail_next("setMyCommands", 1, Fault::TooManyRequests { retry_after: 300 });
    let bot = start_with_flags(&telegram, &store, quick(), &["--delete-revealed-after", "1s"]).await;
    telegram.wait_for_calls("setMyCommands", 1).await.unwrap();
    let key = store.put("secret");
    telegram.user_says(ANN, &key);
    telegram.wait_for_messages(ANN, |messages| texts(messages) == [key.as_str(), "secret"]).await.unwrap();
    telegram.wait_for_messages(ANN, |messages| texts(messages) == [key.as_str()]).await.unwrap();
    bot.stop().await;
    assert_eq!(telegram.calls("setMyCommands").len(), 1, "the menu still waits");
}

#[tokio::test]
async fn deleting_a_deleted_message_succeeds() {
    let fixture = fixture_with_flags(Mode::Polling, &["--delete-revealed-after", "1s"]).await;
    let folder = fixture.store.folder().join("deletions");
    fixture.telegram.fail_next("deleteMessage", 1, Fault::DisconnectAfter);
    let key = fixture.store.put("secret");
    assert_eq!(fixture.ask(ANN, &key).await, "secret");
    fixture.telegram.wait_for_calls("deleteMessage", 2).await.unwrap();
    let forgotten = async {
        while std::fs::read_dir(&folder).unwrap().count() > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), forgotten).await.expect("never forgotten");
}

#[tokio::test]
async fn only_a_text_that_was_shown_is_protected() {
    let fixture = fixture_with_flags(Mode::Polling, &["--protect-content"]).await;
    let kept = fixture.ask_message(ANN, "new:secret").await;
    assert!(!kept.is_protected, "it is there to be copied");
    assert!(fixture.ask_message(BOB, &kept.text).await.is_protected);
    let long = "x".repeat(5000);
    let document = fixture.ask_message(BOB, &fixture.store.put(&long)).await;
    assert!(document.is_protected && document.text == long);
}
