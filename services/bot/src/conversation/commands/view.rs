//! `id:token`: shows a text, once.

use mayfly_contracts::{
    ErrorInfo,
    error::ErrorReason,
    message::{AcknowledgeViewRequest, ViewMessageRequest},
};

use crate::{
    conversation::{
        buttons,
        handlers::{Stopping, Tools, said},
        message_ref::Opener,
        reply::{Answer, Outgoing},
        request_ids,
        texts::Phrase,
        wording::{self, Asked},
    },
    updates::event::Incoming,
};

/// Answers exactly the text. The store keeps it for this chat alone until it is acknowledged, which is done when Telegram has
/// it; an answer that never got there can be asked for again, by the same update or by another one.
pub(crate) async fn handle(tools: &Tools, incoming: &Incoming, opener: &Opener) -> Result<Answer, Stopping> {
    match read(tools, incoming, opener).await? {
        Ok(answer) => Ok(answer),
        Err(situation) => {
            if let Some(sentence) = opened_here(tools, incoming, opener, &situation).await? {
                return Ok(Answer::saying(sentence, "opened here"));
            }
            let message = unreadable(tools, incoming, opener, &situation);
            Ok(Answer { message: Some(message), ..Answer::new(situation.reason.name()) })
        }
    }
}

/// What to say about a message that was read, if it was this chat that read it: that others did would be a false alarm.
///
/// An update that Telegram brings again, because we died after its effect, comes here, and so does a press that is repeated. Nothing tells
/// whether the text got here, since the store may have been away until it had to erase it: so neither does the sentence.
pub(crate) async fn opened_here(
    tools: &Tools,
    incoming: &Incoming,
    opener: &Opener,
    situation: &ErrorInfo,
) -> Result<Option<String>, Stopping> {
    if situation.reason != ErrorReason::MessageViewed {
        return Ok(None);
    }
    let Opener { id, access_token } = opener.clone();
    let view_id = request_ids::view(&tools.bot_key, incoming.chat, id, &access_token).to_string();
    match tools.store.was_viewed_under(AcknowledgeViewRequest { id, access_token, view_id }).await {
        Ok(is_here) => Ok(is_here.then(|| wording::opened_here(incoming.language, situation))),
        Err(failure) => said(failure).map(|_| None),
    }
}

/// The text, to be sent and then acknowledged; or why there is none.
pub(crate) async fn read(
    tools: &Tools,
    incoming: &Incoming,
    opener: &Opener,
) -> Result<Result<Answer, ErrorInfo>, Stopping> {
    let Opener { id, access_token } = opener.clone();
    let view_id = request_ids::view(&tools.bot_key, incoming.chat, id, &access_token).to_string();
    let request = ViewMessageRequest {
        id,
        access_token: access_token.clone(),
        view_id: view_id.clone(),
        ..ViewMessageRequest::default()
    };
    match tools.store.view_message(request).await {
        Ok(text) => {
            let once_sent = Some(AcknowledgeViewRequest { id, access_token, view_id });
            let message = Outgoing { is_revealed: true, ..Outgoing::new(text) };
            Ok(Ok(Answer { message: Some(message), once_sent, ..Answer::new("viewed") }))
        }
        Err(failure) => Ok(Err(said(failure)?)),
    }
}

/// Why a message is not shown here, and where it can be.
pub(crate) fn unreadable(tools: &Tools, incoming: &Incoming, opener: &Opener, situation: &ErrorInfo) -> Outgoing {
    let needs_passphrase = matches!(situation.reason, ErrorReason::PassphraseRequired | ErrorReason::PassphraseWrong);
    if needs_passphrase && tools.public_url.is_some() {
        let buttons = buttons::browser(tools, incoming.language, opener);
        return Outgoing { buttons, ..Outgoing::new(incoming.language.say(Phrase::NeedsPassphraseInBrowser)) };
    }
    Outgoing::new(wording::sentence(incoming.language, Asked::View, situation))
}
