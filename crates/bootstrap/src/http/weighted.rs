//! The weighted lists of `Accept` and `Accept-Encoding` (RFC 9110, section 12.4.2).

use axum::http::{HeaderMap, HeaderName};

/// The weight of an item without a weight.
const MAX_WEIGHT: u16 = 1_000;

/// Returns the items of all headers with this name, with their weights in thousandths. An item with a malformed weight
/// counts as not acceptable: its weight is 0.
pub fn weighted_items<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = (&'a str, u16)> {
    let lines = headers.get_all(name).iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).map(|item| {
        let mut parts = item.split(';').map(str::trim);
        let value = parts.next().unwrap_or_default();
        let weight = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
        (value, weight.map_or(MAX_WEIGHT, |weight| parse_weight(weight).unwrap_or(0)))
    })
}

/// Parses `0` to `1` with at most three decimals.
fn parse_weight(text: &str) -> Option<u16> {
    let (integer, decimals) = text.split_once('.').unwrap_or((text, ""));
    if decimals.len() > 3 || !decimals.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let thousandths = format!("{decimals:0<3}").parse().ok()?;
    match (integer, thousandths) {
        ("0", thousandths) => Some(thousandths),
        ("1", 0) => Some(MAX_WEIGHT),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use axum::http::header;

    use super::*;

    fn items(lines: &[&'static str]) -> Vec<(String, u16)> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(header::ACCEPT, line.parse().unwrap());
        }
        weighted_items(&headers, &header::ACCEPT).map(|(item, weight)| (item.to_owned(), weight)).collect()
    }

    #[test]
    fn items_of_all_headers_have_their_weights() {
        let found = items(&["text/html, text/plain;format=flowed ; q=0.5", "*/*;Q=0.125"]);
        assert_eq!(found, [("text/html".into(), 1_000), ("text/plain".into(), 500), ("*/*".into(), 125)]);
        assert_eq!(items(&[]), []);
    }

    #[test]
    fn weights_have_at_most_three_decimals() {
        for (weight, expected) in [("0", 0), ("0.", 0), ("0.05", 50), ("0.999", 999), ("1", 1_000), ("1.000", 1_000)] {
            assert_eq!(parse_weight(weight), Some(expected), "{weight}");
        }
    }

    #[test]
    fn malformed_weights_count_as_zero() {
        for weight in ["", "x", "-1", "+1", "1.1", "2", "0.1234", ".5", "00", "1e-1", "NaN", "inf", "0.5 "] {
            assert_eq!(parse_weight(weight), None, "{weight}");
        }
        assert_eq!(items(&["br;q=x, gzip"]), [("br".into(), 0), ("gzip".into(), 1_000)]);
    }
}
