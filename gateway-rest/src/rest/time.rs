//! Formats times for REST: RFC 3339 in UTC, with microseconds.

use chrono::{DateTime, SecondsFormat};
use prost_types::Timestamp;

pub(super) fn rfc3339(time: Option<Timestamp>) -> Option<String> {
    let time = time?;
    let time = DateTime::from_timestamp(time.seconds, u32::try_from(time.nanos).ok()?)?;
    Some(time.to_rfc3339_opts(SecondsFormat::Micros, true))
}
