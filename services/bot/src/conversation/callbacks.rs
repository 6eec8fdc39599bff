//! The buttons under the bot's messages.

use mayfly_contracts::message::MessageState;

use crate::{
    conversation::{
        buttons::{self, CallbackAction},
        commands::view,
        handlers::{Context, ShuttingDown, said},
        message_ref::MessageRef,
        reply::{Buttons, MessageEdit, Reply},
        texts::Phrase,
        wording::{self, Asked},
    },
    store_client::StoreError,
    updates::event::ChatEvent,
};

pub(crate) async fn handle(
    tools: &Context,
    event: &ChatEvent,
    pressed: Option<&(CallbackAction, MessageRef)>,
) -> Result<Reply, ShuttingDown> {
    let language = event.language;
    let Some((pressed, message_ref)) = pressed else {
        return Ok(Reply::alert(language.text(Phrase::StaleButton), "explained"));
    };
    match pressed {
        CallbackAction::Look => look(tools, event, message_ref).await,
        CallbackAction::Burn => Ok(changing(buttons::burn(language, message_ref), "asked back")),
        CallbackAction::Keep => Ok(changing(buttons::created(tools, language, message_ref), "kept")),
        CallbackAction::BurnNow => burn(tools, event, message_ref).await,
        CallbackAction::Reveal => reveal(tools, event, message_ref).await,
    }
}

async fn look(tools: &Context, event: &ChatEvent, message_ref: &MessageRef) -> Result<Reply, ShuttingDown> {
    match tools.store.lookup_message(message_ref).await {
        Ok(found) => {
            let answer = Reply::alert(wording::state_text(event.language, &found), "looked up");
            Ok(Reply { edit: no_buttons_if(found.state() != MessageState::Unread), ..answer })
        }
        Err(failure) => refused(event, failure),
    }
}

async fn burn(tools: &Context, event: &ChatEvent, message_ref: &MessageRef) -> Result<Reply, ShuttingDown> {
    match tools.store.burn_message(message_ref).await {
        Ok(_) => {
            let answer = Reply::alert(event.language.text(Phrase::BurnedNow), "burned");
            Ok(Reply { edit: no_buttons_if(true), ..answer })
        }
        Err(failure) => refused(event, failure),
    }
}

/// Shows the text in a message of its own, as `id:token` would.
async fn reveal(tools: &Context, event: &ChatEvent, message_ref: &MessageRef) -> Result<Reply, ShuttingDown> {
    let language = event.language;
    match view::read(tools, event, message_ref).await? {
        Ok(answer) => Ok(Reply { edit: Some(MessageEdit::Text(language.text(Phrase::Revealed))), ..answer }),
        Err(situation) => {
            // Somebody pressed twice.
            if let Some(sentence) = view::viewed_here(tools, event, message_ref, &situation).await? {
                return Ok(Reply::alert(sentence, "opened here"));
            }
            let sentence = wording::error_text(language, Asked::View, &situation);
            let edit = wording::is_final(situation.reason).then(|| MessageEdit::Text(sentence.clone()));
            Ok(Reply { edit, ..Reply::alert(sentence, situation.reason.name()) })
        }
    }
}

/// What the store said instead, in a notice.
fn refused(event: &ChatEvent, failure: StoreError) -> Result<Reply, ShuttingDown> {
    let situation = said(failure)?;
    let sentence = wording::error_text(event.language, Asked::Other, &situation);
    let answer = Reply::alert(sentence, situation.reason.name());
    Ok(Reply { edit: no_buttons_if(wording::is_final(situation.reason)), ..answer })
}

fn changing(buttons: Buttons, outcome: &'static str) -> Reply {
    Reply { edit: Some(MessageEdit::Buttons(buttons)), ..Reply::new(outcome) }
}

/// Nothing can be done any more with a message that is gone.
fn no_buttons_if(is_gone: bool) -> Option<MessageEdit> {
    is_gone.then(|| MessageEdit::Buttons(Buttons::new()))
}
