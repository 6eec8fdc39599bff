//! The keyring over its life: shared by everything in a store, read again when its file changes, rotated and retired.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use mayfly_bootstrap::{
    Secret,
    secret_file::{self, SecretFileError},
};

use crate::{
    KeyringMismatch, StoreError,
    domain::{Clock, InvalidKeyring, Key, KeyId, Keyring, Lifetime, Timestamp},
    storage::{Database, DatabaseError, KeyRetirement, claim_database},
};

/// The keyring that a store works with at the moment. Clones are the same one.
#[derive(Clone)]
pub(crate) struct SharedKeyring(Arc<RwLock<Arc<Keyring>>>);

impl SharedKeyring {
    pub(crate) fn new(keyring: Keyring) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(keyring))))
    }

    /// The keyring; whoever holds it keeps it, while it may be replaced for others.
    pub(crate) fn load(&self) -> Arc<Keyring> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Goes on without the key named `id`, which was retired elsewhere; unless it is the only one. The keyring file is read
    /// again soon.
    pub(crate) fn exclude(&self, id: &KeyId) {
        let mut keyring = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(left) = Keyring::clone(&keyring).without(id) {
            *keyring = Arc::new(left);
        }
    }

    fn replace(&self, keyring: Keyring) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(keyring);
    }
}

/// A keyring's file, as a running store looks at it.
pub(crate) struct WatchedKeyring {
    pub(crate) path: PathBuf,
    pub(crate) shared: SharedKeyring,
}

impl WatchedKeyring {
    /// Takes up what is in the file now, if that differs and fits the database; answers whether it did.
    pub(crate) async fn reload(&self, database: &Database, now: Timestamp) -> Result<bool, KeyringError> {
        let keyring = parse(&self.path, &secret_file::read(&self.path)?)?;
        if ids(&keyring) == ids(&self.shared.load()) {
            return Ok(false);
        }
        claim_database(database, &keyring, now).await??;
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

/// What can be known about a key without knowing it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyInfo {
    /// Its name.
    pub id: String,
    /// Since when it seals, or from when on it will; `None`: from the beginning.
    pub active_from: Option<Timestamp>,
    /// Whether it is the one that seals now.
    pub is_sealing: bool,
}

/// Keys cannot be listed, rotated or retired.
#[derive(Debug, thiserror::Error)]
pub enum KeyringError {
    /// The keyring file cannot be used.
    #[error("--keyring cannot be used")]
    File(#[from] SecretFileError),
    /// Nobody can be kept from changing the keyring at the same time.
    #[error("--keyring cannot be locked")]
    Lock(#[source] io::Error),
    /// The keyring file is no keyring.
    #[error("--keyring: {} is no keyring", path.display())]
    Keyring {
        /// The file.
        path: PathBuf,
        /// Why.
        source: InvalidKeyring,
    },
    /// No randomness for a new key.
    #[error("cannot make a key")]
    Generate(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The keyring and the database do not belong together.
    #[error(transparent)]
    Mismatch(#[from] KeyringMismatch),
    /// The database cannot be used.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The database failed; the log says how.
    #[error("cannot use the database (--database-url)")]
    Store(#[from] StoreError),
    /// No key has this name.
    #[error("there is no key {id} in this keyring or database")]
    Unknown {
        /// The name.
        id: String,
    },
    /// The key seals, or will.
    #[error("the key {id} seals new messages, or will: rotate first, and wait until the new key is active")]
    InUse {
        /// Its name.
        id: String,
    },
    /// Messages may wait for their readers that need the key.
    #[error(
        "the key {id} was in use until {until}: messages that it sealed may live for as long as --max-ttl after that, and be asked after \
         for as long as --receipt-retention after their end, which nothing can answer without it (--force)"
    )]
    RecentlyUsed {
        /// Its name.
        id: String,
        /// When another key took over.
        until: Timestamp,
    },
    /// Messages wait for their readers that need the key.
    #[error("the key {id} still seals {messages} messages that wait for their readers (--force erases them)")]
    StillRequired {
        /// Its name.
        id: String,
        /// How many.
        messages: i64,
    },
}

/// A keyring's file, as an operator looks at it. Changes are made under a lock and in one step, so any number of stores may be
/// running on it.
pub struct KeyringFile {
    path: PathBuf,
}

impl KeyringFile {
    pub(crate) fn at(path: PathBuf) -> Self {
        Self { path }
    }

    /// The keys, oldest first.
    ///
    /// # Errors
    ///
    /// [`KeyringError`] when the file is no keyring.
    pub fn list(&self, clock: &dyn Clock) -> Result<Vec<KeyInfo>, KeyringError> {
        Ok(describe(&self.read()?, clock.now()))
    }

    /// Adds a key that seals in `activate_in` from now: by then every store must have it. Stores look at their file every few
    /// seconds.
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

    /// Destroys the key named `id`: nothing that was sealed with it opens any more, in this database or in any copy of it. App
    /// configs are sealed anew before. Safe to repeat when it was cut short.
    ///
    /// # Errors
    ///
    /// [`KeyringError`]; without `force` also when the key was in use less than `needed_for` ago, or messages still need it.
    pub async fn retire(
        &self,
        database: &Database,
        id: &str,
        needed_for: Lifetime,
        clock: &dyn Clock,
        force: bool,
    ) -> Result<(), KeyringError> {
        let _lock = self.lock()?;
        let now = clock.now();
        let (keyring, id) = (self.read()?, KeyId::from_column(id.to_owned()));
        let retirement = KeyRetirement::new(database, &id);
        if keyring.key(&id).is_none() {
            // Perhaps cut short after the key was destroyed, before the database forgot it.
            let was_known = retirement.forget().await?;
            return if was_known { Ok(()) } else { Err(KeyringError::Unknown { id: id.as_str().to_owned() }) };
        }
        let until = replaced_at(&keyring, &id, now).ok_or(KeyringError::InUse { id: id.as_str().to_owned() })?;
        if !force && !is_past(until, needed_for, now) {
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

    /// The keys that were replaced at least `needed_for` ago, oldest first.
    ///
    /// # Errors
    ///
    /// [`KeyringError`] when the file is no keyring.
    pub fn retirable_keys(&self, needed_for: Lifetime, clock: &dyn Clock) -> Result<Vec<String>, KeyringError> {
        let (keyring, now) = (self.read()?, clock.now());
        let old = keyring
            .keys()
            .map(Key::id)
            .filter(|id| replaced_at(&keyring, id, now).is_some_and(|until| is_past(until, needed_for, now)));
        Ok(old.map(|id| id.as_str().to_owned()).collect())
    }

    fn read(&self) -> Result<Keyring, KeyringError> {
        parse(&self.path, &secret_file::read(&self.path)?)
    }

    /// Held while the keyring is read, changed and written. Beside the keyring, which is replaced.
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

/// When a later key took over from the one named `id`; `None` when none has.
fn replaced_at(keyring: &Keyring, id: &KeyId, now: Timestamp) -> Option<Timestamp> {
    let later = keyring.keys().skip_while(|key| key.id() != id).skip(1);
    later.filter_map(Key::active_from).min().filter(|replaced| *replaced <= now)
}

fn is_past(until: Timestamp, needed_for: Lifetime, now: Timestamp) -> bool {
    match needed_for {
        Lifetime::Limited(needed_for) => until.after(needed_for) <= now,
        Lifetime::Never => false,
    }
}
