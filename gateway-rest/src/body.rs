//! Request bodies: forms, JSON objects and multipart forms, all turned into the same fields.

use std::{sync::Arc, time::Duration};

use axum::{
    body::{Body, Bytes},
    extract::{FromRequest as _, Multipart, Request},
    http::{StatusCode, header},
};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde_json::{Map, Value};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::problem::Problem;

/// JSON writes a byte as six characters at worst (`\u001f`), a form as three (`%1f`).
const WORST_ENCODING: usize = 6;
/// Room for field names, ids, tokens and the borders of multipart forms.
const SLACK: usize = 16 * 1024;
/// How long a body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// How much of all bodies is in hand at once: what has arrived of calls that are not answered yet.
const ROOM: usize = 64 << 20;

/// What all bodies have in common.
#[derive(Clone, Debug)]
pub(crate) struct Bodies {
    max_text_bytes: usize,
    /// The longest body that may hold an allowed text.
    limit: usize,
    room: Arc<Semaphore>,
}

/// The named values of a body. Of a name that comes twice the last value counts; names that nobody asks for are ignored.
pub(crate) struct Fields {
    values: Map<String, Value>,
    /// The room that the body takes, until the call is answered: its values are as large, and are copied on their way.
    _room: OwnedSemaphorePermit,
}

enum Kind {
    Form,
    Json,
    Multipart,
}

impl Bodies {
    /// For texts of at most `max_text_bytes`.
    pub(crate) fn new(max_text_bytes: usize) -> Self {
        let limit = max_text_bytes.saturating_mul(WORST_ENCODING).saturating_add(SLACK);
        let room = Arc::new(Semaphore::new(ROOM.max(limit).min(Semaphore::MAX_PERMITS)));
        Self { max_text_bytes, limit, room }
    }

    /// Reads the body of `request`.
    ///
    /// # Errors
    ///
    /// 400 when it is malformed, 408 when it does not arrive, 413 when it is too large, 415 when it is of another kind, 503 when
    /// others take all the room.
    pub(crate) async fn read(&self, request: Request) -> Result<Fields, Problem> {
        let (parts, body) = request.into_parts();
        let kind = kind_of(parts.headers.get(header::CONTENT_TYPE).map(|value| value.to_str().unwrap_or_default()))?;
        let announced = parts.headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        if announced.is_some_and(|length: usize| length > self.limit) {
            return Err(Problem::too_large(self.max_text_bytes));
        }
        let (bytes, room) = tokio::time::timeout(BODY_TIMEOUT, self.collect(body)).await.map_err(|_| late())??;
        let values = match kind {
            Kind::Form => parse_form(&bytes)?,
            Kind::Json => parse_json(&bytes)?,
            Kind::Multipart => parse_multipart(Request::from_parts(parts, Body::from(bytes))).await?,
        };
        Ok(Fields { values, _room: room })
    }

    /// All of a body, and its room. It takes that as it arrives, so that one that was announced and does not come takes none; and
    /// it is refused rather than made to wait, because those who have the room may themselves wait for more.
    async fn collect(&self, body: Body) -> Result<(Bytes, OwnedSemaphorePermit), Problem> {
        let take = |bytes: usize| {
            let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
            Arc::clone(&self.room).try_acquire_many_owned(bytes).map_err(|_| Problem::too_many_bodies())
        };
        let (mut bytes, mut room) = (Vec::new(), take(0)?);
        let mut body = Limited::new(body, self.limit);
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| self.unreadable(&*error))?;
            if let Ok(data) = frame.into_data() {
                room.merge(take(data.len())?);
                bytes.extend_from_slice(&data);
            }
        }
        Ok((bytes.into(), room))
    }

    fn unreadable(&self, error: &(dyn std::error::Error + 'static)) -> Problem {
        if error.is::<LengthLimitError>() {
            return Problem::too_large(self.max_text_bytes);
        }
        malformed("the body did not arrive whole")
    }
}

impl Fields {
    /// A field that must be a string.
    pub(crate) fn required_string(&mut self, name: &str) -> Result<String, Problem> {
        match self.values.remove(name) {
            Some(Value::String(text)) => Ok(text),
            Some(_) => Err(Problem::field(name, "must be a string")),
            None => Err(Problem::field(name, "must be given")),
        }
    }

    /// A field that must be a string, or not there.
    pub(crate) fn optional_string(&mut self, name: &str) -> Result<Option<String>, Problem> {
        if self.values.contains_key(name) { self.required_string(name).map(Some) } else { Ok(None) }
    }

    /// A field that must be an integer of 64 bits: a number, or a string of digits.
    pub(crate) fn required_integer(&mut self, name: &str) -> Result<i64, Problem> {
        self.optional_integer(name)?.ok_or_else(|| Problem::field(name, "must be given"))
    }

    /// As [`required_integer`](Self::required_integer), or not there.
    pub(crate) fn optional_integer(&mut self, name: &str) -> Result<Option<i64>, Problem> {
        let number = match self.values.remove(name) {
            None => return Ok(None),
            Some(Value::Number(number)) => number.as_i64(),
            Some(Value::String(digits)) => digits.parse().ok(),
            Some(_) => None,
        };
        number.map(Some).ok_or_else(|| Problem::field(name, "must be an integer of 64 bits"))
    }
}

fn kind_of(content_type: Option<&str>) -> Result<Kind, Problem> {
    let essence = content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    match essence.to_ascii_lowercase().as_str() {
        "application/x-www-form-urlencoded" => Ok(Kind::Form),
        "application/json" => Ok(Kind::Json),
        "multipart/form-data" => Ok(Kind::Multipart),
        _ => Err(other_kind()),
    }
}

