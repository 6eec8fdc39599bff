//! `mayfly doctor`: checks what a role needs, beside it or before its first start, and changes nothing.
//!
//! Each area has a file. An area that cannot be checked is one finding, and the others are still checked.

mod clock;
mod database;
mod files;
mod finding;
mod keyring;
mod reachability;
mod report;
mod settings;
mod space;
mod telegram;
mod tls;

use std::{future::Future, time::Duration};

use mayfly_bootstrap::{ErrorChain, Secret};
use mayfly_store::{InspectError, Inspection, SystemClock, active_bot_token, inspect};

use self::{
    finding::{Finding, Severity},
    settings::Given,
};
use super::{print::PrintSettings, write_stdout};
use crate::{
    error::CliError,
    roles::{self, RoleParts, RoleSettings},
};

/// How long an area may take.
const TIMEOUT: Duration = Duration::from_secs(20);

/// Arguments of `mayfly doctor`.
#[derive(Debug, clap::Args)]
pub(crate) struct DoctorSettings {
    #[command(subcommand)]
    role: Role,
}

// The help texts end up in the help of `mayfly doctor`.
/// Exit codes: 0 ok, also with notes; 1 at least one failure; 6 at least one warning and no failure; 2 a setting that
/// the role does not take either.
#[derive(Debug, clap::Subcommand)]
enum Role {
    /// Check what `mayfly up` needs. Takes the same settings.
    Up(Box<Check<roles::up::UpSettings>>),
    /// Check what `mayfly store` needs. Takes the same settings.
    Store(Box<Check<roles::store::StoreRoleSettings>>),
    /// Check what `mayfly gateway` needs. Takes the same settings.
    Gateway(Box<Check<roles::gateway::GatewayRoleSettings>>),
    /// Check what `mayfly bot` needs. Takes the same settings.
    Bot(Box<Check<roles::bot::BotRoleSettings>>),
}

#[derive(Debug, clap::Args)]
struct Check<R: clap::Args> {
    #[command(flatten)]
    settings: R,
    #[command(flatten)]
    print: PrintSettings,
}

/// Checks a role. `cli` is the definition of the command line.
pub(crate) async fn run(settings: DoctorSettings, cli: &clap::Command) -> Result<(), CliError> {
    match settings.role {
        Role::Up(check) => run_for(check.settings.parts(), check.print, cli).await,
        Role::Store(check) => run_for(check.settings.parts(), check.print, cli).await,
        Role::Gateway(check) => run_for(check.settings.parts(), check.print, cli).await,
        Role::Bot(check) => run_for(check.settings.parts(), check.print, cli).await,
    }
}

async fn run_for(role: RoleParts<'_>, print: PrintSettings, cli: &clap::Command) -> Result<(), CliError> {
    let mut findings = settings::check(role, &Given::now(cli, role.name));
    // If a file system does not respond, the role cannot run either.
    findings.extend(tokio::task::block_in_place(|| files::check(role)));
    findings.extend(tokio::task::block_in_place(|| tls::check(role)));
    let inspected = inspect_database(role).await;
    let inspection = inspected.as_ref().and_then(|inspected| inspected.as_ref().ok());
    let content = inspection.and_then(|inspection| inspection.content.as_ref());
    findings.extend(inspected.iter().flat_map(database::check));
    findings.extend(tokio::task::block_in_place(|| keyring::check(role, content.map(|content| &content.keys))));
    findings.extend(inspection.iter().flat_map(|inspection| clock::check(inspection, &SystemClock)));
    findings.extend(tokio::task::block_in_place(|| space::check(role, content)));
    let (reached, token) = within("reachability", reachability::check(role)).await;
    findings.extend(reached);
    let token = match token {
        None => own_bot_token(role, inspection).await,
        token => token,
    };
    findings.extend(within("telegram", async { (telegram::check(role, token).await, ()) }).await.0);

    let report = report::Report::new(role.name, findings);
    write_stdout(print.choose(&report.to_json(), report.to_text()).as_bytes())?;
    match report.worst() {
        Severity::Ok | Severity::Note => Ok(()),
        worst => Err(CliError::checked(worst == Severity::Failure, report.summary())),
    }
}

/// Runs an area. Its result is a finding if it does not end in time.
async fn within<T: Default>(area: &'static str, check: impl Future<Output = (Vec<Finding>, T)>) -> (Vec<Finding>, T) {
    tokio::time::timeout(TIMEOUT, check).await.unwrap_or_else(|_| {
        let advice = "Check the network and the other side, and run this again.";
        (vec![Finding::failure(area, "timeout", "the checks did not end in time", advice)], T::default())
    })
}

/// The database of a role that has one.
async fn inspect_database(role: RoleParts<'_>) -> Option<Result<Inspection, String>> {
    let store = role.store?;
    let database = match store.database.database(&store.data) {
        Ok(database) => database,
        Err(error) => return Some(Err(ErrorChain(&error).to_string())),
    };
    let inspecting = tokio::time::timeout(TIMEOUT, inspect(&database, &SystemClock)).await;
    match inspecting {
        Ok(Ok(inspection)) => Some(Ok(inspection)),
        // Reported by the files: the first start creates it.
        Ok(Err(InspectError::NoDatabase { .. })) => None,
        Ok(Err(error)) => Some(Err(ErrorChain(&error).to_string())),
        Err(_) => Some(Err("the database did not respond in time".to_owned())),
    }
}

/// The bot's token in a database that can be read.
async fn own_bot_token(role: RoleParts<'_>, inspection: Option<&Inspection>) -> Option<Result<Option<Secret>, String>> {
    let store = role.store.filter(|_| role.bot.is_some())?;
    inspection?.content.as_ref()?;
    let database = store.database.database(&store.data).ok()?;
    let keyring = store.store.keyring.file(&store.data);
    let token = tokio::time::timeout(TIMEOUT, active_bot_token(&database, &keyring)).await.ok()?;
    Some(token.map_err(|error| ErrorChain(&error).to_string()))
}
