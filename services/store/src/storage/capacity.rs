//! [`Capacity`]: limits what may be stored. Creations are rejected long before the disk is full, so that messages can
//! always be viewed, burned and swept.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use super::usage::Usage;

/// For how long the measured free space of the file system is used.
const DISK_CHECK_INTERVAL: Duration = Duration::from_millis(50);
/// The largest reserve is the size of the file system divided by this.
const RESERVE_DIVISOR: u64 = 8;

/// How much a store may store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StorageLimits {
    /// The most unread messages.
    pub(crate) max_messages: u64,
    /// The most bytes of messages, claims and receipts.
    pub(crate) max_bytes: u64,
    /// The bytes that stay free on the file system of a SQLite database.
    pub(crate) min_free_bytes: u64,
}

/// The limits and the usage of a store. Clones share them.
#[derive(Clone)]
pub(crate) struct Capacity(Arc<Shared>);

struct Shared {
    limits: StorageLimits,
    /// Measured periodically, and updated by this store's writers.
    usage: Mutex<Usage>,
    disk: Option<Disk>,
    /// `true` if the last creation was rejected, so that this is logged once.
    is_full: AtomicBool,
}

/// The file system of a SQLite database.
struct Disk {
    dir: PathBuf,
    last_check: Mutex<Option<(Instant, bool)>>,
}

/// How much a batch may store.
pub(super) struct Budget {
    messages: i64,
    bytes: i64,
}

impl Budget {
    /// Takes `usage` from the budget. Returns `false` and takes nothing if the budget is too small.
    pub(super) fn take(&mut self, usage: Usage) -> bool {
        let fits = usage.messages <= self.messages && usage.bytes <= self.bytes;
        if fits {
            self.messages -= usage.messages;
            self.bytes -= usage.bytes;
        }
        fits
    }

    #[cfg(test)]
    pub(super) fn none() -> Self {
        Self { messages: 0, bytes: 0 }
    }

    #[cfg(test)]
    pub(super) fn unlimited() -> Self {
        Self { messages: i64::MAX, bytes: i64::MAX }
    }
}

impl Capacity {
    /// `dir` is the directory of a SQLite database. `None` for PostgreSQL, which manages its own disk.
    pub(super) fn new(limits: StorageLimits, dir: Option<PathBuf>) -> Self {
        let disk = dir.map(|dir| Disk { dir, last_check: Mutex::new(None) });
        Self(Arc::new(Shared { limits, usage: Mutex::default(), disk, is_full: AtomicBool::new(false) }))
    }

    /// How much a batch may store now.
    pub(super) fn budget(&self) -> Budget {
        let StorageLimits { max_messages, max_bytes, .. } = self.0.limits;
        let usage = self.usage();
        let left = |limit: u64, used: i64| i64::try_from(limit).unwrap_or(i64::MAX).saturating_sub(used);
        let budget = Budget { messages: left(max_messages, usage.messages), bytes: left(max_bytes, usage.bytes) };
        if self.is_disk_low() { Budget { messages: 0, bytes: 0 } } else { budget }
    }

    /// Returns `true` if the file system has less free space than the reserve.
    pub(super) fn is_disk_low(&self) -> bool {
        self.0.disk.as_ref().is_some_and(|disk| disk.is_low(self.0.limits.min_free_bytes))
    }

