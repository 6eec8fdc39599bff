//! `mayfly keys`: manages the keys that encrypt texts. It changes the keyring file, also while stores run.

use std::{path::PathBuf, time::Duration};

use mayfly_bootstrap::audit::{self, Actor};
use mayfly_store::{
    DataSettings, DatabaseSettings, KeyInfo, KeyringFile, KeyringSettings, LifetimeSettings, MissingKeys, SystemClock,
};
use serde_json::{Value, json};

use super::{keyring_passphrase::KeyringPassphrase, print::PrintSettings};
use crate::error::CliError;

/// Arguments of `mayfly keys`.
#[derive(Debug, clap::Args)]
pub(crate) struct KeysSettings {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// List the keys, oldest first.
    List(Keyring),
    /// Add a key for new messages. Prints its id. Existing links stay valid.
    Rotate(RotateSettings),
    /// Destroy keys that are no longer needed. Backups from their time can then no longer be decrypted, even with the
    /// links.
    Retire(RetireSettings),
    /// Write a copy of the keyring that is encrypted with a passphrase, in the age format.
    Export(ExportSettings),
    /// Put an exported keyring back. Prints all keys.
    Import(ImportSettings),
}

#[derive(Debug, clap::Args)]
struct Keyring {
    #[command(flatten)]
    data: DataSettings,
    #[command(flatten)]
    keyring: KeyringSettings,
    #[command(flatten)]
    print: PrintSettings,
}

#[derive(Debug, clap::Args)]
struct RotateSettings {
    /// When the new key begins to encrypt. All stores must have the file by then; each reads its file every five
    /// seconds.
    #[arg(long, default_value = "1m", value_name = "DURATION", value_parser = humantime::parse_duration)]
    activate_in: Duration,
    #[command(flatten)]
    keyring: Keyring,
}

#[derive(Debug, clap::Args)]
struct RetireSettings {
    /// The id of the key. [default: all keys that were replaced before --max-ttl plus --receipt-retention]
    id: Option<String>,
    /// Retire the key now, even if it is needed. This erases the unread messages that the key encrypted, and the texts
    /// that readers could still request again. The store forgets the outcome of older messages of this key, and a
    /// repeated creation makes a new message.
    #[arg(long, requires = "id")]
    force: bool,
    #[command(flatten)]
    database: DatabaseSettings,
    #[command(flatten)]
    lifetimes: LifetimeSettings,
    #[command(flatten)]
    keyring: Keyring,
}

#[derive(Debug, clap::Args)]
struct ExportSettings {
    /// The file to write, which must not exist.
    to: PathBuf,
    #[command(flatten)]
    passphrase: KeyringPassphrase,
    #[command(flatten)]
    keyring: Keyring,
}

#[derive(Debug, clap::Args)]
struct ImportSettings {
    /// The exported file.
    from: PathBuf,
    /// Keep keys of the existing keyring that the file lacks. Without this flag such a file is rejected.
    #[arg(long)]
    merge: bool,
    #[command(flatten)]
    passphrase: KeyringPassphrase,
    #[command(flatten)]
    keyring: Keyring,
}

impl Keyring {
    fn file(&self) -> KeyringFile {
        self.keyring.file(&self.data)
    }
}

pub(crate) async fn run(settings: KeysSettings) -> Result<(), CliError> {
    match settings.action {
        Action::List(keyring) => list(&keyring),
        Action::Rotate(settings) => rotate(&settings),
        Action::Retire(settings) => retire(settings).await,
        Action::Export(settings) => export(&settings),
        Action::Import(settings) => import(&settings),
    }
}

fn export(settings: &ExportSettings) -> Result<(), CliError> {
    let ExportSettings { to, passphrase, keyring } = settings;
    let passphrase = passphrase.read_new()?;
    let attempt = audit::attempt("keyring.export", Actor::Operator);
    attempt.end(keyring.file().export(to, &passphrase))?;
    keyring.print.print(&json!({ "export": to }), &format!("the keyring was exported to {}", to.display()))
}

fn import(settings: &ImportSettings) -> Result<(), CliError> {
    let ImportSettings { from, merge, passphrase, keyring } = settings;
    let missing = if *merge { MissingKeys::Keep } else { MissingKeys::Reject };
    let passphrase = passphrase.read()?;
    let attempt = audit::attempt("keyring.import", Actor::Operator);
    let keys = attempt.end(keyring.file().import(from, &passphrase, missing, &SystemClock))?;
    print(keyring, &keys)
}

fn list(keyring: &Keyring) -> Result<(), CliError> {
    print(keyring, &keyring.file().list(&SystemClock)?)
}

fn print(keyring: &Keyring, keys: &[KeyInfo]) -> Result<(), CliError> {
    let lines: Vec<_> = keys.iter().map(to_text).collect();
    keyring.print.print(&keys.iter().map(to_json).collect(), &lines.join("\n"))
}

fn rotate(settings: &RotateSettings) -> Result<(), CliError> {
    let attempt = audit::attempt("keyring.rotate", Actor::Operator);
    let rotated = settings.keyring.file().rotate(&SystemClock, settings.activate_in);
    let key = attempt.end_on(rotated, |key| key.id.clone())?;
    settings.keyring.print.print(&to_json(&key), &key.id)
}

async fn retire(settings: RetireSettings) -> Result<(), CliError> {
    let RetireSettings { id, force, database, lifetimes, keyring } = settings;
    let database = database.database(&keyring.data)?;
    let (file, needed_for) = (keyring.file(), lifetimes.key_retention());
    let ids = match id {
        Some(id) => vec![id],
        None => file.retirable_keys(needed_for, &SystemClock)?,
    };
    if !ids.is_empty() {
        database.check_schema().await?;
    }
    for id in &ids {
        let attempt = audit::attempt("keyring.retire", Actor::Operator);
        attempt.end_on(file.retire(&database, id, needed_for, &SystemClock, force).await, |_| id)?;
    }
    let text = if ids.is_empty() { "no key is old enough to be retired".to_owned() } else { ids.join("\n") };
    keyring.print.print(&json!({ "retired": ids }), &text)
}

fn to_json(key: &KeyInfo) -> Value {
    json!({ "id": key.id, "active_from": key.active_from.map(|time| time.to_string()), "is_sealing": key.is_sealing })
}

fn to_text(key: &KeyInfo) -> String {
    let since = key.active_from.map_or_else(|| "the beginning".to_owned(), |time| time.to_string());
    let what = if key.is_sealing { "seals and opens" } else { "opens" };
    format!("{}  active from {since}  {what}", key.id)
}
