//! Folders whose files are there after a power cut.
//!
//! A file, and a folder too, is there for certain once the folder that it lies in has reached the disk.

use std::{
    fs::{DirBuilder, File},
    io,
    os::unix::fs::DirBuilderExt as _,
    path::Path,
};

/// Makes `folder` and those that it lies in, where they are not there yet, for this user alone.
///
/// # Errors
///
/// When it cannot be made, or there is no telling whether it has reached the disk.
pub(crate) fn make(folder: &Path) -> io::Result<()> {
    let parent = folder.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !parent.is_dir() {
        make(parent)?;
    }
    match DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && folder.is_dir() => {}
        made => made?,
    }
    // Even if it was there: whoever made it may have died before this.
    sync(parent)
}

/// Waits until what was put into `folder` has reached the disk.
///
/// # Errors
///
/// When there is no telling whether it has.
pub(crate) fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _};

    use super::*;

    #[test]
    fn a_folder_is_made_with_all_that_it_lies_in_and_for_one_user_alone() {
        let scratch = tempfile::tempdir().unwrap();
        let folder = scratch.path().join("data/bot/updates");
        for _ in 0..2 {
            make(&folder).unwrap();
            sync(&folder).unwrap();
        }
        for made in folder.ancestors().take(3) {
            assert_eq!(fs::metadata(made).unwrap().permissions().mode() & 0o777, 0o700, "{}", made.display());
        }
    }

    #[test]
    fn a_file_in_its_place_is_no_folder() {
        let scratch = tempfile::tempdir().unwrap();
        let file = scratch.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(make(&file).is_err());
        assert!(make(&file.join("folder")).is_err());
    }
}
