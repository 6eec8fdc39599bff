//! The client of the Bot API: polls, sends, edits and deletes.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use futures_util::TryFutureExt as _;
use mayfly_bootstrap::{
    Secret,
    trace::{Span, SpanKind, within},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json, value::RawValue};
use teloxide::{
    ApiError, Bot, RequestError,
    payloads::{DeleteWebhookSetters as _, SendDocumentSetters as _},
    requests::{JsonRequest, Payload, Requester as _},
    types::{ChatId, InputFile, MessageId, ThreadId},
};
use tokio::time::Instant;
use url::Url;

use crate::{
    conversation::reply::{MessageEdit, OutgoingMessage},
    error::BotError,
    metrics::{BotMetrics, Method},
    settings::Webhook,
    telegram::{
        errors::{self, TelegramError},
        payloads::{
            AnswerCallbackQuery, DeleteMessage, EditMessageReplyMarkup, EditMessageText, GetUpdates, GetWebhookInfo,
            Measurable, Recipient, SendChatAction, SendMessage, SetMyCommands, SetWebhook, WebhookInfo, keyboard,
        },
        rate_limit::SendRateLimit,
        retry::Retry,
        update::{UPDATE_KINDS, Update, message_id},
    },
    timeouts::Timeouts,
};

/// Telegram's limit for a message's text, in UTF-16 code units.
const MAX_MESSAGE_LEN: usize = 4096;
/// The file name of the document for a longer text.
const DOCUMENT_NAME: &str = "message.txt";
/// The maximum number of updates per poll, set by Telegram.
pub(crate) const MAX_UPDATES_PER_POLL: u8 = 100;
/// The client timeout of a poll exceeds Telegram's hold time by this margin.
const POLL_TIMEOUT_MARGIN: Duration = Duration::from_secs(15);

/// The client of the Bot API without a token. Its clients share connections and limits.
#[derive(Clone)]
pub(crate) struct TelegramApi(Telegram);

impl TelegramApi {
    pub(crate) fn new(api_url: &Url, timeouts: &Timeouts, metrics: BotMetrics) -> Result<Self, BotError> {
        let settings = teloxide::net::default_reqwest_settings;
        let polls = settings().timeout(timeouts.long_poll + POLL_TIMEOUT_MARGIN).build();
        let polls = polls.map_err(|error| BotError::HttpClient(error.into()))?;
        let calls = settings().build().map_err(|error| BotError::HttpClient(error.into()))?;
        Ok(Self(Telegram {
            polls: Bot::with_client("", polls).set_api_url(api_url.clone()),
            calls: Bot::with_client("", calls).set_api_url(api_url.clone()),
            rate_limit: SendRateLimit::new(timeouts.outbound_chat_rate, timeouts.outbound_total_rate),
            retry: Retry::new(timeouts),
            timeouts: timeouts.clone(),
            metrics,
        }))
    }

    pub(crate) fn with_token(&self, token: &Secret) -> Telegram {
        let with_token = |bot: &Bot| Bot::with_client(token.expose(), bot.client().clone()).set_api_url(bot.api_url());
        Telegram { polls: with_token(&self.0.polls), calls: with_token(&self.0.calls), ..self.0.clone() }
    }
}

/// The client of the Bot API for one bot. No `Debug`: the one of teloxide shows the token.
#[derive(Clone)]
pub(crate) struct Telegram {
    /// With a longer timeout than `calls`, because Telegram holds polls.
    polls: Bot,
    calls: Bot,
    rate_limit: SendRateLimit,
    retry: Retry,
    timeouts: Timeouts,
    metrics: BotMetrics,
}

/// The names of a bot.
pub(crate) struct Identity {
    /// Without `@`.
    pub user_name: Option<String>,
    /// For humans.
    pub display_name: String,
}

impl Telegram {
    /// Returns the names of the bot, as far as Telegram's response has the known format.
    pub(crate) async fn identity(&self) -> Result<Identity, TelegramError> {
        self.metrics.measure(Method::GetMe, self.get_me()).await
    }

