//! The keyring as a file that is encrypted with a passphrase: the age format, <https://age-encryption.org/v1>.

use std::path::Path;

use age::{DecryptError, scrypt, secrecy::SecretString};
use mayfly_bootstrap::{Secret, create_private_dir_all, parent_dir, secret_file};
use zeroize::Zeroizing;

use super::{KeyInfo, KeyringError, KeyringFile, describe, parse};
use crate::domain::{Clock, Key};

/// The base-2 logarithm of scrypt's work, as in the program `age`: 256 MiB of memory, and about a second.
const WORK_FACTOR: u8 = 18;
/// The largest work that an import accepts: 1 GiB.
const MAX_WORK_FACTOR: u8 = 20;

/// What an import does with keys of the existing keyring that the imported file lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MissingKeys {
    /// The import fails.
    Reject,
    /// They are kept.
    Keep,
}

impl KeyringFile {
    /// Writes the keyring to the new file `to`, with mode 0600, encrypted with `passphrase`.
    ///
    /// # Errors
    ///
    /// [`KeyringError`]; there is then no new file.
    pub fn export(&self, to: &Path, passphrase: &Secret) -> Result<(), KeyringError> {
        let keyring = self.read()?.to_json();
        let mut recipient = scrypt::Recipient::new(passphrase_of(passphrase));
        recipient.set_work_factor(WORK_FACTOR);
        let encrypted = age::encrypt_and_armor(&recipient, keyring.expose().as_bytes());
        let encrypted = encrypted.map_err(|error| KeyringError::Encrypt(Box::new(error)))?;
        secret_file::create_new(to, &Secret::new(encrypted.trim_end().to_owned())).map_err(KeyringError::Export)
    }

    /// Adds the keys of the exported file `from` to the keyring, which is created if it does not exist. Returns all
    /// keys, oldest first.
    ///
    /// # Errors
    ///
    /// [`KeyringError`]; the keyring is then as before.
    pub fn import(
        &self,
        from: &Path,
        passphrase: &Secret,
        missing: MissingKeys,
        clock: &dyn Clock,
    ) -> Result<Vec<KeyInfo>, KeyringError> {
        let encrypted = secret_file::read_once(from).map_err(KeyringError::Export)?;
        let json = decrypt(from, &encrypted, passphrase)?;
        let imported = parse(from, &json)?;
        let dir = parent_dir(&self.path);
        create_private_dir_all(dir).map_err(KeyringError::Lock)?;
        let _lock = self.lock()?;
        let keyring = if self.exists()? {
            let existing = self.read()?;
            let lacking = existing.keys().map(Key::id).filter(|id| imported.key(id).is_none());
            let lacking: Vec<_> = lacking.map(|id| id.as_str()).collect();
            if !lacking.is_empty() && missing == MissingKeys::Reject {
                return Err(KeyringError::Lacks { path: from.to_owned(), missing: lacking.join(", ") });
            }
            existing.merged_with(imported)
        } else {
            imported
        };
        secret_file::write(&self.path, &keyring.to_json())?;
        Ok(describe(&keyring, clock.now()))
    }
}

fn decrypt(path: &Path, encrypted: &Secret, passphrase: &Secret) -> Result<Secret, KeyringError> {
    let mut identity = scrypt::Identity::new(passphrase_of(passphrase));
    identity.set_max_work_factor(MAX_WORK_FACTOR);
    let no_export = |source| KeyringError::NoExport { path: path.to_owned(), source };
    let decrypted = age::decrypt(&identity, encrypted.expose().as_bytes()).map_err(|error| match error {
        DecryptError::DecryptionFailed | DecryptError::KeyDecryptionFailed => {
            KeyringError::WrongPassphrase { path: path.to_owned() }
        }
        error => no_export(Box::new(error)),
    })?;
    let decrypted = Zeroizing::new(decrypted);
    let json = std::str::from_utf8(&decrypted).map_err(|error| no_export(Box::new(error)))?;
    Ok(Secret::new(json.to_owned()))
}

fn passphrase_of(passphrase: &Secret) -> SecretString {
    SecretString::from(passphrase.expose().to_owned())
}
