//! Constructors and accessors for the content of messages.

use tonic::Status;

use crate::generated::message::{
    CreateMessageRequest, ViewMessageResponse, create_message_request, view_message_response,
};

impl CreateMessageRequest {
    /// A request to store `text`, without further fields.
    #[must_use]
    pub fn from_text(text: impl Into<String>) -> Self {
        Self { content: Some(create_message_request::Content::Text(text.into())), ..Self::default() }
    }

    /// A request to store content that its creator encrypted, without further fields.
    #[must_use]
    pub fn from_sealed(sealed: impl Into<Vec<u8>>) -> Self {
        Self { content: Some(create_message_request::Content::Sealed(sealed.into())), ..Self::default() }
    }
}

impl ViewMessageResponse {
    /// A response with `text`, without further fields.
    #[must_use]
    pub fn from_text(text: impl Into<String>) -> Self {
        Self { content: Some(view_message_response::Content::Text(text.into())), ..Self::default() }
    }

    /// The text; `None` for sealed content.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match &self.content {
            Some(view_message_response::Content::Text(text)) => Some(text),
            Some(view_message_response::Content::Sealed(_)) | None => None,
        }
    }

    /// The content that its creator encrypted; `None` for a text.
    #[must_use]
    pub fn sealed(&self) -> Option<&[u8]> {
        match &self.content {
            Some(view_message_response::Content::Sealed(sealed)) => Some(sealed),
            Some(view_message_response::Content::Text(_)) | None => None,
        }
    }

    /// The text, for a reader that does not accept sealed content.
    ///
    /// # Errors
    ///
    /// `INTERNAL` when the content is not a text, which is a bug of the store.
    pub fn into_text(self) -> Result<String, Status> {
        match self.content {
            Some(view_message_response::Content::Text(text)) => Ok(text),
            Some(view_message_response::Content::Sealed(_)) | None => {
                Err(Status::internal("the store returned content that was not requested"))
            }
        }
    }
}
