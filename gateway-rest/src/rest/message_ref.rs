//! The `id` and `access_token` of a message, in a body.

use axum::extract::Request;
use utoipa::ToSchema;

use crate::{
    body::{self, Fields},
    problem::Problem,
};

const FIELDS: &[&str] = &["id", "access_token"];

/// A message's id and access token.
#[derive(ToSchema)]
#[expect(dead_code, reason = "the documentation shows it")]
pub(super) struct MessageRef {
    /// The message's id.
    #[schema(minimum = 1, example = 4)]
    id: i64,
    /// The message's access token.
    #[schema(pattern = "^[0-9a-f]{64}$", example = "0b5e…")]
    access_token: String,
}

/// Reads both from the body of `request`.
pub(super) async fn read(request: Request) -> Result<(i64, String), Problem> {
    from_fields(&mut body::read(request, FIELDS).await?)
}

/// Takes both from `fields`.
pub(super) fn from_fields(fields: &mut Fields) -> Result<(i64, String), Problem> {
    Ok((fields.required_integer("id")?, fields.required_string("access_token")?))
}
