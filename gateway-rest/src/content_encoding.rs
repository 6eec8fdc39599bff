//! Negotiates the content encoding of a response (RFC 9110, section 12.5.3).

use axum::http::{HeaderMap, header};
use mayfly_bootstrap::http::weighted_items;

/// An encoding of the files that `make web` compresses, as `<file>.<suffix>` beside the plain ones.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum ContentEncoding {
    Brotli,
    Gzip,
}

impl ContentEncoding {
    /// In the order of preference.
    pub(crate) const ALL: [Self; 2] = [Self::Brotli, Self::Gzip];

    pub(crate) fn suffix(self) -> &'static str {
        match self {
            Self::Brotli => "br",
            Self::Gzip => "gz",
        }
    }

    /// The content coding's name in HTTP.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Brotli => "br",
            Self::Gzip => "gzip",
        }
    }

    /// Returns `true` if `Accept-Encoding` names this encoding, or `*`, with a weight above zero.
    pub(crate) fn is_accepted(self, headers: &HeaderMap) -> bool {
        let codings: Vec<_> = weighted_items(headers, &header::ACCEPT_ENCODING).collect();
        let weight_of = |name: &str| {
            let (_, weight) = codings.iter().find(|(coding, _)| coding.eq_ignore_ascii_case(name))?;
            Some(*weight)
        };
        weight_of(self.name()).or_else(|| weight_of("*")).is_some_and(|weight| weight > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_accepted_encoding_is_selected() {
        let best = |accepted: &str| {
            let headers = HeaderMap::from_iter([(header::ACCEPT_ENCODING, accepted.parse().unwrap())]);
            ContentEncoding::ALL.into_iter().find(|encoding| encoding.is_accepted(&headers))
        };
        assert_eq!(best("gzip, deflate, br, zstd"), Some(ContentEncoding::Brotli));
        assert_eq!(best("GZIP;q=0.5"), Some(ContentEncoding::Gzip));
        assert_eq!(best("br;q=0, *"), Some(ContentEncoding::Gzip));
        assert_eq!(best("br; q=0.000, gzip;q=0"), None);
        assert_eq!(best("*;q=0"), None);
        for unsupported in ["", "identity", "deflate", "brx", "br;q=x"] {
            assert_eq!(best(unsupported), None, "{unsupported}");
        }
        assert!(!ContentEncoding::Gzip.is_accepted(&HeaderMap::new()));
    }
}
