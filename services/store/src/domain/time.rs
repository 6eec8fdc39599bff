//! Times and lifetimes with microseconds, and the clock.

use std::{fmt, str::FromStr, time::Duration};

use chrono::{DateTime, SecondsFormat, Utc};

/// A time: microseconds since 1970-01-01 UTC, as both databases store it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The time `micros` microseconds after 1970-01-01 UTC.
    #[must_use]
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds since 1970-01-01 UTC.
    #[must_use]
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// This time plus `duration`, saturating.
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)))
    }

    /// This time minus `duration`, saturating.
    #[must_use]
    pub fn before(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)))
    }

    /// The duration since `earlier`; zero if this is not later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or_default())
    }
}

/// Parses RFC 3339.
impl FromStr for Timestamp {
    type Err = chrono::ParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        DateTime::parse_from_rfc3339(text).map(|time| Self(time.timestamp_micros()))
    }
}

/// Formats as RFC 3339 in UTC with microseconds.
impl fmt::Display for Timestamp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match DateTime::from_timestamp_micros(self.0) {
            Some(time) => formatter.write_str(&time.to_rfc3339_opts(SecondsFormat::Micros, true)),
            None => write!(formatter, "{} microseconds after 1970-01-01T00:00:00Z", self.0),
        }
    }
}

/// The source of time of a store. Tests use their own.
pub trait Clock: Send + Sync + 'static {
    /// The current time.
    fn now(&self) -> Timestamp;
}

/// The system clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "everything else uses this clock")]
    fn now(&self) -> Timestamp {
        Timestamp(Utc::now().timestamp_micros())
    }
}

/// How long a message is stored unread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifetime {
    /// At most this long.
    Limited(Duration),
    /// No limit.
    Never,
}

/// Parses `never`, or a duration such as `30d`, `12h` or `1h 30m`.
impl FromStr for Lifetime {
    type Err = humantime::DurationError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "never" => Ok(Self::Never),
            _ => humantime::parse_duration(text).map(Self::Limited),
        }
    }
}

impl fmt::Display for Lifetime {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Never => formatter.write_str("never"),
            Self::Limited(duration) => fmt_in_days(*duration, formatter),
        }
    }
}

/// Formats `90 days` or `1 day 6h`. humantime would use months of 30.44 days.
fn fmt_in_days(duration: Duration, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
    const SECONDS_OF_A_DAY: u64 = 24 * 60 * 60;
    let days = duration.as_secs() / SECONDS_OF_A_DAY;
    let rest = duration.saturating_sub(Duration::from_secs(days.saturating_mul(SECONDS_OF_A_DAY)));
    let unit = if days == 1 { "day" } else { "days" };
    match (days, rest.is_zero()) {
        (0, _) => write!(formatter, "{}", humantime::format_duration(rest)),
        (_, true) => write!(formatter, "{days} {unit}"),
        (_, false) => write!(formatter, "{days} {unit} {}", humantime::format_duration(rest)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_are_formatted_as_rfc_3339_with_microseconds() {
        assert_eq!(Timestamp::from_micros(1_795_334_564_485_522).to_string(), "2026-11-22T08:02:44.485522Z");
        assert_eq!(Timestamp::from_micros(0).to_string(), "1970-01-01T00:00:00.000000Z");
    }

    #[test]
    fn adding_a_duration_saturates() {
        assert_eq!(Timestamp::from_micros(i64::MAX - 1).after(Duration::MAX).micros(), i64::MAX);
    }

    #[test]
    fn lifetimes_are_formatted_in_days_and_can_be_parsed_again() {
        for (seconds, words) in [
            (90 * 86_400, "90 days"),
            (86_400, "1 day"),
            (366 * 86_400, "366 days"),
            (30 * 3_600, "1 day 6h"),
            (86_399, "23h 59m 59s"),
            (60, "1m"),
        ] {
            let lifetime = Lifetime::Limited(Duration::from_secs(seconds));
            assert_eq!((lifetime.to_string().as_str(), words.parse()), (words, Ok(lifetime)));
        }
    }

    #[test]
    fn lifetimes_are_parsed_in_common_forms() {
        assert_eq!("never".parse(), Ok(Lifetime::Never));
        assert_eq!("30d".parse(), Ok(Lifetime::Limited(Duration::from_secs(30 * 24 * 3600))));
        assert!("soon".parse::<Lifetime>().is_err());
    }
}