    async fn get_me(&self) -> Result<Identity, TelegramError> {
        match self.calls.get_me().await {
            Ok(me) => Ok(Identity { user_name: me.user.username, display_name: me.user.first_name }),
            Err(RequestError::InvalidJson { raw, .. }) => {
                let result = ok_result(&raw).ok_or(TelegramError::Unreachable)?;
                let text = |key| result.get(key).and_then(Value::as_str).map(str::to_owned);
                Ok(Identity { user_name: text("username"), display_name: text("first_name").unwrap_or_default() })
            }
            Err(error) => Err(errors::classify(&error)),
        }
    }

    /// Polls for updates from `offset` on, which confirms all below it. Waits up to `wait` for the first.
    pub(crate) async fn updates(&self, offset: Option<i64>, wait: Duration) -> Result<Vec<Update>, TelegramError> {
        self.poll(offset, MAX_UPDATES_PER_POLL, wait).await
    }

    /// Confirms all updates below `offset`. Ignores new ones.
    pub(crate) async fn confirm(&self, offset: i64) -> Result<(), TelegramError> {
        self.poll(Some(offset), 1, Duration::ZERO).await.map(drop)
    }

    async fn poll(&self, offset: Option<i64>, limit: u8, wait: Duration) -> Result<Vec<Update>, TelegramError> {
        let poll = GetUpdates::new(json!({
            "offset": offset, "limit": limit, "timeout": wait.as_secs(), "allowed_updates": UPDATE_KINDS,
        }));
        let polling = async {
            match JsonRequest::new(self.polls.clone(), poll).await {
                Err(RequestError::InvalidJson { raw, .. }) => parse_updates(&raw).ok_or(TelegramError::Unreachable),
                updates => updates.map_err(|error| errors::classify(&error)),
            }
        };
        let updates = self.metrics.measure(Method::GetUpdates, polling).await?;
        self.retry.last_success.record();
        Ok(updates)
    }

    /// Returns the current webhook.
    pub(crate) async fn webhook_info(&self) -> Result<WebhookInfo, TelegramError> {
        let info = self.call(GetWebhookInfo::new(json!({}))).await?;
        self.retry.last_success.record();
        Ok(info)
    }

    /// Sets `webhook`, with `secret` in each request. Pending updates are kept.
    pub(crate) async fn set_webhook(&self, webhook: &Webhook, secret: &Secret) -> Result<(), TelegramError> {
        let webhook = SetWebhook::new(json!({
            "url": webhook.url.as_str(), "max_connections": webhook.connections, "allowed_updates": UPDATE_KINDS,
            "drop_pending_updates": false, "secret_token": secret.expose(),
        }));
        self.call(webhook).await.map(|_: Value| ())
    }

    /// Logs the bot out of this Bot API server.
    pub(super) async fn log_out(&self) -> Result<(), TelegramError> {
        let log_out = async { self.calls.log_out().await.map(drop).map_err(|error| errors::classify(&error)) };
        self.metrics.measure(Method::LogOut, log_out).await
    }

    /// Removes the webhook, so that polling works. Pending updates are kept.
    pub(crate) async fn delete_webhook(&self) -> Result<(), TelegramError> {
        let delete = async {
            let deleted = self.calls.delete_webhook().drop_pending_updates(false).await;
            deleted.map(drop).map_err(|error| errors::classify(&error))
        };
        self.metrics.measure(Method::DeleteWebhook, delete).await
    }

