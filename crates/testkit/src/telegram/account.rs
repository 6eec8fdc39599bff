//! The state of one bot at Telegram.

use std::{
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    time::{SystemTime, UNIX_EPOCH},
};

use serde_json::{Value, json};
use tokio::time::Instant;

use super::{
    keyboard,
    params::Params,
    types::{CallbackAnswer, DeliveryFault, Fault, Message, Reply},
};

/// Real update ids do not begin at 1.
const FIRST_UPDATE_ID: i64 = 100_000_001;

/// A bot.
pub(super) struct Account {
    id: i64,
    user_name: String,
    pub(super) is_revoked: bool,
    /// Unconfirmed updates by id.
    pub(super) updates: BTreeMap<i64, Value>,
    next_update_id: i64,
    next_message_id: i64,
    pub(super) confirmed_up_to: Option<i64>,
    /// The kinds of updates that the bot asked for last. `None`: all.
    pub(super) allowed_updates: Option<HashSet<String>>,
    /// The number of the latest poll. Only that poll may continue.
    pub(super) latest_poll: u64,
    pub(super) webhook: Option<Webhook>,
    pub(super) rejects_webhooks: bool,
    /// How often a webhook was set.
    pub(super) webhooks_set: u64,
    /// The updates that Telegram delivered to a webhook, one for each attempt.
    pub(super) deliveries: Vec<i64>,
    pub(super) delivery_faults: VecDeque<DeliveryFault>,
    /// Whether updates arrive newest first, and those of one chat concurrently.
    pub(super) is_out_of_order: bool,
    /// Whether each update is confirmed as soon as it arrives.
    pub(super) confirms_on_arrival: bool,
    /// Chats that wrote to the bot, and groups with the bot.
    pub(super) chats: HashSet<i64>,
    pub(super) blocked: HashSet<i64>,
    /// The end of the flood wait of a chat; `None` stands for all chats.
    pub(super) flood_waits: HashMap<Option<i64>, Instant>,
    /// Deleted topics.
    pub(super) deleted_threads: HashSet<i64>,
    pub(super) replies: Vec<Reply>,
    /// The messages of all chats, by chat and id.
    pub(super) messages: BTreeMap<(i64, i64), Message>,
    /// The callback queries, with their answers.
    pub(super) presses: BTreeMap<String, Option<CallbackAnswer>>,
    /// The languages of the users' apps.
    languages: HashMap<i64, String>,
    /// The menus of commands by language; "" is the default.
    pub(super) commands: BTreeMap<String, Vec<(String, String)>>,
    /// The number of replies per chat that `next_reply` has returned.
    returned_replies: HashMap<i64, usize>,
    /// Methods in lower case, with their parameters.
    pub(super) calls: Vec<(String, Value)>,
    pub(super) faults: HashMap<String, VecDeque<Fault>>,
}

/// The webhook of a bot.
#[derive(Clone)]
pub(super) struct Webhook {
    pub(super) url: String,
    pub(super) secret: Option<String>,
    pub(super) max_connections: usize,
    /// When a delivery failed last, in seconds since 1970.
    pub(super) last_error_date: Option<u64>,
    /// The number of the setWebhook call. Deliveries for an older generation stop.
    pub(super) generation: u64,
}

impl Webhook {
    /// The webhook of another program, without deliveries.
    pub(super) fn foreign(url: &str) -> Self {
        Self { url: url.to_owned(), secret: None, max_connections: 40, last_error_date: None, generation: 0 }
    }
}

impl Account {
    pub(super) fn new(token: &str) -> Self {
        let id = token.split(':').next().and_then(|id| id.parse().ok()).unwrap_or(1);
        Self {
            id,
            user_name: format!("fake_{id}_bot"),
            is_revoked: false,
            updates: BTreeMap::new(),
            next_update_id: FIRST_UPDATE_ID,
            next_message_id: 1,
            confirmed_up_to: None,
            allowed_updates: None,
            latest_poll: 0,
            webhook: None,
            rejects_webhooks: false,
            webhooks_set: 0,
            deliveries: Vec::new(),
            delivery_faults: VecDeque::new(),
            is_out_of_order: false,
            confirms_on_arrival: false,
            chats: HashSet::new(),
            blocked: HashSet::new(),
            flood_waits: HashMap::new(),
            deleted_threads: HashSet::new(),
            replies: Vec::new(),
            messages: BTreeMap::new(),
            presses: BTreeMap::new(),
            languages: HashMap::new(),
            commands: BTreeMap::new(),
            returned_replies: HashMap::new(),
            calls: Vec::new(),
            faults: HashMap::new(),
        }
    }

