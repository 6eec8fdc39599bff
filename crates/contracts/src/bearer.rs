//! Bearer tokens in gRPC metadata: `authorization: Bearer <token>`.

use tonic::metadata::{AsciiMetadataValue, errors::InvalidMetadataValue};
use zeroize::Zeroizing;

/// The metadata key of a bearer token.
pub const AUTHORIZATION_METADATA: &str = "authorization";

/// The metadata value for `token`. `Debug` hides it.
///
/// # Errors
///
/// When `token` contains characters that metadata cannot.
pub fn bearer_metadata(token: &str) -> Result<AsciiMetadataValue, InvalidMetadataValue> {
    let mut value: AsciiMetadataValue = Zeroizing::new(format!("Bearer {token}")).parse()?;
    value.set_sensitive(true);
    Ok(value)
}

/// The token in the metadata value `authorization`. `None` for another scheme.
#[must_use]
pub fn parse_bearer(authorization: &str) -> Option<&str> {
    let (scheme, token) = authorization.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_parsed_from_its_metadata_and_hidden() {
        let value = bearer_metadata("secret-token").unwrap();
        assert_eq!(parse_bearer(value.to_str().unwrap()), Some("secret-token"));
        assert!(!format!("{value:?}").contains("secret-token"));
        assert!(bearer_metadata("secret\ntoken").is_err());
    }

    #[test]
    fn other_schemes_have_no_bearer_token() {
        assert_eq!(parse_bearer("bEARER  token "), Some("token"));
        for other in ["Basic token", "token", "Bearer", ""] {
            assert_eq!(parse_bearer(other), None, "{other}");
        }
    }
}
