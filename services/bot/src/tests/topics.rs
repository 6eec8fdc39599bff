//! Private chats with topics, and albums.

use mayfly_testkit::telegram::Message;
use serde_json::{Value, json};

use super::harness::{ANN, Fixture, Mode, fixture_in, fixture_with_flags, in_both_modes};
use crate::conversation::{language::Language, texts::Phrase};

in_both_modes! {
    every_reply_goes_to_the_topic_that_was_written_in,
    a_pressed_button_reveals_in_its_topic_and_what_is_deleted_is_the_message_of_that_topic,
    a_secret_does_not_go_to_the_chat_when_its_topic_is_gone_and_all_else_does,
    a_token_does_not_go_to_the_chat_when_its_topic_is_gone,
    a_token_does_not_go_to_the_chat_when_its_topic_was_deleted_meanwhile,
    a_message_with_fields_of_other_types_is_answered_in_its_topic_and_an_album_of_them_once,
    an_album_of_documents_whose_captions_hold_commands_gets_one_reply_and_keeps_nothing,
    an_album_gets_one_reply,
}

const THREAD: i64 = 116_834;

fn written(text: &str) -> Value {
    json!({ "text": text, "message_thread_id": THREAD, "is_topic_message": true })
}

/// Writes in the topic; the reply, which is in the topic too.
async fn ask(fixture: &Fixture, text: &str) -> Message {
    fixture.telegram.user_sends(ANN, written(text));
    let reply = fixture.telegram.next_reply(ANN).await.unwrap();
    let message = fixture.message(ANN, reply.message_id);
    assert_eq!(message.thread, Some(THREAD), "{text}");
    message
}

async fn every_reply_goes_to_the_topic_that_was_written_in(mode: Mode) {
    let fixture = fixture_in(mode).await;
    ask(&fixture, "/help").await;
    ask(&fixture, "hello").await;
    let kept = ask(&fixture, "new:hello").await;
    assert_eq!(ask(&fixture, &kept.text).await.text, "hello");
    // Telegram would change this text, so it is sent as a file.
    let kept = ask(&fixture, "new:a\u{2028}b").await;
    fixture.telegram.user_sends(ANN, written(&kept.text));
    let file = fixture.telegram.next_reply(ANN).await.unwrap();
    assert!(file.document.is_some());
    assert_eq!(fixture.message(ANN, file.message_id).thread, Some(THREAD));
    fixture.telegram.user_sends(ANN, json!({ "dice": {}, "message_thread_id": THREAD }));
    assert_eq!(fixture.telegram.next_reply(ANN).await.unwrap().params["message_thread_id"], THREAD);
}

async fn a_pressed_button_reveals_in_its_topic_and_what_is_deleted_is_the_message_of_that_topic(mode: Mode) {
    let fixture = fixture_with_flags(mode, &["--delete-user-messages"]).await;
    let kept = ask(&fixture, "new:hello").await;
    fixture.telegram.wait_for_messages(ANN, |messages| messages.len() == 1).await.unwrap();
    let share = kept.button("Share").unwrap()["url"].as_str().unwrap().to_owned();
    let (_, link) = share.split_once("?start=").unwrap();
    let offered = ask(&fixture, &format!("/start {link}")).await;
    fixture.press(ANN, &offered, "Reveal").await;
    let shown = fixture.telegram.next_reply(ANN).await.unwrap();
    assert_eq!((shown.text.as_str(), &shown.params["message_thread_id"]), ("hello", &json!(THREAD)));
}

async fn a_secret_does_not_go_to_the_chat_when_its_topic_is_gone_and_all_else_does(mode: Mode) {
    let fixture = fixture_in(mode).await;
    let kept = ask(&fixture, "new:hello").await;
    fixture.telegram.delete_topic(THREAD);
    let asked = fixture.telegram.user_sends(ANN, written(&kept.text));
    fixture.telegram.wait_until_confirmed(asked).await.unwrap();
    let refusal = fixture.telegram.next_reply(ANN).await.unwrap();
    assert!(refusal.text.starts_with("I cannot write to the topic"), "{}", refusal.text);
    assert_eq!(fixture.store.view_calls(), 0, "nothing was read");
    fixture.telegram.user_sends(ANN, written("/help"));
    let help = fixture.telegram.next_reply(ANN).await.unwrap();
    assert!(help.text.contains("id:token"), "{}", help.text);
    assert_eq!(help.params.get("message_thread_id"), None);
    // The sender can request it again, from another topic or from the chat.
    assert_eq!(fixture.ask(ANN, &kept.text).await, "hello");
}

