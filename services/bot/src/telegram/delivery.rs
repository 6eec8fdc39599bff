//! Delivers a reply through the Bot API, in an order that loses nothing if the process dies in between.

use crate::{
    conversation::{
        event::{ChatEvent, Content},
        reply::{OutgoingMessage, Reply},
        texts::Phrase,
    },
    settings::ConversationSettings,
    status::tracker::StatusTracker,
    store_client::{ShuttingDown, StoreClient},
    telegram::{client::Telegram, deletions::Deletions, errors::TelegramError, payloads::Recipient},
};

/// Delivers the replies of one bot.
pub(crate) struct Delivery {
    pub telegram: Telegram,
    pub store: StoreClient,
    pub settings: ConversationSettings,
    pub deletions: Deletions,
    pub status: StatusTracker,
}

impl Delivery {
    /// Waits until the chat accepts messages. Call it before a text is viewed: the store deletes a viewed text.
    ///
    /// # Errors
    ///
    /// The outcome for the log if the chat accepts no messages. Nothing is done then, and the sender can try again.
    pub(crate) async fn wait_until_writable(&self, event: &ChatEvent) -> Result<(), &'static str> {
        let Err(error) = self.telegram.wait_until_writable(Recipient::of(event)).await else { return Ok(()) };
        tracing::info!(?error, "skipped an update because its chat accepts no replies");
        let (phrase, outcome) = match error {
            TelegramError::ChatGone => (None, "chat gone"),
            TelegramError::Refused => (Some(Phrase::TopicGone), "topic gone"),
            _ => {
                self.status.record_failed_update("Telegram rejected a reply");
                let phrase = if event.views_text() { Phrase::NotShownTryLater } else { Phrase::TryLater };
                (Some(phrase), "not done")
            }
        };
        let text = phrase.map(|phrase| event.language.text(phrase));
        if let Content::Callback(query) = &event.content {
            best_effort(self.telegram.answer_callback_query(&query.id, text.as_deref()).await);
        } else if let Some(text) = text {
            best_effort(self.send(event, &OutgoingMessage::new(text)).await);
        }
        Err(outcome)
    }

    /// Delivers `reply` and returns the outcome for the log.
    ///
    /// Sends the message first, then acknowledges the view. The rest is best effort.
    pub(crate) async fn deliver(&self, event: &ChatEvent, reply: Reply) -> Result<&'static str, ShuttingDown> {
        let Reply { message, acknowledge_after_send, alert, edit, follow_up, stores_request, outcome } = reply;
        let sent = match (&message, &acknowledge_after_send) {
            (Some(message), Some(view)) => self.store.keep_claim_during(view, self.send(event, message)).await,
            (Some(message), None) => self.send(event, message).await,
            (None, _) => Ok(()),
        };
        if let (Ok(()), Some(acknowledgement)) = (&sent, acknowledge_after_send) {
            self.store.acknowledge_view(acknowledgement).await;
        }
        if let (Ok(()), Some(follow_up)) = (&sent, follow_up) {
            best_effort(self.send(event, &OutgoingMessage::new(follow_up)).await);
        }
        if let (Ok(()), true, Some(message_id)) =
            (&sent, stores_request && self.settings.delete_user_messages, event.message_id())
        {
            best_effort(self.telegram.delete(event.chat, message_id).await);
        }
        if let Content::Callback(query) = &event.content {
            best_effort(self.telegram.answer_callback_query(&query.id, alert.as_deref()).await);
            // The edited message refers to the message that was sent.
            if let (Ok(()), Some(message_id), Some(edit)) = (&sent, query.message_id, &edit) {
                best_effort(self.telegram.edit_message(event.chat, message_id, edit).await);
            }
        }
        match sent {
            Ok(()) => Ok(outcome),
            // The next session with a valid token delivers this.
            Err(TelegramError::TokenRefused) => Err(ShuttingDown),
            Err(error) => {
                // The log does not name the chat: it is private which user blocked the bot.
                tracing::info!(outcome, ?error, "gave up sending a reply");
                Ok(match error {
                    TelegramError::ChatGone => "chat gone",
                    _ => {
                        self.status.record_failed_update("Telegram rejected a reply");
                        "not sent"
                    }
                })
            }
        }
    }

    /// Tells the sender that the handler panicked.
    pub(crate) async fn report_panic(&self, event: &ChatEvent) -> Result<(), TelegramError> {
        let text = event.language.text(Phrase::InternalError);
        match &event.content {
            Content::Callback(query) => self.telegram.answer_callback_query(&query.id, Some(&text)).await,
            Content::Text { .. } | Content::NotText | Content::Edited | Content::GroupCommand(_) => {
                self.send(event, &OutgoingMessage::new(text)).await
            }
        }
    }

    /// Sends `message`, and schedules the deletion of a revealed text.
    async fn send(&self, event: &ChatEvent, message: &OutgoingMessage) -> Result<(), TelegramError> {
        let protect_content = message.is_revealed && self.settings.protect_content;
        let message_id = self.telegram.send(Recipient::of(event), message, protect_content).await?;
        if let (true, Some(message_id)) = (message.is_revealed, message_id) {
            self.deletions.schedule(event.chat, message_id).await;
        }
        Ok(())
    }
}

fn best_effort(result: Result<(), TelegramError>) {
    if let Err(error) = result {
        tracing::debug!(?error, "a best-effort call failed");
    }
}
