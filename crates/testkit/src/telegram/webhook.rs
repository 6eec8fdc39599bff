//! Delivers updates to a webhook: one at a time per chat, and again until a delivery succeeds.
//!
//! The rules are those of Telegram's server (tdlib/telegram-bot-api, `WebhookActor.cpp`). The next update of a chat
//! follows when the last one got a 2xx response. A failed delivery is retried after `Retry-After` or an exponential
//! backoff. The first backoff is shorter than Telegram's, to keep tests fast.

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
    account::{self, Account, Webhook, merged},
    error::{ApiError, ApiResult},
    params::Params,
    state::SharedState,
    types::DeliveryFault,
};

const SECRET_HEADER: &str = "x-telegram-bot-api-secret-token";
const TIMEOUT: Duration = Duration::from_secs(60);
const MIN_BACKOFF: Duration = Duration::from_millis(10);
const MAX_BACKOFF: Duration = Duration::from_millis(500);

/// setWebhook.
pub(super) fn set(state: &SharedState, token: &str, account: &mut Account, params: &Params) -> ApiResult {
    let url = params.text("url").unwrap_or_default().to_owned();
    if params.flag("drop_pending_updates") {
        account.updates.clear();
    }
    if url.is_empty() {
        account.webhook = None;
        return Ok(json!(true));
    }
    if !url.starts_with("http") || account.rejects_webhooks {
        return Err(ApiError::new(400, "Bad Request: bad webhook: An HTTPS URL must be provided for webhook"));
    }
    let max_connections = params.number("max_connections").unwrap_or(40);
    let max_connections = usize::try_from(max_connections).ok().filter(|count| (1..=100).contains(count));
    let max_connections =
        max_connections.ok_or_else(|| ApiError::new(400, "Bad Request: max_connections must be from 1 to 100"))?;
    let secret = params.text("secret_token").map(str::to_owned);
    let is_plain = |secret: &String| {
        (1..=256).contains(&secret.len())
            && secret.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
    };
    if !secret.as_ref().is_none_or(is_plain) {
        return Err(ApiError::new(400, "Bad Request: secret token contains unallowed characters"));
    }
    account.allow_updates(params);
    account.webhooks_set += 1;
    let generation = account.webhooks_set;
    account.webhook = Some(Webhook { url, secret, max_connections, last_error_date: None, generation });
    tokio::spawn(deliver(state.clone(), token.to_owned(), generation));
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
        info = merged(info, json!({ "allowed_updates": kinds }));
    }
    if let Some(date) = last_error_date {
        let message = "Wrong response from the webhook: 503 Service Unavailable";
        info = merged(info, json!({ "last_error_date": date, "last_error_message": message }));
    }
    info
}

/// The result of a delivery attempt.
struct Delivery {
    queue: i64,
    id: i64,
    /// The error is the pause that the bot asked for, if any.
    result: Result<(), Option<Duration>>,
    /// Whether the bot received the update although no response arrived.
    has_arrived: bool,
}

/// The state of the updates of one chat.
#[derive(Default)]
struct Queue {
    failures: u32,
    not_before: Option<Instant>,
}

