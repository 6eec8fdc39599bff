//! The command line.

use clap::{Args, Parser, Subcommand};
use mayfly_bootstrap::telemetry::LogSettings;
use mayfly_contracts::{BotChannel, StoreChannel};

use crate::{commands, error::CliError, roles};

/// One-time messages: store a text, get id:token; whoever presents that pair reads the text once, then it is gone.
///
/// Every flag has an environment variable of the same name: --store-url is MAYFLY_STORE_URL.
///
/// Exit codes: 0 done; 1 failed; 2 used wrongly; 3 there is no such message or app config, or it is gone; 4 refused (a
/// mistyped token, a missing permission, a value out of range); 5 the store cannot be reached.
#[derive(Debug, Parser)]
#[command(name = "mayfly", version, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) log: LogSettings,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run everything in one process: store, gateway and bot.
    Up(Box<roles::up::UpSettings>),
    /// Run the store: gRPC in front of the database.
    Store(Box<roles::store::StoreRoleSettings>),
    /// Run the gateway: REST, gRPC-Web and the web page in front of a store.
    Gateway(roles::gateway::GatewayRoleSettings),
    /// Run the bot: Telegram in front of a store.
    Bot(Box<roles::bot::BotRoleSettings>),
    /// Bring the database schema up to date, and end.
    Migrate(commands::migrate::MigrateSettings),
    /// Manage the bot's app configs. Needs the admin token.
    Config(commands::config::ConfigSettings),
    /// Prepare a Bot API server of your own. Needs the service token.
    Telegram(commands::telegram::TelegramSettings),
    /// Manage the keys that texts are sealed with.
    Keys(commands::keys::KeysSettings),
    /// Store a text; prints id:token.
    New(commands::new::NewSettings),
    /// Read a message, once; prints the text alone.
    View(commands::view::ViewSettings),
    /// Tell where a message stands. Changes nothing.
    Lookup(commands::MessageSettings),
    /// Erase a message unread.
    Burn(commands::MessageSettings),
    /// Print the admin token.
    Token(commands::token::TokenCommandSettings),
    /// Ask a running role whether it is ready; exit code 0 when it is.
    Healthcheck(commands::healthcheck::HealthcheckSettings),
}

/// Which store is meant.
#[derive(Clone, Debug, Args)]
pub(crate) struct StoreUrl {
    /// Where the store listens.
    #[arg(long, env = "MAYFLY_STORE_URL", default_value = "http://127.0.0.1:50051", value_name = "URL")]
    store_url: String,
}

impl StoreUrl {
    /// A channel to that store.
    pub(crate) fn channel(&self) -> Result<StoreChannel, CliError> {
        StoreChannel::remote(&self.store_url).map_err(|error| CliError::invalid_setting("--store-url", error))
    }
}

/// Which bot is meant.
#[derive(Clone, Debug, Args)]
pub(crate) struct BotUrl {
    /// Where the bot listens.
    #[arg(long, env = "MAYFLY_BOT_URL", default_value = "http://127.0.0.1:5555", value_name = "URL")]
    bot_url: String,
}

impl BotUrl {
    /// A channel to that bot.
    pub(crate) fn channel(&self) -> Result<BotChannel, CliError> {
        BotChannel::remote(&self.bot_url).map_err(|error| CliError::invalid_setting("--bot-url", error))
    }
}
