//! A Bot API on this machine, strict where Telegram is strict.
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
//! editMessageReplyMarkup, deleteMessage, answerCallbackQuery, setMyCommands and logOut under `/bot<token>/<method>`, with the
//! rules and the error texts of the real one as far as its
//! documentation and teloxide's table of errors tell them:
//!
//! - An update is kept until getUpdates is called with an offset above its id, so redelivery can be tested.
//! - Of two polls at once the older one ends with 409; while a webhook is set every poll does.
//! - An update is brought to the webhook, with the secret in its header, until it is answered with 2xx; those of one chat
//!   one after the other, others at the same time. Plain http is taken, as by a Bot API server of one's own.
//! - A text is trimmed, has 1 to 4096 UTF-16 code units, and must be well-formed for the `parse_mode`, if one is given.
//! - Buttons have one purpose each, within Telegram's limits; only what stands in a chat can be edited or deleted, and only what the
//!   bot wrote edited, to something else; a press is answered once.
//! - A bot can write only to chats that wrote to it, and not to those that blocked it.
//!
//! What it cannot do is the limit on messages per second; script a [`Fault::TooManyRequests`] instead.

mod account;
mod get_updates;
mod keyboard;
mod messages;
mod methods;
mod params;
mod parse_mode;
mod server;
mod webhook;

use std::{
    sync::{Arc, MutexGuard},
    time::Duration,
};

use anyhow::Context as _;
use serde_json::Value;

use self::{account::Account, server::Server, webhook::Webhook};

/// How long a test waits for something before it fails. Longer than the 10 seconds that teloxide waits by itself after
/// a server error.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A bot on a fake Bot API. Clones are the same bot; the server ends with the last of them.
#[derive(Clone)]
pub struct FakeTelegram {
    server: Arc<Server>,
    token: String,
}

/// What the bot sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Reply {
    /// The chat it was sent to.
    pub chat_id: i64,
    /// Its number there.
    pub message_id: i64,
    /// The text of the message, as a user sees it (so without blanks around it), or the content of the document.
    pub text: String,
    /// The file name, if it came as a document.
    pub document: Option<String>,
    /// The parameters of the call as the bot sent them, files left out.
    pub params: Value,
}

/// What stands in a chat.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// Its number.
    pub message_id: i64,
    /// Whether the bot wrote it.
    pub is_from_bot: bool,
    /// Empty if it is no text.
    pub text: String,
    /// The buttons under it, as the bot sent them.
    pub reply_markup: Option<Value>,
    /// Whether it can be neither forwarded nor saved.
    pub is_protected: bool,
    /// The topic of the chat that it is in.
    pub thread: Option<i64>,
}

impl Message {
    /// The labels of its buttons, row after row.
    #[must_use]
    pub fn labels(&self) -> Vec<String> {
        let labels = keyboard::buttons(self.reply_markup.as_ref()).map(|button| button["text"].as_str());
        labels.map(|label| label.unwrap_or_default().to_owned()).collect()
    }

    /// The button that is called `label`, as the bot sent it.
    #[must_use]
    pub fn button(&self, label: &str) -> Option<&Value> {
        keyboard::buttons(self.reply_markup.as_ref()).find(|button| button["text"] == label)
    }
}

/// The answer to the press of a button.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallbackAnswer {
    /// Nothing, if only the waiting ends.
    pub text: Option<String>,
    /// Whether it stays until it is closed.
    pub is_alert: bool,
}

/// What goes wrong with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// 429 with so many seconds of `retry_after`; nothing was done.
    TooManyRequests {
        /// Seconds to wait.
        retry_after: u32,
    },
    /// 500 with Telegram's JSON; nothing was done.
    ServerError,
    /// 502 with a page of HTML, as from a proxy; nothing was done.
    BadGateway,
    /// The connection breaks; nothing was done.
    DisconnectBefore,
    /// What was asked is done, then the connection breaks.
    DisconnectAfter,
    /// No answer ever comes; nothing was done.
    NoResponse,
}

