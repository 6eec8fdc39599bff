//! Shows a text once: `id:token`.

use mayfly_contracts::{
    ErrorInfo, MessageRef,
    error::ErrorReason,
    message::{AcknowledgeViewRequest, ViewMessageRequest},
};

use crate::{
    conversation::{
        buttons,
        context::Context,
        event::ChatEvent,
        reply::{OutgoingMessage, Reply},
        request_ids,
        texts::Phrase,
        wording::{self, Operation},
    },
    store_client::ShuttingDown,
};

/// Replies with exactly the text. The store reserves it for this chat until the bot acknowledges the view, which it
/// does after Telegram accepted the message. Until then the same chat can request the text again.
pub(super) async fn run(context: &Context, event: &ChatEvent, message_ref: &MessageRef) -> Result<Reply, ShuttingDown> {
    match view(context, event, message_ref).await? {
        Ok(reply) => Ok(reply),
        Err(rejection) => {
            if let Some(text) = viewed_here(context, event, message_ref, &rejection).await? {
                return Ok(Reply::message(text, "opened here"));
            }
            let message = unreadable(context, event, message_ref, &rejection);
            Ok(Reply { message: Some(message), ..Reply::new(rejection.reason.name()) })
        }
    }
}

/// Returns the text for a message that this chat has viewed. "Somebody else read it" would be a false alarm.
///
/// This happens when Telegram redelivers an update after a crash, and when a user presses a button twice. The bot does
/// not know whether the message arrived, because the store may have been unreachable until it had to delete the text.
pub(in crate::conversation) async fn viewed_here(
    context: &Context,
    event: &ChatEvent,
    message_ref: &MessageRef,
    rejection: &ErrorInfo,
) -> Result<Option<String>, ShuttingDown> {
    if rejection.reason != ErrorReason::MessageViewed {
        return Ok(None);
    }
    let MessageRef { id, access_token } = message_ref.clone();
    let view_id = request_ids::view(&context.bot_key, event.chat, id, &access_token).to_string();
    match context.store.was_viewed_under(AcknowledgeViewRequest { id, access_token, view_id }).await {
        Ok(is_here) => Ok(is_here.then(|| wording::viewed_here_text(event.language, rejection))),
        Err(error) => error.into_rejection().map(|_| None),
    }
}

/// Returns the reply with the text, or the reason why the store did not return it.
pub(in crate::conversation) async fn view(
    context: &Context,
    event: &ChatEvent,
    message_ref: &MessageRef,
) -> Result<Result<Reply, ErrorInfo>, ShuttingDown> {
    let MessageRef { id, access_token } = message_ref.clone();
    let view_id = request_ids::view(&context.bot_key, event.chat, id, &access_token).to_string();
    let request = ViewMessageRequest {
        id,
        access_token: access_token.clone(),
        view_id: view_id.clone(),
        ..ViewMessageRequest::default()
    };
    match context.store.view_message(request).await {
        Ok(text) => {
            let acknowledge_after_send = Some(AcknowledgeViewRequest { id, access_token, view_id });
            let message = OutgoingMessage { is_revealed: true, ..OutgoingMessage::new(text) };
            Ok(Ok(Reply { message: Some(message), acknowledge_after_send, ..Reply::new("viewed") }))
        }
        Err(error) => Ok(Err(error.into_rejection()?)),
    }
}

/// Returns the message that says why the bot cannot show the text, and where the user can read it.
pub(super) fn unreadable(
    context: &Context,
    event: &ChatEvent,
    message_ref: &MessageRef,
    rejection: &ErrorInfo,
) -> OutgoingMessage {
    let needs_passphrase = matches!(rejection.reason, ErrorReason::PassphraseRequired | ErrorReason::PassphraseWrong);
    if needs_passphrase && context.public_url.is_some() {
        let buttons = buttons::browser(context, event.language, message_ref);
        let text = event.language.text(Phrase::PassphraseRequiredInBrowser);
        return OutgoingMessage { buttons, ..OutgoingMessage::new(text) };
    }
    OutgoingMessage::new(wording::error_text(event.language, Operation::View, rejection))
}
