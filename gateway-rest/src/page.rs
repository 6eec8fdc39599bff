//! What a person sees who opens the gateway in a browser.

use axum::{
    Router,
    http::header,
    response::{Html, IntoResponse},
};

use crate::methods::Only;

const PAGE: &str = include_str!("page.html");

pub(crate) fn routes() -> Router {
    Router::new().route("/", Only::Get.route(page)).route("/robots.txt", Only::Get.route(robots))
}

async fn page() -> Html<&'static str> {
    Html(PAGE)
}

/// Nothing here is for search engines.
async fn robots() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], "User-agent: *\nDisallow: /\n")
}
