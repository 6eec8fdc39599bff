//! What apps make of a text before it comes here: formats, and messages of other forms.

use serde_json::json;

use super::harness::{ANN, world};

#[tokio::test]
async fn characters_that_an_app_may_have_taken_out_of_a_text_are_named_beside_the_reply() {
    let world = world().await;
    let bold = json!([{ "type": "bold", "offset": 4, "length": 8 }, { "type": "code", "offset": 4, "length": 8 }]);
    world.telegram.user_sends(ANN, json!({ "text": "new:password", "entities": bold }));
    let key = world.reply(ANN).await;
    assert!(key.starts_with("1:"), "alone in its message, as ever: {key}");
    let warning = world.reply(ANN).await;
    assert!(warning.contains("**  `"), "{warning}");
    assert!(!warning.contains("password"), "{warning}");
    assert_eq!(world.ask(ANN, &key).await, "password");
}

#[tokio::test]
async fn a_text_without_formats_is_kept_without_a_warning() {
    let world = world().await;
    let link = json!([{ "type": "url", "offset": 4, "length": 11 }]);
    world.telegram.user_sends(ANN, json!({ "text": "new:example.org", "entities": link }));
    assert!(world.reply(ANN).await.starts_with("1:"));
    assert!(world.ask(ANN, "/help").await.contains("id:token"), "nothing comes in between");
}

#[tokio::test]
async fn a_rich_message_is_kept_as_its_text() {
    let world = world().await;
    let paragraph = json!({ "type": "paragraph", "text": ["new:my ", { "type": "italic", "text": "password" }] });
    world.telegram.user_sends(ANN, json!({ "rich_message": { "blocks": [paragraph] } }));
    let key = world.reply(ANN).await;
    assert!(world.reply(ANN).await.contains("__"));
    assert_eq!(world.ask(ANN, &key).await, "my password");
}

#[tokio::test]
async fn a_message_of_a_kind_that_nobody_knows_yet_gets_a_reply() {
    let world = world().await;
    for content in [json!({ "hologram": {} }), json!({ "rich_message": { "blocks": [{ "type": "map" }] } })] {
        world.telegram.user_sends(ANN, content.clone());
        assert!(world.reply(ANN).await.contains("only keep text"), "{content}");
    }
}
