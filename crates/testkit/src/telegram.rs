//! A fake Bot API, strict where Telegram is strict.
//!
//! ```no_run
//! # async fn example() -> anyhow::Result<()> {
//! use mayfly_testkit::FakeTelegram;
//!
//! let telegram = FakeTelegram::start("1000000000:AAH").await?;
//! // Point the bot at telegram.url(), then talk to it:
//! telegram.user_says(7, "new:hello");
//! let reply = telegram.next_reply(7).await?;
//! # Ok(())
//! # }
//! ```
//!
//! It serves getMe, getUpdates, deleteWebhook, setWebhook, getWebhookInfo, sendMessage, sendDocument, editMessageText,
//! editMessageReplyMarkup, deleteMessage, answerCallbackQuery, setMyCommands and logOut under `/bot<token>/<method>`.
//! Rules and error texts follow Telegram's documentation and teloxide's table of errors:
//!
//! - An update is pending until getUpdates confirms it with a higher offset, so redelivery can be tested.
//! - Of two concurrent polls the older one ends with 409. While a webhook is set, every poll does.
//! - An update is delivered to the webhook, with the secret in its header, until the bot responds with 2xx. The updates
//!   of a chat follow each other; chats are independent. The URL may be plain http, as for self-hosted servers.
//! - A text is trimmed, has 1 to 4096 UTF-16 code units, and must be well-formed for its `parse_mode`.
//! - Buttons have one action each, within Telegram's limits. The bot can edit only its own messages, and must change
//!   them. A callback query is answered once.
//! - A bot can send only to chats that wrote to it and have not blocked it.
//!
//! The rate limit of Telegram is missing; inject a [`Fault::TooManyRequests`] or a
//! [`flood_wait`](FakeTelegram::flood_wait) instead.

mod account;
mod error;
mod get_updates;
mod keyboard;
mod messages;
mod methods;
mod params;
mod parse_mode;
mod server;
mod state;
mod text;
mod types;
mod webhook;

use std::{
    sync::{Arc, MutexGuard},
    time::Duration,
};

use anyhow::Context as _;
use serde_json::Value;

pub use self::types::{CallbackAnswer, DeliveryFault, Fault, Message, Reply};
use self::{
    account::{Account, Webhook},
    server::Server,
    state::Accounts,
};

/// How long a test waits for a condition. A thousand chats take half a minute on a busy machine with two cores, and
/// teloxide waits 10 seconds after a server error.
const TIMEOUT: Duration = Duration::from_secs(120);

/// A bot of a fake Bot API. Clones share the bot. The server stops when the last clone is dropped.
#[derive(Clone)]
pub struct FakeTelegram {
    server: Arc<Server>,
    token: String,
}

impl FakeTelegram {
    /// Starts a Bot API on a free port of 127.0.0.1 with one bot that has this token.
    ///
    /// # Errors
    ///
    /// Returns an error if no port can be bound.
    pub async fn start(token: &str) -> anyhow::Result<Self> {
        let server = Server::start().await?;
        let telegram = Self { server: Arc::new(server), token: token.to_owned() };
        Ok(telegram.add_token(token))
    }

