//! From an answer to calls to Telegram, in an order that loses nothing when the process dies in between.

use crate::{
    answer::{Answer, Notice, Outgoing},
    chats::Desk,
    handlers::Stopping,
    incoming::{Content, Incoming},
    replies,
    telegram::Fault,
};

/// Delivers `answer` and says how it went, in a word for the log.
///
/// The message goes first, then the store learns that it arrived; what follows is comfort and may fail.
pub(crate) async fn deliver(desk: &Desk, incoming: &Incoming, answer: Answer) -> Result<&'static str, Stopping> {
    let Answer { message, once_sent, notice, change, is_request_kept: _, outcome } = answer;
    let sent = match &message {
        Some(message) => desk.telegram.send(incoming.chat, message).await.map(drop),
        None => Ok(()),
    };
    if let (Ok(()), Some(acknowledgement)) = (&sent, once_sent) {
        desk.tools.store.acknowledge_view(acknowledgement).await;
    }
    if let Content::Press(press) = &incoming.content {
        comfort(desk.telegram.answer_press(&press.query_id, notice.as_ref()).await);
        if let (Some(message_id), Some(change)) = (press.message_id, &change) {
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

/// Tells whoever did what a handler panicked at.
pub(crate) async fn apologize(desk: &Desk, incoming: &Incoming) -> Result<(), Fault> {
    let apology = replies::WENT_WRONG.to_owned();
    match &incoming.content {
        Content::Press(press) => {
            let notice = Notice { text: apology, stays_until_closed: true };
            desk.telegram.answer_press(&press.query_id, Some(&notice)).await
        }
        Content::Text { .. } | Content::NotText => {
            desk.telegram.send(incoming.chat, &Outgoing::new(apology)).await.map(drop)
        }
    }
}

fn comfort(done: Result<(), Fault>) {
    if let Err(fault) = done {
        tracing::debug!(?fault, "something beside an answer was not done");
    }
}
