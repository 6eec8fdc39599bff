//! The settings of the gateway.

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
};

use axum::http::HeaderName;
use ipnet::IpNet;
use mayfly_bootstrap::{
    Secret,
    secret_file::{self, SecretFileError},
};

use crate::signed_in::{Proxies, SignedInError, SignedInUsers};

/// The settings of the gateway.
#[derive(Clone, Debug, clap::Args)]
pub struct GatewaySettings {
    /// Where the gateway listens; may be given several times, or separated by commas.
    #[arg(
        long,
        env = "MAYFLY_GATEWAY_LISTEN",
        default_values = ["127.0.0.1:8001", "127.0.0.1:8000"],
        value_delimiter = ',',
        value_name = "ADDRESS"
    )]
    pub gateway_listen: Vec<SocketAddr>,
    /// Where the gateway listens for plain HTTP too, such as 0.0.0.0:80, and redirects browsers to HTTPS.
    #[arg(long, env = "MAYFLY_REDIRECT_HTTP", value_name = "ADDRESS", requires = "tls_cert")]
    pub redirect_http: Option<SocketAddr>,
    /// The number of reverse proxies in front of the gateway, each of which appends to X-Forwarded-For. The gateway
    /// identifies callers by the address that the first of them reports. With 0, all callers behind a proxy share the
    /// limits of one caller. If the proxies report HTTPS in X-Forwarded-Proto, or the gateway has --tls-cert, browsers
    /// are told to use HTTPS only, for a year.
    #[arg(long, env = "MAYFLY_TRUSTED_PROXIES", default_value_t = 0, value_name = "N")]
    pub trusted_proxies: usize,
    /// The header in which a proxy names the user that it has signed in, such as X-Auth-Request-Email (oauth2-proxy),
    /// Remote-User (Authelia) or Cf-Access-Authenticated-User-Email (Cloudflare Access). Such users need no API token to
    /// create messages. Needs --trusted-proxies. The proxy must remove the header from the requests of its callers.
    #[arg(long, env = "MAYFLY_TRUSTED_USER_HEADER", value_name = "NAME")]
    pub trusted_user_header: Option<HeaderName>,
    /// Networks (`10.1.0.0/16`) or addresses of the proxies that may send --trusted-user-header, separated by commas.
    /// From other peers, the header is ignored.
    #[arg(
        long,
        env = "MAYFLY_TRUSTED_USER_PROXIES",
        default_value = "127.0.0.0/8,::1/128",
        value_delimiter = ',',
        value_name = "NETWORKS",
        value_parser = parse_network
    )]
    pub trusted_user_proxies: Vec<IpNet>,
    /// The token with which the gateway creates messages for users of --trusted-user-header: an API token with the scope
    /// `create`. [default of `mayfly up`: the service token]
    #[arg(
        long,
        env = "MAYFLY_GATEWAY_TOKEN",
        hide_env_values = true,
        value_name = "TOKEN",
        requires = "trusted_user_header"
    )]
    pub gateway_token: Option<Secret>,
    /// A file that holds the token of the gateway.
    #[arg(
        long,
        env = "MAYFLY_GATEWAY_TOKEN_FILE",
        value_name = "FILE",
        conflicts_with = "gateway_token",
        requires = "trusted_user_header"
    )]
    pub gateway_token_file: Option<PathBuf>,
}

/// The settings of the gateway contradict each other, or name a file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum GatewaySettingsError {
    /// Without a trusted proxy, every caller could send the header.
    #[error("--trusted-user-header needs --trusted-proxies: without a proxy, every caller could name a user")]
    NoProxy,
    /// The gateway has no token to vouch with.
    #[error(
        "--trusted-user-header needs --gateway-token or --gateway-token-file: an API token that \
         `mayfly tokens add gateway --scope create` makes"
    )]
    NoToken,
    /// The file of the token cannot be used.
    #[error("--gateway-token-file cannot be used")]
    TokenFile(#[source] SecretFileError),
    /// The header or the token cannot be used.
    #[error(transparent)]
    SignedIn(#[from] SignedInError),
}

impl GatewaySettings {
    /// The proxies in front of the gateway. It vouches for their users with `default_token` if it has no token of its
    /// own.
    ///
    /// # Errors
    ///
    /// [`GatewaySettingsError`]
    pub fn proxies(&self, default_token: Option<&Secret>) -> Result<Proxies, GatewaySettingsError> {
        let count = self.trusted_proxies;
        let Some(header) = self.trusted_user_header.clone() else { return Ok(Proxies { count, users: None }) };
        if count == 0 {
            return Err(GatewaySettingsError::NoProxy);
        }
        let own = self.own_token()?;
        let token = own.as_ref().or(default_token).ok_or(GatewaySettingsError::NoToken)?;
        let users = SignedInUsers::new(header, self.trusted_user_proxies.clone(), token)?;
        Ok(Proxies { count, users: Some(users) })
    }

    /// The token of the gateway, if one is given.
    ///
    /// # Errors
    ///
    /// [`GatewaySettingsError::TokenFile`]
    pub fn own_token(&self) -> Result<Option<Secret>, GatewaySettingsError> {
        secret_file::given(&self.gateway_token, &self.gateway_token_file).map_err(GatewaySettingsError::TokenFile)
    }
}

fn parse_network(text: &str) -> Result<IpNet, String> {
    let network = text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
    network.map_err(|_| "must be IP networks (10.1.0.0/16) or addresses, separated by commas".to_owned())
}
