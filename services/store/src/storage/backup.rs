//! Copies of a SQLite database: taken while stores run, and put back without giving a message a second reader.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    time::Duration,
};

use mayfly_bootstrap::{create_private_dir_all, parent_dir, sync_dir};
use mayfly_migrations::MigrationError;
use rustix::process::{Flock, FlockOffsetType, FlockType, fcntl_getlk};
use sea_orm::{
    ActiveEnum as _, ConnectionTrait as _, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, EntityTrait as _,
    QuerySelect as _, Statement,
};
use tempfile::{NamedTempFile, TempDir};

use super::{
    database::{Database, DatabaseError, WriteConnection},
    entities::{claims, messages, receipts, usage as usage_table},
    sealing_keys::{KeyringMismatch, register_keys},
    usage::{Usage, UsageChanges},
};
use crate::{
    domain::{Keyring, Timestamp},
    error::StoreError,
};

/// The bytes of a SQLite file on which its connections hold locks: <https://sqlite.org/src/file/src/os.h>.
const LOCK_BYTES: (u64, u64) = (0x4000_0000, 512);
/// By how much a restore advances the numbers of messages. Numbers that were assigned after the backup are not assigned
/// again, unless there were more of them.
const SKIPPED_NUMBERS: i64 = 1 << 32;
/// In which rows of the usage a restore counts.
const SHARD: i32 = 0;

/// A backup cannot be taken. Nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The database is on PostgreSQL, which has programs of its own for this.
    #[error(
        "`mayfly backup` and `mayfly restore` copy SQLite databases: use pg_dump for PostgreSQL, as \
         docs/operations.md describes"
    )]
    Postgres,
    /// There is no database.
    #[error("there is no database at {} (--data-dir, --database-url)", path.display())]
    NoDatabase {
        /// Its file.
        path: PathBuf,
    },
    /// The copy would replace a file.
    #[error("{} exists, and a backup replaces no file: choose another name", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The copy cannot be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The copy.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The database cannot be opened.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// SQLite cannot copy the database.
    #[error("cannot copy the database to {}", path.display())]
    Copy {
        /// The copy.
        path: PathBuf,
        /// Why.
        source: DbErr,
    },
}

/// Writes a consistent copy of a SQLite database to the new file `to`, with mode 0600, also while stores run. The copy
/// has the rows of one moment, and nothing of deleted ones.
///
/// # Errors
///
/// [`BackupError`]; there is then no file at `to`.
pub async fn back_up(database: &Database, to: &Path) -> Result<(), BackupError> {
    let path = || to.to_owned();
    let write_error = |source| BackupError::Write { path: path(), source };
    let file = database.file().ok_or(BackupError::Postgres)?;
    if !file.try_exists().map_err(write_error)? {
        return Err(BackupError::NoDatabase { path: file.to_owned() });
    }
    if to.try_exists().map_err(write_error)? {
        return Err(BackupError::Exists { path: path() });
    }
    let dir = parent_dir(to);
    let temporary = temporary_dir(".mayfly-backup-", dir).map_err(write_error)?;
    // Has mode 0600.
    let copy = NamedTempFile::new_in(temporary.path()).map_err(write_error)?;
    copy_into(database, &copy, to).await?;
    // SQLite does not sync such a copy.
    copy.as_file().sync_all().map_err(write_error)?;
    copy.persist_noclobber(to).map_err(|failed| match failed.error.kind() {
        io::ErrorKind::AlreadyExists => BackupError::Exists { path: path() },
        _ => write_error(failed.error),
    })?;
    sync_dir(dir).map_err(write_error)
}

async fn copy_into(database: &Database, copy: &NamedTempFile, to: &Path) -> Result<(), BackupError> {
    let no_utf8 = || io::Error::new(io::ErrorKind::InvalidFilename, "its path is not UTF-8");
    let path = copy.path().to_str().ok_or_else(no_utf8);
    let path = path.map_err(|source| BackupError::Write { path: to.to_owned(), source })?;
    let connection = database.connect_writer().await?;
    // Copies rows, not pages, so nothing that was deleted. Blocks no writer.
    let vacuum = Statement::from_sql_and_values(DbBackend::Sqlite, "VACUUM INTO ?", [path.into()]);
    let copied = connection.execute_raw(vacuum).await;
    drop(connection.close().await);
    copied.map(drop).map_err(|source| BackupError::Copy { path: to.to_owned(), source })
}

