//! Shorthand for the content that most clients deal in: a text.

use tonic::Status;

use crate::message::{CreateMessageRequest, ViewMessageResponse, create_message_request, view_message_response};

impl CreateMessageRequest {
    /// A request to keep `text`, with nothing else set.
    #[must_use]
    pub fn of_text(text: impl Into<String>) -> Self {
        Self { content: Some(create_message_request::Content::Text(text.into())), ..Self::default() }
    }

    /// A request to keep what its creator has encrypted, with nothing else set.
    #[must_use]
    pub fn of_sealed(sealed: impl Into<Vec<u8>>) -> Self {
        Self { content: Some(create_message_request::Content::Sealed(sealed.into())), ..Self::default() }
    }
}

impl ViewMessageResponse {
    /// An answer with `text`, with nothing else set.
    #[must_use]
    pub fn of_text(text: impl Into<String>) -> Self {
        Self { content: Some(view_message_response::Content::Text(text.into())), ..Self::default() }
    }

    /// The text, if that is the content.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match &self.content {
            Some(view_message_response::Content::Text(text)) => Some(text),
            Some(view_message_response::Content::Sealed(_)) | None => None,
        }
    }

    /// The content as its creator encrypted it, if it did.
    #[must_use]
    pub fn sealed(&self) -> Option<&[u8]> {
        match &self.content {
            Some(view_message_response::Content::Sealed(sealed)) => Some(sealed),
            Some(view_message_response::Content::Text(_)) | None => None,
        }
    }

    /// The text, for a reader who did not say that it accepts anything else.
    ///
    /// # Errors
    ///
    /// `INTERNAL` when it is something else all the same: a fault of the store.
    pub fn into_text(self) -> Result<String, Status> {
        match self.content {
            Some(view_message_response::Content::Text(text)) => Ok(text),
            Some(view_message_response::Content::Sealed(_)) | None => {
                Err(Status::internal("the store answered content that was not asked for"))
            }
        }
    }
}
