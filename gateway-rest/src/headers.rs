//! Response headers that everything gets: nothing is cached, sniffed, framed or told to other sites, and a document may do
//! no more than its kind needs.

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, header},
    middleware::Next,
    response::{IntoResponseParts, Response, ResponseParts},
};

use crate::caller::TrustedProxies;

const HEADERS: [(HeaderName, &str); 5] = [
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    // What the page does ask for is not in the list: to write to the clipboard, and to share.
    (
        HeaderName::from_static("permissions-policy"),
        "accelerometer=(), autoplay=(), camera=(), clipboard-read=(), display-capture=(), fullscreen=(), geolocation=(), \
         gyroscope=(), magnetometer=(), microphone=(), midi=(), payment=(), publickey-credentials-get=(), usb=()",
    ),
];
/// Unless the response says itself that it may be kept.
const CACHE: HeaderValue = HeaderValue::from_static("no-store");
/// A year of TLS and nothing else.
const ONLY_TLS: HeaderValue = HeaderValue::from_static("max-age=31536000");
const FORWARDED_PROTO: &str = "x-forwarded-proto";

/// What a browser lets a response do, should it take it for a document.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum Policy {
    /// Nothing: it is data.
    #[default]
    Data,
    /// To be styled: it is a document without scripts.
    Document,
    /// To run our own scripts, call this server and show our own pictures: it is the page. Scripts cannot turn texts into markup.
    Page,
}

impl Policy {
    fn value(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Data => "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
            Self::Document => {
                "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; \
                 frame-ancestors 'none'"
            }
            Self::Page => {
                "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                 base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; \
                 trusted-types 'none'"
            }
        })
    }
}

impl IntoResponseParts for Policy {
    type Error = std::convert::Infallible;

    fn into_response_parts(self, mut response: ResponseParts) -> Result<ResponseParts, Self::Error> {
        response.extensions_mut().insert(self);
        Ok(response)
    }
}

/// Adds them to every response.
pub(crate) async fn harden(State(proxies): State<TrustedProxies>, request: Request, next: Next) -> Response {
    let is_tls = came_by_tls(proxies, request.headers());
    let mut response = next.run(request).await;
    let policy = response.extensions().get::<Policy>().copied().unwrap_or_default();
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert(header::CONTENT_SECURITY_POLICY, policy.value());
    headers.entry(header::CACHE_CONTROL).or_insert(CACHE);
    if is_tls {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, ONLY_TLS);
    }
    response
}

/// Whether a trusted proxy says that its caller spoke TLS. The gateway itself does not.
fn came_by_tls(TrustedProxies(proxies): TrustedProxies, headers: &HeaderMap) -> bool {
    let said = headers.get_all(FORWARDED_PROTO).iter().filter_map(|line| line.to_str().ok());
    proxies > 0 && said.flat_map(|line| line.split(',')).any(|scheme| scheme.trim().eq_ignore_ascii_case("https"))
}