    /// Sends exactly the text of `message`, without a parse mode and a preview. Sends a document if Telegram would
    /// reject or change the text. Returns the id of the message, unless the response has an unknown format.
    ///
    /// If the connection breaks after Telegram accepted the text, it arrives twice, which is better than never.
    ///
    /// If the topic of the recipient is gone, a message that is no secret goes to the chat itself. A text or a token
    /// does not, because others may read the chat.
    pub(crate) async fn send(
        &self,
        recipient: Recipient,
        message: &OutgoingMessage,
        protect_content: bool,
    ) -> Result<Option<MessageId>, TelegramError> {
        let sent = self.send_to(recipient, message, protect_content).await;
        if recipient.thread.is_some() && sent == Err(TelegramError::Refused) && !message.is_secret() {
            return self.send_to(Recipient { thread: None, ..recipient }, message, protect_content).await;
        }
        sent
    }

    /// Waits until `recipient` accepts messages, as far as that is visible without sending one.
    ///
    /// # Errors
    ///
    /// If the chat or its topic is gone, or Telegram's flood control lasts too long.
    pub(crate) async fn wait_until_writable(&self, recipient: Recipient) -> Result<(), TelegramError> {
        let Recipient { chat, thread } = recipient;
        // Shows for some seconds that the bot is typing. Telegram rejects it where it rejects messages.
        let typing = json!({ "chat_id": chat, "message_thread_id": thread, "action": "typing" });
        let (typing, last_failure) = (&SendChatAction::new(typing), &Mutex::new(None));
        let has_worked_since_last_failure = || {
            let last = last_failure.lock().unwrap_or_else(PoisonError::into_inner).replace(Instant::now());
            last.is_some_and(|last| self.retry.last_success.is_after(last))
        };
        let has_worked_since_last_failure = &has_worked_since_last_failure;
        let check = || async move {
            if let Some(wait) = self.rate_limit.flood_wait(chat) {
                // In short steps: Telegram may accept messages of other chats sooner, and then of this one.
                return Err(TelegramError::Flood(wait.min(self.timeouts.flood_check_interval)));
            }
            match self.call(typing.clone()).await.map(|_: Value| ()) {
                // Other calls succeed and only this method fails, which says nothing about messages.
                Err(TelegramError::Unreachable) if has_worked_since_last_failure() => Ok(()),
                Err(TelegramError::Refused) if thread.is_some() => Err(TelegramError::Refused),
                Err(fault @ (TelegramError::ChatGone | TelegramError::Flood(_) | TelegramError::Unreachable)) => {
                    Err(fault)
                }
                // The send itself reports other errors.
                Ok(()) | Err(_) => Ok(()),
            }
        };
        self.retry.with_retry_within(self.timeouts.message_flood_timeout, check).await
    }

    async fn send_to(
        &self,
        recipient: Recipient,
        message: &OutgoingMessage,
        protect_content: bool,
    ) -> Result<Option<MessageId>, TelegramError> {
        let text = &message.text;
        if text.encode_utf16().count() <= MAX_MESSAGE_LEN && is_preserved(text) {
            let keyboard = keyboard(&message.buttons);
            let mut sent = self.send_message(recipient, text, keyboard.clone(), protect_content).await;
            // A text without its buttons is better than none.
            if keyboard.is_some() && sent == Err(TelegramError::Refused) {
                sent = self.send_message(recipient, text, None, protect_content).await;
            }
            // Telegram counts characters in its own way. Nothing else holds a viewed text.
            if sent != Err(TelegramError::TextUnfit) {
                return sent;
            }
        }
        self.send_document(recipient, text, protect_content).await
    }

    async fn send_message(
        &self,
        recipient: Recipient,
        text: &str,
        reply_markup: Option<Value>,
        protect_content: bool,
    ) -> Result<Option<MessageId>, TelegramError> {
        let Recipient { chat, thread } = recipient;
        let message = SendMessage::new(json!({
            "chat_id": chat, "message_thread_id": thread, "text": text,
            "link_preview_options": { "is_disabled": true }, "reply_markup": reply_markup,
            "protect_content": protect_content.then_some(true),
        }));
        let send = || self.rate_limited(chat, self.call(message.clone()));
        let sent: Value = self.retry.with_retry_within(self.timeouts.message_flood_timeout, send).await?;
        Ok(message_id(&sent))
    }

