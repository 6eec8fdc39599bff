//! Stores a text: `new:text`.

use mayfly_contracts::{MessageRef, message::CreateMessageRequest};

use crate::conversation::{
    buttons,
    command::NewMessage,
    context::{Context, error_reply},
    event::{ChatEvent, Content},
    reply::{OutgoingMessage, Reply},
    request_ids,
    texts::Phrase,
    wording::Operation,
};
use crate::store_client::ShuttingDown;

/// Replies with exactly `id:token`, so that users can forward or copy the whole message.
pub(super) async fn run(context: &Context, event: &ChatEvent, new: &NewMessage) -> Result<Reply, ShuttingDown> {
    let request = CreateMessageRequest {
        ttl: new.lifetime.and_then(|lifetime| lifetime.try_into().ok()),
        request_id: request_ids::create_request(&context.bot_key, event.update_id, event.chat, event.message_id())
            .to_string(),
        ..CreateMessageRequest::from_text(&new.text)
    };
    match context.store.create_message(request).await {
        Ok(created) => {
            let message_ref = MessageRef { id: created.id, access_token: created.access_token };
            let buttons = buttons::created(context, event.language, &message_ref);
            let message = OutgoingMessage { buttons, ..OutgoingMessage::new(message_ref.to_text()) };
            let follow_up = lost_marks(event);
            Ok(Reply { message: Some(message), follow_up, stores_request: true, ..Reply::new("created") })
        }
        Err(error) => error_reply(event.language, Operation::Create, error),
    }
}

/// Returns a warning if the app of the sender may have removed formatting marks from the text.
fn lost_marks(event: &ChatEvent) -> Option<String> {
    let Content::Text { lost_marks, .. } = &event.content else { return None };
    let marks = lost_marks.join("  ");
    (!marks.is_empty()).then(|| event.language.text_with(Phrase::FormattingLost, [("marks", marks.as_str())]))
}
