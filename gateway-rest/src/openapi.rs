//! Serves the OpenAPI document of the REST paths: at `/api/openapi.json` for programs, at `/api/docs` for people.
//!
//! Each handler documents its own path. This module adds the parts that all paths share.

mod examples;
mod html;
mod precompressed;

use std::sync::LazyLock;

use axum::{
    Router,
    http::{HeaderMap, header},
    response::IntoResponse,
};
use mayfly_bootstrap::http::ContentPolicy;
use utoipa::{
    OpenApi as _,
    openapi::{
        Components, OpenApi, RefOr, Server,
        link::Link,
        path::Operation,
        security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
    },
};

use self::precompressed::Precompressed;
use crate::{
    allowed_method::{AllowedMethod, with_trailing_slash},
    problem,
};

/// The media types of bodies besides JSON.
const FORM_MEDIA_TYPES: [&str; 2] = ["application/x-www-form-urlencoded", "multipart/form-data"];

/// The parts of the document that belong to no single path of `rest/`.
#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Mayfly",
        description = "One-time messages: store a text and get an id and an access token. A caller with that pair can \
                       read the text once; then it is deleted.\n\n\
                       Every path works with and without a slash at its end. Bodies are JSON objects, forms or \
                       multipart forms. Unknown fields are ignored; if a field occurs twice, the last value counts. \
                       Times are in RFC 3339, in UTC. Responses must not be cached. Errors are problem details \
                       (RFC 9457); their `reason` is for programs, their `detail` for people.\n\n\
                       Requests of a browser for a page of another site return 403. Requests for a host name that is \
                       not allowed return 421.\n\n\
                       A call with an `Idempotency-Key`, a UUID made for this call, can be repeated if its response \
                       is lost.",
        license(name = "MIT OR Apache-2.0"),
    ),
    tags(
        (name = "messages", description = "Texts that can be read once."),
        (name = "app configs", description = "The bot's configuration for Telegram."),
        (name = "health", description = "For operators."),
    ),
    paths(crate::health::alive, crate::health::ready)
)]
struct BaseDocument;

fn document() -> OpenApi {
    let mut document = crate::rest::ApiDocument::openapi().merge_from(BaseDocument::openapi());
    document.info = BaseDocument::openapi().info;
    document.servers = Some(vec![Server::new("/")]);
    add_bearer_scheme(&mut document);
    for (path, item) in &mut document.paths.paths {
        for call in [&mut item.get, &mut item.post].into_iter().flatten() {
            add_form_media_types(call);
            set_problem_media_type(call);
            if path.ends_with("/create_message") {
                add_message_links(call);
            }
        }
    }
    examples::add(&mut document);
    document
}

fn add_bearer_scheme(document: &mut OpenApi) {
    let token = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some(
            "The admin token, which `mayfly token` prints, an API token, which `mayfly tokens add` makes, or the \
             service token. Behind a proxy that uses `Authorization` itself, send the token in \
             `Mayfly-Authorization` instead.",
        ))
        .build();
    let components = document.components.get_or_insert_with(Components::new);
    components.security_schemes.insert("token".to_owned(), SecurityScheme::Http(token).into());
}

/// Adds the other media types to a call that accepts JSON.
fn add_form_media_types(call: &mut Operation) {
    let Some(RefOr::T(body)) = &mut call.request_body else { return };
    let Some(content) = body.content.get("application/json").cloned() else { return };
    body.content.extend(FORM_MEDIA_TYPES.map(|media_type| (media_type.to_owned(), content.clone())));
}

/// The responses of errors are problems.
fn set_problem_media_type(call: &mut Operation) {
    for (status, response) in &mut call.responses.responses {
        let RefOr::T(response) = response else { continue };
        if status.as_str() >= "400"
            && let Some(content) = response.content.shift_remove("application/json")
        {
            response.content.insert(problem::MEDIA_TYPE.to_owned(), content);
        }
    }
}

