//! The HTTP endpoint for updates from Telegram.
//!
//! A request without the secret is rejected before its body is read. Bodies are never logged, not even malformed ones.
//!
//! Telegram has few connections for all chats, and only one after ten seconds without a success. So a request does not
//! wait until its update is handled. It times out, sooner if many updates are in flight without a waiting request, and
//! Telegram redelivers the update to learn its result.

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
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
    routing::post,
};
use mayfly_bootstrap::{
    Secret, audit,
    http::{CallerSource, ListenerInfo, observe},
};
use subtle::ConstantTimeEq as _;
use tokio::{
    sync::{Semaphore, mpsc, oneshot},
    time::timeout,
};

use crate::telegram::update::Update;

/// The header with the secret.
const SECRET_HEADER: &str = "x-telegram-bot-api-secret-token";
/// Much larger than any update: a text and the text that it replies to have at most 4096 characters each.
const MAX_UPDATE_BYTES: usize = 1 << 20;
/// The timeout for the body of a request.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// `Retry-After` for an update that was not accepted, in seconds.
const RETRY_NEW_AFTER: &str = "1";
/// `Retry-After` for an update in flight, in seconds.
const RETRY_IN_FLIGHT_AFTER: &str = "2";
/// The path is a setting, and may be meant as a secret.
const LISTENER: ListenerInfo = ListenerInfo { route: Some("(webhook)"), ..ListenerInfo::http("bot") };
/// Most updates take less time.
const MIN_HOLD: Duration = Duration::from_millis(250);

/// The endpoint. Closed at first. Clones share it.
#[derive(Clone)]
pub(crate) struct WebhookEndpoint(Arc<Inner>);

struct Inner {
    /// Limits the concurrent requests.
    permits: Semaphore,
    permit_count: usize,
    /// The maximum time that a request waits until its update is handled.
    max_hold: Duration,
    /// The number of updates in flight.
    in_flight: AtomicUsize,
    open: Mutex<Option<OpenState>>,
}

/// The secret of the callers, and the receiver of their updates.
#[derive(Clone)]
struct OpenState {
    secret: Secret,
    deliveries: mpsc::Sender<Delivery>,
}

/// An update from a request, and what is notified when the update is handled, or dropped if it is not.
pub(super) type Delivery = (Update, oneshot::Sender<()>);

impl WebhookEndpoint {
    /// Creates an endpoint for `permit_count` concurrent requests, each held for at most `max_hold`.
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
        let router = Router::new().route(path, post(receive)).with_state(self.clone());
        router.layer(middleware::from_fn(async |request: Request, next: Next| {
            observe(&CallerSource::Direct, LISTENER, request, |request| next.run(request)).await
        }))
    }

    /// Accepts requests with `secret`. Returns the receiver of their updates.
    pub(super) fn open(&self, secret: Secret) -> mpsc::Receiver<Delivery> {
        let (deliveries, receiver) = mpsc::channel(self.0.permit_count);
        self.set(Some(OpenState { secret, deliveries }));
        receiver
    }

    /// Rejects all requests with a retry.
    pub(super) fn close(&self) {
        self.set(None);
    }

    /// Records the number of updates in flight.
    pub(super) fn set_in_flight(&self, count: usize) {
        self.0.in_flight.store(count, Ordering::Relaxed);
    }

    /// Returns how long to hold a request now. Divided by the number of updates in flight without a waiting request.
    /// Otherwise a thousand of them would take a minute of each connection.
    fn hold(&self) -> Duration {
        let held = self.0.permit_count - self.0.permits.available_permits();
        let stuck = self.0.in_flight.load(Ordering::Relaxed).saturating_sub(held);
        let waiting = u32::try_from(stuck).map_or(u32::MAX, |stuck| stuck.saturating_add(1));
        (self.0.max_hold / waiting).max(MIN_HOLD).min(self.0.max_hold)
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
        audit::refused("webhook.authenticate", audit::Actor::Unknown, "wrong secret");
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
    if deliveries.try_send((update, handled)).is_err() {
        return retry_after(RETRY_NEW_AFTER);
    }
    match timeout(endpoint.hold(), is_handled).await {
        Ok(Ok(())) => StatusCode::OK.into_response(),
        // The update stays in flight. It may be done when Telegram redelivers it.
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
