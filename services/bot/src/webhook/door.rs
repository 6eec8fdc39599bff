//! The route that Telegram brings updates to.
//!
//! Who does not know the secret gets nothing read and nothing done. What comes in is never logged, not even when it is
//! nonsense.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    Router,
    body::to_bytes,
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header::RETRY_AFTER},
    response::{IntoResponse as _, Response},
    routing::post,
};
use mayfly_bootstrap::Secret;
use subtle::ConstantTimeEq as _;
use tokio::{
    sync::{Semaphore, mpsc, oneshot},
    time::timeout,
};

use crate::incoming::Update;

/// Where Telegram puts the secret.
const SECRET_HEADER: &str = "x-telegram-bot-api-secret-token";
/// Far more than any update: a text has at most 4096 characters, and so has the one that it replies to.
const LARGEST_UPDATE: usize = 1 << 20;
/// How long an update may take to arrive once its request has begun.
const ARRIVAL_LIMIT: Duration = Duration::from_secs(10);
/// When Telegram should try again, in seconds.
const TRY_AGAIN_AFTER: &str = "1";

/// The door. Closed until somebody opens it. Clones are the same one.
#[derive(Clone)]
pub(crate) struct Door(Arc<Inner>);

struct Inner {
    /// So many requests may be inside.
    places: Semaphore,
    /// How long a request is held while its update is not handled.
    hold: Duration,
    open: Mutex<Option<Open>>,
}

/// Who comes in, and where to.
#[derive(Clone)]
struct Open {
    secret: Secret,
    deliveries: mpsc::Sender<Delivery>,
}

/// An update that came in.
pub(super) struct Delivery {
    pub update: Update,
    /// Told when the update is handled; dropped when it will not be.
    pub handled: oneshot::Sender<()>,
}

impl Door {
    /// A door for so many requests at once, each held for at most `hold`.
    pub(crate) fn new(places: usize, hold: Duration) -> Self {
        Self(Arc::new(Inner { places: Semaphore::new(places), hold, open: Mutex::default() }))
    }

    /// The route at `path`.
    pub(crate) fn router(&self, path: &str) -> Router {
        Router::new().route(path, post(receive)).with_state(self.clone())
    }

    /// Opens the door for whoever knows `secret`.
    pub(super) fn open(&self, secret: Secret, deliveries: mpsc::Sender<Delivery>) {
        self.set(Some(Open { secret, deliveries }));
    }

    /// Closes it: whoever comes is told to try again.
    pub(super) fn close(&self) {
        self.set(None);
    }

    fn set(&self, open: Option<Open>) {
        *self.0.open.lock().unwrap_or_else(PoisonError::into_inner) = open;
    }

    fn is_open(&self) -> Option<Open> {
        self.0.open.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn receive(State(door): State<Door>, request: Request) -> Response {
    let Some(Open { secret, deliveries }) = door.is_open() else { return try_again() };
    if !knows(&secret, request.headers()) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let Ok(_place) = door.0.places.try_acquire() else { return try_again() };
    let body = match timeout(ARRIVAL_LIMIT, to_bytes(request.into_body(), LARGEST_UPDATE)).await {
        Ok(Ok(body)) => body,
        Ok(Err(_)) => return StatusCode::PAYLOAD_TOO_LARGE.into_response(),
        Err(_) => return StatusCode::REQUEST_TIMEOUT.into_response(),
    };
    let Ok(update) = serde_json::from_slice(&body) else {
        tracing::warn!("something that knows the webhook's secret sent what is no update");
        return StatusCode::BAD_REQUEST.into_response();
    };
    let (handled, is_handled) = oneshot::channel();
    if deliveries.try_send(Delivery { update, handled }).is_err() {
        return try_again();
    }
    match timeout(door.0.hold, is_handled).await {
        Ok(Ok(())) => StatusCode::OK.into_response(),
        // It goes on being handled, if it can be; when Telegram brings it again, that may be done.
        Ok(Err(_)) | Err(_) => try_again(),
    }
}

fn knows(secret: &Secret, headers: &HeaderMap) -> bool {
    let said = headers.get(SECRET_HEADER).map(|value| value.as_bytes()).unwrap_or_default();
    said.ct_eq(secret.expose().as_bytes()).into()
}

fn try_again() -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, TRY_AGAIN_AFTER)]).into_response()
}
