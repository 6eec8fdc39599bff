//! Counters with a closed set of label values, gauges that are read at a scrape, and the buckets of histograms.

use std::{fmt, sync::Arc};

use prometheus_client::{
    encoding::{EncodeMetric, MetricEncoder},
    metrics::{MetricType, TypedMetric, counter::Counter, gauge::ConstGauge, histogram::Histogram},
};

/// The buckets of durations, in seconds: from a request without a write to the timeout of callers.
const DURATION_BUCKETS: [f64; 15] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// A histogram of durations, in seconds.
#[must_use]
pub fn duration_histogram() -> Histogram {
    histogram(DURATION_BUCKETS)
}

/// A histogram with these upper bounds.
#[must_use]
pub fn histogram(bounds: impl IntoIterator<Item = f64>) -> Histogram {
    Histogram::new(bounds)
}

/// The closed set of the values of a label. [`label_values`](crate::label_values) declares one.
pub trait LabelValue: Copy + PartialEq + Send + Sync + 'static {
    /// The name of the label.
    const LABEL: &'static str;
    /// All values.
    const ALL: &'static [Self];

    /// The value in a sample.
    fn value(self) -> &'static str;
}

/// Declares an enum whose variants are all values of a label.
#[macro_export]
macro_rules! label_values {
    ($(#[$meta:meta])* $visibility:vis enum $name:ident: $label:literal {
        $($(#[$variant_meta:meta])* $variant:ident = $value:literal,)*
    }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        $visibility enum $name { $($(#[$variant_meta])* $variant,)* }

        impl $crate::metrics::LabelValue for $name {
            const LABEL: &'static str = $label;
            const ALL: &'static [Self] = &[$(Self::$variant,)*];

            fn value(self) -> &'static str {
                match self { $(Self::$variant => $value,)* }
            }
        }
    };
}

/// A counter for each value of a label. All of them exist from the start, with 0. Clones share them.
pub struct Counters<L>(Arc<[(L, Counter)]>);

impl<L: LabelValue> Counters<L> {
    /// Adds one to the counter of `value`.
    pub fn inc(&self, value: L) {
        self.inc_by(value, 1);
    }

    /// Adds `amount` to the counter of `value`.
    pub fn inc_by(&self, value: L, amount: u64) {
        // A handful of values: a scan costs less than a hash.
        if let Some((_, counter)) = self.0.iter().find(|(known, _)| *known == value) {
            counter.inc_by(amount);
        }
    }
}

impl<L: LabelValue> Default for Counters<L> {
    fn default() -> Self {
        Self(L::ALL.iter().map(|value| (*value, Counter::default())).collect())
    }
}

impl<L> Clone for Counters<L> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<L: LabelValue> fmt::Debug for Counters<L> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = self.0.iter().map(|(value, counter)| (value.value(), counter.get()));
        formatter.debug_map().entries(counts).finish()
    }
}

impl<L: LabelValue> EncodeMetric for Counters<L> {
    fn encode(&self, mut encoder: MetricEncoder) -> Result<(), fmt::Error> {
        for (value, counter) in &*self.0 {
            counter.encode(encoder.encode_family(&[(L::LABEL, value.value())])?)?;
        }
        Ok(())
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Counter
    }
}

/// A counter for each pair of values of two labels. Clones share them.
pub struct CounterTable<A, B>(Arc<[(A, B, Counter)]>);

impl<A: LabelValue, B: LabelValue> CounterTable<A, B> {
    /// Adds one to the counter of these values.
    pub fn inc(&self, first: A, second: B) {
        if let Some((.., counter)) = self.0.iter().find(|(a, b, _)| *a == first && *b == second) {
            counter.inc();
        }
    }
}

impl<A: LabelValue, B: LabelValue> Default for CounterTable<A, B> {
    fn default() -> Self {
        let row = |first: &A| {
            let first = *first;
            B::ALL.iter().map(move |second| (first, *second, Counter::default()))
        };
        Self(A::ALL.iter().flat_map(row).collect())
    }
}

impl<A, B> Clone for CounterTable<A, B> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<A: LabelValue, B: LabelValue> fmt::Debug for CounterTable<A, B> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("CounterTable").field("labels", &[A::LABEL, B::LABEL]).finish_non_exhaustive()
    }
}

/// The first value of the second label is there from the start; the others once they were counted.
impl<A: LabelValue, B: LabelValue> EncodeMetric for CounterTable<A, B> {
    fn encode(&self, mut encoder: MetricEncoder) -> Result<(), fmt::Error> {
        for (first, second, counter) in &*self.0 {
            if counter.get() > 0 || B::ALL.first() == Some(second) {
                let labels = [(A::LABEL, first.value()), (B::LABEL, second.value())];
                counter.encode(encoder.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Counter
    }
}

/// A gauge that is read at a scrape.
pub(super) struct Reading(Box<dyn Fn() -> Option<f64> + Send + Sync>);

impl Reading {
    pub(super) fn new(read: impl Fn() -> Option<f64> + Send + Sync + 'static) -> Self {
        Self(Box::new(read))
    }
}

impl EncodeMetric for Reading {
    fn encode(&self, encoder: MetricEncoder) -> Result<(), fmt::Error> {
        (self.0)().map_or(Ok(()), |value| ConstGauge::new(value).encode(encoder))
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Gauge
    }

    fn is_empty(&self) -> bool {
        (self.0)().is_none()
    }
}

impl fmt::Debug for Reading {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Reading").finish_non_exhaustive()
    }
}

type ReadAll = dyn Fn() -> Vec<(&'static str, f64)> + Send + Sync;

/// Gauges that are read at a scrape.
pub(super) struct Readings {
    label: &'static str,
    read: Box<ReadAll>,
}

impl Readings {
    pub(super) fn new(
        label: &'static str,
        read: impl Fn() -> Vec<(&'static str, f64)> + Send + Sync + 'static,
    ) -> Self {
        Self { label, read: Box::new(read) }
    }
}

impl EncodeMetric for Readings {
    fn encode(&self, mut encoder: MetricEncoder) -> Result<(), fmt::Error> {
        for (value, reading) in (self.read)() {
            ConstGauge::new(reading).encode(encoder.encode_family(&[(self.label, value)])?)?;
        }
        Ok(())
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Gauge
    }
}

impl fmt::Debug for Readings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Readings").field("label", &self.label).finish_non_exhaustive()
    }
}

/// A metric for each value of a label.
pub(super) struct ByLabel<L, M>(pub(super) Vec<(L, M)>);

impl<L: LabelValue, M: EncodeMetric + TypedMetric> EncodeMetric for ByLabel<L, M> {
    fn encode(&self, mut encoder: MetricEncoder) -> Result<(), fmt::Error> {
        for (value, metric) in &self.0 {
            metric.encode(encoder.encode_family(&[(L::LABEL, value.value())])?)?;
        }
        Ok(())
    }

    fn metric_type(&self) -> MetricType {
        M::TYPE
    }
}

impl<L: LabelValue, M> fmt::Debug for ByLabel<L, M> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("ByLabel").field("label", &L::LABEL).finish_non_exhaustive()
    }
}
