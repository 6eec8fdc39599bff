//! Redirects browsers from plain HTTP to HTTPS. Serves nothing else.

use std::io;

use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderValue, Method, StatusCode, header, uri::Authority},
    response::{IntoResponse as _, Response},
};
use mayfly_bootstrap::{
    Listener,
    http::{self, CallerSource, ContentPolicy, ListenerInfo, ServerLimits, observe},
};
use tokio_util::sync::CancellationToken;

use crate::problem::Problem;

const HTTPS_PORT: u16 = 443;

/// Redirects requests on `listener` to the same host and path at `https_port`, until `stop` is cancelled.
///
/// # Errors
///
/// As [`http::serve`].
pub async fn redirect_to_https(
    listener: impl Into<Listener>,
    https_port: u16,
    limits: ServerLimits,
    stop: CancellationToken,
) -> io::Result<()> {
    http::serve(listener, router(https_port), limits, CallerSource::Direct, stop).await
}

fn router(https_port: u16) -> Router {
    Router::new().fallback(redirect).with_state(https_port)
}

async fn redirect(State(https_port): State<u16>, request: Request) -> Response {
    let respond = async |request| {
        let mut response = match target(&request, https_port) {
            Ok(target) => (StatusCode::PERMANENT_REDIRECT, [(header::LOCATION, target)]).into_response(),
            Err(problem) => problem.into_response(),
        };
        http::set_security_headers(response.headers_mut(), ContentPolicy::Data);
        response
    };
    observe(&CallerSource::Direct, ListenerInfo::http("redirect"), request, respond).await
}

fn target(request: &Request, https_port: u16) -> Result<HeaderValue, Problem> {
    // The body of a request has crossed the network in clear already. A redirect would hide that.
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return Err(Problem::new(
            StatusCode::FORBIDDEN,
            "this port only redirects browsers to HTTPS: send requests to https://, and treat the contents of this one \
             as exposed",
        ));
    }
    let named = request.headers().get(header::HOST).and_then(|host| host.to_str().ok()?.parse::<Authority>().ok());
    let authority = request.uri().authority().cloned().or(named);
    let host = authority.as_ref().map(Authority::host).filter(|host| !host.is_empty());
    let host = host.ok_or_else(|| Problem::malformed("the request needs a Host header"))?;
    let port = if https_port == HTTPS_PORT { String::new() } else { format!(":{https_port}") };
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    HeaderValue::try_from(format!("https://{host}{port}{path}"))
        .map_err(|_| Problem::malformed("the path contains invalid characters"))
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use tower::ServiceExt as _;

    use super::*;

    async fn send(port: u16, method: Method, uri: &str, host: Option<&str>) -> Response {
        let mut request = Request::builder().method(method).uri(uri);
        if let Some(host) = host {
            request = request.header(header::HOST, host);
        }
        router(port).oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
    }

    #[tokio::test]
    async fn browsers_are_redirected_to_the_same_host_and_path() {
        for (port, uri, host, target) in [
            (443, "/", Some("mayfly.example.org"), "https://mayfly.example.org/"),
            (443, "/m/1?x=y", Some("mayfly.example.org:80"), "https://mayfly.example.org/m/1?x=y"),
            (8443, "/", Some("[::1]:8080"), "https://[::1]:8443/"),
            (443, "http://mayfly.example.org/a", None, "https://mayfly.example.org/a"),
        ] {
            for method in [Method::GET, Method::HEAD] {
                let response = send(port, method, uri, host).await;
                assert_eq!(response.status(), StatusCode::PERMANENT_REDIRECT, "{uri}");
                assert_eq!(response.headers()[header::LOCATION], target);
                assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store");
                assert!(!response.headers().contains_key(header::STRICT_TRANSPORT_SECURITY));
            }
        }
    }

    #[tokio::test]
    async fn requests_that_have_leaked_already_are_refused() {
        for method in [Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS] {
            let response = send(443, method, "/api/v1/create_message", Some("mayfly.example.org")).await;
            assert_eq!(response.status(), StatusCode::FORBIDDEN);
            assert!(!response.headers().contains_key(header::LOCATION));
        }
    }

    #[tokio::test]
    async fn a_redirect_needs_a_host() {
        for host in [None, Some(""), Some("a b")] {
            assert_eq!(send(443, Method::GET, "/", host).await.status(), StatusCode::BAD_REQUEST, "{host:?}");
        }
    }
}