async fn deliver(state: SharedState, token: String, generation: u64) {
    let client = Client::builder().timeout(TIMEOUT).build().unwrap_or_default();
    let mut changes = state.changes();
    let mut queue_of: HashMap<i64, i64> = HashMap::new();
    let mut queues: HashMap<i64, Queue> = HashMap::new();
    let mut busy: HashSet<i64> = HashSet::new();
    let mut in_flight = JoinSet::new();
    loop {
        changes.borrow_and_update();
        let now = Instant::now();
        let mut next_attempt: Option<Instant> = None;
        {
            let mut accounts = state.lock();
            let Some(account) = accounts.get_mut(&token) else { return };
            let Some(webhook) = account.webhook.clone().filter(|webhook| webhook.generation == generation) else {
                return;
            };
            let is_out_of_order = account.is_out_of_order;
            let mut seen = HashSet::new();
            let ids: Vec<i64> = account.updates.keys().copied().collect();
            let ids: Box<dyn Iterator<Item = i64>> =
                if is_out_of_order { Box::new(ids.into_iter().rev()) } else { Box::new(ids.into_iter()) };
            for id in ids {
                if in_flight.len() >= webhook.max_connections {
                    break;
                }
                let Some(update) = account.updates.get(&id) else { continue };
                // Out of order, each update has its own queue.
                let queue = if is_out_of_order {
                    id
                } else {
                    *queue_of.entry(id).or_insert_with(|| queue_of_update(update, id))
                };
                if busy.contains(&queue) || !seen.insert(queue) {
                    continue;
                }
                if let Some(not_before) =
                    queues.get(&queue).and_then(|queue| queue.not_before).filter(|time| *time > now)
                {
                    next_attempt = Some(next_attempt.map_or(not_before, |next| next.min(not_before)));
                    continue;
                }
                busy.insert(queue);
                account.deliveries.push(id);
                let fault = account.delivery_faults.pop_front();
                in_flight.spawn(deliver_one(client.clone(), webhook.clone(), update.clone(), queue, id, fault));
            }
        }
        let wait = async {
            match next_attempt {
                Some(time) => sleep_until(time).await,
                None => std::future::pending().await,
            }
        };
        let delivery = tokio::select! {
            _ = changes.changed() => continue,
            () = wait => continue,
            Some(Ok(delivery)) = in_flight.join_next() => delivery,
        };
        busy.remove(&delivery.queue);
        let is_confirmed =
            delivery.has_arrived && state.lock().get(&token).is_some_and(|account| account.confirms_on_arrival);
        match delivery.result {
            _ if is_confirmed => {
                if let Some(account) = state.lock().get_mut(&token) {
                    account.confirm(delivery.id);
                }
            }
            Ok(()) => {
                queues.remove(&delivery.queue);
                queue_of.remove(&delivery.id);
                if let Some(account) = state.lock().get_mut(&token) {
                    account.confirm(delivery.id);
                }
            }
            Err(retry_after) => {
                let queue = queues.entry(delivery.queue).or_default();
                let doubled = MIN_BACKOFF.saturating_mul(2_u32.saturating_pow(queue.failures)).min(MAX_BACKOFF);
                queue.failures += 1;
                queue.not_before = Some(Instant::now() + retry_after.unwrap_or(doubled));
                if let Some(webhook) = state.lock().get_mut(&token).and_then(|account| account.webhook.as_mut()) {
                    webhook.last_error_date = Some(account::now());
                }
            }
        }
        state.notify();
    }
}

fn queue_of_update(update: &Value, id: i64) -> i64 {
    let paths = ["/message/chat/id", "/edited_message/chat/id", "/channel_post/chat/id", "/callback_query/from/id"];
    paths.iter().find_map(|path| update.pointer(path)?.as_i64()).unwrap_or(-id)
}

async fn deliver_one(
    client: Client,
    webhook: Webhook,
    update: Value,
    queue: i64,
    id: i64,
    fault: Option<DeliveryFault>,
) -> Delivery {
    let post = || {
        let request = client.post(&webhook.url).json(&update);
        match &webhook.secret {
            Some(secret) => request.header(SECRET_HEADER, secret),
            None => request,
        }
    };
    let mut has_arrived = false;
    let result = match fault {
        None => {
            let response = post().send().await;
            // The connection broke after it was established.
            has_arrived = response.as_ref().is_err_and(|error| !error.is_connect());
            delivery_result(response)
        }
        Some(DeliveryFault::Duplicate) => {
            let (first, second) = tokio::join!(post().send(), post().send());
            delivery_result(first).and(delivery_result(second))
        }
        Some(DeliveryFault::LoseResponse) => {
            let _lost = post().send().await;
            Err(None)
        }
        Some(DeliveryFault::Disconnect) => {
            disconnect(&webhook, &update).await;
            Err(None)
        }
    };
    Delivery { queue, id, result, has_arrived }
}

fn delivery_result(response: reqwest::Result<reqwest::Response>) -> Result<(), Option<Duration>> {
    let Ok(response) = response else { return Err(None) };
    let after = || response.headers().get(RETRY_AFTER)?.to_str().ok()?.parse().ok().map(Duration::from_secs);
    if StatusCode::is_success(&response.status()) { Ok(()) } else { Err(after()) }
}

/// Sends the whole request and disconnects.
async fn disconnect(webhook: &Webhook, update: &Value) {
    let Some((host, path)) = webhook.url.strip_prefix("http://").and_then(|rest| rest.split_once('/')) else { return };
    let Ok(mut connection) = TcpStream::connect(host).await else { return };
    let (body, secret) = (update.to_string(), webhook.secret.as_deref().unwrap_or_default());
    let head = format!(
        "POST /{path} HTTP/1.1\r\nhost: {host}\r\n{SECRET_HEADER}: {secret}\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    // Failures do not matter, since the connection closes anyway.
    let _ = connection.write_all(format!("{head}{body}").as_bytes()).await;
    let _ = connection.shutdown().await;
}
