//! How many files, and so connections, the process may have open.

/// What is assumed when the system does not tell: the usual soft limit.
const USUAL_LIMIT: usize = 1024;

/// Raises the soft limit of open files to the hard limit, and returns what then holds.
pub(crate) fn raise_limit() -> usize {
    let raised = rlimit::increase_nofile_limit(u64::MAX);
    let limit = raised.or_else(|error| {
        tracing::warn!(%error, "cannot raise the limit of open files");
        rlimit::Resource::NOFILE.get_soft()
    });
    limit.map_or(USUAL_LIMIT, |limit| usize::try_from(limit).unwrap_or(usize::MAX))
}
