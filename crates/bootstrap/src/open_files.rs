//! The limit of open files, which also limits connections.

/// The usual soft limit, assumed when the system does not report one.
const DEFAULT_LIMIT: usize = 1024;

/// Raises the soft limit of open files to the hard limit, and returns the resulting limit.
pub(crate) fn raise_limit() -> usize {
    let raised = rlimit::increase_nofile_limit(u64::MAX);
    let limit = raised.or_else(|error| {
        tracing::warn!(%error, "cannot raise the limit of open files");
        rlimit::Resource::NOFILE.get_soft()
    });
    limit.map_or(DEFAULT_LIMIT, |limit| usize::try_from(limit).unwrap_or(usize::MAX))
}
