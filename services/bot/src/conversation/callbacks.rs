//! The buttons under the bot's messages.

use mayfly_contracts::message::MessageState;

use crate::{
    conversation::{
        buttons::{self, Pressed},
        commands::view,
        handlers::{Stopping, Tools, said},
        message_ref::Opener,
        reply::{Answer, Buttons, Change},
        texts::Phrase,
        wording::{self, Asked},
    },
    store_client::Failure,
    updates::event::Incoming,
};

pub(crate) async fn handle(
    tools: &Tools,
    incoming: &Incoming,
    pressed: Option<&(Pressed, Opener)>,
) -> Result<Answer, Stopping> {
    let language = incoming.language;
    let Some((pressed, opener)) = pressed else {
        return Ok(Answer::noting(language.say(Phrase::StaleButton), "explained"));
    };
    match pressed {
        Pressed::Look => look(tools, incoming, opener).await,
        Pressed::Burn => Ok(changing(buttons::burn(language, opener), "asked back")),
        Pressed::Keep => Ok(changing(buttons::created(tools, language, opener), "kept")),
        Pressed::BurnNow => burn(tools, incoming, opener).await,
        Pressed::Reveal => reveal(tools, incoming, opener).await,
    }
}

async fn look(tools: &Tools, incoming: &Incoming, opener: &Opener) -> Result<Answer, Stopping> {
    match tools.store.lookup_message(opener).await {
        Ok(found) => {
            let answer = Answer::noting(wording::standing(incoming.language, &found), "looked up");
            Ok(Answer { change: no_buttons_if(found.state() != MessageState::Unread), ..answer })
        }
        Err(failure) => refused(incoming, failure),
    }
}

async fn burn(tools: &Tools, incoming: &Incoming, opener: &Opener) -> Result<Answer, Stopping> {
    match tools.store.burn_message(opener).await {
        Ok(_) => {
            let answer = Answer::noting(incoming.language.say(Phrase::BurnedNow), "burned");
            Ok(Answer { change: no_buttons_if(true), ..answer })
        }
        Err(failure) => refused(incoming, failure),
    }
}

/// Shows the text in a message of its own, as `id:token` would.
async fn reveal(tools: &Tools, incoming: &Incoming, opener: &Opener) -> Result<Answer, Stopping> {
    let language = incoming.language;
    match view::read(tools, incoming, opener).await? {
        Ok(answer) => Ok(Answer { change: Some(Change::Text(language.say(Phrase::Revealed))), ..answer }),
        Err(situation) => {
            // Somebody pressed twice.
            if let Some(sentence) = view::opened_here(tools, incoming, opener, &situation).await? {
                return Ok(Answer::noting(sentence, "opened here"));
            }
            let sentence = wording::sentence(language, Asked::View, &situation);
            let change = wording::is_final(situation.reason).then(|| Change::Text(sentence.clone()));
            Ok(Answer { change, ..Answer::noting(sentence, situation.reason.name()) })
        }
    }
}

/// What the store said instead, in a notice.
fn refused(incoming: &Incoming, failure: Failure) -> Result<Answer, Stopping> {
    let situation = said(failure)?;
    let sentence = wording::sentence(incoming.language, Asked::Other, &situation);
    let answer = Answer::noting(sentence, situation.reason.name());
    Ok(Answer { change: no_buttons_if(wording::is_final(situation.reason)), ..answer })
}

fn changing(buttons: Buttons, outcome: &'static str) -> Answer {
    Answer { change: Some(Change::Buttons(buttons)), ..Answer::new(outcome) }
}

/// Nothing can be done any more with a message that is gone.
fn no_buttons_if(is_gone: bool) -> Option<Change> {
    is_gone.then(|| Change::Buttons(Buttons::new()))
}
