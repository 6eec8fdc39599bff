//! Whether somebody wants the page as HTML or as JSON.
//!
//! The system that Mayfly replaces answered JSON to anybody, so HTML is for those who say that they prefer it, which
//! browsers do; who accepts anything (`*/*`, as curl does), nothing of ours, or says nothing gets JSON.

use axum::http::{HeaderMap, header};

/// By the qualities in `Accept`, RFC 9110 section 12.5.1.
pub(super) fn prefers_html(headers: &HeaderMap) -> bool {
    let accept: Vec<_> = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
    let accept = accept.join(",");
    quality(&accept, "text", "html") > quality(&accept, "application", "json")
}

/// In thousandths. The most specific range that matches decides.
fn quality(accept: &str, kind: &str, subtype: &str) -> u16 {
    let mut best = (0, 0);
    for range in accept.split(',') {
        let mut parts = range.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default();
        let specificity = match name.split_once('/') {
            Some((k, s)) if k.eq_ignore_ascii_case(kind) && s.eq_ignore_ascii_case(subtype) => 3,
            Some((k, "*")) if k.eq_ignore_ascii_case(kind) => 2,
            Some(("*", "*")) => 1,
            _ => continue,
        };
        let weight = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
        let quality = weight.map_or(1_000, thousandths);
        best = best.max((specificity, quality));
    }
    best.1
}

/// What is no weight counts as none: the range was named, so it is wanted.
fn thousandths(weight: &str) -> u16 {
    match weight.parse::<f32>() {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
        Ok(weight) if weight.is_finite() => (weight.clamp(0.0, 1.0) * 1_000.0) as u16,
        _ => 1_000,
    }
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
        ] {
            assert!(!is_html(&[accept]), "{accept}");
        }
    }
}
