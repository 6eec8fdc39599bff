//! `id:token`: shows a text, once.

use mayfly_contracts::{
    Situation,
    error::ErrorReason,
    message::{AcknowledgeViewRequest, ViewMessageRequest},
};

use super::{Stopping, Tools, derived_id, said};
use crate::{
    answer::{Answer, Outgoing},
    buttons,
    incoming::Incoming,
    opener::Opener,
    replies::{self, Asked},
    texts::Phrase,
};

/// Answers exactly the text. The store keeps it for this chat alone until it is acknowledged, which is done when Telegram has
/// it; an answer that never got there can be asked for again, by the same update or by another one.
pub(super) async fn handle(tools: &Tools, incoming: &Incoming, opener: &Opener) -> Result<Answer, Stopping> {
    match read(tools, incoming, opener).await? {
        Ok(answer) => Ok(answer),
        Err(situation) => {
            let message = unreadable(tools, incoming, opener, &situation);
            Ok(Answer { message: Some(message), ..Answer::new(situation.reason.name()) })
        }
    }
}

/// Whether it was this chat that read a message which was read.
pub(super) async fn is_reader(tools: &Tools, incoming: &Incoming, opener: &Opener) -> bool {
    let Opener { id, access_token } = opener.clone();
    let view_id = derived_id::view(&tools.bot_token, incoming.chat, id, &access_token).to_string();
    tools.store.is_reader(AcknowledgeViewRequest { id, access_token, view_id }).await
}

/// The text, to be sent and then acknowledged; or why there is none.
pub(super) async fn read(
    tools: &Tools,
    incoming: &Incoming,
    opener: &Opener,
) -> Result<Result<Answer, Situation>, Stopping> {
    let Opener { id, access_token } = opener.clone();
    let view_id = derived_id::view(&tools.bot_token, incoming.chat, id, &access_token).to_string();
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
pub(super) fn unreadable(tools: &Tools, incoming: &Incoming, opener: &Opener, situation: &Situation) -> Outgoing {
    let needs_passphrase = matches!(situation.reason, ErrorReason::PassphraseRequired | ErrorReason::PassphraseWrong);
    if needs_passphrase && tools.public_url.is_some() {
        let buttons = buttons::browser(tools, incoming.language, opener);
        return Outgoing { buttons, ..Outgoing::new(incoming.language.say(Phrase::NeedsPassphraseInBrowser)) };
    }
    Outgoing::new(replies::sentence(incoming.language, Asked::View, situation))
}
