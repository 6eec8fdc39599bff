//! Request bodies: forms, JSON objects and multipart forms, all turned into the same fields.

use std::time::Duration;

use axum::{
    body::{Body, to_bytes},
    extract::{FromRequest as _, Multipart, Request},
    http::{StatusCode, header},
};
use http_body_util::LengthLimitError;
use serde_json::{Map, Value};

use crate::problem::Problem;

/// JSON writes a byte as six characters at worst (`\u001f`), a form as three (`%1f`).
const WORST_ENCODING: usize = 6;
/// Room for field names, ids, tokens and the borders of multipart forms.
const SLACK: usize = 16 * 1024;
/// How long a body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// The named values of a body. Of a name that comes twice the last value counts; names that nobody asks for are ignored.
pub(crate) struct Fields(Map<String, Value>);

enum Kind {
    Form,
    Json,
    Multipart,
}

impl Fields {
    /// Reads the body of `request`, which may hold a text of at most `max_text_bytes`.
    ///
    /// # Errors
    ///
    /// 400 when it is malformed, 408 when it does not arrive, 413 when it is too large, 415 when it is of another kind.
    pub(crate) async fn read(request: Request, max_text_bytes: usize) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let kind = kind_of(parts.headers.get(header::CONTENT_TYPE).map(|value| value.to_str().unwrap_or_default()))?;
        let limit = max_text_bytes.saturating_mul(WORST_ENCODING).saturating_add(SLACK);
        let announced = parts.headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        if announced.is_some_and(|length: usize| length > limit) {
            return Err(Problem::too_large(max_text_bytes));
        }
        let late = |_| Problem::new(StatusCode::REQUEST_TIMEOUT, "the body did not arrive in time");
        let bytes = tokio::time::timeout(BODY_TIMEOUT, to_bytes(body, limit)).await.map_err(late)?;
        let bytes = bytes.map_err(|error| unreadable(&error, max_text_bytes))?;
        let fields = match kind {
            Kind::Form => parse_form(&bytes)?,
            Kind::Json => parse_json(&bytes)?,
            Kind::Multipart => parse_multipart(Request::from_parts(parts, Body::from(bytes))).await?,
        };
        Ok(Self(fields))
    }

    /// A field that must be a string.
    pub(crate) fn required_string(&mut self, name: &str) -> Result<String, Problem> {
        match self.0.remove(name) {
            Some(Value::String(text)) => Ok(text),
            Some(_) => Err(Problem::field(name, "must be a string")),
            None => Err(Problem::field(name, "must be given")),
        }
    }

    /// A field that must be a string, or not there.
    pub(crate) fn optional_string(&mut self, name: &str) -> Result<Option<String>, Problem> {
        if self.0.contains_key(name) { self.required_string(name).map(Some) } else { Ok(None) }
    }

    /// A field that must be an integer of 64 bits: a number, or a string of digits.
    pub(crate) fn required_integer(&mut self, name: &str) -> Result<i64, Problem> {
        self.optional_integer(name)?.ok_or_else(|| Problem::field(name, "must be given"))
    }

    /// As [`required_integer`](Self::required_integer), or not there.
    pub(crate) fn optional_integer(&mut self, name: &str) -> Result<Option<i64>, Problem> {
        let number = match self.0.remove(name) {
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
        _ => Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "the content type must be application/x-www-form-urlencoded, application/json or multipart/form-data",
        )),
    }
}

fn unreadable(error: &axum::Error, max_text_bytes: usize) -> Problem {
    let too_large = std::error::Error::source(error).is_some_and(|cause| cause.is::<LengthLimitError>());
    if too_large { Problem::too_large(max_text_bytes) } else { malformed("the body did not arrive whole") }
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
    use futures_util::stream;

    use super::*;

    const MAX_TEXT_BYTES: usize = 1000;

    fn post(body: Body) -> Request {
        Request::post("/").header(header::CONTENT_TYPE, "application/json").body(body).unwrap()
    }

    async fn status_of(body: Body) -> StatusCode {
        let Err(problem) = Fields::read(post(body), MAX_TEXT_BYTES).await else { return StatusCode::OK };
        problem.into_response().status()
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
