//! A small disk to fill up: a tmpfs.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, ensure};
use tempfile::TempDir;

/// A mounted tmpfs of a few megabytes. Unmounted when dropped.
pub struct SmallDisk {
    folder: TempDir,
}

impl SmallDisk {
    /// Mounts a tmpfs of this size, as an option of `mount` (`4m`).
    ///
    /// # Errors
    ///
    /// Returns an error if the mount fails. It needs root.
    pub fn mount(size: &str) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "mayfly-test"])
            .arg(folder.path())
            .status()
            .context("tests of a full disk need the program mount: apt-get install mount")?;
        ensure!(mounted.success(), "tests of a full disk mount a tmpfs, which needs root");
        Ok(Self { folder })
    }

    /// The mount point.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Fills the disk.
    ///
    /// # Errors
    ///
    /// Returns any error but that of a full disk.
    pub fn fill(&self) -> io::Result<()> {
        let mut ballast = File::options().create(true).append(true).open(self.ballast())?;
        // Large blocks first, single bytes last.
        for step in [1 << 20, 1 << 12, 1] {
            let zeros = vec![0; step];
            loop {
                match ballast.write_all(&zeros) {
                    Ok(()) => {}
                    Err(error) if error.kind() == io::ErrorKind::StorageFull => break,
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }

    /// Frees the space that [`fill`](Self::fill) took.
    ///
    /// # Errors
    ///
    /// Returns an error if the disk was not filled.
    pub fn free(&self) -> io::Result<()> {
        fs::remove_file(self.ballast())
    }

    fn ballast(&self) -> PathBuf {
        self.path().join("ballast")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily, since processes may still have files open there.
        let unmounted = Command::new("umount").arg("--lazy").arg(self.path()).status();
        if !unmounted.is_ok_and(|status| status.success()) {
            eprintln!("{} is still mounted", self.path().display());
        }
    }
}