    async fn send_document(
        &self,
        recipient: Recipient,
        text: &str,
        protect_content: bool,
    ) -> Result<Option<MessageId>, TelegramError> {
        let send = async || {
            let file = InputFile::memory(text.as_bytes().to_vec()).file_name(DOCUMENT_NAME);
            let document = self.calls.send_document(recipient.chat, file);
            let document = match recipient.thread {
                None => document,
                Some(thread) => document.message_thread_id(ThreadId(MessageId(thread))),
            };
            let document = if protect_content { document.protect_content(true) } else { document };
            let sending = async {
                match document.await {
                    Ok(message) => Ok(Some(message.id)),
                    Err(error) => accepted_result(&error).map(|sent| message_id(&sent)),
                }
            };
            self.metrics.measure(Method::SendDocument, traced("SendDocument", sending)).await
        };
        self.retry
            .with_retry_within(self.timeouts.message_flood_timeout, || self.rate_limited(recipient.chat, send()))
            .await
    }

    /// Sends within the rate limits of Telegram. Records the flood control that Telegram reports.
    async fn rate_limited<T>(
        &self,
        chat: ChatId,
        send: impl Future<Output = Result<T, TelegramError>>,
    ) -> Result<T, TelegramError> {
        self.rate_limit.acquire(chat).await;
        let sent = send.await;
        match &sent {
            Ok(_) => self.rate_limit.sent(chat),
            Err(TelegramError::Flood(wait)) => self.rate_limit.flood(chat, *wait),
            Err(_) => {}
        }
        sent
    }

    /// Answers a callback query, so that the user's app stops waiting. Telegram forgets it after some minutes.
    pub(crate) async fn answer_callback_query(&self, query_id: &str, alert: Option<&str>) -> Result<(), TelegramError> {
        // Alerts stay until the user closes them.
        let query = AnswerCallbackQuery::new(json!({
            "callback_query_id": query_id, "text": alert, "show_alert": alert.is_some(),
        }));
        self.retry.with_retry(|| self.call(query.clone())).await.map(|_: Value| ())
    }

    /// Deletes a message from a chat. Succeeds if it is gone. Telegram deletes only messages of the last 48 hours.
    pub(crate) async fn delete(&self, chat: ChatId, message: MessageId) -> Result<(), TelegramError> {
        let delete = &DeleteMessage::new(json!({ "chat_id": chat, "message_id": message.0 }));
        let delete = || async move {
            let deleting = async {
                match JsonRequest::new(self.calls.clone(), delete.clone()).await {
                    Err(RequestError::Api(ApiError::MessageToDeleteNotFound | ApiError::MessageIdInvalid)) => Ok(()),
                    Err(error) => Err(errors::classify(&error)),
                    Ok(_) => Ok(()),
                }
            };
            self.metrics.measure(Method::DeleteMessage, deleting).await
        };
        self.retry.with_retry(delete).await
    }

    /// Sets the command menu of private chats, as names and descriptions, for one language or for all others.
    pub(crate) async fn set_commands(
        &self,
        language: Option<&'static str>,
        commands: &[(&str, String)],
    ) -> Result<(), TelegramError> {
        let command = |(name, description): &(&str, String)| json!({ "command": name, "description": description });
        let commands = SetMyCommands::new(json!({
            "commands": commands.iter().map(command).collect::<Vec<_>>(), "scope": { "type": "all_private_chats" },
            "language_code": language,
        }));
        self.retry.with_retry(|| self.call(commands.clone())).await.map(|_: Value| ())
    }

