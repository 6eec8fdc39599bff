//! The table of results: one row for each goal.

use serde::Serialize;

use super::statistics::Median;

const HEAD: [&str; 6] = ["work", "Mayfly", "limit", "ratio", "goal", "met"];

/// A measurement and its goal.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Row {
    pub(super) work: String,
    pub(super) mayfly: String,
    pub(super) limit: String,
    pub(super) ratio: String,
    pub(super) goal: String,
    pub(super) is_met: bool,
}

/// The rows as a Markdown table, whose columns are aligned in the source too.
pub(super) fn markdown(rows: &[Row]) -> String {
    let cells = rows.iter().map(|row| {
        let met = if row.is_met { "yes" } else { "no" };
        [&row.work, &row.mayfly, &row.limit, &row.ratio, &row.goal, met].map(ToString::to_string)
    });
    let lines: Vec<[String; 6]> = std::iter::once(HEAD.map(str::to_owned)).chain(cells).collect();
    let mut table = String::new();
    for (number, line) in lines.iter().enumerate() {
        write_line(&mut table, &lines, line.each_ref().map(String::as_str), ' ');
        if number == 0 {
            write_line(&mut table, &lines, [""; 6], '-');
        }
    }
    table
}

fn write_line(table: &mut String, lines: &[[String; 6]], cells: [&str; 6], fill: char) {
    table.push('|');
    for (column, cell) in cells.into_iter().enumerate() {
        let width = |line: &[String; 6]| line.get(column).map_or(0, |cell| cell.chars().count());
        let padding = lines.iter().map(width).max().unwrap_or_default() - cell.chars().count();
        *table += &format!(" {cell}{} |", fill.to_string().repeat(padding));
    }
    table.push('\n');
}

/// A median with the range of the rounds: `9,286 (8,101–9,900) /s`.
pub(super) fn with_range(median: Median, unit: &str) -> String {
    let Median { value, min, max } = median;
    format!("{} ({}–{}) {unit}", thousands(value), thousands(min), thousands(max))
}

/// A ratio with the range of the rounds: `0.45 (0.41–0.52)`.
pub(super) fn ratio(Median { value, min, max }: Median) -> String {
    format!("{value:.2} ({min:.2}–{max:.2})")
}

/// Microseconds as milliseconds: `6.62 ms`.
pub(super) fn millis(micros: impl Into<f64>) -> String {
    format!("{:.2} ms", micros.into() / 1000.0)
}

/// A rounded number with commas between thousands.
pub(super) fn thousands(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_columns_are_as_wide_as_their_widest_cell() {
        let cell = str::to_owned;
        let rows = [Row {
            work: cell("REST"),
            mayfly: with_range(Median { value: 9286.0, min: 8101.0, max: 10_900.4 }, "/s"),
            limit: cell(""),
            ratio: ratio(Median { value: 0.454, min: 0.4, max: 0.5 }),
            goal: cell("≥ 0.45"),
            is_met: true,
        }];
        let table = "\
            | work | Mayfly                  | limit | ratio            | goal   | met |\n\
            | ---- | ----------------------- | ----- | ---------------- | ------ | --- |\n\
            | REST | 9,286 (8,101–10,900) /s |       | 0.45 (0.40–0.50) | ≥ 0.45 | yes |\n";
        assert_eq!(markdown(&rows), table);
    }

    #[test]
    fn thousands_are_separated() {
        assert_eq!(
            ["0", "999", "1,000", "1,234,568"],
            [0.0, 999.4, 999.6, 1_234_567.8].map(thousands).each_ref().map(String::as_str)
        );
    }
}
