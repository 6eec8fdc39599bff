//! `new:text`: keeps a text.

use mayfly_contracts::message::CreateMessageRequest;

use super::{Stopping, Tools, derived_id, refused};
use crate::{answer::Answer, replies::Asked};

/// Answers exactly `id:token`, so that the whole message can be forwarded or copied.
pub(super) async fn handle(tools: &Tools, update_id: u32, text: &str) -> Result<Answer, Stopping> {
    let request = CreateMessageRequest {
        request_id: derived_id::create_request(&tools.bot_token, update_id).to_string(),
        ..CreateMessageRequest::of_text(text)
    };
    match tools.store.create_message(request).await {
        Ok(created) => {
            let opener = format!("{}:{}", created.id, created.access_token);
            Ok(Answer { is_request_kept: true, ..Answer::saying(opener, "created") })
        }
        Err(failure) => refused(Asked::Create, &failure),
    }
}
