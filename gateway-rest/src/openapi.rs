//! The REST paths as an OpenAPI document: for programs at `/api/openapi.json`, for people at `/api/docs`.
//!
//! What a path takes and answers is said beside its handler; what all have in common is added here.

mod examples;
mod kept;
mod page;

use std::sync::LazyLock;

use axum::{
    Router,
    http::{HeaderMap, header},
    response::IntoResponse,
};
use utoipa::{
    OpenApi as _,
    openapi::{
        Components, OpenApi, RefOr, Server,
        link::Link,
        path::Operation,
        security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
    },
};

use self::kept::Kept;
use crate::{
    headers::Policy,
    methods::{Only, both_forms},
};

/// The kinds of bodies beside JSON.
const OTHER_FORMS: [&str; 2] = ["application/x-www-form-urlencoded", "multipart/form-data"];

/// What the document says of the whole.
#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Mayfly",
        description = "One-time messages: store a text and get an id and an access token. Whoever presents that pair reads the text \
                       once; then it is gone.\n\n\
                       Every path works with and without a slash at its end. Bodies may be JSON objects, forms or multipart forms; \
                       fields that nobody asks for are ignored, and of a field that comes twice the last one counts. Times are in \
                       RFC 3339, in UTC. Nothing may be cached. Errors are problem details (RFC 9457); their `reason` is for \
                       programs, their `detail` for people.\n\n\
                       What a browser sends for a page of another site is refused with 403, and a host name that is \
                       not allowed here with 421.\n\n\
                       A call with an `Idempotency-Key`, a UUID made for it, can be repeated as it is when its answer got lost.",
        license(name = "MIT OR Apache-2.0"),
    ),
    tags(
        (name = "messages", description = "Texts that are read once."),
        (name = "app configs", description = "What the bot needs to sign in to Telegram."),
        (name = "health", description = "For those who run it."),
    ),
    paths(crate::health::alive, crate::health::ready)
)]
struct Head;

fn document() -> OpenApi {
    let mut document = crate::rest::Documented::openapi().merge_from(Head::openapi());
    document.info = Head::openapi().info;
    document.servers = Some(vec![Server::new("/")]);
    explain_tokens(&mut document);
    for (path, item) in &mut document.paths.paths {
        let Some(call) = &mut item.post else { continue };
        take_other_forms(call);
        if path.ends_with("/create_message") {
            link_to_the_message(call);
        }
    }
    examples::add(&mut document);
    document
}

fn explain_tokens(document: &mut OpenApi) {
    let token = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("The admin token or the service token; `mayfly token` prints the first. Behind a proxy that uses `Authorization` \
             itself, send the token in `Mayfly-Authorization` instead."))
        .build();
    let components = document.components.get_or_insert_with(Components::new);
    components.security_schemes.insert("token".to_owned(), SecurityScheme::Http(token).into());
}

/// What is taken as JSON is taken in these forms too.
fn take_other_forms(call: &mut Operation) {
    let Some(RefOr::T(body)) = &mut call.request_body else { return };
    let Some(content) = body.content.get("application/json").cloned() else { return };
    body.content.extend(OTHER_FORMS.map(|form| (form.to_owned(), content.clone())));
}

/// What can be done with the message that `create_message` made. Programs that try the interface out follow these links.
fn link_to_the_message(call: &mut Operation) {
    let Some(RefOr::T(created)) = call.responses.responses.get_mut("201") else { return };
    let (id, token) = ("$response.body#/id", "$response.body#/access_token");
    let opener = serde_json::json!({ "id": id, "access_token": token });
    for name in ["view_message", "lookup_message", "burn_message", "acknowledge_view"] {
        let link = Link::builder().operation_id(name).request_body(Some(opener.clone())).build();
        created.links.insert(name.to_owned(), link.into());
    }
    let link = Link::builder().operation_id("get_message").parameter("id", id).parameter("token", token).build();
    created.links.insert("get_message".to_owned(), link.into());
}

/// The document as JSON.
static JSON: LazyLock<Kept> = LazyLock::new(|| Kept::new("application/json", as_json()));
static PAGE: LazyLock<Kept> = LazyLock::new(|| Kept::new("text/html; charset=utf-8", page::render(&document())));

fn as_json() -> String {
    // It consists of texts and numbers: there is nothing in it that JSON could not say.
    document().to_pretty_json().unwrap_or_default()
}

pub(crate) fn routes() -> Router {
    let router = Router::new()
        .route("/api/openapi.json", Only::Look.route(json))
        .route("/api/docs/style.css", Only::Look.route(style))
        .route("/api/docs/icon.svg", Only::Look.route(icon));
    both_forms(router, "/api/docs", Only::Look.route(docs))
}

async fn json(headers: HeaderMap) -> impl IntoResponse {
    JSON.answer(&headers)
}

async fn docs(headers: HeaderMap) -> impl IntoResponse {
    (Policy::Document, PAGE.answer(&headers))
}

async fn style() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], include_str!("openapi/style.css"))
}

async fn icon() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "image/svg+xml; charset=utf-8")], include_str!("../../web/src/icon.svg"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_rest_path_is_documented_and_every_documented_path_is_one() {
        let document: serde_json::Value = serde_json::from_str(&as_json()).unwrap();
        let documented: BTreeSet<_> = document["paths"].as_object().unwrap().keys().cloned().collect();
        let rest = crate::rest::PATHS.map(|path| format!("/api/v1/{path}"));
        let health = ["/healthz", "/readyz"].map(str::to_owned);
        assert_eq!(documented, rest.into_iter().chain(health).collect());
    }

    #[test]
    fn everything_in_the_document_is_described_and_has_an_example() {
        let document: serde_json::Value = serde_json::from_str(&as_json()).unwrap();
        for (path, calls) in document["paths"].as_object().unwrap() {
            for call in calls.as_object().unwrap().values() {
                assert!(call["summary"].is_string(), "{path}");
                let parts = |of: &serde_json::Value| {
                    of.as_object().into_iter().flatten().map(|(_, part)| part.clone()).collect::<Vec<_>>()
                };
                let mut shown = parts(&call["requestBody"]["content"]);
                shown.extend(call["parameters"].as_array().into_iter().flatten().cloned());
                for (status, answer) in call["responses"].as_object().unwrap() {
                    assert_ne!(answer["description"], "", "{path} {status}");
                    shown.extend(parts(&answer["content"]));
                    shown.extend(parts(&answer["headers"]));
                }
                let bad =
                    &call["responses"]["400"]["content"]["application/problem+json"]["example"]["errors"][0]["field"];
                let taken = call["requestBody"]["content"]["application/json"]["example"].as_object();
                assert!(taken.is_none_or(|taken| taken.contains_key(bad.as_str().unwrap())), "{path}: {bad}");
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
