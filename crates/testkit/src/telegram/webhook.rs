//! Bringing updates to a webhook: one after the other within a chat, again and again until there is a 200.
//!
//! The rules are those of Telegram's own server (tdlib/telegram-bot-api, `WebhookActor.cpp`): the next update of a chat follows when
//! the last was answered with 2xx; what failed is brought again after `Retry-After`, or else after a pause that doubles. Here the first
//! pause is shorter, so that tests need not wait.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use reqwest::{Client, StatusCode, header::RETRY_AFTER};
use serde_json::{Value, json};
use tokio::{
    io::AsyncWriteExt as _,
    net::TcpStream,
    task::JoinSet,
    time::{Instant, sleep_until},
};

use super::{
    DeliveryFault,
    account::{Account, joined},
    methods::{Outcome, Refusal},
    params::Params,
    server::World,
};

const SECRET_HEADER: &str = "x-telegram-bot-api-secret-token";
const ANSWER_LIMIT: Duration = Duration::from_secs(60);
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// A webhook that is set.
#[derive(Clone)]
pub(super) struct Webhook {
    pub(super) url: String,
    pub(super) secret: Option<String>,
    pub(super) max_connections: usize,
    /// When bringing an update failed, in seconds since 1970.
    pub(super) last_error_date: Option<u64>,
    /// Counts how often a webhook was set: whoever brings updates stops when it is not theirs any more.
    generation: u64,
}

impl Webhook {
    /// A webhook that nobody brings anything to.
    pub(super) fn elsewhere(url: &str) -> Self {
        Self { url: url.to_owned(), secret: None, max_connections: 40, last_error_date: None, generation: 0 }
    }
}

/// setWebhook.
pub(super) fn set(world: &World, token: &str, account: &mut Account, params: &Params) -> Outcome {
    let url = params.text("url").unwrap_or_default().to_owned();
    if params.flag("drop_pending_updates") {
        account.updates.clear();
    }
    if url.is_empty() {
        account.webhook = None;
        return Ok(json!(true));
    }
    if !url.starts_with("http") || account.refuses_webhooks {
        return Err(Refusal::new(400, "Bad Request: bad webhook: An HTTPS URL must be provided for webhook"));
    }
    let max_connections = params.number("max_connections").unwrap_or(40);
    let max_connections = usize::try_from(max_connections).ok().filter(|count| (1..=100).contains(count));
    let max_connections =
        max_connections.ok_or_else(|| Refusal::new(400, "Bad Request: max_connections must be from 1 to 100"))?;
    let secret = params.text("secret_token").map(str::to_owned);
    let is_plain = |secret: &String| {
        (1..=256).contains(&secret.len())
            && secret.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
    };
    if !secret.as_ref().is_none_or(is_plain) {
        return Err(Refusal::new(400, "Bad Request: secret token contains unallowed characters"));
    }
    account.allow_updates(params);
    account.webhooks_set += 1;
    let generation = account.webhooks_set;
    account.webhook = Some(Webhook { url, secret, max_connections, last_error_date: None, generation });
    tokio::spawn(bring(world.clone(), token.to_owned(), generation));
    Ok(json!(true))
}

/// getWebhookInfo.
pub(super) fn info(account: &Account) -> Value {
    let Some(Webhook { url, max_connections, last_error_date, .. }) = &account.webhook else {
        return json!({ "url": "", "has_custom_certificate": false, "pending_update_count": account.updates.len() });
    };
    let mut info = json!({
        "url": url,
        "has_custom_certificate": false,
        "pending_update_count": account.updates.len(),
        "max_connections": max_connections,
    });
    if let Some(kinds) = &account.allowed_updates {
        info = joined(info, json!({ "allowed_updates": kinds }));
    }
    if let Some(date) = last_error_date {
        let message = "Wrong response from the webhook: 503 Service Unavailable";
        info = joined(info, json!({ "last_error_date": date, "last_error_message": message }));
    }
    info
}

/// How bringing an update ended.
struct Brought {
    queue: i64,
    id: i64,
    /// When not with success: how long to wait, if that was said.
    again_after: Result<(), Option<Duration>>,
    /// Whether the bot began with it.
    has_arrived: bool,
}

/// What the updates of one chat wait for.
#[derive(Default)]
struct Queue {
    fails: u32,
    not_before: Option<Instant>,
}

