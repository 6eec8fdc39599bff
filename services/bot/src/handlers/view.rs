//! `id:token`: shows a text, once.

use mayfly_contracts::message::{AcknowledgeViewRequest, ViewMessageRequest};
use teloxide::types::ChatId;

use super::{Stopping, Tools, derived_id, refused};
use crate::{
    answer::{Answer, Outgoing},
    replies::Asked,
};

/// Answers exactly the text. The store keeps it for this chat alone until it is acknowledged, which is done when Telegram has
/// it; an answer that never got there can be asked for again, by the same update or by another one.
pub(super) async fn handle(tools: &Tools, chat: ChatId, id: i64, access_token: &str) -> Result<Answer, Stopping> {
    let view_id = derived_id::view(&tools.bot_token, chat, id, access_token).to_string();
    let request = ViewMessageRequest {
        id,
        access_token: access_token.to_owned(),
        view_id: view_id.clone(),
        ..ViewMessageRequest::default()
    };
    match tools.store.view_message(request).await {
        Ok(text) => {
            let acknowledgement = AcknowledgeViewRequest { id, access_token: access_token.to_owned(), view_id };
            let message = Outgoing { is_revealed: true, ..Outgoing::new(text) };
            Ok(Answer { message: Some(message), once_sent: Some(acknowledgement), ..Answer::new("viewed") })
        }
        Err(failure) => refused(Asked::View, &failure),
    }
}
