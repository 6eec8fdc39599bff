//! The responses to requests that the limits of the process reject, in the caller's protocol.

use axum::{
    http::{HeaderMap, StatusCode},
    response::{IntoResponse as _, Response},
};
use mayfly_bootstrap::http::Rejection;

use crate::{grpc_proxy, problem::Problem};

/// Returns the response to a request with these `headers` that the limits reject.
pub(crate) fn rejection_response(rejection: Rejection, headers: &HeaderMap, max_text_bytes: usize) -> Response {
    if let Some(response) = grpc_proxy::rejection_response(rejection, headers) {
        return response;
    }
    let problem = match rejection {
        Rejection::CallerBusy => {
            Problem::overloaded(StatusCode::TOO_MANY_REQUESTS, "you have too much in flight, try later")
        }
        Rejection::ServerBusy => Problem::overloaded(StatusCode::SERVICE_UNAVAILABLE, "the gateway is busy, try later"),
        Rejection::TooLarge => Problem::too_large(max_text_bytes),
        Rejection::TimedOut => Problem::body_timed_out(),
        Rejection::Incomplete => Problem::malformed("the body did not arrive whole"),
    };
    problem.into_response()
}
