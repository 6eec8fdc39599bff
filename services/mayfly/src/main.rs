//! `mayfly`: all roles of the system as subcommands, `mayfly up` for all of them at once, and the command line client.

mod cli;
mod commands;
#[cfg(test)]
mod configuration;
mod endpoints;
mod error;
mod roles;

use std::{ffi::OsStr, process::ExitCode};

use clap::{CommandFactory as _, FromArgMatches as _, builder::Resettable, error::ErrorKind};
use mayfly_bootstrap::telemetry;
use mimalloc::MiMalloc;

use crate::{
    cli::{Cli, Command},
    endpoints::unused_client_tls,
    error::CliError,
};

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

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
#[expect(clippy::disallowed_methods, reason = "clap reads the variables, and this decides which of them it reads")]
fn parse() -> Cli {
    let is_empty = |name: &OsStr| std::env::var_os(name).is_some_and(|value| value.is_empty());
    let matches = without_variables(Cli::command(), is_empty).get_matches();
    if let Some(reason) = unused_client_tls(&matches) {
        Cli::command().error(ErrorKind::ArgumentConflict, reason).exit()
    }
    Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
}

/// Makes clap ignore the `ignored` variables, in this command and all of its subcommands.
fn without_variables(command: clap::Command, ignored: impl Fn(&OsStr) -> bool + Copy) -> clap::Command {
    command
        .mut_args(
            |argument| {
                if argument.get_env().is_some_and(ignored) { argument.env(Resettable::Reset) } else { argument }
            },
        )
        .mut_subcommands(|subcommand| without_variables(subcommand, ignored))
}

async fn run(command: Command) -> Result<(), CliError> {
    match command {
        Command::Up(settings) => roles::up::run(*settings).await,
        Command::Store(settings) => roles::store::run(*settings).await,
        Command::Gateway(settings) => roles::gateway::run(*settings).await,
        Command::Bot(settings) => roles::bot::run(*settings).await,
        Command::Migrate(settings) => commands::migrate::run(settings).await,
        Command::Telegram(settings) => commands::telegram::run(settings).await,
        Command::Keys(settings) => commands::keys::run(settings).await,
        Command::Config(settings) => commands::config::run(settings).await,
        Command::Backup(settings) => commands::backup::run(settings).await,
        Command::Restore(settings) => commands::restore::run(settings).await,
        Command::New(settings) => commands::new::run(settings).await,
        Command::View(settings) => commands::view::run(settings).await,
        Command::Lookup(settings) => commands::lookup::run(settings).await,
        Command::Burn(settings) => commands::burn::run(settings).await,
        Command::Tokens(settings) => commands::tokens::run(settings).await,
        Command::Token(settings) => commands::token::run(&settings),
        Command::Certs(settings) => commands::certs::run(&settings),
        Command::Doctor(settings) => commands::doctor::run(settings, &Cli::command()).await,
        Command::Healthcheck(settings) => commands::healthcheck::run(settings).await,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use clap::Parser as _;

    use super::*;

    /// The variables of `command` and its subcommands, with the names of the commands.
    fn variables(command: &clap::Command) -> Vec<String> {
        let own = command
            .get_arguments()
            .filter_map(|argument| Some(format!("{} {}", command.get_name(), argument.get_env()?.to_str().unwrap())));
        own.chain(command.get_subcommands().flat_map(variables)).collect()
    }

    /// All commands without subcommands, with their full names.
    fn leaf_commands(command: &clap::Command, path: &[String], found: &mut Vec<(Vec<String>, clap::Command)>) {
        let path = [path, &[command.get_name().to_owned()]].concat();
        if command.has_subcommands() {
            command.get_subcommands().for_each(|subcommand| leaf_commands(subcommand, &path, found));
        } else {
            found.push((path, command.clone()));
        }
    }

    #[test]
    fn a_wrong_url_is_named_by_its_setting_and_not_repeated() {
        let mut commands = Vec::new();
        leaf_commands(&Cli::command(), &[], &mut commands);
        let mut settings = BTreeSet::new();
        for (path, command) in &commands {
            let is_url = |argument: &&clap::Arg| {
                argument.get_value_names().is_some_and(|names| names == ["URL"]) && argument.get_id() != "database_url"
            };
            for flag in
                command.get_arguments().filter(is_url).map(|argument| format!("--{}", argument.get_long().unwrap()))
            {
                for wrong in ["nonsense-canary", "https://user:canary@h:1", "https://canary@h:1", "ftp://canary"] {
                    let arguments = path.iter().cloned().chain([flag.clone(), wrong.to_owned()]);
                    let error = Cli::try_parse_from(arguments).unwrap_err();
                    let text = error.to_string();
                    assert!(text.contains(&flag) && !text.contains("canary"), "{path:?} {wrong}: {text}");
                }
                settings.insert(flag);
            }
        }
        let known =
            "--bot-url --from --gateway-url --otlp-endpoint --public-url --store-url --telegram-api-url --webhook-url";
        assert_eq!(settings.into_iter().collect::<Vec<_>>().join(" "), known);
    }

    #[test]
    fn each_variable_of_each_command_can_be_ignored() {
        let mut all = Cli::command();
        all.build();
        let all = variables(&all);
        for known in ["up MAYFLY_PUBLIC_URL", "add MAYFLY_API_HASH", "healthcheck MAYFLY_GATEWAY_URL"] {
            assert!(all.iter().any(|variable| variable == known), "{known}: {all:?}");
        }
        let mut without = without_variables(Cli::command(), |_| true);
        without.build();
        assert_eq!(variables(&without), [""; 0]);
        let mut one_less = without_variables(Cli::command(), |name| name == "MAYFLY_BOT_URL");
        one_less.build();
        let expected: Vec<_> = all.into_iter().filter(|variable| !variable.ends_with(" MAYFLY_BOT_URL")).collect();
        assert_eq!(variables(&one_less), expected);
    }
}