    /// The result of getMe.
    pub(super) fn me(&self) -> Value {
        let abilities = json!({
            "can_join_groups": true,
            "can_read_all_group_messages": false,
            "supports_inline_queries": false,
            "can_connect_to_business": false,
            "has_main_web_app": false,
        });
        merged(self.user(), abilities)
    }

    fn user(&self) -> Value {
        json!({ "id": self.id, "is_bot": true, "first_name": "Fake", "username": self.user_name })
    }

    /// Adds an update of this kind, unless the bot did not ask for it. Returns its id in any case.
    pub(super) fn receive(&mut self, kind: &str, message: Value) -> i64 {
        let message_id = self.allocate_message_id();
        let mut message = merged(message, json!({ "message_id": message_id }));
        if let Some(chat_id) = message.pointer("/chat/id").and_then(Value::as_i64) {
            self.chats.insert(chat_id);
            if let Some(from) = message.get_mut("from") {
                *from = merged(from.take(), self.language_of(chat_id));
            }
            let text = message.get("text").and_then(Value::as_str).unwrap_or_default().to_owned();
            let thread = message.get("message_thread_id").and_then(Value::as_i64);
            let written =
                Message { message_id, is_from_bot: false, text, reply_markup: None, is_protected: false, thread };
            self.messages.insert((chat_id, message_id), written);
        }
        if self.allowed_updates.as_ref().is_some_and(|kinds| !kinds.contains(kind)) {
            return self.next_update_id;
        }
        self.push(json!({ kind: message }))
    }

    pub(super) fn set_language(&mut self, chat_id: i64, language: &str) {
        self.languages.insert(chat_id, language.to_owned());
    }

    fn language_of(&self, chat_id: i64) -> Value {
        self.languages.get(&chat_id).map_or(json!({}), |language| json!({ "language_code": language }))
    }

    /// Adds a callback query for a button. Returns the id of the query and of the update, or `None` if no such callback
    /// button exists.
    pub(super) fn press(&mut self, chat_id: i64, message_id: i64, label: &str) -> Option<(String, i64)> {
        let pressed = self.messages.get(&(chat_id, message_id))?;
        let button = keyboard::buttons(pressed.reply_markup.as_ref()).find(|button| button["text"] == label)?;
        let data = button.get("callback_data")?.clone();
        let message = merged(
            json!({ "message_id": message_id, "date": now(), "from": self.user(), "chat": chat(chat_id) }),
            json!({ "text": pressed.text, "reply_markup": pressed.reply_markup }),
        );
        let message = match pressed.thread {
            None => message,
            Some(thread) => merged(message, json!({ "message_thread_id": thread, "is_topic_message": true })),
        };
        let query_id = format!("query-{}", self.presses.len() + 1);
        let from = merged(person(chat_id), self.language_of(chat_id));
        let query =
            json!({ "id": query_id, "from": from, "message": message, "chat_instance": "instance", "data": data });
        self.presses.insert(query_id.clone(), None);
        let is_wanted = self.allowed_updates.as_ref().is_none_or(|kinds| kinds.contains("callback_query"));
        let update_id = if is_wanted { self.push(json!({ "callback_query": query })) } else { self.next_update_id };
        Some((query_id, update_id))
    }

    pub(super) fn push(&mut self, update: Value) -> i64 {
        let id = update.get("update_id").and_then(Value::as_i64).unwrap_or(self.next_update_id);
        self.next_update_id = id + 1;
        self.updates.insert(id, merged(update, json!({ "update_id": id })));
        id
    }

    /// Stores the kinds of updates that the bot asks for, if given.
    pub(super) fn allow_updates(&mut self, params: &Params) {
        if let Some(kinds) = params.texts("allowed_updates") {
            self.allowed_updates = (!kinds.is_empty()).then(|| kinds.into_iter().collect());
        }
    }

    /// Removes a delivered update.
    pub(super) fn confirm(&mut self, id: i64) {
        self.updates.remove(&id);
        let all_below = self.updates.keys().next().copied().unwrap_or(self.next_update_id) - 1;
        self.confirmed_up_to = self.confirmed_up_to.max(Some(all_below));
    }

