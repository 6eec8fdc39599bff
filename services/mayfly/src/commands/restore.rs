//! `mayfly restore`: puts a backup of the SQLite database back.

use std::path::PathBuf;

use mayfly_bootstrap::audit::{self, Actor};
use mayfly_store::{
    DataSettings, DatabaseSettings, ExistingDatabase, KeyringSettings, LifetimeSettings, RestoreError, RestoreOptions,
    SystemClock, UnreadMessages, restore,
};
use serde_json::json;

use super::{interrupt::or_interrupted, print::PrintSettings};
use crate::error::CliError;

/// Arguments of `mayfly restore`.
#[derive(Debug, clap::Args)]
pub(crate) struct RestoreSettings {
    /// The backup, which stays as it is. Its keyring must be there already: `mayfly keys import`.
    from: PathBuf,
    /// Keep the unread messages of the backup. Only if no store used the database after the backup was taken: messages
    /// that were read since can otherwise be read by a second reader. Without this flag all messages of the backup end
    /// as viewed.
    #[arg(long)]
    keep_messages: bool,
    /// Replace an existing database, which is kept under another name.
    #[arg(long)]
    replace: bool,
    #[command(flatten)]
    data: DataSettings,
    #[command(flatten)]
    database: DatabaseSettings,
    #[command(flatten)]
    keyring: KeyringSettings,
    #[command(flatten)]
    lifetimes: LifetimeSettings,
    #[command(flatten)]
    print: PrintSettings,
}

pub(crate) async fn run(settings: RestoreSettings) -> Result<(), CliError> {
    let RestoreSettings { from, keep_messages, replace, data, database, keyring, lifetimes, print } = settings;
    let database = database.database(&data)?;
    let receipt_retention = lifetimes.receipt_retention;
    let options = RestoreOptions {
        unread: if keep_messages { UnreadMessages::Keep } else { UnreadMessages::End { receipt_retention } },
        existing: if replace { ExistingDatabase::SetAside } else { ExistingDatabase::Reject },
    };
    let keyring = keyring.file(&data);
    let attempt = audit::attempt("database.restore", Actor::Operator);
    let restored = or_interrupted(restore(&database, &keyring, &from, options, &SystemClock)).await?;
    attempt.finish(matches!(restored, Ok(Ok(_))));
    let restored = restored?;
    let restored = restored.map_err(|error| {
        CliError::from(error).with_hint("A backup contains no keys: put its keyring back first (mayfly keys import)")
    })?;
    let messages = match restored.ended {
        0 => format!("{} messages are unread", restored.kept),
        ended => format!("{ended} messages that were unread ended as viewed, since they may have been read meanwhile"),
    };
    let aside = restored.set_aside.as_ref();
    let aside_text = aside.map(|path| format!("; the previous database is {}", path.display())).unwrap_or_default();
    let json = json!({ "ended": restored.ended, "unread": restored.kept, "previous_database": aside });
    print.print(&json, &format!("the database was restored: {messages}{aside_text}"))
}

impl From<RestoreError> for CliError {
    fn from(error: RestoreError) -> Self {
        match error {
            RestoreError::Postgres | RestoreError::Exists { .. } | RestoreError::InUse { .. } => Self::rejected(error),
            RestoreError::Keyring(_) => Self::rejected(error)
                .with_hint("For a backup that is: mayfly keys retire ID --database-url sqlite://BACKUP"),
            _ => Self::failed(error),
        }
    }
}