    /// Edits a message of the bot.
    pub(crate) async fn edit_message(
        &self,
        chat: ChatId,
        message: MessageId,
        edit: &MessageEdit,
    ) -> Result<(), TelegramError> {
        match edit {
            MessageEdit::Buttons(buttons) => {
                let edit = EditMessageReplyMarkup::new(json!({
                    "chat_id": chat, "message_id": message.0, "reply_markup": keyboard(buttons),
                }));
                self.retry.with_retry(|| self.call(edit.clone())).await.map(|_: Value| ())
            }
            MessageEdit::Text(text) => {
                let edit = EditMessageText::new(json!({
                    "chat_id": chat, "message_id": message.0, "text": text,
                    "link_preview_options": { "is_disabled": true },
                }));
                self.retry.with_retry(|| self.call(edit.clone())).await.map(|_: Value| ())
            }
        }
    }

    async fn call<P>(&self, payload: P) -> Result<P::Output, TelegramError>
    where
        P: Payload + Measurable + Serialize + Send + Sync + 'static,
        P::Output: DeserializeOwned + Send,
    {
        let calling = async { JsonRequest::new(self.calls.clone(), payload).await };
        let calling = traced(P::NAME, calling.map_err(|error| errors::classify(&error)));
        self.metrics.measure(P::METHOD, calling).await
    }
}

/// Makes a call to Telegram within a span.
async fn traced<T>(
    method: &'static str,
    calling: impl Future<Output = Result<T, TelegramError>>,
) -> Result<T, TelegramError> {
    let attributes = [("http.request.method", "POST"), ("peer.service", "telegram")];
    let span = Span::child(SpanKind::Client, || method, &attributes);
    let called = within(span.as_ref(), calling).await;
    if let (Some(span), Err(_)) = (&span, &called) {
        span.fail("telegram");
    }
    called
}

/// A response with `"ok": true` means success, even if teloxide does not know its content.
fn accepted_result(error: &RequestError) -> Result<Value, TelegramError> {
    match error {
        RequestError::InvalidJson { raw, .. } => ok_result(raw).ok_or(TelegramError::Unreachable),
        error => Err(errors::classify(error)),
    }
}

/// Parses each update on its own, so that a malformed one blocks no other.
fn parse_updates(raw: &str) -> Option<Vec<Update>> {
    #[derive(Deserialize)]
    struct Polled<'raw> {
        ok: bool,
        #[serde(borrow)]
        result: Vec<&'raw RawValue>,
    }
    let Polled { ok, result } = serde_json::from_str(raw).ok()?;
    ok.then(|| result.iter().filter_map(|update| Update::from_json(update.get().as_bytes())).collect())
}

fn ok_result(raw: &str) -> Option<Value> {
    let mut response: Value = serde_json::from_str(raw).ok()?;
    let is_ok = response.get("ok")?.as_bool()?;
    response.get_mut("result").filter(|_| is_ok).map(Value::take)
}

/// Returns `true` if Telegram shows a text unchanged. Its servers trim white space, replace control characters, and
/// drop carriage returns, line separators, direction marks and combining strokes (`clean_input_string` in TDLib).
fn is_preserved(text: &str) -> bool {
    let is_changed = |character: char| {
        (character.is_ascii_control() && character != '\n')
            || matches!(character, '\u{2028}'..='\u{202e}' | '\u{30a}' | '\u{333}' | '\u{33f}')
    };
    !text.is_empty() && text.trim() == text && !text.chars().any(is_changed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_that_was_sent_counts_as_sent_whatever_it_looks_like() {
        let response = |raw: &str| RequestError::InvalidJson {
            source: std::sync::Arc::new(serde_json::from_str::<u8>("x").unwrap_err()),
            raw: raw.into(),
        };
        let sent = |raw| accepted_result(&response(raw)).map(|message| message_id(&message));
        assert_eq!(sent(r#"{"ok":true,"result":{"message_id":5,"new":1}}"#), Ok(Some(MessageId(5))));
        assert_eq!(sent(r#"{"ok":true,"result":{"new":1}}"#), Ok(None));
        assert_eq!(sent("<html>Bad Gateway</html>"), Err(TelegramError::Unreachable));
    }
}
