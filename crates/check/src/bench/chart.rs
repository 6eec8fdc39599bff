//! Line charts as SVG, with colors that can be read on light and on dark backgrounds.
//!
//! A chart library would bring fonts, raster formats and fixed backgrounds for what are a few lines and labels.

const WIDTH: f64 = 460.0;
const HEIGHT: f64 = 300.0;
const LEFT: f64 = 62.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 58.0;
const BOTTOM: f64 = 44.0;
/// Gray with a contrast of at least 4 on white and on black.
const TEXT: &str = "#7a828e";
const COLORS: [&str; 4] = ["#3b82f6", "#e0752d", "#2f9e5b", "#a970e0"];

/// How values become positions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scale {
    /// From zero, with round steps.
    Linear,
    /// With a tick at each power of this base. Zero stands one tick before the smallest other value.
    Log(u32),
}

/// A line.
#[derive(Clone, Debug)]
pub(super) struct Series {
    pub(super) name: &'static str,
    pub(super) points: Vec<(f64, f64)>,
}

/// A chart.
#[derive(Clone, Debug)]
pub(super) struct Chart {
    pub(super) title: &'static str,
    pub(super) x_label: &'static str,
    pub(super) x_scale: Scale,
    pub(super) y_scale: Scale,
    pub(super) series: Vec<Series>,
}

/// An axis: ticks with their values, from the first to the last.
#[derive(Debug, PartialEq)]
struct Axis {
    scale: Scale,
    ticks: Vec<f64>,
}

impl Axis {
    fn new(scale: Scale, values: impl Iterator<Item = f64> + Clone) -> Self {
        let max = values.clone().fold(f64::MIN_POSITIVE, f64::max);
        let ticks = match scale {
            Scale::Linear => {
                let magnitude = 10_f64.powf((max / 4.0).log10().floor());
                let step = [1.0, 2.0, 2.5, 5.0, 10.0].map(|factor| factor * magnitude);
                let step = step.into_iter().find(|step| step * 4.0 >= max).unwrap_or(max);
                (0..=4).map(|number| f64::from(number) * step).collect()
            }
            Scale::Log(base) => {
                let base = f64::from(base);
                let min = values.clone().filter(|value| *value > 0.0).fold(max, f64::min);
                // A power that was computed may be just below a whole number.
                let (first, last) = ((min.log(base) + 1e-9).floor() as i32, (max.log(base) - 1e-9).ceil() as i32);
                let zero = values.clone().any(|value| value <= 0.0).then_some(0.0);
                zero.into_iter().chain((first..=last.max(first + 1)).map(|power| base.powi(power))).collect()
            }
        };
        Self { scale, ticks }
    }

    /// The position of a value, from 0 at the first tick to 1 at the last.
    fn position(&self, value: f64) -> f64 {
        let first = self.ticks.iter().copied().find(|tick| *tick > 0.0).unwrap_or(1.0);
        let position = |value: f64| match self.scale {
            Scale::Linear => value,
            Scale::Log(base) if value > 0.0 => value.log(f64::from(base)),
            Scale::Log(base) => first.log(f64::from(base)) - 1.0,
        };
        let start = position(self.ticks.first().copied().unwrap_or_default());
        let end = position(self.ticks.last().copied().unwrap_or_default());
        (position(value) - start) / (end - start)
    }
}

/// The charts side by side.
pub(super) fn svg(charts: &[Chart]) -> String {
    let width = WIDTH * charts.len() as f64;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {HEIGHT}\" \
         font-family=\"system-ui, sans-serif\" font-size=\"12\" fill=\"{TEXT}\">\n"
    );
    for (number, chart) in charts.iter().enumerate() {
        svg += &format!("<g transform=\"translate({} 0)\">\n{}</g>\n", WIDTH * number as f64, chart.group());
    }
    svg + "</svg>\n"
}

