//! The `id` and `access_token` of a message, in a body.

use axum::extract::{FromRequest, Request};
use utoipa::ToSchema;

use crate::{body::Fields, problem::Problem};

/// A message's id and access token.
#[derive(ToSchema)]
pub(super) struct MessageRef {
    /// The message's id.
    #[schema(minimum = 1, example = 4)]
    pub(super) id: i64,
    /// The message's access token.
    #[schema(pattern = "^[0-9a-f]{64}$", example = "0b5e…")]
    pub(super) access_token: String,
}

impl MessageRef {
    /// Takes both from `fields`.
    pub(super) fn take(fields: &mut Fields) -> Result<Self, Problem> {
        Ok(Self { id: fields.required_integer("id")?, access_token: fields.required_string("access_token")? })
    }
}

impl<S: Send + Sync> FromRequest<S> for MessageRef {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        Self::take(&mut Fields::from_request(request, state).await?)
    }
}
