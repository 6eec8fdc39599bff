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

use crate::updates::event::Update;

/// Where Telegram puts the secret.
const SECRET_HEADER: &str = "x-telegram-bot-api-secret-token";
/// Far more than any update: a text has at most 4096 characters, and so has the one that it replies to.
const LARGEST_UPDATE: usize = 1 << 20;
/// How long an update may take to arrive once its request has begun.
const ARRIVAL_LIMIT: Duration = Duration::from_secs(10);
/// When Telegram should try again with what was not taken, in seconds.
const TRY_AGAIN_AFTER: &str = "1";
/// When Telegram should ask again what became of an update in hand, in seconds.
const ASK_AGAIN_AFTER: &str = "2";
/// No request is held shorter than most updates take.
const SHORTEST_HOLD: Duration = Duration::from_millis(250);

/// The door. Closed until somebody opens it. Clones are the same one.
#[derive(Clone)]
pub(crate) struct Door(Arc<Inner>);

struct Inner {
    /// So many requests may be inside.
    places: Semaphore,
    place_count: usize,
    /// How long a request is held while its update is not handled, at most.
    longest_hold: Duration,
    /// How many updates are in hand.
    in_hand: AtomicUsize,
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
    /// A door for so many requests at once, each held for at most `longest_hold`.
    pub(crate) fn new(place_count: usize, longest_hold: Duration) -> Self {
        let places = Semaphore::new(place_count);
        Self(Arc::new(Inner {
            places,
            place_count,
            longest_hold,
            in_hand: AtomicUsize::new(0),
            open: Mutex::default(),
        }))
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

    /// Notes how many updates are in hand.
    pub(super) fn set_in_hand(&self, count: usize) {
        self.0.in_hand.store(count, Ordering::Relaxed);
    }

    /// How long to hold a request now. For the updates in hand that nobody is held for any more, all others wait less: without that,
    /// a thousand of them would take a minute of each connection.
    fn hold(&self) -> Duration {
        let held = self.0.place_count - self.0.places.available_permits();
        let stuck = self.0.in_hand.load(Ordering::Relaxed).saturating_sub(held);
        let share = u32::try_from(stuck).map_or(u32::MAX, |stuck| stuck.saturating_add(1));
        (self.0.longest_hold / share).max(SHORTEST_HOLD).min(self.0.longest_hold)
    }

    fn set(&self, open: Option<Open>) {
        *self.0.open.lock().unwrap_or_else(PoisonError::into_inner) = open;
    }

    fn is_open(&self) -> Option<Open> {
        self.0.open.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn receive(State(door): State<Door>, request: Request) -> Response {
    let Some(Open { secret, deliveries }) = door.is_open() else { return again_after(TRY_AGAIN_AFTER) };
    if !knows(&secret, request.headers()) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let Ok(_place) = door.0.places.try_acquire() else { return again_after(TRY_AGAIN_AFTER) };
    let body = match timeout(ARRIVAL_LIMIT, to_bytes(request.into_body(), LARGEST_UPDATE)).await {
        Ok(Ok(body)) => body,
        Ok(Err(_)) => return StatusCode::PAYLOAD_TOO_LARGE.into_response(),
        Err(_) => return StatusCode::REQUEST_TIMEOUT.into_response(),
    };
    let Some(update) = Update::of_json(&body) else {
        tracing::warn!("something that knows the webhook's secret sent what is no update");
        return StatusCode::BAD_REQUEST.into_response();
    };
    let (handled, is_handled) = oneshot::channel();
    if deliveries.try_send(Delivery { update, handled }).is_err() {
        return again_after(TRY_AGAIN_AFTER);
    }
    match timeout(door.hold(), is_handled).await {
        Ok(Ok(())) => StatusCode::OK.into_response(),
        // It goes on being handled, if it can be; when Telegram brings it again, that may be done.
        Ok(Err(_)) | Err(_) => again_after(ASK_AGAIN_AFTER),
    }
}

fn knows(secret: &Secret, headers: &HeaderMap) -> bool {
    let said = headers.get(SECRET_HEADER).map(|value| value.as_bytes()).unwrap_or_default();
    said.ct_eq(secret.expose().as_bytes()).into()
}

fn again_after(seconds: &'static str) -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, seconds)]).into_response()
}
