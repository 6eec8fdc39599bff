//! From an answer to calls to Telegram, in an order that loses nothing when the process dies in between.

use crate::{
    conversation::{
        handlers::{ShuttingDown, Wanted},
        reply::{OutgoingMessage, Reply},
        texts::Phrase,
    },
    telegram::client::{Protection, Recipient, TelegramError},
    updates::{
        dispatcher::Shared,
        event::{ChatEvent, Content},
    },
};

/// Waits until the chat can be written to, before a text is read for it: a text that was read is nowhere else.
///
/// Returns the word for the log if it cannot. Then nothing is done, and the sender can ask again.
pub(crate) async fn wait_until_writable(
    desk: &Shared,
    event: &ChatEvent,
    wanted: &Wanted<'_>,
) -> Result<(), &'static str> {
    let Err(error) = desk.telegram.wait_until_writable(Recipient::of(event)).await else { return Ok(()) };
    tracing::info!(?error, "did not do what could not be answered");
    let (phrase, outcome) = match error {
        TelegramError::ChatGone => (None, "chat gone"),
        TelegramError::Refused => (Some(Phrase::TopicGone), "topic gone"),
        _ => {
            desk.board.record_failed_update("Telegram did not take an answer");
            let phrase = if wanted.reads_text() { Phrase::NothingToShowLater } else { Phrase::Later };
            (Some(phrase), "not done")
        }
    };
    let sentence = phrase.map(|phrase| event.language.text(phrase));
    if let Content::Press(press) = &event.content {
        best_effort(desk.telegram.answer_callback_query(&press.query_id, sentence.as_deref()).await);
    } else if let Some(sentence) = sentence {
        best_effort(send(desk, event, &OutgoingMessage::new(sentence)).await);
    }
    Err(outcome)
}

/// Delivers `answer` and says how it went, in a word for the log.
///
/// The message goes first, then the store learns that it arrived; what follows is comfort and may fail.
pub(crate) async fn deliver(desk: &Shared, event: &ChatEvent, answer: Reply) -> Result<&'static str, ShuttingDown> {
    let Reply { message, acknowledge_after_send, alert, edit, follow_up, stores_request, outcome } = answer;
    let sent = match (&message, &acknowledge_after_send) {
        (Some(message), Some(view)) => desk.tools.store.keep_claim_during(view, send(desk, event, message)).await,
        (Some(message), None) => send(desk, event, message).await,
        (None, _) => Ok(()),
    };
    if let (Ok(()), Some(acknowledgement)) = (&sent, acknowledge_after_send) {
        desk.tools.store.acknowledge_view(acknowledgement).await;
    }
    if let (Ok(()), Some(follow_up)) = (&sent, follow_up) {
        best_effort(send(desk, event, &OutgoingMessage::new(follow_up)).await);
    }
    if let (Ok(()), true, Some(message_id)) =
        (&sent, stores_request && desk.conversation.delete_user_messages, event.message_id())
    {
        best_effort(desk.telegram.delete(event.chat, message_id).await);
    }
    if let Content::Press(press) = &event.content {
        best_effort(desk.telegram.answer_callback_query(&press.query_id, alert.as_deref()).await);
        // What was not sent must not be said to stand below.
        if let (Ok(()), Some(message_id), Some(edit)) = (&sent, press.message_id, &edit) {
            best_effort(desk.telegram.edit_message(event.chat, message_id, edit).await);
        }
    }
    match sent {
        Ok(()) => Ok(outcome),
        // Whoever comes next with a token that works delivers this.
        Err(TelegramError::TokenRefused) => Err(ShuttingDown),
        Err(error) => {
            // Without the chat's id: who blocked us is nobody's business.
            tracing::info!(outcome, ?error, "gave up sending an answer");
            Ok(match error {
                TelegramError::ChatGone => "chat gone",
                _ => {
                    desk.board.record_failed_update("Telegram did not take an answer");
                    "not sent"
                }
            })
        }
    }
}

/// Sends `message`, and notes what was revealed, for its deletion.
async fn send(desk: &Shared, event: &ChatEvent, message: &OutgoingMessage) -> Result<(), TelegramError> {
    let is_protected = message.is_revealed && desk.conversation.protect_content;
    let protection = if is_protected { Protection::NoCopies } else { Protection::None };
    let message_id = desk.telegram.send(Recipient::of(event), message, protection).await?;
    if let (true, Some(message_id)) = (message.is_revealed, message_id) {
        desk.deletions.schedule(event.chat, message_id).await;
    }
    Ok(())
}

/// Tells whoever did what a handler panicked at.
pub(crate) async fn report_panic(desk: &Shared, event: &ChatEvent) -> Result<(), TelegramError> {
    let apology = event.language.text(Phrase::WentWrong);
    match &event.content {
        Content::Press(press) => desk.telegram.answer_callback_query(&press.query_id, Some(&apology)).await,
        Content::Text { .. } | Content::NotText | Content::Edited | Content::InGroup { .. } => {
            send(desk, event, &OutgoingMessage::new(apology)).await
        }
    }
}

fn best_effort(done: Result<(), TelegramError>) {
    if let Err(error) = done {
        tracing::debug!(?error, "something beside an answer was not done");
    }
}
