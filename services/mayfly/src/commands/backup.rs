//! `mayfly backup`: copies the SQLite database, also while stores run.

use std::path::PathBuf;

use mayfly_bootstrap::audit::{self, Actor};
use mayfly_store::{BackupError, DataSettings, DatabaseSettings, back_up};
use serde_json::json;

use super::{interrupt::or_interrupted, print::PrintSettings};
use crate::error::CliError;

/// Arguments of `mayfly backup`.
#[derive(Debug, clap::Args)]
pub(crate) struct BackupSettings {
    /// The file to write, which must not exist. It contains no key: back up the keyring apart from it, with `mayfly keys
    /// export`.
    to: PathBuf,
    #[command(flatten)]
    data: DataSettings,
    #[command(flatten)]
    database: DatabaseSettings,
    #[command(flatten)]
    print: PrintSettings,
}

pub(crate) async fn run(settings: BackupSettings) -> Result<(), CliError> {
    let BackupSettings { to, data, database, print } = settings;
    let database = database.database(&data)?;
    let attempt = audit::attempt("database.backup", Actor::Operator);
    attempt.end(or_interrupted(back_up(&database, &to)).await?)?;
    print.print(&json!({ "backup": to }), &format!("the database was copied to {}", to.display()))
}

impl From<BackupError> for CliError {
    fn from(error: BackupError) -> Self {
        match error {
            BackupError::Postgres | BackupError::Exists { .. } => Self::rejected(error),
            BackupError::NoDatabase { .. } => Self::not_found(error),
            BackupError::Database(error) => error.into(),
            BackupError::Write { .. } | BackupError::Copy { .. } => Self::failed(error),
        }
    }
}
