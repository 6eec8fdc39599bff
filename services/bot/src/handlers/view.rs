//! `id:token`: shows a text, once.

use mayfly_contracts::message::ViewMessageRequest;

use super::{Answer, Stopping, Tools, refused};
use crate::replies::Asked;

/// Answers exactly the text. From the store's answer on it exists in this process only, until Telegram has it.
pub(super) async fn handle(tools: &Tools, id: i64, access_token: &str) -> Result<Answer, Stopping> {
    let request = ViewMessageRequest { id, access_token: access_token.to_owned() };
    match tools.store.view_message(request).await {
        Ok(message) => Ok(Answer { text: message.text, outcome: "viewed" }),
        Err(failure) => refused(Asked::View, &failure),
    }
}