/// What a restore does with the unread messages of a backup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnreadMessages {
    /// They may have been read after the backup was taken: they end as viewed.
    End {
        /// How long their receipts are stored.
        receipt_retention: Duration,
    },
    /// No store used the database after the backup was taken: they stay unread.
    Keep,
}

/// What a restore does with a database that is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExistingDatabase {
    /// The restore fails.
    Reject,
    /// It is kept under another name.
    SetAside,
}

/// What a restore did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    /// How many unread messages ended.
    pub ended: u64,
    /// How many unread messages were kept.
    pub kept: u64,
    /// Where the previous database is.
    pub set_aside: Option<PathBuf>,
}

/// A backup cannot be restored. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The database is on PostgreSQL, which has programs of its own for this.
    #[error(
        "`mayfly restore` puts back SQLite databases: use pg_restore for PostgreSQL, and then destroy its keys, as \
         docs/operations.md describes"
    )]
    Postgres,
    /// There is a database.
    #[error("{} exists: --replace keeps it under another name", path.display())]
    Exists {
        /// Its file.
        path: PathBuf,
    },
    /// A process has the file open.
    #[error("another process uses {}: {hint}", path.display())]
    InUse {
        /// The file.
        path: PathBuf,
        /// What to do.
        hint: &'static str,
    },
    /// A write-ahead log without its database: of a store whose file was deleted while it runs, or that was killed.
    #[error("{} is left without its database: stop the store, and move this file away", path.display())]
    LogWithoutDatabase {
        /// The write-ahead log.
        path: PathBuf,
    },
    /// The backup cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The backup.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The database cannot be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The backup cannot be copied.
    #[error("cannot copy {} to {}", from.display(), to.display())]
    Copy {
        /// The backup.
        from: PathBuf,
        /// The copy.
        to: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The backup is no SQLite database, or a damaged one.
    #[error("{} is not an intact SQLite database: {reason}", path.display())]
    Damaged {
        /// The backup.
        path: PathBuf,
        /// What SQLite found.
        reason: String,
    },
    /// The backup is a database of another program.
    #[error("{} is not a database of Mayfly", path.display())]
    NotMayfly {
        /// The backup.
        path: PathBuf,
    },
    /// The schema of the backup is newer than this program, or cannot be migrated.
    #[error("{} cannot be used", path.display())]
    Schema {
        /// The backup.
        path: PathBuf,
        /// Why.
        source: MigrationError,
    },
    /// The keyring lacks keys of the backup.
    #[error(transparent)]
    Keyring(#[from] KeyringMismatch),
    /// The database failed; the log has the cause.
    #[error("cannot check the keys of the backup")]
    Store(#[from] StoreError),
    /// The copy of the backup cannot be changed.
    #[error("cannot prepare the backup")]
    Prepare(#[source] DbErr),
}

/// A restore of the backup `from` as `database`. The backup itself stays as it is.
pub(crate) struct Restoration<'call> {
    pub(crate) database: &'call Database,
    pub(crate) from: &'call Path,
    pub(crate) keyring: &'call Keyring,
    pub(crate) unread: UnreadMessages,
    pub(crate) existing: ExistingDatabase,
    pub(crate) now: Timestamp,
}

impl Restoration<'_> {
    /// Copies the backup into a directory beside the database, prepares the copy there, and renames it at the end. So
    /// no store ever sees a message that may have been read.
    pub(crate) async fn run(&self) -> Result<Restored, RestoreError> {
        let target = self.database.file().ok_or(RestoreError::Postgres)?;
        self.check_target(target)?;
        let dir = parent_dir(target);
        let write_error = |source| RestoreError::Write { path: dir.to_owned(), source };
        create_private_dir_all(dir).map_err(write_error)?;
        let staging = temporary_dir(".mayfly-restore-", dir).map_err(write_error)?;
        let staged = self.stage(&staging).await?;
        let copy = Database::sqlite_file(&staged);
        let (ended, kept) = self.prepare(&copy).await?;
        let sync = || File::open(&staged)?.sync_all();
        sync().map_err(write_error)?;

        // A store may have been started meanwhile.
        self.check_target(target)?;
        let set_aside = self.set_aside(target).map_err(write_error)?;
        fs::rename(&staged, target).and_then(|()| sync_dir(dir)).map_err(write_error)?;
        Ok(Restored { ended, kept, set_aside })
    }

    fn check_target(&self, target: &Path) -> Result<(), RestoreError> {
        let unreadable = |path: &Path| {
            let path = path.to_owned();
            move |source| RestoreError::Read { path, source }
        };
        if target.try_exists().map_err(unreadable(target))? {
            if self.existing == ExistingDatabase::Reject {
                return Err(RestoreError::Exists { path: target.to_owned() });
            }
            return check_unused(target, "stop the store first");
        }
        let log = with_suffix(target, "-wal");
        match log.try_exists().map_err(unreadable(&log))? {
            true => Err(RestoreError::LogWithoutDatabase { path: log }),
            false => Ok(()),
        }
    }

    /// Copies the backup, and its write-ahead log if it has one, into `staging`.
    async fn stage(&self, staging: &TempDir) -> Result<PathBuf, RestoreError> {
        let staged = staging.path().join("mayfly.db");
        check_unused(self.from, "copy it with `mayfly backup`")?;
        self.copy(self.from, &staged).await?;
        let log = with_suffix(self.from, "-wal");
        if log.exists() {
            self.copy(&log, &with_suffix(&staged, "-wal")).await?;
        }
        Ok(staged)
    }

    async fn copy(&self, from: &Path, to: &Path) -> Result<(), RestoreError> {
        let copied = async {
            let mut reader = tokio::fs::File::open(from).await?;
            let created = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(to)?;
            let mut writer = tokio::fs::File::from_std(created);
            tokio::io::copy(&mut reader, &mut writer).await?;
            writer.sync_all().await
        };
        copied.await.map_err(|source| RestoreError::Copy { from: from.to_owned(), to: to.to_owned(), source })
    }

    /// Checks the copy, migrates it, and ends its unread messages. Returns how many ended, and how many are left.
    async fn prepare(&self, copy: &Database) -> Result<(u64, u64), RestoreError> {
        self.check_copy(copy).await?;
        copy.migrate().await.map_err(|error| match error {
            DatabaseError::Migrate(source) => RestoreError::Schema { path: self.from.to_owned(), source },
            other => self.damaged(&other),
        })?;
        register_keys(copy, self.keyring, self.now).await??;
        let mut connection = WriteConnection::new(copy.clone());
        let prepared = async {
            let transaction = connection.begin().await?;
            let ended = match self.unread {
                UnreadMessages::End { receipt_retention } => {
                    end_unread(&transaction, self.now, self.now.after(receipt_retention)).await?
                }
                UnreadMessages::Keep => 0,
            };
            let kept = count(&transaction, "SELECT COUNT(*) FROM messages").await?;
            transaction.commit().await?;
            Ok((ended, kept))
        };
        let prepared = prepared.await;
        connection.close().await;
        let prepared = prepared.map_err(RestoreError::Prepare)?;
        // The file alone is renamed, so it must have everything.
        if !copy.connect_lane().and_then(|copy| copy.checkpoint()).map_err(RestoreError::Prepare)? {
            return Err(RestoreError::Prepare(DbErr::Custom("another process uses the copy".to_owned())));
        }
        Ok(prepared)
    }

    /// Checks that the copy is an intact database of this program or an older one.
    async fn check_copy(&self, copy: &Database) -> Result<(), RestoreError> {
        let connection = copy.connect_writer().await.map_err(|error| self.damaged(&error))?;
        let checked = self.check_connection(&connection).await;
        drop(connection.close().await);
        checked
    }

    async fn check_connection(&self, connection: &DatabaseConnection) -> Result<(), RestoreError> {
        let check = Statement::from_string(DbBackend::Sqlite, "PRAGMA integrity_check(1)");
        let found = connection.query_one_raw(check).await.map_err(|error| self.damaged(&error))?;
        let found = found.map(|row| row.try_get_by_index::<String>(0)).transpose().map_err(RestoreError::Prepare)?;
        match found.as_deref() {
            Some("ok") => {}
            found => {
                let reason = found.unwrap_or("it cannot be checked").to_owned();
                return Err(RestoreError::Damaged { path: self.from.to_owned(), reason });
            }
        }
        match mayfly_migrations::is_known(connection).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(RestoreError::NotMayfly { path: self.from.to_owned() }),
            Err(source) => Err(RestoreError::Schema { path: self.from.to_owned(), source }),
        }
    }

    fn damaged(&self, error: &(dyn std::error::Error + 'static)) -> RestoreError {
        let mut cause = error;
        while let Some(source) = cause.source() {
            cause = source;
        }
        RestoreError::Damaged { path: self.from.to_owned(), reason: cause.to_string() }
    }

    /// Renames the existing database and its write-ahead log.
    fn set_aside(&self, target: &Path) -> io::Result<Option<PathBuf>> {
        if !target.try_exists()? {
            return Ok(None);
        }
        let time = self.now.to_string().replace(':', "-");
        let aside = with_suffix(target, &format!(".replaced-{time}"));
        if aside.try_exists()? {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, format!("{} exists", aside.display())));
        }
        // The database first: without its log it would have messages as unread that were read.
        fs::rename(target, &aside)?;
        for suffix in ["-wal", "-shm"] {
            let file = with_suffix(target, suffix);
            if file.try_exists()? {
                fs::rename(file, with_suffix(&aside, suffix))?;
            }
        }
        sync_dir(parent_dir(target))?;
        Ok(Some(aside))
    }
}

