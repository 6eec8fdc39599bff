//! A chat with the bot's own handlers, without Telegram: for people who want to try it before they have a bot.
//!
//! `POST /simulator` takes what somebody does, a `Message` or a `CallbackQuery` in the form of `wire.rs`, and answers
//! the list of what the bot does about it. Off unless `--simulator` is given, and then for callers with its token only
//! (`token.rs`): they read and write messages without any limit of Telegram's.

mod token;
mod wire;

use std::{
    panic::AssertUnwindSafe,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use axum::{
    Json, Router,
    extract::{Request, State},
    http::{StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
    routing::post,
};
use futures_util::FutureExt as _;
use mayfly_bootstrap::Secret;
use mayfly_contracts::StoreChannel;
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use url::Url;

use self::{token::Token, wire::PostedEvent};
use crate::{
    bot_key::BotKey,
    conversation::{self, context::Context, event::ChatEvent, reply::Reply, texts::Phrase},
    error::BotError,
    store_client::{ShuttingDown, StoreClient, StoreOutage},
    timeouts::Timeouts,
};

/// Some programs write it before a UTF-8 text.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Where what somebody does is posted to.
const PATH: &str = "/simulator";

/// The simulated bot's name at Telegram. None there can have it, so that links to it lead nowhere; the page follows them itself.
const BOT_NAME: &str = "-";

/// The bot behind the simulated chat.
pub(crate) struct Simulator {
    context: Context,
    token: Token,
    /// The last update's id. Each call is an update of its own.
    updates: AtomicU32,
}

impl Simulator {
    /// A bot that no other process is, since it has a key of its own, and so has what it asks of the store.
    pub(crate) fn new(
        store: StoreChannel,
        outage: StoreOutage,
        timeouts: &Timeouts,
        public_url: Option<Url>,
        token: Secret,
        stop: CancellationToken,
    ) -> Result<Self, BotError> {
        let bot_key = BotKey::random().map_err(|_| BotError::Randomness)?;
        // Whoever tries the bot sits in front of it.
        let timeouts = Timeouts { store_timeout: timeouts.simulator_store_timeout, ..timeouts.clone() };
        let store = StoreClient::new(store, outage, timeouts, stop);
        let context = Context { store, bot_key, bot_name: Some(BOT_NAME.to_owned()), public_url };
        Ok(Self { context, token: Token::new(token), updates: AtomicU32::new(0) })
    }

    async fn answer(&self, event: &ChatEvent) -> Result<Reply, ShuttingDown> {
        let reply = match AssertUnwindSafe(conversation::handle(&self.context, event)).catch_unwind().await {
            Ok(reply) => reply?,
            Err(_) => Reply::message(event.language.text(Phrase::WentWrong), "panicked"),
        };
        // Before the text goes out, other than towards Telegram: who tries whether a text can be read twice must see that it
        // cannot.
        if let Some(acknowledgement) = reply.acknowledge_after_send.clone() {
            self.context.store.acknowledge_view(acknowledgement).await;
        }
        tracing::info!(request = event.name(), outcome = reply.outcome, "served a simulated update");
        Ok(reply)
    }
}

/// The simulator's one route, for callers with the token.
pub(crate) fn router(simulator: Simulator) -> Router {
    Router::new()
        .route(PATH, post(simulate).layer(middleware::from_fn(check_encoding)))
        .route_layer(middleware::from_fn_with_state(simulator.token.clone(), token::require))
        .with_state(Arc::new(simulator))
}

/// Says what is wrong with a body that is no UTF-8, where a parser of JSON would say that it expects another letter.
async fn check_encoding(request: Request, next: Next) -> Response {
    let encoding =
        request.headers().get(header::CONTENT_ENCODING).map(|encoding| encoding.to_str().unwrap_or_default());
    if let Some(encoding) = encoding.filter(|encoding| !encoding.eq_ignore_ascii_case("identity")) {
        let detail = format!("the body must come without a content encoding, not as {encoding}\n");
        return (StatusCode::UNSUPPORTED_MEDIA_TYPE, detail).into_response();
    }
    let (parts, body) = request.into_parts();
    // Within the limits of the process.
    let Ok(body) = axum::body::to_bytes(body, usize::MAX).await else {
        return (StatusCode::BAD_REQUEST, "the body did not arrive whole\n").into_response();
    };
    // JSON has no zero bytes, and UTF-16 has one beside each letter of ASCII.
    if str::from_utf8(&body).is_err() || body.contains(&0) {
        return (StatusCode::BAD_REQUEST, "the body must be UTF-8\n").into_response();
    }
    let body = if body.starts_with(BYTE_ORDER_MARK) { body.slice(BYTE_ORDER_MARK.len()..) } else { body };
    next.run(Request::from_parts(parts, body.into())).await
}

async fn simulate(State(simulator): State<Arc<Simulator>>, Json(posted): Json<Value>) -> Response {
    let Some(posted) = PostedEvent::of(posted) else {
        return (StatusCode::BAD_REQUEST, "this is neither a Message nor a CallbackQuery in the documented form\n")
            .into_response();
    };
    let update_id = simulator.updates.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
    let Some(event) = posted.update(update_id).and_then(ChatEvent::parse) else {
        // Groups, other bots and so on: the bot leaves them alone.
        return Json(Vec::<Value>::new()).into_response();
    };
    // In a task of its own, so that a browser that goes away leaves nothing half done.
    let into_actions = tokio::spawn(async move { simulator.answer(&event).await }).await;
    match into_actions {
        Ok(Ok(answer)) => Json(posted.into_actions(answer)).into_response(),
        Ok(Err(ShuttingDown)) | Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "the bot is stopping\n").into_response(),
    }
}
