//! Files that hold a secret: created once with mode 0600, then only read.

use std::{
    fs::{File, FileType, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use rustix::fs::OFlags;
use tempfile::NamedTempFile;
use zeroize::Zeroizing;

use crate::{
    private_dir::{create_private_dir_all, parent_dir, sync_dir},
    secret::Secret,
};

/// Larger than any keyring or token. Keeps a wrong path (a device, a database) from filling the memory.
const MAX_BYTES: u64 = 1 << 20;

/// A file with a secret cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SecretFileError {
    /// It cannot be opened or read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It cannot be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is a pipe, for example, on which a process could wait for ever.
    #[error("{} is {kind}, and must be a regular file", path.display())]
    NotRegular {
        /// The file.
        path: PathBuf,
        /// What it is.
        kind: &'static str,
    },
    /// All users of the machine may read or change it.
    #[error("{} may be read by others (its mode is {mode:o}): run chmod 600 on it", path.display())]
    AccessibleToOthers {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The members of its group may read or change it, and [`SecretAccess`] does not allow that.
    #[error(
        "{} may be read by the group {group} (its mode is {mode:o}): run chmod 600 on it; or, where Kubernetes' \
         fsGroup sets this mode, start the process in that group with --group-readable-secrets",
        path.display()
    )]
    AccessibleToGroup {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
        /// Its group.
        group: u32,
    },
    /// It is empty, too large or not UTF-8.
    #[error("{} is empty, too large or not text", path.display())]
    InvalidContent {
        /// The file.
        path: PathBuf,
    },
}

/// Which users may have access to the file of a secret that Mayfly created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretAccess {
    /// The owner of the file.
    Owner,
    /// Also the file's group, if the process is a member of it.
    OwnGroup,
}

/// Reads the secret in the regular file at `path`, without the line break that editors append.
///
/// The file's permissions are not checked: container runtimes often mount secrets readable by all users.
///
/// # Errors
///
/// [`SecretFileError`] when it cannot be read, is no regular file, is empty, is larger than 1 MiB, or is not UTF-8.
pub fn read(path: &Path) -> Result<Secret, SecretFileError> {
    read_open(open(path)?, path)
}

/// As [`read`], from any file, also from a pipe that a shell makes (`<(command)`) or from `/dev/stdin`. It may wait for
/// ever, so only a command may call this, which a signal ends.
///
/// # Errors
///
/// As [`read`].
pub fn read_once(path: &Path) -> Result<Secret, SecretFileError> {
    let file = File::open(path).map_err(|source| SecretFileError::Read { path: path.to_owned(), source })?;
    read_open(file, path)
}

/// The secret of a setting, which gives either the secret itself or a regular file with it.
///
/// # Errors
///
/// As [`read`].
pub fn given(secret: &Option<Secret>, file: &Option<PathBuf>) -> Result<Option<Secret>, SecretFileError> {
    match (secret, file) {
        (None, Some(file)) => read(file).map(Some),
        (secret, _) => Ok(secret.clone()),
    }
}

/// As [`given`], for a setting of commands alone, whose file may be a pipe: see [`read_once`].
///
/// # Errors
///
/// As [`read`].
pub fn given_once(secret: &Option<Secret>, file: &Option<PathBuf>) -> Result<Option<Secret>, SecretFileError> {
    match (secret, file) {
        (None, Some(file)) => read_once(file).map(Some),
        (secret, _) => Ok(secret.clone()),
    }
}

/// Opens a regular file. Does not wait for the writer of a pipe, which is refused.
fn open(path: &Path) -> Result<File, SecretFileError> {
    let unreadable = |source| SecretFileError::Read { path: path.to_owned(), source };
    let without_waiting = OFlags::NONBLOCK.bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(without_waiting).open(path).map_err(unreadable)?;
    let found = file.metadata().map_err(unreadable)?.file_type();
    if !found.is_file() {
        return Err(SecretFileError::NotRegular { path: path.to_owned(), kind: kind(found) });
    }
    Ok(file)
}

fn kind(found: FileType) -> &'static str {
    if found.is_dir() {
        "a directory"
    } else if found.is_fifo() {
        "a pipe"
    } else {
        "a device"
    }
}

