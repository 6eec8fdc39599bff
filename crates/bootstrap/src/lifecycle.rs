//! The life of a process: tasks that run until the first signal, drain, and end.

use std::{error::Error, future::Future, time::Duration};

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use crate::ErrorChain;

/// How long tasks may take to finish what they began, unless said otherwise. Shorter than the 10 seconds that container
/// engines wait before they kill.
pub const DRAIN_LIMIT: Duration = Duration::from_secs(8);

/// Why a task ended.
pub type TaskError = Box<dyn Error + Send + Sync>;

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// A signal came and everything was finished. Exit code 0.
    Cleanly,
    /// A task ended by itself, which none should. Exit code 1.
    Failed,
    /// A second signal, or the drain limit, cut work short. Exit code 1.
    Aborted,
}

/// Owns a process's long-running tasks. Each gets the [`stop`](Self::stop) token and ends when it is cancelled.
pub struct Lifecycle {
    stop: CancellationToken,
    tasks: JoinSet<(&'static str, Result<(), TaskError>)>,
    interrupt: Signal,
    terminate: Signal,
}

impl Lifecycle {
    /// A life without tasks yet. From here on SIGINT and SIGTERM no longer end the process by themselves.
    ///
    /// # Errors
    ///
    /// When the operating system does not let us listen to signals.
    pub fn new() -> std::io::Result<Self> {
        Ok(Self {
            stop: CancellationToken::new(),
            tasks: JoinSet::new(),
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// Cancelled when the process should finish: a signal came, or a task died.
    #[must_use]
    pub fn stop(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Runs `task` until it ends, which it should do only after [`stop`](Self::stop) was cancelled.
    pub fn spawn(&mut self, name: &'static str, task: impl Future<Output = Result<(), TaskError>> + Send + 'static) {
        self.tasks.spawn(async move { (name, task.await) });
    }

    /// Waits for what has to be done before there are tasks; `None` when a signal came first, and then it is given up.
    pub async fn unless_signalled<T>(&mut self, preparation: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            () = signalled(&mut self.interrupt, &mut self.terminate) => None,
            prepared = preparation => Some(prepared),
        }
    }

    /// Waits for the first signal or the first task that ends, then lets the others drain for at most `drain_limit`.
    pub async fn run(mut self, drain_limit: Duration) -> Ended {
        let mut ended = tokio::select! {
            () = signalled(&mut self.interrupt, &mut self.terminate) => Ended::Cleanly,
            Some(early) = self.tasks.join_next() => {
                report_early_end(early);
                Ended::Failed
            }
        };
        tracing::info!("finishing; a second signal ends at once");
        self.stop.cancel();

        let limit = tokio::time::sleep(drain_limit);
        tokio::pin!(limit);
        loop {
            tokio::select! {
                finished = self.tasks.join_next() => match finished {
                    None => return ended,
                    Some(Ok((_, Ok(())))) => {}
                    Some(failed) => {
                        report_early_end(failed);
                        ended = Ended::Failed;
                    }
                },
                () = signalled(&mut self.interrupt, &mut self.terminate) => break,
                () = &mut limit => break,
            }
        }
        tracing::error!(unfinished = self.tasks.len(), "work was cut short");
        self.tasks.shutdown().await;
        Ended::Aborted
    }
}

async fn signalled(interrupt: &mut Signal, terminate: &mut Signal) {
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}

fn report_early_end(end: Result<(&'static str, Result<(), TaskError>), tokio::task::JoinError>) {
    match end {
        Ok((task, Ok(()))) => tracing::error!(task, "a task ended by itself"),
        Ok((task, Err(error))) => tracing::error!(task, error = %ErrorChain(&*error), "a task failed"),
        // The panic hook has logged where.
        Err(_) => tracing::error!("a task panicked"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_task_that_dies_ends_the_process_with_failure_after_the_others_drained() {
        let mut lifecycle = Lifecycle::new().unwrap();
        let stop = lifecycle.stop();
        let (drained, was_drained) = tokio::sync::oneshot::channel();
        lifecycle.spawn("drains", async move {
            stop.cancelled().await;
            drained.send(()).map_err(|()| "nobody listens".into())
        });
        lifecycle.spawn("dies", async { Err("died".into()) });
        assert_eq!(lifecycle.run(DRAIN_LIMIT).await, Ended::Failed);
        was_drained.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_does_not_drain_is_aborted() {
        let mut lifecycle = Lifecycle::new().unwrap();
        lifecycle.spawn("hangs", std::future::pending());
        lifecycle.spawn("dies", async { Ok(()) });
        assert_eq!(lifecycle.run(DRAIN_LIMIT).await, Ended::Aborted);
    }
}
