//! The `Idempotency-Key` header (draft-ietf-httpapi-idempotency-key-header), which makes a call idempotent.

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, HeaderName, request::Parts},
};
use utoipa::IntoParams;
use uuid::Uuid;

use crate::problem::Problem;

const NAME: &str = "Idempotency-Key";

/// The header, or an empty key without it.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
pub(super) struct IdempotencyKey {
    /// A UUID that the caller makes for this call. It repeats the call with the same key if the response is lost.
    #[param(
        rename = "Idempotency-Key",
        required = false,
        format = "uuid",
        example = "3f1c2a9e-7d56-4f0e-8b0a-1c6a2f9d4e11"
    )]
    pub(super) key: String,
}

/// Like [`IdempotencyKey`], for calls that require it.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
pub(super) struct RequiredIdempotencyKey {
    /// The UUID under which the message was viewed.
    #[param(rename = "Idempotency-Key", format = "uuid", example = "3f1c2a9e-7d56-4f0e-8b0a-1c6a2f9d4e11")]
    pub(super) key: String,
}

impl<S: Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        read(&parts.headers).map(|key| Self { key })
    }
}

impl<S: Sync> FromRequestParts<S> for RequiredIdempotencyKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        require(&parts.headers).map(|key| Self { key })
    }
}

/// Returns the UUID in the header, with or without the draft's quotes, or an empty string without the header.
///
/// Only UUIDs are valid: if two callers could choose the same key, one would get the other's message.
pub(super) fn read(headers: &HeaderMap) -> Result<String, Problem> {
    let Some(key) = headers.get(HeaderName::from_static("idempotency-key")) else { return Ok(String::new()) };
    let text = key.to_str().unwrap_or_default().trim();
    let text = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
    match Uuid::try_parse(text) {
        Ok(key) if !key.is_nil() => Ok(key.to_string()),
        _ => Err(Problem::field(NAME, "must be a UUID that is not all zero")),
    }
}

/// Like [`read`], but returns an error without the header.
fn require(headers: &HeaderMap) -> Result<String, Problem> {
    let key = read(headers)?;
    if key.is_empty() { Err(Problem::field(NAME, "must be given")) } else { Ok(key) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "3f1c2a9e-7d56-4f0e-8b0a-1c6a2f9d4e11";

    fn read_one(value: &str) -> Option<String> {
        read(&HeaderMap::from_iter([(HeaderName::from_static("idempotency-key"), value.parse().unwrap())])).ok()
    }

    #[test]
    fn a_key_is_a_uuid_with_quotes_or_without() {
        assert_eq!(read(&HeaderMap::new()).ok().as_deref(), Some(""));
        assert!(require(&HeaderMap::new()).is_err());
        assert_eq!(read_one(KEY).as_deref(), Some(KEY));
        assert_eq!(read_one(&format!(" \"{}\" ", KEY.to_uppercase())).as_deref(), Some(KEY));
        for wrong in ["", "1", "\"", &format!("\"{KEY}"), "00000000-0000-0000-0000-000000000000"] {
            assert_eq!(read_one(wrong), None, "{wrong}");
        }
    }
}
