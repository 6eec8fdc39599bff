//! The `Idempotency-Key` header (draft-ietf-httpapi-idempotency-key-header): what makes a call safe to repeat.

use axum::http::{HeaderMap, HeaderName};
use utoipa::IntoParams;
use uuid::Uuid;

use crate::problem::Problem;

const NAME: &str = "Idempotency-Key";

/// The header, as the documentation has it.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "the documentation shows it")]
pub(super) struct IdempotencyKey {
    /// A UUID that the caller makes for this call, and sends again when it repeats the call because the answer got lost.
    #[param(
        rename = "Idempotency-Key",
        required = false,
        format = "uuid",
        example = "3f1c2a9e-7d56-4f0e-8b0a-1c6a2f9d4e11"
    )]
    key: String,
}

/// As [`IdempotencyKey`], where there must be one.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "the documentation shows it")]
pub(super) struct RequiredIdempotencyKey {
    /// The UUID under which the message was viewed.
    #[param(rename = "Idempotency-Key", format = "uuid", example = "3f1c2a9e-7d56-4f0e-8b0a-1c6a2f9d4e11")]
    key: String,
}

/// The UUID in the header, in the draft's quotes or without; empty when there is no such header.
///
/// Only UUIDs: a key that two callers may think of alike would give one of them the other's message.
pub(super) fn read(headers: &HeaderMap) -> Result<String, Problem> {
    let Some(key) = headers.get(HeaderName::from_static("idempotency-key")) else { return Ok(String::new()) };
    let text = key.to_str().unwrap_or_default().trim();
    let text = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
    match Uuid::try_parse(text) {
        Ok(key) if !key.is_nil() => Ok(key.to_string()),
        _ => Err(Problem::field(NAME, "must be a UUID that is not all zero")),
    }
}

/// As [`read`], where there must be one.
pub(super) fn require(headers: &HeaderMap) -> Result<String, Problem> {
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
