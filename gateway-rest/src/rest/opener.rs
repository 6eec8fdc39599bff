//! What opens a message, in a body: `id` and `access_token`.

use axum::extract::Request;

use super::Gateway;
use crate::{body::Fields, problem::Problem};

/// Reads both from the body of `request`.
pub(super) async fn read(gateway: &Gateway, request: Request) -> Result<(i64, String), Problem> {
    of(&mut Fields::read(request, gateway.max_text_bytes).await?)
}

/// Both, out of `fields`.
pub(super) fn of(fields: &mut Fields) -> Result<(i64, String), Problem> {
    Ok((fields.required_integer("id")?, fields.required_string("access_token")?))
}