/// Reads the secret in the file at `path`, which users outside its group must not have access to. Its group may have
/// access: packages and container platforms share private keys of TLS with a group.
///
/// # Errors
///
/// [`SecretFileError`]; also when all users may read or change the file.
pub fn read_private(path: &Path) -> Result<Secret, SecretFileError> {
    let unreadable = |source| SecretFileError::Read { path: path.to_owned(), source };
    let file = open(path)?;
    let mode = file.metadata().map_err(unreadable)?.mode() & 0o777;
    reject_others(path, mode)?;
    read_open(file, path)
}

/// Reads the secret in the file at `path`. If there is no file, creates it with the result of `generate` and mode 0600.
///
/// Creates missing directories with mode 0700. If several processes do this at once, all return the secret that was
/// written first.
///
/// # Errors
///
/// [`SecretFileError`]; also when users beyond `access` may read or change the file.
pub fn read_or_create(
    path: &Path,
    access: SecretAccess,
    generate: impl FnOnce() -> Result<Secret, io::Error>,
) -> Result<Secret, SecretFileError> {
    if !path.exists() {
        create(path, generate).map_err(|source| SecretFileError::Write { path: path.to_owned(), source })?;
    }
    let unreadable = |source| SecretFileError::Read { path: path.to_owned(), source };
    let file = open(path)?;
    let metadata = file.metadata().map_err(unreadable)?;
    let (mode, group) = (metadata.mode() & 0o777, metadata.gid());
    check_access(path, mode, group, access)?;
    if mode & 0o070 != 0 {
        tracing::info!(path = %path.display(), group, mode = format!("{mode:o}"), "a secret may be read by a group");
    }
    read_open(file, path)
}

/// Checks that only users within `access` may read or change the file at `path`, which is not read.
///
/// # Errors
///
/// [`SecretFileError`]
pub fn check(path: &Path, access: SecretAccess) -> Result<(), SecretFileError> {
    let metadata = open(path)?.metadata().map_err(|source| SecretFileError::Read { path: path.to_owned(), source })?;
    check_access(path, metadata.mode() & 0o777, metadata.gid(), access)
}

fn check_access(path: &Path, mode: u32, group: u32, access: SecretAccess) -> Result<(), SecretFileError> {
    reject_others(path, mode)?;
    if mode & 0o070 != 0 && (access == SecretAccess::Owner || !is_own_group(group)) {
        return Err(SecretFileError::AccessibleToGroup { path: path.to_owned(), mode, group });
    }
    Ok(())
}

fn reject_others(path: &Path, mode: u32) -> Result<(), SecretFileError> {
    if mode & 0o007 == 0 { Ok(()) } else { Err(SecretFileError::AccessibleToOthers { path: path.to_owned(), mode }) }
}

fn is_own_group(group: u32) -> bool {
    let is_member = || rustix::process::getgroups().is_ok_and(|own| own.iter().any(|own| own.as_raw() == group));
    rustix::process::getegid().as_raw() == group || is_member()
}

/// Writes a temporary file and links it to `path`. So no process reads half a secret, and none overwrites another's.
fn create(path: &Path, generate: impl FnOnce() -> Result<Secret, io::Error>) -> io::Result<()> {
    let dir = parent_dir(path);
    create_private_dir_all(dir)?;
    match write_temporary(dir, &generate()?)?.persist_noclobber(path) {
        Err(failed) if failed.error.kind() != io::ErrorKind::AlreadyExists => return Err(failed.error),
        _ => {}
    }
    sync_dir(dir)
}

/// Replaces the secret in the file at `path` atomically, and overwrites the old content with zeros.
///
/// # Errors
///
/// [`SecretFileError`]; the old secret is then still in the file.
pub fn replace(path: &Path, secret: &Secret) -> Result<(), SecretFileError> {
    replace_file(path, secret).map_err(|source| SecretFileError::Write { path: path.to_owned(), source })
}

