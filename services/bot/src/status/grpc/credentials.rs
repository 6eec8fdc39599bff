//! Authenticates callers. Only the store knows the tokens, so the bot makes a call to it with the credentials of the
//! caller.

use mayfly_bootstrap::Secret;
use mayfly_contracts::{
    AUTHORIZATION_METADATA, ErrorInfo, StoreChannel,
    auth::{ApiTokenScope, CheckScopeRequest, api_token_service_client::ApiTokenServiceClient},
    bearer_metadata,
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
    api_tokens: ApiTokenServiceClient<StoreChannel>,
    own: AsciiMetadataValue,
}

impl Credentials {
    pub(crate) fn new(store: StoreChannel, service_token: &Secret) -> Result<Self, BotError> {
        let api_tokens = ApiTokenServiceClient::new(store.clone());
        Ok(Self { store: ConfigServiceClient::new(store), api_tokens, own: bearer(service_token)? })
    }

    /// Rejects callers that are no admins.
    pub(super) async fn require_admin(&self, caller: &MetadataMap) -> Result<(), Status> {
        let request = as_caller(caller, CheckScopeRequest { scope: ApiTokenScope::Admin.into() })?;
        self.api_tokens.clone().check_scope(request).await.map(drop).map_err(|error| errors::of_store(&error))
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

/// Rejects calls without credentials, which the store need not see.
fn as_caller<T>(caller: &MetadataMap, message: T) -> Result<Request<T>, Status> {
    let authorization = caller.get(AUTHORIZATION_METADATA).ok_or_else(|| {
        errors::of_store(&ErrorInfo::new(ErrorReason::CredentialsInvalid).into_status(tonic::Code::Unauthenticated, ""))
    })?;
    let mut request = Request::new(message);
    request.metadata_mut().insert(AUTHORIZATION_METADATA, authorization.clone());
    Ok(request)
}