/// Links `create_message` to the calls on the message that it created. API test tools follow these links.
fn add_message_links(call: &mut Operation) {
    let Some(RefOr::T(created)) = call.responses.responses.get_mut("201") else { return };
    let (id, token) = ("$response.body#/id", "$response.body#/access_token");
    let message_ref = serde_json::json!({ "id": id, "access_token": token });
    for name in ["view_message", "lookup_message", "burn_message", "acknowledge_view"] {
        let link = Link::builder().operation_id(name).request_body(Some(message_ref.clone())).build();
        created.links.insert(name.to_owned(), link.into());
    }
    let link = Link::builder().operation_id("get_message").parameter("id", id).parameter("token", token).build();
    created.links.insert("get_message".to_owned(), link.into());
}

/// The style sheet of the page, in the colours of the web page.
const STYLE: &str = concat!(include_str!("../../web/src/colors.css"), include_str!("openapi/style.css"));

/// The document as JSON.
static JSON: LazyLock<Precompressed> = LazyLock::new(|| Precompressed::new("application/json", to_json()));
/// The document as a page.
static PAGE: LazyLock<Precompressed> = LazyLock::new(|| {
    // The tests render the page, and neither the template nor the document changes.
    let html = html::render(&document()).unwrap_or_default();
    Precompressed::new("text/html; charset=utf-8", html)
});

fn to_json() -> String {
    // Serialization cannot fail: the document consists of texts and numbers.
    document().to_pretty_json().unwrap_or_default()
}

pub(crate) fn routes() -> Router {
    let router = Router::new()
        .route("/api/openapi.json", AllowedMethod::GetOrHead.route(json))
        .route("/api/docs/style.css", AllowedMethod::GetOrHead.route(style))
        .route("/api/docs/icon.svg", AllowedMethod::GetOrHead.route(icon));
    with_trailing_slash(router, "/api/docs", AllowedMethod::GetOrHead.route(docs))
}

async fn json(headers: HeaderMap) -> impl IntoResponse {
    JSON.response(&headers)
}

async fn docs(headers: HeaderMap) -> impl IntoResponse {
    (ContentPolicy::Document, PAGE.response(&headers))
}

async fn style() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], STYLE)
}

async fn icon() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "image/svg+xml; charset=utf-8")], include_str!("../../web/src/icon.svg"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_documented_paths_are_the_paths_of_the_router() {
        let document: serde_json::Value = serde_json::from_str(&to_json()).unwrap();
        let documented: BTreeSet<_> = document["paths"].as_object().unwrap().keys().cloned().collect();
        let rest = crate::rest::PATHS.map(|path| format!("/api/v1/{path}"));
        let health = ["/healthz", "/readyz"].map(str::to_owned);
        assert_eq!(documented, rest.into_iter().chain(health).collect());
    }

    #[test]
    fn every_item_of_the_document_has_a_description_and_an_example() {
        let document: serde_json::Value = serde_json::from_str(&to_json()).unwrap();
        for (path, calls) in document["paths"].as_object().unwrap() {
            for call in calls.as_object().unwrap().values() {
                assert!(call["summary"].is_string(), "{path}");
                let parts = |of: &serde_json::Value| {
                    of.as_object().into_iter().flatten().map(|(_, part)| part.clone()).collect::<Vec<_>>()
                };
                let mut shown = parts(&call["requestBody"]["content"]);
                shown.extend(call["parameters"].as_array().into_iter().flatten().cloned());
                for (status, response) in call["responses"].as_object().unwrap() {
                    assert_ne!(response["description"], "", "{path} {status}");
                    shown.extend(parts(&response["content"]));
                    shown.extend(parts(&response["headers"]));
                }
                let invalid =
                    &call["responses"]["400"]["content"]["application/problem+json"]["example"]["errors"][0]["field"];
                let body_example = call["requestBody"]["content"]["application/json"]["example"].as_object();
                assert!(
                    body_example.is_none_or(|example| example.contains_key(invalid.as_str().unwrap())),
                    "{path}: {invalid}"
                );
                for part in shown {
                    assert!(!part["example"].is_null(), "{path}: no example of {part}");
                }
            }
        }
        for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
            for (field, schema) in schema["properties"].as_object().unwrap() {
                assert!(schema["description"].is_string() || schema["$ref"].is_string(), "{name}.{field}");
            }
        }
    }
}
