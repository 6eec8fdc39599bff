//! The token of the simulator.
//!
//! The address of the peer proves nothing: behind a reverse proxy on the same machine, all requests come from the
//! loopback interface, with or without a header. So the simulator requires a token, as Jupyter does. The URL of the
//! page holds it in the fragment, which browsers do not send. The page sends it in `Mayfly-Authorization`, which no
//! other site can add. Programs may send it in `Authorization`.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::{StatusCode, header},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use mayfly_bootstrap::Secret;
use subtle::ConstantTimeEq as _;

/// The expected token. Cheap to clone.
#[derive(Clone)]
pub(super) struct Token(Arc<Secret>);

impl Token {
    pub(super) fn new(token: Secret) -> Self {
        Self(Arc::new(token))
    }

    fn is_shown_by(&self, request: &Request) -> bool {
        let Some(shown) = request.headers().get(header::AUTHORIZATION) else { return false };
        let shown = shown.as_bytes().strip_prefix(b"Bearer ").unwrap_or_default();
        shown.ct_eq(self.0.expose().as_bytes()).into()
    }
}

/// Rejects requests without the token.
pub(super) async fn require(State(token): State<Token>, request: Request, next: Next) -> Response {
    if token.is_shown_by(&request) {
        return next.run(request).await;
    }
    let challenge = [(header::WWW_AUTHENTICATE, "Bearer")];
    (StatusCode::UNAUTHORIZED, challenge, "the simulator needs its token, which is in simulator.token\n")
        .into_response()
}
