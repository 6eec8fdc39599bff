//! Interrupted commands that leave no temporary file.

use std::future::Future;

use crate::error::CliError;

/// Waits for `work`, and drops it when the command is interrupted (Ctrl-C). Its temporary files are deleted with it.
pub(super) async fn or_interrupted<T>(work: impl Future<Output = T>) -> Result<T, CliError> {
    tokio::select! {
        done = work => Ok(done),
        interrupted = tokio::signal::ctrl_c() => {
            interrupted.map_err(CliError::failed)?;
            Err(CliError::unavailable("interrupted; nothing was changed"))
        }
    }
}
