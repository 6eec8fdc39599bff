//! The web page: what `make web` built, as part of the program; without it, a page that says how to get the real one.
//!
//! Every address of the page gets the same document, whose script looks at the address. What stands behind `#` never
//! arrives here. Nothing here consumes, whoever asks.

use axum::{
    Router,
    extract::Path,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{Html, IntoResponse, Response},
};
use rust_embed::{Embed, EmbeddedFile};

use crate::{encoding::Encoding, headers::Policy, methods::Only, problem::Problem};

/// What `make web` built, when this program was built: the document, and `assets/` with names that hold a hash of their content.
#[derive(Embed)]
#[folder = "../web/dist"]
#[allow_missing = true]
struct Built;

const DOCUMENT: &str = "index.html";
const NOT_BUILT: &str = include_str!("page/not_built.html");

/// An asset never changes: another content has another name.
const FOR_EVER: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");

pub(crate) fn routes() -> Router {
    routes_of::<Built>()
}

fn routes_of<Files: Embed + 'static>() -> Router {
    let mut router = Router::new()
        .route("/assets/{*name}", Only::Look.route(asset::<Files>))
        .route("/robots.txt", Only::Look.route(robots));
    for path in ["/", "/m/{id}", "/m/{id}/", "/admin", "/admin/"] {
        router = router.route(path, Only::Look.route(document::<Files>));
    }
    router
}

async fn document<Files: Embed>(headers: HeaderMap) -> Response {
    match Files::get(DOCUMENT) {
        Some(file) => (Policy::Page, encoded::<Files>(DOCUMENT, file, &headers)).into_response(),
        None => (Policy::Document, Html(NOT_BUILT)).into_response(),
    }
}

async fn asset<Files: Embed>(Path(name): Path<String>, headers: HeaderMap) -> Result<Response, Problem> {
    let name = format!("assets/{name}");
    let is_encoded = Encoding::ALL.iter().any(|encoding| name.ends_with(&format!(".{}", encoding.suffix())));
    let file = Files::get(&name).filter(|_| !is_encoded);
    let file = file.ok_or_else(|| Problem::new(StatusCode::NOT_FOUND, "there is nothing at this path"))?;
    let mut response = encoded::<Files>(&name, file, &headers);
    let known = headers.get(header::IF_NONE_MATCH).and_then(|tags| tags.to_str().ok()).unwrap_or_default();
    let tag = response.headers().get(header::ETAG).and_then(|tag| tag.to_str().ok()).unwrap_or_default();
    let is_known = known.split(',').map(|tag| tag.trim().trim_start_matches("W/")).any(|known| known == tag);
    if is_known {
        response = (StatusCode::NOT_MODIFIED, response.into_parts().0.headers, ()).into_response();
    }
    response.headers_mut().insert(header::CACHE_CONTROL, FOR_EVER);
    Ok(response)
}

/// The file as the client takes it. The tag names content and encoding.
fn encoded<Files: Embed>(name: &str, file: EmbeddedFile, headers: &HeaderMap) -> Response {
    let media_type = content_type(file.metadata.mimetype());
    let hash: String = file.metadata.sha256_hash().iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    let encodings = Encoding::ALL.into_iter().filter(|encoding| encoding.is_accepted(headers));
    let mut kept =
        encodings.filter_map(|encoding| Some((encoding, Files::get(&format!("{name}.{}", encoding.suffix()))?)));
    let vary = (header::VARY, "accept-encoding".to_owned());
    match kept.next() {
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

/// Texts say in which characters they are written.
fn content_type(media_type: &str) -> String {
    let is_text = media_type.starts_with("text/") || media_type == "image/svg+xml" || media_type.ends_with("json");
    if is_text { format!("{media_type}; charset=utf-8") } else { media_type.to_owned() }
}

/// Nothing here is for search engines.
async fn robots() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], "User-agent: *\nDisallow: /\n")
}

#[cfg(test)]
mod tests;