/// Writes `secret` to the file at `path` atomically, with mode 0600. Creates the file or replaces its content.
///
/// # Errors
///
/// [`SecretFileError`]; an old secret is then still in the file.
pub fn write(path: &Path, secret: &Secret) -> Result<(), SecretFileError> {
    let write = || {
        if path.try_exists()? {
            return replace_file(path, secret);
        }
        let dir = parent_dir(path);
        create_private_dir_all(dir)?;
        write_temporary(dir, secret)?.persist(path).map_err(|failed| failed.error)?;
        sync_dir(dir)
    };
    write().map_err(|source| SecretFileError::Write { path: path.to_owned(), source })
}

/// Writes `secret` to the new file at `path` atomically, with mode 0600, in an existing directory.
///
/// # Errors
///
/// [`SecretFileError`]; also when the file exists, which stays as it is.
pub fn create_new(path: &Path, secret: &Secret) -> Result<(), SecretFileError> {
    let dir = parent_dir(path);
    let create = || {
        write_temporary(dir, secret)?.persist_noclobber(path).map_err(|failed| failed.error)?;
        sync_dir(dir)
    };
    create().map_err(|source| SecretFileError::Write { path: path.to_owned(), source })
}

fn replace_file(path: &Path, secret: &Secret) -> io::Result<()> {
    let dir = parent_dir(path);
    let mut old = OpenOptions::new().write(true).open(path)?;
    write_temporary(dir, secret)?.persist(path).map_err(|failed| failed.error)?;
    sync_dir(dir)?;
    // Best effort: a journal or a flash cell may still hold a copy.
    let length = old.metadata()?.len();
    io::copy(&mut io::repeat(0).take(length), &mut old)?;
    old.sync_all()
}

/// A temporary file with the secret and mode 0600. Deleted unless it is persisted.
fn write_temporary(dir: &Path, secret: &Secret) -> io::Result<NamedTempFile> {
    let mut file = NamedTempFile::new_in(dir)?;
    file.write_all(secret.expose().as_bytes())?;
    file.write_all(b"\n")?;
    file.as_file().sync_all()?;
    Ok(file)
}