/// What goes wrong with bringing an update to the webhook. It is brought again after all of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryFault {
    /// It is brought twice at the same time, and again only if one of these fails.
    Duplicate,
    /// The bot's answer gets lost.
    LoseResponse,
    /// Telegram hangs up as soon as it has sent the request.
    Disconnect,
}

impl FakeTelegram {
    /// Starts a Bot API on a free port of 127.0.0.1 with one bot that has `token`.
    ///
    /// # Errors
    ///
    /// When no port can be bound.
    pub async fn start(token: &str) -> anyhow::Result<Self> {
        let server = Server::start().await?;
        let telegram = Self { server: Arc::new(server), token: token.to_owned() };
        Ok(telegram.add_token(token))
    }

    /// The address to give to the bot: `http://127.0.0.1:port`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.server.url
    }

    /// Adds a bot with another token to the same Bot API. Each bot has chats, updates and faults of its own.
    #[must_use]
    pub fn add_token(&self, token: &str) -> Self {
        self.server.state.lock().entry(token.to_owned()).or_insert_with(|| Account::new(token));
        Self { server: Arc::clone(&self.server), token: token.to_owned() }
    }

    /// From now on every call with this bot's token is answered with 401.
    pub fn revoke_token(&self) {
        self.change(|account| account.is_revoked = true);
    }

    /// Takes [`revoke_token`](Self::revoke_token) back.
    pub fn restore_token(&self) {
        self.change(|account| account.is_revoked = false);
    }

    /// Gives the bot another token, as @BotFather does: its chats and what waits for it stay, no webhook is set any more, and every
    /// call with the old token is answered with 401. Answers the bot under the new token.
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

    /// Telegram forgets the updates that wait, as it does after 24 hours.
    pub fn drop_updates(&self) {
        self.change(|account| account.updates.clear());
    }

    /// A person writes `text` to the bot in a private chat. Telegram drops blanks around it. Answers the update's id.
    pub fn user_says(&self, chat_id: i64, text: &str) -> i64 {
        self.change(|account| account.receive("message", account::private_message(chat_id, text)))
    }

    /// As [`user_says`](Self::user_says), `seconds` ago.
    pub fn user_said(&self, chat_id: i64, text: &str, seconds: u64) -> i64 {
        self.change(|account| account.receive("message", account::earlier_message(chat_id, text, seconds)))
    }

    /// Somebody writes `text` in a group that the bot is in. Answers the update's id.
    pub fn group_says(&self, chat_id: i64, text: &str) -> i64 {
        self.change(|account| account.receive("message", account::group_message(chat_id, text)))
    }

    /// Somebody posts `text` in a channel that the bot looks after. Answers the update's id.
    pub fn channel_posts(&self, chat_id: i64, text: &str) -> i64 {
        self.change(|account| account.receive("channel_post", account::channel_post(chat_id, text)))
    }

    /// A person changes an earlier message to `text`. Answers the update's id.
    pub fn user_edits(&self, chat_id: i64, text: &str) -> i64 {
        self.change(|account| account.receive("edited_message", account::edited_message(chat_id, text)))
    }

    /// A person sends a sticker. Answers the update's id.
    pub fn user_sends_sticker(&self, chat_id: i64) -> i64 {
        self.change(|account| account.receive("message", account::sticker_message(chat_id)))
    }

    /// A person sends a message with these fields of the Bot API, in a private chat. Answers the update's id.
    pub fn user_sends(&self, chat_id: i64, content: Value) -> i64 {
        self.change(|account| account.receive("message", account::message_with(chat_id, content)))
    }

    /// A topic of any chat is deleted: sending to it fails from now on.
    pub fn delete_topic(&self, thread: i64) {
        self.change(|account| account.deleted_threads.insert(thread));
    }

    /// From now on this person's app is set to the language with this tag.
    pub fn user_speaks(&self, chat_id: i64, language: &str) {
        self.change(|account| account.set_language(chat_id, language));
    }

    /// A person presses the button called `label` under a message of the bot's, and waits for the answer, which this answers.
    ///
    /// # Errors
    ///
    /// When there is no such button, or no answer within 30 seconds.
    pub async fn press(&self, chat_id: i64, message_id: i64, label: &str) -> anyhow::Result<CallbackAnswer> {
        let (query_id, _) = self.begin_press(chat_id, message_id, label)?;
        let mut answer = None;
        self.wait("an answer to a press", |account| {
            answer = account.presses.get(&query_id).cloned().flatten();
            answer.is_some()
        })
        .await?;
        answer.context("the answer was there")
    }

    /// As [`press`](Self::press), without waiting. Answers the press's id and the update's.
    ///
    /// # Errors
    ///
    /// When there is no such button.
    pub fn begin_press(&self, chat_id: i64, message_id: i64, label: &str) -> anyhow::Result<(String, i64)> {
        self.change(|account| account.press(chat_id, message_id, label)).context("there is no such button")
    }

    /// What stands in a chat now, oldest first.
    #[must_use]
    pub fn messages(&self, chat_id: i64) -> Vec<Message> {
        self.read(|account| {
            let chat = account.messages.range((chat_id, i64::MIN)..=(chat_id, i64::MAX));
            chat.map(|(_, message)| message.clone()).collect()
        })
    }

    /// Waits until what stands in a chat `is_so`.
    ///
    /// # Errors
    ///
    /// When it is not within 30 seconds.
    pub async fn wait_for_messages(&self, chat_id: i64, is_so: impl Fn(&[Message]) -> bool) -> anyhow::Result<()> {
        self.wait("a change in a chat", |account| {
            let chat = account.messages.range((chat_id, i64::MIN)..=(chat_id, i64::MAX));
            is_so(&chat.map(|(_, message)| message.clone()).collect::<Vec<_>>())
        })
        .await
    }

    /// The menu of commands for a language: names and descriptions. `""` is for all that have none of their own.
    #[must_use]
    pub fn commands(&self, language: &str) -> Vec<(String, String)> {
        self.read(|account| account.commands.get(language).cloned().unwrap_or_default())
    }

    /// Puts any update into the bot's queue: `{"message": {…}}`. Its `update_id` is filled in unless it has one.
    /// `allowed_updates` is not asked. Answers the update's id.
    pub fn push_update(&self, update: Value) -> i64 {
        self.change(|account| account.push(update))
    }

    /// From now on sending to `chat_id` fails with 403.
    pub fn user_blocks(&self, chat_id: i64) {
        self.change(|account| account.blocked.insert(chat_id));
    }

    /// Takes [`user_blocks`](Self::user_blocks) back.
    pub fn user_unblocks(&self, chat_id: i64) {
        self.change(|account| account.blocked.remove(&chat_id));
    }

    /// The first reply in `chat_id` that no `next_reply` has answered yet; waits for it.
    ///
    /// # Errors
    ///
    /// When none comes within 30 seconds.
    pub async fn next_reply(&self, chat_id: i64) -> anyhow::Result<Reply> {
        let mut next = None;
        self.wait("a reply", |account| {
            next = account.next_reply(chat_id);
            next.is_some()
        })
        .await?;
        next.context("the reply was there")
    }

    /// Everything the bot sent to `chat_id` so far, oldest first.
    #[must_use]
    pub fn replies(&self, chat_id: i64) -> Vec<Reply> {
        self.read(|account| account.replies.iter().filter(|reply| reply.chat_id == chat_id).cloned().collect())
    }

    /// The ids of the updates that are not confirmed yet.
    #[must_use]
    pub fn pending_updates(&self) -> Vec<i64> {
        self.read(|account| account.updates.keys().copied().collect())
    }

    /// The highest id that was confirmed, of the updates there have been.
    #[must_use]
    pub fn confirmed_up_to(&self) -> Option<i64> {
        self.read(|account| account.confirmed_up_to)
    }

    /// Waits until update `id`, and with it all before it, is confirmed.
    ///
    /// # Errors
    ///
    /// When it is not within 30 seconds.
    pub async fn wait_until_confirmed(&self, id: i64) -> anyhow::Result<()> {
        self.wait("a confirmation", |account| account.confirmed_up_to >= Some(id)).await
    }

    /// Waits until no update waits for its confirmation.
    ///
    /// # Errors
    ///
    /// When some still do after 30 seconds.
    pub async fn wait_until_all_confirmed(&self) -> anyhow::Result<()> {
        self.wait("all confirmations", |account| account.updates.is_empty()).await
    }

    /// The parameters of the calls of `method` (in any case) so far, oldest first, failed ones included.
    #[must_use]
    pub fn calls(&self, method: &str) -> Vec<Value> {
        self.read(|account| account.calls_of(method))
    }

    /// Waits until `method` was called `times` times since the start.
    ///
    /// # Errors
    ///
    /// When it was not within 30 seconds.
    pub async fn wait_for_calls(&self, method: &str, times: usize) -> anyhow::Result<()> {
        self.wait("a call", |account| account.count_calls_of(method) >= times).await
    }

    /// Lets the next `times` calls of `method` fail. Faults of one method queue up.
    pub fn fail_next(&self, method: &str, times: usize, fault: Fault) {
        self.change(|account| {
            let queue = account.faults.entry(method.to_lowercase()).or_default();
            queue.extend(std::iter::repeat_n(fault, times));
        });
    }

    /// Takes back what is left of [`fail_next`](Self::fail_next).
    pub fn clear_faults(&self, method: &str) {
        self.change(|account| account.faults.remove(&method.to_lowercase()));
    }

    /// Sets a webhook, as another program would. Updates are not delivered to it.
    pub fn set_webhook(&self, url: &str) {
        self.change(|account| account.webhook = Some(Webhook::foreign(url)));
    }

    /// The webhook's address, if one is set.
    #[must_use]
    pub fn webhook(&self) -> Option<String> {
        self.read(|account| account.webhook.as_ref().map(|webhook| webhook.url.clone()))
    }

    /// The secret of the webhook, if it has one.
    #[must_use]
    pub fn webhook_secret(&self) -> Option<String> {
        self.read(|account| account.webhook.as_ref()?.secret.clone())
    }

    /// From now on setWebhook fails with 400, whatever it asks for, or not any more.
    pub fn reject_webhooks(&self, is_refused: bool) {
        self.change(|account| account.rejects_webhooks = is_refused);
    }

    /// Lets something go wrong with the next `times` times that an update is brought to the webhook.
    pub fn fail_next_deliveries(&self, times: usize, fault: DeliveryFault) {
        self.change(|account| account.delivery_faults.extend(std::iter::repeat_n(fault, times)));
    }

    /// The updates that were brought to the webhook so far, each as often as it was tried.
    #[must_use]
    pub fn deliveries(&self) -> Vec<i64> {
        self.read(|account| account.deliveries.clone())
    }

    /// Waits until updates were brought to the webhook so many `times`, with success or without.
    ///
    /// # Errors
    ///
    /// When they were not within 30 seconds.
    pub async fn wait_for_deliveries(&self, times: usize) -> anyhow::Result<()> {
        self.wait("a delivery", |account| account.deliveries.len() >= times).await
    }

    /// From now on updates come newest first, and those of one chat to a webhook at the same time.
    pub fn deliver_out_of_order(&self) {
        self.change(|account| account.is_out_of_order = true);
    }

    /// From now on an update is forgotten as soon as the bot has it, as if the bot confirmed it before it is handled: a control, with
    /// which updates are lost when the bot dies.
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

    async fn wait(&self, what: &str, mut is_so: impl FnMut(&mut Account) -> bool) -> anyhow::Result<()> {
        let mut changes = self.server.state.changes();
        let waiting = async {
            loop {
                changes.borrow_and_update();
                if self.accounts().get_mut(&self.token).is_some_and(&mut is_so) {
                    return Ok(());
                }
                changes.changed().await.context("the fake Bot API is gone")?;
            }
        };
        tokio::time::timeout(TIMEOUT, waiting).await.with_context(|| format!("waited in vain for {what}"))?
    }

    fn accounts(&self) -> MutexGuard<'_, server::Accounts> {
        self.server.state.lock()
    }
}
