//! The lifecycle of a process: tasks that run until the first signal, then drain and end.

use std::{error::Error, future::Future, time::Duration};

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use crate::error_chain::ErrorChain;

/// How long tasks may take to drain, by default. Shorter than the 10 seconds after which container engines kill a
/// process.
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(8);

/// The error of a task.
pub type TaskError = Box<dyn Error + Send + Sync>;

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShutdownOutcome {
    /// A signal arrived, and all tasks finished. Exit code 0.
    Clean,
    /// A task ended without a signal. Exit code 1.
    Failed,
    /// A second signal or the drain timeout aborted tasks. Exit code 1.
    Aborted,
}

/// Owns the long-running tasks of a process. Each task gets the [`stop`](Self::stop) token and ends when it is
/// cancelled.
pub struct Lifecycle {
    stop: CancellationToken,
    tasks: JoinSet<(&'static str, Result<(), TaskError>)>,
    interrupt: Signal,
    terminate: Signal,
}

impl Lifecycle {
    /// A lifecycle without tasks. From now on, SIGINT and SIGTERM no longer end the process by themselves.
    ///
    /// # Errors
    ///
    /// When signal handlers cannot be installed.
    pub fn new() -> std::io::Result<Self> {
        Ok(Self {
            stop: CancellationToken::new(),
            tasks: JoinSet::new(),
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// Cancelled when the process should finish: after a signal, or when a task ended.
    #[must_use]
    pub fn stop(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Spawns `task`, which must not end before [`stop`](Self::stop) is cancelled.
    pub fn spawn(&mut self, name: &'static str, task: impl Future<Output = Result<(), TaskError>> + Send + 'static) {
        self.tasks.spawn(async move { (name, task.await) });
    }

    /// Runs `preparation`, before there are tasks. Returns `None` and drops it if a signal arrives first.
    pub async fn run_until_signalled<T>(&mut self, preparation: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            () = signalled(&mut self.interrupt, &mut self.terminate) => None,
            prepared = preparation => Some(prepared),
        }
    }

    /// Waits for the first signal or the first task that ends, then drains the other tasks for at most `drain_timeout`.
    pub async fn run(mut self, drain_timeout: Duration) -> ShutdownOutcome {
        let mut outcome = tokio::select! {
            () = signalled(&mut self.interrupt, &mut self.terminate) => ShutdownOutcome::Clean,
            Some(early) = self.tasks.join_next() => {
                log_unexpected_end(early);
                ShutdownOutcome::Failed
            }
        };
        tracing::info!("finishing; a second signal ends at once");
        self.stop.cancel();

        let timeout = tokio::time::sleep(drain_timeout);
        tokio::pin!(timeout);
        loop {
            tokio::select! {
                finished = self.tasks.join_next() => match finished {
                    None => return outcome,
                    Some(Ok((_, Ok(())))) => {}
                    Some(failed) => {
                        log_unexpected_end(failed);
                        outcome = ShutdownOutcome::Failed;
                    }
                },
                () = signalled(&mut self.interrupt, &mut self.terminate) => break,
                () = &mut timeout => break,
            }
        }
        tracing::error!(unfinished = self.tasks.len(), "work was cut short");
        self.tasks.shutdown().await;
        ShutdownOutcome::Aborted
    }
}

async fn signalled(interrupt: &mut Signal, terminate: &mut Signal) {
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}

fn log_unexpected_end(end: Result<(&'static str, Result<(), TaskError>), tokio::task::JoinError>) {
    match end {
        Ok((task, Ok(()))) => tracing::error!(task, "a task ended by itself"),
        Ok((task, Err(error))) => tracing::error!(task, error = %ErrorChain(&*error), "a task failed"),
        // The panic hook has logged the location.
        Err(_) => tracing::error!("a task panicked"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_task_that_fails_ends_the_process_with_failure_after_the_others_drained() {
        let mut lifecycle = Lifecycle::new().unwrap();
        let stop = lifecycle.stop();
        let (drained, was_drained) = tokio::sync::oneshot::channel();
        lifecycle.spawn("drains", async move {
            stop.cancelled().await;
            drained.send(()).map_err(|()| "the receiver is gone".into())
        });
        lifecycle.spawn("fails", async { Err("failed".into()) });
        assert_eq!(lifecycle.run(DRAIN_TIMEOUT).await, ShutdownOutcome::Failed);
        was_drained.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_does_not_drain_is_aborted() {
        let mut lifecycle = Lifecycle::new().unwrap();
        lifecycle.spawn("hangs", std::future::pending());
        lifecycle.spawn("ends", async { Ok(()) });
        assert_eq!(lifecycle.run(DRAIN_TIMEOUT).await, ShutdownOutcome::Aborted);
    }
}