    /// Stores what the bot sent. Returns the message in Telegram's form.
    pub(super) fn send(&mut self, mut reply: Reply, content: Value, reply_markup: Option<Value>) -> Value {
        reply.message_id = self.allocate_message_id();
        let message =
            json!({ "message_id": reply.message_id, "date": now(), "from": self.user(), "chat": chat(reply.chat_id) });
        let protect_content = reply.params.get("protect_content");
        let is_protected = protect_content.is_some_and(|value| *value == json!(true) || *value == json!("true"));
        let text = reply.text.clone();
        let thread = reply.params.get("message_thread_id");
        let thread = thread.and_then(|thread| thread.as_i64().or_else(|| thread.as_str()?.parse().ok()));
        let sent =
            Message { message_id: reply.message_id, is_from_bot: true, text, reply_markup, is_protected, thread };
        self.messages.insert((reply.chat_id, reply.message_id), sent);
        self.replies.push(reply);
        merged(message, content)
    }

    pub(super) fn next_reply(&mut self, chat_id: i64) -> Option<Reply> {
        let seen = self.returned_replies.entry(chat_id).or_default();
        let reply = self.replies.iter().filter(|reply| reply.chat_id == chat_id).nth(*seen)?;
        *seen += 1;
        Some(reply.clone())
    }

    pub(super) fn calls_of(&self, method: &str) -> Vec<Value> {
        let calls = self.calls.iter().filter(|(called, _)| called.eq_ignore_ascii_case(method));
        calls.map(|(_, params)| params.clone()).collect()
    }

    pub(super) fn count_calls_of(&self, method: &str) -> usize {
        self.calls.iter().filter(|(called, _)| called.eq_ignore_ascii_case(method)).count()
    }

    fn allocate_message_id(&mut self) -> i64 {
        let id = self.next_message_id;
        self.next_message_id += 1;
        id
    }
}

pub(super) fn private_message(chat_id: i64, text: &str) -> Value {
    from_person(chat_id, chat(chat_id), json!({ "text": text.trim() }))
}

pub(super) fn earlier_message(chat_id: i64, text: &str, seconds: u64) -> Value {
    merged(private_message(chat_id, text), json!({ "date": now() - seconds }))
}

pub(super) fn edited_message(chat_id: i64, text: &str) -> Value {
    from_person(chat_id, chat(chat_id), json!({ "text": text.trim(), "edit_date": now() }))
}

pub(super) fn group_message(chat_id: i64, text: &str) -> Value {
    let chat = json!({ "id": chat_id, "type": "group", "title": "A group" });
    from_person(chat_id.wrapping_abs(), chat, json!({ "text": text.trim() }))
}

pub(super) fn channel_post(chat_id: i64, text: &str) -> Value {
    let chat = json!({ "id": chat_id, "type": "channel", "title": "A channel" });
    // A channel post has no sender.
    json!({ "date": now(), "sender_chat": chat, "chat": chat, "text": text.trim() })
}

pub(super) fn message_with(chat_id: i64, content: Value) -> Value {
    from_person(chat_id, chat(chat_id), content)
}

pub(super) fn sticker_message(chat_id: i64) -> Value {
    let sticker = json!({
        "file_id": "sticker", "file_unique_id": "sticker", "file_size": 1, "type": "regular",
        "width": 512, "height": 512, "is_animated": false, "is_video": false, "emoji": "👋",
    });
    from_person(chat_id, chat(chat_id), json!({ "sticker": sticker }))
}

fn from_person(user_id: i64, chat: Value, content: Value) -> Value {
    let message = json!({
        "date": now(),
        "from": person(user_id),
        "chat": chat,
    });
    merged(message, content)
}

fn person(user_id: i64) -> Value {
    json!({ "id": user_id, "is_bot": false, "first_name": "Ann" })
}

/// An object with the fields of both.
pub(super) fn merged(mut one: Value, other: Value) -> Value {
    if let (Some(one), Value::Object(other)) = (one.as_object_mut(), other) {
        one.extend(other);
    }
    one
}

fn chat(chat_id: i64) -> Value {
    json!({ "id": chat_id, "type": "private", "first_name": "Ann" })
}

pub(super) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
