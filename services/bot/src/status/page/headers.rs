//! Sets the security headers of the page. No response is cached, or may load anything from other hosts.

use axum::response::Response;
use mayfly_bootstrap::http::{ContentPolicy, set_security_headers};

pub(super) async fn security_headers(mut response: Response) -> Response {
    set_security_headers(response.headers_mut(), ContentPolicy::Page);
    response
}
