//! Medians and quantiles, and the outcome of a load.

use std::{collections::BTreeMap, fmt, time::Duration};

/// The median of `values`, and their range.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Median {
    pub(super) value: f64,
    pub(super) min: f64,
    pub(super) max: f64,
}

impl Median {
    /// The median and the range of `values`; zeros if there are none.
    pub(super) fn of(values: &[f64]) -> Self {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let at = |index: usize| sorted.get(index).copied().unwrap_or_default();
        let value = (at(sorted.len().saturating_sub(1) / 2) + at(sorted.len() / 2)) / 2.0;
        Self { value, min: at(0), max: at(sorted.len().saturating_sub(1)) }
    }

    /// The median and the range of `left / right`, round by round. Both sides of a round ran one after the other.
    pub(super) fn of_ratios(left: &[f64], right: &[f64]) -> Self {
        let ratios = left.iter().zip(right).filter(|(_, right)| **right > 0.0).map(|(left, right)| left / right);
        Self::of(&ratios.collect::<Vec<_>>())
    }
}

/// The quantile `share`, from 0 to 1, of sorted values; zero if there are none.
pub(super) fn quantile(sorted: &[u32], share: f64) -> u32 {
    let rank = (sorted.len() as f64 * share).ceil().max(1.0) as usize;
    sorted.get(rank - 1).or(sorted.last()).copied().unwrap_or_default()
}

/// The latency of a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    /// The second of the load in which the request was due.
    pub(super) second: u32,
    pub(super) micros: u32,
}

impl Sample {
    pub(super) fn new(second: u64, latency: Duration) -> Self {
        let micros = u32::try_from(latency.as_micros()).unwrap_or(u32::MAX);
        Self { second: u32::try_from(second).unwrap_or(u32::MAX), micros }
    }
}

/// What a load did.
#[derive(Clone, Debug, Default)]
pub(super) struct Outcome {
    pub(super) elapsed: Duration,
    /// Requests with the expected status.
    pub(super) succeeded: Vec<Sample>,
    /// Requests that the server rejected because of its load.
    pub(super) rejected: Vec<Sample>,
    /// Requests that were due while no connection was free.
    pub(super) unsent: u64,
    /// Requests with another status.
    pub(super) failed: u64,
    /// Requests without a response, because their connection broke.
    pub(super) broken: u64,
    /// Why the first of both failed.
    pub(super) first_failure: Option<String>,
}

impl Outcome {
    /// Records a response with an unexpected status.
    pub(super) fn fail(&mut self, status: impl fmt::Display) {
        self.failed += 1;
        self.first_failure.get_or_insert_with(|| format!("status {status}"));
    }

    /// Records a broken connection.
    pub(super) fn break_off(&mut self, error: impl fmt::Display) {
        self.broken += 1;
        self.first_failure.get_or_insert_with(|| error.to_string());
    }

    /// Adds the requests of another connection.
    pub(super) fn merge(&mut self, other: Self) {
        self.succeeded.extend(other.succeeded);
        self.rejected.extend(other.rejected);
        self.unsent += other.unsent;
        self.failed += other.failed;
        self.broken += other.broken;
        self.first_failure = self.first_failure.take().or(other.first_failure);
    }

    /// Successful requests per second.
    pub(super) fn rate(&self) -> f64 {
        self.succeeded.len() as f64 / self.elapsed.as_secs_f64().max(f64::MIN_POSITIVE)
    }

    /// Quantiles of the latencies of successful requests, in microseconds.
    pub(super) fn quantiles<const N: usize>(&self, shares: [f64; N]) -> [u32; N] {
        let sorted = sorted(&self.succeeded);
        shares.map(|share| quantile(&sorted, share))
    }

    /// The p99 of the second with the highest p99, in microseconds.
    pub(super) fn worst_second(&self) -> u32 {
        let mut by_second: BTreeMap<u32, Vec<Sample>> = BTreeMap::new();
        for sample in &self.succeeded {
            by_second.entry(sample.second).or_default().push(*sample);
        }
        by_second.values().map(|samples| quantile(&sorted(samples), 0.99)).max().unwrap_or_default()
    }

    /// Successful requests per second that took at most `limit`.
    pub(super) fn rate_within(&self, limit: Duration) -> f64 {
        let within = self.succeeded.iter().filter(|sample| u128::from(sample.micros) <= limit.as_micros()).count();
        within as f64 / self.elapsed.as_secs_f64().max(f64::MIN_POSITIVE)
    }
}

/// The latencies in ascending order, in microseconds.
pub(super) fn sorted(samples: &[Sample]) -> Vec<u32> {
    let mut sorted: Vec<_> = samples.iter().map(|sample| sample.micros).collect();
    sorted.sort_unstable();
    sorted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_is_the_middle_or_the_mean_of_the_two_in_the_middle() {
        assert_eq!(Median::of(&[3.0, 1.0, 2.0]), Median { value: 2.0, min: 1.0, max: 3.0 });
        assert_eq!(Median::of(&[4.0, 1.0, 2.0, 3.0]).value, 2.5);
        assert_eq!(Median::of(&[]), Median::default());
    }

    #[test]
    fn ratios_are_of_the_same_round() {
        // The machine became twice as slow in the second round, which both sides notice.
        assert_eq!(Median::of_ratios(&[10.0, 5.0], &[20.0, 10.0]), Median { value: 0.5, min: 0.5, max: 0.5 });
    }

    #[test]
    fn a_quantile_is_the_smallest_value_that_so_many_do_not_exceed() {
        let sorted: Vec<_> = (1..=200).collect();
        assert_eq!(quantile(&sorted, 0.5), 100);
        assert_eq!(quantile(&sorted, 0.99), 198);
        assert_eq!(quantile(&sorted, 1.0), 200);
        assert_eq!(quantile(&[], 0.5), 0);
    }

    #[test]
    fn the_worst_second_and_the_rate_come_from_the_samples() {
        let sample = |second, millis| Sample::new(second, Duration::from_millis(millis));
        let succeeded = vec![sample(0, 1), sample(0, 2), sample(1, 70), sample(2, 3)];
        let mut outcome = Outcome { elapsed: Duration::from_secs(2), succeeded, ..Outcome::default() };
        outcome.merge(Outcome { succeeded: vec![sample(1, 60)], ..Outcome::default() });
        assert_eq!(outcome.worst_second(), 70_000);
        assert_eq!(outcome.rate(), 2.5);
        assert_eq!(outcome.rate_within(Duration::from_millis(60)), 2.0);
        assert_eq!(outcome.quantiles([0.5]), [3000]);
    }
}
