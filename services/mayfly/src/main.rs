//! `mayfly`: every role of the system as a subcommand, all of them at once as `mayfly up`, and the command-line client.

mod cli;
mod commands;
mod exit;
mod roles;

use std::process::ExitCode;

use clap::Parser as _;
use mayfly_bootstrap::telemetry;

use crate::{
    cli::{Cli, Command},
    exit::Failure,
};

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    telemetry::init(&cli.log);
    match run(cli.command).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

async fn run(command: Command) -> Result<(), Failure> {
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
