//! Authenticates callers. Only the store knows the tokens, so the bot makes a call to it with the credentials of the
//! caller that only an admin may make.

use mayfly_bootstrap::Secret;
use mayfly_contracts::{
    AUTHORIZATION_METADATA, ErrorInfo, StoreChannel, bearer_metadata,
    config::{AppConfig, GetAppConfigRequest, RevealAppConfigRequest, config_service_client::ConfigServiceClient},
    error::ErrorReason,
};
use tonic::{
    Request, Status,
    metadata::{AsciiMetadataValue, MetadataMap},
};

use super::errors;
use crate::error::BotError;

/// The credentials of the bot, and a client that checks the credentials of callers.
#[derive(Clone)]
pub(crate) struct Credentials {
    store: ConfigServiceClient<StoreChannel>,
    own: AsciiMetadataValue,
}

impl Credentials {
    pub(crate) fn new(store: StoreChannel, service_token: &Secret) -> Result<Self, BotError> {
        Ok(Self { store: ConfigServiceClient::new(store), own: bearer(service_token)? })
    }

    /// Rejects callers that are no admins. The store has no call that only checks a token. The cheapest one for admins
    /// gets an app config: one lookup by its key, which finds nothing, so that no secret is decrypted.
    pub(super) async fn require_admin(&self, caller: &MetadataMap) -> Result<(), Status> {
        let request = as_caller(caller, GetAppConfigRequest { id: i64::MAX })?;
        match self.store.clone().get_app_config(request).await {
            Err(error) if ErrorInfo::from_status(&error).reason != ErrorReason::AppConfigNotFound => {
                Err(errors::of_store(&error))
            }
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// Returns the app config with its secrets if the caller is an admin.
    pub(super) async fn reveal(&self, caller: &MetadataMap, id: i64) -> Result<AppConfig, Status> {
        let ask = as_caller(caller, GetAppConfigRequest { id })?;
        self.store.clone().get_app_config(ask).await.map_err(|error| errors::of_store(&error))?;
        let mut ask = Request::new(RevealAppConfigRequest { id });
        ask.metadata_mut().insert(AUTHORIZATION_METADATA, self.own.clone());
        let revealed = self.store.clone().reveal_app_config(ask).await.map_err(|error| errors::of_own_call(&error))?;
        revealed.into_inner().app_config.ok_or_else(errors::internal)
    }
}

/// Returns the `authorization` metadata for a token.
///
/// # Errors
///
/// If the token is not a valid metadata value.
pub(crate) fn bearer(token: &Secret) -> Result<AsciiMetadataValue, BotError> {
    bearer_metadata(token.expose()).map_err(|_| BotError::ServiceToken)
}

/// The store accepts calls without credentials as anonymous, so the bot rejects them itself.
fn as_caller<T>(caller: &MetadataMap, message: T) -> Result<Request<T>, Status> {
    let authorization = caller.get(AUTHORIZATION_METADATA).ok_or_else(|| {
        errors::of_store(&ErrorInfo::new(ErrorReason::CredentialsInvalid).into_status(tonic::Code::Unauthenticated, ""))
    })?;
    let mut request = Request::new(message);
    request.metadata_mut().insert(AUTHORIZATION_METADATA, authorization.clone());
    Ok(request)
}
