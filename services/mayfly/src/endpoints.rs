//! The URLs of the store and the bot, for commands and roles that call them.

use clap::Args;
use mayfly_contracts::{BotChannel, StoreChannel};

use crate::error::CliError;

/// The store that a command calls.
#[derive(Clone, Debug, Args)]
pub(crate) struct StoreUrl {
    /// The URL of the store.
    #[arg(long, env = "MAYFLY_STORE_URL", default_value = "http://127.0.0.1:50051", value_name = "URL")]
    store_url: String,
}

impl StoreUrl {
    /// A channel to the store.
    pub(crate) fn channel(&self) -> Result<StoreChannel, CliError> {
        StoreChannel::remote(&self.store_url).map_err(|error| CliError::invalid_setting("--store-url", error))
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
    /// A channel to the bot.
    pub(crate) fn channel(&self) -> Result<BotChannel, CliError> {
        BotChannel::remote(&self.bot_url).map_err(|error| CliError::invalid_setting("--bot-url", error))
    }
}
