//! The keyring file: a running store reloads it; an operator lists, rotates, retires, exports and imports its keys.

mod transfer;

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use mayfly_bootstrap::{
    Secret,
    secret_file::{self, SecretFileError},
};

use crate::{
    domain::{Clock, InvalidKeyring, Key, KeyId, Keyring, Lifetime, SharedKeyring, Timestamp},
    error::StoreError,
    storage::{Database, DatabaseError, KeyRetirement, KeyringMismatch, RegisteredKeys, register_keys},
};

pub use transfer::MissingKeys;

/// The keyring file of a running store.
pub(crate) struct WatchedKeyring {
    pub(crate) path: PathBuf,
    pub(crate) shared: SharedKeyring,
}

impl WatchedKeyring {
    /// Reloads the file if its keys changed and fit the database. Returns `true` if the keyring was replaced.
    pub(crate) async fn reload(&self, database: &Database, now: Timestamp) -> Result<bool, KeyringError> {
        let keyring = parse(&self.path, &secret_file::read(&self.path)?)?;
        if ids(&keyring) == ids(&self.shared.load()) {
            return Ok(false);
        }
        register_keys(database, &keyring, now).await??;
        self.shared.replace(keyring);
        Ok(true)
    }
}

fn ids(keyring: &Keyring) -> Vec<KeyId> {
    keyring.keys().map(Key::id).cloned().collect()
}

fn parse(path: &Path, json: &Secret) -> Result<Keyring, KeyringError> {
    Keyring::from_json(json).map_err(|source| KeyringError::Keyring { path: path.to_owned(), source })
}

/// The public properties of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyInfo {
    /// Its id.
    pub id: String,
    /// When it begins to seal new messages; `None`: always.
    pub active_from: Option<Timestamp>,
    /// `true` if it seals new messages now.
    pub is_sealing: bool,
}

/// How a keyring that fits a database differs from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyringComparison {
    /// Keys of the file that no store has registered in the database yet.
    pub not_registered: Vec<String>,
    /// Keys whose retirement was interrupted.
    pub retiring: Vec<String>,
}

