//! The passphrase of an exported keyring: from a file, or from the terminal.

use std::path::PathBuf;

use mayfly_bootstrap::{Secret, secret_file};

use crate::error::CliError;

/// The passphrase of an exported keyring.
#[derive(Debug, clap::Args)]
pub(super) struct KeyringPassphrase {
    /// A file with the passphrase of the exported keyring. [default: asks for it on the terminal]
    #[arg(long, env = "MAYFLY_PASSPHRASE_FILE", value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

impl KeyringPassphrase {
    /// The passphrase of an existing file.
    pub(super) fn read(&self) -> Result<Secret, CliError> {
        match &self.passphrase_file {
            Some(file) => {
                secret_file::read_once(file).map_err(|error| CliError::invalid_setting("--passphrase-file", error))
            }
            None => ask("Passphrase: "),
        }
    }

    /// The passphrase of a new file. Asked twice, because nobody can open the file if it was mistyped.
    pub(super) fn read_new(&self) -> Result<Secret, CliError> {
        let passphrase = self.read()?;
        if self.passphrase_file.is_none() && ask("The same passphrase again: ")?.expose() != passphrase.expose() {
            return Err(CliError::rejected_because("the passphrases differ; nothing was written"));
        }
        Ok(passphrase)
    }
}

fn ask(prompt: &str) -> Result<Secret, CliError> {
    let passphrase = rpassword::prompt_password(prompt).map_err(|error| {
        CliError::failed(error).with_hint("Without a terminal, give the passphrase with --passphrase-file")
    })?;
    if passphrase.is_empty() {
        return Err(CliError::rejected_because("the passphrase is empty; nothing was written"));
    }
    Ok(Secret::new(passphrase))
}
