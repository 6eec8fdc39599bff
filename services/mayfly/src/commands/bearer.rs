//! Bearer tokens for calls to the store.

use mayfly_bootstrap::Secret;
use mayfly_contracts::{AUTHORIZATION_METADATA, bearer_metadata};
use tonic::{Request, Status, metadata::AsciiMetadataValue, service::Interceptor};

use crate::error::CliError;

/// Adds a bearer token to each call.
#[derive(Clone)]
pub(super) struct Bearer(AsciiMetadataValue);

impl Bearer {
    /// The interceptor for `token`, which `setting` provided.
    pub(super) fn new(setting: &str, token: &Secret) -> Result<Self, CliError> {
        bearer_metadata(token.expose()).map(Self).map_err(|error| CliError::invalid_setting(setting, error))
    }

    /// Adds the token to one call.
    pub(super) fn add_to<T>(&self, request: &mut Request<T>) {
        request.metadata_mut().insert(AUTHORIZATION_METADATA, self.0.clone());
    }
}

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        self.add_to(&mut request);
        Ok(request)
    }
}
