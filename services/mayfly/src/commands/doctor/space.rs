//! Free space, and how full the store is.

use std::path::Path;

use mayfly_bootstrap::parent_dir;
use mayfly_store::{Content, FreeSpace, StorageSettings};

use super::finding::Finding;
use crate::roles::RoleParts;

const AREA: &str = "space";
/// A limit is near when this part of it, in percent, is used.
const NEAR_PERCENT: u128 = 90;
/// The least number of files that can still be created.
const MIN_INODES: u64 = 1000;

/// Checks the file system of a SQLite database, and the limits of the store.
pub(super) fn check(role: RoleParts<'_>, content: Option<&Content>) -> Vec<Finding> {
    let Some(store) = role.store else { return Vec::new() };
    let mut findings = Vec::new();
    let database = store.database.database(&store.data).ok();
    if let Some(file) = database.as_ref().and_then(|database| database.file()) {
        let dir = parent_dir(file);
        let existing = dir.ancestors().find(|dir| dir.exists()).unwrap_or(Path::new("."));
        findings.extend(match FreeSpace::of(existing) {
            Ok(space) => check_disk(space, store.store.storage.min_free_bytes, existing),
            Err(error) => {
                let message = format!("the free space of {} is not known: {error}", existing.display());
                vec![Finding::warning(AREA, "unknown", message, "Watch the disk by other means.")]
            }
        });
    }
    if let Some(content) = content {
        findings.extend(check_usage(content.messages, content.bytes, &store.store.storage));
    }
    findings
}

fn check_disk(space: FreeSpace, min_free_bytes: u64, dir: &Path) -> Vec<Finding> {
    let (dir, free) = (dir.display(), size(space.bytes));
    let advice = "Free some space, or move the data directory to a larger disk.";
    let of_bytes = if space.is_below_reserve(min_free_bytes) {
        let message = format!("{free} are free on {dir}, less than --min-free-bytes: the store creates no messages");
        Finding::failure(AREA, "free-bytes", message, advice)
    } else if space.is_below_reserve(min_free_bytes.saturating_mul(2)) {
        let message =
            format!("{free} are free on {dir}, and below {} the store creates no messages", size(min_free_bytes));
        Finding::warning(AREA, "free-bytes", message, advice)
    } else {
        Finding::ok(AREA, "free-bytes", format!("{free} of {} are free on {dir}", size(space.total_bytes)))
    };
    let mut findings = vec![of_bytes];
    // File systems without a fixed number report 0 of 0.
    if space.total_inodes > 0 && space.inodes < MIN_INODES {
        findings.push(Finding::warning(
            AREA,
            "free-inodes",
            format!("only {} files can be created on {dir}", space.inodes),
            "Delete small files there, or move the data directory: inodes are used up before the space is.",
        ));
    }
    findings
}

fn check_usage(messages: i64, bytes: i64, limits: &StorageSettings) -> Vec<Finding> {
    let StorageSettings { max_messages, max_stored_bytes, min_free_bytes: _ } = *limits;
    let stored_bytes = bytes.unsigned_abs();
    let cases = [
        ("messages", messages, max_messages, format!("{messages} unread messages of {max_messages} (--max-messages)")),
        (
            "stored-bytes",
            bytes,
            max_stored_bytes,
            format!("{} stored of {} (--max-stored-bytes)", size(stored_bytes), size(max_stored_bytes)),
        ),
    ];
    cases.into_iter().map(|(id, used, limit, message)| check_limit(id, used, limit, message)).collect()
}

fn check_limit(id: &'static str, used: i64, limit: u64, message: String) -> Finding {
    let used = u128::try_from(used).unwrap_or_default();
    let advice = "Raise the limit if the disk has room; or wait until messages are read or expire.";
    if used >= u128::from(limit) {
        Finding::failure(AREA, id, format!("{message}: the store creates no messages"), advice)
    } else if used * 100 >= u128::from(limit) * NEAR_PERCENT {
        Finding::warning(AREA, id, message, advice)
    } else {
        Finding::ok(AREA, id, message)
    }
}

/// A size for people.
fn size(bytes: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    match UNITS.iter().find(|(unit, _)| bytes >= *unit) {
        Some((unit, name)) => format!("{}.{} {name}", bytes / unit, bytes % unit * 10 / unit),
        None => format!("{bytes} bytes"),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::finding::Severity, *};

    #[test]
    fn a_disk_is_full_before_its_last_byte() {
        let severities = |bytes, inodes, total_inodes| {
            let space = FreeSpace { bytes, total_bytes: 1 << 40, inodes, total_inodes };
            let found = check_disk(space, 1 << 20, Path::new("/"));
            found.into_iter().map(|finding| finding.severity).collect::<Vec<_>>()
        };
        assert_eq!(severities(1 << 30, 1 << 20, 1 << 21), [Severity::Ok]);
        assert_eq!(severities(3 << 19, 0, 0), [Severity::Warning]);
        assert_eq!(severities(1 << 19, 0, 0), [Severity::Failure]);
        assert_eq!(severities(1 << 30, 999, 1 << 21), [Severity::Ok, Severity::Warning]);
    }

    #[test]
    fn a_store_is_full_at_its_limits() {
        let limits = StorageSettings { max_messages: 100, max_stored_bytes: 1000, min_free_bytes: 0 };
        let severities = |messages, bytes| {
            let found = check_usage(messages, bytes, &limits);
            found.into_iter().map(|finding| finding.severity).collect::<Vec<_>>()
        };
        assert_eq!(severities(0, -1), [Severity::Ok, Severity::Ok]);
        assert_eq!(severities(90, 899), [Severity::Warning, Severity::Ok]);
        assert_eq!(severities(99, 1000), [Severity::Warning, Severity::Failure]);
    }

    #[test]
    fn sizes_have_units() {
        assert_eq!([5, 1536, 8 << 30].map(size), ["5 bytes", "1.5 KiB", "8.0 GiB"]);
    }
}
