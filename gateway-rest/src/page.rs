//! Serves the web page, which `make web` builds and which is part of the program. Without it, serves a page that
//! explains how to build it.
//!
//! All addresses of the page return the same document, whose script parses the address. Browsers do not send the part
//! behind `#`. These routes have no side effects.

use axum::{
    Router,
    extract::Path,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{Html, IntoResponse, Response},
};
use mayfly_bootstrap::http::ContentPolicy;
use rust_embed::{Embed, EmbeddedFile};

use crate::{allowed_method::AllowedMethod, content_encoding::ContentEncoding, problem::Problem};

/// The output of `make web`: the document, and `assets/` with a hash of the content in each name.
#[derive(Embed)]
#[folder = "../web/dist"]
#[allow_missing = true]
struct Dist;

const DOCUMENT: &str = "index.html";
const NOT_BUILT: &str = include_str!("page/not_built.html");

/// An asset never changes: a new content has a new name.
const IMMUTABLE: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");

pub(crate) fn routes() -> Router {
    routes_with::<Dist>()
}

fn routes_with<Files: Embed + 'static>() -> Router {
    let mut router = Router::new()
        .route("/assets/{*name}", AllowedMethod::GetOrHead.route(asset::<Files>))
        .route("/robots.txt", AllowedMethod::GetOrHead.route(robots));
    for path in ["/", "/m/{id}", "/m/{id}/", "/admin", "/admin/"] {
        router = router.route(path, AllowedMethod::GetOrHead.route(document::<Files>));
    }
    router
}

async fn document<Files: Embed>(headers: HeaderMap) -> Response {
    match Files::get(DOCUMENT) {
        Some(file) => (ContentPolicy::Page, file_response::<Files>(DOCUMENT, file, &headers)).into_response(),
        None => (ContentPolicy::Document, Html(NOT_BUILT)).into_response(),
    }
}

async fn asset<Files: Embed>(Path(name): Path<String>, headers: HeaderMap) -> Result<Response, Problem> {
    let name = format!("assets/{name}");
    let is_encoded = ContentEncoding::ALL.iter().any(|encoding| name.ends_with(&format!(".{}", encoding.suffix())));
    let file = Files::get(&name).filter(|_| !is_encoded);
    let file = file.ok_or_else(|| Problem::new(StatusCode::NOT_FOUND, "there is nothing at this path"))?;
    let mut response = file_response::<Files>(&name, file, &headers);
    let known = headers.get(header::IF_NONE_MATCH).and_then(|tags| tags.to_str().ok()).unwrap_or_default();
    let tag = response.headers().get(header::ETAG).and_then(|tag| tag.to_str().ok()).unwrap_or_default();
    let is_known = known.split(',').map(|tag| tag.trim().trim_start_matches("W/")).any(|known| known == tag);
    if is_known {
        response = (StatusCode::NOT_MODIFIED, response.into_parts().0.headers, ()).into_response();
    }
    response.headers_mut().insert(header::CACHE_CONTROL, IMMUTABLE);
    Ok(response)
}

/// Returns the file in the best encoding that the client accepts. The entity tag depends on content and encoding.
fn file_response<Files: Embed>(name: &str, file: EmbeddedFile, headers: &HeaderMap) -> Response {
    let media_type = content_type(file.metadata.mimetype());
    let hash: String = file.metadata.sha256_hash().iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    let encodings = ContentEncoding::ALL.into_iter().filter(|encoding| encoding.is_accepted(headers));
    let mut available =
        encodings.filter_map(|encoding| Some((encoding, Files::get(&format!("{name}.{}", encoding.suffix()))?)));
    let vary = (header::VARY, "accept-encoding".to_owned());
    match available.next() {
        Some((encoding, file)) => {
            let tag = format!("\"{hash}-{}\"", encoding.suffix());
            let coding = (header::CONTENT_ENCODING, encoding.name().to_owned());
            ([(header::CONTENT_TYPE, media_type), (header::ETAG, tag), vary, coding], file.data).into_response()
        }
        None => {
            let tag = format!("\"{hash}\"");
            ([(header::CONTENT_TYPE, media_type), (header::ETAG, tag), vary], file.data).into_response()
        }
    }
}

/// Adds the charset to media types of texts.
fn content_type(media_type: &str) -> String {
    let is_text = media_type.starts_with("text/") || media_type == "image/svg+xml" || media_type.ends_with("json");
    if is_text { format!("{media_type}; charset=utf-8") } else { media_type.to_owned() }
}

/// Excludes search engines.
async fn robots() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], "User-agent: *\nDisallow: /\n")
}

#[cfg(test)]
mod tests;
