//! The command line.

use clap::{Parser, Subcommand};
use mayfly_bootstrap::telemetry::LogSettings;

use crate::{commands, roles};

/// One-time messages: store a text, get id:token. A reader with that pair reads the text once, and then it is gone.
///
/// Environment variables have the names of their flags: --store-url is MAYFLY_STORE_URL. The help of a command lists
/// them.
///
/// Exit codes: 0 success; 1 failure; 2 invalid usage, a wrong setting, or a wrong file of keys, tokens or certificates;
/// 3 the message, app config or API token does not exist or is gone; 4 rejected (a mistyped token, a missing permission,
/// a value out of range); 5 the store cannot be reached; 6 only warnings (mayfly doctor).
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
    Gateway(Box<roles::gateway::GatewayRoleSettings>),
    /// Run the bot: Telegram in front of a store.
    Bot(Box<roles::bot::BotRoleSettings>),
    /// Bring the database schema up to date, and exit.
    Migrate(commands::migrate::MigrateSettings),
    /// Manage the bot's app configs. Needs the admin token.
    Config(commands::config::ConfigSettings),
    /// Prepare a self-hosted Bot API server. Needs the service token.
    Telegram(commands::telegram::TelegramSettings),
    /// Manage the keys that encrypt texts.
    Keys(commands::keys::KeysSettings),
    /// Copy the SQLite database to a new file, also while the store runs.
    Backup(commands::backup::BackupSettings),
    /// Put a backup of the SQLite database back. The store must not run.
    Restore(commands::restore::RestoreSettings),
    /// Store a text. Prints id:token.
    New(commands::new::NewSettings),
    /// Read a message, once. Prints only the text.
    View(commands::view::ViewSettings),
    /// Print the state of a message, without changing it.
    Lookup(commands::MessageSettings),
    /// Erase a message unread.
    Burn(commands::MessageSettings),
    /// Manage API tokens, which allow callers to create messages or to administrate. Needs the admin token.
    Tokens(commands::tokens::TokensSettings),
    /// Print the admin token.
    Token(commands::token::TokenCommandSettings),
    /// Make a private certificate authority, and a certificate for each role.
    Certs(commands::certs::CertsSettings),
    /// Check the settings, files, database and connections of a role, without starting it. Changes nothing.
    Doctor(commands::doctor::DoctorSettings),
    /// Check whether a running role is ready. Exit code 0 means ready.
    Healthcheck(commands::healthcheck::HealthcheckSettings),
}
