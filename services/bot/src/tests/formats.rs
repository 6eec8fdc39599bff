//! How apps change texts: formats, and other kinds of messages.

use serde_json::json;

use super::harness::{ANN, fixture};

#[tokio::test]
async fn characters_that_an_app_may_have_taken_out_of_a_text_are_named_beside_the_reply() {
    let fixture = fixture().await;
    let bold = json!([{ "type": "bold", "offset": 4, "length": 8 }, { "type": "code", "offset": 4, "length": 8 }]);
    fixture.telegram.user_sends(ANN, json!({ "text": "new:password", "entities": bold }));
    let key = fixture.reply(ANN).await;
    assert!(key.starts_with("1:"), "alone in its message, as ever: {key}");
    let warning = fixture.reply(ANN).await;
    assert!(warning.contains("**  `"), "{warning}");
    assert!(!warning.contains("password"), "{warning}");
    assert_eq!(fixture.ask(ANN, &key).await, "password");
}

#[tokio::test]
async fn a_text_without_formats_is_kept_without_a_warning() {
    let fixture = fixture().await;
    let link = json!([{ "type": "url", "offset": 4, "length": 11 }]);
    fixture.telegram.user_sends(ANN, json!({ "text": "new:example.org", "entities": link }));
    assert!(fixture.reply(ANN).await.starts_with("1:"));
    assert!(fixture.ask(ANN, "/help").await.contains("id:token"), "nothing comes in between");
}

#[tokio::test]
async fn a_rich_message_is_kept_as_its_text() {
    let fixture = fixture().await;
    let paragraph = json!({ "type": "paragraph", "text": ["new:my ", { "type": "italic", "text": "password" }] });
    fixture.telegram.user_sends(ANN, json!({ "rich_message": { "blocks": [paragraph] } }));
    let key = fixture.reply(ANN).await;
    assert!(fixture.reply(ANN).await.contains("__"));
    assert_eq!(fixture.ask(ANN, &key).await, "my password");
}

#[tokio::test]
async fn a_text_counts_whatever_is_beside_it() {
    let fixture = fixture().await;
    for beside in [
        json!({ "reply_to_message": { "text": "new:other" }, "quote": { "text": "new:other" } }),
        json!({ "external_reply": {}, "reply_to_story": {}, "effect_id": "5", "via_bot": { "id": 8, "is_bot": true } }),
        json!({ "gift": {}, "pinned_message": {}, "hologram": [] }),
        json!({ "date": "today", "entities": 7, "from": null }),
    ] {
        let mut message = beside.clone();
        message["text"] = json!("new:hello");
        fixture.telegram.user_sends(ANN, message);
        let key = fixture.reply(ANN).await;
        assert_eq!(fixture.ask(ANN, &key).await, "hello", "{beside}");
    }
}

#[tokio::test]
async fn the_address_of_a_link_under_words_is_named_as_lost() {
    let fixture = fixture().await;
    let link = json!([{ "type": "text_link", "offset": 4, "length": 4, "url": "https://example.org/secret" }]);
    fixture.telegram.user_sends(ANN, json!({ "text": "new:site", "entities": link }));
    assert!(fixture.reply(ANN).await.starts_with("1:"));
    assert!(fixture.reply(ANN).await.contains("[…](…)"));
}

#[tokio::test]
async fn a_message_of_a_kind_that_nobody_knows_yet_gets_a_reply() {
    let fixture = fixture().await;
    for content in [
        json!({ "hologram": {} }),
        json!({ "rich_message": { "blocks": [{ "type": "map" }] } }),
        json!({ "rich_message": "new:x" }),
        json!({ "text": { "plain": "new:x" } }),
        json!({ "contact": { "phone_number": "1", "first_name": "Ann" } }),
        json!({ "location": { "latitude": 1, "longitude": 1, "live_period": 60 } }),
        json!({ "poll": { "question": "new:x" } }),
        json!({ "checklist": { "title": "new:x", "tasks": [] } }),
        json!({ "checklist_tasks_done": {} }),
        json!({ "paid_media": { "star_count": 1, "paid_media": [] }, "caption": "new:x" }),
        json!({ "story": {} }),
        json!({ "video_note": {} }),
        json!({ "live_photo": {} }),
        json!({ "game": {} }),
        json!({ "invoice": {} }),
        json!({ "gift": {} }),
        json!({ "unique_gift": {} }),
        json!({ "giveaway": {} }),
        json!({ "giveaway_winners": {} }),
        json!({ "web_app_data": { "data": "new:x" } }),
        json!({ "users_shared": {} }),
        json!({ "passport_data": {} }),
        json!({ "successful_payment": {} }),
    ] {
        fixture.telegram.user_sends(ANN, content.clone());
        assert!(fixture.reply(ANN).await.contains("only keep plain text"), "{content}");
    }
}
