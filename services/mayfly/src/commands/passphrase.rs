//! The passphrase of `mayfly new` and `mayfly view`.

use std::path::PathBuf;

use mayfly_bootstrap::{Secret, secret_file};

use crate::error::CliError;

/// The optional passphrase of a message.
#[derive(Debug, clap::Args)]
pub(super) struct PassphraseSettings {
    /// A passphrase that readers need in addition to id:token.
    #[arg(long, env = "MAYFLY_PASSPHRASE", hide_env_values = true, value_name = "PASSPHRASE")]
    passphrase: Option<Secret>,
    /// A file with the passphrase, which keeps it out of the shell's history.
    #[arg(long, env = "MAYFLY_PASSPHRASE_FILE", value_name = "FILE", conflicts_with = "passphrase")]
    passphrase_file: Option<PathBuf>,
}

impl PassphraseSettings {
    /// The passphrase; empty if none was given.
    pub(super) fn read(&self) -> Result<String, CliError> {
        let secret = secret_file::given_once(&self.passphrase, &self.passphrase_file);
        let secret = secret.map_err(|error| CliError::invalid_setting("--passphrase-file", error))?;
        Ok(secret.map(|secret| secret.expose().to_owned()).unwrap_or_default())
    }
}
