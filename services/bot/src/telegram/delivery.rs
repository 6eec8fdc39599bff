//! From an answer to calls to Telegram, in an order that loses nothing when the process dies in between.

use crate::{
    conversation::{
        handlers::{Stopping, Wanted},
        reply::{Answer, Outgoing},
        texts::Phrase,
    },
    telegram::client::{Fault, Protection, Recipient},
    updates::{
        dispatcher::Desk,
        event::{Content, Incoming},
    },
};

/// Waits until the chat can be written to, before a text is read for it: a text that was read is nowhere else.
///
/// Returns the word for the log if it cannot. Then nothing is done, and the sender can ask again.
pub(crate) async fn until_writable(desk: &Desk, incoming: &Incoming, wanted: &Wanted<'_>) -> Result<(), &'static str> {
    let Err(fault) = desk.telegram.until_writable(Recipient::of(incoming)).await else { return Ok(()) };
    tracing::info!(?fault, "did not do what could not be answered");
    let (phrase, outcome) = match fault {
        Fault::ChatGone => (None, "chat gone"),
        Fault::Refused => (Some(Phrase::TopicGone), "topic gone"),
        _ => {
            desk.board.update_failed("Telegram did not take an answer");
            let phrase = if wanted.reads_text() { Phrase::NothingToShowLater } else { Phrase::Later };
            (Some(phrase), "not done")
        }
    };
    let sentence = phrase.map(|phrase| incoming.language.say(phrase));
    if let Content::Press(press) = &incoming.content {
        comfort(desk.telegram.answer_press(&press.query_id, sentence.as_deref()).await);
    } else if let Some(sentence) = sentence {
        comfort(send(desk, incoming, &Outgoing::new(sentence)).await);
    }
    Err(outcome)
}

/// Delivers `answer` and says how it went, in a word for the log.
///
/// The message goes first, then the store learns that it arrived; what follows is comfort and may fail.
pub(crate) async fn deliver(desk: &Desk, incoming: &Incoming, answer: Answer) -> Result<&'static str, Stopping> {
    let Answer { message, once_sent, notice, change, remark, is_request_kept, outcome } = answer;
    let sent = match (&message, &once_sent) {
        (Some(message), Some(view)) => desk.tools.store.keep_claim_during(view, send(desk, incoming, message)).await,
        (Some(message), None) => send(desk, incoming, message).await,
        (None, _) => Ok(()),
    };
    if let (Ok(()), Some(acknowledgement)) = (&sent, once_sent) {
        desk.tools.store.acknowledge_view(acknowledgement).await;
    }
    if let (Ok(()), Some(remark)) = (&sent, remark) {
        comfort(send(desk, incoming, &Outgoing::new(remark)).await);
    }
    if let (Ok(()), true, Some(message_id)) =
        (&sent, is_request_kept && desk.conversation.delete_user_messages, incoming.message_id())
    {
        comfort(desk.telegram.delete(incoming.chat, message_id).await);
    }
    if let Content::Press(press) = &incoming.content {
        comfort(desk.telegram.answer_press(&press.query_id, notice.as_deref()).await);
        // What was not sent must not be said to stand below.
        if let (Ok(()), Some(message_id), Some(change)) = (&sent, press.message_id, &change) {
            comfort(desk.telegram.change(incoming.chat, message_id, change).await);
        }
    }
    match sent {
        Ok(()) => Ok(outcome),
        // Whoever comes next with a token that works delivers this.
        Err(Fault::TokenRefused) => Err(Stopping),
        Err(fault) => {
            // Without the chat's id: who blocked us is nobody's business.
            tracing::info!(outcome, ?fault, "gave up sending an answer");
            Ok(match fault {
                Fault::ChatGone => "chat gone",
                _ => {
                    desk.board.update_failed("Telegram did not take an answer");
                    "not sent"
                }
            })
        }
    }
}

/// Sends `message`, and notes what was revealed, for its deletion.
async fn send(desk: &Desk, incoming: &Incoming, message: &Outgoing) -> Result<(), Fault> {
    let is_protected = message.is_revealed && desk.conversation.protect_content;
    let protection = if is_protected { Protection::NoCopies } else { Protection::None };
    let message_id = desk.telegram.send(Recipient::of(incoming), message, protection).await?;
    if let (true, Some(message_id)) = (message.is_revealed, message_id) {
        desk.deletions.note(incoming.chat, message_id).await;
    }
    Ok(())
}

/// Tells whoever did what a handler panicked at.
pub(crate) async fn apologize(desk: &Desk, incoming: &Incoming) -> Result<(), Fault> {
    let apology = incoming.language.say(Phrase::WentWrong);
    match &incoming.content {
        Content::Press(press) => desk.telegram.answer_press(&press.query_id, Some(&apology)).await,
        Content::Text { .. } | Content::NotText | Content::Edited | Content::InGroup { .. } => {
            send(desk, incoming, &Outgoing::new(apology)).await
        }
    }
}

fn comfort(done: Result<(), Fault>) {
    if let Err(fault) = done {
        tracing::debug!(?fault, "something beside an answer was not done");
    }
}
