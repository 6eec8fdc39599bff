//! What every listener does around the handling of a request: it gives the request an id and a span, and logs it.

use std::future::Future;

use axum::{extract::Request, response::Response};

use super::{
    access_log::AccessLine,
    caller::{CallerSource, peer_of},
    listener_info::ListenerInfo,
    server_span::ServerSpan,
};
use crate::{
    RequestId,
    request_id::REQUEST_ID,
    trace::{take_parent, within},
};

/// Handles a request with an id, which its response, its errors and its line in the access log have, and within a span.
///
/// The id and the trace are those of the peer, if `callers` trusts it and they are well-formed. Removes the headers of
/// the caller by which it could name the request in other processes.
pub async fn observe<Handled: Future<Output = Response>>(
    callers: &CallerSource,
    listener: ListenerInfo,
    mut request: Request,
    handle: impl FnOnce(Request) -> Handled,
) -> Response {
    let is_trusted = peer_of(&request).is_some_and(|peer| callers.trusts(peer));
    let headers = request.headers_mut();
    let given = headers.remove(REQUEST_ID).filter(|_| is_trusted);
    let parent = take_parent(headers);
    let id = given.and_then(|id| id.to_str().ok()?.parse().ok()).unwrap_or_else(RequestId::generate);
    let span = ServerSpan::begin(&request, listener, parent, is_trusted);
    let trace_id = || span.as_ref().and_then(|span| span.as_span().trace_id());
    let line = AccessLine::begin(&request, id, trace_id, listener, callers);
    let mut response = id.scope(within(span.as_ref().map(ServerSpan::as_span), handle(request))).await;
    if let Some(span) = span {
        span.end(&response);
    }
    id.set(response.headers_mut());
    (listener.add_request_id)(response.headers_mut(), id.as_str());
    match line {
        Some(line) => line.end(response),
        None => response,
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use axum::{body::Body, extract::ConnectInfo, http::HeaderName};

    use super::*;

    const TRUSTED: [CallerSource; 1] = [CallerSource::TrustedProxies(1)];

    async fn id_of(callers: &CallerSource, given: &str) -> (Option<RequestId>, String, usize) {
        let mut request = Request::get("/").header(REQUEST_ID, given).body(Body::empty()).unwrap();
        for name in ["traceparent", "tracestate", "baggage"] {
            request
                .headers_mut()
                .insert(name, "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01".parse().unwrap());
        }
        request.extensions_mut().insert(ConnectInfo(SocketAddr::from(([192, 0, 2, 1], 1))));
        let (mut current, mut passed_on) = (None, 0);
        let handle = async |request: Request| {
            current = RequestId::current();
            passed_on = request.headers().len();
            Response::default()
        };
        let response = observe(callers, ListenerInfo::http("test"), request, handle).await;
        (current, response.headers()[REQUEST_ID].to_str().unwrap().to_owned(), passed_on)
    }

    #[tokio::test]
    async fn only_a_trusted_peer_names_its_request() {
        let given = "3f1c2a9e-7d56-4f0e-8b0a-1c6a2f9d4e11";
        for callers in TRUSTED {
            let (current, returned, _) = id_of(&callers, given).await;
            assert_eq!((current.unwrap().as_str(), returned.as_str()), (given, given));
            let (_, returned, _) = id_of(&callers, "a text of a message").await;
            assert_eq!(returned.len(), 16, "{returned}");
        }
        let header = HeaderName::from_static("caller");
        let gateways = CallerSource::TrustedGateways { networks: vec!["10.0.0.0/8".parse().unwrap()], header };
        for callers in [CallerSource::Direct, CallerSource::TrustedProxies(0), gateways] {
            let (current, returned, passed_on) = id_of(&callers, given).await;
            assert_eq!(current.unwrap().as_str(), returned);
            assert_ne!(returned, given);
            assert_eq!(passed_on, 0, "headers of the caller are passed on");
        }
    }
}
