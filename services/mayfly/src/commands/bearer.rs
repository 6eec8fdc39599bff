//! Bearer tokens for calls to the store.

use mayfly_bootstrap::Secret;
use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataValue},
    service::Interceptor,
};

use crate::error::CliError;

/// Adds a bearer token to each call.
#[derive(Clone)]
pub(super) struct Bearer(MetadataValue<Ascii>);

impl Bearer {
    /// The interceptor for `token`, which `setting` provided.
    pub(super) fn new(setting: &str, token: &Secret) -> Result<Self, CliError> {
        let bearer = format!("Bearer {}", token.expose()).parse();
        let mut bearer: MetadataValue<Ascii> = bearer.map_err(|error| CliError::invalid_setting(setting, error))?;
        bearer.set_sensitive(true);
        Ok(Self(bearer))
    }
}

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request.metadata_mut().insert("authorization", self.0.clone());
        Ok(request)
    }
}