/// Replaces all unread messages by receipts, and erases all claims. Returns the number of messages.
///
/// The receipts say that the messages were viewed. That is what their holders must assume, and what other outcomes deny.
async fn end_unread(transaction: &DatabaseTransaction, now: Timestamp, purge_time: Timestamp) -> Result<u64, DbErr> {
    let receipts = "INSERT INTO receipts (message_id, verifier, request_hash, claim_verifier, key_id, outcome, \
         create_time, expire_time, outcome_time, purge_time) SELECT id, verifier, request_hash, NULL, key_id, ?, \
         create_time, expire_time, min(?, coalesce(expire_time, ?)), ? FROM messages";
    let values = [
        receipts::Outcome::Viewed.to_value().into(),
        now.micros().into(),
        now.micros().into(),
        purge_time.micros().into(),
    ];
    let receipts = Statement::from_sql_and_values(DbBackend::Sqlite, receipts, values);
    let ended = transaction.execute_raw(receipts).await?.rows_affected();
    messages::Entity::delete_many().exec(transaction).await?;
    claims::Entity::delete_many().exec(transaction).await?;

    let left: Vec<(String, i64)> = receipts::Entity::find()
        .select_only()
        .column(receipts::Column::KeyId)
        .column_as(sea_orm::ColumnTrait::count(&receipts::Column::MessageId), "receipts")
        .group_by(receipts::Column::KeyId)
        .into_tuple()
        .all(transaction)
        .await?;
    usage_table::Entity::delete_many().exec(transaction).await?;
    let mut changes = UsageChanges::default();
    for (key_id, count) in left {
        changes.add(&key_id, Usage::receipts(count));
    }
    if let Some(statement) = changes.statement(DbBackend::Sqlite, SHARD) {
        transaction.execute_raw(statement).await?;
    }

    // SQLite has no row for a table that was always empty.
    let first = "INSERT INTO sqlite_sequence (name, seq) SELECT 'messages', 0 \
         WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = 'messages')";
    transaction.execute_unprepared(first).await?;
    let skip = format!("UPDATE sqlite_sequence SET seq = seq + {SKIPPED_NUMBERS} WHERE name = 'messages'");
    transaction.execute_unprepared(&skip).await?;
    Ok(ended)
}