    /// The URL of the Bot API: `http://127.0.0.1:port`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.server.url
    }

    /// Adds a bot with another token to the Bot API. Each bot has its own chats, updates and faults.
    #[must_use]
    pub fn add_token(&self, token: &str) -> Self {
        self.server.state.lock().entry(token.to_owned()).or_insert_with(|| Account::new(token));
        Self { server: Arc::clone(&self.server), token: token.to_owned() }
    }

    /// Makes every call with the token of the bot fail with 401.
    pub fn revoke_token(&self) {
        self.change(|account| account.is_revoked = true);
    }

    /// Reverts [`revoke_token`](Self::revoke_token).
    pub fn restore_token(&self) {
        self.change(|account| account.is_revoked = false);
    }

    /// Gives the bot another token, as @BotFather does. The bot keeps its chats and pending updates, and loses its
    /// webhook. Calls with the old token fail with 401. Returns the bot with the new token.
    #[must_use]
    pub fn replace_token(&self, token: &str) -> Self {
        {
            let mut accounts = self.accounts();
            let mut revoked = Account::new(&self.token);
            revoked.is_revoked = true;
            let mut account = accounts.insert(self.token.clone(), revoked).unwrap_or_else(|| Account::new(token));
            account.webhook = None;
            accounts.insert(token.to_owned(), account);
        }
        self.server.state.notify();
        Self { server: Arc::clone(&self.server), token: token.to_owned() }
    }

    /// Drops the pending updates, as Telegram does after 24 hours.
    pub fn drop_updates(&self) {
        self.change(|account| account.updates.clear());
    }

    /// A user sends `text` to the bot in a private chat. Telegram trims it. Returns the id of the update.
    pub fn user_says(&self, chat_id: i64, text: &str) -> i64 {
        self.change(|account| account.receive("message", account::private_message(chat_id, text)))
    }

    /// As [`user_says`](Self::user_says), but sent `seconds` ago.
    pub fn user_said(&self, chat_id: i64, text: &str, seconds: u64) -> i64 {
        self.change(|account| account.receive("message", account::earlier_message(chat_id, text, seconds)))
    }

    /// A user sends `text` in a group with the bot. Returns the id of the update.
    pub fn group_says(&self, chat_id: i64, text: &str) -> i64 {
        self.change(|account| account.receive("message", account::group_message(chat_id, text)))
    }

    /// A channel with the bot gets the post `text`. Returns the id of the update.
    pub fn channel_posts(&self, chat_id: i64, text: &str) -> i64 {
        self.change(|account| account.receive("channel_post", account::channel_post(chat_id, text)))
    }

    /// A user edits an earlier message to `text`. Returns the id of the update.
    pub fn user_edits(&self, chat_id: i64, text: &str) -> i64 {
        self.change(|account| account.receive("edited_message", account::edited_message(chat_id, text)))
    }

    /// A user sends a sticker. Returns the id of the update.
    pub fn user_sends_sticker(&self, chat_id: i64) -> i64 {
        self.change(|account| account.receive("message", account::sticker_message(chat_id)))
    }

    /// A user sends a message with these fields of the Bot API in a private chat. Returns the id of the update.
    pub fn user_sends(&self, chat_id: i64, content: Value) -> i64 {
        self.change(|account| account.receive("message", account::message_with(chat_id, content)))
    }

    /// Deletes a topic: sending to it fails afterwards.
    pub fn delete_topic(&self, thread: i64) {
        self.change(|account| account.deleted_threads.insert(thread));
    }

    /// Sets the language of the user's app to this language tag.
    pub fn user_speaks(&self, chat_id: i64, language: &str) {
        self.change(|account| account.set_language(chat_id, language));
    }

    /// A user presses a button of the bot. Waits for the answer and returns it.
    ///
    /// # Errors
    ///
    /// Returns an error if no such button exists, or after 30 seconds without an answer.
    pub async fn press(&self, chat_id: i64, message_id: i64, label: &str) -> anyhow::Result<CallbackAnswer> {
        let (query_id, _) = self.begin_press(chat_id, message_id, label)?;
        let mut answer = None;
        self.wait("an answer to a press", |account| {
            answer = account.presses.get(&query_id).cloned().flatten();
            answer.is_some()
        })
        .await?;
        answer.context("no answer")
    }

    /// As [`press`](Self::press), without waiting. Returns the id of the callback query and of the update.
    ///
    /// # Errors
    ///
    /// Returns an error if no such button exists.
    pub fn begin_press(&self, chat_id: i64, message_id: i64, label: &str) -> anyhow::Result<(String, i64)> {
        self.change(|account| account.press(chat_id, message_id, label)).context("no such button")
    }

    /// The messages of a chat, oldest first.
    #[must_use]
    pub fn messages(&self, chat_id: i64) -> Vec<Message> {
        self.read(|account| {
            let chat = account.messages.range((chat_id, i64::MIN)..=(chat_id, i64::MAX));
            chat.map(|(_, message)| message.clone()).collect()
        })
    }

    /// Waits until the messages of a chat satisfy a condition.
    ///
    /// # Errors
    ///
    /// Returns an error after 30 seconds.
    pub async fn wait_for_messages(&self, chat_id: i64, condition: impl Fn(&[Message]) -> bool) -> anyhow::Result<()> {
        self.wait("messages of a chat", |account| {
            let chat = account.messages.range((chat_id, i64::MIN)..=(chat_id, i64::MAX));
            condition(&chat.map(|(_, message)| message.clone()).collect::<Vec<_>>())
        })
        .await
    }

    /// The commands of the menu in a language, with their descriptions. `""` is the default language.
    #[must_use]
    pub fn commands(&self, language: &str) -> Vec<(String, String)> {
        self.read(|account| account.commands.get(language).cloned().unwrap_or_default())
    }

    /// Adds any update: `{"message": {…}}`. Fills in `update_id` unless the update has one, and ignores
    /// `allowed_updates`. Returns the id of the update.
    pub fn push_update(&self, update: Value) -> i64 {
        self.change(|account| account.push(update))
    }

    /// Makes sending to `chat_id` fail with 403.
    pub fn user_blocks(&self, chat_id: i64) {
        self.change(|account| account.blocked.insert(chat_id));
    }

    /// Reverts [`user_blocks`](Self::user_blocks).
    pub fn user_unblocks(&self, chat_id: i64) {
        self.change(|account| account.blocked.remove(&chat_id));
    }

    /// Waits for the first reply in `chat_id` that `next_reply` has not returned yet.
    ///
    /// # Errors
    ///
    /// Returns an error after 30 seconds.
    pub async fn next_reply(&self, chat_id: i64) -> anyhow::Result<Reply> {
        let mut next = None;
        self.wait("a reply", |account| {
            next = account.next_reply(chat_id);
            next.is_some()
        })
        .await?;
        next.context("no reply")
    }

    /// All replies in `chat_id` so far, oldest first.
    #[must_use]
    pub fn replies(&self, chat_id: i64) -> Vec<Reply> {
        self.read(|account| account.replies.iter().filter(|reply| reply.chat_id == chat_id).cloned().collect())
    }

    /// The ids of the unconfirmed updates.
    #[must_use]
    pub fn pending_updates(&self) -> Vec<i64> {
        self.read(|account| account.updates.keys().copied().collect())
    }

    /// The highest confirmed id so far.
    #[must_use]
    pub fn confirmed_up_to(&self) -> Option<i64> {
        self.read(|account| account.confirmed_up_to)
    }

    /// Waits until the bot has confirmed the update `id` and all before it.
    ///
    /// # Errors
    ///
    /// Returns an error after 30 seconds.
    pub async fn wait_until_confirmed(&self, id: i64) -> anyhow::Result<()> {
        self.wait("a confirmation", |account| account.confirmed_up_to >= Some(id)).await
    }

    /// Waits until the bot has confirmed all updates.
    ///
    /// # Errors
    ///
    /// Returns an error after 30 seconds.
    pub async fn wait_until_all_confirmed(&self) -> anyhow::Result<()> {
        self.wait("all confirmations", |account| account.updates.is_empty()).await
    }

    /// The parameters of all calls of `method` so far, oldest first, with failed calls. The case of `method` does not
    /// matter.
    #[must_use]
    pub fn calls(&self, method: &str) -> Vec<Value> {
        self.read(|account| account.calls_of(method))
    }

    /// Waits until the bot has called `method` this many times since the start.
    ///
    /// # Errors
    ///
    /// Returns an error after 30 seconds.
    pub async fn wait_for_calls(&self, method: &str, times: usize) -> anyhow::Result<()> {
        self.wait("a call", |account| account.count_calls_of(method) >= times).await
    }

    /// Makes the next `times` calls of `method` fail. Faults of a method queue up.
    pub fn fail_next(&self, method: &str, times: usize, fault: Fault) {
        self.change(|account| {
            let queue = account.faults.entry(method.to_lowercase()).or_default();
            queue.extend(std::iter::repeat_n(fault, times));
        });
    }

    /// Removes the remaining faults of [`fail_next`](Self::fail_next).
    pub fn clear_faults(&self, method: &str) {
        self.change(|account| account.faults.remove(&method.to_lowercase()));
    }

    /// Rejects messages to this chat, or to all chats, for a while. Each gets 429 with the remaining time.
    pub fn flood_wait(&self, chat_id: Option<i64>, wait: Duration) {
        self.change(|account| account.flood_waits.insert(chat_id, tokio::time::Instant::now() + wait));
    }

    /// Sets a webhook of another program. Telegram delivers no updates to it.
    pub fn set_webhook(&self, url: &str) {
        self.change(|account| account.webhook = Some(Webhook::foreign(url)));
    }

    /// The URL of the webhook.
    #[must_use]
    pub fn webhook(&self) -> Option<String> {
        self.read(|account| account.webhook.as_ref().map(|webhook| webhook.url.clone()))
    }

    /// The secret of the webhook.
    #[must_use]
    pub fn webhook_secret(&self) -> Option<String> {
        self.read(|account| account.webhook.as_ref()?.secret.clone())
    }

    /// Makes setWebhook fail with 400, or succeed again.
    pub fn reject_webhooks(&self, is_rejected: bool) {
        self.change(|account| account.rejects_webhooks = is_rejected);
    }

    /// Injects a fault into the next `times` deliveries to the webhook.
    pub fn fail_next_deliveries(&self, times: usize, fault: DeliveryFault) {
        self.change(|account| account.delivery_faults.extend(std::iter::repeat_n(fault, times)));
    }

    /// The ids of all deliveries to the webhook so far, one for each attempt.
    #[must_use]
    pub fn deliveries(&self) -> Vec<i64> {
        self.read(|account| account.deliveries.clone())
    }

    /// Waits for this many delivery attempts to the webhook.
    ///
    /// # Errors
    ///
    /// Returns an error after 30 seconds.
    pub async fn wait_for_deliveries(&self, times: usize) -> anyhow::Result<()> {
        self.wait("a delivery", |account| account.deliveries.len() >= times).await
    }

    /// Delivers updates newest first, and those of one chat to a webhook concurrently.
    pub fn deliver_out_of_order(&self) {
        self.change(|account| account.is_out_of_order = true);
    }

    /// Confirms each update as soon as the bot has received it. This is a negative control: updates are lost when the
    /// bot crashes.
    pub fn confirm_on_arrival(&self) {
        self.change(|account| account.confirms_on_arrival = true);
    }

    fn read<T>(&self, read: impl FnOnce(&Account) -> T) -> T {
        let mut accounts = self.accounts();
        read(accounts.entry(self.token.clone()).or_insert_with(|| Account::new(&self.token)))
    }

    fn change<T>(&self, change: impl FnOnce(&mut Account) -> T) -> T {
        let changed = change(self.accounts().entry(self.token.clone()).or_insert_with(|| Account::new(&self.token)));
        self.server.state.notify();
        changed
    }

    async fn wait(&self, event: &str, mut condition: impl FnMut(&mut Account) -> bool) -> anyhow::Result<()> {
        let mut changes = self.server.state.changes();
        let waiting = async {
            loop {
                changes.borrow_and_update();
                if self.accounts().get_mut(&self.token).is_some_and(&mut condition) {
                    return Ok(());
                }
                changes.changed().await.context("the fake Bot API is gone")?;
            }
        };
        tokio::time::timeout(TIMEOUT, waiting).await.with_context(|| format!("timed out waiting for {event}"))?
    }

    fn accounts(&self) -> MutexGuard<'_, Accounts> {
        self.server.state.lock()
    }
}
