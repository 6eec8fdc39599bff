//! Instants and lifetimes, to the microsecond, and the clock they come from.

use std::{fmt, str::FromStr, time::Duration};

use chrono::{DateTime, SecondsFormat, Utc};

/// An instant: microseconds since 1970-01-01 UTC. What both databases store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The instant `micros` microseconds after 1970-01-01 UTC.
    #[must_use]
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds since 1970-01-01 UTC.
    #[must_use]
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// This instant `duration` later; the end of time when that is past it.
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)))
    }

    /// This instant `duration` earlier; the beginning of time when that is before it.
    #[must_use]
    pub fn before(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)))
    }

    /// How long after `earlier` this is; zero when it is not after it.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or_default())
    }
}

/// RFC 3339.
impl FromStr for Timestamp {
    type Err = chrono::ParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        DateTime::parse_from_rfc3339(text).map(|time| Self(time.timestamp_micros()))
    }
}

/// RFC 3339 in UTC with microseconds.
impl fmt::Display for Timestamp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match DateTime::from_timestamp_micros(self.0) {
            Some(time) => formatter.write_str(&time.to_rfc3339_opts(SecondsFormat::Micros, true)),
            None => write!(formatter, "{} microseconds after 1970-01-01T00:00:00Z", self.0),
        }
    }
}

/// Where the store's time comes from. Tests bring their own.
pub trait Clock: Send + Sync + 'static {
    /// The present.
    fn now(&self) -> Timestamp;
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock that everything else asks")]
    fn now(&self) -> Timestamp {
        Timestamp(Utc::now().timestamp_micros())
    }
}

/// How long a message may wait for its reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifetime {
    /// At most this long.
    Limited(Duration),
    /// For ever.
    Never,
}

/// `never`, or a duration such as `30d`, `12h` or `1h 30m`.
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

/// `90 days`, `1 day 6h`. humantime would count in months of 30.44 days.
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
    fn timestamps_show_as_rfc_3339_with_microseconds() {
        assert_eq!(Timestamp::from_micros(1_795_334_564_485_522).to_string(), "2026-11-22T08:02:44.485522Z");
        assert_eq!(Timestamp::from_micros(0).to_string(), "1970-01-01T00:00:00.000000Z");
    }

    #[test]
    fn the_end_of_time_is_not_passed() {
        assert_eq!(Timestamp::from_micros(i64::MAX - 1).after(Duration::MAX).micros(), i64::MAX);
    }

    #[test]
    fn lifetimes_are_written_as_people_say_them_and_can_be_read_again() {
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
    fn lifetimes_are_read_as_people_write_them() {
        assert_eq!("never".parse(), Ok(Lifetime::Never));
        assert_eq!("30d".parse(), Ok(Lifetime::Limited(Duration::from_secs(30 * 24 * 3600))));
        assert!("soon".parse::<Lifetime>().is_err());
    }
}
