//! Conversions of wire types that both services use.

use std::time::Duration;

use crate::domain::{InvalidInput, Lifetime, Timestamp};

const MICROS_PER_SECOND: i64 = 1_000_000;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_keep_their_microseconds() {
        let wire = timestamp(Timestamp::from_micros(-1));
        assert_eq!((wire.seconds, wire.nanos), (-1, 999_999_000));
    }
}
