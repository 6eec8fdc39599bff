//! The URLs of the store and the bot, for commands and roles that call them.

use clap::Args;
use mayfly_bootstrap::{
    RequestId,
    tls::{ClientTls, ClientTlsSettings, Connector},
    trace::{self, TracedCalls},
};
use mayfly_contracts::{BotChannel, ServiceChannel, StoreChannel, rpc_name};

use crate::error::CliError;

/// The store that a command calls.
#[derive(Clone, Debug, Args)]
pub(crate) struct StoreUrl {
    /// The URL of the store.
    #[arg(long, env = "MAYFLY_STORE_URL", default_value = "http://127.0.0.1:50051", value_name = "URL")]
    store_url: String,
    /// TLS of this client, for all URLs of the command.
    #[command(flatten)]
    pub(crate) tls: ClientTlsSettings,
}

impl StoreUrl {
    /// The URL.
    pub(crate) fn url(&self) -> &str {
        &self.store_url
    }

    /// A channel to the store.
    pub(crate) fn channel(&self) -> Result<StoreChannel, CliError> {
        channel("--store-url", &self.store_url, &self.tls)
    }
}

/// The bot that a command or role calls.
#[derive(Clone, Debug, Args)]
pub(crate) struct BotUrl {
    /// The URL of the bot.
    #[arg(long, env = "MAYFLY_BOT_URL", default_value = "http://127.0.0.1:5555", value_name = "URL")]
    bot_url: String,
}

impl BotUrl {
    /// The URL.
    pub(crate) fn url(&self) -> &str {
        &self.bot_url
    }

    /// A channel to the bot.
    pub(crate) fn channel(&self, tls: &ClientTlsSettings) -> Result<BotChannel, CliError> {
        channel("--bot-url", &self.bot_url, tls)
    }
}

/// A channel to the service at `url`, which `setting` names.
pub(crate) fn channel(setting: &str, url: &str, tls: &ClientTlsSettings) -> Result<ServiceChannel, CliError> {
    let connector = Connector::http2(client_tls(url, tls)?);
    let explaining = connector.clone();
    let channel = ServiceChannel::remote_over(url, connector, move |error| explaining.explain(error));
    let channel = channel.map_err(|error| CliError::invalid_setting(setting, error))?;
    let channel = channel.with_headers(RequestId::set_current);
    Ok(if trace::is_enabled() {
        channel.wrapped(|transport| TracedCalls::remote(transport, rpc_name))
    } else {
        channel
    })
}

/// The TLS of a client for `url`. Plain URLs need no files.
pub(crate) fn client_tls(url: &str, settings: &ClientTlsSettings) -> Result<Option<ClientTls>, CliError> {
    let is_https = url.get(..6).is_some_and(|scheme| scheme.eq_ignore_ascii_case("https:"));
    Ok(is_https.then(|| settings.load()).transpose()?)
}
