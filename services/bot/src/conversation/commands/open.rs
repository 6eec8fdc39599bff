//! `t.me/bot?start=link`: says what the link leads to, and shows it only when a button is pressed. Links are opened by accident and
//! by previews; nothing is consumed here.

use mayfly_contracts::{ErrorInfo, error::ErrorReason, message::MessageState};

use super::view;
use crate::{
    conversation::{
        buttons,
        handlers::{Stopping, Tools, refused},
        message_ref::Opener,
        reply::{Answer, Outgoing},
        wording::{self, Asked},
    },
    updates::event::Incoming,
};

pub(crate) async fn handle(tools: &Tools, incoming: &Incoming, opener: &Opener) -> Result<Answer, Stopping> {
    let language = incoming.language;
    let found = match tools.store.lookup_message(opener).await {
        Ok(found) => found,
        Err(failure) => return refused(language, Asked::View, failure),
    };
    if found.state() != MessageState::Unread {
        return Ok(Answer::saying(wording::standing(language, &found), "gone"));
    }
    let message = if found.is_sealed {
        view::unreadable(tools, incoming, opener, &ErrorInfo::new(ErrorReason::MessageSealed))
    } else if found.needs_passphrase {
        view::unreadable(tools, incoming, opener, &ErrorInfo::new(ErrorReason::PassphraseRequired))
    } else {
        let buttons = buttons::reveal(tools, language, opener);
        Outgoing { buttons, ..Outgoing::new(wording::sent_to_you(language, &found)) }
    };
    Ok(Answer { message: Some(message), ..Answer::new("offered") })
}
