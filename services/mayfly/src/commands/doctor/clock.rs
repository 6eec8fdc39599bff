//! The clock of this machine against that of the database, or against the times that it stores.

use std::time::Duration;

use mayfly_store::{Clock, ClockOffset, Inspection, Server, Timestamp};

use super::finding::Finding;

const AREA: &str = "clock";
/// Differences that synchronized clocks do not have.
const TOLERANCE: Duration = Duration::from_secs(1);
/// Differences that make lifetimes and limits wrong.
const LARGE: Duration = Duration::from_secs(60);

/// Checks the clock.
pub(super) fn check(inspection: &Inspection, clock: &dyn Clock) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Server::Postgres(info) = &inspection.server {
        findings.push(check_offset(info.clock));
    }
    if let Some(newest) = inspection.content.as_ref().and_then(|content| content.newest) {
        findings.push(check_newest(newest, clock.now()));
    }
    findings
}

fn check_offset(offset: ClockOffset) -> Finding {
    let difference = offset.at_least();
    if difference <= TOLERANCE {
        return Finding::ok(AREA, "postgres", "the clocks of this machine and of PostgreSQL agree");
    }
    let ahead = if offset.micros > 0 { "behind" } else { "ahead of" };
    let message = format!("the clock of this machine is at least {} {ahead} that of PostgreSQL", seconds(difference));
    off_by(difference, "postgres", message)
}

fn check_newest(newest: Timestamp, now: Timestamp) -> Finding {
    let difference = newest.since(now);
    if difference <= TOLERANCE {
        return Finding::ok(AREA, "newest-row", "no stored time is in the future");
    }
    let message = format!("the newest stored time, {newest}, is {} in the future", seconds(difference));
    off_by(difference, "newest-row", message)
}

fn off_by(difference: Duration, id: &'static str, message: String) -> Finding {
    let advice = "Synchronize the clocks, for example with chrony or systemd-timesyncd: messages expire by them.";
    match difference > LARGE {
        true => Finding::failure(AREA, id, message, advice),
        false => Finding::warning(AREA, id, message, advice),
    }
}

fn seconds(duration: Duration) -> String {
    humantime::format_duration(Duration::from_secs(duration.as_secs())).to_string()
}

#[cfg(test)]
mod tests {
    use super::{super::finding::Severity, *};

    #[test]
    fn a_difference_counts_only_beyond_the_error_of_its_measurement() {
        let severity = |seconds: i64, error: i64| {
            check_offset(ClockOffset { micros: seconds * 1_000_000, error_micros: error * 1_000_000 }).severity
        };
        assert_eq!(severity(0, 0), Severity::Ok);
        assert_eq!(severity(10, 10), Severity::Ok);
        assert_eq!(severity(-10, 2), Severity::Warning);
        assert_eq!(severity(300, 2), Severity::Failure);
        let behind = check_offset(ClockOffset { micros: 90_000_000, error_micros: 0 });
        assert!(behind.message.contains("1m 30s behind"), "{}", behind.message);
    }

    #[test]
    fn stored_times_in_the_future_show_a_clock_that_was_set_back() {
        let now = Timestamp::from_micros(1_000_000_000);
        let severity = |later: u64| check_newest(now.after(Duration::from_secs(later)), now).severity;
        assert_eq!([0, 1, 2, 61].map(severity), [Severity::Ok, Severity::Ok, Severity::Warning, Severity::Failure]);
        assert_eq!(check_newest(now.before(Duration::from_secs(5)), now).severity, Severity::Ok);
    }
}