    /// The known usage.
    pub(crate) fn usage(&self) -> Usage {
        *self.0.usage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The limits.
    pub(crate) fn limits(&self) -> StorageLimits {
        self.0.limits
    }

    /// Returns `true` while creations are rejected.
    pub(crate) fn is_full(&self) -> bool {
        self.0.is_full.load(Ordering::Relaxed)
    }

    /// The free space of a SQLite database, and the bytes below which creations are rejected. `None` for PostgreSQL.
    pub(crate) fn disk_space(&self) -> Option<(FreeSpace, u64)> {
        let space = FreeSpace::of(&self.0.disk.as_ref()?.dir).ok()?;
        Some((space, reserve(space.total_bytes, self.0.limits.min_free_bytes)))
    }

    /// Sets the measured usage.
    pub(super) fn set_usage(&self, usage: Usage) {
        *self.0.usage.lock().unwrap_or_else(PoisonError::into_inner) = usage;
    }

    /// Adds the change of a committed transaction of this store.
    pub(super) fn add_usage(&self, change: Usage) {
        *self.0.usage.lock().unwrap_or_else(PoisonError::into_inner) += change;
    }

    /// Records whether a creation was rejected because the store is full. Logs when that begins and ends.
    pub(super) fn record_full(&self, is_full: bool) {
        if self.0.is_full.swap(is_full, Ordering::Relaxed) == is_full {
            return;
        }
        let Usage { messages, bytes, .. } = self.usage();
        let is_disk_low = self.is_disk_low();
        if is_full {
            tracing::warn!(messages, bytes, is_disk_low, "the store is full: no more messages are created");
        } else {
            tracing::info!(messages, bytes, "the store has room again");
        }
    }
}

impl Disk {
    fn is_low(&self, min_free_bytes: u64) -> bool {
        let mut last_check = self.last_check.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, is_low)) = last_check.filter(|(time, _)| time.elapsed() < DISK_CHECK_INTERVAL) {
            return is_low;
        }
        let is_low = match FreeSpace::of(&self.dir) {
            Ok(space) => space.is_below_reserve(min_free_bytes),
            Err(error) => {
                tracing::debug!(%error, "the free space of the database's file system is not known");
                false
            }
        };
        *last_check = Some((Instant::now(), is_low));
        is_low
    }
}

/// The free space of a file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FreeSpace {
    /// The bytes that users other than root can still write.
    pub bytes: u64,
    /// The size of the file system.
    pub total_bytes: u64,
    /// How many files can still be created.
    pub inodes: u64,
    /// How many files there can be. 0: the file system does not limit them.
    pub total_inodes: u64,
}

impl FreeSpace {
    /// The free space of the file system with the directory `dir`.
    ///
    /// # Errors
    ///
    /// When the system does not report it.
    pub fn of(dir: &Path) -> io::Result<Self> {
        let found = rustix::fs::statvfs(dir)?;
        Ok(Self {
            bytes: found.f_bavail.saturating_mul(found.f_frsize),
            total_bytes: found.f_blocks.saturating_mul(found.f_frsize),
            inodes: found.f_favail,
            total_inodes: found.f_files,
        })
    }

    /// Returns `true` if a store with `--min-free-bytes` creates no messages now.
    #[must_use]
    pub fn is_below_reserve(&self, min_free_bytes: u64) -> bool {
        is_below_reserve(self.bytes, self.total_bytes, min_free_bytes)
    }
}

/// Returns `true` if `free` bytes of a file system with `total` bytes are less than the reserve.
fn is_below_reserve(free: u64, total: u64, min_free_bytes: u64) -> bool {
    free < reserve(total, min_free_bytes)
}

/// The bytes that stay free on a file system with `total` bytes.
fn reserve(total: u64, min_free_bytes: u64) -> u64 {
    min_free_bytes.min(total / RESERVE_DIVISOR)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: StorageLimits = StorageLimits { max_messages: 2, max_bytes: 10_000, min_free_bytes: 0 };

    #[test]
    fn a_budget_limits_the_number_and_the_bytes_of_messages() {
        let capacity = Capacity::new(LIMITS, None);
        let mut budget = capacity.budget();
        assert!(budget.take(Usage::message(100)) && budget.take(Usage::message(100)));
        assert!(!budget.take(Usage::message(100)), "a third message");
        capacity.add_usage(Usage::message(100));
        let mut budget = capacity.budget();
        assert!(!budget.take(Usage::message(10_000)), "too many bytes");
        assert!(budget.take(Usage::message(100)), "a rejected take took nothing");
        capacity.set_usage(Usage::default());
        assert_eq!(capacity.usage(), Usage::default());
    }

    #[test]
    fn the_reserve_is_at_most_an_eighth_of_the_file_system() {
        assert!(is_below_reserve(99, 10_000, 100) && !is_below_reserve(100, 10_000, 100));
        assert!(is_below_reserve(9, 80, 100) && !is_below_reserve(10, 80, 100));
        assert!(!is_below_reserve(0, 80, 0), "no reserve is configured");
    }

    #[test]
    fn a_disk_without_a_reserve_or_of_unknown_size_is_not_low() {
        let dir = tempfile::tempdir().unwrap();
        assert!(Capacity::new(LIMITS, Some(dir.path().to_owned())).budget().take(Usage::message(1)));
        let unknown = StorageLimits { min_free_bytes: u64::MAX, ..LIMITS };
        assert!(!Capacity::new(unknown, Some(dir.path().join("gone"))).is_disk_low());
    }
}
