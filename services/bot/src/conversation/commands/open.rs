//! Offers to show the message that a link names: `t.me/bot?start=link`. Users and link previews open links by accident,
//! so the text is shown only when the user presses a button.

use mayfly_contracts::{ErrorInfo, MessageRef, error::ErrorReason, message::MessageState};

use super::view;
use crate::{
    conversation::{
        buttons,
        context::{Context, error_reply},
        event::ChatEvent,
        reply::{OutgoingMessage, Reply},
        wording::{self, Operation},
    },
    store_client::ShuttingDown,
};

pub(super) async fn run(context: &Context, event: &ChatEvent, message_ref: &MessageRef) -> Result<Reply, ShuttingDown> {
    let language = event.language;
    let found = match context.store.lookup_message(message_ref).await {
        Ok(found) => found,
        Err(error) => return error_reply(language, Operation::View, error),
    };
    if found.state() != MessageState::Unread {
        return Ok(Reply::message(wording::state_text(language, &found), "gone"));
    }
    let message = if found.is_sealed {
        view::unreadable(context, event, message_ref, &ErrorInfo::new(ErrorReason::MessageSealed))
    } else if found.needs_passphrase {
        view::unreadable(context, event, message_ref, &ErrorInfo::new(ErrorReason::PassphraseRequired))
    } else {
        let buttons = buttons::reveal(context, language, message_ref);
        OutgoingMessage { buttons, ..OutgoingMessage::new(wording::offer_text(language, &found)) }
    };
    Ok(Reply { message: Some(message), ..Reply::new("offered") })
}
