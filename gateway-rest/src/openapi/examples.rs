//! Adds an example of each body and header to the document: from the examples of the fields, and from real problems.

use axum::http::StatusCode;
use mayfly_contracts::error::ErrorReason;
use serde_json::{Value, json};
use utoipa::openapi::{
    Content, OpenApi, RefOr, Schema, Type,
    header::Header,
    path::Operation,
    schema::{ArrayItems, SchemaType},
};

use crate::problem::{self, Problem};

/// Adds the missing examples.
pub(super) fn add(document: &mut OpenApi) {
    let fields = document.clone();
    for item in document.paths.paths.values_mut() {
        for call in [&mut item.get, &mut item.post].into_iter().flatten() {
            add_to(call, &fields);
        }
    }
}

fn add_to(call: &mut Operation, fields: &OpenApi) {
    let accepts_token = call.security.is_some();
    let mut invalid_field = Problem::field("Idempotency-Key", "must be a UUID that is not all zero");
    if let Some(RefOr::T(body)) = &mut call.request_body {
        for content in body.content.values_mut() {
            add_example(content, |content| example_from_fields(fields, content));
            if let RefOr::T(Content { example: Some(Value::Object(example)), .. }) = content
                && let Some(first) = example.keys().next()
            {
                invalid_field = Problem::field(first, "must be given");
            }
        }
    }
    for (status, response) in &mut call.responses.responses {
        let RefOr::T(response) = response else { continue };
        for (name, header) in &mut response.headers {
            if let RefOr::T(header) = header {
                add_to_header(name, header);
            }
        }
        for (media_type, content) in &mut response.content {
            let is_problem = media_type == problem::MEDIA_TYPE;
            add_example(content, |content| {
                if is_problem {
                    problem_example(status, accepts_token, &invalid_field)
                } else {
                    example_from_fields(fields, content)
                }
            });
        }
    }
}

fn add_example(content: &mut RefOr<Content>, example: impl FnOnce(&Content) -> Option<Value>) {
    if let RefOr::T(content) = content
        && content.example.is_none()
    {
        content.example = example(content);
    }
}

fn example_from_fields(fields: &OpenApi, content: &Content) -> Option<Value> {
    content.schema.as_ref().map(|schema| schema_example(fields, schema))
}

/// Returns an example of a value, made from the examples of its parts.
fn schema_example(document: &OpenApi, schema: &RefOr<Schema>) -> Value {
    match resolve(document, schema) {
        Some(Schema::Object(object)) => {
            let from_parts = || match object.schema_type {
                SchemaType::Type(Type::Boolean) => json!(false),
                SchemaType::Type(Type::String) => json!("…"),
                _ => {
                    let parts = object.properties.iter();
                    parts.map(|(name, part)| (name.clone(), schema_example(document, part))).collect()
                }
            };
            object.example.as_ref().or(object.examples.first()).cloned().unwrap_or_else(from_parts)
        }
        Some(Schema::Array(array)) => match &array.items {
            ArrayItems::RefOrSchema(item) => json!([schema_example(document, item)]),
            ArrayItems::False => json!([]),
        },
        _ => Value::Null,
    }
}

fn resolve<'a>(document: &'a OpenApi, schema: &'a RefOr<Schema>) -> Option<&'a Schema> {
    match schema {
        RefOr::T(schema) => Some(schema),
        RefOr::Ref(reference) => {
            let name = reference.ref_location.rsplit('/').next()?;
            resolve(document, document.components.as_ref()?.schemas.get(name)?)
        }
    }
}

fn add_to_header(name: &str, header: &mut Header) {
    header.example = match name {
        "Mayfly-Message-State" => Some(json!("viewed")),
        "Mayfly-Message-State-Time" => Some(json!("2026-11-23T20:05:40.100000Z")),
        "Retry-After" => Some(json!(1)),
        "WWW-Authenticate" => Some(json!("Bearer")),
        _ => None,
    };
}

/// The most frequent problem with this status.
fn problem_example(status: &str, accepts_token: bool, invalid_field: &Problem) -> Option<Value> {
    let problem = match status {
        "400" => return Some(invalid_field.to_json()),
        "401" if accepts_token => {
            Problem::from_reason(ErrorReason::CredentialsInvalid, "a known bearer token is needed")
        }
        "401" => Problem::from_reason(ErrorReason::AccessTokenInvalid, "access_token is malformed or mistyped"),
        "403" if accepts_token => {
            Problem::from_reason(ErrorReason::PermissionDenied, "the bearer token does not allow this")
        }
        "403" => Problem::from_reason(ErrorReason::PassphraseWrong, "the passphrase is wrong"),
        "404" => Problem::new(StatusCode::NOT_FOUND, "the id in the path must be an integer greater than zero"),
        "408" => Problem::body_timed_out(),
        "413" => Problem::too_large(65_536),
        "415" => Problem::unsupported_body(),
        "422" => Problem::from_reason(
            ErrorReason::MessageSealed,
            "the message was encrypted by its creator: it opens in a browser, by its link",
        ),
        "428" => Problem::from_reason(ErrorReason::PassphraseRequired, "the message needs a passphrase"),
        "429" => Problem::from_reason(ErrorReason::Overloaded, "too much work is waiting, try later"),
        "500" => Problem::from_reason(ErrorReason::Internal, "something went wrong on our side"),
        "507" => Problem::from_reason(ErrorReason::StorageFull, "the store is full, try later"),
        "503" => Problem::from_reason(ErrorReason::StoreUnavailable, "the store cannot be reached, try later"),
        _ => return None,
    };
    Some(problem.to_json())
}
