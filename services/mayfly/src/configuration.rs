//! Generates `docs/configuration.md` from the definition of the command line.
//!
//! `make configuration` writes the file. Without it, the test compares the file with the definition.

use std::{fmt::Write as _, fs, path::Path};

use clap::{Arg, Command, CommandFactory as _};

use crate::cli::Cli;

const ROLES: [&str; 4] = ["up", "store", "gateway", "bot"];
const PREAMBLE: &str = "\
# Configuration

Every setting of a role is a flag and an environment variable of the same name: `--store-url` is `MAYFLY_STORE_URL`. So
are many settings of other commands; their `--help` names the variables. Flags take precedence over variables, and empty
variables count as not set. `mayfly <command> --help` prints the same text as this file. `mayfly doctor ROLE` checks the
settings of the role, and takes the same ones.

A wrong setting ends the command with exit code 2 and an error that names the setting. So does a file of keys, tokens or
certificates that cannot be read or used. Such files must be regular files: a role would wait for the writer of a pipe.
Only files of client commands alone (`--passphrase-file`, `--token-file`, `--api-hash-file`, `--bot-token-file`) may be
pipes too, such as `<(pass show mayfly)`. For other secrets use the variable: `MAYFLY_ADMIN_TOKEN=$(pass show mayfly)`.

This file is generated from the command line definition by `make configuration`.
";

/// A row of a table: a setting of one or more commands.
#[derive(PartialEq)]
struct Setting {
    flag: String,
    default: String,
    description: String,
}

fn setting(argument: &Arg) -> Option<Setting> {
    let name = argument.get_long()?;
    if matches!(name, "help" | "version") || argument.is_hide_set() {
        return None;
    }
    let takes_value = argument.get_action().takes_values();
    let value = argument.get_value_names().and_then(<[_]>::first).filter(|_| takes_value);
    let flag = value.map_or_else(|| format!("--{name}"), |value| format!("--{name} {value}"));
    let defaults: Vec<_> = argument.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
    let help = argument.get_long_help().or_else(|| argument.get_help()).map(ToString::to_string).unwrap_or_default();
    let mut description = help.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|");
    let values: Vec<_> = argument.get_possible_values().iter().map(|value| format!("`{}`", value.get_name())).collect();
    if takes_value && !values.is_empty() {
        write!(description, ": {}", values.join(", ")).unwrap();
    }
    let default = if takes_value && !defaults.is_empty() { format!("`{}`", defaults.join(",")) } else { String::new() };
    Some(Setting { flag, default, description })
}

/// Finds all commands without subcommands, with their full names and arguments.
fn leaf_commands(command: &Command, path: &str, found: &mut Vec<(String, Vec<Arg>)>) {
    for subcommand in command.get_subcommands().filter(|subcommand| subcommand.get_name() != "help") {
        let path = format!("{path} {}", subcommand.get_name()).trim().to_owned();
        if subcommand.has_subcommands() {
            leaf_commands(subcommand, &path, found);
        } else {
            found.push((path, subcommand.get_arguments().cloned().collect()));
        }
    }
}

/// The names of these commands. A group whose members are all included is named once.
fn names(users: &[&str], commands: &[&(String, Vec<Arg>)]) -> String {
    if users.len() == commands.len() {
        return "all".to_owned();
    }
    let group = |path: &str| path.split_once(' ').map(|(group, _)| group.to_owned());
    let is_whole = |name: &str| {
        let mut members = commands.iter().filter(|(path, _)| group(path).as_deref() == Some(name));
        members.all(|(path, _)| users.contains(&path.as_str()))
    };
    let mut names: Vec<_> = users
        .iter()
        .map(|path| group(path).filter(|name| is_whole(name)).unwrap_or_else(|| (*path).to_owned()))
        .collect();
    names.dedup();
    names.join(", ")
}

fn table(title: &str, commands: &[&(String, Vec<Arg>)]) -> String {
    let mut rows: Vec<(Setting, Vec<&str>)> = Vec::new();
    for (path, arguments) in commands {
        for setting in arguments.iter().filter_map(setting) {
            match rows.iter_mut().find(|(known, _)| *known == setting) {
                Some((_, users)) => users.push(path),
                None => rows.push((setting, vec![path])),
            }
        }
    }
    rows.sort_by(|(left, _), (right, _)| left.flag.cmp(&right.flag));
    let mut table =
        format!("\n## {title}\n\n| setting | default | commands | description |\n| --- | --- | --- | --- |\n");
    for (Setting { flag, default, description }, users) in rows {
        let users = names(&users, commands);
        writeln!(table, "| `{flag}` | {default} | {users} | {description} |").unwrap();
    }
    table
}

fn document() -> String {
    let mut cli = Cli::command();
    cli.build();
    let mut commands = Vec::new();
    leaf_commands(&cli, "", &mut commands);
    let of_roles = commands.clone();
    for (path, arguments) in &mut commands {
        // `mayfly doctor` takes the settings of the role that it checks, which are listed there.
        let role = path.strip_prefix("doctor ").and_then(|role| of_roles.iter().find(|(path, _)| path == role));
        if let Some((_, known)) = role {
            arguments.retain(|argument| {
                argument.is_global_set() || known.iter().all(|known| known.get_id() != argument.get_id())
            });
        }
    }
    let (roles, others): (Vec<_>, Vec<_>) = commands.iter().partition(|(path, _)| ROLES.contains(&path.as_str()));
    let tables = [table("Roles", &roles), table("Commands", &others)];
    format!("{PREAMBLE}{}", tables.concat())
}

#[test]
fn the_documentation_lists_all_settings() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/configuration.md");
    #[expect(clippy::disallowed_methods, reason = "tests have no command line")]
    if std::env::var_os("MAYFLY_WRITE_DOCUMENTATION").is_some() {
        fs::write(&path, document()).unwrap();
    }
    assert_eq!(fs::read_to_string(path).unwrap(), document(), "`make configuration` brings it up to date");
}

#[test]
fn every_variable_is_named_after_its_flag() {
    let mut cli = Cli::command();
    cli.build();
    let mut commands = Vec::new();
    leaf_commands(&cli, "", &mut commands);
    let arguments = commands.iter().flat_map(|(_, arguments)| arguments);
    for (flag, variable) in arguments.filter_map(|argument| Some((argument.get_long()?, argument.get_env()?))) {
        assert_eq!(variable.to_string_lossy(), format!("MAYFLY_{}", flag.replace('-', "_").to_uppercase()));
    }
}
