//! `mayfly`: all roles of the system as subcommands, `mayfly up` for all of them at once, and the command line client.

mod cli;
mod commands;
#[cfg(test)]
mod configuration;
mod endpoints;
mod error;
mod roles;

use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _, builder::Resettable};
use mayfly_bootstrap::telemetry;

use crate::{
    cli::{Cli, Command},
    error::CliError,
};

#[tokio::main]
async fn main() -> ExitCode {
    let cli = parse();
    telemetry::init(&cli.log);
    match run(cli.command).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => error.report(),
    }
}

/// Parses the command line. Empty variables count as unset, so a line such as `MAYFLY_PUBLIC_URL=` in an environment
/// file disables a setting.
fn parse() -> Cli {
    let matches = without_empty_variables(Cli::command()).get_matches();
    Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
}

#[expect(clippy::disallowed_methods, reason = "clap reads the variables, and this decides which of them it reads")]
fn without_empty_variables(command: clap::Command) -> clap::Command {
    let is_empty = |name: &std::ffi::OsStr| std::env::var_os(name).is_some_and(|value| value.is_empty());
    command
        .mut_args(
            |argument| {
                if argument.get_env().is_some_and(is_empty) { argument.env(Resettable::Reset) } else { argument }
            },
        )
        .mut_subcommands(without_empty_variables)
}

async fn run(command: Command) -> Result<(), CliError> {
    match command {
        Command::Up(settings) => roles::up::run(*settings).await,
        Command::Store(settings) => roles::store::run(*settings).await,
        Command::Gateway(settings) => roles::gateway::run(settings).await,
        Command::Bot(settings) => roles::bot::run(*settings).await,
        Command::Migrate(settings) => commands::migrate::run(settings).await,
        Command::Telegram(settings) => commands::telegram::run(settings).await,
        Command::Keys(settings) => commands::keys::run(settings).await,
        Command::Config(settings) => commands::config::run(settings).await,
        Command::New(settings) => commands::new::run(settings).await,
        Command::View(settings) => commands::view::run(settings).await,
        Command::Lookup(settings) => commands::lookup::run(settings).await,
        Command::Burn(settings) => commands::burn::run(settings).await,
        Command::Token(settings) => commands::token::run(&settings),
        Command::Healthcheck(settings) => commands::healthcheck::run(settings).await,
    }
}