impl Chart {
    fn group(&self) -> String {
        let points = self.series.iter().flat_map(|series| series.points.iter());
        let x_axis = Axis::new(self.x_scale, points.clone().map(|point| point.0));
        let y_axis = Axis::new(self.y_scale, points.map(|point| point.1));
        let x = |value| LEFT + (WIDTH - LEFT - RIGHT) * x_axis.position(value);
        let y = |value| HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * y_axis.position(value);
        let (right, bottom, middle) = (WIDTH - RIGHT, HEIGHT - BOTTOM, (LEFT + WIDTH - RIGHT) / 2.0);
        let mut lines = vec![
            format!("<text x=\"{LEFT}\" y=\"18\" font-size=\"14\" font-weight=\"600\">{}</text>", self.title),
            format!("<text x=\"{middle:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>", HEIGHT - 8.0, self.x_label),
        ];
        for tick in &y_axis.ticks {
            let (at, label) = (y(*tick), label(*tick));
            lines.push(format!(
                "<path d=\"M{LEFT} {at:.1}H{right}\" stroke=\"{TEXT}\" stroke-opacity=\"0.3\"/>\
                 <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{label}</text>",
                LEFT - 6.0,
                at + 4.0
            ));
        }
        for tick in &x_axis.ticks {
            lines.push(format!(
                "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
                x(*tick),
                bottom + 16.0,
                label(*tick)
            ));
        }
        let mut legend = LEFT;
        for (series, color) in self.series.iter().zip(COLORS) {
            let path: Vec<_> =
                series.points.iter().map(|point| format!("{:.1} {:.1}", x(point.0), y(point.1))).collect();
            let path = path.join("L");
            lines.push(format!("<path d=\"M{path}\" fill=\"none\" stroke=\"{color}\" stroke-width=\"2\"/>"));
            for point in &series.points {
                lines.push(format!(
                    "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"3\" fill=\"{color}\"/>",
                    x(point.0),
                    y(point.1)
                ));
            }
            lines.push(format!("<text x=\"{legend:.1}\" y=\"38\" fill=\"{color}\">● {}</text>", series.name));
            legend += 28.0 + 6.5 * series.name.chars().count() as f64;
        }
        lines.join("\n") + "\n"
    }
}

/// A short form of a number: `0.5`, `20`, `1k`, `10M`.
fn label(value: f64) -> String {
    let (value, unit) = match value {
        1_000_000.0.. => (value / 1_000_000.0, "M"),
        1000.0.. => (value / 1000.0, "k"),
        _ => (value, ""),
    };
    // At most two digits after the point, and none that are zero.
    let rounded = format!("{value:.2}");
    format!("{}{unit}", rounded.trim_end_matches('0').trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn axis(scale: Scale, values: &[f64]) -> Axis {
        Axis::new(scale, values.iter().copied())
    }

    #[test]
    fn a_linear_axis_has_round_steps_and_holds_all_values() {
        let linear = axis(Scale::Linear, &[10.0, 9286.0]);
        assert_eq!(linear.ticks, [0.0, 2500.0, 5000.0, 7500.0, 10_000.0]);
        assert_eq!([0.0, 5000.0, 10_000.0].map(|value| linear.position(value)), [0.0, 0.5, 1.0]);
    }

    #[test]
    fn a_logarithmic_axis_has_its_powers_as_ticks() {
        let log = axis(Scale::Log(2), &[1.0, 256.0]);
        assert_eq!(log.ticks, [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0]);
        assert_eq!(log.position(16.0), 0.5);
    }

    #[test]
    fn zero_stands_before_the_smallest_power() {
        let log = axis(Scale::Log(10), &[0.0, 1e4, 1e7]);
        assert_eq!(log.ticks, [0.0, 1e4, 1e5, 1e6, 1e7]);
        assert_eq!((log.position(0.0), log.position(1e5)), (0.0, 0.5));
    }

    #[test]
    fn labels_are_short() {
        assert_eq!([0.0, 0.25, 16.0, 2500.0, 1e4, 1e7].map(label), ["0", "0.25", "16", "2.5k", "10k", "10M"]);
    }

    #[test]
    fn a_chart_has_each_point_within_its_frame() {
        let series = Series { name: "p50", points: vec![(1.0, 0.5), (256.0, 40.0)] };
        let chart = Chart {
            title: "Latency",
            x_label: "connections",
            x_scale: Scale::Log(2),
            y_scale: Scale::Log(10),
            series: vec![series],
        };
        let svg = svg(&[chart.clone(), chart]);
        assert_eq!(svg.matches("<circle").count(), 4);
        assert!(svg.contains("cx=\"62.0\"") && svg.contains("cx=\"444.0\""), "{svg}");
        assert!(svg.contains("viewBox=\"0 0 920 300\"") && !svg.contains("NaN"));
    }
}
