//! `t.me/bot?start=link`: says what the link leads to, and shows it only when a button is pressed. Links are opened by accident and
//! by previews; nothing is consumed here.

use mayfly_contracts::{ErrorInfo, error::ErrorReason, message::MessageState};

use super::view;
use crate::{
    conversation::{
        buttons,
        handlers::{Context, ShuttingDown, refused},
        message_ref::MessageRef,
        reply::{OutgoingMessage, Reply},
        wording::{self, Asked},
    },
    updates::event::ChatEvent,
};

pub(crate) async fn handle(
    tools: &Context,
    event: &ChatEvent,
    message_ref: &MessageRef,
) -> Result<Reply, ShuttingDown> {
    let language = event.language;
    let found = match tools.store.lookup_message(message_ref).await {
        Ok(found) => found,
        Err(failure) => return refused(language, Asked::View, failure),
    };
    if found.state() != MessageState::Unread {
        return Ok(Reply::message(wording::state_text(language, &found), "gone"));
    }
    let message = if found.is_sealed {
        view::unreadable(tools, event, message_ref, &ErrorInfo::new(ErrorReason::MessageSealed))
    } else if found.needs_passphrase {
        view::unreadable(tools, event, message_ref, &ErrorInfo::new(ErrorReason::PassphraseRequired))
    } else {
        let buttons = buttons::reveal(tools, language, message_ref);
        OutgoingMessage { buttons, ..OutgoingMessage::new(wording::offer_text(language, &found)) }
    };
    Ok(Reply { message: Some(message), ..Reply::new("offered") })
}
