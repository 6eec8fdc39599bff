//! gRPC and gRPC-Web, forwarded to the store and to the bot as they are, on the same port as everything else.
//!
//! tonic-web answers 400 to every HTTP/1 request that is not gRPC-Web, so it stands on these routes only.

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
use tower::{BoxError, Layer as _, Service, ServiceExt as _};

use crate::Upstreams;

/// For everybody, as the store serves them.
const OPEN: [&str; 2] = ["mayfly.message.v1.MessageService", "grpc.health.v1.Health"];
/// For callers who show a token; the store says whether it is a good one.
const WITH_TOKEN: [&str; 1] = ["mayfly.config.v1.ConfigService"];
/// The bot's, for callers who show a token; the bot has the store say whether it is a good one.
const OF_THE_BOT: [&str; 1] = ["mayfly.bot.v1.BotService"];
/// The gateway's own: which services there are, the store's and the bot's.
const REFLECTION: [&str; 2] = ["grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"];

/// What concerns the connection of the caller, not the one to the store.
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
/// The largest: gRPC's own default.
const MAX_RESPONSE_BYTES: usize = 4 << 20;

/// Who answers, and what callers are told when nobody does.
#[derive(Clone)]
struct Upstream {
    channel: ServiceChannel,
    reason: ErrorReason,
    unreachable: &'static str,
}

pub(crate) fn routes(Upstreams { store, bot, has_reflection }: &Upstreams) -> Router {
    let store = Upstream {
        channel: store.clone(),
        reason: ErrorReason::StoreUnavailable,
        unreachable: "the store cannot be reached, try later",
    };
    let bot = Upstream {
        channel: bot.clone(),
        reason: ErrorReason::BotUnavailable,
        unreachable: "the bot cannot be reached, try later",
    };
    let reflection = Upstream {
        channel: ServiceChannel::local(with_reflection(
            Routes::default(),
            &[OPEN.as_slice(), &WITH_TOKEN, &OF_THE_BOT].concat(),
        )),
        reason: ErrorReason::Internal,
        unreachable: "reflection failed",
    };
    let reflected = if *has_reflection { REFLECTION.as_slice() } else { &[] };
    let mut router = Router::new();
    for (services, upstream, needs_token) in [
        (OPEN.as_slice(), &store, false),
        (&WITH_TOKEN, &store, true),
        (&OF_THE_BOT, &bot, true),
        (reflected, &reflection, false),
    ] {
        // Inside gRPC-Web, so that its callers can read refusals too.
        let forwarding = GrpcWebLayer::new().layer(forward(upstream.clone(), needs_token));
        for service in services {
            router = router.route_service(&format!("/{service}/{{rpc}}"), forwarding.clone());
        }
    }
    router
}

fn forward(
    upstream: Upstream,
    needs_token: bool,
) -> impl Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send> + Clone + Send + Sync + 'static
{
    tower::service_fn(move |mut request: Request<Body>| {
        let Upstream { channel, reason, unreachable } = upstream.clone();
        async move {
            if needs_token && !request.headers().contains_key(header::AUTHORIZATION) {
                return Ok(refuse(ErrorReason::CredentialsInvalid, Code::Unauthenticated, "a bearer token is needed"));
            }
            for name in HOP_BY_HOP {
                request.headers_mut().remove(name);
            }
            Ok(call(channel, request).await.unwrap_or_else(|error| {
                tracing::warn!(error = %mayfly_bootstrap::ErrorChain(&*error), "{unreachable}");
                refuse(reason, Code::Unavailable, unreachable)
            }))
        }
    })
}

/// The response to a unary call is taken whole before it is passed on. A caller that does not read it would otherwise
/// hold what all calls to the service share: the flow control window of its connection.
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

/// The response to a gRPC or gRPC-Web request that the limits refuse. `None` when it is neither.
pub(crate) fn refused(refusal: Rejection, headers: &HeaderMap) -> Option<axum::response::Response> {
    let content_type = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    if !content_type.starts_with("application/grpc") {
        return None;
    }
    let mut response = match refusal {
        Rejection::CallerBusy => busy("you have too much in flight, try later"),
        Rejection::ServerBusy => busy("the gateway is busy, try later"),
        Rejection::TooLarge => {
            refuse(ErrorReason::TextTooLong, Code::InvalidArgument, "the request is larger than any that is accepted")
        }
        Rejection::TimedOut => {
            refuse(ErrorReason::StoreUnavailable, Code::DeadlineExceeded, "the request did not arrive in time")
        }
        Rejection::Incomplete => {
            refuse(ErrorReason::StoreUnavailable, Code::Cancelled, "the request did not arrive whole")
        }
    };
    // A refusal is nothing but headers, which gRPC-Web reads too if the type is its own.
    if content_type.starts_with("application/grpc-web") {
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc-web+proto"));
    }
    Some(response.map(axum::body::Body::new))
}

fn busy(message: &str) -> Response<Body> {
    let retry_after = Some(Duration::from_secs(1));
    let situation = ErrorInfo { retry_after, ..ErrorInfo::new(ErrorReason::Overloaded) };
    situation.into_status(Code::ResourceExhausted, message).into_http()
}

fn refuse(reason: ErrorReason, code: Code, message: &str) -> Response<Body> {
    ErrorInfo::new(reason).into_status(code, message).into_http()
}