fn read_open(file: File, path: &Path) -> Result<Secret, SecretFileError> {
    let mut bytes = Zeroizing::new(Vec::new());
    file.take(MAX_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(|source| SecretFileError::Read { path: path.to_owned(), source })?;
    let text = std::str::from_utf8(&bytes).unwrap_or_default();
    // Editors on Windows write a byte order mark, and end lines with two characters.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text).trim_end_matches(['\r', '\n']);
    if text.is_empty() || bytes.len() as u64 > MAX_BYTES {
        return Err(SecretFileError::InvalidContent { path: path.to_owned() });
    }
    Ok(Secret::new(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _, sync::mpsc, thread, time::Duration};

    use rustix::fs::{CWD, FileType, Mode, mknodat};

    use super::*;

    const OWNER: SecretAccess = SecretAccess::Owner;
    type Reader = fn(&Path) -> Result<(), SecretFileError>;

    /// Much longer than reading a file takes.
    const TIMEOUT: Duration = Duration::from_secs(10);

    fn generate(secret: &str) -> impl FnOnce() -> Result<Secret, io::Error> {
        let secret = Secret::new(secret.to_owned());
        move || Ok(secret)
    }

    #[test]
    fn a_secret_is_created_once_and_private() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("new/token");
        assert_eq!(read_or_create(&path, OWNER, generate("first")).unwrap().expose(), "first");
        assert_eq!(read_or_create(&path, OWNER, generate("second")).unwrap().expose(), "first");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "the temporary file is gone");
    }

    #[test]
    fn a_secret_is_replaced_atomically_and_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        assert!(replace(&path, &Secret::new("none".to_owned())).is_err(), "there is no file to replace");
        read_or_create(&path, OWNER, generate("first")).unwrap();
        let mut old = File::open(&path).unwrap();
        replace(&path, &Secret::new("second".to_owned())).unwrap();
        assert_eq!(read_or_create(&path, OWNER, generate("third")).unwrap().expose(), "second");
        let mut left = String::new();
        old.read_to_string(&mut left).unwrap();
        assert_eq!(left, "\0".repeat("first\n".len()));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "the temporary file is gone");
    }

    #[test]
    fn a_secret_is_written_to_a_new_file_and_to_an_existing_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("new/token");
        for secret in ["first", "second"] {
            write(&path, &Secret::new(secret.to_owned())).unwrap();
            assert_eq!(read(&path).unwrap().expose(), secret);
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "the temporary files are gone");
    }

    #[test]
    fn a_new_secret_replaces_no_file_and_makes_no_directory() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        let secret = |text: &str| Secret::new(text.to_owned());
        create_new(&path, &secret("first")).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(create_new(&path, &secret("second")).is_err());
        assert_eq!(read(&path).unwrap().expose(), "first");
        assert!(create_new(&dir.path().join("new/token"), &secret("third")).is_err());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "the temporary file is gone");
    }

    #[test]
    fn a_secret_accessible_to_others_is_rejected() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        read_or_create(&path, OWNER, generate("secret")).unwrap();
        for mode in [0o604, 0o602, 0o644, 0o666] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            for access in [OWNER, SecretAccess::OwnGroup] {
                let rejected = read_or_create(&path, access, generate("other"));
                assert!(matches!(rejected, Err(SecretFileError::AccessibleToOthers { .. })), "{mode:o} {rejected:?}");
            }
            let rejected = read_private(&path);
            assert!(matches!(rejected, Err(SecretFileError::AccessibleToOthers { .. })), "{mode:o} {rejected:?}");
        }
    }

    #[test]
    fn a_secret_accessible_to_a_group_is_read_only_if_allowed_and_the_process_is_a_member() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        read_or_create(&path, OWNER, generate("secret")).unwrap();
        for mode in [0o640, 0o660] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let rejected = read_or_create(&path, OWNER, generate("other")).unwrap_err();
            assert!(rejected.to_string().contains("--group-readable-secrets"), "{rejected}");
            assert_eq!(read_or_create(&path, SecretAccess::OwnGroup, generate("other")).unwrap().expose(), "secret");
            assert_eq!(read_private(&path).unwrap().expose(), "secret");
        }
        let foreign = (1..).find(|group| !is_own_group(*group)).unwrap();
        let rejected = check_access(&path, 0o640, foreign, SecretAccess::OwnGroup);
        assert!(matches!(rejected, Err(SecretFileError::AccessibleToGroup { mode: 0o640, .. })), "{rejected:?}");
    }

    #[test]
    fn a_pipe_is_rejected_and_not_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("token");
        mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        let readers: [Reader; 5] = [
            |path| read(path).map(drop),
            |path| given(&None, &Some(path.to_owned())).map(drop),
            |path| read_private(path).map(drop),
            |path| read_or_create(path, OWNER, generate("other")).map(drop),
            |path| check(path, OWNER),
        ];
        for (number, reader) in readers.into_iter().enumerate() {
            let (path, (ended, end)) = (pipe.clone(), mpsc::channel());
            thread::spawn(move || ended.send(reader(&path)));
            let rejected = end.recv_timeout(TIMEOUT).unwrap_or_else(|_| panic!("reader {number} waits"));
            assert!(matches!(rejected, Err(SecretFileError::NotRegular { kind: "a pipe", .. })), "{rejected:?}");
        }
        for other in [Path::new("/dev/zero"), dir.path()] {
            assert!(matches!(read(other), Err(SecretFileError::NotRegular { .. })), "{}", other.display());
        }
    }

    #[test]
    fn a_command_reads_a_secret_from_a_pipe() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("token");
        mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        let path = pipe.clone();
        let writer = thread::spawn(move || fs::write(path, "secret\n"));
        assert_eq!(given_once(&None, &Some(pipe)).unwrap().unwrap().expose(), "secret");
        writer.join().unwrap().unwrap();
    }

    #[test]
    fn an_empty_file_is_rejected() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        for empty in ["\n", "\u{feff}\r\n"] {
            fs::write(&path, empty).unwrap();
            assert!(matches!(read(&path), Err(SecretFileError::InvalidContent { .. })));
        }
    }

    #[test]
    fn a_byte_order_mark_and_line_endings_are_not_part_of_a_secret() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        for written in [" café ", " café \n", "\u{feff} café \r\n"] {
            fs::write(&path, written).unwrap();
            assert_eq!(read(&path).unwrap().expose(), " café ");
        }
    }
}
