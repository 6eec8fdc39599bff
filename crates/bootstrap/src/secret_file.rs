//! Secrets in files: made once with mode 0600, then only read.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use tempfile::NamedTempFile;
use zeroize::Zeroizing;

use crate::{
    Secret,
    folder::{make_private_folder, parent, sync_folder},
};

/// Larger than any keyring or token; keeps a wrong path (a device, a database) from filling the memory.
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
    /// It cannot be made.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Other users of the machine may read or change it.
    #[error("{} may be read by others (its mode is {mode:o}): run chmod 600 on it", path.display())]
    OpenToOthers {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The users of a group may read or change it, and the group was not allowed to, or is not one of the process's own.
    #[error(
        "{} may be read by the group {group} (its mode is {mode:o}): run chmod 600 on it; or, where Kubernetes' fsGroup \
         sets this mode, start the process in that group with --group-readable-secrets",
        path.display()
    )]
    OpenToGroup {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
        /// Its group.
        group: u32,
    },
    /// It holds nothing, or more than any secret.
    #[error("{} is empty, too large or not text", path.display())]
    NoSecret {
        /// The file.
        path: PathBuf,
    },
}

/// Who may have access to a secret that was made here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretAccess {
    /// The owner of the file.
    Owner,
    /// The file's group too, if the process is in it.
    OwnGroup,
}

/// Reads the secret in the file at `path`, without the line break that editors leave at its end.
///
/// # Errors
///
/// [`SecretFileError`] when it cannot be read, or is empty or over 1 MiB, or is not UTF-8. Who else may read the file is
/// not our business here: container secrets are often mounted readable.
pub fn read(path: &Path) -> Result<Secret, SecretFileError> {
    let file = File::open(path).map_err(|source| SecretFileError::Read { path: path.to_owned(), source })?;
    read_open(file, path)
}

/// Reads the secret in the file at `path`; makes the file first, with what `make` answers and mode 0600, when it is not there.
/// Its folder is made too, with mode 0700. Two processes may do this at once: both get the secret that won.
///
/// # Errors
///
/// [`SecretFileError`]; also when users beyond `access` may read the file, since it was not made so here.
pub fn create_or_read(
    path: &Path,
    access: SecretAccess,
    make: impl FnOnce() -> Result<Secret, io::Error>,
) -> Result<Secret, SecretFileError> {
    if !path.exists() {
        create(path, make).map_err(|source| SecretFileError::Write { path: path.to_owned(), source })?;
    }
    let unreadable = |source| SecretFileError::Read { path: path.to_owned(), source };
    let file = File::open(path).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    check_access(path, metadata.mode() & 0o777, metadata.gid(), access)?;
    read_open(file, path)
}

fn check_access(path: &Path, mode: u32, group: u32, access: SecretAccess) -> Result<(), SecretFileError> {
    let path = path.to_owned();
    if mode & 0o007 != 0 {
        return Err(SecretFileError::OpenToOthers { path, mode });
    }
    if mode & 0o070 != 0 {
        if access == SecretAccess::Owner || !is_own_group(group) {
            return Err(SecretFileError::OpenToGroup { path, mode, group });
        }
        tracing::info!(path = %path.display(), group, mode = format!("{mode:o}"), "a secret may be read by a group");
    }
    Ok(())
}

fn is_own_group(group: u32) -> bool {
    let is_member = || rustix::process::getgroups().is_ok_and(|own| own.iter().any(|own| own.as_raw() == group));
    rustix::process::getegid().as_raw() == group || is_member()
}

/// Written beside its place and linked into it, so that nobody ever sees half a secret and nobody's is overwritten.
fn create(path: &Path, make: impl FnOnce() -> Result<Secret, io::Error>) -> io::Result<()> {
    let folder = parent(path);
    make_private_folder(folder)?;
    match draft(folder, &make()?)?.persist_noclobber(path) {
        Err(failed) if failed.error.kind() != io::ErrorKind::AlreadyExists => return Err(failed.error),
        _ => {}
    }
    sync_folder(folder)
}

/// Puts `secret` into the file at `path` instead of what is there, in one step, and overwrites what was there.
///
/// # Errors
///
/// [`SecretFileError`]; what was in the file is still there then.
pub fn replace(path: &Path, secret: &Secret) -> Result<(), SecretFileError> {
    replace_file(path, secret).map_err(|source| SecretFileError::Write { path: path.to_owned(), source })
}

/// Puts `secret` into the file at `path`, with mode 0600 and in one step, whether there is one or not.
///
/// # Errors
///
/// [`SecretFileError`]; what was in the file, if there was one, is still there then.
pub fn put(path: &Path, secret: &Secret) -> Result<(), SecretFileError> {
    let put = || {
        if path.try_exists()? {
            return replace_file(path, secret);
        }
        let folder = parent(path);
        make_private_folder(folder)?;
        draft(folder, secret)?.persist(path).map_err(|failed| failed.error)?;
        sync_folder(folder)
    };
    put().map_err(|source| SecretFileError::Write { path: path.to_owned(), source })
}

