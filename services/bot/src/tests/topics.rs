//! Private chats with topics, and albums.

use mayfly_testkit::telegram::Message;
use serde_json::{Value, json};

use super::harness::{ANN, Mode, World, in_both_modes, world_in, world_with_flags};
use crate::conversation::{language::Language, texts::Phrase};

in_both_modes! {
    every_reply_goes_to_the_topic_that_was_written_in,
    a_pressed_button_reveals_in_its_topic_and_what_is_deleted_is_the_message_of_that_topic,
    a_secret_does_not_go_to_the_chat_when_its_topic_is_gone_and_all_else_does,
    what_opens_a_text_does_not_go_to_the_chat_when_its_topic_is_gone,
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
async fn ask(world: &World, text: &str) -> Message {
    world.telegram.user_sends(ANN, written(text));
    let reply = world.telegram.next_reply(ANN).await.unwrap();
    let message = world.message(ANN, reply.message_id);
    assert_eq!(message.thread, Some(THREAD), "{text}");
    message
}

async fn every_reply_goes_to_the_topic_that_was_written_in(mode: Mode) {
    let world = world_in(mode).await;
    ask(&world, "/help").await;
    ask(&world, "hello").await;
    let kept = ask(&world, "new:hello").await;
    assert_eq!(ask(&world, &kept.text).await.text, "hello");
    // What Telegram would change goes as a file.
    let kept = ask(&world, "new:a\u{2028}b").await;
    world.telegram.user_sends(ANN, written(&kept.text));
    let file = world.telegram.next_reply(ANN).await.unwrap();
    assert!(file.document.is_some());
    assert_eq!(world.message(ANN, file.message_id).thread, Some(THREAD));
    world.telegram.user_sends(ANN, json!({ "dice": {}, "message_thread_id": THREAD }));
    assert_eq!(world.telegram.next_reply(ANN).await.unwrap().params["message_thread_id"], THREAD);
}

async fn a_pressed_button_reveals_in_its_topic_and_what_is_deleted_is_the_message_of_that_topic(mode: Mode) {
    let world = world_with_flags(mode, &["--delete-user-messages"]).await;
    let kept = ask(&world, "new:hello").await;
    world.telegram.wait_for_messages(ANN, |messages| messages.len() == 1).await.unwrap();
    let share = kept.button("Share").unwrap()["url"].as_str().unwrap().to_owned();
    let (_, link) = share.split_once("?start=").unwrap();
    let offered = ask(&world, &format!("/start {link}")).await;
    world.press(ANN, &offered, "Reveal").await;
    let shown = world.telegram.next_reply(ANN).await.unwrap();
    assert_eq!((shown.text.as_str(), &shown.params["message_thread_id"]), ("hello", &json!(THREAD)));
}

async fn a_secret_does_not_go_to_the_chat_when_its_topic_is_gone_and_all_else_does(mode: Mode) {
    let world = world_in(mode).await;
    let kept = ask(&world, "new:hello").await;
    world.telegram.delete_topic(THREAD);
    let asked = world.telegram.user_sends(ANN, written(&kept.text));
    world.telegram.wait_until_confirmed(asked).await.unwrap();
    let refusal = world.telegram.next_reply(ANN).await.unwrap();
    assert!(refusal.text.starts_with("I cannot write to the topic"), "{}", refusal.text);
    assert_eq!(world.store.view_calls(), 0, "nothing was read");
    world.telegram.user_sends(ANN, written("/help"));
    let help = world.telegram.next_reply(ANN).await.unwrap();
    assert!(help.text.contains("id:token"), "{}", help.text);
    assert_eq!(help.params.get("message_thread_id"), None);
    // Whoever asked has it still, from another topic or from the chat.
    assert_eq!(world.ask(ANN, &kept.text).await, "hello");
}

async fn what_opens_a_text_does_not_go_to_the_chat_when_its_topic_is_gone(mode: Mode) {
    let world = world_in(mode).await;
    let kept = ask(&world, "new:hello").await;
    let share = kept.button("Share").unwrap()["url"].as_str().unwrap().to_owned();
    let (_, link) = share.split_once("?start=").unwrap();
    world.telegram.delete_topic(THREAD);
    for text in ["new:other".to_owned(), format!("/start {link}"), format!("burn:{}", kept.text)] {
        world.telegram.user_sends(ANN, written(&text));
        let refusal = world.telegram.next_reply(ANN).await.unwrap();
        assert!(refusal.text.starts_with("I cannot write to the topic"), "{}", refusal.text);
        assert_eq!(refusal.params.get("reply_markup"), None);
    }
    assert_eq!((world.store.messages(), world.store.texts()), (1, 1), "nothing was kept or burned");
}

async fn a_token_does_not_go_to_the_chat_when_its_topic_was_deleted_meanwhile(mode: Mode) {
    let world = world_in(mode).await;
    world.ask(ANN, "/help").await;
    world.store.hold("other");
    let asked = world.telegram.user_sends(ANN, written("new:other"));
    world.store.until(|data| data.create_calls == ["other"]).await;
    world.telegram.delete_topic(THREAD);
    world.store.release("other");
    world.telegram.wait_until_confirmed(asked).await.unwrap();
    assert_eq!(world.telegram.replies(ANN).len(), 1, "the help");
}

async fn a_message_with_fields_of_other_types_is_answered_in_its_topic_and_an_album_of_them_once(mode: Mode) {
    let world = world_in(mode).await;
    let mut last = 0;
    for _ in 0..3 {
        let odd = json!({ "photo": 7, "date": "today", "media_group_id": 9, "message_thread_id": THREAD });
        last = world.telegram.user_sends(ANN, odd);
    }
    world.telegram.wait_until_confirmed(last).await.unwrap();
    let replies = world.telegram.replies(ANN);
    assert_eq!((replies.len(), &replies[0].params["message_thread_id"]), (1, &json!(THREAD)));
}

async fn an_album_of_documents_whose_captions_hold_commands_gets_one_reply_and_keeps_nothing(mode: Mode) {
    let world = world_in(mode).await;
    let key = world.store.put("hello");
    let captions = ["new:one".to_owned(), key, "/new two".to_owned(), String::new()];
    let mut last = 0;
    for caption in captions {
        let document = json!({ "document": { "file_id": "x" }, "caption": caption, "media_group_id": "1" });
        last = world.telegram.user_sends(ANN, document);
    }
    world.telegram.wait_until_confirmed(last).await.unwrap();
    let replies: Vec<_> = world.telegram.replies(ANN).into_iter().map(|reply| reply.text).collect();
    assert_eq!(replies, [Language::English.text(Phrase::OnlyText)]);
    assert!(replies[0].contains("captions"), "{}", replies[0]);
    assert_eq!((world.store.messages(), world.store.texts(), world.store.view_calls()), (1, 1, 0));
}

async fn an_album_gets_one_reply(mode: Mode) {
    let world = world_in(mode).await;
    let photo = |album: &str| json!({ "photo": [{ "file_id": "x" }], "media_group_id": album });
    let mut last = 0;
    for album in ["1", "1", "1", "2", "2", "1"] {
        last = world.telegram.user_sends(ANN, photo(album));
    }
    world.telegram.wait_until_confirmed(last).await.unwrap();
    assert_eq!(world.telegram.replies(ANN).len(), 2, "one for each album");
    world.telegram.user_sends(ANN, json!({ "photo": [{ "file_id": "x" }] }));
    world.telegram.next_reply(ANN).await.unwrap();
    world.telegram.next_reply(ANN).await.unwrap();
    assert!(world.reply(ANN).await.contains("only keep plain text"), "a photo that is in no album");
}
