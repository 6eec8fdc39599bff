//! Sets the security headers of every response.

use axum::{
    extract::Request,
    http::{HeaderMap, HeaderValue, header},
    response::Response,
};
use mayfly_bootstrap::http::{self, ContentPolicy, OverTls};

use crate::caller::TrustedProxies;

/// Browsers use TLS only, for a year.
const HSTS: HeaderValue = HeaderValue::from_static("max-age=31536000");
const FORWARDED_PROTO: &str = "x-forwarded-proto";

/// The security headers of the response to a request.
pub(crate) struct SecurityHeaders {
    is_https: bool,
}

impl SecurityHeaders {
    pub(crate) fn for_request(proxies: TrustedProxies, request: &Request) -> Self {
        let is_own = request.extensions().get::<OverTls>().is_some();
        Self { is_https: is_own || is_forwarded_https(proxies, request.headers()) }
    }

    /// Sets the headers, with the content policy that the handler added to its response.
    pub(crate) fn set(self, response: &mut Response) {
        let policy = response.extensions().get::<ContentPolicy>().copied().unwrap_or_default();
        http::set_security_headers(response.headers_mut(), policy);
        if self.is_https {
            response.headers_mut().insert(header::STRICT_TRANSPORT_SECURITY, HSTS);
        }
    }
}

/// Returns `true` if a trusted proxy reports that its caller used TLS.
fn is_forwarded_https(TrustedProxies(proxies): TrustedProxies, headers: &HeaderMap) -> bool {
    let schemes = headers.get_all(FORWARDED_PROTO).iter().filter_map(|line| line.to_str().ok());
    proxies > 0 && schemes.flat_map(|line| line.split(',')).any(|scheme| scheme.trim().eq_ignore_ascii_case("https"))
}