fn replace_file(path: &Path, secret: &Secret) -> io::Result<()> {
    let folder = parent(path);
    let mut before = OpenOptions::new().write(true).open(path)?;
    draft(folder, secret)?.persist(path).map_err(|failed| failed.error)?;
    sync_folder(folder)?;
    // The best that can be done from here: what lies under a journal or in a flash cell is out of reach.
    let length = before.metadata()?.len();
    io::copy(&mut io::repeat(0).take(length), &mut before)?;
    before.sync_all()
}

/// A file with the secret, under a name that nobody else has, with mode 0600. Removed unless it is given a place.
fn draft(folder: &Path, secret: &Secret) -> io::Result<NamedTempFile> {
    let mut draft = NamedTempFile::new_in(folder)?;
    draft.write_all(secret.expose().as_bytes())?;
    draft.write_all(b"\n")?;
    draft.as_file().sync_all()?;
    Ok(draft)
}

fn read_open(file: File, path: &Path) -> Result<Secret, SecretFileError> {
    let mut bytes = Zeroizing::new(Vec::new());
    file.take(MAX_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(|source| SecretFileError::Read { path: path.to_owned(), source })?;
    let text = std::str::from_utf8(&bytes).unwrap_or_default();
    // Editors on Windows mark UTF-8 files, and end lines with two characters.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text).trim_end_matches(['\r', '\n']);
    if text.is_empty() || bytes.len() as u64 > MAX_BYTES {
        return Err(SecretFileError::NoSecret { path: path.to_owned() });
    }
    Ok(Secret::new(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _};

    use super::*;

    const OWNER: SecretAccess = SecretAccess::Owner;

    fn make(secret: &str) -> impl FnOnce() -> Result<Secret, io::Error> {
        let secret = Secret::new(secret.to_owned());
        move || Ok(secret)
    }

    #[test]
    fn a_secret_is_made_once_and_private() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/token");
        assert_eq!(create_or_read(&path, OWNER, make("first")).unwrap().expose(), "first");
        assert_eq!(create_or_read(&path, OWNER, make("second")).unwrap().expose(), "first");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "the draft is gone");
    }

    #[test]
    fn a_secret_is_replaced_in_one_step_and_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        assert!(replace(&path, &Secret::new("none".to_owned())).is_err(), "there is nothing to replace");
        create_or_read(&path, OWNER, make("first")).unwrap();
        let mut before = File::open(&path).unwrap();
        replace(&path, &Secret::new("second".to_owned())).unwrap();
        assert_eq!(create_or_read(&path, OWNER, make("third")).unwrap().expose(), "second");
        let mut left = String::new();
        before.read_to_string(&mut left).unwrap();
        assert_eq!(left, "\0".repeat("first\n".len()));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "the draft is gone");
    }

    #[test]
    fn a_secret_is_put_where_none_was_and_where_one_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/token");
        for secret in ["first", "second"] {
            put(&path, &Secret::new(secret.to_owned())).unwrap();
            assert_eq!(read(&path).unwrap().expose(), secret);
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "the drafts are gone");
    }

    #[test]
    fn a_secret_open_to_others_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        create_or_read(&path, OWNER, make("secret")).unwrap();
        for mode in [0o604, 0o602, 0o644, 0o666] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            for access in [OWNER, SecretAccess::OwnGroup] {
                let refused = create_or_read(&path, access, make("other"));
                assert!(matches!(refused, Err(SecretFileError::OpenToOthers { .. })), "{mode:o} {refused:?}");
            }
        }
    }

    #[test]
    fn a_secret_open_to_a_group_is_read_if_that_is_allowed_and_the_group_is_our_own() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        create_or_read(&path, OWNER, make("secret")).unwrap();
        for mode in [0o640, 0o660] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let refused = create_or_read(&path, OWNER, make("other")).unwrap_err();
            assert!(refused.to_string().contains("--group-readable-secrets"), "{refused}");
            assert_eq!(create_or_read(&path, SecretAccess::OwnGroup, make("other")).unwrap().expose(), "secret");
        }
        let foreign = (1..).find(|group| !is_own_group(*group)).unwrap();
        let refused = check_access(&path, 0o640, foreign, SecretAccess::OwnGroup);
        assert!(matches!(refused, Err(SecretFileError::OpenToGroup { mode: 0o640, .. })), "{refused:?}");
    }

    #[test]
    fn an_empty_file_holds_no_secret() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        for empty in ["\n", "\u{feff}\r\n"] {
            fs::write(&path, empty).unwrap();
            assert!(matches!(read(&path), Err(SecretFileError::NoSecret { .. })));
        }
    }

    #[test]
    fn a_byte_order_mark_and_the_end_of_the_line_are_no_part_of_a_secret() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        for written in [" café ", " café \n", "\u{feff} café \r\n"] {
            fs::write(&path, written).unwrap();
            assert_eq!(read(&path).unwrap().expose(), " café ");
        }
    }
}
