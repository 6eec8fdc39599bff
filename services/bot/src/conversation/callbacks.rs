//! Handles the buttons under the messages of the bot.

use mayfly_contracts::{MessageRef, message::MessageState};

use crate::{
    conversation::{
        buttons,
        callback_data::{Callback, CallbackAction},
        commands::view,
        context::Context,
        event::ChatEvent,
        reply::{Buttons, MessageEdit, Reply},
        texts::Phrase,
        wording::{self, Operation},
    },
    store_client::{ShuttingDown, StoreError},
};

/// Runs the action of a button. `callback` is `None` if the button is not from this release.
pub(super) async fn run(
    context: &Context,
    event: &ChatEvent,
    callback: Option<&Callback>,
) -> Result<Reply, ShuttingDown> {
    let language = event.language;
    let Some(Callback { action, message_ref }) = callback else {
        return Ok(Reply::alert(language.text(Phrase::ButtonOutdated), "explained"));
    };
    match action {
        CallbackAction::Look => look(context, event, message_ref).await,
        CallbackAction::Burn => {
            Ok(edit_buttons(buttons::confirm_burn(language, message_ref), "asked for confirmation"))
        }
        CallbackAction::Keep => Ok(edit_buttons(buttons::created(context, language, message_ref), "kept")),
        CallbackAction::BurnNow => burn(context, event, message_ref).await,
        CallbackAction::Reveal => reveal(context, event, message_ref).await,
    }
}

async fn look(context: &Context, event: &ChatEvent, message_ref: &MessageRef) -> Result<Reply, ShuttingDown> {
    match context.store.lookup_message(message_ref).await {
        Ok(found) => {
            let reply = Reply::alert(wording::state_text(event.language, &found), "looked up");
            Ok(Reply { edit: remove_buttons_if(found.state() != MessageState::Unread), ..reply })
        }
        Err(error) => error_alert(event, error),
    }
}

async fn burn(context: &Context, event: &ChatEvent, message_ref: &MessageRef) -> Result<Reply, ShuttingDown> {
    match context.store.burn_message(message_ref).await {
        Ok(_) => {
            let reply = Reply::alert(event.language.text(Phrase::BurnSucceeded), "burned");
            Ok(Reply { edit: remove_buttons_if(true), ..reply })
        }
        Err(error) => error_alert(event, error),
    }
}

/// Sends the text in a new message, as `id:token` does.
async fn reveal(context: &Context, event: &ChatEvent, message_ref: &MessageRef) -> Result<Reply, ShuttingDown> {
    let language = event.language;
    match view::view(context, event, message_ref).await? {
        Ok(reply) => Ok(Reply { edit: Some(MessageEdit::Text(language.text(Phrase::Revealed))), ..reply }),
        Err(rejection) => {
            // The user pressed the button twice.
            if let Some(text) = view::viewed_here(context, event, message_ref, &rejection).await? {
                return Ok(Reply::alert(text, "opened here"));
            }
            let text = wording::error_text(language, Operation::View, &rejection);
            let edit = wording::is_final(rejection.reason).then(|| MessageEdit::Text(text.clone()));
            Ok(Reply { edit, ..Reply::alert(text, rejection.reason.name()) })
        }
    }
}

fn error_alert(event: &ChatEvent, error: StoreError) -> Result<Reply, ShuttingDown> {
    let rejection = error.into_rejection()?;
    let text = wording::error_text(event.language, Operation::Other, &rejection);
    let reply = Reply::alert(text, rejection.reason.name());
    Ok(Reply { edit: remove_buttons_if(wording::is_final(rejection.reason)), ..reply })
}

fn edit_buttons(buttons: Buttons, outcome: &'static str) -> Reply {
    Reply { edit: Some(MessageEdit::Buttons(buttons)), ..Reply::new(outcome) }
}

/// The buttons of a message that is gone have no use.
fn remove_buttons_if(is_gone: bool) -> Option<MessageEdit> {
    is_gone.then(|| MessageEdit::Buttons(Buttons::new()))
}
