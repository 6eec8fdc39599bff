//! Latencies of the calls in a history.

use std::{collections::HashMap, fmt, time::Duration};

use crate::history::{Event, EventKind, Outcome};

/// The latencies of all calls with a known outcome, and the throughput.
#[derive(Clone, Debug, Default)]
pub struct Latency {
    sorted_us: Vec<u64>,
    elapsed_us: u64,
}

impl Latency {
    /// Computes the latencies of a history.
    #[must_use]
    pub fn of(history: &[Event]) -> Self {
        let mut began = HashMap::new();
        let mut sorted_us = Vec::new();
        for event in history {
            match event.kind {
                EventKind::Invoked { .. } => drop(began.insert(event.call_id, event.at_us)),
                EventKind::Completed(Outcome::Unknown) | EventKind::Fault(_) | EventKind::RejectedGuesses(_) => {}
                EventKind::Completed(_) => {
                    sorted_us.extend(began.get(&event.call_id).map(|began_us| event.at_us.saturating_sub(*began_us)));
                }
            }
        }
        sorted_us.sort_unstable();
        let (first, last) = (history.first(), history.last());
        let elapsed_us = last.map_or(0, |event| event.at_us) - first.map_or(0, |event| event.at_us);
        Self { sorted_us, elapsed_us }
    }

    /// Calls with a known outcome per second.
    #[must_use]
    pub fn rate(&self) -> f64 {
        let seconds = Duration::from_micros(self.elapsed_us).as_secs_f64();
        if seconds > 0.0 { self.sorted_us.len() as f64 / seconds } else { 0.0 }
    }

    /// The quantile `share`, from 0 to 1, of the latencies.
    #[must_use]
    pub fn quantile(&self, share: f64) -> Duration {
        let rank = (self.sorted_us.len() as f64 * share).ceil().max(1.0) as usize;
        Duration::from_micros(self.sorted_us.get(rank - 1).or(self.sorted_us.last()).copied().unwrap_or_default())
    }
}

impl fmt::Display for Latency {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:.0} responses per second; ", self.rate())?;
        let millis = |share| self.quantile(share).as_secs_f64() * 1000.0;
        write!(formatter, "p50 {:.1} ms, p99 {:.1} ms, p99.9 {:.1} ms", millis(0.5), millis(0.99), millis(0.999))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::Call;

    #[test]
    fn quantiles_include_known_outcomes_only() {
        let history: Vec<_> = (0..100)
            .flat_map(|call_id| {
                let began_us = 1000 * call_id;
                let outcome = if call_id == 50 { Outcome::Unknown } else { Outcome::Gone };
                let intends = EventKind::Invoked { message: 0, call: Call::Burn };
                [(began_us, intends), (began_us + call_id + 1, EventKind::Completed(outcome))]
                    .map(|(at_us, kind)| Event { at_us, call_id, kind })
            })
            .collect();
        let latency = Latency::of(&history);
        assert_eq!(latency.quantile(0.5), Duration::from_micros(50));
        assert_eq!(latency.quantile(1.0), Duration::from_micros(100));
        assert_eq!(latency.rate().round(), 999.0, "99 responses in 99.1 ms");
        assert_eq!(Latency::default().quantile(0.5), Duration::ZERO);
    }
}
