//! The route that Telegram brings updates to.
//!
//! Who does not know the secret gets nothing read and nothing done. What comes in is never logged, not even when it is
//! nonsense.
//!
//! Telegram has few connections for all chats, and after ten seconds without a success only one. So a request is not held until
//! its update is handled, however long that takes: it gives way to others, sooner when many updates are in hand that nobody is held for,
//! and Telegram brings the update again to hear what became of it.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
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

use crate::telegram::update::Update;

/// Where Telegram puts the secret.
const SECRET_HEADER: &str = "x-telegram-bot-api-secret-token";
/// Far more than any update: a text has at most 4096 characters, and so has the one that it replies to.
const MAX_UPDATE_BYTES: usize = 1 << 20;
/// How long an update may take to arrive once its request has begun.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// When Telegram should try again with what was not taken, in seconds.
const RETRY_NEW_AFTER: &str = "1";
/// When Telegram should ask again what became of an update in hand, in seconds.
const RETRY_IN_FLIGHT_AFTER: &str = "2";
/// No request is held shorter than most updates take.
const MIN_HOLD: Duration = Duration::from_millis(250);

/// The door. Closed until somebody opens it. Clones are the same one.
#[derive(Clone)]
pub(crate) struct WebhookEndpoint(Arc<Inner>);

struct Inner {
    /// So many requests may be inside.
    permits: Semaphore,
    permit_count: usize,
    /// How long a request is held while its update is not handled, at most.
    max_hold: Duration,
    /// How many updates are in hand.
    in_flight: AtomicUsize,
    open: Mutex<Option<OpenState>>,
}

/// Who comes in, and where to.
#[derive(Clone)]
struct OpenState {
    secret: Secret,
    deliveries: mpsc::Sender<Delivery>,
}

/// An update that came in.
pub(super) struct Delivery {
    pub update: Update,
    /// Told when the update is handled; dropped when it will not be.
    pub handled: oneshot::Sender<()>,
}

impl WebhookEndpoint {
    /// A door for so many requests at once, each held for at most `max_hold`.
    pub(crate) fn new(permit_count: usize, max_hold: Duration) -> Self {
        let permits = Semaphore::new(permit_count);
        Self(Arc::new(Inner {
            permits,
            permit_count,
            max_hold,
            in_flight: AtomicUsize::new(0),
            open: Mutex::default(),
        }))
    }

    /// The route at `path`.
    pub(crate) fn router(&self, path: &str) -> Router {
        Router::new().route(path, post(receive)).with_state(self.clone())
    }

    /// Opens the door for whoever knows `secret`.
    pub(super) fn open(&self, secret: Secret, deliveries: mpsc::Sender<Delivery>) {
        self.set(Some(OpenState { secret, deliveries }));
    }

    /// Closes it: whoever comes is told to try again.
    pub(super) fn close(&self) {
        self.set(None);
    }

    /// Notes how many updates are in hand.
    pub(super) fn set_in_flight(&self, count: usize) {
        self.0.in_flight.store(count, Ordering::Relaxed);
    }

    /// How long to hold a request now. For the updates in hand that nobody is held for any more, all others wait less: without that,
    /// a thousand of them would take a minute of each connection.
    fn hold(&self) -> Duration {
        let held = self.0.permit_count - self.0.permits.available_permits();
        let stuck = self.0.in_flight.load(Ordering::Relaxed).saturating_sub(held);
        let share = u32::try_from(stuck).map_or(u32::MAX, |stuck| stuck.saturating_add(1));
        (self.0.max_hold / share).max(MIN_HOLD).min(self.0.max_hold)
    }

    fn set(&self, open: Option<OpenState>) {
        *self.0.open.lock().unwrap_or_else(PoisonError::into_inner) = open;
    }

    fn is_open(&self) -> Option<OpenState> {
        self.0.open.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn receive(State(endpoint): State<WebhookEndpoint>, request: Request) -> Response {
    let Some(OpenState { secret, deliveries }) = endpoint.is_open() else { return retry_after(RETRY_NEW_AFTER) };
    if !has_secret(&secret, request.headers()) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let Ok(_permit) = endpoint.0.permits.try_acquire() else { return retry_after(RETRY_NEW_AFTER) };
    let body = match timeout(BODY_TIMEOUT, to_bytes(request.into_body(), MAX_UPDATE_BYTES)).await {
        Ok(Ok(body)) => body,
        Ok(Err(_)) => return StatusCode::PAYLOAD_TOO_LARGE.into_response(),
        Err(_) => return StatusCode::REQUEST_TIMEOUT.into_response(),
    };
    let Some(update) = Update::from_json(&body) else {
        tracing::warn!("something that knows the webhook's secret sent what is no update");
        return StatusCode::BAD_REQUEST.into_response();
    };
    let (handled, is_handled) = oneshot::channel();
    if deliveries.try_send(Delivery { update, handled }).is_err() {
        return retry_after(RETRY_NEW_AFTER);
    }
    match timeout(endpoint.hold(), is_handled).await {
        Ok(Ok(())) => StatusCode::OK.into_response(),
        // It goes on being handled, if it can be; when Telegram brings it again, that may be done.
        Ok(Err(_)) | Err(_) => retry_after(RETRY_IN_FLIGHT_AFTER),
    }
}

fn has_secret(secret: &Secret, headers: &HeaderMap) -> bool {
    let received = headers.get(SECRET_HEADER).map(|value| value.as_bytes()).unwrap_or_default();
    received.ct_eq(secret.expose().as_bytes()).into()
}

fn retry_after(seconds: &'static str) -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, seconds)]).into_response()
}
