//! gRPC and gRPC-Web, forwarded to the store as they are, on the same port as everything else.
//!
//! tonic-web answers 400 to every HTTP/1 request that is not gRPC-Web, so it stands on these routes only.

use std::convert::Infallible;

use axum::{
    Router,
    http::{HeaderName, Request, Response, header},
};
use mayfly_contracts::{Situation, StoreChannel, error::ErrorReason};
use tonic::{Code, body::Body};
use tonic_web::GrpcWebLayer;
use tower::{Layer as _, Service, ServiceExt as _};

/// For everybody, as the store serves them.
const OPEN: [&str; 4] = [
    "mayfly.message.v1.MessageService",
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
];
/// For callers who show a token; the store says whether it is a good one.
const WITH_TOKEN: [&str; 1] = ["mayfly.config.v1.ConfigService"];

/// What concerns the connection of the caller, not the one to the store.
const HOP_BY_HOP: [HeaderName; 6] = [
    header::CONNECTION,
    header::HOST,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];

pub(crate) fn routes(store: &StoreChannel) -> Router {
    let mut router = Router::new();
    for (services, needs_token) in [(OPEN.as_slice(), false), (WITH_TOKEN.as_slice(), true)] {
        // Inside gRPC-Web, so that its callers can read refusals too.
        let forwarding = GrpcWebLayer::new().layer(forward(store.clone(), needs_token));
        for service in services {
            router = router.route_service(&format!("/{service}/{{rpc}}"), forwarding.clone());
        }
    }
    router
}

fn forward(
    store: StoreChannel,
    needs_token: bool,
) -> impl Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send> + Clone + Send + Sync + 'static
{
    tower::service_fn(move |mut request: Request<Body>| {
        let store = store.clone();
        async move {
            if needs_token && !request.headers().contains_key(header::AUTHORIZATION) {
                return Ok(refuse(ErrorReason::CredentialsInvalid, Code::Unauthenticated, "a bearer token is needed"));
            }
            for name in HOP_BY_HOP {
                request.headers_mut().remove(name);
            }
            Ok(store.oneshot(request).await.unwrap_or_else(|error| {
                tracing::warn!(error = %mayfly_bootstrap::ErrorChain(&*error), "the store cannot be reached");
                refuse(ErrorReason::StoreUnavailable, Code::Unavailable, "the store cannot be reached, try later")
            }))
        }
    })
}

fn refuse(reason: ErrorReason, code: Code, message: &str) -> Response<Body> {
    Situation::new(reason).into_status(code, message).into_http()
}