async fn a_token_does_not_go_to_the_chat_when_its_topic_is_gone(mode: Mode) {
    let fixture = fixture_in(mode).await;
    let kept = ask(&fixture, "new:hello").await;
    let share = kept.button("Share").unwrap()["url"].as_str().unwrap().to_owned();
    let (_, link) = share.split_once("?start=").unwrap();
    fixture.telegram.delete_topic(THREAD);
    for text in ["new:other".to_owned(), format!("/start {link}"), format!("burn:{}", kept.text)] {
        fixture.telegram.user_sends(ANN, written(&text));
        let refusal = fixture.telegram.next_reply(ANN).await.unwrap();
        assert!(refusal.text.starts_with("I cannot write to the topic"), "{}", refusal.text);
        assert_eq!(refusal.params.get("reply_markup"), None);
    }
    assert_eq!((fixture.store.messages(), fixture.store.texts()), (1, 1), "nothing was kept or burned");
}

async fn a_token_does_not_go_to_the_chat_when_its_topic_was_deleted_meanwhile(mode: Mode) {
    let fixture = fixture_in(mode).await;
    fixture.ask(ANN, "/help").await;
    fixture.store.hold("other");
    let asked = fixture.telegram.user_sends(ANN, written("new:other"));
    fixture.store.until(|data| data.create_calls == ["other"]).await;
    fixture.telegram.delete_topic(THREAD);
    fixture.store.release("other");
    fixture.telegram.wait_until_confirmed(asked).await.unwrap();
    assert_eq!(fixture.telegram.replies(ANN).len(), 1, "the help");
}

async fn a_message_with_fields_of_other_types_is_answered_in_its_topic_and_an_album_of_them_once(mode: Mode) {
    let fixture = fixture_in(mode).await;
    let mut last = 0;
    for _ in 0..3 {
        let odd = json!({ "photo": 7, "date": "today", "media_group_id": 9, "message_thread_id": THREAD });
        last = fixture.telegram.user_sends(ANN, odd);
    }
    fixture.telegram.wait_until_confirmed(last).await.unwrap();
    let replies = fixture.telegram.replies(ANN);
    assert_eq!((replies.len(), &replies[0].params["message_thread_id"]), (1, &json!(THREAD)));
}

async fn an_album_of_documents_whose_captions_hold_commands_gets_one_reply_and_keeps_nothing(mode: Mode) {
    let fixture = fixture_in(mode).await;
    let key = fixture.store.put("hello");
    let captions = ["new:one".to_owned(), key, "/new two".to_owned(), String::new()];
    let mut last = 0;
    for caption in captions {
        let document = json!({ "document": { "file_id": "x" }, "caption": caption, "media_group_id": "1" });
        last = fixture.telegram.user_sends(ANN, document);
    }
    fixture.telegram.wait_until_confirmed(last).await.unwrap();
    let replies: Vec<_> = fixture.telegram.replies(ANN).into_iter().map(|reply| reply.text).collect();
    assert_eq!(replies, [Language::English.text(Phrase::TextOnly)]);
    assert!(replies[0].contains("captions"), "{}", replies[0]);
    assert_eq!((fixture.store.messages(), fixture.store.texts(), fixture.store.view_calls()), (1, 1, 0));
}

async fn an_album_gets_one_reply(mode: Mode) {
    let fixture = fixture_in(mode).await;
    let photo = |album: &str| json!({ "photo": [{ "file_id": "x" }], "media_group_id": album });
    let mut last = 0;
    for album in ["1", "1", "1", "2", "2", "1"] {
        last = fixture.telegram.user_sends(ANN, photo(album));
    }
    fixture.telegram.wait_until_confirmed(last).await.unwrap();
    assert_eq!(fixture.telegram.replies(ANN).len(), 2, "one for each album");
    fixture.telegram.user_sends(ANN, json!({ "photo": [{ "file_id": "x" }] }));
    fixture.telegram.next_reply(ANN).await.unwrap();
    fixture.telegram.next_reply(ANN).await.unwrap();
    assert!(fixture.reply(ANN).await.contains("only keep plain text"), "a photo that is in no album");
}
