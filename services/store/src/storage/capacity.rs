//! How much may be stored. Creations are refused long before nothing can be written, so that messages can always be viewed,
//! burned and swept.

use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use super::usage::Usage;

/// For how long a look at the file system counts.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);
/// On a small file system the reserve is this part of it.
const LARGEST_RESERVE: u64 = 8;

/// What a store may keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StorageLimits {
    /// Unread messages.
    pub(crate) max_messages: u64,
    /// Bytes that messages, claims and receipts take.
    pub(crate) max_bytes: u64,
    /// Bytes that stay free on the file system of a SQLite database.
    pub(crate) min_free_bytes: u64,
}

/// How much is stored beside how much may be. Clones are the same one.
#[derive(Clone)]
pub(crate) struct Capacity(Arc<Shared>);

struct Shared {
    limits: StorageLimits,
    /// What is known to be stored: measured now and then, and kept up to date by this store's writers.
    stored: Mutex<Usage>,
    disk: Option<Disk>,
    /// Whether the last creation was refused, so that the log says so once.
    is_full: AtomicBool,
}

/// The file system of a SQLite database.
struct Disk {
    folder: PathBuf,
    last_look: Mutex<Option<(Instant, bool)>>,
}

/// What one batch may still store.
pub(super) struct Room {
    messages: i64,
    bytes: i64,
}

impl Room {
    /// Takes room for `usage`; `false`, and nothing is taken, if there is not enough.
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
    pub(super) fn endless() -> Self {
        Self { messages: i64::MAX, bytes: i64::MAX }
    }
}

impl Capacity {
    /// `folder` is where a SQLite database lies; `None` for PostgreSQL, whose disk is its own concern.
    pub(super) fn new(limits: StorageLimits, folder: Option<PathBuf>) -> Self {
        let disk = folder.map(|folder| Disk { folder, last_look: Mutex::new(None) });
        Self(Arc::new(Shared { limits, stored: Mutex::default(), disk, is_full: AtomicBool::new(false) }))
    }

    /// How much more may be stored now.
    pub(super) fn room(&self) -> Room {
        let StorageLimits { max_messages, max_bytes, .. } = self.0.limits;
        let stored = self.stored();
        let left = |limit: u64, stored: i64| i64::try_from(limit).unwrap_or(i64::MAX).saturating_sub(stored);
        let room = Room { messages: left(max_messages, stored.messages), bytes: left(max_bytes, stored.bytes) };
        if self.is_disk_low() { Room { messages: 0, bytes: 0 } } else { room }
    }

    /// Whether less is free on the file system than must be.
    pub(super) fn is_disk_low(&self) -> bool {
        self.0.disk.as_ref().is_some_and(|disk| disk.is_low(self.0.limits.min_free_bytes))
    }

    /// What is known to be stored.
    pub(crate) fn stored(&self) -> Usage {
        *self.0.stored.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes what was measured.
    pub(super) fn measured(&self, usage: Usage) {
        *self.0.stored.lock().unwrap_or_else(PoisonError::into_inner) = usage;
    }

    /// Notes what a committed transaction of this store changed.
    pub(super) fn changed(&self, change: Usage) {
        *self.0.stored.lock().unwrap_or_else(PoisonError::into_inner) += change;
    }

    /// Notes whether a creation was refused for want of room, and logs when that begins and ends.
    pub(super) fn note_full(&self, is_full: bool) {
        if self.0.is_full.swap(is_full, Ordering::Relaxed) == is_full {
            return;
        }
        let Usage { messages, bytes, .. } = self.stored();
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
        let mut last_look = self.last_look.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, is_low)) = last_look.filter(|(time, _)| time.elapsed() < LOOK_INTERVAL) {
            return is_low;
        }
        let is_low = match rustix::fs::statvfs(&self.folder) {
            Ok(found) => {
                let total = found.f_blocks.saturating_mul(found.f_frsize);
                let free = found.f_bavail.saturating_mul(found.f_frsize);
                is_below_reserve(free, total, min_free_bytes)
            }
            Err(error) => {
                tracing::debug!(%error, "the free space of the database's file system is not known");
                false
            }
        };
        *last_look = Some((Instant::now(), is_low));
        is_low
    }
}

/// Whether `free` bytes of a file system with `total` bytes are fewer than must stay free.
fn is_below_reserve(free: u64, total: u64, min_free_bytes: u64) -> bool {
    free < min_free_bytes.min(total / LARGEST_RESERVE)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: StorageLimits = StorageLimits { max_messages: 2, max_bytes: 10_000, min_free_bytes: 0 };

    #[test]
    fn room_ends_at_the_number_of_messages_and_at_their_bytes() {
        let capacity = Capacity::new(LIMITS, None);
        let mut room = capacity.room();
        assert!(room.take(Usage::message(100)) && room.take(Usage::message(100)));
        assert!(!room.take(Usage::message(100)), "a third message");
        capacity.changed(Usage::message(100));
        let mut room = capacity.room();
        assert!(!room.take(Usage::message(10_000)), "too many bytes");
        assert!(room.take(Usage::message(100)), "what was refused took nothing");
        capacity.measured(Usage::default());
        assert_eq!(capacity.stored(), Usage::default());
    }

    #[test]
    fn the_reserve_is_at_most_an_eighth_of_the_file_system() {
        assert!(is_below_reserve(99, 10_000, 100) && !is_below_reserve(100, 10_000, 100));
        assert!(is_below_reserve(9, 80, 100) && !is_below_reserve(10, 80, 100));
        assert!(!is_below_reserve(0, 80, 0), "none is asked for");
    }

    #[test]
    fn a_disk_without_a_reserve_or_of_unknown_size_is_not_low() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Capacity::new(LIMITS, Some(folder.path().to_owned())).room().take(Usage::message(1)));
        let unknown = StorageLimits { min_free_bytes: u64::MAX, ..LIMITS };
        assert!(!Capacity::new(unknown, Some(folder.path().join("gone"))).is_disk_low());
    }
}
