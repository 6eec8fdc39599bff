//! The settings of commands that need a token: the store, the tokens and the output format.

use mayfly_bootstrap::Secret;
use mayfly_contracts::{
    StoreChannel, auth::api_token_service_client::ApiTokenServiceClient,
    config::config_service_client::ConfigServiceClient,
};
use mayfly_store::{DataSettings, MissingToken, TokenSettings};
use tonic::service::interceptor::InterceptedService;

use super::{bearer::Bearer, print::PrintSettings};
use crate::{endpoints::StoreUrl, error::CliError};

/// A channel that sends a bearer token.
type AuthorizedChannel = InterceptedService<StoreChannel, Bearer>;
/// A client that sends a bearer token.
pub(super) type AuthorizedClient = ConfigServiceClient<AuthorizedChannel>;

/// The store to call, the tokens to call it with, and the format of the output.
#[derive(Debug, clap::Args)]
pub(super) struct CallerSettings {
    #[command(flatten)]
    pub(super) print: PrintSettings,
    #[command(flatten)]
    store: StoreUrl,
    #[command(flatten)]
    data: DataSettings,
    #[command(flatten)]
    tokens: TokenSettings,
}

impl CallerSettings {
    /// A client without a token.
    pub(super) fn client(&self) -> Result<ConfigServiceClient<StoreChannel>, CliError> {
        Ok(ConfigServiceClient::new(self.store.channel()?))
    }

    /// A client with the admin token.
    pub(super) fn admin_client(&self) -> Result<AuthorizedClient, CliError> {
        self.admin_channel().map(ConfigServiceClient::new)
    }

    /// A client of `ApiTokenService` with the admin token.
    pub(super) fn api_tokens(&self) -> Result<ApiTokenServiceClient<AuthorizedChannel>, CliError> {
        self.admin_channel().map(ApiTokenServiceClient::new)
    }

    /// A client with the service token.
    pub(super) fn service_client(&self) -> Result<AuthorizedClient, CliError> {
        let token = self.tokens.service_token(&self.data, MissingToken::Reject)?;
        self.authorized_channel("--service-token", &token).map(ConfigServiceClient::new)
    }

    fn admin_channel(&self) -> Result<AuthorizedChannel, CliError> {
        let token = self.tokens.admin_token(&self.data, MissingToken::Reject)?;
        self.authorized_channel("--admin-token", &token)
    }

    fn authorized_channel(&self, setting: &str, token: &Secret) -> Result<AuthorizedChannel, CliError> {
        Ok(InterceptedService::new(self.store.channel()?, Bearer::new(setting, token)?))
    }
}
