//! Forwards gRPC and gRPC-Web unchanged to the store and the bot, on the same port as everything else.
//!
//! tonic-web returns 400 for every HTTP/1 request that is not gRPC-Web, so these routes alone have its layer.

use std::{convert::Infallible, time::Duration};

use axum::{
    Router,
    http::{HeaderMap, HeaderName, HeaderValue, Request, Response, header},
};
use http_body_util::{BodyExt as _, Limited};
use mayfly_bootstrap::http::Rejection;
use mayfly_contracts::{ErrorInfo, ServiceChannel, error::ErrorReason, is_streaming, with_reflection};
use tonic::{Code, body::Body, service::Routes};
use tonic_web::GrpcWebLayer;
use tower::{BoxError, Layer as _, ServiceExt as _, util::BoxCloneSyncService};

use crate::{
    services::{AUTHENTICATED_SERVICES, BOT_SERVICES, PUBLIC_SERVICES, REFLECTION_SERVICES},
    upstreams::Upstreams,
};

/// Headers of the caller's connection, which are not forwarded.
const HOP_BY_HOP: [HeaderName; 6] = [
    header::CONNECTION,
    header::HOST,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];

/// How long the body of a unary response may take to arrive from a service.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(30);
/// The largest body of a unary response: gRPC's default limit.
const MAX_RESPONSE_BYTES: usize = 4 << 20;

/// A service, and the error for callers if it cannot be reached.
#[derive(Clone)]
struct Upstream {
    channel: ServiceChannel,
    reason: ErrorReason,
    unreachable_message: &'static str,
}

pub(crate) fn routes(Upstreams { store, bot, has_reflection, metrics: _ }: &Upstreams) -> Router {
    let store = Upstream {
        channel: store.clone(),
        reason: ErrorReason::StoreUnavailable,
        unreachable_message: "the store cannot be reached, try later",
    };
    let bot = Upstream {
        channel: bot.clone(),
        reason: ErrorReason::BotUnavailable,
        unreachable_message: "the bot cannot be reached, try later",
    };
    let reflection = Upstream {
        channel: ServiceChannel::local(with_reflection(
            Routes::default(),
            &[PUBLIC_SERVICES.as_slice(), &AUTHENTICATED_SERVICES, &BOT_SERVICES].concat(),
        )),
        reason: ErrorReason::Internal,
        unreachable_message: "reflection failed",
    };
    let reflection_services = if *has_reflection { REFLECTION_SERVICES.as_slice() } else { &[] };
    let mut router = Router::new();
    for (services, upstream, needs_token) in [
        (PUBLIC_SERVICES.as_slice(), &store, false),
        (&AUTHENTICATED_SERVICES, &store, true),
        (&BOT_SERVICES, &bot, true),
        (reflection_services, &reflection, false),
    ] {
        // Inside gRPC-Web, so that its callers can read errors too.
        let forwarding = GrpcWebLayer::new().layer(forward(upstream.clone(), needs_token));
        for service in services {
            router = router.route_service(&format!("/{service}/{{rpc}}"), forwarding.clone());
        }
    }
    router
}

fn forward(upstream: Upstream, needs_token: bool) -> BoxCloneSyncService<Request<Body>, Response<Body>, Infallible> {
    BoxCloneSyncService::new(tower::service_fn(move |mut request: Request<Body>| {
        let Upstream { channel, reason, unreachable_message } = upstream.clone();
        async move {
            if needs_token && !request.headers().contains_key(header::AUTHORIZATION) {
                return Ok(error_response(
                    ErrorReason::CredentialsInvalid,
                    Code::Unauthenticated,
                    "a bearer token is needed",
                ));
            }
            for name in HOP_BY_HOP {
                request.headers_mut().remove(name);
            }
            Ok(call(channel, request).await.unwrap_or_else(|error| {
                tracing::warn!(error = %mayfly_bootstrap::ErrorChain(&*error), "{unreachable_message}");
                error_response(reason, Code::Unavailable, unreachable_message)
            }))
        }
    }))
}

/// Reads the response to a unary call whole before the caller gets it. Otherwise a caller that does not read it would
/// block the flow control window that all calls to the service share.
async fn call(channel: ServiceChannel, request: Request<Body>) -> Result<Response<Body>, BoxError> {
    let is_streaming = is_streaming(request.uri().path());
    let response = channel.oneshot(request).await?;
    if is_streaming {
        return Ok(response);
    }
    let (parts, body) = response.into_parts();
    let body = tokio::time::timeout(RESPONSE_TIMEOUT, Limited::new(body, MAX_RESPONSE_BYTES).collect()).await??;
    Ok(Response::from_parts(parts, Body::new(body)))
}

/// Returns the response to a gRPC or gRPC-Web request that the limits reject, or `None` for other requests.
pub(crate) fn rejection_response(rejection: Rejection, headers: &HeaderMap) -> Option<axum::response::Response> {
    let content_type = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    if !content_type.starts_with("application/grpc") {
        return None;
    }
    let mut response = match rejection {
        Rejection::CallerBusy => overloaded("you have too much in flight, try later"),
        Rejection::ServerBusy => overloaded("the gateway is busy, try later"),
        Rejection::TooLarge => error_response(
            ErrorReason::TextTooLong,
            Code::InvalidArgument,
            "the request is larger than any that is accepted",
        ),
        Rejection::TimedOut => {
            error_response(ErrorReason::StoreUnavailable, Code::DeadlineExceeded, "the request did not arrive in time")
        }
        Rejection::Incomplete => {
            error_response(ErrorReason::StoreUnavailable, Code::Cancelled, "the request did not arrive whole")
        }
    };
    // The response consists of headers only. gRPC-Web reads them too, if the content type is its own.
    if content_type.starts_with("application/grpc-web") {
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc-web+proto"));
    }
    Some(response.map(axum::body::Body::new))
}

fn overloaded(message: &str) -> Response<Body> {
    let retry_after = Some(Duration::from_secs(1));
    let error = ErrorInfo { retry_after, ..ErrorInfo::new(ErrorReason::Overloaded) };
    error.into_status(Code::ResourceExhausted, message).into_http()
}

fn error_response(reason: ErrorReason, code: Code, message: &str) -> Response<Body> {
    ErrorInfo::new(reason).into_status(code, message).into_http()
}