/// The body is of a kind that is not read here.
pub(crate) fn other_kind() -> Problem {
    Problem::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "the content type must be application/x-www-form-urlencoded, application/json or multipart/form-data",
    )
}

/// The body did not arrive.
pub(crate) fn late() -> Problem {
    Problem::new(StatusCode::REQUEST_TIMEOUT, "the body did not arrive in time")
}

fn malformed(detail: &str) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, detail)
}

/// Strict where the usual parsers are lenient: what is no UTF-8 is refused, not replaced.
fn parse_form(bytes: &[u8]) -> Result<Map<String, Value>, Problem> {
    let mut fields = Map::new();
    for pair in bytes.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()) {
        let split = pair.iter().position(|byte| *byte == b'=').unwrap_or(pair.len());
        let (name, value) = pair.split_at(split);
        let name = decode(name).ok_or_else(|| malformed("a field's name is no UTF-8"))?;
        let value = decode(value.strip_prefix(b"=").unwrap_or_default());
        let value = value.ok_or_else(|| Problem::field(&name, "must be UTF-8"))?;
        fields.insert(name, Value::String(value));
    }
    Ok(fields)
}

fn decode(bytes: &[u8]) -> Option<String> {
    let spaced: Vec<u8> = bytes.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
    String::from_utf8(percent_encoding::percent_decode(&spaced).collect()).ok()
}

fn parse_json(bytes: &[u8]) -> Result<Map<String, Value>, Problem> {
    match serde_json::from_slice(bytes) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(_) => Err(malformed("the body must be a JSON object")),
        Err(_) => Err(malformed("the body is no JSON")),
    }
}

async fn parse_multipart(request: Request) -> Result<Map<String, Value>, Problem> {
    let broken = || malformed("the body is no multipart form");
    let mut form = Multipart::from_request(request, &()).await.map_err(|_| broken())?;
    let mut fields = Map::new();
    while let Some(field) = form.next_field().await.map_err(|_| broken())? {
        let name = field.name().unwrap_or_default().to_owned();
        let bytes = field.bytes().await.map_err(|_| broken())?;
        let value = String::from_utf8(bytes.into()).map_err(|_| Problem::field(&name, "must be UTF-8"))?;
        fields.insert(name, Value::String(value));
    }
    Ok(fields)
}

#[cfg(test)]
mod tests {
    use std::io;

    use axum::response::IntoResponse as _;
    use futures_util::stream::{self, StreamExt as _};

    use super::*;

    const MAX_TEXT_BYTES: usize = 1000;

    fn bodies() -> Bodies {
        Bodies::new(MAX_TEXT_BYTES)
    }

    fn post(body: Body) -> Request {
        Request::post("/").header(header::CONTENT_TYPE, "application/json").body(body).unwrap()
    }

    async fn status_of(body: Body) -> StatusCode {
        let Err(problem) = bodies().read(post(body)).await else { return StatusCode::OK };
        problem.into_response().status()
    }

    #[tokio::test]
    async fn bodies_beyond_the_room_for_all_are_refused_until_one_that_is_in_hand_is_answered() {
        let bodies = Bodies { room: Arc::new(Semaphore::new(100)), ..bodies() };
        let large = || format!("{{\"text\":\"{}\"}}", "x".repeat(60));
        let in_hand = bodies.read(post(large().into())).await.unwrap_or_else(|problem| panic!("{problem:?}"));
        let Err(refused) = bodies.read(post(large().into())).await else { panic!("there was no room") };
        let refused = refused.into_response();
        assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(refused.headers().contains_key(header::RETRY_AFTER));
        assert!(bodies.read(post("{}".into())).await.is_ok(), "a small one has its room");
        drop(in_hand);
        assert!(bodies.read(post(large().into())).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_takes_room_for_what_has_arrived_and_not_for_what_was_announced() {
        let bodies = bodies();
        let room = bodies.room.available_permits();
        let mut slow = post(Body::from_stream(stream::iter([Ok::<_, io::Error>("{")]).chain(stream::pending())));
        slow.headers_mut().insert(header::CONTENT_LENGTH, 1000.into());
        let mut reading = Box::pin(bodies.read(slow));
        assert!(futures_util::poll!(&mut reading).is_pending());
        assert_eq!(bodies.room.available_permits(), room - 1);
        let Err(late) = reading.await else { panic!("it never ends") };
        assert_eq!(late.into_response().status(), StatusCode::REQUEST_TIMEOUT);
        assert_eq!(bodies.room.available_permits(), room);
    }

    #[tokio::test]
    async fn a_body_is_too_large_by_its_length_and_not_by_what_an_error_says() {
        let parts = |parts: Vec<io::Result<&'static str>>| Body::from_stream(stream::iter(parts));
        let largest = "x".repeat(MAX_TEXT_BYTES * WORST_ENCODING + SLACK);
        assert_eq!(status_of(Body::from(format!("{largest}x"))).await, StatusCode::PAYLOAD_TOO_LARGE);
        let broken = parts(vec![Ok("{"), Err(io::Error::other("length limit exceeded, says somebody else"))]);
        assert_eq!(status_of(broken).await, StatusCode::BAD_REQUEST);
        assert_eq!(status_of(parts(vec![Ok("{"), Ok("}")])).await, StatusCode::OK);
    }
}
