//! Private directories that survive a power failure.
//!
//! A new file or directory is durable only after its parent directory was synced.

use std::{
    fs::{DirBuilder, File},
    io,
    os::unix::fs::DirBuilderExt as _,
    path::Path,
};

/// Creates `dir` and its missing parents with mode 0700, durably.
///
/// # Errors
///
/// When a directory cannot be created or synced.
pub fn create_private_dir_all(dir: &Path) -> io::Result<()> {
    create_all(dir, &sync_dir)
}

/// Syncs the entries of `dir` to the disk.
///
/// # Errors
///
/// When `dir` cannot be opened or synced.
pub fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// The directory that contains `path`; `.` for a bare file name.
#[must_use]
pub fn parent_dir(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn create_all(dir: &Path, sync: &impl Fn(&Path) -> io::Result<()>) -> io::Result<()> {
    let parent = parent_dir(dir);
    if !parent.is_dir() {
        create_all(parent, sync)?;
    }
    match DirBuilder::new().mode(0o700).create(dir) {
        // Sync an existing directory too: its creator may have crashed before the sync. A parent that this user may not
        // read belongs to another user, who created the directory.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && dir.is_dir() => match sync(parent) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
            synced => synced,
        },
        created => created.and_then(|()| sync(parent)),
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::RefCell, fs, os::unix::fs::PermissionsExt as _};

    use super::*;

    #[test]
    fn a_directory_is_created_with_its_parents_and_private() {
        let scratch = tempfile::tempdir().unwrap();
        let dir = scratch.path().join("data/bot/updates");
        for _ in 0..2 {
            create_private_dir_all(&dir).unwrap();
            sync_dir(&dir).unwrap();
        }
        for created in dir.ancestors().take(3) {
            let mode = fs::metadata(created).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o700, "{}", created.display());
        }
    }

    #[test]
    fn each_parent_is_synced_after_its_directory_was_created() {
        let scratch = tempfile::tempdir().unwrap();
        let dir = scratch.path().join("data/bot");
        let synced = RefCell::new(Vec::new());
        let sync = |parent: &Path| {
            synced.borrow_mut().push((parent.to_owned(), fs::read_dir(parent)?.count()));
            Ok(())
        };
        create_all(&dir, &sync).unwrap();
        let (top, data) = (scratch.path().to_owned(), scratch.path().join("data"));
        assert_eq!(*synced.borrow(), [(top, 1), (data.clone(), 1)]);
        synced.borrow_mut().clear();
        create_all(&dir, &sync).unwrap();
        assert_eq!(*synced.borrow(), [(data, 1)], "an existing directory is synced too");
    }

    #[test]
    fn a_directory_that_cannot_be_synced_is_an_error_unless_another_user_created_it() {
        let scratch = tempfile::tempdir().unwrap();
        let dir = scratch.path().join("data");
        let failing = |kind: io::ErrorKind| move |_: &Path| Err(io::Error::from(kind));
        assert!(create_all(&dir, &failing(io::ErrorKind::PermissionDenied)).is_err());
        assert!(create_all(&dir, &failing(io::ErrorKind::PermissionDenied)).is_ok());
        assert!(create_all(&dir, &failing(io::ErrorKind::StorageFull)).is_err());
    }

    #[test]
    fn a_file_in_place_of_the_directory_is_an_error() {
        let scratch = tempfile::tempdir().unwrap();
        let file = scratch.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(create_private_dir_all(&file).is_err());
        assert!(create_private_dir_all(&file.join("dir")).is_err());
    }
}