async fn bring(world: World, token: String, generation: u64) {
    let client = Client::builder().timeout(ANSWER_LIMIT).build().unwrap_or_default();
    let mut changes = world.changes();
    let mut queue_of: HashMap<i64, i64> = HashMap::new();
    let mut queues: HashMap<i64, Queue> = HashMap::new();
    let mut busy: HashSet<i64> = HashSet::new();
    let mut on_the_way = JoinSet::new();
    loop {
        changes.borrow_and_update();
        let now = Instant::now();
        let mut next_try: Option<Instant> = None;
        {
            let mut accounts = world.lock();
            let Some(account) = accounts.get_mut(&token) else { return };
            let Some(webhook) = account.webhook.clone().filter(|webhook| webhook.generation == generation) else {
                return;
            };
            let in_disorder = account.in_disorder;
            let mut seen = HashSet::new();
            let ids: Vec<i64> = account.updates.keys().copied().collect();
            let ids: Box<dyn Iterator<Item = i64>> =
                if in_disorder { Box::new(ids.into_iter().rev()) } else { Box::new(ids.into_iter()) };
            for id in ids {
                if on_the_way.len() >= webhook.max_connections {
                    break;
                }
                let Some(update) = account.updates.get(&id) else { continue };
                // In disorder each update is a queue of its own.
                let queue = if in_disorder { id } else { *queue_of.entry(id).or_insert_with(|| queue_key(update, id)) };
                if busy.contains(&queue) || !seen.insert(queue) {
                    continue;
                }
                if let Some(not_before) =
                    queues.get(&queue).and_then(|queue| queue.not_before).filter(|time| *time > now)
                {
                    next_try = Some(next_try.map_or(not_before, |next| next.min(not_before)));
                    continue;
                }
                busy.insert(queue);
                account.deliveries.push(id);
                let fault = account.delivery_faults.pop_front();
                on_the_way.spawn(bring_one(client.clone(), webhook.clone(), update.clone(), queue, id, fault));
            }
        }
        let brought = tokio::select! {
            _ = changes.changed() => continue,
            () = async { match next_try { Some(time) => sleep_until(time).await, None => std::future::pending().await } } => continue,
            Some(Ok(brought)) = on_the_way.join_next() => brought,
        };
        busy.remove(&brought.queue);
        let is_forgotten =
            brought.has_arrived && world.lock().get(&token).is_some_and(|account| account.forgets_on_arrival);
        match brought.again_after {
            _ if is_forgotten => {
                if let Some(account) = world.lock().get_mut(&token) {
                    account.forget(brought.id);
                }
            }
            Ok(()) => {
                queues.remove(&brought.queue);
                queue_of.remove(&brought.id);
                if let Some(account) = world.lock().get_mut(&token) {
                    account.forget(brought.id);
                }
            }
            Err(said) => {
                let queue = queues.entry(brought.queue).or_default();
                let doubled = FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(queue.fails)).min(LONGEST_PAUSE);
                queue.fails += 1;
                queue.not_before = Some(Instant::now() + said.unwrap_or(doubled));
                if let Some(webhook) = world.lock().get_mut(&token).and_then(|account| account.webhook.as_mut()) {
                    webhook.last_error_date = Some(super::account::now());
                }
            }
        }
        world.notify();
    }
}

fn queue_key(update: &Value, id: i64) -> i64 {
    let places = ["/message/chat/id", "/edited_message/chat/id", "/channel_post/chat/id", "/callback_query/from/id"];
    places.iter().find_map(|place| update.pointer(place)?.as_i64()).unwrap_or(-id)
}

async fn bring_one(
    client: Client,
    webhook: Webhook,
    update: Value,
    queue: i64,
    id: i64,
    fault: Option<DeliveryFault>,
) -> Brought {
    let post = || {
        let request = client.post(&webhook.url).json(&update);
        match &webhook.secret {
            Some(secret) => request.header(SECRET_HEADER, secret),
            None => request,
        }
    };
    let mut has_arrived = false;
    let again_after = match fault {
        None => {
            let answer = post().send().await;
            // Broken off in the middle.
            has_arrived = answer.as_ref().is_err_and(|error| !error.is_connect());
            outcome(answer)
        }
        Some(DeliveryFault::Twice) => {
            let (first, second) = tokio::join!(post().send(), post().send());
            outcome(first).and(outcome(second))
        }
        Some(DeliveryFault::LoseAnswer) => {
            let _lost = post().send().await;
            Err(None)
        }
        Some(DeliveryFault::Cut) => {
            cut(&webhook, &update).await;
            Err(None)
        }
    };
    Brought { queue, id, again_after, has_arrived }
}

fn outcome(answer: reqwest::Result<reqwest::Response>) -> Result<(), Option<Duration>> {
    let Ok(answer) = answer else { return Err(None) };
    let after = || answer.headers().get(RETRY_AFTER)?.to_str().ok()?.parse().ok().map(Duration::from_secs);
    if StatusCode::is_success(&answer.status()) { Ok(()) } else { Err(after()) }
}

/// Sends the whole request and hangs up.
async fn cut(webhook: &Webhook, update: &Value) {
    let Some((host, path)) = webhook.url.strip_prefix("http://").and_then(|rest| rest.split_once('/')) else { return };
    let Ok(mut connection) = TcpStream::connect(host).await else { return };
    let (body, secret) = (update.to_string(), webhook.secret.as_deref().unwrap_or_default());
    let head = format!(
        "POST /{path} HTTP/1.1\r\nhost: {host}\r\n{SECRET_HEADER}: {secret}\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    // Whether it got there is not known to who hangs up.
    let _ = connection.write_all(format!("{head}{body}").as_bytes()).await;
    let _ = connection.shutdown().await;
}
