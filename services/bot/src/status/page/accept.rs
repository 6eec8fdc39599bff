//! Decides whether a client gets the page as HTML or as JSON.
//!
//! The system that Mayfly replaces returned JSON to every client. So only a client that prefers HTML gets HTML, as
//! browsers do. A client that accepts anything (`*/*`, as curl does), neither of the two, or sends no `Accept` gets
//! JSON.

use axum::http::{HeaderMap, header};
use mayfly_bootstrap::http::weighted_items;

/// Returns `true` if the weights in `Accept` prefer HTML (RFC 9110, section 12.5.1).
pub(super) fn prefers_html(headers: &HeaderMap) -> bool {
    weight(headers, "text", "html") > weight(headers, "application", "json")
}

/// Returns the weight of a media type in thousandths. The most specific range that matches decides.
fn weight(headers: &HeaderMap, kind: &str, subtype: &str) -> u16 {
    let specificity = |range: &str| match range.split_once('/') {
        Some((k, s)) if k.eq_ignore_ascii_case(kind) && s.eq_ignore_ascii_case(subtype) => Some(3),
        Some((k, "*")) if k.eq_ignore_ascii_case(kind) => Some(2),
        Some(("*", "*")) => Some(1),
        _ => None,
    };
    let matching =
        weighted_items(headers, &header::ACCEPT).filter_map(|(range, weight)| Some((specificity(range)?, weight)));
    matching.max().map_or(0, |(_, weight)| weight)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_html(accept: &[&'static str]) -> bool {
        let mut headers = HeaderMap::new();
        for value in accept {
            headers.append(header::ACCEPT, value.parse().unwrap());
        }
        prefers_html(&headers)
    }

    #[test]
    fn browsers_get_html() {
        assert!(is_html(&["text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"]));
        assert!(is_html(&["text/html"]));
        assert!(is_html(&["application/json;q=0.9, TEXT/HTML"]));
        assert!(is_html(&["application/json;q=0.5", "text/html;q=0.6"]));
        assert!(is_html(&["*/*, application/json;q=0"]));
    }

    #[test]
    fn everybody_else_gets_json() {
        assert!(!is_html(&[]));
        for accept in [
            "*/*",
            "",
            "application/json",
            "application/json, text/html",
            "application/json, text/plain, */*",
            "application/*",
            "text/html;q=0, */*",
            "text/html;q=0.4, */*;q=0.5",
            "image/png",
            "nonsense;;,,/;q=",
            "text/html;q=x, */*;q=0.1",
        ] {
            assert!(!is_html(&[accept]), "{accept}");
        }
    }
}
