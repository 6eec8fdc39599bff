//! `id:token`: shows a text, once.

use mayfly_contracts::{
    ErrorInfo,
    error::ErrorReason,
    message::{AcknowledgeViewRequest, ViewMessageRequest},
};

use crate::{
    conversation::{
        buttons,
        handlers::{Context, ShuttingDown, said},
        message_ref::MessageRef,
        reply::{OutgoingMessage, Reply},
        request_ids,
        texts::Phrase,
        wording::{self, Asked},
    },
    updates::event::ChatEvent,
};

/// Answers exactly the text. The store keeps it for this chat alone until it is acknowledged, which is done when Telegram has
/// it; an answer that never got there can be asked for again, by the same update or by another one.
pub(crate) async fn handle(
    tools: &Context,
    event: &ChatEvent,
    message_ref: &MessageRef,
) -> Result<Reply, ShuttingDown> {
    match read(tools, event, message_ref).await? {
        Ok(answer) => Ok(answer),
        Err(situation) => {
            if let Some(sentence) = viewed_here(tools, event, message_ref, &situation).await? {
                return Ok(Reply::message(sentence, "opened here"));
            }
            let message = unreadable(tools, event, message_ref, &situation);
            Ok(Reply { message: Some(message), ..Reply::new(situation.reason.name()) })
        }
    }
}

/// What to say about a message that was read, if it was this chat that read it: that others did would be a false alarm.
///
/// An update that Telegram brings again, because we died after its effect, comes here, and so does a press that is repeated. Nothing tells
/// whether the text got here, since the store may have been away until it had to erase it: so neither does the sentence.
pub(crate) async fn viewed_here(
    tools: &Context,
    event: &ChatEvent,
    message_ref: &MessageRef,
    situation: &ErrorInfo,
) -> Result<Option<String>, ShuttingDown> {
    if situation.reason != ErrorReason::MessageViewed {
        return Ok(None);
    }
    let MessageRef { id, access_token } = message_ref.clone();
    let view_id = request_ids::view(&tools.bot_key, event.chat, id, &access_token).to_string();
    match tools.store.was_viewed_under(AcknowledgeViewRequest { id, access_token, view_id }).await {
        Ok(is_here) => Ok(is_here.then(|| wording::viewed_here_text(event.language, situation))),
        Err(failure) => said(failure).map(|_| None),
    }
}

/// The text, to be sent and then acknowledged; or why there is none.
pub(crate) async fn read(
    tools: &Context,
    event: &ChatEvent,
    message_ref: &MessageRef,
) -> Result<Result<Reply, ErrorInfo>, ShuttingDown> {
    let MessageRef { id, access_token } = message_ref.clone();
    let view_id = request_ids::view(&tools.bot_key, event.chat, id, &access_token).to_string();
    let request = ViewMessageRequest {
        id,
        access_token: access_token.clone(),
        view_id: view_id.clone(),
        ..ViewMessageRequest::default()
    };
    match tools.store.view_message(request).await {
        Ok(text) => {
            let acknowledge_after_send = Some(AcknowledgeViewRequest { id, access_token, view_id });
            let message = OutgoingMessage { is_revealed: true, ..OutgoingMessage::new(text) };
            Ok(Ok(Reply { message: Some(message), acknowledge_after_send, ..Reply::new("viewed") }))
        }
        Err(failure) => Ok(Err(said(failure)?)),
    }
}

/// Why a message is not shown here, and where it can be.
pub(crate) fn unreadable(
    tools: &Context,
    event: &ChatEvent,
    message_ref: &MessageRef,
    situation: &ErrorInfo,
) -> OutgoingMessage {
    let needs_passphrase = matches!(situation.reason, ErrorReason::PassphraseRequired | ErrorReason::PassphraseWrong);
    if needs_passphrase && tools.public_url.is_some() {
        let buttons = buttons::browser(tools, event.language, message_ref);
        return OutgoingMessage {
            buttons,
            ..OutgoingMessage::new(event.language.text(Phrase::NeedsPassphraseInBrowser))
        };
    }
    OutgoingMessage::new(wording::error_text(event.language, Asked::View, situation))
}
