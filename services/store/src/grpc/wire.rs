//! Conversions of wire types that several services use.

use std::time::Duration;

use crate::domain::{InvalidInput, Lifetime, Timestamp};

const MICROS_PER_SECOND: i64 = 1_000_000;
/// The most entries on a page of a list.
const MAX_PAGE_SIZE: u64 = 100;

pub(super) fn timestamp(time: Timestamp) -> prost_types::Timestamp {
    let nanos = time.micros().rem_euclid(MICROS_PER_SECOND) * 1_000;
    prost_types::Timestamp {
        seconds: time.micros().div_euclid(MICROS_PER_SECOND),
        nanos: i32::try_from(nanos).unwrap_or_default(),
    }
}

/// # Errors
///
/// [`InvalidInput`] for `field` when the duration is negative or malformed.
pub(super) fn duration(field: &'static str, duration: prost_types::Duration) -> Result<Duration, InvalidInput> {
    Duration::try_from(duration).map_err(|_| InvalidInput::field(field, "must not be negative"))
}

/// `None` for an unlimited lifetime, and for one that exceeds the wire type.
pub(super) fn lifetime(lifetime: Lifetime) -> Option<prost_types::Duration> {
    match lifetime {
        Lifetime::Never => None,
        Lifetime::Limited(lifetime) => lifetime.try_into().ok(),
    }
}

/// # Errors
///
/// [`InvalidInput`] when it is negative.
pub(super) fn page_size(requested: i32) -> Result<u64, InvalidInput> {
    match u64::try_from(requested) {
        Ok(0) => Ok(MAX_PAGE_SIZE),
        Ok(size) => Ok(size.min(MAX_PAGE_SIZE)),
        Err(_) => Err(InvalidInput::field("page_size", "must not be negative")),
    }
}

/// Parses a page token: the last id of the previous page, greater than zero.
///
/// # Errors
///
/// [`InvalidInput`] when it has another form.
pub(super) fn page_token(token: &str) -> Result<Option<i64>, InvalidInput> {
    if token.is_empty() {
        return Ok(None);
    }
    let id = token.parse().ok().filter(|id| *id > 0);
    id.map(Some).ok_or_else(|| InvalidInput::field("page_token", "must come from an earlier response"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_keep_their_microseconds() {
        let wire = timestamp(Timestamp::from_micros(-1));
        assert_eq!((wire.seconds, wire.nanos), (-1, 999_999_000));
    }
}