async fn count(transaction: &DatabaseTransaction, query: &str) -> Result<u64, DbErr> {
    let row = transaction.query_one_raw(Statement::from_string(DbBackend::Sqlite, query)).await?;
    let count: i64 = row.ok_or_else(|| DbErr::RecordNotFound(query.to_owned()))?.try_get_by_index(0)?;
    Ok(count.unsigned_abs())
}

/// Checks that no other process has the SQLite file at `path` open. A connection to a database with a write-ahead log
/// keeps a lock as long as it is open.
fn check_unused(path: &Path, hint: &'static str) -> Result<(), RestoreError> {
    let unreadable = |source| RestoreError::Read { path: path.to_owned(), source };
    let file = File::open(path).map_err(unreadable)?;
    let (start, length) = LOCK_BYTES;
    let exclusive = Flock { start, length, pid: None, typ: FlockType::WriteLock, offset_type: FlockOffsetType::Set };
    match fcntl_getlk(&file, &exclusive).map_err(|error| unreadable(error.into()))? {
        None => Ok(()),
        Some(_) => Err(RestoreError::InUse { path: path.to_owned(), hint }),
    }
}

/// A private directory in `dir` for a database in the making, and for the files that SQLite creates beside it. Deleted
/// when dropped.
fn temporary_dir(prefix: &str, dir: &Path) -> io::Result<TempDir> {
    tempfile::Builder::new().prefix(prefix).permissions(fs::Permissions::from_mode(0o700)).tempdir_in(dir)
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}