/// Keys cannot be listed, rotated, retired or reloaded.
#[derive(Debug, thiserror::Error)]
pub enum KeyringError {
    /// The keyring file cannot be used.
    #[error("--keyring cannot be used")]
    File(#[from] SecretFileError),
    /// The lock against concurrent changes cannot be acquired.
    #[error("--keyring cannot be locked")]
    Lock(#[source] io::Error),
    /// The file does not contain a keyring.
    #[error("--keyring: {} is no keyring", path.display())]
    Keyring {
        /// The file.
        path: PathBuf,
        /// Why.
        source: InvalidKeyring,
    },
    /// A key cannot be generated, for lack of randomness.
    #[error("cannot generate a key")]
    Generate(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The keyring lacks keys of the database.
    #[error(transparent)]
    Mismatch(#[from] KeyringMismatch),
    /// The database cannot be used.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The database failed; the log has the cause.
    #[error("cannot use the database (--database-url)")]
    Store(#[from] StoreError),
    /// No key has this id.
    #[error("there is no key {id} in this keyring or database")]
    Unknown {
        /// The id.
        id: String,
    },
    /// The key seals new messages, now or later.
    #[error("the key {id} seals new messages, or will: rotate first, and wait until the new key is active")]
    InUse {
        /// Its id.
        id: String,
    },
    /// Messages or receipts that need the key may still exist.
    #[error(
        "the key {id} was in use until {until}: its messages may exist for --max-ttl after that, and their receipts \
         need it for --receipt-retention after their end (--force retires it anyway)"
    )]
    RecentlyUsed {
        /// Its id.
        id: String,
        /// When a newer key replaced it.
        until: Timestamp,
    },
    /// Unread messages need the key.
    #[error("the key {id} still seals {messages} messages that wait for their readers (--force erases them)")]
    StillRequired {
        /// Its id.
        id: String,
        /// How many.
        messages: i64,
    },
    /// The keyring cannot be encrypted.
    #[error("cannot encrypt the keyring")]
    Encrypt(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The exported file cannot be read or written.
    #[error("the exported keyring cannot be used")]
    Export(#[source] SecretFileError),
    /// The passphrase does not open the exported file.
    #[error("the passphrase does not open {}", path.display())]
    WrongPassphrase {
        /// The file.
        path: PathBuf,
    },
    /// The file is not encrypted with a passphrase in the age format, or damaged.
    #[error("{} is no exported keyring, or is damaged", path.display())]
    NoExport {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// An import would remove keys.
    #[error("{} lacks the key {missing} of the existing keyring: --merge keeps the keys of both", path.display())]
    Lacks {
        /// The imported file.
        path: PathBuf,
        /// The ids of the keys.
        missing: String,
    },
}

/// The keyring file, as an operator manages it. Changes are atomic and under a lock, so stores may use the file at the
/// same time.
pub struct KeyringFile {
    path: PathBuf,
}

impl KeyringFile {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// The keys, oldest first.
    ///
    /// # Errors
    ///
    /// [`KeyringError`] when the file does not contain a keyring.
    pub fn list(&self, clock: &dyn Clock) -> Result<Vec<KeyInfo>, KeyringError> {
        Ok(describe(&self.read()?, clock.now()))
    }

    /// Adds a key that begins to seal after `activate_in`. By then every store must have it; stores reload the file
    /// every few seconds.
    ///
    /// # Errors
    ///
    /// [`KeyringError`] when the file cannot be read or written.
    pub fn rotate(&self, clock: &dyn Clock, activate_in: Duration) -> Result<KeyInfo, KeyringError> {
        let _lock = self.lock()?;
        let active_from = clock.now().after(activate_in);
        let key = Key::generate(Some(active_from)).map_err(|error| KeyringError::Generate(Box::new(error)))?;
        let id = key.id().as_str().to_owned();
        secret_file::replace(&self.path, &self.read()?.with(key).to_json())?;
        Ok(KeyInfo { id, active_from: Some(active_from), is_sealing: activate_in.is_zero() })
    }

    /// Destroys the key `id`. What it sealed cannot be opened any more, neither in this database nor in its copies. App
    /// configs are resealed with another key before. An interrupted retirement can be repeated.
    ///
    /// # Errors
    ///
    /// [`KeyringError`]; without `force` also when the key was replaced less than `required_for` ago, or messages need
    /// it.
    pub async fn retire(
        &self,
        database: &Database,
        id: &str,
        required_for: Lifetime,
        clock: &dyn Clock,
        force: bool,
    ) -> Result<(), KeyringError> {
        let _lock = self.lock()?;
        let now = clock.now();
        let (keyring, id) = (self.read()?, KeyId::from_column(id.to_owned()));
        let retirement = KeyRetirement::new(database, &id);
        if keyring.key(&id).is_none() {
            // An earlier retirement may have been interrupted after it destroyed the key.
            let was_known = retirement.forget().await?;
            return if was_known { Ok(()) } else { Err(KeyringError::Unknown { id: id.as_str().to_owned() }) };
        }
        let until = replaced_at(&keyring, &id, now).ok_or(KeyringError::InUse { id: id.as_str().to_owned() })?;
        if !force && !is_past(until, required_for, now) {
            return Err(KeyringError::RecentlyUsed { id: id.as_str().to_owned(), until });
        }
        let left = keyring.clone().without(&id).ok_or(KeyringError::InUse { id: id.as_str().to_owned() })?;
        if let Err(messages) = retirement.prepare(&keyring, left.sealing(now), force, now).await? {
            return Err(KeyringError::StillRequired { id: id.as_str().to_owned(), messages });
        }
        secret_file::replace(&self.path, &left.to_json())?;
        retirement.forget().await?;
        Ok(())
    }

    /// The ids of the keys that were replaced at least `required_for` ago, oldest first.
    ///
    /// # Errors
    ///
    /// [`KeyringError`] when the file does not contain a keyring.
    pub fn retirable_keys(&self, required_for: Lifetime, clock: &dyn Clock) -> Result<Vec<String>, KeyringError> {
        let (keyring, now) = (self.read()?, clock.now());
        let old = keyring
            .keys()
            .map(Key::id)
            .filter(|id| replaced_at(&keyring, id, now).is_some_and(|until| is_past(until, required_for, now)));
        Ok(old.map(|id| id.as_str().to_owned()).collect())
    }

    /// Compares the file with the keys of a database.
    ///
    /// # Errors
    ///
    /// [`KeyringError`] when the file does not contain a keyring, or lacks keys of the database.
    pub fn compare(&self, keys: &RegisteredKeys) -> Result<KeyringComparison, KeyringError> {
        let keyring = self.read()?;
        keys.check(&keyring)?;
        let ids = keyring.keys().map(|key| key.id().as_str().to_owned());
        let not_registered = ids.filter(|id| !keys.used.contains(id) && !keys.retiring.contains(id)).collect();
        Ok(KeyringComparison { not_registered, retiring: keys.retiring.iter().cloned().collect() })
    }

    pub(crate) fn read(&self) -> Result<Keyring, KeyringError> {
        parse(&self.path, &secret_file::read(&self.path)?)
    }

    /// Returns `true` if there is a file, which may be damaged.
    ///
    /// # Errors
    ///
    /// [`KeyringError`] when that cannot be found out.
    pub fn exists(&self) -> Result<bool, KeyringError> {
        let unreadable = |source| SecretFileError::Read { path: self.path.clone(), source };
        Ok(self.path.try_exists().map_err(unreadable)?)
    }

    /// The lock for changes of the keyring. A file of its own, because a change replaces the keyring file.
    fn lock(&self) -> Result<File, KeyringError> {
        let mut path = self.path.clone().into_os_string();
        path.push(".lock");
        let lock = File::options().create(true).append(true).open(path).map_err(KeyringError::Lock)?;
        lock.lock().map_err(KeyringError::Lock)?;
        Ok(lock)
    }
}

fn describe(keyring: &Keyring, now: Timestamp) -> Vec<KeyInfo> {
    let sealing = keyring.sealing(now).id();
    let describe = |key: &Key| KeyInfo {
        id: key.id().as_str().to_owned(),
        active_from: key.active_from(),
        is_sealing: key.id() == sealing,
    };
    keyring.keys().map(describe).collect()
}

/// When a newer key replaced the key `id`; `None` when none has.
fn replaced_at(keyring: &Keyring, id: &KeyId, now: Timestamp) -> Option<Timestamp> {
    let later = keyring.keys().skip_while(|key| key.id() != id).skip(1);
    later.filter_map(Key::active_from).min().filter(|replaced| *replaced <= now)
}

fn is_past(until: Timestamp, required_for: Lifetime, now: Timestamp) -> bool {
    match required_for {
        Lifetime::Limited(required_for) => until.after(required_for) <= now,
        Lifetime::Never => false,
    }
}
