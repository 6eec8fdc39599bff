//! Private folders whose files are there after a power cut.
//!
//! A file or a folder is on the disk for certain once the folder that it lies in was synced.

use std::{
    fs::{DirBuilder, File},
    io,
    os::unix::fs::DirBuilderExt as _,
    path::Path,
};

/// Makes `folder` and those that it lies in, where they are not there yet, with mode 0700.
///
/// # Errors
///
/// When it cannot be made, or there is no telling whether it has reached the disk.
pub fn make_private_folder(folder: &Path) -> io::Result<()> {
    make(folder, &sync_folder)
}

/// Waits until what was put into `folder` has reached the disk.
///
/// # Errors
///
/// When there is no telling whether it has.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// The folder that `path` lies in.
pub(crate) fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn make(folder: &Path, sync: &impl Fn(&Path) -> io::Result<()>) -> io::Result<()> {
    let parent = parent(folder);
    if !parent.is_dir() {
        make(parent, sync)?;
    }
    match DirBuilder::new().mode(0o700).create(folder) {
        // Even if it was there: its maker may have died before this. It was not this user who may not read the parent.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && folder.is_dir() => match sync(parent) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
            synced => synced,
        },
        made => made.and_then(|()| sync(parent)),
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::RefCell, fs, os::unix::fs::PermissionsExt as _};

    use super::*;

    #[test]
    fn a_folder_is_made_with_all_that_it_lies_in_and_for_one_user_alone() {
        let scratch = tempfile::tempdir().unwrap();
        let folder = scratch.path().join("data/bot/updates");
        for _ in 0..2 {
            make_private_folder(&folder).unwrap();
            sync_folder(&folder).unwrap();
        }
        for made in folder.ancestors().take(3) {
            assert_eq!(fs::metadata(made).unwrap().permissions().mode() & 0o777, 0o700, "{}", made.display());
        }
    }

    #[test]
    fn the_parent_of_each_folder_is_synced_after_it_was_made() {
        let scratch = tempfile::tempdir().unwrap();
        let folder = scratch.path().join("data/bot");
        let synced = RefCell::new(Vec::new());
        let sync = |parent: &Path| {
            synced.borrow_mut().push((parent.to_owned(), fs::read_dir(parent)?.count()));
            Ok(())
        };
        make(&folder, &sync).unwrap();
        let (top, data) = (scratch.path().to_owned(), scratch.path().join("data"));
        assert_eq!(*synced.borrow(), [(top, 1), (data.clone(), 1)]);
        synced.borrow_mut().clear();
        make(&folder, &sync).unwrap();
        assert_eq!(*synced.borrow(), [(data, 1)], "whoever made it may have died before it was synced");
    }

    #[test]
    fn a_folder_that_cannot_be_synced_is_an_error_unless_somebody_else_made_it() {
        let scratch = tempfile::tempdir().unwrap();
        let folder = scratch.path().join("data");
        let failing = |kind: io::ErrorKind| move |_: &Path| Err(io::Error::from(kind));
        assert!(make(&folder, &failing(io::ErrorKind::PermissionDenied)).is_err());
        assert!(make(&folder, &failing(io::ErrorKind::PermissionDenied)).is_ok());
        assert!(make(&folder, &failing(io::ErrorKind::StorageFull)).is_err());
    }

    #[test]
    fn a_file_in_its_place_is_no_folder() {
        let scratch = tempfile::tempdir().unwrap();
        let file = scratch.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(make_private_folder(&file).is_err());
        assert!(make_private_folder(&file.join("folder")).is_err());
    }
}
