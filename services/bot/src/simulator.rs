//! A simulated chat with the handlers of the bot, without Telegram, for users without a bot.
//!
//! `POST /simulator` accepts a `Message` or a `CallbackQuery` in the format of `wire.rs`, and returns the list of the
//! bot's actions. It is off without `--simulator`, and requires a token, because its callers store and view messages
//! without any rate limit.
//!
//! The address of the peer proves nothing: behind a reverse proxy on the same machine, all requests come from the
//! loopback interface, with or without a header. So the simulator requires a token, as Jupyter does. The URL of the
//! page holds it in the fragment, which browsers do not send. The page sends it in `Mayfly-Authorization`, which no
//! other site can add. Programs may send it in `Authorization`.

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
use mayfly_bootstrap::{Secret, audit};
use mayfly_contracts::{StoreChannel, parse_bearer};
use serde_json::Value;
use subtle::ConstantTimeEq as _;
use tokio_util::sync::CancellationToken;
use tonic::metadata::AsciiMetadataValue;
use url::Url;

use self::wire::PostedEvent;
use crate::{
    bot_key::BotKey,
    conversation::{self, context::Context, event::ChatEvent, reply::Reply, texts::Phrase},
    error::BotError,
    store_client::{ShuttingDown, StoreClient, StoreOutage},
    timeouts::Timeouts,
};

/// Some programs write it at the start of a UTF-8 text.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The path of the simulator.
const PATH: &str = "/simulator";

/// The user name of the simulated bot. It is invalid at Telegram, so links to it lead nowhere. The page follows them
/// itself.
const BOT_NAME: &str = "-";

/// The bot of the simulated chat.
pub(crate) struct Simulator {
    context: Context,
    token: Secret,
    /// The id of the last update. Each request is an update of its own.
    updates: AtomicU32,
}

impl Simulator {
    /// Creates a simulator with a random key, so that its request ids never collide with those of other processes.
    pub(crate) fn new(
        store: StoreChannel,
        authorization: AsciiMetadataValue,
        outage: StoreOutage,
        timeouts: &Timeouts,
        public_url: Option<Url>,
        token: Secret,
        stop: CancellationToken,
    ) -> Result<Self, BotError> {
        let bot_key = BotKey::random().map_err(|_| BotError::Randomness)?;
        // A user waits for the response.
        let timeouts = Timeouts { store_timeout: timeouts.simulator_store_timeout, ..timeouts.clone() };
        let store = StoreClient::new(store, authorization, outage, timeouts, stop);
        let context = Context { store, bot_key, bot_name: Some(BOT_NAME.to_owned()), public_url };
        Ok(Self { context, token, updates: AtomicU32::new(0) })
    }

    async fn reply_to(&self, event: &ChatEvent) -> Result<Reply, ShuttingDown> {
        let reply = match AssertUnwindSafe(conversation::handle(&self.context, event)).catch_unwind().await {
            Ok(reply) => reply?,
            Err(_) => Reply::message(event.language.text(Phrase::InternalError), "panicked"),
        };
        // Before the response, unlike with Telegram: a user who views a text twice must see that the second view fails.
        if let Some(acknowledgement) = reply.acknowledge_after_send.clone() {
            self.context.store.acknowledge_view(acknowledgement).await;
        }
        tracing::info!(request = event.name(), outcome = reply.outcome, "served a simulated update");
        Ok(reply)
    }
}

/// The route of the simulator, with authentication.
pub(crate) fn router(simulator: Simulator) -> Router {
    let simulator = Arc::new(simulator);
    Router::new()
        .route(PATH, post(simulate).layer(middleware::from_fn(check_encoding)))
        .route_layer(middleware::from_fn_with_state(Arc::clone(&simulator), require_token))
        .with_state(simulator)
}

async fn require_token(State(simulator): State<Arc<Simulator>>, request: Request, next: Next) -> Response {
    let authorization = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = authorization.and_then(parse_bearer).unwrap_or_default();
    if token.as_bytes().ct_eq(simulator.token.expose().as_bytes()).into() {
        return next.run(request).await;
    }
    if authorization.is_some() {
        audit::refused("simulator.authenticate", audit::Actor::Unknown, "unknown token");
    }
    let challenge = [(header::WWW_AUTHENTICATE, "Bearer")];
    (StatusCode::UNAUTHORIZED, challenge, "the simulator needs its token, which is in simulator.token\n")
        .into_response()
}

/// Rejects a body that is not UTF-8 with a clear error. The error of the JSON parser would be misleading.
async fn check_encoding(request: Request, next: Next) -> Response {
    let encoding =
        request.headers().get(header::CONTENT_ENCODING).map(|encoding| encoding.to_str().unwrap_or_default());
    if let Some(encoding) = encoding.filter(|encoding| !encoding.eq_ignore_ascii_case("identity")) {
        let detail = format!("the body must come without a content encoding, not as {encoding}\n");
        return (StatusCode::UNSUPPORTED_MEDIA_TYPE, detail).into_response();
    }
    let (parts, body) = request.into_parts();
    // The process limits the size of the body.
    let Ok(body) = axum::body::to_bytes(body, usize::MAX).await else {
        return (StatusCode::BAD_REQUEST, "the body did not arrive whole\n").into_response();
    };
    // JSON contains no zero bytes. UTF-16 has one beside each ASCII character.
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
    let Some(event) = posted.update(update_id).as_ref().and_then(ChatEvent::parse) else {
        // The bot ignores groups, other bots and so on.
        return Json(Vec::<Value>::new()).into_response();
    };
    // In a separate task, so that a disconnected browser leaves nothing half-done.
    let result = tokio::spawn(async move { simulator.reply_to(&event).await }).await;
    match result {
        Ok(Ok(reply)) => Json(posted.into_actions(reply)).into_response(),
        Ok(Err(ShuttingDown)) | Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "the bot is stopping\n").into_response(),
    }
}
